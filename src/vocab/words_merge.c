/* Minimum entropy by merging: the pair that saves most becomes a unit, everywhere; again, as long as something is saved
   (kexue.fm/archives/5476, 2.9-2.15).

   The text lies in memory as units one after another. A pair knows where it occurs (a list through the positions) and sits in a
   heap by what merging it would be worth. That value also depends on N, the number of units, which falls: N F, N F* and PMI grow
   with N, so an old value is never too small, and only the pair at the top must be valued again. Pairs of the two units that were
   merged are valued again at once, because their counts fell. */
#include <stdlib.h>
#include <string.h>
#include "text/utf8.h"
#include "vocab/words.h"

typedef struct unit {
  int64_t text, count;
  int32_t bytes, chars;
  int32_t left, right; /* first of the pairs that begin, and that end with it; -1 */
  double pmi;
} unit;

typedef struct pair {
  int32_t a, b;
  int32_t next_left, next_right; /* with the same a, with the same b */
  int64_t count;                 /* places where it occurs; for a = b they may overlap */
  int64_t apart;                 /* for a = b: how many can be merged, where `exact` says that it is known */
  int32_t first;                 /* place where it occurs; -1 */
  int32_t heap;                  /* its place there; -1: not there */
  double value;
  bool exact;
} pair;

typedef struct merger {
  wok_words *w;
  wok_ctx *c;
  int64_t memory; /* taken */
  /* the text: a unit's number at its first character, its beginning at its last, 0 between runs */
  int32_t *sym, *back, *next, *prev; /* next, prev: of the same pair; prev -1 - k: the first of pair k */
  int64_t places, places_cap;
  int64_t total; /* units */
  unit *unit;
  int64_t units, units_cap;
  wok__str text;
  pair *pair;
  int64_t pairs, pairs_cap;
  int32_t *slot; /* hash of pairs: number + 1 */
  int64_t slots;
  int32_t *heap;
  int64_t nheap, heap_cap;
  int32_t *spots;
  int64_t spots_cap;
  int32_t *of_char; /* [code point]: its unit */
} merger;

/* ---- room ---- */

static wok_status grow(merger *m, void **p, int64_t *cap, int64_t need, int64_t each) {
  if (need <= *cap) return WOK_OK;
  int64_t n = WOK__MAX(2 * *cap, WOK__MAX(need, (int64_t)1024));
  m->memory += (n - *cap) * each;
  if (m->memory > m->w->o.memory) {
    char size[32];
    wok__format_size(size, (int64_t)sizeof size, m->w->o.memory);
    return wok__fail(m->c, WOK_LIMIT, "merging keeps the text in memory, about 60 bytes a character, and %s do not hold it: allow more "
                                      "(--memory), or use the method ngrams", size);
  }
  void *more = wok__realloc(*p, n * each);
  if (!more) return wok__nomem(m->c, n * each);
  *p = more;
  *cap = n;
  return WOK_OK;
}
#define GROW(m, p, cap, need) grow(m, (void **)&(p), &(cap), need, (int64_t)sizeof *(p))

static void merger_free(merger *m) {
  wok__free(m->sym);
  wok__free(m->back);
  wok__free(m->next);
  wok__free(m->prev);
  wok__free(m->unit);
  wok__str_free(&m->text);
  wok__free(m->pair);
  wok__free(m->slot);
  wok__free(m->heap);
  wok__free(m->spots);
  wok__free(m->of_char);
}

/* ---- units and text ---- */

static wok_status new_unit(merger *m, int64_t text, int64_t bytes, int32_t chars, int32_t *number) {
  WOK__TRY(GROW(m, m->unit, m->units_cap, m->units + 1));
  if (m->text.failed) return wok__nomem(m->c, m->text.len);
  *number = (int32_t)m->units;
  m->unit[m->units++] = (unit){.text = text, .bytes = (int32_t)bytes, .chars = chars, .left = -1, .right = -1, .pmi = NAN};
  return WOK_OK;
}

