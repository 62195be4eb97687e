/* Acceptance checks of spec 04 section 1.5 that need no training of nets: penalties and normalisations of critics (1, 3), the
   optimum of a linear critic (4), the dynamics of GANs of two points (5). (2: double_backward.c. 6: examples/wgan_gp_2d.c.) */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "graph/graph.h"

static wok_ctx *ctx;
static wok_graph *g;
static int set_up(void **state) {
  (void)state;
  return wok_ctx_new(&ctx, &(wok_ctx_opts){.threads = 1}) || wok_graph_new(ctx, &g);
}
static int tear_down(void **state) {
  (void)state;
  wok_graph_free(g);
  wok_ctx_free(ctx);
  return 0;
}

static wok_plan *plan_of(wok_val *const *v, int n) {
  wok_plan *p;
  if (wok_compile(ctx, &p, v, n, NULL)) fail_msg("%s", wok_errmsg(ctx));
  return p;
}
static void run(wok_plan *p) {
  if (wok_plan_run(p, NULL)) fail_msg("%s", wok_errmsg(ctx));
}
static double number(const wok_plan *p, int i) { return *(const double *)wok_plan_data(p, i); }
static void near(const char *what, double came, double want, double bound) {
  if (!(fabs(came - want) <= bound)) fail_msg("%s: expected %.9g within %g, came %.9g", what, want, bound, came);
}

/* ---- a net of linear layers ---- */
enum { DEEP = 3, PARTS = 2 * DEEP };
typedef struct net {
  int64_t width[DEEP + 1], batch;
  wok_dtype type;
  wok_shape shape[PARTS]; /* weights, biases */
  wok_val *part[PARTS], *x;
  double *data[PARTS], *at; /* f64 */
} net;

static int64_t count(wok_shape s) { return wok__shape_count(&s); }
static double *draw(wok_shape s, uint32_t stream, double scale) {
  double *v = malloc((size_t)count(s) * sizeof *v);
  wok__rng r;
  wok__rng_init(&r, 41, stream);
  for (int64_t i = 0; i < count(s); i++) v[i] = scale * (2 * wok__rng_uniform(&r) - 1);
  return v;
}
/* Inputs of the graph, so that a test may move them between runs; of another type: constants. */
static wok_val *value_of(wok_dtype t, wok_shape s, const double *data, bool fixed) {
  if (!fixed) return wok_input(g, NULL, t, s);
  return wok_cast(wok_const(g, WOK_F64, s, data), t);
}
static net net_of(const int64_t *width, int64_t batch, wok_dtype t, bool fixed) {
  net n = {.batch = batch, .type = t};
  memcpy(n.width, width, sizeof n.width);
  for (int l = 0; l < DEEP; l++) n.shape[l] = WOK_SHAPE(width[l + 1], width[l]), n.shape[DEEP + l] = WOK_SHAPE(width[l + 1]);
  for (int i = 0; i < PARTS; i++) {
    n.data[i] = draw(n.shape[i], (uint32_t)i, i < DEEP ? sqrt(3.0 / (double)n.width[i]) : 0.3);
    n.part[i] = value_of(t, n.shape[i], n.data[i], fixed);
  }
  n.at = draw(WOK_SHAPE(batch, width[0]), 20, 1.5);
  n.x = value_of(t, WOK_SHAPE(batch, width[0]), n.at, fixed);
  return n;
}
static wok_val *score(const net *n, wok_val *const *part, wok_val *x, bool smooth) { /* [batch] */
  for (int l = 0; l < DEEP; l++) {
    x = wok_linear(x, part[l], part[DEEP + l]);
    if (l < DEEP - 1) x = smooth ? wok_tanh(x) : wok_leaky_relu(x, 0.2);
  }
  return wok_reshape(x, WOK_SHAPE(n->batch));
}
static wok_val *norm_of_rows(wok_val *x) { return wok_sqrt(wok_offset(wok_sum_axis(wok_square(x), 1, false), 1e-24)); }
static wok_val *slope_of(wok_val *f, wok_val *x) { return norm_of_rows(wok_grad1(wok_sum(f), x)); }
static void bind(const net *n, wok_plan *p) {
  for (int i = 0; i < PARTS; i++) assert_int_equal(wok_plan_bind(p, n->part[i], n->data[i]), WOK_OK);
  assert_int_equal(wok_plan_bind(p, n->x, n->at), WOK_OK);
}
static void release(net *n) {
  for (int i = 0; i < PARTS; i++) free(n->data[i]);
  free(n->at);
}

