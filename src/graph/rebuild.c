/* Less memory for more time: values that the backward pass needs are made again there from what is kept, instead of being kept
   themselves. What is made again has the same inputs, kernel and random stream, so every bit stays.
   An anchor is a forward operator that computes; what only moves its result (reshapes, slices) goes with it. Making an anchor
   again frees what the backward pass would keep of it, and costs its time and whatever it reads that would not be kept
   otherwise. The anchors are ordered by time per byte; how many of them a limit takes is found by planning. */
#include <stdlib.h>
#include <string.h>
#include "graph/plan.h"

/* Rates for the order of the anchors only: products, and everything else by the bytes it touches. */
static const double flops_per_second = 5e11, bytes_per_second = 1e10;
enum { ROUNDS = 4 };

typedef struct anchor {
  int64_t node; /* in ir->nodes */
  double seconds;
  int64_t gain;
} anchor;

typedef struct rebuilder {
  wok__ir *ir;
  int64_t *anchor_of; /* by ir node: the node whose result it moves, itself otherwise; -1: not a forward operator */
  bool *kept;         /* by value id: memory that the backward pass keeps alive */
  bool *again;        /* by ir node: an anchor that is made again */
  wok_val **copy;     /* by value id: its second making */
  int64_t nvals;
  bool failed;
} rebuilder;

static const wok__ir_node *maker(const rebuilder *r, const wok_val *v) { return &r->ir->nodes[r->ir->index[v->node->id]]; }
static int64_t maker_index(const rebuilder *r, const wok_val *v) { return r->ir->index[v->node->id]; }

static bool is_move(wok__opid op) {
  return op == WOK__OP_reshape || op == WOK__OP_stop_grad || op == WOK__OP_slice || op == WOK__OP_permute;
}

/* Leaves are always there; effects happen once; a caller's own operator may be anything. */
static bool may_run_again(const wok__node *n) {
  const wok__op *op = n->op;
  return n->nin > 0 && !n->derived && !(op->flags & WOK__OP_EFFECT) && op->id != WOK__OP_custom && op->id != WOK__OP_barrier &&
         op->id != WOK__OP_recompute && op->id != WOK__OP_linear_xent_both;
}

static int64_t bytes_of(const rebuilder *r, const wok_val *v) { return wok__bytes(wok__ir_dtype(r->ir, v), &v->shape); }

/* An alias is kept by its root. */
static const wok_val *root(const rebuilder *r, const wok_val *v) {
  int64_t at;
  for (const wok__ir_node *n = maker(r, v); wok__ir_alias(r->ir, n, &at); n = maker(r, v)) v = n->in[0];
  return v;
}

static bool find_kept(rebuilder *r, const int64_t *order) {
  wok__ir *ir = r->ir;
  for (int64_t s = 0; s < ir->n; s++) {
    int64_t i = order[s];
    const wok__ir_node *n = &ir->nodes[i];
    r->anchor_of[i] = -1;
    if (!may_run_again(n->node)) continue;
    int64_t from = maker_index(r, n->in[0]);
    r->anchor_of[i] = is_move(n->node->op->id) && r->anchor_of[from] >= 0 ? r->anchor_of[from] : i;
  }
  for (int64_t i = 0; i < ir->n; i++) {
    const wok__ir_node *n = &ir->nodes[i];
    if (!n->node->derived) continue;
    for (int k = 0; k < n->node->nin; k++)
      if (!maker(r, n->in[k])->node->derived) r->kept[root(r, n->in[k])->id] = true;
  }
  for (int i = 0; i < ir->nresults; i++) r->kept[root(r, ir->results[i])->id] = true;
  return true;
}

/* ---- choosing ---- */
static double seconds_of(const rebuilder *r, const wok__ir_node *n) {
  double bytes = 0, flops = n->node->op->flops ? n->node->op->flops(n->node) : 0;
  for (int k = 0; k < n->node->nin; k++) bytes += (double)bytes_of(r, n->in[k]);
  for (int k = 0; k < n->node->nout; k++) bytes += (double)bytes_of(r, &n->node->out[k]);
  return flops / flops_per_second + bytes / bytes_per_second;
}

/* What would have to be kept so that n can run again: inputs that are neither kept nor made again themselves. */
static int64_t newly_kept(const rebuilder *r, const wok__ir_node *n, bool mark) {
  int64_t bytes = 0;
  for (int k = 0; k < n->node->nin; k++) {
    const wok_val *v = root(r, n->in[k]);
    const wok__ir_node *m = maker(r, v);
    if (m->node->nin == 0 || r->kept[v->id]) continue; /* a leaf, or there anyway */
    int64_t a = r->anchor_of[m - r->ir->nodes];
    if (a >= 0 && r->again[a]) continue;
    bytes += bytes_of(r, v);
    if (mark) r->kept[v->id] = true;
  }
  return bytes;
}

/* Bytes kept of every anchor's results, by ir node of the anchor. */
static int64_t *kept_bytes(const rebuilder *r) {
  int64_t *b = wok__new(r->ir->arena, int64_t, r->ir->n);
  for (int64_t i = 0; i < r->ir->n && b; i++) {
    const wok__ir_node *n = &r->ir->nodes[i];
    for (int k = 0; k < n->node->nout && r->anchor_of[i] >= 0; k++) {
      const wok_val *v = &n->node->out[k];
      if (r->kept[v->id] && root(r, v) == v) b[r->anchor_of[i]] += bytes_of(r, v);
    }
  }
  return b;
}

