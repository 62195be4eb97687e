#include <math.h>
#include <string.h>
#include "base/json.h"
#include "vocab/grams.h"

enum { FIRST = 1 << 12, SMALL_MAYBE = 1 << 16 };

/* ---- keys ---- */

int wok__gram_length(const wok__grams *g, const wok__gram *k) {
  int n = 0;
  while (n < g->order && wok__gram_at(g, k, n)) n++;
  return n;
}

static uint64_t hash_of(const wok__gram *k) {
  uint64_t h = k->w[0] * UINT64_C(0x9e3779b97f4a7c15) ^ (k->w[1] * UINT64_C(0xc2b2ae3d27d4eb4f) << 1);
  h ^= h >> 29;
  h *= UINT64_C(0xbf58476d1ce4e5b9);
  return h ^ h >> 32;
}

static bool equal(const wok__gram *a, const wok__gram *b) { return a->w[0] == b->w[0] && a->w[1] == b->w[1]; }

int64_t wok__grams_find(const wok__grams *g, const wok__gram *k) {
  uint64_t h = hash_of(k), bit = h >> 32 & (uint64_t)(8 * g->slots - 1);
  if (!(g->maybe[bit >> 6] >> (bit & 63) & 1)) return -1;
  for (uint64_t i = h & (uint64_t)(g->slots - 1);; i = (i + 1) & (uint64_t)(g->slots - 1)) {
    int64_t at = g->index[i] - 1;
    if (at < 0 || equal(&g->key[at], k)) return at;
  }
}

static wok_status make_index(wok__grams *g) {
  wok__free(g->index);
  wok__free(g->maybe);
  for (g->slots = SMALL_MAYBE / 8; g->slots < 2 * g->n;) g->slots *= 2;
  g->index = wok__calloc(g->slots, 8);
  g->maybe = wok__calloc(g->slots / 8, 8); /* eight bits a slot */
  if (!g->index || !g->maybe) return wok__nomem(g->c, g->slots * 9);
  for (int64_t k = 0; k < g->n; k++) {
    uint64_t h = hash_of(&g->key[k]), i = h & (uint64_t)(g->slots - 1), bit = h >> 32 & (uint64_t)(8 * g->slots - 1);
    while (g->index[i]) i = (i + 1) & (uint64_t)(g->slots - 1);
    g->index[i] = k + 1;
    g->maybe[bit >> 6] |= UINT64_C(1) << (bit & 63);
  }
  return WOK_OK;
}

void wok__grams_free(wok__grams *g) {
  wok__free(g->key);
  wok__free(g->count);
  wok__free(g->cohesion);
  wok__free(g->index);
  wok__free(g->maybe);
  *g = (wok__grams){0};
}

/* ---- counting ---- */

typedef struct counting {
  wok__grams *g;
  wok__keys *keys;
  const uint32_t *sym;
  int64_t end[WOK__SYMBOLS_BATCH / WOK__SYMBOLS_TILE + 2]; /* of tiles */
  int64_t at[WOK__SYMBOLS_BATCH / WOK__SYMBOLS_TILE + 2];  /* keys before each tile */
  uint64_t *to;
} counting;

static void write_keys(void *ud, int64_t tile, int worker) {
  (void)worker;
  counting *k = ud;
  const wok__grams *g = k->g;
  const uint32_t *sym = k->sym;
  uint64_t *to = k->to + k->at[tile] * g->words;
  for (int64_t i = tile ? k->end[tile - 1] : 0; i < k->end[tile]; i++) {
    if (sym[i] == 0) continue;
    wok__gram key = {{0, 0}};
    for (int j = 0; j < g->order && sym[i + j]; j++) wok__gram_put(g, &key, j, wok__gram_symbol(g, sym[i + j]));
    memcpy(to, key.w, (size_t)g->words * 8);
    to += g->words;
  }
}

