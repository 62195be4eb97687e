/* Functions of one number, choosing along an axis, linear algebra and estimators: against what PyTorch computes
   (algebra_golden.inc, made by tests/golden/make_algebra.py), and at the edges that recorded numbers do not show. */
#include "golden_case.h"
#include "algebra_golden.inc"

#define BUILD(name, expr)                                                                                    \
  static wok_val *build_##name(wok_graph *g, wok_val *const *in) {                                           \
    (void)g;                                                                                                 \
    return expr;                                                                                             \
  }
BUILD(sigmoid, wok_sigmoid(in[0]))
BUILD(softplus, wok_softplus(in[0]))
BUILD(log_sigmoid, wok_log_sigmoid(in[0]))
BUILD(elu, wok_elu(in[0], 1.5))
BUILD(leaky_relu, wok_leaky_relu(in[0], 0.2))
BUILD(logsumexp, wok_logsumexp(in[0], 1, false))
BUILD(logsumexp_rows, wok_logsumexp(in[0], 0, true))
BUILD(rsqrt, wok_rsqrt(in[0]))
BUILD(pow_3, wok_pow(in[0], 3))
BUILD(pow_minus_4, wok_pow(in[0], -4))
BUILD(pow_half, wok_pow(in[0], 0.5))
BUILD(pow_minus_5_halves, wok_pow(in[0], -2.5))
BUILD(pow_any, wok_pow(in[0], 1.3))
BUILD(pow_signed, wok_pow(in[0], 5))
BUILD(take, wok_take_along(in[0], in[1], 1))
BUILD(put, wok_put_along(in[0], in[1], -2, 4))
BUILD(up, wok_sort(in[0], 1, false, NULL))
BUILD(down, wok_sort(in[0], 1, true, NULL))
BUILD(up_from, wok_argsort(in[0], 1, false))
BUILD(down_from, wok_argsort(in[0], -2, true))
BUILD(top_k, wok_top_k(in[0], 2, -1, NULL))
static wok_val *build_top_k_from(wok_graph *g, wok_val *const *in) {
  (void)g;
  wok_val *from;
  wok_top_k(in[0], 2, -1, &from);
  return from;
}
BUILD(cholesky, wok_cholesky(in[0]))
BUILD(eigh_values, wok_eigh(in[0], NULL))
static wok_val *build_eigh_vectors(wok_graph *g, wok_val *const *in) {
  (void)g;
  wok_val *v;
  wok_eigh(in[0], &v);
  return v;
}
BUILD(lower, wok_triangular_solve(in[0], in[1], false, false))
BUILD(lower_t, wok_triangular_solve(in[0], in[1], false, true))
BUILD(upper, wok_triangular_solve(in[0], in[1], true, false))
BUILD(upper_t, wok_triangular_solve(in[0], in[1], true, true))
BUILD(svd_s, wok_svd(in[0], NULL, NULL))
static wok_val *build_svd_vectors(wok_graph *g, wok_val *const *in) {
  (void)g;
  wok_val *u, *vt;
  wok_svd(in[0], &u, &vt);
  return wok_concat((wok_val *[]){wok_reshape(u, WOK_SHAPE(2, -1)), wok_reshape(vt, WOK_SHAPE(2, -1))}, 2, 1);
}

/* Filled in at the start, as make_algebra.py makes them. */
static const double far[] = {-800, -40, -1e-9, 0, 1e-9, 40, 800};
static double positive[21], square[32], svd_square[32], svd_tall[30], svd_wide[30];
static void fill_apart(double *to, int seed, int m, int n) {
  for (int k = 0; k < 2; k++)
    for (int i = 0; i < m * n; i++) to[k * m * n + i] = golden_fill(seed + k, i) / 8 + (i / n == i % n ? i % n + 1 : 0);
}
static void fill_inputs(void) {
  for (int i = 0; i < 21; i++) positive[i] = fabs(golden_fill(1, i)) + 0.25;
  fill_apart(square, 4, 4, 4);
  fill_apart(svd_square, 9, 4, 4);
  fill_apart(svd_tall, 9, 5, 3);
  fill_apart(svd_wide, 9, 3, 5);
}

