/* Constant folding: arithmetic on single numbers that are known while planning is done there; a factor of one and a term of zero
   go; a factor that is one known number is no array. Gradients of gradients are full of them.
   A value whose size is counted (each run says how many of its rows there are) is left as it is. */
#include <math.h>
#include "graph/plan.h"

typedef struct facts {
  wok__ir *ir;
  bool *known; /* by value id: it is `number` everywhere */
  double *number;
  int64_t n;
} facts;

static double rounded(wok_dtype t, double v) { return t == WOK_F32 ? (double)(float)v : v; }

static bool is_known(const facts *f, const wok_val *v, double *number) {
  if (v->node->op->id == WOK__OP_full) { /* also those that folding has made */
    *number = rounded(v->dtype, ((const wok__attr_full *)v->node->attr)->value);
    return isfinite(*number);
  }
  if (v->id >= f->n || !f->known[v->id]) return false;
  *number = f->number[v->id];
  return true;
}

/* What the reference kernels compute, bit for bit: double holds every sum, product, quotient and root of f32 numbers well enough
   that rounding it once more is the number itself. */
static bool arithmetic(const wok__node *n, const double *x, double *y) {
  const wok__attr_affine *affine = n->attr;
  switch (n->op->id) {
  case WOK__OP_add: *y = x[0] + x[1]; return true;
  case WOK__OP_sub: *y = x[0] - x[1]; return true;
  case WOK__OP_mul: *y = x[0] * x[1]; return true;
  case WOK__OP_div: *y = x[0] / x[1]; return true;
  case WOK__OP_neg: *y = -x[0]; return true;
  case WOK__OP_sqrt: *y = sqrt(x[0]); return true;
  case WOK__OP_affine: *y = affine->scale * x[0] + affine->offset; return true;
  default: return false;
  }
}

/* The same number in other places. */
static bool moves(wok__opid id) {
  return id == WOK__OP_reshape || id == WOK__OP_broadcast_to || id == WOK__OP_slice || id == WOK__OP_permute || id == WOK__OP_stop_grad;
}

/* What the node's result is everywhere, if its inputs say so. */
static bool result_of(const facts *f, const wok__node *n, double *y) {
  double x[2];
  if (n->op->id == WOK__OP_full) return is_known(f, &n->out[0], y);
  if (n->nin < 1 || n->nin > 2) return false;
  for (int i = 0; i < n->nin; i++)
    if (!is_known(f, wok__ir_resolve(f->ir, n->in[i]), &x[i])) return false;
  if (moves(n->op->id)) *y = x[0];
  else if (!arithmetic(n, x, y)) return false;
  *y = rounded(n->out[0].dtype, *y);
  return isfinite(*y);
}

/* A value in a buffer is the buffer's contents; what reads it after the run must find a copy. */
static bool in_buffer(const facts *f, const wok_val *v) {
  while ((v->node->op->flags & WOK__OP_ALIAS) || v->node->op->id == WOK__OP_slice) v = wok__ir_resolve(f->ir, v->node->in[0]);
  return v->node->op->id == WOK__OP_load || (v->node->op->flags & WOK__OP_EFFECT);
}

/* Not wok_scale: that makes one of two in a row, which rounds once less. */
static wok_val *scaled(wok_val *x, double c) { return wok__emit(x->g, WOK__OP_affine, &x, 1, &(wok__attr_affine){c, 0}, NULL); }

/* x 1, x / 1, x + 0, x - 0 are x (the sum but for the sign of a zero); x c is affine. NULL: none of these. */
static wok_val *without_constant(const facts *f, const wok__node *n) {
  wok__opid id = n->op->id;
  bool sum = id == WOK__OP_add || id == WOK__OP_sub, product = id == WOK__OP_mul || id == WOK__OP_div;
  if (!sum && !product) return NULL;
  wok_val *a = wok__ir_resolve(f->ir, n->in[0]), *b = wok__ir_resolve(f->ir, n->in[1]);
  double c;
  if (!is_known(f, b, &c)) {
    if (id == WOK__OP_sub || id == WOK__OP_div || !is_known(f, a, &c)) return NULL;
    a = b;
  }
  wok_val *by = c == (sum ? 0 : 1) ? a : id == WOK__OP_mul ? scaled(a, c) : NULL;
  return by && !wok_is_poison(by) && in_buffer(f, by) ? NULL : by;
}

/* Single numbers only: a larger value's kernel is as quick as filling memory. */
static wok_val *replacement(const facts *f, const wok__node *n, bool known, double number) {
  if (!known) return without_constant(f, n);
  if (moves(n->op->id) || n->op->id == WOK__OP_full || wok__shape_count(&n->out[0].shape) != 1) return NULL;
  return wok_full(f->ir->g, n->out[0].dtype, n->out[0].shape, number);
}

wok_status wok__ir_fold(wok__ir *ir) {
  facts f = {.ir = ir, .n = ir->g->nvals};
  f.known = wok__calloc(WOK__MAX(f.n, 1), (int64_t)sizeof *f.known);
  f.number = wok__calloc(WOK__MAX(f.n, 1), (int64_t)sizeof *f.number);
  wok_status s = f.known && f.number ? WOK_OK : wok__nomem(ir->c, f.n * 9);
  for (int64_t i = 0, n = ir->n; i < n && !s; i++) {
    const wok__node *node = ir->nodes[i].node;
    const wok_val *v = &node->out[0];
    if (node->nout != 1 || v->count || (v->dtype != WOK_F32 && v->dtype != WOK_F64)) continue;
    double number = 0;
    bool known = f.known[v->id] = result_of(&f, node, &number);
    f.number[v->id] = number;
    int64_t built = ir->g->nnodes;
    const char *scope = wok__graph_scope_swap(ir->g, node->scope);
    wok_val *by = replacement(&f, node, known, number);
    wok__graph_scope_swap(ir->g, scope);
    if (!by || (!wok_is_poison(by) && by->count)) continue;
    if (wok_is_poison(by) || !wok__ir_fit(ir)) {
      s = wok__nomem(ir->c, 1 << 16);
      continue;
    }
    if (by->node->id >= built) { /* new: it stands where the old one stood and computes as that one did */
      ir->moved[by->node->id] = node->id + 1;
      by->node->exact = node->exact;
    }
    ir->rep[v->id] = by;
  }
  wok__free(f.known);
  wok__free(f.number);
  return s;
}
