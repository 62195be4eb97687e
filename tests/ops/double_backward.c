/* Every double-backward formula of spec 04 section 0.3 as a named test, in f64, and the penalty of a piecewise linear critic
   (section 0.2). An operator y = f(x, ...) has gradients g = f'(gy); with cotangents u for them, L = sum of <g, u> is
   differentiated by gy and by every input, by the reference kernels and by the best, and compared with the formula written
   out in plain C. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "graph/graph.h"

enum { ARGS = 4, MOST = 512 };

/* ---- the problem of a test: inputs, gy, the cotangents u, and what is expected ---- */
typedef wok_val *(*build_fn)(wok_graph *g, wok_val *const *in);
typedef struct problem {
  build_fn build;
  int nin;
  wok_shape shape[ARGS], result;
  double in[ARGS][MOST], gy[MOST], u[ARGS][MOST];           /* u: cotangent of the gradient by input i */
  double to_gy[MOST], to_in[ARGS][MOST];                    /* expected: dL/dgy, dL/dinput */
  bool positive;                                            /* inputs above zero */
} problem;

static wok_ctx *ctx;
static problem p; /* of the test that runs */

static int set_up(void **state) {
  (void)state;
  memset(&p, 0, sizeof p);
  return wok_ctx_new(&ctx, &(wok_ctx_opts){.threads = 2}) != WOK_OK;
}
static int tear_down(void **state) {
  (void)state;
  wok_ctx_free(ctx);
  return 0;
}

static int64_t count(wok_shape s) { return wok__shape_count(&s); }

static void draw(double *v, wok_shape s, uint32_t stream, bool positive) {
  wok__rng r;
  wok__rng_init(&r, 17, stream);
  assert_true(count(s) <= MOST);
  for (int64_t i = 0; i < count(s); i++) v[i] = positive ? 0.5 + 2 * wok__rng_uniform(&r) : 3 * wok__rng_uniform(&r) - 1.5;
}

/* Fills in all numbers; the shapes are there. */
static void draw_all(void) {
  for (int i = 0; i < p.nin; i++) {
    draw(p.in[i], p.shape[i], (uint32_t)i, p.positive);
    draw(p.u[i], p.shape[i], 10 + (uint32_t)i, false);
  }
  draw(p.gy, p.result, 20, false);
}

static void compare(const char *what, const double *have, const double *want, int64_t n) {
  double top = 0;
  for (int64_t i = 0; i < n; i++) top = fmax(top, fabs(want[i]));
  for (int64_t i = 0; i < n; i++)
    if (!(fabs(have[i] - want[i]) <= 1e-12 * fmax(top, 1)))
      fail_msg("%s: element %lld is %.17g, the formula %.17g", what, (long long)i, have[i], want[i]);
}

/* Builds L and compares its gradients with what the formulas gave. */
static void check(void) {
  wok_graph *g;
  wok_val *in[ARGS + 1], *grad[ARGS], *second[ARGS + 1], *sum = NULL;
  assert_int_equal(wok_graph_new(ctx, &g), WOK_OK);
  for (int i = 0; i < p.nin; i++) in[i] = wok_const(g, WOK_F64, p.shape[i], p.in[i]);
  wok_val *y = p.build(g, in), *gy = in[p.nin] = wok_const(g, WOK_F64, p.result, p.gy);
  wok_vjp(&y, &gy, 1, in, p.nin, grad);
  for (int i = 0; i < p.nin; i++) {
    wok_val *along = wok_sum(wok_mul(grad[i], wok_const(g, WOK_F64, p.shape[i], p.u[i])));
    sum = sum ? wok_add(sum, along) : along;
  }
  wok_grad(sum, in, p.nin + 1, second);
  assert_string_equal(wok_graph_message(g), "");
  for (int reference = 0; reference < 2; reference++) {
    wok_plan *plan;
    if (wok_compile(ctx, &plan, second, p.nin + 1, &(wok_plan_opts){.reference = reference})) fail_msg("%s", wok_errmsg(ctx));
    assert_int_equal(wok_plan_run(plan, NULL), WOK_OK);
    static const char *const names[] = {"by the first input", "by the second input", "by the third input", "by the fourth input"};
    compare("by gy", wok_plan_data(plan, p.nin), p.to_gy, count(p.result));
    for (int i = 0; i < p.nin; i++) compare(names[i], wok_plan_data(plan, i), p.to_in[i], count(p.shape[i]));
    wok_plan_free(plan);
  }
  wok_graph_free(g);
}

/* ---- small matrices by rows: c += scale op(a) op(b), c [m, n] with inner size k ---- */
static void product(double *c, double scale, const double *a, bool ta, const double *b, bool tb, int m, int k, int n) {
  for (int i = 0; i < m; i++)
    for (int j = 0; j < n; j++)
      for (int l = 0; l < k; l++) c[i * n + j] += scale * (ta ? a[l * m + i] : a[i * k + l]) * (tb ? b[j * k + l] : b[l * n + j]);
}
static double dot(const double *a, const double *b, int n) {
  double s = 0;
  for (int i = 0; i < n; i++) s += a[i] * b[i];
  return s;
}
static double mean(const double *a, int n) {
  double s = 0;
  for (int i = 0; i < n; i++) s += a[i];
  return s / n;
}

