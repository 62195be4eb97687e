/* Regular expressions by PCRE2, after what Oniguruma means otherwise was written out. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "text/pattern.h"
#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_REGEX = 1 << 16, MATCH_LIMIT = 10 * 1000 * 1000, HEAP_LIMIT_KB = 64 * 1024 };

struct wok__pattern {
  pcre2_code *code;
  pcre2_match_context *limits;
};

/* \s is White_Space in Oniguruma (in PCRE2 10.42 it has U+180E too), \w has marks, \h is a hexadecimal digit. */
static bool write_class(wok__str *out, char letter, bool in_class) {
  static const struct { char letter; const char *inside, *outside; } meaning[] = {
      {'s', "\\p{White_Space}", "\\p{White_Space}"},
      {'S', "\\P{White_Space}", "\\P{White_Space}"},
      {'w', "\\p{L}\\p{M}\\p{Nd}\\p{Pc}", "[\\p{L}\\p{M}\\p{Nd}\\p{Pc}]"},
      {'W', NULL, "[^\\p{L}\\p{M}\\p{Nd}\\p{Pc}]"},
      {'h', "0-9a-fA-F", "[0-9a-fA-F]"},
      {'H', NULL, "[^0-9a-fA-F]"}};
  for (int64_t i = 0; i < WOK__COUNT(meaning); i++) {
    if (meaning[i].letter != letter) continue;
    const char *z = in_class ? meaning[i].inside : meaning[i].outside;
    if (z) wok__str_puts(out, z);
    return z != NULL;
  }
  const char two[3] = {'\\', letter, 0};
  wok__str_puts(out, two);
  return true;
}

static wok_status translate(wok_ctx *c, const char *where, const char *z, wok__str *out) {
  bool in_class = false;
  for (const char *p = z; *p; p++) {
    if (*p == '\\' && p[1]) {
      if (!write_class(out, *++p, in_class))
        return wok__fail(c, WOK_UNSUPPORTED, "%s: the regular expression has \\%c inside brackets, which is not known to this version", where, *p);
      continue;
    }
    if (in_class && ((*p == '[' && p[1] != ':') || (*p == '&' && p[1] == '&')))
      return wok__fail(c, WOK_UNSUPPORTED, "%s: the regular expression has %s inside brackets, which is not known to this version", where,
                       *p == '[' ? "brackets" : "&&");
    if (*p == '[') {
      in_class = true;
      wok__str_add(out, p, 1);
      if (p[1] == '^') wok__str_add(out, ++p, 1);
      if (p[1] == ']') wok__str_add(out, ++p, 1);
      continue;
    }
    if (*p == ']') in_class = false;
    wok__str_add(out, p, 1);
  }
  return out->failed ? wok__fail(c, WOK_LIMIT, "%s: a regular expression that is too long", where) : WOK_OK;
}

static wok_status compile(wok_ctx *c, wok__pattern *p, const char *where, const wok__str *z) {
  int error;
  PCRE2_SIZE at;
  /* ^ and $ stand at every line for Oniguruma's Ruby syntax, which the peers use */
  p->code = pcre2_compile((PCRE2_SPTR)(z->p ? z->p : ""), (PCRE2_SIZE)z->len,
                          PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_MATCH_INVALID_UTF | PCRE2_NEVER_BACKSLASH_C, &error, &at, NULL);
  if (!p->code) {
    PCRE2_UCHAR text[128];
    (void)pcre2_get_error_message(error, text, sizeof text);
    return wok__fail(c, WOK_FORMAT, "%s: the regular expression is not understood at character %lld: %s", where, (long long)at, (char *)text);
  }
  p->limits = pcre2_match_context_create(NULL);
  if (!p->limits) return wok__nomem(c, 0);
  (void)pcre2_set_match_limit(p->limits, MATCH_LIMIT);
  (void)pcre2_set_heap_limit(p->limits, HEAP_LIMIT_KB);
  (void)pcre2_jit_compile(p->code, PCRE2_JIT_COMPLETE); /* without it matching is only slower */
  return WOK_OK;
}

wok_status wok__pattern_new(wok_ctx *c, wok__pattern **out, const char *where, const char *regex) {
  *out = NULL;
  wok__str z;
  wok__str_init(&z, MOST_REGEX);
  wok__pattern *p = wok__calloc(1, (int64_t)sizeof *p);
  wok_status s = p ? translate(c, where, regex, &z) : wok__nomem(c, (int64_t)sizeof *p);
  if (s == WOK_OK) s = compile(c, p, where, &z);
  wok__str_free(&z);
  if (s)
    wok__pattern_free(p);
  else
    *out = p;
  return s;
}

void wok__pattern_free(wok__pattern *p) {
  if (!p) return;
  pcre2_code_free(p->code);
  pcre2_match_context_free(p->limits);
  wok__free(p);
}

static void match_free(void *m) { pcre2_match_data_free(m); }

/* What pcre2_match says; JIT's own stack is small. */
static int match_at(const wok__pattern *p, wok__enc *e, const uint8_t *text, int64_t n, int64_t from) {
  if (!e->match) {
    e->match = pcre2_match_data_create(1, NULL);
    e->match_free = match_free;
    if (!e->match) return PCRE2_ERROR_NOMEMORY;
  }
  int k = pcre2_match(p->code, text, (PCRE2_SIZE)n, (PCRE2_SIZE)from, PCRE2_NOTEMPTY, e->match, p->limits);
  if (k == PCRE2_ERROR_JIT_STACKLIMIT)
    k = pcre2_match(p->code, text, (PCRE2_SIZE)n, (PCRE2_SIZE)from, PCRE2_NOTEMPTY | PCRE2_NO_JIT, e->match, p->limits);
  if (k < 0 && k != PCRE2_ERROR_NOMATCH)
    (void)wok__enc_fail(e, k == PCRE2_ERROR_NOMEMORY ? WOK_NOMEM : WOK_LIMIT,
                        "the tokenizer's regular expression gave up on this text (PCRE2 error %d)", k);
  return k;
}

bool wok__pattern_find(const wok__pattern *p, wok__enc *e, const uint8_t *text, int64_t n, int64_t from, wok__span *match) {
  if (match_at(p, e, text, n, from) < 0) return false;
  const PCRE2_SIZE *o = pcre2_get_ovector_pointer(e->match);
  *match = (wok__span){(int64_t)o[0], (int64_t)o[1]};
  return match->b > match->a && match->a >= from;
}

int wok__pattern_group(const wok__pattern *p, wok__enc *e, const uint8_t *text, int64_t n) {
  if (match_at(p, e, text, n, 0) < 0) return 0;
  PCRE2_SPTR mark = pcre2_get_mark(e->match);
  return mark ? (int)strtol((const char *)mark, NULL, 10) : 0;
}
