/* Functions of one number with a rule of their own: sigmoid, softplus, elu, leaky_relu. Each rule stays among primitives, so
   every order is there; leaky_relu's slope is an operator in which the cotangent is linear and x has no derivative at all. */
#include "ops/primitive.h"
#include <math.h>

static double number_of(const wok__node *n) { return ((const wok__attr_number *)n->attr)->value; }

/* ---- builders ---- */
wok_val *wok_sigmoid(wok_val *x) { return wok__unary(WOK__OP_sigmoid, x, NULL); }
wok_val *wok_softplus(wok_val *x) { return wok__unary(WOK__OP_softplus, x, NULL); }
wok_val *wok_log_sigmoid(wok_val *x) { return wok_neg(wok_softplus(wok_neg(x))); }
wok_val *wok_elu(wok_val *x, double alpha) { return wok__unary(WOK__OP_elu, x, &(wok__attr_number){alpha}); }
wok_val *wok_leaky_relu(wok_val *x, double slope) {
  return wok__unary(WOK__OP_leaky_relu, x, &(wok__attr_number){slope});
}
static wok_val *leaky_slope(wok_val *ct, wok_val *x, const void *attr) {
  return wok__emit(x->g, WOK__OP_leaky_relu_slope, (wok_val *[]){ct, x}, 2, attr, NULL);
}

wok_val *wok_rsqrt(wok_val *x) { return wok_div(wok__like(x, 1), wok_sqrt(x)); }

/* x^n, n at least 1, by squaring. */
static wok_val *whole_power(wok_val *x, int n) {
  wok_val *result = NULL;
  for (wok_val *square = x;; square = wok_square(square)) {
    if (n & 1) result = result ? wok_mul(result, square) : square;
    if ((n >>= 1) == 0) return result;
  }
}

wok_val *wok_pow(wok_val *x, double p) {
  enum { MOST = 64 }; /* beyond, products cost more than an exponential */
  double size = fabs(p);
  if (wok_is_poison(x) || p == 1) return x;
  if (!isfinite(p)) return wok__poison(x->g, WOK_INVALID, "pow: the exponent %g is not finite", p);
  if (p == 0) return wok__like(x, 1);
  if (size > MOST || trunc(2 * size) != 2 * size) return wok_exp(wok_scale(wok_log(x), p));
  wok_val *y = size >= 1 ? whole_power(x, (int)size) : NULL;
  if (trunc(size) != size) y = y ? wok_mul(y, wok_sqrt(x)) : wok_sqrt(x);
  return p > 0 ? y : wok_div(wok__like(x, 1), y);
}

/* The largest is taken out first, so nothing overflows; as it cancels it need not be differentiated. Where it is infinite
   nothing is taken out: inf - inf would be NaN. */
wok_val *wok_logsumexp(wok_val *x, int axis, bool keep) {
  if (wok_is_poison(x)) return x;
  wok_val *top = wok_stop_grad(wok_max_axis(x, axis, true)), *zero = wok__like(top, 0);
  wok_val *finite = wok_less(wok_abs(top), wok__like(top, INFINITY));
  top = wok_select(finite, top, zero);
  wok_val *sum = wok_add(wok_log(wok_sum_axis(wok_exp(wok_sub(x, top)), axis, true)), top);
  return keep || wok_is_poison(sum) ? sum : wok_sum_axis(sum, axis, false);
}

/* ---- inference ---- */
static bool infer_float(wok__node *n) { return wok__infer_same(n, WOK__FLOATS); }
static bool infer_number(wok__node *n) {
  if (!isfinite(number_of(n))) return wok__node_fail(n, "the number %g is not finite", number_of(n));
  return wok__infer_same(n, WOK__FLOATS);
}

/* ---- rules ---- */
#define RULE(name, expr)                                                                                     \
  static void vjp_##name(wok_graph *g, wok__node *n, wok_val *const *cts, const bool *need, wok_val **dx) {  \
    wok_val *ct = cts[0], *x = n->in[0], *y = &n->out[0];                                                    \
    (void)g, (void)x, (void)y;                                                                               \
    if (need[0]) dx[0] = (expr);                                                                             \
  }
RULE(sigmoid, wok_mul(ct, wok_mul(y, wok_offset(wok_neg(y), 1))))
RULE(softplus, wok_mul(ct, wok_sigmoid(x)))
RULE(elu, wok_mul(ct, wok_select(wok_less(wok__like(x, 0), x), wok__like(x, 1), wok_offset(y, number_of(n)))))
RULE(leaky_relu, leaky_slope(ct, x, n->attr))
RULE(leaky_relu_slope, leaky_slope(ct, n->in[1], n->attr))

