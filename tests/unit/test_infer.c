/* Sampling and generation: what each option does to the distribution, the cache against a full forward pass, prompts together
   against one by one, streaming. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "infer/session.h"

enum { V = 257 };
static wok_ctx *c;
static wok_model *m;
static wok_tokenizer *t;

static int set_up(void **state) {
  (void)state;
  if (wok_ctx_new(&c, &(wok_ctx_opts){.threads = 2, .seed = 3})) return -1;
  wok_model_config cfg = {0};
  if (wok_model_preset(c, &cfg, "nano", "llama", V)) return -1;
  const char *const set[] = {"num_hidden_layers=2", "hidden_size=48", "num_attention_heads=4", "num_key_value_heads=2", "head_dim=12",
                             "max_position_embeddings=64", "initializer_range=0.3"};
  for (size_t i = 0; i < sizeof set / sizeof *set; i++)
    if (wok_model_set(c, &cfg, set[i])) {
      print_error("%s: %s\n", set[i], wok_errmsg(c));
      return -1;
    }
  int e = wok_model_new(c, &m, &cfg, WOK_F32, 5) || wok_tokenizer_bytes(c, &t);
  wok_model_config_free(&cfg);
  return e;
}
static int tear_down(void **state) {
  (void)state;
  wok_tokenizer_free(t);
  wok_model_free(m);
  wok_ctx_free(c);
  return 0;
}

/* ---- sampling ---- */
enum { SMALL = 8, DRAWS = 20000 };
static const double p8[SMALL] = {0.30, 0.22, 0.16, 0.12, 0.09, 0.06, 0.04, 0.01};

/* Draws and compares with the expected probabilities: each within five standard deviations. */
static void expect(const wok_generate_opts *o, const double want[SMALL], const int32_t *history, int64_t nhistory) {
  wok__sampler *s;
  int64_t count[SMALL] = {0};
  assert_int_equal(wok__sampler_new(c, &s, o, SMALL), WOK_OK);
  for (int i = 0; i < DRAWS; i++) {
    float logits[SMALL];
    for (int k = 0; k < SMALL; k++) logits[k] = (float)log(p8[k]);
    count[wok__sample(s, logits, history, nhistory, (uint64_t)i)]++;
  }
  for (int k = 0; k < SMALL; k++) {
    double came = (double)count[k] / DRAWS, sigma = sqrt(want[k] * (1 - want[k]) / DRAWS);
    if (fabs(came - want[k]) > 5 * sigma + 1e-12) fail_msg("token %d: expected %.4f, came %.4f", k, want[k], came);
  }
  wok__sampler_free(s);
}

static void plain_draws_follow_the_model(void **state) {
  (void)state;
  expect(&(wok_generate_opts){.seed = 1}, p8, NULL, 0);
}

static void temperature_sharpens(void **state) {
  (void)state;
  double want[SMALL], sum = 0;
  for (int k = 0; k < SMALL; k++) sum += want[k] = p8[k] * p8[k];
  for (int k = 0; k < SMALL; k++) want[k] /= sum;
  expect(&(wok_generate_opts){.seed = 1, .temperature = 0.5}, want, NULL, 0);
}

static void top_k_keeps_the_k_most_probable(void **state) {
  (void)state;
  expect(&(wok_generate_opts){.seed = 1, .top_k = 3}, (double[]){0.30 / 0.68, 0.22 / 0.68, 0.16 / 0.68, 0, 0, 0, 0, 0}, NULL, 0);
}

static void top_p_keeps_the_least_set_that_holds_p(void **state) {
  (void)state;
  /* 0.30 + 0.22 = 0.52 < 0.6 <= 0.68 */
  expect(&(wok_generate_opts){.seed = 1, .top_p = 0.6}, (double[]){0.30 / 0.68, 0.22 / 0.68, 0.16 / 0.68, 0, 0, 0, 0, 0}, NULL, 0);
}

