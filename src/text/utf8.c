/* UTF-8 by the chunk. */
#include <string.h>
#include "text/utf8.h"

int64_t wok__utf8_count(const uint8_t *p, int64_t n) {
  int64_t count = 0;
  for (int64_t i = 0; i < n; i++) count += (p[i] & 0xc0u) != 0x80u;
  return count;
}

int64_t wok__utf8_valid(const uint8_t *p, int64_t n, int *cut) {
  int64_t i = 0;
  *cut = 0;
  while (i < n) {
    if (p[i] < 0x80) {
      uint64_t eight;
      if (n - i >= 8 && (memcpy(&eight, p + i, 8), (eight & UINT64_C(0x8080808080808080)) == 0))
        i += 8;
      else
        i++;
      continue;
    }
    uint32_t cp;
    int k = wok__utf8_next(p + i, n - i, &cp);
    if (k <= 0) {
      *cut = k < 0;
      break;
    }
    i += k;
  }
  return i;
}
