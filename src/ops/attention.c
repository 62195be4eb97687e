/* Attention over packed rows, every mask being one interval [lo, hi) of keys per query (DESIGN 8, spec 02 1).
 *
 * The expansion into primitives cannot know the intervals, which are data: it forms all scores of a block of queries against
 * all keys, [H, block, Tk], and masks. All queries are one block while H Tq Tk <= 2^26; beyond that a block is 128 queries, so
 * that no single value exceeds H * 128 * Tk elements. A row that sees nothing gives exactly zeros, and zero gradients: its
 * scores are replaced by a constant, its exponentials by zeros, and its sum by one. */
#include <math.h>
#include "ops/fused.h"

enum { BLOCK_ROWS = 128 };
static const double WHOLE_UP_TO = 0x1p26; /* elements of [H, Tq, Tk] */
static const double MASKED_SCORE = -1e30; /* finite, so that no difference of two is a NaN; its exponential is zero */

static const wok__attr_attention *attr_of(const wok__node *n) { return n->attr; }

typedef struct sizes {
  int64_t rows, keys, heads, groups, size, vsize; /* Tq, Tk, H, G, D, Dv */
} sizes;

static sizes sizes_of(wok_val *const *qkv) {
  const wok_shape *q = &qkv[0]->shape, *k = &qkv[1]->shape, *v = &qkv[2]->shape;
  return (sizes){q->dim[0], k->dim[0], q->dim[1], k->dim[1], q->dim[2], v->dim[2]};
}

/* ---- the operators ---- */
wok_val *wok_attention(wok_val *q, wok_val *k, wok_val *v, wok_val *lo, wok_val *hi, const wok_attention_opts *o) {
  static const wok_attention_opts defaults = {0};
  if (!o) o = &defaults;
  wok_graph *g = q->g;
  int64_t rows = q->shape.ndim > 0 ? q->shape.dim[0] : 0;
  wok__attr_attention attr = {.scale = o->scale, .dropout = o->dropout};
  if (attr.scale == 0 && q->shape.ndim == 3 && q->shape.dim[2] > 0) attr.scale = 1 / sqrt((double)q->shape.dim[2]);
  if (attr.dropout != 0) attr.stream = o->stream ? o->stream : wok__next_stream(g);
  wok_val *seq = o->seq ? o->seq : wok_full(g, WOK_I32, WOK_SHAPE(rows), 0);
  wok_val *row = o->row ? o->row : wok_iota(g, WOK_I32, WOK_SHAPE(rows), 0);
  return WOK__FUSED_EMIT(g, attention, &attr, NULL, q, k, v, lo, hi, seq, row);
}

/* q, k, v from input i on, then lo, hi, seq, row. */
static bool good_operands(wok__node *n, int i) {
  static const char *const names[] = {"q", "k", "v", "lo", "hi", "seq", "row"};
  const wok__attr_attention *attr = attr_of(n);
  if (!isfinite(attr->scale)) return wok__node_fail(n, "scale is %g, not finite", attr->scale);
  if (!(attr->dropout >= 0 && attr->dropout < 1))
    return wok__node_fail(n, "dropout is %g, not in [0, 1)", attr->dropout);
  for (int m = 0; m < 3; m++) {
    const wok_shape *s = &n->in[i + m]->shape;
    if (s->ndim != 3)
      return wok__node_fail(n, "%s has %d dimensions, it must be [rows, heads, size]", names[m], s->ndim);
    if (s->dim[1] < 1 || s->dim[2] < 1) return wok__node_fail(n, "%s has no heads or heads of no size", names[m]);
  }
  wok_dtype t = n->in[i]->dtype;
  if (!wok__is_float(t)) return wok__node_fail(n, "q is %s, not f32 or f64", wok_dtype_name(t));
  sizes z = sizes_of(n->in + i);
  if (z.heads % z.groups)
    return wok__node_fail(n, "%lld heads of q are no multiple of %lld heads of k", (long long)z.heads, (long long)z.groups);
  if (!wok__fused_want(n, i + 1, "k", t, WOK_SHAPE(z.keys, z.groups, z.size)) ||
      !wok__fused_want(n, i + 2, "v", t, WOK_SHAPE(z.keys, z.groups, z.vsize)))
    return false;
  for (int m = 3; m < 7; m++)
    if (!wok__fused_want(n, i + m, names[m], WOK_I32, WOK_SHAPE(z.rows))) return false;
  return true;
}

