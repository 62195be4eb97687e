/* Counters that spill: sums do not depend on memory or threads; files of counts add up and are checked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "corpus/counter.h"
#include "scratch.h"

typedef struct line { uint64_t a, b, count; } line;

static int by_key(const void *x, const void *y) {
  const line *p = x, *q = y;
  if (p->a != q->a) return p->a < q->a ? -1 : 1;
  return (p->b > q->b) - (p->b < q->b);
}

/* What keys count, as the plainest program would: sort, and count equals. */
static int64_t reference(line *l, int64_t n) {
  qsort(l, (size_t)n, sizeof *l, by_key);
  int64_t m = 0;
  for (int64_t i = 0; i < n; i++) {
    if (m > 0 && by_key(&l[m - 1], &l[i]) == 0) l[m - 1].count++;
    else l[m++] = l[i];
  }
  return m;
}

/* 05-B.2.9: 2.2 million keys through blocks of 2^20, so that runs are written and merged; one and two words; some bits unused. */
static void keys(void **state) {
  scratch *s = *state;
  enum { N = 2200000 };
  static const struct { int words, bits, threads; } cases[] = {{1, 60, 3}, {1, 64, 1}, {2, 84, 2}};
  line *want = malloc(N * sizeof *want);
  for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
    wok_ctx *c;
    wok__runs *runs;
    wok__keys *keys;
    wok__rng r;
    int words = cases[k].words;
    assert_int_equal(wok_ctx_new(&c, &(wok_ctx_opts){.threads = cases[k].threads}), WOK_OK);
    assert_works(c, wok__runs_new(c, &runs, s->dir));
    assert_works(c, wok__keys_new(c, &keys, runs, words, cases[k].bits, 1 << 20));
    wok__rng_init(&r, 7, (uint32_t)k);
    for (int64_t i = 0; i < N;) {
      int64_t n = WOK__MIN((int64_t)100000, N - i);
      uint64_t *to;
      assert_works(c, wok__keys_room(keys, n, &to));
      for (int64_t j = 0; j < n; j++, i++) {
        /* many equal keys, and many that differ in their last bits only */
        uint64_t v[2] = {wok__rng_below(&r, 2000) << 53 | wok__rng_below(&r, 300), 0};
        if (words == 1 && cases[k].bits < 64) v[0] = wok__rng_below(&r, 2000) << 53 | wok__rng_below(&r, 300) << (64 - cases[k].bits);
        if (words == 2) v[1] = wok__rng_below(&r, 3) << (128 - cases[k].bits);
        memcpy(to + j * words, v, (size_t)words * 8);
        want[i] = (line){v[0], words == 2 ? v[1] : 0, 1};
      }
    }
    assert_works(c, wok__keys_flush(keys));
    assert_true(wok__runs_count(runs) >= 3);
    assert_works(c, wok__runs_merge(runs, 0));
    int64_t m = reference(want, N);
    for (int64_t i = 0; i <= m; i++) {
      const uint8_t *key;
      int64_t n;
      uint64_t count;
      assert_works(c, wok__runs_next(runs, &key, &n, &count));
      assert_int_equal(key != NULL, i < m);
      if (!key) break;
      assert_int_equal(n, 8 * words);
      assert_int_equal(wok__key_word(key, 0), want[i].a);
      if (words == 2) assert_int_equal(wok__key_word(key, 1), want[i].b);
      assert_int_equal(count, want[i].count);
    }
    wok__keys_free(keys);
    wok__runs_free(runs);
    wok_ctx_free(c);
  }
  free(want);
}

/* The same strings with memory for all and with memory for few: the same bytes out, through two levels of merging. */
static char *count_strings(scratch *s, int64_t memory, int64_t *nruns) {
  wok__runs *runs;
  wok__strings *strings;
  wok__rng r;
  wok__str out;
  wok__str_init(&out, 1 << 28);
  assert_works(s->c, wok__runs_new(s->c, &runs, s->dir));
  assert_works(s->c, wok__strings_new(s->c, &strings, runs, memory));
  wok__rng_init(&r, 3, 1);
  for (int i = 0; i < 200000; i++) {
    char word[40];
    uint64_t k = wok__rng_below(&r, 300) * wok__rng_below(&r, 300);
    int n = snprintf(word, sizeof word, "%.*s%llu", (int)(k % 23), "the same beginning of all", (unsigned long long)k);
    if (k % 7 == 0) word[n / 2] = 0; /* NUL is a byte like others */
    assert_works(s->c, wok__strings_add(strings, word, n, 1 + k % 3));
  }
  assert_works(s->c, wok__strings_add(strings, "", 0, 5));
  assert_works(s->c, wok__strings_flush(strings));
  *nruns = wok__runs_count(runs);
  assert_works(s->c, wok__runs_merge(runs, 0));
  for (;;) {
    const uint8_t *key;
    int64_t n;
    uint64_t count;
    assert_works(s->c, wok__runs_next(runs, &key, &n, &count));
    if (!key) break;
    wok__str_add(&out, key, n);
    wok__str_printf(&out, "=%llu\n", (unsigned long long)count);
  }
  wok__strings_free(strings);
  wok__runs_free(runs);
  return out.p;
}

