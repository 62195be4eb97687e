/* A function, its gradient, and the gradient of its gradient, beside the analytic values.
 *
 *   f(x) = sum of tanh(x_i);   df/dx_i = 1 - tanh(x_i)^2;   d2f/dx_i^2 = -2 tanh(x_i) (1 - tanh(x_i)^2)
 *
 * A gradient is an ordinary value: it can be summed, squared, and differentiated again. */
#include <math.h>
#include <stdio.h>
#include <wok.h>

enum { N = 5 };

static wok_status show(wok_ctx *c, wok_graph *g) {
  static const double points[N] = {-2, -0.5, 0, 1, 3};
  wok_plan *p;
  wok_val *x = wok_input(g, "x", WOK_F64, WOK_SHAPE(N));
  wok_val *f = wok_sum(wok_tanh(x));
  wok_val *df = wok_grad1(f, x);                /* [N] */
  wok_val *ddf = wok_grad1(wok_sum(df), x);     /* [N]: the Hessian is diagonal, so its rows' sums are its diagonal */
  wok_val *results[] = {f, df, ddf};
  wok_status s = wok_compile(c, &p, results, 3, NULL);
  if (s) return s; /* also reports what was built wrongly: builders themselves never fail */
  if (!(s = wok_plan_bind(p, x, points)) && !(s = wok_plan_run(p, NULL))) {
    const double *first = wok_plan_data(p, 1), *second = wok_plan_data(p, 2);
    printf("f(x) = %.12f\n\n      x      f'             analytic       f''            analytic\n", *(const double *)wok_plan_data(p, 0));
    for (int i = 0; i < N; i++) {
      double t = tanh(points[i]), d = 1 - t * t;
      printf("%7.2f  %13.10f  %13.10f  %13.10f  %13.10f\n", points[i], first[i], d, second[i], -2 * t * d);
    }
  }
  wok_plan_free(p);
  return s;
}

int main(void) {
  wok_ctx *c;
  wok_graph *g = NULL;
  wok_status s = wok_ctx_new(&c, NULL);
  if (s) {
    fprintf(stderr, "%s\n", wok_strerror(s));
    return 1;
  }
  if (!(s = wok_graph_new(c, &g))) s = show(c, g);
  if (s) fprintf(stderr, "%s\n", wok_errmsg(c));
  wok_graph_free(g);
  wok_ctx_free(c);
  return s != WOK_OK;
}