static wok_status read_batch(void *ud, const uint32_t *sym, int64_t n) {
  merger *m = ud;
  if (m->places + n >= INT32_MAX) return wok__fail(m->c, WOK_LIMIT, "a text of more than 2^31 characters: use the method ngrams");
  WOK__TRY(GROW(m, m->sym, m->places_cap, m->places + n));
  for (int64_t i = 0; i < n; i++) {
    int32_t u = sym[i] ? m->of_char[sym[i]] : 0;
    if (sym[i] && u == 0) {
      char text[4];
      int64_t at = m->text.len;
      int bytes = wok__utf8_put(sym[i], text);
      wok__str_add(&m->text, text, bytes);
      WOK__TRY(new_unit(m, at, bytes, 1, &u));
      m->of_char[sym[i]] = u;
    }
    m->sym[m->places++] = u;
    if (u) m->unit[u].count++, m->total++;
    else m->w->info.runs++;
  }
  return WOK_OK;
}

static wok_status read_text(merger *m, wok__symbols *s) {
  int32_t none;
  m->of_char = wok__calloc(WOK__CODE_POINTS, 4);
  if (!m->of_char) return wok__nomem(m->c, WOK__CODE_POINTS * 4);
  WOK__TRY(new_unit(m, 0, 0, 0, &none)); /* 0 is no unit */
  WOK__TRY(wok__symbols_read(s, "read", read_batch, m));
  int64_t cap[3] = {0}, n = m->places;
  WOK__TRY(GROW(m, m->back, cap[0], n));
  WOK__TRY(GROW(m, m->next, cap[1], n));
  WOK__TRY(GROW(m, m->prev, cap[2], n));
  for (int64_t i = 0; i < n; i++) m->back[i] = (int32_t)i;
  return WOK_OK;
}

/* ---- pairs ---- */

static uint64_t pair_hash(int32_t a, int32_t b) {
  uint64_t h = ((uint64_t)(uint32_t)a << 32 | (uint32_t)b) * UINT64_C(0x9e3779b97f4a7c15);
  return h ^ h >> 32;
}

static wok_status grow_slots(merger *m) {
  int64_t n = WOK__MAX(2 * m->slots, (int64_t)4096), cap = 0;
  int32_t *old = m->slot;
  m->memory -= m->slots * 4;
  m->slot = NULL;
  wok_status s = GROW(m, m->slot, cap, n);
  if (s == WOK_OK) {
    memset(m->slot, 0, (size_t)n * 4);
    m->slots = n;
    for (int64_t k = 0; k < m->pairs; k++) {
      uint64_t i = pair_hash(m->pair[k].a, m->pair[k].b) & (uint64_t)(n - 1);
      while (m->slot[i]) i = (i + 1) & (uint64_t)(n - 1);
      m->slot[i] = (int32_t)k + 1;
    }
  }
  wok__free(old);
  return s;
}

static wok_status find_pair(merger *m, int32_t a, int32_t b, bool make, int32_t *number) {
  if (2 * m->pairs >= m->slots) WOK__TRY(grow_slots(m));
  uint64_t i = pair_hash(a, b) & (uint64_t)(m->slots - 1);
  for (; m->slot[i]; i = (i + 1) & (uint64_t)(m->slots - 1)) {
    *number = m->slot[i] - 1;
    if (m->pair[*number].a == a && m->pair[*number].b == b) return WOK_OK;
  }
  *number = -1;
  if (!make) return WOK_OK;
  WOK__TRY(GROW(m, m->pair, m->pairs_cap, m->pairs + 1));
  if (m->pairs == INT32_MAX - 1) return wok__fail(m->c, WOK_LIMIT, "more than 2^31 different pairs");
  *number = (int32_t)m->pairs++;
  m->slot[i] = *number + 1;
  m->pair[*number] = (pair){.a = a, .b = b, .next_left = m->unit[a].left, .next_right = m->unit[b].right, .first = -1, .heap = -1};
  m->unit[a].left = m->unit[b].right = *number;
  return WOK_OK;
}

static wok_status occurs(merger *m, int32_t a, int32_t b, int32_t at) {
  int32_t k;
  WOK__TRY(find_pair(m, a, b, true, &k));
  pair *p = &m->pair[k];
  m->next[at] = p->first;
  m->prev[at] = -1 - k;
  if (p->first >= 0) m->prev[p->first] = at;
  p->first = at;
  p->count++;
  p->exact = false;
  return WOK_OK;
}

static wok_status occurs_no_more(merger *m, int32_t a, int32_t b, int32_t at) {
  int32_t k;
  WOK__TRY(find_pair(m, a, b, false, &k));
  pair *p = &m->pair[k];
  if (m->prev[at] < 0) p->first = m->next[at];
  else m->next[m->prev[at]] = m->next[at];
  if (m->next[at] >= 0) m->prev[m->next[at]] = m->prev[at];
  p->count--;
  p->exact = false;
  return WOK_OK;
}

