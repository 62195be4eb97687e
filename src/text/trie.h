/* text/trie.h - words by their code points: node and character lead to the next node by one hash probe. Values may change. */
#ifndef WOK_TEXT_TRIE_H
#define WOK_TEXT_TRIE_H
#include "base/base.h"

typedef struct wok__trie {
  wok_ctx *c;
  uint64_t *edge; /* node << 21 | code point, plus 1; 0: empty */
  int32_t *to;
  int64_t *value; /* [node]: 0 where no word ends */
  int64_t slots, nodes, cap;
} wok__trie;

wok_status wok__trie_init(wok_ctx *c, wok__trie *t);
void wok__trie_free(wok__trie *t);
int64_t wok__trie_bytes(const wok__trie *t);
/* The node of a word, made where it is missing (value 0). Node 0 is the empty word. */
wok_status wok__trie_node(wok__trie *t, const uint32_t *cp, int64_t n, int32_t *node);

static inline uint64_t wok__trie_hash(uint64_t edge) {
  edge *= UINT64_C(0x9e3779b97f4a7c15);
  return edge ^ edge >> 32;
}

/* The next node, or -1. */
static inline int32_t wok__trie_step(const wok__trie *t, int32_t node, uint32_t cp) {
  uint64_t edge = ((uint64_t)(uint32_t)node << 21 | cp) + 1, mask = (uint64_t)t->slots - 1;
  for (uint64_t i = wok__trie_hash(edge) & mask;; i = (i + 1) & mask) {
    if (t->edge[i] == edge) return t->to[i];
    if (t->edge[i] == 0) return -1;
  }
}

#endif
