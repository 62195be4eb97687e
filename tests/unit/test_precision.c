/* What a plan in bf16 computes and stores (DESIGN 6), and what conversions around f32 kernels give. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/base.h"
#include "graph/plan.h"

enum { T = 24, IN = 20, MID = 36 };
static wok_ctx *c;
static wok_graph *g;
static wok_buffer *weights;
static float data[MID * IN + IN * MID + IN], x_data[T * IN];

static int set_up(void **state) {
  (void)state;
  if (wok_ctx_new(&c, &(wok_ctx_opts){.threads = 2}) || wok_graph_new(c, &g)) return 1;
  wok__rng r;
  wok__rng_init(&r, 7, 1);
  for (size_t i = 0; i < WOK__COUNT(data); i++) data[i] = (float)wok__rng_normal(&r) * 0.3f;
  for (size_t i = 0; i < WOK__COUNT(x_data); i++) x_data[i] = (float)wok__rng_normal(&r);
  return wok_buffer_new(c, &weights, "weights", WOK_F32, WOK__COUNT(data), data) != WOK_OK;
}
static int tear_down(void **state) {
  (void)state;
  wok_graph_free(g);
  wok_buffer_free(weights);
  wok_ctx_free(c);
  return 0;
}

/* A residual block with its loss: x + W2 gelu(W1 norm(x)). */
typedef struct block { wok_val *x, *w1, *w2, *norm, *up, *act, *down, *sum, *loss; } block;
static block build(void) {
  block b = {.x = wok_input(g, "x", WOK_F32, WOK_SHAPE(T, IN))};
  b.w1 = wok_load(g, weights, 0, WOK_SHAPE(MID, IN));
  b.w2 = wok_load(g, weights, MID * IN, WOK_SHAPE(IN, MID));
  b.norm = wok_rms_norm(b.x, wok_load(g, weights, 2 * MID * IN, WOK_SHAPE(IN)), 1e-5);
  b.up = wok_linear(b.norm, b.w1, NULL);
  b.act = wok_activation(b.up, WOK_ACT_GELU_TANH);
  b.down = wok_linear(b.act, b.w2, NULL);
  b.sum = wok_add(b.x, b.down);
  b.loss = wok_sum(wok_square(b.sum));
  return b;
}

static wok_plan *plan_of(wok_val *const *v, int n, const char *compute, bool reference, wok_val *x) {
  wok_plan *p;
  if (wok_compile(c, &p, v, n, &(wok_plan_opts){.compute = compute, .reference = reference})) fail_msg("compile: %s", wok_errmsg(c));
  assert_int_equal(wok_plan_bind(p, x, x_data), WOK_OK);
  if (wok_plan_run(p, NULL)) fail_msg("run: %s", wok_errmsg(c));
  return p;
}

static wok_dtype stored(const wok_plan *p, const wok_val *v) {
  for (int64_t i = 0; i < p->nsteps; i++)
    if (p->steps[i].node == v->node) return p->steps[i].out_arr[v->out].dtype;
  fail_msg("%s is not in the plan", wok_val_name(v));
  return WOK_F32;
}

static void products_and_what_lies_between_them_are_stored_in_bf16(void **state) {
  (void)state;
  block b = build();
  wok_val *w[2] = {b.w1, b.w2}, *r[3] = {b.loss};
  wok_grad(b.loss, w, 2, r + 1);
  wok_plan *p = plan_of(r, 3, "bf16", false, b.x);
  const struct { wok_val *v; wok_dtype type; } want[] = {{b.norm, WOK_BF16}, {b.up, WOK_BF16}, {b.act, WOK_BF16}, {b.down, WOK_BF16},
                                                         {b.sum, WOK_F32}, {b.loss, WOK_F32}, {r[1], WOK_F32}, {r[2], WOK_F32}};
  for (size_t i = 0; i < WOK__COUNT(want); i++) assert_int_equal(stored(p, want[i].v), want[i].type);
  wok_plan_free(p);
}

