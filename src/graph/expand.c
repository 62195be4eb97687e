/* A value in primitives alone: what its operators' expansions say, all the way down. Plans never need it - the reverse sweep
   expands what it passes through, and nothing else - but it is the second opinion on every fused operator and its gradients. */
#include "graph/core.h"

typedef struct rebuild { wok_graph *g; wok_val **now; int64_t count; } rebuild; /* by value id: in primitives; NULL: not yet */

static wok_val *in_primitives(rebuild *r, wok_val *v);

static bool remember(rebuild *r, const wok_val *v, wok_val *now) {
  if (v->id >= r->count) {
    int64_t count = 2 * v->id + 64;
    wok_val **p = wok__realloc(r->now, count * (int64_t)sizeof *p);
    if (!p) return wok__poison(r->g, WOK_NOMEM, "out of memory"), false;
    for (int64_t i = r->count; i < count; i++) p[i] = NULL;
    r->now = p;
    r->count = count;
  }
  r->now[v->id] = now;
  return true;
}

/* The node on rebuilt inputs, itself when they are the same. By-products only inform kernels: expansions do not read them. */
static wok__node *on_primitives(rebuild *r, wok__node *n) {
  wok_val **in = wok__new(r->g->arena, wok_val *, n->nin + 1);
  if (!in) return wok__poison(r->g, WOK_NOMEM, "out of memory"), NULL;
  bool same = true;
  for (int i = 0; i < n->nin; i++) {
    const wok__op *from = n->in[i]->node->op;
    bool by_product = from->saved && n->in[i]->out >= from->saved;
    in[i] = by_product ? n->in[i] : in_primitives(r, n->in[i]);
    same &= in[i] == n->in[i];
  }
  if (same || r->g->status) return r->g->status ? NULL : n;
  wok__emit(r->g, n->op->id, in, n->nin, n->attr, &n);
  return n;
}

static wok_val *in_primitives(rebuild *r, wok_val *v) {
  if (wok_is_poison(v)) return v;
  if (v->id < r->count && r->now[v->id]) return r->now[v->id];
  wok__node *was = v->node;
  const char *scope = wok__graph_scope_swap(r->g, was->scope);
  wok__node *n = on_primitives(r, was);
  wok_val *out[8] = {0};
  bool ok = n && n->nout <= 8;
  if (ok && n->op->expand) n->op->expand(r->g, n, out);
  for (int o = 0; ok && o < n->nout; o++) {
    wok_val *now = !n->op->expand ? &n->out[o] : out[o] ? in_primitives(r, out[o]) : NULL;
    if (now) ok = remember(r, &was->out[o], now);
  }
  wok__graph_scope_swap(r->g, scope);
  ok = ok && r->g->status == WOK_OK;
  if (ok && !r->now[v->id]) return wok__poison(r->g, WOK_UNSUPPORTED, "the expansion of %s leaves output %d out", was->op->name, v->out);
  return ok ? r->now[v->id] : wok__poison_of(r->g);
}

void wok__expand_all(wok_val *const *v, int n, wok_val **out) {
  rebuild r = {.g = v[0]->g};
  for (int i = 0; i < n; i++) out[i] = in_primitives(&r, v[i]);
  wok__free(r.now);
}
