/* Recomputed blocks. wok_recompute gives fn's value through a `recompute` operator, an alias whose inputs are the value itself,
   fn's arguments and everything else fn read. Its VJP builds fn again, from arguments behind barriers that wait for the
   cotangent, and sweeps through the copy: so the first copy's inner values end their lives in the forward pass. */
#include <string.h>
#include "graph/core.h"
#include "graph/recompute.h"

typedef struct value_list { wok_val **v; int64_t n, cap; wok__map *seen; } value_list;

static bool add_value(value_list *l, wok_val *v) {
  int64_t old;
  if (wok__map_get(l->seen, &v->id, (int64_t)sizeof v->id, &old)) return true;
  if (l->n == l->cap) {
    int64_t cap = l->cap ? 2 * l->cap : 16;
    wok_val **p = wok__realloc(l->v, cap * (int64_t)sizeof *p);
    if (!p) return false;
    l->v = p;
    l->cap = cap;
  }
  l->v[l->n++] = v;
  return wok__map_put(l->seen, &v->id, (int64_t)sizeof v->id, 0);
}

/* What the nodes from `from` on read besides x: values built before (parameters, outer activations), and leaves first built
   inside, such as a parameter that no one had asked for yet: a scope gives the same value again when the block is rebuilt. */
static bool captured(wok_graph *g, int64_t from, wok_val *const *x, int n, wok_val ***out, int *nout) {
  value_list l = {.seen = wok__map_new()};
  bool ok = l.seen != NULL;
  for (int i = 0; i < n && ok; i++) ok = wok__map_put(l.seen, &x[i]->id, (int64_t)sizeof x[i]->id, 0);
  for (int64_t k = from; k < g->nnodes && ok; k++)
    for (int i = 0; i < g->nodes[k]->nin && ok; i++) {
      wok_val *v = g->nodes[k]->in[i];
      if (v->node->id < from || v->node->nin == 0) ok = add_value(&l, v);
    }
  wok_val **kept = ok ? wok__new(g->arena, wok_val *, l.n + 1) : NULL;
  if (kept && l.n) memcpy(kept, l.v, (size_t)l.n * sizeof *kept);
  wok__free(l.v);
  wok__map_free(l.seen);
  *out = kept;
  *nout = (int)l.n;
  return kept != NULL;
}

wok_val *wok_recompute(wok_graph *g, wok_block_fn fn, wok_val *const *x, int n, void *ud) {
  int64_t from = g->nnodes;
  wok__attr_recompute a = {.fn = fn, .ud = ud, .n = n, .stream = g->next_stream};
  for (int i = 0; i < n; i++)
    if (wok_is_poison(x[i])) return &g->poison;
  wok_val *y = fn(g, x, n, ud), **outer;
  int nouter;
  if (!y || wok_is_poison(y)) return y ? y : wok__poison(g, WOK_INVALID, "recompute: the function gave no value");
  if (!captured(g, from, x, n, &outer, &nouter)) return wok__poison(g, WOK_NOMEM, "out of memory");
  wok_val **in = wok__new(g->arena, wok_val *, 1 + n + nouter);
  if (!in) return wok__poison(g, WOK_NOMEM, "out of memory");
  in[0] = y;
  memcpy(in + 1, x, (size_t)n * sizeof *in);
  if (nouter) memcpy(in + 1 + n, outer, (size_t)nouter * sizeof *in);
  return wok__emit(g, WOK__OP_recompute, in, 1 + n + nouter, &a, NULL);
}

void wok__recompute_vjp(wok_graph *g, wok__node *node, wok_val *const *ct, const bool *need, wok_val **dx) {
  const wok__attr_recompute *a = node->attr;
  int n = (int)a->n, nx = 0;
  wok_val **x = wok__new(g->arena, wok_val *, node->nin), **target = wok__new(g->arena, wok_val *, node->nin),
          **d = wok__new(g->arena, wok_val *, node->nin);
  int *at = wok__new(g->arena, int, node->nin);
  if (!x || !target || !d || !at) {
    wok__poison(g, WOK_NOMEM, "out of memory");
    return;
  }
  for (int i = 0; i < n; i++) {
    wok_val *in[] = {node->in[1 + i], ct[0]};
    x[i] = wok__emit(g, WOK__OP_barrier, in, 2, NULL, NULL);
  }
  uint32_t stream = g->next_stream;
  int64_t from = g->nnodes;
  g->next_stream = a->stream;
  wok_val *y = a->fn(g, x, n, a->ud);
  g->next_stream = WOK__MAX(stream, g->next_stream);
  if (!y || wok_is_poison(y)) return;
  for (int i = 1; i < node->nin; i++) {
    if (!need[i]) continue;
    at[nx] = i;
    target[nx++] = i <= n ? x[i - 1] : node->in[i];
  }
  if (y->node->id < from || !nx || !wok__sweep_back(g, &y, ct, 1, target, nx, d, from)) return;
  for (int k = 0; k < nx; k++) dx[at[k]] = d[k];
}
