/* Counted sizes. An input's outermost size may be a capacity: each run says how many of its rows there are, and every kernel that
   meets them is called with that many. So one plan serves every ragged batch and every decoding step. */
#include "graph/count.h"
#include "graph/plan.h"

enum { ALL = -1 };

/* For operators that always go row by row: inputs and outputs whose outermost size is the counted one, by bit. What is no row
   (gains, weights, tables, keys that intervals point into) may be counted or not. */
typedef struct row { int32_t in, out; } row;
static const row rows[WOK__OP_COUNT] = {
#define ROW(op, ins, outs) [WOK__OP_##op] = {ins, outs}
    ROW(activation, 1, 1), ROW(activation_bwd, 3, 1), ROW(gated, 3, 1), ROW(gated_bwd, 7, 3), ROW(dropout, 1, 1), ROW(rope, 3, 1),
    ROW(softmax, 1, 1), ROW(softmax_bwd, 3, 1), ROW(log_softmax, 1, 1), ROW(log_softmax_bwd, 3, 1), ROW(layer_norm, 1, 7),
    ROW(layer_norm_bwd, 27, 1), ROW(rms_norm, 1, 3), ROW(rms_norm_bwd, 11, 1), ROW(linear, 1, 1), ROW(xent, 3, 3),
    ROW(xent_bwd, 15, 1), ROW(linear_xent, 5, 3), ROW(linear_xent_bwd, 27, 1), ROW(linear_xent_both, 11, 7),
    ROW(attention, 1 | 8 | 16 | 32 | 64 | 128, 3), ROW(gather, 2, 1), ROW(reshape, 1, 1), ROW(stop_grad, 1, 1), ROW(cast, 1, 1),
    ROW(select, ALL, 1), ROW(scatter_add, 3, 0), ROW(store_rows, 3, 0),
#undef ROW
};

/* Operators whose attributes begin with their axis: row by row on every axis but the first. */
static bool has_axis(wok__opid op) {
  return op == WOK__OP_slice || op == WOK__OP_pad || op == WOK__OP_concat || op == WOK__OP_max_axis || op == WOK__OP_cumsum ||
         op == WOK__OP_sort || op == WOK__OP_take_along || op == WOK__OP_put_along;
}

static bool keeps_first(const wok_shape *a, const wok_shape *b) { return a->ndim == b->ndim && a->ndim > 0 && a->dim[0] == b->dim[0]; }

wok__count_rule wok__count_rule_of(const wok__node *n) {
  wok__opid op = n->op->id;
  row r = rows[op];
  const wok_shape *in = n->nin ? &n->in[0]->shape : NULL, *out = &n->out[0].shape;
  if (n->op->flags & WOK__OP_ELEMENTWISE) r = (row){ALL, 1};
  if (has_axis(op) && *(const int64_t *)n->attr != 0) r = (row){ALL, 3};
  if (op == WOK__OP_permute && ((const wok__attr_permute *)n->attr)->axes[0] == 0) r = (row){1, 1};
  if (op == WOK__OP_broadcast_to && keeps_first(in, out)) r = (row){1, 1};
  if (op == WOK__OP_sum_to) r = (row){1, keeps_first(in, out)}; /* keeps the rows, or adds them up */
  if (op == WOK__OP_matmul) {
    const wok__attr_matmul *a = n->attr;
    if (a->ta && !a->tb && in->ndim == 2) r = (row){3, 0}; /* adds up over the rows of both */
    if (!a->ta) r = (row){in->ndim > 2 && n->in[1]->shape.ndim == in->ndim ? 3 : 1, 1};
  }
  if (op == WOK__OP_attention_bwd) {
    /* keys counted like the queries, as in training: every result is rows; keys of another kind are not to be had backwards */
    const wok_val *k = n->in[2];
    r = k->count == n->in[1]->count && k->shape.dim[0] == n->in[1]->shape.dim[0] ? (row){0xfff, 7} : (row){0, 0}; /* all but the bias's own inputs */
  }
  return (wok__count_rule){(uint32_t)r.in, (uint32_t)r.out, r.in != 0};
}

/* Inputs that may be counted although no rule names them: what an operator reads by index. */
static bool read_by_index(wok__opid op, int k) {
  return (op == WOK__OP_gather && k == 0) || (op == WOK__OP_attention && (k == 1 || k == 2 || k == 8));
}

static bool refuse(const wok__node *n, const wok_val *v, const char *why) {
  wok__poison(v->g, WOK_UNSUPPORTED, "%s: %s %s", n->op->name, wok_val_name(v), why);
  return false;
}

