/* The attention block: one product for q, k and v, rotation, cache, attention, output projection. */
#include <math.h>
#include "graph/graph.h"
#include "nn/nn.h"

wok_val *wok__nn_rope_freq(wok__scope *s, double theta, int64_t rotary) {
  if (s->freq.value && s->freq.theta == theta && s->freq.rotary == rotary) return s->freq.value;
  int64_t n = rotary / 2;
  double *f64 = wok__malloc(n * (int64_t)sizeof *f64);
  float *f32 = wok__malloc(n * (int64_t)sizeof *f32);
  if (f64 && f32) {
    for (int64_t i = 0; i < n; i++) {
      f64[i] = pow(theta, -2.0 * (double)i / (double)rotary);
      f32[i] = (float)f64[i];
    }
    s->freq.value = wok_const(s->g, s->dtype, WOK_SHAPE(n), s->dtype == WOK_F64 ? (void *)f64 : (void *)f32);
    s->freq.theta = theta;
    s->freq.rotary = rotary;
  } else {
    s->freq.value = wok__poison(s->g, WOK_NOMEM, "out of memory");
  }
  wok__free(f64);
  wok__free(f32);
  return s->freq.value;
}

/* Columns [from, from + heads * dim) of x as [T, heads, dim]. */
static wok_val *heads_of(wok_val *x, int64_t from, int64_t heads, int64_t dim) {
  return wok_reshape(wok_slice(x, 1, from, from + heads * dim), WOK_SHAPE(-1, heads, dim));
}

wok_val *wok__nn_attention(wok__scope *s, wok_val *x, const void *attn_arg) {
  const wok__attn_arg *a = attn_arg;
  const wok_block *b = a->block;
  const wok_batch *in = a->batch;
  int64_t d = b->head_dim, nq = b->heads * d, nk = b->kv_heads * d;
  const wok__linear_spec joint = {a->hidden, nq + 2 * nk, nq, b->attention_bias, a->std};
  wok_val *qkv = wok__nn_linear(s, "qkv", x, &joint);
  wok_val *q = heads_of(qkv, 0, b->heads, d);
  wok_val *k = heads_of(qkv, nq, b->kv_heads, d);
  wok_val *v = heads_of(qkv, nq + nk, b->kv_heads, d);
  if (b->rope) {
    wok_val *freq = wok__nn_rope_freq(s, b->rope_theta, b->rotary_dim ? b->rotary_dim : d);
    q = wok_rope(q, in->pos, freq, b->rope_interleaved);
    k = wok_rope(k, in->pos, freq, b->rope_interleaved);
  }
  if (a->keys) {
    wok_shape rows = WOK_SHAPE(a->cache_rows, b->kv_heads, d);
    wok_dtype own = wok_val_dtype(k); /* the cache may hold bf16 */
    k = wok_cast(wok_store_rows(a->keys, 0, rows, in->cache_row, wok_cast(k, a->keys->dtype)), own);
    v = wok_cast(wok_store_rows(a->values, 0, rows, in->cache_row, wok_cast(v, a->values->dtype)), own);
  }
  const wok_attention_opts o = {.scale = b->attention_scale,
                                .dropout = in->training ? b->attention_dropout : 0,
                                .seq = in->seq,
                                .row = in->row};
  wok_val *y = wok_attention(q, k, v, in->lo, in->hi, &o);
  y = wok_reshape(y, WOK_SHAPE(-1, nq));
  return wok__nn_linear(s, "o", y, &(wok__linear_spec){nq, a->hidden, 0, b->attention_bias, a->out_std});
}
