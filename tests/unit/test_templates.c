/* Sentence templates: the checks of spec 05, section C. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include "scratch.h"
#include <wok/words.h>

#define assert_near(x, want, tolerance) near_(x, want, tolerance, #x, __LINE__)
static void near_(double x, double want, double tolerance, const char *what, int line) {
  if (fabs(x - want) <= tolerance) return;
  print_error("%s is %.12g, expected %.12g +- %g\n", what, x, want, tolerance);
  _fail(__FILE__, line);
}

static const char seven[] = "[X] 呢\t10\n[X] 可以 [X] 吗\t9\n我 [X]\t8\n[X] 的 [X] 是 [X]\t7\n[X] 的 [X] 是 [X] 呢\t7\n"
                            "[X] 的 [X]\t12\n[X] 和 [X]\t12\n";

static wok_templates *read_(scratch *s, const char *text) {
  wok_templates *t;
  assert_works(s->c, wok_templates_read(s->c, &t, text, (int64_t)strlen(text), "list"));
  return t;
}

static wok_parse *parse(scratch *s, const wok_templates *t, const char *sentence) {
  char text[1024];
  char *word[256], *rest = text;
  int64_t n = 0;
  snprintf(text, sizeof text, "%s", sentence);
  for (char *w; (w = strsep(&rest, " "));) word[n++] = w;
  wok_parse *p;
  assert_works(s->c, wok_templates_parse(s->c, &p, t, (const char *const *)word, n));
  return p;
}

static void c_5_1(void **state) {
  scratch *s = *state;
  static const struct { const char *sentence, *tmpl; double score; } cases[] = {
      {"鸡蛋 可以 吃 吗", "[X] 可以 [X] 吗", -1.977163},
      {"雪梨 和 苹果 和 香蕉 的 颜色 是 什么 呢", "[X] 的 [X] 是 [X] 呢", -5.607438},
      {"我 的 美味 的 苹果 的 颜色 是 什么 呢", "[X] 的 [X] 是 [X] 呢", -5.607438}};
  wok_templates *t = read_(s, seven);
  for (int i = 0; i < 3; i++) {
    wok_parse *p = parse(s, t, cases[i].sentence);
    const wok_parse_node *root = wok_parse_get(p, 0);
    assert_string_equal(wok_templates_get(t, root->tmpl)->text, cases[i].tmpl);
    assert_near(root->score, cases[i].score, 1e-5);
    assert_false(wok_parse_cut(p));
    wok_parse_free(p);
  }
  wok_templates_free(t);
}

/* The view for people, and the tie rule: the words further to the left. */
static void view(void **state) {
  scratch *s = *state;
  wok_templates *t = read_(s, seven);
  wok_parse *p = parse(s, t, "雪梨 和 苹果 和 香蕉 的 颜色");
  static const char want[] = "+---> (雪梨) 和 (苹果 和 香蕉 的 颜色)\n|     +---> 雪梨\n|     +---> 和\n"
                             "|     +---> (苹果) 和 (香蕉 的 颜色)\n|     |     +---> 苹果\n|     |     +---> 和\n"
                             "|     |     +---> (香蕉) 的 (颜色)\n|     |     |     +---> 香蕉\n|     |     |     +---> 的\n|     |     |     +---> 颜色\n";
  char text[2048] = {0};
  int64_t n;
  assert_works(s->c, wok_parse_text(p, text, sizeof text, &n));
  assert_string_equal(text, want);
  assert_int_equal(n, strlen(want));
  wok_parse_free(p);
  p = parse(s, t, "不 在 表 中");
  assert_near(wok_parse_get(p, 0)->score, -60, 0);
  memset(text, 0, sizeof text);
  assert_works(s->c, wok_parse_text(p, text, sizeof text, &n));
  assert_string_equal(text, "+---> 不 在 表 中\n");
  wok_parse_free(p);
  wok_templates_free(t);
}

