/* wok/corpus.h - corpora as records, most often lines: shuffled, compared, freed of duplicates, within a bound of memory that has
   nothing to do with their size. Inputs may be plain, gzip, zstd, xz or bzip2, told apart by content; "-" is standard input.
   All of these report to the context's progress function and stop when it (or wok_cancel) says so. */
#ifndef WOK_CORPUS_H
#define WOK_CORPUS_H
#include <wok/ctx.h>
#ifdef __cplusplus
extern "C" {
#endif

typedef enum wok_crlf {
  WOK_CRLF_KEEP,  /* a carriage return is a byte like any other */
  WOK_CRLF_STRIP, /* before a line feed it goes */
  WOK_CRLF_UNIFY  /* every line ends as the first one does */
} wok_crlf;

/* What a record is. All zero: a line. Bytes are bytes: NUL, 0xFF and invalid UTF-8 are content. The end of a file ends its last
   record; what is written ends every record. There is no limit to the length of a record. */
typedef struct wok_record_opts {
  const char *separator;   /* NULL: a line feed */
  int64_t separator_bytes; /* 0: strlen(separator); 1 with "" is a NUL byte */
  int64_t lines;           /* so many separators make a record (FASTQ: 4); 0: 1 */
  int64_t fixed_bytes;     /* records of exactly so many bytes, without separators; 0: no */
  int prefix_bytes;        /* 1, 2, 4 or 8: a little-endian length stands before each record; 0: no */
  int64_t header;          /* so many first records of the first file are a header */
  bool header_each;        /* of the other files too; there they are dropped */
  bool skip_empty;         /* records without a byte are left out */
  bool keep_bom;           /* do not look at byte order marks (a UTF-8 one is taken off the start of a file, UTF-16 and UTF-32
                              are refused) */
  wok_crlf crlf;           /* of lines only */
} wok_record_opts;

typedef enum wok_packing {
  WOK_PACKING_BY_NAME, /* .gz and .zst are packed, all else is not */
  WOK_PACKING_NONE,
  WOK_PACKING_GZIP,
  WOK_PACKING_ZSTD
} wok_packing;

typedef enum wok_shuffle_method {
  WOK_SHUFFLE_AUTO,    /* in memory as far as it goes, the rest scattered to a temporary file */
  WOK_SHUFFLE_MEMORY,  /* in memory, or LIMIT */
  WOK_SHUFFLE_SCATTER, /* everything through the temporary file */
  WOK_SHUFFLE_TWO_PASS /* of kexue.fm 8662: runs shuffled in memory, then merged row by row. For study: not uniform */
} wok_shuffle_method;

typedef struct wok_shuffle_opts {
  wok_record_opts records;
  uint64_t seed;
  int64_t memory;          /* bytes; 0: the context's mem_limit, or half of what is free */
  const char *tmp;         /* directory for temporary data; NULL: beside the output ("-": /var/tmp) */
  wok_shuffle_method method;
  int64_t run_records;     /* of a run of the two-pass method; 0: 100000 */
  const char *files0_from; /* further input names, NUL behind each */
  wok_packing packing;     /* of the output: in frames of 1 MiB, one after another */
  int level;               /* of packing; 0: gzip 6, zstd 3 */
  int64_t shards;          /* so many files of equal numbers of records; or */
  int64_t shard_records;   /* so many records in each; or */
  int64_t shard_bytes;     /* at most so many bytes in each (before packing; a longer record has one for itself) */
  int64_t head;            /* only so many records of the shuffled order: a sample without replacement; 0: all */
  double head_percent;     /* the same as a share of all records */
  const char *held;        /* the first records of the shuffled order go to this file, the rest to the output */
  int64_t held_records;    /* so many, or */
  double held_percent;     /* such a share */
  bool resume;             /* go on where a run with the same inputs and options was stopped; keep what is needed for that */
  bool no_verify;          /* do not compare checksums of what was read and what was written */
  bool force;              /* begin although the disk looks too small */
  bool dry_run;            /* only say what would be done */
} wok_shuffle_opts;

typedef struct wok_shuffle_info {
  int64_t records, bytes;  /* read, separators included, headers not */
  int64_t out_records;
  int64_t held_records;
  int64_t files;           /* written */
  int64_t memory;          /* the limit in use */
  int64_t buckets, block;  /* streams the records are scattered to; bytes of a block of the temporary file */
  int64_t tmp_bytes;       /* written to the temporary file; with dry_run: expected (-1: not known: packed inputs, pipes, head) */
  bool resumed;
  uint64_t seed;
  double seconds;
} wok_shuffle_info;

/* Writes the records of all inputs (files; directories; patterns) to `out` ("-": standard output) in the order of a 128-bit key,
   Philox4x32-10 of (number of the record) under (seed): every order of the records is as likely as any other, as far as 2^64 seeds
   reach, and the result depends on nothing but the seed and the bytes of the inputs in their order. With shards, a number goes before
   the first dot of the file's name: corpus-00000.txt.gz. The files appear whole at the end. info may be NULL.
   Errors: NOTFOUND, CORRUPT, FORMAT (of inputs), NOSPACE (before the work begins, where sizes are known), LIMIT, LOCKED, MISMATCH
   (resume), INVALID; outputs are as they were before. */
WOK_API wok_status wok_shuffle(wok_ctx *c, const char *const *files, int nfiles, const char *out, const wok_shuffle_opts *o,
                               wok_shuffle_info *info);

typedef struct wok_same_records { bool same; int64_t records[2], bytes[2]; } wok_same_records;
/* Do a and b hold the same records in whatever order and files? By counts and 128 bits of order-independent checksums. */
WOK_API wok_status wok_corpus_compare(wok_ctx *c, const char *const *a, int na, const char *const *b, int nb,
                                      const wok_record_opts *records, wok_same_records *result);

typedef enum wok_normal {
  WOK_NORMAL_NONE,  /* records are the same when their bytes are */
  WOK_NORMAL_SPACE, /* white space at both ends is left out, within it is one space */
  WOK_NORMAL_FOLD   /* and letter case, width and the like make no difference: Unicode's NFKC and case folding */
} wok_normal;

typedef struct wok_dedup_opts {
  wok_record_opts records;
  int64_t memory;          /* bytes; 0: the context's mem_limit, or half of what is free */
  const char *tmp;         /* directory for temporary data; NULL: /var/tmp */
  wok_normal normal;
  int64_t field;           /* compare only this field of a line, from 1; a line without it is compared whole; 0: whole lines */
  char field_separator;    /* 0: a tab */
  const char *const *test; /* files of the test split; the other files are the training split */
  int ntest;
  bool from_train;         /* a record in both splits is taken from the training split; otherwise from the test split */
  const char *out;         /* the training records that stay, in their order; NULL: only count */
  const char *test_out;    /* the test records that stay; NULL: only count */
  const char *leaks;       /* a table of the records taken for being in the other split: file, record, other file, other record */
  wok_packing packing;     /* of out and test_out */
  int level;
} wok_dedup_opts;

typedef struct wok_dedup_split {
  int64_t files, records;
  int64_t distinct; /* different ones */
  int64_t leaked;   /* records, repeated ones too, that are also in the other split */
  int64_t kept;     /* what is, or would be, written: the first of each, but for those taken as leaked */
} wok_dedup_split;
typedef struct wok_dedup_info {
  wok_dedup_split train, test;
  int64_t listed; /* lines of the table of leaks */
  int64_t memory, tmp_bytes;
  double seconds;
} wok_dedup_info;

/* Exact de-duplication of files (at least one; regular files, since they are read twice where something is written) by 128-bit
   hashes under a key drawn for the call: the first of equal records stays. A record longer than a megabyte is compared as its bytes
   are. Errors: as wok_shuffle; LIMIT: more records than the memory allows, with the memory they take. */
WOK_API wok_status wok_dedup(wok_ctx *c, const char *const *files, int nfiles, const wok_dedup_opts *o, wok_dedup_info *info);

#ifdef __cplusplus
}
#endif
#endif
