/* The update over the slabs, groups, schedules, clipping. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include "scratch.h"
#include "optim/optim.h"

#define ASSERT_NEAR(got, want, tolerance)                                                                    \
  do {                                                                                                       \
    double got_ = (got), want_ = (want);                                                                     \
    if (!(fabs(got_ - want_) <= (tolerance))) fail_msg("%s: %.17g, not %.17g", #got, got_, want_);           \
  } while (0)

static void all_near(const char *what, const float *got, const double *want, int64_t n, double relative) {
  double most = 0;
  for (int64_t i = 0; i < n; i++) most = fmax(most, fabs(want[i]));
  for (int64_t i = 0; i < n; i++)
    if (!(fabs((double)got[i] - want[i]) <= relative * most)) fail_msg("%s[%d]: %.9g, not %.17g", what, (int)i, (double)got[i], want[i]);
}

static wok_param param(const char *name, wok_role role, wok_shape shape, int64_t offset) {
  return (wok_param){.name = name, .role = role, .shape = shape, .offset = offset, .count = wok__shape_count(&shape)};
}

static const wok__optim_opts adamw = {.number = {0.9, 0.95, 1e-8}, .weight_decay = 0.1};

/* ---- AdamW: the numbers are printed by tests/golden/make_adamw.py (torch.optim.AdamW in f64) ---- */
static const double weight_after[] = {-0.77914165137608249,  -0.20002043241145867, 0.35821318878025143, -0.62293547089731904,
                                      -0.053238342923937372, 0.53484398415633116,  -0.4722764234771385, 0.12205166749541456,
                                      0.67087094474962294,   -0.29709778398888698, 0.25983721257636994, -0.7294306833102665,
                                      -0.15524344912828483,  0.42816744054097933,  -0.57811780020490544};
static const double weight_m[] = {0.018664598792578119,   -0.00015138633359374704, 0.0036719973828125032,  -0.0079447689933593735,
                                  0.0084470524964843745,  0.00027365013085937288,  0.0064850370242187493,  0.0030350420804687479,
                                  -0.0047185018855468719, -0.0016891999542968741,  0.0018688500757812498,  -0.016681801364062498,
                                  0.0023928385097656221,  -0.011906746250390622,   -0.0054005441499999978};
static const double weight_v[] = {0.0051120853566465098, 0.0046265987387574406, 0.0050061713287775558, 0.0046250725877396365,
                                  0.0049395747108886565, 0.0045542604470860913, 0.0049090246974588022, 0.0046902786208691686,
                                  0.0047755701720947818, 0.0049206306857880553, 0.0046442283428154672, 0.0051171171591753049,
                                  0.0046293943469254036, 0.0049957276553489281, 0.0046044991330064329};
static const double bias_after[] = {-0.68657014713753484, -0.044075273035286459, 0.60705273534576498, -0.30955456297881434,
                                    0.31806019900521204};

enum { ROWS = 3, COLS = 5, WEIGHTS = ROWS * COLS, GAP = 2, BIAS_AT = WEIGHTS + GAP, COUNT = BIAS_AT + COLS + 1 };

static void fill_values(float *x, int n, int a, int b, int modulus, float scale) {
  for (int i = 0; i < n; i++) x[i] = (float)((i * a + b) % modulus - modulus / 2) / scale;
}

