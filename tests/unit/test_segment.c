/* Cutting text into words: jieba's answers, ties, tables, bad input. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include "scratch.h"
#include "text/segmenter.h"
#include "text/utf8.h"
#include "vocab/symbols.h"

#define assert_near(x, want, tolerance) near_(x, want, tolerance, #x, __LINE__)
static void near_(double x, double want, double tolerance, const char *what, int line) {
  if (fabs(x - want) <= tolerance) return;
  print_error("%s is %.12g, expected %.12g +- %g\n", what, x, want, tolerance);
  _fail(__FILE__, line);
}

static const char *golden_file(const char *name) {
  static char path[4][1024];
  static int next;
  char *p = path[next++ % 4];
  snprintf(p, 1024, "%s/tests/golden/%s", WOK_SOURCE_DIR, name);
  return p;
}

static wok_segmenter *open_(scratch *s, wok_segmenter_opts o) {
  wok_segmenter *g;
  assert_works(s->c, wok_segmenter_open(s->c, &g, &o));
  return g;
}

/* The tokens with `between` between them. */
static char *cut(scratch *s, const wok_segmenter *g, const char *text, int64_t len, const char *between) {
  int64_t *ends = malloc((size_t)(len + 1) * sizeof *ends), n;
  assert_works(s->c, wok_segment(g, text, len, ends, len, &n));
  assert_true(n <= len && (len == 0) == (n == 0));
  wok__str out;
  wok__str_init(&out, 1 << 24);
  wok__str_puts(&out, "");
  for (int64_t i = 0, at = 0; i < n; at = ends[i++]) {
    assert_true(ends[i] > at);
    if (i) wok__str_puts(&out, between);
    wok__str_add(&out, text + at, ends[i] - at);
  }
  assert_true(n == 0 || ends[n - 1] == len);
  free(ends);
  return out.p ? out.p : calloc(1, 1);
}

#define assert_cut(g, text, want)                                                                            \
  do {                                                                                                       \
    char *got_ = cut(s, g, text, (int64_t)strlen(text), "/");                                                \
    assert_string_equal(got_, want);                                                                         \
    free(got_);                                                                                              \
  } while (0)

/* 05-E.11-1: jieba 0.42.1 with the same small dictionary and tables; the tables from both formats. */
static void jieba(void **state) {
  scratch *s = *state;
  wok_segmenter_opts o = {.method = WOK_SEGMENT_JIEBA, .dict = golden_file("segment_dict.txt")};
  wok_segmenter *g[3];
  g[1] = open_(s, o);
  o.hmm = golden_file("segment_hmm.txt");
  g[0] = open_(s, o);
  o.hmm = golden_file("segment_tables");
  g[2] = open_(s, o);
  int64_t n, lines = 0;
  char *all = (char *)scratch_get(golden_file("segment_jieba.txt"), &n), *rest = all;
  for (char *line; (line = strsep(&rest, "\n")) && *line; lines++) {
    char *text = strsep(&line, "\t"), *want[3] = {NULL};
    want[0] = want[2] = strsep(&line, "\t");
    want[1] = line;
    for (char *p = text; *p; p++)
      if (*p == 2) *p = '\t';
    for (int k = 0; k < 3; k++) {
      char *got = cut(s, g[k], text, (int64_t)strlen(text), "\x01");
      for (char *p = got; *p; p++)
        if (*p == '\t') *p = 2;
      if (strcmp(got, want[k])) print_error("%s\n", text);
      assert_string_equal(got, want[k]);
      free(got);
    }
  }
  assert_true(lines >= 400);
  free(all);
  for (int k = 0; k < 3; k++) wok_segmenter_free(g[k]);
}