static const wok_template *named(const wok_templates *t, const char *text) {
  for (int64_t i = 0; i < wok_templates_count(t); i++)
    if (!strcmp(wok_templates_get(t, i)->text, text)) return wok_templates_get(t, i);
  return NULL;
}

static wok_templates *find(scratch *s, const char *path, wok_templates_opts o, wok_segment_method how) {
  wok_segmenter *g;
  wok_templates *t;
  o.tmp = s->dir;
  assert_works(s->c, wok_segmenter_open(s->c, &g, &(wok_segmenter_opts){.method = how}));
  assert_works(s->c, wok_templates_find(s->c, &t, g, &path, 1, &o));
  wok_segmenter_free(g);
  return t;
}

static void c_5_2(void **state) {
  scratch *s = *state;
  const char *path = scratch_puts(s, "six", "苹果 的 颜色 是 什么 呢\n香蕉 的 味道 是 什么 呢\n鸡蛋 可以 吃 吗\n牛肉 可以 煮 吗\n我 的 书\n谢谢\n");
  wok_templates *t = find(s, path, (wok_templates_opts){.window = 3, .show_trivial = true}, WOK_SEGMENT_SPACE);
  wok_templates_info i;
  wok_templates_about(t, &i);
  assert_int_equal(i.words, 24);
  assert_int_equal(i.pairs, 39);
  assert_int_equal(i.truncated, 0);
  static const struct { const char *text; int64_t count; } want[] = {{"[X] 的 [X]", 3}, {"[X] 吗", 2}, {"[X] 呢", 2}, {"谢谢", 1}, {"我 [X] 书", 1}};
  for (int k = 0; k < 5; k++) {
    const wok_template *e = named(t, want[k].text);
    if (!e) print_error("%s\n", want[k].text);
    assert_non_null(e);
    assert_int_equal(e->count, want[k].count);
  }
  /* the gain of two words that stood once, of 24: (2.11) */
  int64_t ones[] = {1, 1};
  assert_near(named(t, "我 [X] 书")->gain, 24 * wok_merge_gain(ones, NULL, 2, 1, 24), 1e-12);
  wok_templates_free(t);
  /* PMI(是,什么) = 1.9994 and PMI(的,是) = 1.5939: thresholds on both sides of each */
  static const struct { double min_pmi; const char *text; bool there; } edges[] = {
      {1.9993, "是 什么", true}, {1.9995, "是 什么", false}, {1.5938, "的 [X] 是", true}, {1.5940, "的 [X] 是", false}};
  for (int k = 0; k < 4; k++) {
    t = find(s, path, (wok_templates_opts){.window = 3, .min_pmi = edges[k].min_pmi, .show_trivial = true}, WOK_SEGMENT_SPACE);
    bool there = false;
    for (int64_t j = 0; j < wok_templates_count(t); j++) there |= strstr(wok_templates_get(t, j)->text, edges[k].text) != NULL;
    if (there != edges[k].there) print_error("%s at %g\n", edges[k].text, edges[k].min_pmi);
    assert_int_equal(there, edges[k].there);
    wok_templates_free(t);
  }
  t = find(s, path, (wok_templates_opts){.window = 3}, WOK_SEGMENT_SPACE);
  assert_null(named(t, "[X] 的 [X]")); /* trivial: hidden */
  wok_templates_free(t);
}

