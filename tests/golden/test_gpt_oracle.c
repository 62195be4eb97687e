/* GPT-2, LLaMA and a model with a bit of everything against PyTorch's float64 (make_gpt.py): logits, loss, every gradient. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "model_run.h"
#include "models/models.h"

#define CASES WOK_SOURCE_DIR "/tests/golden/gpt/"

static const void *stored(const wok__st_file *f, const char *name, wok_dtype t, int64_t *n) {
  const wok__st_entry *e = wok__st_find(f, name);
  assert_non_null(e);
  assert_int_equal(e->dtype, t);
  *n = wok__shape_count(&e->shape);
  void *copy = malloc((size_t)e->bytes + 1); /* aligned, other than in the file */
  memcpy(copy, wok__st_data(f, e), (size_t)e->bytes);
  return copy;
}

/* The same numbers in f64: they are f32 numbers, so nothing is lost. */
static wok_model *in_double(wok_ctx *c, const wok_model *m) {
  wok_model *d;
  assert_int_equal(wok_model_new(c, &d, wok_model_get_config(m), WOK_F64, 1), WOK_OK);
  assert_true(wok__convert(WOK_F32, wok_buffer_data(wok_model_buffer(m)), WOK_F64,
                           wok_buffer_data(wok_model_buffer(d)), wok_model_param_count(m)));
  return d;
}

static double *expected_grads(wok_ctx *c, const wok_model *m, const char *path) {
  wok__weights *w;
  double *g = calloc((size_t)wok_model_param_count(m), sizeof *g);
  assert_int_equal(wok__weights_open_file(c, &w, path), WOK_OK);
  assert_int_equal(wok__weights_read(c, w, wok_model_type(&m->cfg), &m->cfg, m->params, WOK_F64, g), WOK_OK);
  wok__weights_close(w);
  return g;
}

static double compare(const model_run *r, const wok_model *m, double loss, const double *logits,
                      const double *grads, double tolerance, const char *what) {
  double worst = relative_error(&r->loss, &loss, 1), e = relative_error(r->logits, logits, r->nlogits);
  if (worst > tolerance) fail_msg("%s: loss %.17g, not %.17g", what, r->loss, loss);
  if (e > tolerance) fail_msg("%s: logits are wrong by %g", what, e);
  worst = e > worst ? e : worst;
  const wok_param *list;
  int64_t n = wok_model_params(m, &list);
  for (int64_t i = 0; i < n; i++) {
    e = relative_error(r->grads + list[i].offset, grads + list[i].offset, list[i].count);
    if (e > tolerance) fail_msg("%s: the gradient of %s is wrong by %g", what, list[i].name, e);
    worst = e > worst ? e : worst;
  }
  return worst;
}

static void oracle(const char *name, const char *type) {
  wok_ctx *c;
  wok_model *m;
  wok__st_file *f;
  char path[512];
  int64_t n, nl, one;
  assert_int_equal(wok_ctx_new(&c, &(wok_ctx_opts){.threads = 2}), WOK_OK);
  snprintf(path, sizeof path, CASES "%s", name);
  if (wok_model_open(c, &m, path)) fail_msg("%s", wok_errmsg(c));
  assert_string_equal(wok_model_type(wok_model_get_config(m)), type);
  snprintf(path, sizeof path, CASES "%s/grads.safetensors", name);
  double *grads = expected_grads(c, m, path);
  snprintf(path, sizeof path, CASES "%s/oracle.safetensors", name);
  assert_int_equal(wok__st_open(c, &f, path), WOK_OK);
  const packed p = {.ids = stored(f, "ids", WOK_I32, &n),
                    .pos = stored(f, "pos", WOK_I32, &n),
                    .lo = stored(f, "lo", WOK_I32, &n),
                    .hi = stored(f, "hi", WOK_I32, &n),
                    .labels = stored(f, "labels", WOK_I32, &n),
                    .n = 17};
  assert_int_equal(n, p.n);
  const double *logits = stored(f, "logits", WOK_F64, &nl), *loss = stored(f, "loss", WOK_F64, &one);
  wok_model *d = in_double(c, m);
  const struct {
    const char *what;
    wok_model *m;
    double tolerance;
    bool reference;
  } runs[] = {{"f64 reference", d, 1e-10, true},
              {"f32 reference", m, 1e-5, true},
              {"f64", d, 1e-10, false},
              {"f32", m, 1e-5, false}};
  for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
    model_run r;
    assert_true(
        model_run_new(&r, c, runs[i].m, &p, &(run_how){.reference = runs[i].reference, .grads = true}));
    assert_true(model_run_go(&r, 0));
    assert_int_equal(r.nlogits, nl);
    double worst = compare(&r, runs[i].m, *loss, logits, grads, runs[i].tolerance, runs[i].what);
    print_message("%s %s: within %.1e\n", name, runs[i].what, worst);
    model_run_free(&r);
  }
  const void *const copies[] = {p.ids, p.pos, p.lo, p.hi, p.labels, logits, loss};
  for (size_t i = 0; i < sizeof copies / sizeof *copies; i++) free((void *)(uintptr_t)copies[i]);
  free(grads);
  wok_model_free(d);
  wok_model_free(m);
  wok__st_close(f);
  wok_ctx_free(c);
}

static void test_gpt2(void **state) { oracle("gpt2", "gpt2"); }
static void test_llama(void **state) { oracle("llama", "llama"); }
static void test_own(void **state) { oracle("own", "wok-gpt"); }

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_gpt2), cmocka_unit_test(test_llama),
                                     cmocka_unit_test(test_own)};
  return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
