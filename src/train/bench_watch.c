/* What stands beside a measurement: how its times spread, and whether the machine was ours. */
#include <stdlib.h>
#include <wok/bench.h>
#include "base/base.h"

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Between the two neighbours of a place that is no whole number. */
static double at(const double *sorted, int n, double part) {
  double place = part * (n - 1);
  int i = (int)place;
  return i + 1 < n ? sorted[i] + (place - i) * (sorted[i + 1] - sorted[i]) : sorted[n - 1];
}

void wok_bench_spread_of(wok_bench_spread *r, double *seconds, int n) {
  *r = (wok_bench_spread){.reps = n};
  if (n <= 0) return;
  qsort(seconds, (size_t)n, sizeof *seconds, by_value);
  r->best_s = seconds[0];
  r->low_s = at(seconds, n, 0.25);
  r->median_s = at(seconds, n, 0.5);
  r->high_s = at(seconds, n, 0.75);
  r->worst_s = seconds[n - 1];
}

void wok_bench_watch_begin(wok_bench_watch *w) {
  w->at_s = wok__now();
  wok__cpu_seconds(&w->machine_s, &w->own_s);
}

wok_bench_verdict wok_bench_watch_end(const wok_bench_watch *w) {
  enum { TICK_MS = 10 }; /* the system counts in these: over a short time the count says nothing */
  double machine, own, passed = wok__now() - w->at_s;
  int cpus = wok__cpu_seconds(&machine, &own);
  wok_bench_verdict v = {.seconds = passed, .others = -1, .limit = 0.05 * cpus};
  if (cpus < 1 || w->machine_s < 0 || passed < 1e-3) return v;
  double others = machine - w->machine_s - (own - w->own_s), doubt = 2e-3 * TICK_MS * cpus;
  v.others = others > doubt ? (others - doubt) / passed : 0;
  v.busy = v.others > v.limit;
  return v;
}
