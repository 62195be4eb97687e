/* Reverse sweep. Gradients are built as values: where an operator has a VJP it is called; where it has only an expansion (the
   backward operators of fused ones) the expansion is built from the operator's own inputs and swept in its place. So first
   order keeps every fused kernel, and higher orders expand only what they pass through. */
#include <stdlib.h>
#include <string.h>
#include "graph/core.h"

typedef struct sweep {
  wok_graph *g;
  int64_t lo, hi;    /* window of node ids looked at */
  bool *reach;       /* [hi - lo]: the node depends on some x */
  wok_val ***ct;     /* [hi - lo]: cotangents of its outputs, NULL until one arrives */
  const struct target *x; /* sorted by value id */
  int nx;
} sweep;

struct target { const wok_val *v; int index; wok_val *ct; };

static int by_value(const void *a, const void *b) {
  int64_t x = ((const struct target *)a)->v->id, y = ((const struct target *)b)->v->id;
  return (x > y) - (x < y);
}

static struct target *find_x(const sweep *s, const wok_val *v) {
  int lo = 0, hi = s->nx;
  while (lo < hi) {
    int m = (lo + hi) / 2;
    if (s->x[m].v->id < v->id) lo = m + 1;
    else hi = m;
  }
  return lo < s->nx && s->x[lo].v == v ? (struct target *)(uintptr_t)&s->x[lo] : NULL;
}

static bool inside(const sweep *s, const wok_val *v) { return v->node->id >= s->lo && v->node->id < s->hi; }
static bool depends(const sweep *s, const wok_val *v) {
  return wok__is_float(v->dtype) && (find_x(s, v) || (inside(s, v) && s->reach[v->node->id - s->lo]));
}

static wok_val *sum(wok_val *a, wok_val *b) { return a ? wok_add(a, b) : b; }

/* A cotangent arrives at v. */
static bool arrive(sweep *s, wok_val *v, wok_val *ct) {
  if (!ct || wok_is_poison(ct)) return ct == NULL;
  if (!wok__shape_eq(&ct->shape, &v->shape) || ct->dtype != v->dtype) {
    char a[WOK__SHAPE_TEXT], b[WOK__SHAPE_TEXT];
    wok__poison(s->g, WOK_SHAPE, "grad: a cotangent %s arrived at %s, which is %s",
                wok__shape_text(a, sizeof a, ct->dtype, &ct->shape), wok_val_name(v),
                wok__shape_text(b, sizeof b, v->dtype, &v->shape));
    return false;
  }
  struct target *t = find_x(s, v);
  if (t) t->ct = sum(t->ct, ct);
  if (!inside(s, v) || !s->reach[v->node->id - s->lo]) return true;
  wok_val ***slot = &s->ct[v->node->id - s->lo];
  if (!*slot && !(*slot = wok__new(s->g->arena, wok_val *, v->node->nout)))
    return wok__poison(s->g, WOK_NOMEM, "out of memory"), false;
  (*slot)[v->out] = sum((*slot)[v->out], ct);
  return true;
}

/* Partials of an operator without VJP: those of its expansion with respect to exactly its inputs. */
static bool through_expansion(wok_graph *g, wok__node *n, wok_val *const *ct, const bool *need, wok_val **dx) {
  wok_val *out[8] = {0}, *cts[8], *outs[8], *in[32], *din[32];
  int at[32], nout = 0, nin = 0;
  int64_t from = g->nnodes;
  n->op->expand(g, n, out);
  for (int o = 0; o < n->nout; o++)
    if (ct[o]) {
      if (!out[o]) return wok__poison(g, WOK_UNSUPPORTED, "grad: the expansion of %s leaves output %d out", n->op->name, o), false;
      outs[nout] = out[o];
      cts[nout++] = ct[o];
    }
  for (int i = 0; i < n->nin; i++) {
    bool seen = false;
    for (int k = 0; k < nin; k++) seen |= in[k] == n->in[i];
    if (!need[i] || seen) continue;
    at[nin] = i;
    in[nin++] = n->in[i];
  }
  if (!wok__sweep_back(g, outs, cts, nout, in, nin, din, from)) return false;
  for (int k = 0; k < nin; k++) dx[at[k]] = din[k];
  return true;
}

