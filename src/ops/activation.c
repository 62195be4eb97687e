/* activation and gated: one table of functions {f, f'}, written in primitives; the operators' expansions read it. */
#include "ops/fused.h"

typedef struct act_row {
  wok_val *(*f)(wok_val *x);
  wok_val *(*slope)(wok_val *x); /* f'(x) */
} act_row;

static const double SQRT_HALF = 0.70710678118654752440, SQRT_2_OVER_PI = 0.79788456080286535588,
                    INV_SQRT_2PI = 0.39894228040143267794, GELU_CUBIC = 0.044715;

/* x (1 + tanh u)/2, u = sqrt(2/pi) (x + 0.044715 x^3) */
static wok_val *tanh_u(wok_val *x) {
  return wok_tanh(wok_scale(wok_mul(x, wok_offset(wok_scale(wok_square(x), GELU_CUBIC), 1)), SQRT_2_OVER_PI));
}
static wok_val *gelu_tanh(wok_val *x) { return wok_mul(wok_scale(x, 0.5), wok_offset(tanh_u(x), 1)); }
static wok_val *gelu_tanh_slope(wok_val *x) {
  wok_val *t = tanh_u(x);
  wok_val *du = wok_scale(wok_offset(wok_scale(wok_square(x), 3 * GELU_CUBIC), 1), SQRT_2_OVER_PI);
  wok_val *dt = wok_mul(wok_offset(wok_neg(wok_square(t)), 1), du);
  return wok_add(wok_scale(wok_offset(t, 1), 0.5), wok_mul(wok_scale(x, 0.5), dt));
}

/* x Phi(x) */
static wok_val *normal_cdf(wok_val *x) { return wok_scale(wok_offset(wok_erf(wok_scale(x, SQRT_HALF)), 1), 0.5); }
static wok_val *gelu_erf(wok_val *x) { return wok_mul(x, normal_cdf(x)); }
static wok_val *gelu_erf_slope(wok_val *x) {
  wok_val *density = wok_scale(wok_exp(wok_scale(wok_square(x), -0.5)), INV_SQRT_2PI);
  return wok_add(normal_cdf(x), wok_mul(x, density));
}

/* x sigma(x); sigma by tanh, which overflows on neither side */
static wok_val *sigmoid(wok_val *x) { return wok_scale(wok_offset(wok_tanh(wok_scale(x, 0.5)), 1), 0.5); }
static wok_val *silu(wok_val *x) { return wok_mul(x, sigmoid(x)); }
static wok_val *silu_slope(wok_val *x) {
  wok_val *s = sigmoid(x);
  return wok_mul(s, wok_offset(wok_mul(x, wok_offset(wok_neg(s), 1)), 1));
}

/* max(x, 0), slope 0 at 0; a NaN stays one */
static wok_val *relu(wok_val *x) {
  wok_val *zero = wok__like(x, 0);
  return wok_select(wok_less_equal(x, zero), zero, x);
}
static wok_val *relu_slope(wok_val *x) {
  wok_val *zero = wok__like(x, 0);
  return wok_select(wok_less_equal(x, zero), zero, wok__like(x, 1));
}

static const act_row acts[WOK_ACT_COUNT] = {
    [WOK_ACT_GELU_TANH] = {gelu_tanh, gelu_tanh_slope},
    [WOK_ACT_GELU_ERF] = {gelu_erf, gelu_erf_slope},
    [WOK_ACT_SILU] = {silu, silu_slope},
    [WOK_ACT_RELU] = {relu, relu_slope},
};

static wok_act act_of(const wok__node *n) { return (wok_act)((const wok__attr_act *)n->attr)->act; }

/* All inputs floating and alike, the function known; all outputs like the inputs. */
static bool infer_alike(wok__node *n, const char *const *names) {
  int act = ((const wok__attr_act *)n->attr)->act;
  if (act < 0 || act >= WOK_ACT_COUNT) return wok__node_fail(n, "there is no activation number %d", act);
  const wok_val *x = n->in[n->nin - 1];
  if (!wok__is_float(x->dtype))
    return wok__node_fail(n, "%s is %s, not f32 or f64", names[n->nin - 1], wok_dtype_name(x->dtype));
  for (int i = 0; i + 1 < n->nin; i++)
    if (!wok__fused_want(n, i, names[i], x->dtype, x->shape)) return false;
  for (int i = 0; i < n->nout; i++) wok__out(n, i, x->dtype, x->shape);
  return true;
}
static bool activation_infer(wok__node *n) { return infer_alike(n, (const char *const[]){"x"}); }
static bool activation_bwd_infer(wok__node *n) { return infer_alike(n, (const char *const[]){"dy", "x"}); }
static bool gated_infer(wok__node *n) { return infer_alike(n, (const char *const[]){"gate", "up"}); }
static bool gated_bwd_infer(wok__node *n) { return infer_alike(n, (const char *const[]){"dy", "gate", "up"}); }

