/* Plans that do not fit the memory limit compute again in the backward pass what they can: less memory, the same bits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/base.h"
#include "graph/plan.h"
#include "valgrind.h"

enum { T = 512, C = 64, H = 2, LAYERS = 4, PER_LAYER = C * C * (3 + 1 + 4 + 4) + 2 * C, COUNT = LAYERS * PER_LAYER };
static wok_ctx *c;
static wok_graph *g;
static wok_buffer *weights, *grads;
static float *w, *dw[2];
static wok_val *x, *lo, *hi;
static float x_data[T * C];
static int32_t lo_data[T], hi_data[T];

static int set_up(void **state) {
  (void)state;
  if (wok_ctx_new(&c, &(wok_ctx_opts){.threads = 2}) || wok_graph_new(c, &g)) return 1;
  w = calloc(COUNT, sizeof *w);
  wok__rng r;
  wok__rng_init(&r, 3, 1);
  for (int i = 0; i < COUNT; i++) w[i] = (float)wok__rng_normal(&r) * 0.2f;
  for (int i = 0; i < T * C; i++) x_data[i] = (float)wok__rng_normal(&r);
  for (int i = 0; i < T; i++) lo_data[i] = i < 400 ? 0 : 400, hi_data[i] = i + 1;
  for (int i = 0; i < 2; i++) dw[i] = calloc(COUNT, sizeof **dw);
  return wok_buffer_new(c, &weights, "weights", WOK_F32, COUNT, w) || wok_buffer_new(c, &grads, "grads", WOK_F32, COUNT, dw[0]);
}
static int tear_down(void **state) {
  (void)state;
  wok_graph_free(g);
  wok_buffer_free(weights);
  wok_buffer_free(grads);
  wok_ctx_free(c);
  free(w);
  for (int i = 0; i < 2; i++) free(dw[i]);
  return 0;
}

typedef struct taken { wok_val *v[LAYERS * 6]; int64_t at[LAYERS * 6], n, used; } taken;
static wok_val *param(taken *p, wok_shape s) {
  wok_val *v = wok_load(g, weights, p->used, s);
  p->v[p->n] = v;
  p->at[p->n++] = p->used;
  p->used += wok__shape_count(&s);
  return v;
}

/* One block after another: attention and a feed-forward part with dropout, norms before both. */
static wok_val *block(wok_val *h, taken *p) {
  wok_val *qkv = wok_linear(wok_rms_norm(h, param(p, WOK_SHAPE(C)), 1e-5), param(p, WOK_SHAPE(3 * C, C)), NULL), *part[3];
  for (int i = 0; i < 3; i++) part[i] = wok_reshape(wok_slice(qkv, 1, i * C, (i + 1) * C), WOK_SHAPE(T, H, C / H));
  wok_val *o = wok_attention(part[0], part[1], part[2], lo, hi, NULL);
  h = wok_add(h, wok_linear(wok_reshape(o, WOK_SHAPE(T, C)), param(p, WOK_SHAPE(C, C)), NULL));
  wok_val *up = wok_linear(wok_layer_norm(h, param(p, WOK_SHAPE(C)), NULL, 1e-5), param(p, WOK_SHAPE(4 * C, C)), NULL);
  wok_val *down = wok_linear(wok_dropout(wok_activation(up, WOK_ACT_GELU_ERF), 0.1, 0), param(p, WOK_SHAPE(C, 4 * C)), NULL);
  return wok_add(h, down);
}

static wok_val **build(int *n) {
  static wok_val *results[LAYERS * 6 + 1];
  taken p = {0};
  x = wok_input(g, "x", WOK_F32, WOK_SHAPE(T, C));
  lo = wok_input(g, "lo", WOK_I32, WOK_SHAPE(T));
  hi = wok_input(g, "hi", WOK_I32, WOK_SHAPE(T));
  wok_val *h = x, *d[LAYERS * 6];
  for (int i = 0; i < LAYERS; i++) h = block(h, &p);
  results[0] = wok_mean(wok_square(h));
  wok_grad(results[0], p.v, (int)p.n, d);
  for (int i = 0; i < (int)p.n; i++) results[1 + i] = wok_accumulate(grads, p.at[i], d[i]);
  *n = 1 + (int)p.n;
  return results;
}

static wok_status compile(wok_plan **p, wok_val **r, int n, const char *compute, int64_t limit) {
  return wok_compile(c, p, r, n, &(wok_plan_opts){.name = "step", .compute = compute, .mem_limit = limit});
}

static float run(wok_plan *p, float *into) {
  wok_buffer_set(grads, into);
  memset(into, 0, COUNT * sizeof *into);
  wok_plan_bind(p, x, x_data);
  wok_plan_bind(p, lo, lo_data);
  wok_plan_bind(p, hi, hi_data);
  if (wok_plan_run(p, &(wok_run_opts){.seed = 5, .tick = 7})) fail_msg("run: %s", wok_errmsg(c));
  return *(const float *)wok_plan_data(p, 0);
}

static void less_memory_the_same_bits(void **state) {
  (void)state;
  static const char *const computes[] = {"f32", "bf16"};
  int n;
  wok_val **r = build(&n);
  for (size_t k = 0; k < WOK__COUNT(computes); k++) {
    wok_plan *all, *p;
    assert_int_equal(compile(&all, r, n, computes[k], 0), WOK_OK);
    float loss = run(all, dw[0]);
    int64_t full = wok_plan_bytes(all), last = 0;
    assert_int_equal(all->rebuilt, 0);
    for (int tenths = 9; tenths > 0 && compile(&p, r, n, computes[k], full * tenths / 10) == WOK_OK; tenths -= under_valgrind() ? 4 : 1) {
      print_message("%s: %d tenths of %lld bytes: %lld operators again\n", computes[k], tenths, (long long)full, (long long)p->rebuilt);
      assert_true(p->rebuilt > 0 && p->rebuilt >= last);
      assert_true(wok_plan_bytes(p) <= full * tenths / 10);
      assert_true(run(p, dw[1]) == loss);
      assert_memory_equal(dw[0], dw[1], COUNT * sizeof(float));
      last = p->rebuilt;
      wok_plan_free(p);
    }
    assert_true(last > LAYERS);
    wok_plan_free(all);
  }
}

static void what_cannot_fit_is_refused(void **state) {
  (void)state;
  int n;
  wok_val **r = build(&n);
  wok_plan *p;
  assert_int_equal(compile(&p, r, n, "f32", 10000), WOK_LIMIT);
  assert_null(p);
  if (!strstr(wok_errmsg(c), "computing again what it can")) fail_msg("expected what computing again would need, got: %s", wok_errmsg(c));
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
  const struct CMUnitTest tests[] = {TEST(less_memory_the_same_bits), TEST(what_cannot_fit_is_refused)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
