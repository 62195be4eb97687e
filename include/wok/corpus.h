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

#ifdef __cplusplus
}
#endif
#endif
