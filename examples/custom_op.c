/* An operator of one's own: the pseudo-Huber loss sqrt(1 + x^2) - 1 as one loop, with a derivative written in graph values, so
 * that it can be differentiated as often as one likes. Both derivatives are checked; then Newton's method, which needs both,
 * finds a centre of data that a few wild values do not move. */
#include <math.h>
#include <stdio.h>
#include <wok.h>

static bool huber_infer(void *ud, int n, const wok_dtype *types, const wok_shape *shapes, wok_dtype *type, wok_shape *shape,
                        char *why) {
  (void)ud;
  if (n != 1 || (types[0] != WOK_F32 && types[0] != WOK_F64)) {
    snprintf(why, 200, "takes one floating-point input");
    return false;
  }
  *type = types[0];
  *shape = shapes[0];
  return true;
}

static void huber_run(void *ud, int n, const void *const *in, const wok_dtype *types, const wok_shape *shapes, void *out) {
  (void)ud;
  (void)n;
  int64_t count = 1;
  for (int i = 0; i < shapes[0].ndim; i++) count *= shapes[0].dim[i];
  for (int64_t i = 0; i < count; i++) {
    double x = types[0] == WOK_F64 ? ((const double *)in[0])[i] : (double)((const float *)in[0])[i];
    double y = x * x / (sqrt(1 + x * x) + 1); /* as sqrt(1 + x^2) - 1, without the loss of digits near zero */
    if (types[0] == WOK_F64) ((double *)out)[i] = y;
    else ((float *)out)[i] = (float)y;
  }
}

/* x / sqrt(1 + x^2) = x / (y + 1): the operator's own value serves. What is built here has derivatives of its own. */
static void huber_vjp(void *ud, wok_graph *g, wok_val *const *in, int n, wok_val *y, wok_val *ct, const bool *need, wok_val **dx) {
  (void)ud;
  (void)g;
  (void)n;
  if (need[0]) dx[0] = wok_mul(ct, wok_div(in[0], wok_offset(y, 1)));
}

static wok_val *huber(wok_val *x) {
  static const wok_custom_op op = {.name = "huber", .infer = huber_infer, .run = huber_run, .vjp = huber_vjp};
  return wok_custom(wok_val_graph(x), &op, &x, 1);
}

static wok_val *weighted(wok_graph *g, wok_val *const *x, int n, void *ud) { /* the scalar whose derivatives are checked */
  (void)g;
  (void)n;
  (void)ud;
  return wok_sum(wok_mul(wok_cos(x[0]), huber(x[0])));
}

static wok_status check(wok_ctx *c) {
  static const double points[] = {-3, -1, -0.2, 0, 0.5, 2};
  const double *at = points;
  const wok_shape shape = WOK_SHAPE(6);
  for (int order = 1; order <= 2; order++) {
    wok_check_result r = {0};
    wok_status s = (order == 1 ? wok_gradcheck : wok_gradgradcheck)(c, weighted, NULL, &shape, &at, 1, NULL, &r);
    printf("order %d: %s\n%s", order, r.ok ? "right" : "wrong", r.report ? r.report : "");
    wok_text_free(r.report);
    if (s) return s;
  }
  return WOK_OK;
}

static wok_status centre(wok_ctx *c, wok_graph *g, wok_plan **p, bool *found) {
  static const double data[] = {0.9, 1.2, 0.8, 1.1, 1.0, 0.7, 1.3, 60, -25};
  enum { N = sizeof data / sizeof *data };
  double m = 0, mean = 0;
  for (int i = 0; i < N; i++) mean += data[i] / N;
  wok_val *at = wok_input(g, "centre", WOK_F64, WOK_SHAPE0);
  wok_val *loss = wok_sum(huber(wok_sub(wok_const(g, WOK_F64, WOK_SHAPE(N), data), at)));
  wok_val *slope = wok_grad1(loss, at), *results[] = {loss, slope, wok_grad1(slope, at)};
  wok_status s = wok_compile(c, p, results, 3, NULL);
  if (s || (s = wok_plan_bind(*p, at, &m))) return s;
  for (int step = 0; step < 8; step++) {
    if ((s = wok_plan_run(*p, NULL))) return s;
    const double *first = wok_plan_data(*p, 1), *second = wok_plan_data(*p, 2);
    printf("step %d  centre %.12f  slope %9.1e\n", step, m, *first);
    *found = fabs(*first) < 1e-12;
    m -= *first / *second;
  }
  printf("centre %.6f, mean %.6f\n", m, mean);
  return WOK_OK;
}

int main(void) {
  wok_ctx *c;
  wok_graph *g = NULL;
  wok_plan *p = NULL;
  bool found = false;
  wok_status s = wok_ctx_new(&c, NULL);
  if (s) {
    fprintf(stderr, "%s\n", wok_strerror(s));
    return 1;
  }
  if (!(s = check(c)) && !(s = wok_graph_new(c, &g))) s = centre(c, g, &p, &found);
  if (s) fprintf(stderr, "%s\n", wok_errmsg(c));
  wok_plan_free(p);
  wok_graph_free(g);
  wok_ctx_free(c);
  return !found;
}