static void adamw_is_that_of_pytorch(void **state) {
  scratch *s = *state;
  float params[COUNT] = {0};
  uint16_t bf16[COUNT];
  memset(bf16, 0xff, sizeof bf16);
  fill_values(params, WEIGHTS, 37, 0, 101, 64);
  fill_values(params + BIAS_AT, COLS, 41, 7, 101, 64);
  const wok_param list[] = {param("weight", WOK_ROLE_KERNEL, WOK_SHAPE(ROWS, COLS), 0),
                            param("bias", WOK_ROLE_BIAS, WOK_SHAPE(COLS), BIAS_AT)};
  wok__optim *o;
  assert_works(s->c, wok__optim_new(s->c, &o, list, 2, params, COUNT, &adamw));
  for (int t = 1; t <= 10; t++) {
    /* as if four tokens had been summed */
    memset(wok__optim_grads(o), 0, COUNT * sizeof(float));
    float *g = wok__optim_grads(o);
    fill_values(g, WEIGHTS, 53, 29 * t, 97, 256.0F / 4);
    fill_values(g + BIAS_AT, COLS, 59, 31 * t, 97, 256.0F / 4);
    wok__optim_report r;
    assert_works(s->c, wok__optim_step(o, 0.25, 0.01 * t / 10, &r));
    assert_true(r.clip == 1);
    if (t == 9) wok__optim_set_bf16(o, bf16);
  }
  assert_int_equal(wok__optim_steps(o), 10);
  for (int i = 0; i < COUNT; i++) { /* of what was updated, and of that alone */
    uint16_t want = i < WEIGHTS || (i >= BIAS_AT && i < BIAS_AT + COLS) ? wok__f32_to_bf16(params[i]) : UINT16_MAX;
    if (bf16[i] != want) fail_msg("bf16[%d]: %04x, not %04x", i, bf16[i], want);
  }
  all_near("weight", params, weight_after, WEIGHTS, 3e-7);
  all_near("bias", params + BIAS_AT, bias_after, COLS, 3e-7);
  assert_string_equal(wok__optim_rule(o)->state[0], "m");
  all_near("m", wok__optim_state(o, 0), weight_m, WEIGHTS, 1e-6);
  all_near("v", wok__optim_state(o, 1), weight_v, WEIGHTS, 1e-6);
  for (int i = 0; i < GAP; i++) assert_true(params[WEIGHTS + i] == 0); /* what belongs to nobody stays */
  wok__optim_free(o);
}

/* Against a scalar reference in f64, on sizes that fill no vector and no chunk (spec 03, 12). */
static void awkward_sizes(void **state) {
  scratch *s = *state;
  const int64_t size[] = {1, 7, 63, 4097, 20000};
  for (size_t k = 0; k < sizeof size / sizeof *size; k++) {
    int64_t n = size[k], count = n + 1; /* an odd offset: unaligned */
    float *p = calloc((size_t)count, sizeof *p);
    double *rp = calloc((size_t)n, sizeof *rp), *rm = calloc((size_t)n, sizeof *rm), *rv = calloc((size_t)n, sizeof *rv);
    assert_true(p && rp && rm && rv);
    wok__rng rng;
    wok__rng_init(&rng, 5, (uint32_t)k);
    for (int64_t i = 0; i < n; i++) rp[i] = (double)(p[i + 1] = (float)wok__rng_normal(&rng));
    wok_param list = param("w", WOK_ROLE_EMBEDDING, WOK_SHAPE(n), 1);
    wok__optim *o;
    assert_works(s->c, wok__optim_new(s->c, &o, &list, 1, p, count, &adamw));
    for (int t = 1; t <= 100; t++) {
      float *g = wok__optim_grads(o);
      for (int64_t i = 0; i < n; i++) {
        g[i + 1] = (float)wok__rng_normal(&rng);
        rm[i] = 0.9 * rm[i] + 0.1 * (double)g[i + 1];
        rv[i] = 0.95 * rv[i] + 0.05 * (double)g[i + 1] * (double)g[i + 1];
        rp[i] -= 1e-3 * (rm[i] / (1 - pow(0.9, t)) / (sqrt(rv[i] / (1 - pow(0.95, t))) + 1e-8) + 0.1 * rp[i]);
      }
      wok__optim_report r;
      assert_works(s->c, wok__optim_step(o, 1, 1e-3, &r));
    }
    all_near("w", p + 1, rp, n, 1e-6);
    assert_true(p[0] == 0);
    wok__optim_free(o);
    free(p), free(rp), free(rm), free(rv);
  }
}