static void penalty_divides_what_occurred(void **state) {
  (void)state;
  /* logits are negative: multiplied by 2, so p becomes p^2; once, however often it occurred */
  double want[SMALL], sum = 0;
  for (int k = 0; k < SMALL; k++) sum += want[k] = k == 0 || k == 2 ? p8[k] * p8[k] : p8[k];
  for (int k = 0; k < SMALL; k++) want[k] /= sum;
  const int32_t history[] = {2, 0, 2, 2};
  expect(&(wok_generate_opts){.seed = 1, .repetition_penalty = 2}, want, history, 4);
  sum = 0;
  for (int k = 0; k < SMALL; k++) sum += want[k] = k == 2 ? p8[k] * p8[k] : p8[k];
  for (int k = 0; k < SMALL; k++) want[k] /= sum;
  expect(&(wok_generate_opts){.seed = 1, .repetition_penalty = 2, .repetition_window = 2}, want, history, 4);
}

static void greedy_takes_the_first_of_the_largest(void **state) {
  (void)state;
  wok__sampler *s;
  assert_int_equal(wok__sampler_new(c, &s, &(wok_generate_opts){.greedy = true}, 4), WOK_OK);
  assert_int_equal(wok__sample(s, (float[]){1, 3, 3, 2}, NULL, 0, 0), 1);
  wok__sampler_free(s);
}

/* ---- generation ---- */
static void cache_against_full_pass(const char *compute, double bound) {
  enum { N = 40 };
  int32_t ids[N];
  for (int i = 0; i < N; i++) ids[i] = (i * 37 + 11) % V;
  float *full = malloc(sizeof(float) * N * V);
  assert_int_equal(wok_logits(m, ids, N, full), WOK_OK); /* in f32 */
  assert_int_equal(wok_model_compute(m, compute), WOK_OK);
  wok__session *s;
  assert_int_equal(wok__session_new(m, &s, &(wok__session_opts){.slots = 2, .capacity = 64, .chunk = 64, .rows = 7}), WOK_OK);
  double worst = 0, big = 0;
  for (int i = 0; i < N;) { /* in pieces of 1, 2, 3, ... tokens, in the second slot, the first one busy with other text */
    int n = i % 7 + 1 < N - i ? i % 7 + 1 : N - i;
    wok__token run[16];
    const float *logits;
    for (int k = 0; k < n; k++) {
      run[2 * k] = (wok__token){(ids[i + k] + 1) % V, 0, i + k, false};
      run[2 * k + 1] = (wok__token){ids[i + k], 1, i + k, true};
    }
    assert_int_equal(wok__session_run(s, run, 2 * n, &logits), WOK_OK);
    for (int k = 0; k < n * V; k++) {
      worst = fmax(worst, fabs((double)(logits[k] - full[i * V + k])));
      big = fmax(big, fabs((double)full[i * V + k]));
    }
    i += n;
  }
  print_message("cache in %s against full pass: differs by %.2e of %.2f\n", compute, worst, big);
  assert_true(worst <= bound * big);
  wok__session_free(s);
  free(full);
  assert_int_equal(wok_model_compute(m, NULL), WOK_OK);
}

static void the_cache_gives_the_logits_of_a_full_pass(void **state) {
  (void)state;
  cache_against_full_pass("f32", 1e-5);
  /* this model's large weights amplify rounding 14 times: of bf16x3's 3.5e-6, of bf16's 2^-9 */
  cache_against_full_pass("bf16x3", 1e-4);
  cache_against_full_pass("bf16", 5e-2);
}

