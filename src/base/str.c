/* base/str.c - the bounded string buffer, and printing that does not follow the host's locale. */
#include <limits.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include "base/base.h"

/* The thread's locale is switched for the length of one call and put back. The alternative, replacing
   localeconv()->decimal_point afterwards, reads a buffer other threads may be rewriting and cannot tell a decimal comma
   from one in the text. newlocale("C") hands out a constant object in glibc and musl: nothing is allocated. */
int wok__vsnprintf(char *buf, int64_t cap, const char *fmt, va_list ap) {
  locale_t c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
  locale_t host = c_locale != (locale_t)0 ? uselocale(c_locale) : (locale_t)0;
  int n = vsnprintf(buf, cap > 0 ? (size_t)cap : 0, fmt, ap);
  if (c_locale != (locale_t)0) {
    (void)uselocale(host);
    freelocale(c_locale);
  }
  return n;
}

int wok__snprintf(char *buf, int64_t cap, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  int n = wok__vsnprintf(buf, cap, fmt, ap);
  va_end(ap);
  return n;
}

void wok__str_init(wok__str *s, int64_t max) { *s = (wok__str){.max = max}; }

void wok__str_free(wok__str *s) {
  wok__free(s->p);
  *s = (wok__str){.max = s->max};
}

void wok__str_clear(wok__str *s) {
  s->len = 0;
  s->failed = false;
  if (s->p) s->p[0] = '\0';
}

/* Room for n more bytes and the NUL. The block never exceeds max + 1, so what fits the block also fits the limit. */
static bool room(wok__str *s, int64_t n) {
  int64_t len, cap;
  if (s->failed) return false;
  if (!wok__add(s->len, n, &len) || len > s->max || !wok__add(len, 1, &cap)) {
    s->failed = true;
    return false;
  }
  if (cap <= s->cap) return true;
  int64_t grown = s->cap > INT64_MAX / 2 ? cap : WOK__MAX(cap, s->cap * 2);
  grown = WOK__MAX(grown, 64);
  if (s->max < INT64_MAX) grown = WOK__MAX(cap, WOK__MIN(grown, s->max + 1));
  char *p = wok__realloc(s->p, grown);
  if (!p) {
    s->failed = true;
    return false;
  }
  s->p = p;
  s->cap = grown;
  return true;
}

void wok__str_add(wok__str *s, const void *p, int64_t n) {
  if (!room(s, n)) return;
  if (n > 0) memcpy(s->p + s->len, p, (size_t)n);
  s->len += n;
  s->p[s->len] = '\0';
}

void wok__str_puts(wok__str *s, const char *z) { wok__str_add(s, z, (int64_t)strlen(z)); }

void wok__str_vprintf(wok__str *s, const char *fmt, va_list ap) {
  if (!room(s, 0)) return;
  va_list again;
  va_copy(again, ap);
  int n = wok__vsnprintf(s->p + s->len, s->cap - s->len, fmt, ap);
  if (n < 0) {
    s->failed = true;
  } else if (n < s->cap - s->len) {
    s->len += n;
  } else if (room(s, n)) {
    (void)wok__vsnprintf(s->p + s->len, s->cap - s->len, fmt, again);
    s->len += n;
  }
  va_end(again);
  s->p[s->len] = '\0';
}

void wok__str_printf(wok__str *s, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  wok__str_vprintf(s, fmt, ap);
  va_end(ap);
}