static void roles_decide_the_decay(void **state) {
  scratch *s = *state;
  static const struct { wok_role role; bool decays; } want[] = {{WOK_ROLE_KERNEL, true}, {WOK_ROLE_EMBEDDING, true}, {WOK_ROLE_HEAD, true},
                                                                {WOK_ROLE_BIAS, false},  {WOK_ROLE_GAIN, false}};
  wok_param list[5];
  float p[5];
  for (int i = 0; i < 5; i++) {
    list[i] = param("x", want[i].role, WOK_SHAPE(1), i);
    p[i] = 2;
  }
  wok__optim *o;
  assert_works(s->c, wok__optim_new(s->c, &o, list, 5, p, 5, &adamw));
  wok__optim_report r;
  assert_works(s->c, wok__optim_step(o, 1, 0.5, &r)); /* gradients are zero: only the decay moves anything */
  for (int i = 0; i < 5; i++) ASSERT_NEAR((double)p[i], want[i].decays ? 2 * (1 - 0.5 * 0.1) : 2, 1e-6);
  wok__optim_free(o);
}

/* ---- the norm and clipping ---- */
static void f1_both_forms(void **state) {
  scratch *s = *state;
  ASSERT_NEAR(3 * wok__clip_factor(WOK__CLIP_HARD, 1, 5), 0.6, 1e-15);
  ASSERT_NEAR(4 * wok__clip_factor(WOK__CLIP_HARD, 1, 5), 0.8, 1e-15);
  assert_true(wok__clip_factor(WOK__CLIP_HARD, 10, 5) == 1);
  ASSERT_NEAR(3 * wok__clip_factor(WOK__CLIP_SOFT, 1, 5), 0.5, 1e-15);
  ASSERT_NEAR(4 * wok__clip_factor(WOK__CLIP_SOFT, 1, 5), 0.6667, 5e-5);
  /* no division by a norm of zero; a threshold of zero is none */
  assert_true(wok__clip_factor(WOK__CLIP_HARD, 1, 0) == 1 && wok__clip_factor(WOK__CLIP_SOFT, 1, 0) == 1);
  assert_true(wok__clip_factor(WOK__CLIP_HARD, 0, 5) == 1 && wok__clip_factor(WOK__CLIP_SOFT, -1, 5) == 1);
  /* through the whole step: the first moment is 0.1 times the clipped gradient */
  float p[2] = {0};
  wok_param list = param("w", WOK_ROLE_KERNEL, WOK_SHAPE(2), 0);
  wok__optim_opts opts = adamw;
  opts.clip = 1;
  wok__optim *o;
  assert_works(s->c, wok__optim_new(s->c, &o, &list, 1, p, 2, &opts));
  wok__optim_grads(o)[0] = 6;
  wok__optim_grads(o)[1] = 8;
  wok__optim_report r;
  assert_works(s->c, wok__optim_step(o, 0.5, 1e-3, &r));
  ASSERT_NEAR(r.norm, 5, 1e-12);
  ASSERT_NEAR(r.clip, 0.2, 1e-12);
  ASSERT_NEAR((double)wok__optim_state(o, 0)[0], 0.06, 1e-8);
  ASSERT_NEAR((double)wok__optim_state(o, 0)[1], 0.08, 1e-8);
  wok__optim_free(o);
}

static void f2_soft_and_hard_control_each_other(void **state) {
  (void)state;
  wok__rng rng;
  wok__rng_init(&rng, 1, 1);
  for (int i = 0; i < 1000000; i++) {
    double n = exp(8 * wok__rng_uniform(&rng) - 4), gamma = exp(8 * wok__rng_uniform(&rng) - 4);
    double hard = wok__clip_factor(WOK__CLIP_HARD, gamma, n), soft = wok__clip_factor(WOK__CLIP_SOFT, gamma, n);
    if (!(0.5 * hard <= soft * (1 + 1e-15) && soft <= hard) || !(n * hard <= gamma * (1 + 1e-6)))
      fail_msg("n %g, gamma %g: hard %g, soft %g", n, gamma, hard, soft);
  }
}

