/* The reference kernels of the fused operators, called directly: against what PyTorch computes (fused_golden.inc, made by
   tests/golden/make_fused.py), their gradients against central differences of their forward in f64, in place against out of
   place, accumulating against writing. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "graph/graph.h"
#include "kernels/kernel.h"
#include "fused_golden.inc"

enum { MAX_ARGS = 10 };
static const uint64_t RUN_SEED = 12345678901u, RUN_TICK = 42; /* as in make_fused.py */

static wok_ctx *ctx;

/* An operand: numbers given, or made from a seed; integers when `ints` is there; f32 in every run when `fixed` is. */
typedef struct arg {
  wok_shape shape;
  int seed;
  const double *values;
  const int32_t *ints;
  const float *fixed;
} arg;
#define S(...) {(int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), {__VA_ARGS__}}
#define MADE(seed_, ...) {.shape = S(__VA_ARGS__), .seed = seed_}
#define GIVEN(values_, ...) {.shape = S(__VA_ARGS__), .values = values_}
#define INTS(ints_, ...) {.shape = S(__VA_ARGS__), .ints = ints_}
#define FIXED(fixed_, ...) {.shape = S(__VA_ARGS__), .fixed = fixed_}

/* Multiples of 1/16: exact in every type; make_fused.py has the same function. */
static double filled(int seed, int64_t i) { return (double)((i * 37 + seed * 11) % 61 - 30) / 16; }

static void *room(int64_t bytes) {
  void *p = malloc((size_t)bytes + 64);
  assert_non_null(p);
  memset(p, 0xff, (size_t)bytes + 64); /* NaN: what is read without having been written shows */
  return p;
}

static double get(const wok__arr *a, int64_t i) {
  return a->dtype == WOK_F64 ? ((double *)a->data)[i] : (double)((float *)a->data)[i];
}
static void set(const wok__arr *a, int64_t i, double v) {
  if (a->dtype == WOK_F64) ((double *)a->data)[i] = v;
  else ((float *)a->data)[i] = (float)v;
}

static wok__arr made(wok_dtype t, const wok_shape *s) {
  return (wok__arr){t, *s, room(wok__bytes(t, s))};
}
static wok__arr input(wok_dtype t, const arg *a) {
  wok__arr r = made(a->ints ? WOK_I32 : a->fixed ? WOK_F32 : t, &a->shape);
  for (int64_t i = 0; i < wok__shape_count(&a->shape); i++)
    if (a->ints) ((int32_t *)r.data)[i] = a->ints[i];
    else set(&r, i, a->fixed ? (double)a->fixed[i] : a->values ? a->values[i] : filled(a->seed, i));
  return r;
}
static wok__arr copied(const wok__arr *a) {
  wok__arr r = made(a->dtype, &a->shape);
  memcpy(r.data, a->data, (size_t)wok__bytes(a->dtype, &a->shape));
  return r;
}
static void let_go(wok__arr *a, int n) {
  for (int i = 0; i < n; i++) free(a[i].data);
}

static void run(wok__opid op, const void *attr, const wok__arr *in, int nin, const wok__arr *out, int nout,
                uint32_t accumulate, uint32_t unused) {
  wok__kdesc d = {.op = op, .nin = nin, .nout = nout, .in = in, .out = out, .attr = attr};
  const wok__kernel *k = wok__kernel_find(ctx, &d, true);
  assert_non_null(k);
  assert_string_equal(k->name, "ref");
  assert_int_equal(accumulate & ~k->can_accumulate, 0);
  void *scratch = k->scratch ? room(k->scratch(&d, 1)) : NULL;
  k->run(&(wok__kcall){.c = ctx, .nin = nin, .nout = nout, .in = in, .out = out, .attr = attr, .scratch = scratch,
                       .accumulate = accumulate, .unused = unused, .seed = RUN_SEED, .tick = RUN_TICK});
  free(scratch);
}

/* The largest difference, relative to the largest magnitude wanted; infinities must be equal. */
static double distance(const wok__arr *a, const double *want) {
  double top = 0, worst = 0;
  for (int64_t i = 0; i < wok__shape_count(&a->shape); i++) {
    double have = get(a, i);
    if (isinf(want[i]) || isnan(have) || isinf(have)) {
      if (have != want[i]) return INFINITY;
      continue;
    }
    top = fmax(top, fabs(want[i]));
    worst = fmax(worst, fabs(have - want[i]));
  }
  return worst / (top > 0 ? top : 1);
}

/* ---- against PyTorch ---- */
typedef struct golden {
  const char *what;
  wok__opid op;
  const void *attr;
  int nin, nout;
  arg in[MAX_ARGS], out[5]; /* out: what is wanted */
} golden;

static const wok__attr_norm eps5 = {1e-5}, eps6 = {1e-6};
static const wok__attr_dropout drop = {.p = 0.3, .stream = 9};
static const wok__attr_rope pairs = {.interleaved = 1}, pairs_back = {.interleaved = 1, .inverse = 1},
                            halves = {.interleaved = 0}, halves_back = {.interleaved = 0, .inverse = 1};
