/* base/progress.c - how far a long piece of work has come, and whether it should go on. */
#include "base/inside.h"

static const double at_most_every = 0.1; /* seconds */

static wok_status interrupted(wok_ctx *c) { return wok__fail(c, WOK_INTERRUPTED, "interrupted"); }

static wok_status tell(wok__task *t, double now, const char *text) {
  t->last = now;
  const wok_ctx_opts *o = &t->c->opts;
  if (!o->progress) return WOK_OK;
  wok_progress p = {t->what, t->unit, t->done, t->total, now - t->t0, text};
  return o->progress(o->progress_ud, &p) ? WOK_OK : interrupted(t->c);
}

void wok__task_begin(wok__task *t, wok_ctx *c, const char *what, const char *unit, int64_t total) {
  double now = wok__now();
  *t = (wok__task){c, what, unit, 0, total, now, now - at_most_every}; /* the first report is made at once */
}

wok_status wok__task_at(wok__task *t, int64_t done, const char *text) {
  t->done = done;
  if (wok_cancelled(t->c)) return interrupted(t->c);
  if (!t->c->opts.progress) return WOK_OK;
  double now = wok__now();
  return now - t->last < at_most_every ? WOK_OK : tell(t, now, text);
}

wok_status wok__task_end(wok__task *t, const char *text) {
  wok_status s = tell(t, wok__now(), text);
  return s == WOK_OK && wok_cancelled(t->c) ? interrupted(t->c) : s;
}
