/* The report page: from nothing to long logs, escaped, self-contained. The list of runs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include "scratch.h"
#include "train/chart.h"
#include "train/runlog.h"
#include "valgrind.h"
#include <wok/train.h>

static int count(const char *page, const char *what) {
  int n = 0;
  for (const char *p = page; (p = strstr(p, what)); p += strlen(what)) n++;
  return n;
}

/* Every element that is opened is closed, in order; returns how many there were. */
static int well_formed(const char *page) {
  static const char *const empty[] = {"meta", "path", "circle", "br", "!DOCTYPE"};
  char stack[64][16];
  int depth = 0, elements = 0;
  for (const char *p = strchr(page, '<'); p; p = strchr(p + 1, '<')) {
    char name[16];
    bool closes = p[1] == '/';
    size_t n = strcspn(p + 1 + closes, " >/\n");
    if (n == 0 || n >= sizeof name) fail_msg("a strange element: %.20s", p);
    memcpy(name, p + 1 + closes, n);
    name[n] = '\0';
    if (closes) {
      if (depth == 0 || strcmp(stack[depth - 1], name) != 0) fail_msg("</%s> closes %s", name, depth ? stack[depth - 1] : "nothing");
      depth--;
      continue;
    }
    const char *end = strchr(p, '>');
    assert_non_null(end);
    bool stands_alone = end[-1] == '/' || strcmp(name, "meta") == 0 || strcmp(name, "!DOCTYPE") == 0;
    for (size_t i = 0; i < sizeof empty / sizeof *empty; i++)
      if (end[-1] == '/' && strcmp(empty[i], name) == 0) stands_alone = true;
    elements++;
    if (!stands_alone) {
      assert_true(depth < 64);
      memcpy(stack[depth++], name, sizeof name);
    }
  }
  assert_int_equal(depth, 0);
  return elements;
}

static char *page_of(scratch *s) {
  int64_t n;
  assert_works(s->c, wok_report_write(s->c, s->dir, NULL));
  char *page = (char *)scratch_get(scratch_at(s, "report.html"), &n);
  assert_true(well_formed(page) > 20);
  /* nothing from elsewhere, nothing that runs */
  static const char *const never[] = {"http", "src=", "url(", "@import", "<script", "<link", ">nan", "nan ", "\"nan", " inf", ">inf"};
  for (size_t i = 0; i < sizeof never / sizeof *never; i++)
    if (strstr(page, never[i])) fail_msg("the page holds %s: %.60s", never[i], strstr(page, never[i]));
  return page;
}

static wok__runlog *begin(scratch *s, const char *unit) {
  wok__runlog *l;
  assert_works(s->c, wok__runlog_open(s->c, &l, s->dir, NULL));
  assert_works(s->c, wok__runlog_line(l, "run", json_pack("{s:s, s:s, s:I, s:s, s:{s:i, s:s}, s:{s:s}, s:{s:{s:i}}}", "model_type", "gpt2", "wok",
                                                        "0.1.0", "parameters", (json_int_t)867200, "unit", unit, "settings", "steps", 100,
                                                        "compute", "f32", "machine", "cpu", "Some <CPU> & more", "data", "train", "tokens", 1000)));
  return l;
}

static void step(wok__runlog *l, int64_t at, double bits, double norm) {
  assert_int_equal(wok__runlog_step(l, &(wok_step_info){.step = at, .loss = bits, .bits = bits, .lr = 1e-3, .grad_norm = norm, .tokens = at * 10,
                                                       .tokens_per_s = 5000}, (double)at), WOK_OK);
}

