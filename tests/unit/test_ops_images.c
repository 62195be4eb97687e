/* Images: convolution, pooling, resizing and norms by channel against what PyTorch computes (images_golden.inc, made by
   tests/golden/make_images.py), and what the recorded numbers do not show: running statistics, refusals, exact transposes. */
#include "golden_case.h"
#include "images_golden.inc"

#define BUILD(name, expr)                                                                                    \
  static wok_val *build_##name(wok_graph *g, wok_val *const *in) {                                           \
    (void)g;                                                                                                 \
    return expr;                                                                                             \
  }
BUILD(conv2d, wok_conv2d(in[0], in[1], in[2],
                         &(wok_conv2d_opts){.stride = {2, 1}, .dilation = {1, 2}, .pad = {0, 2, 1, 2}, .groups = 2}))
BUILD(transpose, wok_conv2d_transpose(in[0], in[1], in[2], &(wok_conv2d_opts){.stride = {2, 3}, .pad = {1, 1, 2, 2}, .groups = 2, .more = {1, 2}}))
BUILD(transpose_cut, wok_conv2d_transpose(in[0], in[1], NULL, &(wok_conv2d_opts){.stride = {2, 2}, .pad = {1, 0, 0, 1}}))
BUILD(avg, wok_avg_pool2d(in[0], &(wok_pool2d_opts){.window = {3, 2}, .stride = {2, 3}, .pad = {1, 1, 1, 1}}))
BUILD(avg_inside, wok_avg_pool2d(in[0], &(wok_pool2d_opts){.window = {3, 2}, .stride = {2, 3}, .pad = {1, 1, 1, 1}, .inside = true}))
BUILD(max, wok_max_pool2d(in[0], &(wok_pool2d_opts){.window = {3, 2}, .stride = {2, 1}, .pad = {2, 1, 1, 0}}))
BUILD(max_ties, wok_max_pool2d(in[0], &(wok_pool2d_opts){.window = {2, 2}, .stride = {1, 1}}))
BUILD(global, wok_global_avg_pool2d(in[0]))
BUILD(nearest_up, wok_resize2d(in[0], 6, 7, WOK_RESIZE_NEAREST))
BUILD(nearest_odd, wok_resize2d(in[0], 3, 8, WOK_RESIZE_NEAREST))
BUILD(bilinear_up, wok_resize2d(in[0], 6, 7, WOK_RESIZE_BILINEAR))
BUILD(bilinear_odd, wok_resize2d(in[0], 3, 8, WOK_RESIZE_BILINEAR))
BUILD(corners_up, wok_resize2d(in[0], 6, 7, WOK_RESIZE_CORNERS))
BUILD(corners_odd, wok_resize2d(in[0], 3, 8, WOK_RESIZE_CORNERS))
BUILD(group_norm, wok_group_norm(in[0], 2, in[1], in[2], 1e-5))
BUILD(instance_norm, wok_instance_norm(in[0], in[1], in[2], 1e-3))
BUILD(batch_norm, wok_batch_norm(in[0], in[1], in[2], &(wok_batch_norm_opts){.eps = 1e-4}, NULL))

static const double ties[] = {1, 2, 2, 2, 0, 2, 2, 2, 1};
#define IMAGE .in = {MADE(6, 1, 2, 4, 5)}, .nin = 1, .leaves = 1
#define NORM .in = {MADE(7, 2, 4, 2, 3), MADE(8, 4), MADE(9, 4)}, .nin = 3, .leaves = 3
static const golden_case cases[] = {
    {"conv2d", build_conv2d, {MADE(1, 2, 4, 4, 5), MADE(2, 6, 2, 3, 2), MADE(3, 6)}, 3, 3, GOLDEN_BOTH(conv2d)},
    {"conv2d_transpose", build_transpose, {MADE(1, 1, 4, 2, 3), MADE(4, 4, 3, 3, 4), MADE(5, 6)}, 3, 3, GOLDEN_BOTH(conv2d_transpose)},
    {"conv2d_transpose cut unevenly", build_transpose_cut, {MADE(1, 1, 4, 2, 3), MADE(4, 4, 2, 3, 3)}, 2, 1, GOLDEN_BOTH(conv2d_transpose_cut)},
    {"avg_pool2d", build_avg, IMAGE, GOLDEN_BOTH(avg_pool)},
    {"avg_pool2d of what is inside", build_avg_inside, IMAGE, GOLDEN_BOTH(avg_pool_inside)},
    {"max_pool2d", build_max, IMAGE, GOLDEN_BOTH(max_pool)},
    {"max_pool2d with equals", build_max_ties, {GIVEN(ties, 1, 1, 3, 3)}, 1, 1, GOLDEN_BOTH(max_pool_ties)},
    {"global_avg_pool2d", build_global, IMAGE, GOLDEN_BOTH(global_avg)},
    {"nearest", build_nearest_up, IMAGE, GOLDEN_BOTH(nearest_up)},
    {"nearest, odd", build_nearest_odd, IMAGE, GOLDEN_BOTH(nearest_odd)},
    {"bilinear", build_bilinear_up, IMAGE, GOLDEN_BOTH(bilinear_up)},
    {"bilinear, odd", build_bilinear_odd, IMAGE, GOLDEN_BOTH(bilinear_odd)},
    {"corners", build_corners_up, IMAGE, GOLDEN_BOTH(corners_up)},
    {"corners, odd", build_corners_odd, IMAGE, GOLDEN_BOTH(corners_odd)},
    {"group_norm", build_group_norm, NORM, GOLDEN_BOTH(group_norm)},
    {"instance_norm", build_instance_norm, NORM, GOLDEN_BOTH(instance_norm)},
    {"batch_norm", build_batch_norm, NORM, GOLDEN_BOTH(batch_norm)},
};

