/* Counting by sorting. A full block is cut by the keys' leading bits into buckets, each bucket sorted by itself (least
   significant digit first), equal keys become one with a count, and the buckets in turn are a sorted run. */
#include <string.h>
#include "corpus/counter.h"

enum {
  LEAD = 11,              /* bits that choose the bucket */
  BUCKETS = 1 << LEAD,
  LEAST = 1 << 20,        /* keys of a block, however little memory is allowed */
  TILE = 1 << 18,         /* keys of a tile: cut by the block alone */
  FEW = 24,               /* so few are sorted by insertion */
  WIDE_FROM = 1 << 13     /* from so many on, digits of 11 bits pay */
};

struct wok__keys {
  wok_ctx *c;
  wok__runs *runs;
  int words, bits;
  int64_t n, most, bytes; /* keys here, at most; bytes of one block */
  uint64_t *block, *other;
  int64_t tiles;
  int64_t *place;         /* [tiles][BUCKETS]: where a tile's keys of a bucket go */
  int64_t start[BUCKETS + 1];
  int64_t distinct[BUCKETS];
  bool swapped[BUCKETS];  /* the bucket's keys ended up in block, not in other */
};

wok_status wok__keys_new(wok_ctx *c, wok__keys **out, wok__runs *runs, int words, int bits, int64_t memory) {
  wok__keys *k = *out = wok__calloc(1, (int64_t)sizeof *k);
  if (!k) return wok__nomem(c, (int64_t)sizeof *k);
  *k = (wok__keys){.c = c, .runs = runs, .words = words, .bits = bits};
  k->most = WOK__MAX(memory / (16 * words), (int64_t)LEAST);
  k->tiles = (k->most + TILE - 1) / TILE;
  k->bytes = k->most * 8 * words;
  k->block = wok__pages_alloc(k->bytes);
  k->other = wok__pages_alloc(k->bytes);
  k->place = wok__malloc(k->tiles * BUCKETS * (int64_t)sizeof *k->place);
  if (k->block && k->other && k->place) return WOK_OK;
  wok__keys_free(k);
  *out = NULL;
  return wok__nomem(c, 2 * k->bytes);
}

void wok__keys_free(wok__keys *k) {
  if (!k) return;
  if (k->block) wok__pages_free(k->block, k->bytes);
  if (k->other) wok__pages_free(k->other, k->bytes);
  wok__free(k->place);
  wok__free(k);
}

int64_t wok__keys_most(const wok__keys *k) { return k->most; }

wok_status wok__keys_room(wok__keys *k, int64_t n, uint64_t **to) {
  if (n > k->most) return wok__fail(k->c, WOK_LIMIT, "%lld keys at once, where %lld fit", (long long)n, (long long)k->most);
  if (k->n + n > k->most) WOK__TRY(wok__keys_flush(k));
  *to = k->block + k->n * k->words;
  k->n += n;
  return WOK_OK;
}

/* ---- into buckets ---- */

static void count_tile(void *ud, int64_t tile, int worker) {
  (void)worker;
  wok__keys *k = ud;
  int64_t *count = k->place + tile * BUCKETS, end = WOK__MIN(k->n, (tile + 1) * (int64_t)TILE);
  memset(count, 0, BUCKETS * sizeof *count);
  for (int64_t i = tile * (int64_t)TILE; i < end; i++) count[k->block[i * k->words] >> (64 - LEAD)]++;
}

static void scatter_tile(void *ud, int64_t tile, int worker) {
  (void)worker;
  wok__keys *k = ud;
  int64_t *place = k->place + tile * BUCKETS, end = WOK__MIN(k->n, (tile + 1) * (int64_t)TILE);
  if (k->words == 1) {
    for (int64_t i = tile * (int64_t)TILE; i < end; i++) k->other[place[k->block[i] >> (64 - LEAD)]++] = k->block[i];
    return;
  }
  for (int64_t i = tile * (int64_t)TILE; i < end; i++) {
    int64_t to = place[k->block[2 * i] >> (64 - LEAD)]++;
    k->other[2 * to] = k->block[2 * i];
    k->other[2 * to + 1] = k->block[2 * i + 1];
  }
}

static void places(wok__keys *k, int64_t tiles) {
  int64_t at = 0;
  for (int b = 0; b < BUCKETS; b++) {
    k->start[b] = at;
    for (int64_t t = 0; t < tiles; t++) {
      int64_t n = k->place[t * BUCKETS + b];
      k->place[t * BUCKETS + b] = at;
      at += n;
    }
  }
  k->start[BUCKETS] = at;
}

/* ---- sorting one bucket; `words` is a constant where these are used, so each exists twice ---- */

static inline __attribute__((always_inline)) bool less(const uint64_t *a, const uint64_t *b, int words) {
  return a[0] != b[0] || words == 1 ? a[0] < b[0] : a[1] < b[1];
}

