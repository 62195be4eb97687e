/* golden_case.h - values built by public builders against recorded numbers, forward and backward, in both types, by the reference
   kernels and by the best. Each program that includes it has its own copy. */
#ifndef WOK_TESTS_GOLDEN_CASE_H
#define WOK_TESTS_GOLDEN_CASE_H
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "graph/graph.h"

enum { GOLDEN_INPUTS = 4 };

/* An input: made from a seed, or given; integers when `ints` is there. The gradients by the first `leaves` are compared. */
typedef struct golden_input {
  wok_shape shape;
  int seed;
  const double *values;
  const int32_t *ints;
} golden_input;
#define MADE(seed_, ...) {.shape = WOK_SHAPE(__VA_ARGS__), .seed = seed_}
#define GIVEN(values_, ...) {.shape = WOK_SHAPE(__VA_ARGS__), .values = values_}
#define INTS(ints_, ...) {.shape = WOK_SHAPE(__VA_ARGS__), .ints = ints_}

typedef struct golden_case {
  const char *what;
  wok_val *(*build)(wok_graph *g, wok_val *const *in);
  golden_input in[GOLDEN_INPUTS];
  int nin, leaves;
  const double *y, *grad; /* of sum(y fill(90)) by the leaves, one behind the other; NULL: not compared */
  int64_t ny, ngrad;
  const int32_t *whole;   /* instead of y, of an integer result */
} golden_case;
#define GOLDEN(name) .y = golden_##name, .ny = WOK__COUNT(golden_##name)
#define GOLDEN_GRAD(name) .grad = golden_##name##_grad, .ngrad = WOK__COUNT(golden_##name##_grad)
#define GOLDEN_BOTH(name) GOLDEN(name), GOLDEN_GRAD(name)
#define GOLDEN_WHOLE(name) .whole = golden_##name, .ny = WOK__COUNT(golden_##name)

/* Multiples of 1/16: exact in every type; tests/golden/golden.py has the same function. */
static double golden_fill(int seed, int64_t i) { return (double)((i * 37 + seed * 11) % 61 - 30) / 16; }

static void *golden_data(const golden_input *x, wok_dtype t, wok_dtype *type) {
  int64_t n = wok__shape_count(&x->shape);
  *type = x->ints ? WOK_I32 : t;
  char *p = malloc((size_t)(n + 1) * 8);
  for (int64_t i = 0; i < n; i++) {
    double v = x->ints ? x->ints[i] : x->values ? x->values[i] : golden_fill(x->seed, i);
    if (x->ints) ((int32_t *)(void *)p)[i] = x->ints[i];
    else if (t == WOK_F64) ((double *)(void *)p)[i] = v;
    else ((float *)(void *)p)[i] = (float)v;
  }
  return p;
}

static double golden_at(const void *p, wok_dtype t, int64_t i) {
  return t == WOK_F64 ? ((const double *)p)[i] : t == WOK_I32 ? ((const int32_t *)p)[i] : (double)((const float *)p)[i];
}

static void golden_compare(const golden_case *k, const char *part, const void *have, wok_dtype t, const double *want, int64_t n,
                           int64_t count, double bound) {
  double top = 0, worst = 0;
  int64_t at = 0;
  if (count != n) fail_msg("%s: %s has %lld elements, not %lld", k->what, part, (long long)count, (long long)n);
  for (int64_t i = 0; i < n; i++) {
    double off = fabs(golden_at(have, t, i) - want[i]);
    top = fmax(top, fabs(want[i]));
    if (!(off <= worst)) worst = off, at = i;
  }
  if (!(worst <= bound * fmax(top, 1e-3)))
    fail_msg("%s: %s of %s: element %lld is %.17g, not %.17g (bound %g of %g)", k->what, wok_dtype_name(t), part, (long long)at,
             golden_at(have, t, at), want[at], bound, top);
}

static void golden_run(wok_ctx *c, const golden_case *k, wok_dtype t, bool reference) {
  wok_graph *g;
  wok_plan *p;
  wok_val *in[GOLDEN_INPUTS], *results[1 + GOLDEN_INPUTS], *dy;
  void *data[GOLDEN_INPUTS + 1];
  wok_dtype types[GOLDEN_INPUTS + 1];
  double bound = t == WOK_F64 ? 1e-12 : 1e-5;
  assert_int_equal(wok_graph_new(c, &g), WOK_OK);
  for (int i = 0; i < k->nin; i++) {
    data[i] = golden_data(&k->in[i], t, &types[i]);
    in[i] = wok_input(g, NULL, types[i], k->in[i].shape);
  }
  results[0] = k->build(g, in);
  if (wok_graph_status(g)) fail_msg("%s: %s", k->what, wok_graph_message(g));
  int n = 1, ninputs = k->nin;
  if (k->grad) {
    golden_input cotangent = {.shape = wok_val_shape(results[0]), .seed = 90};
    data[ninputs] = golden_data(&cotangent, t, &types[ninputs]);
    dy = wok_input(g, NULL, t, cotangent.shape);
    wok_vjp(results, &dy, 1, in, k->leaves, results + 1);
    n += k->leaves;
    ninputs++;
  }
  if (wok_compile(c, &p, results, n, &(wok_plan_opts){.reference = reference})) fail_msg("%s: %s", k->what, wok_errmsg(c));
  for (int i = 0; i < ninputs; i++) assert_int_equal(wok_plan_bind(p, i < k->nin ? in[i] : dy, data[i]), WOK_OK);
  assert_int_equal(wok_plan_run(p, &(wok_run_opts){.seed = 3, .tick = 4}), WOK_OK);
  int64_t count = wok__shape_count(&results[0]->shape);
  if (k->whole) {
    assert_int_equal(count, k->ny);
    assert_memory_equal(wok_plan_data(p, 0), k->whole, (size_t)count * sizeof(int32_t));
  } else golden_compare(k, "the result", wok_plan_data(p, 0), results[0]->dtype, k->y, k->ny, count, bound);
  int64_t at = 0;
  for (int i = 1; i < n; i++) {
    char part[40];
    snprintf(part, sizeof part, "the gradient by input %d", i - 1);
    count = wok__shape_count(&results[i]->shape);
    golden_compare(k, part, wok_plan_data(p, i), t, k->grad + at, WOK__MIN(count, k->ngrad - at), count, bound);
    at += count;
  }
  if (k->grad) assert_int_equal(at, k->ngrad);
  for (int i = 0; i < ninputs; i++) free(data[i]);
  wok_plan_free(p);
  wok_graph_free(g);
}

static void golden_test(void **state) {
  wok_ctx *c;
  assert_int_equal(wok_ctx_new(&c, &(wok_ctx_opts){.threads = 2}), WOK_OK);
  for (int i = 0; i < 4; i++) golden_run(c, *state, i & 1 ? WOK_F32 : WOK_F64, i & 2);
  wok_ctx_free(c);
}

/* Appends the cases to tests[n...]; returns the new n. */
static int golden_add(struct CMUnitTest *tests, int n, const golden_case *cases, int64_t count) {
  for (int64_t i = 0; i < count; i++)
    tests[n++] = (struct CMUnitTest){.name = cases[i].what, .test_func = golden_test, .initial_state = (void *)(uintptr_t)&cases[i]};
  return n;
}
#endif
