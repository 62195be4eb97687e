/* n-gram baselines: they are probabilities, they are what their definitions say, and their limits are told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include "scratch.h"
#include "shard_seal.h"
#include "vocab/data.h"
#include "vocab/ngram.h"

/* A language of a few letters in which the next one depends on the last two; lines are documents. */
static const char *language(scratch *s, const char *name, int lines, int letters, uint64_t seed) {
  const char *path = scratch_at(s, name);
  FILE *f = fopen(path, "w");
  wok__rng r;
  wok__rng_init(&r, seed, 0);
  for (int i = 0; i < lines; i++) {
    int a = 0, b = 0;
    for (int n = 1 + (int)wok__rng_below(&r, 40); n > 0; n--) {
      int c = wok__rng_below(&r, 4) ? (a * 5 + b * 3 + (int)wok__rng_below(&r, 2)) % letters
                                    : (int)wok__rng_below(&r, (uint64_t)letters);
      fputc('a' + c, f);
      a = b;
      b = c;
    }
    fputc('\n', f);
  }
  fclose(f);
  return path;
}

static wok_data *packed(scratch *s, const char *file, const wok_pack_opts *o) {
  wok_data *d;
  assert_works(s->c, wok_pack(s->c, &file, 1, scratch_at(s, "data"), o, NULL));
  assert_works(s->c, wok_data_open(s->c, &d, scratch_at(s, "data")));
  return d;
}

/* Counts and weights as wok_data_baselines makes them. */
static void models(scratch *s, wok_data *d, wok__ngrams *m) {
  wok__slice slice = wok__slice_of(d->shard[WOK_TRAIN], 5);
  wok__ngrams fitted;
  wok__task task;
  int64_t n;
  wok__task_begin(&task, s->c, "test", "tokens", 0);
  assert_works(s->c,
               wok__ngrams_count(s->c, &fitted, d->shard[WOK_TRAIN], &slice, WOK__OUTSIDE_SLICE, &task));
  assert_works(s->c, wok__ngrams_fit(&fitted, d->shard[WOK_TRAIN], &slice, &task, &n));
  wok__ngrams_free(&fitted);
  assert_works(s->c, wok__ngrams_count(s->c, m, d->shard[WOK_TRAIN], NULL, WOK__ALL, &task));
  memcpy(m->weight, fitted.weight, sizeof m->weight);
  assert_works(s->c, wok__ngrams_kneser_ney(m));
}

static void check_sums(const wok__ngrams *m, int32_t a, int32_t b) {
  double sum[4] = {0}, kn = 0, weights = 0;
  wok__ngram_prob p;
  for (int32_t c = 0; c < m->vocab; c++) {
    wok__ngrams_prob(m, a, b, c, &p);
    for (int i = 0; i < 4; i++) {
      assert_true(p.interpolated[i] > 0 && p.interpolated[i] < 1);
      sum[i] += p.interpolated[i];
    }
    assert_true(p.kneser_ney > 0 && p.kneser_ney < 1);
    kn += p.kneser_ney;
  }
  for (int i = 0; i < 4; i++) {
    assert_true(fabs(sum[i] - 1) < 1e-11);
    weights += p.weight[i];
  }
  assert_true(fabs(kn - 1) < 1e-11);
  assert_true(fabs(weights - 1) < 1e-12);
}

/* Over all tokens the probabilities are 1, in contexts that were seen and in others; with much text and with hardly any. */
static void sums_to_one(void **state) {
  scratch *s = *state;
  static const int lines[] = {3000, 30, 3};
  for (int i = 0; i < 3; i++) {
    const wok_pack_opts o = {.documents = WOK_DOC_LINE};
    wok_data *d = packed(s, language(s, "in", lines[i], 7, 1), &o);
    wok__ngrams m;
    models(s, d, &m);
    wok__rng r;
    wok__rng_init(&r, 2, 0);
    check_sums(&m, 0, 0);
    check_sums(&m, 0, 257);
    check_sums(&m, 257, 0);
    for (int k = 0; k < 200; k++)
      check_sums(&m, (int32_t)wok__rng_below(&r, (uint64_t)m.vocab),
                 (int32_t)wok__rng_below(&r, (uint64_t)m.vocab));
    for (int32_t a = 257; a < m.vocab; a++)
      for (int32_t b = 257; b < m.vocab; b++) check_sums(&m, a, b);
    wok__ngrams_free(&m);
    wok_data_close(d);
  }
}

/* ---- Kneser-Ney once more, from its definition and without any cleverness ---- */

enum { L = 8 }; /* end mark and seven letters */
typedef struct plain {
  double c3[L][L][L], n2[L][L], n1[L], c2[L][L], d[3][4], v;
} plain;

static int small(int32_t id) { return id == 0 ? 0 : id - 256; }

