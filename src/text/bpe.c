/* Byte-pair encoding. Hugging Face's: pairs of ids have ranks. SentencePiece's: a pair may merge where its text is a piece, the
   piece of the highest score first. Both merge the leftmost of the best; short texts by looking through all pairs, long ones
   with a heap. */
#include <string.h>
#include "text/model.h"
#include "text/symbols.h"

enum { SHORT = 48, NONE = -1 };

typedef struct pair_slot { uint64_t pair; int32_t rank, id; } pair_slot;

typedef struct bpe {
  wok__model m;
  pair_slot *pairs; /* open table; id 0 with pair ~0: empty */
  int64_t slots;
  wok__bytes prefix, suffix;
  bool ignore_merges;
  double dropout;
  uint8_t *whole;          /* raw: bit per id: its bytes encode to itself */
  const wok__vocab *bytes; /* raw: tokens as bytes */
  /* SentencePiece */
  float *score;
  wok__symbols *symbols; /* user-defined: kept whole */
  bool apart;            /* no piece goes from a letter over a word mark: words are encoded one by one */
} bpe;

static void bpe_free(wok__model *m) {
  bpe *w = (bpe *)m;
  wok__free(w->pairs);
  wok__free(w->prefix.p);
  wok__free(w->suffix.p);
  wok__free(w->whole);
  wok__free(w->score);
  wok__free(w->m.type);
  wok__symbols_free(w->symbols);
  wok__free(w);
}

/* ---- pairs ---- */

#define EMPTY UINT64_MAX

static inline int64_t pair_at(const bpe *w, uint64_t pair) {
  uint64_t h = pair * UINT64_C(0x9E3779B97F4A7C15);
  int64_t mask = w->slots - 1, i = (int64_t)(h >> 20 & (uint64_t)mask);
  while (w->pairs[i].pair != pair && w->pairs[i].pair != EMPTY) i = (i + 1) & mask;
  return i;
}

static inline bool find_pair(const bpe *w, int32_t a, int32_t b, int32_t *rank, int32_t *id) {
  if ((a | b) < 0 || !w->slots) return false;
  const pair_slot *s = &w->pairs[pair_at(w, (uint64_t)(uint32_t)a << 32 | (uint32_t)b)];
  if (s->pair == EMPTY) return false;
  *rank = s->rank;
  *id = s->id;
  return true;
}

static wok_status pairs_new(wok_ctx *c, bpe *w, int64_t n) {
  w->slots = 64;
  while (w->slots < n * 2) w->slots *= 2;
  w->pairs = wok__malloc(w->slots * (int64_t)sizeof *w->pairs);
  if (!w->pairs) return w->slots = 0, wok__nomem(c, n * 32);
  for (int64_t i = 0; i < w->slots; i++) w->pairs[i] = (pair_slot){EMPTY, 0, 0};
  return WOK_OK;
}

/* A merge as "a b" or ["a", "b"]. */
static bool merge_of(const json_t *j, const char **a, int64_t *an, const char **b, int64_t *bn) {
  if (json_is_string(j)) {
    const char *z = json_string_value(j), *blank = strchr(z, ' ');
    if (!blank || strchr(blank + 1, ' ')) return false;
    *a = z, *an = blank - z, *b = blank + 1, *bn = (int64_t)strlen(blank + 1);
    return true;
  }
  const json_t *x = json_array_get(j, 0), *y = json_array_get(j, 1);
  if (json_array_size(j) != 2 || !json_is_string(x) || !json_is_string(y)) return false;
  *a = json_string_value(x), *an = (int64_t)json_string_length(x);
  *b = json_string_value(y), *bn = (int64_t)json_string_length(y);
  return true;
}

