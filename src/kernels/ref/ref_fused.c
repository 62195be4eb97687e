/* Reference kernels of the fused operators. They define the results: serial, naive, formula by formula. Whatever the type in
   memory (REAL), all arithmetic is in double and is rounded once, when a result is written. */
#include <math.h>
#include "kernels/kernel.h"

static int64_t last_of(const wok__arr *a) { return a->shape.dim[a->shape.ndim - 1]; }
static int64_t rows_of(const wok__arr *a) {
  int64_t rows = 1;
  for (int i = 0; i + 1 < a->shape.ndim; i++) rows *= a->shape.dim[i];
  return rows;
}
/* Output i is read by somebody. */
static bool wanted(const wok__kcall *k, int i) {
  return i < k->nout && !(k->unused >> i & 1u) && k->out[i].data;
}

/* Dropout: one subkey per operator and run; the factor 0 or 1/(1-p) of the element with this counter. */
typedef struct coin {
  uint32_t key[2];
  uint64_t threshold;
  double kept;
} coin;

static coin coin_of(const wok__kcall *k, double p, uint32_t stream) {
  uint64_t key = wok__philox_subkey(k->seed, k->tick, stream);
  return (coin){{(uint32_t)key, (uint32_t)(key >> 32)}, (uint64_t)(p * 0x1p32), 1 / (1 - p)};
}
static double factor_at(const coin *c, uint32_t c0, uint32_t c1, uint32_t c2, uint32_t c3, int64_t lane) {
  uint32_t u[4];
  wok__philox((const uint32_t[4]){c0, c1, c2, c3}, c->key, u);
  return u[lane] >= c->threshold ? c->kept : 0;
}

/* ---- attention's bias: the five operands of kernels/attrs.h, or none ---- */
typedef struct distance_bias {
  const int32_t *pos_q, *pos_k, *bucket; /* pos_q NULL: no bias */
  const void *table, *slope;             /* slope NULL: none */
  int64_t reach, heads, entries;         /* reach -1: no table */
} distance_bias;

static distance_bias bias_of(const wok__arr *in, bool present) {
  if (!present) return (distance_bias){.reach = -1};
  return (distance_bias){.pos_q = in[0].data, .pos_k = in[1].data, .bucket = in[2].data, .table = in[3].data,
                         .slope = in[4].shape.dim[0] ? in[4].data : NULL,
                         .reach = in[3].shape.dim[0] ? in[2].shape.dim[0] / 2 : -1, .heads = in[3].shape.dim[1],
                         .entries = wok__shape_count(&in[3].shape)};
}
static int64_t distance_of(const distance_bias *b, int64_t i, int64_t j) { return (int64_t)b->pos_k[j] - b->pos_q[i]; }
static int64_t place_of(const distance_bias *b, int64_t i, int64_t j) {
  return b->reach + WOK__MIN(WOK__MAX(distance_of(b, i, j), -b->reach), b->reach);
}
static double far_of(const distance_bias *b, int64_t i, int64_t j) { return fabs((double)distance_of(b, i, j)); }

/* log of the sum of the exponentials of z[0..n); -inf when there are none. */
static double log_sum_exp(const double *z, int64_t n) {
  double max = -INFINITY, sum = 0;
  for (int64_t i = 0; i < n; i++) max = z[i] > max ? z[i] : max;
  for (int64_t i = 0; i < n; i++) sum += exp(z[i] - max);
  return n > 0 ? max + log(sum) : -INFINITY;
}

/* ---- activations: {f, f'} by wok_act ---- */
static const double SQRT_HALF = 0.70710678118654752440, SQRT_2_OVER_PI = 0.79788456080286535588,
                    INV_SQRT_2PI = 0.39894228040143267794, GELU_CUBIC = 0.044715;

static double gelu_tanh(double x) { return 0.5 * x * (1 + tanh(SQRT_2_OVER_PI * (x + GELU_CUBIC * x * x * x))); }
static double gelu_tanh_slope(double x) {
  double t = tanh(SQRT_2_OVER_PI * (x + GELU_CUBIC * x * x * x));
  return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * SQRT_2_OVER_PI * (1 + 3 * GELU_CUBIC * x * x);
}
static double normal_cdf(double x) { return 0.5 * erfc(-x * SQRT_HALF); }
static double gelu_erf(double x) { return x * normal_cdf(x); }
static double gelu_erf_slope(double x) { return normal_cdf(x) + x * INV_SQRT_2PI * exp(-0.5 * x * x); }
static double silu(double x) { return x / (1 + exp(-x)); }
static double silu_slope(double x) {
  double s = 1 / (1 + exp(-x));
  return s * (1 + x * (1 - s));
}
static double relu(double x) { return x <= 0 ? 0 : x; }
static double relu_slope(double x) { return x <= 0 ? 0 : 1; }

