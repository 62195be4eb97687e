/* "Cut, count, truncate, de-redundancy" (kexue.fm/archives/5476). */
#include <stdlib.h>
#include <string.h>
#include "text/trie.h"
#include "text/utf8.h"
#include "vocab/grams.h"
#include "vocab/words.h"

static const double unknown = -100; /* of a character that is no word, in nats */

typedef struct string {
  int64_t text; /* in the list's text */
  int64_t count;
  int32_t node, bytes, chars;
  double gain;  /* nats above its parts */
  bool out;
} string;

typedef struct pairs {
  wok_words *w;
  wok__grams g; /* the pairs that hold together, and the single characters */
  string *string;
  int64_t n, cap;
  wok__str text;
  int64_t all; /* strings counted, with repetition */
} pairs;

/* Pairs and characters have totals of their own here. */
static double pair_pmi(const wok__grams *g, int64_t i) {
  double ratio = g->cohesion[i]; /* ln T N_ab / (N_a N_b) */
  return ratio - log((double)g->total) + 2 * log((double)g->total) - log((double)(g->total - g->runs));
}

static bool strong(void *ud, const wok__grams *g, int64_t i, int length) {
  const pairs *k = ud;
  return length == 2 && pair_pmi(g, i) > k->w->o.min_pmi[0];
}

static void cut(void *ud, const uint32_t *sym, int64_t n, uint8_t *mark) {
  const wok__grams *g = &((pairs *)ud)->g;
  for (int64_t i = 0; i + 1 < n; i++) {
    wok__gram key = {{0, 0}};
    wok__gram_put(g, &key, 0, wok__gram_symbol(g, sym[i]));
    wok__gram_put(g, &key, 1, wok__gram_symbol(g, sym[i + 1]));
    mark[i] = wok__grams_find(g, &key) < 0;
  }
}

static wok_status take(void *ud, const char *text, int64_t bytes, int64_t chars, int64_t count) {
  pairs *k = ud;
  if (!wok__add(k->all, count, &k->all)) return wok__fail(k->w->c, WOK_LIMIT, "counts beyond 63 bits");
  if (count < k->w->o.min_count) return WOK_OK;
  if (k->n == k->cap) {
    int64_t cap = k->cap ? 2 * k->cap : 1024;
    if (cap * (int64_t)sizeof *k->string > k->w->o.memory / 2)
      return wok__fail(k->w->c, WOK_LIMIT, "more than %lld different strings: raise min_count (--min-count) or the memory (--memory)",
                       (long long)k->n);
    string *more = wok__realloc(k->string, cap * (int64_t)sizeof *more);
    if (!more) return wok__nomem(k->w->c, cap * (int64_t)sizeof *more);
    k->string = more;
    k->cap = cap;
  }
  k->string[k->n++] = (string){.text = k->text.len, .count = count, .bytes = (int32_t)bytes, .chars = (int32_t)chars, .gain = NAN};
  wok__str_add(&k->text, text, bytes);
  return k->text.failed ? wok__nomem(k->w->c, k->text.len) : WOK_OK;
}

static void truncate_rare(pairs *k) {
  int64_t n = 0;
  for (int64_t i = 0; i < k->n; i++)
    if ((double)k->string[i].count > k->w->o.min_prob * (double)k->all) k->string[n++] = k->string[i];
  k->n = n;
}

/* ---- de-redundancy ---- */

static int longest_first(const void *a, const void *b, void *ud) {
  const string *x = a, *y = b;
  if (x->chars != y->chars) return x->chars > y->chars ? -1 : 1;
  const char *text = ((pairs *)ud)->text.p;
  int order = memcmp(text + x->text, text + y->text, (size_t)WOK__MIN(x->bytes, y->bytes));
  return order ? order : (x->bytes > y->bytes) - (x->bytes < y->bytes);
}

typedef struct path {
  double score[WOK_WORDS_MOST_CHARS + 1];
  int words[WOK_WORDS_MOST_CHARS + 1]; /* from here to the end */
  int length[WOK_WORDS_MOST_CHARS];
  int32_t node[WOK_WORDS_MOST_CHARS];  /* of the word that begins here; -1: an unknown character */
} path;

