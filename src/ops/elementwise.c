/* Arithmetic and functions, element by element. Broadcasting is done by the builders, so rules see equal shapes. */
#include "ops/primitive.h"
#include <math.h>

/* ---- builders ---- */
wok_val *wok_add(wok_val *a, wok_val *b) { return wok__binary(WOK__OP_add, a, b); }
wok_val *wok_sub(wok_val *a, wok_val *b) { return wok__binary(WOK__OP_sub, a, b); }
wok_val *wok_mul(wok_val *a, wok_val *b) { return wok__binary(WOK__OP_mul, a, b); }
wok_val *wok_div(wok_val *a, wok_val *b) { return wok__binary(WOK__OP_div, a, b); }
wok_val *wok_maximum(wok_val *a, wok_val *b) { return wok__binary(WOK__OP_maximum, a, b); }
wok_val *wok_minimum(wok_val *a, wok_val *b) { return wok__binary(WOK__OP_minimum, a, b); }
wok_val *wok_neg(wok_val *x) { return wok__unary(WOK__OP_neg, x, NULL); }
wok_val *wok_exp(wok_val *x) { return wok__unary(WOK__OP_exp, x, NULL); }
wok_val *wok_log(wok_val *x) { return wok__unary(WOK__OP_log, x, NULL); }
wok_val *wok_sqrt(wok_val *x) { return wok__unary(WOK__OP_sqrt, x, NULL); }
wok_val *wok_sin(wok_val *x) { return wok__unary(WOK__OP_sin, x, NULL); }
wok_val *wok_cos(wok_val *x) { return wok__unary(WOK__OP_cos, x, NULL); }
wok_val *wok_tanh(wok_val *x) { return wok__unary(WOK__OP_tanh, x, NULL); }
wok_val *wok_erf(wok_val *x) { return wok__unary(WOK__OP_erf, x, NULL); }
wok_val *wok_abs(wok_val *x) { return wok__unary(WOK__OP_abs, x, NULL); }
wok_val *wok_square(wok_val *x) { return wok_mul(x, x); }

/* scale * x + offset; an affine of an affine is one. */
static wok_val *affine(wok_val *x, double scale, double offset) {
  if (wok_is_poison(x) || (scale == 1 && offset == 0)) return x;
  if (x->node->op->id == WOK__OP_affine && wok__is_float(x->dtype)) {
    const wok__attr_affine *inner = x->node->attr;
    double s = scale * inner->scale, o = scale * inner->offset + offset;
    /* A product that underflows or overflows would change the result. */
    if (isfinite(o) && fabs(s) > 1e-30 && fabs(s) < 1e30) return affine(x->node->in[0], s, o);
  }
  return wok__unary(WOK__OP_affine, x, &(wok__attr_affine){scale, offset});
}
wok_val *wok_scale(wok_val *x, double a) { return affine(x, a, 0); }
wok_val *wok_offset(wok_val *x, double a) { return affine(x, 1, a); }

/* ---- inference ---- */
static bool infer_number(wok__node *n) { return wok__infer_same(n, WOK__NUMBERS); }
static bool infer_float(wok__node *n) { return wok__infer_same(n, WOK__FLOATS); }

static bool infer_affine(wok__node *n) {
  const wok__attr_affine *a = n->attr;
  if (!wok__infer_same(n, WOK__NUMBERS)) return false;
  if (wok__is_float(n->in[0]->dtype)) return true;
  if (trunc(a->scale) == a->scale && trunc(a->offset) == a->offset && fabs(a->scale) < 0x1p53 &&
      fabs(a->offset) < 0x1p53)
    return true;
  return wok__node_fail(n, "%g x + %g is not whole (x %s)", a->scale, a->offset, WOK__TEXT(n->in[0]));
}

/* ---- rules: ct is the cotangent, x (a, b) the inputs, y the output ---- */
#define UNARY_RULE(name, expr)                                                                               \
  static void vjp_##name(wok_graph *g, wok__node *n, wok_val *const *cts, const bool *need, wok_val **dx) {  \
    wok_val *ct = cts[0], *x = n->in[0], *y = &n->out[0];                                                    \
    (void)g, (void)x, (void)y;                                                                               \
    if (need[0]) dx[0] = (expr);                                                                             \
  }
