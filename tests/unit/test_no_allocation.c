/* A planned step allocates nothing: 50 steps of training and of generation under a malloc that counts and tells callers apart. */
#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "infer/session.h"
#include "scratch.h"
#include "train/engine.h"

#if defined(__SANITIZE_ADDRESS__) || !defined(__GLIBC__)
int main(void) {
  print_message("skipped: another malloc is in the way\n");
  return 0;
}
#else
enum { STEPS = 50, SEEN = 1 << 14 };
extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t), *__libc_memalign(size_t, size_t);
static atomic_bool counting;
static atomic_int nseen;
static void *seen[SEEN]; /* who called */

static void note(void *caller) {
  if (!counting) return;
  int i = nseen++;
  if (i < SEEN) seen[i] = caller;
}
#define CALLER __builtin_return_address(0)
void *malloc(size_t n) { return note(CALLER), __libc_malloc(n); }
void *calloc(size_t n, size_t m) { return note(CALLER), __libc_calloc(n, m); }
void *realloc(void *p, size_t n) { return note(CALLER), __libc_realloc(p, n); }
void *memalign(size_t a, size_t n) { return note(CALLER), __libc_memalign(a, n); }
void *aligned_alloc(size_t a, size_t n) { return note(CALLER), __libc_memalign(a, n); }
int posix_memalign(void **p, size_t a, size_t n) {
  note(CALLER);
  *p = __libc_memalign(a, n);
  return *p ? 0 : 12;
}

/* Allocations since the last call, by whether oneDNN (or the C++ library below it) made them. */
typedef struct tally { int ours, onednn; const char *who; } tally;
static tally count(void) {
  tally t = {0};
  counting = false;
  for (int i = 0; i < nseen && i < SEEN; i++) {
    Dl_info d = {0};
    bool foreign = dladdr(seen[i], &d) && d.dli_fname && (strstr(d.dli_fname, "libdnnl") || strstr(d.dli_fname, "libstdc++") || strstr(d.dli_fname, "libgomp"));
    t.onednn += foreign;
    t.ours += !foreign;
    if (!foreign) t.who = d.dli_sname ? d.dli_sname : d.dli_fname;
  }
  nseen = 0;
  return t;
}

static wok_status doc_length(const wok__docs *d, int64_t document, int64_t *tokens) {
  (void)d;
  *tokens = 5 + document % 40;
  return WOK_OK;
}
static wok_status doc_read(const wok__docs *d, int64_t document, int64_t start, int64_t n, int32_t *ids) {
  (void)d;
  for (int64_t i = 0; i < n; i++) ids[i] = (int32_t)((document * 31 + start + i * 7) % 200);
  return WOK_OK;
}

static wok_model *small_model(scratch *s, const char *style) {
  wok_model_config cfg;
  wok_model *m;
  assert_works(s->c, wok_model_preset(s->c, &cfg, "nano", style, 200));
  assert_works(s->c, wok_model_set(s->c, &cfg, "hidden_dropout=0.1"));
  assert_works(s->c, wok_model_new(s->c, &m, &cfg, WOK_F32, 1));
  wok_model_config_free(&cfg);
  return m;
}

static void train(scratch *s, const char *compute) {
  wok_model *m = small_model(s, "gpt2");
  wok__engine e;
  wok__stream stream;
  wok__step_result r;
  wok__docs docs = {.c = s->c, .documents = 1 << 20, .tokens = 24 << 20, .length = doc_length, .read = doc_read};
  const wok_train_opts o = {.batch = 4, .seq = 64, .accumulate = 2, .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .weight_decay = 0.1, .clip = 1, .seed = 1, .compute = compute};
  assert_works(s->c, wok__engine_new(s->c, &e, m, &o));
  assert_works(s->c, wok__stream_open(&stream, &docs, 1, o.seq, 0));
  int first = -1;
  for (int i = 0; i <= STEPS; i++) {
    counting = i > 0; /* the first step warms up */
    wok_status st = wok__engine_step(&e, &stream, 1e-3, &r);
    tally t = count();
    assert_works(s->c, st);
    if (t.ours) fail_msg("training in %s, step %d: expected no allocation, got %d (by %s)", compute, i, t.ours, t.who);
    if (i == 1) first = t.onednn;
    if (i > 1 && t.onednn != first) fail_msg("training in %s, step %d: oneDNN allocated %d times, %d at first", compute, i, t.onednn, first);
  }
  print_message("training in %s: none by wok, %d a step by oneDNN\n", compute, first);
  wok__engine_free(&e);
  wok_model_free(m);
}

static void training(void **state) {
  static const char *const computes[] = {"f32", "bf16", "bf16x3"};
  for (size_t i = 0; i < WOK__COUNT(computes); i++) train(*state, computes[i]);
}

static void generation(void **state) {
  scratch *s = *state;
  wok_model *m = small_model(s, "llama");
  wok__session *k;
  wok__sampler *sampler;
  const float *logits;
  float row[200];
  const wok_generate_opts o = {.top_k = 20, .top_p = 0.9, .temperature = 0.8, .repetition_penalty = 1.1};
  assert_works(s->c, wok__session_new(m, &k, &(wok__session_opts){.slots = 3, .capacity = 64, .chunk = 16}));
  assert_works(s->c, wok__sampler_new(s->c, &sampler, &o, 200));
  int32_t history[3][64] = {{0}};
  for (int i = 0; i <= STEPS; i++) {
    wok__token t[3];
    int n = i % 5 == 4 ? 2 : 3; /* sequences come and go: no other plan */
    for (int q = 0; q < n; q++) t[q] = (wok__token){history[q][i], q, i, true};
    counting = i > 0;
    wok_status st = wok__session_run(k, t, n, &logits);
    for (int q = 0; q < n && !st; q++) {
      memcpy(row, logits + q * 200, sizeof row);
      history[q][i + 1] = wok__sample(sampler, row, history[q], i + 1, (uint64_t)q);
    }
    tally a = count();
    assert_works(s->c, st);
    if (a.ours || a.onednn) fail_msg("token %d: expected no allocation, got %d of ours (by %s), %d of oneDNN's", i, a.ours, a.who, a.onednn);
  }
  wok__sampler_free(sampler);
  wok__session_free(k);
  wok_model_free(m);
}

int main(void) {
  void *p = malloc(100);
  counting = true;
  void *volatile q = malloc(10);
  free(q);
  tally t = count();
  free(p);
  if (t.ours != 1) return 1; /* the count itself does not work */
#define TEST(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)
  const struct CMUnitTest tests[] = {TEST(training), TEST(generation)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
#endif
