/* Lists of templates: read, written, sorted, and made ready for parsing. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "vocab/templates.h"

static const char placeholder_text[] = "[X]";
static const int64_t most_text = INT64_C(1) << 30;

/* ---- elements ---- */

bool wok__template_next(const char *text, int64_t n, int64_t *at, const char **word, int64_t *bytes, bool *placeholder) {
  while (*at < n && text[*at] == ' ') ++*at;
  if (*at >= n) return false;
  int64_t from = *at;
  while (*at < n && text[*at] != ' ') ++*at;
  *word = text + from;
  *bytes = *at - from;
  *placeholder = *bytes == 3 && memcmp(*word, placeholder_text, 3) == 0;
  if (**word == '\\' && *bytes > 1) ++*word, --*bytes;
  return true;
}

void wok__template_put(wok__str *s, const char *word, int64_t bytes, bool placeholder) {
  if (s->len > 0) wok__str_puts(s, " ");
  if (placeholder) {
    wok__str_puts(s, placeholder_text);
    return;
  }
  if (word[0] == '\\' || word[0] == '#' || (bytes >= 3 && memcmp(word, placeholder_text, 3) == 0)) wok__str_puts(s, "\\");
  wok__str_add(s, word, bytes);
}

/* ---- the list ---- */

wok_status wok__templates_new(wok_ctx *c, wok_templates **out) {
  wok_templates *t = *out = wok__calloc(1, (int64_t)sizeof *t);
  if (!t) return wok__nomem(c, (int64_t)sizeof *t);
  t->c = c;
  wok__str_init(&t->text, INT64_C(1) << 40);
  t->words = wok__map_new();
  if (t->words && wok__trie_init(c, &t->trie) == WOK_OK) return WOK_OK;
  wok_templates_free(t);
  *out = NULL;
  return wok__nomem(c, 4096);
}

void wok_templates_free(wok_templates *t) {
  if (!t) return;
  wok__free(t->list);
  wok__str_free(&t->text);
  wok__map_free(t->words);
  wok__trie_free(&t->trie);
  wok__free(t);
}

wok_status wok__templates_add(wok_templates *t, const char *text, int64_t bytes, int64_t count, double gain) {
  if (t->n == t->cap) {
    int64_t cap = t->cap ? 2 * t->cap : 256;
    wok_template *more = wok__realloc(t->list, cap * (int64_t)sizeof *more);
    if (!more) return wok__nomem(t->c, cap * (int64_t)sizeof *more);
    t->list = more;
    t->cap = cap;
  }
  wok_template e = {.text = (const char *)(intptr_t)t->text.len, .count = count, .gain = gain};
  const char *word;
  int64_t n;
  bool placeholder;
  for (int64_t at = 0; wok__template_next(text, bytes, &at, &word, &n, &placeholder);) e.elements++;
  wok__str_add(&t->text, text, bytes);
  wok__str_add(&t->text, "", 1);
  if (t->text.failed) return wok__nomem(t->c, t->text.len);
  t->list[t->n++] = e;
  return wok__add(t->total, count, &t->total) ? WOK_OK : wok__fail(t->c, WOK_LIMIT, "counts beyond 63 bits");
}

static int by_count(const void *a, const void *b) {
  const wok_template *x = a, *y = b;
  if (x->count != y->count) return x->count > y->count ? -1 : 1;
  return strcmp(x->text, y->text);
}

static wok_status element(wok_templates *t, const char *word, int64_t n, uint32_t *id) {
  int64_t v;
  if (!wok__map_get(t->words, word, n, &v)) {
    v = wok__map_count(t->words) + 1;
    if (v >= 1 << 21) return wok__fail(t->c, WOK_LIMIT, "templates of more than %d different words", 1 << 21);
    if (!wok__map_put(t->words, word, n, v)) return wok__nomem(t->c, n);
  }
  *id = (uint32_t)v;
  return WOK_OK;
}

static wok_status into_trie(wok_templates *t, int64_t i) {
  const wok_template *e = &t->list[i];
  uint32_t ids[WOK__TEMPLATE_PARSED];
  const char *word;
  int64_t n, k = 0, bytes = (int64_t)strlen(e->text);
  bool placeholder;
  if (e->elements > WOK__TEMPLATE_PARSED) return WOK_OK;
  for (int64_t at = 0; wok__template_next(e->text, bytes, &at, &word, &n, &placeholder); k++) {
    ids[k] = WOK__TEMPLATE_X;
    if (!placeholder) WOK__TRY(element(t, word, n, &ids[k]));
  }
  int32_t node;
  WOK__TRY(wok__trie_node(&t->trie, ids, k, &node));
  if (t->trie.value[node] == 0) t->trie.value[node] = i + 1;
  return WOK_OK;
}