bool wok__count_outputs(wok__node *n) {
  wok__count_rule r = {0};
  const wok_val *first = NULL;
  for (int k = 0; k < n->nin; k++) {
    const wok_val *v = n->in[k];
    if (!v->count || read_by_index(n->op->id, k)) continue;
    if (!first) r = wok__count_rule_of(n);
    if (!r.known || (k < 32 && !(r.in >> k & 1))) return refuse(n, v, "is counted, which this operator cannot take there");
    if (first && (first->count != v->count || first->shape.dim[0] != v->shape.dim[0])) return refuse(n, v, "is counted otherwise than its other inputs");
    first = v;
  }
  if (!first) return true;
  int64_t capacity = first->g->capacity[first->count - 1];
  for (int o = 0; o < n->nout; o++) {
    wok_val *v = &n->out[o];
    if (!(r.out >> o & 1)) continue;
    if (v->shape.ndim == 0 || capacity == 0 || v->shape.dim[0] % capacity) return refuse(n, first, "is counted, but the result's outermost size does not go with it");
    v->count = first->count;
  }
  return true;
}

wok_val *wok_input_counted(wok_graph *g, const char *name, wok_dtype t, wok_shape s, int count) {
  if (count < 0 || count >= WOK_COUNTS) return wok__poison(g, WOK_INVALID, "input %s: there are counts 0 to %d", name, WOK_COUNTS - 1);
  wok_val *v = wok_input(g, name, t, s);
  if (wok_is_poison(v)) return v;
  if (s.ndim == 0 || s.dim[0] <= 0) return wok__poison(g, WOK_SHAPE, "input %s: a counted input needs an outermost size", name);
  if (!g->capacity[count]) g->capacity[count] = s.dim[0];
  if (s.dim[0] % g->capacity[count])
    return wok__poison(g, WOK_SHAPE, "input %s: its outermost size %lld is no multiple of count %d's capacity %lld", name,
                       (long long)s.dim[0], count, (long long)g->capacity[count]);
  v->count = count + 1;
  return v;
}

/* ---- plans ---- */
wok_status wok_plan_count(wok_plan *p, int count, int64_t n) {
  if (count < 0 || count >= WOK_COUNTS || !p->g->capacity[count])
    return wok__fail(p->c, WOK_INVALID, "%s: nothing is counted by count %d", p->name, count);
  if (n < 1 || n > p->g->capacity[count])
    return wok__fail(p->c, WOK_INVALID, "%s: count %d takes 1 to %lld, not %lld", p->name, count, (long long)p->g->capacity[count], (long long)n);
  p->recount |= p->counts[count] != n;
  p->counts[count] = n;
  return WOK_OK;
}

void wok__plan_recount(wok_plan *p) {
  for (int64_t i = 0; i < p->ncounted; i++) {
    const wok__counted *d = &p->counted[i];
    d->arr->shape.dim[0] = d->unit * p->counts[d->count];
  }
  p->recount = false;
}

static void note(wok_plan *p, wok__arr *a, int count) {
  wok__counted *d = &p->counted[p->ncounted++];
  *d = (wok__counted){a, a->shape.dim[0] / p->g->capacity[count - 1], count - 1};
}

/* Arrays of a step that are rows, whether counted themselves (results) or only as long (a constant that meets them). */
static void count_step(wok_plan *p, wok__step *t) {
  const wok__node *n = t->node;
  int count = 0;
  int64_t size = 0;
  for (int k = 0; k < n->nin && !count; k++)
    if (n->in[k]->count && !read_by_index(n->op->id, k)) count = n->in[k]->count, size = n->in[k]->shape.dim[0];
  if (!count) return;
  wok__count_rule r = wok__count_rule_of(n);
  for (int k = 0; k < n->nin; k++)
    if ((k >= 32 || r.in >> k & 1) && t->in_arr[k].shape.ndim > 0 && t->in_arr[k].shape.dim[0] == size) note(p, &t->in_arr[k], count);
  for (int o = 0; o < n->nout; o++)
    if (r.out >> o & 1) note(p, &t->out_arr[o], count);
}

wok_status wok__plan_find_counted(wok_plan *p) {
  int64_t arrays = 0;
  bool any = false;
  for (int k = 0; k < WOK_COUNTS; k++) any |= (p->counts[k] = p->g->capacity[k]) > 0;
  if (!any) return WOK_OK;
  for (int64_t i = 0; i < p->nsteps; i++) arrays += p->steps[i].nin + p->steps[i].nout;
  if (!(p->counted = wok__new(p->arena, wok__counted, arrays + 1))) return wok__nomem(p->c, arrays * 24);
  for (int64_t i = 0; i < p->nsteps; i++)
    if (p->steps[i].kernel) count_step(p, &p->steps[i]);
  return WOK_OK;
}
