/* Random graphs of up to 200 operators, differentiated twice: what plans compute against an interpreter that has no plan. With
   reference kernels the numbers are equal, with the fast ones within a bound. Some graphs call builders with whatever is at hand:
   poison carries a message, compiling refuses with it.

     random_graphs [-v] SEED [STEPS]     one graph alone

   A failing graph is cut to its shortest failing beginning, then every step that is not needed is left out. */
#include <malloc.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "random_graph.h"

#if defined(__SANITIZE_ADDRESS__)
enum { GRAPHS = 300 };
#else
enum { GRAPHS = 4000 };
#endif
enum { MOST = 2 * (8 + 1 + 2 * 6) + RANDOM_GRAPH_APART };

static wok_ctx *ctx;
static int set_up(void **state) {
  (void)state;
  return wok_ctx_new(&ctx, &(wok_ctx_opts){.threads = 2, .seed = 3}) != WOK_OK;
}
static int tear_down(void **state) {
  (void)state;
  wok_ctx_free(ctx);
  return 0;
}

/* ---- what is compared ---- */
typedef struct verdict { bool failed, refused, limited, infinite; int64_t nodes; double worst; char text[640]; } verdict;

static void fault(verdict *t, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  t->failed = true;
  vsnprintf(t->text, sizeof t->text, fmt, ap);
  va_end(ap);
}

static double largest(wok_dtype t, const void *p, int64_t n) {
  double m = 0;
  for (int64_t i = 0; i < n; i++) m = fmax(m, fabs(random_graph_at(t, p, i)));
  return m;
}

/* |came - expected| <= bound * largest |expected|, which counts as at least 0.1: values are about 1, and what is smaller may be
   what is left of such. bound 0: equal. */
static void compare(verdict *t, const char *what, const wok_val *v, const void *expected, const void *came, double bound) {
  int64_t n = wok__shape_count(&v->shape);
  double scale = fmax(largest(v->dtype, expected, n), 0.1);
  if (!wok__is_float(v->dtype)) bound = 0;
  for (int64_t i = 0; i < n; i++) {
    double a = random_graph_at(v->dtype, expected, i), b = random_graph_at(v->dtype, came, i);
    if (!isfinite(a)) t->infinite = true;
    if (a == b || (isnan(a) && isnan(b))) continue;
    if (bound) t->worst = fmax(t->worst, fabs(a - b) / scale);
    if (fabs(a - b) <= bound * scale) continue;
    fault(t, "%s, %s element %lld: expected %.17g, came %.17g (bound %.1e of %.3g)", what, wok_val_name(v), (long long)i, a, b,
          bound, scale);
    return;
  }
}

/* A result that is a range of the state, or lies in one, shows what the range holds after the run: the state itself is compared. */
static bool in_state(const wok_val *v) {
  while (v->node->op->flags & WOK__OP_ALIAS || v->node->op->id == WOK__OP_slice) v = v->node->in[0];
  return v->node->op->id == WOK__OP_load || v->node->op->flags & WOK__OP_EFFECT;
}

static void run_plan(verdict *t, random_graph *r, wok_val *const *v, int n, bool reference, double bound) {
  wok_plan *p;
  bool watched = r->o.seed % 8 == 1;
  const char *what = reference ? "planned, reference kernels" : "planned";
  if (wok_compile(ctx, &p, v, n, &(wok_plan_opts){.name = what, .reference = reference, .debug = watched})) {
    fault(t, "%s: compile: %s", what, wok_errmsg(ctx));
    return;
  }
  for (int i = 0; i < r->ninputs; i++)
    if (wok_plan_bind(p, r->inputs[i], r->data[i])) fault(t, "bind: %s", wok_errmsg(ctx));
  for (int run = 0; run < 2 && !t->failed; run++) { /* twice: the first leaves its traces in the plan's memory */
    random_graph_reset(r);
    if (wok_plan_run(p, &r->it.run)) fault(t, "%s: run: %s", what, wok_errmsg(ctx));
    for (int i = 0; i < n && !t->failed; i++)
      if (!in_state(v[i])) compare(t, what, v[i], interpreter_data(&r->it, v[i]), wok_plan_data(p, i), bound);
    const void *state = interpreter_buffer(&r->it, r->state);
    const wok_val whole = {.dtype = r->o.real, .shape = WOK_SHAPE(RANDOM_GRAPH_STATE), .name = "the state"};
    /* (old + a) + b where the interpreter has old + (a + b) */
    if (state && !t->failed) compare(t, what, &whole, state, r->work, fmax(bound, r->o.real == WOK_F64 ? 1e-14 : 2e-6));
  }
  wok_plan_free(p);
}

