/* Reading a shard. The file may be damaged or made to harm: counts and places are checked when it is opened, each block
   when it is first used. */
#include <string.h>
#include "vocab/shard.h"

enum { LEAST_BLOCK = 64, MOST_BLOCK = 1 << 30, VERIFY_AT_ONCE = 4096 };

struct wok__shard {
  wok_ctx *c;
  char *where;
  wok__map_file map; /* empty when parsed from memory */
  const uint8_t *p;
  wok__shard_header h;
  int64_t blocks;
  uint8_t *seen; /* one bit for each block whose checksum was found right */
};

static wok_status damaged(const wok__shard *s, const char *what) {
  return wok__fail(s->c, WOK_CORRUPT, "%s: %s: the file is damaged, pack the corpus again", s->where, what);
}

/* ---- the header ---- */

static wok_status read_header(wok__shard *s, int64_t n) {
  if (n < 8 || memcmp(s->p, WOK__SHARD_MAGIC, 8) != 0)
    return wok__fail(s->c, WOK_FORMAT, "%s: is not a token shard", s->where);
  if (n < WOK__SHARD_HEADER) return damaged(s, "it ends within its header");
#define LOAD(name, offset, bytes) s->h.name = wok__le_load(s->p + (offset), bytes);
  WOK__SHARD_HEADER_TABLE(LOAD)
#undef LOAD
  if (s->h.version != WOK__SHARD_VERSION)
    return wok__fail(s->c, WOK_UNSUPPORTED,
                     "%s: version %llu of the shard format is not known to this version", s->where,
                     (unsigned long long)s->h.version);
  if (wok__hash64(s->p, WOK__SHARD_HASHED, 0) != s->h.header_hash)
    return damaged(s, "the checksum of its header is wrong");
  for (int i = WOK__SHARD_RESERVED; i < WOK__SHARD_HASHED; i++)
    if (s->p[i]) return damaged(s, "reserved bytes of its header are not zero");
  return WOK_OK;
}

static wok_status check_header(wok__shard *s, int64_t n) {
  const wok__shard_header *h = &s->h;
  if (h->id_bytes != 2 && h->id_bytes != 4) return damaged(s, "ids have neither 2 nor 4 bytes");
  if (h->vocab_size < 1 || h->vocab_size > INT32_MAX || (h->id_bytes == 2 && h->vocab_size > 65536))
    return damaged(s, "an impossible size of the vocabulary");
  if (h->block_bytes < LEAST_BLOCK || h->block_bytes > MOST_BLOCK || (h->block_bytes & (h->block_bytes - 1)))
    return damaged(s, "an impossible size of its blocks");
  if (h->text_bytes >> 62 || h->text_chars > h->text_bytes || (h->documents == 0) != (h->tokens == 0))
    return damaged(s, "its counts contradict each other");
  wok__shard_header want = *h;
  if (!wok__shard_layout(&want)) return damaged(s, "impossible counts");
  if (want.tokens_at != h->tokens_at || want.ends_at != h->ends_at || want.sums_at != h->sums_at ||
      want.file_bytes != h->file_bytes)
    return damaged(s, "its sections are not where its counts put them");
  if ((int64_t)h->file_bytes != n)
    return wok__fail(s->c, WOK_CORRUPT, "%s: the file has %lld bytes, its header says %lld: %s", s->where,
                     (long long)n, (long long)h->file_bytes,
                     n < (int64_t)h->file_bytes ? "it is cut off: pack the corpus again" : "something was added to it: pack the corpus again");
  s->blocks = (int64_t)(h->file_bytes - h->sums_at) / 8;
  if (wok__hash64(s->p + h->sums_at, 8 * s->blocks, 0) != h->sums_hash)
    return damaged(s, "the checksum of its checksums is wrong");
  return WOK_OK;
}

/* ---- blocks ---- */

/* The checksums of the blocks that hold the bytes [from, to) of the file, unless they were found right before. */
static wok_status check_blocks(wok__shard *s, int64_t from, int64_t to) {
  if (from >= to) return WOK_OK;
  int64_t size = (int64_t)s->h.block_bytes, last = (to - 1 - WOK__SHARD_HEADER) / size;
  for (int64_t b = (from - WOK__SHARD_HEADER) / size; b <= last; b++) {
    if (s->seen[b / 8] & 1u << b % 8) continue;
    int64_t begin = WOK__SHARD_HEADER + b * size, end = WOK__MIN(begin + size, (int64_t)s->h.sums_at);
    if (wok__hash64(s->p + begin, end - begin, 0) != wok__le_load(s->p + s->h.sums_at + 8 * b, 8))
      return wok__fail(s->c, WOK_CORRUPT,
                       "%s: block %lld of %lld is damaged (bytes %lld to %lld): pack the corpus again",
                       s->where, (long long)b, (long long)s->blocks, (long long)begin, (long long)(end - 1));
    s->seen[b / 8] = (uint8_t)(s->seen[b / 8] | 1u << b % 8);
  }
  return WOK_OK;
}

static uint64_t end_of(const wok__shard *s, int64_t document) {
  return wok__le_load(s->p + s->h.ends_at + 8 * (uint64_t)document, 8);
}

