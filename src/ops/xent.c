/* Cross-entropy per row: of logits, and of a linear layer whose logits never exist as a whole. A label that is no class
   (negative, or V and more) makes its row count nothing: loss zero, gradient zero.
 *
 * The head's expansion forms its logits in full, a block of rows at a time. */
#include "ops/fused.h"

enum { BLOCK_ROWS = 1024 };

wok_val *wok_xent(wok_val *logits, wok_val *labels) {
  const wok__node *layer = logits->node;
  if (layer && layer->op->id == WOK__OP_linear && logits->out == 0 && layer->in[0]->shape.ndim == 2) {
    wok_val *in[] = {layer->in[0], layer->in[1], labels, layer->nin == 3 ? layer->in[2] : NULL};
    return wok__emit(logits->g, WOK__OP_linear_xent, in, layer->nin + 1, NULL, NULL);
  }
  return WOK__FUSED_EMIT(logits->g, xent, NULL, NULL, logits, labels);
}

/* ---- xent ---- */
static bool good_logits(wok__node *n, int i) {
  const wok_val *z = n->in[i];
  if (!wok__fused_rows_of(n, i, "logits")) return false;
  if (z->shape.ndim != 2) return wok__node_fail(n, "logits has %d dimensions, it must be [rows, classes]", z->shape.ndim);
  return wok__fused_want(n, i + 1, "labels", WOK_I32, WOK_SHAPE(z->shape.dim[0]));
}

static bool xent_infer(wok__node *n) {
  if (!good_logits(n, 0)) return false;
  for (int i = 0; i < 2; i++) wok__out(n, i, n->in[0]->dtype, n->in[1]->shape);
  return true;
}

static void xent_vjp(wok_graph *g, wok__node *n, wok_val *const *ct, const bool *need, wok_val **dx) {
  if (need[0]) dx[0] = WOK__FUSED_EMIT(g, xent_bwd, NULL, NULL, ct[0], n->in[0], n->in[1], &n->out[1]);
}

static bool xent_bwd_infer(wok__node *n) {
  if (!good_logits(n, 1)) return false;
  const wok_val *z = n->in[1];
  if (!wok__fused_want(n, 0, "dloss", z->dtype, n->in[2]->shape) ||
      !wok__fused_want(n, 3, "lse", z->dtype, n->in[2]->shape))
    return false;
  wok__out(n, 0, z->dtype, z->shape);
  return true;
}

/* [T, V]: where the class is the row's label; a row without a class has none. */
static wok_val *is_label(wok_val *logits, wok_val *labels) {
  if (wok_is_poison(logits)) return logits;
  wok_val *classes = wok_iota(logits->g, WOK_I32, logits->shape, 1);
  return wok_equal(classes, wok_reshape(labels, WOK_SHAPE(logits->shape.dim[0], 1)));
}

static wok_val *loss_of(wok_val *logits, wok_val *labels) {
  wok_val *logp = wok_log_softmax(logits);
  wok_val *chosen = wok_select(is_label(logits, labels), logp, wok__like(logp, 0));
  return wok_neg(wok_sum_axis(chosen, 1, false));
}

/* dloss (softmax - onehot), zero for a row without a class */
static wok_val *dlogits_of(wok_val *dloss, wok_val *logits, wok_val *labels) {
  wok_val *onehot = wok_select(is_label(logits, labels), wok__like(logits, 1), wok__like(logits, 0));
  wok_val *counts = wok_sum_axis(onehot, 1, true); /* 1 or 0 */
  wok_val *d = wok_mul(wok_reshape(dloss, WOK_SHAPE(dloss->shape.dim[0], 1)), counts);
  return wok_mul(wok_sub(wok_softmax(logits), onehot), d);
}

static void xent_expand(wok_graph *g, wok__node *n, wok_val **out) {
  (void)g;
  out[0] = loss_of(n->in[0], n->in[1]);
}
static void xent_bwd_expand(wok_graph *g, wok__node *n, wok_val **out) {
  (void)g;
  out[0] = dlogits_of(n->in[0], n->in[1], n->in[2]);
}

