/* The two formats in which the tables for unknown words come: jieba's Python files (P={'B': {'\u4e00': -3.65, ...}, ...}) and
   cppjieba's hmm_model.utf8 (start; four lines of transitions; four lines of "character:ln p,..."; states B, E, M, S). */
#include <stdlib.h>
#include <string.h>
#include "text/segmenter.h"
#include "text/utf8.h"

static const int64_t most_table = INT64_C(64) << 20;

typedef struct scan { wok_ctx *c; const char *p, *end, *begin, *where; } scan;

static wok_status wrong(const scan *s, const char *what) {
  int64_t line = 1;
  for (const char *p = s->begin; p < s->p; p++) line += *p == '\n';
  return wok__fail(s->c, WOK_FORMAT, "%s, line %lld: %s", s->where, (long long)line, what);
}

static void skip_space(scan *s) {
  while (s->p < s->end && (*s->p == ' ' || *s->p == '\t' || *s->p == '\r' || *s->p == '\n')) s->p++;
}

static bool take(scan *s, char c) {
  skip_space(s);
  if (s->p == s->end || *s->p != c) return false;
  s->p++;
  return true;
}

static wok_status number(scan *s, double *v) {
  char text[64];
  size_t n = 0;
  skip_space(s);
  while (s->p < s->end && n < sizeof text - 1 && strchr("+-.0123456789eE", *s->p) && *s->p) text[n++] = *s->p++;
  text[n] = 0;
  return wok__parse_double(text, v) ? WOK_OK : wrong(s, "a number was expected");
}

static int state_of(uint32_t c) {
  static const char letters[] = "BMES";
  const char *p = c < 0x80 && c ? strchr(letters, (int)c) : NULL;
  return p ? (int)(p - letters) : -1;
}

/* ---- Python ---- */

/* A string of one character: 'B', "B", '\u4e00', u'...' or the character itself. */
static wok_status key(scan *s, uint32_t *cp) {
  if (!take(s, 'u')) skip_space(s);
  if (s->p == s->end || (*s->p != '\'' && *s->p != '"')) return wrong(s, "a character in quotes was expected");
  char quote = *s->p++;
  if (s->end - s->p >= 6 && s->p[0] == '\\' && s->p[1] == 'u') {
    char hex[5] = {0};
    memcpy(hex, s->p + 2, 4);
    if (strspn(hex, "0123456789abcdefABCDEF") != 4) return wrong(s, "\\u takes four hexadecimal digits");
    *cp = (uint32_t)strtoul(hex, NULL, 16);
    s->p += 6;
  } else {
    int k = s->p < s->end ? wok__utf8_next((const uint8_t *)s->p, s->end - s->p, cp) : 0;
    if (k <= 0) return wrong(s, "not UTF-8");
    s->p += k;
  }
  return take(s, quote) ? WOK_OK : wrong(s, "a single character was expected between quotes");
}

/* { key: value, ... } with value() for each. */
static wok_status dict(scan *s, wok_status (*value)(scan *s, uint32_t cp, void *ud), void *ud) {
  if (!take(s, '{')) return wrong(s, "'{' was expected");
  while (!take(s, '}')) {
    uint32_t cp = 0;
    WOK__TRY(key(s, &cp));
    if (!take(s, ':')) return wrong(s, "':' was expected");
    WOK__TRY(value(s, cp, ud));
    if (!take(s, ',') && (skip_space(s), s->p == s->end || *s->p != '}')) return wrong(s, "',' or '}' was expected");
  }
  return WOK_OK;
}

static wok_status by_state(scan *s, uint32_t cp, void *ud) {
  int y = state_of(cp);
  return y < 0 ? wrong(s, "the states are B, M, E and S") : number(s, (double *)ud + y);
}

static wok_status by_char(scan *s, uint32_t cp, void *ud) { /* ud: the emission of this state at U+0000 */
  double v;
  WOK__TRY(number(s, &v));
  if (cp < 0x10000) ((double *)ud)[cp * WOK__HMM_STATES] = v;
  return WOK_OK;
}