static wok_status count_batch(void *ud, const uint32_t *sym, int64_t n) {
  counting *k = ud;
  int64_t tiles = wok__symbols_tiles(sym, n, k->end), keys = 0, i = 0;
  for (int64_t t = 0; t < tiles; t++) {
    k->at[t] = keys;
    for (; i < k->end[t]; i++) keys += sym[i] != 0;
  }
  k->g->total += keys;
  k->g->runs += n - keys;
  k->sym = sym;
  WOK__TRY(wok__keys_room(k->keys, keys, &k->to));
  wok__pool_run(k->g->c, write_keys, k, tiles);
  return WOK_OK;
}

/* ---- what comes out of the merge ---- */

typedef struct sums {
  wok__grams *g;
  const wok__grams_opts *o;
  uint32_t symbol[WOK_WORDS_MOST_ORDER]; /* of the last key */
  int64_t sum[WOK_WORDS_MOST_ORDER];     /* [n - 1]: so far, of what begins with its first n */
  int length;
  double nlogn; /* of single characters */
} sums;

static wok_status too_many(const wok__grams *g, const wok__grams_opts *o) {
  char size[32];
  wok__format_size(size, (int64_t)sizeof size, o->memory);
  return wok__fail(g->c, WOK_LIMIT,
                   "more than %lld n-grams are frequent enough, and %s do not hold them: raise min_count (--min-count) or the memory "
                   "(--memory)", (long long)g->n, size);
}

static wok_status append(wok__grams *g, const wok__grams_opts *o, const wok__gram *key, int64_t count) {
  if (g->n == g->cap) {
    /* key, count, cohesion, two slots of the index and eight bits each; while growing the old ones are there too */
    int64_t cap = g->cap ? 2 * g->cap : FIRST, each = (int64_t)sizeof *g->key + 8 + 8 + 16 + 2;
    if (cap > FIRST && cap * each > o->memory) {
      cap = o->memory / each;
      if (cap <= g->cap + g->cap / 16) return too_many(g, o);
    }
    wok__gram *keys = wok__realloc(g->key, cap * (int64_t)sizeof *keys);
    if (keys) g->key = keys;
    int64_t *counts = keys ? wok__realloc(g->count, cap * 8) : NULL;
    if (counts) g->count = counts;
    if (!keys || !counts) return wok__nomem(g->c, cap * 24);
    g->cap = cap;
  }
  g->key[g->n] = *key;
  g->count[g->n++] = count;
  return WOK_OK;
}

static wok_status close_gram(sums *s, int n) {
  wok__grams *g = s->g;
  int64_t count = s->sum[n - 1];
  if (n == 1) {
    g->types++;
    s->nlogn += (double)count * log((double)count);
  } else if (count < s->o->min_count || (n == 2 && (double)count <= s->o->min_prob * (double)(g->total - g->runs))) {
    return WOK_OK;
  }
  wok__gram key = {{0, 0}};
  for (int i = 0; i < n; i++) wok__gram_put(g, &key, i, s->symbol[i]);
  return append(g, s->o, &key, count);
}

/* The next key: grams that do not begin it are complete. */
static wok_status sum_key(sums *s, const uint32_t *symbol, int length, int64_t count) {
  int same = 0;
  while (same < WOK__MIN(length, s->length) && symbol[same] == s->symbol[same]) same++;
  for (int n = s->length; n > same; n--) WOK__TRY(close_gram(s, n));
  for (int n = same; n < length; n++) s->sum[n] = 0;
  for (int n = 0; n < length; n++) {
    s->symbol[n] = symbol[n];
    if (__builtin_add_overflow(s->sum[n], count, &s->sum[n])) return wok__fail(s->g->c, WOK_LIMIT, "a count beyond 64 bits");
  }
  s->length = length;
  return WOK_OK;
}

