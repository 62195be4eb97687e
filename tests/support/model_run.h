/* One forward and backward pass of a model over packed documents, for tests. */
#ifndef WOK_TEST_MODEL_RUN_H
#define WOK_TEST_MODEL_RUN_H
#include <wok/model.h>
#include "tensor/tensor.h"

typedef struct packed {
  int64_t n;
  const int32_t *ids, *pos, *lo, *hi, *labels; /* labels < 0: not counted */
} packed;

typedef struct model_run {
  wok_ctx *c;
  wok_dtype type;
  double loss;
  int64_t nlogits, nparams;
  double *logits; /* [n, V] */
  double *grads;  /* in the order of the parameter slab */
} model_run;

typedef struct run_how {
  bool training, reference;
  uint64_t tick;
} run_how;

/* Mean loss over the labelled tokens, logits, gradients of all parameters. On failure prints the message and returns false. */
bool model_run_do(model_run *r, wok_ctx *c, wok_model *m, const packed *p, const run_how *how);
void model_run_free(model_run *r);
/* Largest |a - b| divided by the largest |b|. */
double relative_error(const double *a, const double *b, int64_t n);
#endif