static int by_price(const void *a, const void *b) {
  const anchor *x = a, *y = b;
  double p = x->seconds / (double)x->gain, q = y->seconds / (double)y->gain;
  return p != q ? (p < q ? -1 : 1) : (x->node > y->node) - (x->node < y->node);
}

static bool is_result(const rebuilder *r, int64_t node) {
  for (int i = 0; i < r->ir->nresults; i++)
    if (r->anchor_of[maker_index(r, r->ir->results[i])] == node) return true;
  return false;
}

/* Marks the first `take` anchors; returns how many there are in all (as far as it went). */
static int64_t choose(rebuilder *r, int64_t take) {
  int64_t *bytes = kept_bytes(r), chosen = 0;
  anchor *list = wok__malloc((r->ir->n + 1) * (int64_t)sizeof *list);
  r->failed = !bytes || !list;
  for (int round = 0; round < ROUNDS && !r->failed && chosen < take; round++) {
    int64_t n = 0, before = chosen;
    for (int64_t i = 0; i < r->ir->n; i++) {
      const wok__ir_node *m = &r->ir->nodes[i];
      if (r->anchor_of[i] != i || r->again[i] || bytes[i] == 0 || is_result(r, i)) continue;
      int64_t gain = bytes[i] - newly_kept(r, m, false);
      if (gain > 0) list[n++] = (anchor){i, seconds_of(r, m), gain};
    }
    qsort(list, (size_t)n, sizeof *list, by_price);
    for (int64_t i = 0; i < n && chosen < take; i++) {
      const wok__ir_node *m = &r->ir->nodes[list[i].node];
      if (bytes[list[i].node] <= newly_kept(r, m, false)) continue; /* no longer: an earlier one changed what is kept */
      newly_kept(r, m, true);
      r->again[list[i].node] = true;
      chosen++;
    }
    if (chosen == before) break;
  }
  wok__free(list);
  return chosen;
}

/* ---- making again ---- */
static bool made_again(const rebuilder *r, const wok_val *v) {
  int64_t a = r->anchor_of[maker_index(r, v)];
  return a >= 0 && r->again[a];
}

static wok_val *second(rebuilder *r, wok_val *v, int64_t priority) {
  wok__ir *ir = r->ir;
  if (r->failed || !made_again(r, v)) return v;
  if (r->copy[v->id]) {
    wok__node *c = r->copy[v->id]->node;
    if (ir->moved[c->id] <= priority + 1) return r->copy[v->id]; /* already early enough */
    ir->moved[c->id] = priority + 1;
    const wok__ir_node *n = maker(r, v);
    for (int k = 0; k < n->node->nin; k++) (void)second(r, n->in[k], priority);
    return r->copy[v->id];
  }
  const wok__ir_node *n = maker(r, v);
  wok_val **in = wok__new(ir->arena, wok_val *, n->node->nin);
  wok__node *c = NULL;
  if (in) {
    for (int k = 0; k < n->node->nin; k++) in[k] = second(r, n->in[k], priority);
    const char *scope = wok__graph_scope_swap(ir->g, n->node->scope);
    wok__emit(ir->g, n->node->op->id, in, n->node->nin, n->node->attr, &c);
    wok__graph_scope_swap(ir->g, scope);
  }
  if (!c || !wok__ir_fit(ir)) {
    r->failed = true;
    return v;
  }
  c->derived = true;
  c->exact = n->node->exact;
  ir->moved[c->id] = priority + 1;
  for (int k = 0; k < c->nout; k++) {
    r->copy[n->node->out[k].id] = &c->out[k];
    ir->low[c->out[k].id] = ir->low[n->node->out[k].id];
  }
  return r->copy[v->id];
}

wok_status wok__ir_rebuild(wok__ir *ir, const int64_t *order, int64_t take, int64_t *taken) {
  *taken = 0;
  rebuilder r = {.ir = ir, .nvals = ir->g->nvals};
  r.anchor_of = wok__new(ir->arena, int64_t, ir->n);
  r.again = wok__new(ir->arena, bool, ir->n);
  r.kept = wok__new(ir->arena, bool, r.nvals);
  r.copy = wok__new(ir->arena, wok_val *, r.nvals);
  if (!r.anchor_of || !r.again || !r.kept || !r.copy) return wok__nomem(ir->c, r.nvals * 16);
  find_kept(&r, order);
  *taken = choose(&r, take);
  wok_val ***in = wok__new(ir->arena, wok_val **, ir->n);
  if (r.failed || !in) return wok__nomem(ir->c, ir->n * 64);
  /* the lists of inputs change only when all copies are made: they are what copies are made from */
  for (int64_t s = 0; s < ir->n && !r.failed; s++) {
    int64_t i = order[s];
    const wok__ir_node *n = &ir->nodes[i];
    if (!n->node->derived) continue;
    if (!(in[i] = wok__new(ir->arena, wok_val *, WOK__MAX(n->node->nin, 1)))) r.failed = true;
    for (int k = 0; k < n->node->nin && !r.failed; k++) in[i][k] = second(&r, n->in[k], n->priority);
  }
  if (r.failed) return wok__nomem(ir->c, ir->n * 64);
  for (int64_t i = 0; i < ir->n; i++)
    if (in[i]) ir->inputs[ir->nodes[i].node->id] = in[i];
  return wok__ir_collect(ir);
}
