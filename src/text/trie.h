/* text/trie.h - byte strings to numbers in a double array: one array look-up per byte. */
#ifndef WOK_TEXT_TRIE_H
#define WOK_TEXT_TRIE_H
#include "base/base.h"

/* A state's child by byte b is at base + b, if check there says this state. value: of the string that ends here, -1 none. */
typedef struct wok__unit { int32_t base, check, value; } wok__unit;
typedef struct wok__trie {
  wok__unit *unit;
  int64_t n;
} wok__trie;

typedef struct wok__key { const uint8_t *p; int64_t n; int32_t value; } wok__key;
/* keys: sorted here (the array is reordered); none empty. Of equal keys the one with the largest value stays. */
wok_status wok__trie_build(wok_ctx *c, wok__trie *t, wok__key *keys, int64_t n);
void wok__trie_free(wok__trie *t);

enum { WOK__TRIE_ROOT = 0 };
/* The next state, -1 where there is none. */
static inline int32_t wok__trie_step(const wok__trie *t, int32_t state, uint8_t b) {
  int64_t to = (int64_t)t->unit[state].base + b;
  return to < t->n && t->unit[to].check == state ? (int32_t)to : -1;
}
/* Value of exactly this string, -1 none. */
int32_t wok__trie_find(const wok__trie *t, const uint8_t *p, int64_t n);

#endif
