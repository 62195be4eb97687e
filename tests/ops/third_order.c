/* Third derivatives of the smooth functions of one number against central differences of their second ones, in f64; forward mode
   against reverse mode through the operators on images and the choosing and decomposing ones: <u, J v> = <J^T u, v>. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "graph/graph.h"

static wok_ctx *ctx;
static int set_up(void **state) {
  (void)state;
  return wok_ctx_new(&ctx, &(wok_ctx_opts){.threads = 2}) != WOK_OK;
}
static int tear_down(void **state) {
  (void)state;
  wok_ctx_free(ctx);
  return 0;
}

/* ---- third order ---- */
#define FUNCTIONS(X)                                                                                         \
  X(exp, wok_exp(x)) X(log, wok_log(x)) X(sqrt, wok_sqrt(x)) X(sin, wok_sin(x)) X(cos, wok_cos(x))           \
  X(tanh, wok_tanh(x)) X(erf, wok_erf(x)) X(square, wok_square(x)) X(cube, wok_mul(x, wok_square(x)))        \
  X(quotient, wok_div(wok_offset(x, 1), wok_add(wok_square(x), x))) X(affine, wok_mul(wok_scale(wok_offset(x, 2), 3), wok_exp(x))) \
  X(sigmoid, wok_sigmoid(x)) X(log_sigmoid, wok_log_sigmoid(x)) X(softplus, wok_softplus(x))                 \
  X(elu, wok_elu(wok_neg(x), 1.5)) X(rsqrt, wok_rsqrt(x)) X(pow_5, wok_pow(x, 5)) X(pow_any, wok_pow(x, -1.3)) \
  X(gelu_tanh, wok_activation(x, WOK_ACT_GELU_TANH)) X(gelu_erf, wok_activation(x, WOK_ACT_GELU_ERF))        \
  X(silu, wok_activation(x, WOK_ACT_SILU)) X(gated, wok_gated(x, wok_exp(x), WOK_ACT_SILU))
#define BUILD(name, expr)                                                                                    \
  static wok_val *build_##name(wok_val *x) { return expr; }
FUNCTIONS(BUILD)
static const struct function { const char *name; wok_val *(*build)(wok_val *x); } functions[] = {
#define ROW(name, expr) {#name, build_##name},
    FUNCTIONS(ROW)
};

static void test_third(void **state) {
  enum { N = 30, POINTS = 5 };
  const struct function *f = *state;
  wok_graph *g;
  wok_plan *p;
  double x[N], value[POINTS][2][N], h = 1e-3;
  assert_int_equal(wok_graph_new(ctx, &g), WOK_OK);
  wok_val *v = wok_input(g, "x", WOK_F64, WOK_SHAPE(N)), *d[4] = {f->build(v)};
  for (int order = 1; order < 4; order++) d[order] = wok_grad1(wok_sum(d[order - 1]), v);
  if (wok_compile(ctx, &p, d + 2, 2, NULL)) fail_msg("%s", wok_errmsg(ctx));
  for (int k = 0; k < POINTS; k++) {
    for (int i = 0; i < N; i++) x[i] = 0.4 + 2.0 * i / N + h * (k - 2);
    assert_int_equal(wok_plan_bind(p, v, x), WOK_OK);
    assert_int_equal(wok_plan_run(p, NULL), WOK_OK);
    for (int o = 0; o < 2; o++) memcpy(value[k][o], wok_plan_data(p, o), sizeof x);
  }
  double top = 1;
  for (int i = 0; i < N; i++) top = fmax(top, fabs(value[2][1][i]));
  for (int i = 0; i < N; i++) {
    double slope = (value[0][0][i] - 8 * value[1][0][i] + 8 * value[3][0][i] - value[4][0][i]) / (12 * h);
    if (!(fabs(slope - value[2][1][i]) <= 1e-7 * top))
      fail_msg("%s: third derivative %.12g, central difference %.12g", f->name, value[2][1][i], slope);
  }
  wok_plan_free(p);
  wok_graph_free(g);
}

