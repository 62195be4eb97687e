/* Two kinds of smoothing over the same counts.
   Interpolation (Jelinek and Mercer 1980): each order's relative frequencies against the next lower order, with a weight that
   depends on how well the context is known (Chen and Goodman 1998: best measured by its average count), fitted by EM on
   tokens that were not counted. Interpolated modified Kneser-Ney (Chen and Goodman 1998, section 3): three discounts for each
   order from the counts of counts, lower orders from the number of different tokens before. Both end in the uniform
   distribution, so that nothing has the probability zero. */
#include <math.h>
#include <string.h>
#include "text/tokenizer.h"
#include "vocab/ngram.h"

enum { EM_ROUNDS = 60 };

/* ---- interpolation ---- */

static int bucket(const wok__level *l, int64_t k) {
  uint64_t entries = (uint64_t)(l->start[k + 1] - l->start[k]);
  double average = (double)l->total[k] / (double)entries;
  int i = (int)(log2(average) * 8);
  return WOK__MIN(i, WOK__NGRAM_BUCKETS - 1);
}

/* Relative frequency of c in the context of an order and the bucket of that context; false: never seen. */
static bool frequency(const wok__ngrams *m, int order, int32_t a, int32_t b, int32_t c, double *f,
                      int *where) {
  const wok__level *l = &m->raw[order - 1];
  int64_t k = order == 3 ? wok__level_context(l, a, b) : wok__level_context(l, order == 2 ? b : 0, 0);
  if (k < 0) return false;
  *f = (double)wok__level_count(l, k, c) / (double)l->total[k];
  *where = order == 1 ? 0 : bucket(l, k);
  return true;
}

/* What EM needs of a token: for each order its frequency and the bucket, -1 where the context was never seen. */
typedef struct observed {
  double f[WOK__NGRAM_ORDERS];
  int bucket[WOK__NGRAM_ORDERS];
  double lower; /* probability under the orders fitted so far */
} observed;

typedef struct observer {
  const wok__ngrams *m;
  observed *list;
  int64_t n;
} observer;

static void count_one(void *ud, int32_t a, int32_t b, int32_t c) {
  (void)a, (void)b, (void)c;
  ++*(int64_t *)ud;
}

static void observe(void *ud, int32_t a, int32_t b, int32_t c) {
  observer *o = ud;
  observed *x = &o->list[o->n++];
  x->lower = 1.0 / (double)o->m->vocab;
  for (int i = 0; i < WOK__NGRAM_ORDERS; i++)
    if (!frequency(o->m, i + 1, a, b, c, &x->f[i], &x->bucket[i])) x->bucket[i] = -1;
}

/* One weight for each bucket. A bucket with few tokens stays near the weight of all (a prior worth `trust` tokens); a first
   round with one bucket for everything gives that, itself with a prior of one half worth one token: never 0 nor 1. */
static void fit_order(double *weight, observed *list, int64_t n, int i, bool all, const double *prior,
                      double trust) {
  double sum[WOK__NGRAM_BUCKETS], count[WOK__NGRAM_BUCKETS];
  for (int b = 0; b < WOK__NGRAM_BUCKETS; b++) weight[b] = prior[b];
  for (int round = 0; round < EM_ROUNDS; round++) {
    memset(sum, 0, sizeof sum);
    memset(count, 0, sizeof count);
    for (int64_t k = 0; k < n; k++) {
      const observed *x = &list[k];
      if (x->bucket[i] < 0) continue;
      int b = all ? 0 : x->bucket[i];
      double own = weight[b] * x->f[i];
      sum[b] += own / (own + (1 - weight[b]) * x->lower);
      count[b]++;
    }
    double moved = 0;
    for (int b = 0; b < WOK__NGRAM_BUCKETS; b++) {
      double w = (sum[b] + trust * prior[b]) / (count[b] + trust);
      moved = fmax(moved, fabs(w - weight[b]));
      weight[b] = w;
    }
    if (moved < 1e-6) break;
  }
}

static void fit(wok__ngrams *m, observed *list, int64_t n) {
  for (int i = 0; i < WOK__NGRAM_ORDERS; i++) {
    double half[WOK__NGRAM_BUCKETS], same[WOK__NGRAM_BUCKETS];
    for (int b = 0; b < WOK__NGRAM_BUCKETS; b++) half[b] = 0.5;
    fit_order(same, list, n, i, true, half, 1);
    for (int b = 1; b < WOK__NGRAM_BUCKETS; b++) same[b] = same[0];
    fit_order(m->weight[i], list, n, i, false, same, 4);
    for (int64_t k = 0; k < n; k++) {
      observed *x = &list[k];
      if (x->bucket[i] < 0) continue;
      double w = m->weight[i][x->bucket[i]];
      x->lower = w * x->f[i] + (1 - w) * x->lower;
    }
  }
}