/* 1: the whole penalty of a tanh critic 3-8-8-1 against central differences. */
static void test_penalty(void **state) {
  (void)state;
  net n = net_of((const int64_t[]){3, 8, 8, 1}, 5, WOK_F64, false);
  wok_val *result[1 + PARTS];
  result[0] = wok_mean(wok_square(wok_offset(slope_of(score(&n, n.part, n.x, true), n.x), -1)));
  wok_grad(result[0], n.part, PARTS, result + 1);
  wok_plan *p = plan_of(result, 1 + PARTS), *value = plan_of(result, 1);
  bind(&n, p);
  /* the last bias moves nothing: the penalty does not depend on it, and needs no binding in its plan */
  for (int i = 0; i < PARTS - 1; i++) assert_int_equal(wok_plan_bind(value, n.part[i], n.data[i]), WOK_OK);
  assert_int_equal(wok_plan_bind(value, n.x, n.at), WOK_OK);
  run(p);
  for (int i = 0; i < PARTS - 1; i++) {
    const double *d = wok_plan_data(p, 1 + i), h = 1e-5;
    double top = 0, far = 0;
    for (int64_t e = 0; e < count(n.shape[i]); e++) {
      double kept = n.data[i][e], side[2];
      for (int s = 0; s < 2; s++) {
        n.data[i][e] = kept + (s ? -h : h);
        run(value);
        side[s] = number(value, 0);
      }
      n.data[i][e] = kept;
      top = fmax(top, fabs(d[e]));
      far = fmax(far, fabs((side[0] - side[1]) / (2 * h) - d[e]));
    }
    if (!(top > 1e-3 && far <= 1e-6 * top)) fail_msg("part %d: off by %g of %g", i, far, top);
  }
  assert_true(number(p, PARTS) == 0);
  wok_plan_free(p);
  wok_plan_free(value);
  release(&n);
}

