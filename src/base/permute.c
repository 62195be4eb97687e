/* base/permute.c - a shuffled order that is computed, not stored. */
#include "base/base.h"

/* Below SMALL the order is a Fisher-Yates shuffle made anew for every call: exactly uniform, and not slower than the
   network. The network would be wrong there: over 4 bits its rounds generate too few permutations, and the orders of
   5 things come out up to tens of per cent too often or too rarely, however many rounds it has (measured). */
enum { SMALL = 64 };

static uint64_t small_order(uint64_t i, uint64_t n, uint64_t seed, uint64_t stream) {
  uint8_t order[SMALL];
  wok__rng r;
  wok__rng_init(&r, wok__philox_subkey(seed, stream, 0x7065726du /* "perm" */), 0);
  for (uint64_t k = 0; k < n; k++) { /* the inside-out form: makes and shuffles in one loop */
    uint64_t j = wok__rng_below(&r, k + 1);
    order[k] = order[j];
    order[j] = (uint8_t)k;
  }
  return order[i];
}

/* A balanced Feistel network permutes [0, 4^h) for the smallest such power that holds n; values that fall outside [0, n)
   are sent through again until they fall inside ("cycle walking": Black and Rogaway, 2002), which leaves a permutation
   of [0, n) and takes fewer than four passes on average. The round function is Philox itself. Narrow halves mix less
   per round, so they get more rounds; pairs and triples of positions at n = 65..257 show no bias from 6 rounds on
   (measured). */
uint64_t wok__permute(uint64_t i, uint64_t n, uint64_t seed, uint64_t stream) {
  if (n <= 1 || i >= n) return i; /* outside there is nothing to permute: walking would not end */
  if (n <= SMALL) return small_order(i, n, seed, stream);
  int bits = 64 - __builtin_clzll(n - 1);
  int half = (bits + 1) / 2;
  int rounds = half <= 8 ? 10 : 8;
  uint32_t mask = (uint32_t)((UINT64_C(1) << half) - 1);
  const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
  do {
    uint32_t left = (uint32_t)(i >> half) & mask, right = (uint32_t)i & mask;
    for (int k = 0; k < rounds; k++) {
      /* 0x574f5000 + k: apart from the other uses of Philox under this seed (philox.c, rng.c). */
      const uint32_t ctr[4] = {right, (uint32_t)stream, (uint32_t)(stream >> 32), 0x574f5000u + (uint32_t)k};
      uint32_t out[4];
      wok__philox(ctr, key, out);
      uint32_t next = left ^ (out[0] & mask);
      left = right;
      right = next;
    }
    i = (uint64_t)left << half | right;
  } while (i >= n);
  return i;
}
