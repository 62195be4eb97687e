/* wok_words_find: defaults, the method, entropies, filters, order; and the list as text. */
#include <stdlib.h>
#include <string.h>
#include "text/utf8.h"
#include "vocab/words.h"

enum { MOST_LINE = 1 << 20 };
static const int64_t usual_memory = INT64_C(1) << 30, least_memory = INT64_C(32) << 20;

/* ---- the list while it grows ---- */

wok_status wok__words_add(wok_words *w, const char *text, int64_t bytes, int64_t chars, int64_t count, double cohesion) {
  if (w->n == w->cap) {
    int64_t cap = w->cap ? 2 * w->cap : 1024;
    if (cap * (int64_t)sizeof *w->word > w->o.memory)
      return wok__fail(w->c, WOK_LIMIT, "more than %lld words: raise min_count (--min-count) or the memory (--memory)", (long long)w->n);
    wok_word *more = wok__realloc(w->word, cap * (int64_t)sizeof *more);
    if (!more) return wok__nomem(w->c, cap * (int64_t)sizeof *more);
    w->word = more;
    w->cap = cap;
  }
  if (w->fill + bytes + 1 > w->text_cap) {
    int64_t cap = WOK__MAX(2 * w->text_cap, (int64_t)1 << 16);
    char *more = wok__realloc(w->text, cap);
    if (!more) return wok__nomem(w->c, cap);
    w->text = more;
    w->text_cap = cap;
  }
  memcpy(w->text + w->fill, text, (size_t)bytes);
  w->text[w->fill + bytes] = 0;
  w->word[w->n++] = (wok_word){.text = (const char *)(intptr_t)w->fill, .bytes = bytes, .chars = chars, .count = count,
                               .cohesion = cohesion, .left = NAN, .right = NAN};
  w->fill += bytes + 1;
  return WOK_OK;
}

int64_t wok__words_decode(const char *text, int64_t bytes, uint32_t *cp, int64_t cap) {
  int64_t n = 0;
  for (int64_t i = 0; i < bytes && n < cap; n++) {
    int k = wok__utf8_next((const uint8_t *)text + i, bytes - i, &cp[n]);
    if (k <= 0) break;
    i += k;
  }
  return n;
}

/* ---- options ---- */

static void fill_pmi(wok_words_opts *o) {
  static const double usual[] = {2, 4, 6};
  double last = 0;
  for (int i = 0; i < WOK__COUNT(o->min_pmi); i++) {
    if (o->method == WOK_WORDS_PAIRS) last = i == 0 ? 1 : last;
    else if (i < WOK__COUNT(usual)) last = usual[i];
    if (o->min_pmi[i] == 0) o->min_pmi[i] = last;
    last = o->min_pmi[i];
  }
}

static wok_status fill_in(wok_ctx *c, wok_words_opts *o) {
  static const int64_t counts[] = {[WOK_WORDS_NGRAMS] = 32, [WOK_WORDS_PAIRS] = 1, [WOK_WORDS_MERGES] = 2};
  if ((unsigned)o->method > WOK_WORDS_MERGES || (unsigned)o->by > WOK_MERGE_COUNT || (unsigned)o->charset > WOK_CHARS_LETTERS)
    return wok__fail(c, WOK_INVALID, "no such method, criterion or character set");
  if (o->min_count < 0 || o->order < 0 || o->order == 1 || o->min_prob < 0 || o->merges < 0 || o->max_chars < 0 || o->memory < 0)
    return wok__fail(c, WOK_INVALID, "min_count, order, min_prob, merges, max_chars and memory are not negative, and order is not 1");
  if (o->documents == WOK_DOC_SEP && (!o->sep || !*o->sep)) return wok__fail(c, WOK_INVALID, "documents are separated, but by no separator");
  if (!o->min_count) o->min_count = counts[o->method];
  if (!o->order) o->order = 4;
  if (o->min_prob == 0) o->min_prob = 1e-7;
  if (!o->memory) o->memory = wok__ctx_opts(c)->mem_limit ? wok__ctx_opts(c)->mem_limit : usual_memory;
  o->memory = WOK__MAX(o->memory, least_memory);
  if (!o->tmp) o->tmp = ".";
  fill_pmi(o);
  return WOK_OK;
}

/* ---- the reference ---- */

/* The word of a line is what stands before its first blank or tab. */
static void mark_line(wok_words *w, const wok__map *words, const char *line, int64_t n) {
  int64_t word = 0, at;
  while (word < n && line[word] != ' ' && line[word] != '\t' && line[word] != '\r') word++;
  if (word > 0 && wok__map_get(words, line, word, &at)) w->word[at].known = true;
}

static wok_status mark_known(wok_words *w) {
  char *text;
  int64_t n;
  WOK__TRY(wok__read_file(w->c, w->o.reference, INT64_C(1) << 32, &text, &n));
  wok__map *words = wok__map_new();
  wok_status s = words ? WOK_OK : wok__nomem(w->c, 64);
  for (int64_t i = 0; s == WOK_OK && i < w->n; i++)
    if (!wok__map_put(words, wok__words_text(w, i), w->word[i].bytes, i)) s = wok__nomem(w->c, w->word[i].bytes);
  for (int64_t at = 0; s == WOK_OK && at < n;) {
    const char *feed = memchr(text + at, '\n', (size_t)(n - at));
    int64_t line = feed ? feed - (text + at) : n - at;
    mark_line(w, words, text + at, line);
    at += line + 1;
  }
  wok__map_free(words);
  wok__free(text);
  return s;
}

/* ---- the end of the work ---- */