/* 3: normalisations by the gradient. GN: f/(n + |f|); GraN: K f n/(n^2 + eps). */
static const double K = 1.3, EPS = 0.1;
static wok_val *normalised(wok_val *f, wok_val *n, bool gran) {
  return gran ? wok_scale(wok_div(wok_mul(f, n), wok_offset(wok_square(n), EPS)), K) : wok_div(f, wok_add(n, wok_abs(f)));
}
static void test_normalised(void **state) {
  enum { B = 8, IN = 3 };
  (void)state;
  for (int gran = 0; gran < 2; gran++) {
    net c = net_of((const int64_t[]){IN, 16, 16, 1}, B, WOK_F64, false);
    wok_val *f = score(&c, c.part, c.x, false), *n = slope_of(f, c.x), *fhat = normalised(f, n, gran);
    /* exact and fast gradients of the generator's loss softplus(-f^), by what it made */
    wok_val *exact = wok_grad1(wok_sum(wok_softplus(wok_neg(fhat))), c.x), *held = wok_stop_grad(n);
    wok_val *fast = wok_grad1(wok_sum(wok_softplus(wok_neg(normalised(f, held, gran)))), c.x);
    wok_plan *p = plan_of((wok_val *[]){fhat, n, exact, fast}, 4), *value = plan_of(&fhat, 1);
    bind(&c, p);
    bind(&c, value);
    run(p);
    const double *fh = wok_plan_data(p, 0), *norm = wok_plan_data(p, 1), *a = wok_plan_data(p, 2), *b = wok_plan_data(p, 3);
    for (int i = 0; i < B * IN; i++) near("fast against exact", b[i], a[i], 1e-12);
    for (int i = 0; i < B; i++) {
      double sum = 0, want = gran ? K * norm[i] * norm[i] / (norm[i] * norm[i] + EPS) : pow(1 - fabs(fh[i]), 2);
      assert_true(gran || fabs(fh[i]) < 1);
      for (int k = 0; k < IN; k++) {
        double *at = &c.at[i * IN + k], kept = *at, side[2], h = 1e-6;
        for (int s = 0; s < 2; s++) {
          *at = kept + (s ? -h : h);
          run(value);
          side[s] = ((const double *)wok_plan_data(value, 0))[i];
        }
        *at = kept;
        sum += pow((side[0] - side[1]) / (2 * h), 2);
      }
      near(gran ? "GraN: slope" : "GN: slope", sqrt(sum), want, 1e-6);
    }
    wok_plan_free(p);
    wok_plan_free(value);
    release(&c);
  }
}
/* GN does not see the scale of the last layer; in f32. */
static void test_scale_free(void **state) {
  enum { B = 32 };
  (void)state;
  net c = net_of((const int64_t[]){3, 16, 16, 1}, B, WOK_F32, true);
  wok_val *scaled[PARTS], *result[2];
  memcpy(scaled, c.part, sizeof scaled);
  scaled[DEEP - 1] = wok_scale(c.part[DEEP - 1], 7), scaled[PARTS - 1] = wok_scale(c.part[PARTS - 1], 7);
  for (int i = 0; i < 2; i++) {
    wok_val *f = score(&c, i ? scaled : c.part, c.x, false);
    result[i] = normalised(f, slope_of(f, c.x), false);
  }
  wok_plan *p = plan_of(result, 2);
  run(p);
  const float *a = wok_plan_data(p, 0), *b = wok_plan_data(p, 1);
  for (int i = 0; i < B; i++) near("scaled by 7", (double)b[i], (double)a[i], 1e-6);
  wok_plan_free(p);
  release(&c);
}

/* 4: D = phi.x, means a distance D apart. Descent on E D(fake) - E D(real) + penalty finds phi in closed form. */
typedef wok_val *(*penalty_fn)(wok_val *slope);
static wok_val *one_centred(wok_val *n) { return wok_scale(wok_mean(wok_square(wok_offset(n, -1))), 10); }
static wok_val *half_square(wok_val *n) { return wok_scale(wok_mean(wok_pow(n, 2)), 0.5); }
static wok_val *div_six(wok_val *n) { return wok_scale(wok_mean(wok_pow(n, 6)), 2); }
static void test_linear_critic(void **state) {
  static const struct { penalty_fn penalty; double rate, gap, length, value; } cases[] = {
      {one_centred, 0.02, 1, 1.05, 1.025},                                      /* 1 + gap/20; gap + gap^2/40 */
      {one_centred, 0.02, 2, 1.1, 2.1},
      {half_square, 0.3, 1.7, 1.7, 0.5 * 1.7 * 1.7},                             /* k = 1/2, p = 2 */
      {div_six, 0.02, 1, 0.608364342, 0.608364342 * (1 - 1.0 / 6)},              /* k = 2, p = 6: 12^(-1/5) */
  };
  enum { B = 4, IN = 3, STEPS = 600 };
  static const double direction[IN] = {2.0 / 3, -1.0 / 3, 2.0 / 3}, noise[B] = {0.3, -0.5, 0.1, 0.1};
  (void)state;
  for (int64_t k = 0; k < WOK__COUNT(cases); k++) {
    double real[B * IN], fake[B * IN], phi[IN] = {0.4, 0.5, -0.3};
    for (int i = 0; i < B; i++)
      for (int d = 0; d < IN; d++) fake[i * IN + d] = noise[(i + d) % B], real[i * IN + d] = noise[(i + 2 * d + 1) % B] + cases[k].gap * direction[d];
    wok_val *w = wok_input(g, NULL, WOK_F64, WOK_SHAPE(1, IN));
    wok_val *r = wok_const(g, WOK_F64, WOK_SHAPE(B, IN), real), *f = wok_const(g, WOK_F64, WOK_SHAPE(B, IN), fake);
    wok_val *between = wok_scale(wok_add(r, f), 0.5), *n = slope_of(wok_linear(between, w, NULL), between);
    wok_val *loss = wok_add(wok_sub(wok_mean(wok_linear(f, w, NULL)), wok_mean(wok_linear(r, w, NULL))), cases[k].penalty(n));
    wok_plan *p = plan_of((wok_val *[]){loss, wok_grad1(loss, w)}, 2);
    assert_int_equal(wok_plan_bind(p, w, phi), WOK_OK);
    for (int s = 0; s < STEPS; s++) {
      run(p);
      for (int d = 0; d < IN; d++) phi[d] -= cases[k].rate * ((const double *)wok_plan_data(p, 1))[d];
    }
    run(p);
    near("value of the optimum", -number(p, 0), cases[k].value, 1e-4);
    for (int d = 0; d < IN; d++) near("critic", phi[d], cases[k].length * direction[d], 1e-4);
    wok_plan_free(p);
  }
}

