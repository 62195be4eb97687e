/* Graphs: values, nodes, the poison value, scopes and names. */
#include <stdio.h>
#include <string.h>
#include "graph/core.h"
#include "graph/count.h"

wok_status wok_graph_new(wok_ctx *c, wok_graph **out) {
  *out = NULL;
  wok_graph *g = wok__calloc(1, (int64_t)sizeof *g);
  if (!g) return wok__nomem(c, (int64_t)sizeof *g);
  g->c = c;
  g->arena = wok__arena_new(0);
  g->names = wok__map_new();
  if (!g->arena || !g->names) {
    wok_graph_free(g);
    return wok__nomem(c, 1 << 16);
  }
  g->poison = (wok_val){.g = g, .dtype = WOK_F32, .id = -1, .name = "poison"};
  g->next_stream = 1;
  g->scope_kept = "";
  *out = g;
  return WOK_OK;
}

void wok_graph_free(wok_graph *g) {
  if (!g) return;
  wok__arena_free(g->arena);
  wok__map_free(g->names);
  wok__free(g->nodes);
  wok__free(g->named);
  wok__free(g);
}

wok_status wok_graph_status(const wok_graph *g) { return g->status; }
const char *wok_graph_message(const wok_graph *g) { return g->message; }
wok_ctx *wok__graph_ctx(const wok_graph *g) { return g->c; }
wok__arena *wok__graph_arena(wok_graph *g) { return g->arena; }
uint32_t wok__next_stream(wok_graph *g) { return g->next_stream++; }
int64_t wok__next_slot(wok_graph *g) { return g->ninputs++; }

wok_graph *wok_val_graph(const wok_val *v) { return v->g; }
wok_dtype wok_val_dtype(const wok_val *v) { return v->dtype; }
wok_shape wok_val_shape(const wok_val *v) { return v->shape; }
bool wok_is_poison(const wok_val *v) { return v->node == NULL; }
wok_val *wok__poison_of(wok_graph *g) { return &g->poison; }

const char *wok_val_name(const wok_val *v) {
  if (v->name) return v->name;
  const wok__node *n = v->node;
  char *s = wok__arena_printf(v->g->arena, "%s%s%s#%lld", n->scope, n->scope[0] ? "/" : "", n->op->name, (long long)n->id);
  if (!s) return n->op->name;
  ((wok_val *)(uintptr_t)v)->name = s; /* a cache: the name follows from what the value is */
  return s;
}

/* ---- the first message ---- */

wok_val *wok__poison(wok_graph *g, wok_status s, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  char text[WOK__GRAPH_MESSAGE];
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  if (g->status == WOK_OK) {
    g->status = s;
    snprintf(g->message, sizeof g->message, "%.400s%s%.100s", text, g->scope[0] ? " in " : "", g->scope);
  }
  return &g->poison;
}

bool wok__node_fail(wok__node *n, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  char text[WOK__GRAPH_MESSAGE];
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  wok_graph *g = n->out[0].g;
  wok__poison(g, WOK_SHAPE, "%s: %s", n->op->name, text);
  return false;
}

/* ---- scopes and names ---- */
void wok_scope_enter(wok_graph *g, const char *fmt, ...) {
  char part[WOK__GRAPH_SCOPE];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(part, sizeof part, fmt, ap);
  va_end(ap);
  int at = (int)strlen(g->scope);
  int need = at + (at ? 1 : 0) + (int)strlen(part);
  if (need >= WOK__GRAPH_SCOPE || g->scope_depth == (int)WOK__COUNT(g->scope_at) || g->scope_lost) {
    g->scope_lost++;
    return;
  }
  g->scope_at[g->scope_depth++] = at;
  if (at) g->scope[at++] = '/';
  memcpy(g->scope + at, part, strlen(part) + 1);
  g->scope_kept = NULL;
}

void wok_scope_leave(wok_graph *g) {
  if (g->scope_lost) {
    g->scope_lost--;
    return;
  }
  if (g->scope_depth == 0) return;
  g->scope[g->scope_at[--g->scope_depth]] = 0;
  g->scope_kept = NULL;
}