wok_status wok__templates_complete(wok_templates *t) {
  for (int64_t i = 0; i < t->n; i++) t->list[i].text = t->text.p + (intptr_t)t->list[i].text;
  if (t->n > 0) qsort(t->list, (size_t)t->n, sizeof *t->list, by_count);
  for (int64_t i = 0; i < t->n; i++) WOK__TRY(into_trie(t, i));
  return WOK_OK;
}

int64_t wok_templates_count(const wok_templates *t) { return t->n; }
const wok_template *wok_templates_get(const wok_templates *t, int64_t i) { return i >= 0 && i < t->n ? &t->list[i] : NULL; }
void wok_templates_about(const wok_templates *t, wok_templates_info *info) { *info = t->info; }

/* ---- files ---- */

static wok_status bad(wok_ctx *c, const char *where, int64_t line, const char *what) {
  return wok__fail(c, WOK_FORMAT, "%s, line %lld: %s", where, (long long)line, what);
}

/* Elements one by one: at least one word, no two placeholders in a row. */
static wok_status check(wok_ctx *c, const char *text, int64_t n, const char *where, int64_t line) {
  const char *word;
  int64_t bytes, words = 0, elements = 0;
  bool placeholder, last = false;
  for (int64_t at = 0; wok__template_next(text, n, &at, &word, &bytes, &placeholder); elements++) {
    if (placeholder && last) return bad(c, where, line, "two placeholders in a row: write one [X]");
    last = placeholder;
    words += !placeholder;
  }
  if (words == 0) return bad(c, where, line, "a template needs a word");
  return elements > WOK__TEMPLATE_MOST ? bad(c, where, line, "a template of more than 512 elements") : WOK_OK;
}

static wok_status read_line(wok_templates *t, const char *p, int64_t n, const char *where, int64_t line) {
  if (n > 0 && p[n - 1] == '\r') n--;
  if (n == 0 || p[0] == '#') return WOK_OK;
  const char *tab = memchr(p, '\t', (size_t)n);
  if (!tab) return bad(t->c, where, line, "a template, a tab and its count were expected");
  if (memchr(p, 0, (size_t)(tab - p))) return bad(t->c, where, line, "a NUL byte in a template");
  char digits[24];
  int64_t k = 0, count;
  for (const char *d = tab + 1; d < p + n && *d != '\t' && k < (int64_t)sizeof digits - 1; d++) digits[k++] = *d;
  digits[k] = 0;
  if (!wok__parse_int64(digits, &count) || count < 1) return bad(t->c, where, line, "the count behind the tab should be a whole number from 1");
  WOK__TRY(check(t->c, p, tab - p, where, line));
  return wok__templates_add(t, p, tab - p, count, NAN);
}

wok_status wok_templates_read(wok_ctx *c, wok_templates **out, const char *text, int64_t n, const char *where) {
  wok_templates *t;
  wok__fail_clear(c);
  *out = NULL;
  WOK__TRY(wok__templates_new(c, &t));
  wok_status s = WOK_OK;
  int64_t line = 1;
  for (int64_t at = 0; s == WOK_OK && at < n; line++) {
    const char *feed = memchr(text + at, '\n', (size_t)(n - at));
    int64_t k = feed ? feed - (text + at) : n - at;
    s = read_line(t, text + at, k, where, line);
    at += k + 1;
  }
  if (s == WOK_OK && t->n == 0) s = wok__fail(c, WOK_FORMAT, "%s: holds no template", where);
  if (s == WOK_OK) s = wok__templates_complete(t);
  if (s) wok_templates_free(t);
  else *out = t;
  return s;
}

wok_status wok_templates_open(wok_ctx *c, wok_templates **t, const char *path) {
  char *text;
  int64_t n;
  *t = NULL;
  WOK__TRY(wok__read_file(c, path, most_text, &text, &n));
  wok_status s = wok_templates_read(c, t, text, n, path);
  wok__free(text);
  return s;
}

wok_status wok_templates_save(const wok_templates *t, const char *path) {
  wok__writer *w;
  WOK__TRY(wok__writer_open(t->c, &w, path));
  wok__str s;
  wok__str_init(&s, 1 << 20);
  wok__str_puts(&s, "#template\tcount\tgain\n");
  wok_status st = wok__writer_add(w, s.p, s.len);
  for (int64_t i = 0; st == WOK_OK && i < t->n; i++) {
    wok__str_clear(&s);
    wok__str_printf(&s, "%s\t%lld\t", t->list[i].text, (long long)t->list[i].count);
    if (isnan(t->list[i].gain)) wok__str_puts(&s, "-\n");
    else wok__str_printf(&s, "%.4f\n", t->list[i].gain);
    st = s.failed ? wok__nomem(t->c, s.len) : wok__writer_add(w, s.p, s.len);
  }
  wok__str_free(&s);
  if (st == WOK_OK) return wok__writer_commit(w);
  wok__writer_abort(w);
  return st;
}
