/* wok_dedup against a plain count of the same text, at several memory limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "corpus/normal.h"
#include "corpus/reader.h"
#include "scratch.h"

static void plain_count(void **state) {
  scratch *s = *state;
  wok__rng g;
  wok__rng_init(&g, 1, 0);
  for (int round = 0; round < 6; round++) {
    wok__str text[2], want[2];
    wok__map *seen[2] = {wok__map_new(), wok__map_new()}, *first = wok__map_new();
    int64_t records[2] = {0}, kept[2] = {0};
    int range = round % 2 ? 50 : 200000;
    for (int k = 0; k < 2; k++) wok__str_init(&text[k], 1 << 28), wok__str_init(&want[k], 1 << 28);
    for (int k = 0; k < 2; k++) /* train first: it keeps */
      for (int i = 0; i < 60000 >> (k * 2); i++) {
        char line[64];
        int n = snprintf(line, sizeof line, "line %d", (int)wok__rng_below(&g, (uint64_t)range));
        wok__str_add(&text[k], line, n);
        wok__str_puts(&text[k], "\n");
        records[k]++;
        int64_t v = 0;
        (void)wok__map_get(seen[k], line, n, &v);
        assert_true(wok__map_put(seen[k], line, n, v + 1));
        if (!wok__map_get(first, line, n, &v)) {
          assert_true(wok__map_put(first, line, n, k));
          wok__str_add(&want[k], line, n);
          wok__str_puts(&want[k], "\n");
          kept[k]++;
        }
      }
    int64_t leaked[2] = {0};
    for (int k = 0; k < 2; k++)
      for (int64_t i = 0; i < wok__map_count(seen[k]); i++) {
        int64_t n, count;
        const char *key = wok__map_key(seen[k], i, &n, &count);
        if (wok__map_get(seen[!k], key, n, NULL)) leaked[k] += count;
      }
    const char *train = scratch_put(s, "train", text[0].p, text[0].len),
               *test = scratch_put(s, "test", text[1].p, text[1].len);
    const char *out[2] = {scratch_at(s, "out"), scratch_at(s, "test_out")};
    wok_dedup_info info;
    wok_dedup_opts o = {.memory = round < 3 ? 8 << 20 : 64 << 20,
                        .test = &test,
                        .ntest = 1,
                        .out = out[0],
                        .test_out = out[1],
                        .tmp = s->dir};
    assert_works(s->c, wok_dedup(s->c, &train, 1, &o, &info));
    const wok_dedup_split *split[2] = {&info.train, &info.test};
    for (int k = 0; k < 2; k++) {
      assert_int_equal(split[k]->records, records[k]);
      assert_int_equal(split[k]->distinct, wok__map_count(seen[k]));
      assert_int_equal(split[k]->leaked, leaked[k]);
      assert_int_equal(split[k]->kept, kept[k]);
      int64_t n;
      unsigned char *p = scratch_get(out[k], &n);
      assert_int_equal(n, want[k].len);
      if (n) assert_memory_equal(p, want[k].p, (size_t)n);
      free(p);
      wok__str_free(&text[k]);
      wok__str_free(&want[k]);
      wok__map_free(seen[k]);
    }
    wok__map_free(first);
  }
}

static void spilled(void **state) { /* more records than the memory holds at once, and too many */
  scratch *s = *state;
  const char *in = scratch_at(s, "in");
  FILE *f = fopen(in, "wb");
  for (int i = 0; i < 700000; i++) fprintf(f, "%d\n", i % 400000);
  fclose(f);
  wok_dedup_info info;
  assert_works(s->c, wok_dedup(s->c, &in, 1, &(wok_dedup_opts){.memory = 8 << 20, .tmp = s->dir}, &info));
  assert_int_equal(info.train.distinct, 400000);
  assert_true(info.tmp_bytes > 0);
  f = fopen(in, "wb");
  for (int i = 0; i < 40000000; i++) fputc('\n', f);
  fclose(f);
  assert_fails(s->c, wok_dedup(s->c, &in, 1, &(wok_dedup_opts){.memory = 8 << 20, .tmp = s->dir}, &info),
               WOK_LIMIT, "--memory");
}

