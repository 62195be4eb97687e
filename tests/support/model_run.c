#include "model_run.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool fail(wok_ctx *c, const char *what) {
  fprintf(stderr, "%s: %s\n", what, wok_errmsg(c));
  return false;
}

static void to_double(wok_dtype t, const void *src, double *dst, int64_t n) {
  for (int64_t i = 0; i < n; i++) dst[i] = t == WOK_F64 ? ((const double *)src)[i] : (double)((const float *)src)[i];
}

double relative_error(const double *a, const double *b, int64_t n) {
  double worst = 0, largest = 0;
  for (int64_t i = 0; i < n; i++) {
    if (!isfinite(a[i])) return INFINITY;
    worst = fmax(worst, fabs(a[i] - b[i]));
    largest = fmax(largest, fabs(b[i]));
  }
  return largest > 0 ? worst / largest : worst;
}

void model_run_free(model_run *r) {
  free(r->logits);
  free(r->grads);
  memset(r, 0, sizeof *r);
}

static bool run(model_run *r, wok_plan *p, wok_model *m, const run_how *how, const wok_val *const *in, const int32_t *const *data) {
  for (int i = 0; i < 5; i++)
    if (in[i] && wok_plan_bind(p, in[i], data[i])) return fail(r->c, "bind");
  if (wok_plan_run(p, &(wok_run_opts){.seed = 17, .tick = how->tick})) return fail(r->c, "run");
  to_double(r->type, wok_plan_data(p, 0), &r->loss, 1);
  to_double(r->type, wok_plan_data(p, 1), r->logits, r->nlogits);
  const wok_param *list;
  int64_t n = wok_model_params(m, &list);
  for (int64_t i = 0; i < n; i++) to_double(r->type, wok_plan_data(p, 2 + (int)i), r->grads + list[i].offset, list[i].count);
  return true;
}

bool model_run_do(model_run *r, wok_ctx *c, wok_model *m, const packed *p, const run_how *how) {
  wok_graph *g;
  wok_plan *plan = NULL;
  const wok_param *list;
  int64_t n = wok_model_params(m, &list), counted = 0;
  *r = (model_run){.c = c, .nparams = wok_model_param_count(m)};
  for (int64_t i = 0; i < p->n; i++) counted += p->labels[i] >= 0;
  if (wok_graph_new(c, &g)) return fail(c, "graph");
  wok_shape s = WOK_SHAPE(p->n);
  wok_batch b = {.ids = wok_input(g, "ids", WOK_I32, s), .pos = wok_input(g, "pos", WOK_I32, s),
                 .lo = wok_input(g, "lo", WOK_I32, s), .hi = wok_input(g, "hi", WOK_I32, s), .training = how->training};
  wok_val *labels = wok_input(g, "labels", WOK_I32, s);
  wok_outputs o = wok_model_forward(g, m, &b);
  wok_val *loss = wok_scale(wok_sum(wok_xent(o.logits, labels)), 1.0 / (double)counted);
  wok_val **x = malloc((size_t)n * sizeof *x), **results = malloc((size_t)(n + 2) * sizeof *results);
  for (int64_t i = 0; i < n; i++) x[i] = wok_model_param_at(g, m, i);
  results[0] = loss;
  results[1] = o.logits;
  wok_grad(loss, x, (int)n, results + 2);
  r->type = wok_val_dtype(loss);
  wok_shape ls = wok_val_shape(o.logits);
  r->nlogits = ls.ndim == 2 ? ls.dim[0] * ls.dim[1] : 0;
  r->logits = calloc((size_t)r->nlogits + 1, sizeof(double));
  r->grads = calloc((size_t)r->nparams + 1, sizeof(double));
  bool ok = !wok_compile(c, &plan, results, (int)n + 2, &(wok_plan_opts){.name = "test", .reference = how->reference});
  if (!ok) fail(c, "compile");
  const wok_val *in[] = {b.ids, b.pos, b.lo, b.hi, labels};
  const int32_t *data[] = {p->ids, p->pos, p->lo, p->hi, p->labels};
  ok = ok && run(r, plan, m, how, in, data);
  wok_plan_free(plan);
  wok_graph_free(g);
  free(x);
  free(results);
  if (!ok) model_run_free(r);
  return ok;
}
