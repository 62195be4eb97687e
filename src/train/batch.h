/* train/batch.h - from documents to batches: packed tokens, no padding, attention inside one piece of one document.
 *
 * A document of n tokens t1..tn (tn its end mark) is n predictions: inputs [end mark, t1..t(n-1)], labels [t1..tn]. It is cut
 * into pieces of at most `seq` tokens, at multiples of seq from its start and where a batch ends; positions and attention
 * begin anew in each piece, whose first input is the token before it. */
#ifndef WOK_TRAIN_BATCH_H
#define WOK_TRAIN_BATCH_H
#include <wok/data.h>
#include "base/base.h"

/* Documents, wherever they come from. */
typedef struct wok__docs wok__docs;
struct wok__docs {
  wok_ctx *c;
  int64_t documents, tokens; /* tokens: of all documents */
  int32_t eod;
  wok_status (*length)(const wok__docs *d, int64_t document, int64_t *tokens);
  wok_status (*read)(const wok__docs *d, int64_t document, int64_t start, int64_t n, int32_t *ids);
  void *source;
  wok_split split;
};
wok__docs wok__docs_of(wok_ctx *c, wok_data *d, wok_split split);

/* What the columns of a batch are; each is i32 [tokens]. X(name). */
#define WOK__BATCH_COLUMNS(X)                                                                                \
  X(ids)    /* inputs */                                                                                     \
  X(pos)    /* offset in the piece */                                                                        \
  X(lo)     /* row i sees rows lo[i] <= j < hi[i] */                                                         \
  X(hi)                                                                                                      \
  X(seq)    /* number of the piece in the batch */                                                           \
  X(row)    /* as pos: with seq the counter of dropout */                                                    \
  X(labels) /* -1: counts nothing */
typedef struct wok__batch {
  int64_t tokens;  /* rows */
  int64_t targets; /* rows that count */
  int64_t pieces;
#define WOK__BATCH_COLUMN(name) int32_t *name;
  WOK__BATCH_COLUMNS(WOK__BATCH_COLUMN)
#undef WOK__BATCH_COLUMN
} wok__batch;
wok_status wok__batch_new(wok_ctx *c, wok__batch *b, int64_t tokens);
void wok__batch_free(wok__batch *b);

/* The training stream: epoch after epoch, the documents in an order computed from (seed, epoch, index), laid end to end. Any
   place in it is found again from the number of tokens before it: nothing else needs to be remembered. */
typedef struct wok__stream {
  const wok__docs *docs;
  uint64_t seed;
  int64_t seq;
  int64_t epoch, index;         /* in the epoch's order */
  int64_t document, length, at; /* at: tokens of it already taken */
} wok__stream;
wok_status wok__stream_open(wok__stream *s, const wok__docs *docs, uint64_t seed, int64_t seq, int64_t tokens_before);
/* The next b->tokens tokens. */
wok_status wok__stream_next(wok__stream *s, wok__batch *b);

/* For evaluation: the documents in their own order, pieces cut at multiples of seq only. A batch takes whole pieces while they
   fit; what is left of it counts nothing. */
typedef struct wok__sweep {
  const wok__docs *docs;
  int64_t seq, document, at, done; /* done: tokens taken */
} wok__sweep;
void wok__sweep_open(wok__sweep *w, const wok__docs *docs, int64_t seq);
/* Needs b->tokens >= seq. b->targets is 0 when there are no more. limit: stop with the first piece that ends at or past so many
   tokens; 0: none. */
wok_status wok__sweep_next(wok__sweep *w, wok__batch *b, int64_t limit);
#endif
