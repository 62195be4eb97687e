/* The public face of tokenizers, and characters and bytes as tokens. */
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
  wok__pipe_free(t->pipe);
  wok__free(t->piece);
  wok__free(t->table);
  wok__free(t);
}

const char *wok_tokenizer_kind(const wok_tokenizer *t) {
  if (t->pipe) return t->pipe->kind;
  return wok__tokenizer_has_chars(t) ? "chars" : "bytes";
}
int64_t wok_tokenizer_size(const wok_tokenizer *t) { return t->size; }
int32_t wok_tokenizer_eod(const wok_tokenizer *t) { return t->pipe ? t->pipe->eod : WOK__TOK_EOD; }
uint64_t wok_tokenizer_hash(const wok_tokenizer *t) { return t->hash; }

static const char *piece_of(const wok_tokenizer *t, int32_t id, int64_t *n) {
  *n = 0;
  if (id < 0 || id >= t->size) return NULL;
  if (t->pipe) return wok__pipe_piece(t->pipe, id, n);
  if (id == WOK__TOK_EOD) return *n = (int64_t)sizeof WOK__TOK_EOD_NAME - 1, WOK__TOK_EOD_NAME;
  return *n = t->piece[id].length, t->piece[id].bytes;
}

const char *wok_tokenizer_piece(const wok_tokenizer *t, int32_t id, int64_t *len) {
  int64_t n;
  const char *p = piece_of(t, id, &n);
  if (len) *len = n;
  return p ? p : "";
}

const char *wok_tokenizer_token(const wok_tokenizer *t, int32_t id, int64_t *len) {
  static const char names[] = /* 256 of 6 characters */
#define ROW(h) "<0x" h "0><0x" h "1><0x" h "2><0x" h "3><0x" h "4><0x" h "5><0x" h "6><0x" h "7><0x" h "8><0x" h "9><0x" h "A><0x" h "B><0x" h "C><0x" h "D><0x" h "E><0x" h "F>"
      ROW("0") ROW("1") ROW("2") ROW("3") ROW("4") ROW("5") ROW("6") ROW("7") ROW("8") ROW("9") ROW("A") ROW("B") ROW("C") ROW("D") ROW("E") ROW("F");
#undef ROW
  int64_t n = 0;
  const char *p = NULL;
  if (t->pipe)
    p = wok__vocab_get(&t->pipe->vocab, id, &n);
  else if (id >= WOK__TOK_BYTES && id < WOK__TOK_CHARS)
    p = names + (id - WOK__TOK_BYTES) * 6, n = 6;
  else
    p = piece_of(t, id, &n);
  if (len) *len = n;
  return p ? p : "";
}

bool wok_tokenizer_is_special(const wok_tokenizer *t, int32_t id) {
  if (id < 0 || id >= t->size) return false;
  return t->pipe ? t->pipe->special && t->pipe->special[id] : id == WOK__TOK_EOD;
}

int32_t wok_tokenizer_id(const wok_tokenizer *t, const char *token, int64_t len) {
  if (len < 0) len = (int64_t)strlen(token);
  if (t->pipe) return wok__vocab_find(&t->pipe->vocab, token, len);
  for (int32_t id = 0; id < t->size; id++) {
    int64_t n;
    const char *p = wok_tokenizer_token(t, id, &n);
    if (n == len && memcmp(p, token, (size_t)n) == 0) return id;
  }
  return -1;
}

double wok_tokenizer_score(const wok_tokenizer *t, int32_t id) {
  const wok__model_kind *k = t->pipe ? t->pipe->model->kind : NULL;
  return k == &wok__unigram || k == &wok__sp_unigram || k == &wok__bytepiece ? wok__unigram_score(t->pipe->model, id) : 0;
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

static wok_status encode_by_pipe(const wok_tokenizer *t, const char *text, int64_t len, int32_t *ids, int64_t cap, int64_t *n) {
  wok__enc e;
  wok__enc_init(&e, t, false);
  (void)wok__pipe_encode(t->pipe, &e, (const uint8_t *)text, len, true);
  wok_status s = wok__enc_status(&e, t->c);
  if (s == WOK_OK) {
    *n = e.n;
    if (e.n && cap) memcpy(ids, e.ids, (size_t)WOK__MIN(e.n, cap) * sizeof *ids);
  }
  wok__enc_free(&e);
  return s;
}

wok_status wok_encode(const wok_tokenizer *t, const char *text, int64_t len, int32_t *ids, int64_t cap,
                      int64_t *n) {
  *n = 0;
  if (len < 0 || cap < 0) return wok__fail(t->c, WOK_INVALID, "encode: a negative length");
  if (t->pipe) return encode_by_pipe(t, text, len, ids, cap, n);
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
