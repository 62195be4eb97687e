/* Precompiled character maps, every index checked: the blob comes from a file. */
#include "text/charsmap.h"
#include <string.h>

struct wok__charsmap {
  uint32_t *unit;
  int64_t units;
  char *text; /* replacements, each ends with NUL */
  int64_t n;
};

static uint32_t le32(const uint8_t *p) { return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24; }

wok_status wok__charsmap_new(wok_ctx *c, wok__charsmap **out, const char *where, const uint8_t *blob, int64_t n) {
  *out = NULL;
  int64_t bytes = n >= 4 ? (int64_t)le32(blob) : 0;
  if (n < 4 || bytes > n - 4 || bytes % 4 || bytes < 4 || (n - 4 - bytes > 0 && blob[n - 1] != 0))
    return wok__fail(c, WOK_CORRUPT, "%s: the precompiled character map is damaged", where);
  wok__charsmap *m = wok__calloc(1, (int64_t)sizeof *m);
  if (m) {
    m->units = bytes / 4;
    m->n = n - 4 - bytes;
    m->unit = wok__malloc(bytes);
    m->text = wok__malloc(m->n + 1);
  }
  if (!m || !m->unit || !m->text) {
    wok__charsmap_free(m);
    return wok__nomem(c, n);
  }
  for (int64_t i = 0; i < m->units; i++) m->unit[i] = le32(blob + 4 + 4 * i);
  memcpy(m->text, blob + 4 + bytes, (size_t)m->n);
  m->text[m->n] = 0;
  *out = m;
  return WOK_OK;
}

void wok__charsmap_free(wok__charsmap *m) {
  if (!m) return;
  wok__free(m->unit);
  wok__free(m->text);
  wok__free(m);
}

static int64_t offset_of(uint32_t u) { return (int64_t)((u >> 10) << ((u & 0x200u) >> 6)); }

/* Follows p; of the keys met, the longest (first: the shortest). Returns its length. */
static int64_t walk(const wok__charsmap *m, const uint8_t *p, int64_t n, bool first, int64_t *value) {
  int64_t at = offset_of(m->unit[0]), best = 0;
  for (int64_t i = 0; i < n && p[i]; i++) {
    at ^= p[i];
    if (at < 0 || at >= m->units) break;
    uint32_t u = m->unit[at];
    if ((u & 0x800000ffu) != p[i]) break;
    at ^= offset_of(u);
    if (at < 0 || at >= m->units) break;
    if (!(u >> 8 & 1)) continue;
    best = i + 1;
    *value = (int64_t)(m->unit[at] & 0x7fffffffu);
    if (first) break;
  }
  return best > 0 && *value < m->n ? best : 0;
}

int64_t wok__charsmap_match(const wok__charsmap *m, const uint8_t *p, int64_t n, const char **with, int64_t *with_n) {
  int64_t value = 0, k = walk(m, p, n, false, &value);
  if (k == 0) return 0;
  *with = m->text + value;
  *with_n = (int64_t)strlen(*with);
  return k;
}

const char *wok__charsmap_first(const wok__charsmap *m, const uint8_t *p, int64_t n, int64_t *with_n) {
  int64_t value = 0;
  if (walk(m, p, n, true, &value) == 0) return NULL;
  *with_n = (int64_t)strlen(m->text + value);
  return m->text + value;
}

wok_status wok__base64(wok_ctx *c, const char *where, const char *z, int64_t n, uint8_t **out, int64_t *len) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  *len = 0;
  while (n > 0 && z[n - 1] == '=') n--;
  uint8_t *p = *out = wok__malloc(n / 4 * 3 + 4);
  if (!p) return wok__nomem(c, n);
  int64_t k = 0;
  uint32_t v = 0;
  for (int64_t i = 0; i < n; i++) {
    const char *d = z[i] ? strchr(digits, z[i]) : NULL;
    if (!d || n % 4 == 1) {
      wok__free(p);
      *out = NULL;
      return wok__fail(c, WOK_FORMAT, "%s: not base64 at character %lld", where, (long long)i);
    }
    v = v << 6 | (uint32_t)(d - digits);
    if (i % 4 == 1) p[k++] = (uint8_t)(v >> 4);
    if (i % 4 == 2) p[k++] = (uint8_t)(v >> 2);
    if (i % 4 == 3) p[k++] = (uint8_t)v;
  }
  *len = k;
  return WOK_OK;
}