static void f4_norm(void **state) {
  (void)state;
  enum { N = 300001 };
  double want = 0, got[3];
  const int threads[] = {1, 2, 8};
  float *p = calloc(N, sizeof *p), *after[3];
  assert_non_null(p);
  for (int k = 0; k < 3; k++) {
    wok_ctx *c;
    assert_int_equal(wok_ctx_new(&c, &(wok_ctx_opts){.threads = threads[k]}), WOK_OK);
    after[k] = calloc(N, sizeof *p);
    assert_non_null(after[k]);
    wok_param list[] = {param("a", WOK_ROLE_KERNEL, WOK_SHAPE(100, 2001), 0), param("b", WOK_ROLE_BIAS, WOK_SHAPE(N - 200100), 200100)};
    wok__optim *o;
    assert_works(c, wok__optim_new(c, &o, list, 2, after[k], N, &adamw));
    wok__rng rng;
    wok__rng_init(&rng, 3, 3);
    for (int64_t i = 0; i < N; i++) {
      float g = (float)(wok__rng_normal(&rng) * exp(6 * wok__rng_uniform(&rng) - 3));
      wok__optim_grads(o)[i] = g;
      if (k == 0) want += (double)g * (double)g;
    }
    wok__optim_report r;
    assert_works(c, wok__optim_step(o, 1, 1e-3, &r));
    got[k] = r.norm;
    wok__optim_free(o);
    wok_ctx_free(c);
  }
  ASSERT_NEAR(got[0], sqrt(want), 1e-6 * sqrt(want));
  for (int k = 1; k < 3; k++) {
    assert_memory_equal(&got[0], &got[k], sizeof got[0]);
    assert_memory_equal(after[0], after[k], N * sizeof *p);
  }
  for (int k = 0; k < 3; k++) free(after[k]);
  free(p);
}

static void a_bad_step_changes_nothing(void **state) {
  scratch *s = *state;
  const float bad[] = {NAN, INFINITY, -INFINITY};
  for (int k = 0; k < 3; k++) {
    float p[70] = {1, 2, 3};
    wok_param list = param("w", WOK_ROLE_KERNEL, WOK_SHAPE(7, 10), 0);
    wok__optim *o;
    assert_works(s->c, wok__optim_new(s->c, &o, &list, 1, p, 70, &adamw));
    wok__optim_grads(o)[69] = bad[k];
    wok__optim_report r;
    assert_fails(s->c, wok__optim_step(o, 1, 1, &r), WOK_NONFINITE, k == 0 ? "not a number" : "infinite");
    assert_true(p[0] == 1 && p[1] == 2 && p[2] == 3 && wok__optim_state(o, 0)[69] == 0 && wok__optim_steps(o) == 0);
    wok__optim_free(o);
  }
}

static void refused(void **state) {
  scratch *s = *state;
  float p[4] = {0};
  wok_param ok = param("w", WOK_ROLE_KERNEL, WOK_SHAPE(4), 0), outside = param("w", WOK_ROLE_KERNEL, WOK_SHAPE(4), 1);
  wok__optim *o;
  wok__optim_opts opts = adamw;
  opts.rule = "adam";
  assert_fails(s->c, wok__optim_new(s->c, &o, &ok, 1, p, 4, &opts), WOK_NOTFOUND, "no optimizer rule \"adam\"");
  assert_null(o);
  opts = adamw;
  opts.number[1] = 1;
  assert_fails(s->c, wok__optim_new(s->c, &o, &ok, 1, p, 4, &opts), WOK_INVALID, "beta2 must lie in [0, 1), not 1");
  opts.number[1] = NAN;
  assert_fails(s->c, wok__optim_new(s->c, &o, &ok, 1, p, 4, &opts), WOK_INVALID, "beta2");
  opts = adamw;
  opts.weight_decay = NAN;
  assert_fails(s->c, wok__optim_new(s->c, &o, &ok, 1, p, 4, &opts), WOK_INVALID, "weight decay");
  assert_fails(s->c, wok__optim_new(s->c, &o, &outside, 1, p, 4, &adamw), WOK_INVALID, "w does not lie in the slab");
}