static bool infer(wok__node *n) {
  if (!good_operands(n, 0)) return false;
  sizes z = sizes_of(n->in);
  wok__out(n, 0, n->in[0]->dtype, WOK_SHAPE(z.rows, z.heads, z.vsize));
  wok__out(n, 1, n->in[0]->dtype, WOK_SHAPE(z.rows, z.heads));
  return true;
}

static bool infer_bwd(wok__node *n) {
  if (!good_operands(n, 1)) return false;
  sizes z = sizes_of(n->in + 1);
  wok_dtype t = n->in[1]->dtype;
  if (!wok__fused_want(n, 0, "do", t, WOK_SHAPE(z.rows, z.heads, z.vsize)) ||
      !wok__fused_want(n, 8, "o", t, WOK_SHAPE(z.rows, z.heads, z.vsize)) ||
      !wok__fused_want(n, 9, "lse", t, WOK_SHAPE(z.rows, z.heads)))
    return false;
  for (int i = 0; i < 3; i++) wok__out(n, i, t, n->in[i + 1]->shape);
  return true;
}

static void vjp(wok_graph *g, wok__node *n, wok_val *const *ct, const bool *need, wok_val **dx) {
  wok_val **in = n->in;
  wok__node *bwd;
  WOK__FUSED_EMIT(g, attention_bwd, n->attr, &bwd, ct[0], in[0], in[1], in[2], in[3], in[4], in[5], in[6], &n->out[0],
                  &n->out[1]);
  wok__fused_partials(g, bwd, 3, need, dx);
}

static bool infer_mask(wok__node *n) {
  static const char *const names[] = {"lo", "hi", "seq", "row"};
  const wok__attr_attention_mask *attr = n->attr;
  wok_dtype t = (wok_dtype)attr->dtype;
  if (!wok__is_float(t) || attr->heads < 0 || attr->keys < 0)
    return wok__node_fail(n, "%s of %lld heads and %lld keys", wok_dtype_name(t), (long long)attr->heads, (long long)attr->keys);
  if (!(attr->a.dropout >= 0 && attr->a.dropout < 1))
    return wok__node_fail(n, "dropout is %g, not in [0, 1)", attr->a.dropout);
  if (n->in[0]->shape.ndim != 1) return wok__node_fail(n, "lo has %d dimensions, not 1", n->in[0]->shape.ndim);
  for (int i = 0; i < 4; i++)
    if (!wok__fused_want(n, i, names[i], WOK_I32, n->in[0]->shape)) return false;
  wok__out(n, 0, t, WOK_SHAPE(attr->heads, n->in[0]->shape.dim[0], attr->keys));
  return true;
}

static void mask_vjp(wok_graph *g, wok__node *n, wok_val *const *ct, const bool *need, wok_val **dx) {
  (void)g, (void)ct, (void)need;
  for (int i = 0; i < n->nin; i++) dx[i] = NULL; /* integers */
}

/* Both count every pair, though the intervals may hide most: they are data. */
static double flops(const wok__node *n) {
  sizes z = sizes_of(n->in);
  return 2.0 * (double)z.heads * (double)z.rows * (double)z.keys * (double)(z.size + z.vsize);
}
static double flops_bwd(const wok__node *n) {
  sizes z = sizes_of(n->in + 1);
  return 2.0 * (double)z.heads * (double)z.rows * (double)z.keys * (double)(3 * z.size + 2 * z.vsize);
}

/* ---- the expansion: a block of queries at a time ---- */
typedef struct block {
  int64_t first, rows;
  sizes z;
  wok_val *q, *k, *v; /* [G, R rows, D], [G, Tk, D], [G, Tk, Dv]: the R = H/G heads of a group below each other */
  wok_val *p;         /* probabilities [H, rows, Tk] */
  wok_val *kept;      /* dropout's factors, NULL without */
} block;

static wok_val *rows_of(wok_val *x, int64_t first, int64_t rows) {
  return rows == x->shape.dim[0] ? x : wok_slice(x, 0, first, first + rows);
}