/* ---- what a merge is worth: the pair's counts, all units ---- */

static double by_entropy(const int64_t *n, const int *m, int k, int64_t joint, int64_t total) {
  return (double)total * wok_merge_gain(n, m, k, joint, total);
}
static double by_approx(const int64_t *n, const int *m, int k, int64_t joint, int64_t total) {
  return (double)total * wok_merge_gain_approx(n, m, k, joint, total);
}
static double by_pmi(const int64_t *n, const int *m, int k, int64_t joint, int64_t total) {
  (void)m;
  return log((double)joint / (double)n[0]) + log((double)total / (double)n[k - 1]);
}
static double by_number(const int64_t *n, const int *m, int k, int64_t joint, int64_t total) {
  (void)n, (void)m, (void)k, (void)total;
  return (double)joint;
}
static double (*const worth[])(const int64_t *, const int *, int, int64_t, int64_t) = {
    [WOK_MERGE_ENTROPY] = by_entropy, [WOK_MERGE_APPROX] = by_approx, [WOK_MERGE_PMI] = by_pmi, [WOK_MERGE_COUNT] = by_number};

/* How often the pair can be merged, or a bound on that. */
static int64_t joint_of(const merger *m, const pair *p) {
  if (p->a != p->b) return p->count;
  return p->exact ? p->apart : WOK__MIN(p->count, m->unit[p->a].count / 2);
}

static double value_by(const merger *m, const pair *p, wok_merge_by by) {
  int64_t counts[2] = {m->unit[p->a].count, m->unit[p->b].count};
  int once[2] = {1, 1}, twice[1] = {2};
  return worth[by](counts, p->a == p->b ? twice : once, p->a == p->b ? 1 : 2, joint_of(m, p), m->total);
}

/* ---- the heap: the most valuable first, then the smaller left bytes, then the smaller right bytes ---- */

static int by_text(const merger *m, int32_t a, int32_t b) {
  const unit *x = &m->unit[a], *y = &m->unit[b];
  int order = memcmp(m->text.p + x->text, m->text.p + y->text, (size_t)WOK__MIN(x->bytes, y->bytes));
  return order ? order : (x->bytes > y->bytes) - (x->bytes < y->bytes);
}

static bool before(const merger *m, int32_t x, int32_t y) {
  const pair *p = &m->pair[x], *q = &m->pair[y];
  if (p->value != q->value) return p->value > q->value;
  int order = by_text(m, p->a, q->a);
  return order ? order < 0 : by_text(m, p->b, q->b) < 0;
}

static void place(merger *m, int64_t i, int32_t k) {
  m->heap[i] = k;
  m->pair[k].heap = (int32_t)i;
}

static void settle(merger *m, int64_t i) {
  int32_t k = m->heap[i];
  for (int64_t up; i > 0 && before(m, k, m->heap[up = (i - 1) / 2]); i = up) place(m, i, m->heap[up]);
  for (int64_t down; (down = 2 * i + 1) < m->nheap; i = down) {
    if (down + 1 < m->nheap && before(m, m->heap[down + 1], m->heap[down])) down++;
    if (!before(m, m->heap[down], k)) break;
    place(m, i, m->heap[down]);
  }
  place(m, i, k);
}

static void leave(merger *m, int32_t k) {
  int64_t i = m->pair[k].heap;
  if (i < 0) return;
  m->pair[k].heap = -1;
  int32_t last = m->heap[--m->nheap];
  if (last == k) return;
  place(m, i, last);
  settle(m, i);
}

static bool allowed(const merger *m, const pair *p) {
  int64_t chars = (int64_t)m->unit[p->a].chars + m->unit[p->b].chars, most = m->w->o.max_chars ? m->w->o.max_chars : WOK_WORDS_MOST_CHARS;
  return joint_of(m, p) >= m->w->o.min_count && chars <= most;
}

static wok_status revalue(merger *m, int32_t k) {
  pair *p = &m->pair[k];
  if (!allowed(m, p)) return leave(m, k), WOK_OK;
  p->value = value_by(m, p, m->w->o.by);
  if (p->heap < 0) {
    WOK__TRY(GROW(m, m->heap, m->heap_cap, m->nheap + 1));
    place(m, m->nheap++, k);
  }
  settle(m, m->pair[k].heap);
  return WOK_OK;
}

