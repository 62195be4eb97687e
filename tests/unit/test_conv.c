/* The convolution kernels over shapes that make several tiles, the last one shorter: against the reference, with 1 thread
   against more bit for bit, and from run to run. Small shapes are in the generated tests. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "graph/graph.h"
#include "valgrind.h"

typedef struct conv_case {
  const char *what;
  int64_t images, in, h, w, out, kh, kw;
  wok_conv2d_opts o;
} conv_case;

static const conv_case cases[] = {
    {"3x3 of 64 channels", 7, 64, 16, 20, 64, 3, 3, {.pad = {1, 1, 1, 1}}},
    {"4x4 in steps of 2", 13, 32, 32, 32, 64, 4, 4, {.stride = {2, 2}, .pad = {1, 1, 1, 1}}},
    {"three channels, many images", 100, 3, 16, 16, 16, 5, 5, {.pad = {2, 2, 2, 2}}},
    {"uneven padding, dilated", 9, 17, 24, 21, 33, 3, 2, {.dilation = {2, 3}, .pad = {2, 0, 1, 3}}},
    {"groups", 11, 24, 24, 24, 36, 3, 3, {.pad = {1, 1, 1, 1}, .groups = 3}},
    {"each channel alone", 37, 48, 20, 20, 48, 3, 3, {.pad = {1, 1, 1, 1}, .groups = 48}},
    {"points", 20, 64, 16, 16, 96, 1, 1, {.groups = 1}},
};

/* Numbers in [-1, 1), from the element alone. */
static float *numbers(int64_t n, uint64_t seed) {
  float *p = malloc((size_t)n * sizeof *p);
  wok__rng r;
  assert_non_null(p);
  wok__rng_init(&r, seed, 3);
  for (int64_t i = 0; i < n; i++) p[i] = (float)(2 * wok__rng_uniform(&r) - 1);
  return p;
}

enum { RESULTS = 4 };
typedef struct results { float *v[RESULTS]; int64_t n[RESULTS]; } results;

/* y and the gradients of sum(y dy) by x, w and b. */
static results run(wok_ctx *c, const conv_case *k, bool reference) {
  wok_graph *g;
  wok_plan *p;
  results r;
  assert_int_equal(wok_graph_new(c, &g), WOK_OK);
  int64_t groups = k->o.groups ? k->o.groups : 1;
  wok_val *x = wok_input(g, "x", WOK_F32, WOK_SHAPE(k->images, k->in, k->h, k->w));
  wok_val *w = wok_input(g, "w", WOK_F32, WOK_SHAPE(k->out, k->in / groups, k->kh, k->kw));
  wok_val *b = wok_input(g, "b", WOK_F32, WOK_SHAPE(k->out)), *y = wok_conv2d(x, w, b, &k->o);
  assert_string_equal(wok_graph_message(g), "");
  wok_val *dy = wok_input(g, "dy", WOK_F32, wok_val_shape(y)), *from[] = {x, w, b, dy}, *to[RESULTS] = {y};
  wok_vjp(&y, &dy, 1, from, 3, to + 1);
  assert_int_equal(wok_compile(c, &p, to, RESULTS, &(wok_plan_opts){.reference = reference}), WOK_OK);
#ifdef WOK_ONEDNN
  char *report;
  assert_int_equal(wok_plan_report(p, &report), WOK_OK);
  assert_int_equal(strstr(report, "onednn") != NULL, !reference);
  wok_text_free(report);
#endif
  float *data[RESULTS];
  for (int i = 0; i < 4; i++) {
    data[i] = numbers(wok__shape_count(&from[i]->shape), 40 + (uint64_t)i);
    assert_int_equal(wok_plan_bind(p, from[i], data[i]), WOK_OK);
  }
  for (int again = 0; again < 2; again++) {
    assert_int_equal(wok_plan_run(p, NULL), WOK_OK);
    for (int i = 0; i < RESULTS; i++) {
      size_t bytes = (size_t)wok__bytes(WOK_F32, &to[i]->shape);
      r.n[i] = wok__shape_count(&to[i]->shape);
      if (again) assert_memory_equal(r.v[i], wok_plan_data(p, i), bytes);
      else memcpy(r.v[i] = malloc(bytes), wok_plan_data(p, i), bytes);
    }
  }
  for (int i = 0; i < 4; i++) free(data[i]);
  wok_plan_free(p);
  wok_graph_free(g);
  return r;
}
static void drop(results *r) {
  for (int i = 0; i < RESULTS; i++) free(r->v[i]);
}