static wok_status sum_all(wok__grams *g, wok__runs *runs, wok__count_writer *save, const wok__grams_opts *o) {
  sums s = {.g = g, .o = o};
  wok__task task;
  wok__task_begin(&task, g->c, "merge", "keys", 0);
  for (int64_t done = 0;; done++) {
    const uint8_t *bytes;
    int64_t n;
    uint64_t count;
    WOK__TRY(wok__runs_next(runs, &bytes, &n, &count));
    if (!bytes) break;
    if (n != 8 * g->words || count > INT64_MAX) return wok__fail(g->c, WOK_CORRUPT, "counts that are no n-gram counts: count again");
    if (save) WOK__TRY(wok__count_writer_put(save, bytes, n, count));
    wok__gram key = {{wok__key_word(bytes, 0), g->words == 2 ? wok__key_word(bytes, 1) : 0}};
    uint32_t symbol[WOK_WORDS_MOST_ORDER];
    int length = wok__gram_length(g, &key);
    for (int i = 0; i < length; i++) symbol[i] = wok__gram_at(g, &key, i);
    WOK__TRY(sum_key(&s, symbol, length, (int64_t)count));
    if ((done & 0xffff) == 0) WOK__TRY(wok__task_at(&task, done, NULL));
  }
  WOK__TRY(sum_key(&s, NULL, 0, 0));
  double total = (double)g->total;
  g->char_entropy = total > 0 ? log(total) - s.nlogn / total : 0;
  return make_index(g);
}

/* ---- files of counts ---- */

static wok_status header(const wok__grams *g, wok__str *text) {
  json_t *j = json_pack("{s:s, s:i, s:i, s:I, s:I}", "counts", "n-grams", "charset", (int)g->charset, "order", g->order, "characters",
                        (json_int_t)g->total, "runs", (json_int_t)g->runs);
  wok_status s = j ? wok__json_text(g->c, j, text, 0) : wok__nomem(g->c, 256);
  json_decref(j);
  return s;
}

static wok_status read_header(wok__grams *g, const json_t *j, const char *path) {
  const char *kind;
  int64_t charset, order, total, runs;
  WOK__TRY(wok__json_str(g->c, j, path, "counts", &kind));
  if (strcmp(kind, "n-grams") != 0) return wok__fail(g->c, WOK_FORMAT, "%s: holds counts of %.40s, not of n-grams", path, kind);
  WOK__TRY(wok__json_int(g->c, j, path, "charset", 0, WOK_CHARS_LETTERS, &charset));
  WOK__TRY(wok__json_int(g->c, j, path, "order", 1, WOK_WORDS_MOST_ORDER, &order));
  WOK__TRY(wok__json_int(g->c, j, path, "characters", 0, INT64_MAX, &total));
  WOK__TRY(wok__json_int(g->c, j, path, "runs", 0, INT64_MAX, &runs));
  if (charset != (int64_t)g->charset || order != g->order)
    return wok__fail(g->c, WOK_MISMATCH, "%s: counted with order %d and character set %d, not with %d and %d: use the same options", path,
                     (int)order, (int)charset, g->order, (int)g->charset);
  if (!wok__add(g->total, total, &g->total) || !wok__add(g->runs, runs, &g->runs))
    return wok__fail(g->c, WOK_LIMIT, "%s: counts beyond 64 bits", path);
  return WOK_OK;
}

static wok_status add_file(wok__grams *g, wok__runs *runs, wok__count_file *f, const char *path) {
  json_t *j;
  WOK__TRY(wok__count_file_open(g->c, f, path));
  WOK__TRY(wok__json_parse(g->c, &j, f->header, (int64_t)strlen(f->header), path));
  wok_status s = read_header(g, j, path);
  json_decref(j);
  return s ? s : wok__runs_add_file(runs, f->fd, f->name, f->begin, f->end);
}

static wok_status count_texts(wok__grams *g, wok__runs *runs, wok__symbols *s, const wok__grams_opts *o) {
  counting *k = wok__calloc(1, (int64_t)sizeof *k);
  if (!k) return wok__nomem(g->c, (int64_t)sizeof *k);
  k->g = g;
  wok_status st = wok__keys_new(g->c, &k->keys, runs, g->words, g->bits * g->order, o->memory - o->memory / 16);
  if (st == WOK_OK) st = wok__symbols_read(s, "count", count_batch, k);
  if (st == WOK_OK) st = wok__keys_flush(k->keys);
  wok__keys_free(k->keys);
  wok__free(k);
  return st;
}

