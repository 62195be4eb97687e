/* Batches: every token predicted once, nothing crosses a document, any place found again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "scratch.h"
#include "train/batch.h"

/* Documents whose tokens say where they stand: token t of document d is d * 1000 + t + 1; the end mark is EOD. */
enum { EOD = 7, MAX_DOCS = 40 };
typedef struct corpus { int64_t n, length[MAX_DOCS]; } corpus;

static wok_status corpus_length(const wok__docs *d, int64_t document, int64_t *tokens) {
  const corpus *k = d->source;
  assert_true(document >= 0 && document < k->n);
  *tokens = k->length[document];
  return WOK_OK;
}
static int32_t token_at(const corpus *k, int64_t document, int64_t at) {
  return at == k->length[document] - 1 ? EOD : (int32_t)(document * 1000 + at + 1);
}
static wok_status corpus_read(const wok__docs *d, int64_t document, int64_t start, int64_t n, int32_t *ids) {
  const corpus *k = d->source;
  assert_true(document >= 0 && document < k->n && start >= 0 && n > 0 && start + n <= k->length[document]);
  for (int64_t i = 0; i < n; i++) ids[i] = token_at(k, document, start + i);
  return WOK_OK;
}
static wok__docs docs_of(wok_ctx *c, corpus *k) {
  wok__docs d = {.c = c, .documents = k->n, .eod = EOD, .length = corpus_length, .read = corpus_read, .source = k};
  for (int64_t i = 0; i < k->n; i++) d.tokens += k->length[i];
  return d;
}
static corpus some_corpus(void) {
  corpus k = {.n = 23};
  for (int64_t i = 0; i < k.n; i++) k.length[i] = 1 + (i * i * 7 + 3 * i) % 41; /* 1 .. 41 */
  return k;
}

/* What must hold of the rows of one batch. */
static void sound(const corpus *k, const wok__batch *b, int64_t seq) {
  int64_t pieces = 0;
  for (int64_t r = 0; r < b->tokens; r++) {
    assert_true(b->lo[r] >= 0 && b->lo[r] <= r && b->hi[r] == r + 1);
    assert_int_equal(b->pos[r], r - b->lo[r]);
    assert_int_equal(b->row[r], b->pos[r]);
    assert_true(b->pos[r] < seq);
    if (b->labels[r] < 0) continue;
    if (b->pos[r] == 0) {
      assert_int_equal(b->seq[r], pieces);
      pieces++;
    } else { /* the same piece goes on: inputs are the labels of the row before */
      assert_int_equal(b->seq[r], b->seq[r - 1]);
      assert_int_equal(b->lo[r], b->lo[r - 1]);
      assert_int_equal(b->ids[r], b->labels[r - 1]);
      assert_int_not_equal(b->labels[r - 1], EOD); /* nothing goes on after the end of a document */
    }
    if (b->labels[r] == EOD) continue;
    int64_t document = (b->labels[r] - 1) / 1000, at = (b->labels[r] - 1) % 1000;
    assert_int_equal(b->ids[r], at == 0 ? EOD : token_at(k, document, at - 1));
  }
  assert_int_equal(b->pieces, pieces);
}

/* Which document a row predicts a token of, and which: an end mark is known by its input. */
static void place(const wok__batch *b, int64_t r, int64_t *document, int64_t *at) {
  if (b->labels[r] != EOD) {
    *document = (b->labels[r] - 1) / 1000;
    *at = (b->labels[r] - 1) % 1000;
  } else if (b->ids[r] != EOD) {
    *document = (b->ids[r] - 1) / 1000;
    *at = (b->ids[r] - 1) % 1000 + 1;
  } else {
    *document = -1; /* a document that is nothing but its end mark */
    *at = 0;
  }
}

