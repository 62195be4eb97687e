/* Derivatives checked against differences: the public gradcheck and gradgradcheck. */
#include <math.h>
#include <string.h>
#include "graph/core.h"

typedef struct check {
  wok_ctx *c;
  wok_graph *g;
  wok_plan *value, *gradient;
  wok_val *x[32];
  double *point[32];
  const wok_shape *shapes;
  int n;
  wok_check_opts o;
  wok_check_result *r;
  wok__str text;
  wok_status failed;
} check;

/* sum_i <dx[i], w[i]> with fixed weights, so that a second derivative is not special. */
static wok_val *weighted(wok_graph *g, wok_val *const *dx, int n, uint64_t seed) {
  wok_val *s = NULL;
  for (int i = 0; i < n; i++) {
    int64_t count = wok__shape_count(&dx[i]->shape);
    double *w = wok__malloc(count * (int64_t)sizeof *w);
    if (!w) return wok__poison(g, WOK_NOMEM, "out of memory");
    wok__rng r;
    wok__rng_init(&r, seed, (uint32_t)i + 1);
    for (int64_t k = 0; k < count; k++) w[k] = wok__rng_uniform(&r) - 0.4;
    wok_val *t = wok_sum(wok_mul(dx[i], wok_const(g, WOK_F64, dx[i]->shape, w)));
    wok__free(w);
    s = s ? wok_add(s, t) : t;
  }
  return s;
}

static wok_status build(check *k, wok_scalar_fn fn, void *ud, int order) {
  wok_val *dx[32];
  WOK__TRY(wok_graph_new(k->c, &k->g));
  for (int i = 0; i < k->n; i++) k->x[i] = wok_input(k->g, NULL, WOK_F64, k->shapes[i]);
  wok_val *y = fn(k->g, k->x, k->n, ud);
  for (int i = 0; i < order; i++) {
    wok_grad(y, k->x, k->n, dx);
    y = weighted(k->g, dx, k->n, k->o.seed);
  }
  wok_grad(y, k->x, k->n, dx);
  WOK__TRY(wok_compile(k->c, &k->value, &y, 1, &(wok_plan_opts){.name = "gradcheck, value", .reference = true}));
  WOK__TRY(wok_compile(k->c, &k->gradient, dx, k->n, &(wok_plan_opts){.name = "gradcheck, gradient"}));
  for (int i = 0; i < k->n; i++) {
    WOK__TRY(wok_plan_bind(k->value, k->x[i], k->point[i]));
    WOK__TRY(wok_plan_bind(k->gradient, k->x[i], k->point[i]));
  }
  return wok_plan_run(k->gradient, NULL);
}

static double value_at(check *k, int i, const double *from, const double *direction, double h) {
  int64_t count = wok__shape_count(&k->shapes[i]);
  for (int64_t e = 0; e < count; e++) k->point[i][e] = from[e] + h * direction[e];
  if (!k->failed) k->failed = wok_plan_run(k->value, NULL);
  return k->failed ? NAN : *(const double *)wok_plan_data(k->value, 0);
}

/* One direction: every second one along a single element, the others through all of them. */
static void direct(wok__rng *r, double *d, int64_t count, int number) {
  memset(d, 0, (size_t)count * sizeof *d);
  if (number % 2) d[wok__rng_below(r, (uint64_t)count)] = 1;
  else
    for (int64_t e = 0; e < count; e++) d[e] = (wok__rng_uniform(r) * 2 - 1) / sqrt((double)count);
}

