/* train/report.c - one self-contained HTML page about a run: nothing is loaded from anywhere, no script runs. */
#include <math.h>
#include <string.h>
#include <time.h>
#include <wok/train.h>
#include "train/chart.h"
#include "train/history.h"
#include "train/page.h"

enum { LARGEST_PAGE = 64 << 20, MOST_POINTS = 360 };

/* The curves, made small enough to draw: one point for each of at most MOST_POINTS stretches of steps. */
typedef struct curves {
  double x[MOST_POINTS], bits[MOST_POINTS], low[MOST_POINTS], high[MOST_POINTS], smooth[MOST_POINTS], lr[MOST_POINTS], norm[MOST_POINTS];
  int64_t n;
  double *ex, *ebits; /* evaluations; in the arena */
  int64_t en;
  double best, best_step, last; /* held out; 0: never measured */
} curves;

static void shrink(const wok__history *h, curves *c) {
  const wok__step_row *s = wok__history_steps(h);
  int64_t total = h->steps.n;
  c->n = WOK__MIN(total, MOST_POINTS);
  for (int64_t k = 0; k < c->n; k++) {
    int64_t from = k * total / c->n, to = (k + 1) * total / c->n;
    double sum = 0, norm = 0, low = INFINITY, high = -INFINITY;
    for (int64_t i = from; i < to; i++) {
      sum += s[i].bits;
      norm += s[i].grad_norm;
      low = fmin(low, s[i].bits);
      high = fmax(high, s[i].bits);
    }
    c->x[k] = s[to - 1].step;
    c->bits[k] = sum / (double)(to - from);
    c->norm[k] = norm / (double)(to - from);
    c->lr[k] = s[to - 1].lr;
    c->low[k] = low;
    c->high[k] = high;
  }
  /* A mean over neighbours, without the lag of a running one. */
  int64_t reach = c->n / 60;
  for (int64_t k = 0; k < c->n; k++) {
    int64_t r = WOK__MIN(reach, WOK__MIN(k, c->n - 1 - k));
    double sum = 0;
    for (int64_t i = k - r; i <= k + r; i++) sum += c->bits[i];
    c->smooth[k] = sum / (double)(2 * r + 1);
  }
}

static bool take_evals(wok__arena *a, const wok__history *h, curves *c) {
  const wok__eval_row *e = wok__history_evals(h);
  c->ex = wok__new(a, double, h->evals.n + 1);
  c->ebits = wok__new(a, double, h->evals.n + 1);
  if (!c->ex || !c->ebits) return false;
  for (int64_t i = 0; i < h->evals.n; i++) {
    c->ex[i] = e[i].step;
    c->ebits[i] = c->last = e[i].bits;
    if (e[i].bits > 0 && (c->best == 0 || e[i].bits < c->best)) {
      c->best = e[i].bits;
      c->best_step = e[i].step;
    }
  }
  c->en = h->evals.n;
  return true;
}

/* ---- the n-gram models ---- */
static const struct { const char *key, *name, *label; } baselines[] = {
    {"kneser_ney", "trigram, Kneser-Ney", "Kneser-Ney"}, {"trigram", "trigram, interpolated", "trigram"},
    {"bigram", "bigram", "bigram"},                      {"unigram", "unigram", "unigram"},
    {"uniform", "uniform: every token as likely", "uniform"},
};

static int levels_of(const wok__history *h, wok__level *level) {
  int n = 0;
  for (int64_t i = 0; i < WOK__COUNT(baselines); i++) {
    double v = wok__line_number(h->baselines, baselines[i].key);
    if (v > 0) level[n++] = (wok__level){baselines[i].label, v};
  }
  return n;
}

/* ---- charts: each in two widths, of which the page shows the one that is legible ---- */
static void bits_chart(wok__str *s, const wok__history *h, const curves *c, const char *unit) {
  static const struct { const char *style; int width, height, room, ticks; } size[] = {{"wide", 960, 400, 132, 9}, {"narrow", 400, 320, 112, 7}};
  char title[64];
  (void)wok__snprintf(title, (int64_t)sizeof title, "bits per %s over the steps", unit);
  for (int64_t i = 0; i < WOK__COUNT(size); i++) {
    wok__chart k = {.title = title, .style = size[i].style, .width = size[i].width, .height = size[i].height, .log_y = true,
                    .most_y_ticks = size[i].ticks};
    k.nlevels = levels_of(h, k.level);
    k.label_room = k.nlevels ? size[i].room : 0;
    k.band = (wok__band){c->x, c->low, c->high, c->n};
    k.series[k.nseries++] = (wok__series){"training", "line s0", c->x, c->smooth, c->n, false};
    if (c->en) k.series[k.nseries++] = (wok__series){"held out", "line s1", c->ex, c->ebits, c->en, true};
    wok__chart_svg(s, &k);
  }
}

