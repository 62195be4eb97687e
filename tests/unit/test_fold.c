/* Constant folding: what goes, what stays, and that the numbers are the same. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "graph/graph.h"

typedef struct fixture { wok_ctx *c; wok_graph *g; wok_val *x; float data[6]; } fixture;

static int begin(void **state) {
  static fixture f;
  f = (fixture){.data = {1.5F, -2, 0, 3.25F, -0.5F, 7}};
  assert_int_equal(wok_ctx_new(&f.c, &(wok_ctx_opts){.threads = 1}), WOK_OK);
  assert_int_equal(wok_graph_new(f.c, &f.g), WOK_OK);
  f.x = wok_input(f.g, "x", WOK_F32, WOK_SHAPE(2, 3));
  *state = &f;
  return 0;
}
static int end(void **state) {
  fixture *f = *state;
  wok_graph_free(f->g);
  wok_ctx_free(f->c);
  return 0;
}

static wok_val *number(fixture *f, double v) { return wok_full(f->g, WOK_F32, WOK_SHAPE0, v); }

/* Runs y's plan, expects these numbers and that kernels of `gone` (a word or NULL) do not run while those of `there` do. */
static void expect(fixture *f, wok_val *y, const float *want, int64_t n, const char *gone, const char *there) {
  wok_plan *p;
  char *report, word[64];
  assert_int_equal(wok_compile(f->c, &p, &y, 1, NULL), WOK_OK);
  assert_int_equal(wok_plan_bind(p, f->x, f->data), WOK_OK);
  assert_int_equal(wok_plan_run(p, NULL), WOK_OK);
  const float *got = wok_plan_data(p, 0);
  for (int64_t i = 0; i < n; i++)
    if (got[i] != want[i]) fail_msg("element %lld: expected %.9g, got %.9g", (long long)i, (double)want[i], (double)got[i]);
  assert_int_equal(wok_plan_report(p, &report), WOK_OK);
  if (gone) {
    snprintf(word, sizeof word, "\n%-19s ", gone);
    if (strstr(report, word)) fail_msg("expected no %s in the plan, got\n%s", gone, report);
  }
  if (there) {
    snprintf(word, sizeof word, "\n%-19s ", there);
    if (!strstr(report, word)) fail_msg("expected %s in the plan, got\n%s", there, report);
  }
  wok_text_free(report);
  wok_plan_free(p);
}

static void neutral_elements_go(void **state) {
  fixture *f = *state;
  wok_val *t = wok_tanh(f->x), *y = t;
  float want[6];
  for (int i = 0; i < 6; i++) want[i] = f->data[i];
  expect(f, wok_mul(f->x, number(f, 1)), want, 6, "mul", NULL);
  expect(f, wok_add(number(f, 0), f->x), want, 6, "add", NULL);
  expect(f, wok_sub(f->x, number(f, 0)), want, 6, "sub", NULL);
  expect(f, wok_div(f->x, number(f, 1)), want, 6, "div", NULL);
  y = wok_mul(wok_add(wok_mul(number(f, 1), y), number(f, 0)), number(f, 1));
  wok_plan *p;
  assert_int_equal(wok_compile(f->c, &p, (wok_val *[]){y, t}, 2, NULL), WOK_OK);
  assert_ptr_equal(wok_plan_data(p, 0), wok_plan_data(p, 1)); /* one value */
  wok_plan_free(p);
}

static void factors_become_numbers(void **state) {
  fixture *f = *state;
  float want[6], left[6];
  for (int i = 0; i < 6; i++) want[i] = f->data[i] * 2.5F, left[i] = 2.5F - f->data[i];
  expect(f, wok_mul(wok_broadcast_to(number(f, 2.5), WOK_SHAPE(2, 3)), f->x), want, 6, "mul", "affine");
  expect(f, wok_sub(number(f, 2.5), f->x), left, 6, NULL, "sub");
}

static void arithmetic_is_done_while_planning(void **state) {
  fixture *f = *state;
  wok_val *a = number(f, 3), *b = wok_offset(wok_scale(wok_sqrt(wok_neg(wok_sub(a, wok_mul(a, a)))), 0.1), 7), *y = wok_div(b, a);
  float root = sqrtf(6), affine = (float)(0.1 * (double)root + 7), want = affine / 3;
  expect(f, y, &want, 1, "div", "full");
  expect(f, wok_tanh(y), NULL, 0, "sqrt", "tanh"); /* functions that kernels approximate are theirs */
  float nothing[6];
  for (int i = 0; i < 6; i++) nothing[i] = f->data[i] * 0.0F;
  expect(f, wok_mul(f->x, wok_sub(a, a)), nothing, 6, "mul", "affine"); /* not zero where x is NaN */
  float inf = INFINITY;
  expect(f, wok_div(a, wok_sub(a, a)), &inf, 1, NULL, "div"); /* what is no number is left to the run */
}

/* What a plan reads out of a buffer it also changes is the old contents. */
static void buffers_are_copied(void **state) {
  fixture *f = *state;
  float kept[2] = {4, 5};
  wok_buffer *b;
  wok_plan *p;
  assert_int_equal(wok_buffer_new(f->c, &b, "b", WOK_F32, 2, kept), WOK_OK);
  wok_val *old = wok_load(f->g, b, 0, WOK_SHAPE(2)), *copy = wok_mul(old, number(f, 1));
  wok_val *half = wok_scale(wok_scale(old, 0.5), 1), *back = wok_mul(half, number(f, 2));
  wok_val *to[] = {copy, back, wok_store(b, 0, wok_full(f->g, WOK_F32, WOK_SHAPE(2), 9))};
  assert_int_equal(wok_compile(f->c, &p, to, 3, NULL), WOK_OK);
  assert_int_equal(wok_plan_run(p, NULL), WOK_OK);
  for (int r = 0; r < 2; r++) {
    const float *got = wok_plan_data(p, r);
    if (got[0] != 4 || got[1] != 5) fail_msg("result %d: expected 4 5, got %g %g", r, (double)got[0], (double)got[1]);
  }
  assert_true(kept[0] == 9 && kept[1] == 9);
  wok_plan_free(p);
  wok_buffer_free(b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(neutral_elements_go, begin, end), cmocka_unit_test_setup_teardown(factors_become_numbers, begin, end),
      cmocka_unit_test_setup_teardown(arithmetic_is_done_while_planning, begin, end),
      cmocka_unit_test_setup_teardown(buffers_are_copied, begin, end)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
