/* Multi-gram cohesion with back-tracking (kexue.fm/archives/4256, 6920). */
#include <string.h>
#include "text/utf8.h"
#include "vocab/grams.h"
#include "vocab/words.h"

typedef struct ngrams {
  wok_words *w;
  wok__grams g; /* after the filter: those that hold together, and the single characters */
} ngrams;

static bool solid(void *ud, const wok__grams *g, int64_t i, int length) {
  const wok_words_opts *o = &((ngrams *)ud)->w->o;
  return g->cohesion[i] >= o->min_pmi[length - 2];
}

/* No cut where a gram covers the gap; overlapping grams chain. */
static void cut(void *ud, const uint32_t *sym, int64_t n, uint8_t *mark) {
  const wok__grams *g = &((ngrams *)ud)->g;
  int64_t end = 1;
  for (int64_t i = 0; i < n; i++) {
    if (i == end) mark[end++ - 1] = 1;
    wok__gram key = {{0, 0}};
    wok__gram_put(g, &key, 0, wok__gram_symbol(g, sym[i]));
    for (int k = 1; k < g->order && i + k < n; k++) {
      wok__gram_put(g, &key, k, wok__gram_symbol(g, sym[i + k]));
      if (i + k + 1 > end && wok__grams_find(g, &key) >= 0) end = i + k + 1;
    }
  }
}

/* The cohesion of a string as a gram; NaN: it is none that holds together. */
static double gram_cohesion(const wok__grams *g, const uint32_t *sym, int64_t n) {
  wok__gram key = {{0, 0}};
  for (int k = 0; k < n; k++) wok__gram_put(g, &key, k, wok__gram_symbol(g, sym[k]));
  int64_t at = wok__grams_find(g, &key);
  return at < 0 ? NAN : g->cohesion[at];
}

/* Least cohesion of the windows of n characters; NaN where one does not hold together. */
static double windows(const wok__grams *g, const uint32_t *sym, int64_t chars, int64_t n) {
  double least = INFINITY;
  for (int64_t i = 0; i + n <= chars; i++) {
    double c = gram_cohesion(g, sym + i, n);
    if (isnan(c)) return NAN;
    least = WOK__MIN(least, c);
  }
  return least;
}

static wok_status take(void *ud, const char *text, int64_t bytes, int64_t chars, int64_t count) {
  ngrams *k = ud;
  const wok_words_opts *o = &k->w->o;
  if (count < o->min_count) return WOK_OK;
  k->w->info.candidates++;
  uint32_t sym[WOK_WORDS_MOST_CHARS];
  double cohesion = NAN;
  wok__words_decode(text, bytes, sym, WOK_WORDS_MOST_CHARS);
  if (chars >= 2) {
    int64_t n = WOK__MIN(chars, (int64_t)k->g.order);
    cohesion = windows(&k->g, sym, chars, n);
    for (int64_t m = 3; o->all_windows && m < n; m++)
      if (isnan(windows(&k->g, sym, chars, m))) cohesion = NAN;
    if (isnan(cohesion) && chars >= 3) return WOK_OK;
  }
  return wok__words_add(k->w, text, bytes, chars, count, cohesion);
}

wok_status wok__words_ngrams(wok_words *w, wok__symbols *s) {
  const wok_words_opts *o = &w->o;
  ngrams k = {.w = w};
  wok__grams_opts go = {.charset = o->charset, .order = o->order, .memory = o->memory, .tmp = o->tmp, .save = o->save_counts,
                        .add = o->counts, .nadd = o->ncounts, .min_count = o->min_count};
  WOK__TRY(wok__grams_count(w->c, &k.g, s, &go));
  wok_status st = wok__grams_cohesion(&k.g);
  if (st == WOK_OK) st = wok__grams_filter(&k.g, solid, &k);
  w->info.chars = k.g.total;
  w->info.types = k.g.types;
  w->info.runs = k.g.runs;
  w->info.char_bits = k.g.char_entropy / log(2);
  w->info.grams = k.g.n - k.g.types;
  w->info.spilled = k.g.spilled;
  wok__cutter cutter = {.cut = cut, .take = take, .ud = &k};
  if (st == WOK_OK) st = wok__cut_count(w, s, "cut", &cutter);
  wok__grams_free(&k.g);
  return st;
}
