/* text/work.h - text on its way to ids: what normalizers, pre-tokenizers and models share. One wok__enc serves one thread. */
#ifndef WOK_TEXT_WORK_H
#define WOK_TEXT_WORK_H
#include <wok/text.h>
#include "base/base.h"
#include "text/unicode.h"

typedef struct wok__span { int64_t a, b; } wok__span; /* bytes [a, b) */

/* Text as the stages so far left it. from: of which bytes of the input each byte was made; NULL: byte i is byte base + i, or
   nobody asked for offsets. */
typedef struct wok__view {
  const uint8_t *p;
  int64_t n;
  const wok__span *from;
  int64_t base;
} wok__view;

typedef struct wok__buffer { /* where a stage writes */
  uint8_t *p;
  wok__span *from;
  int64_t n, cap;
} wok__buffer;

typedef struct wok__spans { wok__span *p; int64_t n, cap; } wok__spans;
typedef struct wok__words { int64_t *p; int64_t cap; } wok__words; /* scratch of a model */

typedef struct wok__enc {
  const struct wok_tokenizer *t;
  bool mapped;     /* offsets are wanted */
  wok_status status;
  char message[256]; /* of the failure; the thread that owns the context tells it */
  wok__view view;
  wok__buffer buffer[2];
  wok__spans split, other; /* pieces of the view; `other` is where the next list grows */
  /* results */
  int32_t *ids;
  wok__span *spans; /* in the input; only when mapped */
  int64_t n, cap;
  /* sampling */
  bool sample; /* off: the best */
  double alpha;
  int64_t nbest;
  wok__rng rng;
  wok__words words[4];
  wok__buffer scratch;
  void *match; /* PCRE2's memory of a match, and who frees it */
  void (*match_free)(void *);
} wok__enc;

void wok__enc_init(wok__enc *e, const struct wok_tokenizer *t, bool mapped);
void wok__enc_free(wok__enc *e);
/* Both return false, so that `return wok__enc_fail(...)` ends a stage. */
bool wok__enc_fail(wok__enc *e, wok_status s, const char *fmt, ...) WOK__PRINTF(3, 4);
bool wok__enc_nomem(wok__enc *e);
/* The failure in the context, on the thread that owns it. */
wok_status wok__enc_status(const wok__enc *e, wok_ctx *c);

/* The buffer that the view does not use, emptied, with room for n bytes. NULL: no memory. */
wok__buffer *wok__enc_out(wok__enc *e, int64_t n);
bool wok__enc_room(wok__enc *e, wok__buffer *b, int64_t more);
void wok__enc_use(wok__enc *e, const wok__buffer *b); /* from now on the view is b */
static inline wok__span wok__view_span(const wok__view *v, int64_t a, int64_t b) {
  if (!v->from) return (wok__span){v->base + a, v->base + b};
  if (a < b) return (wok__span){v->from[a].a, v->from[b - 1].b};
  int64_t at = a < v->n ? v->from[a].a : v->n ? v->from[v->n - 1].b : v->base;
  return (wok__span){at, at};
}
/* Appends n bytes that stand for bytes [a, b) of the view. */
static inline bool wok__put(wok__enc *e, wok__buffer *o, const void *p, int64_t n, int64_t a, int64_t b) {
  if (o->cap - o->n < n && !wok__enc_room(e, o, n)) return false;
  if (n == 1)
    o->p[o->n] = *(const uint8_t *)p;
  else if (n)
    __builtin_memcpy(o->p + o->n, p, (size_t)n);
  if (e->mapped) {
    wok__span s = wok__view_span(&e->view, a, b);
    for (int64_t i = 0; i < n; i++) o->from[o->n + i] = s;
  }
  o->n += n;
  return true;
}
/* Copies bytes [a, b) of the view as they are. */
bool wok__put_same(wok__enc *e, wok__buffer *o, int64_t a, int64_t b);
static inline bool wok__put_char(wok__enc *e, wok__buffer *o, uint32_t cp, int64_t a, int64_t b) {
  char z[4];
  int n = wok__utf8_put(cp, z);
  return wok__put(e, o, z, n, a, b);
}

bool wok__spans_grow(wok__enc *e, wok__spans *s);
static inline bool wok__spans_add(wok__enc *e, wok__spans *s, int64_t a, int64_t b) {
  if (s->n == s->cap && !wok__spans_grow(e, s)) return false;
  s->p[s->n++] = (wok__span){a, b};
  return true;
}

bool wok__tok_grow(wok__enc *e, int64_t more);
/* Appends a token that is bytes [a, b) of the view. */
static inline bool wok__tok_add(wok__enc *e, int32_t id, int64_t a, int64_t b) {
  if (e->n == e->cap && !wok__tok_grow(e, 1)) return false;
  e->ids[e->n] = id;
  if (e->mapped) e->spans[e->n] = wok__view_span(&e->view, a, b);
  e->n++;
  return true;
}

/* words[k] with room for n numbers; what was in it is lost. NULL: no memory. */
int64_t *wok__enc_words(wok__enc *e, int k, int64_t n);

/* The code point at p[i] and its length; a byte that is no character is a code point of its own, above all others. */
enum { WOK__BAD_BYTE = 0x110000 };
static inline int wok__next(const uint8_t *p, int64_t n, uint32_t *cp) {
  if (p[0] < 0x80) return *cp = p[0], 1;
  int k = wok__utf8_next(p, n, cp);
  if (k > 0) return k;
  return *cp = WOK__BAD_BYTE + p[0], 1;
}
static inline uint32_t wok__class(uint32_t cp) { return cp < WOK__BAD_BYTE ? wok__uc(cp) : 0; }

#endif