static wok_status rows(scan *s, uint32_t cp, void *ud) {
  int y = state_of(cp);
  return y < 0 ? wrong(s, "the states are B, M, E and S") : dict(s, by_state, ((wok__hmm *)ud)->trans[y]);
}

static wok_status emissions(scan *s, uint32_t cp, void *ud) {
  int y = state_of(cp);
  return y < 0 ? wrong(s, "the states are B, M, E and S") : dict(s, by_char, ((wok__hmm *)ud)->emit + y);
}

wok_status wok__hmm_parse_python(wok_ctx *c, wok__hmm *h, const char *table, const char *text, int64_t n, const char *where) {
  const char *begin = memchr(text, '{', (size_t)n);
  scan s = {c, begin ? begin : text + n, text + n, text, where};
  if (!strcmp(table, "start")) return dict(&s, by_state, h->start);
  return dict(&s, !strcmp(table, "trans") ? rows : emissions, h);
}

static wok_status open_python(wok_ctx *c, wok__hmm *h, const char *dir) {
  static const char *const tables[] = {"start", "trans", "emit"};
  wok__str path;
  wok__str_init(&path, 1 << 16);
  wok_status s = WOK_OK;
  for (int i = 0; s == WOK_OK && i < 3; i++) {
    char *text;
    int64_t n;
    wok__str_clear(&path);
    wok__str_printf(&path, "%s/prob_%s.py", dir, tables[i]);
    s = path.failed ? wok__nomem(c, path.len) : wok__read_file(c, path.p, most_table, &text, &n);
    if (s) break;
    s = wok__hmm_parse_python(c, h, tables[i], text, n, path.p);
    wok__free(text);
  }
  wok__str_free(&path);
  return s;
}

/* ---- cppjieba ---- */

static const int file_state[] = {WOK__HMM_B, WOK__HMM_E, WOK__HMM_M, WOK__HMM_S};

/* To the next line that says something. */
static wok_status next_line(scan *s) {
  for (skip_space(s); s->p < s->end && *s->p == '#'; skip_space(s))
    while (s->p < s->end && *s->p != '\n') s->p++;
  return s->p < s->end ? WOK_OK : wrong(s, "the tables end too early");
}

static wok_status four(scan *s, double *to) {
  WOK__TRY(next_line(s));
  for (int i = 0; i < WOK__HMM_STATES; i++) WOK__TRY(number(s, &to[file_state[i]]));
  return WOK_OK;
}

static wok_status emission_line(scan *s, double *to) {
  WOK__TRY(next_line(s));
  while (s->p < s->end && *s->p != '\n' && *s->p != '\r') {
    uint32_t cp;
    int k = wok__utf8_next((const uint8_t *)s->p, s->end - s->p, &cp);
    if (k <= 0) return wrong(s, "not UTF-8");
    s->p += k;
    if (s->p == s->end || *s->p++ != ':') return wrong(s, "':' was expected behind a character");
    WOK__TRY(by_char(s, cp, to));
    if (s->p < s->end && *s->p == ',') s->p++;
  }
  return WOK_OK;
}

wok_status wok__hmm_parse(wok_ctx *c, wok__hmm *h, const char *text, int64_t n, const char *where) {
  scan s = {c, text, text + n, text, where};
  WOK__TRY(four(&s, h->start));
  for (int i = 0; i < WOK__HMM_STATES; i++) WOK__TRY(four(&s, h->trans[file_state[i]]));
  for (int i = 0; i < WOK__HMM_STATES; i++) WOK__TRY(emission_line(&s, h->emit + file_state[i]));
  return WOK_OK;
}

wok_status wok__hmm_open(wok_ctx *c, wok__hmm *h, const char *path) {
  WOK__TRY(wok__hmm_init(c, h));
  if (wok__is_dir(path)) return open_python(c, h, path);
  char *text;
  int64_t n;
  WOK__TRY(wok__read_file(c, path, most_table, &text, &n));
  wok_status s = wok__hmm_parse(c, h, text, n, path);
  wok__free(text);
  return s;
}
