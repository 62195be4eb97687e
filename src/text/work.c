/* The memory of encoding: buffers grow and are kept from text to text. */
#include "text/work.h"
#include <string.h>

void wok__enc_init(wok__enc *e, const struct wok_tokenizer *t, bool mapped) { *e = (wok__enc){.t = t, .mapped = mapped}; }

static void buffer_free(wok__buffer *b) {
  wok__free(b->p);
  wok__free(b->from);
}

void wok__enc_free(wok__enc *e) {
  for (int i = 0; i < 2; i++) buffer_free(&e->buffer[i]);
  buffer_free(&e->scratch);
  wok__free(e->split.p);
  wok__free(e->other.p);
  wok__free(e->ids);
  wok__free(e->spans);
  for (int i = 0; i < 4; i++) wok__free(e->words[i].p);
  if (e->match_free) e->match_free(e->match);
  *e = (wok__enc){0};
}

bool wok__enc_fail(wok__enc *e, wok_status s, const char *fmt, ...) {
  if (e->status) return false;
  e->status = s;
  va_list ap;
  va_start(ap, fmt);
  (void)wok__vsnprintf(e->message, (int64_t)sizeof e->message, fmt, ap);
  va_end(ap);
  return false;
}

bool wok__enc_nomem(wok__enc *e) { return wok__enc_fail(e, WOK_NOMEM, "out of memory while encoding"); }
wok_status wok__enc_status(const wok__enc *e, wok_ctx *c) { return e->status ? wok__fail(c, e->status, "%s", e->message) : WOK_OK; }

bool wok__enc_room(wok__enc *e, wok__buffer *b, int64_t more) {
  if (b->cap - b->n >= more) return true;
  int64_t cap = WOK__MAX(b->n + more, b->cap + b->cap / 2) + 64;
  uint8_t *p = wok__realloc(b->p, cap);
  if (!p) return wok__enc_nomem(e);
  b->p = p;
  if (e->mapped) {
    wok__span *from = wok__realloc(b->from, cap * (int64_t)sizeof *from);
    if (!from) return wok__enc_nomem(e);
    b->from = from;
  }
  b->cap = cap;
  return true;
}

wok__buffer *wok__enc_out(wok__enc *e, int64_t n) {
  const wok__buffer *first = &e->buffer[0];
  bool taken = first->p && e->view.p && e->view.p >= first->p && e->view.p <= first->p + first->cap;
  wok__buffer *b = &e->buffer[taken];
  b->n = 0;
  return wok__enc_room(e, b, n) ? b : NULL;
}

void wok__enc_use(wok__enc *e, const wok__buffer *b) {
  int64_t base = e->view.from && e->view.n ? e->view.from[0].a : e->view.base;
  e->view = (wok__view){b->p, b->n, e->mapped ? b->from : NULL, base};
}

bool wok__put_same(wok__enc *e, wok__buffer *o, int64_t a, int64_t b) {
  int64_t n = b - a;
  if (o->cap - o->n < n && !wok__enc_room(e, o, n)) return false;
  if (n) memcpy(o->p + o->n, e->view.p + a, (size_t)n);
  if (e->mapped)
    for (int64_t i = 0; i < n; i++) o->from[o->n + i] = wok__view_span(&e->view, a + i, a + i + 1);
  o->n += n;
  return true;
}

bool wok__spans_grow(wok__enc *e, wok__spans *s) {
  int64_t cap = s->cap ? s->cap * 2 : 256;
  wok__span *p = wok__realloc(s->p, cap * (int64_t)sizeof *p);
  if (!p) return wok__enc_nomem(e);
  s->p = p;
  s->cap = cap;
  return true;
}

bool wok__tok_grow(wok__enc *e, int64_t more) {
  int64_t cap = WOK__MAX(e->n + more, e->cap * 2) + 64;
  int32_t *ids = wok__realloc(e->ids, cap * (int64_t)sizeof *ids);
  if (!ids) return wok__enc_nomem(e);
  e->ids = ids;
  if (e->mapped) {
    wok__span *spans = wok__realloc(e->spans, cap * (int64_t)sizeof *spans);
    if (!spans) return wok__enc_nomem(e);
    e->spans = spans;
  }
  e->cap = cap;
  return true;
}

int64_t *wok__enc_words(wok__enc *e, int k, int64_t n) {
  wok__words *w = &e->words[k];
  if (n > w->cap) {
    wok__free(w->p);
    w->cap = n + n / 2;
    w->p = wok__malloc(w->cap * (int64_t)sizeof *w->p);
    if (!w->p) w->cap = 0, (void)wok__enc_nomem(e);
  }
  return w->p;
}