#define BINARY_RULE(name, to_a, to_b)                                                                        \
  static void vjp_##name(wok_graph *g, wok__node *n, wok_val *const *cts, const bool *need, wok_val **dx) {  \
    wok_val *ct = cts[0], *a = n->in[0], *b = n->in[1], *y = &n->out[0];                                     \
    (void)g, (void)a, (void)b, (void)y;                                                                      \
    if (need[0]) dx[0] = (to_a);                                                                             \
    if (need[1]) dx[1] = (to_b);                                                                             \
  }

/* ct where `smaller` is below `larger`, half of it where both are equal. */
static wok_val *share(wok_val *ct, wok_val *smaller, wok_val *larger) {
  wok_val *tie = wok_select(wok_equal(smaller, larger), wok_scale(ct, 0.5), wok__like(ct, 0));
  return wok_select(wok_less(smaller, larger), ct, tie);
}

static wok_val *sign_of(wok_val *ct, wok_val *x) {
  wok_val *zero = wok__like(x, 0);
  return wok_select(wok_less(zero, x), ct, wok_select(wok_less(x, zero), wok_neg(ct), zero));
}

static const double two_over_sqrt_pi = 1.12837916709551257390;

BINARY_RULE(add, ct, ct)
BINARY_RULE(sub, ct, wok_neg(ct))
BINARY_RULE(mul, wok_mul(ct, b), wok_mul(ct, a))
BINARY_RULE(div, wok_div(ct, b), wok_neg(wok_mul(wok_div(ct, b), y)))
BINARY_RULE(maximum, share(ct, b, a), share(ct, a, b))
BINARY_RULE(minimum, share(ct, a, b), share(ct, b, a))
UNARY_RULE(neg, wok_neg(ct))
UNARY_RULE(exp, wok_mul(ct, y))
UNARY_RULE(log, wok_div(ct, x))
UNARY_RULE(sqrt, wok_scale(wok_div(ct, y), 0.5))
UNARY_RULE(sin, wok_mul(ct, wok_cos(x)))
UNARY_RULE(cos, wok_neg(wok_mul(ct, wok_sin(x))))
UNARY_RULE(tanh, wok_mul(ct, affine(wok_square(y), -1, 1)))
UNARY_RULE(erf, wok_mul(ct, wok_scale(wok_exp(wok_neg(wok_square(x))), two_over_sqrt_pi)))
UNARY_RULE(abs, sign_of(ct, x))
UNARY_RULE(affine, wok_scale(ct, ((const wok__attr_affine *)n->attr)->scale))

/* ---- test cases ---- */
#define BUILD_BINARY(name)                                                                                   \
  static int build_##name(wok_graph *g, wok_val *const *in, wok_val **out) {                                 \
    (void)g;                                                                                                 \
    out[0] = wok_##name(in[0], in[1]);                                                                       \
    return 1;                                                                                                \
  }
#define BUILD_UNARY(name)                                                                                    \
  static int build_##name(wok_graph *g, wok_val *const *in, wok_val **out) {                                 \
    (void)g;                                                                                                 \
    out[0] = wok_##name(in[0]);                                                                              \
    return 1;                                                                                                \
  }
