/* What a gradient may be asked of: any scalar, several outputs with given cotangents, inputs that some outputs do not depend on
   or none does, values in the middle, the same value twice; and what is refused, by name. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "graph/graph.h"

static wok_ctx *c;
static wok_graph *g;
static wok_val *x, *u, *z; /* [3], [3], [2] */
static const double xs[] = {0.3, -1.1, 2}, us[] = {1, -0.5, 0.25}, zs[] = {4, -3};

static int set_up(void **state) {
  (void)state;
  if (wok_ctx_new(&c, &(wok_ctx_opts){.threads = 2}) || wok_graph_new(c, &g)) return -1;
  x = wok_named(wok_const(g, WOK_F64, WOK_SHAPE(3), xs), "x");
  u = wok_named(wok_const(g, WOK_F64, WOK_SHAPE(3), us), "u");
  z = wok_named(wok_const(g, WOK_F64, WOK_SHAPE(2), zs), "z");
  return 0;
}
static int tear_down(void **state) {
  (void)state;
  wok_graph_free(g);
  wok_ctx_free(c);
  return 0;
}

static void has(wok_val *v, int64_t n, const double *want) {
  wok_plan *p;
  assert_string_equal(wok_graph_message(g), "");
  assert_int_equal(wok__shape_count(&v->shape), n);
  if (wok_compile(c, &p, &v, 1, NULL) || wok_plan_run(p, NULL)) fail_msg("%s", wok_errmsg(c));
  const double *came = wok_plan_data(p, 0);
  for (int64_t i = 0; i < n; i++)
    if (!(fabs(came[i] - want[i]) <= 1e-13 * fmax(1, fabs(want[i])))) fail_msg("element %lld: expected %.15g, came %.15g", (long long)i, want[i], came[i]);
  wok_plan_free(p);
}
static void says(const char *part) {
  if (!strstr(wok_graph_message(g), part)) fail_msg("expected \"%s\", came \"%s\"", part, wok_graph_message(g));
}

static void several_outputs_with_their_cotangents(void **state) {
  (void)state;
  static const double weight[] = {2, 3, -1};
  wok_val *y[] = {wok_sin(x), wok_mul(x, u), wok_square(z)};
  wok_val *ct[] = {wok_const(g, WOK_F64, WOK_SHAPE(3), weight), NULL, NULL}, *in[] = {x, u, z}, *d[3]; /* NULL: ones */
  double want[3][3];
  for (int i = 0; i < 3; i++) want[0][i] = weight[i] * cos(xs[i]) + us[i], want[1][i] = xs[i], want[2][i] = 2 * zs[i % 2];
  wok_vjp(y, ct, 3, in, 3, d);
  for (int i = 0; i < 3; i++) has(d[i], i < 2 ? 3 : 2, want[i]);
  wok_vjp(y, NULL, 3, in, 3, d);
  for (int i = 0; i < 3; i++) want[0][i] = cos(xs[i]) + us[i];
  has(d[0], 3, want[0]);
}

/* Each output depends on some of the inputs; the one that none depends on has zeros; so has everything of no outputs. */
static void partial_dependence(void **state) {
  (void)state;
  static const double zeros[3] = {0};
  wok_val *y[] = {wok_sum(wok_exp(x)), wok_sum(wok_mul(wok_stop_grad(u), x))}, *in[] = {x, u, z}, *d[3];
  double want[3];
  for (int i = 0; i < 3; i++) want[i] = exp(xs[i]) + us[i];
  wok_vjp(y, NULL, 2, in, 3, d);
  has(d[0], 3, want);
  has(d[1], 3, zeros);
  has(d[2], 2, zeros);
  wok_vjp(NULL, NULL, 0, in, 3, d);
  for (int i = 0; i < 3; i++) has(d[i], i < 2 ? 3 : 2, zeros);
  /* the gradient of zeros is zeros, of any order */
  has(wok_grad1(wok_sum(d[0]), x), 3, zeros);
  wok_jvp(y, 2, NULL, NULL, 0, d);
  has(d[0], 1, zeros);
}

/* A gradient is a value like any other: taken again, of a scalar that has it inside, by what came in between, of any shape of
   one element. */
static void entered_again(void **state) {
  (void)state;
  wok_val *h = wok_mul(x, x), *y = wok_sum(wok_mul(h, u)), *in[] = {h, x}, *d[2], *e[2];
  wok_grad(wok_reshape(y, WOK_SHAPE(1, 1)), in, 2, d);
  double want[3];
  has(d[0], 3, us); /* by the value in the middle */
  for (int i = 0; i < 3; i++) want[i] = 2 * xs[i] * us[i];
  has(d[1], 3, want); /* and through it */
  wok_val *again = wok_sum(wok_mul(d[1], wok_mul(d[1], h))); /* sum of 4 x^4 u^2 */
  wok_grad(again, (wok_val *[]){x, u}, 2, e);
  for (int i = 0; i < 3; i++) want[i] = 16 * pow(xs[i], 3) * us[i] * us[i];
  has(e[0], 3, want);
  for (int i = 0; i < 3; i++) want[i] = 8 * pow(xs[i], 4) * us[i];
  has(e[1], 3, want);
  wok_val *fourth = wok_grad1(wok_sum(wok_grad1(wok_sum(e[1]), x)), u); /* 8 x^4 u by x, by u */
  for (int i = 0; i < 3; i++) want[i] = 32 * pow(xs[i], 3);
  has(fourth, 3, want);
}