static void normal_forms(void **state) {
  scratch *s = *state;
  static const struct {
    wok_normal how;
    const char *in, *want;
  } cases[] = {
      {WOK_NORMAL_NONE, " a  B ", " a  B "},
      {WOK_NORMAL_SPACE,
       " a \t b\xc2\xa0\xe3\x80\x80"
       "c\r",
       "a b c"},
      {WOK_NORMAL_SPACE, "", ""},
      {WOK_NORMAL_SPACE, " \t", ""},
      {WOK_NORMAL_SPACE, "\xff \xe3\x80", "\xff \xe3\x80"},
      {WOK_NORMAL_FOLD,
       "\xef\xbc\xa1 Stra\xc3\x9f"
       "e",
       "a strasse"},
      {WOK_NORMAL_FOLD,
       "\xff"
       " A",
       "\xff A"}, /* no UTF-8: as it is */
  };
  wok__str buf;
  wok__str_init(&buf, 1 << 20);
  for (int64_t i = 0; i < WOK__COUNT(cases); i++) {
    const uint8_t *p = (const uint8_t *)cases[i].in;
    int64_t n = (int64_t)strlen(cases[i].in);
    assert_works(s->c, wok__normal_form(s->c, cases[i].how, &p, &n, &buf));
    if (n != (int64_t)strlen(cases[i].want) || memcmp(p, cases[i].want, (size_t)n) != 0) {
      print_error("'%s': expected '%s', got '%.*s'\n", cases[i].in, cases[i].want, (int)n, (const char *)p);
      fail();
    }
  }
  wok__str_free(&buf);
  static const struct {
    const char *line;
    int64_t field;
    const char *want;
  } fields[] = {{"a\tb\tc", 1, "a"}, {"a\tb\tc", 2, "b"}, {"a\tb\tc", 3, "c"}, {"a\tb", 3, "a\tb"},
                {"\tb", 1, ""},      {"a\t", 2, ""},      {"", 1, ""}};
  for (int64_t i = 0; i < WOK__COUNT(fields); i++) {
    const uint8_t *p = (const uint8_t *)fields[i].line;
    int64_t n = (int64_t)strlen(fields[i].line);
    wok__field_of(&p, &n, fields[i].field, '\t');
    assert_int_equal(n, strlen(fields[i].want));
    assert_memory_equal(p, fields[i].want, (size_t)n);
  }
}

static void long_records(void **state) { /* records in pieces are compared too */
  scratch *s = *state;
  const char *in = scratch_at(s, "in"), *out = scratch_at(s, "out");
  FILE *f = fopen(in, "wb");
  for (int k = 0; k < 4; k++) {
    for (int i = 0; i < 3000000; i++) fputc('a' + (k == 2 && i == 2999999), f);
    fputs("\nshort\n", f);
  }
  fclose(f);
  wok_dedup_info info;
  assert_works(s->c, wok_dedup(s->c, &in, 1,
                               &(wok_dedup_opts){
                                   .memory = 8 << 20, .out = out, .tmp = s->dir, .normal = WOK_NORMAL_SPACE},
                               &info));
  assert_int_equal(info.train.records, 8);
  assert_int_equal(info.train.kept, 3);
  int64_t n;
  free(scratch_get(out, &n));
  assert_int_equal(n, 2 * 3000001 + 6);
}

static void refusals(void **state) {
  scratch *s = *state;
  const char *in = scratch_puts(s, "in", "a\n"), *out = scratch_at(s, "out");
  wok_dedup_info info;
  assert_fails(s->c, wok_dedup(s->c, &in, 1, &(wok_dedup_opts){.memory = 5}, &info), WOK_INVALID, "8 MiB");
  assert_fails(s->c, wok_dedup(s->c, &in, 1, &(wok_dedup_opts){.from_train = true}, &info), WOK_INVALID,
               "test files");
  assert_fails(
      s->c,
      wok_dedup(s->c, &in, 1, &(wok_dedup_opts){.test = &in, .ntest = 1, .out = out, .test_out = out}, &info),
      WOK_INVALID, "this name");
  assert_fails(s->c, wok_dedup(s->c, &in, 0, NULL, &info), WOK_INVALID, "no files");
  wok_cancel(s->c);
  assert_fails(s->c, wok_dedup(s->c, &in, 1, &(wok_dedup_opts){.out = out}, &info), WOK_INTERRUPTED,
               "interrupted");
  wok_cancel_clear(s->c);
  assert_false(wok__exists(out));
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)
  const struct CMUnitTest tests[] = {TEST(plain_count), TEST(spilled), TEST(normal_forms), TEST(long_records),
                                     TEST(refusals)};
  return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
