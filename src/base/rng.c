/* base/rng.c - a sequential generator over Philox, for set-up work. */
#include <math.h>
#include "base/base.h"

__extension__ typedef unsigned __int128 u128;

void wok__rng_init(wok__rng *r, uint64_t seed, uint32_t stream) {
  /* "WOK2": a stream here never equals the operator of the same number (philox.c). */
  const uint32_t ctr[4] = {0, 0, stream, 0x574f4b32u};
  const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
  uint32_t out[4];
  wok__philox(ctr, key, out);
  *r = (wok__rng){.key = (uint64_t)out[1] << 32 | out[0]};
}

uint32_t wok__rng_u32(wok__rng *r) {
  if (r->left == 0) {
    const uint32_t ctr[4] = {(uint32_t)r->ctr, (uint32_t)(r->ctr >> 32), 0, 0};
    const uint32_t key[2] = {(uint32_t)r->key, (uint32_t)(r->key >> 32)};
    wok__philox(ctr, key, r->buf);
    r->ctr++;
    r->left = 4;
  }
  return r->buf[4 - r->left--];
}

static uint64_t next64(wok__rng *r) {
  uint64_t lo = wok__rng_u32(r), hi = wok__rng_u32(r);
  return hi << 32 | lo;
}

/* Lemire, "Fast random integer generation in an interval" (2019): the high word of x*n, with the few x redrawn that
   would make some results more likely. */
uint64_t wok__rng_below(wok__rng *r, uint64_t n) {
  if (n <= 1) return 0;
  u128 m = (u128)next64(r) * n;
  if ((uint64_t)m < n) {
    uint64_t floor = (0 - n) % n; /* 2^64 mod n */
    while ((uint64_t)m < floor) m = (u128)next64(r) * n;
  }
  return (uint64_t)(m >> 64);
}

double wok__rng_uniform(wok__rng *r) {
  uint64_t k;
  do k = next64(r) >> 11;
  while (k == 0); /* 0 is excluded: callers take logarithms */
  return (double)k * 0x1p-53;
}

/* Marsaglia's polar method: exact normal tails, and of libm only log and sqrt. */
double wok__rng_normal(wok__rng *r) {
  if (r->have_spare) {
    r->have_spare = false;
    return r->spare;
  }
  double u, v, s;
  do {
    u = 2.0 * wok__rng_uniform(r) - 1.0;
    v = 2.0 * wok__rng_uniform(r) - 1.0;
    s = u * u + v * v;
  } while (s >= 1.0 || s == 0.0);
  double f = sqrt(-2.0 * log(s) / s);
  r->spare = v * f;
  r->have_spare = true;
  return u * f;
}
