#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>
#include "corpus/normal.h"

void wok__field_of(const uint8_t **p, int64_t *n, int64_t field, uint8_t separator) {
  const uint8_t *at = *p, *end = *p + *n;
  for (int64_t i = 1;; i++) {
    const uint8_t *z = at < end ? memchr(at, separator, (size_t)(end - at)) : NULL;
    if (i == field) {
      *n = (z ? z : end) - at;
      *p = at;
      return;
    }
    if (!z) return;
    at = z + 1;
  }
}

/* Unicode's White_Space: bytes of the character that begins here, 0: none. */
static int space(const uint8_t *p, int64_t n) {
  if (*p < 0x80) return *p == ' ' || (*p >= 9 && *p <= 13);
  if (n >= 2 && p[0] == 0xc2) return p[1] == 0x85 || p[1] == 0xa0 ? 2 : 0;
  if (n < 3) return 0;
  uint32_t cp = (uint32_t)(p[0] & 15) << 12 | (uint32_t)(p[1] & 63) << 6 | (uint32_t)(p[2] & 63);
  if (p[0] != 0xe1 && p[0] != 0xe2 && p[0] != 0xe3) return 0;
  return cp == 0x1680 || (cp >= 0x2000 && cp <= 0x200a) || cp == 0x2028 || cp == 0x2029 || cp == 0x202f ||
                 cp == 0x205f || cp == 0x3000
             ? 3
             : 0;
}

static void squeeze(const uint8_t *p, int64_t n, wok__str *to) {
  bool gap = false;
  wok__str_clear(to);
  for (int64_t i = 0; i < n;) {
    int k = space(p + i, n - i);
    if (k) {
      gap = true;
      i += k;
      continue;
    }
    if (gap && to->len > 0) wok__str_add(to, " ", 1);
    gap = false;
    int64_t from = i;
    while (i < n && !space(p + i, n - i)) i++;
    wok__str_add(to, p + from, i - from);
  }
}

wok_status wok__normal_form(wok_ctx *c, wok_normal how, const uint8_t **p, int64_t *n, wok__str *buf) {
  if (how == WOK_NORMAL_NONE) return WOK_OK;
  utf8proc_uint8_t *folded = NULL;
  if (how == WOK_NORMAL_FOLD) {
    utf8proc_ssize_t k =
        utf8proc_map(*p, (utf8proc_ssize_t)*n, &folded,
                     (utf8proc_option_t)(UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT |
                                         UTF8PROC_CASEFOLD | UTF8PROC_IGNORE));
    if (k == UTF8PROC_ERROR_NOMEM) return wok__nomem(c, *n);
    if (k >= 0) *p = folded, *n = (int64_t)k;
  }
  squeeze(*p, *n, buf);
  free(folded); /* utf8proc's own allocation is malloc's */
  if (buf->failed) return wok__nomem(c, *n);
  *p = (const uint8_t *)(buf->p ? buf->p : "");
  *n = buf->len;
  return WOK_OK;
}