#define NUMBERS .in = {MADE(1, 3, 7)}, .nin = 1, .leaves = 1
#define FAR .in = {GIVEN(far, 7)}, .nin = 1, .leaves = 1
#define POSITIVE .in = {GIVEN(positive, 3, 7)}, .nin = 1, .leaves = 1
#define BOX .in = {MADE(2, 3, 4, 5)}, .nin = 1, .leaves = 1
#define SQUARE .in = {GIVEN(square, 2, 4, 4)}, .nin = 1, .leaves = 1
#define SOLVE .in = {GIVEN(square, 2, 4, 4), MADE(7, 2, 4, 3)}, .nin = 2, .leaves = 2
static const golden_case cases[] = {
    {"sigmoid", build_sigmoid, NUMBERS, GOLDEN_BOTH(sigmoid)},
    {"softplus", build_softplus, NUMBERS, GOLDEN_BOTH(softplus)},
    {"log_sigmoid", build_log_sigmoid, NUMBERS, GOLDEN_BOTH(log_sigmoid)},
    {"elu", build_elu, NUMBERS, GOLDEN_BOTH(elu)},
    {"leaky_relu", build_leaky_relu, NUMBERS, GOLDEN_BOTH(leaky_relu)},
    {"logsumexp", build_logsumexp, NUMBERS, GOLDEN_BOTH(logsumexp)},
    {"logsumexp of rows", build_logsumexp_rows, NUMBERS, GOLDEN_BOTH(logsumexp_rows)},
    {"sigmoid far out", build_sigmoid, FAR, GOLDEN_BOTH(sigmoid_far)},
    {"softplus far out", build_softplus, FAR, GOLDEN(softplus_far)},
    {"pow 3", build_pow_3, POSITIVE, GOLDEN_BOTH(pow_3)},
    {"pow -4", build_pow_minus_4, POSITIVE, GOLDEN_BOTH(pow_minus_4)},
    {"pow 1/2", build_pow_half, POSITIVE, GOLDEN_BOTH(pow_half)},
    {"pow -5/2", build_pow_minus_5_halves, POSITIVE, GOLDEN_BOTH(pow_minus_5_halves)},
    {"pow 1.3", build_pow_any, POSITIVE, GOLDEN_BOTH(pow_any)},
    {"pow 5 of either sign", build_pow_signed, NUMBERS, GOLDEN_BOTH(pow_signed)},
    {"rsqrt", build_rsqrt, POSITIVE, GOLDEN_BOTH(rsqrt)},
    {"take_along", build_take, {MADE(2, 3, 4, 5), INTS(golden_take_index, 3, 6, 5)}, 2, 1, GOLDEN_BOTH(take_along)},
    {"put_along", build_put, {MADE(3, 3, 6, 5), INTS(golden_take_index, 3, 6, 5)}, 2, 1, GOLDEN_BOTH(put_along)},
    {"sort", build_up, BOX, GOLDEN_BOTH(sort_up)},
    {"sort, descending", build_down, BOX, GOLDEN_BOTH(sort_down)},
    {"argsort", build_up_from, BOX, GOLDEN_WHOLE(sort_up_from)},
    {"argsort, descending", build_down_from, BOX, GOLDEN_WHOLE(sort_down_from)},
    {"top_k", build_top_k, BOX, GOLDEN_BOTH(top_k)},
    {"top_k, where from", build_top_k_from, BOX, GOLDEN_WHOLE(top_k_from)},
    {"cholesky", build_cholesky, SQUARE, GOLDEN_BOTH(cholesky)},
    {"eigh, values", build_eigh_values, SQUARE, GOLDEN_BOTH(eigh_values)},
    {"eigh, vectors", build_eigh_vectors, SQUARE, GOLDEN_BOTH(eigh_vectors)},
    {"triangular_solve, lower", build_lower, SOLVE, GOLDEN_BOTH(solve_lower)},
    {"triangular_solve, lower transposed", build_lower_t, SOLVE, GOLDEN_BOTH(solve_lower_t)},
    {"triangular_solve, upper", build_upper, SOLVE, GOLDEN_BOTH(solve_upper)},
    {"triangular_solve, upper transposed", build_upper_t, SOLVE, GOLDEN_BOTH(solve_upper_t)},
    {"svd, values, square", build_svd_s, {GIVEN(svd_square, 2, 4, 4)}, 1, 1, GOLDEN_BOTH(svd_square_s)},
    {"svd, values, tall", build_svd_s, {GIVEN(svd_tall, 2, 5, 3)}, 1, 1, GOLDEN_BOTH(svd_tall_s)},
    {"svd, values, wide", build_svd_s, {GIVEN(svd_wide, 2, 3, 5)}, 1, 1, GOLDEN_BOTH(svd_wide_s)},
    {"svd, vectors, square", build_svd_vectors, {GIVEN(svd_square, 2, 4, 4)}, 1, 1, GOLDEN_BOTH(svd_square_vectors)},
    {"svd, vectors, tall", build_svd_vectors, {GIVEN(svd_tall, 2, 5, 3)}, 1, 1, GOLDEN_BOTH(svd_tall_vectors)},
    {"svd, vectors, wide", build_svd_vectors, {GIVEN(svd_wide, 2, 3, 5)}, 1, 1, GOLDEN_BOTH(svd_wide_vectors)},
};

