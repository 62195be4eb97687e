/* Branching entropies (matrix67's "freedom"): which characters stand left and right of a word, wherever its characters occur
   in a row. The edge of a run is one more character. */
#include <string.h>
#include "vocab/words.h"

enum { SYMBOL_BITS = 21, WORD_BITS = 31, KEY_BITS = 1 + WORD_BITS + SYMBOL_BITS }; /* side, word, neighbour: from the highest bit on */

typedef struct found { uint64_t *key; int64_t n, cap; bool failed; } found;

typedef struct freedom {
  wok_words *w;
  wok__trie trie; /* value: number of the word + 1 */
  wok__keys *keys;
  const uint32_t *sym;
  int64_t end[WOK__SYMBOLS_BATCH / WOK__SYMBOLS_TILE + 2];
  found found[WOK__SYMBOLS_BATCH / WOK__SYMBOLS_TILE + 2]; /* of each tile */
} freedom;

static bool add(found *f, int side, int64_t word, uint32_t neighbour) {
  if (f->n == f->cap) {
    int64_t cap = f->cap ? 2 * f->cap : WOK__SYMBOLS_TILE;
    uint64_t *more = wok__realloc(f->key, cap * 8);
    if (!more) return false;
    f->key = more;
    f->cap = cap;
  }
  f->key[f->n++] = ((uint64_t)side << (WORD_BITS + SYMBOL_BITS) | (uint64_t)word << SYMBOL_BITS | neighbour) << (64 - KEY_BITS);
  return true;
}

static void find_tile(void *ud, int64_t tile, int worker) {
  (void)worker;
  freedom *k = ud;
  found *f = &k->found[tile];
  f->n = 0;
  int64_t from = tile ? k->end[tile - 1] : 0;
  for (int64_t i = from; i < k->end[tile]; i++) {
    int32_t node = 0;
    for (int64_t j = i; k->sym[j] && (node = wok__trie_step(&k->trie, node, k->sym[j])) >= 0; j++) {
      int64_t word = k->trie.value[node] - 1;
      if (word < 0) continue;
      if (!add(f, 0, word, i > from ? k->sym[i - 1] : 0) || !add(f, 1, word, k->sym[j + 1])) f->failed = true;
    }
  }
}

static wok_status find_batch(void *ud, const uint32_t *sym, int64_t n) {
  freedom *k = ud;
  k->sym = sym;
  int64_t tiles = wok__symbols_tiles(sym, n, k->end);
  wok__pool_run(k->w->c, find_tile, k, tiles);
  for (int64_t t = 0; t < tiles; t++) {
    if (k->found[t].failed) return wok__nomem(k->w->c, k->found[t].cap * 16);
    for (int64_t at = 0; at < k->found[t].n;) {
      int64_t m = WOK__MIN(k->found[t].n - at, wok__keys_most(k->keys));
      uint64_t *to;
      WOK__TRY(wok__keys_room(k->keys, m, &to));
      memcpy(to, k->found[t].key + at, (size_t)m * 8);
      at += m;
    }
  }
  return WOK_OK;
}

typedef struct entropy { int64_t side_word; double n, nlogn; } entropy;

static void store(wok_words *w, const entropy *e) {
  if (e->n == 0) return;
  double h = WOK__MAX(log(e->n) - e->nlogn / e->n, 0.0);
  int64_t word = e->side_word & ((INT64_C(1) << WORD_BITS) - 1);
  if (e->side_word >> WORD_BITS) w->word[word].right = h;
  else w->word[word].left = h;
}

static wok_status sum_up(freedom *k, wok__runs *runs) {
  entropy e = {0};
  for (;;) {
    const uint8_t *key;
    int64_t n;
    uint64_t count;
    WOK__TRY(wok__runs_next(runs, &key, &n, &count));
    if (!key) break;
    int64_t side_word = (int64_t)(wok__key_word(key, 0) >> (64 - KEY_BITS + SYMBOL_BITS));
    if (side_word != e.side_word) {
      store(k->w, &e);
      e = (entropy){.side_word = side_word};
    }
    e.n += (double)count;
    e.nlogn += (double)count * log((double)count);
  }
  store(k->w, &e);
  return WOK_OK;
}

static wok_status fill_trie(freedom *k) {
  wok_words *w = k->w;
  if (w->n >= INT64_C(1) << WORD_BITS) return wok__fail(w->c, WOK_LIMIT, "too many words (%lld) for their entropies", (long long)w->n);
  WOK__TRY(wok__trie_init(w->c, &k->trie));
  uint32_t sym[WOK_WORDS_MOST_CHARS];
  for (int64_t i = 0; i < w->n; i++) {
    int32_t node;
    wok__words_decode(wok__words_text(w, i), w->word[i].bytes, sym, WOK_WORDS_MOST_CHARS);
    WOK__TRY(wok__trie_node(&k->trie, sym, w->word[i].chars, &node));
    k->trie.value[node] = i + 1;
  }
  return WOK_OK;
}

wok_status wok__words_freedom(wok_words *w, wok__symbols *s) {
  wok__runs *runs;
  WOK__TRY(wok__runs_new(w->c, &runs, w->o.tmp));
  freedom *k = wok__calloc(1, (int64_t)sizeof *k);
  wok_status st = k ? WOK_OK : wok__nomem(w->c, (int64_t)sizeof *k);
  if (st == WOK_OK) {
    k->w = w;
    st = fill_trie(k);
    if (st == WOK_OK) st = wok__keys_new(w->c, &k->keys, runs, 1, KEY_BITS, w->o.memory / 2);
    if (st == WOK_OK) st = wok__symbols_read(s, "entropies", find_batch, k);
    if (st == WOK_OK) st = wok__keys_flush(k->keys);
    wok__keys_free(k->keys);
    if (st == WOK_OK) {
      w->info.spilled += wok__runs_bytes(runs);
      st = wok__runs_merge(runs, w->o.memory / 8);
    }
    if (st == WOK_OK) st = sum_up(k, runs);
    for (int64_t t = 0; t < WOK__COUNT(k->found); t++) wok__free(k->found[t].key);
    wok__trie_free(&k->trie);
  }
  wok__free(k);
  wok__runs_free(runs);
  return st;
}
