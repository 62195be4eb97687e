/* Texts cut into strings, and the strings counted. */
#include <string.h>
#include "text/utf8.h"
#include "vocab/words.h"

typedef struct cutting {
  wok_words *w;
  const wok__cutter *k;
  wok__strings *strings;
  const uint32_t *sym;
  uint8_t *mark;
  int64_t end[WOK__SYMBOLS_BATCH / WOK__SYMBOLS_TILE + 2];
  int64_t *single; /* [code point] */
} cutting;

static void cut_tile(void *ud, int64_t tile, int worker) {
  (void)worker;
  cutting *k = ud;
  int64_t from = tile ? k->end[tile - 1] : 0, to = k->end[tile];
  memset(k->mark + from, 0, (size_t)(to - from));
  for (int64_t i = from; i < to;) {
    int64_t n = 0;
    while (k->sym[i + n]) n++;
    k->k->cut(k->k->ud, k->sym + i, n, k->mark + i);
    k->mark[i + n - 1] = 1;
    i += n + 1;
  }
}

static wok_status cut_batch(void *ud, const uint32_t *sym, int64_t n) {
  cutting *k = ud;
  k->sym = sym;
  wok__pool_run(k->w->c, cut_tile, k, wok__symbols_tiles(sym, n, k->end));
  char text[WOK_WORDS_MOST_CHARS * 4];
  for (int64_t i = 0; i < n;) {
    if (sym[i] == 0) {
      i++;
      continue;
    }
    int64_t j = i;
    while (!k->mark[j]) j++;
    int64_t chars = ++j - i;
    if (chars == 1) {
      k->single[sym[i]]++;
    } else if (chars <= WOK_WORDS_MOST_CHARS) {
      int64_t bytes = 0;
      for (int64_t at = i; at < j; at++) bytes += wok__utf8_put(sym[at], text + bytes);
      WOK__TRY(wok__strings_add(k->strings, text, bytes, 1));
    }
    i = j;
  }
  return WOK_OK;
}

static wok_status hand_over(cutting *k, wok__runs *runs) {
  for (;;) {
    const uint8_t *key;
    int64_t n;
    uint64_t count;
    WOK__TRY(wok__runs_next(runs, &key, &n, &count));
    if (!key) return WOK_OK;
    if (count > INT64_MAX) return wok__fail(k->w->c, WOK_LIMIT, "a count beyond 63 bits");
    WOK__TRY(k->k->take(k->k->ud, (const char *)key, n, wok__utf8_count(key, n), (int64_t)count));
  }
}

static wok_status singles(cutting *k) {
  char text[4];
  for (uint32_t cp = 0; cp < WOK__CODE_POINTS; cp++)
    if (k->single[cp]) WOK__TRY(wok__strings_add(k->strings, text, wok__utf8_put(cp, text), (uint64_t)k->single[cp]));
  return WOK_OK;
}

wok_status wok__cut_count(wok_words *w, wok__symbols *s, const char *what, const wok__cutter *c) {
  wok__runs *runs;
  WOK__TRY(wok__runs_new(w->c, &runs, w->o.tmp));
  cutting *k = wok__calloc(1, (int64_t)sizeof *k);
  wok_status st = k ? wok__strings_new(w->c, &k->strings, runs, w->o.memory / 4) : wok__nomem(w->c, (int64_t)sizeof *k);
  if (st == WOK_OK) {
    k->w = w;
    k->k = c;
    k->mark = wok__malloc(WOK__SYMBOLS_BATCH + 2);
    k->single = wok__calloc(WOK__CODE_POINTS, 8);
    if (!k->mark || !k->single) st = wok__nomem(w->c, WOK__CODE_POINTS * 8);
  }
  if (st == WOK_OK) st = wok__symbols_read(s, what, cut_batch, k);
  if (st == WOK_OK) st = singles(k);
  if (st == WOK_OK) st = wok__strings_flush(k->strings);
  if (st == WOK_OK) {
    w->info.spilled += wok__runs_bytes(runs);
    wok__strings_free(k->strings);
    k->strings = NULL;
    st = wok__runs_merge(runs, w->o.memory / 8);
  }
  if (st == WOK_OK) st = hand_over(k, runs);
  if (k) {
    wok__strings_free(k->strings);
    wok__free(k->mark);
    wok__free(k->single);
  }
  wok__free(k);
  wok__runs_free(runs);
  return st;
}