/* ---- a graph and its results, for what follows ---- */
static wok_ctx *ctx;
static wok_graph *graph;
static wok_plan *plan;

static int set_up(void **state) {
  (void)state;
  plan = NULL;
  return wok_ctx_new(&ctx, &(wok_ctx_opts){.threads = 2, .seed = 5}) || wok_graph_new(ctx, &graph);
}
static int tear_down(void **state) {
  (void)state;
  wok_plan_free(plan);
  wok_graph_free(graph);
  wok_ctx_free(ctx);
  return 0;
}
static void run(wok_val *const *results, int n, bool reference) {
  wok_plan_free(plan);
  plan = NULL;
  if (wok_compile(ctx, &plan, results, n, &(wok_plan_opts){.reference = reference})) fail_msg("%s", wok_errmsg(ctx));
  if (wok_plan_run(plan, NULL)) fail_msg("%s", wok_errmsg(ctx));
}
static const double *doubles(int i) { return wok_plan_data(plan, i); }
static wok_val *constant(wok_shape s, const double *v) { return wok_const(graph, WOK_F64, s, v); }

/* ---- sorting ---- */
static void test_sort_edges(void **state) {
  (void)state;
  static const double x[] = {2, NAN, -INFINITY, 2, INFINITY, NAN, -0.0, 0.0, 2};
  static const int32_t up[] = {2, 6, 7, 0, 3, 8, 4, 1, 5}, down[] = {4, 0, 3, 8, 6, 7, 2, 1, 5};
  wok_val *v = constant(WOK_SHAPE(9), x), *results[] = {wok_argsort(v, 0, false), wok_argsort(v, 0, true), wok_sort(v, 0, false, NULL)};
  run(results, 3, false);
  assert_memory_equal(wok_plan_data(plan, 0), up, sizeof up);
  assert_memory_equal(wok_plan_data(plan, 1), down, sizeof down);
  assert_true(isnan(doubles(2)[8]) && isnan(doubles(2)[7]) && doubles(2)[6] == (double)INFINITY);
}

static void test_sort_long(void **state) { /* many equal ones: stable against counting */
  enum { N = 5000, KINDS = 7 };
  (void)state;
  int32_t *x = malloc(N * sizeof *x);
  for (int i = 0; i < N; i++) x[i] = (int32_t)((i * 2654435761u >> 7) % KINDS);
  wok_val *v = wok_const(graph, WOK_I32, WOK_SHAPE(N), x), *from, *results[2];
  results[0] = wok_sort(v, -1, false, &from);
  results[1] = from;
  run(results, 2, false);
  const int32_t *values = wok_plan_data(plan, 0), *where = wok_plan_data(plan, 1);
  int at = 0;
  for (int kind = 0; kind < KINDS; kind++)
    for (int i = 0; i < N; i++)
      if (x[i] == kind) {
        assert_int_equal(values[at], kind);
        assert_int_equal(where[at++], i);
      }
  free(x);
}

