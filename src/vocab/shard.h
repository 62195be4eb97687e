/* vocab/shard.h - token shards: one file of documents as token ids. The format is described in docs/shard-format.md. */
#ifndef WOK_VOCAB_SHARD_H
#define WOK_VOCAB_SHARD_H
#include <wok/data.h>
#include "base/base.h"

/* Header, byte by byte: X(name, offset, bytes). Everything is little-endian. */
#define WOK__SHARD_HEADER_TABLE(X)                                                                           \
  X(version, 8, 4)                                                                                           \
  X(id_bytes, 12, 4)                                                                                         \
  X(tokens, 16, 8)                                                                                           \
  X(documents, 24, 8)                                                                                        \
  X(text_bytes, 32, 8)                                                                                       \
  X(text_chars, 40, 8)                                                                                       \
  X(vocab_size, 48, 8)                                                                                       \
  X(tokenizer_hash, 56, 8)                                                                                   \
  X(block_bytes, 64, 8)                                                                                      \
  X(tokens_at, 72, 8)                                                                                        \
  X(ends_at, 80, 8)                                                                                          \
  X(sums_at, 88, 8)                                                                                          \
  X(file_bytes, 96, 8)                                                                                       \
  X(sums_hash, 104, 8)                                                                                       \
  X(header_hash, 248, 8)
#define WOK__SHARD_MAGIC "WOKSHARD"
enum {
  WOK__SHARD_VERSION = 1,
  WOK__SHARD_HEADER = 256,
  WOK__SHARD_RESERVED = 112, /* from here to header_hash: zeros */
  WOK__SHARD_HASHED = 248,   /* bytes of the header under header_hash */
  WOK__SHARD_ALIGN = 64,
  WOK__SHARD_BLOCK = 1 << 20
};
typedef struct wok__shard_header {
#define WOK__SHARD_FIELD(name, offset, bytes) uint64_t name;
  WOK__SHARD_HEADER_TABLE(WOK__SHARD_FIELD)
#undef WOK__SHARD_FIELD
} wok__shard_header;

static inline uint64_t wok__le_load(const uint8_t *p, int bytes) {
  uint64_t v = 0;
  for (int i = bytes - 1; i >= 0; i--) v = v << 8 | p[i];
  return v;
}
static inline void wok__le_store(uint8_t *p, uint64_t v, int bytes) {
  for (int i = 0; i < bytes; i++) p[i] = (uint8_t)(v >> 8 * i);
}
/* Where the sections lie follows from the counts. false: they do not fit in a file. */
bool wok__shard_layout(wok__shard_header *h);

/* ---- reading ---- */
typedef struct wok__shard wok__shard;
wok_status wok__shard_open(wok_ctx *c, wok__shard **s, const char *path);
/* The same over bytes in memory, which must outlive s. */
wok_status wok__shard_parse(wok_ctx *c, wok__shard **s, const void *p, int64_t n, const char *where);
void wok__shard_close(wok__shard *s); /* NULL is allowed */
const wok__shard_header *wok__shard_head(const wok__shard *s);
void wok__shard_info(const wok__shard *s, wok_split_info *info);
/* Document i is the tokens [*begin, *end) of the shard. */
wok_status wok__shard_document(const wok__shard *s, int64_t i, int64_t *begin, int64_t *end);
/* Copies the tokens [at, at + n), whatever documents they belong to. */
wok_status wok__shard_read(wok__shard *s, int64_t at, int64_t n, int32_t *ids);
wok_status wok__shard_verify(wok__shard *s); /* every block, every id */

/* ---- writing ---- */
typedef struct wok__shard_writer wok__shard_writer;
/* dir: for a temporary file; block_bytes 0: the usual. */
wok_status wok__shard_create(wok_ctx *c, wok__shard_writer **w, const char *path, const char *dir,
                             int64_t vocab_size, uint64_t tokenizer_hash, int64_t block_bytes);
wok_status wok__shard_add(wok__shard_writer *w, const int32_t *ids, int64_t n);
wok_status wok__shard_end_document(wok__shard_writer *w); /* after its end mark was added */
/* Writes what is left and commits; frees w, also on failure. */
wok_status wok__shard_finish(wok__shard_writer *w, int64_t text_bytes, int64_t text_chars,
                             wok_split_info *info);
void wok__shard_abort(wok__shard_writer *w); /* NULL is allowed */

#endif
