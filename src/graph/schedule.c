/* The order of a plan: a topological order with extra edges that keep effects behind every reader of the old contents. Ready
   effects go first (they end lifetimes), then what was built first. */
#include <string.h>
#include "graph/plan.h"

typedef struct edges {
  int64_t *from, *to;
  int64_t n, cap;
  bool failed;
} edges;

static void edge(edges *e, int64_t from, int64_t to) {
  if (e->failed || from == to) return;
  if (e->n == e->cap) {
    int64_t cap = e->cap ? 2 * e->cap : 1024;
    int64_t *f = wok__realloc(e->from, cap * (int64_t)sizeof *f);
    if (f) e->from = f;
    int64_t *t = f ? wok__realloc(e->to, cap * (int64_t)sizeof *t) : NULL;
    if (!t) {
      e->failed = true;
      return;
    }
    e->to = t;
    e->cap = cap;
  }
  e->from[e->n] = from;
  e->to[e->n++] = to;
}

/* Successors of every node in one array: next[start[i] .. start[i+1]). */
typedef struct adjacency { int64_t *start, *next; } adjacency;
static bool adjacency_of(const edges *e, int64_t n, wok__arena *a, adjacency *out) {
  out->start = wok__new(a, int64_t, n + 2);
  out->next = wok__new(a, int64_t, e->n ? e->n : 1);
  if (!out->start || !out->next) return false;
  for (int64_t i = 0; i < e->n; i++) out->start[e->from[i] + 2]++;
  for (int64_t i = 2; i < n + 2; i++) out->start[i] += out->start[i - 1];
  for (int64_t i = 0; i < e->n; i++) out->next[out->start[e->from[i] + 1]++] = e->to[i];
  return true;
}

bool wok__ir_alias(const wok__ir *ir, const wok__ir_node *n, int64_t *bytes) {
  *bytes = 0;
  if (n->node->op->flags & WOK__OP_ALIAS) return true;
  if (n->node->op->id == WOK__OP_cast) return wok__ir_dtype(ir, n->in[0]) == wok__ir_dtype(ir, &n->node->out[0]);
  if (n->node->op->id != WOK__OP_slice) return false;
  /* a slice of the outermost axis that is not 1 is contiguous; kernels like their rows at 64 bytes */
  const wok__attr_slice *a = n->node->attr;
  const wok_shape *s = &n->in[0]->shape;
  int64_t inner = wok_dtype_size(wok__ir_dtype(ir, n->in[0]));
  for (int i = 0; i < a->axis; i++)
    if (s->dim[i] != 1) return false;
  for (int i = (int)a->axis + 1; i < s->ndim; i++) inner *= s->dim[i];
  *bytes = a->start * inner;
  return *bytes % 64 == 0;
}

/* Everything that reads v's memory, also under another shape, comes before `effect`. */
static void readers_before(const wok__ir *ir, const adjacency *data, int64_t node, int64_t effect, edges *e) {
  int64_t at;
  for (int64_t k = data->start[node]; k < data->start[node + 1]; k++) {
    int64_t r = data->next[k];
    if (r == effect) continue;
    edge(e, r, effect);
    if (wok__ir_alias(ir, &ir->nodes[r], &at)) readers_before(ir, data, r, effect, e);
  }
}

/* A node that stands for a range of a buffer: a load, or an effect (its new contents). */
typedef struct range { int64_t node, lo, hi; wok_buffer *buffer; bool effect; } range;

static bool is_range(const wok__ir_node *n, range *r) {
  wok__opid id = n->node->op->id;
  bool effect = (n->node->op->flags & WOK__OP_EFFECT) != 0;
  if (!effect && id != WOK__OP_load) return false;
  const wok__attr_buffer *a = n->node->attr;
  r->buffer = a->buffer;
  r->lo = a->offset;
  r->hi = a->offset + wok__shape_count(&n->node->out[0].shape);
  r->effect = effect;
  return true;
}

