/* Biases of attention's scores by distance: tables over buckets (T5, Shaw, NEZHA) and slopes (ALiBi). Whatever the rule, the
   kernels see a list of buckets by distance, which is made here once. */
#include <math.h>
#include "ops/attention.h"

enum { USUAL_REACH = 128, MOST_REACH = 1 << 24 };

/* T5's bucket of n keys back (or, of the other half, ahead): n itself below the half of them, then by the logarithm. */
static int64_t t5_bucket(int64_t n, int64_t buckets, int64_t reach) {
  int64_t exact = buckets / 2;
  if (n < exact) return n;
  double steps = log((double)n / (double)exact) / log((double)reach / (double)exact) * (double)(buckets - exact);
  /* where the quotient is a whole number, rounding must not make it less */
  return WOK__MIN(exact + (int64_t)floor(steps + 1e-9), buckets - 1);
}
static int64_t t5(int64_t distance, int64_t buckets, int64_t reach) {
  int64_t half = buckets / 2;
  return (distance > 0 ? half : 0) + t5_bucket(distance < 0 ? -distance : distance, half, reach);
}
static int64_t t5_causal(int64_t distance, int64_t buckets, int64_t reach) {
  return t5_bucket(WOK__MAX(-distance, 0), buckets, reach);
}
static int64_t clipped(int64_t distance, int64_t buckets, int64_t reach) {
  (void)buckets;
  return distance + reach;
}

static const struct rule {
  int64_t (*bucket)(int64_t distance, int64_t buckets, int64_t reach);
  int64_t multiple, least, exact; /* of how many the buckets are a multiple; the least of them; one in how many is exact */
} rules[WOK_BUCKETS_COUNT] = {
    [WOK_BUCKETS_T5] = {t5, 2, 4, 4},
    [WOK_BUCKETS_T5_CAUSAL] = {t5_causal, 1, 2, 2},
    [WOK_BUCKETS_CLIPPED] = {clipped, 1, 1, 1},
};

/* bucket[R + d] for the distances d from -R to R; poison when the options do not fit the table. */
static wok_val *bucket_list(wok_graph *g, const wok_attention_opts *o, int64_t buckets) {
  if ((unsigned)o->buckets >= WOK_BUCKETS_COUNT) return wok__poison(g, WOK_INVALID, "attention: no buckets number %d", (int)o->buckets);
  const struct rule *r = &rules[o->buckets];
  int64_t reach = o->max_distance ? o->max_distance : USUAL_REACH;
  if (o->buckets == WOK_BUCKETS_CLIPPED) {
    if (buckets % 2 == 0)
      return wok__poison(g, WOK_SHAPE, "attention: %lld clipped distances, they must be 2c + 1", (long long)buckets);
    reach = buckets / 2;
  } else if (buckets < r->least || buckets % r->multiple) {
    return wok__poison(g, WOK_SHAPE, "attention: a table of %lld buckets, T5's are %lld or more, a multiple of %lld",
                       (long long)buckets, (long long)r->least, (long long)r->multiple);
  } else if (reach <= buckets / r->exact || reach > MOST_REACH) {
    return wok__poison(g, WOK_INVALID, "attention: max_distance is %lld, not above %lld (the distances with buckets of their own) and at most %d",
                       (long long)reach, (long long)(buckets / r->exact), MOST_REACH);
  }
  int64_t count = 2 * reach + 1;
  int32_t *list = wok__malloc(count * (int64_t)sizeof *list);
  if (!list) return wok__poison(g, WOK_NOMEM, "attention: no memory for %lld distances", (long long)count);
  for (int64_t d = -reach; d <= reach; d++) list[reach + d] = (int32_t)r->bucket(d, buckets, reach);
  wok_val *v = wok_const(g, WOK_I32, WOK_SHAPE(count), list);
  wok__free(list);
  return v;
}

