/* train/runlog.c - the log of a run. */
#include <math.h>
#include <string.h>
#include "text/utf8.h"
#include "train/runlog.h"
#include "train/tfevents.h"

enum { LONGEST_LINE = 4 << 20 };

struct wok__runlog {
  wok_ctx *c;
  wok__appender *lines, *events;
  char events_name[64];
  wok__str buf; /* used again by every line */
};

/* ---- JSON from what we have ---- */
json_t *wok__json_number(double v) { return isfinite(v) ? json_real(v) : json_null(); }

json_t *wok__json_text_of(const char *z) {
  json_t *j = json_string(z);
  if (j) return j;
  wok__str s;
  wok__str_init(&s, LONGEST_LINE);
  const uint8_t *p = (const uint8_t *)z;
  for (int64_t n = (int64_t)strlen(z); n > 0;) {
    uint32_t cp;
    int k = wok__utf8_next(p, n, &cp);
    if (k > 0) wok__str_add(&s, p, k);
    else wok__str_puts(&s, "\xef\xbf\xbd");
    p += WOK__MAX(k, 1);
    n -= WOK__MAX(k, 1);
  }
  if (s.p && !s.failed) j = json_string(s.p);
  wok__str_free(&s);
  return j;
}

void wok__kernel_set(const wok_ctx *c, char *buf, int64_t cap) {
  wok_machine m;
  wok_machine_info(c, &m);
  (void)wok__snprintf(buf, cap, "%s, %s%s", m.isa, m.onednn ? "oneDNN " : "no oneDNN", m.onednn ? m.onednn : "");
}

json_t *wok__json_machine(const wok_ctx *c) {
  wok_machine m;
  char kernels[64];
  wok_machine_info(c, &m);
  wok__kernel_set(c, kernels, (int64_t)sizeof kernels);
  return json_pack("{s:o, s:s, s:s, s:s, s:i, s:i, s:I, s:o}", "cpu", wok__json_text_of(m.cpu), "isa", m.isa, "features", m.features,
                   "kernels", kernels, "cpus", m.cpus, "threads", m.threads, "memory", (json_int_t)m.memory, "load",
                   wok__json_number(m.load1));
}

/* ---- files ---- */
static wok_status open_files(wok__runlog *l, const char *dir, const wok__log_place *place) {
  wok__arena *a = wok__arena_new(1024);
  char *log = a ? wok__path_join(a, dir, WOK__LOG_NAME) : NULL, *events = a ? wok__path_join(a, dir, l->events_name) : NULL;
  wok_status s = log && events ? WOK_OK : wok__nomem(l->c, (int64_t)strlen(dir));
  if (s == WOK_OK) s = wok__appender_open(l->c, &l->lines, log, place ? place->log_bytes : 0);
  if (s == WOK_OK) s = wok__appender_open(l->c, &l->events, events, place ? place->events_bytes : 0);
  wok__arena_free(a);
  return s;
}

static wok_status begin_events(wok__runlog *l) {
  if (wok__appender_size(l->events) > 0) return WOK_OK;
  wok__str_clear(&l->buf);
  wok__tfevents_version(&l->buf, (double)wok__unix_ms() / 1000);
  if (l->buf.failed) return wok__nomem(l->c, l->buf.len);
  return wok__appender_add(l->events, l->buf.p, l->buf.len);
}

wok_status wok__runlog_open(wok_ctx *c, wok__runlog **out, const char *dir, const wok__log_place *place) {
  *out = NULL;
  wok__runlog *l = wok__calloc(1, (int64_t)sizeof *l);
  if (!l) return wok__nomem(c, (int64_t)sizeof *l);
  l->c = c;
  wok__str_init(&l->buf, LONGEST_LINE);
  if (place && place->events[0]) memcpy(l->events_name, place->events, sizeof l->events_name);
  else (void)wok__snprintf(l->events_name, (int64_t)sizeof l->events_name, WOK__EVENTS_PREFIX "%lld.wok", (long long)(wok__unix_ms() / 1000));
  wok_status s = open_files(l, dir, place);
  if (s == WOK_OK) s = begin_events(l);
  if (s) {
    wok__runlog_close(l);
    return s;
  }
  *out = l;
  return WOK_OK;
}

void wok__runlog_close(wok__runlog *l) {
  if (!l) return;
  wok__appender_close(l->lines);
  wok__appender_close(l->events);
  wok__str_free(&l->buf);
  wok__free(l);
}

wok_status wok__runlog_sync(wok__runlog *l, wok__log_place *place) {
  if (place) {
    *place = (wok__log_place){.log_bytes = wok__appender_size(l->lines), .events_bytes = wok__appender_size(l->events)};
    memcpy(place->events, l->events_name, sizeof place->events);
  }
  WOK__TRY(wok__appender_sync(l->lines));
  return wok__appender_sync(l->events);
}

