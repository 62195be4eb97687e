/* Writing a shard: tokens as they come, then the document ends from a spool, the checksums, and the header last. */
#include <string.h>
#include "vocab/shard.h"
#include "corpus/spool.h"

enum { IDS_AT_ONCE = 4096, COPY_AT_ONCE = 64 << 10 };

struct wok__shard_writer {
  wok_ctx *c;
  wok__writer *file;
  wok__spool *ends;
  wok__shard_header h;
  wok__hasher block; /* of the block being written */
  int64_t block_fill;
  uint8_t *sums; /* of the blocks written, as in the file */
  int64_t nsums, cap;
};

static int64_t aligned(int64_t n) { return (n + WOK__SHARD_ALIGN - 1) & ~(int64_t)(WOK__SHARD_ALIGN - 1); }

bool wok__shard_layout(wok__shard_header *h) {
  int64_t tokens, ends, blocks, end;
  h->tokens_at = WOK__SHARD_HEADER;
  if (h->tokens >> 56 || h->documents > h->tokens) return false;
  if (!wok__mul((int64_t)h->tokens, (int64_t)h->id_bytes, &tokens) ||
      !wok__mul((int64_t)h->documents, 8, &ends))
    return false;
  h->ends_at = (uint64_t)(WOK__SHARD_HEADER + aligned(tokens));
  if (!wok__add((int64_t)h->ends_at, aligned(ends), &end)) return false;
  h->sums_at = (uint64_t)end;
  blocks = (end - WOK__SHARD_HEADER + (int64_t)h->block_bytes - 1) / (int64_t)h->block_bytes;
  h->file_bytes = h->sums_at + 8 * (uint64_t)blocks;
  return h->file_bytes >> 62 == 0;
}

wok_status wok__shard_create(wok_ctx *c, wok__shard_writer **out, const char *path, const char *dir,
                             int64_t vocab_size, uint64_t tokenizer_hash, int64_t block_bytes) {
  *out = NULL;
  wok__shard_writer *w = wok__calloc(1, (int64_t)sizeof *w);
  if (!w) return wok__nomem(c, (int64_t)sizeof *w);
  w->c = c;
  w->h = (wok__shard_header){.version = WOK__SHARD_VERSION,
                             .id_bytes = vocab_size <= 65536 ? 2 : 4,
                             .vocab_size = (uint64_t)vocab_size,
                             .tokenizer_hash = tokenizer_hash,
                             .block_bytes = (uint64_t)(block_bytes ? block_bytes : WOK__SHARD_BLOCK)};
  wok__hasher_init(&w->block, 0);
  static const uint8_t blank[WOK__SHARD_HEADER];
  wok_status s = wok__writer_open(c, &w->file, path);
  if (s == WOK_OK) s = wok__spool_new(c, &w->ends, dir);
  if (s == WOK_OK) s = wok__writer_add(w->file, blank, (int64_t)sizeof blank);
  if (s)
    wok__shard_abort(w);
  else
    *out = w;
  return s;
}

static wok_status close_block(wok__shard_writer *w) {
  if (w->nsums == w->cap) {
    int64_t cap = w->cap ? 2 * w->cap : 1024;
    uint8_t *p = wok__realloc(w->sums, 8 * cap);
    if (!p) return wok__nomem(w->c, 8 * cap);
    w->sums = p;
    w->cap = cap;
  }
  wok__le_store(w->sums + 8 * w->nsums++, wok__hasher_end(&w->block), 8);
  wok__hasher_init(&w->block, 0);
  w->block_fill = 0;
  return WOK_OK;
}

/* Everything between the header and the checksums goes through here. */
static wok_status put(wok__shard_writer *w, const uint8_t *p, int64_t n) {
  WOK__TRY(wok__writer_add(w->file, p, n));
  while (n > 0) {
    int64_t k = WOK__MIN(n, (int64_t)w->h.block_bytes - w->block_fill);
    wok__hasher_add(&w->block, p, k);
    w->block_fill += k;
    p += k, n -= k;
    if (w->block_fill == (int64_t)w->h.block_bytes) WOK__TRY(close_block(w));
  }
  return WOK_OK;
}

