/* Unigram models: the segmentation of the highest probability, by a pass over the end positions. One definition serves Hugging
   Face's (sums in f64), SentencePiece's (sums in f32, user-defined and unused pieces) and BytePiece (single bytes). */
#include <float.h>
#include <math.h>
#include <string.h>
#include "text/model.h"
#include "text/symbols.h"

enum { MOST_NBEST = 512, MOST_STEPS = 1000000 };
static const double unknown_penalty = 10;

typedef struct unigram {
  wok__model m;
  wok__byte_trie trie;
  double *score; /* [vocab->n] natural logarithms */
  double unknown; /* score of a character without a piece */
  bool single;    /* sums are rounded to f32 */
  bool bytes;     /* positions are bytes, not characters */
} unigram;

static void unigram_free(wok__model *m) {
  unigram *u = (unigram *)m;
  wok__byte_trie_free(&u->trie);
  wok__free(u->score);
  wok__free(u->m.type);
  wok__free(u);
}

double wok__unigram_score(const wok__model *m, int32_t id) {
  const unigram *u = (const unigram *)m;
  return id >= 0 && id < m->vocab->n ? u->score[id] : 0;
}

/* ---- the best path ---- */

/* Of each end position: where the best piece to it begins, its id (unknown: -1), the score of the path. */
typedef struct cell { double score; int64_t from; int32_t id; } cell;

static cell *cells(wok__enc *e, int64_t n) {
  cell *k = (cell *)(void *)wok__enc_words(e, 0, (n + 1) * 3);
  if (k)
    for (int64_t i = 0; i <= n; i++) k[i] = (cell){0, -1, -1};
  return k;
}

/* Bytes of the character at p. */
static int64_t char_bytes(const unigram *u, const uint8_t *p, int64_t n) {
  uint32_t cp;
  return u->bytes ? 1 : wok__next(p, n, &cp);
}

/* Offers a piece [from, to); `chosen` keeps the better one. */
typedef struct pass {
  const unigram *u;
  wok__enc *e;
  cell *cell;
  double alpha; /* sampling: of the scores; the cell's score is then the logarithm of a sum */
  bool sample;
} pass;

static void offer_best(pass *k, int64_t from, int64_t to, int32_t id, double score) {
  cell *c = &k->cell[to];
  double sum = score + k->cell[from].score;
  if (k->u->single && id < 0) sum = (double)(float)sum;
  if (c->from >= 0 && !(sum > c->score)) return;
  *c = (cell){k->u->single ? (double)(float)sum : sum, from, id};
}

/* Exact sampling in one pass: the piece to an end position is drawn with its share of all paths that end there. */
static void offer_sample(pass *k, int64_t from, int64_t to, int32_t id, double score) {
  cell *c = &k->cell[to];
  double sum = k->alpha * score + k->cell[from].score;
  if (c->from < 0) {
    *c = (cell){sum, from, id};
    return;
  }
  double hi = WOK__MAX(c->score, sum), all = hi + log1p(exp(WOK__MIN(c->score, sum) - hi));
  bool take = log(wok__rng_uniform(&k->e->rng)) < sum - all;
  c->score = all;
  if (take) c->from = from, c->id = id;
}

static void offer(pass *k, int64_t from, int64_t to, int32_t id, double score) {
  if (k->sample)
    offer_sample(k, from, to, id, score);
  else
    offer_best(k, from, to, id, score);
}

/* The score of a piece where it stands: user-defined ones always win against what they are made of. */
static inline double score_at(const unigram *u, int32_t id, int64_t length) {
  if (u->m.type && u->m.type[id] == WOK__USER) return (double)((float)length * FLT_MIN) - 0.1;
  return u->score[id];
}