/* ---- bilinear operators: gy += F(u,w) + F(x,v), w += Dw(u,gy), x += Dd(gy,v) ---- */
#define BUILD(name, expr)                                                                                    \
  static wok_val *build_##name(wok_graph *g, wok_val *const *in) {                                           \
    (void)g;                                                                                                 \
    return expr;                                                                                             \
  }

BUILD(linear, wok_linear(in[0], in[1], in[2]))
static void test_linear(void **state) { /* gY += U W^T + X V^T + 1 t^T; W += gY^T U; X += gY V */
  enum { M = 4, IN = 5, OUT = 3 };
  (void)state;
  p.build = build_linear, p.nin = 3, p.result = WOK_SHAPE(M, OUT);
  p.shape[0] = WOK_SHAPE(M, IN), p.shape[1] = WOK_SHAPE(OUT, IN), p.shape[2] = WOK_SHAPE(OUT);
  draw_all();
  product(p.to_gy, 1, p.u[0], false, p.in[1], true, M, IN, OUT);
  product(p.to_gy, 1, p.in[0], false, p.u[1], true, M, IN, OUT);
  for (int i = 0; i < M * OUT; i++) p.to_gy[i] += p.u[2][i % OUT];
  product(p.to_in[1], 1, p.gy, true, p.u[0], false, OUT, M, IN);
  product(p.to_in[0], 1, p.gy, false, p.u[1], false, M, OUT, IN);
  check();
}

BUILD(matmul, wok_matmul(in[0], in[1], false, false))
static void test_matmul(void **state) { /* gC += U B + A V; B += U^T gC; A += gC V^T */
  enum { M = 4, K = 5, N = 3 };
  (void)state;
  p.build = build_matmul, p.nin = 2, p.result = WOK_SHAPE(M, N);
  p.shape[0] = WOK_SHAPE(M, K), p.shape[1] = WOK_SHAPE(K, N);
  draw_all();
  product(p.to_gy, 1, p.u[0], false, p.in[1], false, M, K, N);
  product(p.to_gy, 1, p.in[0], false, p.u[1], false, M, K, N);
  product(p.to_in[1], 1, p.u[0], true, p.gy, false, K, M, N);
  product(p.to_in[0], 1, p.gy, false, p.u[1], true, M, N, K);
  check();
}

/* The trilinear form of conv2d: every product y x w that is in it; sums what is asked for. */
enum { N_ = 2, C_ = 4, H_ = 5, W_ = 6, O_ = 2, KH_ = 3, KW_ = 2, OH_ = 3, OW_ = 5 };
static const wok_conv2d_opts conv = {.stride = {2, 1}, .dilation = {1, 2}, .pad = {1, 1, 1, 0}, .groups = 2};
static void convolve(double *out, char made, const double *x, const double *w, const double *y) {
  for (int n = 0; n < N_; n++)
    for (int o = 0; o < O_; o++)
      for (int i = 0; i < OH_; i++)
        for (int j = 0; j < OW_; j++)
          for (int c = 0; c < C_ / 2; c++)
            for (int a = 0; a < KH_; a++)
              for (int b = 0; b < KW_; b++) {
                int r = i * 2 + a - 1, s = j + b * 2 - 1, group = o / (O_ / 2);
                if (r < 0 || r >= H_ || s < 0 || s >= W_) continue;
                int at_x = ((n * C_ + group * C_ / 2 + c) * H_ + r) * W_ + s, at_w = ((o * C_ / 2 + c) * KH_ + a) * KW_ + b;
                int at_y = ((n * O_ + o) * OH_ + i) * OW_ + j;
                if (made == 'x') out[at_x] += w[at_w] * y[at_y];
                else if (made == 'w') out[at_w] += x[at_x] * y[at_y];
                else out[at_y] += x[at_x] * w[at_w];
              }
}
static const wok_shape X_ = {4, {N_, C_, H_, W_}}, F_ = {4, {O_, C_ / 2, KH_, KW_}}, Y_ = {4, {N_, O_, OH_, OW_}};

BUILD(conv2d, wok_conv2d(in[0], in[1], NULL, &conv))
static void test_conv2d(void **state) {
  (void)state;
  p.build = build_conv2d, p.nin = 2, p.shape[0] = X_, p.shape[1] = F_, p.result = Y_;
  draw_all();
  convolve(p.to_gy, 'y', p.u[0], p.in[1], NULL);
  convolve(p.to_gy, 'y', p.in[0], p.u[1], NULL);
  convolve(p.to_in[1], 'w', p.u[0], NULL, p.gy);
  convolve(p.to_in[0], 'x', NULL, p.u[1], p.gy);
  check();
}
BUILD(conv2d_transpose, wok_conv2d_transpose(in[0], in[1], NULL, &(wok_conv2d_opts){.stride = {2, 1}, .dilation = {1, 2}, .pad = {1, 1, 1, 0}, .groups = 2}))
static void test_conv2d_transpose(void **state) { /* F = Dd, Dd = F; H_ and W_ are what the formula of the size gives */
  (void)state;
  p.build = build_conv2d_transpose, p.nin = 2, p.shape[0] = Y_, p.shape[1] = F_, p.result = X_;
  draw_all();
  convolve(p.to_gy, 'x', NULL, p.in[1], p.u[0]);
  convolve(p.to_gy, 'x', NULL, p.u[1], p.in[0]);
  convolve(p.to_in[1], 'w', p.gy, NULL, p.u[0]);
  convolve(p.to_in[0], 'y', p.gy, p.u[1], NULL);
  check();
}

