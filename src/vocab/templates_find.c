/* Finding templates (kexue.fm/archives/5577): words that stand near each other more often than chance are linked, and every path
   through a sentence's links is a template. The text is read once; its words wait as numbers in a temporary file for the second
   look. */
#include <math.h>
#include <string.h>
#include "text/segmenter.h"
#include "text/utf8.h"
#include "vocab/lines.h"
#include "vocab/symbols.h"
#include "vocab/templates.h"

enum { MOST_SENTENCE = 256, PIECE = 1 << 14 }; /* words; a longer sentence is cut there */
static const int64_t usual_memory = INT64_C(1) << 30, least_memory = INT64_C(32) << 20;

typedef struct finder {
  wok_ctx *c;
  wok_templates_opts o;
  const wok_segmenter *s;
  wok_templates *t;
  uint64_t *letters;
  int64_t *ends, ends_cap;
  /* words by number, from 1 */
  wok__map *words;
  int64_t *count, count_cap, word_bytes;
  uint32_t sentence[MOST_SENTENCE];
  int n;
  wok__spool *spool; /* numbers of words, 0 behind a sentence */
  wok__keys *keys;
  uint64_t *strong;  /* pairs (first << 32 | second), ascending */
  int64_t nstrong, strong_cap;
  wok__strings *strings;
  /* of the sentence whose paths are listed */
  uint8_t link[MOST_SENTENCE][MOST_SENTENCE / 8];
  bool has_next[MOST_SENTENCE], has_before[MOST_SENTENCE];
  int path[MOST_SENTENCE];
  wok__str text;
  int64_t paths;
} finder;

/* ---- first look: words and pairs ---- */

static wok_status full(finder *f, const char *what) {
  char size[32];
  wok__format_size(size, (int64_t)sizeof size, f->o.memory);
  return wok__fail(f->c, WOK_LIMIT, "the %s do not fit into %s: allow more (--memory)", what, size);
}

static wok_status number_of(finder *f, const char *word, int64_t n, uint32_t *number) {
  int64_t v;
  if (!wok__map_get(f->words, word, n, &v)) {
    v = wok__map_count(f->words) + 1;
    f->word_bytes += n + 80;
    if (f->word_bytes > f->o.memory / 4 || v > UINT32_MAX) return full(f, "different words");
    if (!wok__map_put(f->words, word, n, v)) return wok__nomem(f->c, n);
    if (v >= f->count_cap) {
      int64_t cap = WOK__MAX(2 * f->count_cap, (int64_t)4096);
      int64_t *more = wok__realloc(f->count, cap * 8);
      if (!more) return wok__nomem(f->c, cap * 8);
      memset(more + f->count_cap, 0, (size_t)(cap - f->count_cap) * 8);
      f->count = more;
      f->count_cap = cap;
    }
  }
  f->count[v]++;
  *number = (uint32_t)v;
  return WOK_OK;
}

static wok_status end_sentence(finder *f) {
  static const uint32_t stop = 0;
  if (f->n == 0) return WOK_OK;
  int64_t pairs = 0;
  uint64_t *to;
  for (int i = 0; i < f->n; i++) pairs += WOK__MIN(f->o.window, f->n - 1 - i);
  WOK__TRY(wok__keys_room(f->keys, pairs, &to));
  for (int i = 0; i < f->n; i++)
    for (int j = i + 1; j < f->n && j <= i + f->o.window; j++) *to++ = (uint64_t)f->sentence[i] << 32 | f->sentence[j];
  f->t->info.pairs += pairs;
  f->t->info.words += f->n;
  f->t->info.sentences++;
  WOK__TRY(wok__spool_add(f->spool, f->sentence, (int64_t)f->n * 4));
  WOK__TRY(wok__spool_add(f->spool, &stop, 4));
  f->n = 0;
  return WOK_OK;
}