static void forward(pass *k, const uint8_t *p, int64_t n) {
  const unigram *u = k->u;
  const wok__unit *unit = u->trie.unit;
  k->cell[0] = (cell){0, 0, -1};
  for (int64_t i = 0; i < n;) {
    int64_t step = char_bytes(u, p + i, n - i);
    bool one = false;
    int32_t state = WOK__BYTE_TRIE_ROOT;
    for (int64_t to = i; to < n && (state = wok__byte_trie_step(&u->trie, state, p[to])) >= 0; to++) {
      int32_t id = unit[state].value;
      if (id < 0) continue;
      offer(k, i, to + 1, id, score_at(u, id, to + 1 - i));
      one = one || to + 1 - i == step;
    }
    if (!one) offer(k, i, i + step, -1, u->unknown);
    i += step;
  }
}

/* Writes the path that ends at n, from its beginning. */
static bool put_path(const unigram *u, wok__enc *e, const cell *k, int64_t n, int64_t a) {
  int64_t *ends = wok__enc_words(e, 1, n + 1), used = 0;
  if (!ends) return false;
  for (int64_t at = n; at > 0; at = k[at].from) ends[used++] = at;
  bool after = false;
  while (used > 0) {
    int64_t to = ends[--used], from = k[to].from;
    int32_t id = k[to].id;
    if (id < 0 || id == u->m.unk) {
      if (!wok__add_unknown(&u->m, e, a + from, a + to, &after)) return false;
      continue;
    }
    after = false;
    if (!wok__tok_add(e, id, a + from, a + to)) return false;
  }
  return true;
}

static bool unigram_encode(const wok__model *m, wok__enc *e, int64_t a, int64_t b) {
  const unigram *u = (const unigram *)m;
  if (e->nbest > 1) return wok__unigram_nbest(m, e, a, b, e->nbest);
  cell *k = cells(e, b - a);
  if (!k) return false;
  pass x = {u, e, k, e->alpha, e->sample};
  forward(&x, e->view.p + a, b - a);
  return b == a || put_path(u, e, k, b - a, a);
}

/* ---- n best: A* from the end, guided by the exact scores of the best beginnings ---- */

typedef struct edge { int64_t from; int32_t id, next; double score; } edge; /* next: another edge with the same end */
typedef struct hypothesis { double total, behind; int64_t at; int32_t edge, rest; } hypothesis;

typedef struct search {
  pass base;
  edge *edge;
  int64_t nedge, edge_cap;
  int32_t *last; /* [n + 1] newest edge that ends there */
  hypothesis *all;
  int64_t nall, all_cap;
  int64_t *heap, nheap, heap_cap;
} search;

static bool grow(wok__enc *e, void **p, int64_t *cap, int64_t need, int64_t size) {
  if (need <= *cap) return true;
  int64_t more = WOK__MAX(need, *cap * 2 + 64);
  void *q = wok__realloc(*p, more * size);
  if (!q) return wok__enc_nomem(e);
  *p = q;
  *cap = more;
  return true;
}

static bool add_edge(search *s, int64_t from, int64_t to, int32_t id, double score) {
  void *p = s->edge;
  if (!grow(s->base.e, &p, &s->edge_cap, s->nedge + 1, (int64_t)sizeof *s->edge)) return false;
  s->edge = p;
  s->edge[s->nedge] = (edge){from, id, s->last[to], score};
  s->last[to] = (int32_t)s->nedge++;
  return true;
}

static bool all_edges(search *s, const uint8_t *p, int64_t n) {
  const unigram *u = s->base.u;
  for (int64_t i = 0; i < n;) {
    int64_t step = char_bytes(u, p + i, n - i);
    bool one = false;
    int32_t state = WOK__BYTE_TRIE_ROOT;
    for (int64_t to = i; to < n && (state = wok__byte_trie_step(&u->trie, state, p[to])) >= 0; to++) {
      int32_t id = u->trie.unit[state].value;
      if (id < 0) continue;
      if (!add_edge(s, i, to + 1, id, score_at(u, id, to + 1 - i))) return false;
      one = one || to + 1 - i == step;
    }
    if (!one && !add_edge(s, i, i + step, -1, u->unknown)) return false;
    i += step;
  }
  return true;
}