static void test_along_outside(void **state) {
  (void)state;
  static const double x[] = {1, 2, 3};
  static const int32_t idx[] = {-1, 2, 3, 0};
  wok_val *v = constant(WOK_SHAPE(3), x), *i = wok_const(graph, WOK_I32, WOK_SHAPE(4), idx);
  wok_val *taken = wok_take_along(v, i, 0), *results[] = {taken, wok_put_along(wok_offset(taken, 1), i, 0, 3)};
  run(results, 2, false);
  const double want[] = {0, 3, 0, 1}, put[] = {2, 0, 4};
  assert_memory_equal(doubles(0), want, sizeof want);
  assert_memory_equal(doubles(1), put, sizeof put);
}

/* ---- linear algebra ---- */
/* What cannot be decomposed is NaN, and only that. */
static void test_bad_matrices(void **state) {
  (void)state;
  static const double a[] = {2, 1, 1, 2, 1, 2, 2, 1, INFINITY, 0, 0, 1, 4, 0, 0, 9};
  wok_val *v = constant(WOK_SHAPE(4, 2, 2), a), *vectors, *results[] = {wok_cholesky(v), wok_eigh(v, &vectors), vectors, wok_svd(v, NULL, NULL)};
  for (int reference = 0; reference < 2; reference++) {
    run(results, 4, reference);
    const double *l = doubles(0), *w = doubles(1), *s = doubles(3);
    assert_true(fabs(l[0] - sqrt(2)) < 1e-15 && l[1] == 0 && l[12] == 2 && l[15] == 3);
    for (int i = 4; i < 12; i++) assert_true(isnan(l[i]));
    assert_true(fabs(w[2] + 1) < 1e-14 && fabs(w[3] - 3) < 1e-14 && isnan(w[4]) && isnan(w[5]) && w[6] == 4 && w[7] == 9);
    assert_true(isnan(doubles(2)[8]) && isnan(s[4]) && fabs(s[2] - 3) < 1e-14 && s[6] == 9 && s[7] == 4);
  }
}

/* Decompositions multiply back, vectors are orthonormal: large enough for LAPACK's blocked code, and with rank missing. */
static wok_val *product(wok_val *a, wok_val *b) { return wok_matmul(a, b, false, false); }
static wok_val *columns(wok_val *a, wok_val *v) { /* a diag(v) */
  wok_shape s = wok_val_shape(v);
  return wok_mul(a, wok_reshape(v, WOK_SHAPE(s.dim[0], 1, s.dim[1])));
}
static wok_val *gram(wok_val *a) { return wok_matmul(a, a, true, false); }

static void multiply_back(wok_dtype type, bool reference) {
  enum { B = 2, N = 70, M = 40, RANK = 5 };
  wok_val *rows = wok_iota(graph, WOK_I32, WOK_SHAPE(B, M, M), 1), *cols = wok_iota(graph, WOK_I32, WOK_SHAPE(B, M, M), 2);
  wok_val *eye = wok_cast(wok_equal(rows, cols), type), *x = wok_random_normal(graph, type, WOK_SHAPE(B, N, M), 1);
  wok_val *a = wok_add(gram(x), eye), *v, *w = wok_eigh(a, &v), *l = wok_cholesky(a);
  wok_val *solved = wok_triangular_solve(l, wok_triangular_solve(l, eye, false, false), false, true);
  wok_val *thin = product(wok_random_normal(graph, type, WOK_SHAPE(B, M, RANK), 2), wok_random_normal(graph, type, WOK_SHAPE(B, RANK, N), 3));
  wok_val *u, *vt, *s = wok_svd(x, &u, &vt), *u5, *vt5, *s5 = wok_svd(thin, &u5, &vt5);
  wok_val *off[] = {
      wok_sub(wok_matmul(columns(v, w), v, false, true), a),
      wok_sub(gram(v), eye),
      wok_sub(wok_matmul(l, l, false, true), a),
      wok_sub(product(a, solved), eye),
      wok_sub(product(columns(u, s), vt), x),
      wok_sub(gram(u), eye),
      wok_sub(wok_matmul(vt, vt, false, true), eye),
      wok_sub(product(columns(u5, s5), vt5), thin),
      wok_sub(gram(u5), eye),
      wok_sub(wok_matmul(vt5, vt5, false, true), eye),
      wok_slice(s5, 1, RANK, M),
  };
  enum { CHECKS = WOK__COUNT(off) };
  wok_val *worst[CHECKS];
  for (int i = 0; i < CHECKS; i++) worst[i] = wok_max_axis(wok_reshape(wok_abs(off[i]), WOK_SHAPE(-1)), 0, false);
  run(worst, CHECKS, reference);
  for (int i = 0; i < CHECKS; i++) {
    double come = type == WOK_F64 ? *doubles(i) : (double)*(const float *)wok_plan_data(plan, i);
    if (!(come <= (type == WOK_F64 ? 1e-11 : 2e-4))) fail_msg("check %d of %s: off by %g", i, wok_dtype_name(type), come);
  }
}
static void test_multiply_back(void **state) {
  (void)state;
  multiply_back(WOK_F64, true);
  multiply_back(WOK_F64, false);
  multiply_back(WOK_F32, false);
}

