/* corpus/shuffle.h - what the files of wok_shuffle share. shuffle.c: options, plan, first pass (records to streams); emit.c: second pass
   (streams to sorted records); resume.c: what lets a killed run go on; two_pass.c: the method of the article. */
#ifndef WOK_CORPUS_SHUFFLE_H
#define WOK_CORPUS_SHUFFLE_H
#include "corpus/out.h"
#include "corpus/reader.h"
#include "corpus/store.h"

/* An order-independent checksum of records: two sums of 64 bits, one of hashes and one of mixed hashes. */
typedef struct wok__sums {
  uint64_t a, b;
} wok__sums;
static inline void wok__sums_add(wok__sums *s, uint64_t hash) {
  s->a += hash;
  hash = (hash ^ hash >> 32) * UINT64_C(0xd6e8feb86659fd93);
  s->b += (hash ^ hash >> 29) * UINT64_C(0xd6e8feb86659fd93);
}

typedef struct wok__counts {
  int64_t records, bytes;
} wok__counts; /* of a stream; bytes of records alone */

typedef struct wok__shuffle {
  wok_ctx *c;
  const wok_shuffle_opts *o;
  const char *path;
  wok__inputs in;
  int threads;
  bool threaded, to_file;
  /* the plan */
  int64_t memory; /* in all */
  int64_t region; /* of it, for blocks */
  int64_t work;   /* of it, for sorting, beside what blocks leave free */
  int64_t buffer; /* of it, for reading */
  int64_t block;
  int bits;                 /* 2^bits streams */
  uint64_t key_mask;        /* all ones; tests make keys alike with it */
  int64_t checkpoint_bytes; /* output between two checkpoints */
  /* temporary data */
  char *dir; /* of our own; NULL: none, the temporary file has no name */
  wok__lock lock;
  bool resumable;
  /* the state */
  wok__store *store;
  wok__counts *count;
  wok__out *out;
  int64_t records, bytes; /* read; bytes with separators */
  wok__sums read, written;
  uint8_t *header;
  int64_t nheader;
  uint8_t terminator[4096];
  int64_t nterminator;
  int64_t want, given; /* records for the output: in all, so far */
  int64_t since_checkpoint;
  wok__task task;
  wok_shuffle_info info;
} wok__shuffle;

/* The 128-bit key of a record; the first word is the most significant. */
static inline void wok__shuffle_key(const wok__shuffle *s, uint64_t id, uint64_t *hi, uint64_t *lo) {
  const uint32_t ctr[4] = {(uint32_t)id, (uint32_t)(id >> 32),
                           0x574f4b33u /* "WOK3": apart from other uses under a seed */, 0};
  const uint32_t key[2] = {(uint32_t)s->o->seed, (uint32_t)(s->o->seed >> 32)};
  uint32_t k[4];
  wok__philox(ctr, key, k);
  *hi = ((uint64_t)k[0] << 32 | k[1]) & s->key_mask;
  *lo = (uint64_t)k[2] << 32 | k[3];
}

/* A stream holds, for each record: its number as the difference to the one before (less one), then pieces, each after its length * 2,
   + 1 where another piece follows. */
wok_status wok__scatter_begin(wok__shuffle *s, wok__store *store, wok__stream *t, int64_t *last, uint64_t id);
wok_status wok__scatter_piece(wok__store *store, wok__stream *t, const uint8_t *p, int64_t n, bool more);

wok_status wok__shuffle_emit(wok__shuffle *s, int first); /* all streams from this one on */
wok_status wok__shuffle_two_pass(wok__shuffle *s);
wok_status wok__shuffle_open_out(wok__shuffle *s); /* once the number of records is known */

/* resume.c */
typedef struct wok__left {
  int phase;
  int next;
  wok__out_place place;
  uint8_t *pending;
  int64_t *stream_bytes;
} wok__left;
wok_status wok__resume_prepare(wok__shuffle *s);               /* the directory and its lock */
wok_status wok__resume_find(wok__shuffle *s, wok__left *left); /* phase 0: nothing to go on with */
void wok__left_free(wok__left *l);
wok_status wok__resume_begin(wok__shuffle *s);     /* before the first pass */
wok_status wok__resume_scattered(wok__shuffle *s); /* between the passes */
wok_status wok__resume_checkpoint(wok__shuffle *s, int next);
void wok__resume_end(wok__shuffle *s, bool keep);

/* limits.c */
int64_t wok__memory_free(void); /* bytes this process could take now: the system's, or its control group's */
/* Room on the file system of a directory; *device tells whether two are the same one, *punch whether places in a file can be given
   back. */
wok_status wok__disk_room(wok_ctx *c, const char *dir, int64_t *room, uint64_t *device, bool *punch);
bool wok__is_regular(const char *path);
char *wok__folder_of(wok__arena *a, const char *path); /* "." when there is none */

/* For tests: wok_shuffle with parts of the plan given. */
typedef struct wok__shuffle_test {
  uint64_t key_mask;
  int bits;
  int64_t block, checkpoint_bytes;
} wok__shuffle_test;
wok_status wok__shuffle_with(wok_ctx *c, const char *const *files, int nfiles, const char *out,
                             const wok_shuffle_opts *o, const wok__shuffle_test *t, wok_shuffle_info *info);

#endif