static bool better(const search *s, int64_t a, int64_t b) { return s->all[a].total > s->all[b].total || (s->all[a].total == s->all[b].total && a < b); }

static bool push(search *s, hypothesis x) {
  void *p = s->all, *q = s->heap;
  if (!grow(s->base.e, &p, &s->all_cap, s->nall + 1, (int64_t)sizeof *s->all)) return false;
  s->all = p;
  if (!grow(s->base.e, &q, &s->heap_cap, s->nheap + 1, (int64_t)sizeof *s->heap)) return false;
  s->heap = q;
  int64_t k = s->nall++, i = s->nheap++;
  s->all[k] = x;
  for (; i > 0 && better(s, k, s->heap[(i - 1) / 2]); i = (i - 1) / 2) s->heap[i] = s->heap[(i - 1) / 2];
  s->heap[i] = k;
  return true;
}

static int64_t pop(search *s) {
  int64_t top = s->heap[0], x = s->heap[--s->nheap], i = 0;
  for (;;) {
    int64_t k = 2 * i + 1;
    if (k >= s->nheap) break;
    if (k + 1 < s->nheap && better(s, s->heap[k + 1], s->heap[k])) k++;
    if (!better(s, s->heap[k], x)) break;
    s->heap[i] = s->heap[k];
    i = k;
  }
  if (s->nheap > 0) s->heap[i] = x;
  return top;
}

/* Finds up to n paths; done[k] is the hypothesis that stands at the beginning of path k. */
static bool find_paths(search *s, int64_t end, int64_t n, int64_t *done, int64_t *found) {
  *found = 0;
  if (!push(s, (hypothesis){s->base.cell[end].score, 0, end, -1, -1})) return false;
  while (*found < n && s->nheap > 0 && s->nall < MOST_STEPS) {
    int64_t k = pop(s);
    hypothesis h = s->all[k];
    if (h.at == 0) {
      done[(*found)++] = k;
      continue;
    }
    for (int32_t i = s->last[h.at]; i >= 0; i = s->edge[i].next) {
      const edge *x = &s->edge[i];
      if (x->from > 0 && s->base.cell[x->from].from < 0) continue;
      double behind = h.behind + x->score;
      if (!push(s, (hypothesis){behind + s->base.cell[x->from].score, behind, x->from, i, (int32_t)k})) return false;
    }
  }
  return true;
}

/* Which of the n best: each with its probability to the power alpha. */
static int64_t draw(wok__enc *e, const search *s, const int64_t *done, int64_t n) {
  double sum = 0, top = s->all[done[0]].total;
  for (int64_t i = 0; i < n; i++) sum += exp(e->alpha * (s->all[done[i]].total - top));
  double at = wok__rng_uniform(&e->rng) * sum;
  for (int64_t i = 0; i < n; i++)
    if ((at -= exp(e->alpha * (s->all[done[i]].total - top))) <= 0) return i;
  return n - 1;
}

static bool put_hypothesis(const search *s, wok__enc *e, int64_t k, int64_t a) {
  const unigram *u = s->base.u;
  bool after = false;
  for (; s->all[k].edge >= 0; k = s->all[k].rest) {
    const edge *x = &s->edge[s->all[k].edge];
    int64_t to = s->all[s->all[k].rest].at;
    if (x->id < 0 || x->id == u->m.unk) {
      if (!wok__add_unknown(&u->m, e, a + x->from, a + to, &after)) return false;
      continue;
    }
    after = false;
    if (!wok__tok_add(e, x->id, a + x->from, a + to)) return false;
  }
  return true;
}