static wok_status pad(wok__shard_writer *w) {
  static const uint8_t zeros[WOK__SHARD_ALIGN];
  int64_t at = wok__writer_tell(w->file);
  return put(w, zeros, aligned(at) - at);
}

wok_status wok__shard_add(wok__shard_writer *w, const int32_t *ids, int64_t n) {
  uint8_t buf[IDS_AT_ONCE * 4];
  for (int64_t i = 0; i < n;) {
    int64_t k = WOK__MIN(n - i, (int64_t)IDS_AT_ONCE);
    if (w->h.id_bytes == 2)
      for (int64_t j = 0; j < k; j++) wok__le_store(buf + 2 * j, (uint64_t)ids[i + j], 2);
    else
      for (int64_t j = 0; j < k; j++) wok__le_store(buf + 4 * j, (uint64_t)ids[i + j], 4);
    WOK__TRY(put(w, buf, k * (int64_t)w->h.id_bytes));
    i += k;
  }
  w->h.tokens += (uint64_t)n;
  return WOK_OK;
}

wok_status wok__shard_end_document(wok__shard_writer *w) {
  uint8_t end[8];
  wok__le_store(end, w->h.tokens, 8);
  w->h.documents++;
  return wok__spool_add(w->ends, end, (int64_t)sizeof end);
}

static wok_status put_ends(wok__shard_writer *w) {
  uint8_t *buf = wok__malloc(COPY_AT_ONCE);
  if (!buf) return wok__nomem(w->c, COPY_AT_ONCE);
  wok_status s = WOK_OK;
  int64_t got = 0;
  for (int64_t at = 0; s == WOK_OK && at < wok__spool_size(w->ends); at += got) {
    s = wok__spool_read(w->ends, at, buf, COPY_AT_ONCE, &got);
    if (s == WOK_OK && got == 0) s = wok__fail(w->c, WOK_IO, "a temporary file became shorter");
    if (s == WOK_OK) s = put(w, buf, got);
  }
  wok__free(buf);
  return s;
}

static wok_status put_rest(wok__shard_writer *w) {
  if (!wok__shard_layout(&w->h)) return wok__fail(w->c, WOK_LIMIT, "too many tokens for one shard");
  WOK__TRY(pad(w));
  WOK__TRY(put_ends(w));
  WOK__TRY(pad(w));
  if (w->block_fill > 0) WOK__TRY(close_block(w));
  WOK__TRY(wok__writer_add(w->file, w->sums ? w->sums : (const uint8_t *)"", 8 * w->nsums));
  w->h.sums_hash = wok__hash64(w->sums ? w->sums : (const uint8_t *)"", 8 * w->nsums, 0);
  uint8_t head[WOK__SHARD_HEADER] = WOK__SHARD_MAGIC;
#define STORE(name, offset, bytes) wok__le_store(head + (offset), w->h.name, bytes);
  WOK__SHARD_HEADER_TABLE(STORE)
#undef STORE
  wok__le_store(head + WOK__SHARD_HASHED, wok__hash64(head, WOK__SHARD_HASHED, 0), 8);
  WOK__TRY(wok__writer_seek(w->file, 0));
  return wok__writer_add(w->file, head, (int64_t)sizeof head);
}

wok_status wok__shard_finish(wok__shard_writer *w, int64_t text_bytes, int64_t text_chars,
                             wok_split_info *info) {
  w->h.text_bytes = (uint64_t)text_bytes;
  w->h.text_chars = (uint64_t)text_chars;
  wok_status s = put_rest(w);
  if (s == WOK_OK) {
    s = wok__writer_commit(w->file);
    w->file = NULL;
  }
  if (info) *info = (wok_split_info){(int64_t)w->h.documents, (int64_t)w->h.tokens, text_bytes, text_chars};
  wok__shard_abort(w);
  return s;
}

void wok__shard_abort(wok__shard_writer *w) {
  if (!w) return;
  wok__writer_abort(w->file);
  wok__spool_free(w->ends);
  wok__free(w->sums);
  wok__free(w);
}
