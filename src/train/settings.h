/* train/settings.h - the options of a run, every number resolved: one table for defaults, checking, log, checkpoint, resume. */
#ifndef WOK_TRAIN_SETTINGS_H
#define WOK_TRAIN_SETTINGS_H
#include <wok/train.h>
#include "base/json.h"

/* What the defaults depend on besides other options. */
typedef struct wok__setting_facts {
  int64_t hidden, positions;
  uint64_t seed; /* the context's */
} wok__setting_facts;

/* Resolves `given` (NULL: nothing given): what was given; otherwise what is stored (resume; NULL: nothing is); otherwise the
   default. Off is 0 in the result; schedule and evaluation by time are eval_every 0. Errors: INVALID, UNSUPPORTED.
   out->compute points to a constant. */
wok_status wok__settings_resolve(wok_ctx *c, wok_train_opts *out, const wok_train_opts *given, const json_t *stored,
                                 const wok__setting_facts *f);
/* {"steps": 1000, ...} of resolved settings; NULL: no memory. */
json_t *wok__settings_json(const wok_train_opts *o);
/* Appends "batch 8 there, 4 here" for everything that must not change on resume and does; returns how many. */
int wok__settings_differ(const wok_train_opts *now, const json_t *stored, wok__str *text);
const char *wok__schedule_word(wok_schedule s);
#endif