static wok_status read_merges(wok_ctx *c, const char *where, const json_t *list, const wok__vocab *v, bpe *w) {
  if (!json_is_array(list)) return wok__fail(c, WOK_FORMAT, "%s: model.merges is not a list", where);
  int64_t n = (int64_t)json_array_size(list);
  if (n > INT32_MAX / 4) return wok__fail(c, WOK_LIMIT, "%s: %lld merges are too many", where, (long long)n);
  WOK__TRY(pairs_new(c, w, n));
  wok__str joined;
  wok__str_init(&joined, 1 << 24);
  wok_status s = WOK_OK;
  for (int64_t i = 0; s == WOK_OK && i < n; i++) {
    const char *a, *b;
    int64_t an, bn;
    if (!merge_of(json_array_get(list, (size_t)i), &a, &an, &b, &bn)) {
      s = wok__fail(c, WOK_FORMAT, "%s: merge %lld is not two tokens", where, (long long)i);
      break;
    }
    int32_t ai = wok__vocab_find(v, a, an), bi = wok__vocab_find(v, b, bn);
    int64_t skip = w->prefix.n && bn >= w->prefix.n && memcmp(b, w->prefix.p, (size_t)w->prefix.n) == 0 ? w->prefix.n : 0;
    wok__str_clear(&joined);
    wok__str_add(&joined, a, an);
    wok__str_add(&joined, b + skip, bn - skip);
    int32_t id = joined.failed ? -1 : wok__vocab_find(v, joined.p ? joined.p : "", joined.len);
    if (ai < 0 || bi < 0 || id < 0) {
      s = wok__fail(c, WOK_FORMAT, "%s: merge %lld (\"%.40s\" and \"%.40s\") names a token that is not in the vocabulary", where,
                    (long long)i, a, b);
      break;
    }
    uint64_t pair = (uint64_t)(uint32_t)ai << 32 | (uint32_t)bi;
    w->pairs[pair_at(w, pair)] = (pair_slot){pair, (int32_t)i, id}; /* the last of equals counts, as there */
  }
  wok__str_free(&joined);
  return s;
}

/* ---- merging ---- */

/* Symbols: id (NONE: unknown), and the end of each in the text; both int64_t arrays of the encoder's scratch. */
typedef struct symbols_run {
  int64_t *id, *end;
  int64_t n;
} symbols_run;

static bool drop(wok__enc *e, double p) { return p > 0 && wok__rng_uniform(&e->rng) <= p; }
static double dropout_of(const bpe *w, const wok__enc *e) { return e->sample ? e->alpha : w->dropout; }

/* All pairs looked at for every merge: fastest for a word. */
static void merge_short(const bpe *w, symbols_run *r) {
  int32_t rank[SHORT], to[SHORT];
  int64_t n = r->n;
  for (int64_t i = 0; i + 1 < n; i++)
    if (!find_pair(w, (int32_t)r->id[i], (int32_t)r->id[i + 1], &rank[i], &to[i])) rank[i] = INT32_MAX;
  while (n > 1) {
    int32_t best = INT32_MAX;
    int64_t at = 0;
    for (int64_t i = 0; i + 1 < n; i++)
      if (rank[i] < best) best = rank[i], at = i;
    if (best == INT32_MAX) break;
    r->id[at] = to[at];
    r->end[at] = r->end[at + 1];
    n--;
    for (int64_t i = at + 1; i < n; i++) r->id[i] = r->id[i + 1], r->end[i] = r->end[i + 1];
    for (int64_t i = at + 1; i + 1 < n; i++) rank[i] = rank[i + 1], to[i] = to[i + 1];
    if (at + 1 < n && !find_pair(w, (int32_t)r->id[at], (int32_t)r->id[at + 1], &rank[at], &to[at])) rank[at] = INT32_MAX;
    if (at > 0 && !find_pair(w, (int32_t)r->id[at - 1], (int32_t)r->id[at], &rank[at - 1], &to[at - 1])) rank[at - 1] = INT32_MAX;
  }
  r->n = n;
}

/* A pair that may be merged. key: smaller first. */
typedef struct candidate { double key; int64_t left, right, bytes; int32_t id; } candidate;
typedef struct heap { candidate *p; int64_t n, cap; } heap;

static bool before(const candidate *a, const candidate *b) { return a->key < b->key || (a->key == b->key && a->left < b->left); }

static bool push(wok__enc *e, heap *h, candidate x) {
  if (h->n == h->cap) {
    int64_t cap = h->cap ? h->cap * 2 : 256;
    candidate *p = wok__realloc(h->p, cap * (int64_t)sizeof *p);
    if (!p) return wok__enc_nomem(e);
    h->p = p;
    h->cap = cap;
  }
  int64_t i = h->n++;
  for (; i > 0 && before(&x, &h->p[(i - 1) / 2]); i = (i - 1) / 2) h->p[i] = h->p[(i - 1) / 2];
  h->p[i] = x;
  return true;
}

