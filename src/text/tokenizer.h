/* text/tokenizer.h - the inside of a tokenizer: a pipeline, or characters and bytes (one special token, 256 bytes, then
   characters), which need none. */
#ifndef WOK_TEXT_TOKENIZER_H
#define WOK_TEXT_TOKENIZER_H
#include <wok/text.h>
#include "base/base.h"
#include "text/pipe.h"
#include "text/utf8.h"

enum {
  WOK__TOK_EOD = 0,
  WOK__TOK_BYTES = 1,                    /* id of byte 0 */
  WOK__TOK_CHARS = WOK__TOK_BYTES + 256, /* id of the first character */
  WOK__TOK_PAGE = 256                    /* code points in a page of the table */
};
#define WOK__TOK_EOD_NAME "<|endoftext|>"

typedef struct wok__piece {
  char bytes[7];
  uint8_t length;
} wok__piece;

struct wok_tokenizer {
  wok_ctx *c;
  int64_t size;
  uint64_t hash;
  wok__pipe *pipe; /* NULL: what follows */
  wok__piece *piece; /* [size]; the end mark's is empty: it stands for no text */
  /* code point -> id, 0 where it has none; page 0 is the empty page */
  int32_t *table;
  uint16_t page[WOK__CODE_POINTS / WOK__TOK_PAGE];
};

/* chars: [n] distinct code points in the order of their ids. n = 0: the tokenizer "bytes". U+0000 cannot be one of them (a
   string in a tokenizer.json cannot hold it everywhere); it is encoded as a byte. */
wok_status wok__tokenizer_new(wok_ctx *c, wok_tokenizer **t, const uint32_t *chars, int64_t n);
/* Is its text UTF-8 (and counted in characters)? */
static inline bool wok__tokenizer_has_chars(const wok_tokenizer *t) { return t->pipe || t->size > WOK__TOK_CHARS; }
/* Code point of a character's id. */
uint32_t wok__tokenizer_char(const wok_tokenizer *t, int64_t id);
/* Characters and bytes: the same for text that is known to be UTF-8 (or for "bytes"): cannot fail. ids has room for len;
   returns how many. */
int64_t wok__tokenizer_encode(const wok_tokenizer *t, const uint8_t *text, int64_t len, int32_t *ids);

/* A pipeline from its description in the tokenizer.json format, which it keeps (root is decref'ed, also on failure). */
wok_status wok__tokenizer_of(wok_ctx *c, wok_tokenizer **t, json_t *root, const char *where);

/* Readers of the other formats: each makes such a description. */
typedef struct wok__vocab_config { /* tokenizer_config.json, as far as it matters; zeros where it says nothing */
  const char *kind;            /* tokenizer_class, NULL */
  int lower, strip_accents, cjk; /* 1 yes, -1 no */
  int bos, eos;
  const char *bos_token, *eos_token;
} wok__vocab_config;
wok_status wok__read_vocab_txt(wok_ctx *c, json_t **root, const char *where, const char *text, int64_t n, const wok_tokenizer_opts *o,
                               const wok__vocab_config *config);
wok_status wok__read_sentencepiece(wok_ctx *c, json_t **root, const char *where, const uint8_t *p, int64_t n, const wok__vocab_config *config);
wok_status wok__read_bytepiece(wok_ctx *c, json_t **root, const char *where, char *text, int64_t n);
wok_status wok__read_gpt2(wok_ctx *c, json_t **root, const char *where, const char *vocab, int64_t nvocab, const char *merges, int64_t nmerges,
                          const wok__vocab_config *config);
wok_status wok__read_tiktoken(wok_ctx *c, json_t **root, const char *where, const char *text, int64_t n);
/* chars.c: is this the description of characters or bytes? Then their code points, [*n], wok__free them; -1 in *n: it is not. */
wok_status wok__chars_of(wok_ctx *c, const json_t *root, uint32_t **chars, int64_t *n);
json_t *wok__chars_json(const wok_tokenizer *t);

#endif