static void plain_discounts(double d[4], const double *count, int n) {
  double of[5] = {0};
  for (int i = 0; i < n; i++)
    if (count[i] >= 1 && count[i] <= 4) of[(int)count[i]]++;
  double y = of[1] / (of[1] + 2 * of[2]);
  for (int i = 1; i < 4; i++)
    d[i] =
        of[1] * of[2] * of[3] * of[4] > 0 ? fmin(fmax(i - (i + 1) * y * of[i + 1] / of[i], 0), i) : i / 2.0;
  d[0] = 0;
}

static double plain_step(const double *count, const double *d, int c, double lower) {
  double total = 0, taken = 0;
  for (int i = 0; i < L; i++) {
    total += count[i];
    taken += d[(int)fmin(count[i], 3)];
  }
  return total == 0 ? lower : (count[c] - d[(int)fmin(count[c], 3)] + taken * lower) / total;
}

static double plain_prob(const plain *p, int a, int b, int c) {
  double q = plain_step(p->n1, p->d[0], c, 1 / p->v);
  q = plain_step(p->n2[b], p->d[1], c, q);
  return plain_step(p->c3[a][b], p->d[2], c, q);
}

static void kneser_ney_by_definition(void **state) {
  scratch *s = *state;
  static const int lines[] = {20, 200, 5000};
  for (int i = 0; i < 3; i++) {
    const wok_pack_opts o = {.documents = WOK_DOC_LINE, .min_count = 1};
    wok_data *d = packed(s, language(s, "in", lines[i], 7, 3), &o);
    wok_split_info info;
    plain *p = calloc(1, sizeof *p);
    p->v = (double)wok_tokenizer_size(wok_data_tokenizer(d));
    double bits = 0, uniform = 0;
    for (int split = 0; split < 2; split++) {
      wok_data_info(d, (wok_split)split, &info);
      for (int64_t k = 0; k < info.documents; k++) {
        int32_t ids[64];
        int64_t n;
        assert_works(s->c, wok_data_length(d, (wok_split)split, k, &n));
        assert_works(s->c, wok_data_read(d, (wok_split)split, k, 0, n, ids));
        int a = 0, b = 0;
        for (int64_t j = 0; j < n; a = b, b = small(ids[j]), j++) {
          if (split == WOK_TRAIN) {
            p->c3[a][b][small(ids[j])]++;
          } else {
            bits -= log2(plain_prob(p, a, b, small(ids[j])));
            uniform += log2(p->v);
          }
        }
      }
      if (split == WOK_VALID) continue;
      for (int a = 0; a < L; a++)
        for (int b = 0; b < L; b++)
          for (int c = 0; c < L; c++) {
            p->c2[b][c] += p->c3[a][b][c];
            p->n2[b][c] += b == 0 ? p->c3[a][b][c] : p->c3[a][b][c] > 0;
          }
      for (int b = 0; b < L; b++)
        for (int c = 0; c < L; c++) p->n1[c] += p->c2[b][c] > 0;
      plain_discounts(p->d[0], p->n1, L);
      plain_discounts(p->d[1], p->n2[0], L * L);
      plain_discounts(p->d[2], p->c3[0][0], L * L * L);
    }
    wok_baselines b;
    assert_works(s->c, wok_data_baselines(d, &b));
    wok_data_info(d, WOK_VALID, &info);
    assert_true(fabs(b.kneser_ney - bits / (double)info.chars) < 1e-9);
    assert_true(fabs(b.uniform - uniform / (double)info.chars) < 1e-9);
    free(p);
    wok_data_close(d);
  }
}

/* Longer contexts help where the language has them, and the best single weights are no better than the fitted ones. */
static void in_order(void **state) {
  scratch *s = *state;
  const wok_pack_opts o = {.documents = WOK_DOC_LINE};
  wok_data *d = packed(s, language(s, "in", 4000, 7, 5), &o);
  wok_baselines b;
  assert_works(s->c, wok_data_baselines(d, &b));
  assert_true(b.uniform > b.unigram && b.unigram > b.bigram && b.bigram > b.trigram);
  assert_true(fabs(b.trigram - b.kneser_ney) < 0.02);
  double w2 = 0, w3 = 0;
  for (int i = 0; i < 3; i++) w2 += b.bigram_weights[i];
  for (int i = 0; i < 4; i++) w3 += b.trigram_weights[i];
  assert_true(fabs(w2 - 1) < 1e-9 && fabs(w3 - 1) < 1e-9);
  assert_true(b.trigram_weights[3] > 0.5);
  wok_split_info t;
  wok_data_info(d, WOK_TRAIN, &t);
  assert_in_range(b.fitted_on, t.tokens / 30, t.tokens / 13);
  /* the best constant weights, chosen with the held-out part in view */
  wok__ngrams m;
  models(s, d, &m);
  double best = INFINITY;
  for (int u = 0; u <= 10; u++)
    for (int v = 0; v <= 10; v++) {
      wok__ngrams c = m;
      for (int k = 0; k < WOK__NGRAM_BUCKETS; k++) {
        c.weight[0][k] = 0.999;
        c.weight[1][k] = 0.1 * u;
        c.weight[2][k] = 0.1 * v;
      }
      double bits = 0;
      wok_split_info h;
      wok_data_info(d, WOK_VALID, &h);
      for (int64_t k = 0; k < h.documents; k++) {
        int32_t ids[64], x = 0, y = 0;
        int64_t n;
        wok_data_length(d, WOK_VALID, k, &n);
        wok_data_read(d, WOK_VALID, k, 0, n, ids);
        for (int64_t j = 0; j < n; x = y, y = ids[j], j++) {
          wok__ngram_prob p;
          wok__ngrams_prob(&c, x, y, ids[j], &p);
          bits -= log2(p.interpolated[3]);
        }
      }
      best = fmin(best, bits / (double)h.chars);
    }
  assert_true(b.trigram < best + 0.005);
  wok__ngrams_free(&m);
  wok_data_close(d);
}

