/* vocab/words.h - what the methods of word discovery share: a list of words that grows, and their branching entropies. */
#ifndef WOK_VOCAB_WORDS_H
#define WOK_VOCAB_WORDS_H
#include <math.h>
#include "corpus/counter.h"
#include "text/trie.h"
#include "vocab/symbols.h"

struct wok_words {
  wok_ctx *c;
  wok_words_opts o; /* with the defaults filled in */
  wok_words_info info;
  wok_word *word;   /* text: while they are collected, an offset into `text`, see wok__words_add */
  int64_t n, cap;
  char *text;
  int64_t fill, text_cap;
};

/* Adds a word; the text is copied. Its entropies are NaN. */
wok_status wok__words_add(wok_words *w, const char *text, int64_t bytes, int64_t chars, int64_t count, double cohesion);
static inline const char *wok__words_text(const wok_words *w, int64_t i) { return w->text + (intptr_t)w->word[i].text; }

/* The methods: fill w with words in any order, and w->info. */
wok_status wok__words_ngrams(wok_words *w, wok__symbols *s);
wok_status wok__words_pairs(wok_words *w, wok__symbols *s);
wok_status wok__words_merges(wok_words *w, wok__symbols *s);
/* Left and right entropies of all words of w, by one more reading. */
wok_status wok__words_freedom(wok_words *w, wok__symbols *s);

/* Counts the strings between cuts: cut(ud, sym, n, mark) sets mark[i] where a string ends behind character i (the ends of runs
   need no mark); called for whole runs, from any thread. What each string and each single character was counted comes in the
   order of bytes to take(ud, text, bytes, chars, count). */
typedef struct wok__cutter {
  void (*cut)(void *ud, const uint32_t *sym, int64_t n, uint8_t *mark);
  wok_status (*take)(void *ud, const char *text, int64_t bytes, int64_t chars, int64_t count);
  void *ud;
} wok__cutter;
wok_status wok__cut_count(wok_words *w, wok__symbols *s, const char *what, const wok__cutter *k);

/* Code points of UTF-8 that is valid; returns how many (at most cap). */
int64_t wok__words_decode(const char *text, int64_t bytes, uint32_t *cp, int64_t cap);

#endif
