/* text/symbols.h - strings that are looked for in text: SentencePiece's user-defined symbols. And the letters of bytes. */
#ifndef WOK_TEXT_SYMBOLS_H
#define WOK_TEXT_SYMBOLS_H
#include "text/steps.h"
#include "text/byte_trie.h"

typedef struct wok__symbols { wok__byte_trie trie; } wok__symbols;
wok_status wok__symbols_new(wok_ctx *c, wok__symbols **s, const char *where, const json_t *list);
void wok__symbols_free(wok__symbols *s);
/* Length of the longest symbol p begins with, 0: none. */
int64_t wok__symbols_match(const wok__symbols *s, const uint8_t *p, int64_t n);

/* Byte-level BPE's letters: printable bytes stand for themselves, the others, in order, from U+0100 on. */
uint32_t wok__byte_char(uint8_t b);
int wok__char_byte(uint32_t cp); /* -1: not such a letter */

#endif