static bool wanted(const wok_words *w, const wok_word *e) {
  const wok_words_opts *o = &w->o;
  if (e->count < o->min_count || (o->max_chars && e->chars > o->max_chars)) return false;
  if (o->new_only && e->known) return false;
  return o->min_entropy <= 0 || o->no_entropies || fmin(e->left, e->right) >= o->min_entropy;
}

static void keep_wanted(wok_words *w) {
  int64_t n = 0;
  for (int64_t i = 0; i < w->n; i++)
    if (wanted(w, &w->word[i])) w->word[n++] = w->word[i];
  w->n = n;
}

static int by_count(const void *a, const void *b) {
  const wok_word *x = a, *y = b;
  if (x->count != y->count) return x->count > y->count ? -1 : 1;
  return strcmp(x->text, y->text);
}

static void measure(wok_words *w) {
  double n = 0, nlogn = 0, chars = 0;
  for (int64_t i = 0; i < w->n; i++) {
    double count = (double)w->word[i].count;
    n += count;
    nlogn += count * log(count);
    chars += count * (double)w->word[i].chars;
  }
  if (n == 0 || w->info.word_chars > 0) return; /* merges know better: rare units count too */
  w->info.word_bits = (log(n) - nlogn / n) / log(2);
  w->info.word_chars = chars / n;
}

static wok_status find(wok_words *w, wok__symbols *s) {
  static wok_status (*const method[])(wok_words *, wok__symbols *) = {
      [WOK_WORDS_NGRAMS] = wok__words_ngrams, [WOK_WORDS_PAIRS] = wok__words_pairs, [WOK_WORDS_MERGES] = wok__words_merges};
  WOK__TRY(method[w->o.method](w, s));
  w->info.kept = w->n;
  if (!w->o.no_entropies) WOK__TRY(wok__words_freedom(w, s));
  if (w->o.reference) WOK__TRY(mark_known(w));
  keep_wanted(w);
  for (int64_t i = 0; i < w->n; i++) w->word[i].text = wok__words_text(w, i);
  if (w->n > 0) qsort(w->word, (size_t)w->n, sizeof *w->word, by_count);
  measure(w);
  return WOK_OK;
}

wok_status wok_words_find(wok_ctx *c, wok_words **out, const char *const *files, int nfiles, const wok_words_opts *o) {
  wok__fail_clear(c);
  *out = NULL;
  wok_words *w = wok__calloc(1, (int64_t)sizeof *w);
  if (!w) return wok__nomem(c, (int64_t)sizeof *w);
  w->c = c;
  if (o) w->o = *o;
  double t0 = wok__now();
  wok__symbols s = {0};
  wok_status st = nfiles > 0 ? fill_in(c, &w->o) : wok__fail(c, WOK_INVALID, "no files to find words in");
  if (st == WOK_OK) st = wok__symbols_open(c, &s, files, nfiles, &w->o);
  if (st == WOK_OK) st = find(w, &s);
  wok__symbols_close(&s);
  w->info.seconds = wok__now() - t0;
  if (st) wok_words_free(w);
  else *out = w;
  return st;
}

void wok_words_free(wok_words *w) {
  if (!w) return;
  wok__free(w->word);
  wok__free(w->text);
  wok__free(w);
}

int64_t wok_words_count(const wok_words *w) { return w->n; }
const wok_word *wok_words_get(const wok_words *w, int64_t i) { return i >= 0 && i < w->n ? &w->word[i] : NULL; }
void wok_words_about(const wok_words *w, wok_words_info *info) { *info = w->info; }

/* ---- as text ---- */

static void number(wok__str *s, double v) {
  if (isnan(v)) wok__str_puts(s, "\t-");
  else wok__str_printf(s, "\t%.4f", v);
}

static void put_line(const wok_words *w, int64_t i, wok_words_format f, wok__str *s) {
  bool known = w->o.reference != NULL;
  if (i < 0) {
    if (f == WOK_WORDS_TSV) wok__str_printf(s, "#word\tcount\tcohesion\tleft\tright%s\n", known ? "\tknown" : "");
    return;
  }
  const wok_word *e = &w->word[i];
  wok__str_add(s, e->text, e->bytes);
  if (f == WOK_WORDS_DICT) wok__str_printf(s, " %lld", (long long)e->count);
  if (f == WOK_WORDS_TSV) {
    wok__str_printf(s, "\t%lld", (long long)e->count);
    number(s, e->cohesion);
    number(s, e->left);
    number(s, e->right);
    if (known) wok__str_puts(s, e->known ? "\tyes" : "\tno");
  }
  wok__str_puts(s, "\n");
}

int64_t wok_words_line(const wok_words *w, int64_t i, wok_words_format f, char *line, int64_t cap) {
  if (i < -1 || i >= w->n) return 0;
  wok__str s;
  wok__str_init(&s, MOST_LINE);
  put_line(w, i, f, &s);
  int64_t n = s.failed ? 0 : s.len;
  if (n > 0) memcpy(line, s.p, (size_t)WOK__MIN(n, cap));
  wok__str_free(&s);
  return n;
}

wok_status wok_words_save(const wok_words *w, const char *path, wok_words_format f) {
  wok__writer *out;
  WOK__TRY(wok__writer_open(w->c, &out, path));
  wok__str s;
  wok__str_init(&s, MOST_LINE);
  wok_status st = WOK_OK;
  for (int64_t i = -1; st == WOK_OK && i < w->n; i++) {
    wok__str_clear(&s);
    put_line(w, i, f, &s);
    st = s.failed ? wok__nomem(w->c, s.len) : wok__writer_add(out, s.p, s.len);
  }
  wok__str_free(&s);
  if (st == WOK_OK) return wok__writer_commit(out);
  wok__writer_abort(out);
  return st;
}