/* ---- linear and xent in one. Where its operands stand: ---- */
typedef struct head {
  wok_val *x, *w, *labels, *b; /* [T, C], [V, C], [T], [V] or NULL */
  wok_val *dloss;              /* NULL in the forward operator */
} head;

static head head_of(const wok__node *n) {
  wok_val **in = n->in;
  switch (n->op->id) {
  case WOK__OP_linear_xent: return (head){in[0], in[1], in[2], n->nin == 4 ? in[3] : NULL, NULL};
  case WOK__OP_linear_xent_bwd: return (head){in[1], in[2], in[3], n->nin == 6 ? in[5] : NULL, in[0]};
  default: return (head){in[1], in[2], in[3], n->nin == 5 ? in[4] : NULL, in[0]};
  }
}

/* x, w, labels from input i on, the bias (if any) last. */
static bool good_head(wok__node *n, int i) {
  head h = head_of(n);
  if (!wok__is_float(h.x->dtype)) return wok__node_fail(n, "x is %s, not f32 or f64", wok_dtype_name(h.x->dtype));
  if (h.x->shape.ndim != 2) return wok__node_fail(n, "x has %d dimensions, it must be [rows, size]", h.x->shape.ndim);
  if (h.w->shape.ndim != 2 || h.w->shape.dim[0] < 1) return wok__node_fail(n, "w must be [classes, size]");
  wok_shape rows = WOK_SHAPE(h.x->shape.dim[0]), classes = WOK_SHAPE(h.w->shape.dim[0]);
  wok_dtype t = h.x->dtype;
  if (!wok__fused_want(n, i + 1, "w", t, WOK_SHAPE(classes.dim[0], h.x->shape.dim[1])) ||
      !wok__fused_want(n, i + 2, "labels", WOK_I32, rows) ||
      (h.b && !wok__fused_want(n, n->nin - 1, "bias", t, classes)) || (h.dloss && !wok__fused_want(n, 0, "dloss", t, rows)))
    return false;
  return true;
}

static void out_rows(wok__node *n, const head *h) {
  for (int i = 0; i < 2; i++) wok__out(n, i, h->x->dtype, h->labels->shape);
}
/* Without a bias there is no gradient of it, and the node has one output less. */
static void out_gradients(wok__node *n, const head *h, int first) {
  wok__out(n, first, h->x->dtype, h->x->shape);
  wok__out(n, first + 1, h->x->dtype, h->w->shape);
  if (h->b) wok__out(n, first + 2, h->x->dtype, h->b->shape);
  n->nout = first + (h->b ? 3 : 2);
}

static bool linear_xent_infer(wok__node *n) {
  if (!good_head(n, 0)) return false;
  head h = head_of(n);
  out_rows(n, &h);
  return true;
}
static bool linear_xent_bwd_infer(wok__node *n) {
  if (!good_head(n, 1)) return false;
  head h = head_of(n);
  if (!wok__fused_want(n, 4, "lse", h.x->dtype, h.labels->shape)) return false;
  out_gradients(n, &h, 0);
  return true;
}
static bool linear_xent_both_infer(wok__node *n) {
  if (!good_head(n, 1)) return false;
  head h = head_of(n);
  out_rows(n, &h);
  out_gradients(n, &h, 2);
  return true;
}

static wok__node *emit_linear_xent_bwd(wok_graph *g, wok_val *dloss, const head *h, wok_val *lse) {
  wok__node *bwd;
  wok__emit(g, WOK__OP_linear_xent_bwd, (wok_val *const[]){dloss, h->x, h->w, h->labels, lse, h->b}, h->b ? 6 : 5, NULL, &bwd);
  return bwd;
}