static const wok__attr_attention whole = {.scale = 0.5}, dropped = {.scale = 0.5, .dropout = 0.4, .stream = 5};
static const wok__attr_attention_mask mask = {
    .a = {.scale = 0.5, .dropout = 0.4, .stream = 5}, .heads = 4, .keys = 7, .dtype = WOK_F64};
static const wok__attr_attention_mask mask32 = {
    .a = {.scale = 0.5, .dropout = 0.4, .stream = 5}, .heads = 4, .keys = 7, .dtype = WOK_F32};
static const wok__attr_act gelu_tanh = {.act = WOK_ACT_GELU_TANH}, gelu_erf = {.act = WOK_ACT_GELU_ERF},
                           silu = {.act = WOK_ACT_SILU}, relu = {.act = WOK_ACT_RELU};

static const int32_t lo[] = {0, 2, 1, 2, 7, 4}, hi[] = {3, 2, 4, 99, 3, 6};
static const int32_t seq[] = {0, 0, 0, 1, 1, 1}, row[] = {0, 1, 2, 0, 1, 2};
static const int32_t labels[] = {3, -1, 16, 0, 17, 5};
static const float pos[] = {0, 1, 100000, -2.5f};
static const double freq[] = {1, 0.25, 0.0078125};

#define INTERVALS INTS(lo, 6), INTS(hi, 6), INTS(seq, 6), INTS(row, 6)
#define QKV MADE(13, 6, 4, 3), MADE(14, 7, 2, 3), MADE(15, 7, 2, 5)