int wok__bias_operands(wok_graph *g, const wok_attention_opts *o, int64_t heads, wok_dtype t, wok_val **operands) {
  if (!o->table && !o->slope) return 0;
  if (!o->pos_q || !o->pos_k) {
    wok__poison(g, WOK_INVALID, "attention: a bias needs pos_q and pos_k: distances are differences of positions, never of indices");
    return -1;
  }
  operands[0] = o->pos_q;
  operands[1] = o->pos_k;
  operands[2] = wok_full(g, WOK_I32, WOK_SHAPE(0), 0);
  operands[3] = o->table ? o->table : wok_full(g, t, WOK_SHAPE(0, heads), 0);
  operands[4] = o->slope ? o->slope : wok_full(g, t, WOK_SHAPE(0), 0);
  if (o->table && o->table->shape.ndim == 2) operands[2] = bucket_list(g, o, o->table->shape.dim[0]);
  return WOK__BIAS_OPERANDS;
}

bool wok__bias_good(wok__node *n, int i, int64_t rows, int64_t keys, int64_t heads, wok_dtype t) {
  const wok_shape *bucket = &n->in[i + 2]->shape, *table = &n->in[i + 3]->shape, *slope = &n->in[i + 4]->shape;
  if (table->ndim != 2) return wok__node_fail(n, "table has %d dimensions, it must be [buckets, heads]", table->ndim);
  bool tabled = table->dim[0] > 0, sloped = slope->ndim != 1 || slope->dim[0] > 0;
  if (bucket->ndim != 1 || bucket->dim[0] % 2 != (tabled ? 1 : 0))
    return wok__node_fail(n, "a table of %lld buckets does not go with these distances", (long long)table->dim[0]);
  return wok__fused_want(n, i, "pos_q", WOK_I32, WOK_SHAPE(rows)) && wok__fused_want(n, i + 1, "pos_k", WOK_I32, WOK_SHAPE(keys)) &&
         wok__fused_want(n, i + 2, "bucket", WOK_I32, *bucket) &&
         wok__fused_want(n, i + 3, "table", t, WOK_SHAPE(table->dim[0], heads)) &&
         wok__fused_want(n, i + 4, "slope", t, WOK_SHAPE(sloped ? heads : 0));
}

/* ---- in primitives ---- */
static bool empty(const wok_val *v) { return wok__shape_count(&v->shape) == 0; }

wok__bias wok__bias_of(wok_val *const *operands, wok_val *pos_q) {
  wok_graph *g = pos_q->g;
  wok__bias b = {0};
  wok_val *table = operands[3], *slope = operands[4], *pos_k = operands[1];
  int64_t rows = pos_q->shape.dim[0], keys = pos_k->shape.dim[0];
  wok_val *distance = wok_sub(wok_reshape(wok_cast(pos_k, WOK_F64), WOK_SHAPE(1, keys)),
                              wok_reshape(wok_cast(pos_q, WOK_F64), WOK_SHAPE(rows, 1)));
  if (!empty(table)) {
    b.bucket = operands[2], b.table = table;
    const int64_t far = b.bucket->shape.dim[0] / 2; /* buckets of -far .. far */
    double reach = (double)far;
    wok_val *low = wok_full(g, WOK_F64, WOK_SHAPE0, -reach), *high = wok_full(g, WOK_F64, WOK_SHAPE0, reach);
    b.at = wok_cast(wok_offset(wok_minimum(wok_maximum(distance, low), high), reach), WOK_I32);
  }
  if (!empty(slope)) {
    b.slope = slope;
    b.far = wok_cast(wok_abs(distance), slope->dtype);
  }
  return b;
}

wok_val *wok__bias_added(const wok__bias *b, wok_val *score) {
  if (b->table) {
    wok_val *by_distance = wok_gather(b->table, b->bucket); /* [2R+1, H] */
    score = wok_add(score, wok_permute(wok_gather(by_distance, b->at), (const int[]){2, 0, 1}));
  }
  if (b->slope) score = wok_sub(score, wok_mul(wok_reshape(b->slope, WOK_SHAPE(-1, 1, 1)), b->far));
  return score;
}

wok_val *wok__bias_table_grad(const wok__bias *b, wok_val *ds) {
  wok_val *by_distance = wok_scatter_add(wok_permute(ds, (const int[]){1, 2, 0}), b->at, b->bucket->shape.dim[0]);
  return wok_scatter_add(by_distance, b->bucket, b->table->shape.dim[0]);
}

wok_val *wok__bias_slope_grad(const wok__bias *b, wok_val *ds) {
  wok_val *heads = wok_mul(ds, b->far);
  return wok_neg(wok_sum_axis(wok_sum_axis(heads, 2, false), 1, false));
}
