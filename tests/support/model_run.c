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
  for (int64_t i = 0; i < n; i++)
    dst[i] = t == WOK_F64 ? ((const double *)src)[i] : (double)((const float *)src)[i];
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
  wok_plan_free(r->plan);
  wok_graph_free(r->g);
  free(r->logits);
  free(r->grads);
  memset(r, 0, sizeof *r);
}

static int compile(model_run *r, wok_val *loss, wok_val *logits) {
  int n = r->how.grads ? (int)wok_model_params(r->m, NULL) : 0;
  wok_val **x = malloc((size_t)(n + 1) * sizeof *x), **results = malloc((size_t)(n + 2) * sizeof *results);
  results[0] = loss;
  results[1] = logits;
  for (int i = 0; i < n; i++) x[i] = wok_model_param_at(r->g, r->m, i);
  if (n) wok_grad(loss, x, n, results + 2);
  wok_status st = wok_compile(r->c, &r->plan, results, n + 2,
                              &(wok_plan_opts){.name = "test", .reference = r->how.reference});
  free(x);
  free(results);
  return st;
}

bool model_run_new(model_run *r, wok_ctx *c, wok_model *m, const packed *p, const run_how *how) {
  *r = (model_run){.c = c, .m = m, .how = *how};
  int64_t counted = 0;
  for (int64_t i = 0; i < p->n; i++) counted += p->labels[i] >= 0;
  if (wok_graph_new(c, &r->g)) return fail(c, "graph");
  wok_graph *g = r->g;
  wok_shape s = WOK_SHAPE(p->n);
  wok_batch b = {.ids = wok_input(g, "ids", WOK_I32, s),
                 .pos = wok_input(g, "pos", WOK_I32, s),
                 .lo = wok_input(g, "lo", WOK_I32, s),
                 .hi = wok_input(g, "hi", WOK_I32, s),
                 .training = how->training};
  wok_val *labels = wok_input(g, "labels", WOK_I32, s);
  wok_outputs o = wok_model_forward(g, m, &b);
  wok_val *loss = wok_scale(wok_sum(wok_xent(o.logits, labels)), 1.0 / (double)counted);
  r->type = wok_val_dtype(loss);
  wok_shape ls = wok_val_shape(o.logits);
  r->nlogits = ls.ndim == 2 ? ls.dim[0] * ls.dim[1] : 0;
  r->logits = calloc((size_t)r->nlogits + 1, sizeof(double));
  if (how->grads) r->grads = calloc((size_t)wok_model_param_count(m) + 1, sizeof(double));
  if (compile(r, loss, o.logits)) return fail(c, "compile");
  const wok_val *in[] = {b.ids, b.pos, b.lo, b.hi, labels};
  const int32_t *data[] = {p->ids, p->pos, p->lo, p->hi, p->labels};
  for (int i = 0; i < 5; i++)
    if (wok_plan_bind(r->plan, in[i], data[i])) return fail(c, "bind");
  return true;
}

bool model_run_go(model_run *r, uint64_t tick) {
  if (wok_plan_run(r->plan, &(wok_run_opts){.seed = 17, .tick = tick})) return fail(r->c, "run");
  to_double(r->type, wok_plan_data(r->plan, 0), &r->loss, 1);
  to_double(r->type, wok_plan_data(r->plan, 1), r->logits, r->nlogits);
  const wok_param *list;
  int64_t n = wok_model_params(r->m, &list);
  for (int64_t i = 0; r->grads && i < n; i++)
    to_double(r->type, wok_plan_data(r->plan, 2 + (int)i), r->grads + list[i].offset, list[i].count);
  return true;
}