/* ---- element by element: gy += phi'(x) u, x += phi''(x) gy u ---- */
static double sigma(double x) { return 1 / (1 + exp(-x)); }
static double normal(double x) { return exp(-0.5 * x * x) / sqrt(2 * M_PI); }
static double Phi(double x) { return 0.5 * erfc(-x / sqrt(2)); }
static const double GK = 0.79788456080286535588, GA = 0.044715;
static double tau(double x) { return tanh(GK * (x + GA * x * x * x)); }
static double q_of(double x) { return GK * (1 + 3 * GA * x * x); }
/* X(name, how wok builds it, only above zero, phi', phi'') */
#define PHIS(X)                                                                                              \
  X(relu, wok_activation(in[0], WOK_ACT_RELU), false, x > 0, 0)                                              \
  X(leaky_relu, wok_leaky_relu(in[0], 0.2), false, x > 0 ? 1 : 0.2, 0)                                       \
  X(sigmoid, wok_sigmoid(in[0]), false, sigma(x) * (1 - sigma(x)), sigma(x) * (1 - sigma(x)) * (1 - 2 * sigma(x))) \
  X(tanh, wok_tanh(in[0]), false, 1 - tanh(x) * tanh(x), -2 * tanh(x) * (1 - tanh(x) * tanh(x)))              \
  X(softplus, wok_softplus(in[0]), false, sigma(x), sigma(x) * (1 - sigma(x)))                               \
  X(silu, wok_activation(in[0], WOK_ACT_SILU), false, sigma(x) * (1 + x * (1 - sigma(x))),                   \
    sigma(x) * (1 - sigma(x)) * (2 + x * (1 - 2 * sigma(x))))                                                \
  X(gelu_erf, wok_activation(in[0], WOK_ACT_GELU_ERF), false, Phi(x) + x * normal(x), (2 - x * x) * normal(x)) \
  X(gelu_tanh, wok_activation(in[0], WOK_ACT_GELU_TANH), false,                                              \
    0.5 * (1 + tau(x)) + 0.5 * x * (1 - tau(x) * tau(x)) * q_of(x),                                          \
    (1 - tau(x) * tau(x)) * (q_of(x) + 0.5 * x * (6 * GK * GA * x - 2 * tau(x) * q_of(x) * q_of(x))))        \
  X(exp, wok_exp(in[0]), false, exp(x), exp(x))                                                              \
  X(log, wok_log(in[0]), true, 1 / x, -1 / (x * x))                                                          \
  X(sqrt, wok_sqrt(in[0]), true, 0.5 / sqrt(x), -0.25 / (x * sqrt(x)))                                       \
  X(pow, wok_pow(in[0], 1.7), true, 1.7 * pow(x, 0.7), 1.7 * 0.7 * pow(x, -0.3))                             \
  X(abs, wok_abs(in[0]), false, x > 0 ? 1 : -1, 0)
#define PHI_TEST(name, expr, above, slope, curve)                                                            \
  static wok_val *build_##name(wok_graph *g, wok_val *const *in) {                                           \
    (void)g;                                                                                                 \
    return expr;                                                                                             \
  }                                                                                                          \
  static void test_##name(void **state) {                                                                    \
    (void)state;                                                                                             \
    p.build = build_##name, p.nin = 1, p.positive = above, p.shape[0] = p.result = WOK_SHAPE(9, 7);          \
    draw_all();                                                                                              \
    for (int i = 0; i < 63; i++) {                                                                           \
      double x = p.in[0][i];                                                                                 \
      p.to_gy[i] = (slope) * p.u[0][i];                                                                      \
      p.to_in[0][i] = (curve) * p.gy[i] * p.u[0][i];                                                         \
    }                                                                                                        \
    check();                                                                                                 \
  }
PHIS(PHI_TEST)

/* ---- softmax, log-softmax, cross-entropy: row by row ---- */
enum { ROWS = 4, COLS = 6 };
static void softmax_row(double *q, const double *x, int n) {
  double sum = 0;
  for (int i = 0; i < n; i++) sum += q[i] = exp(x[i]);
  for (int i = 0; i < n; i++) q[i] /= sum;
}
static void rows_problem(build_fn build) {
  p.build = build, p.nin = 1, p.shape[0] = p.result = WOK_SHAPE(ROWS, COLS);
  draw_all();
}

BUILD(softmax, wok_softmax(in[0]))
static void test_softmax(void **state) { /* gp += p (u - r); c = u gp - r gp - s u; x += p (c - <p,c>) */
  (void)state;
  rows_problem(build_softmax);
  for (int k = 0; k < ROWS; k++) {
    const double *gp = p.gy + k * COLS, *u = p.u[0] + k * COLS;
    double q[COLS], c[COLS];
    softmax_row(q, p.in[0] + k * COLS, COLS);
    double s = dot(q, gp, COLS), r = dot(q, u, COLS);
    for (int i = 0; i < COLS; i++) p.to_gy[k * COLS + i] = q[i] * (u[i] - r), c[i] = u[i] * gp[i] - r * gp[i] - s * u[i];
    for (int i = 0; i < COLS; i++) p.to_in[0][k * COLS + i] = q[i] * (c[i] - dot(q, c, COLS));
  }
  check();
}