/* [T, H, S] -> [G, R T, S] and back */
static wok_val *by_group(wok_val *x, int64_t groups) {
  int64_t rows = x->shape.dim[0], r = x->shape.dim[1] / groups, size = x->shape.dim[2];
  x = wok_permute(wok_reshape(x, WOK_SHAPE(rows, groups, r, size)), (const int[]){1, 2, 0, 3});
  return wok_reshape(x, WOK_SHAPE(groups, r * rows, size));
}
static wok_val *by_row(wok_val *x, int64_t rows) {
  if (wok_is_poison(x)) return x;
  int64_t groups = x->shape.dim[0], r = x->shape.dim[1] / rows, size = x->shape.dim[2];
  x = wok_permute(wok_reshape(x, WOK_SHAPE(groups, r, rows, size)), (const int[]){2, 0, 1, 3});
  return wok_reshape(x, WOK_SHAPE(rows, groups * r, size));
}
/* [H, rows, S] <-> [G, R rows, S] */
static wok_val *per_head(const block *b, wok_val *x, int64_t size) {
  return wok_reshape(x, WOK_SHAPE(b->z.heads, b->rows, size));
}
static wok_val *per_group(const block *b, wok_val *x, int64_t size) {
  return wok_reshape(x, WOK_SHAPE(b->z.groups, b->z.heads / b->z.groups * b->rows, size));
}

/* in: q, k, v, lo, hi, seq, row. */
static block block_of(wok_graph *g, wok_val *const *in, const wok__attr_attention *attr, int64_t first, int64_t rows) {
  block b = {.first = first, .rows = rows, .z = sizes_of(in)};
  wok_dtype t = in[0]->dtype;
  wok_val *slices[4]; /* lo, hi, seq, row */
  for (int i = 0; i < 4; i++) slices[i] = rows_of(in[3 + i], first, rows);
  b.q = by_group(rows_of(in[0], first, rows), b.z.groups);
  b.k = by_group(in[1], b.z.groups);
  b.v = by_group(in[2], b.z.groups);

  wok_shape pairs = WOK_SHAPE(rows, b.z.keys), column = WOK_SHAPE(rows, 1);
  wok_val *key = wok_iota(g, WOK_I32, pairs, 1);
  wok_val *one = wok_full(g, t, pairs, 1), *none = wok_full(g, t, pairs, 0);
  wok_val *from_lo = wok_less_equal(wok_reshape(slices[0], column), key);
  wok_val *below_hi = wok_less(key, wok_reshape(slices[1], column));
  wok_val *seen = wok_select(from_lo, wok_select(below_hi, one, none), none); /* 1 or 0 */
  wok_val *visible = wok_less(none, seen);
  wok_val *blind = wok_offset(wok_neg(wok_max_axis(seen, 1, true)), 1); /* 1 for a row that sees nothing */

  wok_val *score = wok_scale(per_head(&b, wok_matmul(b.q, b.k, false, true), b.z.keys), attr->scale);
  score = wok_select(visible, score, wok_full(g, t, WOK_SHAPE0, MASKED_SCORE));
  wok_val *e = wok_mul(wok_exp(wok_sub(score, wok_stop_grad(wok_max_axis(score, 2, true)))), seen);
  b.p = wok_div(e, wok_add(wok__fused_sum_last(e), blind));
  if (attr->dropout > 0) {
    wok__attr_attention_mask mask = {.a = *attr, .heads = b.z.heads, .keys = b.z.keys, .dtype = (int32_t)t};
    b.kept = WOK__FUSED_EMIT(g, attention_mask, &mask, NULL, slices[0], slices[1], slices[2], slices[3]);
  }
  return b;
}

static wok_val *dropped(const block *b, wok_val *p) { return b->kept ? wok_mul(p, b->kept) : p; }

static int64_t block_rows(const sizes *z) {
  bool whole = (double)z->heads * (double)z->rows * (double)z->keys <= WHOLE_UP_TO;
  return whole ? z->rows : WOK__MIN(z->rows, BLOCK_ROWS);
}

static wok_val *joined(wok_val **parts, int count) { return count == 1 ? parts[0] : wok_concat(parts, count, 0); }

static void expand(wok_graph *g, wok__node *n, wok_val **out) {
  sizes z = sizes_of(n->in);
  if (z.rows == 0 || z.keys == 0) {
    out[0] = wok__like(&n->out[0], 0);
    return;
  }
  int64_t step = block_rows(&z), count = (z.rows + step - 1) / step;
  wok_val **parts = wok__new(wok__graph_arena(g), wok_val *, count);
  if (!parts) {
    out[0] = wok__poison(g, WOK_NOMEM, "attention: no memory for %lld blocks of queries", (long long)count);
    return;
  }
  for (int64_t i = 0; i < count; i++) {
    block b = block_of(g, n->in, attr_of(n), i * step, WOK__MIN(step, z.rows - i * step));
    parts[i] = by_row(wok_matmul(per_group(&b, dropped(&b, b.p), z.keys), b.v, false, false), b.rows);
  }
  out[0] = joined(parts, (int)count);
}

