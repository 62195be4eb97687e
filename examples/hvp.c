/* Hessian times vector without a Hessian: the largest curvature of a small net's loss by power iteration, and each product
 * checked against the difference of two gradients. One product costs about twice a gradient, however many parameters there are. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <wok.h>

enum { ROWS = 32, HIDDEN = 16, STEPS = 60 };
enum { W1 = 0, B1 = W1 + HIDDEN * 2, W2 = B1 + HIDDEN, B2 = W2 + HIDDEN, PARAMS = B2 + 1 }; /* where each tensor begins */
static double point[PARAMS], direction[PARAMS];

typedef struct net { wok_val *p, *v; wok_plan *gradient, *product; } net;

static wok_val *part(wok_val *p, int at, wok_shape s) {
  int64_t count = 1;
  for (int i = 0; i < s.ndim; i++) count *= s.dim[i];
  return wok_reshape(wok_slice(p, 0, at, at + count), s);
}

/* All parameters are one vector: [PARAMS] in, [PARAMS] out. */
static wok_status build(wok_ctx *c, wok_graph *g, net *n) {
  n->p = wok_input(g, "parameters", WOK_F64, WOK_SHAPE(PARAMS));
  n->v = wok_input(g, "direction", WOK_F64, WOK_SHAPE(PARAMS));
  wok_val *x = wok_random_normal(g, WOK_F64, WOK_SHAPE(ROWS, 2), 0); /* the same numbers in every run with the same tick */
  wok_val *y = wok_sin(wok_sum_axis(x, 1, true));
  wok_val *hidden = wok_tanh(wok_linear(x, part(n->p, W1, WOK_SHAPE(HIDDEN, 2)), part(n->p, B1, WOK_SHAPE(HIDDEN))));
  wok_val *out = wok_linear(hidden, part(n->p, W2, WOK_SHAPE(1, HIDDEN)), part(n->p, B2, WOK_SHAPE(1)));
  wok_val *loss = wok_mean(wok_square(wok_sub(out, y))), *hv, *dp = wok_grad1(loss, n->p);
  wok_hvp(loss, &n->p, &n->v, 1, &hv);
  wok_status s = wok_compile(c, &n->gradient, &dp, 1, &(wok_plan_opts){.name = "gradient"});
  return s ? s : wok_compile(c, &n->product, &hv, 1, &(wok_plan_opts){.name = "product"});
}

static double length(const double *v) {
  double sum = 0;
  for (int i = 0; i < PARAMS; i++) sum += v[i] * v[i];
  return sqrt(sum);
}

static wok_status gradient_at(net *n, const double *at, double *out) {
  wok_status s;
  if ((s = wok_plan_bind(n->gradient, n->p, at)) || (s = wok_plan_run(n->gradient, NULL))) return s;
  memcpy(out, wok_plan_data(n->gradient, 0), sizeof point);
  return s;
}

/* (gradient(point + h v) - gradient(point - h v)) / 2h - H v, relative to H v */
static wok_status difference(net *n, const double *hv, double *error) {
  const double h = 1e-4;
  double at[PARAMS], g[2][PARAMS], off[PARAMS];
  for (int side = 0; side < 2; side++) {
    for (int i = 0; i < PARAMS; i++) at[i] = point[i] + (side ? h : -h) * direction[i];
    wok_status s = gradient_at(n, at, g[side]);
    if (s) return s;
  }
  for (int i = 0; i < PARAMS; i++) off[i] = (g[1][i] - g[0][i]) / (2 * h) - hv[i];
  *error = length(off) / length(hv);
  return WOK_OK;
}

/* v <- H v / |H v| turns towards the eigenvector of the largest |eigenvalue|; v . H v is the eigenvalue. */
static wok_status iterate(net *n, bool *right) {
  wok_status s;
  double worst = 0, value = 0, rest = 0;
  if ((s = wok_plan_bind(n->product, n->p, point)) || (s = wok_plan_bind(n->product, n->v, direction))) return s;
  for (int step = 0; step <= STEPS; step++) {
    if ((s = wok_plan_run(n->product, NULL))) return s;
    const double *hv = wok_plan_data(n->product, 0);
    double error, off[PARAMS];
    value = 0;
    for (int i = 0; i < PARAMS; i++) value += direction[i] * hv[i];
    for (int i = 0; i < PARAMS; i++) off[i] = hv[i] - value * direction[i];
    rest = length(off);
    if ((s = difference(n, hv, &error))) return s;
    worst = fmax(worst, error);
    if (step % 10 == 0)
      printf("%4d  v.Hv %.10f  |Hv - (v.Hv) v| %.1e  off the gradients' difference by %.1e\n", step, value, rest, error);
    double size = length(hv);
    for (int i = 0; i < PARAMS; i++) direction[i] = hv[i] / size;
  }
  *right = worst < 1e-6 && rest < 1e-6 * value;
  printf("largest eigenvalue %.8f; plain gradient descent is stable below a step of %.3f\n", value, 2 / value);
  return WOK_OK;
}

int main(void) {
  wok_ctx *c;
  wok_graph *g = NULL;
  net n = {0};
  bool right = false;
  for (int i = 0; i < PARAMS; i++) {
    point[i] = 0.8 * sin(1.0 + 7.0 * i);
    direction[i] = cos(3.0 * i) / sqrt(PARAMS / 2.0);
  }
  wok_status s = wok_ctx_new(&c, &(wok_ctx_opts){.seed = 1, .threads = 1});
  if (s) {
    fprintf(stderr, "%s\n", wok_strerror(s));
    return 1;
  }
  if (!(s = wok_graph_new(c, &g)) && !(s = build(c, g, &n))) s = iterate(&n, &right);
  if (s) fprintf(stderr, "%s\n", wok_errmsg(c));
  wok_plan_free(n.gradient);
  wok_plan_free(n.product);
  wok_graph_free(g);
  wok_ctx_free(c);
  return !right;
}