/* 05-B.2.8: most probable; of equals fewer words, then the longest first. */
static void unigram(void **state) {
  scratch *s = *state;
  wok_segmenter *g = open_(s, (wok_segmenter_opts){.dict = scratch_puts(s, "d", "#word\tcount\tcohesion\nab\t10\t1\nc\t10\t-\na\t10\nbc\t10\nabc\t1\nd\t59\n")});
  assert_int_equal(wok_segmenter_words(g), 6);
  assert_cut(g, "abc", "abc");      /* ln 1/100 > 2 ln 1/10? equal: fewer words */
  assert_cut(g, "abcd", "abc/d");
  assert_cut(g, "xab", "x/ab");
  assert_cut(g, "", "");
  wok_segmenter_free(g);
  g = open_(s, (wok_segmenter_opts){.dict = scratch_puts(s, "d", "ab\nc\na\nbc\n")});
  assert_cut(g, "abc", "ab/c"); /* as probable as a/bc */
  wok_segmenter_free(g);
}

static void plain(void **state) {
  scratch *s = *state;
  wok_segmenter *g = open_(s, (wok_segmenter_opts){.method = WOK_SEGMENT_CHARS});
  assert_cut(g, "a\xff好b", "a/\xff/好/b");
  wok_segmenter_free(g);
  g = open_(s, (wok_segmenter_opts){.method = WOK_SEGMENT_SPACE});
  assert_cut(g, "ab  c\xe3\x80\x80好 ", "ab/  /c/\xe3\x80\x80/好/ ");
  wok_segmenter_free(g);
}

/* ---- the golden corpus (05-I.2): Debian's fortunes-zh as runs, one a line ---- */

static const char *const fortunes[] = {"/usr/share/games/fortunes/chinese", "/usr/share/games/fortunes/tang300"};

static wok_status put_runs(void *ud, const uint32_t *sym, int64_t n) {
  wok__str *t = ud;
  for (int64_t i = 0; i < n; i++) {
    char c[4];
    wok__str_add(t, c, wok__utf8_put(sym[i] ? sym[i] : '\n', c));
  }
  return WOK_OK;
}

static wok_words_opts fortune_opts(scratch *s, wok_charset charset) {
  return (wok_words_opts){.documents = WOK_DOC_SEP, .sep = "%", .strip_ansi = true, .join_lines = true, .charset = charset, .tmp = s->dir,
                          .no_entropies = true};
}

static const char *runs_of(scratch *s, wok_charset charset) {
  wok__symbols y;
  wok__str t;
  wok_words_opts o = fortune_opts(s, charset);
  wok__str_init(&t, 1 << 26);
  assert_works(s->c, wok__symbols_open(s->c, &y, fortunes, 2, &o));
  assert_works(s->c, wok__symbols_read(&y, "read", put_runs, &t));
  wok__symbols_close(&y);
  const char *path = scratch_put(s, "runs", t.p, t.len);
  wok__str_free(&t);
  return path;
}

static const char *jieba_dict(void) {
  const char *dict = getenv("WOK_JIEBA");
  return dict ? dict : "/usr/lib/python3/dist-packages/jieba/dict.txt";
}

static void need(const char *path) {
  if (access(path, R_OK) == 0) return;
  print_message("%s is not here (fortunes-zh; python3-jieba, or WOK_JIEBA=PATH of its dict.txt)\n", path);
  skip();
}

static wok_segment_info measure(scratch *s, const char *path, wok_segmenter_opts o) {
  wok_segmenter *g = open_(s, o);
  wok_segment_info i;
  assert_works(s->c, wok_segment_files(s->c, g, &path, 1, &(wok_segment_opts){.report = true, .tmp = s->dir}, NULL, NULL, &i));
  wok_segmenter_free(g);
  return i;
}

/* By jieba's own dictionary, without the model: 326,916 Han characters, 225,342 words; with letters and digits 6.6338 bits a
   character. */
