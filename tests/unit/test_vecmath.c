/* The errors of exp, log, tanh, erf and the activations at every ISA level, in units of the last place of the exact value
   (spec 07 6), over every 401st float of a range; NaN, infinities, zeros. */
#include "vec_call.h"
#include "valgrind.h"

static double d_silu(double x) { return x / (1 + exp(-x)); }
static double d_gelu_erf(double x) { return 0.5 * x * erfc(-x * 0.70710678118654752); }
static double d_gelu_tanh(double x) { return x / (1 + exp(-1.5957691216057308 * (x + 0.044715 * x * x * x))); }
static double s_silu(double x) {
  double s = 1 / (1 + exp(-x));
  return s * (1 + x * (1 - s));
}
static double s_gelu_erf(double x) {
  return 0.5 * erfc(-x * 0.70710678118654752) + x * 0.39894228040143268 * exp(-0.5 * x * x);
}
static double s_gelu_tanh(double x) {
  double s = 1 / (1 + exp(-1.5957691216057308 * (x + 0.044715 * x * x * x)));
  return s + x * s * (1 - s) * 1.5957691216057308 * (1 + 3 * 0.044715 * x * x);
}

/* ulp, far: limits of the error in units of the last place and absolute (0: not held); with fused multiply-add or without. */
typedef struct function {
  const char *name;
  wok__opid op;
  int act; /* -1: none */
  double (*exact)(double);
  float from, to;
  double ulp, far;
} function;
static const function functions[] = {
    {"exp", WOK__OP_exp, -1, exp, -87, 88, 1.1, 0},
    {"log", WOK__OP_log, -1, log, 0, 3e38f, 1.0, 0},
    {"tanh", WOK__OP_tanh, -1, tanh, -20, 20, 3.0, 0},
    {"erf", WOK__OP_erf, -1, erf, -6, 6, 3.0, 0},
    {"silu", WOK__OP_activation, WOK_ACT_SILU, d_silu, -80, 80, 3.0, 0},
    {"gelu (erf)", WOK__OP_activation, WOK_ACT_GELU_ERF, d_gelu_erf, -5, 80, 0, 1e-6},
    {"gelu (tanh)", WOK__OP_activation, WOK_ACT_GELU_TANH, d_gelu_tanh, -5, 80, 0, 1e-6},
    {"silu'", WOK__OP_activation_bwd, WOK_ACT_SILU, s_silu, -80, 80, 0, 5e-7},
    {"gelu' (erf)", WOK__OP_activation_bwd, WOK_ACT_GELU_ERF, s_gelu_erf, -80, 80, 0, 5e-7},
    {"gelu' (tanh)", WOK__OP_activation_bwd, WOK_ACT_GELU_TANH, s_gelu_tanh, -80, 80, 0, 1e-6},
};

static float from_bits(uint32_t u) {
  float f;
  memcpy(&f, &u, 4);
  return f;
}
static double ulp_of(double x) {
  float f = (float)fabs(x), up;
  if (f < 1.17549435e-38f) f = 1.17549435e-38f;
  uint32_t u;
  memcpy(&u, &f, 4);
  u &= 0x7f800000u;
  up = from_bits(u);
  return (double)up * 0x1p-23;
}

/* y = f(x), for derivatives as dy f'(x) with dy = 1 */
static void apply(const function *f, int isa, float *y, float *x, int64_t n) {
  float *ones = need((size_t)n * 4);
  for (int64_t i = 0; i < n; i++) ones[i] = 1.0f;
  wok__attr_act act = {.act = f->act};
  call c = {.op = f->op, .nin = 1, .nout = 1, .attr = &act};
  c.in[0] = (wok__arr){WOK_F32, WOK_SHAPE(n), x};
  c.out[0] = (wok__arr){WOK_F32, WOK_SHAPE(n), y};
  if (f->op == WOK__OP_activation_bwd) {
    c.in[1] = c.in[0], c.nin = 2;
    c.in[0].data = ones;
  }
  assert_true(run_call(&c, isa, 1));
  free(ones);
}