/* The most probable words from every place to the end; of equals fewer, then the longest first. */
static void best_path(const wok__trie *t, const uint32_t *sym, int n, double ln_total, path *p) {
  p->score[n] = 0;
  p->words[n] = 0;
  for (int i = n - 1; i >= 0; i--) {
    p->score[i] = p->score[i + 1] + unknown;
    p->words[i] = p->words[i + 1] + 1;
    p->length[i] = 1;
    p->node[i] = -1;
    int32_t node = 0;
    for (int j = i; j < n && (node = wok__trie_step(t, node, sym[j])) >= 0; j++) {
      if (t->value[node] <= 0) continue;
      double score = p->score[j + 1] + log((double)t->value[node]) - ln_total;
      int words = p->words[j + 1] + 1;
      if (score < p->score[i] || (score == p->score[i] && words > p->words[i])) continue;
      p->score[i] = score;
      p->words[i] = words;
      p->length[i] = j + 1 - i;
      p->node[i] = node;
    }
  }
}

static wok_status fill_trie(pairs *k, wok__trie *t, int64_t *total) {
  uint32_t sym[WOK_WORDS_MOST_CHARS];
  *total = 0;
  for (int64_t i = 0; i < k->n; i++) {
    string *e = &k->string[i];
    wok__words_decode(k->text.p + e->text, e->bytes, sym, WOK_WORDS_MOST_CHARS);
    WOK__TRY(wok__trie_node(t, sym, e->chars, &e->node));
    t->value[e->node] = e->count;
    *total += e->count;
  }
  return WOK_OK;
}

/* A string that its parts explain leaves, and they take its count. */
static void judge(pairs *k, wok__trie *t, string *e, int64_t *total, path *p) {
  uint32_t sym[WOK_WORDS_MOST_CHARS];
  int64_t count = t->value[e->node];
  double own = log((double)count) - log((double)*total);
  wok__words_decode(k->text.p + e->text, e->bytes, sym, WOK_WORDS_MOST_CHARS);
  t->value[e->node] = 0;
  *total -= count;
  best_path(t, sym, e->chars, log((double)WOK__MAX(*total, (int64_t)1)), p);
  e->gain = own - p->score[0];
  if (e->gain > (k->w->o.flat_penalty ? 1 : e->chars - 1)) {
    t->value[e->node] = count;
    *total += count;
    return;
  }
  e->out = true;
  for (int i = 0; i < e->chars; i += p->length[i])
    if (p->node[i] >= 0) {
      t->value[p->node[i]] += count;
      *total += count;
    }
}

static wok_status remove_redundant(pairs *k) {
  wok__trie t;
  WOK__TRY(wok__trie_init(k->w->c, &t));
  path *p = wok__malloc((int64_t)sizeof *p);
  int64_t total;
  wok_status s = p ? fill_trie(k, &t, &total) : wok__nomem(k->w->c, (int64_t)sizeof *p);
  if (s == WOK_OK) {
    qsort_r(k->string, (size_t)k->n, sizeof *k->string, longest_first, k);
    wok__task task;
    wok__task_begin(&task, k->w->c, "sift", "words", k->n);
    for (int64_t i = 0; s == WOK_OK && i < k->n; i++) {
      if (k->string[i].chars > 1) judge(k, &t, &k->string[i], &total, p);
      if ((i & 0xff) == 0) s = wok__task_at(&task, i, NULL);
    }
  }
  for (int64_t i = 0; s == WOK_OK && i < k->n; i++) {
    const string *e = &k->string[i];
    if (!e->out) s = wok__words_add(k->w, k->text.p + e->text, e->bytes, e->chars, t.value[e->node], e->gain);
  }
  wok__free(p);
  wok__trie_free(&t);
  return s;
}

wok_status wok__words_pairs(wok_words *w, wok__symbols *s) {
  const wok_words_opts *o = &w->o;
  pairs k = {.w = w};
  wok__str_init(&k.text, o->memory);
  wok__grams_opts go = {.charset = o->charset, .order = 2, .memory = o->memory, .tmp = o->tmp, .min_count = o->min_count,
                        .min_prob = o->min_prob};
  WOK__TRY(wok__grams_count(w->c, &k.g, s, &go));
  wok_status st = wok__grams_cohesion(&k.g);
  if (st == WOK_OK) st = wok__grams_filter(&k.g, strong, &k);
  w->info.chars = k.g.total;
  w->info.types = k.g.types;
  w->info.runs = k.g.runs;
  w->info.char_bits = k.g.char_entropy / log(2);
  w->info.grams = k.g.n - k.g.types;
  w->info.spilled = k.g.spilled;
  wok__cutter cutter = {.cut = cut, .take = take, .ud = &k};
  if (st == WOK_OK) st = wok__cut_count(w, s, "cut", &cutter);
  wok__grams_free(&k.g);
  if (st == WOK_OK) {
    truncate_rare(&k);
    w->info.candidates = k.n;
    st = remove_redundant(&k);
  }
  wok__str_free(&k.text);
  wok__free(k.string);
  return st;
}
