/* Double arrays built from sorted strings. */
#include "text/byte_trie.h"
#include <stdlib.h>
#include <string.h>

static int by_bytes(const void *a, const void *b) {
  const wok__key *x = a, *y = b;
  int k = memcmp(x->p, y->p, (size_t)WOK__MIN(x->n, y->n));
  if (k) return k;
  if (x->n != y->n) return x->n < y->n ? -1 : 1;
  return x->value > y->value ? -1 : x->value < y->value;
}

typedef struct builder {
  wok_ctx *c;
  wok__byte_trie *t;
  int64_t cap, free; /* below `free` nearly all is taken */
} builder;

static wok_status room(builder *b, int64_t n) {
  if (n <= b->cap) return WOK_OK;
  int64_t cap = WOK__MAX(n, b->cap + b->cap / 2);
  if (cap > INT32_MAX - 512) return wok__fail(b->c, WOK_LIMIT, "a vocabulary with too many bytes");
  wok__unit *u = wok__realloc(b->t->unit, cap * (int64_t)sizeof *u);
  if (!u) return wok__nomem(b->c, cap * (int64_t)sizeof *u);
  for (int64_t i = b->cap; i < cap; i++) u[i] = (wok__unit){0, -1, -1};
  b->t->unit = u;
  b->cap = cap;
  return WOK_OK;
}

typedef struct node { int64_t lo, hi, depth; int32_t state; } node;

static wok_status place(builder *b, const uint8_t *label, int n, int64_t *base) {
  int64_t at = WOK__MAX(b->free, (int64_t)label[0] + 1), taken = 0, begin = at;
  for (;; at++) {
    WOK__TRY(room(b, at + 512));
    if (b->t->unit[at].check >= 0) {
      taken++;
      continue;
    }
    bool ok = true;
    int64_t base0 = at - label[0];
    for (int i = 1; ok && i < n; i++) ok = b->t->unit[base0 + label[i]].check < 0;
    if (!ok) continue;
    if ((double)taken >= 0.95 * (double)(at - begin + 1)) b->free = at;
    *base = base0;
    return WOK_OK;
  }
}

static wok_status build(builder *b, const wok__key *k, int64_t n, node *stack) {
  int64_t top = 0;
  stack[top++] = (node){0, n, 0, WOK__BYTE_TRIE_ROOT};
  while (top > 0) {
    node x = stack[--top];
    wok__unit *u = &b->t->unit[x.state];
    while (x.lo < x.hi && k[x.lo].n == x.depth) {
      if (u->value < 0) u->value = k[x.lo].value;
      x.lo++;
    }
    if (x.lo == x.hi) continue;
    uint8_t label[256];
    int64_t first[257];
    int labels = 0;
    for (int64_t i = x.lo; i < x.hi; i++)
      if (labels == 0 || k[i].p[x.depth] != label[labels - 1]) first[labels] = i, label[labels++] = k[i].p[x.depth];
    first[labels] = x.hi;
    int64_t base;
    WOK__TRY(place(b, label, labels, &base));
    b->t->unit[x.state].base = (int32_t)base;
    for (int i = 0; i < labels; i++) b->t->unit[base + label[i]].check = x.state;
    /* a string is on the stack at most once, so n + 1 places are enough */
    for (int i = labels - 1; i >= 0; i--)
      stack[top++] = (node){first[i], first[i + 1], x.depth + 1, (int32_t)(base + label[i])};
  }
  return WOK_OK;
}

wok_status wok__byte_trie_build(wok_ctx *c, wok__byte_trie *t, wok__key *keys, int64_t n) {
  *t = (wok__byte_trie){NULL, 0};
  if (n > 1) qsort(keys, (size_t)n, sizeof *keys, by_bytes);
  builder b = {c, t, 0, 1};
  node *stack = wok__malloc((n + 1) * (int64_t)sizeof *stack);
  wok_status s = stack ? room(&b, 1024) : wok__nomem(c, n * (int64_t)sizeof *stack);
  if (s == WOK_OK) {
    t->unit[0].check = INT32_MAX; /* taken, and nobody's child */
    s = n > 0 ? build(&b, keys, n, stack) : WOK_OK;
  }
  wok__free(stack);
  if (s) {
    wok__byte_trie_free(t);
    return s;
  }
  t->n = b.cap;
  return WOK_OK;
}

void wok__byte_trie_free(wok__byte_trie *t) {
  wok__free(t->unit);
  *t = (wok__byte_trie){NULL, 0};
}

int32_t wok__byte_trie_find(const wok__byte_trie *t, const uint8_t *p, int64_t n) {
  int32_t s = WOK__BYTE_TRIE_ROOT;
  for (int64_t i = 0; i < n; i++)
    if ((s = wok__byte_trie_step(t, s, p[i])) < 0) return -1;
  return t->unit[s].value;
}