static void expand_bwd(wok_graph *g, wok__node *n, wok_val **out) {
  sizes z = sizes_of(n->in + 1);
  if (z.rows == 0 || z.keys == 0) {
    for (int i = 0; i < 3; i++) out[i] = wok__like(&n->out[i], 0);
    return;
  }
  int64_t step = block_rows(&z), count = (z.rows + step - 1) / step;
  wok_val **dq = wok__new(wok__graph_arena(g), wok_val *, count), *dk = NULL, *dv = NULL;
  if (!dq) {
    out[0] = out[1] = out[2] =
        wok__poison(g, WOK_NOMEM, "attention_bwd: no memory for %lld blocks of queries", (long long)count);
    return;
  }
  for (int64_t i = 0; i < count; i++) {
    block b = block_of(g, n->in + 1, attr_of(n), i * step, WOK__MIN(step, z.rows - i * step));
    wok_val *d_out = by_group(rows_of(n->in[0], b.first, b.rows), z.groups);
    wok_val *dp = dropped(&b, per_head(&b, wok_matmul(d_out, b.v, false, true), z.keys));
    wok_val *along = wok__fused_sum_last(wok_mul(b.p, dp));
    wok_val *ds = wok_scale(wok_mul(b.p, wok_sub(dp, along)), attr_of(n)->scale);
    ds = per_group(&b, ds, z.keys);
    wok_val *used = per_group(&b, dropped(&b, b.p), z.keys);
    wok_val *dk_part = wok_matmul(ds, b.q, true, false), *dv_part = wok_matmul(used, d_out, true, false);
    dq[i] = by_row(wok_matmul(ds, b.k, false, false), b.rows);
    dk = dk ? wok_add(dk, dk_part) : dk_part;
    dv = dv ? wok_add(dv, dv_part) : dv_part;
  }
  out[0] = joined(dq, (int)count);
  out[1] = by_row(dk, z.keys);
  out[2] = by_row(dv, z.keys);
}

/* ---- test shapes: the intervals and counters are made here, so that they fit ---- */
typedef struct layout {
  int64_t rows;
  const int32_t *lo, *hi, *seq, *row; /* seq, row NULL: left to the builder */
} layout;

static const int32_t causal_lo[] = {0, 0, 0, 0, 0, 0}, causal_hi[] = {1, 2, 3, 4, 5, 6};
static const layout causal = {6, causal_lo, causal_hi, NULL, NULL};
/* two documents with windows; rows 1 and 4 see nothing; row 3 asks for more keys than there are */
static const int32_t ragged_lo[] = {0, 2, 1, 2, 7, 4}, ragged_hi[] = {3, 2, 4, 99, 3, 6};
static const int32_t ragged_seq[] = {0, 0, 0, 1, 1, 1}, ragged_row[] = {0, 1, 2, 0, 1, 2};
static const layout ragged = {6, ragged_lo, ragged_hi, ragged_seq, ragged_row};

static wok_val *index_of(wok_graph *g, const layout *l, const int32_t *data) {
  return data ? wok_const(g, WOK_I32, WOK_SHAPE(l->rows), data) : NULL;
}
static wok_val *attend(wok_graph *g, wok_val *const *in, const layout *l, double scale, double dropout) {
  wok_attention_opts o = {.scale = scale, .dropout = dropout, .stream = 5,
                          .seq = index_of(g, l, l->seq), .row = index_of(g, l, l->row)};
  return wok_attention(in[0], in[1], in[2], index_of(g, l, l->lo), index_of(g, l, l->hi), &o);
}

static int build_causal(wok_graph *g, wok_val *const *in, wok_val **out) {
  out[0] = attend(g, in, &causal, 0, 0);
  return 1;
}
static int build_ragged(wok_graph *g, wok_val *const *in, wok_val **out) {
  out[0] = attend(g, in, &ragged, 0.7, 0);
  return 1;
}
static int build_dropped(wok_graph *g, wok_val *const *in, wok_val **out) {
  out[0] = attend(g, in, &ragged, 0, 0.4);
  return 1;
}

