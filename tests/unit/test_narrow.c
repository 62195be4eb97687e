/* Products with few columns over shapes that make several tiles and several pieces of K: against the reference, with 1 thread
   against more bit for bit, added to a buffer and not. Small shapes are in the generated tests. And repeating few times. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "graph/graph.h"

typedef struct product {
  const char *what;
  int64_t m, n, k;
  bool ta, tb, linear;
} product;

static const product products[] = {
    {"a score", 1030, 1, 3136, false, true, true},
    {"two outputs", 517, 2, 64, false, true, true},
    {"three long rows", 3, 3, 5001, false, true, false},
    {"an input of two", 258, 2, 67, false, false, false},
    {"four columns", 131, 4, 4099, false, false, false},
    {"a weight of an input of two", 67, 2, 5000, true, false, false},
    {"a weight, B transposed", 131, 3, 300, true, true, false},
    {"one column, wide", 4000, 1, 9, true, false, false},
};

static float *numbers(int64_t n, uint64_t seed) {
  float *p = malloc((size_t)n * sizeof *p);
  wok__rng r;
  assert_non_null(p);
  wok__rng_init(&r, seed, 3);
  for (int64_t i = 0; i < n; i++) p[i] = (float)(2 * wok__rng_uniform(&r) - 1);
  return p;
}

enum { PLAIN, ADDED, RESULTS };
typedef struct results { float *v[RESULTS]; bool narrow; } results;

/* The product, and the product added to a buffer of ones. */
static results run(int threads, const product *k, bool reference, const char *isa) {
  wok_ctx *c;
  wok_graph *g;
  wok_plan *p;
  wok_buffer *sum;
  char *report;
  results r = {.v = {NULL}};
  assert_int_equal(wok_ctx_new(&c, &(wok_ctx_opts){.threads = threads, .isa_cap = isa}), WOK_OK);
  assert_int_equal(wok_graph_new(c, &g), WOK_OK);
  int64_t count = k->m * k->n;
  for (int i = 0; i < RESULTS; i++) assert_non_null(r.v[i] = malloc((size_t)count * sizeof(float)));
  for (int64_t i = 0; i < count; i++) r.v[ADDED][i] = 1;
  assert_int_equal(wok_buffer_new(c, &sum, "sum", WOK_F32, count, r.v[ADDED]), WOK_OK);
  wok_val *a = wok_input(g, "a", WOK_F32, k->ta ? WOK_SHAPE(k->k, k->m) : WOK_SHAPE(k->m, k->k));
  wok_val *a2 = wok_input(g, "a2", WOK_F32, wok_val_shape(a)); /* equal, but not the same value: each result has its own product */
  wok_val *b = wok_input(g, "b", WOK_F32, k->tb ? WOK_SHAPE(k->n, k->k) : WOK_SHAPE(k->k, k->n));
  wok_val *bias = wok_input(g, "bias", WOK_F32, WOK_SHAPE(k->n));
  wok_val *y = k->linear ? wok_linear(a, b, bias) : wok_matmul(a, b, k->ta, k->tb);
  wok_val *z = k->linear ? wok_linear(a2, b, bias) : wok_matmul(a2, b, k->ta, k->tb);
  wok_val *to[] = {y, wok_accumulate(sum, 0, z)};
  assert_int_equal(wok_compile(c, &p, to, 2, &(wok_plan_opts){.reference = reference}), WOK_OK);
  float *data[] = {numbers(k->m * k->k, 1), numbers(k->n * k->k, 2), numbers(k->n, 3)};
  assert_int_equal(wok_plan_bind(p, a, data[0]), WOK_OK);
  assert_int_equal(wok_plan_bind(p, a2, data[0]), WOK_OK);
  assert_int_equal(wok_plan_bind(p, b, data[1]), WOK_OK);
  assert_int_equal(wok_plan_bind(p, bias, data[2]), WOK_OK);
  assert_int_equal(wok_plan_run(p, NULL), WOK_OK);
  memcpy(r.v[PLAIN], wok_plan_data(p, 0), (size_t)count * sizeof(float));
  assert_int_equal(wok_plan_report(p, &report), WOK_OK);
  r.narrow = strstr(report, "narrow") != NULL;
  wok_text_free(report);
  for (int i = 0; i < 3; i++) free(data[i]);
  wok_plan_free(p);
  wok_graph_free(g);
  wok_buffer_free(sum);
  wok_ctx_free(c);
  return r;
}

static void results_free(results *r) {
  for (int i = 0; i < RESULTS; i++) free(r->v[i]);
}

static void close_to(const char *what, const float *got, const float *want, int64_t n, double bound) {
  double most = 0, worst = 0;
  for (int64_t i = 0; i < n; i++) {
    most = fmax(most, fabs((double)want[i]));
    worst = fmax(worst, fabs((double)got[i] - (double)want[i]));
  }
  if (!(worst <= bound * most)) fail_msg("%s: error %g of the largest magnitude %g; allowed is %g of it", what, worst, most, bound);
}

static void products_are_right(void **state) {
  (void)state;
  static const char *const isas[] = {"generic", "avx2", NULL};
  for (size_t i = 0; i < sizeof products / sizeof *products; i++) {
    const product *k = &products[i];
    int64_t n = k->m * k->n;
    results want = run(1, k, true, NULL);
    for (int isa = 0; isa < 3; isa++) {
      results one = run(1, k, false, isas[isa]), four = run(4, k, false, isas[isa]);
      if (!one.narrow) fail_msg("%s: expected the narrow kernel, another one ran", k->what);
      for (int v = 0; v < RESULTS; v++) {
        close_to(k->what, one.v[v], want.v[v], n, 1e-6);
        if (memcmp(one.v[v], four.v[v], (size_t)n * sizeof(float)) != 0) fail_msg("%s: 1 and 4 threads differ", k->what);
      }
      results_free(&one);
      results_free(&four);
    }
    results_free(&want);
  }
}

static void repeats_are_right(void **state) {
  (void)state;
  for (int64_t rep = 1; rep <= 40; rep += rep < 20 ? 1 : 7) {
    int64_t rows = 40000 / rep;
    wok_ctx *c;
    wok_graph *g;
    wok_plan *p;
    assert_int_equal(wok_ctx_new(&c, &(wok_ctx_opts){.threads = 2}), WOK_OK);
    assert_int_equal(wok_graph_new(c, &g), WOK_OK);
    wok_val *x = wok_input(g, "x", WOK_F32, WOK_SHAPE(rows, 1)), *y = wok_broadcast_to(x, WOK_SHAPE(rows, rep));
    assert_int_equal(wok_compile(c, &p, &y, 1, NULL), WOK_OK);
    float *data = numbers(rows, 5);
    assert_int_equal(wok_plan_bind(p, x, data), WOK_OK);
    assert_int_equal(wok_plan_run(p, NULL), WOK_OK);
    const float *got = wok_plan_data(p, 0);
    for (int64_t i = 0; i < rows * rep; i++)
      if (got[i] != data[i / rep])
        fail_msg("%lld times, element %lld: expected %g, got %g", (long long)rep, (long long)i, (double)data[i / rep], (double)got[i]);
    free(data);
    wok_plan_free(p);
    wok_graph_free(g);
    wok_ctx_free(c);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(products_are_right), cmocka_unit_test(repeats_are_right)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
