/* base/philox.c - Philox4x32-10 (Salmon et al., SC'11): the random numbers of everything, a function of counter and key. */
#include "base/base.h"

void wok__philox(const uint32_t ctr[4], const uint32_t key[2], uint32_t out[4]) {
  uint32_t c0 = ctr[0], c1 = ctr[1], c2 = ctr[2], c3 = ctr[3], k0 = key[0], k1 = key[1];
  for (int round = 0; round < 10; round++) {
    uint64_t a = (uint64_t)c0 * 0xD2511F53u, b = (uint64_t)c2 * 0xCD9E8D57u;
    c0 = (uint32_t)(b >> 32) ^ c1 ^ k0;
    c2 = (uint32_t)(a >> 32) ^ c3 ^ k1;
    c1 = (uint32_t)b;
    c3 = (uint32_t)a;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}

uint64_t wok__philox_subkey(uint64_t seed, uint64_t tick, uint32_t stream) {
  /* The last counter word, "WOK1", keeps this use apart from every other one under the same seed. */
  const uint32_t ctr[4] = {(uint32_t)tick, (uint32_t)(tick >> 32), stream, 0x574f4b31u};
  const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
  uint32_t out[4];
  wok__philox(ctr, key, out);
  return (uint64_t)out[1] << 32 | out[0];
}
