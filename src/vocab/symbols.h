/* vocab/symbols.h - texts as runs of characters out of a set: code points, each run ended by a 0. */
#ifndef WOK_VOCAB_SYMBOLS_H
#define WOK_VOCAB_SYMBOLS_H
#include <wok/words.h>
#include "vocab/documents.h"

enum {
  WOK__SYMBOLS_BATCH = 1 << 20, /* a longer run is cut there, whatever the memory */
  WOK__SYMBOLS_TILE = 1 << 15
};

typedef struct wok__symbols {
  wok_ctx *c;
  wok__source *source; /* read any number of times */
  int sources;
  wok__documents_opts documents;
  bool join_lines;
  uint64_t *set; /* one bit for each code point */
  int64_t bytes; /* of all sources, as far as known */
} wok__symbols;

/* One bit for each code point; wok__free it. NULL: no memory. */
uint64_t *wok__charset_new(wok_charset charset);

wok_status wok__symbols_open(wok_ctx *c, wok__symbols *s, const char *const *files, int n, const wok_words_opts *o);
void wok__symbols_close(wok__symbols *s);

static inline bool wok__symbols_in(const wok__symbols *s, uint32_t cp) { return s->set[cp >> 6] >> (cp & 63) & 1; }

/* All texts once, in batches of whole runs: no run is empty, the last symbol of a batch is a 0. `what` names the work for
   the progress function. */
wok_status wok__symbols_read(wok__symbols *s, const char *what,
                             wok_status (*batch)(void *ud, const uint32_t *sym, int64_t n), void *ud);

/* Cuts a batch into tiles of whole runs by the batch alone: end[i] is where tile i ends; returns how many (at most
   WOK__SYMBOLS_BATCH / WOK__SYMBOLS_TILE + 1). */
int64_t wok__symbols_tiles(const uint32_t *sym, int64_t n, int64_t *end);

#endif
