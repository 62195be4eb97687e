/* text/utf8.h - strict UTF-8: no surrogates, nothing overlong, nothing above U+10FFFF. */
#ifndef WOK_TEXT_UTF8_H
#define WOK_TEXT_UTF8_H
#include <stdint.h>

enum { WOK__CODE_POINTS = 0x110000 };

/* The code point at p, of which n > 0 bytes are there. Returns its length, 0 where no character begins, -1 where the n bytes
   are the beginning of one. */
static inline int wok__utf8_next(const uint8_t *p, int64_t n, uint32_t *cp) {
  uint32_t a = p[0];
  if (a < 0x80) return *cp = a, 1;
  if (a < 0xc2 || a > 0xf4) return 0;
  int length = a < 0xe0 ? 2 : a < 0xf0 ? 3 : 4;
  if (n < 2) return -1;
  /* narrower bounds of the second byte keep out what is overlong, surrogates, and what is above U+10FFFF */
  uint32_t low = 0x80, high = 0xbf;
  if (a == 0xe0) low = 0xa0;
  if (a == 0xed) high = 0x9f;
  if (a == 0xf0) low = 0x90;
  if (a == 0xf4) high = 0x8f;
  if (p[1] < low || p[1] > high) return 0;
  uint32_t v = (a & (0x7fu >> length)) << 6 | (p[1] & 0x3fu);
  for (int i = 2; i < length; i++) {
    if (i >= n) return -1;
    if ((p[i] & 0xc0u) != 0x80u) return 0;
    v = v << 6 | (p[i] & 0x3fu);
  }
  return *cp = v, length;
}

static inline int wok__utf8_put(uint32_t cp, char *out) {
  if (cp < 0x80) return out[0] = (char)cp, 1;
  int length = cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
  for (int i = length - 1; i > 0; i--, cp >>= 6) out[i] = (char)(0x80u | (cp & 0x3fu));
  out[0] = (char)((0xf00u >> length & 0xf0u) | cp);
  return length;
}

/* Characters that begin in these bytes. Every byte that does not continue one counts, so that other text has a length too. */
int64_t wok__utf8_count(const uint8_t *p, int64_t n);
/* How many of the n bytes are whole, valid characters from the beginning on; *cut says that what follows is the beginning
   of one (and no error as long as more text comes). */
int64_t wok__utf8_valid(const uint8_t *p, int64_t n, int *cut);

#endif