/* Equal values: their own gradients are exact, and nothing is infinite. */
static void test_equal_values(void **state) {
  (void)state;
  static const double a[] = {3, 0, 0, 0, 3, 0, 0, 0, 1};
  wok_val *m = constant(WOK_SHAPE(3, 3), a), *v, *w = wok_eigh(m, &v), *s = wok_svd(m, NULL, NULL);
  wok_val *weights = constant(WOK_SHAPE(3, 3), (const double[]){1, 2, 3, 4, 5, 6, 7, 8, 9});
  wok_val *results[] = {wok_grad1(wok_sum(wok_square(w)), m), wok_grad1(wok_sum(wok_square(s)), m), wok_grad1(wok_sum(wok_mul(v, weights)), m)};
  run(results, 3, false);
  for (int i = 0; i < 9; i++) {
    assert_true(fabs(doubles(0)[i] - 2 * a[i]) < 1e-14 && fabs(doubles(1)[i] - 2 * a[i]) < 1e-14);
    assert_true(isfinite(doubles(2)[i]));
  }
}

/* log det by Cholesky: its gradient is the inverse, and the second derivative exists. */
static void test_log_det(void **state) {
  (void)state;
  static const double a[] = {4, 1, 1, 3}, inverse[] = {3 / 11.0, -1 / 11.0, -1 / 11.0, 4 / 11.0};
  wok_val *m = constant(WOK_SHAPE(2, 2), a), *l = wok_cholesky(m);
  wok_val *on = wok_equal(wok_iota(graph, WOK_I32, WOK_SHAPE(2, 2), 0), wok_iota(graph, WOK_I32, WOK_SHAPE(2, 2), 1));
  wok_val *log_det = wok_scale(wok_sum(wok_log(wok_select(on, l, wok_full(graph, WOK_F64, WOK_SHAPE0, 1)))), 2);
  wok_val *first = wok_grad1(log_det, m), *trace = wok_sum(wok_select(on, first, wok_full(graph, WOK_F64, WOK_SHAPE0, 0)));
  wok_val *results[] = {first, wok_grad1(trace, m)}; /* d tr(A^-1) = -A^-2 */
  run(results, 2, false);
  for (int i = 0; i < 4; i++) {
    double twice = inverse[i / 2 * 2] * inverse[i % 2] + inverse[i / 2 * 2 + 1] * inverse[2 + i % 2];
    assert_true(fabs(doubles(0)[i] - inverse[i]) < 1e-14 && fabs(doubles(1)[i] + twice) < 1e-14);
  }
}