static bool through(sweep *s, wok__node *n, wok_val *const *ct) {
  wok_graph *g = s->g;
  g->sweeps_derived |= n->derived;
  enum { FEW = 32 };
  bool few_need[FEW], *need = few_need;
  wok_val *few_dx[FEW], **dx = few_dx;
  if (n->nin > FEW) { /* only concat takes so many */
    need = wok__new(g->arena, bool, n->nin);
    dx = wok__new(g->arena, wok_val *, n->nin);
    if (!need || !dx) return wok__poison(g, WOK_NOMEM, "out of memory"), false;
  }
  for (int i = 0; i < n->nin; i++) {
    need[i] = depends(s, n->in[i]);
    dx[i] = NULL;
  }
  if (n->op->flags & WOK__OP_EFFECT) {
    const wok__attr_buffer *a = n->attr;
    wok__poison(g, WOK_UNSUPPORTED, "grad: cannot differentiate through %s into buffer %s", n->op->name, a->buffer->name);
    return false;
  }
  const char *scope = wok__graph_scope_swap(g, n->scope);
  bool ok = true;
  if (n->op->vjp) n->op->vjp(g, n, ct, need, dx);
  else if (n->op->expand && n->nin <= FEW) ok = through_expansion(g, n, ct, need, dx);
  else ok = (wok__poison(g, WOK_UNSUPPORTED, "grad: %s has no derivative", n->op->name), false);
  wok__graph_scope_swap(g, scope);
  for (int i = 0; i < n->nin && ok; i++)
    if (need[i]) ok = arrive(s, n->in[i], dx[i]);
  return ok && g->status == WOK_OK;
}

bool wok__sweep_back(wok_graph *g, wok_val *const *y, wok_val *const *ct, int ny, wok_val *const *x, int nx, wok_val **dx,
                     int64_t window_from) {
  for (int i = 0; i < nx; i++) dx[i] = NULL;
  if (g->status != WOK_OK) return false;
  int64_t lo = INT64_MAX, hi = 0;
  for (int i = 0; i < nx; i++) lo = WOK__MIN(lo, x[i]->node->id);
  for (int i = 0; i < ny; i++) hi = WOK__MAX(hi, y[i]->node->id + 1);
  lo = WOK__MAX(lo, window_from);
  int64_t n = WOK__MAX(hi - lo, 0);
  struct target *t = wok__calloc(WOK__MAX(nx, 1), (int64_t)sizeof *t);
  sweep s = {.g = g, .lo = lo, .hi = lo + n, .nx = nx, .x = t};
  s.reach = wok__calloc(WOK__MAX(n, 1), (int64_t)sizeof *s.reach);
  s.ct = wok__calloc(WOK__MAX(n, 1), (int64_t)sizeof *s.ct);
  bool ok = t && s.reach && s.ct;
  if (!ok) wok__poison(g, WOK_NOMEM, "out of memory");
  for (int i = 0; i < nx && ok; i++) t[i] = (struct target){x[i], i, NULL};
  if (ok) {
    qsort(t, (size_t)nx, sizeof *t, by_value);
    for (int64_t k = 0; k < n; k++) {
      const wok__node *node = g->nodes[lo + k];
      for (int i = 0; i < node->nin && !s.reach[k]; i++) s.reach[k] = depends(&s, node->in[i]);
    }
  }
  for (int i = 0; i < ny && ok; i++)
    if (depends(&s, y[i])) ok = arrive(&s, y[i], ct[i]);
  for (int64_t k = n - 1; k >= 0 && ok; k--)
    if (s.ct[k]) ok = through(&s, g->nodes[lo + k], s.ct[k]);
  for (int64_t k = 0; k < n && ok && g->sweeps_derived; k++)
    if (s.ct[k]) g->nodes[lo + k]->exact = true;
  /* equal targets stand side by side after sorting; cotangents arrived at one of them */
  for (int i = 0; i < nx && ok; i++) {
    wok_val *c = t[i].ct;
    for (int k = i; k >= 0 && t[k].v == t[i].v && !c; k--) c = t[k].ct;
    for (int k = i; k < nx && t[k].v == t[i].v && !c; k++) c = t[k].ct;
    dx[t[i].index] = c;
  }
  wok__free(t);
  wok__free(s.reach);
  wok__free(s.ct);
  return ok && g->status == WOK_OK;
}

