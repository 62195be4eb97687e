/* text/vocab.h - the strings of a vocabulary: id to bytes and back. */
#ifndef WOK_TEXT_VOCAB_H
#define WOK_TEXT_VOCAB_H
#include "base/base.h"

typedef struct wok__vocab {
  wok_ctx *c;
  int64_t n; /* ids are 0 .. n-1; some may have no string */
  char *blob;
  int64_t blob_n, blob_cap;
  int64_t *at;    /* [n] of the string in blob, -1: none */
  int32_t *len;   /* [n] */
  int64_t cap;
  int32_t *slot;  /* [slots] id + 1, 0: empty */
  int64_t slots, used;
} wok__vocab;

void wok__vocab_init(wok__vocab *v, wok_ctx *c);
void wok__vocab_free(wok__vocab *v);
/* The string of that id. An id far above the number of strings is refused (LIMIT), an id or a string that is there already
   too (INVALID; replace: the string then means the later id). */
wok_status wok__vocab_put(wok__vocab *v, int64_t id, const char *p, int64_t n, bool replace);
int32_t wok__vocab_find(const wok__vocab *v, const void *p, int64_t n); /* -1: not there */
/* NULL and *n = 0 where the id has none. */
const char *wok__vocab_get(const wok__vocab *v, int64_t id, int64_t *n);

static inline uint64_t wok__short_hash(const void *p, int64_t n) {
  const uint8_t *z = p;
  uint64_t h = UINT64_C(0x9E3779B97F4A7C15) ^ (uint64_t)n;
  for (; n >= 8; z += 8, n -= 8) {
    uint64_t w;
    __builtin_memcpy(&w, z, 8);
    h = (h ^ w) * UINT64_C(0xC2B2AE3D27D4EB4F);
    h ^= h >> 32;
  }
  uint64_t w = 0;
  for (int64_t i = 0; i < n; i++) w |= (uint64_t)z[i] << 8 * i;
  h = (h ^ w) * UINT64_C(0x165667B19E3779F9);
  return h ^ h >> 29;
}

#endif