/* 0: white space, which separates words; 1: marks, which separate sentences; 2: a word. */
static int kind_of(const finder *f, const char *p, int64_t n) {
  int kind = 0;
  for (int64_t i = 0; i < n;) {
    uint32_t cp = 0;
    int k = wok__utf8_next((const uint8_t *)p + i, n - i, &cp);
    if (k > 0 && f->letters[cp >> 6] >> (cp & 63) & 1) return 2;
    if (k <= 0 || !wok__is_space(cp)) kind = 1;
    i += k > 0 ? k : 1;
  }
  return kind;
}

static wok_status line(void *ud, const char *p, int64_t n) {
  finder *f = ud;
  int64_t tokens;
  if (n > f->ends_cap) {
    wok__free(f->ends);
    f->ends_cap = 0;
    f->ends = wok__malloc(n * 8);
    if (!f->ends) return wok__nomem(f->c, n * 8);
    f->ends_cap = n;
  }
  WOK__TRY(wok_segment(f->s, p, n, f->ends, f->ends_cap, &tokens));
  for (int64_t i = 0, at = 0; i < tokens; at = f->ends[i++]) {
    int64_t bytes = f->ends[i] - at;
    int kind = kind_of(f, p + at, bytes);
    if (kind == 1 || f->n == MOST_SENTENCE) WOK__TRY(end_sentence(f));
    if (kind == 2) WOK__TRY(number_of(f, p + at, bytes, &f->sentence[f->n++]));
  }
  return end_sentence(f);
}

static wok_status keep_strong(finder *f, wok__runs *runs) {
  double words = (double)f->t->info.words, pairs = (double)f->t->info.pairs;
  for (;;) {
    const uint8_t *bytes;
    int64_t n;
    uint64_t count;
    WOK__TRY(wok__runs_next(runs, &bytes, &n, &count));
    if (!bytes) return WOK_OK;
    uint64_t key = wok__key_word(bytes, 0);
    double p = (double)count / pairs, a = (double)f->count[key >> 32] / words, b = (double)f->count[key & UINT32_MAX] / words;
    if (!(p > f->o.min_prob && log(p / (a * b)) > f->o.min_pmi)) continue;
    if (f->nstrong == f->strong_cap) {
      int64_t cap = f->strong_cap ? 2 * f->strong_cap : 4096;
      if (cap * 8 > f->o.memory / 4) return full(f, "strong pairs");
      uint64_t *more = wok__realloc(f->strong, cap * 8);
      if (!more) return wok__nomem(f->c, cap * 8);
      f->strong = more;
      f->strong_cap = cap;
    }
    f->strong[f->nstrong++] = key;
  }
}

static bool is_strong(const finder *f, uint32_t a, uint32_t b) {
  uint64_t key = (uint64_t)a << 32 | b;
  int64_t lo = 0, hi = f->nstrong;
  while (lo < hi) {
    int64_t mid = lo + (hi - lo) / 2;
    if (f->strong[mid] < key) lo = mid + 1;
    else hi = mid;
  }
  return lo < f->nstrong && f->strong[lo] == key;
}

/* ---- second look: paths ---- */

static void put_word(finder *f, int at) {
  int64_t n, v;
  const char *word = wok__map_key(f->words, (int64_t)f->sentence[at] - 1, &n, &v);
  wok__template_put(&f->text, word, n, false);
}

static wok_status template_of(finder *f, int n) {
  wok__str_clear(&f->text);
  if (f->path[0] > 0) wok__template_put(&f->text, NULL, 0, true);
  for (int i = 0; i < n; i++) {
    if (i > 0 && f->path[i] > f->path[i - 1] + 1) wok__template_put(&f->text, NULL, 0, true);
    put_word(f, f->path[i]);
  }
  if (f->path[n - 1] + 1 < f->n) wok__template_put(&f->text, NULL, 0, true);
  if (f->text.failed) return wok__nomem(f->c, f->text.len);
  f->t->info.paths++;
  if (f->text.len > WOK__RUN_KEY) return WOK_OK; /* nobody has such a template twice */
  return wok__strings_add(f->strings, f->text.p, f->text.len, 1);
}