BUILD(log_softmax, wok_log_softmax(in[0]))
static void test_log_softmax(void **state) { /* gy += u - <p,u> 1; x += -(sum gy) p (u - <p,u>) */
  (void)state;
  rows_problem(build_log_softmax);
  for (int k = 0; k < ROWS; k++) {
    const double *gy = p.gy + k * COLS, *u = p.u[0] + k * COLS;
    double q[COLS];
    softmax_row(q, p.in[0] + k * COLS, COLS);
    double r = dot(q, u, COLS), sum = mean(gy, COLS) * COLS;
    for (int i = 0; i < COLS; i++) p.to_gy[k * COLS + i] = u[i] - r, p.to_in[0][k * COLS + i] = -sum * q[i] * (u[i] - r);
  }
  check();
}

static const int32_t labels[ROWS] = {2, 0, 5, 2};
BUILD(xent, wok_mean(wok_xent(in[0], wok_const(g, WOK_I32, WOK_SHAPE(ROWS), labels))))
static void test_xent(void **state) { /* g += <u, p - onehot>/N; x += (g/N) p (u - <p,u>) */
  (void)state;
  p.build = build_xent, p.nin = 1, p.shape[0] = WOK_SHAPE(ROWS, COLS), p.result = WOK_SHAPE0;
  draw_all();
  for (int k = 0; k < ROWS; k++) {
    const double *u = p.u[0] + k * COLS;
    double q[COLS];
    softmax_row(q, p.in[0] + k * COLS, COLS);
    double r = dot(q, u, COLS);
    p.to_gy[0] += (r - u[labels[k]]) / ROWS;
    for (int i = 0; i < COLS; i++) p.to_in[0][k * COLS + i] = p.gy[0] / ROWS * q[i] * (u[i] - r);
  }
  check();
}

/* ---- norms. One set of n numbers with its own gains:
   gy += gamma P(u)/sigma + v_gamma xhat + v_beta; gamma += gy P(u)/sigma; x += P(c)/sigma - (h/(n sigma)) xhat + P(gy v_gamma)/sigma.
   P(a) = a - mean(a) - xhat mean(a xhat); of RMSNorm: a - xhat mean(a xhat). ---- */
enum { SET = 24 };
static void project(double *out, const double *a, const double *xhat, int n, bool centred) {
  double flat = centred ? mean(a, n) : 0, along = dot(a, xhat, n) / n;
  for (int i = 0; i < n; i++) out[i] = a[i] - flat - xhat[i] * along;
}
/* at[i]: where element i of the set lies in x; channel[i]: its gain. */
static void norm_set(int n, const int *at, const int *channel, double eps, bool centred, bool biased) {
  double x[SET] = {0}, gy[SET] = {0}, u[SET] = {0}, g[SET] = {0}, c[SET] = {0}, gv[SET] = {0}, Pu[SET], Pg[SET], Pc[SET], Pv[SET];
  const double *gain = p.in[1];
  for (int i = 0; i < n; i++) x[i] = p.in[0][at[i]], gy[i] = p.gy[at[i]], u[i] = p.u[0][at[i]];
  double m = centred ? mean(x, n) : 0;
  for (int i = 0; i < n; i++) x[i] -= m;
  double sd = sqrt(dot(x, x, n) / n + eps);
  for (int i = 0; i < n; i++) x[i] /= sd, g[i] = gain[channel[i]] * gy[i], gv[i] = gy[i] * p.u[1][channel[i]];
  double mu = dot(u, x, n) / n, mg = dot(g, x, n) / n;
  project(Pu, u, x, n, centred);
  project(Pg, g, x, n, centred);
  double h = dot(u, Pg, n) / sd;
  for (int i = 0; i < n; i++) c[i] = -(u[i] * mg + g[i] * mu) / sd;
  project(Pc, c, x, n, centred);
  project(Pv, gv, x, n, centred);
  for (int i = 0; i < n; i++) {
    int ch = channel[i];
    p.to_gy[at[i]] = gain[ch] * Pu[i] / sd + p.u[1][ch] * x[i] + (biased ? p.u[2][ch] : 0);
    p.to_in[1][ch] += gy[i] * Pu[i] / sd;
    p.to_in[0][at[i]] = Pc[i] / sd - h / (n * sd) * x[i] + Pv[i] / sd;
  }
}
static void norm_problem(build_fn build, wok_shape x, int64_t channels, bool biased) {
  p.build = build, p.nin = biased ? 3 : 2, p.shape[0] = p.result = x;
  p.shape[1] = p.shape[2] = WOK_SHAPE(channels);
  draw_all();
}
static void test_rows_norm(build_fn build, bool centred, bool biased) {
  norm_problem(build, WOK_SHAPE(ROWS, COLS), COLS, biased);
  for (int k = 0; k < ROWS; k++) {
    int at[COLS], channel[COLS];
    for (int i = 0; i < COLS; i++) at[i] = k * COLS + i, channel[i] = i;
    norm_set(COLS, at, channel, 1e-3, centred, biased);
  }
  check();
}
BUILD(layer_norm, wok_layer_norm(in[0], in[1], in[2], 1e-3))
BUILD(rms_norm, wok_rms_norm(in[0], in[1], 1e-3))
static void test_layer_norm(void **state) {
  (void)state;
  test_rows_norm(build_layer_norm, true, true);
}
static void test_rms_norm(void **state) {
  (void)state;
  test_rows_norm(build_rms_norm, false, false);
}