static const struct act_row {
  double (*f)(double x), (*slope)(double x);
} acts[WOK_ACT_COUNT] = {
    [WOK_ACT_GELU_TANH] = {gelu_tanh, gelu_tanh_slope},
    [WOK_ACT_GELU_ERF] = {gelu_erf, gelu_erf_slope},
    [WOK_ACT_SILU] = {silu, silu_slope},
    [WOK_ACT_RELU] = {relu, relu_slope},
};
static const struct act_row *act_of(const wok__kcall *k) { return &acts[((const wok__attr_act *)k->attr)->act]; }

/* ---- scratch: doubles ---- */
static int64_t scratch_attention(const wok__kdesc *d, int threads) { /* the scores of one row */
  (void)threads;
  return d->in[1].shape.dim[0] * (int64_t)sizeof(double);
}
static int64_t scratch_attention_bwd(const wok__kdesc *d, int threads) { /* one row of dS, dk and dv of one head of k, dtable, dslope */
  (void)threads;
  int64_t keys = d->in[2].shape.dim[0], bias = d->in[1].shape.dim[1] + (d->nin > 10 ? wok__shape_count(&d->in[13].shape) : 0);
  return (keys * (1 + d->in[2].shape.dim[2] + d->in[3].shape.dim[2]) + bias) * (int64_t)sizeof(double);
}
static int64_t scratch_xent(const wok__kdesc *d, int threads) { /* one row of logits */
  (void)threads;
  return d->in[0].shape.dim[1] * (int64_t)sizeof(double);
}
static int64_t scratch_linear_xent(const wok__kdesc *d, int threads) { /* one row of logits */
  (void)threads;
  return d->in[1].shape.dim[0] * (int64_t)sizeof(double);
}
static int64_t scratch_head_grad(const wok__kdesc *d, int threads) { /* lse; one row of logits; one row of dx or dw */
  (void)threads;
  return (d->in[1].shape.dim[0] + d->in[2].shape.dim[0] + d->in[2].shape.dim[1]) * (int64_t)sizeof(double);
}

#define REAL float
#define NAME(x) x##_f32
#include "kernels/ref/fused_rows.inc"
#include "kernels/ref/fused_elements.inc"
#include "kernels/ref/fused_attention.inc"
#include "kernels/ref/fused_xent.inc"
#undef REAL
#undef NAME
#define REAL double
#define NAME(x) x##_f64
#include "kernels/ref/fused_rows.inc"
#include "kernels/ref/fused_elements.inc"
#include "kernels/ref/fused_attention.inc"
#include "kernels/ref/fused_xent.inc"
#undef REAL
#undef NAME

/* X(operator, outputs that may be accumulated into, scratch) */
#define KERNELS(X)                                                                                           \
  X(softmax, 0, NULL)                                                                                        \
  X(softmax_bwd, 0, NULL)                                                                                    \
  X(log_softmax, 0, NULL)                                                                                    \
  X(log_softmax_bwd, 0, NULL)                                                                                \
  X(layer_norm, 0, NULL)                                                                                     \
  X(layer_norm_bwd, 2 | 4, NULL)                                                                             \
  X(rms_norm, 0, NULL)                                                                                       \
  X(rms_norm_bwd, 2, NULL)                                                                                   \
  X(activation, 0, NULL)                                                                                     \
  X(activation_bwd, 0, NULL)                                                                                 \
  X(gated, 0, NULL)                                                                                          \
  X(gated_bwd, 0, NULL)                                                                                      \
  X(dropout, 0, NULL)                                                                                        \
  X(rope, 0, NULL)                                                                                           \
  X(attention, 0, scratch_attention)                                                                         \
  X(attention_bwd, 8 | 16, scratch_attention_bwd)                                                            \
  X(attention_mask, 0, NULL)                                                                                 \
  X(xent, 0, scratch_xent)                                                                                   \
  X(xent_bwd, 0, NULL)                                                                                       \
  X(linear_xent, 0, scratch_linear_xent)                                                                     \
  X(linear_xent_bwd, 2 | 4, scratch_head_grad)                                                               \
  X(linear_xent_both, 8 | 16, scratch_head_grad)

static const wok__kernel rows[] = {
#define ROW(o, a, s) {.name = "ref", .op = WOK__OP_##o, .dtype = WOK_F32, .can_accumulate = a, .scratch = s, .run = o##_f32},
    KERNELS(ROW)
#undef ROW
#define ROW(o, a, s) {.name = "ref", .op = WOK__OP_##o, .dtype = WOK_F64, .can_accumulate = a, .scratch = s, .run = o##_f64},
    KERNELS(ROW)
#undef ROW
};
const wok__kernel_table wok__kernels_ref_fused = {rows, WOK__COUNT(rows)};
