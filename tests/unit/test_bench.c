/* What stands beside measurements, and the measurements of steps and plans on small sizes. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>
#include <wok/bench.h>
#include "base/base.h"
#include "valgrind.h"

static void quartiles(void **state) {
  (void)state;
  wok_bench_spread r;
  double five[] = {5, 1, 4, 2, 3}, four[] = {4, 1, 3, 2}, one[] = {7};
  wok_bench_spread_of(&r, five, 5);
  assert_true(r.best_s == 1 && r.low_s == 2 && r.median_s == 3 && r.high_s == 4 && r.worst_s == 5 && r.reps == 5);
  wok_bench_spread_of(&r, four, 4);
  assert_true(r.best_s == 1 && r.low_s == 1.75 && r.median_s == 2.5 && r.high_s == 3.25 && r.worst_s == 4);
  wok_bench_spread_of(&r, one, 1);
  assert_true(r.best_s == 7 && r.low_s == 7 && r.median_s == 7 && r.high_s == 7 && r.worst_s == 7);
  wok_bench_spread_of(&r, one, 0);
  assert_true(r.reps == 0 && r.median_s == 0);
}

/* Our own work is not the work of others; the clock and the counts only rise. */
static void watching(void **state) {
  (void)state;
  wok_bench_watch w;
  double machine0, own0, machine, own;
  int cpus = wok__cpu_seconds(&machine0, &own0);
  assert_true(cpus >= 1);
  wok_bench_watch_begin(&w);
  volatile double x = 0;
  for (double end = wok__now() + 0.2; wok__now() < end;) x = x + 1;
  wok_bench_verdict v = wok_bench_watch_end(&w);
  assert_int_equal(wok__cpu_seconds(&machine, &own), cpus);
  if (!(own - own0 > 0.05)) fail_msg("own CPU time: expected more than 0.05 s, got %g", own - own0);
  if (!(v.seconds >= 0.2)) fail_msg("expected at least 0.2 s, got %g", v.seconds);
  if (machine0 < 0) return; /* the system does not say */
  assert_true(machine >= machine0);
  if (!(v.others >= 0 && v.others <= cpus + 1)) fail_msg("others: expected 0 to %d CPUs, got %g", cpus, v.others);
  assert_int_equal(v.busy, v.others > v.limit);
}

static void ordered(const char *what, const wok_bench_spread *s, int reps) {
  if (!(s->best_s > 0 && s->best_s <= s->low_s && s->low_s <= s->median_s && s->median_s <= s->high_s && s->high_s <= s->worst_s && s->reps == reps))
    fail_msg("%s: expected rising positive times of %d runs, got %g %g %g %g %g of %d", what, reps, s->best_s, s->low_s, s->median_s,
             s->high_s, s->worst_s, s->reps);
}

static void steps_and_plans(void **state) {
  (void)state;
  NOT_UNDER_VALGRIND("hundreds of steps");
  wok_ctx *c;
  assert_int_equal(wok_ctx_new(&c, &(wok_ctx_opts){.threads = 2}), WOK_OK);
  wok_bench_second_order_result r, again;
  for (int i = 0; i < 2; i++) {
    wok_bench_second_order_opts o = {.net = i ? "conv" : "mlp", .batch = 8, .reps = 3, .report = true};
    assert_int_equal(wok_bench_second_order(c, &o, &r), WOK_OK);
    ordered(o.net, &r.step, 3);
    assert_non_null(r.report);
    wok_text_free(r.report);
    o.report = false;
    assert_int_equal(wok_bench_second_order(c, &o, &again), WOK_OK);
    if (!isfinite(r.loss) || r.loss != again.loss) fail_msg("%s: expected the same loss twice, got %.9g and %.9g", o.net, r.loss, again.loss);
  }
  assert_int_equal(wok_bench_second_order(c, &(wok_bench_second_order_opts){.net = "abacus"}, &r), WOK_INVALID);
  wok_bench_chain_result chain;
  assert_int_equal(wok_bench_chain(c, &(wok_bench_chain_opts){.length = 50, .reps = 3}, &chain), WOK_OK);
  ordered("chain", &chain.run, 3);
  wok_bench_compile_result few, many;
  assert_int_equal(wok_bench_compile(c, &(wok_bench_compile_opts){.layers = 2, .reps = 2}, &few), WOK_OK);
  assert_int_equal(wok_bench_compile(c, &(wok_bench_compile_opts){.layers = 4, .reps = 2}, &many), WOK_OK);
  ordered("compile", &many.compile, 2);
  assert_true(many.steps > few.steps && many.parameters > few.parameters);
  wok_bench_optim_result optim;
  assert_int_equal(wok_bench_optim(c, &(wok_bench_optim_opts){.count = 5000, .reps = 2}, &optim), WOK_OK);
  ordered("optim", &optim.step, 2);
  wok_ctx_free(c);
}

static void products(void **state) {
  (void)state;
  static const char *const compute[] = {NULL, "f32", "bf16", "bf16x3", "bf16x6"};
  wok_ctx *c;
  wok_bench_result r;
  assert_int_equal(wok_ctx_new(&c, NULL), WOK_OK);
  for (int i = 0; i < 5; i++) {
    wok_bench_gemm_opts o = {.dtype = WOK_F32, .M = 40, .N = 24, .K = 32, .tb = true, .reps = 4, .compute = compute[i]};
    wok_status s = wok_bench_gemm(c, &o, &r);
    if (s == WOK_UNSUPPORTED && i > 1) continue; /* not on this machine */
    assert_int_equal(s, WOK_OK);
    if (!(r.best_s > 0 && r.best_s <= r.low_s && r.low_s <= r.median_s && r.median_s <= r.high_s))
      fail_msg("%s: expected rising positive times, got %g %g %g %g", compute[i], r.best_s, r.low_s, r.median_s, r.high_s);
  }
  assert_int_equal(wok_bench_gemm(c, &(wok_bench_gemm_opts){.dtype = WOK_F32, .M = 4, .N = 4, .K = 4, .compute = "bf12"}, &r), WOK_INVALID);
  assert_int_equal(wok_bench_gemm(c, &(wok_bench_gemm_opts){.dtype = WOK_F64, .M = 4, .N = 4, .K = 4, .compute = "bf16"}, &r), WOK_INVALID);
  wok_ctx_free(c);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(quartiles), cmocka_unit_test(watching), cmocka_unit_test(steps_and_plans),
                                     cmocka_unit_test(products)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
