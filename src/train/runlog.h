/* train/runlog.h - the log of a run: log.jsonl (one JSON object per line) and a TensorBoard event file, appended to together.
 *
 * Lines, by "type": run (settings, model, data, machine; the first), resume, baselines, step, eval, sample, end. What a line holds
 * is what the functions here put in it; a number that is not finite is null. */
#ifndef WOK_TRAIN_RUNLOG_H
#define WOK_TRAIN_RUNLOG_H
#include <wok/train.h>
#include "base/json.h"

#define WOK__LOG_NAME "log.jsonl"
#define WOK__EVENTS_PREFIX "events.out.tfevents."

/* How far the files had come: a resumed run cuts them back to here. */
typedef struct wok__log_place {
  int64_t log_bytes, events_bytes;
  char events[64]; /* name of the event file */
} wok__log_place;

typedef struct wok__runlog wok__runlog;
/* place NULL: a new log. */
wok_status wok__runlog_open(wok_ctx *c, wok__runlog **l, const char *dir, const wok__log_place *place);
void wok__runlog_close(wok__runlog *l); /* NULL is allowed */
/* Everything is on the disk; *place (may be NULL) is how far it goes. */
wok_status wok__runlog_sync(wok__runlog *l, wok__log_place *place);

/* One line {"type": type, "time": ..., fields of j}; takes j over. j NULL: no memory. */
wok_status wok__runlog_line(wok__runlog *l, const char *type, json_t *j);
/* seconds: of training in all, earlier sessions included. */
wok_status wok__runlog_step(wok__runlog *l, const wok_step_info *i, double seconds);
/* tokens: how many of the held-out part were predicted. */
wok_status wok__runlog_eval(wok__runlog *l, const wok_step_info *i, int64_t tokens, double seconds);
wok_status wok__runlog_baselines(wok__runlog *l, const wok_baselines *b);
wok_status wok__runlog_sample(wok__runlog *l, const char *prompt, const char *text);
wok_status wok__runlog_end(wok__runlog *l, const char *reason, const wok_step_info *last, double seconds, int64_t peak_bytes);

/* A JSON number, null when v is not finite; a JSON string with U+FFFD for every byte that is not UTF-8. NULL: no memory. */
json_t *wok__json_number(double v);
json_t *wok__json_text_of(const char *z);
json_t *wok__json_machine(const wok_ctx *c);
/* What decides the order of sums: "avx512, oneDNN 2.6.3". */
void wok__kernel_set(const wok_ctx *c, char *buf, int64_t cap);
#endif
