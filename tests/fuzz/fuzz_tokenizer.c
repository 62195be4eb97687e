/* Any bytes as a tokenizer.json, and as a text: what is accepted goes to ids and back without loss, at once and streamed. */
#include <stdlib.h>
#include <string.h>
#include "text/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void there_and_back(wok_ctx *c, const wok_tokenizer *t, const char *text, int64_t len) {
  int cut;
  bool valid = wok__utf8_valid((const uint8_t *)text, len, &cut) == len;
  int32_t *ids = malloc((size_t)(len + 1) * sizeof *ids);
  char *back = malloc((size_t)len + 1), *stream = malloc((size_t)len * 8 + 128);
  int64_t n, measured, got;
  if (!ids || !back || !stream) abort();
  wok_status s = wok_encode(t, text, len, ids, len, &n);
  if ((s == WOK_OK) != (valid || !wok__tokenizer_has_chars(t))) abort();
  if (s == WOK_OK) {
    if (n > len || wok_encode(t, text, len, NULL, 0, &measured) != WOK_OK || measured != n) abort();
    if (wok_decode(t, ids, n, back, len, &got) != WOK_OK || got != len ||
        memcmp(back, text, (size_t)len) != 0)
      abort();
    wok_decoder d = {.npart = 0};
    int64_t at = 0;
    for (int64_t i = 0; i <= n; i++) at += wok_decode_stream(t, &d, i < n ? ids[i] : -1, stream + at, 64);
    if (wok__utf8_valid((const uint8_t *)stream, at, &cut) != at)
      abort(); /* whatever came in, text goes out */
    if (valid && (at != len || memcmp(stream, text, (size_t)len) != 0)) abort();
  } else if (!wok_errmsg(c)[0]) {
    abort();
  }
  free(ids);
  free(back);
  free(stream);
}

/* Any other vocabulary: whatever is said or not, nothing breaks, and offsets lie in the text. */
static void through(wok_ctx *c, const wok_tokenizer *t, const char *text, int64_t len) {
  wok_encoding *e = NULL;
  int64_t n, got;
  if (wok_tokenizer_encode(t, text, len, &(wok_encode_opts){.offsets = true, .pair = text, .pair_len = len / 2}, &e) != WOK_OK) {
    if (e || !wok_errmsg(c)[0]) abort();
    return;
  }
  const int32_t *ids = wok_encoding_ids(e, &n);
  const int64_t(*at)[2] = wok_encoding_offsets(e);
  char *stream = malloc((size_t)wok_decode_room(t));
  wok_decoder d = {.npart = 0};
  if (!stream) abort();
  for (int64_t i = 0; i < n; i++)
    if (ids[i] < 0 || ids[i] >= wok_tokenizer_size(t) || at[i][0] < 0 || at[i][0] > at[i][1] || at[i][1] > len) abort();
  for (int64_t i = 0; i <= n; i++) (void)wok_decode_stream(t, &d, i < n ? ids[i] : -1, stream, wok_decode_room(t));
  (void)wok_decode_special(t, ids, n, NULL, 0, &got);
  free(stream);
  wok_encoding_free(e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const uint32_t some[] = {'a',    'e',    ' ',    '\n',    0xe9,    0x9505,
                                  0x4e2d, 0xfffd, 0xffff, 0x1f373, 0x10ffff};
  static const char text[] = "a <|endoftext|> <0x41>\n\xe9\x94\x85\xf0\x9f\x8d\xb3";
  static wok_ctx *c;
  static wok_tokenizer *chars, *bytes;
  if (!c &&
      (wok_ctx_new(&c, &(wok_ctx_opts){.threads = 1}) != WOK_OK || wok_tokenizer_bytes(c, &bytes) != WOK_OK ||
       wok__tokenizer_new(c, &chars, some, (int64_t)(sizeof some / sizeof *some)) != WOK_OK))
    abort();
  there_and_back(c, bytes, (const char *)data, (int64_t)size);
  there_and_back(c, chars, (const char *)data, (int64_t)size);
  wok_tokenizer *t;
  if (wok_tokenizer_parse(c, &t, (const char *)data, (int64_t)size, "fuzz.json") == WOK_OK) {
    void (*try)(wok_ctx *, const wok_tokenizer *, const char *, int64_t) = t->pipe ? through : there_and_back;
    try(c, t, text, (int64_t)sizeof text); /* with U+0000 at its end */
    try(c, t, (const char *)data, (int64_t)size);
    for (int32_t id = 0; id < wok_tokenizer_size(t); id++) {
      int64_t n;
      if (!wok_tokenizer_piece(t, id, &n) || (n < 1 && !t->pipe)) abort();
    }
    wok_tokenizer_free(t);
  } else if (t || !wok_errmsg(c)[0] || strchr(wok_errmsg(c), '\n')) {
    abort();
  }
  return 0;
}
