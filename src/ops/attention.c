/* Attention over packed rows, every mask being one interval [lo, hi) of keys per query (DESIGN 8, spec 02 1).
 *
 * The expansion into primitives cannot know the intervals, which are data: it forms all scores of a block of queries against
 * all keys, [H, block, Tk], and masks. All queries are one block while H Tq Tk <= 2^26; beyond that a block is 128 queries, so
 * that no single value exceeds H * 128 * Tk elements. A row that sees nothing gives exactly zeros, and zero gradients: its
 * scores are replaced by a constant, its exponentials by zeros, and its sum by one. */
#include <math.h>
#include "ops/attention.h"
#include "ops/primitive.h"

enum { BLOCK_ROWS = 128, OPERANDS = 7, BWD_OPERANDS = 10 }; /* without a bias's */
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
/* A factor of a query's scores is one of the query. */
static wok_val *scaled_rows(wok_val *q, wok_val *scales) {
  wok_graph *g = q->g;
  if (wok_is_poison(q) || wok_is_poison(scales) || q->shape.ndim != 3) return q;
  wok_shape rows = WOK_SHAPE(q->shape.dim[0]);
  if (scales->dtype != q->dtype || !wok__shape_eq(&scales->shape, &rows)) {
    char have[WOK__SHAPE_TEXT], want[WOK__SHAPE_TEXT];
    return wok__poison(g, WOK_SHAPE, "attention: scales is %s, not %s", wok__shape_text(have, sizeof have, scales->dtype, &scales->shape),
                       wok__shape_text(want, sizeof want, q->dtype, &rows));
  }
  return wok_mul(q, wok_reshape(scales, WOK_SHAPE(-1, 1, 1)));
}

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
  if (o->scales) q = scaled_rows(q, o->scales);
  wok_val *in[OPERANDS + WOK__BIAS_OPERANDS] = {q, k, v, lo, hi, seq, row};
  int bias = wok__bias_operands(g, o, q->shape.ndim == 3 ? q->shape.dim[1] : 0, q->dtype, in + OPERANDS);
  return bias < 0 ? wok__poison_of(g) : wok__emit(g, WOK__OP_attention, in, OPERANDS + bias, &attr, NULL);
}

/* q, k, v from input i on, then lo, hi, seq, row; a bias's from input `bias` on, if there are so many. */
static bool good_operands(wok__node *n, int i, int bias) {
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
  if (n->nin == bias) return true;
  if (n->nin != bias + WOK__BIAS_OPERANDS) return wok__node_fail(n, "%d operands", n->nin);
  return wok__bias_good(n, bias, z.rows, z.keys, z.heads, t);
}

static bool infer(wok__node *n) {
  if (!good_operands(n, 0, OPERANDS)) return false;
  sizes z = sizes_of(n->in);
  wok__out(n, 0, n->in[0]->dtype, WOK_SHAPE(z.rows, z.heads, z.vsize));
  wok__out(n, 1, n->in[0]->dtype, WOK_SHAPE(z.rows, z.heads));
  return true;
}

static bool infer_bwd(wok__node *n) {
  if (!good_operands(n, 1, BWD_OPERANDS)) return false;
  sizes z = sizes_of(n->in + 1);
  wok_dtype t = n->in[1]->dtype;
  if (!wok__fused_want(n, 0, "do", t, WOK_SHAPE(z.rows, z.heads, z.vsize)) ||
      !wok__fused_want(n, 8, "o", t, WOK_SHAPE(z.rows, z.heads, z.vsize)) ||
      !wok__fused_want(n, 9, "lse", t, WOK_SHAPE(z.rows, z.heads)))
    return false;
  for (int i = 0; i < 3; i++) wok__out(n, i, t, n->in[i + 1]->shape);
  for (int i = 0; i < 2; i++) /* of the table and the slopes */
    wok__out(n, 3 + i, t, n->nin > BWD_OPERANDS ? n->in[BWD_OPERANDS + 3 + i]->shape : WOK_SHAPE(0));
  return true;
}

