/* Initial values: the laws of spec 01 a.2.1 and a.5, and that a number depends on seed, name and place alone. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "nn/nn.h"
#include "valgrind.h"

static wok_ctx *context(int threads) {
  wok_ctx *c;
  assert_int_equal(wok_ctx_new(&c, &(wok_ctx_opts){.threads = threads}), WOK_OK);
  return c;
}

typedef struct moments {
  double mean, std, most, fourth;
} moments;
static moments measure(const double *x, int64_t n) {
  moments m = {0, 0, 0, 0};
  for (int64_t i = 0; i < n; i++) {
    m.mean += x[i] / (double)n;
    m.most = fmax(m.most, fabs(x[i]));
  }
  for (int64_t i = 0; i < n; i++) {
    double d = x[i] - m.mean;
    m.std += d * d / (double)n;
    m.fourth += d * d * d * d / (double)n;
  }
  m.fourth /= m.std * m.std;
  m.std = sqrt(m.std);
  return m;
}

static void near(double got, double want, double by) {
  if (!(fabs(got - want) <= by)) fail_msg("%.12g is not within %g of %.12g", got, by, want);
}

static void test_gain(void **state) {
  (void)state;
  near(wok__truncation_gain(1), 0.2911251, 1e-7);
  near(wok__truncation_gain(2), 0.7737413035, 1e-9);
  near(wok__truncation_gain(4), 0.9989293, 1e-7);
  near(1 / sqrt(wok__truncation_gain(2)), 1.1368472343, 1e-9);
}

static void test_quantile(void **state) {
  (void)state;
  near(wok__normal_quantile(0.5), 0, 0);
  near(wok__normal_quantile(0.975), 1.959963984540054, 1e-14);
  for (double x = -8; x <= 8; x += 0.0625) {
    double p = 0.5 * erfc(-x / sqrt(2.0));
    double lost =
        x > 0 ? 0x1p-53 / (exp(-0.5 * x * x) / 2.5066282746310002) : 0; /* p itself is rounded near 1 */
    near(wok__normal_quantile(p), x, 1e-13 * (1 + fabs(x)) + lost);
  }
}

enum { MANY = 1 << 22 };

static void draws(const wok__init *i, double std, double most, double fourth) {
  NOT_UNDER_VALGRIND("four million numbers");
  wok_ctx *c = context(2);
  double *x = malloc(MANY * sizeof *x);
  wok__init_fill(c, i, 3, 5, 11, "w", WOK_F64, x, MANY);
  moments m = measure(x, MANY);
  near(m.mean, 0, 4 * std / sqrt((double)MANY));
  near(m.std, std, 0.002 * std);
  near(m.fourth, fourth, 0.01 * fourth);
  if (most > 0) assert_true(m.most <= most && m.most > 0.99 * most);
  near(wok__init_std(i, 3, 5), std, 1e-9 * std);
  free(x);
  wok_ctx_free(c);
}

static void test_normal(void **state) {
  draws(&(wok__init){.dist = WOK__DIST_NORMAL, .value = 0.02}, 0.02, 0, 3);
}
static void test_uniform(void **state) {
  draws(&(wok__init){.dist = WOK__DIST_UNIFORM, .value = 2}, 2, 2 * sqrt(3.0), 1.8);
}
static void test_truncated(void **state) {
  draws(&(wok__init){.dist = WOK__DIST_TRUNCATED, .value = 1}, 1, 2 * 1.1368472343, 2.365537);
  draws(&(wok__init){.dist = WOK__DIST_TRUNCATED, .value = 1, .nominal = true}, 0.8796256610, 2, 2.365537);
}
static void test_fans(void **state) {
  const struct {
    wok__fan fan;
    double fans;
  } f[] = {{WOK__FAN_IN, 3}, {WOK__FAN_OUT, 5}, {WOK__FAN_MEAN, 4}, {WOK__FAN_GEOMETRIC, sqrt(15.0)}};
  for (size_t i = 0; i < sizeof f / sizeof *f; i++)
    draws(&(wok__init){.dist = WOK__DIST_NORMAL, .fan = f[i].fan, .value = sqrt(2.0)}, sqrt(2 / f[i].fans), 0,
          3);
}

static void test_same_numbers(void **state) {
  const int64_t n = 300001;
  wok_ctx *one = context(1), *two = context(2);
  float *a = malloc((size_t)n * sizeof *a), *b = malloc((size_t)n * sizeof *b);
  double *d = malloc((size_t)n * sizeof *d);
  for (int dist = WOK__DIST_CONSTANT; dist <= WOK__DIST_UNIFORM; dist++) {
    const wok__init i = {.dist = (wok__dist)dist, .value = 0.5};
    wok__init_fill(one, &i, 1, 1, 3, "layer.0/attn/qkv", WOK_F32, a, n);
    wok__init_fill(two, &i, 1, 1, 3, "layer.0/attn/qkv", WOK_F32, b, n);
    assert_memory_equal(a, b, (size_t)n * sizeof *a);
    wok__init_fill(two, &i, 1, 1, 3, "layer.0/attn/qkv", WOK_F32, b,
                   1000); /* the beginning of a longer one */
    assert_memory_equal(a, b, 1000 * sizeof *a);
    wok__init_fill(one, &i, 1, 1, 3, "layer.0/attn/qkv", WOK_F64, d, n);
    for (int64_t k = 0; k < n; k++) assert_true(a[k] == (float)d[k]);
    if (dist == WOK__DIST_CONSTANT) {
      assert_true(a[0] == 0.5F && a[n - 1] == 0.5F);
      continue;
    }
    wok__init_fill(one, &i, 1, 1, 4, "layer.0/attn/qkv", WOK_F32, b, n);
    assert_memory_not_equal(a, b, 64);
    wok__init_fill(one, &i, 1, 1, 3, "layer.1/attn/qkv", WOK_F32, b, n);
    assert_memory_not_equal(a, b, 64);
  }
  free(a);
  free(b);
  free(d);
  wok_ctx_free(one);
  wok_ctx_free(two);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_gain),         cmocka_unit_test(test_quantile),  cmocka_unit_test(test_normal),
      cmocka_unit_test(test_uniform),      cmocka_unit_test(test_truncated), cmocka_unit_test(test_fans),
      cmocka_unit_test(test_same_numbers),
  };
  return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