/* [2, 4, 3]: sets are groups of channels of a sample, or (groups 0) a channel over the batch. */
static void test_channels_norm(build_fn build, int groups) {
  enum { N = 2, C = 4, S = 3 };
  norm_problem(build, WOK_SHAPE(N, C, S), C, true);
  for (int set = 0; set < (groups ? N * groups : C); set++) {
    int at[SET], channel[SET], n = 0;
    for (int e = 0; e < N * C * S; e++) {
      int sample = e / (C * S), ch = e / S % C;
      if (groups ? sample * groups + ch / (C / groups) != set : ch != set) continue;
      at[n] = e;
      channel[n++] = ch;
    }
    norm_set(n, at, channel, 1e-3, true, true);
  }
  check();
}
BUILD(group_norm, wok_group_norm(in[0], 2, in[1], in[2], 1e-3))
BUILD(instance_norm, wok_instance_norm(in[0], in[1], in[2], 1e-3))
BUILD(batch_norm, wok_batch_norm(in[0], in[1], in[2], &(wok_batch_norm_opts){.eps = 1e-3}, NULL))
static void test_group_norm(void **state) {
  (void)state;
  test_channels_norm(build_group_norm, 2);
}
static void test_instance_norm(void **state) {
  (void)state;
  test_channels_norm(build_instance_norm, 4);
}
static void test_batch_norm(void **state) {
  (void)state;
  test_channels_norm(build_batch_norm, 0);
}

/* ---- attention, one head, causal ---- */
enum { TQ = 5, D = 4, DV = 3 };
static const int32_t lo[TQ] = {0, 0, 0, 0, 0}, hi[TQ] = {1, 2, 3, 4, 5};
BUILD(attention, wok_attention(in[0], in[1], in[2], wok_const(g, WOK_I32, WOK_SHAPE(TQ), lo), wok_const(g, WOK_I32, WOK_SHAPE(TQ), hi),
                               &(wok_attention_opts){.scale = 0.6}))
/* rows of a: row sums of a o b, as a column */
static void row_sums(double *out, const double *a, const double *b) {
  for (int i = 0; i < TQ; i++) out[i] = dot(a + i * TQ, b + i * TQ, TQ);
}
static void test_attention(void **state) {
  static double P[TQ * TQ], gP[TQ * TQ], gS[TQ * TQ], uS[TQ * TQ], uP[TQ * TQ], cP[TQ * TQ], xS[TQ * TQ], extra[TQ * TQ];
  double *const zeros[] = {P, gP, gS, uS, uP, cP, xS, extra}, r[TQ], s[TQ], t[TQ], scale = 0.6;
  const double *Q = p.in[0], *K = p.in[1], *V = p.in[2], *uQ = p.u[0], *uK = p.u[1], *uV = p.u[2], *gO = p.gy;
  (void)state;
  for (int i = 0; i < WOK__COUNT(zeros); i++) memset(zeros[i], 0, sizeof P);
  p.build = build_attention, p.nin = 3, p.result = WOK_SHAPE(TQ, 1, DV);
  p.shape[0] = p.shape[1] = WOK_SHAPE(TQ, 1, D), p.shape[2] = WOK_SHAPE(TQ, 1, DV);
  draw_all();
  product(P, scale, Q, false, K, true, TQ, D, TQ); /* S */
  for (int i = 0; i < TQ; i++) {
    softmax_row(P + i * TQ, P + i * TQ, hi[i]);
    for (int j = hi[i]; j < TQ; j++) P[i * TQ + j] = 0;
  }
  product(gP, 1, gO, false, V, true, TQ, DV, TQ);
  product(uS, scale, uQ, false, K, true, TQ, D, TQ);
  product(uS, scale, Q, false, uK, true, TQ, D, TQ);
  product(extra, 1, gO, false, uV, true, TQ, DV, TQ);
  row_sums(r, P, uS);
  row_sums(s, P, gP);
  for (int i = 0; i < TQ * TQ; i++) {
    gS[i] = P[i] * (gP[i] - s[i / TQ]);
    uP[i] = P[i] * (uS[i] - r[i / TQ]);
    cP[i] = uS[i] * gP[i] - gP[i] * r[i / TQ] - s[i / TQ] * uS[i] + extra[i];
  }
  row_sums(t, P, cP);
  for (int i = 0; i < TQ * TQ; i++) xS[i] = P[i] * (cP[i] - t[i / TQ]);
  product(p.to_gy, 1, uP, false, V, false, TQ, TQ, DV);
  product(p.to_gy, 1, P, false, uV, false, TQ, TQ, DV);
  product(p.to_in[2], 1, uP, true, gO, false, TQ, TQ, DV);
  product(p.to_in[0], scale, xS, false, K, false, TQ, TQ, D);
  product(p.to_in[0], scale, gS, false, uK, false, TQ, TQ, D);
  product(p.to_in[1], scale, xS, true, Q, false, TQ, TQ, D);
  product(p.to_in[1], scale, gS, true, uQ, false, TQ, TQ, D);
  check();
}

