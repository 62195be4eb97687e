/* Counted sizes: one plan for a capacity gives for every count what a plan of exactly that size gives. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>
#include "base/base.h"
#include "graph/plan.h"

enum { CAP = 40, C = 24, V = 31, H = 3, WEIGHTS = V * C + C + C * 3 * C + C * C + 4 * C * C * 2 };
static wok_ctx *c;
static wok_graph *g;
static wok_buffer *weights, *grads;
static float w[WEIGHTS], dw[WEIGHTS], kept[WEIGHTS];
static int32_t ids[CAP], labels[CAP], lo[CAP], hi[CAP], pos[CAP];

static int set_up(void **state) {
  (void)state;
  if (wok_ctx_new(&c, &(wok_ctx_opts){.threads = 2}) || wok_graph_new(c, &g)) return 1;
  wok__rng r;
  wok__rng_init(&r, 5, 1);
  for (int i = 0; i < WEIGHTS; i++) w[i] = (float)wok__rng_normal(&r) * 0.3f;
  for (int i = 0; i < CAP; i++) {
    ids[i] = (int32_t)wok__rng_below(&r, V), labels[i] = (int32_t)wok__rng_below(&r, V);
    lo[i] = i < 7 ? 0 : 7, hi[i] = i + 1, pos[i] = i - lo[i];
  }
  return wok_buffer_new(c, &weights, "weights", WOK_F32, WEIGHTS, w) || wok_buffer_new(c, &grads, "grads", WOK_F32, WEIGHTS, dw);
}
static int tear_down(void **state) {
  (void)state;
  wok_graph_free(g);
  wok_buffer_free(weights);
  wok_buffer_free(grads);
  wok_ctx_free(c);
  return 0;
}

typedef struct net { wok_val *in[5], *result[8]; int n; } net;
static wok_val *rows(const char *name, int64_t n, bool counted) {
  return counted ? wok_input_counted(g, name, WOK_I32, WOK_SHAPE(n), 0) : wok_input(g, name, WOK_I32, WOK_SHAPE(n));
}
/* A block of a language model with its loss and gradients. */
static net build(int64_t n, bool counted) {
  net t = {.in = {rows("ids", n, counted), rows("labels", n, counted), rows("lo", n, counted), rows("hi", n, counted), rows("pos", n, counted)}};
  wok_val *p[6];
  const wok_shape shapes[6] = {WOK_SHAPE(V, C), WOK_SHAPE(C), WOK_SHAPE(3 * C, C), WOK_SHAPE(C, C), WOK_SHAPE(4 * C, C), WOK_SHAPE(C, 4 * C)};
  int64_t at[6], used = 0;
  for (int i = 0; i < 6; i++) {
    p[i] = wok_load(g, weights, at[i] = used, shapes[i]);
    used += wok__shape_count(&shapes[i]);
  }
  double freq[C / H / 2];
  float f32[C / H / 2];
  for (int i = 0; i < C / H / 2; i++) freq[i] = pow(10000, -2.0 * i / (C / H)), f32[i] = (float)freq[i];
  wok_val *fr = wok_const(g, WOK_F32, WOK_SHAPE(C / H / 2), f32), *h = wok_gather(p[0], t.in[0]), *part[3];
  wok_val *qkv = wok_linear(wok_layer_norm(h, p[1], NULL, 1e-5), p[2], NULL);
  for (int i = 0; i < 3; i++) part[i] = wok_reshape(wok_slice(qkv, 1, i * C, (i + 1) * C), WOK_SHAPE(n, H, C / H));
  for (int i = 0; i < 2; i++) part[i] = wok_rope(part[i], t.in[4], fr, false);
  wok_val *o = wok_attention(part[0], part[1], part[2], t.in[2], t.in[3], NULL);
  h = wok_add(h, wok_linear(wok_reshape(o, WOK_SHAPE(n, C)), p[3], NULL));
  h = wok_add(h, wok_linear(wok_activation(wok_linear(h, p[4], NULL), WOK_ACT_GELU_TANH), p[5], NULL));
  wok_val *d[6], *loss = wok_sum(wok_xent(wok_linear(wok_rms_norm(h, p[1], 1e-5), p[0], NULL), t.in[1]));
  t.result[0] = loss;
  wok_grad(loss, p, 6, d);
  for (int i = 0; i < 6; i++) t.result[1 + i] = wok_accumulate(grads, at[i], d[i]);
  t.result[7] = h;
  t.n = 8;
  return t;
}

