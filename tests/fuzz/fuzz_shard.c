/* Any bytes as a token shard: as they are, and once more with checksums that fit, so that what lies behind these is reached. */
#include <stdlib.h>
#include <string.h>
#include "shard_seal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(wok_ctx *c, const uint8_t *p, int64_t n) {
  wok__shard *s;
  wok_split_info info;
  if (wok__shard_parse(c, &s, p, n, "fuzz.wok") != WOK_OK) {
    if (s || !wok_errmsg(c)[0] || strchr(wok_errmsg(c), '\n')) abort();
    return;
  }
  wok__shard_info(s, &info);
  int64_t at = 0;
  int32_t ids[64];
  for (int64_t d = 0; d < info.documents; d++) {
    int64_t begin, end;
    if (wok__shard_document(s, d, &begin, &end) != WOK_OK || begin != at || end <= begin || end > info.tokens)
      abort();
    int64_t k = WOK__MIN(end - begin, WOK__COUNT(ids));
    if (wok__shard_read(s, begin, k, ids) == WOK_OK)
      for (int64_t i = 0; i < k; i++)
        if (ids[i] < 0 || (uint64_t)ids[i] >= wok__shard_head(s)->vocab_size) abort();
    at = end;
  }
  if (at != info.tokens) abort();
  (void)wok__shard_verify(s);
  wok__shard_close(s);
}

/* Checksums as far as the header's places allow. */
static void seal(uint8_t *p, int64_t n) {
  uint64_t sums = wok__le_load(p + SHARD_sums_at, 8), block = wok__le_load(p + SHARD_block_bytes, 8);
  if (sums >= WOK__SHARD_HEADER && sums <= (uint64_t)n && block >= 64 && block < 1 << 30 &&
      (sums - WOK__SHARD_HEADER + block - 1) / block * 8 <= (uint64_t)n - sums)
    shard_seal(p);
  else
    shard_seal_header(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static wok_ctx *c;
  if (!c && wok_ctx_new(&c, &(wok_ctx_opts){.threads = 1}) != WOK_OK) abort();
  use(c, data, (int64_t)size);
  if (size < WOK__SHARD_HEADER) return 0;
  uint8_t *p = malloc(size);
  if (!p) return 0;
  memcpy(p, data, size);
  memcpy(p, WOK__SHARD_MAGIC, 8);
  wok__le_store(p + SHARD_version, WOK__SHARD_VERSION, 4);
  memset(p + WOK__SHARD_RESERVED, 0, WOK__SHARD_HASHED - WOK__SHARD_RESERVED);
  seal(p, (int64_t)size);
  use(c, p, (int64_t)size);
  /* places that follow from the counts, too */
  wok__shard_header h;
#define LOAD(name, offset, bytes) h.name = wok__le_load(p + (offset), bytes);
  WOK__SHARD_HEADER_TABLE(LOAD)
#undef LOAD
  if (h.block_bytes >= 64 && h.block_bytes < 1 << 30 && (h.id_bytes == 2 || h.id_bytes == 4) &&
      wok__shard_layout(&h) && h.file_bytes <= size) {
    shard_store_header(p, &h);
    seal(p, (int64_t)h.file_bytes);
    use(c, p, (int64_t)h.file_bytes);
  }
  free(p);
  return 0;
}
