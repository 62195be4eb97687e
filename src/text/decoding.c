/* Ids back to text: at once, and as a stream. */
#include <string.h>
#include "text/tokenizer.h"

static wok_status check_ids(const wok_tokenizer *t, const int32_t *ids, int64_t n) {
  for (int64_t i = 0; i < n; i++)
    if (ids[i] < 0 || ids[i] >= t->size)
      return wok__fail(t->c, WOK_INVALID, "decode: id %d (number %lld) is not in the vocabulary of %lld", (int)ids[i], (long long)i,
                       (long long)t->size);
  return WOK_OK;
}

/* What characters and bytes are; the end mark is text only where special tokens are kept. */
static void plain_text(const wok_tokenizer *t, const int32_t *ids, int64_t n, bool special, char *text, int64_t cap, int64_t *len) {
  int64_t at = 0;
  for (int64_t i = 0; i < n; i++) {
    int64_t k;
    if (!special && ids[i] == WOK__TOK_EOD) continue;
    const char *p = wok_tokenizer_piece(t, ids[i], &k);
    int64_t m = WOK__MIN(k, cap - at);
    if (m > 0) memcpy(text + at, p, (size_t)m);
    at += k;
  }
  *len = at;
}

static wok_status decode(const wok_tokenizer *t, const int32_t *ids, int64_t n, bool special, char *text, int64_t cap, int64_t *len) {
  *len = 0;
  WOK__TRY(check_ids(t, ids, n));
  if (!t->pipe) return plain_text(t, ids, n, special, text, cap, len), WOK_OK;
  wok__str s;
  wok__str_init(&s, INT64_MAX / 4);
  wok_status st = wok__pipe_decode(t->pipe, t->c, ids, n, special, &s);
  if (st == WOK_OK) {
    *len = s.len;
    if (s.len && cap > 0) memcpy(text, s.p, (size_t)WOK__MIN(s.len, cap));
  }
  wok__str_free(&s);
  return st;
}

wok_status wok_decode(const wok_tokenizer *t, const int32_t *ids, int64_t n, char *text, int64_t cap, int64_t *len) {
  return decode(t, ids, n, false, text, cap, len);
}
wok_status wok_decode_special(const wok_tokenizer *t, const int32_t *ids, int64_t n, char *text, int64_t cap, int64_t *len) {
  return decode(t, ids, n, true, text, cap, len);
}

/* ---- streams ---- */

enum { BEFORE = 6, MOST_HELD = 10 };
_Static_assert(BEFORE + MOST_HELD <= 16, "wok_decoder.held");

int64_t wok_decode_room(const wok_tokenizer *t) { return t->pipe ? 64 + (BEFORE + MOST_HELD) * 2 * (t->pipe->longest + 8) : 64; }

static int64_t put_replacement(char *out) {
  memcpy(out, "\xef\xbf\xbd", 3);
  return 3;
}

/* Takes one byte; returns what became ready in out (at most 6 bytes: the replacement of what was pending, and a character). */
static int64_t take_byte(wok_decoder *d, uint8_t byte, char *out) {
  int64_t at = 0;
  for (;;) {
    uint32_t cp;
    d->part[d->npart++] = byte;
    int k = wok__utf8_next(d->part, d->npart, &cp);
    if (k < 0) return at;
    if (k > 0) {
      memcpy(out + at, d->part, (size_t)k);
      d->npart = 0;
      return at + k;
    }
    /* What was pending can no longer become a character: one replacement for it, then the byte on its own. */
    bool alone = d->npart == 1;
    d->npart = 0;
    at += put_replacement(out + at);
    if (alone) return at;
  }
}

static int64_t stream_bytes(const wok_tokenizer *t, wok_decoder *d, int32_t id, char *out) {
  if (id < 0) {
    bool pending = d->npart > 0;
    d->npart = 0;
    return pending ? put_replacement(out) : 0;
  }
  int64_t at = 0, n;
  if (wok_tokenizer_is_special(t, id)) return 0;
  const char *p = wok_tokenizer_piece(t, id, &n);
  for (int64_t i = 0; i < n; i++) at += take_byte(d, (uint8_t)p[i], out + at);
  return at;
}

/* Tokens whose text depends on those before: the text of the held ones is what decoding them adds to decoding the ones before.
   It waits while it ends in U+FFFD, which more bytes may still turn into a character. */
static bool added_text(const wok_tokenizer *t, const wok_decoder *d, wok__str *all, int64_t *from) {
  wok__str before;
  wok__str_init(&before, INT64_MAX / 4);
  bool ok = wok__pipe_decode(t->pipe, NULL, d->held, d->nbefore, false, &before) == WOK_OK &&
            wok__pipe_decode(t->pipe, NULL, d->held, d->nbefore + d->nheld, false, all) == WOK_OK;
  bool grows = ok && all->len >= before.len && (before.len == 0 || memcmp(all->p, before.p, (size_t)before.len) == 0);
  *from = before.len;
  wok__str_free(&before);
  if (!ok || grows) return ok;
  wok__str_clear(all); /* what came changes what is out already: it stands for itself */
  *from = 0;
  return wok__pipe_decode(t->pipe, NULL, d->held + d->nbefore, d->nheld, false, all) == WOK_OK;
}

static int64_t stream_held(const wok_tokenizer *t, wok_decoder *d, int32_t id, char *out, int64_t cap) {
  if (id >= 0) {
    if (wok_tokenizer_is_special(t, id)) return 0;
    d->held[d->nbefore + d->nheld++] = id;
  }
  if (d->nheld == 0) return 0;
  wok__str all;
  int64_t from, n = 0;
  wok__str_init(&all, INT64_MAX / 4);
  bool ok = added_text(t, d, &all, &from);
  bool waits = id >= 0 && d->nheld < MOST_HELD && all.len - from >= 3 && memcmp(all.p + all.len - 3, "\xef\xbf\xbd", 3) == 0;
  if (ok && waits) {
    wok__str_free(&all);
    return 0;
  }
  if (ok && all.len > from) {
    n = WOK__MIN(all.len - from, cap);
    memcpy(out, all.p + from, (size_t)n);
  }
  wok__str_free(&all);
  int total = d->nbefore + d->nheld, keep = WOK__MIN(total, (int)BEFORE);
  memmove(d->held, d->held + total - keep, (size_t)keep * sizeof *d->held);
  d->nbefore = keep;
  d->nheld = 0;
  if (id < 0) d->nbefore = 0;
  return n;
}

int64_t wok_decode_stream(const wok_tokenizer *t, wok_decoder *d, int32_t id, char *out, int64_t cap) {
  /* the caller's memory: no more than this can be pending */
  if (d->npart < 0 || d->npart > 3) d->npart = 0;
  if (d->nbefore < 0 || d->nbefore > BEFORE || d->nheld < 0 || d->nheld > MOST_HELD - 1) d->nbefore = d->nheld = 0;
  for (int i = 0; i < d->nbefore + d->nheld; i++)
    if (d->held[i] < 0 || d->held[i] >= t->size) d->nbefore = d->nheld = 0;
  if (cap < wok_decode_room(t) || id >= t->size) return 0;
  if (t->pipe && !t->pipe->joined) return stream_held(t, d, id, out, cap);
  return stream_bytes(t, d, id, out);
}
