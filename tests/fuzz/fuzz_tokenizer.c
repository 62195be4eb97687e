/* Any bytes as a tokenizer.json, and as a text: characters and bytes go to ids and back without loss, at once and streamed; other
   models encode and decode what they can, within the room they ask for. */
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

/* A model may drop or change text, or refuse it; ids stay in the vocabulary, and measuring is the same as doing. */
static void some_way(wok_ctx *c, const wok_tokenizer *t, const char *text, int64_t len) {
  int64_t n, again, got, wrote;
  if (wok_encode(t, text, len, NULL, 0, &n) != WOK_OK) {
    if (!wok_errmsg(c)[0]) abort();
    return;
  }
  int32_t *ids = malloc((size_t)(n + 1) * sizeof *ids);
  if (!ids || wok_encode(t, text, len, ids, n, &again) != WOK_OK || again != n) abort();
  for (int64_t i = 0; i < n; i++)
    if (ids[i] < 0 || ids[i] >= wok_tokenizer_size(t)) abort();
  if (wok_decode(t, ids, n, NULL, 0, &got) == WOK_OK) {
    char *back = malloc((size_t)got + 1);
    if (!back || wok_decode(t, ids, n, back, got, &wrote) != WOK_OK || wrote != got) abort();
    free(back);
  }
  free(ids);
}

static void try(wok_ctx *c, const wok_tokenizer *t, const char *text, int64_t len) {
  const char *kind = wok_tokenizer_kind(t);
  bool whole = !strcmp(kind, "chars") || !strcmp(kind, "bytes");
  (whole ? there_and_back : some_way)(c, t, text, len);
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
    try(c, t, text, (int64_t)sizeof text); /* with U+0000 at its end */
    try(c, t, (const char *)data, (int64_t)size);
    for (int32_t id = 0; id < wok_tokenizer_size(t); id++) {
      int64_t n;
      if (!wok_tokenizer_piece(t, id, &n) || n < 0) abort();
    }
    wok_tokenizer_free(t);
  } else if (t || !wok_errmsg(c)[0] || strchr(wok_errmsg(c), '\n')) {
    abort();
  }
  return 0;
}
