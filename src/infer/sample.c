/* Choosing the next token. Order of the steps: repetition penalty, temperature, top-k, top-p, draw (as Hugging Face's
   generation does). Everything in double; equal values are ordered by id, so a result never depends on a sort's whims. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "infer/session.h"

typedef struct candidate { double logit, p; int32_t id; } candidate;

struct wok__sampler {
  wok_generate_opts o;
  uint64_t seed;
  int64_t vocab;
  candidate *cand;
  uint8_t *seen; /* for the penalty: one bit per id */
};

wok_status wok__sampler_new(wok_ctx *c, wok__sampler **out, const wok_generate_opts *o, int64_t vocab) {
  wok__sampler *s = *out = wok__calloc(1, (int64_t)sizeof *s);
  if (!s) return wok__nomem(c, (int64_t)sizeof *s);
  s->o = *o;
  s->seed = o->seed ? o->seed : wok_ctx_seed(c);
  s->vocab = vocab;
  s->cand = wok__malloc(vocab * (int64_t)sizeof *s->cand);
  s->seen = wok__calloc(vocab / 8 + 1, 1);
  if (s->cand && s->seen) return WOK_OK;
  wok__sampler_free(s);
  *out = NULL;
  return wok__nomem(c, vocab * (int64_t)sizeof *s->cand);
}

void wok__sampler_free(wok__sampler *s) {
  if (!s) return;
  wok__free(s->cand);
  wok__free(s->seen);
  wok__free(s);
}

static void penalise(wok__sampler *s, float *logits, const int32_t *history, int64_t n) {
  double penalty = s->o.repetition_penalty;
  if (penalty <= 0 || penalty == 1) return;
  int64_t from = s->o.repetition_window > 0 ? WOK__MAX(0, n - s->o.repetition_window) : 0;
  for (int pass = 0; pass < 2; pass++)
    for (int64_t i = from; i < n; i++) {
      int32_t id = history[i];
      uint8_t bit = (uint8_t)(1 << (id & 7)), *seen = &s->seen[id >> 3];
      if (pass) *seen = (uint8_t)(*seen & ~bit); /* left clean for the next call */
      else if (!(*seen & bit)) {
        *seen |= bit;
        logits[id] = (float)(logits[id] > 0 ? logits[id] / penalty : logits[id] * penalty);
      }
    }
}

static int by_logit(const void *a, const void *b) {
  const candidate *x = a, *y = b;
  if (x->logit != y->logit) return x->logit < y->logit ? 1 : -1;
  return (x->id > y->id) - (x->id < y->id);
}

static int32_t argmax(const float *x, int64_t n) {
  int64_t best = 0;
  for (int64_t i = 1; i < n; i++)
    if (x[i] > x[best]) best = i;
  return (int32_t)best;
}

/* The k-th largest logit, by quickselect over the candidates. */
static double kth_largest(candidate *c, int64_t n, int64_t k) {
  int64_t lo = 0, hi = n - 1;
  while (lo < hi) {
    double pivot = c[(lo + hi) / 2].logit;
    int64_t i = lo, j = hi;
    while (i <= j) {
      while (c[i].logit > pivot) i++;
      while (c[j].logit < pivot) j--;
      if (i <= j) {
        candidate t = c[i];
        c[i++] = c[j];
        c[j--] = t;
      }
    }
    if (k <= j) hi = j;
    else if (k >= i) lo = i;
    else break;
  }
  return c[k].logit;
}

int32_t wok__sample(wok__sampler *s, float *logits, const int32_t *history, int64_t nhistory, uint64_t prompt) {
  penalise(s, logits, history, nhistory);
  if (s->o.greedy) return argmax(logits, s->vocab);
  double t = s->o.temperature > 0 ? s->o.temperature : 1, top = (double)logits[argmax(logits, s->vocab)] / t, total = 0;
  candidate *c = s->cand;
  int64_t n = s->vocab;
  for (int64_t i = 0; i < n; i++) c[i] = (candidate){.logit = logits[i] / t, .id = (int32_t)i};
  if (s->o.top_k > 0 && s->o.top_k < n) {
    double least = kth_largest(c, n, s->o.top_k - 1);
    int64_t kept = 0;
    for (int64_t i = 0; i < n; i++)
      if (c[i].logit >= least) c[kept++] = c[i];
    n = kept;
  }
  for (int64_t i = 0; i < n; i++) total += c[i].p = exp(c[i].logit - top);
  double p = s->o.top_p;
  if (p > 0 && p < 1) {
    /* all tokens below (1 - p) / n together weigh less than 1 - p: none is in the nucleus, so they need no sorting */
    double floor = total * (1 - p) / (double)n, kept_mass = 0;
    int64_t kept = 0, nucleus = 0;
    for (int64_t i = 0; i < n; i++)
      if (c[i].p >= floor) c[kept++] = c[i];
    qsort(c, (size_t)kept, sizeof *c, by_logit);
    while (nucleus < kept && kept_mass < p * total) kept_mass += c[nucleus++].p;
    n = nucleus;
    total = kept_mass;
  } else qsort(c, (size_t)n, sizeof *c, by_logit);
  wok__rng r;
  wok__rng_init(&r, wok__philox_subkey(s->seed, prompt, 0x5a3c), (uint32_t)nhistory);
  double u = wok__rng_uniform(&r) * total;
  for (int64_t i = 0; i < n; i++)
    if ((u -= c[i].p) < 0) return c[i].id;
  return c[n - 1].id;
}