static candidate pop(heap *h) {
  candidate top = h->p[0], x = h->p[--h->n];
  int64_t i = 0;
  for (;;) {
    int64_t k = 2 * i + 1;
    if (k >= h->n) break;
    if (k + 1 < h->n && before(&h->p[k + 1], &h->p[k])) k++;
    if (!before(&h->p[k], &x)) break;
    h->p[i] = h->p[k];
    i = k;
  }
  if (h->n > 0) h->p[i] = x;
  return top;
}

typedef struct linked {
  const bpe *w;
  wok__enc *e;
  symbols_run *r;
  int64_t *next, *start;
  int64_t *prev;
  const uint8_t *text;
  heap h;
} linked;

/* Does the pair (i, k) merge? SentencePiece: by the text of both. */
static bool consider(linked *l, int64_t i, int64_t k) {
  if (i < 0 || k < 0) return true;
  candidate x = {.left = i, .right = k, .bytes = l->r->end[k] - l->start[i]};
  int32_t rank;
  if (l->w->score) {
    if (l->r->id[i] < NONE || l->r->id[k] < NONE) return true; /* frozen */
    x.id = wok__vocab_find(l->w->m.vocab, l->text + l->start[i], x.bytes);
    if (x.id < 0) return true;
    uint8_t type = l->w->m.type[x.id];
    if (type != WOK__NORMAL && type != WOK__USER && type != WOK__UNUSED) return true;
    x.key = -(double)l->w->score[x.id];
  } else {
    if (!find_pair(l->w, (int32_t)l->r->id[i], (int32_t)l->r->id[k], &rank, &x.id)) return true;
    x.key = rank;
  }
  return push(l->e, &l->h, x);
}

static bool merge_linked(const bpe *w, wok__enc *e, symbols_run *r, int64_t begin) {
  int64_t n = r->n;
  linked l = {.w = w, .e = e, .r = r, .text = e->view.p};
  int64_t *words = wok__enc_words(e, 2, n * 3);
  if (!words) return false;
  l.next = words, l.prev = words + n, l.start = words + 2 * n;
  for (int64_t i = 0; i < n; i++) l.next[i] = i + 1 < n ? i + 1 : -1, l.prev[i] = i - 1, l.start[i] = i ? r->end[i - 1] : begin;
  bool ok = true;
  double p = dropout_of(w, e);
  for (int64_t i = 0; ok && i + 1 < n; i++) ok = consider(&l, i, i + 1);
  while (ok && l.h.n > 0) {
    candidate x = pop(&l.h);
    /* stale: one of both was merged meanwhile */
    if (l.start[x.left] < 0 || l.start[x.right] < 0 || l.next[x.left] != x.right || r->end[x.right] - l.start[x.left] != x.bytes) continue;
    if (!w->score) {
      int32_t rank, id;
      if (!find_pair(w, (int32_t)r->id[x.left], (int32_t)r->id[x.right], &rank, &id) || id != x.id) continue;
    }
    if (drop(e, p)) continue;
    r->id[x.left] = x.id;
    r->end[x.left] = r->end[x.right];
    l.next[x.left] = l.next[x.right];
    if (l.next[x.left] >= 0) l.prev[l.next[x.left]] = x.left;
    l.start[x.right] = -1;
    ok = consider(&l, l.prev[x.left], x.left) && consider(&l, x.left, l.next[x.left]);
  }
  wok__free(l.h.p);
  int64_t k = 0;
  for (int64_t i = 0; ok && i >= 0 && n > 0; i = l.next[i]) r->id[k] = r->id[i], r->end[k++] = r->end[i];
  r->n = k;
  return ok;
}

static bool merge(const bpe *w, wok__enc *e, symbols_run *r, int64_t begin) {
  if (r->n < 2) return true;
  if (r->n <= SHORT && !w->score && dropout_of(w, e) <= 0) return merge_short(w, r), true;
  return merge_linked(w, e, r, begin);
}

static bool run_new(wok__enc *e, symbols_run *r, int64_t bytes) {
  r->id = wok__enc_words(e, 0, bytes);
  r->end = wok__enc_words(e, 1, bytes);
  r->n = 0;
  return r->id && r->end;
}

/* ---- Hugging Face's ---- */