/* For "bytes" the bits are per byte; one document is enough, and so is very little text. */
static void bytes_and_little_text(void **state) {
  scratch *s = *state;
  wok_baselines b;
  const wok_pack_opts bytes = {.tokenizer = "bytes"};
  wok_data *d = packed(s,
                       scratch_puts(s, "in",
                                    "\xe9\x94\x85\xe9\x94\x85\xe9\x94\x85\xe9\x94\x85\xe9\x94\x85\xe9\x94\x85"
                                    "\xe9\x94\x85\xe9\x94\x85\xe9\x94\x85\xe9\x94\x85"),
                       &bytes);
  assert_works(s->c, wok_data_baselines(d, &b));
  assert_true(fabs(b.uniform - log2(257) * 4 / 3) < 1e-9); /* three bytes and the end mark */
  assert_true(isfinite(b.kneser_ney) && isfinite(b.trigram));
  wok_data_close(d);
  const wok_pack_opts half = {.hold_out = 50, .min_count = 1};
  d = packed(s, scratch_puts(s, "in", "ab"), &half);
  assert_works(s->c, wok_data_baselines(d, &b));
  assert_true(isfinite(b.kneser_ney) && isfinite(b.trigram) && isfinite(b.bigram) && isfinite(b.unigram));
  assert_true(fabs(b.uniform - log2(258) * 2) < 1e-9);
  wok_data_close(d);
}

/* The same whatever the number of threads and the time: there is nothing random in it. */
static void same_again(void **state) {
  scratch *s = *state;
  const wok_pack_opts o = {.documents = WOK_DOC_LINE};
  wok_data *d = packed(s, language(s, "in", 500, 5, 9), &o);
  wok_baselines a, b;
  assert_works(s->c, wok_data_baselines(d, &a));
  assert_works(s->c, wok_data_baselines(d, &b));
  assert_memory_equal(&a, &b, sizeof a);
  wok_data_close(d);
}

static void refused(void **state) {
  scratch *s = *state;
  wok_baselines b;
  const wok_pack_opts none = {.hold_out = -1};
  wok_data *d = packed(s, scratch_puts(s, "in", "some text"), &none);
  assert_fails(s->c, wok_data_baselines(d, &b), WOK_INVALID,
               "no held-out part to measure on: pack the corpus with one");
  wok_data_close(d);
  /* a shard with more tokens than are counted: zeros, so that it takes no memory */
  wok__shard_header h = {.id_bytes = 2,
                         .tokens = WOK__NGRAM_MOST_TOKENS + 1,
                         .documents = 1,
                         .text_bytes = 1,
                         .vocab_size = 300,
                         .block_bytes = 1 << 30};
  uint8_t head[WOK__SHARD_HEADER];
  assert_true(shard_store_header(head, &h));
  uint8_t *p = calloc(1, h.file_bytes);
  assert_non_null(p);
  memcpy(p, head, sizeof head);
  wok__le_store(p + h.ends_at, h.tokens, 8);
  shard_seal(p);
  wok__shard *x;
  wok__ngrams m;
  wok__task task;
  wok__task_begin(&task, s->c, "test", "tokens", 0);
  assert_works(s->c, wok__shard_parse(s->c, &x, p, (int64_t)h.file_bytes, "huge.wok"));
  assert_fails(s->c, wok__ngrams_count(s->c, &m, x, NULL, WOK__ALL, &task), WOK_LIMIT,
               "up to 67 M training tokens; this corpus has 67.1 M");
  wok__shard_close(x);
  free(p);
}

#define SCRATCH(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)
int main(void) {
  const struct CMUnitTest tests[] = {
      SCRATCH(sums_to_one), SCRATCH(kneser_ney_by_definition),
      SCRATCH(in_order),    SCRATCH(bytes_and_little_text),
      SCRATCH(same_again),  SCRATCH(refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