static int build_bwd(wok_graph *g, wok_val *const *in, wok_val **out, const layout *l, double dropout) {
  wok__node *n = attend(g, in + 1, l, 0, dropout)->node, *bwd = NULL;
  if (n)
    WOK__FUSED_EMIT(g, attention_bwd, n->attr, &bwd, in[0], in[1], in[2], in[3], n->in[3], n->in[4], n->in[5], n->in[6],
                    &n->out[0], &n->out[1]);
  for (int i = 0; i < 3; i++) out[i] = wok__fused_out(g, bwd, i);
  return 3;
}
static int build_causal_bwd(wok_graph *g, wok_val *const *in, wok_val **out) {
  return build_bwd(g, in, out, &causal, 0);
}
static int build_ragged_bwd(wok_graph *g, wok_val *const *in, wok_val **out) {
  return build_bwd(g, in, out, &ragged, 0);
}
static int build_dropped_bwd(wok_graph *g, wok_val *const *in, wok_val **out) {
  return build_bwd(g, in, out, &ragged, 0.4);
}
/* The mask by itself depends on no floating operand: its type is that of in[0]. */
static int build_mask(wok_graph *g, wok_val *const *in, wok_val **out) {
  wok__attr_attention_mask attr = {
      .a = {.scale = 1, .dropout = 0.4, .stream = 5}, .heads = 4, .keys = 7, .dtype = (int32_t)in[0]->dtype};
  out[0] = WOK__FUSED_EMIT(g, attention_mask, &attr, NULL, index_of(g, &ragged, ragged_lo),
                           index_of(g, &ragged, ragged_hi), index_of(g, &ragged, ragged_seq),
                           index_of(g, &ragged, ragged_row));
  return 1;
}

static const wok__op_case cases[] = {
    {"f[6,2,4] f[6,2,4] f[6,2,4]", build_causal, "f[6,2,4] f[6,2,5] f[6,2,4]", "k has sizes [6,2,5], not [6,2,4]"},
    {"f[6,4,3] f[7,2,3] f[7,2,5]", build_ragged, "f[6,4,3] f[7,3,3] f[7,3,5]", "4 heads of q are no multiple of 3"},
    {"f[6,4,3] f[7,2,3] f[7,2,5]", build_dropped, "f[6,4,3] f[7,2,3] f[6,2,5]", "v has sizes [6,2,5], not [7,2,5]"},
    {"f[6,3,8] f[6,1,8] f[6,1,17]", build_causal, "f[5,3,8] f[6,1,8] f[6,1,17]", "lo has sizes [6], not [5]"},
    {"f[6,1,2] f[7,1,2] f[7,1,1]", build_ragged, "f[6,2] f[7,1,2] f[7,1,1]", "q has 2 dimensions"},
};
static const wok__op_case bwd_cases[] = {
    {"f[6,2,4] f[6,2,4] f[6,2,4] f[6,2,4]", build_causal_bwd, "f[6,2,3] f[6,2,4] f[6,2,4] f[6,2,4]",
     "do has sizes [6,2,3], not [6,2,4]"},
    {"f[6,4,5] f[6,4,3] f[7,2,3] f[7,2,5]", build_ragged_bwd, NULL, NULL},
    {"f[6,4,5] f[6,4,3] f[7,2,3] f[7,2,5]", build_dropped_bwd, NULL, NULL},
    {"f[6,3,17] f[6,3,8] f[6,1,8] f[6,1,17]", build_causal_bwd, NULL, NULL},
};
static const wok__op_case mask_cases[] = {{"f[1]", build_mask, "i<3[1]", "i32 of 4 heads and 7 keys"}};

const wok__op wok__op_attention = {
    .id = WOK__OP_attention, .name = "attention", .min_in = 7, .max_in = 7, .nout = 2, .saved = 1,
    .attr_size = sizeof(wok__attr_attention), .flags = WOK__OP_RANDOM,
    .infer = infer, .vjp = vjp, .expand = expand, .flops = flops,
    .cases = cases, .ncases = WOK__COUNT(cases),
    .doc = "softmax(scale q k^T) v over the keys lo <= j < hi of each query",
};
const wok__op wok__op_attention_bwd = {
    .id = WOK__OP_attention_bwd, .name = "attention_bwd", .min_in = 10, .max_in = 10, .nout = 3,
    .attr_size = sizeof(wok__attr_attention), .flags = WOK__OP_RANDOM,
    .infer = infer_bwd, .expand = expand_bwd, .flops = flops_bwd,
    .cases = bwd_cases, .ncases = WOK__COUNT(bwd_cases),
    .doc = "gradients of attention with respect to q, k and v",
};
const wok__op wok__op_attention_mask = {
    .id = WOK__OP_attention_mask, .name = "attention_mask", .min_in = 4, .max_in = 4, .nout = 1,
    .attr_size = sizeof(wok__attr_attention_mask), .flags = WOK__OP_RANDOM | WOK__OP_CHEAP,
    .infer = infer_mask, .vjp = mask_vjp, .cases = mask_cases, .ncases = WOK__COUNT(mask_cases),
    .doc = "the factors 0 or 1/(1-p) of attention's dropout (for its expansion)",
};