static void prompts_together_are_continued_as_one_by_one(void **state) {
  (void)state;
  const char *prompts[] = {"Once upon a time", "", "a much longer prompt that fills a good part of the model", "x"};
  wok_generate_opts o = {.max_tokens = 12, .seed = 9, .temperature = 1.2, .top_p = 0.9};
  wok_generated all[4], one[4];
  assert_int_equal(wok_generate(m, t, prompts, 4, &o, all, NULL), WOK_OK);
  for (int i = 0; i < 4; i++) { /* the draws follow the prompt's index: put it at the same place */
    const char *same[4];
    for (int k = 0; k < 4; k++) same[k] = k == i ? prompts[i] : "y";
    assert_int_equal(wok_generate(m, t, same, 4, &o, one, NULL), WOK_OK);
    assert_int_equal(one[i].n, all[i].n);
    assert_memory_equal(one[i].ids, all[i].ids, (size_t)all[i].n * sizeof(int32_t));
    assert_string_equal(one[i].stop, all[i].stop);
    wok_generated_free(one, 4);
  }
  /* 57 of 64 positions are taken by the third: it stops there or before */
  assert_true(all[2].n <= 64 - 57 + 1);
  wok_generated_free(all, 4);
}

typedef struct heard { char text[4096]; size_t n; int tokens; int stop_after; } heard;
static bool hear(void *ud, int i, int32_t id, const char *text, int64_t len) {
  heard *h = ud;
  (void)i;
  h->tokens += id >= 0;
  memcpy(h->text + h->n, text, (size_t)len);
  h->n += (size_t)len;
  return !h->stop_after || h->tokens < h->stop_after;
}

static void streaming_gives_the_text_in_whole_characters(void **state) {
  (void)state;
  const char *prompt = "\xe4\xbb\x8a";
  heard h = {.n = 0};
  wok_generated r;
  assert_int_equal(wok_generate(m, t, &prompt, 1, &(wok_generate_opts){.max_tokens = 40, .seed = 4, .ignore_eod = true, .on_text = hear, .ud = &h}, &r, NULL), WOK_OK);
  assert_int_equal(h.n, r.text_len);
  assert_memory_equal(h.text, r.text, h.n);
  assert_int_equal(h.tokens, r.n);
  wok_generated_free(&r, 1);
  h = (heard){.stop_after = 3};
  assert_int_equal(wok_generate(m, t, &prompt, 1, &(wok_generate_opts){.max_tokens = 40, .seed = 4, .ignore_eod = true, .on_text = hear, .ud = &h}, &r, NULL), WOK_OK);
  assert_int_equal(r.n, 3);
  assert_string_equal(r.stop, "caller");
  wok_generated_free(&r, 1);
}

static void what_does_not_fit_is_refused(void **state) {
  (void)state;
  char text[100];
  memset(text, 'a', sizeof text);
  text[64] = 0;
  const char *prompt = text;
  wok_generated r;
  assert_int_equal(wok_generate(m, t, &prompt, 1, NULL, &r, NULL), WOK_LIMIT);
  assert_string_equal(wok_errmsg(c), "prompt 1 has 64 tokens, the model has 64 positions (one is the document's start): shorten the prompt");
  float logits[V];
  assert_int_equal(wok_logits(m, (int32_t[]){V}, 1, logits), WOK_INVALID);
  assert_string_equal(wok_errmsg(c), "id 257 at place 0 is outside the vocabulary of 257");
}

static void damaged_weights_are_noticed(void **state) {
  (void)state;
  float *w = wok_buffer_data(wok_model_buffer(m));
  const char *prompt = "abc";
  wok_generated r;
  float keep = w[0];
  int64_t n = wok_model_param_count(m);
  w[n / 2] = NAN;
  assert_int_equal(wok_generate(m, t, &prompt, 1, NULL, &r, NULL), WOK_NONFINITE);
  w[n / 2] = keep;
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(plain_draws_follow_the_model),
      TEST(temperature_sharpens),
      TEST(top_k_keeps_the_k_most_probable),
      TEST(top_p_keeps_the_least_set_that_holds_p),
      TEST(penalty_divides_what_occurred),
      TEST(greedy_takes_the_first_of_the_largest),
      TEST(the_cache_gives_the_logits_of_a_full_pass),
      TEST(prompts_together_are_continued_as_one_by_one),
      TEST(streaming_gives_the_text_in_whole_characters),
      TEST(what_does_not_fit_is_refused),
      TEST(damaged_weights_are_noticed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