/* ---- operators linear in x: double backward is the forward again; nothing comes to x ---- */
static const int32_t rows_wanted[] = {3, 0, 3, 1, 7};
static wok_val *index_of(wok_graph *g) { return wok_const(g, WOK_I32, WOK_SHAPE(5), rows_wanted); }
static wok_val *mask_of(wok_graph *g) { return wok_less(wok_random_uniform(g, WOK_F64, WOK_SHAPE(4, 6), 5), wok_full(g, WOK_F64, WOK_SHAPE0, 0.5)); }
BUILD(reshape, wok_reshape(in[0], WOK_SHAPE(3, 8)))
BUILD(transpose, wok_permute(in[0], (const int[]){1, 0}))
BUILD(slice, wok_slice(in[0], 1, 1, 4))
BUILD(concat, wok_concat((wok_val *[]){in[0], wok_slice(in[0], 0, 0, 2), in[0]}, 3, 0))
BUILD(pad, wok_pad(in[0], 1, 2, 1))
BUILD(broadcast_to, wok_broadcast_to(in[0], WOK_SHAPE(3, 4, 6)))
BUILD(sum_to, wok_sum_to(in[0], WOK_SHAPE(1, 6)))
BUILD(gather, wok_gather(in[0], index_of(g)))
BUILD(scatter_add, wok_scatter_add(wok_concat((wok_val *[]){in[0], wok_slice(in[0], 0, 0, 1)}, 2, 0), index_of(g), 5))
BUILD(dropout, wok_dropout(in[0], 0.4, 7))
BUILD(mask, wok_select(mask_of(g), in[0], wok_full(g, WOK_F64, WOK_SHAPE0, 0)))
BUILD(avg_pool, wok_avg_pool2d(wok_reshape(in[0], WOK_SHAPE(1, 1, 4, 6)), &(wok_pool2d_opts){.window = {2, 3}, .stride = {1, 2}, .pad = {1, 0, 1, 1}}))
BUILD(upsample, wok_resize2d(wok_reshape(in[0], WOK_SHAPE(1, 1, 4, 6)), 7, 9, WOK_RESIZE_BILINEAR))
static const struct linear_map { const char *name; build_fn build; } maps[] = {
    {"04-0.3-reshape", build_reshape},   {"04-0.3-transpose", build_transpose},       {"04-0.3-slice", build_slice},
    {"04-0.3-concat", build_concat},     {"04-0.3-pad", build_pad},                   {"04-0.3-broadcast-to", build_broadcast_to},
    {"04-0.3-sum-to", build_sum_to},     {"04-0.3-gather", build_gather},             {"04-0.3-scatter-add", build_scatter_add},
    {"04-0.3-dropout", build_dropout},   {"04-0.3-masking", build_mask},              {"04-0.3-avg-pool", build_avg_pool},
    {"04-0.3-upsample", build_upsample},
};

/* What build makes of the numbers `from`: into `out`; its shape. */
static wok_shape apply(build_fn build, wok_shape s, const double *from, double *out) {
  wok_graph *g;
  wok_plan *plan;
  assert_int_equal(wok_graph_new(ctx, &g), WOK_OK);
  wok_val *x = wok_const(g, WOK_F64, s, from), *y = build(g, &x);
  assert_int_equal(wok_compile(ctx, &plan, &y, 1, &(wok_plan_opts){.reference = true}), WOK_OK);
  assert_int_equal(wok_plan_run(plan, NULL), WOK_OK);
  wok_shape result = wok_val_shape(y);
  assert_true(count(result) <= MOST);
  memcpy(out, wok_plan_data(plan, 0), (size_t)count(result) * sizeof *out);
  wok_plan_free(plan);
  wok_graph_free(g);
  return result;
}
static void test_linear_map(void **state) {
  const struct linear_map *m = *state;
  p.build = m->build, p.nin = 1, p.shape[0] = WOK_SHAPE(4, 6), p.result = WOK_SHAPE0;
  draw_all();
  p.result = apply(m->build, p.shape[0], p.u[0], p.to_gy);
  draw(p.gy, p.result, 20, false);
  check();
}

/* Max-pooling gathers u at the places of x's maxima. */
BUILD(max_pool, wok_max_pool2d(wok_reshape(in[0], WOK_SHAPE(1, 1, 4, 6)), &(wok_pool2d_opts){.window = {2, 2}}))
static void test_max_pool(void **state) {
  (void)state;
  p.build = build_max_pool, p.nin = 1, p.shape[0] = WOK_SHAPE(4, 6), p.result = WOK_SHAPE(1, 1, 2, 3);
  draw_all();
  for (int i = 0; i < 2; i++)
    for (int j = 0; j < 3; j++) {
      int best = 2 * i * 6 + 2 * j, corners[] = {1, 6, 7}, first = best;
      for (int k = 0; k < 3; k++)
        if (p.in[0][first + corners[k]] > p.in[0][best]) best = first + corners[k];
      p.to_gy[i * 3 + j] = p.u[0][best];
    }
  check();
}

/* n = sqrt(sum g^2 + delta): dn/dg = g/n; and once more. */
BUILD(l2_norm, wok_sqrt(wok_offset(wok_sum_axis(wok_square(in[0]), 1, false), 0.01)))
static void test_l2_norm(void **state) {
  (void)state;
  p.build = build_l2_norm, p.nin = 1, p.shape[0] = WOK_SHAPE(ROWS, COLS), p.result = WOK_SHAPE(ROWS);
  draw_all();
  for (int k = 0; k < ROWS; k++) {
    const double *g = p.in[0] + k * COLS, *u = p.u[0] + k * COLS;
    double n = sqrt(dot(g, g, COLS) + 0.01), along = dot(g, u, COLS);
    p.to_gy[k] = along / n;
    for (int i = 0; i < COLS; i++) p.to_in[0][k * COLS + i] = p.gy[k] * (u[i] / n - g[i] * along / (n * n * n));
  }
  check();
}