/* The id of a character as the model writes it: with the prefix where it continues a word, with the suffix where it ends one. */
static int32_t char_id(const bpe *w, const uint8_t *p, int64_t n, bool first, bool last) {
  if (w->prefix.n == 0 && w->suffix.n == 0) return wok__vocab_find(w->m.vocab, p, n);
  wok__str z;
  wok__str_init(&z, 1 << 20);
  if (!first && w->prefix.n) wok__str_add(&z, w->prefix.p, w->prefix.n);
  wok__str_add(&z, p, n);
  if (last && w->suffix.n) wok__str_add(&z, w->suffix.p, w->suffix.n);
  int32_t id = z.failed ? -1 : wok__vocab_find(w->m.vocab, z.p, z.len);
  wok__str_free(&z);
  return id;
}

/* Id NONE - 1 - k: byte k of the fallback. The unknown token itself never merges in practice, so it goes as NONE. */
static bool char_symbols(const bpe *w, wok__enc *e, symbols_run *r, int64_t a, int64_t b) {
  const uint8_t *p = e->view.p;
  for (int64_t i = a; i < b;) {
    uint32_t cp;
    int64_t end = i + wok__next(p + i, b - i, &cp);
    int32_t id = char_id(w, p + i, end - i, i == a, end == b);
    if (id < 0 && w->m.byte_fallback) {
      bool all = true;
      for (int64_t k = i; k < end; k++) all = all && w->m.byte[p[k]] >= 0;
      if (all) {
        for (int64_t k = i; k < end; k++) r->id[r->n] = w->m.byte[p[k]], r->end[r->n++] = k + 1;
        i = end;
        continue;
      }
    }
    if (id < 0 && w->m.unk < 0) { /* left out, as there */
      i = end;
      continue;
    }
    if (id < 0 && w->m.fuse_unk && r->n > 0 && r->id[r->n - 1] == NONE)
      r->end[r->n - 1] = end;
    else
      r->id[r->n] = id < 0 ? NONE : id, r->end[r->n++] = end;
    i = end;
  }
  return true;
}

static bool put_run(const bpe *w, wok__enc *e, const symbols_run *r, int64_t a) {
  for (int64_t i = 0; i < r->n; i++) {
    int64_t begin = i ? r->end[i - 1] : a;
    int32_t id = r->id[i] >= 0 ? (int32_t)r->id[i] : w->m.unk;
    if (id >= 0 && !wok__tok_add(e, id, begin, r->end[i])) return false;
  }
  return true;
}

static bool bpe_encode(const wok__model *m, wok__enc *e, int64_t a, int64_t b) {
  const bpe *w = (const bpe *)m;
  const uint8_t *p = e->view.p;
  if (m->raw) {
    int32_t id = b - a == 1 ? m->byte[p[a]] : wok__vocab_find(w->bytes, p + a, b - a);
    if (id >= 0 && (w->ignore_merges || w->whole[id >> 3] >> (id & 7) & 1) && dropout_of(w, e) <= 0) return wok__tok_add(e, id, a, b);
  } else if (w->ignore_merges) {
    int32_t id = wok__vocab_find(m->vocab, p + a, b - a);
    if (id >= 0) return wok__tok_add(e, id, a, b);
  }
  symbols_run r;
  if (!run_new(e, &r, b - a)) return false;
  if (m->raw)
    for (int64_t i = a; i < b; i++) r.id[r.n] = m->byte[p[i]], r.end[r.n++] = i + 1;
  else if (!char_symbols(w, e, &r, a, b))
    return false;
  return merge(w, e, &r, a) && put_run(w, e, &r, a);
}

static wok_status affix(wok_ctx *c, const char *where, const json_t *j, const char *key, wok__bytes *out) {
  const json_t *v = json_object_get(j, key);
  return !v || json_is_null(v) ? WOK_OK : wok__step_text(c, where, j, key, out);
}

static wok_status bpe_fill(wok_ctx *c, const char *where, const json_t *j, wok__vocab *v, bpe *w) {
  const char *unk = NULL;
  WOK__TRY(wok__vocab_read(c, where, json_object_get(j, "vocab"), v));
  WOK__TRY(wok__json_str_opt(c, j, where, "unk_token", &unk));
  w->m.unk = unk ? wok__vocab_find(v, unk, (int64_t)strlen(unk)) : -1;
  WOK__TRY(affix(c, where, j, "continuing_subword_prefix", &w->prefix));
  WOK__TRY(affix(c, where, j, "end_of_word_suffix", &w->suffix));
  WOK__TRY(wok__json_double_opt(c, j, where, "dropout", 0, 1, &w->dropout));
  WOK__TRY(wok__json_bool_opt(c, j, where, "fuse_unk", &w->m.fuse_unk));
  WOK__TRY(wok__json_bool_opt(c, j, where, "byte_fallback", &w->m.byte_fallback));
  WOK__TRY(wok__json_bool_opt(c, j, where, "ignore_merges", &w->ignore_merges));
  wok__byte_tokens(v, w->m.byte);
  return read_merges(c, where, json_object_get(j, "merges"), v, w);
}