/* kind: "f", or "p" for the operators that need positive numbers; wrong: a type that is refused */
#define CASES_BINARY(name, kind, wrong, said)                                                                \
  BUILD_BINARY(name)                                                                                         \
  static const wok__op_case name##_cases[] = {                                                               \
      {.inputs = "f[4,8] " kind "[4,8]",                                                                     \
       .build = build_##name,                                                                                \
       .bad = "f[2,3] f[2,4]",                                                                               \
       .message = "sizes 3 and 4 differ"},                                                                   \
      {.inputs = "f[17] " kind "[17]", .build = build_##name, .bad = "f[3] i<5[3]", .message = "differ"},    \
      {.inputs = "f[3,1,5] " kind "[2,1]", .build = build_##name, .bad = wrong, .message = said},            \
      {.inputs = "f[] " kind "[3]", .build = build_##name},                                                  \
      {.inputs = "f[] " kind "[]", .build = build_##name},                                                   \
      {.inputs = "f[0,3] " kind "[3]", .build = build_##name},                                               \
  };
#define CASES_UNARY(name, kind, wrong, said)                                                                 \
  BUILD_UNARY(name)                                                                                          \
  static const wok__op_case name##_cases[] = {                                                               \
      {.inputs = kind "[4,8]", .build = build_##name, .bad = wrong, .message = said},                        \
      {.inputs = kind "[3,17,1]", .build = build_##name},                                                    \
      {.inputs = kind "[]", .build = build_##name},                                                          \
      {.inputs = kind "[0,3]", .build = build_##name},                                                       \
  };
#define NOT_NUMBERS "takes f32, f64, i32 or i64"
#define NOT_FLOATS "takes f32 or f64"

CASES_BINARY(add, "f", "b[3] b[3]", NOT_NUMBERS)
CASES_BINARY(sub, "f", "b[3] b[3]", NOT_NUMBERS)
CASES_BINARY(mul, "f", "b[3] b[3]", NOT_NUMBERS)
CASES_BINARY(div, "p", "i<5[3] i<5[3]", NOT_FLOATS)
CASES_BINARY(maximum, "f", "b[3] b[3]", NOT_NUMBERS)
CASES_BINARY(minimum, "f", "b[3] b[3]", NOT_NUMBERS)
CASES_UNARY(neg, "f", "b[3]", NOT_NUMBERS)
CASES_UNARY(exp, "f", "i<5[3]", NOT_FLOATS)
CASES_UNARY(log, "p", "i<5[3]", NOT_FLOATS)
CASES_UNARY(sqrt, "p", "i<5[3]", NOT_FLOATS)
CASES_UNARY(sin, "f", "i<5[3]", NOT_FLOATS)
CASES_UNARY(cos, "f", "i<5[3]", NOT_FLOATS)
CASES_UNARY(tanh, "f", "i<5[3]", NOT_FLOATS)
CASES_UNARY(erf, "f", "b[3]", NOT_FLOATS)
CASES_UNARY(abs, "f", "b[3]", NOT_NUMBERS)

static int build_scale(wok_graph *g, wok_val *const *in, wok_val **out) {
  (void)g;
  out[0] = wok_scale(in[0], -1.5);
  return 1;
}
static int build_offset(wok_graph *g, wok_val *const *in, wok_val **out) {
  (void)g;
  out[0] = wok_offset(in[0], 3);
  return 1;
}
static int build_both(wok_graph *g, wok_val *const *in, wok_val **out) {
  (void)g;
  out[0] = wok_scale(wok_offset(wok_scale(in[0], 2.5), -0.75), 1.5);
  return 1;
}
static const wok__op_case affine_cases[] = {
    {.inputs = "f[4,8]", .build = build_scale, .bad = "i<5[3]", .message = "is not whole"},
    {.inputs = "f[3,17,1]", .build = build_offset, .bad = "b[3]", .message = NOT_NUMBERS},
    {.inputs = "i<9[3]", .build = build_offset},
    {.inputs = "f[17]", .build = build_both},
    {.inputs = "f[]", .build = build_scale},
    {.inputs = "f[0,3]", .build = build_offset},
};

/* ---- the table ---- */
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

ENTRY(add, 2, 3, 0, number, "a + b")
ENTRY(sub, 2, 3, 0, number, "a - b")
ENTRY(mul, 2, 3, 0, number, "a b")
ENTRY(div, 2, 3, 0, float, "a / b")
ENTRY(maximum, 2, 3, 0, number, "The larger of a and b; NaN when either is.")
ENTRY(minimum, 2, 3, 0, number, "The smaller of a and b; NaN when either is.")
ENTRY(neg, 1, 1, 0, number, "-x")
ENTRY(exp, 1, 1, 0, float, "e to the power x")
ENTRY(log, 1, 1, 0, float, "Natural logarithm of x.")
ENTRY(sqrt, 1, 1, 0, float, "Square root of x.")
ENTRY(sin, 1, 1, 0, float, "Sine of x (radians).")
ENTRY(cos, 1, 1, 0, float, "Cosine of x (radians).")
ENTRY(tanh, 1, 1, 0, float, "Hyperbolic tangent of x.")
ENTRY(erf, 1, 1, 0, float, "Error function of x.")
ENTRY(abs, 1, 1, 0, number, "Magnitude of x; its gradient at 0 is 0.")
ENTRY(affine, 1, 1, sizeof(wok__attr_affine), affine, "scale x + offset, both numbers fixed.")