/* ---- the penalty of a critic (section 0.2) ---- */
enum { BATCH = 6, DIM = 2, WIDE = 8, LAYERS = 3 };
static const int64_t width[LAYERS + 1] = {DIM, WIDE, WIDE, 1};
typedef struct critic { wok_graph *g; wok_val *x, *w[LAYERS], *b[LAYERS], *score, *slope, *norm, *penalty; } critic;

static critic critic_of(bool smooth) {
  critic c;
  assert_int_equal(wok_graph_new(ctx, &c.g), WOK_OK);
  c.x = wok_random_normal(c.g, WOK_F64, WOK_SHAPE(BATCH, DIM), 100);
  wok_val *h = c.x;
  for (int l = 0; l < LAYERS; l++) {
    c.w[l] = wok_random_normal(c.g, WOK_F64, WOK_SHAPE(width[l + 1], width[l]), 101 + (uint32_t)l);
    c.b[l] = wok_random_normal(c.g, WOK_F64, WOK_SHAPE(width[l + 1]), 111 + (uint32_t)l);
    h = wok_linear(h, c.w[l], c.b[l]);
    if (l < LAYERS - 1) h = smooth ? wok_tanh(h) : wok_leaky_relu(h, 0.2);
  }
  c.score = h;
  c.slope = wok_grad1(wok_sum(h), c.x);
  c.norm = wok_sqrt(wok_offset(wok_sum_axis(wok_square(c.slope), 1, false), 1e-12));
  c.penalty = wok_mean(wok_square(wok_offset(c.norm, -1)));
  return c;
}

/* Piecewise linear: biases get exactly nothing, weights delta^T h~ with the signals delta sent back through the net and the
   tangents h~ of c g^ sent forward through its masks, biases dropped. */
static void test_leaky_critic(void **state) {
  (void)state;
  critic c = critic_of(false);
  wok_val *of[2 * LAYERS], *grad[2 * LAYERS], *delta[LAYERS], *tangent[LAYERS], *mask[LAYERS], *results[3 * LAYERS + 1];
  for (int l = 0; l < LAYERS; l++) of[l] = c.w[l], of[LAYERS + l] = c.b[l];
  wok_grad(c.penalty, of, 2 * LAYERS, grad);
  wok_val *h = c.x, *one = wok_full(c.g, WOK_F64, WOK_SHAPE0, 1), *slope = wok_full(c.g, WOK_F64, WOK_SHAPE0, 0.2);
  for (int l = 0; l < LAYERS - 1; l++) {
    wok_val *z = wok_linear(h, c.w[l], c.b[l]);
    mask[l] = wok_select(wok_less(wok_full(c.g, WOK_F64, WOK_SHAPE0, 0), z), wok_broadcast_to(one, wok_val_shape(z)),
                         wok_broadcast_to(slope, wok_val_shape(z)));
    h = wok_mul(z, mask[l]);
  }
  delta[LAYERS - 1] = wok_full(c.g, WOK_F64, WOK_SHAPE(BATCH, 1), 1);
  for (int l = LAYERS - 2; l >= 0; l--) delta[l] = wok_mul(wok_matmul(delta[l + 1], c.w[l + 1], false, false), mask[l]);
  wok_val *n = wok_reshape(c.norm, WOK_SHAPE(BATCH, 1)), *factor = wok_div(wok_scale(wok_offset(n, -1), 2.0 / BATCH), n);
  tangent[0] = wok_mul(c.slope, factor);
  for (int l = 1; l < LAYERS; l++) tangent[l] = wok_mul(wok_linear(tangent[l - 1], c.w[l - 1], NULL), mask[l - 1]);
  for (int l = 0; l < LAYERS; l++) {
    results[l] = grad[l];
    results[LAYERS + l] = grad[LAYERS + l];
    results[2 * LAYERS + l] = wok_matmul(delta[l], tangent[l], true, false);
  }
  results[3 * LAYERS] = c.penalty;
  assert_string_equal(wok_graph_message(c.g), "");
  wok_plan *plan;
  assert_int_equal(wok_compile(ctx, &plan, results, 3 * LAYERS + 1, NULL), WOK_OK);
  assert_int_equal(wok_plan_run(plan, NULL), WOK_OK);
  assert_true(*(const double *)wok_plan_data(plan, 3 * LAYERS) > 0.01);
  for (int l = 0; l < LAYERS; l++) {
    compare("by the weights", wok_plan_data(plan, l), wok_plan_data(plan, 2 * LAYERS + l), width[l] * width[l + 1]);
    const double *bias = wok_plan_data(plan, LAYERS + l);
    for (int i = 0; i < width[l + 1]; i++) assert_true(bias[i] == 0);
  }
  wok_plan_free(plan);
  wok_graph_free(c.g);
}