/* Window 1 over characters links the pairs that the pair method keeps together. */
static void c_5_3(void **state) {
  scratch *s = *state;
  wok__str text;
  wok__rng r;
  wok__str_init(&text, 1 << 20);
  wok__rng_init(&r, 4, 4);
  static const char *const word[] = {"春天", "夏", "秋风起", "冬", "山水", "人", "大江", "东去"};
  for (int i = 0; i < 3000; i++) {
    for (int j = 0; j < 5; j++) wok__str_puts(&text, word[wok__rng_below(&r, 8)]);
    wok__str_puts(&text, "\n");
  }
  const char *path = scratch_put(s, "t", text.p, text.len);
  wok__str_free(&text);
  wok_templates *t = find(s, path, (wok_templates_opts){.window = 1, .min_pmi = 1, .min_prob = 1e-7}, WOK_SEGMENT_CHARS);
  wok_templates_info ti;
  wok_words_info wi;
  wok_templates_about(t, &ti);
  wok_words *w;
  assert_works(s->c, wok_words_find(s->c, &w, &path, 1, &(wok_words_opts){.method = WOK_WORDS_PAIRS, .documents = WOK_DOC_LINE, .tmp = s->dir}));
  wok_words_about(w, &wi);
  assert_true(ti.strong >= 5);
  assert_int_equal(ti.strong, wi.grams);
  wok_words_free(w);
  wok_templates_free(t);
}

static void c_5_4(void **state) {
  scratch *s = *state;
  wok__str text;
  wok__str_init(&text, 1 << 20);
  for (int i = 0; i < 40; i++) wok__str_printf(&text, "w%d ", i);
  wok__str_puts(&text, "\nno more\n");
  const char *path = scratch_put(s, "t", text.p, text.len);
  wok__str_free(&text);
  double t0 = wok__now();
  wok_templates *t = find(s, path, (wok_templates_opts){.window = 5, .min_pmi = -100, .min_prob = -1}, WOK_SEGMENT_SPACE);
  wok_templates_info i;
  wok_templates_about(t, &i);
  assert_int_equal(i.truncated, 1);
  assert_int_equal(i.paths, 1001);
  assert_true(wok__now() - t0 < 1);
  wok_templates_free(t);
  /* without the cap the number is known: 10 words, all pairs within 5 linked, 236 paths */
  path = scratch_puts(s, "t", "a b c d e f g h i j\n");
  t = find(s, path, (wok_templates_opts){.window = 5, .min_pmi = -100, .min_prob = -1}, WOK_SEGMENT_SPACE);
  wok_templates_about(t, &i);
  assert_int_equal(i.paths, 236);
  assert_int_equal(i.truncated, 0);
  wok_templates_free(t);
}

/* ---- memoised against trying everything ---- */

typedef struct brute { const wok_templates *t; char el[64][8][8]; int n[64]; int64_t count; } brute;

static double all_ways(const brute *b, const char *const *w, int from, int to);

/* Best score of elements k.. of template i against words from..to. */
static double ways(const brute *b, const char *const *w, int i, int k, int from, int to, int first, int last) {
  if (k == b->n[i]) return from == to ? 0 : -INFINITY;
  if (from == to) return -INFINITY;
  if (strcmp(b->el[i][k], "[X]")) return strcmp(b->el[i][k], w[from]) ? -INFINITY : ways(b, w, i, k + 1, from + 1, to, first, last);
  double best = -INFINITY;
  for (int end = from + 1; end <= to; end++) {
    if (from == first && end == last) continue;
    double rest = ways(b, w, i, k + 1, end, to, first, last);
    if (rest > -INFINITY) best = fmax(best, rest + all_ways(b, w, from, end));
  }
  return best;
}

static double all_ways(const brute *b, const char *const *w, int from, int to) {
  double best = -INFINITY, total = 0;
  for (int64_t i = 0; i < b->count; i++) total += (double)wok_templates_get(b->t, i)->count;
  for (int i = 0; i < b->count; i++) {
    double s = ways(b, w, i, 0, from, to, from, to);
    if (s > -INFINITY) best = fmax(best, s + log((double)wok_templates_get(b->t, i)->count / total));
  }
  return best > -INFINITY ? best : -20.0 * (to - from - 1);
}

