/* base/json_text.c - writing JSON. Not jansson's own writer: that prints 0.1 as 0.10000000000000001 and cannot be told
   otherwise without losing digits elsewhere. */
#include <math.h>
#include <string.h>
#include "base/inside.h"
#include "base/json.h"

typedef struct out {
  wok_ctx *c;
  wok__str *s;
  int indent;
} out;

static void line(const out *o, int depth) {
  static const char blanks[] = "                                ";
  if (o->indent <= 0) return;
  wok__str_puts(o->s, "\n");
  for (int64_t n = (int64_t)o->indent * depth; n > 0;) {
    int64_t k = WOK__MIN(n, (int64_t)sizeof blanks - 1);
    wok__str_add(o->s, blanks, k);
    n -= k;
  }
}

/* UTF-8 stays as it is; only what JSON demands is escaped. */
static void quoted(wok__str *s, const char *z, size_t n) {
  size_t from = 0;
  wok__str_puts(s, "\"");
  for (size_t i = 0; i < n; i++) {
    unsigned char b = (unsigned char)z[i];
    if (b >= 0x20u && b != '"' && b != '\\') continue;
    wok__str_add(s, z + from, (int64_t)(i - from));
    from = i + 1;
    switch (b) {
    case '"': wok__str_puts(s, "\\\""); break;
    case '\\': wok__str_puts(s, "\\\\"); break;
    case '\n': wok__str_puts(s, "\\n"); break;
    case '\r': wok__str_puts(s, "\\r"); break;
    case '\t': wok__str_puts(s, "\\t"); break;
    default: wok__str_printf(s, "\\u%04x", b);
    }
  }
  wok__str_add(s, z + from, (int64_t)(n - from));
  wok__str_puts(s, "\"");
}

static wok_status real(const out *o, double v) {
  if (!isfinite(v)) return wok__fail(o->c, WOK_NONFINITE, "JSON cannot hold a number that is not finite");
  int64_t at = o->s->len;
  wok__str_double(o->s, v);
  if (!o->s->failed && !strpbrk(o->s->p + at, ".e"))
    wok__str_puts(o->s, ".0"); /* a real stays a real when read back */
  return WOK_OK;
}

static wok_status value(const out *o, const json_t *j, int depth);

static wok_status array(const out *o, const json_t *j, int depth) {
  size_t n = json_array_size(j);
  wok__str_puts(o->s, "[");
  for (size_t i = 0; i < n; i++) {
    if (i) wok__str_puts(o->s, ",");
    line(o, depth + 1);
    WOK__TRY(value(o, json_array_get(j, i), depth + 1));
  }
  if (n) line(o, depth);
  wok__str_puts(o->s, "]");
  return WOK_OK;
}

static wok_status object(const out *o, const json_t *j, int depth) {
  json_t *it_of = (json_t *)j; /* jansson's iterators take no const, but do not write */
  bool first = true;
  wok__str_puts(o->s, "{");
  for (void *it = json_object_iter(it_of); it; it = json_object_iter_next(it_of, it)) {
    if (!first) wok__str_puts(o->s, ",");
    first = false;
    line(o, depth + 1);
    const char *key = json_object_iter_key(it);
    quoted(o->s, key, strlen(key));
    wok__str_puts(o->s, o->indent > 0 ? ": " : ":");
    WOK__TRY(value(o, json_object_iter_value(it), depth + 1));
  }
  if (!first) line(o, depth);
  wok__str_puts(o->s, "}");
  return WOK_OK;
}

static wok_status value(const out *o, const json_t *j, int depth) {
  /* Also ends the walk through a tree that contains itself. */
  if (depth > JSON_PARSER_MAX_DEPTH)
    return wok__fail(o->c, WOK_LIMIT, "JSON nested too deeply to be read again");
  switch (json_typeof(j)) {
  case JSON_OBJECT: return object(o, j, depth);
  case JSON_ARRAY: return array(o, j, depth);
  case JSON_STRING: quoted(o->s, json_string_value(j), json_string_length(j)); return WOK_OK;
  case JSON_INTEGER: wok__str_printf(o->s, "%" JSON_INTEGER_FORMAT, json_integer_value(j)); return WOK_OK;
  case JSON_REAL: return real(o, json_real_value(j));
  case JSON_TRUE: wok__str_puts(o->s, "true"); return WOK_OK;
  case JSON_FALSE: wok__str_puts(o->s, "false"); return WOK_OK;
  case JSON_NULL: wok__str_puts(o->s, "null"); return WOK_OK;
  }
  return wok__fail(o->c, WOK_INVALID, "not a JSON value");
}

wok_status wok__json_text(wok_ctx *c, const json_t *j, wok__str *s, int indent) {
  if (!j) return wok__fail(c, WOK_INVALID, "no JSON value to write");
  const out o = {c, s, indent};
  WOK__TRY(value(&o, j, 0));
  return s->failed ? wok__fail(c, WOK_NOMEM, "out of memory or room for JSON text") : WOK_OK;
}

wok_status wok__json_write(wok_ctx *c, const json_t *j, const char *path) {
  wok__str s;
  wok__str_init(&s, INT64_MAX / 4);
  wok_status st = wok__json_text(c, j, &s, 2);
  if (st) {
    st = wok__fail_prefix(c, st, "%s", path);
  } else {
    wok__str_puts(&s, "\n");
    st = s.failed ? wok__nomem(c, s.len) : wok__write_file(c, path, s.p, s.len);
  }
  wok__str_free(&s);
  return st;
}