/* 5: a real point at 0, a fake one at theta, D(x) = phi.x (archives/6583). Both go down their losses; Runge-Kutta of order 4. */
typedef struct losses { wok_val *critic, *generator; } losses;
typedef losses (*game_fn)(wok_val *phi, wok_val *theta);
static wok_val *along(wok_val *phi, wok_val *x) { return wok_sum(wok_mul(phi, x)); }
static wok_val *length(wok_val *x) { return wok_sqrt(wok_sum(wok_square(x))); }
static losses wasserstein(wok_val *phi, wok_val *theta, double center) {
  wok_val *d = along(phi, theta), *n = length(wok_grad1(d, theta)); /* the slope of D, as a gradient */
  return (losses){wok_add(d, wok_scale(wok_square(wok_offset(n, -center)), 0.1)), wok_neg(d)};
}
static losses zero_centred(wok_val *phi, wok_val *theta) { return wasserstein(phi, theta, 0); }
static losses unit_centred(wok_val *phi, wok_val *theta) { return wasserstein(phi, theta, 1); }
static losses spectral(wok_val *phi, wok_val *theta) {
  wok_val *d = wok_div(along(phi, theta), length(phi));
  return (losses){d, wok_neg(d)};
}
static losses saturating_not(wok_val *phi, wok_val *theta) {
  wok_val *d = along(phi, theta);
  return (losses){wok_softplus(d), wok_softplus(wok_neg(d))};
}
static losses quadratic(wok_val *phi, wok_val *theta) { /* lambda 1 */
  wok_val *d = along(phi, theta);
  return (losses){wok_add(d, wok_scale(wok_div(wok_square(d), length(theta)), 0.5)), wok_neg(d)};
}
static losses quadratic_decayed(wok_val *phi, wok_val *theta) {
  losses l = quadratic(phi, theta);
  l.critic = wok_add(l.critic, wok_scale(wok_sum(wok_square(phi)), 0.05));
  return l;
}

