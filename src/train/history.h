/* train/history.h - reading log.jsonl back: all of it for the report, its two ends for the list of runs. A line that is cut or
   damaged is passed over. */
#ifndef WOK_TRAIN_HISTORY_H
#define WOK_TRAIN_HISTORY_H
#include "base/json.h"

typedef struct wok__step_row { double step, loss, bits, lr, grad_norm, tokens_per_s, seconds, tokens; } wok__step_row;
typedef struct wok__eval_row { double step, loss, bits, best_bits, tokens; } wok__eval_row;

/* A row of numbers that grows. */
typedef struct wok__rows { char *p; int64_t n, cap; } wok__rows;

typedef struct wok__history {
  json_t *run, *baselines, *end; /* lines; NULL: not there */
  json_t *resume;                /* the last one */
  json_t *samples;               /* array of lines */
  wok__rows steps, evals;        /* wok__step_row, wok__eval_row */
  int64_t resumes, damaged;
} wok__history;
/* NOTFOUND: there is no log. FORMAT: its first line says nothing of a run. */
wok_status wok__history_read(wok_ctx *c, wok__history *l, const char *run_dir);
/* Only the first line and the last few hundred. */
wok_status wok__history_ends(wok_ctx *c, wok__history *l, const char *run_dir);
void wok__history_free(wok__history *l);
static inline const wok__step_row *wok__history_steps(const wok__history *l) { return (const wok__step_row *)(const void *)l->steps.p; }
static inline const wok__eval_row *wok__history_evals(const wok__history *l) { return (const wok__eval_row *)(const void *)l->evals.p; }
/* The number under `key`, 0 when there is none. */
double wok__line_number(const json_t *line, const char *key);
const char *wok__line_word(const json_t *line, const char *key); /* "" when there is none */
#endif
