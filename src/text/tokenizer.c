/* Characters and bytes as tokens. */
#include <string.h>
#include "text/tokenizer.h"

static bool scalar_value(uint32_t cp) { return cp < WOK__CODE_POINTS && !(cp >= 0xd800 && cp < 0xe000); }

static int32_t lookup(const wok_tokenizer *t, uint32_t cp) {
  return t->table[(int64_t)t->page[cp / WOK__TOK_PAGE] * WOK__TOK_PAGE + cp % WOK__TOK_PAGE];
}

/* What encoding depends on: the characters in the order of their ids, behind a name for everything that is fixed. */
static uint64_t hash_of(const uint32_t *chars, int64_t n) {
  static const char kind[] = "wok chars 1";
  wok__hasher h;
  wok__hasher_init(&h, 0);
  wok__hasher_add(&h, kind, (int64_t)sizeof kind);
  for (int64_t i = 0; i < n; i++) {
    uint8_t le[4];
    for (int k = 0; k < 4; k++) le[k] = (uint8_t)(chars[i] >> 8 * k);
    wok__hasher_add(&h, le, (int64_t)sizeof le);
  }
  return wok__hasher_end(&h);
}

static wok_status number_pages(wok_tokenizer *t, const uint32_t *chars, int64_t n) {
  int64_t pages = 1;
  for (int64_t i = 0; i < n; i++) {
    if (!scalar_value(chars[i]) || chars[i] == 0)
      return wok__fail(t->c, WOK_INVALID, "U+%04X cannot be a token", (unsigned)chars[i]);
    uint16_t *p = &t->page[chars[i] / WOK__TOK_PAGE];
    if (!*p) *p = (uint16_t)pages++;
  }
  t->table = wok__calloc(pages * WOK__TOK_PAGE, (int64_t)sizeof *t->table);
  return t->table ? WOK_OK : wok__nomem(t->c, pages * WOK__TOK_PAGE * (int64_t)sizeof *t->table);
}

static wok_status fill(wok_tokenizer *t, const uint32_t *chars, int64_t n) {
  t->size = WOK__TOK_CHARS + n;
  t->piece = wok__calloc(t->size, (int64_t)sizeof *t->piece);
  if (!t->piece) return wok__nomem(t->c, t->size * (int64_t)sizeof *t->piece);
  for (int i = 0; i < 256; i++) t->piece[WOK__TOK_BYTES + i] = (wok__piece){{(char)i}, 1};
  WOK__TRY(number_pages(t, chars, n));
  for (int64_t i = 0; i < n; i++) {
    int32_t *slot =
        &t->table[(int64_t)t->page[chars[i] / WOK__TOK_PAGE] * WOK__TOK_PAGE + chars[i] % WOK__TOK_PAGE];
    if (*slot) return wok__fail(t->c, WOK_INVALID, "U+%04X is twice in the vocabulary", (unsigned)chars[i]);
    *slot = (int32_t)(WOK__TOK_CHARS + i);
    wok__piece *p = &t->piece[WOK__TOK_CHARS + i];
    p->length = (uint8_t)wok__utf8_put(chars[i], p->bytes);
  }
  t->hash = hash_of(chars, n);
  return WOK_OK;
}

wok_status wok__tokenizer_new(wok_ctx *c, wok_tokenizer **t, const uint32_t *chars, int64_t n) {
  *t = NULL;
  if (n < 0 || n > WOK__CODE_POINTS)
    return wok__fail(c, WOK_INVALID, "a vocabulary of %lld characters", (long long)n);
  wok_tokenizer *x = wok__calloc(1, (int64_t)sizeof *x);
  if (!x) return wok__nomem(c, (int64_t)sizeof *x);
  x->c = c;
  wok_status s = fill(x, chars, n);
  if (s)
    wok_tokenizer_free(x);
  else
    *t = x;
  return s;
}

wok_status wok_tokenizer_bytes(wok_ctx *c, wok_tokenizer **t) { return wok__tokenizer_new(c, t, NULL, 0); }

void wok_tokenizer_free(wok_tokenizer *t) {
  if (!t) return;
  wok__free(t->piece);
  wok__free(t->table);
  wok__free(t);
}

const char *wok_tokenizer_kind(const wok_tokenizer *t) {
  return wok__tokenizer_has_chars(t) ? "chars" : "bytes";
}
int64_t wok_tokenizer_size(const wok_tokenizer *t) { return t->size; }
int32_t wok_tokenizer_eod(const wok_tokenizer *t) {
  (void)t;
  return WOK__TOK_EOD;
}
uint64_t wok_tokenizer_hash(const wok_tokenizer *t) { return t->hash; }