bool wok__unigram_nbest(const wok__model *m, wok__enc *e, int64_t a, int64_t b, int64_t n) {
  const unigram *u = (const unigram *)m;
  int64_t length = b - a, found = 0, done[MOST_NBEST];
  if (length == 0) return true;
  search s = {.base = {u, e, cells(e, length), 0, false}};
  s.last = wok__malloc((length + 1) * (int64_t)sizeof *s.last);
  bool ok = s.base.cell && s.last ? true : wok__enc_nomem(e);
  if (ok) {
    for (int64_t i = 0; i <= length; i++) s.last[i] = -1;
    forward(&s.base, e->view.p + a, length);
    ok = all_edges(&s, e->view.p + a, length) && find_paths(&s, length, WOK__MIN(n, (int64_t)MOST_NBEST), done, &found);
  }
  if (ok && found == 0) ok = put_path(u, e, s.base.cell, length, a); /* a text too long for the search */
  if (ok && found > 0) ok = put_hypothesis(&s, e, done[e->sample ? draw(e, &s, done, found) : WOK__MIN(e->nbest, found) - 1], a);
  wok__free(s.edge);
  wok__free(s.last);
  wok__free(s.all);
  wok__free(s.heap);
  return ok;
}

/* ---- reading ---- */

static wok_status unigram_new(wok_ctx *c, int64_t n, const wok__model_kind *kind, wok__model **m, unigram **out) {
  unigram *u = *out = wok__calloc(1, (int64_t)sizeof *u);
  if (!u) return wok__nomem(c, (int64_t)sizeof *u);
  *m = &u->m;
  u->m.kind = kind;
  u->m.unk = -1;
  u->m.fuse_unk = true;
  u->score = wok__calloc(n + 1, (int64_t)sizeof *u->score);
  return u->score ? WOK_OK : wok__nomem(c, n * 8);
}

/* The trie over the pieces that may come out of text. */
static wok_status build_trie(wok_ctx *c, const wok__vocab *v, unigram *u) {
  wok__key *keys = wok__malloc(v->n * (int64_t)sizeof *keys);
  if (!keys) return wok__nomem(c, v->n * (int64_t)sizeof *keys);
  int64_t used = 0;
  for (int64_t i = 0; i < v->n; i++) {
    int64_t n;
    const char *p = wok__vocab_get(v, i, &n);
    if (p && n > 0 && (!u->m.type || u->m.type[i] == WOK__NORMAL || u->m.type[i] == WOK__USER))
      keys[used++] = (wok__key){(const uint8_t *)p, n, (int32_t)i};
  }
  wok_status s = wok__byte_trie_build(c, &u->trie, keys, used);
  wok__free(keys);
  return s;
}

/* [["piece", score], ...], SentencePiece's with the type behind. */
static wok_status read_pieces(wok_ctx *c, const char *where, const json_t *list, wok__vocab *v, unigram *u) {
  double least = DBL_MAX;
  for (int64_t i = 0; i < (int64_t)json_array_size(list); i++) {
    const json_t *j = json_array_get(list, (size_t)i), *z = json_array_get(j, 0), *score = json_array_get(j, 1);
    if (!json_is_string(z) || !json_is_number(score))
      return wok__fail(c, WOK_FORMAT, "%s: piece %lld of model.vocab is not [string, score]", where, (long long)i);
    u->score[i] = json_number_value(score);
    if (u->m.type) {
      u->score[i] = (double)(float)u->score[i];
      u->m.type[i] = (uint8_t)json_integer_value(json_array_get(j, 2));
      if (u->m.type[i] == WOK__UNKNOWN) u->m.unk = (int32_t)i;
    }
    if (!u->m.type || u->m.type[i] == WOK__NORMAL) least = WOK__MIN(least, u->score[i]);
    wok_status s = wok__vocab_put(v, i, json_string_value(z), (int64_t)json_string_length(z), !u->m.type);
    if (s) return wok__fail_prefix(c, s, "%s", where);
  }
  u->unknown = (least == DBL_MAX ? 0 : least) - unknown_penalty;
  if (u->single) u->unknown = (double)((float)least - (float)unknown_penalty);
  wok__byte_tokens(v, u->m.byte);
  return build_trie(c, v, u);
}