static void a_whole_run(void **state) {
  scratch *s = *state;
  wok__runlog *l = begin(s, "character");
  assert_works(s->c, wok__runlog_baselines(l, &(wok_baselines){.uniform = 8.4, .unigram = 4.8, .bigram = 3.6, .trigram = 2.85, .kneser_ney = 2.82}));
  for (int64_t i = 1; i <= 100; i++) step(l, i, 2.5 + 6.0 / (double)i, 1);
  wok_step_info e = {.step = 50, .valid_loss = 2, .valid_bits = 2.7, .best_valid_bits = 2.7};
  assert_works(s->c, wok__runlog_eval(l, &e, 500, 0.1));
  e.step = 100;
  e.valid_bits = 2.75;
  assert_works(s->c, wok__runlog_eval(l, &e, 500, 0.1));
  assert_works(s->c, wok__runlog_sample(l, "<b>\"Once\" & 'twice'</b>", "</body><script>alert(1)</script>\n\x01\xe5\xad\x90\xe6\x9b\xb0"));
  assert_works(s->c, wok__runlog_end(l, "done", &(wok_step_info){.step = 100, .tokens = 1000}, 125, 77000000));
  wok__runlog_close(l);
  char *page = page_of(s);
  assert_int_equal(count(page, "<svg"), 4); /* two sizes of the first, two small ones */
  assert_non_null(strstr(page, "2.700</span>"));
  assert_non_null(strstr(page, "best, at step 50; trigram 2.850"));
  assert_non_null(strstr(page, ">2:05<"));
  assert_non_null(strstr(page, "867.2 K"));
  assert_non_null(strstr(page, "77.0 MB"));
  static const char *const names[] = {"uniform", "unigram", "bigram", "trigram", "Kneser-Ney"};
  for (int i = 0; i < 5; i++) {
    char label[64];
    snprintf(label, sizeof label, ">%s <tspan", names[i]);
    assert_int_equal(count(page, label), 2);
  }
  /* it stands before the first that is worse */
  assert_true(strstr(page, "this model, at its best") < strstr(page, ">trigram, Kneser-Ney<"));
  assert_non_null(strstr(page, "&lt;b&gt;&quot;Once&quot; &amp; &#39;twice&#39;&lt;/b&gt;"));
  assert_non_null(strstr(page, "&lt;/body&gt;&lt;script&gt;alert(1)&lt;/script&gt;\n\xef\xbf\xbd\xe5\xad\x90\xe6\x9b\xb0"));
  assert_non_null(strstr(page, "Some &lt;CPU&gt; &amp; more"));
  assert_non_null(strstr(page, "prefers-color-scheme:dark"));
  assert_non_null(strstr(page, "held out, step 50: 2.7</title>"));
  free(page);
}

static void short_runs(void **state) {
  scratch *s = *state;
  wok__runlog *l = begin(s, "byte");
  char *page = page_of(s); /* nothing but the first line */
  assert_int_equal(count(page, "nothing measured yet"), 4);
  assert_non_null(strstr(page, "not finished"));
  free(page);
  step(l, 1, 8.4, 0); /* one step, and a norm that no logarithm takes */
  page = page_of(s);
  assert_int_equal(count(page, "nothing measured yet"), 1);
  assert_non_null(strstr(page, "Bits per byte"));
  free(page);
  step(l, 2, NAN, INFINITY);
  step(l, 3, 8.4, 2);
  wok__runlog_close(l);
  FILE *f = fopen(scratch_at(s, WOK__LOG_NAME), "a"); /* being written just now, or cut by a crash */
  assert_non_null(f);
  fputs("{\"type\":\"step\",\"step\":4,\"bi", f);
  fclose(f);
  page = page_of(s);
  assert_non_null(strstr(page, "3 of 100 steps"));
  assert_non_null(strstr(page, "1 damaged line of the log left out"));
  free(page);
}

static void long_runs(void **state) {
  NOT_UNDER_VALGRIND("a long log");
  scratch *s = *state;
  wok__runlog *l = begin(s, "character");
  for (int64_t i = 1; i <= 20000; i++) step(l, i, 3 + (double)(i % 7) / 10, 1e-3 * (double)i);
  wok__runlog_close(l);
  char *page = page_of(s);
  assert_true(strlen(page) < 100000); /* however many steps */
  assert_non_null(strstr(page, ">20k<"));
  assert_int_equal(count(page, "class=\"band\""), 2);
  free(page);
}

static void elsewhere(void **state) {
  scratch *s = *state;
  assert_fails(s->c, wok_report_write(s->c, s->dir, NULL), WOK_NOTFOUND, "is no run");
  wok__runlog_close(begin(s, "character"));
  assert_works(s->c, wok_report_write(s->c, s->dir, scratch_at(s, "page.html")));
  assert_true(wok__exists(scratch_at(s, "page.html")) && !wok__exists(scratch_at(s, "report.html")));
  assert_fails(s->c, wok_report_write(s->c, s->dir, scratch_at(s, "none/page.html")), WOK_NOTFOUND, "none/page.html");
}

