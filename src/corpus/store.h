/* corpus/store.h - many growing streams of bytes within a bound of memory. Streams are chains of blocks of one size. When no block is
   free, the stream of the highest number that still lies in memory whole goes to the temporary file; its blocks are written from
   then on as they fill. So the first streams stay in memory as long as they fit, and what is written falls to nothing as memory
   grows. One file for all streams: no limit of open files, and what was used can be given back to the disk. */
#ifndef WOK_CORPUS_STORE_H
#define WOK_CORPUS_STORE_H
#include <string.h>
#include "base/base.h"

typedef struct wok__stream {
  uint8_t *tail;  /* where the next byte goes */
  int64_t room;   /* bytes left of that block */
  int64_t bytes;  /* of the stream, `room` counted as if it were full: see wok__stream_bytes */
  int32_t *chain; /* >= 0: block of the file; < 0: ~slot in memory */
  int32_t n, cap;
  int32_t old; /* so many blocks of the file are there from before (resume) */
  int32_t *old_chain;
  bool spilled, dropped;
} wok__stream;

typedef struct wok__store wok__store;
typedef struct wok__store_opts {
  int streams;
  int64_t block;       /* bytes, a power of two */
  int64_t memory;      /* bytes for blocks; at least streams + 8 blocks are taken */
  const char *dir;     /* of the temporary file, which is made when it is first needed */
  const char *name;    /* in there; NULL: without a name */
  const char *journal; /* path; which block is whose, so that a killed run goes on; NULL: none */
  bool resume;         /* the file and the journal are there */
  bool threaded;
  bool spill; /* nothing stays in memory */
} wok__store_opts;

wok_status wok__store_new(wok_ctx *c, wok__store **s, const wok__store_opts *o);
void wok__store_free(wok__store *s, bool keep_file); /* NULL is allowed */
wok__stream *wok__store_stream(wok__store *s, int stream);
static inline int64_t wok__stream_bytes(const wok__stream *t) { return t->bytes - t->room; }
wok_status wok__store_grow(wok__store *s, wok__stream *t); /* a fresh block */

static inline wok_status wok__store_add(wok__store *s, wok__stream *t, const void *p, int64_t n) {
  for (const uint8_t *from = p; n > 0;) {
    if (t->room == 0) WOK__TRY(wok__store_grow(s, t));
    int64_t k = WOK__MIN(n, t->room);
    memcpy(t->tail, from, (size_t)k);
    t->tail += k, t->room -= k;
    from += k, n -= k;
  }
  return WOK_OK;
}

/* The stream is not needed (any more): its memory is free, what is added to it from now on is lost. */
void wok__store_drop(wok__store *s, wok__stream *t);
/* No more bytes will come: the last blocks of streams in the file go there too, and the journal is written to its end. */
wok_status wok__store_end(wok__store *s);
bool wok__store_spilled(const wok__store *s);
int64_t wok__store_written(const wok__store *s); /* bytes to the temporary file */
int64_t wok__store_file_bytes(const wok__store *s);
int64_t wok__store_free_bytes(const wok__store *s); /* memory of its limit that is not taken */
void wok__store_trim(wok__store *s);                /* free blocks go back to the system */
/* For a run that goes on after all was written: the chains as the journal has them, all in the file. */
wok_status wok__store_reopen(wok__store *s, const int64_t *stream_bytes);

/* Takes blocks for what of the stream lies in the file; false: not enough are free. load then reads it (from any thread). */
bool wok__store_reserve(wok__store *s, wok__stream *t);
wok_status wok__store_load(wok__store *s, wok_ctx *c, wok__stream *t);
void wok__store_soon(wok__store *s,
                     const wok__stream *t); /* it will be loaded soon: the system may read ahead */
/* The place in the file of dropped streams goes back to the disk, where the file system can. */
void wok__store_punch(wok__store *s, int first, int end);

/* A place in a stream, for reading. */
typedef struct wok__cursor {
  wok__store *s;
  const wok__stream *t;
  wok_ctx *c;
  int64_t at, end;
  const uint8_t *p; /* bytes that follow, at least one unless at the end */
  int64_t n;
  uint8_t *buf;   /* block bytes, for streams in the file; may be NULL where all is in memory */
  int32_t in_buf; /* the block there; -1 none */
} wok__cursor;
void wok__cursor_begin(wok__cursor *k, wok__store *s, wok_ctx *c, const wok__stream *t, uint8_t *buf);
wok_status wok__cursor_seek(wok__cursor *k, int64_t at);
wok_status wok__cursor_number(wok__cursor *k, uint64_t *v); /* as wok__number_put wrote it */
wok_status wok__cursor_copy(wok__cursor *k, uint8_t *to, int64_t n);
wok_status wok__cursor_skip(wok__cursor *k, int64_t n);

enum { WOK__NUMBER_BYTES = 10 };
static inline int wok__number_put(uint8_t *p, uint64_t v) { /* seven bits a byte, the lowest first */
  int n = 0;
  for (; v > 127; v >>= 7) p[n++] = (uint8_t)(v | 128);
  p[n++] = (uint8_t)v;
  return n;
}

#endif