static void every_token_once_an_epoch(void **state) {
  scratch *s = *state;
  corpus k = some_corpus();
  wok__docs d = docs_of(s->c, &k);
  const int64_t sizes[] = {1, 8, 50, 97};
  for (size_t z = 0; z < sizeof sizes / sizeof *sizes; z++) {
    wok__batch b;
    assert_works(s->c, wok__batch_new(s->c, &b, sizes[z]));
    for (int64_t epoch = 0; epoch < 3; epoch++) {
      int seen[MAX_DOCS][64] = {{0}}, empty = 0, empty_wanted = 0;
      for (int64_t i = 0; i < k.n; i++) empty_wanted += k.length[i] == 1;
      /* whole batches of one epoch, the last one cut where the epoch ends */
      int64_t begin = epoch * d.tokens, rest = d.tokens;
      wok__stream st;
      assert_works(s->c, wok__stream_open(&st, &d, 5, 16, begin));
      assert_int_equal(st.epoch, epoch);
      while (rest > 0) {
        assert_works(s->c, wok__stream_next(&st, &b));
        sound(&k, &b, 16);
        assert_int_equal(b.targets, b.tokens); /* no padding */
        for (int64_t r = 0; r < b.tokens && rest > 0; r++, rest--) {
          int64_t document, at;
          place(&b, r, &document, &at);
          if (document < 0) empty++;
          else seen[document][at]++;
        }
      }
      for (int64_t i = 0; i < k.n; i++)
        for (int64_t t = 0; k.length[i] > 1 && t < k.length[i]; t++)
          if (seen[i][t] != 1) fail_msg("epoch %d: token %d of document %d predicted %d times", (int)epoch, (int)t, (int)i, seen[i][t]);
      assert_int_equal(empty, empty_wanted);
    }
    wok__batch_free(&b);
  }
}

static void cut_at_multiples_of_seq(void **state) {
  scratch *s = *state;
  corpus k = {.n = 1, .length = {40}};
  wok__docs d = docs_of(s->c, &k);
  wok__batch b;
  wok__stream st;
  assert_works(s->c, wok__batch_new(s->c, &b, 25));
  assert_works(s->c, wok__stream_open(&st, &d, 1, 16, 0));
  assert_works(s->c, wok__stream_next(&st, &b));
  /* 16, then 9 up to the end of the batch, whose remainder of 7 is a piece of its own, then 8 to the end of the document */
  const int64_t first[] = {0, 16, 25}, second[] = {0, 7, 15, 25};
  assert_int_equal(b.pieces, 2);
  for (int i = 0; i < 2; i++) assert_int_equal(b.lo[first[i + 1] - 1], first[i]);
  assert_int_equal(b.ids[0], EOD);
  assert_int_equal(b.ids[16], 16); /* the token before it */
  assert_works(s->c, wok__stream_next(&st, &b));
  assert_int_equal(b.pieces, 3);
  for (int i = 0; i < 3; i++) assert_int_equal(b.lo[second[i + 1] - 1], second[i]);
  assert_int_equal(b.ids[0], 25);
  assert_int_equal(b.labels[0], 26);
  assert_int_equal(b.labels[14], EOD);
  assert_int_equal(b.ids[15], EOD); /* the next epoch */
  wok__batch_free(&b);
}

static void any_place_is_found_again(void **state) {
  scratch *s = *state;
  corpus k = some_corpus();
  wok__docs d = docs_of(s->c, &k);
  wok__batch straight, resumed;
  wok__stream one;
  assert_works(s->c, wok__batch_new(s->c, &straight, 30));
  assert_works(s->c, wok__batch_new(s->c, &resumed, 30));
  assert_works(s->c, wok__stream_open(&one, &d, 9, 8, 0));
  for (int64_t step = 0; step < 60; step++) {
    wok__stream two;
    assert_works(s->c, wok__stream_next(&one, &straight));
    assert_works(s->c, wok__stream_open(&two, &d, 9, 8, step * 30));
    assert_works(s->c, wok__stream_next(&two, &resumed));
#define SAME_COLUMN(name) assert_memory_equal(straight.name, resumed.name, 30 * sizeof(int32_t));
    WOK__BATCH_COLUMNS(SAME_COLUMN)
    assert_int_equal(straight.pieces, resumed.pieces);
  }
  wok__batch_free(&straight);
  wok__batch_free(&resumed);
}

/* Batches of 20 are the halves of batches of 40, but for the cut between them. */
static void order_depends_on_seed_and_epoch_alone(void **state) {
  scratch *s = *state;
  corpus k = some_corpus();
  wok__docs d = docs_of(s->c, &k);
  wok__batch half, whole;
  wok__stream a, b;
  assert_works(s->c, wok__batch_new(s->c, &half, 20));
  assert_works(s->c, wok__batch_new(s->c, &whole, 40));
  assert_works(s->c, wok__stream_open(&a, &d, 3, 8, 0));
  assert_works(s->c, wok__stream_open(&b, &d, 3, 8, 0));
  for (int i = 0; i < 30; i++) {
    assert_works(s->c, wok__stream_next(&b, &whole));
    for (int h = 0; h < 2; h++) {
      assert_works(s->c, wok__stream_next(&a, &half));
      assert_memory_equal(half.labels, whole.labels + 20 * h, 20 * sizeof(int32_t));
      assert_memory_equal(half.ids, whole.ids + 20 * h, 20 * sizeof(int32_t));
    }
  }
  /* another epoch and another seed are other orders */
  wok__stream other;
  wok__batch all[3];
  for (int i = 0; i < 3; i++) {
    assert_works(s->c, wok__batch_new(s->c, &all[i], d.tokens));
    assert_works(s->c, wok__stream_open(&other, &d, i == 2 ? 4 : 3, 8, i == 1 ? d.tokens : 0));
    assert_works(s->c, wok__stream_next(&other, &all[i]));
  }
  assert_memory_not_equal(all[0].labels, all[1].labels, (size_t)d.tokens * sizeof(int32_t));
  assert_memory_not_equal(all[0].labels, all[2].labels, (size_t)d.tokens * sizeof(int32_t));
  for (int i = 0; i < 3; i++) wok__batch_free(&all[i]);
  wok__batch_free(&half);
  wok__batch_free(&whole);
}