static void small_chart(wok__str *s, const curves *c, const char *title, const double *y, bool log_y) {
  wok__chart k = {.title = title, .style = "small", .width = 420, .height = 190, .log_y = log_y, .most_y_ticks = 6};
  k.series[k.nseries++] = (wok__series){title, "line s0", c->x, y, c->n, false};
  wok__chart_svg(s, &k);
}

/* ---- tiles ---- */
static void tile(wok__str *s, const char *name, const char *value, const char *note) {
  wok__str_puts(s, "<div class=\"tile\"><span class=\"k\">");
  wok__html_text(s, name);
  wok__str_puts(s, "</span><span class=\"v\">");
  wok__html_text(s, value);
  wok__str_puts(s, "</span><span class=\"n\">");
  wok__html_text(s, note);
  wok__str_puts(s, "</span></div>\n");
}

static void bits_tile(wok__str *s, const wok__history *h, const curves *c, const char *unit) {
  char name[48], value[32] = "-", note[96] = "not evaluated";
  (void)wok__snprintf(name, (int64_t)sizeof name, "bits per %s, held out", unit);
  if (c->best > 0) {
    double trigram = wok__line_number(h->baselines, "trigram");
    (void)wok__snprintf(value, (int64_t)sizeof value, "%.3f", c->best);
    if (trigram > 0) (void)wok__snprintf(note, (int64_t)sizeof note, "best, at step %.0f; trigram %.3f", c->best_step, trigram);
    else (void)wok__snprintf(note, (int64_t)sizeof note, "best, at step %.0f", c->best_step);
  }
  tile(s, name, value, note);
}

static double last_of(const wok__history *h, const char *end_key, double otherwise) {
  double v = wok__line_number(h->end, end_key);
  return v > 0 ? v : otherwise;
}

static void tiles(wok__str *s, const wok__history *h, const curves *c, const char *unit) {
  const wok__step_row *steps = wok__history_steps(h), none = {0}, *last = h->steps.n ? &steps[h->steps.n - 1] : &none;
  const json_t *settings = json_object_get(h->run, "settings"), *end_settings = json_object_get(h->resume, "settings");
  double bound = wok__line_number(end_settings ? end_settings : settings, "steps"), seconds = last_of(h, "seconds", last->seconds);
  char value[48], note[96];
  wok__str_puts(s, "<section class=\"tiles\">\n");
  bits_tile(s, h, c, unit);
  wok__format_count(value, (int64_t)sizeof value, (int64_t)wok__line_number(h->run, "parameters"));
  (void)wok__snprintf(note, (int64_t)sizeof note, "%.60s", wok__line_word(h->run, "model_type"));
  tile(s, "parameters", value, note);
  wok__format_count(value, (int64_t)sizeof value, (int64_t)last->tokens_per_s);
  double gflops = last->tokens_per_s * wok__line_number(h->run, "flops_per_token") * 1e-9;
  (void)wok__snprintf(note, (int64_t)sizeof note, "%.0f GFLOP/s at the end", gflops);
  tile(s, "tokens per second", value, note);
  wok__format_seconds(value, (int64_t)sizeof value, seconds);
  if (bound > 0) (void)wok__snprintf(note, (int64_t)sizeof note, "%.0f of %.0f steps", last->step, bound);
  else (void)wok__snprintf(note, (int64_t)sizeof note, "%.0f steps", last->step);
  tile(s, "time", value, note);
  wok__format_count(value, (int64_t)sizeof value, (int64_t)last->tokens);
  double epoch = wok__line_number(json_object_get(json_object_get(h->run, "data"), "train"), "tokens");
  (void)wok__snprintf(note, (int64_t)sizeof note, "%.2f passes over the text", epoch > 0 ? last->tokens / epoch : 0);
  tile(s, "tokens seen", value, note);
  if (wok__line_number(h->end, "peak_bytes") > 0) {
    wok__format_size(value, (int64_t)sizeof value, (int64_t)wok__line_number(h->end, "peak_bytes"));
    tile(s, "peak memory", value, "of the process");
  }
  wok__str_puts(s, "</section>\n");
}

/* ---- the comparison ---- */
static void bar(wok__str *s, const char *name, double bits, double most, bool ours) {
  wok__str_printf(s, "<tr%s><th scope=\"row\">", ours ? " class=\"ours\"" : "");
  wok__html_text(s, name);
  wok__str_printf(s, "</th><td class=\"num\">%.3f</td><td class=\"bar\"><i style=\"width:%.1f%%\"></i></td></tr>\n", bits, 100 * bits / most);
}

