/* support/shard_seal.h - shards in memory for tests: after a change, checksums that fit again. */
#ifndef WOK_TEST_SHARD_SEAL_H
#define WOK_TEST_SHARD_SEAL_H
#include <string.h>
#include "vocab/shard.h"

/* Where a field of the header lies. */
#define SHARD_OFFSET(name, offset, bytes) SHARD_##name = (offset),
enum { WOK__SHARD_HEADER_TABLE(SHARD_OFFSET) };
#undef SHARD_OFFSET

static inline void shard_seal_header(uint8_t *p) {
  wok__le_store(p + SHARD_header_hash, wok__hash64(p, WOK__SHARD_HASHED, 0), 8);
}

/* All checksums of a shard whose counts and places are right. */
static inline void shard_seal(uint8_t *p) {
  int64_t sums = (int64_t)wok__le_load(p + SHARD_sums_at, 8),
          size = (int64_t)wok__le_load(p + SHARD_block_bytes, 8), n = 0;
  for (int64_t at = WOK__SHARD_HEADER; at < sums; at += size, n++)
    wok__le_store(p + sums + 8 * n, wok__hash64(p + at, at + size < sums ? size : sums - at, 0), 8);
  wok__le_store(p + SHARD_sums_hash, wok__hash64(p + sums, 8 * n, 0), 8);
  shard_seal_header(p);
}

/* Fills in places, magic and version from the counts in h, and stores the header at p (256 bytes), yet without checksums. */
static inline bool shard_store_header(uint8_t *p, wok__shard_header *h) {
  h->version = WOK__SHARD_VERSION;
  if (!wok__shard_layout(h)) return false;
  memset(p, 0, WOK__SHARD_HEADER);
  memcpy(p, WOK__SHARD_MAGIC, 8);
#define STORE(name, offset, bytes) wok__le_store(p + (offset), h->name, bytes);
  WOK__SHARD_HEADER_TABLE(STORE)
#undef STORE
  return true;
}

#endif
