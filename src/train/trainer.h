/* train/trainer.h - a run in progress, for the files of this room. begin.c makes it, trainer.c drives it. */
#ifndef WOK_TRAIN_TRAINER_H
#define WOK_TRAIN_TRAINER_H
#include "train/checkpoint.h"
#include "train/engine.h"
#include "train/settings.h"

typedef struct wok__trainer {
  wok_ctx *c;
  const char *dir;
  wok_data *data;
  wok_train_opts o; /* resolved */
  wok__schedule schedule;
  wok_model *m;
  wok__engine engine;
  wok__loss judge;      /* evaluation; not there without a held-out part */
  wok__docs train, valid;
  wok__stream stream;
  wok__need need;
  wok__unit train_unit, valid_unit;
  int64_t eval_limit;   /* tokens of the held-out part; 0: all */
  double flops_per_token;
  wok__lock lock;
  wok__runlog *log;
  wok__run_state state; /* as it will be saved */
  wok_step_info info;   /* of the last step */
  bool untold;          /* info has not been handed to on_step yet */
  bool resumed, stopping;
  bool replaces;        /* there is an earlier run in the directory */
  int64_t saved_step;   /* -1: never */
  wok__task task;
  double begun;         /* clock at the beginning of this session */
  double seconds_before;/* training in earlier sessions */
  double judged_at, judge_cost; /* seconds of training at the last evaluation; how long it took */
  double rate_tokens, rate_seconds; /* decaying sums */
} wok__trainer;

/* Everything up to the first step: checks, lock, model or checkpoint, plans, log. cfg NULL: the checkpoint's. */
wok_status wok__trainer_begin(wok__trainer *t, const wok_model_config *cfg, const wok_train_opts *given);
void wok__trainer_end(wok__trainer *t);

/* resume.c: what a checkpoint and this call disagree about; MISMATCH lists all of it. */
wok_status wok__resume_agrees(wok__trainer *t, const wok_model_config *stored, const wok_model_config *given);
#endif