static inline __attribute__((always_inline)) void insertion(uint64_t *a, int64_t n, int words) {
  for (int64_t i = 1; i < n; i++) {
    uint64_t key[2] = {a[i * words], words == 2 ? a[i * words + 1] : 0};
    int64_t j = i;
    for (; j > 0 && less(key, a + (j - 1) * words, words); j--)
      memcpy(a + j * words, a + (j - 1) * words, (size_t)words * 8);
    memcpy(a + j * words, key, (size_t)words * 8);
  }
}

/* Bits [shift, shift + width) counted from the key's lowest. */
static inline __attribute__((always_inline)) unsigned digit(const uint64_t *key, int shift, int width, int words) {
  uint64_t v;
  if (words == 1) v = key[0] >> shift;
  else if (shift >= 64) v = key[0] >> (shift - 64);
  else v = key[1] >> shift | (shift > 0 ? key[0] << (64 - shift) : 0);
  return (unsigned)(v & ((UINT64_C(1) << width) - 1));
}

/* true: the sorted keys are in b. Digits in which all keys agree cost one look. */
static inline __attribute__((always_inline)) bool radix(uint64_t *a, uint64_t *b, int64_t n, int unused, int words) {
  int64_t place[BUCKETS];
  int step = n < WIDE_FROM ? 8 : LEAD, top = 64 * words - LEAD;
  bool in_b = false;
  for (int shift = unused; shift < top; shift += step) {
    int width = WOK__MIN(step, top - shift);
    memset(place, 0, sizeof *place << width);
    for (int64_t i = 0; i < n; i++) place[digit(a + i * words, shift, width, words)]++;
    if (place[digit(a, shift, width, words)] == n) continue;
    int64_t at = 0;
    for (int d = 0; d < 1 << width; d++) {
      int64_t count = place[d];
      place[d] = at;
      at += count;
    }
    for (int64_t i = 0; i < n; i++) {
      int64_t to = place[digit(a + i * words, shift, width, words)]++;
      memcpy(b + to * words, a + i * words, (size_t)words * 8);
    }
    uint64_t *swap = a;
    a = b;
    b = swap;
    in_b = !in_b;
  }
  return in_b;
}

static inline __attribute__((always_inline)) bool sort(uint64_t *a, uint64_t *b, int64_t n, int unused, int words) {
  if (n > FEW) return radix(a, b, n, unused, words);
  insertion(a, n, words);
  return false;
}

/* Keys that differ to the front of keys, their counts to the front of counts. */
static int64_t unite(uint64_t *keys, uint64_t *counts, int64_t n, int words) {
  int64_t m = 0;
  for (int64_t i = 0; i < n; m++) {
    int64_t j = i + 1;
    while (j < n && memcmp(keys + j * words, keys + i * words, (size_t)words * 8) == 0) j++;
    memmove(keys + m * words, keys + i * words, (size_t)words * 8);
    counts[m] = (uint64_t)(j - i);
    i = j;
  }
  return m;
}

static void sort_bucket(void *ud, int64_t bucket, int worker) {
  (void)worker;
  wok__keys *k = ud;
  int64_t at = k->start[bucket] * k->words, n = k->start[bucket + 1] - k->start[bucket];
  if (n == 0) return;
  uint64_t *a = k->other + at, *b = k->block + at;
  int unused = 64 * k->words - k->bits;
  bool swapped = k->words == 1 ? sort(a, b, n, unused, 1) : sort(a, b, n, unused, 2);
  k->swapped[bucket] = swapped;
  k->distinct[bucket] = swapped ? unite(b, a, n, k->words) : unite(a, b, n, k->words);
}

static wok_status write_bucket(wok__keys *k, int b) {
  int64_t at = k->start[b] * k->words;
  const uint64_t *keys = (k->swapped[b] ? k->block : k->other) + at, *counts = (k->swapped[b] ? k->other : k->block) + at;
  for (int64_t i = 0; i < k->distinct[b]; i++) {
    uint64_t key[2];
    for (int w = 0; w < k->words; w++) key[w] = __builtin_bswap64(keys[i * k->words + w]);
    WOK__TRY(wok__runs_put(k->runs, (const uint8_t *)key, 8 * k->words, counts[i]));
  }
  return WOK_OK;
}

wok_status wok__keys_flush(wok__keys *k) {
  if (k->n == 0) return WOK_OK;
  int64_t tiles = (k->n + TILE - 1) / TILE;
  memset(k->distinct, 0, sizeof k->distinct);
  wok__pool_run(k->c, count_tile, k, tiles);
  places(k, tiles);
  wok__pool_run(k->c, scatter_tile, k, tiles);
  wok__pool_run(k->c, sort_bucket, k, BUCKETS);
  WOK__TRY(wok__runs_begin(k->runs));
  for (int b = 0; b < BUCKETS; b++) WOK__TRY(write_bucket(k, b));
  k->n = 0;
  return WOK_OK;
}