static void comparison(wok__str *s, const wok__history *h, const curves *c, const char *unit) {
  double most = c->best;
  for (int64_t i = 0; i < WOK__COUNT(baselines); i++) most = fmax(most, wok__line_number(h->baselines, baselines[i].key));
  if (!h->baselines || most <= 0) return;
  wok__str_printf(s, "<section class=\"card\"><h2>Beside n-gram models</h2><p class=\"sub\">Bits per %s of the held-out text, all of them trained on "
                     "the same training text; less is better.</p><table class=\"bars\">\n", unit);
  bool told = c->best <= 0;
  for (int64_t i = 0; i < WOK__COUNT(baselines); i++) {
    double v = wok__line_number(h->baselines, baselines[i].key);
    if (v <= 0) continue;
    if (!told && c->best <= v) {
      bar(s, "this model, at its best", c->best, most, true);
      told = true;
    }
    bar(s, baselines[i].name, v, most, false);
  }
  if (!told) bar(s, "this model, at its best", c->best, most, true);
  wok__str_puts(s, "</table></section>\n");
}

/* ---- samples ---- */
static void samples(wok__str *s, const wok__history *h) {
  size_t n = json_array_size(h->samples);
  if (!n) return;
  wok__str_puts(s, "<section class=\"card\"><h2>Samples</h2><p class=\"sub\">What the trained model makes of a beginning.</p>\n");
  for (size_t i = 0; i < n; i++) {
    const json_t *j = json_array_get(h->samples, i);
    wok__str_puts(s, "<blockquote><b>");
    wok__html_text(s, wok__line_word(j, "prompt"));
    wok__str_puts(s, "</b>");
    wok__html_text(s, wok__line_word(j, "text"));
    wok__str_puts(s, "</blockquote>\n");
  }
  wok__str_puts(s, "</section>\n");
}

/* ---- tables: whatever the log's objects hold ---- */
static void cell(wok_ctx *c, wok__str *s, const json_t *v) {
  if (json_is_string(v)) wok__html_text(s, json_string_value(v));
  else if (json_is_null(v)) wok__str_puts(s, "-");
  else if (json_is_boolean(v)) wok__str_puts(s, json_is_true(v) ? "yes" : "no");
  else if (json_is_integer(v)) wok__str_printf(s, "%lld", (long long)json_integer_value(v));
  else if (json_is_real(v)) wok__str_printf(s, "%.6g", json_real_value(v));
  else {
    wok__str text;
    wok__str_init(&text, 1 << 16);
    if (wok__json_text(c, v, &text, 0) == WOK_OK && text.p) wok__html_text(s, text.p);
    wok__str_free(&text);
  }
}

static void table(wok_ctx *c, wok__str *s, const char *title, const json_t *object) {
  json_t *o = (json_t *)(uintptr_t)object; /* jansson's iterators take no const, but do not write */
  if (!json_object_size(o)) return;
  wok__str_printf(s, "<section class=\"card\"><h2>%s</h2><table>\n", title);
  for (void *it = json_object_iter(o); it; it = json_object_iter_next(o, it)) {
    const json_t *v = json_object_iter_value(it);
    wok__str_puts(s, "<tr><th scope=\"row\">");
    wok__html_text(s, json_object_iter_key(it));
    wok__str_puts(s, "</th><td>");
    if (json_is_object(v) && json_object_size(v) <= 4) { /* a split: one line for all of it */
      json_t *inner = (json_t *)(uintptr_t)v;
      bool first = true;
      for (void *k = json_object_iter(inner); k; k = json_object_iter_next(inner, k), first = false) {
        wok__str_puts(s, first ? "" : ", ");
        cell(c, s, json_object_iter_value(k));
        wok__str_puts(s, " ");
        wok__html_text(s, json_object_iter_key(k));
      }
    } else {
      cell(c, s, v);
    }
    wok__str_puts(s, "</td></tr>\n");
  }
  wok__str_puts(s, "</table></section>\n");
}

/* ---- the page ---- */
static void when(wok__str *s, double seconds) {
  time_t t = (time_t)seconds;
  struct tm tm;
  if (seconds > 0 && gmtime_r(&t, &tm))
    wok__str_printf(s, "%04d-%02d-%02d %02d:%02d UTC", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min);
}

static const char *base_name(const char *dir, char *buf, size_t cap) {
  size_t n = strlen(dir), from;
  while (n > 1 && dir[n - 1] == '/') n--;
  for (from = n; from > 0 && dir[from - 1] != '/'; from--) {
  }
  if (n - from == 0 || n - from >= cap || (n - from == 1 && dir[from] == '.')) return "this run";
  memcpy(buf, dir + from, n - from);
  buf[n - from] = '\0';
  return buf;
}

