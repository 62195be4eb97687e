#include <string.h>
#include "text/trie.h"

enum { FIRST_SLOTS = 1 << 10, FIRST_NODES = 512 };

wok_status wok__trie_init(wok_ctx *c, wok__trie *t) {
  *t = (wok__trie){.c = c, .slots = FIRST_SLOTS, .cap = FIRST_NODES, .nodes = 1};
  t->edge = wok__calloc(t->slots, 8);
  t->to = wok__malloc(t->slots * 4);
  t->value = wok__calloc(t->cap, 8);
  if (t->edge && t->to && t->value) return WOK_OK;
  wok__trie_free(t);
  return wok__nomem(c, FIRST_SLOTS * 12);
}

void wok__trie_free(wok__trie *t) {
  wok__free(t->edge);
  wok__free(t->to);
  wok__free(t->value);
  *t = (wok__trie){0};
}

int64_t wok__trie_bytes(const wok__trie *t) { return t->slots * 12 + t->cap * 8; }

static void put(wok__trie *t, uint64_t edge, int32_t to) {
  uint64_t mask = (uint64_t)t->slots - 1, i = wok__trie_hash(edge) & mask;
  while (t->edge[i]) i = (i + 1) & mask;
  t->edge[i] = edge;
  t->to[i] = to;
}

static wok_status grow_edges(wok__trie *t) {
  int64_t n = t->slots;
  uint64_t *edge = t->edge, *edges = wok__calloc(2 * n, 8);
  int32_t *to = t->to, *tos = wok__malloc(2 * n * 4);
  if (!edges || !tos) {
    wok__free(edges);
    wok__free(tos);
    return wok__nomem(t->c, 2 * n * 12);
  }
  t->edge = edges;
  t->to = tos;
  t->slots = 2 * n;
  for (int64_t i = 0; i < n; i++)
    if (edge[i]) put(t, edge[i], to[i]);
  wok__free(edge);
  wok__free(to);
  return WOK_OK;
}

static wok_status new_node(wok__trie *t, int32_t *node) {
  if (t->nodes == t->cap) {
    int64_t *more = wok__realloc(t->value, 2 * t->cap * 8);
    if (!more) return wok__nomem(t->c, 2 * t->cap * 8);
    memset(more + t->cap, 0, (size_t)t->cap * 8);
    t->value = more;
    t->cap *= 2;
  }
  if (t->nodes == INT32_MAX) return wok__fail(t->c, WOK_LIMIT, "a dictionary of more than %d prefixes", INT32_MAX);
  if (2 * t->nodes >= t->slots) WOK__TRY(grow_edges(t));
  *node = (int32_t)t->nodes++;
  return WOK_OK;
}

wok_status wok__trie_node(wok__trie *t, const uint32_t *cp, int64_t n, int32_t *node) {
  int32_t at = 0;
  for (int64_t i = 0; i < n; i++) {
    int32_t next = wok__trie_step(t, at, cp[i]);
    if (next < 0) {
      WOK__TRY(new_node(t, &next));
      put(t, ((uint64_t)(uint32_t)at << 21 | cp[i]) + 1, next);
    }
    at = next;
  }
  *node = at;
  return WOK_OK;
}