static bool order_effects(const wok__ir *ir, const adjacency *data, edges *e) {
  int64_t n = 0, effects = 0;
  range *r = wok__malloc(ir->n * (int64_t)sizeof *r);
  if (!r) return false;
  for (int64_t i = 0; i < ir->n; i++)
    if (is_range(&ir->nodes[i], &r[n])) {
      r[n].node = i;
      effects += r[n++].effect;
    }
  for (int64_t i = 0; i < n && effects; i++) {
    if (!r[i].effect) continue;
    for (int64_t k = 0; k < n; k++) {
      if (k == i || r[k].buffer != r[i].buffer || r[k].hi <= r[i].lo || r[i].hi <= r[k].lo) continue;
      if (r[k].effect && ir->nodes[r[k].node].priority > ir->nodes[r[i].node].priority) continue;
      if (r[k].effect && ir->nodes[r[k].node].priority == ir->nodes[r[i].node].priority && k > i) continue;
      edge(e, r[k].node, r[i].node);
      readers_before(ir, data, r[k].node, r[i].node, e);
    }
  }
  wok__free(r);
  return true;
}

/* ---- ready nodes, least key first ---- */
typedef struct heap { int64_t *node; int64_t n; const wok__ir *ir; } heap;
static bool before(const heap *h, int64_t a, int64_t b) {
  const wok__ir_node *x = &h->ir->nodes[a], *y = &h->ir->nodes[b];
  bool ex = (x->node->op->flags & WOK__OP_EFFECT) != 0, ey = (y->node->op->flags & WOK__OP_EFFECT) != 0;
  if (ex != ey) return ex;
  return x->priority != y->priority ? x->priority < y->priority : a < b;
}
static void heap_push(heap *h, int64_t v) {
  int64_t i = h->n++;
  while (i && before(h, v, h->node[(i - 1) / 2])) {
    h->node[i] = h->node[(i - 1) / 2];
    i = (i - 1) / 2;
  }
  h->node[i] = v;
}
static int64_t heap_pop(heap *h) {
  int64_t top = h->node[0], v = h->node[--h->n], i = 0;
  for (;;) {
    int64_t k = 2 * i + 1;
    if (k >= h->n) break;
    if (k + 1 < h->n && before(h, h->node[k + 1], h->node[k])) k++;
    if (!before(h, h->node[k], v)) break;
    h->node[i] = h->node[k];
    i = k;
  }
  h->node[i] = v;
  return top;
}

wok_status wok__ir_schedule(wok__ir *ir, int64_t *order) {
  edges e = {0};
  adjacency data, all;
  for (int64_t i = 0; i < ir->n; i++)
    for (int k = 0; k < ir->nodes[i].node->nin; k++) edge(&e, ir->index[ir->nodes[i].in[k]->node->id], i);
  bool ok = !e.failed && adjacency_of(&e, ir->n, ir->arena, &data) && order_effects(ir, &data, &e) && !e.failed &&
            adjacency_of(&e, ir->n, ir->arena, &all);
  int64_t *waits = wok__calloc(ir->n ? ir->n : 1, (int64_t)sizeof *waits), done = 0;
  heap h = {.node = wok__malloc((ir->n ? ir->n : 1) * (int64_t)sizeof *h.node), .ir = ir};
  ok = ok && waits && h.node;
  for (int64_t i = 0; i < e.n && ok; i++) waits[e.to[i]]++;
  for (int64_t i = 0; i < ir->n && ok; i++)
    if (!waits[i]) heap_push(&h, i);
  while (ok && h.n) {
    int64_t i = heap_pop(&h);
    order[done++] = i;
    for (int64_t k = all.start[i]; k < all.start[i + 1]; k++)
      if (--waits[all.next[k]] == 0) heap_push(&h, all.next[k]);
  }
  wok__free(waits);
  wok__free(h.node);
  wok__free(e.from);
  wok__free(e.to);
  if (!ok) return wok__nomem(ir->c, ir->n * 64);
  if (done < ir->n)
    return wok__fail(ir->c, WOK_INVALID, "the effects of this plan wait for each other: a store's value follows from the "
                                         "contents that another store leaves behind");
  return WOK_OK;
}