static void strings(void **state) {
  scratch *s = *state;
  int64_t few, many;
  char *a = count_strings(s, 1 << 28, &few), *b = count_strings(s, 200 << 10, &many);
  assert_int_equal(few, 1);
  assert_true(many > 8); /* more than are merged at once here */
  assert_string_equal(a, b);
  assert_memory_equal(a, "=5\n", 3); /* the empty string comes first */
  free(a);
  free(b);
}

/* 05-F.1: the peers count in 32 bits. */
static void wide(void **state) {
  scratch *s = *state;
  wok__runs *runs;
  wok__strings *strings;
  const uint8_t *key;
  int64_t n;
  uint64_t count;
  assert_works(s->c, wok__runs_new(s->c, &runs, s->dir));
  assert_works(s->c, wok__strings_new(s->c, &strings, runs, 1 << 20));
  for (int i = 0; i < 3; i++) {
    assert_works(s->c, wok__strings_add(strings, "the", 3, UINT64_C(6000000000)));
    assert_works(s->c, wok__strings_flush(strings));
  }
  assert_works(s->c, wok__runs_merge(runs, 1 << 20));
  assert_works(s->c, wok__runs_next(runs, &key, &n, &count));
  assert_int_equal(count, UINT64_C(18000000000));
  for (int i = 0; i < 2; i++) {
    assert_works(s->c, wok__strings_add(strings, "a", 1, UINT64_MAX / 2 + 1));
    assert_works(s->c, wok__strings_flush(strings));
  }
  assert_works(s->c, wok__runs_merge(runs, 1 << 20));
  assert_fails(s->c, wok__runs_next(runs, &key, &n, &count), WOK_LIMIT, "64 bits");
  wok__strings_free(strings);
  wok__runs_free(runs);
}

static const char *write_counts(scratch *s, const char *name, uint64_t of_b) {
  wok__count_writer *w;
  const char *path = scratch_at(s, name);
  assert_works(s->c, wok__count_writer_open(s->c, &w, path, "{\"what\":1}"));
  assert_works(s->c, wok__count_writer_put(w, (const uint8_t *)"aa", 2, 1));
  assert_works(s->c, wok__count_writer_put(w, (const uint8_t *)"ab", 2, of_b));
  assert_works(s->c, wok__count_writer_commit(w));
  return path;
}

static void files(void **state) {
  scratch *s = *state;
  wok__count_file f[2];
  wok__runs *runs;
  const uint8_t *key;
  int64_t n;
  uint64_t count;
  assert_works(s->c, wok__count_file_open(s->c, &f[0], write_counts(s, "one", 300)));
  assert_works(s->c, wok__count_file_open(s->c, &f[1], write_counts(s, "two", 5)));
  assert_string_equal(f[0].header, "{\"what\":1}");
  assert_works(s->c, wok__runs_new(s->c, &runs, s->dir));
  for (int i = 0; i < 2; i++) assert_works(s->c, wok__runs_add_file(runs, f[i].fd, f[i].name, f[i].begin, f[i].end));
  assert_works(s->c, wok__runs_merge(runs, 1 << 20));
  assert_works(s->c, wok__runs_next(runs, &key, &n, &count));
  assert_int_equal(count, 2);
  assert_works(s->c, wok__runs_next(runs, &key, &n, &count));
  assert_memory_equal(key, "ab", 2);
  assert_int_equal(count, 305);
  wok__runs_free(runs);
  for (int i = 0; i < 2; i++) wok__count_file_close(&f[i]);
}

/* Every byte changed, every length cut: refused with one line. */
static void damaged_files(void **state) {
  scratch *s = *state;
  int64_t n;
  unsigned char *good = scratch_get(write_counts(s, "good", 9), &n);
  for (int64_t i = 0; i < 2 * n; i++) {
    wok__count_file f;
    unsigned char *bad = malloc((size_t)n);
    memcpy(bad, good, (size_t)n);
    if (i < n) bad[i] ^= 0x41;
    const char *path = scratch_put(s, "bad", bad, i < n ? n : i - n);
    wok_status st = wok__count_file_open(s->c, &f, path);
    if (st != WOK_CORRUPT && st != WOK_FORMAT) print_error("byte %lld of %lld: status %d\n", (long long)i, (long long)n, (int)st);
    assert_true(st == WOK_CORRUPT || st == WOK_FORMAT);
    assert_non_null(strstr(wok_errmsg(s->c), "bad"));
    free(bad);
  }
  free(good);
}

int main(void) {
  const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)
      T(keys), T(strings), T(wide), T(files), T(damaged_files)};
  return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