static void d_5_3(void **state) {
  scratch *s = *state;
  need(fortunes[0]);
  need(jieba_dict());
  wok_segment_info i = measure(s, runs_of(s, WOK_CHARS_HAN), (wok_segmenter_opts){.method = WOK_SEGMENT_JIEBA, .dict = jieba_dict()});
  assert_int_equal(i.chars, 326916);
  assert_int_equal(i.tokens, 225342);
  i = measure(s, runs_of(s, WOK_CHARS_HAN_ALNUM), (wok_segmenter_opts){.method = WOK_SEGMENT_JIEBA, .dict = jieba_dict()});
  assert_near(i.word_bits, 11.9255, 5e-5);
  assert_near(i.word_chars, 1.7977, 5e-5);
  assert_near(i.word_bits / i.word_chars, 6.6338, 5e-5);
}

/* The text cut by the list of the pair method: at most 7.0 bits a character (the reference: 6.8713, characters alone 9.4434). */
static void b_5_5_cost(void **state) {
  scratch *s = *state;
  need(fortunes[0]);
  wok_words *w;
  wok_words_opts o = fortune_opts(s, WOK_CHARS_HAN_ALNUM);
  o.method = WOK_WORDS_PAIRS;
  o.min_prob = 1e-5;
  assert_works(s->c, wok_words_find(s->c, &w, fortunes, 2, &o));
  const char *dict = scratch_at(s, "found");
  assert_works(s->c, wok_words_save(w, dict, WOK_WORDS_DICT));
  wok_words_free(w);
  wok_segment_info i = measure(s, runs_of(s, WOK_CHARS_HAN_ALNUM), (wok_segmenter_opts){.dict = dict});
  print_message("05-B.5-5: %.4f bits and %.4f characters a word, %.4f bits a character (reference 12.0805, 1.7581, 6.8713)\n", i.word_bits,
                i.word_chars, i.word_bits / i.word_chars);
  assert_int_equal(i.chars, 474991);
  assert_true(i.word_bits / i.word_chars <= 7.0);
}

/* How many of the first 300 words of Han characters are in jieba's dictionary. */
static void b_5_5_known(void **state) {
  scratch *s = *state;
  need(fortunes[0]);
  need(jieba_dict());
  static const struct { wok_words_method method; int64_t min_count; double min_prob; int least; } cases[] = {
      {WOK_WORDS_NGRAMS, 8, 0, 264}, {WOK_WORDS_PAIRS, 0, 1e-5, 246}};
  for (int k = 0; k < 2; k++) {
    wok_words *w;
    wok_words_opts o = fortune_opts(s, WOK_CHARS_HAN_ALNUM);
    o.method = cases[k].method;
    o.min_count = cases[k].min_count;
    o.min_prob = cases[k].min_prob;
    o.reference = jieba_dict();
    assert_works(s->c, wok_words_find(s->c, &w, fortunes, 2, &o));
    int known = 0, n = 0;
    for (int64_t i = 0; n < 300; i++) {
      const wok_word *e = wok_words_get(w, i);
      bool han = e->chars >= 2;
      for (const char *p = e->text; *p; p++) han &= (unsigned char)*p >= 0x80;
      n += han;
      known += han && e->known;
    }
    print_message("05-B.5-5: %d of the first 300 words are in jieba's dictionary (reference %s)\n", known, k ? "262" : "280");
    assert_true(known >= cases[k].least);
    wok_words_free(w);
  }
}

