/* base/hash.c - XXH64 (Yann Collet's xxHash, 64-bit): a published function, so that a checksum we store can be checked
   with other programs. Words are little-endian on every machine. Not for security. */
#include <string.h>
#include "base/base.h"

#define P1 UINT64_C(0x9E3779B185EBCA87)
#define P2 UINT64_C(0xC2B2AE3D27D4EB4F)
#define P3 UINT64_C(0x165667B19E3779F9)
#define P4 UINT64_C(0x85EBCA77C2B2AE63)
#define P5 UINT64_C(0x27D4EB2F165667C5)

static uint64_t rotl(uint64_t v, int r) { return (v << r) | (v >> (64 - r)); }

static uint64_t load64(const uint8_t *p) {
  uint64_t v;
  memcpy(&v, p, sizeof v);
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  v = __builtin_bswap64(v);
#endif
  return v;
}

static uint64_t load32(const uint8_t *p) {
  return (uint64_t)p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 | (uint64_t)p[3] << 24;
}

static uint64_t lane(uint64_t acc, uint64_t input) { return rotl(acc + input * P2, 31) * P1; }
static uint64_t merge(uint64_t h, uint64_t acc) { return (h ^ lane(0, acc)) * P1 + P4; }

static void lanes_init(uint64_t v[4], uint64_t seed) {
  v[0] = seed + P1 + P2;
  v[1] = seed + P2;
  v[2] = seed;
  v[3] = seed - P1;
}

/* Whole stripes of 32 bytes; returns how many bytes that were. */
static int64_t stripes(uint64_t v[4], const uint8_t *p, int64_t n) {
  uint64_t a = v[0], b = v[1], c = v[2], d = v[3];
  int64_t i = 0;
  for (; n - i >= 32; i += 32) {
    a = lane(a, load64(p + i));
    b = lane(b, load64(p + i + 8));
    c = lane(c, load64(p + i + 16));
    d = lane(d, load64(p + i + 24));
  }
  v[0] = a, v[1] = b, v[2] = c, v[3] = d;
  return i;
}

static uint64_t finish(const uint64_t v[4], uint64_t seed, uint64_t len, const uint8_t *tail, int64_t n) {
  uint64_t h = seed + P5;
  if (len >= 32) {
    h = rotl(v[0], 1) + rotl(v[1], 7) + rotl(v[2], 12) + rotl(v[3], 18);
    for (int k = 0; k < 4; k++) h = merge(h, v[k]);
  }
  h += len;
  for (; n >= 8; n -= 8, tail += 8) h = rotl(h ^ lane(0, load64(tail)), 27) * P1 + P4;
  if (n >= 4) {
    h = rotl(h ^ load32(tail) * P1, 23) * P2 + P3;
    tail += 4, n -= 4;
  }
  for (; n > 0; n--, tail++) h = rotl(h ^ *tail * P5, 11) * P1;
  h ^= h >> 33;
  h *= P2;
  h ^= h >> 29;
  h *= P3;
  return h ^ h >> 32;
}

uint64_t wok__hash64(const void *p, int64_t n, uint64_t seed) {
  const uint8_t *b = p;
  uint64_t v[4];
  lanes_init(v, seed);
  int64_t done = stripes(v, b, n);
  return finish(v, seed, (uint64_t)n, n > done ? b + done : (const uint8_t *)"", n - done);
}

void wok__hasher_init(wok__hasher *h, uint64_t seed) {
  memset(h, 0, sizeof *h);
  h->seed = seed;
  lanes_init(h->v, seed);
}

void wok__hasher_add(wok__hasher *h, const void *p, int64_t n) {
  const uint8_t *b = p;
  if (n <= 0) return;
  h->len += (uint64_t)n;
  if (h->ntail > 0) {
    int64_t k = WOK__MIN(n, (int64_t)sizeof h->tail - h->ntail);
    memcpy(h->tail + h->ntail, b, (size_t)k);
    h->ntail += (int)k;
    b += k, n -= k;
    if (h->ntail < (int)sizeof h->tail) return;
    (void)stripes(h->v, h->tail, (int64_t)sizeof h->tail);
    h->ntail = 0;
  }
  int64_t done = stripes(h->v, b, n);
  if (n > done) memcpy(h->tail, b + done, (size_t)(n - done));
  h->ntail = (int)(n - done);
}

uint64_t wok__hasher_end(const wok__hasher *h) { return finish(h->v, h->seed, h->len, h->tail, h->ntail); }