const char *wok_tokenizer_piece(const wok_tokenizer *t, int32_t id, int64_t *len) {
  const char *p = "";
  int64_t n = 0;
  if (id == WOK__TOK_EOD) {
    p = WOK__TOK_EOD_NAME;
    n = (int64_t)strlen(p);
  } else if (id > 0 && id < t->size) {
    p = t->piece[id].bytes;
    n = t->piece[id].length;
  }
  if (len) *len = n;
  return p;
}

uint32_t wok__tokenizer_char(const wok_tokenizer *t, int64_t id) {
  uint32_t cp = 0;
  (void)wok__utf8_next((const uint8_t *)t->piece[id].bytes, t->piece[id].length, &cp);
  return cp;
}

/* ---- encoding ---- */

/* Encodes p[0..n) and returns how many ids that are; those below cap are written. *done: bytes taken, short of n where the
   text is not UTF-8. */
static int64_t encode(const wok_tokenizer *t, const uint8_t *p, int64_t n, int32_t *ids, int64_t cap,
                      int64_t *done) {
  int64_t i = 0, k = 0;
  if (!wok__tokenizer_has_chars(t)) {
    for (int64_t m = WOK__MIN(n, cap); i < m; i++) ids[i] = WOK__TOK_BYTES + p[i];
    *done = n;
    return n;
  }
  while (i < n) {
    uint32_t cp;
    int length = wok__utf8_next(p + i, n - i, &cp);
    if (length <= 0) break;
    int32_t id = lookup(t, cp);
    if (id) {
      if (k < cap) ids[k] = id;
      k++;
    } else {
      for (int b = 0; b < length; b++, k++)
        if (k < cap) ids[k] = WOK__TOK_BYTES + p[i + b];
    }
    i += length;
  }
  *done = i;
  return k;
}

int64_t wok__tokenizer_encode(const wok_tokenizer *t, const uint8_t *text, int64_t len, int32_t *ids) {
  int64_t done;
  return encode(t, text, len, ids, len, &done);
}

wok_status wok_encode(const wok_tokenizer *t, const char *text, int64_t len, int32_t *ids, int64_t cap,
                      int64_t *n) {
  *n = 0;
  if (len < 0 || cap < 0) return wok__fail(t->c, WOK_INVALID, "encode: a negative length");
  const uint8_t *p = (const uint8_t *)text;
  int64_t done, count = encode(t, p, len, ids, cap, &done);
  if (done < len)
    return wok__fail(
        t->c, WOK_FORMAT,
        "the text is not UTF-8 at byte %lld (0x%02X): convert it to UTF-8 or use the tokenizer \"bytes\"",
        (long long)done, p[done]);
  *n = count;
  return WOK_OK;
}

/* ---- decoding ---- */

wok_status wok_decode(const wok_tokenizer *t, const int32_t *ids, int64_t n, char *text, int64_t cap,
                      int64_t *len) {
  *len = 0;
  int64_t at = 0;
  for (int64_t i = 0; i < n; i++) {
    if (ids[i] < 0 || ids[i] >= t->size)
      return wok__fail(t->c, WOK_INVALID, "decode: id %d (number %lld) is not in the vocabulary of %lld",
                       (int)ids[i], (long long)i, (long long)t->size);
    const wok__piece *p = &t->piece[ids[i]];
    int64_t m = WOK__MIN((int64_t)p->length, cap - at);
    if (m > 0) memcpy(text + at, p->bytes, (size_t)m);
    at += p->length;
  }
  *len = at;
  return WOK_OK;
}

static int64_t put_replacement(char *out) {
  memcpy(out, "\xef\xbf\xbd", 3); /* NOLINT(bugprone-not-null-terminated-result): bytes, their number is returned */
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

int64_t wok_decode_stream(const wok_tokenizer *t, wok_decoder *d, int32_t id, char *out, int64_t cap) {
  if (d->npart < 0 || d->npart > 3)
    d->npart = 0; /* the caller's memory: at most three bytes can be pending */
  if (cap < 64 || id >= t->size) return 0;
  if (id < 0) {
    bool pending = d->npart > 0;
    d->npart = 0;
    return pending ? put_replacement(out) : 0;
  }
  int64_t at = 0;
  const wok__piece *p = &t->piece[id];
  for (int i = 0; i < p->length; i++) at += take_byte(d, (uint8_t)p->bytes[i], out + at);
  return at;
}