static wok_status bpe_read(wok_ctx *c, const char *where, const json_t *j, wok__vocab *v, wok__model **m) {
  bpe *w = wok__calloc(1, (int64_t)sizeof *w);
  if (!w) return wok__nomem(c, (int64_t)sizeof *w);
  *m = &w->m;
  w->m.kind = &wok__bpe;
  return bpe_fill(c, where, j, v, w);
}

/* Which tokens come out when their own bytes are encoded? */
static bool encodes_itself(const bpe *w, const char *z, int64_t n, int32_t id) {
  int64_t ids[SHORT], ends[SHORT];
  if (n > SHORT) return false; /* these are encoded the long way */
  symbols_run r = {ids, ends, n};
  for (int64_t i = 0; i < n; i++) ids[i] = w->m.byte[(uint8_t)z[i]], ends[i] = i + 1;
  if (n > 1) merge_short(w, &r);
  return r.n == 1 && ids[0] == id;
}

wok_status wok__bpe_set_raw(wok_ctx *c, wok__model *m, const wok__vocab *bytes) {
  bpe *w = (bpe *)m;
  w->bytes = bytes;
  m->raw = true;
  for (int i = 0; i < 256; i++) {
    char z = (char)i;
    m->byte[i] = wok__vocab_find(bytes, &z, 1);
  }
  w->whole = wok__calloc(bytes->n / 8 + 1, 1);
  if (!w->whole) return wok__nomem(c, bytes->n / 8);
  for (int64_t id = 0; id < bytes->n; id++) {
    int64_t n;
    const char *z = wok__vocab_get(bytes, id, &n);
    if (z && n > 0 && encodes_itself(w, z, n, (int32_t)id)) w->whole[id >> 3] = (uint8_t)(w->whole[id >> 3] | 1 << (id & 7));
  }
  return WOK_OK;
}

const wok__model_kind wok__bpe = {"BPE", bpe_read, bpe_encode, bpe_free};

/* ---- SentencePiece's ---- */

static const uint8_t meta[3] = {0xe2, 0x96, 0x81};
static bool is_meta(const uint8_t *p, int64_t n) { return n >= 3 && memcmp(p, meta, 3) == 0; }

/* Writes a merged symbol; an unused piece goes back to what it was merged of. */
static bool put_symbol(const bpe *w, wok__enc *e, int64_t a, int64_t b, int depth, bool *after) {
  const uint8_t *p = e->view.p;
  int32_t id = wok__vocab_find(w->m.vocab, p + a, b - a);
  bool usable = id >= 0 && (w->m.type[id] == WOK__NORMAL || w->m.type[id] == WOK__USER || w->m.type[id] == WOK__UNUSED);
  if (!usable) return wok__add_unknown(&w->m, e, a, b, after);
  if (w->m.type[id] == WOK__UNUSED && depth < 100) {
    /* the pair with the best score that makes it: the one that was merged */
    int64_t cut = -1;
    double best = 0;
    for (int64_t k = a + 1; k < b; k++) {
      int32_t l = wok__vocab_find(w->m.vocab, p + a, k - a), r = wok__vocab_find(w->m.vocab, p + k, b - k);
      if (l < 0 || r < 0) continue;
      double worse = WOK__MIN((double)w->score[l], (double)w->score[r]);
      if (cut < 0 || worse > best) cut = k, best = worse;
    }
    if (cut >= 0) return put_symbol(w, e, a, cut, depth + 1, after) && put_symbol(w, e, cut, b, depth + 1, after);
  }
  *after = false;
  return wok__tok_add(e, id, a, b);
}