/* The same of a critic of images in f32, with the fast convolutions. */
static void test_leaky_conv_critic(void **state) {
  (void)state;
  wok_graph *g;
  wok_plan *plan;
  assert_int_equal(wok_graph_new(ctx, &g), WOK_OK);
  wok_val *x = wok_random_normal(g, WOK_F32, WOK_SHAPE(5, 3, 12, 12), 1), *w1 = wok_random_normal(g, WOK_F32, WOK_SHAPE(8, 3, 4, 4), 2);
  wok_val *w2 = wok_random_normal(g, WOK_F32, WOK_SHAPE(4, 8, 3, 3), 3), *b1 = wok_random_normal(g, WOK_F32, WOK_SHAPE(8), 4);
  wok_val *b2 = wok_random_normal(g, WOK_F32, WOK_SHAPE(4), 5);
  wok_val *h = wok_leaky_relu(wok_conv2d(x, w1, b1, &(wok_conv2d_opts){.stride = {2, 2}, .pad = {1, 1, 1, 1}}), 0.2);
  h = wok_leaky_relu(wok_conv2d(h, w2, b2, NULL), 0.2);
  wok_val *slope = wok_reshape(wok_grad1(wok_sum(h), x), WOK_SHAPE(5, -1));
  wok_val *norm = wok_sqrt(wok_offset(wok_sum_axis(wok_square(slope), 1, false), 1e-12)), *of[] = {b1, b2, w1, w2}, *grad[4];
  wok_grad(wok_mean(wok_square(wok_offset(norm, -1))), of, 4, grad);
  assert_string_equal(wok_graph_message(g), "");
  assert_int_equal(wok_compile(ctx, &plan, grad, 4, NULL), WOK_OK);
  assert_int_equal(wok_plan_run(plan, NULL), WOK_OK);
  const float *first = wok_plan_data(plan, 0), *second = wok_plan_data(plan, 1), *weight = wok_plan_data(plan, 2);
  for (int i = 0; i < 8; i++) assert_true(first[i] == 0);
  for (int i = 0; i < 4; i++) assert_true(second[i] == 0);
  assert_true(weight[0] != 0);
  wok_plan_free(plan);
  wok_graph_free(g);
}

/* The envelope theorem: the gradient of phi(n) is that of phi'(n) <g^, grad D> with phi'(n) and g^ held constant. */
static void test_envelope(void **state) {
  (void)state;
  critic c = critic_of(true);
  wok_val *n = wok_reshape(c.norm, WOK_SHAPE(BATCH, 1)), *held = wok_stop_grad(wok_mul(c.slope, wok_div(wok_scale(wok_offset(n, -1), 2.0 / BATCH), n)));
  wok_val *inner = wok_sum(wok_mul(held, c.slope)), *of[2 * LAYERS], *direct[2 * LAYERS], *results[4 * LAYERS];
  for (int l = 0; l < LAYERS; l++) of[l] = c.w[l], of[LAYERS + l] = c.b[l];
  wok_grad(c.penalty, of, 2 * LAYERS, results);
  wok_grad(inner, of, 2 * LAYERS, direct);
  for (int i = 0; i < 2 * LAYERS; i++) results[2 * LAYERS + i] = direct[i];
  assert_string_equal(wok_graph_message(c.g), "");
  wok_plan *plan;
  assert_int_equal(wok_compile(ctx, &plan, results, 4 * LAYERS, NULL), WOK_OK);
  assert_int_equal(wok_plan_run(plan, NULL), WOK_OK);
  for (int i = 0; i < 2 * LAYERS; i++)
    compare("the envelope", wok_plan_data(plan, i), wok_plan_data(plan, 2 * LAYERS + i), wok__shape_count(&of[i]->shape));
  wok_plan_free(plan);
  wok_graph_free(c.g);
}

int main(void) {
#define NAMED(text, f) {.name = text, .test_func = test_##f, .setup_func = set_up, .teardown_func = tear_down}
#define PHI_ROW(name, expr, above, slope, curve) NAMED("04-0.3-elementwise-" #name, name),
  static const struct CMUnitTest formulas[] = {
      NAMED("04-0.3-linear", linear),
      NAMED("04-0.3-matmul", matmul),
      NAMED("04-0.3-conv2d", conv2d),
      NAMED("04-0.3-conv2d-transpose", conv2d_transpose),
      PHIS(PHI_ROW)
      NAMED("04-0.3-softmax", softmax),
      NAMED("04-0.3-log-softmax", log_softmax),
      NAMED("04-0.3-cross-entropy", xent),
      NAMED("04-0.3-layer-norm", layer_norm),
      NAMED("04-0.3-rms-norm", rms_norm),
      NAMED("04-0.3-group-norm", group_norm),
      NAMED("04-0.3-instance-norm", instance_norm),
      NAMED("04-0.3-batch-norm", batch_norm),
      NAMED("04-0.3-attention", attention),
      NAMED("04-0.3-max-pool", max_pool),
      NAMED("04-0.3-l2-norm", l2_norm),
      NAMED("04-0.2-leaky-relu-critic, 04-1.5-2", leaky_critic),
      NAMED("04-0.2-leaky-relu-conv-critic, 04-1.5-2", leaky_conv_critic),
      NAMED("04-0.2-envelope", envelope),
  };
  struct CMUnitTest tests[WOK__COUNT(formulas) + WOK__COUNT(maps)];
  memcpy(tests, formulas, sizeof formulas);
  for (int i = 0; i < WOK__COUNT(maps); i++) {
    tests[WOK__COUNT(formulas) + i] = (struct CMUnitTest)NAMED(maps[i].name, linear_map);
    tests[WOK__COUNT(formulas) + i].initial_state = (void *)(uintptr_t)&maps[i];
  }
  return _cmocka_run_group_tests("double backward", tests, WOK__COUNT(tests), NULL, NULL) != 0;
}
