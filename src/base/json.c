/* base/json.c - reading JSON under bounds, and the typed getters. */
#include <limits.h>
#include <string.h>
#include "base/inside.h"
#include "base/json.h"

/* ---- before the parser ----
   jansson has no memory bound of its own and spends up to 75 bytes per byte of text on things like "{},{},{},".
   One pass over the text adds up what the tree would take (sizes as malloc rounds them in jansson 2.14 on 64 bits),
   and finds integers that jansson would refuse because they do not fit 64 bits. */
enum { ARRAY_COST = 128, OBJECT_COST = 224, STRING_COST = 96, NUMBER_COST = 32, SLOT_COST = 16 };
enum { PER_BYTE = 32, AND_MORE = 16 << 20 };

typedef struct scan_result {
  int64_t bytes;
  int64_t wide; /* integers beyond 64 bits */
} scan_result;

static int64_t string_end(const char *z, int64_t n,
                          int64_t i) { /* i: after the opening quote; returns after the closing one */
  while (i < n && z[i] != '"') i += z[i] == '\\' ? 2 : 1;
  return WOK__MIN(i + 1, n);
}

static bool number_char(char z) {
  return (z >= '0' && z <= '9') || z == '+' || z == '-' || z == '.' || z == 'e' || z == 'E';
}

static bool wide_integer(const char *z, int64_t n) {
  bool minus = n > 0 && z[0] == '-';
  int64_t v = 0;
  for (int64_t i = minus; i < n; i++) {
    if (z[i] < '0' || z[i] > '9') return false;
    if (__builtin_mul_overflow(v, (int64_t)10, &v) || __builtin_sub_overflow(v, (int64_t)(z[i] - '0'), &v)) {
      for (i++; i < n; i++)
        if (z[i] < '0' || z[i] > '9') return false;
      return true;
    }
  }
  return !minus && v == INT64_MIN;
}

/* With `fixed` also copies the text, ".0" behind every wide integer. */
static scan_result scan(const char *z, int64_t n, wok__str *fixed) {
  scan_result r = {0, 0};
  int64_t copied = 0;
  for (int64_t i = 0; i < n;) {
    int64_t begin = i++;
    switch (z[begin]) {
    case '[': r.bytes += ARRAY_COST + SLOT_COST; break;
    case '{': r.bytes += OBJECT_COST; break;
    case ',': r.bytes += SLOT_COST; break;
    case '"':
      i = string_end(z, n, i);
      r.bytes += STRING_COST + (i - begin);
      break;
    default:
      if (z[begin] != '-' && (z[begin] < '0' || z[begin] > '9')) break;
      while (i < n && number_char(z[i])) i++;
      r.bytes += NUMBER_COST;
      if (i - begin < 19 || !wide_integer(z + begin, i - begin)) break;
      r.wide++;
      if (fixed) {
        wok__str_add(fixed, z + copied, i - copied);
        wok__str_puts(fixed, ".0");
        copied = i;
      }
    }
  }
  if (fixed) wok__str_add(fixed, z + copied, n - copied);
  return r;
}

static wok_status parse_failed(wok_ctx *c, const json_error_t *e, const char *where) {
  switch (json_error_code(e)) {
  case json_error_out_of_memory: return wok__fail(c, WOK_NOMEM, "%s: out of memory", where);
  case json_error_stack_overflow:
    return wok__fail(c, WOK_LIMIT, "%s: line %d column %d: nested too deeply", where, e->line, e->column);
  default: return wok__fail(c, WOK_FORMAT, "%s: not JSON: line %d column %d: %s", where, e->line, e->column, e->text);
  }
}

wok_status wok__json_parse(wok_ctx *c, json_t **out, const char *text, int64_t n, const char *where) {
  *out = NULL;
  if (n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) text += 3, n -= 3;
  scan_result r = scan(text, n, NULL);
  if (r.bytes > AND_MORE && (r.bytes - AND_MORE) / PER_BYTE > n) {
    char size[32];
    wok__format_size(size, (int64_t)sizeof size, r.bytes);
    return wok__fail(c, WOK_LIMIT, "%s: too many small values: %s of memory for %lld bytes of JSON", where,
                     size, (long long)n);
  }
  wok__str fixed;
  wok__str_init(&fixed, INT64_MAX / 4);
  if (r.wide > 0) {
    (void)scan(text, n, &fixed);
    if (fixed.failed) {
      wok__str_free(&fixed);
      return wok__nomem(c, n);
    }
    text = fixed.p;
    n = fixed.len;
  }
  json_error_t e;
  *out = json_loadb(text, (size_t)n, JSON_REJECT_DUPLICATES, &e);
  wok__str_free(&fixed);
  return *out ? WOK_OK : parse_failed(c, &e, where);
}

wok_status wok__json_read(wok_ctx *c, json_t **out, const char *path, int64_t max_bytes) {
  char *text;
  int64_t n;
  *out = NULL;
  WOK__TRY(wok__read_file(c, path, max_bytes, &text, &n));
  wok_status s = wok__json_parse(c, out, text, n, path);
  wok__free(text);
  return s;
}

/* ---- typed getters ---- */

enum { SHOWN = 80 };