static bool sp_word(const bpe *w, wok__enc *e, int64_t a, int64_t b, bool *after) {
  const uint8_t *p = e->view.p;
  symbols_run r;
  if (!run_new(e, &r, b - a)) return false;
  for (int64_t i = a; i < b;) {
    int64_t k = w->symbols ? wok__symbols_match(w->symbols, p + i, b - i) : 0;
    uint32_t cp;
    r.id[r.n] = k > 0 ? NONE - 1 : NONE;
    i += k > 0 ? k : wok__next(p + i, b - i, &cp);
    r.end[r.n++] = i;
  }
  if (r.n > 1 && !merge_linked(w, e, &r, a)) return false;
  for (int64_t i = 0; i < r.n; i++)
    if (!put_symbol(w, e, i ? r.end[i - 1] : a, r.end[i], 0, after)) return false;
  return true;
}

static bool sp_bpe_encode(const wok__model *m, wok__enc *e, int64_t a, int64_t b) {
  const bpe *w = (const bpe *)m;
  const uint8_t *p = e->view.p;
  bool after = false;
  if (!w->apart) return sp_word(w, e, a, b, &after);
  while (a < b) {
    int64_t end = a;
    while (end < b && is_meta(p + end, b - end)) end += 3;
    while (end < b && !is_meta(p + end, b - end)) end++;
    if (!sp_word(w, e, a, end, &after)) return false;
    a = end;
  }
  return true;
}

/* Does a piece hold a word mark after something else? */
static bool crosses(const char *z, int64_t n) {
  int64_t i = 0;
  while (is_meta((const uint8_t *)z + i, n - i)) i += 3;
  return i < n && memmem(z + i, (size_t)(n - i), meta, 3) != NULL;
}

/* [["piece", score, type], ...]; also collects the user-defined ones. */
static wok_status read_pieces(wok_ctx *c, const char *where, const json_t *list, wok__vocab *v, bpe *w) {
  int64_t n = (int64_t)json_array_size(list);
  w->score = wok__calloc(n, (int64_t)sizeof *w->score);
  w->m.type = wok__calloc(n, 1);
  json_t *symbols = json_array();
  wok_status s = w->score && w->m.type && symbols ? WOK_OK : wok__nomem(c, n * 5);
  w->apart = true;
  for (int64_t i = 0; s == WOK_OK && i < n; i++) {
    const json_t *j = json_array_get(list, (size_t)i);
    json_t *z = json_array_get(j, 0), *score = json_array_get(j, 1), *type = json_array_get(j, 2);
    if (!json_is_string(z) || !json_is_number(score) || !json_is_integer(type)) {
      s = wok__fail(c, WOK_FORMAT, "%s: piece %lld is not [string, score, type]", where, (long long)i);
      break;
    }
    w->score[i] = (float)json_number_value(score);
    w->m.type[i] = (uint8_t)json_integer_value(type);
    int64_t bytes = (int64_t)json_string_length(z);
    if (w->m.type[i] == WOK__UNKNOWN) w->m.unk = (int32_t)i;
    if (w->m.type[i] == WOK__USER && json_array_append(symbols, z)) s = wok__nomem(c, 0);
    if (w->m.type[i] != WOK__CONTROL && crosses(json_string_value(z), bytes)) w->apart = false;
    if (s == WOK_OK) s = wok__vocab_put(v, i, json_string_value(z), bytes, false);
    if (s) s = wok__fail_prefix(c, s, "%s", where);
  }
  if (s == WOK_OK && json_array_size(symbols)) s = wok__symbols_new(c, &w->symbols, where, symbols);
  json_decref(symbols);
  return s;
}

static wok_status sp_bpe_read(wok_ctx *c, const char *where, const json_t *j, wok__vocab *v, wok__model **m) {
  bpe *w = wok__calloc(1, (int64_t)sizeof *w);
  if (!w) return wok__nomem(c, (int64_t)sizeof *w);
  *m = &w->m;
  w->m.kind = &wok__sp_bpe;
  w->m.unk = -1;
  w->m.fuse_unk = true;
  WOK__TRY(wok__json_bool_opt(c, j, where, "byte_fallback", &w->m.byte_fallback));
  WOK__TRY(read_pieces(c, where, json_object_get(j, "vocab"), v, w));
  wok__byte_tokens(v, w->m.byte);
  return WOK_OK;
}

const wok__model_kind wok__sp_bpe = {"WokSentencePieceBPE", sp_bpe_read, sp_bpe_encode, bpe_free};