static void linear_xent_vjp(wok_graph *g, wok__node *n, wok_val *const *ct, const bool *need, wok_val **dx) {
  head h = head_of(n);
  wok__node *bwd = emit_linear_xent_bwd(g, ct[0], &h, &n->out[1]);
  wok__fused_partials(g, bwd, 2, need, dx);
  if (h.b && need[3]) dx[3] = wok__fused_out(g, bwd, 2);
}

/* What the expansions give; members that nobody asks for die with the graph's other dead values. */
typedef struct expansion {
  wok_val *loss, *lse, *dx, *dw, *db;
} expansion;

static wok_val *joined(wok_val **parts, int64_t count) { return count == 1 ? parts[0] : wok_concat(parts, (int)count, 0); }
static wok_val *plus(wok_val *sum, wok_val *part) { return sum ? wok_add(sum, part) : part; }

static wok_val *rows_of(wok_val *x, int64_t first, int64_t end) {
  return end - first == x->shape.dim[0] ? x : wok_slice(x, 0, first, end);
}

/* log of the sum of exponentials of each row: logits less log_softmax is that in every column. */
static wok_val *lse_of(wok_val *logits) {
  wok_val *first = wok_slice(wok_sub(logits, wok_log_softmax(logits)), 1, 0, 1);
  return wok_reshape(first, WOK_SHAPE(logits->shape.dim[0]));
}

static expansion expanded(wok_graph *g, const head *h, bool with_lse) {
  int64_t rows = h->x->shape.dim[0], count = WOK__MAX((rows + BLOCK_ROWS - 1) / BLOCK_ROWS, 1);
  expansion e = {0};
  wok_val **parts = wok__new(wok__graph_arena(g), wok_val *, 3 * count), **loss = parts;
  if (!parts) {
    wok_val *bad = wok__poison(g, WOK_NOMEM, "linear_xent: no memory for %lld blocks of rows", (long long)count);
    return (expansion){bad, bad, bad, bad, bad};
  }
  wok_val **lse = parts + count, **dx = parts + 2 * count;
  for (int64_t i = 0; i < count; i++) {
    int64_t first = i * BLOCK_ROWS, end = WOK__MIN(first + BLOCK_ROWS, rows);
    wok_val *x = rows_of(h->x, first, end), *labels = rows_of(h->labels, first, end);
    wok_val *logits = wok_linear(x, h->w, h->b);
    if (wok_is_poison(logits)) return (expansion){logits, logits, logits, logits, logits};
    loss[i] = loss_of(logits, labels);
    if (with_lse) lse[i] = lse_of(logits);
    if (!h->dloss) continue;
    wok_val *d = dlogits_of(rows_of(h->dloss, first, end), logits, labels);
    dx[i] = wok_matmul(d, h->w, false, false);
    e.dw = plus(e.dw, wok_matmul(d, x, true, false));
    if (h->b) e.db = plus(e.db, wok_sum_axis(d, 0, false));
  }
  e.loss = joined(loss, count);
  if (with_lse) e.lse = joined(lse, count);
  if (h->dloss) e.dx = joined(dx, count);
  return e;
}

static void linear_xent_expand(wok_graph *g, wok__node *n, wok_val **out) {
  head h = head_of(n);
  out[0] = expanded(g, &h, false).loss;
}
static void linear_xent_bwd_expand(wok_graph *g, wok__node *n, wok_val **out) {
  head h = head_of(n);
  expansion e = expanded(g, &h, false);
  out[0] = e.dx;
  out[1] = e.dw;
  if (h.b) out[2] = e.db;
}
static void linear_xent_both_expand(wok_graph *g, wok__node *n, wok_val **out) {
  head h = head_of(n);
  expansion e = expanded(g, &h, true);
  out[0] = e.loss;
  out[1] = e.lse;
  out[2] = e.dx;
  out[3] = e.dw;
  if (h.b) out[4] = e.db;
}