static const golden goldens[] = {
    {"softmax", WOK__OP_softmax, NULL, 1, 1, {MADE(1, 3, 17)}, {GIVEN(golden_softmax, 3, 17)}},
    {"softmax_bwd", WOK__OP_softmax_bwd, NULL, 2, 1, {MADE(2, 3, 17), GIVEN(golden_softmax, 3, 17)},
     {GIVEN(golden_softmax_dx, 3, 17)}},
    {"log_softmax", WOK__OP_log_softmax, NULL, 1, 1, {MADE(1, 3, 17)}, {GIVEN(golden_log_softmax, 3, 17)}},
    {"log_softmax_bwd", WOK__OP_log_softmax_bwd, NULL, 2, 1, {MADE(2, 3, 17), GIVEN(golden_log_softmax, 3, 17)},
     {GIVEN(golden_log_softmax_dx, 3, 17)}},
    {"layer_norm", WOK__OP_layer_norm, &eps5, 3, 3, {MADE(3, 2, 2, 17), MADE(4, 17), MADE(5, 17)},
     {GIVEN(golden_layer_norm, 2, 2, 17), GIVEN(golden_layer_norm_mean, 4), GIVEN(golden_layer_norm_rstd, 4)}},
    {"layer_norm without bias", WOK__OP_layer_norm, &eps5, 2, 3, {MADE(3, 2, 2, 17), MADE(4, 17)},
     {GIVEN(golden_layer_norm_unbiased, 2, 2, 17), GIVEN(golden_layer_norm_mean, 4), GIVEN(golden_layer_norm_rstd, 4)}},
    {"layer_norm_bwd", WOK__OP_layer_norm_bwd, &eps5, 5, 3,
     {MADE(6, 2, 2, 17), MADE(3, 2, 2, 17), MADE(4, 17), GIVEN(golden_layer_norm_mean, 4), GIVEN(golden_layer_norm_rstd, 4)},
     {GIVEN(golden_layer_norm_dx, 2, 2, 17), GIVEN(golden_layer_norm_dgain, 17), GIVEN(golden_layer_norm_dbias, 17)}},
    {"rms_norm", WOK__OP_rms_norm, &eps6, 2, 2, {MADE(3, 2, 2, 17), MADE(4, 17)},
     {GIVEN(golden_rms_norm, 2, 2, 17), GIVEN(golden_rms_norm_rstd, 4)}},
    {"rms_norm_bwd", WOK__OP_rms_norm_bwd, &eps6, 4, 2,
     {MADE(6, 2, 2, 17), MADE(3, 2, 2, 17), MADE(4, 17), GIVEN(golden_rms_norm_rstd, 4)},
     {GIVEN(golden_rms_norm_dx, 2, 2, 17), GIVEN(golden_rms_norm_dgain, 17)}},
#define ACT(name)                                                                                            \
  {#name, WOK__OP_activation, &name, 1, 1, {GIVEN(golden_wide, 61)}, {GIVEN(golden_##name, 61)}},            \
      {#name "_bwd", WOK__OP_activation_bwd, &name, 2, 1, {MADE(9, 61), GIVEN(golden_wide, 61)},             \
       {GIVEN(golden_##name##_dx, 61)}},                                                                     \
      {"gated " #name, WOK__OP_gated, &name, 2, 1, {MADE(7, 61), MADE(8, 61)},                               \
       {GIVEN(golden_gated_##name, 61)}},                                                                    \
      {"gated_bwd " #name, WOK__OP_gated_bwd, &name, 3, 2, {MADE(9, 61), MADE(7, 61), MADE(8, 61)},          \
       {GIVEN(golden_gated_##name##_dgate, 61), GIVEN(golden_gated_##name##_dup, 61)}}
    ACT(gelu_tanh),
    ACT(gelu_erf),
    ACT(silu),
    ACT(relu),
    {"dropout", WOK__OP_dropout, &drop, 1, 1, {MADE(10, 3, 13)}, {GIVEN(golden_dropout, 3, 13)}},
    {"rope pairs", WOK__OP_rope, &pairs, 3, 1, {MADE(11, 4, 2, 7), FIXED(pos, 4), GIVEN(freq, 3)},
     {GIVEN(golden_rope_pairs, 4, 2, 7)}},
    {"rope pairs back", WOK__OP_rope, &pairs_back, 3, 1, {MADE(12, 4, 2, 7), FIXED(pos, 4), GIVEN(freq, 3)},
     {GIVEN(golden_rope_pairs_dx, 4, 2, 7)}},
    {"rope halves", WOK__OP_rope, &halves, 3, 1, {MADE(11, 4, 2, 7), FIXED(pos, 4), GIVEN(freq, 3)},
     {GIVEN(golden_rope_halves, 4, 2, 7)}},
    {"rope halves back", WOK__OP_rope, &halves_back, 3, 1, {MADE(12, 4, 2, 7), FIXED(pos, 4), GIVEN(freq, 3)},
     {GIVEN(golden_rope_halves_dx, 4, 2, 7)}},
    {"attention", WOK__OP_attention, &whole, 7, 2, {QKV, INTERVALS},
     {GIVEN(golden_attention, 6, 4, 5), GIVEN(golden_attention_lse, 6, 4)}},
    {"attention_bwd", WOK__OP_attention_bwd, &whole, 10, 3,
     {MADE(16, 6, 4, 5), QKV, INTERVALS, GIVEN(golden_attention, 6, 4, 5), GIVEN(golden_attention_lse, 6, 4)},
     {GIVEN(golden_attention_dq, 6, 4, 3), GIVEN(golden_attention_dk, 7, 2, 3), GIVEN(golden_attention_dv, 7, 2, 5)}},
    {"attention with dropout", WOK__OP_attention, &dropped, 7, 2, {QKV, INTERVALS},
     {GIVEN(golden_attention_dropped, 6, 4, 5), GIVEN(golden_attention_lse, 6, 4)}},
    {"attention_bwd with dropout", WOK__OP_attention_bwd, &dropped, 10, 3,
     {MADE(16, 6, 4, 5), QKV, INTERVALS, GIVEN(golden_attention_dropped, 6, 4, 5), GIVEN(golden_attention_lse, 6, 4)},
     {GIVEN(golden_attention_dropped_dq, 6, 4, 3), GIVEN(golden_attention_dropped_dk, 7, 2, 3),
      GIVEN(golden_attention_dropped_dv, 7, 2, 5)}},
    {"attention_mask", WOK__OP_attention_mask, &mask, 4, 1, {INTERVALS}, {GIVEN(golden_attention_mask, 4, 6, 7)}},
    {"xent", WOK__OP_xent, NULL, 2, 2, {MADE(17, 6, 17), INTS(labels, 6)},
     {GIVEN(golden_xent, 6), GIVEN(golden_xent_lse, 6)}},
    {"xent_bwd", WOK__OP_xent_bwd, NULL, 4, 1,
     {MADE(18, 6), MADE(17, 6, 17), INTS(labels, 6), GIVEN(golden_xent_lse, 6)}, {GIVEN(golden_xent_dlogits, 6, 17)}},
    {"linear_xent", WOK__OP_linear_xent, NULL, 4, 2, {MADE(19, 6, 4), MADE(20, 17, 4), INTS(labels, 6), MADE(21, 17)},
     {GIVEN(golden_linear_xent, 6), GIVEN(golden_linear_xent_lse, 6)}},
    {"linear_xent_bwd", WOK__OP_linear_xent_bwd, NULL, 6, 3,
     {MADE(18, 6), MADE(19, 6, 4), MADE(20, 17, 4), INTS(labels, 6), GIVEN(golden_linear_xent_lse, 6), MADE(21, 17)},
     {GIVEN(golden_linear_xent_dx, 6, 4), GIVEN(golden_linear_xent_dw, 17, 4), GIVEN(golden_linear_xent_db, 17)}},
    {"linear_xent_both", WOK__OP_linear_xent_both, NULL, 5, 5,
     {MADE(18, 6), MADE(19, 6, 4), MADE(20, 17, 4), INTS(labels, 6), MADE(21, 17)},
     {GIVEN(golden_linear_xent, 6), GIVEN(golden_linear_xent_lse, 6), GIVEN(golden_linear_xent_dx, 6, 4),
      GIVEN(golden_linear_xent_dw, 17, 4), GIVEN(golden_linear_xent_db, 17)}},
    {"linear_xent without bias", WOK__OP_linear_xent, NULL, 3, 2, {MADE(19, 6, 4), MADE(20, 17, 4), INTS(labels, 6)},
     {GIVEN(golden_linear_xent_unbiased, 6), GIVEN(golden_linear_xent_unbiased_lse, 6)}},
    {"linear_xent_bwd without bias", WOK__OP_linear_xent_bwd, NULL, 5, 2,
     {MADE(18, 6), MADE(19, 6, 4), MADE(20, 17, 4), INTS(labels, 6), GIVEN(golden_linear_xent_unbiased_lse, 6)},
     {GIVEN(golden_linear_xent_unbiased_dx, 6, 4), GIVEN(golden_linear_xent_unbiased_dw, 17, 4)}},
    {"linear_xent_both without bias", WOK__OP_linear_xent_both, NULL, 4, 4,
     {MADE(18, 6), MADE(19, 6, 4), MADE(20, 17, 4), INTS(labels, 6)},
     {GIVEN(golden_linear_xent_unbiased, 6), GIVEN(golden_linear_xent_unbiased_lse, 6),
      GIVEN(golden_linear_xent_unbiased_dx, 6, 4), GIVEN(golden_linear_xent_unbiased_dw, 17, 4)}},
};

static void check_golden(const golden *c, wok_dtype t, double tolerance) {
  wok__arr in[MAX_ARGS], out[5];
  const void *attr = c->attr == &mask && t == WOK_F32 ? &mask32 : c->attr;
  for (int i = 0; i < c->nin; i++) in[i] = input(t, &c->in[i]);
  for (int i = 0; i < c->nout; i++) out[i] = made(t, &c->out[i].shape);
  run(c->op, attr, in, c->nin, out, c->nout, 0, 0);
  for (int i = 0; i < c->nout; i++)
    if (!(distance(&out[i], c->out[i].values) <= tolerance))
      fail_msg("%s in %s: output %d is off by %g", c->what, wok_dtype_name(t), i, distance(&out[i], c->out[i].values));

  /* in place: the same bits */
  const wok__op *op = wok__op_table[c->op];
  for (int i = 0; i < c->nin; i++) {
    if (!(op->inplace >> i & 1u)) continue;
    wok__arr over[MAX_ARGS], into[5];
    for (int k = 0; k < c->nin; k++) over[k] = copied(&in[k]);
    into[0] = over[i];
    for (int k = 1; k < c->nout; k++) into[k] = made(t, &out[k].shape);
    run(c->op, attr, over, c->nin, into, c->nout, 0, 0);
    for (int k = 0; k < c->nout; k++)
      if (memcmp(into[k].data, out[k].data, (size_t)wok__bytes(t, &out[k].shape)))
        fail_msg("%s in %s: output %d differs when output 0 lies in input %d", c->what, wok_dtype_name(t), k, i);
    let_go(over, c->nin);
    let_go(into + 1, c->nout - 1);
  }

  /* accumulated onto ones; an output that nobody reads stays untouched, the others as they are */
  wok__kdesc d = {.op = c->op, .nin = c->nin, .nout = c->nout, .in = in, .out = out, .attr = attr};
  uint32_t can = wok__kernel_find(ctx, &d, true)->can_accumulate;
  for (int i = 0; i < c->nout; i++) {
    wok__arr onto[5];
    for (int k = 0; k < c->nout; k++) onto[k] = made(t, &out[k].shape);
    if (can >> i & 1u) {
      for (int64_t m = 0; m < wok__shape_count(&out[i].shape); m++) set(&onto[i], m, 1);
      run(c->op, attr, in, c->nin, onto, c->nout, 1u << i, 0);
      for (int64_t m = 0; m < wok__shape_count(&out[i].shape); m++)
        assert_true(fabs(get(&onto[i], m) - 1 - c->out[i].values[m]) <= 10 * tolerance);
    }
    if (c->nout > 1) {
      wok__arr left[5];
      memcpy(left, onto, sizeof left);
      left[i].data = NULL;
      run(c->op, attr, in, c->nin, left, c->nout, 0, 1u << i);
      for (int k = 0; k < c->nout; k++)
        if (k != i) assert_memory_equal(left[k].data, out[k].data, (size_t)wok__bytes(t, &out[k].shape));
    }
    let_go(onto, c->nout);
  }
  let_go(in, c->nin);
  let_go(out, c->nout);
}

static void test_golden_f64(void **state) {
  (void)state;
  for (int64_t i = 0; i < WOK__COUNT(goldens); i++) check_golden(&goldens[i], WOK_F64, 1e-13);
}
static void test_golden_f32(void **state) {
  (void)state;
  for (int64_t i = 0; i < WOK__COUNT(goldens); i++) check_golden(&goldens[i], WOK_F32, 1e-6);
}

/* ---- gradients against central differences ---- */
enum { CT = 100, OUT = 200 }; /* in `from`: the cotangent; output number OUT + i of the forward; otherwise an input of it */
typedef struct slope {
  const char *what;
  wok__opid op, bwd;
  const void *attr;
  int nin, nout; /* of the forward */
  arg in[7];
  wok_shape out[2];
  int nbwd, from[MAX_ARGS]; /* inputs of the backward */
  int ngrad, of[3];         /* its outputs are the gradients of these inputs */
} slope;

static const wok__attr_norm no_eps = {0};
static const slope slopes[] = {
    {"softmax", WOK__OP_softmax, WOK__OP_softmax_bwd, NULL, 1, 1, {MADE(1, 3, 17)}, {S(3, 17)}, 2, {CT, OUT}, 1, {0}},
    {"log_softmax", WOK__OP_log_softmax, WOK__OP_log_softmax_bwd, NULL, 1, 1, {MADE(1, 3, 17)}, {S(3, 17)}, 2, {CT, OUT}, 1, {0}},
    {"layer_norm", WOK__OP_layer_norm, WOK__OP_layer_norm_bwd, &eps5, 3, 3, {MADE(1, 2, 3, 7), MADE(2, 7), MADE(3, 7)},
     {S(2, 3, 7), S(6)}, 5, {CT, 0, 1, OUT + 1, OUT + 2}, 3, {0, 1, 2}},
    {"layer_norm of one row", WOK__OP_layer_norm, WOK__OP_layer_norm_bwd, &no_eps, 2, 3, {MADE(1, 5), MADE(2, 5)},
     {S(5), S(1)}, 5, {CT, 0, 1, OUT + 1, OUT + 2}, 2, {0, 1}},
    {"rms_norm", WOK__OP_rms_norm, WOK__OP_rms_norm_bwd, &eps6, 2, 2, {MADE(1, 2, 3, 7), MADE(2, 7)}, {S(2, 3, 7), S(6)}, 4,
     {CT, 0, 1, OUT + 1}, 2, {0, 1}},
#define SLOPE(name)                                                                                          \
  {#name, WOK__OP_activation, WOK__OP_activation_bwd, &name, 1, 1, {MADE(4, 60)}, {S(60)}, 2, {CT, 0}, 1, {0}}, \
      {"gated " #name, WOK__OP_gated, WOK__OP_gated_bwd, &name, 2, 1, {MADE(4, 60), MADE(5, 60)}, {S(60)}, 3, \
       {CT, 0, 1}, 2, {0, 1}}
    SLOPE(gelu_tanh),
    SLOPE(gelu_erf),
    SLOPE(silu),
    SLOPE(relu),
    {"dropout", WOK__OP_dropout, WOK__OP_dropout, &drop, 1, 1, {MADE(6, 39)}, {S(39)}, 1, {CT}, 1, {0}},
    {"attention", WOK__OP_attention, WOK__OP_attention_bwd, &whole, 7, 2, {QKV, INTERVALS}, {S(6, 4, 5), S(6, 4)}, 10,
     {CT, 0, 1, 2, 3, 4, 5, 6, OUT, OUT + 1}, 3, {0, 1, 2}},
    {"attention with dropout", WOK__OP_attention, WOK__OP_attention_bwd, &dropped, 7, 2, {QKV, INTERVALS},
     {S(6, 4, 5), S(6, 4)}, 10, {CT, 0, 1, 2, 3, 4, 5, 6, OUT, OUT + 1}, 3, {0, 1, 2}},
    {"xent", WOK__OP_xent, WOK__OP_xent_bwd, NULL, 2, 2, {MADE(7, 6, 17), INTS(labels, 6)}, {S(6), S(6)}, 4,
     {CT, 0, 1, OUT + 1}, 1, {0}},
    {"linear_xent", WOK__OP_linear_xent, WOK__OP_linear_xent_bwd, NULL, 4, 2,
     {MADE(7, 6, 4), MADE(8, 17, 4), INTS(labels, 6), MADE(9, 17)}, {S(6), S(6)}, 6, {CT, 0, 1, 2, OUT + 1, 3}, 3, {0, 1, 3}},
    {"linear_xent without bias", WOK__OP_linear_xent, WOK__OP_linear_xent_bwd, NULL, 3, 2,
     {MADE(7, 6, 4), MADE(8, 17, 4), INTS(labels, 6)}, {S(6), S(6)}, 5, {CT, 0, 1, 2, OUT + 1}, 2, {0, 1}},
};

static double weighted(const slope *c, const wok__arr *in, const wok__arr *out, const wok__arr *ct) {
  run(c->op, c->attr, in, c->nin, out, c->nout, 0, 0);
  double sum = 0;
  for (int64_t i = 0; i < wok__shape_count(&ct->shape); i++) sum += get(ct, i) * get(&out[0], i);
  return sum;
}

static void test_slopes(void **state) {
  (void)state;
  for (int64_t n = 0; n < WOK__COUNT(slopes); n++) {
    const slope *c = &slopes[n];
    wok__arr in[7], out[3], bwd_in[MAX_ARGS], grad[3];
    for (int i = 0; i < c->nin; i++) in[i] = input(WOK_F64, &c->in[i]);
    for (int i = 0; i < c->nout; i++) out[i] = made(WOK_F64, &c->out[i ? 1 : 0]);
    wok__arr ct = input(WOK_F64, &(arg){.shape = c->out[0], .seed = 23});
    run(c->op, c->attr, in, c->nin, out, c->nout, 0, 0);
    for (int i = 0; i < c->nbwd; i++)
      bwd_in[i] = c->from[i] == CT ? ct : c->from[i] >= OUT ? out[c->from[i] - OUT] : in[c->from[i]];
    int ngrad = c->bwd == WOK__OP_layer_norm_bwd ? 3 : c->ngrad; /* without a bias still the gradient of one */
    for (int i = 0; i < ngrad; i++) grad[i] = made(WOK_F64, i < c->ngrad ? &in[c->of[i]].shape : &in[1].shape);
    run(c->bwd, c->attr, bwd_in, c->nbwd, grad, ngrad, 0, 0);

    double step = 1e-4, worst = 0, top = 0;
    for (int i = 0; i < c->ngrad; i++) {
      const wok__arr *x = &in[c->of[i]];
      for (int64_t m = 0; m < wok__shape_count(&x->shape); m++) {
        double was = get(x, m), difference = 0;
        if (c->attr == &relu && fabs(was) < 2 * step) continue; /* the corner has no central difference */
        static const struct { double at, weight; } five[] = {{-2, 1}, {-1, -8}, {1, 8}, {2, -1}};
        for (int s = 0; s < 4; s++) {
          set(x, m, was + five[s].at * step);
          difference += five[s].weight * weighted(c, in, out, &ct) / (12 * step);
        }
        set(x, m, was);
        top = fmax(top, fabs(difference));
        double error = fabs(difference - get(&grad[i], m));
        worst = isnan(error) ? INFINITY : fmax(worst, error);
      }
    }
    if (!(worst <= 1e-9 * top)) fail_msg("%s: gradients are off by %g of %g", c->what, worst, top);
    let_go(in, c->nin);
    let_go(out, c->nout);
    let_go(grad, ngrad);
    let_go(&ct, 1);
  }
}

/* ---- attention's bias, by the public builder: the rule of the buckets, and everything against PyTorch ---- */
static wok_val *constant(wok_graph *g, const arg *a) {
  wok__arr made_of = input(WOK_F64, a);
  wok_val *v = wok_const(g, made_of.dtype, a->shape, made_of.data);
  free(made_of.data);
  return v;
}
static void test_buckets(void **state) {
  (void)state;
  static const struct { wok_buckets kind; int64_t count, reach, given; const double *want; } rules[] = {
      {WOK_BUCKETS_T5, 32, 128, 0, golden_t5_buckets},
      {WOK_BUCKETS_T5_CAUSAL, 32, 128, 128, golden_t5_buckets_causal},
      {WOK_BUCKETS_T5, 8, 20, 20, golden_t5_buckets_small},
      {WOK_BUCKETS_CLIPPED, 129, 64, 0, NULL},
  };
  static const int32_t at[] = {0};
  enum { SEEN = 150 };
  for (int64_t n = 0; n < WOK__COUNT(rules); n++) {
    wok_graph *g;
    assert_int_equal(wok_graph_new(ctx, &g), WOK_OK);
    wok_val *x = constant(g, &(arg)MADE(1, 1, 1, 2)), *one = wok_const(g, WOK_I32, WOK_SHAPE(1), at);
    wok_val *table = wok_full(g, WOK_F64, WOK_SHAPE(rules[n].count, 1), 0);
    wok_val *o = wok_attention(x, x, x, one, one, &(wok_attention_opts){.pos_q = one, .pos_k = one, .table = table,
                                                                        .buckets = rules[n].kind, .max_distance = rules[n].given});
    assert_string_equal(wok_graph_message(g), "");
    const wok_val *bucket = o->node->in[9];
    assert_int_equal(bucket->shape.dim[0], 2 * rules[n].reach + 1);
    const int32_t *list = ((const wok__attr_constant *)bucket->node->attr)->data;
    for (int64_t d = -SEEN; d <= SEEN; d++) {
      int64_t near = WOK__MIN(WOK__MAX(d, -rules[n].reach), rules[n].reach);
      int64_t want = rules[n].want ? (int64_t)rules[n].want[SEEN + d] : near + 64;
      if (list[rules[n].reach + near] != want)
        fail_msg("rule %lld, distance %lld: bucket %d, not %lld", (long long)n, (long long)d, list[rules[n].reach + near], (long long)want);
    }
    wok_graph_free(g);
  }
}
static void test_biased_attention(void **state) {
  (void)state;
  static const int32_t pos_q[] = {0, 3, 4, 0, 900, 2}, pos_k[] = {0, 1, 2, 40, 3, -7, 4};
  static const arg args[] = {QKV, MADE(22, 8, 4), MADE(23, 4), INTS(lo, 6), INTS(hi, 6), INTS(pos_q, 6), INTS(pos_k, 7), MADE(16, 6, 4, 5)};
  static const double *const want[] = {golden_attention_biased,    golden_attention_biased_lse, golden_attention_biased_dq,
                                       golden_attention_biased_dk, golden_attention_biased_dv,  golden_attention_biased_dtable,
                                       golden_attention_biased_dslope};
  wok_graph *g;
  wok_plan *p;
  wok_val *in[WOK__COUNT(args)], *result[7];
  assert_int_equal(wok_graph_new(ctx, &g), WOK_OK);
  for (int64_t i = 0; i < WOK__COUNT(args); i++) in[i] = constant(g, &args[i]);
  result[0] = wok_attention(in[0], in[1], in[2], in[5], in[6], &(wok_attention_opts){.scale = 0.5, .pos_q = in[7], .pos_k = in[8], .table = in[3],
                                                                                    .slope = in[4], .max_distance = 20});
  result[1] = &result[0]->node->out[1];
  wok_vjp(result, &in[9], 1, in, 5, result + 2);
  assert_string_equal(wok_graph_message(g), "");
  assert_int_equal(wok_compile(ctx, &p, result, 7, &(wok_plan_opts){.reference = true}), WOK_OK);
  assert_int_equal(wok_plan_run(p, NULL), WOK_OK);
  for (int i = 0; i < 7; i++) {
    wok__arr have = {WOK_F64, result[i]->shape, (void *)(uintptr_t)wok_plan_data(p, i)};
    if (!(distance(&have, want[i]) <= 1e-13)) fail_msg("result %d is off by %g", i, distance(&have, want[i]));
  }
  wok_plan_free(p);

  /* a factor of each query's scores is one of the query; without positions there are no distances */
  wok_val *factor = constant(g, &(arg)MADE(5, 6)), *scaled = wok_attention(in[0], in[1], in[2], in[5], in[6], &(wok_attention_opts){.scales = factor});
  wok_val *by_hand = wok_attention(wok_mul(in[0], wok_reshape(factor, WOK_SHAPE(6, 1, 1))), in[1], in[2], in[5], in[6], NULL);
  assert_int_equal(wok_compile(ctx, &p, (wok_val *[]){scaled, by_hand}, 2, NULL), WOK_OK);
  assert_int_equal(wok_plan_run(p, NULL), WOK_OK);
  assert_memory_equal(wok_plan_data(p, 0), wok_plan_data(p, 1), 6 * 4 * 5 * sizeof(double));
  wok_plan_free(p);
  assert_true(wok_is_poison(wok_attention(in[0], in[1], in[2], in[5], in[6], &(wok_attention_opts){.slope = in[4], .pos_q = in[7]})));
  assert_non_null(strstr(wok_graph_message(g), "a bias needs pos_q and pos_k: distances are differences of positions"));
  wok_graph_free(g);
}

/* ---- corners ---- */
/* Every row blind: zeros and -inf forward, zeros backward, whatever the numbers are. */
static void test_blind_rows(void **state) {
  (void)state;
  static const int32_t from[] = {0, 3, 7, 0, 9, -5}, to[] = {0, 2, 7, -1, 99, 0};
  for (wok_dtype t = WOK_F32; t <= WOK_F64; t++) {
    arg args[] = {QKV, INTS(from, 6), INTS(to, 6), INTS(seq, 6), INTS(row, 6)};
    wok__arr in[10], out[2] = {made(t, &(wok_shape)S(6, 4, 5)), made(t, &(wok_shape)S(6, 4))}, grad[3];
    for (int i = 0; i < 7; i++) in[i + 1] = input(t, &args[i]);
    in[0] = input(t, &(arg)MADE(3, 6, 4, 5));
    run(WOK__OP_attention, &dropped, in + 1, 7, out, 2, 0, 0);
    for (int i = 0; i < 120; i++) assert_true(get(&out[0], i) == 0);
    for (int i = 0; i < 24; i++) assert_true(get(&out[1], i) == -INFINITY);
    in[8] = out[0];
    in[9] = out[1];
    for (int i = 0; i < 3; i++) grad[i] = made(t, &in[i + 1].shape);
    run(WOK__OP_attention_bwd, &dropped, in, 10, grad, 3, 0, 0);
    for (int i = 0; i < 3; i++)
      for (int64_t m = 0; m < wok__shape_count(&grad[i].shape); m++) assert_true(get(&grad[i], m) == 0);
    let_go(in, 10);
    let_go(grad, 3);
  }
}

/* Scores far beyond the range of exp, in f32. */
static void test_large_numbers(void **state) {
  (void)state;
  static const double x[] = {1e4, 1e4 - 1, -1e4, 3e38, -3e38, 0, 0, 0, 0};
  static const double softmax[] = {0.7310585786300049, 0.2689414213699951, 0, 1, 0, 0, 1. / 3, 1. / 3, 1. / 3};
  wok__arr in = input(WOK_F32, &(arg)GIVEN(x, 3, 3)), out = made(WOK_F32, &in.shape);
  run(WOK__OP_softmax, NULL, &in, 1, &out, 1, 0, 0);
  assert_true(distance(&out, softmax) < 1e-6);
  static const int32_t y[] = {1, 0, 2};
  static const double loss[] = {1.3132616875182228, 0, 1.0986122886681098};
  wok__arr two[] = {in, input(WOK_F32, &(arg)INTS(y, 3))}, res[] = {made(WOK_F32, &two[1].shape), made(WOK_F32, &two[1].shape)};
  run(WOK__OP_xent, NULL, two, 2, res, 2, 0, 0);
  assert_true(distance(&res[0], loss) < 1e-6);
  let_go(two, 2);
  let_go(res, 2);
  let_go(&out, 1);

  static const double far[] = {-1000, -100, 100, 1000};
  for (int act = 0; act < WOK_ACT_COUNT; act++) {
    wok__attr_act a = {.act = act};
    wok__arr xy[] = {input(WOK_F64, &(arg)GIVEN(far, 4)), made(WOK_F64, &(wok_shape)S(4)), made(WOK_F64, &(wok_shape)S(4))};
    run(WOK__OP_activation, &a, &xy[0], 1, &xy[1], 1, 0, 0);
    wok__arr one[] = {input(WOK_F64, &(arg){.shape = S(4), .values = (const double[]){1, 1, 1, 1}}), xy[0]};
    run(WOK__OP_activation_bwd, &a, one, 2, &xy[2], 1, 0, 0);
    for (int i = 0; i < 4; i++) {
      assert_true(fabs(get(&xy[1], i) - (i < 2 ? 0 : far[i])) < 1e-30);
      assert_true(fabs(get(&xy[2], i) - (i < 2 ? 0 : 1)) < 1e-30);
    }
    let_go(xy, 3);
    let_go(one, 1);
  }
}

/* Half of a great many elements survive p = 0.5, and the sum stays what it was. */
static void test_dropout_rate(void **state) {
  (void)state;
  enum { N = 1 << 16 };
  double *ones = room(N * 8), sum = 0, kept = 0;
  for (int i = 0; i < N; i++) ones[i] = 1;
  wok__arr in = input(WOK_F32, &(arg)GIVEN(ones, N)), out = made(WOK_F32, &in.shape);
  run(WOK__OP_dropout, &(wok__attr_dropout){.p = 0.25, .stream = 3}, &in, 1, &out, 1, 0, 0);
  for (int i = 0; i < N; i++) {
    sum += get(&out, i);
    kept += get(&out, i) != 0;
  }
  assert_true(fabs(kept / N - 0.75) < 5 * sqrt(0.75 * 0.25 / N)); /* five standard deviations */
  assert_true(fabs(sum / N - 1) < 5 * sqrt(0.25 / 0.75 / N));
  free(ones);
  let_go(&in, 1);
  let_go(&out, 1);
}

static void test_no_rows(void **state) {
  (void)state;
  for (int64_t n = 0; n < WOK__COUNT(goldens); n++) { /* every operator once more, with all leading sizes zero */
    const golden *c = &goldens[n];
    if (c->op == WOK__OP_attention_mask) continue;
    wok__arr in[MAX_ARGS], out[5];
    for (int i = 0; i < c->nin; i++) {
      in[i] = input(WOK_F64, &c->in[i]);
      if (in[i].shape.ndim > 1) in[i].shape.dim[0] = 0;
    }
    for (int i = 0; i < c->nout; i++) {
      out[i] = made(WOK_F64, &c->out[i].shape);
      if (out[i].shape.ndim > 1) out[i].shape.dim[0] = 0;
    }
    run(c->op, c->attr, in, c->nin, out, c->nout, 0, 0);
    let_go(in, c->nin);
    let_go(out, c->nout);
  }
}

static int begin(void **state) {
  (void)state;
  return wok_ctx_new(&ctx, &(wok_ctx_opts){.threads = 1}) != WOK_OK;
}
static int end(void **state) {
  (void)state;
  wok_ctx_free(ctx);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_golden_f64), cmocka_unit_test(test_golden_f32),    cmocka_unit_test(test_slopes),
      cmocka_unit_test(test_blind_rows), cmocka_unit_test(test_large_numbers), cmocka_unit_test(test_dropout_rate),
      cmocka_unit_test(test_no_rows),    cmocka_unit_test(test_buckets),       cmocka_unit_test(test_biased_attention),
  };
  return cmocka_run_group_tests(tests, begin, end) != 0;
}