static void test_errors(void **state) {
  enum { STEP = 401, MOST = 2 * (0x7f800000u / STEP) };
  const uint32_t step = under_valgrind() ? 64 * STEP : STEP;
  float *x = need((size_t)MOST * 4), *y = need((size_t)MOST * 4);
  double *want = need((size_t)MOST * 8);
  (void)state;
  for (size_t k = 0; k < sizeof functions / sizeof *functions; k++) {
    const function *f = &functions[k];
    int64_t n = 0;
    for (uint32_t u = f->from == 0 ? 0x00800000u : 0x2f000000u; u < 0x7f800000u; u += step) {
      float a = from_bits(u);
      if (a <= f->to) x[n++] = a;
      if (-a >= f->from) x[n++] = -a;
    }
    for (int64_t i = 0; i < n; i++) want[i] = f->exact((double)x[i]);
    for (int isa = 0; isa < LEVELS; isa++) {
      if (!have_level(isa)) continue;
      apply(f, isa, y, x, n);
      double most = 0, mean = 0, far = 0;
      float at = 0;
      int64_t held = 0;
      for (int64_t i = 0; i < n; i++) {
        if (fabs(want[i]) < 1.2e-38 || fabs(want[i]) > 3.4e38) continue;
        double e = fabs((double)y[i] - want[i]), q = e / ulp_of(want[i]);
        if (!(e <= far)) far = e;
        if (!(q <= most)) most = q, at = x[i];
        mean += q, held++;
      }
      print_message("%-13s %-8s [%g, %g]: %.2f ulp at most (at %g), %.3f on average; %.1e absolute\n", f->name,
                    level_name[isa], (double)f->from, (double)f->to, most, (double)at, mean / (double)held, far);
      if (f->ulp > 0) assert_true(most <= f->ulp);
      if (f->far > 0) assert_true(far <= f->far);
    }
  }
  free(x), free(y), free(want);
}

/* What the functions make of special numbers; results below 2^-126 count as 0. */
static void test_special(void **state) {
  static const struct { const char *name; float x, y; } table[] = {
      {"exp", HUGE_VALF, HUGE_VALF}, {"exp", -HUGE_VALF, 0}, {"exp", 0, 1}, {"exp", 88.8f, HUGE_VALF}, {"exp", 3e38f, HUGE_VALF},
      {"exp", -3e38f, 0}, {"exp", -110, 0}, {"log", HUGE_VALF, HUGE_VALF}, {"log", 0, -HUGE_VALF}, {"log", -1, NAN},
      {"log", -HUGE_VALF, NAN}, {"log", 1, 0}, {"tanh", HUGE_VALF, 1}, {"tanh", -HUGE_VALF, -1}, {"tanh", 0, 0},
      {"erf", HUGE_VALF, 1}, {"erf", -HUGE_VALF, -1}, {"erf", 0, 0}, {"silu", HUGE_VALF, HUGE_VALF}, {"silu", -HUGE_VALF, 0},
      {"silu", -3e38f, 0}, {"gelu (erf)", HUGE_VALF, HUGE_VALF}, {"gelu (erf)", -HUGE_VALF, 0}, {"gelu (tanh)", HUGE_VALF, HUGE_VALF},
      {"gelu (tanh)", -HUGE_VALF, 0}, {"gelu (tanh)", -3e38f, 0}, {"silu'", HUGE_VALF, 1}, {"silu'", -HUGE_VALF, 0},
      {"gelu' (erf)", HUGE_VALF, 1}, {"gelu' (erf)", -HUGE_VALF, 0}, {"gelu' (tanh)", HUGE_VALF, 1}, {"gelu' (tanh)", -1e30f, 0}};
  (void)state;
  for (int isa = 0; isa < LEVELS; isa++) {
    if (!have_level(isa)) continue;
    for (size_t k = 0; k < sizeof functions / sizeof *functions; k++) {
      const function *f = &functions[k];
      float x[37], y[37]; /* the same in every lane, in whole vectors and in the rest */
      for (int i = 0; i < 37; i++) x[i] = NAN;
      apply(f, isa, y, x, 37);
      for (int i = 0; i < 37; i++)
        if (!isnan(y[i])) fail_msg("%s at %s: NaN became %g", f->name, level_name[isa], (double)y[i]);
      for (size_t t = 0; t < sizeof table / sizeof *table; t++) {
        if (strcmp(table[t].name, f->name) != 0) continue;
        for (int i = 0; i < 37; i++) x[i] = table[t].x;
        apply(f, isa, y, x, 37);
        for (int i = 0; i < 37; i++) {
          bool ok = isnan(table[t].y) ? isnan(y[i]) : isinf(table[t].y) ? y[i] == table[t].y : fabsf(y[i] - table[t].y) < 1e-30f;
          if (!ok) fail_msg("%s(%g) at %s: %g", f->name, (double)x[i], level_name[isa], (double)y[i]);
          assert_memory_equal(&y[i], &y[0], 4);
        }
      }
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_errors), cmocka_unit_test(test_special)};
  return cmocka_run_group_tests_name("vecmath", tests, NULL, free_contexts);
}