/* ---- activation ---- */
wok_val *wok_activation(wok_val *x, wok_act a) {
  return WOK__FUSED_EMIT(x->g, activation, (&(wok__attr_act){.act = (int32_t)a}), NULL, x);
}

static void activation_vjp(wok_graph *g, wok__node *n, wok_val *const *ct, const bool *need, wok_val **dx) {
  if (need[0]) dx[0] = WOK__FUSED_EMIT(g, activation_bwd, n->attr, NULL, ct[0], n->in[0]);
}
static void activation_expand(wok_graph *g, wok__node *n, wok_val **out) {
  (void)g;
  out[0] = acts[act_of(n)].f(n->in[0]);
}
static void activation_bwd_expand(wok_graph *g, wok__node *n, wok_val **out) {
  (void)g;
  out[0] = wok_mul(n->in[0], acts[act_of(n)].slope(n->in[1]));
}

/* ---- gated ---- */
wok_val *wok_gated(wok_val *gate, wok_val *up, wok_act a) {
  return WOK__FUSED_EMIT(gate->g, gated, (&(wok__attr_act){.act = (int32_t)a}), NULL, gate, up);
}

static void gated_vjp(wok_graph *g, wok__node *n, wok_val *const *ct, const bool *need, wok_val **dx) {
  wok__node *bwd;
  WOK__FUSED_EMIT(g, gated_bwd, n->attr, &bwd, ct[0], n->in[0], n->in[1]);
  wok__fused_partials(g, bwd, 2, need, dx);
}
static void gated_expand(wok_graph *g, wok__node *n, wok_val **out) {
  (void)g;
  out[0] = wok_mul(wok_activation(n->in[0], act_of(n)), n->in[1]);
}
static void gated_bwd_expand(wok_graph *g, wok__node *n, wok_val **out) {
  wok_val *dy = n->in[0], *gate = n->in[1], *up = n->in[2];
  out[0] = WOK__FUSED_EMIT(g, activation_bwd, n->attr, NULL, wok_mul(dy, up), gate);
  out[1] = wok_mul(dy, wok_activation(gate, act_of(n)));
}

/* ---- test shapes ---- */
#define BUILD_ACT(name, number)                                                                              \
  static int build_##name(wok_graph *g, wok_val *const *in, wok_val **out) {                                 \
    (void)g;                                                                                                 \
    out[0] = wok_activation(in[0], number);                                                                  \
    return 1;                                                                                                \
  }                                                                                                          \
  static int build_##name##_bwd(wok_graph *g, wok_val *const *in, wok_val **out) {                           \
    out[0] = WOK__FUSED_EMIT(g, activation_bwd, (&(wok__attr_act){.act = number}), NULL, in[0], in[1]);      \
    return 1;                                                                                                \
  }                                                                                                          \
  static int build_gated_##name(wok_graph *g, wok_val *const *in, wok_val **out) {                           \
    (void)g;                                                                                                 \
    out[0] = wok_gated(in[0], in[1], number);                                                                \
    return 1;                                                                                                \
  }                                                                                                          \
  static int build_gated_##name##_bwd(wok_graph *g, wok_val *const *in, wok_val **out) {                     \
    wok__node *bwd;                                                                                          \
    WOK__FUSED_EMIT(g, gated_bwd, (&(wok__attr_act){.act = number}), &bwd, in[0], in[1], in[2]);             \
    out[0] = wok__fused_out(g, bwd, 0);                                                                      \
    out[1] = wok__fused_out(g, bwd, 1);                                                                      \
    return 2;                                                                                                \
  }
BUILD_ACT(gelu_tanh, WOK_ACT_GELU_TANH)
BUILD_ACT(gelu_erf, WOK_ACT_GELU_ERF)
BUILD_ACT(silu, WOK_ACT_SILU)
BUILD_ACT(relu, WOK_ACT_RELU)
/* With a second operand: a number that no activation has. */
static int build_maybe_unknown(wok_graph *g, wok_val *const *in, wok_val **out) {
  (void)g;
  out[0] = wok_activation(in[0], in[1] ? WOK_ACT_COUNT : WOK_ACT_RELU);
  return 1;
}