/* Depth first, nearer words first. */
static wok_status paths_from(finder *f, int depth) {
  int at = f->path[depth - 1];
  if (!f->has_next[at]) {
    if (f->paths++ >= f->o.max_paths) return WOK_OK;
    return template_of(f, depth);
  }
  for (int j = at + 1; j < f->n && j <= at + f->o.window && f->paths <= f->o.max_paths; j++) {
    if (!(f->link[at][j / 8] >> (j % 8) & 1)) continue;
    f->path[depth] = j;
    WOK__TRY(paths_from(f, depth + 1));
  }
  return WOK_OK;
}

static wok_status sentence_paths(finder *f) {
  memset(f->has_next, 0, sizeof f->has_next);
  memset(f->has_before, 0, sizeof f->has_before);
  for (int i = 0; i < f->n; i++) {
    memset(f->link[i], 0, sizeof f->link[i]);
    for (int j = i + 1; j < f->n && j <= i + f->o.window; j++)
      if (is_strong(f, f->sentence[i], f->sentence[j])) {
        f->link[i][j / 8] |= (uint8_t)(1 << j % 8);
        f->has_next[i] = f->has_before[j] = true;
      }
  }
  f->paths = 0;
  for (int i = 0; i < f->n && f->paths <= f->o.max_paths; i++) {
    f->path[0] = i;
    if (!f->has_before[i]) WOK__TRY(paths_from(f, 1));
  }
  f->t->info.truncated += f->paths > f->o.max_paths;
  f->n = 0;
  return WOK_OK;
}

static wok_status all_paths(finder *f) {
  uint32_t *piece = wok__malloc(PIECE * 4);
  if (!piece) return wok__nomem(f->c, PIECE * 4);
  wok__task task;
  wok__task_begin(&task, f->c, "templates", "bytes", wok__spool_size(f->spool));
  wok_status s = WOK_OK;
  int64_t got = 1;
  for (int64_t at = 0; s == WOK_OK && got > 0; at += got) {
    s = wok__spool_read(f->spool, at, piece, PIECE * 4, &got);
    for (int64_t i = 0; s == WOK_OK && i < got / 4; i++) {
      if (piece[i]) f->sentence[f->n++] = piece[i];
      else s = sentence_paths(f);
    }
    if (s == WOK_OK) s = wok__task_at(&task, at + got, NULL);
  }
  wok__free(piece);
  return s ? s : wok__task_end(&task, NULL);
}

/* ---- the list ---- */

/* What the template's words save by being one unit; it cannot be taken more often than its words are there. */
static double gain_of(const finder *f, const char *text, int64_t n, int64_t count) {
  int64_t number[WOK__TEMPLATE_MOST], counts[WOK__TEMPLATE_MOST];
  int times[WOK__TEMPLATE_MOST], k = 0, words = 0;
  const char *word;
  int64_t bytes, v;
  bool placeholder;
  for (int64_t at = 0; k < WOK__TEMPLATE_MOST && wok__template_next(text, n, &at, &word, &bytes, &placeholder);) {
    if (placeholder || !wok__map_get(f->words, word, bytes, &v)) continue;
    int i = 0;
    while (i < k && number[i] != v) i++;
    if (i == k) number[k] = v, counts[k] = f->count[v], times[k++] = 0;
    times[i]++;
    words++;
  }
  if (words < 2) return 0;
  for (int i = 0; i < k; i++) count = WOK__MIN(count, counts[i] / times[i]);
  return (double)f->t->info.words * wok_merge_gain(counts, times, k, count, f->t->info.words);
}

static bool trivial(const char *text, int64_t n) {
  return n > 8 && memcmp(text, "[X] ", 4) == 0 && memcmp(text + n - 4, " [X]", 4) == 0 && !memchr(text + 4, ' ', (size_t)n - 8);
}

static wok_status list_templates(finder *f, wok__runs *runs) {
  double least = f->o.min_prob * (double)f->t->info.paths;
  for (;;) {
    const uint8_t *key;
    int64_t n;
    uint64_t count;
    WOK__TRY(wok__runs_next(runs, &key, &n, &count));
    if (!key) return wok__templates_complete(f->t);
    const char *text = (const char *)key;
    if ((double)count <= least || (!f->o.show_trivial && trivial(text, n))) continue;
    WOK__TRY(wok__templates_add(f->t, text, n, (int64_t)count, gain_of(f, text, n, (int64_t)count)));
  }
}

