/* wok_data_baselines: what plain counting reaches on the held-out part. */
#include <math.h>
#include "vocab/data.h"
#include "vocab/ngram.h"

static const double slice_percent = 5;

typedef struct sums {
  const wok__ngrams *m;
  int64_t tokens;
  double bits[WOK__NGRAM_ORDERS + 1], kneser_ney;
  double weight2[3], weight3[4];
} sums;

/* The weights of order 2 are those of order 3 without its own: divided by what order 3 left. */
static void add(void *ud, int32_t a, int32_t b, int32_t c) {
  sums *s = ud;
  wok__ngram_prob p;
  wok__ngrams_prob(s->m, a, b, c, &p);
  s->tokens++;
  for (int i = 0; i <= WOK__NGRAM_ORDERS; i++) {
    s->bits[i] -= log2(p.interpolated[i]);
    s->weight3[i] += p.weight[i];
    if (i < WOK__NGRAM_ORDERS) s->weight2[i] += p.weight[i] / (1 - p.weight[WOK__NGRAM_ORDERS]);
  }
  s->kneser_ney -= log2(p.kneser_ney);
}

static wok_status measure(wok_data *d, wok__ngrams *m, wok__task *task, wok_baselines *b) {
  sums s = {.m = m};
  WOK__TRY(wok__tokens_each(d->shard[WOK_VALID], NULL, WOK__ALL, task, add, &s));
  double units = (double)wok__data_units(d, WOK_VALID), tokens = (double)s.tokens;
  b->uniform = s.bits[0] / units;
  b->unigram = s.bits[1] / units;
  b->bigram = s.bits[2] / units;
  b->trigram = s.bits[3] / units;
  b->kneser_ney = s.kneser_ney / units;
  for (int i = 0; i < 3; i++) b->bigram_weights[i] = s.weight2[i] / tokens;
  for (int i = 0; i < 4; i++) b->trigram_weights[i] = s.weight3[i] / tokens;
  return WOK_OK;
}

/* Weights from a slice that was not counted, then counts of everything under those weights. */
static wok_status train(wok_data *d, wok__ngrams *m, wok__task *task, wok_baselines *b) {
  wok__shard *s = d->shard[WOK_TRAIN];
  wok__slice slice = wok__slice_of(s, slice_percent);
  wok__ngrams fitted;
  WOK__TRY(wok__ngrams_count(d->c, &fitted, s, &slice, WOK__OUTSIDE_SLICE, task));
  wok_status st = wok__ngrams_fit(&fitted, s, &slice, task, &b->fitted_on);
  wok__ngrams_free(&fitted);
  if (st == WOK_OK) st = wok__ngrams_count(d->c, m, s, NULL, WOK__ALL, task);
  if (st) return st;
  for (int i = 0; i < WOK__NGRAM_ORDERS; i++)
    for (int k = 0; k < WOK__NGRAM_BUCKETS; k++) m->weight[i][k] = fitted.weight[i][k];
  st = wok__ngrams_kneser_ney(m);
  if (st) wok__ngrams_free(m);
  return st;
}

wok_status wok_data_baselines(wok_data *d, wok_baselines *b) {
  *b = (wok_baselines){0};
  wok_split_info t, v;
  wok_data_info(d, WOK_TRAIN, &t);
  wok_data_info(d, WOK_VALID, &v);
  if (t.tokens == 0 || v.tokens == 0 || wok__data_units(d, WOK_VALID) == 0)
    return wok__fail(d->c, WOK_INVALID, "there is no held-out part to measure on: pack the corpus with one");
  wok__task task;
  wok__ngrams m;
  wok__task_begin(&task, d->c, "baselines", "tokens", 6 * t.tokens + t.tokens / 10 + v.tokens);
  WOK__TRY(train(d, &m, &task, b));
  wok_status s = measure(d, &m, &task, b);
  wok__ngrams_free(&m);
  if (s == WOK_OK) s = wok__task_end(&task, NULL);
  return s;
}