/* ---- schedules ---- */
static void schedules_by_step(void **state) {
  (void)state;
  wok__schedule s = {.shape = "cosine", .peak = 1, .end = 0.1, .steps = 110, .warmup = 10};
  ASSERT_NEAR(wok__schedule_lr(&s, 1, 0), 0.1, 1e-15);
  ASSERT_NEAR(wok__schedule_lr(&s, 5, 0), 0.5, 1e-15);
  ASSERT_NEAR(wok__schedule_lr(&s, 10, 0), 1, 1e-15);
  ASSERT_NEAR(wok__schedule_lr(&s, 60, 0), 0.55, 1e-15);
  ASSERT_NEAR(wok__schedule_lr(&s, 35, 0), 0.1 + 0.45 * (1 + sqrt(0.5)), 1e-12);
  ASSERT_NEAR(wok__schedule_lr(&s, 110, 0), 0.1, 1e-15);
  ASSERT_NEAR(wok__schedule_lr(&s, 500, 0), 0.1, 1e-15);
  s.shape = "linear";
  ASSERT_NEAR(wok__schedule_lr(&s, 35, 0), 0.775, 1e-15);
  ASSERT_NEAR(wok__schedule_lr(&s, 110, 0), 0.1, 1e-15);
  s.shape = "constant";
  ASSERT_NEAR(wok__schedule_lr(&s, 5, 0), 0.5, 1e-15);
  ASSERT_NEAR(wok__schedule_lr(&s, 110, 0), 1, 1e-15);
  /* one step only, a rise longer than the run, none at all */
  s = (wok__schedule){.shape = "cosine", .peak = 1, .end = 0, .steps = 1, .warmup = 1};
  ASSERT_NEAR(wok__schedule_lr(&s, 1, 0), 1, 1e-15);
  s = (wok__schedule){.shape = "cosine", .peak = 1, .end = 0, .steps = 3, .warmup = 6};
  ASSERT_NEAR(wok__schedule_lr(&s, 3, 0), 0.5, 1e-15);
  s = (wok__schedule){.shape = "linear", .peak = 1, .end = 0, .steps = 4, .warmup = 0};
  ASSERT_NEAR(wok__schedule_lr(&s, 1, 0), 0.75, 1e-15);
  assert_true(wok__schedule_known("linear") && !wok__schedule_known("step"));
}

static void schedules_by_time(void **state) {
  (void)state;
  wok__schedule s = {.shape = "linear", .peak = 1, .end = 0, .seconds = 100};
  assert_true(wok__schedule_lr(&s, 1, 0) > 0); /* the first step is never wasted */
  ASSERT_NEAR(wok__schedule_lr(&s, 10, 2.5), 0.5, 1e-12);
  ASSERT_NEAR(wok__schedule_lr(&s, 250, 0.5), 0.5, 1e-12); /* 500 steps end the rise, too */
  ASSERT_NEAR(wok__schedule_lr(&s, 10, 5), 1, 1e-12);
  ASSERT_NEAR(wok__schedule_lr(&s, 10, 52.5), 0.5, 1e-12);
  ASSERT_NEAR(wok__schedule_lr(&s, 1000, 100), 0, 1e-12);
  ASSERT_NEAR(wok__schedule_lr(&s, 1000, 130), 0, 1e-12);
  s.warmup = 20;
  ASSERT_NEAR(wok__schedule_lr(&s, 5, 40), 0.25, 1e-12);
  s.steps = 40; /* both bounds: what is further on */
  ASSERT_NEAR(wok__schedule_lr(&s, 30, 10), 0.5, 1e-12);
  ASSERT_NEAR(wok__schedule_lr(&s, 30, 75), 0.25, 1e-12);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(adamw_is_that_of_pytorch, scratch_setup, scratch_teardown),
      cmocka_unit_test_setup_teardown(awkward_sizes, scratch_setup, scratch_teardown),
      cmocka_unit_test_setup_teardown(roles_decide_the_decay, scratch_setup, scratch_teardown),
      cmocka_unit_test_setup_teardown(f1_both_forms, scratch_setup, scratch_teardown),
      cmocka_unit_test(f2_soft_and_hard_control_each_other),
      cmocka_unit_test(f4_norm),
      cmocka_unit_test_setup_teardown(a_bad_step_changes_nothing, scratch_setup, scratch_teardown),
      cmocka_unit_test_setup_teardown(refused, scratch_setup, scratch_teardown),
      cmocka_unit_test(schedules_by_step),
      cmocka_unit_test(schedules_by_time),
  };
  return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
