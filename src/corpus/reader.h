/* corpus/reader.h - files as records: opened by content (plain, gzip, zstd, xz, bzip2), cut by one set of rules, read ahead by a
   thread of their own. Memory does not grow with the size of a file or of a record. Every verb that reads a corpus uses this. */
#ifndef WOK_CORPUS_READER_H
#define WOK_CORPUS_READER_H
#include <stdatomic.h>
#include <wok/corpus.h>
#include "base/base.h"

/* ---- which files (inputs.c) ---- */

typedef struct wok__input {
  const char *path;  /* "-": standard input */
  const char *shown; /* for messages */
  bool regular;      /* size and time are known, and it can be read twice */
  int64_t size;      /* bytes on disk; 0 where it is no regular file */
  int64_t mtime_ns;
} wok__input;
typedef struct wok__inputs {
  wok__arena *arena;
  wok__input *list;
  int n;
  int64_t bytes; /* on disk, of the regular ones */
  bool all_regular;
  bool packed; /* at least one is compressed, so that more comes out than `bytes` */
} wok__inputs;
/* Names become files: a directory stands for the files in it (all levels, names with a dot in front left out, in natural
   order: part2 before part10), a pattern that is no file for what it matches; from0 (may be NULL) is a file of names with
   NUL behind each. Errors: NOTFOUND, INVALID (nothing named; standard input twice). */
wok_status wok__inputs_find(wok_ctx *c, wok__inputs *in, const char *const *names, int n, const char *from0);
void wok__inputs_free(wok__inputs *in);
/* -1, 0, 1: digits compare as numbers, the rest byte by byte. */
int wok__natural_order(const char *a, const char *b);

/* ---- bytes of one file, decompressed (bytes.c) ---- */

typedef struct wok__bytes wok__bytes;
/* `stop`, where given, ends waits for a pipe with INTERRUPTED. */
wok_status wok__bytes_open(wok_ctx *c, wok__bytes **b, const char *path, const atomic_bool *stop);
/* Fills p unless the data ends: *got < n only at the end. A compressed file that is cut short or damaged is CORRUPT, never an
   end; members and frames one after another are all read. */
wok_status wok__bytes_read(wok__bytes *b, void *p, int64_t n, int64_t *got);
int64_t wok__bytes_taken(const wok__bytes *b);       /* of the file so far, compressed as it is */
const char *wok__bytes_packing(const wok__bytes *b); /* "gzip" ..., NULL: plain */
void wok__bytes_close(wok__bytes *b);                /* NULL is allowed */
/* What the first bytes of a file say: "gzip", "zstd", "xz", "bzip2", or NULL. */
const char *wok__packing_of(const uint8_t *p, int64_t n);

/* ---- records (reader.c) ---- */

typedef struct wok__reader_opts {
  wok_record_opts how;
  int64_t buffer; /* bytes: a record up to a fifth of this comes whole; 0: 5 MiB */
  bool ahead;     /* a thread reads and decompresses meanwhile */
} wok__reader_opts;

/* A record, or a piece of one that is longer than the buffer. The bytes are good until the next call. The separator is not
   part of it (the prefix of a length-prefixed record is). */
typedef struct wok__piece {
  const uint8_t *p;
  int64_t n;
  bool first, last;
  int input;       /* which file */
  int64_t record;  /* 0-based, over all files */
  int64_t in_file; /* the same, within its file, counting records left out (headers, empty ones) */
} wok__piece;

typedef struct wok__reader wok__reader;
/* The inputs must outlive the reader. Errors: INVALID (rules that contradict each other). */
wok_status wok__reader_open(wok_ctx *c, wok__reader **r, const wok__inputs *in, const wok__reader_opts *o);
/* *more false: all is read. Errors name file and byte. INTERRUPTED when wok_cancel was called while waiting. */
wok_status wok__reader_next(wok__reader *r, wok__piece *piece, bool *more);
int64_t wok__reader_taken(const wok__reader *r); /* bytes on disk, for progress */
int64_t wok__reader_bytes(const wok__reader *r); /* bytes of records and separators, decompressed */
/* The header of the first file with its separators (how.header records); known when the first record or the end is. */
const uint8_t *wok__reader_header(const wok__reader *r, int64_t *n);
/* What ends a record in the output: the separator, "\r\n" where endings are unified and the first was that, nothing for
   records that carry their own length. Known when the first record is. */
const char *wok__reader_terminator(const wok__reader *r, int64_t *n);
void wok__reader_close(wok__reader *r); /* NULL is allowed */
/* The same rules, checked without a reader. */
wok_status wok__record_opts_check(wok_ctx *c, const wok_record_opts *o);

#endif
