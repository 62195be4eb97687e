/* text/byte_trie.h - byte strings to numbers in a double array: one array look-up per byte. */
#ifndef WOK_TEXT_BYTE_TRIE_H
#define WOK_TEXT_BYTE_TRIE_H
#include "base/base.h"

/* A state's child by byte b is at base + b, if check there says this state. value: of the string that ends here, -1 none. */
typedef struct wok__unit { int32_t base, check, value; } wok__unit;
typedef struct wok__byte_trie {
  wok__unit *unit;
  int64_t n;
} wok__byte_trie;

typedef struct wok__key { const uint8_t *p; int64_t n; int32_t value; } wok__key;
/* keys: sorted here (the array is reordered); none empty. Of equal keys the one with the largest value stays. */
wok_status wok__byte_trie_build(wok_ctx *c, wok__byte_trie *t, wok__key *keys, int64_t n);
void wok__byte_trie_free(wok__byte_trie *t);

enum { WOK__BYTE_TRIE_ROOT = 0 };
/* The next state, -1 where there is none. */
static inline int32_t wok__byte_trie_step(const wok__byte_trie *t, int32_t state, uint8_t b) {
  int64_t to = (int64_t)t->unit[state].base + b;
  return to < t->n && t->unit[to].check == state ? (int32_t)to : -1;
}
/* Value of exactly this string, -1 none. */
int32_t wok__byte_trie_find(const wok__byte_trie *t, const uint8_t *p, int64_t n);

#endif