static wok__node *emit_bwd(wok_graph *g, wok_val *d_out, wok__node *n) {
  wok_val *in[BWD_OPERANDS + WOK__BIAS_OPERANDS] = {d_out};
  wok__node *bwd;
  for (int i = 0; i < OPERANDS; i++) in[1 + i] = n->in[i];
  in[8] = &n->out[0];
  in[9] = &n->out[1];
  for (int i = OPERANDS; i < n->nin; i++) in[BWD_OPERANDS + i - OPERANDS] = n->in[i];
  wok__emit(g, WOK__OP_attention_bwd, in, BWD_OPERANDS + n->nin - OPERANDS, n->attr, &bwd);
  return bwd;
}

static void vjp(wok_graph *g, wok__node *n, wok_val *const *ct, const bool *need, wok_val **dx) {
  wok__node *bwd = emit_bwd(g, ct[0], n);
  wok__fused_partials(g, bwd, 3, need, dx);
  for (int i = OPERANDS + 3; i < n->nin; i++) dx[i] = need[i] ? wok__fused_out(g, bwd, i - OPERANDS) : NULL;
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
  wok__bias bias;
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

/* in: q, k, v, lo, hi, seq, row; bias: its operands, NULL without. */
static block block_of(wok_graph *g, wok_val *const *in, wok_val *const *bias, const wok__attr_attention *attr, int64_t first,
                      int64_t rows) {
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
  if (bias) {
    b.bias = wok__bias_of(bias, rows_of(bias[0], first, rows));
    score = wok__bias_added(&b.bias, score);
  }
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

static wok_val *plus(wok_val *sum, wok_val *part) { return sum ? wok_add(sum, part) : part; }
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
    block b = block_of(g, n->in, n->nin > OPERANDS ? n->in + OPERANDS : NULL, attr_of(n), i * step,
                       WOK__MIN(step, z.rows - i * step));
    parts[i] = by_row(wok_matmul(per_group(&b, dropped(&b, b.p), z.keys), b.v, false, false), b.rows);
  }
  out[0] = joined(parts, (int)count);
}