/* What is there instead, for the end of a message. */
static const char *shown(char buf[SHOWN], const json_t *v) {
  switch (json_typeof(v)) {
  case JSON_OBJECT: return "an object";
  case JSON_ARRAY: return "an array";
  case JSON_TRUE: return "true";
  case JSON_FALSE: return "false";
  case JSON_NULL: return "null";
  case JSON_INTEGER:
    (void)wok__snprintf(buf, SHOWN, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
    return buf;
  case JSON_REAL: {
    wok__str s;
    wok__str_init(&s, SHOWN - 1);
    wok__str_double(&s, json_real_value(v));
    (void)wok__snprintf(buf, SHOWN, "%s", s.p ? s.p : "a number");
    wok__str_free(&s);
    return buf;
  }
  case JSON_STRING: {
    const char *z = json_string_value(v);
    int n = (int)strnlen(z, 41);
    if (n > 40) /* not in the middle of a character */
      for (n = 40; n > 36 && ((unsigned char)z[n] & 0xc0u) == 0x80u;) n--;
    (void)wok__snprintf(buf, SHOWN, "\"%.*s%s\"", n, z, z[n] ? "..." : "");
    return buf;
  }
  }
  return "something else";
}

/* *v is NULL when the key is absent or null. */
static wok_status member(wok_ctx *c, const json_t *o, const char *where, const char *key, const json_t **v) {
  *v = NULL;
  if (!json_is_object(o)) {
    char buf[SHOWN];
    return wok__fail(c, WOK_FORMAT, "%s: must be an object with the key %s, not %s", where, key,
                     o ? shown(buf, o) : "nothing");
  }
  const json_t *j = json_object_get(o, key);
  if (j && !json_is_null(j)) *v = j;
  return WOK_OK;
}

static wok_status missing(wok_ctx *c, const json_t *o, const char *where, const char *key) {
  return wok__fail(c, WOK_FORMAT, "%s: %s is %s", where, key, json_object_get(o, key) ? "null" : "missing");
}

static wok_status get_int(wok_ctx *c, const json_t *j, const char *where, const char *key, int64_t lo,
                          int64_t hi, int64_t *v) {
  if (json_is_integer(j)) {
    int64_t x = (int64_t)json_integer_value(j);
    if (x >= lo && x <= hi) {
      *v = x;
      return WOK_OK;
    }
  }
  char buf[SHOWN], range[64] = "";
  if (lo > INT64_MIN && hi < INT64_MAX)
    (void)wok__snprintf(range, (int64_t)sizeof range, " in [%lld, %lld]", (long long)lo, (long long)hi);
  else if (lo > INT64_MIN)
    (void)wok__snprintf(range, (int64_t)sizeof range, " of at least %lld", (long long)lo);
  else if (hi < INT64_MAX)
    (void)wok__snprintf(range, (int64_t)sizeof range, " of at most %lld", (long long)hi);
  return wok__fail(c, WOK_FORMAT, "%s: %s must be an integer%s, not %s", where, key, range, shown(buf, j));
}

wok_status wok__json_int_opt(wok_ctx *c, const json_t *o, const char *where, const char *key, int64_t lo,
                             int64_t hi, int64_t *v) {
  const json_t *j;
  WOK__TRY(member(c, o, where, key, &j));
  return j ? get_int(c, j, where, key, lo, hi, v) : WOK_OK;
}

wok_status wok__json_int(wok_ctx *c, const json_t *o, const char *where, const char *key, int64_t lo,
                         int64_t hi, int64_t *v) {
  const json_t *j;
  WOK__TRY(member(c, o, where, key, &j));
  return j ? get_int(c, j, where, key, lo, hi, v) : missing(c, o, where, key);
}

wok_status wok__json_double_opt(wok_ctx *c, const json_t *o, const char *where, const char *key, double lo,
                                double hi, double *v) {
  const json_t *j;
  WOK__TRY(member(c, o, where, key, &j));
  if (!j) return WOK_OK;
  if (json_is_number(j)) {
    double x = json_number_value(j);
    if (x >= lo && x <= hi) {
      *v = x;
      return WOK_OK;
    }
  }
  char buf[SHOWN];
  return wok__fail(c, WOK_FORMAT, "%s: %s must be a number in [%g, %g], not %s", where, key, lo, hi,
                   shown(buf, j));
}

wok_status wok__json_bool_opt(wok_ctx *c, const json_t *o, const char *where, const char *key, bool *v) {
  const json_t *j;
  WOK__TRY(member(c, o, where, key, &j));
  if (!j) return WOK_OK;
  if (!json_is_boolean(j)) {
    char buf[SHOWN];
    return wok__fail(c, WOK_FORMAT, "%s: %s must be true or false, not %s", where, key, shown(buf, j));
  }
  *v = json_is_true(j);
  return WOK_OK;
}

wok_status wok__json_str_opt(wok_ctx *c, const json_t *o, const char *where, const char *key,
                             const char **v) {
  const json_t *j;
  WOK__TRY(member(c, o, where, key, &j));
  if (!j) return WOK_OK;
  if (!json_is_string(j)) {
    char buf[SHOWN];
    return wok__fail(c, WOK_FORMAT, "%s: %s must be a string, not %s", where, key, shown(buf, j));
  }
  *v = json_string_value(j);
  return WOK_OK;
}

wok_status wok__json_str(wok_ctx *c, const json_t *o, const char *where, const char *key, const char **v) {
  const json_t *j;
  WOK__TRY(member(c, o, where, key, &j));
  return j ? wok__json_str_opt(c, o, where, key, v) : missing(c, o, where, key);
}