static void a_sweep_takes_every_token_once(void **state) {
  scratch *s = *state;
  corpus k = some_corpus();
  wok__docs d = docs_of(s->c, &k);
  const int64_t sizes[] = {16, 17, 64, 2000};
  for (size_t z = 0; z < sizeof sizes / sizeof *sizes; z++) {
    wok__batch b;
    wok__sweep w;
    int64_t targets = 0, pieces = 0, document = 0, at = 0;
    assert_works(s->c, wok__batch_new(s->c, &b, sizes[z]));
    wok__sweep_open(&w, &d, 16);
    for (;;) {
      assert_works(s->c, wok__sweep_next(&w, &b, 0));
      if (b.targets == 0) break;
      sound(&k, &b, 16);
      for (int64_t r = 0; r < b.tokens; r++) {
        if (b.labels[r] < 0) continue;
        /* in order; each with all the tokens of its block of 16 before it, wherever the batch begins */
        assert_int_equal(b.labels[r], token_at(&k, document, at));
        assert_int_equal(b.pos[r], at % 16);
        if (++at == k.length[document]) document++, at = 0;
      }
      targets += b.targets;
      pieces += b.pieces;
    }
    assert_int_equal(targets, d.tokens);
    int64_t want = 0;
    for (int64_t i = 0; i < k.n; i++) want += (k.length[i] + 15) / 16;
    assert_int_equal(pieces, want);
    wok__batch_free(&b);
  }
}

static void a_limited_sweep(void **state) {
  scratch *s = *state;
  corpus k = {.n = 3, .length = {40, 10, 30}};
  wok__docs d = docs_of(s->c, &k);
  wok__batch b;
  wok__sweep w;
  int64_t targets = 0;
  assert_works(s->c, wok__batch_new(s->c, &b, 20));
  wok__sweep_open(&w, &d, 16);
  do {
    assert_works(s->c, wok__sweep_next(&w, &b, 33));
    targets += b.targets;
  } while (b.targets > 0);
  assert_int_equal(targets, 40); /* 16, 16, 8: whole pieces */
  wok__batch_free(&b);
}

static wok_status broken_read(const wok__docs *d, int64_t document, int64_t start, int64_t n, int32_t *ids) {
  (void)start, (void)n, (void)ids;
  return wok__fail(d->c, WOK_CORRUPT, "block %lld is damaged", (long long)document);
}

static void faults_come_through(void **state) {
  scratch *s = *state;
  corpus k = some_corpus(), none = {0};
  wok__docs d = docs_of(s->c, &k), empty = docs_of(s->c, &none);
  wok__stream st;
  wok__batch b;
  assert_fails(s->c, wok__stream_open(&st, &empty, 1, 8, 0), WOK_INVALID, "no training tokens");
  d.read = broken_read;
  assert_works(s->c, wok__batch_new(s->c, &b, 10));
  assert_works(s->c, wok__stream_open(&st, &d, 1, 8, 0));
  assert_fails(s->c, wok__stream_next(&st, &b), WOK_CORRUPT, "is damaged");
  wok__sweep w;
  wok__sweep_open(&w, &d, 8);
  assert_fails(s->c, wok__sweep_next(&w, &b, 0), WOK_CORRUPT, "is damaged");
  d.tokens += 5; /* a count that is not true */
  assert_fails(s->c, wok__stream_open(&st, &d, 1, 8, d.tokens - 2), WOK_CORRUPT, "fewer tokens");
  wok__batch_free(&b);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)
int main(void) {
  const struct CMUnitTest tests[] = {
      CASE(every_token_once_an_epoch),
      CASE(cut_at_multiples_of_seq),
      CASE(any_place_is_found_again),
      CASE(order_depends_on_seed_and_epoch_alone),
      CASE(a_sweep_takes_every_token_once),
      CASE(a_limited_sweep),
      CASE(faults_come_through),
  };
  return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
