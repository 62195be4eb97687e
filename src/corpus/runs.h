/* corpus/runs.h - sorted runs of (key, count): written aside when memory is full, merged again in key order. A key is any
   bytes, compared as bytes; counts are 64-bit, and equal keys add up. What comes out does not depend on how the counts
   were cut into runs.

   A record is: bytes shared with the key before it, further bytes, those bytes, the count; numbers in 7 bits a byte, the
   lowest first, the highest bit set where more come. */
#ifndef WOK_CORPUS_RUNS_H
#define WOK_CORPUS_RUNS_H
#include "corpus/spool.h"

enum { WOK__RUN_KEY = 4096 }; /* longest key, in bytes */

/* Writes records in ascending order of their keys. */
typedef struct wok__run_sink {
  wok_status (*add)(void *ud, const void *p, int64_t n);
  void *ud;
  int64_t last_len;
  uint8_t last[WOK__RUN_KEY];
} wok__run_sink;
wok_status wok__run_put(wok__run_sink *s, const uint8_t *key, int64_t n, uint64_t count);

/* Runs in one nameless file. */
typedef struct wok__runs wok__runs;
wok_status wok__runs_new(wok_ctx *c, wok__runs **r, const char *dir); /* the directory of the temporary file */
wok_status wok__runs_begin(wok__runs *r);                             /* the next run */
wok_status wok__runs_put(wok__runs *r, const uint8_t *key, int64_t n, uint64_t count);
/* A part of an open file as a further run; the descriptor stays the caller's and must live as long as the runs. `name` too. */
wok_status wok__runs_add_file(wok__runs *r, int fd, const char *name, int64_t begin, int64_t end);
int64_t wok__runs_count(const wok__runs *r);
int64_t wok__runs_bytes(const wok__runs *r); /* on the disk, in all */
void wok__runs_free(wok__runs *r);           /* NULL is allowed */

/* Merges: first, with more runs than fit into `memory`, groups of runs to longer ones. Then next() gives one key after
   another; *key is good until the next call, NULL at the end. Once for each runs_merge, which may be repeated. */
wok_status wok__runs_merge(wok__runs *r, int64_t memory);
wok_status wok__runs_next(wok__runs *r, const uint8_t **key, int64_t *n, uint64_t *count);

#endif