static wok_status check_ends(wok__shard *s) {
  int64_t documents = (int64_t)s->h.documents;
  WOK__TRY(check_blocks(s, (int64_t)s->h.ends_at, (int64_t)s->h.ends_at + 8 * documents));
  uint64_t before = 0;
  for (int64_t i = 0; i < documents; i++) {
    uint64_t end = end_of(s, i);
    if (end <= before || end > s->h.tokens)
      return wok__fail(s->c, WOK_CORRUPT,
                       "%s: document %lld ends at token %llu, the one before it at %llu, the last at %llu: "
                       "pack the corpus again",
                       s->where, (long long)i, (unsigned long long)end, (unsigned long long)before,
                       (unsigned long long)s->h.tokens);
    before = end;
  }
  return before == s->h.tokens ? WOK_OK : damaged(s, "tokens after the last document");
}

/* ---- opening ---- */

static wok_status open_all(wok__shard *s, int64_t n) {
  WOK__TRY(read_header(s, n));
  WOK__TRY(check_header(s, n));
  s->seen = wok__calloc(s->blocks / 8 + 1, 1);
  if (!s->seen) return wok__nomem(s->c, s->blocks / 8 + 1);
  return check_ends(s);
}

wok_status wok__shard_parse(wok_ctx *c, wok__shard **out, const void *p, int64_t n, const char *where) {
  *out = NULL;
  wok__shard *s = wok__calloc(1, (int64_t)sizeof *s);
  int64_t length = (int64_t)strlen(where) + 1;
  if (s) s->where = wok__malloc(length);
  if (!s || !s->where) {
    wok__free(s);
    return wok__nomem(c, length);
  }
  memcpy(s->where, where, (size_t)length);
  s->c = c;
  s->p = p;
  wok_status st = open_all(s, n);
  if (st)
    wok__shard_close(s);
  else
    *out = s;
  return st;
}

wok_status wok__shard_open(wok_ctx *c, wok__shard **s, const char *path) {
  *s = NULL;
  wok__map_file map;
  WOK__TRY(wok__mmap_open(c, &map, path));
  wok_status st = wok__shard_parse(c, s, map.p, map.size, path);
  if (st)
    wok__mmap_close(&map);
  else
    (*s)->map = map;
  return st;
}

void wok__shard_close(wok__shard *s) {
  if (!s) return;
  wok__mmap_close(&s->map);
  wok__free(s->seen);
  wok__free(s->where);
  wok__free(s);
}

const wok__shard_header *wok__shard_head(const wok__shard *s) { return &s->h; }

void wok__shard_info(const wok__shard *s, wok_split_info *info) {
  *info = (wok_split_info){(int64_t)s->h.documents, (int64_t)s->h.tokens, (int64_t)s->h.text_bytes,
                           (int64_t)s->h.text_chars};
}

/* ---- use ---- */

wok_status wok__shard_document(const wok__shard *s, int64_t i, int64_t *begin, int64_t *end) {
  if (i < 0 || i >= (int64_t)s->h.documents)
    return wok__fail(s->c, WOK_INVALID, "%s: there is no document %lld among %lld", s->where, (long long)i,
                     (long long)s->h.documents);
  *begin = i ? (int64_t)end_of(s, i - 1) : 0;
  *end = (int64_t)end_of(s, i);
  return WOK_OK;
}

wok_status wok__shard_read(wok__shard *s, int64_t at, int64_t n, int32_t *ids) {
  if (at < 0 || n < 0 || at > (int64_t)s->h.tokens || n > (int64_t)s->h.tokens - at)
    return wok__fail(s->c, WOK_INVALID, "%s: %lld tokens from number %lld on are asked for, there are %lld",
                     s->where, (long long)n, (long long)at, (long long)s->h.tokens);
  int64_t size = (int64_t)s->h.id_bytes, from = (int64_t)s->h.tokens_at + at * size;
  WOK__TRY(check_blocks(s, from, from + n * size));
  const uint8_t *p = s->p + from;
  uint32_t largest = 0;
  for (int64_t i = 0; i < n; i++) {
    uint32_t id = (uint32_t)(size == 2 ? wok__le_load(p + 2 * i, 2) : wok__le_load(p + 4 * i, 4));
    largest = WOK__MAX(largest, id);
    ids[i] = (int32_t)id;
  }
  if (largest < s->h.vocab_size || n == 0) return WOK_OK;
  return wok__fail(
      s->c, WOK_CORRUPT,
      "%s: token id %lu in tokens %lld to %lld, but the vocabulary has %llu: pack the corpus again", s->where,
      (unsigned long)largest, (long long)at, (long long)(at + n - 1), (unsigned long long)s->h.vocab_size);
}

wok_status wok__shard_verify(wok__shard *s) {
  WOK__TRY(check_blocks(s, WOK__SHARD_HEADER, (int64_t)s->h.sums_at));
  int32_t ids[VERIFY_AT_ONCE];
  for (int64_t at = 0; at < (int64_t)s->h.tokens; at += VERIFY_AT_ONCE)
    WOK__TRY(wok__shard_read(s, at, WOK__MIN((int64_t)s->h.tokens - at, (int64_t)VERIFY_AT_ONCE), ids));
  return WOK_OK;
}