/* All pairs of a unit. Those that got too rare leave the lists: pairs of older units never become more. */
static wok_status revalue_unit(merger *m, int32_t u) {
  for (int side = 0; side < 2; side++) {
    int32_t *from = side ? &m->unit[u].right : &m->unit[u].left;
    while (*from >= 0) {
      int32_t k = *from;
      int32_t *next = side ? &m->pair[k].next_right : &m->pair[k].next_left;
      WOK__TRY(revalue(m, k));
      if (m->pair[k].count < m->w->o.min_count) *from = *next;
      else from = next;
    }
  }
  return WOK_OK;
}

/* ---- merging ---- */

static int ascending(const void *a, const void *b) {
  int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
  return (x > y) - (x < y);
}

/* Where the pair occurs, ascending. */
static wok_status find_spots(merger *m, const pair *p, int64_t *n) {
  WOK__TRY(GROW(m, m->spots, m->spots_cap, p->count));
  *n = 0;
  for (int32_t at = p->first; at >= 0; at = m->next[at]) m->spots[(*n)++] = at;
  qsort(m->spots, (size_t)*n, sizeof *m->spots, ascending);
  return WOK_OK;
}

/* How many of one unit's pairs can be merged, from left to right. */
static wok_status count_apart(merger *m, pair *p) {
  int64_t n, apart = 0, free_from = -1;
  WOK__TRY(find_spots(m, p, &n));
  int32_t chars = m->unit[p->a].chars;
  for (int64_t i = 0; i < n; i++)
    if (m->spots[i] >= free_from) {
      apart++;
      free_from = m->spots[i] + 2 * chars;
    }
  p->apart = apart;
  p->exact = true;
  return WOK_OK;
}

static wok_status merge_at(merger *m, int32_t a, int32_t b, int32_t ab, int32_t at) {
  int32_t second = at + m->unit[a].chars, after = second + m->unit[b].chars;
  int32_t before_ = at > 0 && m->sym[at - 1] != 0 ? m->back[at - 1] : -1;
  WOK__TRY(occurs_no_more(m, a, b, at));
  if (before_ >= 0) WOK__TRY(occurs_no_more(m, m->sym[before_], a, before_));
  if (m->sym[after]) WOK__TRY(occurs_no_more(m, b, m->sym[after], second));
  m->sym[at] = ab;
  m->sym[second] = -1;
  m->back[after - 1] = at;
  m->unit[a].count--;
  m->unit[b].count--;
  m->unit[ab].count++;
  m->total--;
  if (before_ >= 0) WOK__TRY(occurs(m, m->sym[before_], ab, before_));
  if (m->sym[after]) WOK__TRY(occurs(m, ab, m->sym[after], at));
  return WOK_OK;
}

/* The two texts, one behind the other. Two ways to the same string are two units until the end. */
static wok_status join(merger *m, int32_t a, int32_t b, int32_t *ab) {
  char text[8 * WOK_WORDS_MOST_CHARS];
  int64_t at = m->text.len, n = m->unit[a].bytes, both = n + m->unit[b].bytes;
  memcpy(text, m->text.p + m->unit[a].text, (size_t)n);
  memcpy(text + n, m->text.p + m->unit[b].text, (size_t)m->unit[b].bytes);
  wok__str_add(&m->text, text, both);
  return new_unit(m, at, both, m->unit[a].chars + m->unit[b].chars, ab);
}

/* H / l: nats per character. */
static double information(const merger *m, double *h) {
  double nlogn = 0, n = (double)m->total;
  for (int64_t u = 1; u < m->units; u++)
    if (m->unit[u].count > 0) nlogn += (double)m->unit[u].count * log((double)m->unit[u].count);
  *h = n > 0 ? log(n) - nlogn / n : 0;
  return n > 0 ? *h * n / (double)m->w->info.chars : 0;
}

static void tell(merger *m, const pair *p) {
  if (!m->w->o.merged) return;
  char text[2][4 * WOK_WORDS_MOST_CHARS + 1];
  int32_t of[2] = {p->a, p->b};
  for (int i = 0; i < 2; i++) {
    const unit *u = &m->unit[of[i]];
    memcpy(text[i], m->text.p + u->text, (size_t)u->bytes);
    text[i][u->bytes] = 0;
  }
  double h;
  wok_merge_step step = {.left = text[0], .right = text[1], .left_unit = p->a, .right_unit = p->b, .unit = m->units,
                         .count = joint_of(m, p), .units = m->total, .gain = value_by(m, p, WOK_MERGE_ENTROPY) / (double)m->total,
                         .information = information(m, &h)};
  m->w->o.merged(m->w->o.ud, &step);
}