/* ---- running statistics ---- */
static void expect(const double *have, const double *want, int64_t n) {
  for (int64_t i = 0; i < n; i++)
    if (!(fabs(have[i] - want[i]) <= 1e-12)) fail_msg("element %lld is %.17g, not %.17g", (long long)i, have[i], want[i]);
}

static void test_running_statistics(void **state) {
  enum { C = 4, AT = 2 };
  (void)state;
  wok_ctx *c;
  wok_graph *g;
  wok_plan *p;
  wok_buffer *mean, *var;
  double means[AT + C], vars[C], x[48], gain[C], bias[C];
  for (int i = 0; i < AT + C; i++) means[i] = i < AT ? 77 : golden_fill(10, i - AT);
  for (int i = 0; i < C; i++) vars[i] = fabs(golden_fill(11, i)), gain[i] = golden_fill(8, i), bias[i] = golden_fill(9, i);
  for (int i = 0; i < 48; i++) x[i] = golden_fill(7, i);
  assert_int_equal(wok_ctx_new(&c, NULL), WOK_OK);
  assert_int_equal(wok_buffer_new(c, &mean, "mean", WOK_F64, AT + C, means), WOK_OK);
  assert_int_equal(wok_buffer_new(c, &var, "var", WOK_F64, C, vars), WOK_OK);
  wok_batch_norm_opts o = {.eps = 1e-4, .momentum = 0.2, .mean = mean, .var = var, .mean_at = AT};

  /* inference first: it reads what the training form then moves */
  for (int training = 0; training < 2; training++) {
    assert_int_equal(wok_graph_new(c, &g), WOK_OK);
    wok_val *in[] = {wok_input(g, "x", WOK_F64, WOK_SHAPE(2, C, 2, 3)), wok_input(g, "gain", WOK_F64, WOK_SHAPE(C)),
                     wok_input(g, "bias", WOK_F64, WOK_SHAPE(C))};
    wok_val *results[6];
    results[0] = training ? wok_batch_norm(in[0], in[1], in[2], &o, results + 4) : wok_batch_norm_infer(in[0], in[1], in[2], &o);
    double dys[48];
    for (int i = 0; i < 48; i++) dys[i] = golden_fill(90, i);
    wok_val *dy = wok_const(g, WOK_F64, WOK_SHAPE(2, C, 2, 3), dys);
    wok_vjp(results, &dy, 1, in, 3, results + 1);
    if (wok_compile(c, &p, results, training ? 6 : 4, NULL)) fail_msg("%s", wok_errmsg(c));
    wok_plan_bind(p, in[0], x);
    wok_plan_bind(p, in[1], gain);
    wok_plan_bind(p, in[2], bias);
    assert_int_equal(wok_plan_run(p, NULL), WOK_OK);
    expect(wok_plan_data(p, 0), training ? golden_batch_norm : golden_batch_norm_infer, 48);
    const double *grad = training ? golden_batch_norm_grad : golden_batch_norm_infer_grad;
    expect(wok_plan_data(p, 1), grad, 48);
    expect(wok_plan_data(p, 2), grad + 48, C);
    expect(wok_plan_data(p, 3), grad + 48 + C, C);
    wok_plan_free(p);
    wok_graph_free(g);
  }
  expect(means + AT, golden_running_mean, C);
  expect(vars, golden_running_var, C);
  assert_true(means[0] == 77 && means[1] == 77);
  wok_buffer_free(mean);
  wok_buffer_free(var);
  wok_ctx_free(c);
}