/* ---- forward against reverse ---- */
static wok_val *build_images(wok_val *const *x) {
  wok_val *h = wok_conv2d(x[0], x[1], NULL, &(wok_conv2d_opts){.pad = {1, 1, 1, 1}});
  h = wok_leaky_relu(wok_group_norm(h, 2, NULL, NULL, 1e-3), 0.2);
  h = wok_max_pool2d(h, &(wok_pool2d_opts){.window = {2, 2}});
  h = wok_resize2d(h, 5, 7, WOK_RESIZE_BILINEAR);
  h = wok_conv2d_transpose(h, x[1], NULL, &(wok_conv2d_opts){.stride = {2, 1}});
  h = wok_batch_norm(h, NULL, NULL, NULL, NULL);
  return wok_avg_pool2d(wok_softplus(h), &(wok_pool2d_opts){.window = {3, 2}, .stride = {2, 2}});
}
static wok_val *build_choices(wok_val *const *x) {
  wok_val *from, *rows = wok_reshape(x[0], WOK_SHAPE(6, -1)), *y = wok_sort(rows, 1, false, &from);
  wok_val *k = wok_top_k(wok_mul(y, wok_take_along(rows, from, 1)), 5, 1, NULL);
  return wok_logsumexp(wok_mul(k, wok_sigmoid(k)), 1, false);
}
static wok_val *build_matrices(wok_val *const *x) {
  wok_val *a = wok_reshape(x[1], WOK_SHAPE(4, -1)), *square = wok_matmul(a, a, false, true), *v, *u, *vt;
  wok_val *w = wok_eigh(square, &v), *l = wok_cholesky(square), *s = wok_svd(a, &u, &vt);
  wok_val *solved = wok_triangular_solve(l, wok_mul(v, w), false, true);
  return wok_add(wok_add(solved, u), wok_mul(s, wok_slice(vt, 1, 0, 4)));
}
static const struct map { const char *name; wok_val *(*build)(wok_val *const *x); } maps[] = {
    {"forward mode: images", build_images}, {"forward mode: choices", build_choices}, {"forward mode: matrices", build_matrices}};

static void test_forward(void **state) {
  const struct map *m = *state;
  wok_graph *g;
  wok_plan *p;
  assert_int_equal(wok_graph_new(ctx, &g), WOK_OK);
  const wok_shape shapes[] = {WOK_SHAPE(2, 3, 6, 8), WOK_SHAPE(4, 3, 3, 2)};
  wok_val *x[2], *v[2], *back[2], *forward;
  for (int i = 0; i < 2; i++) {
    x[i] = wok_random_normal(g, WOK_F64, shapes[i], 1 + (uint32_t)i);
    v[i] = wok_random_normal(g, WOK_F64, shapes[i], 11 + (uint32_t)i);
  }
  wok_val *y = m->build(x), *u = wok_random_normal(g, WOK_F64, wok_val_shape(y), 21);
  wok_jvp(&y, 1, x, v, 2, &forward);
  wok_vjp(&y, &u, 1, x, 2, back);
  wok_val *along = wok_add(wok_sum(wok_mul(back[0], v[0])), wok_sum(wok_mul(back[1], v[1])));
  wok_val *both[] = {wok_sum(wok_mul(u, forward)), along};
  assert_string_equal(wok_graph_message(g), "");
  assert_int_equal(wok_compile(ctx, &p, both, 2, NULL), WOK_OK);
  assert_int_equal(wok_plan_run(p, NULL), WOK_OK);
  double a = *(const double *)wok_plan_data(p, 0), b = *(const double *)wok_plan_data(p, 1);
  assert_true(a != 0);
  if (!(fabs(a - b) <= 1e-11 * fabs(a))) fail_msg("%s: %.17g forward, %.17g backward", m->name, a, b);
  wok_plan_free(p);
  wok_graph_free(g);
}

int main(void) {
  struct CMUnitTest tests[WOK__COUNT(functions) + WOK__COUNT(maps)];
  int n = 0;
  for (int i = 0; i < WOK__COUNT(functions); i++)
    tests[n++] = (struct CMUnitTest){functions[i].name, test_third, NULL, NULL, (void *)(uintptr_t)&functions[i]};
  for (int i = 0; i < WOK__COUNT(maps); i++)
    tests[n++] = (struct CMUnitTest){maps[i].name, test_forward, NULL, NULL, (void *)(uintptr_t)&maps[i]};
  return _cmocka_run_group_tests("third order", tests, (size_t)n, set_up, tear_down) != 0;
}