static wok_status find(finder *f, const char *const *files, int nfiles) {
  wok__runs *pairs, *texts = NULL;
  WOK__TRY(wok__runs_new(f->c, &pairs, f->o.tmp));
  wok_status s = wok__keys_new(f->c, &f->keys, pairs, 1, 64, f->o.memory / 4);
  if (s == WOK_OK) s = wok__spool_new(f->c, &f->spool, f->o.tmp);
  if (s == WOK_OK) s = wok__lines_each(f->c, files, nfiles, "count", line, f);
  if (s == WOK_OK) s = wok__keys_flush(f->keys);
  wok__keys_free(f->keys);
  if (s == WOK_OK) s = wok__runs_merge(pairs, f->o.memory / 8);
  if (s == WOK_OK) s = keep_strong(f, pairs);
  wok__runs_free(pairs);
  f->t->info.word_types = wok__map_count(f->words);
  f->t->info.strong = f->nstrong;
  if (s == WOK_OK) s = wok__runs_new(f->c, &texts, f->o.tmp);
  if (s == WOK_OK) s = wok__strings_new(f->c, &f->strings, texts, f->o.memory / 4);
  if (s == WOK_OK) s = all_paths(f);
  if (s == WOK_OK) s = wok__strings_flush(f->strings);
  wok__strings_free(f->strings);
  if (s == WOK_OK) s = wok__runs_merge(texts, f->o.memory / 8);
  if (s == WOK_OK) s = list_templates(f, texts);
  wok__runs_free(texts);
  return s;
}

static wok_status fill_in(finder *f, const wok_templates_opts *o) {
  if (o) f->o = *o;
  if (f->o.window < 0 || f->o.window >= MOST_SENTENCE || f->o.max_paths < 0 || f->o.memory < 0)
    return wok__fail(f->c, WOK_INVALID, "the window goes from 1 to %d words; max_paths and memory are not negative", MOST_SENTENCE - 1);
  if (!f->o.window) f->o.window = 5;
  if (!f->o.max_paths) f->o.max_paths = 1000;
  if (f->o.min_prob == 0) f->o.min_prob = 1e-5;
  if (f->o.min_prob < 0) f->o.min_prob = 0;
  if (f->o.min_pmi == 0) f->o.min_pmi = 2;
  if (!f->o.tmp) f->o.tmp = ".";
  if (!f->o.memory) f->o.memory = wok__ctx_opts(f->c)->mem_limit ? wok__ctx_opts(f->c)->mem_limit : usual_memory;
  f->o.memory = WOK__MAX(f->o.memory, least_memory);
  return WOK_OK;
}

wok_status wok_templates_find(wok_ctx *c, wok_templates **out, const wok_segmenter *s, const char *const *files, int nfiles,
                              const wok_templates_opts *o) {
  wok__fail_clear(c);
  *out = NULL;
  finder *f = wok__calloc(1, (int64_t)sizeof *f);
  if (!f) return wok__nomem(c, (int64_t)sizeof *f);
  f->c = c;
  f->s = s;
  double t0 = wok__now();
  wok__str_init(&f->text, 1 << 24);
  wok_status st = fill_in(f, o);
  if (st == WOK_OK) st = wok__templates_new(c, &f->t);
  if (st == WOK_OK && (!(f->words = wok__map_new()) || !(f->letters = wok__charset_new(WOK_CHARS_LETTERS)))) st = wok__nomem(c, 1 << 18);
  if (st == WOK_OK) st = find(f, files, nfiles);
  if (st == WOK_OK) {
    f->t->info.seconds = wok__now() - t0;
    *out = f->t;
  } else {
    wok_templates_free(f->t);
  }
  wok__spool_free(f->spool);
  wok__map_free(f->words);
  wok__free(f->letters);
  wok__free(f->count);
  wok__free(f->ends);
  wok__free(f->strong);
  wok__str_free(&f->text);
  wok__free(f);
  return st;
}
