/* vocab/grams.h - the n-grams of a text with exact counts, for n = 1 .. order. One key is counted for each character: it and
   the order - 1 that follow, zeros behind the end of the run; the counts of shorter grams are sums over what begins with them. */
#ifndef WOK_VOCAB_GRAMS_H
#define WOK_VOCAB_GRAMS_H
#include "corpus/counter.h"
#include "vocab/symbols.h"

typedef struct wok__gram { uint64_t w[2]; } wok__gram; /* characters from the highest bits on, zeros behind */

typedef struct wok__grams {
  wok_ctx *c;
  wok_charset charset;
  int order, bits, words; /* bits of a character; 64-bit words of a key */
  int64_t total, runs;    /* characters; stretches without a break */
  int64_t types;          /* different characters */
  double char_entropy;    /* nats per character */
  int64_t spilled;
  /* those frequent enough, and all single characters */
  int64_t n, cap;
  wok__gram *key;
  int64_t *count;
  double *cohesion;       /* NaN for single characters; by wok__grams_cohesion */
  int64_t *index, slots;  /* hash: place + 1 */
  uint64_t *maybe;        /* one bit by hash: most grams that are not here are seen by it */
} wok__grams;

typedef struct wok__grams_opts {
  wok_charset charset;
  int order;
  int64_t memory;
  const char *tmp, *save;     /* save: NULL or the file to write all counts to */
  const char *const *add;     /* count files that are added */
  int nadd;
  /* what is kept: count >= min_count, and for two characters also count > min_prob * all pairs */
  int64_t min_count;
  double min_prob;
} wok__grams_opts;

wok_status wok__grams_count(wok_ctx *c, wok__grams *g, wok__symbols *s, const wok__grams_opts *o);
void wok__grams_free(wok__grams *g);

/* ln of the least T N(w) / (N(w[:j]) N(w[j:])). */
wok_status wok__grams_cohesion(wok__grams *g);
/* Keeps the grams that `keep` says, and the single characters; the index is made anew. */
wok_status wok__grams_filter(wok__grams *g, bool (*keep)(void *ud, const wok__grams *g, int64_t i, int length), void *ud);

int wok__gram_length(const wok__grams *g, const wok__gram *k);
int64_t wok__grams_find(const wok__grams *g, const wok__gram *k); /* -1: not here */

/* A character in a key, and back. */
static inline uint32_t wok__gram_symbol(const wok__grams *g, uint32_t cp) {
  if (g->charset == WOK_CHARS_LETTERS) return cp;
  if (cp >= 0x4e00) return cp - 0x4e00 + 1;
  return 20903 + (cp <= '9' ? cp - '0' : cp <= 'Z' ? cp - 'A' + 10 : cp - 'a' + 36);
}
static inline uint32_t wok__gram_char(const wok__grams *g, uint32_t symbol) {
  if (g->charset == WOK_CHARS_LETTERS) return symbol;
  if (symbol < 20903) return symbol - 1 + 0x4e00;
  uint32_t k = symbol - 20903;
  return k < 10 ? '0' + k : k < 36 ? 'A' + k - 10 : 'a' + k - 36;
}
/* Puts a symbol at place i (from 0) of a key that has 0 there. */
static inline void wok__gram_put(const wok__grams *g, wok__gram *k, int i, uint32_t symbol) {
  int low = 64 * g->words - g->bits * (i + 1); /* lowest bit of that place */
  uint64_t v = symbol;
  if (g->words == 1) k->w[0] |= v << low;
  else if (low >= 64) k->w[0] |= v << (low - 64);
  else {
    k->w[1] |= v << low;
    if (low + g->bits > 64) k->w[0] |= v >> (64 - low);
  }
}
static inline uint32_t wok__gram_at(const wok__grams *g, const wok__gram *k, int i) {
  int low = 64 * g->words - g->bits * (i + 1);
  uint64_t v;
  if (g->words == 1) v = k->w[0] >> low;
  else if (low >= 64) v = k->w[0] >> (low - 64);
  else v = k->w[1] >> low | (low > 0 ? k->w[0] << (64 - low) : 0);
  return (uint32_t)(v & ((UINT64_C(1) << g->bits) - 1));
}

#endif