static wok_status merge(merger *m, int32_t k) {
  pair p = m->pair[k];
  int64_t n;
  int32_t ab;
  tell(m, &p);
  WOK__TRY(find_spots(m, &p, &n));
  double pmi = value_by(m, &p, WOK_MERGE_PMI);
  WOK__TRY(join(m, p.a, p.b, &ab));
  m->unit[ab].pmi = pmi;
  for (int64_t i = 0; i < n; i++) {
    int32_t at = m->spots[i];
    if (m->sym[at] == p.a && m->sym[at + m->unit[p.a].chars] == p.b) WOK__TRY(merge_at(m, p.a, p.b, ab, at));
  }
  WOK__TRY(revalue_unit(m, p.a));
  if (p.b != p.a) WOK__TRY(revalue_unit(m, p.b));
  return revalue_unit(m, ab);
}

/* The best pair with its present value; -1: nothing is saved any more. */
static wok_status best(merger *m, int32_t *k) {
  for (;;) {
    *k = -1;
    if (m->nheap == 0) return WOK_OK;
    pair *p = &m->pair[m->heap[0]];
    double old = p->value;
    if (p->a == p->b && !p->exact) WOK__TRY(count_apart(m, p));
    WOK__TRY(revalue(m, m->heap[0]));
    if (p->heap < 0) continue;
    if (p->heap == 0 && p->value == old) break;
  }
  if (m->pair[m->heap[0]].value > 0) *k = m->heap[0];
  return WOK_OK;
}

static wok_status merge_all(merger *m) {
  wok__task task;
  int64_t most = m->w->o.merges ? m->w->o.merges : INT64_MAX;
  for (int64_t i = 0; i + 1 < m->places; i++)
    if (m->sym[i] && m->sym[i + 1]) WOK__TRY(occurs(m, m->sym[i], m->sym[i + 1], (int32_t)i));
  for (int64_t k = 0; k < m->pairs; k++) WOK__TRY(revalue(m, (int32_t)k));
  wok__task_begin(&task, m->c, "merge", "merges", m->w->o.merges);
  for (; m->w->info.merges < most; m->w->info.merges++) {
    int32_t k;
    WOK__TRY(best(m, &k));
    if (k < 0) break;
    WOK__TRY(merge(m, k));
    WOK__TRY(wok__task_at(&task, m->w->info.merges, NULL));
  }
  return wok__task_end(&task, NULL);
}

/* ---- the result ---- */

static wok_status hand_over(merger *m) {
  wok__map *place_of = wok__map_new();
  wok_status s = place_of ? WOK_OK : wok__nomem(m->c, 64);
  for (int64_t i = 1; s == WOK_OK && i < m->units; i++) {
    const unit *u = &m->unit[i];
    const char *text = m->text.p + u->text;
    int64_t at;
    if (u->count == 0) continue;
    if (wok__map_get(place_of, text, u->bytes, &at)) {
      m->w->word[at].count += u->count;
      continue;
    }
    if (!wok__map_put(place_of, text, u->bytes, m->w->n)) s = wok__nomem(m->c, 64);
    if (s == WOK_OK) s = wok__words_add(m->w, text, u->bytes, u->chars, u->count, u->pmi);
  }
  wok__map_free(place_of);
  return s;
}

wok_status wok__words_merges(wok_words *w, wok__symbols *s) {
  merger m = {.w = w, .c = w->c};
  wok__str_init(&m.text, w->o.memory);
  wok_status st = read_text(&m, s);
  w->info.chars = m.total;
  w->info.types = m.units - 1;
  double h;
  if (st == WOK_OK) {
    w->info.char_bits = information(&m, &h) / log(2);
    st = merge_all(&m);
  }
  if (st == WOK_OK) {
    (void)information(&m, &h);
    w->info.word_bits = h / log(2);
    w->info.word_chars = m.total ? (double)w->info.chars / (double)m.total : 0;
    st = hand_over(&m);
  }
  merger_free(&m);
  return st;
}