static const wok__op_case activation_cases[] = {
    {"f[3,17]", build_gelu_tanh, "i<5[3]", "x is i32, not f32 or f64"},
    {"f[2,3,5]", build_gelu_erf, NULL, NULL},
    {"f[33]", build_silu, NULL, NULL},
    {"f[3,17]", build_relu, NULL, NULL},
    {"f[4] -", build_maybe_unknown, "f[4] f[4]", "there is no activation number 4"},
};
static const wok__op_case activation_bwd_cases[] = {
    {"f[3,17] f[3,17]", build_gelu_tanh_bwd, "f[3,16] f[3,17]", "dy has sizes [3,16], not [3,17]"},
    {"f[2,3,5] f[2,3,5]", build_gelu_erf_bwd, NULL, NULL},
    {"f[33] f[33]", build_silu_bwd, NULL, NULL},
    {"f[3,17] f[3,17]", build_relu_bwd, NULL, NULL},
};
static const wok__op_case gated_cases[] = {
    {"f[3,17] f[3,17]", build_gated_gelu_tanh, "f[17] f[3,17]", "gate has sizes [17], not [3,17]"},
    {"f[2,3,5] f[2,3,5]", build_gated_gelu_erf, "f[3] i<2[3]", "up is i32, not f32 or f64"},
    {"f[33] f[33]", build_gated_silu, NULL, NULL},
    {"f[3,17] f[3,17]", build_gated_relu, NULL, NULL},
};
static const wok__op_case gated_bwd_cases[] = {
    {"f[3,17] f[3,17] f[3,17]", build_gated_gelu_tanh_bwd, "f[3,17] f[3,1] f[3,17]", "gate has sizes [3,1], not [3,17]"},
    {"f[2,3,5] f[2,3,5] f[2,3,5]", build_gated_gelu_erf_bwd, NULL, NULL},
    {"f[33] f[33] f[33]", build_gated_silu_bwd, NULL, NULL},
    {"f[3,17] f[3,17] f[3,17]", build_gated_relu_bwd, NULL, NULL},
};

const wok__op wok__op_activation = {
    .id = WOK__OP_activation, .name = "activation", .min_in = 1, .max_in = 1, .nout = 1,
    .attr_size = sizeof(wok__attr_act), .flags = WOK__OP_ELEMENTWISE | WOK__OP_CHEAP, .inplace = 1,
    .infer = activation_infer, .vjp = activation_vjp, .expand = activation_expand,
    .cases = activation_cases, .ncases = WOK__COUNT(activation_cases),
    .doc = "gelu_tanh, gelu_erf, silu or relu of x",
};
const wok__op wok__op_activation_bwd = {
    .id = WOK__OP_activation_bwd, .name = "activation_bwd", .min_in = 2, .max_in = 2, .nout = 1,
    .attr_size = sizeof(wok__attr_act), .flags = WOK__OP_ELEMENTWISE, .inplace = 3,
    .infer = activation_bwd_infer, .expand = activation_bwd_expand,
    .cases = activation_bwd_cases, .ncases = WOK__COUNT(activation_bwd_cases),
    .doc = "dy times the activation's slope at x",
};
const wok__op wok__op_gated = {
    .id = WOK__OP_gated, .name = "gated", .min_in = 2, .max_in = 2, .nout = 1,
    .attr_size = sizeof(wok__attr_act), .flags = WOK__OP_ELEMENTWISE | WOK__OP_CHEAP, .inplace = 3,
    .infer = gated_infer, .vjp = gated_vjp, .expand = gated_expand,
    .cases = gated_cases, .ncases = WOK__COUNT(gated_cases),
    .doc = "the activation of gate, times up",
};
const wok__op wok__op_gated_bwd = {
    .id = WOK__OP_gated_bwd, .name = "gated_bwd", .min_in = 3, .max_in = 3, .nout = 2,
    .attr_size = sizeof(wok__attr_act), .flags = WOK__OP_ELEMENTWISE, .inplace = 7,
    .infer = gated_bwd_infer, .expand = gated_bwd_expand,
    .cases = gated_bwd_cases, .ncases = WOK__COUNT(gated_bwd_cases),
    .doc = "gradients of gated with respect to gate and up",
};