static wok_status unigram_read(wok_ctx *c, const char *where, const json_t *j, wok__vocab *v, wok__model **m) {
  const json_t *list = json_object_get(j, "vocab");
  int64_t n = (int64_t)json_array_size(list), unk = -1;
  unigram *u;
  if (!json_is_array(list)) return wok__fail(c, WOK_FORMAT, "%s: model.vocab is not a list", where);
  WOK__TRY(unigram_new(c, n, &wok__unigram, m, &u));
  WOK__TRY(wok__json_int_opt(c, j, where, "unk_id", 0, n - 1, &unk));
  WOK__TRY(wok__json_bool_opt(c, j, where, "byte_fallback", &u->m.byte_fallback));
  u->m.unk = (int32_t)unk;
  return read_pieces(c, where, list, v, u);
}
const wok__model_kind wok__unigram = {"Unigram", unigram_read, unigram_encode, unigram_free};

static wok_status sp_unigram_read(wok_ctx *c, const char *where, const json_t *j, wok__vocab *v, wok__model **m) {
  const json_t *list = json_object_get(j, "vocab");
  int64_t n = (int64_t)json_array_size(list);
  unigram *u;
  WOK__TRY(unigram_new(c, n, &wok__sp_unigram, m, &u));
  u->single = true;
  u->m.type = wok__calloc(n + 1, 1);
  if (!u->m.type) return wok__nomem(c, n);
  WOK__TRY(wok__json_bool_opt(c, j, where, "byte_fallback", &u->m.byte_fallback));
  return read_pieces(c, where, list, v, u);
}
const wok__model_kind wok__sp_unigram = {"WokSentencePieceUnigram", sp_unigram_read, unigram_encode, unigram_free};

/* ---- BytePiece: {"base64": count, ...}, ids in the order (length, bytes) from 3 on ---- */

static wok_status read_counts(wok_ctx *c, const char *where, const json_t *list, wok__vocab *v, unigram *u) {
  double sum = 0;
  for (int64_t i = 0; i < (int64_t)json_array_size(list); i++) {
    const json_t *j = json_array_get(list, (size_t)i);
    const char *z = json_string_value(json_array_get(j, 0));
    if (!z || !json_is_integer(json_array_get(j, 1)) || json_integer_value(json_array_get(j, 1)) < 1)
      return wok__fail(c, WOK_FORMAT, "%s: piece %lld is not [base64, count]", where, (long long)i);
    uint8_t *p;
    int64_t n;
    WOK__TRY(wok__base64(c, where, z, (int64_t)strlen(z), &p, &n));
    wok_status s = wok__vocab_put(v, i + 3, (const char *)p, n, false);
    wok__free(p);
    if (s) return wok__fail_prefix(c, s, "%s", where);
    u->score[i + 3] = (double)json_integer_value(json_array_get(j, 1));
    sum += u->score[i + 3];
  }
  for (int64_t i = 3; i < v->n; i++) u->score[i] = log(u->score[i]) - log(sum);
  for (int i = 0; i < 256; i++) {
    char b = (char)i;
    if (wok__vocab_find(v, &b, 1) < 3) return wok__fail(c, WOK_FORMAT, "%s: the byte 0x%02X is not in the vocabulary", where, (unsigned)i);
  }
  return build_trie(c, v, u);
}

static wok_status bytepiece_read(wok_ctx *c, const char *where, const json_t *j, wok__vocab *v, wok__model **m) {
  const json_t *list = json_object_get(j, "pieces");
  unigram *u;
  WOK__TRY(unigram_new(c, (int64_t)json_array_size(list) + 3, &wok__bytepiece, m, &u));
  u->bytes = true;
  return read_counts(c, where, list, v, u);
}
const wok__model_kind wok__bytepiece = {"WokBytePiece", bytepiece_read, unigram_encode, unigram_free};