/* Whatever is to be drawn: no number that is not one, and labels apart from each other. */
static void charts(void **state) {
  (void)state;
  static const double x[] = {1, 2, 3}, same[] = {5, 5, 5}, tiny[] = {1e-12, 3e-12, 2e-12}, huge[] = {1e12, 1e15, -1e12}, holes[] = {NAN, 0, -3};
  const double *const ys[] = {same, tiny, huge, holes};
  for (int i = 0; i < 4; i++)
    for (int log_y = 0; log_y < 2; log_y++) {
      wok__str s;
      wok__str_init(&s, 1 << 20);
      wok__chart c = {.title = "a < b", .style = "x", .width = 400, .height = 300, .log_y = log_y, .most_y_ticks = 5, .label_room = 100};
      c.series[c.nseries++] = (wok__series){"y", "line", x, ys[i], 3, true};
      for (int k = 0; k < 5; k++) c.level[c.nlevels++] = (wok__level){"level", 5 + 1e-6 * k};
      wok__chart_svg(&s, &c);
      assert_false(s.failed);
      assert_null(strstr(s.p, "nan"));
      assert_null(strstr(s.p, "inf"));
      assert_true(well_formed(s.p) > 0);
      assert_non_null(strstr(s.p, "a &lt; b"));
      double before = -100;
      for (const char *p = s.p; (p = strstr(p, "<text class=\"name\"")); p++) {
        double at = strtod(strstr(p, " y=\"") + 4, NULL);
        assert_true(at - before >= 13.9 && at < 300);
        before = at;
      }
      wok__str_free(&s);
    }
  char z[32];
  static const struct { double v; const char *z; } numbers[] = {{20000, "20k"}, {2500000, "2.5M"}, {12345, "1.234e+04"}, {0.003, "0.003"}, {3e-5, "3e-05"}, {0, "0"}};
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    wok__chart_number(z, sizeof z, numbers[i].v);
    assert_string_equal(z, numbers[i].z);
  }
}

/* Two values next to each other: places between them are no numbers, and counting them must end all the same. */
static void neighbours(void **state) {
  (void)state;
  static const double x[] = {1, 2};
  for (int i = 0; i < 50; i++) {
    double y[] = {1 + 0.37 * i, 0};
    y[1] = nextafter(y[0], INFINITY);
    wok__str s;
    wok__str_init(&s, 1 << 20);
    wok__chart c = {.title = "t", .style = "x", .width = 400, .height = 300, .most_y_ticks = 5};
    c.series[c.nseries++] = (wok__series){"y", "line", x, y, 2, true};
    wok__chart_svg(&s, &c);
    assert_false(s.failed);
    assert_true(well_formed(s.p) > 0);
    wok__str_free(&s);
  }
}

static void lists_of_runs(void **state) {
  scratch *s = *state;
  char root[256];
  snprintf(root, sizeof root, "%s", s->dir);
  const char *const names[] = {"a", "group/b"};
  for (int i = 0; i < 2; i++) {
    snprintf(s->dir, sizeof s->dir, "%.200s/%s", root, names[i]);
    assert_works(s->c, wok__mkdirs(s->c, s->dir));
    wok__runlog *l = begin(s, "character");
    step(l, 7, 3.5, 1);
    if (i == 0) assert_works(s->c, wok__runlog_end(l, "done", &(wok_step_info){.step = 7}, 1, 1));
    wok__runlog_close(l);
  }
  snprintf(s->dir, sizeof s->dir, "%s", root);
  assert_works(s->c, wok__mkdirs(s->c, scratch_at(s, "no-run")));
  assert_works(s->c, wok__mkdirs(s->c, scratch_at(s, "broken")));
  scratch_puts(s, "broken/log.jsonl", "nonsense\n");
  wok__lock lock;
  assert_works(s->c, wok__lock_dir(s->c, &lock, scratch_at(s, "group/b")));
  wok_run_summary *list;
  int64_t n;
  assert_works(s->c, wok_runs_list(s->c, s->dir, &list, &n));
  assert_int_equal(n, 2);
  int a = strstr(list[0].dir, "/a") ? 0 : 1;
  assert_string_equal(list[a].state, "done");
  assert_string_equal(list[1 - a].state, "running");
  assert_true(list[a].step == 7 && list[a].steps == 100 && list[a].bits == 3.5 && list[a].parameters == 867200 && list[a].seconds == 7);
  wok_text_free((char *)list);
  wok__unlock(&lock);
  assert_works(s->c, wok_runs_list(s->c, scratch_at(s, "group/b"), &list, &n));
  assert_int_equal(n, 1);
  assert_string_equal(list[0].state, "stopped");
  wok_text_free((char *)list);
  assert_fails(s->c, wok_runs_list(s->c, scratch_at(s, "none"), &list, &n), WOK_NOTFOUND, "none");
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)
int main(void) {
  const struct CMUnitTest tests[] = {
      CASE(a_whole_run), CASE(short_runs), CASE(long_runs), CASE(elsewhere), cmocka_unit_test(charts), cmocka_unit_test(neighbours), CASE(lists_of_runs),
  };
  return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