static bool targets_ok(wok_graph *g, wok_val *const *x, int nx) {
  for (int i = 0; i < nx; i++) {
    if (x[i]->g != g) return wok__poison(g, WOK_INVALID, "grad: x[%d] belongs to another graph", i), false;
    if (wok_is_poison(x[i])) return false;
    if (!wok__is_float(x[i]->dtype))
      return wok__poison(g, WOK_INVALID, "grad: x[%d], %s, is %s: only floating-point values have gradients", i,
                         wok_val_name(x[i]), wok_dtype_name(x[i]->dtype)),
             false;
    const wok__op *op = x[i]->node->op;
    if (op->saved && x[i]->out >= op->saved)
      return wok__poison(g, WOK_INVALID, "grad: x[%d] is a by-product of %s", i, op->name), false;
  }
  return true;
}

void wok_vjp(wok_val *const *y, wok_val *const *ct, int ny, wok_val *const *x, int nx, wok_val **dx) {
  if (nx <= 0) return;
  wok_graph *g = ny > 0 ? y[0]->g : x[0]->g;
  bool ok = g->status == WOK_OK && targets_ok(g, x, nx);
  for (int i = 0; i < ny && ok; i++) {
    if (y[i]->g != g) ok = (wok__poison(g, WOK_INVALID, "grad: y[%d] belongs to another graph", i), false);
    else if (!wok__is_float(y[i]->dtype))
      ok = (wok__poison(g, WOK_INVALID, "grad: y[%d], %s, is %s", i, wok_val_name(y[i]), wok_dtype_name(y[i]->dtype)), false);
  }
  wok_val **given = wok__new(g->arena, wok_val *, WOK__MAX(ny, 1));
  if (!given) ok = (wok__poison(g, WOK_NOMEM, "out of memory"), false);
  for (int i = 0; i < ny && ok; i++) given[i] = ct && ct[i] ? ct[i] : wok__like(y[i], 1);
  int64_t from = g->nnodes;
  bool outer = g->sweeps_derived;
  g->sweeps_derived = false;
  if (ok) ok = wok__sweep_back(g, y, given, ny, x, nx, dx, 0);
  for (int64_t i = from; i < g->nnodes; i++) {
    g->nodes[i]->derived = true;
    g->nodes[i]->exact |= g->sweeps_derived;
  }
  g->sweeps_derived |= outer;
  for (int i = 0; i < nx; i++) {
    if (!ok) dx[i] = &g->poison;
    else if (!dx[i]) dx[i] = wok__like(x[i], 0);
  }
}

void wok_grad(wok_val *y, wok_val *const *x, int n, wok_val **dx) {
  wok_graph *g = y->g;
  if (!wok_is_poison(y) && wok__shape_count(&y->shape) != 1) {
    char t[WOK__SHAPE_TEXT];
    wok__poison(g, WOK_SHAPE, "grad: y must be a scalar, not %s (wok_vjp takes cotangents)",
                wok__shape_text(t, sizeof t, y->dtype, &y->shape));
  }
  wok_vjp(&y, NULL, 1, x, n, dx);
}

wok_val *wok_grad1(wok_val *y, wok_val *x) {
  wok_val *dx;
  wok_grad(y, &x, 1, &dx);
  return dx;
}
