/* corpus/counter.h - counting more different things than fit in memory: keys of fixed width (n-grams), strings (words,
   templates). Both fill what memory they were given, put a sorted run aside, and go on; wok__runs_merge then gives the
   sums in key order. The result depends neither on the memory nor on the number of threads. */
#ifndef WOK_CORPUS_COUNTER_H
#define WOK_CORPUS_COUNTER_H
#include "corpus/runs.h"

/* ---- keys of 1 or 2 words of 64 bits, the first word the most significant: counted by sorting ---- */
typedef struct wok__keys wok__keys;
/* Only the highest `bits` bits of a key are used, the rest is 0. In a run a key is its words in big-endian order, so the order
   of bytes is the order of numbers. */
wok_status wok__keys_new(wok_ctx *c, wok__keys **k, wok__runs *runs, int words, int bits, int64_t memory);
/* Room for n more keys (at most wok__keys_most, which is at least 2^20), to be filled before the next call; sorts and writes a run when it must. */
wok_status wok__keys_room(wok__keys *k, int64_t n, uint64_t **to);
int64_t wok__keys_most(const wok__keys *k);
wok_status wok__keys_flush(wok__keys *k); /* what is left becomes a run */
void wok__keys_free(wok__keys *k);        /* NULL is allowed */

static inline uint64_t wok__key_word(const uint8_t *key, int64_t word) { /* of a key that comes out of the runs */
  uint64_t v;
  __builtin_memcpy(&v, key + 8 * word, sizeof v);
  return __builtin_bswap64(v);
}

/* ---- strings ---- */
typedef struct wok__strings wok__strings;
wok_status wok__strings_new(wok_ctx *c, wok__strings **s, wok__runs *runs, int64_t memory);
wok_status wok__strings_add(wok__strings *s, const void *p, int64_t n, uint64_t count); /* n up to WOK__RUN_KEY */
wok_status wok__strings_flush(wok__strings *s);
void wok__strings_free(wok__strings *s);

/* ---- a file of counts, to be added to others later and elsewhere ----
   "wokcnt1\n", length of the header (8 bytes, little-endian), the header (JSON, one line), records as in runs.h, XXH64 of all
   before it. The header says what was counted; it is the writer's business. */
typedef struct wok__count_writer wok__count_writer;
wok_status wok__count_writer_open(wok_ctx *c, wok__count_writer **w, const char *path, const char *header);
wok_status wok__count_writer_put(wok__count_writer *w, const uint8_t *key, int64_t n, uint64_t count);
wok_status wok__count_writer_commit(wok__count_writer *w); /* frees w, also on failure */
void wok__count_writer_abort(wok__count_writer *w);

typedef struct wok__count_file { int fd; int64_t begin, end; char *header; char *name; } wok__count_file;
/* Checks the whole file once. Then wok__runs_add_file(runs, f->fd, f->name, f->begin, f->end) takes part in a merge. */
wok_status wok__count_file_open(wok_ctx *c, wok__count_file *f, const char *path);
void wok__count_file_close(wok__count_file *f);

#endif
