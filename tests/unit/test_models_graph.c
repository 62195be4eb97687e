/* The forward pass as a graph: gradients of every block option, the cache, dropout, names, parameters as values. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "model_run.h"
#include "models/models.h"
#include "scratch.h"

enum { VOCAB = 13, TOKENS = 9 };
static const int32_t ids[TOKENS] = {3, 12, 0, 7, 7, 1, 5, 12, 9}, pos[TOKENS] = {0, 1, 2, 3, 4, 0, 1, 2, 3},
                     lo[TOKENS] = {0, 0, 0, 0, 0, 5, 5, 5, 5}, hi[TOKENS] = {1, 2, 3, 4, 5, 6, 7, 8, 9},
                     labels[TOKENS] = {12, 0, 7, 7, -1, 5, 12, 9, -1};
static const packed documents = {TOKENS, ids, pos, lo, hi, labels};

/* Weights large enough that every path counts; biases and gains away from 0 and 1. */
static wok_model *model(wok_ctx *c, const char *style, const char *const *set, wok_dtype t) {
  wok_model_config cfg;
  wok_model *m;
  assert_works(c, wok_model_preset(c, &cfg, "nano", style, VOCAB));
  cfg.hidden_size = 8;
  cfg.num_hidden_layers = 2;
  cfg.max_position_embeddings = 6;
  cfg.defaults.heads = 2;
  cfg.defaults.intermediate = 11;
  for (; *set; set++) assert_works(c, wok_model_set(c, &cfg, *set));
  assert_works(c, wok_model_new(c, &m, &cfg, t, 5));
  wok_model_config_free(&cfg);
  const wok_param *list;
  int64_t n = wok_model_params(m, &list);
  for (int64_t i = 0; i < n; i++) {
    const wok__init init = {.dist = WOK__DIST_NORMAL, .value = list[i].shape.ndim > 1 ? 0.4 : 0.2};
    char *at = (char *)m->slab.data + list[i].offset * wok_dtype_size(t);
    wok__init_fill(c, &init, 1, 1, 21, list[i].name, t, at, list[i].count);
    for (int64_t k = 0; k < list[i].count && list[i].role == WOK_ROLE_GAIN; k++) {
      if (t == WOK_F64)
        ((double *)(void *)at)[k] += 1;
      else
        ((float *)(void *)at)[k] += 1;
    }
  }
  return m;
}
#define MODEL(c, style, t, ...) model(c, style, (const char *const[]){__VA_ARGS__, NULL}, t)

/* ---- gradients ---- */
/* (L(w + h d) - L(w - h d)) / 2h for h and h/2, extrapolated: the error is of the order h^4. */
static double by_differences(model_run *loss, double *at, const double *kept, const double *d, int64_t n) {
  const double steps[2] = {8e-6, 4e-6}; /* small beside the distance of the nearest kink of relu */
  double slope[2];
  for (int i = 0; i < 2; i++) {
    double side[2];
    for (int s = 0; s < 2; s++) {
      for (int64_t k = 0; k < n; k++) at[k] = kept[k] + (s ? -steps[i] : steps[i]) * d[k];
      assert_true(model_run_go(loss, 3));
      side[s] = loss->loss;
    }
    slope[i] = (side[0] - side[1]) / (2 * steps[i]);
  }
  memcpy(at, kept, (size_t)n * sizeof *at);
  return (4 * slope[1] - slope[0]) / 3;
}

/* That against <dL/dw, d>, d random within one parameter. */
static void check_gradient(wok_ctx *c, const char *style, const char *const *set, bool training) {
  wok_model *m = model(c, style, set, WOK_F64);
  double *w = m->slab.data, *d = malloc((size_t)m->slab.count * sizeof *d),
         *kept = malloc((size_t)m->slab.count * sizeof *kept);
  memcpy(kept, w, (size_t)m->slab.count * sizeof *kept);
  model_run full, loss;
  assert_true(model_run_new(&full, c, m, &documents, &(run_how){.training = training, .grads = true}));
  assert_true(model_run_go(&full, 3));
  assert_true(model_run_new(&loss, c, m, &documents, &(run_how){.training = training}));
  const wok_param *list;
  int64_t n = wok_model_params(m, &list);
  for (int64_t i = 0; i < n; i++)
    for (int direction = 0; direction < 2; direction++) {
      const double *g = full.grads + list[i].offset;
      double want = 0, size = 0;
      const wok__init normal = {.dist = WOK__DIST_NORMAL, .value = 1};
      wok__init_fill(c, &normal, 1, 1, (uint64_t)direction + 100, list[i].name, WOK_F64, d, list[i].count);
      for (int64_t k = 0; k < list[i].count; k++) {
        want += g[k] * d[k];
        size += fabs(g[k] * d[k]);
      }
      double got = by_differences(&loss, w + list[i].offset, kept + list[i].offset, d, list[i].count);
      if (!(fabs(got - want) <= 1e-8 * size + 1e-9))
        fail_msg("%s %s: d loss along %s is %.10g, by differences %.10g", style, set[0] ? set[0] : "",
                 list[i].name, want, got);
    }
  model_run_free(&full);
  model_run_free(&loss);
  wok_model_free(m);
  free(d);
  free(kept);
}