/* ---- refusals that no operator's cases reach ---- */
static void test_refusals(void **state) {
  (void)state;
  wok_ctx *c;
  assert_int_equal(wok_ctx_new(&c, NULL), WOK_OK);
  for (int i = 0; i < 5; i++) {
    static const char *const said[] = {"`more` belongs to wok_conv2d_transpose", "not below the stride", "need both buffers",
                                       "one number for each", "batch_norm_infer: x has 1 axes"};
    wok_graph *g;
    wok_buffer *b;
    assert_int_equal(wok_buffer_new(c, &b, "mean", WOK_F32, 3, NULL), WOK_OK);
    assert_int_equal(wok_graph_new(c, &g), WOK_OK);
    wok_val *x = wok_input(g, "x", WOK_F32, WOK_SHAPE(2, 3, 4, 4)), *w = wok_input(g, "w", WOK_F32, WOK_SHAPE(3, 3, 2, 2)), *e[2];
    switch (i) {
    case 0: wok_conv2d(x, w, NULL, &(wok_conv2d_opts){.more = {1, 0}}); break;
    case 1: wok_conv2d_transpose(x, w, NULL, &(wok_conv2d_opts){.more = {1, 0}}); break;
    case 2: wok_batch_norm(x, NULL, NULL, &(wok_batch_norm_opts){.mean = b}, e); break;
    case 3: wok_conv2d_transpose(x, w, wok_full(g, WOK_F32, WOK_SHAPE(4), 0), NULL); break;
    default: wok_batch_norm_infer(wok_full(g, WOK_F32, WOK_SHAPE(4), 0), NULL, NULL, &(wok_batch_norm_opts){.mean = b, .var = b}); break;
    }
    if (!strstr(wok_graph_message(g), said[i])) fail_msg("\"%s\", not \"%s\"", wok_graph_message(g), said[i]);
    wok_graph_free(g);
    wok_buffer_free(b);
  }
  wok_ctx_free(c);
}

/* <y, A x> = <A^T y, x> to the last bits, for what must be exact transposes. */
static void test_transposes(void **state) {
  (void)state;
  wok_ctx *c;
  assert_int_equal(wok_ctx_new(&c, NULL), WOK_OK);
  static wok_val *(*const maps[])(wok_graph *, wok_val *const *) = {build_avg,         build_avg_inside, build_global,
                                                                     build_nearest_odd, build_bilinear_up, build_corners_odd};
  for (int i = 0; i < WOK__COUNT(maps); i++) {
    wok_graph *g;
    wok_plan *p;
    assert_int_equal(wok_graph_new(c, &g), WOK_OK);
    wok_val *x = wok_random_normal(g, WOK_F64, WOK_SHAPE(2, 3, 5, 4), 1), *ax = maps[i](g, &x), *aty;
    wok_val *y = wok_random_normal(g, WOK_F64, wok_val_shape(ax), 2);
    wok_vjp(&ax, &y, 1, &x, 1, &aty);
    wok_val *both[] = {wok_sum(wok_mul(y, ax)), wok_sum(wok_mul(aty, x))};
    assert_int_equal(wok_compile(c, &p, both, 2, NULL), WOK_OK);
    assert_int_equal(wok_plan_run(p, NULL), WOK_OK);
    double a = *(const double *)wok_plan_data(p, 0), b = *(const double *)wok_plan_data(p, 1);
    assert_true(fabs(a - b) <= 1e-13 * (1 + fabs(a)));
    wok_plan_free(p);
    wok_graph_free(g);
  }
  wok_ctx_free(c);
}

/* ---- larger images: every level of instructions against the reference, more threads against one bit for bit ---- */
enum { N = 5, C = 6, H = 37, W = 61, LARGE = 9 };
typedef struct large { float *v[LARGE]; int64_t n[LARGE]; } large;