/* ---- edges of functions ---- */
/* Each element by itself, at every level of instructions: within 4 rounding errors of f32, limits and NaN as they are. */
static void test_curves_at_every_level(void **state) {
  enum { N = 20001, EDGES = 7, CURVES = 5 };
  static const float edges[EDGES] = {INFINITY, -INFINITY, NAN, 0.0F, -0.0F, 1e-30F, -1e-30F};
  (void)state;
  static float x[N + EDGES];
  for (int i = 0; i < N; i++) x[i] = (float)(i - N / 2) * 0.01F;
  memcpy(x + N, edges, sizeof edges);
  for (int cap = 0; cap < 3; cap++) {
    wok_ctx *c;
    wok_graph *g;
    wok_plan *fast, *exact;
    assert_int_equal(wok_ctx_new(&c, &(wok_ctx_opts){.isa_cap = (const char *[]){NULL, "avx2", "generic"}[cap]}), WOK_OK);
    assert_int_equal(wok_graph_new(c, &g), WOK_OK);
    wok_val *v = wok_const(g, WOK_F32, WOK_SHAPE(N + EDGES), x), *sum, *results[CURVES];
    results[0] = wok_sigmoid(v), results[1] = wok_softplus(v), results[2] = wok_elu(v, 1.25), results[3] = wok_leaky_relu(v, 0.3);
    sum = wok_sum(results[3]);
    results[4] = wok_grad1(sum, v);
    assert_int_equal(wok_compile(c, &fast, results, CURVES, NULL), WOK_OK);
    assert_int_equal(wok_compile(c, &exact, results, CURVES, &(wok_plan_opts){.reference = true}), WOK_OK);
    assert_int_equal(wok_plan_run(fast, NULL) | wok_plan_run(exact, NULL), WOK_OK);
    for (int k = 0; k < CURVES; k++) {
      const float *have = wok_plan_data(fast, k), *want = wok_plan_data(exact, k);
      for (int i = 0; i < N + EDGES; i++) {
        if (have[i] == want[i] || (isnan(have[i]) && isnan(want[i]))) continue;
        if (!(fabs((double)have[i] - (double)want[i]) <= 2.4e-7 * fabs((double)want[i]) + 1e-37))
          fail_msg("curve %d of %g, level %d: %.9g, not %.9g", k, (double)x[i], cap, (double)have[i], (double)want[i]);
      }
    }
    wok_plan_free(fast);
    wok_plan_free(exact);
    wok_graph_free(g);
    wok_ctx_free(c);
  }
}

static void test_logsumexp_edges(void **state) {
  (void)state;
  static const double x[] = {-INFINITY, -INFINITY, 1000, 1000, INFINITY, 0, -INFINITY, 3};
  wok_val *y = wok_logsumexp(constant(WOK_SHAPE(4, 2), x), 1, false);
  run(&y, 1, false);
  const double *have = doubles(0);
  assert_true(have[0] == -INFINITY && fabs(have[1] - 1000 - log(2)) < 1e-12 && have[2] == (double)INFINITY && have[3] == 3);
}

static void test_pow_refused(void **state) {
  (void)state;
  assert_true(wok_is_poison(wok_pow(wok_full(graph, WOK_F32, WOK_SHAPE0, 2), NAN)));
  assert_non_null(strstr(wok_graph_message(graph), "pow: the exponent nan is not finite"));
}

/* ---- random choices ---- */
static void test_bernoulli(void **state) {
  enum { N = 100000 };
  (void)state;
  static double p[3 * N];
  for (int i = 0; i < N; i++) p[i] = 0.3, p[N + i] = 0, p[2 * N + i] = 1;
  wok_val *v = constant(WOK_SHAPE(3, N), p), *b = wok_random_bernoulli(v, 9), *again = wok_random_bernoulli(v, 9);
  wok_val *results[] = {wok_sum_axis(b, 1, false), wok_sum(wok_abs(wok_sub(b, again))), wok_sum(wok_mul(b, wok_offset(wok_neg(b), 1)))};
  run(results, 3, false);
  assert_true(fabs(doubles(0)[0] / N - 0.3) < 4 * sqrt(0.21 / N) && doubles(0)[1] == 0 && doubles(0)[2] == N);
  assert_true(*doubles(1) == 0 && *doubles(2) == 0); /* the same stream, and nothing but 0 and 1 */
}