/* One product for the loss; backward forms the logits again, then dx and dw; both at once form them once. */
static double products(const wok__node *n, double count) {
  head h = head_of(n);
  return 2 * count * (double)h.x->shape.dim[0] * (double)h.w->shape.dim[0] * (double)h.w->shape.dim[1];
}
static double linear_xent_flops(const wok__node *n) { return products(n, 1); }
static double linear_xent_grad_flops(const wok__node *n) { return products(n, 3); }

/* ---- test shapes: labels that fit 17 (or 5) classes, with rows that count nothing ---- */
static wok_val *labels17(wok_graph *g) {
  static const int32_t labels[] = {3, -1, 16, 0, 17, 5};
  return wok_const(g, WOK_I32, WOK_SHAPE(6), labels);
}
static wok_val *labels5(wok_graph *g) {
  static const int32_t labels[] = {4, 1, -100};
  return wok_const(g, WOK_I32, WOK_SHAPE(3), labels);
}

#define BUILD(v)                                                                                             \
  static int build_xent##v(wok_graph *g, wok_val *const *in, wok_val **out) {                                \
    out[0] = wok_xent(in[0], labels##v(g));                                                                  \
    return 1;                                                                                                \
  }                                                                                                          \
  static int build_xent_bwd##v(wok_graph *g, wok_val *const *in, wok_val **out) {                            \
    wok_val *labels = labels##v(g);                                                                          \
    wok__node *n = wok_xent(in[1], labels)->node;                                                            \
    out[0] = n ? WOK__FUSED_EMIT(g, xent_bwd, NULL, NULL, in[0], in[1], labels, &n->out[1])                   \
               : wok__poison_of(g);                                                                          \
    return 1;                                                                                                \
  }                                                                                                          \
  static int build_linear_xent##v(wok_graph *g, wok_val *const *in, wok_val **out) {                         \
    wok_val *labels = labels##v(g);                                                                          \
    out[0] = wok__emit(g, WOK__OP_linear_xent, (wok_val *const[]){in[0], in[1], labels, in[2]},              \
                       in[2] ? 4 : 3, NULL, NULL);                                                           \
    return 1;                                                                                                \
  }                                                                                                          \
  static int build_linear_xent_bwd##v(wok_graph *g, wok_val *const *in, wok_val **out) {                     \
    wok_val *labels = labels##v(g), *operands[] = {in[1], in[2], labels, in[3]};                             \
    wok__node *n, *bwd = NULL;                                                                               \
    wok__emit(g, WOK__OP_linear_xent, operands, in[3] ? 4 : 3, NULL, &n);                                    \
    if (n) bwd = emit_linear_xent_bwd(g, in[0], &(head){in[1], in[2], labels, in[3], NULL}, &n->out[1]);      \
    int count = in[3] ? 3 : 2;                                                                               \
    for (int i = 0; i < count; i++) out[i] = wok__fused_out(g, bwd, i);                                      \
    return count;                                                                                            \
  }                                                                                                          \
  static int build_linear_xent_both##v(wok_graph *g, wok_val *const *in, wok_val **out) {                    \
    wok__node *n;                                                                                            \
    wok__emit(g, WOK__OP_linear_xent_both, (wok_val *const[]){in[0], in[1], in[2], labels##v(g), in[3]},     \
              in[3] ? 5 : 4, NULL, &n);                                                                      \
    int count = in[3] ? 5 : 4;                                                                               \
    for (int i = 0; i < count; i++) out[i] = wok__fused_out(g, n, i);                                        \
    return count;                                                                                            \
  }
BUILD(17)
BUILD(5)