typedef struct track { double phi[2], theta[2], least, most, phi_least, phi_most; } track; /* lengths on the way */
/* Lengths are those from a time on. */
static track follow(game_fn game, double from, double until) {
  track t = {.phi = {0.1, 0.2}, .theta = {0.2, 0.1}, .least = HUGE_VAL, .phi_least = HUGE_VAL};
  const double h = 0.01, to[4] = {0, 0.5, 0.5, 1}, weight[4] = {1, 2, 2, 1};
  wok_val *at[2] = {wok_input(g, NULL, WOK_F64, WOK_SHAPE(2)), wok_input(g, NULL, WOK_F64, WOK_SHAPE(2))}, *go[2] = {NULL, NULL}, *next[2];
  for (int k = 0; k < 4; k++) {
    wok_val *here[2];
    for (int i = 0; i < 2; i++) here[i] = k ? wok_add(at[i], wok_scale(go[i], h * to[k])) : at[i];
    losses l = game(here[0], here[1]);
    go[0] = wok_neg(wok_grad1(l.critic, here[0]));
    go[1] = wok_neg(wok_grad1(l.generator, here[1]));
    for (int i = 0; i < 2; i++) next[i] = wok_add(k ? next[i] : at[i], wok_scale(go[i], h * weight[k] / 6));
  }
  wok_plan *p = plan_of(next, 2);
  assert_int_equal(wok_plan_bind(p, at[0], t.phi), WOK_OK);
  assert_int_equal(wok_plan_bind(p, at[1], t.theta), WOK_OK);
  for (int s = 0; s < (int)(until / h + 0.5); s++) {
    run(p);
    memcpy(t.phi, wok_plan_data(p, 0), sizeof t.phi);
    memcpy(t.theta, wok_plan_data(p, 1), sizeof t.theta);
    if ((s + 1) * h < from) continue;
    double far = hypot(t.theta[0], t.theta[1]), long_ = hypot(t.phi[0], t.phi[1]);
    t.least = fmin(t.least, far), t.most = fmax(t.most, far);
    t.phi_least = fmin(t.phi_least, long_), t.phi_most = fmax(t.phi_most, long_);
  }
  wok_plan_free(p);
  return t;
}
static void test_zero_centred(void **state) { /* theta'' + 2 lambda theta' + theta = 0 */
  (void)state;
  track t = follow(zero_centred, 0, 40);
  near("theta(40), first", t.theta[0], 5.5820e-5, 5e-10);
  near("theta(40), second", t.theta[1], 2.41085e-3, 5e-9);
}
static void test_unit_centred(void **state) { /* settles on the unit circle, not at the real point */
  (void)state;
  track t = follow(unit_centred, 0, 200);
  near("|theta(200)|", hypot(t.theta[0], t.theta[1]), 1, 1e-3);
}
static void test_spectral(void **state) {
  (void)state;
  track t = follow(spectral, 0, 100);
  near("least |phi|", t.phi_least, 0.223607, 1e-6);
  near("largest |phi|", t.phi_most, 0.223607, 1e-6);
  near("largest |theta|", t.most, 0.399, 1e-3);
  assert_true(t.least < 0.1);
}
/* Oscillates on and on; that the range is 0.13 to 0.24 is so from t = 80 on. */
static void test_not_saturating(void **state) {
  (void)state;
  track t = follow(saturating_not, 80, 120);
  assert_true(t.least >= 0.13 && t.most <= 0.24 && t.most - t.least > 0.08);
}
/* Circles for ever: theta x phi = 0.03 is kept, the rest wears off. With decay it arrives. */
static void test_quadratic(void **state) {
  (void)state;
  track t = follow(quadratic, 180, 200), decayed = follow(quadratic_decayed, 60, 70);
  near("least |theta|", t.least, sqrt(0.03), 1e-6);
  near("largest |theta|", t.most, sqrt(0.03), 1e-6);
  near("least speed", t.phi_least, sqrt(0.03), 1e-6);
  near("with decay: |theta(70)|", hypot(decayed.theta[0], decayed.theta[1]), 6e-3, 5e-4);
}

int main(void) {
#define NAMED(text, f) {.name = text, .test_func = test_##f, .setup_func = set_up, .teardown_func = tear_down}
  const struct CMUnitTest tests[] = {
      NAMED("04-1.5-1-penalty", penalty),
      NAMED("04-1.5-3-normalised", normalised),
      NAMED("04-1.5-3-scale-free", scale_free),
      NAMED("04-1.5-4-linear-critic", linear_critic),
      NAMED("04-1.5-5-zero-centred", zero_centred),
      NAMED("04-1.5-5-unit-centred", unit_centred),
      NAMED("04-1.5-5-spectral", spectral),
      NAMED("04-1.5-5-not-saturating", not_saturating),
      NAMED("04-1.5-5-quadratic", quadratic),
  };
  return cmocka_run_group_tests_name("critics", tests, NULL, NULL) != 0;
}
