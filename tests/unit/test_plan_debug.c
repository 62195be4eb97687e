/* Plans that watch themselves: operators that write where they must not, leave something out or change what they read are
   named. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>
#include "graph/plan.h"

enum { N = 24 };
static wok_ctx *ctx;
static int set_up(void **state) {
  (void)state;
  return wok_ctx_new(&ctx, &(wok_ctx_opts){.threads = 1}) != WOK_OK;
}
static int tear_down(void **state) {
  (void)state;
  wok_ctx_free(ctx);
  return 0;
}

/* What a caller's operator does besides doubling its input. */
typedef enum deed { NONE, BEHIND, BEFORE, FAR, UNWRITTEN, INPUT } deed;

static bool same(void *ud, int n, const wok_dtype *types, const wok_shape *shapes, wok_dtype *type, wok_shape *shape, char *why) {
  *type = types[0];
  *shape = shapes[0];
  return n == 1;
}
static void run(void *ud, int n, const void *const *in, const wok_dtype *types, const wok_shape *shapes, void *out) {
  const float *x = in[0];
  float *y = out;
  deed d = *(const deed *)ud;
  for (int i = 0; i < N; i++)
    if (d != UNWRITTEN || i != 7) y[i] = 2 * x[i];
  if (d == BEHIND) y[N] = 1;
  if (d == BEFORE) y[-1] = 1;
  if (d == FAR) memset(y - 2 * N, 1, 5 * N * sizeof *y);
  if (d == INPUT) ((float *)(uintptr_t)in[0])[3] = 5;
}

static wok_status ran(deed d, bool debug, float *result) {
  wok_graph *g;
  wok_plan *p;
  float data[N];
  for (int i = 0; i < N; i++) data[i] = (float)i - 5;
  assert_int_equal(wok_graph_new(ctx, &g), WOK_OK);
  wok_val *x = wok_input(g, "x", WOK_F32, WOK_SHAPE(N));
  wok_scope_enter(g, "layer.3");
  wok_val *h = wok_exp(x), *in[] = {wok_sin(x)};
  wok_val *y = wok_custom(g, &(wok_custom_op){.name = "own", .infer = same, .run = run, .ud = &d}, in, 1);
  wok_scope_leave(g);
  wok_val *z = wok_add(wok_add(y, h), wok_named(in[0], "angle"));
  assert_int_equal(wok_compile(ctx, &p, &z, 1, &(wok_plan_opts){.name = "watched", .debug = debug}), WOK_OK);
  assert_int_equal(wok_plan_bind(p, x, data), WOK_OK);
  wok_status s = WOK_OK;
  for (int i = 0; i < 2 && !s; i++) s = wok_plan_run(p, NULL);
  if (!s) memcpy(result, wok_plan_data(p, 0), sizeof data);
  wok_plan_free(p);
  wok_graph_free(g);
  return s;
}

static void test_right(void **state) {
  float plain[N], watched[N];
  assert_int_equal(ran(NONE, false, plain), WOK_OK);
  assert_int_equal(ran(NONE, true, watched), WOK_OK);
  assert_memory_equal(plain, watched, sizeof plain);
}

static void test_found(void **state) {
  static const struct { deed d; const char *says; } rows[] = {
      {BEHIND, "wrote behind the end of layer.3/custom#"}, {BEFORE, "wrote before the beginning of layer.3/custom#"},
      {FAR, "wrote b"}, {UNWRITTEN, "(element 7 of output 0)"}, {INPUT, "changed angle"}};
  float out[N];
  for (int i = 0; i < WOK__COUNT(rows); i++) {
    assert_int_equal(ran(rows[i].d, true, out), WOK_CORRUPT);
    const char *message = wok_errmsg(ctx);
    if (!strstr(message, rows[i].says) || !strstr(message, "watched: layer.3/custom#") || !strstr(message, "kernel ref"))
      fail_msg("expected \"watched: layer.3/custom#... kernel ref... %s\", came \"%s\"", rows[i].says, message);
  }
}

/* A plan whose blocks are moved on top of each other is refused where it is made. */
static void test_overlap(void **state) {
  wok_graph *g;
  wok_plan *p;
  assert_int_equal(wok_graph_new(ctx, &g), WOK_OK);
  wok_val *x = wok_input(g, "x", WOK_F32, WOK_SHAPE(N)), *v[] = {wok_exp(x), wok_sin(x)};
  assert_int_equal(wok_compile(ctx, &p, v, 2, &(wok_plan_opts){.name = "watched", .debug = true}), WOK_OK);
  assert_int_equal(p->nblocks, 2);
  p->blocks[1].offset = p->blocks[0].offset + (int64_t)sizeof(float) * (N - 1);
  assert_int_equal(wok__debug_begin(p), WOK_CORRUPT);
  if (!strstr(wok_errmsg(ctx), "overlaps") || !strstr(wok_errmsg(ctx), "exp#") || !strstr(wok_errmsg(ctx), "sin#"))
    fail_msg("expected that exp# and sin# overlap, came \"%s\"", wok_errmsg(ctx));
  wok_plan_free(p);
  wok_graph_free(g);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_right), cmocka_unit_test(test_found), cmocka_unit_test(test_overlap)};
  return cmocka_run_group_tests(tests, set_up, tear_down) != 0;
}
