/* train/lossplan.h - the graph of one micro-batch: forward, loss, and for training the gradients added to their slab. */
#ifndef WOK_TRAIN_LOSSPLAN_H
#define WOK_TRAIN_LOSSPLAN_H
#include <wok/model.h>
#include "train/batch.h"

enum { WOK__BATCH_COLUMN_COUNT = 7 };

typedef struct wok__loss_opts {
  const char *name;         /* in messages and plan reports */
  int64_t tokens;           /* rows of a micro-batch */
  wok_buffer *grads;        /* training: where gradients are added; NULL: evaluation, without dropout */
  int64_t mem_limit;        /* of the plan's own memory, as wok_plan_opts says; 0: none beside the context's */
  const char *compute;      /* of products, as wok_plan_opts says */
  bool accuracy;            /* evaluation: also how many rows' most probable token is the label */
  wok_workspace *workspace; /* shared with other plans; NULL: its own */
  bool dry;                 /* only to know the memory it would take */
} wok__loss_opts;

typedef struct wok__loss {
  wok_graph *g;
  wok_plan *plan;
  wok__batch batch; /* to be filled before each run */
  int32_t *pick;    /* accuracy: index of the label's logit */
  int64_t vocab;
  bool accuracy;
} wok__loss;

typedef struct wok__loss_sum {
  double nats; /* summed over the rows that count */
  int64_t right;
} wok__loss_sum;

wok_status wok__loss_new(wok_ctx *c, wok__loss *l, wok_model *m, const wok__loss_opts *o);
void wok__loss_free(wok__loss *l);
/* One run over l->batch. seed and tick key the dropout; fresh: gradients begin from zero. */
wok_status wok__loss_run(wok__loss *l, const wok_run_opts *o, wok__loss_sum *sum);
/* Bytes a plan would take, whatever the context's limit; no memory is taken. */
wok_status wok__loss_measure(wok_ctx *c, wok_model *m, const wok__loss_opts *o, int64_t *bytes);
#endif