/* ---- lines ---- */
wok_status wok__runlog_line(wok__runlog *l, const char *type, json_t *j) {
  json_t *line = json_pack("{s:s, s:f}", "type", type, "time", (double)wok__unix_ms() / 1000);
  wok_status s = WOK_OK;
  if (!line || !j || json_object_update(line, j) != 0) s = wok__nomem(l->c, 0);
  wok__str_clear(&l->buf);
  if (s == WOK_OK) s = wok__json_text(l->c, line, &l->buf, 0);
  wok__str_puts(&l->buf, "\n");
  if (s == WOK_OK && l->buf.failed) s = wok__fail(l->c, WOK_LIMIT, "a line of the log is too long");
  if (s == WOK_OK) s = wok__appender_add(l->lines, l->buf.p, l->buf.len);
  json_decref(line);
  json_decref(j);
  return s;
}

static wok_status scalars(wok__runlog *l, int64_t step, const wok__scalar *s, int64_t n) {
  wok__str_clear(&l->buf);
  wok__tfevents_scalars(&l->buf, (double)wok__unix_ms() / 1000, step, s, n);
  if (l->buf.failed) return wok__nomem(l->c, l->buf.len);
  return wok__appender_add(l->events, l->buf.p, l->buf.len);
}

wok_status wok__runlog_step(wok__runlog *l, const wok_step_info *i, double seconds) {
  WOK__TRY(wok__runlog_line(
      l, "step",
      json_pack("{s:I, s:o, s:o, s:o, s:o, s:I, s:o, s:o, s:o}", "step", (json_int_t)i->step, "loss", wok__json_number(i->loss), "bits",
                wok__json_number(i->bits), "lr", wok__json_number(i->lr), "grad_norm", wok__json_number(i->grad_norm), "tokens",
                (json_int_t)i->tokens, "tokens_per_s", wok__json_number(i->tokens_per_s), "gflops", wok__json_number(i->gflops),
                "seconds", wok__json_number(seconds))));
  const wok__scalar s[] = {{"train/loss", (float)i->loss},
                           {"train/bits", (float)i->bits},
                           {"train/lr", (float)i->lr},
                           {"train/grad_norm", (float)i->grad_norm},
                           {"speed/tokens_per_s", (float)i->tokens_per_s}};
  return scalars(l, i->step, s, WOK__COUNT(s));
}

wok_status wok__runlog_eval(wok__runlog *l, const wok_step_info *i, int64_t tokens, double seconds) {
  WOK__TRY(wok__runlog_line(l, "eval",
                            json_pack("{s:I, s:o, s:o, s:o, s:I, s:o}", "step", (json_int_t)i->step, "loss",
                                      wok__json_number(i->valid_loss), "bits", wok__json_number(i->valid_bits), "best_bits",
                                      wok__json_number(i->best_valid_bits), "tokens", (json_int_t)tokens, "seconds",
                                      wok__json_number(seconds))));
  const wok__scalar s[] = {{"valid/loss", (float)i->valid_loss}, {"valid/bits", (float)i->valid_bits}};
  return scalars(l, i->step, s, WOK__COUNT(s));
}

static json_t *numbers(const double *v, int n) {
  json_t *a = json_array();
  for (int i = 0; a && i < n; i++) (void)json_array_append_new(a, wok__json_number(v[i]));
  return a;
}

wok_status wok__runlog_baselines(wok__runlog *l, const wok_baselines *b) {
  return wok__runlog_line(l, "baselines",
                          json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I}", "uniform", wok__json_number(b->uniform), "unigram",
                                    wok__json_number(b->unigram), "bigram", wok__json_number(b->bigram), "trigram",
                                    wok__json_number(b->trigram), "kneser_ney", wok__json_number(b->kneser_ney), "bigram_weights",
                                    numbers(b->bigram_weights, 3), "trigram_weights", numbers(b->trigram_weights, 4), "fitted_on",
                                    (json_int_t)b->fitted_on));
}

wok_status wok__runlog_sample(wok__runlog *l, const char *prompt, const char *text) {
  return wok__runlog_line(l, "sample", json_pack("{s:o, s:o}", "prompt", wok__json_text_of(prompt), "text", wok__json_text_of(text)));
}

wok_status wok__runlog_end(wok__runlog *l, const char *reason, const wok_step_info *last, double seconds, int64_t peak_bytes) {
  return wok__runlog_line(l, "end",
                          json_pack("{s:s, s:I, s:I, s:o, s:I}", "reason", reason, "step", (json_int_t)last->step, "tokens",
                                    (json_int_t)last->tokens, "seconds", wok__json_number(seconds), "peak_bytes", (json_int_t)peak_bytes));
}