static float run(wok_plan *p, const net *t) {
  const int32_t *data[5] = {ids, labels, lo, hi, pos};
  memset(dw, 0, sizeof dw);
  for (int i = 0; i < 5; i++) wok_plan_bind(p, t->in[i], data[i]);
  if (wok_plan_run(p, NULL)) fail_msg("run: %s", wok_errmsg(c));
  return *(const float *)wok_plan_data(p, 0);
}

static wok_plan *compile(const net *t, bool reference, const char *compute) {
  wok_plan *p;
  if (wok_compile(c, &p, t->result, t->n, &(wok_plan_opts){.reference = reference, .compute = compute})) fail_msg("compile: %s", wok_errmsg(c));
  return p;
}

static void a_count_is_as_good_as_a_size(void **state) {
  (void)state;
  static const int64_t counts[] = {CAP, 17, 1, 33, 8};
  static const struct { bool reference; const char *compute; double bound; } kinds[] = {{true, "f32", 0}, {false, "f32", 1e-5}, {false, "bf16", 1e-2}};
  net t = build(CAP, true);
  for (size_t k = 0; k < WOK__COUNT(kinds); k++) {
    wok_plan *p = compile(&t, kinds[k].reference, kinds[k].compute);
    for (size_t i = 0; i < WOK__COUNT(counts); i++) {
      int64_t n = counts[i];
      net e = build(n, false);
      wok_plan *exact = compile(&e, kinds[k].reference, kinds[k].compute);
      float want = run(exact, &e);
      memcpy(kept, dw, sizeof dw);
      assert_int_equal(wok_plan_count(p, 0, n), WOK_OK);
      float got = run(p, &t);
      double most = 0, worst = 0;
      for (int64_t j = 0; j < WEIGHTS; j++) {
        most = fmax(most, fabs((double)kept[j]));
        worst = fmax(worst, fabs((double)kept[j] - (double)dw[j]));
      }
      if (!(fabs((double)(want - got)) <= kinds[k].bound * fabs((double)want)) || !(worst <= kinds[k].bound * most))
        fail_msg("%s, %lld rows: loss %g, expected %g; gradients differ by %g of %g", kinds[k].compute, (long long)n, (double)got,
                 (double)want, worst, most);
      const float *a = wok_plan_data(exact, 7), *b = wok_plan_data(p, 7);
      for (int64_t j = 0; j < n * C; j++) assert_true(fabs((double)(a[j] - b[j])) <= kinds[k].bound * 10);
      wok_plan_free(exact);
    }
    wok_plan_free(p);
  }
}

static void what_cannot_be_counted_is_refused(void **state) {
  (void)state;
  wok_val *x = wok_input_counted(g, "x", WOK_F32, WOK_SHAPE(8, 4), 1), *y = wok_permute(x, (int[]){1, 0});
  assert_true(wok_is_poison(y));
  assert_non_null(strstr(wok_graph_message(g), "permute: x is counted"));
}

static void counts_are_checked(void **state) {
  (void)state;
  wok_plan *p;
  wok_val *x = wok_input_counted(g, "x", WOK_F32, WOK_SHAPE(8, 4), 1), *y = wok_exp(x);
  assert_int_equal(wok_compile(c, &p, &y, 1, NULL), WOK_OK);
  assert_int_equal(wok_plan_count(p, 1, 9), WOK_INVALID);
  assert_int_equal(wok_plan_count(p, 1, 0), WOK_INVALID);
  assert_int_equal(wok_plan_count(p, 0, 1), WOK_INVALID);
  assert_int_equal(wok_plan_count(p, 1, 8), WOK_OK);
  wok_plan_free(p);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
  const struct CMUnitTest tests[] = {TEST(a_count_is_as_good_as_a_size), TEST(what_cannot_be_counted_is_refused), TEST(counts_are_checked)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
