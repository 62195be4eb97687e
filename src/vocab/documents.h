/* vocab/documents.h - files as a stream of documents, in pieces: memory does not grow with the size of a file, of a document
   or of a line. */
#ifndef WOK_VOCAB_DOCUMENTS_H
#define WOK_VOCAB_DOCUMENTS_H
#include <wok/data.h>
#include "base/base.h"
#include "corpus/spool.h"

/* One input. It is read several times: what cannot be read twice (standard input, pipes) is spooled first. */
typedef struct wok__source {
  const char *name;
  wok__spool *spool; /* NULL: a regular file */
  bool read;         /* once to the end: bytes and hash are known, and it must be the same the next time */
  int64_t bytes;
  uint64_t hash;
} wok__source;

/* Opens nothing for good; spools where it must, into dir. Errors name the file. */
wok_status wok__source_prepare(wok_ctx *c, wok__source *s, const char *name, const char *dir);
void wok__source_done(wok__source *s);

typedef struct wok__documents_opts {
  wok_documents kind;
  const char *sep;
  bool strip_ansi;
  bool utf8; /* anything else is refused */
} wok__documents_opts;

enum { WOK__DOCUMENTS_PIECE = 256 << 10 }; /* pieces are at most this long */

/* Receives the documents: pieces of text (none empty; whole characters when utf8), then end. Documents without text (or of
   line feeds alone) do not appear. */
typedef struct wok__documents_sink {
  wok_status (*text)(void *ud, const uint8_t *p, int64_t n);
  wok_status (*end)(void *ud);
  void *ud;
} wok__documents_sink;

/* Reads all sources. *task goes on from where it is by the bytes read. */
wok_status wok__documents_read(wok_ctx *c, wok__source *sources, int n, const wok__documents_opts *o,
                               const wok__documents_sink *sink, wok__task *task);

#endif