wok_status wok__ngrams_fit(wok__ngrams *m, wok__shard *s, const wok__slice *slice, wok__task *task,
                           int64_t *fitted_on) {
  int64_t n = 0;
  WOK__TRY(wok__tokens_each(s, slice, WOK__INSIDE_SLICE, task, count_one, &n));
  observer o = {m, wok__calloc(n, (int64_t)sizeof(observed)), 0};
  if (!o.list) return wok__nomem(m->c, n * (int64_t)sizeof(observed));
  wok_status st = wok__tokens_each(s, slice, WOK__INSIDE_SLICE, task, observe, &o);
  if (st == WOK_OK) fit(m, o.list, n);
  *fitted_on = n;
  wok__free(o.list);
  return st;
}

/* ---- Kneser-Ney ---- */

/* How many different tokens came before (b, c); before the first token of a document there is only the mark, so there the
   plain counts stand. */
static wok_status different_pairs(wok__ngrams *m) {
  const wok__level *l = &m->raw[2];
  int64_t n = 0, most = l->entries;
  int64_t begin = wok__level_context(l, WOK__TOK_EOD, WOK__TOK_EOD);
  if (begin >= 0) most += (int64_t)l->total[begin];
  uint64_t *keys = wok__malloc(most * 8);
  if (!keys) return wok__nomem(m->c, most * 8);
  for (int64_t k = 0; k < l->contexts; k++)
    for (int64_t e = l->start[k]; e < l->start[k + 1]; e++)
      for (uint32_t i = 0; i < (k == begin ? l->count[e] : 1); i++)
        keys[n++] = (uint64_t)(uint32_t)l->last[k] << m->bits | (uint32_t)l->word[e];
  return wok__level_make(m, &m->different[1], keys, n, 0);
}

static wok_status different_before(wok__ngrams *m) {
  const wok__level *l = &m->raw[1];
  uint64_t *keys = wok__malloc(l->entries * 8);
  if (!keys) return wok__nomem(m->c, l->entries * 8);
  for (int64_t e = 0; e < l->entries; e++) keys[e] = (uint32_t)l->word[e];
  return wok__level_make(m, &m->different[0], keys, l->entries, 0);
}

/* From the numbers of n-grams with the count 1, 2, 3, 4; where one of them is missing there is too little text to estimate
   anything, and the discounts are a half, one and one and a half. */
static void find_discounts(const wok__level *l, double d[4]) {
  double n[5] = {0};
  for (int64_t e = 0; e < l->entries; e++)
    if (l->count[e] <= 4) n[l->count[e]]++;
  d[0] = 0;
  for (int i = 1; i <= 3; i++) d[i] = 0.5 * i;
  if (n[1] == 0 || n[2] == 0 || n[3] == 0 || n[4] == 0) return;
  double y = n[1] / (n[1] + 2 * n[2]);
  for (int i = 1; i <= 3; i++) {
    double v = i - (i + 1) * y * n[i + 1] / n[i];
    d[i] = fmin(fmax(v, 0), i);
  }
}

/* Orders 1 and 2 have their own counts, order 3 the plain ones. */
static const wok__level *kn_level(const wok__ngrams *m, int order) {
  return order == 3 ? &m->raw[2] : &m->different[order - 1];
}

wok_status wok__ngrams_kneser_ney(wok__ngrams *m) {
  WOK__TRY(different_pairs(m));
  WOK__TRY(different_before(m));
  for (int order = 1; order <= WOK__NGRAM_ORDERS; order++)
    find_discounts(kn_level(m, order), m->discount[order - 1]);
  return WOK_OK;
}

static double kn_step(const wok__ngrams *m, int order, int32_t first, int32_t last, int32_t c, double lower) {
  const wok__level *l = kn_level(m, order);
  const double *d = m->discount[order - 1];
  int64_t k = wok__level_context(l, first, last);
  if (k < 0) return lower;
  uint32_t count = wok__level_count(l, k, c);
  double own = (double)count - d[WOK__MIN(count, 3u)];
  double left = d[1] * l->few[k][0] + d[2] * l->few[k][1] + d[3] * l->few[k][2]; /* what the discounts took */
  return (own + left * lower) / (double)l->total[k];
}

/* ---- both ---- */

void wok__ngrams_prob(const wok__ngrams *m, int32_t a, int32_t b, int32_t c, wok__ngram_prob *p) {
  *p = (wok__ngram_prob){.interpolated = {1.0 / (double)m->vocab}, .weight = {1}};
  for (int i = 1; i <= WOK__NGRAM_ORDERS; i++) {
    double f = 0, w = 0;
    int where;
    if (frequency(m, i, a, b, c, &f, &where)) w = m->weight[i - 1][where];
    p->interpolated[i] = w * f + (1 - w) * p->interpolated[i - 1];
    for (int j = 0; j < i; j++) p->weight[j] *= 1 - w;
    p->weight[i] = w;
  }
  double kn = kn_step(m, 1, 0, 0, c, 1.0 / (double)m->vocab);
  kn = kn_step(m, 2, b, 0, c, kn);
  p->kneser_ney = kn_step(m, 3, a, b, c, kn);
}