static wok_plan *compiled(verdict *t, random_graph *r, wok_val *const *v, int n, int64_t limit) {
  wok_plan *p;
  wok_status s = wok_compile(ctx, &p, v, n, &(wok_plan_opts){.name = "limited", .mem_limit = limit});
  if (s && !(limit && s == WOK_LIMIT)) fault(t, "compile under a limit: %s", wok_errmsg(ctx));
  for (int i = 0; i < r->ninputs && !s; i++)
    if (wok_plan_bind(p, r->inputs[i], r->data[i])) fault(t, "bind: %s", wok_errmsg(ctx));
  return s ? NULL : p;
}

/* With less memory values are computed again instead of kept: the same bits. */
static void run_limited(verdict *t, random_graph *r, wok_val *const *v, int n) {
  wok_plan *whole = compiled(t, r, v, n, 0), *less = whole ? compiled(t, r, v, n, wok_plan_bytes(whole) - 1) : NULL;
  void *state = malloc((size_t)(RANDOM_GRAPH_STATE * wok_dtype_size(r->o.real)));
  if (less && !t->failed) {
    random_graph_reset(r);
    if (wok_plan_run(whole, &r->it.run)) fault(t, "run: %s", wok_errmsg(ctx));
    memcpy(state, r->work, (size_t)(RANDOM_GRAPH_STATE * wok_dtype_size(r->o.real)));
    random_graph_reset(r);
    if (wok_plan_run(less, &r->it.run)) fault(t, "run: %s", wok_errmsg(ctx));
    const wok_val whole_state = {.dtype = r->o.real, .shape = WOK_SHAPE(RANDOM_GRAPH_STATE), .name = "the state"};
    for (int i = 0; i < n && !t->failed; i++)
      if (!in_state(v[i])) compare(t, "with less memory", v[i], wok_plan_data(whole, i), wok_plan_data(less, i), 0);
    if (!t->failed) compare(t, "with less memory", &whole_state, state, r->work, 0);
    t->limited = true;
  }
  free(state);
  wok_plan_free(whole);
  wok_plan_free(less);
}

static void check_refusal(verdict *t, random_graph *r) {
  char first[512];
  wok_plan *p = NULL;
  snprintf(first, sizeof first, "%s", wok_graph_message(r->g));
  wok_val *after = wok_add(r->v[0], r->v[r->n - 1]), *d = wok_grad1(wok_sum(after), r->inputs[0]);
  if (!wok_is_poison(after) || !wok_is_poison(d)) fault(t, "something was built after \"%s\"", first);
  else if (strcmp(first, wok_graph_message(r->g))) fault(t, "the message \"%s\" became \"%s\"", first, wok_graph_message(r->g));
  else if (!wok_compile(ctx, &p, &r->v[0], 1, NULL)) fault(t, "compile accepts a graph with \"%s\"", first);
  else if (strcmp(wok_errmsg(ctx), first)) fault(t, "compile says \"%s\" of \"%s\"", wok_errmsg(ctx), first);
  wok_plan_free(p);
  t->refused = true;
}

/* One operator for the loss head's two sums its products in another order: the only rewrite that does not keep the numbers. */
static double bound_of_reference(const random_graph *r) {
  for (int64_t i = 0; i < r->g->nnodes; i++)
    if (r->g->nodes[i]->op->id == WOK__OP_linear_xent_bwd) return r->o.real == WOK_F64 ? 1e-12 : 1e-3;
  return 0;
}

static void check_values(verdict *t, random_graph *r) {
  wok_val *results[MOST], *x[6], *dx[6];
  int n = 0, nx = WOK__MIN(r->ninputs, 6), last = WOK__MIN(r->n, 8);
  for (int i = 0; i < last; i++) results[n++] = r->v[r->n - 1 - i];
  wok_val *y = random_graph_scalar(r, results, last, 0);
  for (int i = 0; i < nx; i++) x[i] = r->inputs[i == nx - 1 ? r->ninputs - 1 : i];
  results[n++] = y;
  for (int order = 1; order <= 2; order++) {
    wok_grad(y, x, nx, dx);
    for (int i = 0; i < nx; i++) results[n++] = dx[i];
    if (order == 1) y = random_graph_scalar(r, dx, nx, 1);
  }
  if (wok_graph_status(r->g)) {
    fault(t, "gradient: %s", wok_graph_message(r->g));
    return;
  }
  n += random_graph_effects(r, results, n, results + n);
  t->nodes = r->g->nnodes;
  if (!interpreter_go(&r->it)) {
    fault(t, "%s", r->it.error);
    return;
  }
  run_plan(t, r, results, n, true, bound_of_reference(r));
  if (!t->failed) run_plan(t, r, results, n, false, r->o.real == WOK_F64 ? 1e-10 : 1e-2);
  if (!t->failed && r->o.seed % 2 == 0) run_limited(t, r, results, n);
}

