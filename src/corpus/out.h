/* corpus/out.h - where shuffled records go: a file, shards, a held-out file before them, standard output; packed or not. Every file is
   written aside (NAME.part) and gets its name when all are whole. */
#ifndef WOK_CORPUS_OUT_H
#define WOK_CORPUS_OUT_H
#include <wok/corpus.h>
#include "base/base.h"

typedef struct wok__out wok__out;
typedef struct wok__out_opts {
  const char *path; /* "-": standard output */
  wok_packing packing;
  int level;
  int64_t shards, shard_records, shard_bytes; /* one of them, or none */
  const char *held;
  int64_t held_records;  /* go there first */
  int64_t total;         /* records that will come, the held ones included */
  const uint8_t *header; /* at the top of every file */
  int64_t nheader;
  const char *terminator;
  int64_t nterminator;
  bool threaded;
} wok__out_opts;

/* Where it stands: enough to go on after a kill. */
typedef struct wok__out_place {
  int64_t file, records, raw, bytes; /* which file; in it: records, bytes before and after packing */
  int64_t left;                      /* records until the next file, -1: no such limit */
  int64_t pending;                   /* raw bytes that are not packed yet: a frame begun */
} wok__out_place;

wok_status wok__out_new(wok_ctx *c, wok__out **o, const wok__out_opts *opts);
wok_status wok__out_begin(wok__out *o); /* from the start; or wok__out_resume */
/* n records with their terminators lie at p, ends[i * stride] after each. They must stay there until wok__out_wait. */
wok_status wok__out_run(wok__out *o, const uint8_t *p, const uint64_t *ends, int64_t stride, int64_t n);
/* A record in pieces, without its terminator. The bytes may go at once. */
wok_status wok__out_piece(wok__out *o, const uint8_t *p, int64_t n, bool first, bool last, int64_t whole);
wok_status wok__out_wait(wok__out *o);
/* Makes durable what came so far. The pending bytes stay the output's. */
wok_status wok__out_checkpoint(wok__out *o, wok__out_place *place, const uint8_t **pending);
wok_status wok__out_resume(wok__out *o, const wok__out_place *place, const uint8_t *pending);
/* Gives all files their names. The number of files is in *files. */
wok_status wok__out_commit(wok__out *o, int64_t *files);
/* keep: what was written aside stays. NULL is allowed. */
void wok__out_free(wok__out *o, bool keep);
/* path with a number before the first dot of its last part; in the arena. */
char *wok__shard_path(wok__arena *a, const char *path, int64_t number);
/* Bytes that packing holds, for the plan of memory. */
int64_t wok__out_memory(wok_packing packing, const char *path, int threads);
wok_packing wok__packing_by_name(wok_packing packing, const char *path);

#endif