static void expand_bwd(wok_graph *g, wok__node *n, wok_val **out) {
  sizes z = sizes_of(n->in + 1);
  if (z.rows == 0 || z.keys == 0) {
    for (int i = 0; i < n->nout; i++) out[i] = wok__like(&n->out[i], 0);
    return;
  }
  int64_t step = block_rows(&z), count = (z.rows + step - 1) / step;
  wok_val **dq = wok__new(wok__graph_arena(g), wok_val *, count), *dk = NULL, *dv = NULL, *table = NULL, *slope = NULL;
  if (!dq) {
    wok__poison(g, WOK_NOMEM, "attention_bwd: no memory for %lld blocks of queries", (long long)count);
    for (int i = 0; i < n->nout; i++) out[i] = wok__poison_of(g);
    return;
  }
  for (int64_t i = 0; i < count; i++) {
    block b = block_of(g, n->in + 1, n->nin > BWD_OPERANDS ? n->in + BWD_OPERANDS : NULL, attr_of(n), i * step,
                       WOK__MIN(step, z.rows - i * step));
    wok_val *d_out = by_group(rows_of(n->in[0], b.first, b.rows), z.groups);
    wok_val *dp = dropped(&b, per_head(&b, wok_matmul(d_out, b.v, false, true), z.keys));
    wok_val *along = wok__fused_sum_last(wok_mul(b.p, dp));
    wok_val *d_score = wok_mul(b.p, wok_sub(dp, along)), *ds = per_group(&b, wok_scale(d_score, attr_of(n)->scale), z.keys);
    wok_val *used = per_group(&b, dropped(&b, b.p), z.keys);
    wok_val *dk_part = wok_matmul(ds, b.q, true, false), *dv_part = wok_matmul(used, d_out, true, false);
    dq[i] = by_row(wok_matmul(ds, b.k, false, false), b.rows);
    dk = plus(dk, dk_part);
    dv = plus(dv, dv_part);
    if (b.bias.table) table = plus(table, wok__bias_table_grad(&b.bias, d_score));
    if (b.bias.slope) slope = plus(slope, wok__bias_slope_grad(&b.bias, d_score));
  }
  out[0] = joined(dq, (int)count);
  out[1] = by_row(dk, z.keys);
  out[2] = by_row(dv, z.keys);
  out[3] = table ? table : wok__like(&n->out[3], 0);
  out[4] = slope ? slope : wok__like(&n->out[4], 0);
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

/* Biases: in[3] is a table, in[4] slopes. Positions of the ragged layout's 6 queries and 7 keys: with gaps, shuffled, equal. */
static const int32_t ragged_pos_q[] = {0, 3, 4, 0, 900, 2}, ragged_pos_k[] = {0, 1, 2, 40, 3, -7, 4};
static wok_val *attend_biased(wok_graph *g, wok_val *const *in, wok_buckets buckets, double dropout) {
  wok_attention_opts o = {.scale = 0.7, .dropout = dropout, .stream = 5, .seq = index_of(g, &ragged, ragged_seq),
                          .row = index_of(g, &ragged, ragged_row), .pos_q = wok_const(g, WOK_I32, WOK_SHAPE(6), ragged_pos_q),
                          .pos_k = wok_const(g, WOK_I32, WOK_SHAPE(7), ragged_pos_k), .table = in[3], .slope = in[4],
                          .buckets = buckets, .max_distance = 20};
  return wok_attention(in[0], in[1], in[2], index_of(g, &ragged, ragged_lo), index_of(g, &ragged, ragged_hi), &o);
}
static int build_t5(wok_graph *g, wok_val *const *in, wok_val **out) {
  out[0] = attend_biased(g, (wok_val *[]){in[0], in[1], in[2], in[3], NULL}, WOK_BUCKETS_T5, 0);
  return 1;
}
static int build_t5_causal(wok_graph *g, wok_val *const *in, wok_val **out) {
  out[0] = attend_biased(g, (wok_val *[]){in[0], in[1], in[2], in[3], NULL}, WOK_BUCKETS_T5_CAUSAL, 0.4);
  return 1;
}
static int build_clipped(wok_graph *g, wok_val *const *in, wok_val **out) {
  out[0] = attend_biased(g, in, WOK_BUCKETS_CLIPPED, 0);
  return 1;
}
static int build_sloped(wok_graph *g, wok_val *const *in, wok_val **out) {
  out[0] = attend_biased(g, (wok_val *[]){in[0], in[1], in[2], NULL, in[3]}, 0, 0.4);
  return 1;
}
/* One document, positions the indices: in order, as kernels may have it easier. */
static int build_in_order(wok_graph *g, wok_val *const *in, wok_val **out) {
  int64_t rows = in[0]->shape.ndim ? in[0]->shape.dim[0] : 0;
  wok_val *at = wok_iota(g, WOK_I32, WOK_SHAPE(rows), 0);
  wok_attention_opts o = {.scales = in[3], .pos_q = at, .pos_k = at, .table = in[4], .slope = in[5], .buckets = WOK_BUCKETS_T5_CAUSAL};
  out[0] = wok_attention(in[0], in[1], in[2], wok_full(g, WOK_I32, WOK_SHAPE(rows), 0),
                         wok_iota(g, WOK_I32, WOK_SHAPE(rows), 0), &o);
  return 1;
}

static int backward_of(wok_graph *g, wok_val *d_out, wok_val *o, wok_val **out) {
  wok__node *bwd = o->node ? emit_bwd(g, d_out, o->node) : NULL;
  int count = o->node && o->node->nin > OPERANDS ? 5 : 3;
  for (int i = 0; i < count; i++) out[i] = wok__fused_out(g, bwd, i);
  return count;
}
static int build_biased_bwd(wok_graph *g, wok_val *const *in, wok_val **out) {
  return backward_of(g, in[0], attend_biased(g, in + 1, WOK_BUCKETS_T5, 0.4), out);
}
static int build_in_order_bwd(wok_graph *g, wok_val *const *in, wok_val **out) {
  wok_val *o;
  build_in_order(g, in + 1, &o);
  return backward_of(g, in[0], o, out);
}

static int build_bwd(wok_graph *g, wok_val *const *in, wok_val **out, const layout *l, double dropout) {
  return backward_of(g, in[0], attend(g, in + 1, l, 0, dropout), out);
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
    {"f[6,4,3] f[7,2,3] f[7,2,5] f[8,4]", build_t5, "f[6,4,3] f[7,2,3] f[7,2,5] f[7,4]", "a table of 7 buckets, T5's are 4 or more"},
    {"f[6,4,3] f[7,2,3] f[7,2,5] f[8,4]", build_t5_causal, "f[6,4,3] f[7,2,3] f[7,2,5] f[60,4]", "max_distance is 20, not above 30"},
    {"f[6,4,3] f[7,2,3] f[7,2,5] f[7,4] f[4]", build_clipped, "f[6,4,3] f[7,2,3] f[7,2,5] f[6,4] f[4]", "6 clipped distances"},
    {"f[6,4,3] f[7,2,3] f[7,2,5] f[4]", build_sloped, "f[6,4,3] f[7,2,3] f[7,2,5] f[3]", "slope has sizes [3], not [4]"},
    {"f[9,2,3] f[9,1,3] f[9,1,2] p[9] f[6,2] f[2]", build_in_order, "f[9,2,3] f[9,1,3] f[9,1,2] p[8] f[6,2] f[2]",
     "scales is f32[8], not f32[9]"},
    {"f[6,4,3] f[7,2,3] f[7,2,5] f[9,4] f[4]", build_clipped, "f[6,4,3] f[7,2,3] f[7,2,5] f[9,3] f[4]", "table has sizes [9,3], not [9,4]"},
};
static const wok__op_case bwd_cases[] = {
    {"f[6,2,4] f[6,2,4] f[6,2,4] f[6,2,4]", build_causal_bwd, "f[6,2,3] f[6,2,4] f[6,2,4] f[6,2,4]",
     "do has sizes [6,2,3], not [6,2,4]"},
    {"f[6,4,5] f[6,4,3] f[7,2,3] f[7,2,5]", build_ragged_bwd, NULL, NULL},
    {"f[6,4,5] f[6,4,3] f[7,2,3] f[7,2,5]", build_dropped_bwd, NULL, NULL},
    {"f[6,3,17] f[6,3,8] f[6,1,8] f[6,1,17]", build_causal_bwd, NULL, NULL},
    {"f[6,4,5] f[6,4,3] f[7,2,3] f[7,2,5] f[8,4] f[4]", build_biased_bwd, NULL, NULL},
    {"f[9,2,2] f[9,2,3] f[9,1,3] f[9,1,2] p[9] f[6,2] f[2]", build_in_order_bwd, NULL, NULL},
};
static const wok__op_case mask_cases[] = {{"f[1]", build_mask, "i<3[1]", "i32 of 4 heads and 7 keys"}};

const wok__op wok__op_attention = {
    .id = WOK__OP_attention, .name = "attention", .min_in = OPERANDS, .max_in = OPERANDS + WOK__BIAS_OPERANDS, .nout = 2, .saved = 1,
    .attr_size = sizeof(wok__attr_attention), .flags = WOK__OP_RANDOM,
    .infer = infer, .vjp = vjp, .expand = expand, .flops = flops,
    .cases = cases, .ncases = WOK__COUNT(cases),
    .doc = "softmax(scale q k^T + bias) v over the keys lo <= j < hi of each query",
};
const wok__op wok__op_attention_bwd = {
    .id = WOK__OP_attention_bwd, .name = "attention_bwd", .min_in = BWD_OPERANDS, .max_in = BWD_OPERANDS + WOK__BIAS_OPERANDS, .nout = 5,
    .attr_size = sizeof(wok__attr_attention), .flags = WOK__OP_RANDOM,
    .infer = infer_bwd, .expand = expand_bwd, .flops = flops_bwd,
    .cases = bwd_cases, .ncases = WOK__COUNT(bwd_cases),
    .doc = "gradients of attention with respect to q, k, v, and a bias's table and slopes",
};
const wok__op wok__op_attention_mask = {
    .id = WOK__OP_attention_mask, .name = "attention_mask", .min_in = 4, .max_in = 4, .nout = 1,
    .attr_size = sizeof(wok__attr_attention_mask), .flags = WOK__OP_RANDOM | WOK__OP_CHEAP,
    .infer = infer_mask, .vjp = wok__vjp_none, .cases = mask_cases, .ncases = WOK__COUNT(mask_cases),
    .doc = "the factors 0 or 1/(1-p) of attention's dropout (for its expansion)",
};