static void test_gumbel(void **state) { /* mean Euler's constant, variance pi^2 / 6; every number finite */
  enum { N = 400000 };
  (void)state;
  for (int t = 0; t < 2; t++) {
    wok_dtype type = t ? WOK_F64 : WOK_F32;
    wok_val *g = wok_random_gumbel(graph, type, WOK_SHAPE(N), 21), *mean = wok_mean(g), *var = wok_mean(wok_square(wok_sub(g, mean)));
    wok_val *results[] = {wok_cast(mean, WOK_F64), wok_cast(var, WOK_F64)};
    run(results, 2, false);
    assert_true(fabs(*doubles(0) - 0.5772156649) < 4 * 1.2825 / sqrt(N) && fabs(*doubles(1) - 1.6449340668) < 0.03);
  }
}

/* ---- estimators ---- */
static void test_straight_through(void **state) {
  (void)state;
  static const double x[] = {-1.7, -0.2, 0.4, 2.6};
  wok_val *v = constant(WOK_SHAPE(4), x), *b = wok_mul(v, wok_offset(v, 3)), *rounded = wok_cast(wok_cast(b, WOK_I32), WOK_F64);
  wok_val *y = wok_straight_through(rounded, b), *results[] = {y, rounded, wok_grad1(wok_sum(y), v), wok_grad1(wok_sum(b), v)};
  run(results, 4, false);
  assert_memory_equal(doubles(0), doubles(1), sizeof x);
  assert_memory_equal(doubles(2), doubles(3), sizeof x);
}

static void test_gumbel_softmax(void **state) {
  enum { N = 40000, K = 4 };
  (void)state;
  static const double logits[K] = {0, 1, -1, 0.5};
  wok_val *rows = wok_broadcast_to(constant(WOK_SHAPE(K), logits), WOK_SHAPE(N, K));
  wok_val *soft = wok_gumbel_softmax(rows, 0.7, false, 33), *hard = wok_gumbel_softmax(rows, 0.7, true, 33);
  wok_val *weights = constant(WOK_SHAPE(K), (const double[]){1, -2, 3, 0.5});
  wok_val *to_soft = wok_grad1(wok_sum(wok_mul(soft, weights)), rows), *to_hard = wok_grad1(wok_sum(wok_mul(hard, weights)), rows);
  wok_val *results[] = {wok_sum_to(hard, WOK_SHAPE(K)), wok_max_axis(wok_abs(wok_offset(wok_sum_axis(soft, 1, false), -1)), 0, false),
                        wok_sum(wok_abs(wok_sub(wok_sum_axis(wok_square(hard), 1, false), wok_full(graph, WOK_F64, WOK_SHAPE0, 1)))),
                        wok_sum(wok_abs(wok_sub(to_soft, to_hard))), wok_sum(wok_abs(to_hard)), wok_softmax(constant(WOK_SHAPE(K), logits))};
  run(results, 6, false);
  for (int i = 0; i < K; i++) { /* the largest is i as often as softmax says */
    double p = doubles(5)[i];
    assert_true(fabs(doubles(0)[i] / N - p) < 4 * sqrt(p * (1 - p) / N));
  }
  assert_true(*doubles(1) < 1e-14 && *doubles(2) == 0); /* sums of one; one hot */
  assert_true(*doubles(3) == 0 && *doubles(4) > 0);     /* the soft one's gradient */
  assert_true(wok_is_poison(wok_gumbel_softmax(rows, 0, false, 1)));
  assert_non_null(strstr(wok_graph_message(graph), "the temperature is 0, not positive"));
}

int main(void) {
  struct CMUnitTest tests[WOK__COUNT(cases) + 16];
  int n = golden_add(tests, 0, cases, WOK__COUNT(cases));
#define TEST(name) tests[n++] = (struct CMUnitTest)cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)
  TEST(sort_edges);
  TEST(sort_long);
  TEST(along_outside);
  TEST(bad_matrices);
  TEST(multiply_back);
  TEST(equal_values);
  TEST(log_det);
  TEST(curves_at_every_level);
  TEST(logsumexp_edges);
  TEST(pow_refused);
  TEST(bernoulli);
  TEST(gumbel);
  TEST(straight_through);
  TEST(gumbel_softmax);
  fill_inputs();
  return _cmocka_run_group_tests("algebra", tests, (size_t)n, NULL, NULL) != 0;
}
