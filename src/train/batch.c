/* train/batch.c - documents to batches. */
#include <string.h>
#include "train/batch.h"

static wok_status data_length(const wok__docs *d, int64_t document, int64_t *tokens) {
  return wok_data_length(d->source, d->split, document, tokens);
}
static wok_status data_read(const wok__docs *d, int64_t document, int64_t start, int64_t n, int32_t *ids) {
  return wok_data_read(d->source, d->split, document, start, n, ids);
}

wok__docs wok__docs_of(wok_ctx *c, wok_data *d, wok_split split) {
  wok_split_info info;
  wok_data_info(d, split, &info);
  return (wok__docs){.c = c,
                     .documents = info.documents,
                     .tokens = info.tokens,
                     .eod = wok_tokenizer_eod(wok_data_tokenizer(d)),
                     .length = data_length,
                     .read = data_read,
                     .source = d,
                     .split = split};
}

wok_status wok__batch_new(wok_ctx *c, wok__batch *b, int64_t tokens) {
#define COUNT_COLUMN(name) +1
  enum { COLUMNS = 0 WOK__BATCH_COLUMNS(COUNT_COLUMN) };
#undef COUNT_COLUMN
  *b = (wok__batch){.tokens = tokens};
  int32_t *p = wok__calloc(tokens, COLUMNS * (int64_t)sizeof *p);
  if (!p) return wok__nomem(c, tokens * COLUMNS * (int64_t)sizeof *p);
  b->ids = p; /* the first column: its pointer is the block's */
#define PLACE_COLUMN(name) b->name = p, p += tokens;
  WOK__BATCH_COLUMNS(PLACE_COLUMN)
#undef PLACE_COLUMN
  return WOK_OK;
}

void wok__batch_free(wok__batch *b) {
  wok__free(b->ids);
  *b = (wok__batch){0};
}

/* Tokens [at, at + n) of a document become the labels of n further rows. */
static wok_status add_piece(const wok__docs *d, wok__batch *b, int64_t row, int64_t document, int64_t at, int64_t n) {
  int32_t before = d->eod;
  WOK__TRY(d->read(d, document, at, n, b->labels + row));
  if (at > 0) WOK__TRY(d->read(d, document, at - 1, 1, &before));
  for (int64_t i = 0; i < n; i++) {
    int64_t r = row + i;
    b->ids[r] = i == 0 ? before : b->labels[r - 1];
    b->pos[r] = b->row[r] = (int32_t)i;
    b->lo[r] = (int32_t)row;
    b->hi[r] = (int32_t)(r + 1);
    b->seq[r] = (int32_t)b->pieces;
  }
  b->pieces++;
  b->targets += n;
  return WOK_OK;
}

static void restart(wok__batch *b) { b->targets = b->pieces = 0; }

/* ---- the training stream ---- */
static wok_status enter_document(wok__stream *s) {
  s->document = (int64_t)wok__permute((uint64_t)s->index, (uint64_t)s->docs->documents, s->seed, (uint64_t)s->epoch);
  s->at = 0;
  return s->docs->length(s->docs, s->document, &s->length);
}

static wok_status next_document(wok__stream *s) {
  if (++s->index == s->docs->documents) {
    s->index = 0;
    s->epoch++;
  }
  return enter_document(s);
}

wok_status wok__stream_open(wok__stream *s, const wok__docs *docs, uint64_t seed, int64_t seq, int64_t tokens_before) {
  if (docs->tokens <= 0 || docs->documents <= 0) return wok__fail(docs->c, WOK_INVALID, "the data has no training tokens");
  *s = (wok__stream){.docs = docs, .seed = seed, .seq = seq, .epoch = tokens_before / docs->tokens};
  int64_t rest = tokens_before % docs->tokens;
  WOK__TRY(enter_document(s));
  while (rest >= s->length) {
    rest -= s->length;
    if (s->index + 1 == docs->documents)
      return wok__fail(docs->c, WOK_CORRUPT, "the documents hold fewer tokens than the %lld the data names", (long long)docs->tokens);
    WOK__TRY(next_document(s));
  }
  s->at = rest;
  return WOK_OK;
}

wok_status wok__stream_next(wok__stream *s, wok__batch *b) {
  restart(b);
  for (int64_t row = 0; row < b->tokens;) {
    if (s->at == s->length) {
      WOK__TRY(next_document(s));
      continue;
    }
    int64_t to_cut = s->seq - s->at % s->seq, n = WOK__MIN(WOK__MIN(to_cut, s->length - s->at), b->tokens - row);
    WOK__TRY(add_piece(s->docs, b, row, s->document, s->at, n));
    s->at += n;
    row += n;
  }
  return WOK_OK;
}

/* ---- evaluation ---- */
void wok__sweep_open(wok__sweep *w, const wok__docs *docs, int64_t seq) { *w = (wok__sweep){.docs = docs, .seq = seq}; }

/* Rows that count nothing: each sees itself alone, so that no position is out of range and no work is wasted on them. */
static void fill_up(const wok__docs *d, wok__batch *b, int64_t row) {
  for (int64_t r = row; r < b->tokens; r++) {
    b->ids[r] = d->eod;
    b->pos[r] = b->row[r] = 0;
    b->lo[r] = (int32_t)r;
    b->hi[r] = (int32_t)(r + 1);
    b->seq[r] = (int32_t)b->pieces;
    b->labels[r] = -1;
  }
}

wok_status wok__sweep_next(wok__sweep *w, wok__batch *b, int64_t limit) {
  const wok__docs *d = w->docs;
  int64_t row = 0;
  restart(b);
  while (w->document < d->documents && (limit <= 0 || w->done < limit)) {
    int64_t length;
    WOK__TRY(d->length(d, w->document, &length));
    int64_t n = WOK__MIN(w->seq, length - w->at);
    if (n > b->tokens - row) break;
    if (n > 0) WOK__TRY(add_piece(d, b, row, w->document, w->at, n));
    row += n;
    w->at += n;
    w->done += n;
    if (w->at >= length) {
      w->document++;
      w->at = 0;
    }
  }
  fill_up(d, b, row);
  return WOK_OK;
}