static verdict examine(const random_graph_opts *o, char *log, size_t cap) {
  verdict t = {0};
  random_graph *r = malloc(sizeof *r);
  if (!random_graph_build(r, ctx, o)) fault(&t, "%s", r->error);
  else if (r->bad) check_refusal(&t, r);
  else check_values(&t, r);
  if (log) snprintf(log, cap, "%s", r->log);
  random_graph_free(r);
  free(r);
  return t;
}

static random_graph_opts options(uint64_t seed) {
  wok__rng r;
  wok__rng_init(&r, seed, 3);
  int most = wok__rng_below(&r, 10) < 3 ? RANDOM_GRAPH_STEPS : 60;
  return (random_graph_opts){.seed = seed, .real = wok__rng_below(&r, 4) ? WOK_F64 : WOK_F32,
                             .steps = most / 2 + (int)wok__rng_below(&r, (uint64_t)most / 2 + 1),
                             .wild = wok__rng_below(&r, 6) == 0};
}

/* ---- the smallest graph that still fails ---- */
static void shrink(random_graph_opts o) {
  bool skip[RANDOM_GRAPH_STEPS] = {0};
  char log[24 * RANDOM_GRAPH_STEPS];
  int full = o.steps;
  o.steps = 0;
  while (o.steps < full && !examine(&o, NULL, 0).failed) o.steps++;
  o.skip = skip;
  for (int i = o.steps - 1; i >= 0; i--) {
    skip[i] = true;
    if (!examine(&o, NULL, 0).failed) skip[i] = false;
  }
  verdict t = examine(&o, log, sizeof log);
  print_error("  cut to %d steps and made small: %s\n  %s\n", o.steps, log, t.text);
}

static void report(const random_graph_opts *o, const verdict *t, const char *log) {
  print_error("seed %llu, %s, %d steps: %s\n  %s\n", (unsigned long long)o->seed, wok_dtype_name(o->real), o->steps, t->text, log);
}

static void test_graphs(void **state) {
  (void)state;
  char log[24 * RANDOM_GRAPH_STEPS];
  int failures = 0, refused = 0, limited = 0, infinite = 0;
  int64_t nodes = 0;
  double worst[2] = {0};
  for (uint64_t seed = 1; seed <= GRAPHS; seed++) {
    random_graph_opts o = options(seed);
    verdict t = examine(&o, log, sizeof log);
    refused += t.refused;
    limited += t.limited;
    infinite += t.infinite;
    nodes += t.nodes;
    worst[o.real == WOK_F32] = fmax(worst[o.real == WOK_F32], t.worst);
    if (!t.failed) continue;
    report(&o, &t, log);
    if (++failures <= 3) shrink(o);
    if (failures == 10) break;
  }
  print_message("%d graphs, %d refused with their message, %d with less memory, %d with infinities; %lld nodes\n", GRAPHS, refused,
                limited, infinite, (long long)nodes);
  print_message("fast kernels off by at most %.1e (f64), %.1e (f32)\n", worst[0], worst[1]);
  assert_int_equal(failures, 0);
  assert_true(refused >= GRAPHS / 20);  /* the refusals are tested, */
  assert_true(refused <= GRAPHS / 4);   /* and so are the others */
  assert_true(limited > 0 || GRAPHS < 1000);
  assert_true(infinite <= GRAPHS / 50); /* whose comparison must say something */
}

/* What is taken is given back: the same graphs a second and a third time leave as much in use as the first time did. */
static void test_memory(void **state) {
  (void)state;
#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__)
  size_t used[4];
  for (int pass = 0; pass < 4; pass++) {
    for (uint64_t seed = 1; seed <= 60; seed++) {
      random_graph_opts o = options(seed);
      o.real = WOK_F64; /* oneDNN, which keeps what it has prepared, knows f32 alone */
      assert_false(examine(&o, NULL, 0).failed);
    }
    struct mallinfo2 m = mallinfo2();
    used[pass] = m.uordblks + m.hblkhd;
  }
  print_message("in use after each pass: %zu %zu %zu %zu bytes\n", used[0], used[1], used[2], used[3]);
  assert_true(used[3] < used[1] + 1024); /* 120 graphs; the allocator's own lists move by a few bytes */
#else
  skip(); /* the sanitizer counts itself */
#endif
}

int main(int argc, char **argv) {
  if (argc > 1) {
    char log[24 * RANDOM_GRAPH_STEPS];
    random_graph_opts o = options(strtoull(argv[1], NULL, 10));
    if (argc > 2) o.steps = WOK__MIN(atoi(argv[2]), (int)RANDOM_GRAPH_STEPS);
    if (set_up(NULL)) return 1;
    verdict t = examine(&o, log, sizeof log);
    report(&o, &t, log);
    if (t.failed) shrink(o);
    tear_down(NULL);
    return t.failed;
  }
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_graphs), cmocka_unit_test(test_memory)};
  return cmocka_run_group_tests(tests, set_up, tear_down) != 0;
}