static const wok__op_case xent_cases[] = {
    {"f[6,17]", build_xent17, "f[5,17]", "labels has sizes [6], not [5]"},
    {"f[3,5]", build_xent5, "f[3,5,1]", "logits has 3 dimensions, it must be [rows, classes]"},
};
static const wok__op_case xent_bwd_cases[] = {
    {"f[6] f[6,17]", build_xent_bwd17, "f[5] f[6,17]", "dloss has sizes [5], not [6]"},
    {"f[3] f[3,5]", build_xent_bwd5, NULL, NULL},
};
static const wok__op_case linear_xent_cases[] = {
    {"f[6,4] f[17,4] f[17]", build_linear_xent17, "f[6,4] f[17,3] f[17]", "w has sizes [17,3], not [17,4]"},
    {"f[6,4] f[17,4] -", build_linear_xent17, "f[6,4] f[17,4] f[16]", "bias has sizes [16], not [17]"},
    {"f[3,7] f[5,7] f[5]", build_linear_xent5, "f[4,7] f[5,7] -", "labels has sizes [3], not [4]"},
};
static const wok__op_case linear_xent_bwd_cases[] = {
    {"f[6] f[6,4] f[17,4] f[17]", build_linear_xent_bwd17, "f[4] f[6,4] f[17,4] f[17]", "dloss has sizes [4], not [6]"},
    {"f[6] f[6,4] f[17,4] -", build_linear_xent_bwd17, NULL, NULL},
    {"f[3] f[3,7] f[5,7] f[5]", build_linear_xent_bwd5, NULL, NULL},
};
static const wok__op_case linear_xent_both_cases[] = {
    {"f[6] f[6,4] f[17,4] f[17]", build_linear_xent_both17, "f[6] f[6,4,1] f[17,4] f[17]", "x has 3 dimensions"},
    {"f[6] f[6,4] f[17,4] -", build_linear_xent_both17, NULL, NULL},
    {"f[3] f[3,7] f[5,7] f[5]", build_linear_xent_both5, NULL, NULL},
};

const wok__op wok__op_xent = {
    .id = WOK__OP_xent, .name = "xent", .min_in = 2, .max_in = 2, .nout = 2, .saved = 1,
    .infer = xent_infer, .vjp = xent_vjp, .expand = xent_expand,
    .cases = xent_cases, .ncases = WOK__COUNT(xent_cases),
    .doc = "log sum exp(logits) - logits[label] per row, zero without a label",
};
const wok__op wok__op_xent_bwd = {
    .id = WOK__OP_xent_bwd, .name = "xent_bwd", .min_in = 4, .max_in = 4, .nout = 1, .inplace = 2,
    .infer = xent_bwd_infer, .expand = xent_bwd_expand,
    .cases = xent_bwd_cases, .ncases = WOK__COUNT(xent_bwd_cases),
    .doc = "dloss (softmax(logits) - onehot(label))",
};
const wok__op wok__op_linear_xent = {
    .id = WOK__OP_linear_xent, .name = "linear_xent", .min_in = 3, .max_in = 4, .nout = 2, .saved = 1,
    .infer = linear_xent_infer, .vjp = linear_xent_vjp, .expand = linear_xent_expand, .flops = linear_xent_flops,
    .cases = linear_xent_cases, .ncases = WOK__COUNT(linear_xent_cases),
    .doc = "xent of x w^T (+ bias), whose logits never exist as a whole",
};
const wok__op wok__op_linear_xent_bwd = {
    .id = WOK__OP_linear_xent_bwd, .name = "linear_xent_bwd", .min_in = 5, .max_in = 6, .nout = 3,
    .infer = linear_xent_bwd_infer, .expand = linear_xent_bwd_expand, .flops = linear_xent_grad_flops,
    .cases = linear_xent_bwd_cases, .ncases = WOK__COUNT(linear_xent_bwd_cases),
    .doc = "gradients of linear_xent with respect to x, w and the bias",
};
const wok__op wok__op_linear_xent_both = {
    .id = WOK__OP_linear_xent_both, .name = "linear_xent_both", .min_in = 4, .max_in = 5, .nout = 5,
    .infer = linear_xent_both_infer, .expand = linear_xent_both_expand, .flops = linear_xent_grad_flops,
    .cases = linear_xent_both_cases, .ncases = WOK__COUNT(linear_xent_both_cases),
    .doc = "linear_xent and its gradients, the logits formed once",
};
