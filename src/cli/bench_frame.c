/* Times of `wok bench`: taken, sorted, said. */
#include <stdarg.h>
#include <time.h>
#include "cli/bench.h"

void bench_say(cli *c, const char *fmt, ...) {
  static bool begun;
  if (!begun) cli_machine_print(c);
  begun = true;
  va_list ap;
  va_start(ap, fmt);
  vprintf(fmt, ap);
  va_end(ap);
}

double bench_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

int64_t bench_or(int64_t given, int64_t otherwise) { return given ? given : otherwise; }

const char *bench_spread_text(const wok_bench_spread *s) {
  static char text[8][64];
  static int at;
  static const struct { double least, scale; const char *unit; } units[] = {{1, 1, "s"}, {1e-3, 1e3, "ms"}, {0, 1e6, "us"}};
  int u = 0;
  while (s->median_s < units[u].least) u++;
  double k = units[u].scale;
  int digits = s->median_s * k < 10 ? 3 : s->median_s * k < 100 ? 2 : 1;
  char *t = text[at = (at + 1) % 8];
  snprintf(t, sizeof text[0], "%.*f %s (%.*f to %.*f)", digits, s->median_s * k, units[u].unit, digits, s->low_s * k, digits, s->high_s * k);
  return t;
}

void bench_spread_json(json_t *row, const char *name, const wok_bench_spread *s) {
  json_object_set_new(row, name, json_pack("{s:f, s:f, s:f, s:f, s:f, s:i}", "median_s", s->median_s, "low_s", s->low_s, "high_s",
                                           s->high_s, "best_s", s->best_s, "worst_s", s->worst_s, "reps", s->reps));
}

wok_status bench_plan_times(cli *c, wok_plan *p, int64_t reps, wok_bench_spread *out) {
  double v[BENCH_MOST_REPS];
  wok_status s = wok_plan_run(p, NULL);
  for (int64_t i = 0; i < reps && !s; i++) {
    if (wok_cancelled(c->ctx)) return WOK_INTERRUPTED;
    double t = bench_now();
    s = wok_plan_run(p, NULL);
    v[i] = bench_now() - t;
  }
  if (!s) wok_bench_spread_of(out, v, (int)reps);
  return s;
}