/* Far from zero mean, where variances lose digits. */
static large run_large(wok_ctx *c, bool reference) {
  wok_graph *g;
  wok_plan *p;
  large r;
  assert_int_equal(wok_graph_new(c, &g), WOK_OK);
  wok_val *x = wok_offset(wok_random_normal(g, WOK_F32, WOK_SHAPE(N, C, H, W), 1), 30), *dy = wok_random_normal(g, WOK_F32, WOK_SHAPE(N, C, H, W), 2);
  wok_val *gain = wok_random_normal(g, WOK_F32, WOK_SHAPE(C), 3), *bias = wok_random_normal(g, WOK_F32, WOK_SHAPE(C), 4), *in[] = {x, gain};
  wok_val *group = wok_group_norm(x, 2, gain, bias, 1e-5), *batch = wok_batch_norm(x, gain, bias, NULL, NULL), *results[LARGE];
  wok_vjp(&group, &dy, 1, in, 2, results);
  wok_vjp(&batch, &dy, 1, in, 2, results + 2);
  results[4] = group, results[5] = batch;
  results[6] = wok_avg_pool2d(x, &(wok_pool2d_opts){.window = {3, 4}, .stride = {2, 3}, .pad = {1, 1, 2, 0}});
  results[7] = wok_max_pool2d(x, &(wok_pool2d_opts){.window = {2, 2}});
  results[8] = wok_grad1(wok_sum(wok_mul(wok_resize2d(x, 50, 20, WOK_RESIZE_BILINEAR), wok_resize2d(dy, 50, 20, WOK_RESIZE_NEAREST))), x);
  assert_int_equal(wok_compile(c, &p, results, LARGE, &(wok_plan_opts){.reference = reference}), WOK_OK);
  assert_int_equal(wok_plan_run(p, &(wok_run_opts){.seed = 1}), WOK_OK);
  for (int i = 0; i < LARGE; i++) {
    r.n[i] = wok__shape_count(&results[i]->shape);
    r.v[i] = malloc((size_t)r.n[i] * sizeof(float));
    memcpy(r.v[i], wok_plan_data(p, i), (size_t)r.n[i] * sizeof(float));
  }
  wok_plan_free(p);
  wok_graph_free(g);
  return r;
}
static void drop_large(large *r) {
  for (int i = 0; i < LARGE; i++) free(r->v[i]);
}
static void test_large(void **state) {
  (void)state;
  wok_ctx *c;
  assert_int_equal(wok_ctx_new(&c, &(wok_ctx_opts){.threads = 1}), WOK_OK);
  large want = run_large(c, true);
  wok_ctx_free(c);
  for (int cap = 0; cap < 3; cap++) {
    large one;
    for (int threads = 1; threads < 4; threads++) {
      assert_int_equal(wok_ctx_new(&c, &(wok_ctx_opts){.threads = threads, .isa_cap = (const char *[]){NULL, "avx2", "generic"}[cap]}), WOK_OK);
      large have = run_large(c, false);
      wok_ctx_free(c);
      for (int i = 0; i < LARGE; i++) {
        double top = 0, worst = 0;
        for (int64_t e = 0; e < want.n[i]; e++) {
          top = fmax(top, fabs((double)want.v[i][e]));
          worst = fmax(worst, fabs((double)have.v[i][e] - (double)want.v[i][e]));
        }
        if (!(worst <= 5e-6 * top)) fail_msg("result %d, level %d: off by %g of %g", i, cap, worst, top);
        if (threads > 1) assert_memory_equal(have.v[i], one.v[i], (size_t)have.n[i] * sizeof(float));
      }
      if (threads == 1) one = have;
      else drop_large(&have);
    }
    drop_large(&one);
  }
  drop_large(&want);
}

/* A NaN in a window is its largest, the first of several, and takes the gradient. */
static void test_max_pool_nan(void **state) {
  (void)state;
  wok_ctx *c;
  wok_graph *g;
  wok_plan *p;
  const float x[] = {1, NAN, 3, NAN, 5, 2, 1, 0};
  assert_int_equal(wok_ctx_new(&c, NULL), WOK_OK);
  assert_int_equal(wok_graph_new(c, &g), WOK_OK);
  wok_val *v = wok_const(g, WOK_F32, WOK_SHAPE(1, 1, 2, 4), x), *y = wok_max_pool2d(v, &(wok_pool2d_opts){.window = {2, 2}}), *dx;
  wok_vjp(&y, NULL, 1, &v, 1, &dx);
  wok_val *results[] = {y, dx};
  assert_int_equal(wok_compile(c, &p, results, 2, NULL), WOK_OK);
  assert_int_equal(wok_plan_run(p, NULL), WOK_OK);
  const float *have = wok_plan_data(p, 0), *slope = wok_plan_data(p, 1), want[] = {0, 1, 0, 1, 0, 0, 0, 0};
  assert_true(isnan(have[0]) && isnan(have[1]));
  assert_memory_equal(slope, want, sizeof want);
  wok_plan_free(p);
  wok_graph_free(g);
  wok_ctx_free(c);
}

int main(void) {
  struct CMUnitTest tests[WOK__COUNT(cases) + 8];
  int n = golden_add(tests, 0, cases, WOK__COUNT(cases));
  tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_running_statistics);
  tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_refusals);
  tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_transposes);
  tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_large);
  tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_max_pool_nan);
  return _cmocka_run_group_tests("images", tests, (size_t)n, NULL, NULL) != 0;
}