static wok_status check_input(check *k, int i) {
  int64_t count = wok__shape_count(&k->shapes[i]);
  if (!count) return WOK_OK;
  double *from = wok__malloc(2 * count * (int64_t)sizeof *from), *d = from ? from + count : NULL;
  if (!from) return wok__nomem(k->c, count * 16);
  memcpy(from, k->point[i], (size_t)count * sizeof *from);
  const double *grad = wok_plan_data(k->gradient, i);
  double reach = 1, big = 0, worst = 0;
  for (int64_t e = 0; e < count; e++) {
    reach = fmax(reach, fabs(from[e]));
    big = fmax(big, fabs(grad[e]));
  }
  double h = k->o.step * reach, f0 = value_at(k, i, from, from, 0);
  int kinks = 0, wrong = 0;
  wok__rng r;
  wok__rng_init(&r, k->o.seed, 1000 + (uint32_t)i);
  for (int n = 0; n < k->o.directions && !k->failed; n++) {
    direct(&r, d, count, n);
    double analytic = 0, f[6];
    for (int64_t e = 0; e < count; e++) analytic += grad[e] * d[e];
    const double at[6] = {-h, -h / 2, h / 2, h, -h / 4, h / 4};
    for (int j = 0; j < 6; j++) f[j] = value_at(k, i, from, d, at[j]);
    double whole = (f[3] - f[0]) / (2 * h), half = (f[2] - f[1]) / h, numeric = (4 * half - whole) / 3;
    /* one-sided slopes differ by h f'' where f is smooth: a half of h gives a half of it, a quarter a quarter. A kink does not
       scale so, wherever it lies within h. */
    double bend = fabs(f[3] - 2 * f0 + f[0]) / h, bend2 = fabs(f[2] - 2 * f0 + f[1]) / (h / 2), bend4 = fabs(f[5] - 2 * f0 + f[4]) / (h / 4);
    double rounding = 2.3e-16 * (fabs(f[0]) + fabs(f[1]) + fabs(f[2]) + fabs(f[3])) / h;
    double scale = fmax(big, fabs(analytic)), error = fabs(numeric - analytic);
    k->r->checked++;
    bool smooth = fabs(bend2 - bend / 2) < 0.05 * bend && fabs(bend4 - bend / 4) < 0.05 * bend;
    if (!smooth && bend > k->o.bound * scale + 100 * rounding) {
      kinks++;
      continue;
    }
    /* what the extrapolation still leaves is of the order of the step from `half` to `numeric`, times another h^2 */
    double allowed = k->o.bound * scale + 4 * rounding + 0.05 * fabs(numeric - half) * k->o.step * k->o.step * 1e3;
    double measure = scale > 0 ? error / scale : error;
    worst = fmax(worst, measure);
    if (!(error <= allowed)) {
      if (!wrong++)
        wok__str_printf(&k->text, "x[%d]: direction %d: difference %.12g, derivative %.12g (allowed %.1e)\n", i, n, numeric, analytic, allowed);
    }
  }
  memcpy(k->point[i], from, (size_t)count * sizeof *from);
  wok__free(from);
  k->r->kinks += kinks;
  k->r->worst = fmax(k->r->worst, worst);
  if (wrong) k->r->ok = false;
  wok__str_printf(&k->text, "x[%d]: %s, worst relative error %.1e, largest derivative %.3g, %d of %d directions at a kink\n", i,
                  wrong ? "WRONG" : "right", worst, big, kinks, k->o.directions);
  return k->failed;
}

static wok_status run_check(check *k, wok_scalar_fn fn, void *ud, const double *const *data, int order) {
  for (int i = 0; i < k->n; i++) {
    int64_t bytes = wok__bytes(WOK_F64, &k->shapes[i]);
    if (!(k->point[i] = wok__malloc(bytes + 8))) return wok__nomem(k->c, bytes);
    memcpy(k->point[i], data[i], (size_t)bytes);
  }
  WOK__TRY(build(k, fn, ud, order));
  for (int i = 0; i < k->n; i++) WOK__TRY(check_input(k, i));
  return k->r->ok ? WOK_OK : wok__fail(k->c, WOK_MISMATCH, "gradcheck: a derivative is wrong by %.1e of its largest magnitude", k->r->worst);
}

static wok_status check_order(wok_ctx *c, wok_scalar_fn fn, void *ud, const wok_shape *shapes, const double *const *data, int n,
                              const wok_check_opts *o, wok_check_result *r, int order) {
  *r = (wok_check_result){.ok = true};
  check k = {.c = c, .shapes = shapes, .n = n, .r = r};
  if (n <= 0 || n > (int)WOK__COUNT(k.x)) return wok__fail(c, WOK_INVALID, "gradcheck takes 1 to %d inputs", (int)WOK__COUNT(k.x));
  if (o) k.o = *o;
  if (k.o.step <= 0) k.o.step = 1e-3;
  if (k.o.bound <= 0) k.o.bound = 1e-6;
  if (k.o.directions <= 0) k.o.directions = 8;
  wok__str_init(&k.text, 1 << 20);
  wok_status s = run_check(&k, fn, ud, data, order);
  if (s && s != WOK_MISMATCH) r->ok = false;
  r->report = k.text.failed ? NULL : k.text.p;
  if (k.text.failed) wok__str_free(&k.text);
  wok_plan_free(k.value);
  wok_plan_free(k.gradient);
  wok_graph_free(k.g);
  for (int i = 0; i < n; i++) wok__free(k.point[i]);
  return s;
}

wok_status wok_gradcheck(wok_ctx *c, wok_scalar_fn fn, void *ud, const wok_shape *shapes, const double *const *data, int n,
                         const wok_check_opts *o, wok_check_result *r) {
  return check_order(c, fn, ud, shapes, data, n, o, r, 0);
}

wok_status wok_gradgradcheck(wok_ctx *c, wok_scalar_fn fn, void *ud, const wok_shape *shapes, const double *const *data, int n,
                             const wok_check_opts *o, wok_check_result *r) {
  return check_order(c, fn, ud, shapes, data, n, o, r, 1);
}