/* ---- test cases ---- */
#define BUILD(name, ...)                                                                                     \
  static int build_##name(wok_graph *g, wok_val *const *in, wok_val **out) {                                 \
    (void)g;                                                                                                 \
    out[0] = (__VA_ARGS__);                                                                                  \
    return 1;                                                                                                \
  }
BUILD(sigmoid, wok_sigmoid(in[0]))
BUILD(softplus, wok_softplus(in[0]))
BUILD(log_sigmoid, wok_log_sigmoid(in[0]))
/* With a second operand: a number that is none. */
BUILD(elu, wok_elu(in[0], in[1] ? NAN : 1.5))
BUILD(leaky, wok_leaky_relu(in[0], in[1] ? INFINITY : 0.2))
BUILD(slope, leaky_slope(in[0], in[1], &(wok__attr_number){0.2}))
/* Compositions, under the operator that is in them. */
BUILD(pow_5, wok_mul(wok_pow(in[0], 5), wok_sigmoid(in[0])))
BUILD(pow_half, wok_mul(wok_pow(in[0], -2.5), wok_sigmoid(in[0])))
BUILD(pow_any, wok_mul(wok_pow(in[0], 0.3), wok_sigmoid(in[0])))
BUILD(rsqrt, wok_mul(wok_rsqrt(in[0]), wok_sigmoid(in[0])))
BUILD(logsumexp, wok_softplus(wok_logsumexp(in[0], 1, false)))

#define NOT_FLOATS "takes f32 or f64"
static const wok__op_case sigmoid_cases[] = {
    {"f[4,8]", build_sigmoid, "i<5[3]", NOT_FLOATS},
    {"f[]", build_sigmoid, NULL, NULL},
    {"f[0,3]", build_sigmoid, NULL, NULL},
    {"f[17]", build_pow_5, NULL, NULL},
    {"p[3,5]", build_pow_half, NULL, NULL},
    {"p[7]", build_pow_any, NULL, NULL},
    {"p[7]", build_rsqrt, NULL, NULL},
};
static const wok__op_case softplus_cases[] = {
    {"f[4,8]", build_softplus, "b[3]", NOT_FLOATS},
    {"f[17]", build_log_sigmoid, NULL, NULL},
    {"f[]", build_softplus, NULL, NULL},
    {"f[3,5,2]", build_logsumexp, "f[3]", "there is no axis 1"},
};
static const wok__op_case elu_cases[] = {
    {"f[4,8] -", build_elu, "f[3] f[1]", "is not finite"},
    {"f[17] -", build_elu, "i<5[3] -", NOT_FLOATS},
    {"f[] -", build_elu, NULL, NULL},
};
static const wok__op_case leaky_relu_cases[] = {
    {"f[4,8] -", build_leaky, "f[3] f[1]", "the number inf is not finite"},
    {"f[17] -", build_leaky, "i<5[3] -", NOT_FLOATS},
    {"f[0,3] -", build_leaky, NULL, NULL},
};
static const wok__op_case leaky_relu_slope_cases[] = {
    {"f[4,8] f[4,8]", build_slope, "f[3] f[4]", "shapes differ"},
    {"f[17] f[17]", build_slope, NULL, NULL},
};

#define ENTRY(op, arity, over, attributes, types, text)                                                      \
  const wok__op wok__op_##op = {                                                                             \
      .id = WOK__OP_##op,                                                                                    \
      .name = #op,                                                                                           \
      .min_in = arity,                                                                                       \
      .max_in = arity,                                                                                       \
      .nout = 1,                                                                                             \
      .attr_size = attributes,                                                                               \
      .flags = WOK__OP_ELEMENTWISE | WOK__OP_CHEAP,                                                          \
      .inplace = over,                                                                                       \
      .infer = infer_##types,                                                                                \
      .vjp = vjp_##op,                                                                                       \
      WOK__CASES(op##_cases),                                                                                \
      .doc = text,                                                                                           \
  };
ENTRY(sigmoid, 1, 1, 0, float, "1 / (1 + exp(-x))")
ENTRY(softplus, 1, 1, 0, float, "log(1 + exp(x))")
ENTRY(elu, 1, 1, sizeof(wok__attr_number), number, "x, or alpha (exp(x) - 1) where x is not positive.")
ENTRY(leaky_relu, 1, 1, sizeof(wok__attr_number), number, "x, or the slope times x where x is not positive.")
ENTRY(leaky_relu_slope, 2, 3, sizeof(wok__attr_number), number, "dy times leaky_relu's derivative at x: 1, or the slope.")