/* The same value asked for twice, an output that is an input, an output twice. */
static void equal_inputs_and_outputs(void **state) {
  (void)state;
  wok_val *y = wok_sum(wok_exp(x)), *in[] = {x, u, x}, *d[3];
  double want[3];
  for (int i = 0; i < 3; i++) want[i] = exp(xs[i]);
  wok_grad(y, in, 3, d);
  has(d[0], 3, want);
  has(d[2], 3, want);
  wok_vjp((wok_val *[]){x, x}, NULL, 2, &x, 1, d);
  has(d[0], 3, (const double[]){2, 2, 2});
}

/* Integers carry no gradient along; floating-point values beside them do. */
static void integers_on_the_way(void **state) {
  (void)state;
  static const int32_t rows[] = {2, 0, 2};
  wok_val *y = wok_gather(wok_exp(x), wok_const(g, WOK_I32, WOK_SHAPE(3), rows)), *whole = wok_cast(wok_cast(wok_scale(x, 10), WOK_I32), WOK_F64);
  has(wok_grad1(wok_sum(wok_add(y, whole)), x), 3, (const double[]){exp(xs[0]), 0, 2 * exp(xs[2])});
}

/* ---- refused, by name ---- */
static void integer_inputs_are_refused(void **state) {
  (void)state;
  wok_val *rows = wok_named(wok_input(g, "rows", WOK_I32, WOK_SHAPE(2)), "picked"), *in[] = {x, rows}, *d[2];
  wok_grad(wok_sum(wok_gather(x, rows)), in, 2, d);
  assert_true(wok_is_poison(d[0]) && wok_is_poison(d[1]));
  says("grad: x[1], picked, is i32: only floating-point values have gradients");
}
static void integer_outputs_are_refused(void **state) {
  (void)state;
  wok_val *y = wok_named(wok_less(x, u), "below"), *d;
  wok_vjp(&y, NULL, 1, &x, 1, &d);
  assert_true(wok_is_poison(d));
  says("grad: y[0], below, is bool");
}
static void effects_are_refused(void **state) {
  (void)state;
  double memory[3] = {0};
  wok_buffer *b;
  assert_int_equal(wok_buffer_new(c, &b, "running mean", WOK_F64, 3, memory), WOK_OK);
  wok_val *kept = wok_store(b, 0, wok_mul(x, u));
  assert_true(wok_is_poison(wok_grad1(wok_sum(wok_mul(kept, x)), x)));
  says("grad: cannot differentiate through store into buffer running mean");
  wok_buffer_free(b);
}
static void what_only_passes_by_an_effect_is_not(void **state) {
  (void)state;
  double memory[3] = {1, 2, 3};
  wok_buffer *b;
  assert_int_equal(wok_buffer_new(c, &b, "running mean", WOK_F64, 3, memory), WOK_OK);
  wok_val *kept = wok_store(b, 0, u); /* does not depend on x */
  has(wok_grad1(wok_sum(wok_mul(kept, x)), x), 3, us);
  wok_buffer_free(b);
}
static void shapes_are_refused(void **state) {
  (void)state;
  wok_val *d;
  assert_true(wok_is_poison(wok_grad1(x, x)));
  says("grad: y must be a scalar, not f64[3]");
  assert_true(wok_is_poison(wok_grad1(wok_sum(x), x))); /* and after that everything is */
  wok_vjp(&x, NULL, 1, &x, 1, &d);
  assert_true(wok_is_poison(d));
}
static void cotangents_are_refused(void **state) {
  (void)state;
  wok_val *y = wok_exp(x), *d;
  wok_vjp(&y, &z, 1, &x, 1, &d);
  assert_true(wok_is_poison(d));
  says("grad: a cotangent f64[2] arrived at exp#");
}
static void other_graphs_are_refused(void **state) {
  (void)state;
  wok_graph *other;
  assert_int_equal(wok_graph_new(c, &other), WOK_OK);
  wok_val *far = wok_input(other, "far", WOK_F64, WOK_SHAPE(3));
  assert_true(wok_is_poison(wok_grad1(wok_sum(x), far)));
  says("grad: x[0] belongs to another graph");
  wok_graph_free(other);
}
static void by_products_are_refused(void **state) {
  (void)state;
  wok__node *n = wok_rms_norm(x, u, 1e-6)->node;
  assert_true(wok_is_poison(wok_grad1(wok_sum(&n->out[0]), &n->out[1])));
  says("grad: x[0] is a by-product of rms_norm");
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(several_outputs_with_their_cotangents),
      TEST(partial_dependence),
      TEST(entered_again),
      TEST(equal_inputs_and_outputs),
      TEST(integers_on_the_way),
      TEST(integer_inputs_are_refused),
      TEST(integer_outputs_are_refused),
      TEST(effects_are_refused),
      TEST(what_only_passes_by_an_effect_is_not),
      TEST(shapes_are_refused),
      TEST(cotangents_are_refused),
      TEST(other_graphs_are_refused),
      TEST(by_products_are_refused),
  };
  return cmocka_run_group_tests_name("grad", tests, NULL, NULL) != 0;
}