static void header(wok__str *s, const wok__history *h, const char *name) {
  const char *reason = wok__line_word(h->end, "reason");
  static const struct { const char *reason, *text, *style; } states[] = {
      {"done", "done", "ok"}, {"interrupted", "interrupted", "warn"}, {"nonfinite", "stopped: not finite", "bad"}, {"", "not finished", "warn"}};
  int64_t i = 0;
  while (i < WOK__COUNT(states) - 1 && strcmp(states[i].reason, reason) != 0) i++;
  wok__str_puts(s, "<header><h1>");
  wok__html_text(s, name);
  wok__str_printf(s, " <span class=\"state %s\">%s</span></h1><p class=\"sub\">A language model trained from scratch by wok ", states[i].style,
                  states[i].text);
  wok__html_text(s, wok__line_word(h->run, "wok"));
  wok__str_puts(s, ", begun ");
  when(s, wok__line_number(h->run, "time"));
  if (h->resumes) wok__str_printf(s, ", resumed %lld time%s", (long long)h->resumes, h->resumes == 1 ? "" : "s");
  wok__str_puts(s, ".</p></header>\n");
}

static void write_page(wok_ctx *ctx, wok__str *s, const wok__history *h, const curves *c, const char *name) {
  const char *unit = wok__line_word(h->run, "unit");
  if (!*unit) unit = "token";
  wok__str_puts(s, wok__page_head);
  wok__html_text(s, name);
  wok__str_puts(s, " &middot; wok</title>\n");
  wok__str_puts(s, wok__page_style);
  wok__str_puts(s, "</head>\n<body><main>\n");
  header(s, h, name);
  tiles(s, h, c, unit);
  wok__str_puts(s, "<section class=\"card\"><h2>Bits per ");
  wok__html_text(s, unit);
  wok__str_puts(s, "</h2><p class=\"legend\"><span class=\"key s0\">training</span><span class=\"key s1\">held out</span>");
  if (h->baselines) wok__str_puts(s, "<span class=\"key marked\">n-gram models, held out</span>");
  wok__str_puts(s, "</p>\n");
  bits_chart(s, h, c, unit);
  wok__str_puts(s, "</section>\n<div class=\"pair\"><section class=\"card\"><h2>Learning rate</h2>\n");
  small_chart(s, c, "learning rate", c->lr, false);
  wok__str_puts(s, "</section><section class=\"card\"><h2>Gradient norm</h2>\n");
  small_chart(s, c, "gradient norm", c->norm, true);
  wok__str_puts(s, "</section></div>\n");
  comparison(s, h, c, unit);
  samples(s, h);
  wok__str_puts(s, "<div class=\"pair\">\n");
  const json_t *now = json_object_get(h->resume, "settings");
  table(ctx, s, "Settings", now ? now : json_object_get(h->run, "settings"));
  table(ctx, s, "Model", json_object_get(h->run, "config"));
  table(ctx, s, "Data", json_object_get(h->run, "data"));
  table(ctx, s, "Machine", json_object_get(h->run, "machine"));
  wok__str_puts(s, "</div>\n");
  if (h->damaged) wok__str_printf(s, "<p class=\"sub\">%lld damaged line%s of the log left out.</p>\n", (long long)h->damaged, h->damaged == 1 ? "" : "s");
  wok__str_puts(s, "<footer>Numbers: log.jsonl beside this page. Curves: <code>tensorboard --logdir</code> reads the same directory.</footer>\n</main></body></html>\n");
}

static wok_status make_page(wok_ctx *ctx, wok__arena *a, const wok__history *h, const char *run_dir, const char *path) {
  char name[128];
  curves *c = wok__new(a, curves, 1);
  wok__str s;
  if (!c || !take_evals(a, h, c)) return wok__nomem(ctx, (int64_t)sizeof *c);
  shrink(h, c);
  wok__str_init(&s, LARGEST_PAGE);
  write_page(ctx, &s, h, c, base_name(run_dir, name, sizeof name));
  wok_status st = s.failed ? wok__fail(ctx, WOK_LIMIT, "%s: the page is too large", path) : wok__write_file(ctx, path, s.p, s.len);
  wok__str_free(&s);
  return st;
}

wok_status wok_report_write(wok_ctx *c, const char *run_dir, const char *html_path) {
  wok__history h;
  WOK__TRY(wok__history_read(c, &h, run_dir));
  wok__arena *a = wok__arena_new(0);
  const char *path = html_path ? html_path : a ? wok__path_join(a, run_dir, "report.html") : NULL;
  wok_status s = a && path ? make_page(c, a, &h, run_dir, path) : wok__nomem(c, 1 << 16);
  wok__arena_free(a);
  wok__history_free(&h);
  return s;
}