/* Factors rounded to bf16, sums in f32, the result rounded once more where it is stored so. */
static void a_product_rounds_its_factors(void **state) {
  (void)state;
  wok_val *x = wok_input(g, "x", WOK_F32, WOK_SHAPE(T, IN)), *y = wok_linear(x, wok_load(g, weights, 0, WOK_SHAPE(MID, IN)), NULL);
  for (int reference = 0; reference < 2; reference++) {
    wok_plan *p = plan_of(&y, 1, "bf16", reference, x);
    const float *got = wok_plan_data(p, 0);
    double worst = 0;
    for (int i = 0; i < T; i++)
      for (int j = 0; j < MID; j++) {
        double sum = 0;
        for (int k = 0; k < IN; k++)
          sum += (double)wok__bf16_to_f32(wok__f32_to_bf16(x_data[i * IN + k])) * (double)wok__bf16_to_f32(wok__f32_to_bf16(data[j * IN + k]));
        worst = fmax(worst, fabs(sum - (double)got[i * MID + j]));
      }
    if (worst > 2e-6) fail_msg("reference %d: expected products of rounded factors within 2e-6, got %g", reference, worst);
    wok_plan_free(p);
  }
}

static void bf16_is_near_f32(void **state) {
  (void)state;
  block b = build();
  wok_val *w[2] = {b.w1, b.w2}, *r[3] = {b.loss};
  wok_grad(b.loss, w, 2, r + 1);
  wok_plan *exact = plan_of(r, 3, "f32", false, b.x), *p = plan_of(r, 3, "bf16", false, b.x);
  for (int k = 0; k < 3; k++) {
    const float *a = wok_plan_data(exact, k), *e = wok_plan_data(p, k);
    double most = 0, worst = 0;
    for (int64_t i = 0; i < (k ? MID * IN : 1); i++) {
      most = fmax(most, fabs((double)a[i]));
      worst = fmax(worst, fabs((double)a[i] - (double)e[i]));
    }
    if (worst > 2e-2 * most) fail_msg("result %d: expected within 2e-2 of %g, got %g", k, most, worst);
  }
  wok_plan_free(exact);
  wok_plan_free(p);
}

/* What a second gradient goes through neither computes in bf16 nor is stored so. */
static void second_order_stays_f32(void **state) {
  (void)state;
  wok_val *x = wok_input(g, "x", WOK_F32, WOK_SHAPE(T, IN)), *w1 = wok_load(g, weights, 0, WOK_SHAPE(MID, IN));
  wok_val *y = wok_sum(wok_activation(wok_linear(x, w1, NULL), WOK_ACT_SILU));
  wok_val *penalty = wok_grad1(wok_sum(wok_square(wok_grad1(y, x))), w1);
  wok_plan *exact = plan_of(&penalty, 1, "f32", true, x), *p = plan_of(&penalty, 1, "bf16", true, x);
  assert_memory_equal(wok_plan_data(exact, 0), wok_plan_data(p, 0), MID * IN * sizeof(float));
  for (int64_t i = 0; i < p->nsteps; i++)
    for (int k = 0; k < p->steps[i].nout; k++) assert_int_not_equal(p->steps[i].out_arr[k].dtype, WOK_BF16);
  wok_plan_free(exact);
  wok_plan_free(p);
}

static void splits_are_as_good_as_f32(void **state) {
  (void)state;
  block b = build();
  wok_plan *exact = plan_of(&b.sum, 1, "f32", true, b.x);
  const struct { const char *name; double bound; } modes[] = {{"bf16x3", 1e-5}, {"bf16x6", 2e-6}};
  for (size_t m = 0; m < WOK__COUNT(modes); m++) {
    wok_plan *p = plan_of(&b.sum, 1, modes[m].name, false, b.x);
    const float *a = wok_plan_data(exact, 0), *e = wok_plan_data(p, 0);
    double worst = 0;
    for (int i = 0; i < T * IN; i++) worst = fmax(worst, fabs((double)a[i] - (double)e[i]));
    if (worst > modes[m].bound * 4) fail_msg("%s: expected within %g, got %g", modes[m].name, modes[m].bound * 4, worst);
    wok_plan_free(p);
  }
  wok_plan_free(exact);
}

static void an_unknown_name_is_refused(void **state) {
  (void)state;
  wok_plan *p;
  wok_val *v = wok_full(g, WOK_F32, WOK_SHAPE(2), 1);
  assert_int_equal(wok_compile(c, &p, &v, 1, &(wok_plan_opts){.compute = "f12"}), WOK_INVALID);
  assert_non_null(strstr(wok_errmsg(c), "\"f12\""));
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
  const struct CMUnitTest tests[] = {TEST(products_and_what_lies_between_them_are_stored_in_bf16), TEST(a_product_rounds_its_factors),
                                     TEST(bf16_is_near_f32), TEST(second_order_stays_f32), TEST(splits_are_as_good_as_f32),
                                     TEST(an_unknown_name_is_refused)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