const char *wok__graph_scope(wok_graph *g) {
  if (!g->scope_kept) g->scope_kept = wok__arena_strdup(g->arena, g->scope);
  return g->scope_kept ? g->scope_kept : "";
}

const char *wok__graph_scope_swap(wok_graph *g, const char *scope) {
  const char *old = wok__graph_scope(g);
  snprintf(g->scope, sizeof g->scope, "%s", scope);
  g->scope_kept = scope;
  return old;
}

wok_val *wok_named(wok_val *v, const char *name) {
  if (wok_is_poison(v)) return v;
  wok_graph *g = v->g;
  char *full = wok__arena_printf(g->arena, "%s%s%s", g->scope, g->scope[0] ? "/" : "", name);
  if (g->nnamed == g->cap_named) {
    int64_t cap = g->cap_named ? 2 * g->cap_named : 64;
    wok_val **p = wok__realloc(g->named, cap * (int64_t)sizeof *p);
    if (!p) return wok__poison(g, WOK_NOMEM, "out of memory");
    g->named = p;
    g->cap_named = cap;
  }
  if (!full || !wok__map_put(g->names, full, (int64_t)strlen(full), g->nnamed))
    return wok__poison(g, WOK_NOMEM, "out of memory");
  g->named[g->nnamed++] = v;
  v->name = full;
  return v;
}

wok_val *wok_find(const wok_graph *g, const char *full_name) {
  int64_t i;
  return wok__map_get(g->names, full_name, (int64_t)strlen(full_name), &i) ? g->named[i] : NULL;
}

/* ---- nodes ---- */
bool wok__is_backward(const wok__op *op) { return !op->vjp && op->expand; }

void wok__out(wok__node *n, int i, wok_dtype t, wok_shape s) {
  n->out[i].dtype = t;
  n->out[i].shape = s;
}

static bool inputs_ok(wok_graph *g, const wok__op *op, wok_val *const *in, int nin) {
  for (int i = 0; i < nin; i++) {
    if (!in[i]) return wok__poison(g, WOK_INVALID, "%s: input %d is missing", op->name, i), false;
    if (in[i]->g != g)
      return wok__poison(g, WOK_INVALID, "%s: input %d belongs to another graph", op->name, i), false;
    if (wok_is_poison(in[i])) return false;
    const wok__op *from = in[i]->node->op;
    if (from->saved && in[i]->out >= from->saved && !wok__is_backward(op))
      return wok__poison(g, WOK_INVALID, "%s: input %d is a by-product of %s, which only its backward operator may read",
                         op->name, i, from->name),
             false;
  }
  if (nin < op->min_in || nin > op->max_in)
    return wok__poison(g, WOK_INVALID, "%s: takes %d to %d inputs, not %d", op->name, op->min_in, op->max_in, nin), false;
  return true;
}

static bool keep_node(wok_graph *g, wok__node *n) {
  if (g->nnodes == g->cap_nodes) {
    int64_t cap = g->cap_nodes ? 2 * g->cap_nodes : 256;
    wok__node **p = wok__realloc(g->nodes, cap * (int64_t)sizeof *p);
    if (!p) return false;
    g->nodes = p;
    g->cap_nodes = cap;
  }
  n->id = g->nnodes;
  g->nodes[g->nnodes++] = n;
  return true;
}

