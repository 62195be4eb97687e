/* base/number.c - numbers to text and back, the same in every locale. */
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/base.h"

static bool digit(char z) { return z >= '0' && z <= '9'; }

static double to_double(const char *z) {
  locale_t c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
  if (c_locale == (locale_t)0) return (double)NAN;
  int kept = errno; /* strtod sets it on overflow; nobody asked */
  double v = strtod_l(z, NULL, c_locale);
  errno = kept;
  freelocale(c_locale);
  return v;
}

void wok__str_double(wok__str *s, double v) {
  if (isnan(v)) {
    wok__str_puts(s, "nan");
    return;
  }
  if (isinf(v)) {
    wok__str_puts(s, v < 0 ? "-inf" : "inf");
    return;
  }
  char buf[40];
  for (int digits = 15; digits <= 17; digits++) {
    (void)wok__snprintf(buf, (int64_t)sizeof buf, "%.*g", digits, v);
    double back = to_double(buf);
    /* By bits: with DAZ on, two different denormals compare equal. */
    if (memcmp(&back, &v, sizeof v) == 0) break; /* NOLINT(bugprone-suspicious-memory-comparison,cert-exp42-c,cert-flp37-c) */
  }
  wok__str_puts(s, buf);
}

bool wok__parse_double(const char *z, double *v) {
  /* The syntax is checked by hand: strtod would take blanks, hex, "inf", "nan" and stop early at the rest. */
  const char *p = z;
  if (*p == '+' || *p == '-') p++;
  int64_t digits = 0;
  while (digit(*p)) p++, digits++;
  if (*p == '.') {
    p++;
    while (digit(*p)) p++, digits++;
  }
  if (digits == 0) return false;
  if (*p == 'e' || *p == 'E') {
    p++;
    if (*p == '+' || *p == '-') p++;
    if (!digit(*p)) return false;
    while (digit(*p)) p++;
  }
  if (*p) return false;
  double r = to_double(z);
  if (!isfinite(r)) return false;
  *v = r;
  return true;
}

/* Decimal digits with an optional sign; *end is where they stop. */
static bool digits_to_int64(const char *z, const char **end, int64_t *v) {
  bool minus = *z == '-';
  if (*z == '+' || *z == '-') z++;
  if (!digit(*z)) return false;
  int64_t r = 0; /* kept negative: INT64_MIN has no positive twin */
  for (; digit(*z); z++)
    if (__builtin_mul_overflow(r, (int64_t)10, &r) || __builtin_sub_overflow(r, (int64_t)(*z - '0'), &r))
      return false;
  if (!minus && r == INT64_MIN) return false;
  *v = minus ? r : -r;
  *end = z;
  return true;
}

bool wok__parse_int64(const char *z, int64_t *v) {
  const char *end;
  int64_t r;
  if (!digits_to_int64(z, &end, &r) || *end) return false;
  *v = r;
  return true;
}

bool wok__parse_size(const char *z, int64_t *bytes) {
  const char *end;
  int64_t r;
  if (!digit(*z) || !digits_to_int64(z, &end, &r)) return false;
  int shift = 0;
  switch (*end) {
  case '\0': break;
  case 'k':
  case 'K': shift = 10; break;
  case 'm':
  case 'M': shift = 20; break;
  case 'g':
  case 'G': shift = 30; break;
  case 't':
  case 'T': shift = 40; break;
  default: return false;
  }
  if (shift && end[1]) return false;
  return wok__mul(r, INT64_C(1) << shift, bytes);
}

/* v in the largest unit that leaves at least 1 before the point after rounding to one decimal. */
static void in_units(char *buf, int64_t cap, int64_t n, const char *const *unit, int units) {
  double v = fabs((double)n);
  int u = 0;
  while (u + 1 < units && v >= (u == 0 ? 1000.0 : 999.95)) v /= 1000.0, u++;
  const char *space = unit[u][0] ? " " : "";
  if (u == 0)
    (void)wok__snprintf(buf, cap, "%lld%s%s", (long long)n, space, unit[u]);
  else
    (void)wok__snprintf(buf, cap, "%s%.1f%s%s", n < 0 ? "-" : "", v, space, unit[u]);
}

void wok__format_size(char *buf, int64_t cap, int64_t bytes) {
  static const char *const unit[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
  in_units(buf, cap, bytes, unit, (int)WOK__COUNT(unit));
}

void wok__format_count(char *buf, int64_t cap, int64_t n) {
  static const char *const unit[] = {"", "K", "M", "B", "T"}; /* as the field counts parameters and tokens */
  in_units(buf, cap, n, unit, (int)WOK__COUNT(unit));
}

void wok__format_seconds(char *buf, int64_t cap, double s) {
  if (!(s >= 0) || s > 1e15) { /* also NaN: an estimate made from nothing */
    (void)wok__snprintf(buf, cap, "?");
    return;
  }
  long long t = (long long)(s + 0.5), h = t / 3600, m = t / 60 % 60, sec = t % 60;
  if (h > 0)
    (void)wok__snprintf(buf, cap, "%lld:%02lld:%02lld", h, m, sec);
  else
    (void)wok__snprintf(buf, cap, "%lld:%02lld", m, sec);
}