static void bad_dictionaries(void **state) {
  scratch *s = *state;
  static const struct { const char *text, *say; } cases[] = {
      {"", "without words"}, {"a x\n", "line 1"}, {"a 1\nb -1\n", "line 2"}, {"a 9223372036854775807\n", "whole number"},
      {"a 9223372036854775806\nb 5\n", "63 bits"}, {"\xff 1\n", "UTF-8"}, {"a 1.5\n", "1.5"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    wok_segmenter *g;
    const char *path = scratch_puts(s, "dict", cases[i].text);
    assert_fails(s->c, wok_segmenter_open(s->c, &g, &(wok_segmenter_opts){.dict = path}), i == 4 ? WOK_LIMIT : WOK_FORMAT, cases[i].say);
    assert_null(g);
  }
  wok_segmenter *g;
  assert_fails(s->c, wok_segmenter_open(s->c, &g, NULL), WOK_INVALID, "--dict");
  assert_fails(s->c, wok_segmenter_open(s->c, &g, &(wok_segmenter_opts){.dict = "none-here"}), WOK_NOTFOUND, "none-here");
  assert_fails(s->c, wok_segmenter_open(s->c, &g, &(wok_segmenter_opts){.dict = "x", .hmm = "y"}), WOK_INVALID, "--hmm");
}

static void bad_tables(void **state) {
  scratch *s = *state;
  static const char *const cases[] = {"", "1 2 3", "1 2 3 x\n", "1 2 3 4\n1 2 3 4\n1 2 3 4\n1 2 3 4\n1 2 3 4\na:1,b\n", "1 2 3 nan\n"};
  wok__hmm h;
  assert_works(s->c, wok__hmm_init(s->c, &h));
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    assert_fails(s->c, wok__hmm_parse(s->c, &h, cases[i], (int64_t)strlen(cases[i]), "tables"), WOK_FORMAT, "tables, line");
  static const char *const python[] = {"", "P={", "P={'B'}", "P={'Q': -1}", "P={'B': -1 'E': 2}", "P={'BB': 1}", "P={'\\u12': 1}"};
  for (size_t i = 0; i < sizeof python / sizeof *python; i++)
    assert_fails(s->c, wok__hmm_parse_python(s->c, &h, "start", python[i], (int64_t)strlen(python[i]), "p.py"), WOK_FORMAT, "p.py, line");
  wok__hmm_free(&h);
}

typedef struct sink { wok__str text; } sink;
static wok_status into(void *ud, const char *p, int64_t n) {
  wok__str_add(&((sink *)ud)->text, p, n);
  return WOK_OK;
}

/* Whole files: lines, blanks, and H and l of the words. */
static void files(void **state) {
  scratch *s = *state;
  const char *path = scratch_puts(s, "t", "abc  d\n\nabcd");
  wok_segmenter *g = open_(s, (wok_segmenter_opts){.dict = scratch_puts(s, "d", "ab 5\nc 5\nd 5\n")});
  sink k;
  wok_segment_info i;
  wok__str_init(&k.text, 1 << 20);
  assert_works(s->c, wok_segment_files(s->c, g, &path, 1, NULL, into, &k, &i));
  assert_string_equal(k.text.p, "ab c d\n\nab c d\n");
  assert_int_equal(i.lines, 3);
  assert_int_equal(i.tokens, 6);
  assert_int_equal(i.chars, 8);
  assert_int_equal(i.single, 4);
  assert_int_equal(i.bytes, 10);
  wok__str_clear(&k.text);
  assert_works(s->c, wok_segment_files(s->c, g, &path, 1, &(wok_segment_opts){.separator = "|", .report = true, .tmp = s->dir}, into, &k, &i));
  assert_string_equal(k.text.p, "ab|c| | |d\n\nab|c|d\n");
  assert_int_equal(i.types, 3);
  assert_true(fabs(i.word_bits - log2(3)) < 1e-12 && fabs(i.word_chars - 8.0 / 6) < 1e-12);
  wok__str_free(&k.text);
  wok_segmenter_free(g);
}

int main(void) {
  const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)
#define N(name, f) {name, f, scratch_setup, scratch_teardown, NULL}
      N("05-E.11-1 jieba", jieba), N("05-B.2.8 unigram", unigram), T(plain), N("05-D.5-3, 05-I.2 jieba's dictionary", d_5_3),
      N("05-B.5-5 bits per character", b_5_5_cost), N("05-B.5-5 share of known words", b_5_5_known), T(bad_dictionaries),
      T(bad_tables), T(files)};
  return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