static void c_5_5(void **state) {
  scratch *s = *state;
  static const char *const letter[] = {"a", "b", "c"};
  wok__rng r;
  wok__rng_init(&r, 8, 8);
  for (int round = 0; round < 60; round++) {
    wok__str text;
    wok__str_init(&text, 1 << 20);
    for (int i = 0; i < 12; i++) {
      bool gap = false, word = false;
      wok__str one;
      wok__str_init(&one, 1000);
      for (int k = 0, n = 1 + (int)wok__rng_below(&r, 5); k < n || !word; k++) {
        gap = !gap && wok__rng_below(&r, 2);
        word |= !gap;
        wok__str_printf(&one, "%s%s", k ? " " : "", gap ? "[X]" : letter[wok__rng_below(&r, 3)]);
      }
      if (!strstr(text.p ? text.p : "", one.p)) wok__str_printf(&text, "%s\t%d\n", one.p, 1 + (int)wok__rng_below(&r, 30));
      wok__str_free(&one);
    }
    brute b = {.t = read_(s, text.p)};
    b.count = wok_templates_count(b.t);
    for (int64_t i = 0; i < b.count; i++) {
      char copy[256], *rest = copy;
      snprintf(copy, sizeof copy, "%s", wok_templates_get(b.t, i)->text);
      for (char *e; (e = strsep(&rest, " "));) snprintf(b.el[i][b.n[i]++], 8, "%s", e);
    }
    for (int i = 0; i < 20; i++) {
      const char *w[7];
      int n = 1 + (int)wok__rng_below(&r, 7);
      for (int k = 0; k < n; k++) w[k] = letter[wok__rng_below(&r, 3)];
      wok_parse *p;
      assert_works(s->c, wok_templates_parse(s->c, &p, b.t, w, n));
      /* the best sum, up to the rounding that decides ties in every part */
      assert_near(wok_parse_get(p, 0)->score, all_ways(&b, w, 0, n), 1e-3);
      wok_parse_free(p);
    }
    wok_templates_free((wok_templates *)b.t);
    wok__str_free(&text);
  }
}

static void lists(void **state) {
  scratch *s = *state;
  static const struct { const char *text, *say; } bad[] = {
      {"", "no template"}, {"a b\n", "line 1"}, {"a\t0\n", "line 1"}, {"a\tx\n", "count"}, {"[X]\t3\n", "a word"},
      {"a [X] [X]\t3\n", "in a row"}, {"#x\n\na [X]\t2\t-\n\t1\n", "line 4"}};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    wok_templates *t;
    assert_fails(s->c, wok_templates_read(s->c, &t, bad[i].text, (int64_t)strlen(bad[i].text), "list"), WOK_FORMAT, bad[i].say);
    assert_null(t);
  }
  /* a word that looks like a placeholder keeps its backslash through file and parse */
  const char *path = scratch_puts(s, "t", "[X] q z\n[X] q z\n");
  wok_templates *t = find(s, path, (wok_templates_opts){.window = 1, .min_pmi = -50, .min_prob = -1}, WOK_SEGMENT_SPACE), *again;
  assert_non_null(named(t, "\\[X] q z"));
  path = scratch_at(s, "list");
  assert_works(s->c, wok_templates_save(t, path));
  assert_works(s->c, wok_templates_open(s->c, &again, path));
  assert_int_equal(wok_templates_count(again), wok_templates_count(t));
  wok_parse *p = parse(s, again, "[X] q z");
  assert_near(wok_parse_get(p, 0)->score, 0, 1e-12);
  assert_int_equal(wok_parse_nodes(p), 1);
  wok_parse_free(p);
  wok_templates_free(t);
  wok_templates_free(again);
}

int main(void) {
  const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)
#define N(name, f) {name, f, scratch_setup, scratch_teardown, NULL}
      N("05-C.5-1 nested templates", c_5_1), T(view), N("05-C.5-2 discovery", c_5_2), N("05-C.5-3 window 1", c_5_3),
      N("05-C.5-4 all edges", c_5_4), N("05-C.5-5 brute force", c_5_5), T(lists)};
  return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
