/* support/model_run.h - the mean loss of a model over packed documents, its logits and the gradients of all parameters. */
#ifndef WOK_TEST_MODEL_RUN_H
#define WOK_TEST_MODEL_RUN_H
#include <wok/model.h>

typedef struct packed {
  int64_t n;
  const int32_t *ids, *pos, *lo, *hi, *labels; /* labels < 0: not counted */
} packed;

typedef struct run_how {
  bool training, reference, grads;
} run_how;

typedef struct model_run {
  wok_ctx *c;
  wok_model *m;
  wok_graph *g;
  wok_plan *plan;
  wok_dtype type;
  run_how how;
  double loss;
  int64_t nlogits;
  double *logits; /* [n, V] */
  double *grads;  /* as the parameter slab; NULL unless asked for */
} model_run;

/* Both print the message and return false when something fails; free then too. The data of p must live on. */
bool model_run_new(model_run *r, wok_ctx *c, wok_model *m, const packed *p, const run_how *how);
bool model_run_go(model_run *r, uint64_t tick);
void model_run_free(model_run *r);
/* Largest |a - b| divided by the largest |b|. */
double relative_error(const double *a, const double *b, int64_t n);
#endif