static void test_case(void **state) {
  const conv_case *k = *state;
  if (k->images * k->in * k->out * k->h * k->w > 3000000) NOT_UNDER_VALGRIND("millions of products");
  wok_ctx *c;
  assert_int_equal(wok_ctx_new(&c, &(wok_ctx_opts){.threads = 1}), WOK_OK);
  results want = run(c, k, true), one = run(c, k, false);
  wok_ctx_free(c);
  for (int i = 0; i < RESULTS; i++) {
    double top = 0, worst = 0;
    for (int64_t e = 0; e < want.n[i]; e++) {
      top = fmax(top, fabs((double)want.v[i][e]));
      worst = fmax(worst, fabs((double)one.v[i][e] - (double)want.v[i][e]));
    }
    if (!(worst <= 3e-6 * top)) fail_msg("%s: result %d is off by %g of %g", k->what, i, worst, top);
  }
  for (int threads = 2; threads < 5; threads++) {
    assert_int_equal(wok_ctx_new(&c, &(wok_ctx_opts){.threads = threads}), WOK_OK);
    results more = run(c, k, false);
    for (int i = 0; i < RESULTS; i++) assert_memory_equal(more.v[i], one.v[i], (size_t)one.n[i] * sizeof(float));
    drop(&more);
    wok_ctx_free(c);
  }
  drop(&one);
  drop(&want);
}

/* Weight gradients onto what is there, by the kernel itself: as a sum formed afterwards, to rounding. */
static void test_accumulates(void **state) {
  (void)state;
  wok_ctx *c;
  wok_graph *g;
  wok_buffer *b;
  wok_plan *p;
  enum { N = 40, CHANNELS = 8, SIZE = 12, TAPS = CHANNELS * CHANNELS * 9, ELEMENTS = N * CHANNELS * SIZE * SIZE };
  assert_int_equal(wok_ctx_new(&c, &(wok_ctx_opts){.threads = 2}), WOK_OK);
  assert_int_equal(wok_graph_new(c, &g), WOK_OK);
  float *memory = numbers(TAPS, 1), *before = numbers(TAPS, 1), *xs = numbers(ELEMENTS, 2), *dys = numbers(ELEMENTS, 3);
  assert_int_equal(wok_buffer_new(c, &b, "dw", WOK_F32, TAPS, memory), WOK_OK);
  wok_val *x = wok_input(g, "x", WOK_F32, WOK_SHAPE(N, CHANNELS, SIZE, SIZE)), *dy = wok_input(g, "dy", WOK_F32, x->shape);
  wok_val *w = wok_full(g, WOK_F32, WOK_SHAPE(CHANNELS, CHANNELS, 3, 3), 0), *dw;
  wok_val *y = wok_conv2d(x, w, NULL, &(wok_conv2d_opts){.pad = {1, 1, 1, 1}});
  wok_vjp(&y, &dy, 1, &w, 1, &dw);
  wok_val *effect = wok_accumulate(b, 0, dw);
  assert_int_equal(wok_compile(c, &p, &effect, 1, NULL), WOK_OK);
  wok_plan_bind(p, x, xs);
  wok_plan_bind(p, dy, dys);
  assert_int_equal(wok_plan_run(p, NULL), WOK_OK);
  float *first = malloc(sizeof(float) * TAPS);
  memcpy(first, memory, sizeof(float) * TAPS);
  assert_int_equal(wok_plan_run(p, NULL), WOK_OK);
  for (int i = 0; i < TAPS; i++) /* twice the same was added */
    assert_true(fabs((double)(memory[i] - first[i]) - (double)(first[i] - before[i])) <= 1e-4);
  wok_plan_free(p);
  wok_buffer_free(b);
  wok_graph_free(g);
  wok_ctx_free(c);
  free(first), free(memory), free(before), free(xs), free(dys);
}

int main(void) {
  struct CMUnitTest tests[WOK__COUNT(cases) + 1];
  int n = 0;
  for (; n < WOK__COUNT(cases); n++)
    tests[n] = (struct CMUnitTest){.name = cases[n].what, .test_func = test_case, .initial_state = (void *)(uintptr_t)&cases[n]};
  tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_accumulates);
  return _cmocka_run_group_tests("convolution", tests, (size_t)n, NULL, NULL) != 0;
}