wok_val *wok__emit(wok_graph *g, wok__opid id, wok_val *const *in, int nin, const void *attr, wok__node **made) {
  const wok__op *op = wok__op_table[id];
  if (made) *made = NULL;
  if (g->status != WOK_OK || !inputs_ok(g, op, in, nin)) return &g->poison;
  wok__node *n = wok__new(g->arena, wok__node, 1);
  wok_val *out = wok__new(g->arena, wok_val, op->nout);
  wok_val **ins = wok__new(g->arena, wok_val *, nin ? nin : 1);
  void *a = op->attr_size ? wok__arena_alloc(g->arena, op->attr_size, 16) : NULL;
  const char *scope = wok__graph_scope(g);
  if (!n || !out || !ins || (op->attr_size && !a)) return wok__poison(g, WOK_NOMEM, "out of memory");
  if (nin) memcpy(ins, in, (size_t)nin * sizeof *ins);
  if (a && attr) memcpy(a, attr, (size_t)op->attr_size);
  *n = (wok__node){.op = op, .nin = nin, .nout = op->nout, .in = ins, .out = out, .attr = a, .scope = scope};
  for (int i = 0; i < op->nout; i++) out[i] = (wok_val){.g = g, .node = n, .out = i, .dtype = WOK_F32};
  if (!op->infer(n)) {
    if (g->status == WOK_OK) wok__poison(g, WOK_SHAPE, "%s: inputs do not fit", op->name);
    return &g->poison;
  }
  for (int i = 0; i < n->nout; i++)
    if (!wok__shape_ok(&out[i].shape)) return wok__poison(g, WOK_SHAPE, "%s: the result would be too large", op->name);
  for (int i = 0; i < n->nout; i++) out[i].id = g->nvals++;
  if (!wok__count_outputs(n)) return &g->poison;
  if (!keep_node(g, n)) return wok__poison(g, WOK_NOMEM, "out of memory");
  if (made) *made = n;
  return &out[0];
}

/* ---- helpers that builders share ---- */
wok_val *wok__like(const wok_val *v, double fill) {
  return wok_is_poison(v) ? &v->g->poison : wok_full(v->g, v->dtype, v->shape, fill);
}

bool wok__broadcast_pair(const char *op, wok_val **a, wok_val **b) {
  wok_val *x = *a, *y = *b;
  wok_graph *g = x->g;
  if (wok_is_poison(x) || wok_is_poison(y) || y->g != g) return true; /* wok__emit says so */
  if (wok__shape_eq(&x->shape, &y->shape)) return true;
  wok_shape s = {.ndim = WOK__MAX(x->shape.ndim, y->shape.ndim)};
  for (int i = 0; i < s.ndim; i++) {
    int ix = i - (s.ndim - x->shape.ndim), iy = i - (s.ndim - y->shape.ndim);
    int64_t dx = ix < 0 ? 1 : x->shape.dim[ix], dy = iy < 0 ? 1 : y->shape.dim[iy];
    if (dx != dy && dx != 1 && dy != 1) {
      char tx[WOK__SHAPE_TEXT], ty[WOK__SHAPE_TEXT];
      wok__poison(g, WOK_SHAPE, "%s: sizes %lld and %lld differ (a %s, b %s)", op, (long long)dx, (long long)dy,
                  wok__shape_text(tx, sizeof tx, x->dtype, &x->shape), wok__shape_text(ty, sizeof ty, y->dtype, &y->shape));
      *a = *b = &g->poison;
      return false;
    }
    s.dim[i] = dx == 1 ? dy : dx;
  }
  *a = wok_broadcast_to(x, s);
  *b = wok_broadcast_to(y, s);
  return !wok_is_poison(*a) && !wok_is_poison(*b);
}

/* ---- buffers ---- */
wok_status wok_buffer_new(wok_ctx *c, wok_buffer **out, const char *name, wok_dtype t, int64_t count, void *data) {
  *out = NULL;
  if (count < 0) return wok__fail(c, WOK_INVALID, "buffer %s: a negative count", name);
  wok_buffer *b = wok__calloc(1, (int64_t)sizeof *b);
  if (!b) return wok__nomem(c, (int64_t)sizeof *b);
  snprintf(b->name, sizeof b->name, "%s", name ? name : "buffer");
  b->dtype = t;
  b->count = count;
  b->data = data;
  *out = b;
  return WOK_OK;
}
void wok_buffer_set(wok_buffer *b, void *data) { b->data = data; }
void *wok_buffer_data(const wok_buffer *b) { return b->data; }
void wok_buffer_free(wok_buffer *b) { wok__free(b); }
