/* text/tokenizer.h - the inside of the character and byte tokenizers: one special token, 256 bytes, then characters. */
#ifndef WOK_TEXT_TOKENIZER_H
#define WOK_TEXT_TOKENIZER_H
#include <wok/text.h>
#include "base/base.h"
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
  wok__piece *piece; /* [size]; the end mark's is empty: it stands for no text */
  /* code point -> id, 0 where it has none; page 0 is the empty page */
  int32_t *table;
  uint16_t page[WOK__CODE_POINTS / WOK__TOK_PAGE];
};

/* chars: [n] distinct code points in the order of their ids. n = 0: the tokenizer "bytes". U+0000 cannot be one of them (a
   string in a tokenizer.json cannot hold it everywhere); it is encoded as a byte. */
wok_status wok__tokenizer_new(wok_ctx *c, wok_tokenizer **t, const uint32_t *chars, int64_t n);
static inline bool wok__tokenizer_has_chars(const wok_tokenizer *t) { return t->size > WOK__TOK_CHARS; }
/* Code point of a character's id. */
uint32_t wok__tokenizer_char(const wok_tokenizer *t, int64_t id);
/* The same for text that is known to be UTF-8 (or for "bytes"): cannot fail. ids has room for len; returns how many. */
int64_t wok__tokenizer_encode(const wok_tokenizer *t, const uint8_t *text, int64_t len, int32_t *ids);

#endif
