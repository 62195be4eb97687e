/* train/engine.h - a model with its gradients, optimizer and plan: what turns tokens into a step. */
#ifndef WOK_TRAIN_ENGINE_H
#define WOK_TRAIN_ENGINE_H
#include <wok/train.h>
#include "optim/optim.h"
#include "train/lossplan.h"

typedef struct wok__engine {
  wok_ctx *c;
  wok_model *m; /* not owned */
  wok__optim *optim;
  wok_buffer *grads;
  wok_workspace *workspace; /* evaluation may share it */
  wok__loss micro;
  int64_t accumulate;
  uint64_t seed;
} wok__engine;
/* o: resolved settings. */
wok_status wok__engine_new(wok_ctx *c, wok__engine *e, wok_model *m, const wok_train_opts *o);
void wok__engine_free(wok__engine *e);

typedef struct wok__step_result {
  double loss; /* mean nats per token */
  double grad_norm;
  int64_t tokens;
} wok__step_result;
/* One step over the next tokens of s. NONFINITE when loss or gradient is not: nothing has changed then, and `r` says what. */
wok_status wok__engine_step(wok__engine *e, wok__stream *s, double lr, wok__step_result *r);

/* Tokens of a micro-batch. */
int64_t wok__micro_tokens(const wok_train_opts *o);
/* Model FLOP of a token: 6 x weights that multiply + 12 x layers x hidden x mean visible keys. */
double wok__flops_per_token(const wok_model *m, int64_t seq);

/* ---- memory.c ---- */
typedef struct wok__need {
  int64_t state; /* parameters, gradients, the optimizer's */
  int64_t plan;  /* values and scratch of the largest plan */
} wok__need;
/* LIMIT when a model of this configuration cannot even be held for training; nothing is allocated. */
wok_status wok__state_fits(wok_ctx *c, const wok_model_config *cfg, int64_t *bytes);
/* What the context's limit, or the machine, leaves for the training plan beside parameters, gradients and moments. */
int64_t wok__plan_room(const wok_ctx *c, const wok_model *m, const wok_train_opts *o);
/* The same against the context's limit and the machine's memory: LIMIT says what would fit. */
wok_status wok__need_fits(wok_ctx *c, wok_model *m, const wok_train_opts *o, bool evaluates, wok__need *need);

/* ---- evaluate.c ---- */
typedef struct wok__score {
  double nats;
  int64_t tokens, right;
} wok__score;
/* Over the documents in their own order; limit: see wok__sweep_next. INTERRUPTED by progress or cancel. */
wok_status wok__evaluate(wok__loss *l, const wok__docs *d, int64_t seq, int64_t limit, wok__task *task, wok__score *score);
/* What the bits of a part are counted per. */
typedef struct wok__unit {
  const char *name;      /* "character", "byte" */
  double bits_per_nat;   /* mean nats per token to bits per unit */
} wok__unit;
wok__unit wok__unit_of(const wok_data *d, wok_split s);
/* The model remembers which tokenizer it was trained with (a key of config.json). */
wok_status wok__remember_tokenizer(wok_model *m, const wok_tokenizer *t);
wok_status wok__check_tokenizer(wok_ctx *c, const wok_model *m, const wok_tokenizer *t);
#endif