static void test_gradients(void **state) {
  scratch *s = *state;
  const struct {
    const char *style, *set[6];
    bool training;
  } cases[] = {
      {"gpt2", {NULL}, false},
      {"gpt2", {"post_norm=yes"}, false},
      {"gpt2", {"norm=rms"}, false},
      {"gpt2", {"norm_bias=no"}, false},
      {"gpt2", {"hidden_act=gelu"}, false},
      {"gpt2", {"hidden_act=relu"}, false},
      {"gpt2", {"gated=yes"}, false},
      {"gpt2", {"attention_bias=no", "mlp_bias=no"}, false},
      {"gpt2", {"tie_word_embeddings=no"}, false},
      {"gpt2", {"attention_scale=0.9"}, false},
      {"gpt2", {"num_attention_heads=4", "head_dim=3", "num_key_value_heads=2"}, false},
      {"gpt2", {"num_attention_heads=4", "num_key_value_heads=1", "rope=yes", "learned_positions=no"}, false},
      {"gpt2", {"rope=yes", "rope_interleaved=yes", "rotary_dim=2"}, false},
      {"gpt2", {"hidden_dropout=0.3", "attention_dropout=0.2", "embedding_dropout=0.1"}, true},
      {"llama", {NULL}, false},
      {"llama", {"attention_bias=yes", "mlp_bias=yes", "tie_word_embeddings=yes"}, false},
      {"llama",
       {"layer.0/norm=layer", "layer.1/gated=no", "layer.1/post_norm=yes", "layer.0/num_key_value_heads=1",
        "layer.1/head_dim=6"},
       false},
      {"llama", {"layer.0/hidden_dropout=0.5", "layer.1/attention_dropout=0.4"}, true},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    check_gradient(s->c, cases[i].style, cases[i].set, cases[i].training);
}

/* ---- dropout ---- */
static void test_dropout(void **state) {
  scratch *s = *state;
  wok_model *m =
      MODEL(s->c, "gpt2", WOK_F64, "hidden_dropout=0.3", "attention_dropout=0.2", "embedding_dropout=0.1");
  wok_model *plain = MODEL(s->c, "gpt2", WOK_F64, "hidden_dropout=0");
  model_run on, off, without;
  assert_true(model_run_new(&on, s->c, m, &documents, &(run_how){.training = true}));
  assert_true(model_run_new(&off, s->c, m, &documents, &(run_how){.training = false}));
  assert_true(model_run_new(&without, s->c, plain, &documents, &(run_how){.training = true}));
  assert_true(model_run_go(&on, 1) && model_run_go(&off, 1) && model_run_go(&without, 1));
  double first = on.loss;
  assert_true(off.loss == without.loss && first != off.loss);
  assert_true(model_run_go(&on, 2));
  assert_true(on.loss != first);
  assert_true(model_run_go(&on, 1));
  assert_true(on.loss == first);
  model_run_free(&on);
  model_run_free(&off);
  model_run_free(&without);
  wok_model_free(m);
  wok_model_free(plain);
}

/* ---- cache ---- */
typedef struct decoder {
  wok_graph *g;
  wok_plan *plan;
  wok_val *in[7];
} decoder;

/* n tokens with a cache, logits of the rows named. */
static decoder decode_plan(wok_ctx *c, wok_model *m, wok_cache *k, int64_t n, int64_t rows) {
  decoder d;
  assert_works(c, wok_graph_new(c, &d.g));
  for (int i = 0; i < 6; i++) d.in[i] = wok_input(d.g, "in", WOK_I32, WOK_SHAPE(i == 5 ? rows : n));
  const wok_batch b = {.ids = d.in[0],
                       .pos = d.in[1],
                       .lo = d.in[2],
                       .hi = d.in[3],
                       .cache = k,
                       .cache_row = d.in[4],
                       .logit_rows = d.in[5]};
  wok_outputs o = wok_model_forward(d.g, m, &b);
  assert_works(c, wok_compile(c, &d.plan, &o.logits, 1, NULL));
  return d;
}

static const void *decode(wok_ctx *c, const decoder *d, const int32_t *const data[6]) {
  for (int i = 0; i < 6; i++) assert_works(c, wok_plan_bind(d->plan, d->in[i], data[i]));
  assert_works(c, wok_plan_run(d->plan, NULL));
  return wok_plan_data(d->plan, 0);
}

static void decoder_free(decoder *d) {
  wok_plan_free(d->plan);
  wok_graph_free(d->g);
}

static double number(wok_dtype t, const void *p, int64_t i) {
  return t == WOK_F64 ? ((const double *)p)[i] : (double)((const float *)p)[i];
}

static int64_t best(const double *x) {
  int64_t b = 0;
  for (int64_t i = 1; i < VOCAB; i++)
    if (x[i] > x[b]) b = i;
  return b;
}

/* Both documents in a cache: the first three tokens of each at once, then one token of each at a time (the first document alone at
   the end). Every row of logits equals that of the whole pass. */
static void check_cache(wok_ctx *c, const char *style, const char *const *set, wok_dtype t,
                        double tolerance) {
  enum { CAPACITY = 7, AT_ONCE = 3 };
  const int64_t begin[2] = {0, 5}, length[2] = {5, 4};
  wok_model *m = model(c, style, set, t);
  wok_cache *k;
  model_run whole;
  assert_true(model_run_new(&whole, c, m, &documents, &(run_how){.training = false}));
  assert_true(model_run_go(&whole, 0));
  assert_works(c, wok_cache_new(m, &k, 2, CAPACITY));
  decoder fill = decode_plan(c, m, k, 2 * AT_ONCE, 2), one = decode_plan(c, m, k, 2, 2);
  for (int64_t step = AT_ONCE - 1; step < 5; step++) {
    int64_t per = step == AT_ONCE - 1 ? AT_ONCE : 1, n = 2 * per;
    int32_t in[6][2 * AT_ONCE] = {{0}};
    for (int64_t i = 0; i < n; i++) {
      int64_t doc = i / per, p = step + 1 - per + i % per;
      bool over = p >= length[doc]; /* an empty row: sees nothing, writes nowhere */
      in[0][i] = over ? 0 : ids[begin[doc] + p];
      in[1][i] = over ? 0 : (int32_t)p;
      in[2][i] = over ? 0 : (int32_t)(doc * CAPACITY);
      in[3][i] = over ? 0 : (int32_t)(doc * CAPACITY + p + 1);
      in[4][i] = over ? -1 : (int32_t)(doc * CAPACITY + p);
      in[5][doc] = (int32_t)i; /* the last of each */
    }
    const int32_t *const data[6] = {in[0], in[1], in[2], in[3], in[4], in[5]};
    const void *y = decode(c, per == 1 ? &one : &fill, data);
    for (int64_t doc = 0; doc < 2; doc++) {
      if (step >= length[doc]) continue;
      double got[VOCAB];
      const double *want = whole.logits + (begin[doc] + step) * VOCAB;
      for (int64_t v = 0; v < VOCAB; v++) got[v] = number(t, y, doc * VOCAB + v);
      double e = relative_error(got, want, VOCAB);
      if (e > tolerance)
        fail_msg("%s: logits of document %d, token %d with the cache are wrong by %g", style, (int)doc,
                 (int)step, e);
      assert_int_equal(best(got), best(want));
    }
  }
  decoder_free(&fill);
  decoder_free(&one);
  model_run_free(&whole);
  wok_cache_free(k);
  wok_model_free(m);
}

static void test_cache(void **state) {
  scratch *s = *state;
  const struct {
    const char *style, *set[4];
  } cases[] = {
      {"gpt2", {NULL}},
      {"gpt2", {"num_attention_heads=4", "num_key_value_heads=2"}},
      {"llama", {"num_key_value_heads=1"}},
      {"llama", {"layer.1/num_key_value_heads=1", "layer.0/rope_interleaved=yes", "layer.1/head_dim=6"}},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    check_cache(s->c, cases[i].style, cases[i].set, WOK_F64, 1e-13);
    check_cache(s->c, cases[i].style, cases[i].set, WOK_F32, 1e-5);
  }
}

static void test_cache_sizes(void **state) {
  scratch *s = *state;
  wok_model *m = MODEL(s->c, "llama", WOK_F32, "layer.1/num_key_value_heads=1");
  wok_model *other = MODEL(s->c, "llama", WOK_F32, "num_key_value_heads=1");
  wok_cache *k;
  assert_works(s->c, wok_cache_new(m, &k, 3, 10));
  assert_int_equal(wok_cache_bytes(k),
                   30 * 2 * (2 * 4 + 1 * 4) * 4); /* rows x (k, v) x (layer 0 + layer 1) x f32 */
  wok_graph *g;
  assert_works(s->c, wok_graph_new(s->c, &g));
  wok_val *x = wok_input(g, "x", WOK_I32, WOK_SHAPE(2));
  wok_batch b = {.ids = x, .pos = x, .lo = x, .hi = x, .cache = k};
  assert_true(wok_is_poison(wok_model_forward(g, m, &b).logits));
  assert_non_null(strstr(wok_graph_message(g), "needs cache_row"));
  wok_graph_free(g);
  assert_works(s->c, wok_graph_new(s->c, &g));
  x = wok_input(g, "x", WOK_I32, WOK_SHAPE(2));
  b = (wok_batch){.ids = x, .pos = x, .lo = x, .hi = x, .cache = k, .cache_row = x};
  assert_true(wok_is_poison(wok_model_forward(g, other, &b).logits));
  assert_non_null(strstr(wok_graph_message(g), "another model"));
  wok_graph_free(g);
  wok_cache_free(k);
  assert_fails(s->c, wok_cache_new(m, &k, 0, 10), WOK_INVALID, "a cache of 0 sequences");
  assert_fails(s->c, wok_cache_new(m, &k, 1 << 20, 1 << 20), WOK_INVALID, "31 bits");
  assert_fails(s->c, wok_cache_new(m, &k, INT64_MAX, 3), WOK_INVALID, "31 bits");
  wok_cache_free(NULL);
  wok_model_free(m);
  wok_model_free(other);
}

/* ---- names and values ---- */
static void test_values(void **state) {
  scratch *s = *state;
  wok_model *m = MODEL(s->c, "gpt2", WOK_F32, "gated=yes");
  wok_graph *g, *h;
  assert_works(s->c, wok_graph_new(s->c, &g));
  assert_works(s->c, wok_graph_new(s->c, &h));
  wok_val *x = wok_input(g, "x", WOK_I32, WOK_SHAPE(4));
  wok_val *table = wok_model_param(g, m, "embed/tokens");
  assert_string_equal(wok_val_name(table), "embed/tokens");
  const wok_batch b = {.ids = x, .pos = x, .lo = x, .hi = x};
  wok_scope_enter(g, "student");
  wok_outputs o = wok_model_forward(g, m, &b), again = wok_model_forward(g, m, &b);
  wok_scope_leave(g);
  assert_int_equal(wok_graph_status(g), WOK_OK);
  assert_false(wok_is_poison(again.logits));
  static const char *const taps[] = {
      "student/embed/out",        "student/layer.0/attn/in", "student/layer.0/attn/branch",
      "student/layer.1/attn/out", "student/layer.1/mlp/in",  "student/layer.1/mlp/branch",
      "student/layer.1/mlp/out",  "student/hidden",          "student/logits"};
  for (size_t i = 0; i < sizeof taps / sizeof *taps; i++) {
    wok_val *v = wok_find(g, taps[i]);
    if (!v) fail_msg("there is no value %s", taps[i]);
    assert_int_equal(wok_val_shape(v).dim[0], 4);
  }
  assert_ptr_equal(wok_find(g, "student/layer.0/mlp/out"), wok_find(g, "student/layer.1/attn/in"));
  assert_ptr_equal(again.logits, wok_find(g, "student/logits"));
  assert_int_equal(wok_val_shape(o.hidden).dim[1], 8);
  assert_int_equal(wok_val_shape(o.embeddings).dim[1], 8);
  const wok_param *list;
  int64_t n = wok_model_params(m, &list);
  for (int64_t i = 0; i < n; i++) {
    assert_ptr_equal(wok_model_param_at(g, m, i), wok_model_param(g, m, list[i].name));
    assert_ptr_not_equal(wok_model_param_at(g, m, i), wok_model_param_at(h, m, i));
  }
  assert_ptr_equal(table, wok_model_param(g, m, "embed/tokens"));
  wok_graph_free(g); /* a graph may go first ... */
  assert_true(wok_is_poison(wok_model_param(h, m, "layer.7/attn/qkv")));
  assert_non_null(strstr(wok_graph_message(h), "no parameter layer.7/attn/qkv"));
  wok_model_free(m); /* ... or the model */
  wok_graph_free(h);
}

static void test_bad_batch(void **state) {
  scratch *s = *state;
  wok_model *m = MODEL(s->c, "gpt2", WOK_F32, "gated=yes");
  wok_graph *g;
  assert_works(s->c, wok_graph_new(s->c, &g));
  assert_true(wok_is_poison(wok_model_forward(g, m, &(wok_batch){.ids = NULL}).logits));
  assert_non_null(strstr(wok_graph_message(g), "ids, pos, lo and hi"));
  wok_graph_free(g);
  assert_works(s->c, wok_graph_new(s->c, &g));
  wok_val *x = wok_input(g, "x", WOK_I32, WOK_SHAPE(4)), *y = wok_input(g, "y", WOK_I32, WOK_SHAPE(5));
  assert_true(
      wok_is_poison(wok_model_forward(g, m, &(wok_batch){.ids = x, .pos = x, .lo = y, .hi = x}).logits));
  assert_non_null(strstr(wok_graph_message(g), "layer.0/attn"));
  wok_graph_free(g);
  wok_model_free(m);
}

/* The slab: in reverse order of use, without holes; fans of logical matrices; which weights multiply. */
static void test_slab(void **state) {
  scratch *s = *state;
  wok_model *m = MODEL(s->c, "llama", WOK_F32, "num_key_value_heads=1", "tie_word_embeddings=yes");
  const wok_param *list;
  int64_t n = wok_model_params(m, &list), at = 0;
  assert_string_equal(list[0].name, "norm");
  assert_string_equal(list[n - 1].name, "embed/tokens");
  for (int64_t i = 0; i < n; i++) {
    assert_int_equal(list[i].offset, at);
    at += list[i].count;
    if (strcmp(list[i].name, "layer.1/attn/qkv") == 0)
      assert_true(list[i].shape.dim[0] == 16 && list[i].shape.dim[1] == 8 && list[i].fan_in == 8 &&
                  list[i].fan_out == 8);
    if (strcmp(list[i].name, "layer.1/mlp/gate_up") == 0)
      assert_true(list[i].shape.dim[0] == 22 && list[i].fan_in == 8 && list[i].fan_out == 11 &&
                  list[i].role == WOK_ROLE_KERNEL);
  }
  assert_int_equal(at, wok_model_param_count(m));
  assert_int_equal(wok_model_config_params(wok_model_get_config(m)), at);
  int64_t layer = 16 * 8 + 8 * 8 + 22 * 8 + 8 * 11;
  assert_int_equal(wok_model_matmul_weights(m), 2 * layer + VOCAB * 8);
  wok_model *untied = MODEL(s->c, "llama", WOK_F32, "num_key_value_heads=1");
  assert_int_equal(wok_model_matmul_weights(untied), 2 * layer + VOCAB * 8);
  assert_int_equal(wok_model_param_count(untied), at + VOCAB * 8);
  wok_model_free(untied);
  wok_model_free(m);
}

/* A parameter's numbers depend on seed and name alone. */
static void test_new(void **state) {
  scratch *s = *state;
  wok_model_config cfg;
  wok_model *a, *b, *deep, *seeded;
  wok_ctx *four;
  assert_works(s->c, wok_ctx_new(&four, &(wok_ctx_opts){.threads = 4, .seed = 9}));
  assert_works(s->c, wok_model_preset(s->c, &cfg, "nano", NULL, 999));
  assert_works(s->c, wok_model_new(s->c, &a, &cfg, WOK_F32, 9));
  assert_works(four, wok_model_new(four, &b, &cfg, WOK_F32, 0)); /* the context's seed */
  assert_memory_equal(a->slab.data, b->slab.data, (size_t)a->slab.count * 4);
  assert_works(s->c, wok_model_new(s->c, &seeded, &cfg, WOK_F32, 10));
  assert_memory_not_equal(a->slab.data, seeded->slab.data, (size_t)a->slab.count * 4);
  assert_works(s->c, wok_model_set(s->c, &cfg, "num_hidden_layers=5"));
  assert_works(s->c, wok_model_new(s->c, &deep, &cfg, WOK_F32, 9));
  const wok_param *pa, *pd;
  wok_model_params(a, &pa);
  wok_model_params(deep, &pd);
  const char *name = "layer.2/attn/qkv";
  const wok_param *x = &pa[wok__params_find(a->params, name)], *y = &pd[wok__params_find(deep->params, name)];
  assert_memory_equal((float *)a->slab.data + x->offset, (float *)deep->slab.data + y->offset,
                      (size_t)x->count * 4);
  wok_model_free(a);
  wok_model_free(b);
  wok_model_free(deep);
  wok_model_free(seeded);
  wok_ctx_free(four);
}

#define T(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)
int main(void) {
  const struct CMUnitTest tests[] = {T(test_gradients), T(test_dropout),   T(test_cache), T(test_cache_sizes),
                                     T(test_values),    T(test_bad_batch), T(test_slab),  T(test_new)};
  return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