static wok_status merge_and_save(wok__grams *g, wok__runs *runs, const wok__grams_opts *o) {
  wok__count_writer *save = NULL;
  if (o->save) {
    wok__str text;
    wok__str_init(&text, 1 << 16);
    wok_status s = header(g, &text);
    if (s == WOK_OK) s = wok__count_writer_open(g->c, &save, o->save, text.p);
    wok__str_free(&text);
    if (s) return s;
  }
  g->spilled = wok__runs_bytes(runs);
  wok_status s = wok__runs_merge(runs, o->memory / 8);
  if (s == WOK_OK) s = sum_all(g, runs, save, o);
  if (!save) return s;
  if (s == WOK_OK) return wok__count_writer_commit(save);
  wok__count_writer_abort(save);
  return s;
}

wok_status wok__grams_count(wok_ctx *c, wok__grams *g, wok__symbols *s, const wok__grams_opts *o) {
  *g = (wok__grams){.c = c, .charset = o->charset, .order = o->order, .bits = o->charset == WOK_CHARS_LETTERS ? 21 : 15};
  g->words = g->bits * g->order > 64 ? 2 : 1;
  if (g->order < 1 || g->bits * g->order > 128)
    return wok__fail(c, WOK_INVALID, "n-grams of %d characters: from 1 to %d can be counted", g->order, 128 / g->bits > 8 ? 8 : 128 / g->bits);
  wok__runs *runs;
  WOK__TRY(wok__runs_new(c, &runs, o->tmp));
  wok__count_file *file = wok__calloc(WOK__MAX(o->nadd, 1), (int64_t)sizeof *file);
  wok_status st = file ? WOK_OK : wok__nomem(c, 64);
  for (int i = 0; file && i < o->nadd; i++) file[i].fd = -1;
  if (st == WOK_OK) st = count_texts(g, runs, s, o);
  for (int i = 0; st == WOK_OK && i < o->nadd; i++) st = add_file(g, runs, &file[i], o->add[i]);
  if (st == WOK_OK) st = merge_and_save(g, runs, o);
  wok__runs_free(runs);
  for (int i = 0; file && i < o->nadd; i++) wok__count_file_close(&file[i]);
  wok__free(file);
  if (st) wok__grams_free(g);
  return st;
}

/* ---- cohesion ---- */

static int64_t count_of(const wok__grams *g, const uint32_t *symbol, int n) {
  wok__gram key = {{0, 0}};
  for (int i = 0; i < n; i++) wok__gram_put(g, &key, i, symbol[i]);
  int64_t at = wok__grams_find(g, &key);
  return at < 0 ? 0 : g->count[at];
}

static void cohere(void *ud, int64_t tile, int worker) {
  (void)worker;
  wok__grams *g = ud;
  for (int64_t i = tile * FIRST; i < WOK__MIN(g->n, (tile + 1) * FIRST); i++) {
    int n = wok__gram_length(g, &g->key[i]);
    uint32_t symbol[WOK_WORDS_MOST_ORDER];
    double least = NAN;
    for (int k = 0; k < n; k++) symbol[k] = wok__gram_at(g, &g->key[i], k);
    for (int k = 1; k < n; k++) { /* what a frequent gram is made of is as frequent, so it is here */
      double parts = (double)count_of(g, symbol, k) * (double)count_of(g, symbol + k, n - k);
      double ratio = (double)g->total * (double)g->count[i] / parts;
      if (!(ratio >= least)) least = ratio;
    }
    g->cohesion[i] = log(least);
  }
}

wok_status wok__grams_cohesion(wok__grams *g) {
  g->cohesion = wok__malloc(WOK__MAX(g->n, (int64_t)1) * 8);
  if (!g->cohesion) return wok__nomem(g->c, g->n * 8);
  wok__pool_run(g->c, cohere, g, (g->n + FIRST - 1) / FIRST);
  return WOK_OK;
}

wok_status wok__grams_filter(wok__grams *g, bool (*keep)(void *ud, const wok__grams *g, int64_t i, int length), void *ud) {
  int64_t n = 0;
  for (int64_t i = 0; i < g->n; i++) {
    int length = wok__gram_length(g, &g->key[i]);
    if (length > 1 && !keep(ud, g, i, length)) continue;
    g->key[n] = g->key[i];
    g->count[n] = g->count[i];
    if (g->cohesion) g->cohesion[n] = g->cohesion[i];
    n++;
  }
  g->n = n;
  return make_index(g);
}
