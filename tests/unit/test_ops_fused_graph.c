/* What the builders of fused operators decide, and expansions that come in blocks. (Gradients, expansions and kernels case by
   case: tests/ops/generated.c. The numbers of the reference kernels: test_ops_fused.c.) */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "graph/graph.h"
#include "valgrind.h"

static wok_ctx *ctx;
static wok_graph *g;

static double filled(int seed, int64_t i) { return (double)((i * 37 + seed * 11) % 61 - 30) / 16; }

/* A constant of numbers made from a seed; gradients are asked for with respect to it like any other value. */
static wok_val *made(wok_dtype t, int seed, wok_shape s) {
  int64_t n = wok__shape_count(&s);
  double *wide = malloc((size_t)n * sizeof *wide + 1);
  float *narrow = malloc((size_t)n * sizeof *narrow + 1);
  for (int64_t i = 0; i < n; i++) {
    wide[i] = filled(seed, i);
    narrow[i] = (float)wide[i];
  }
  wok_val *v = wok_const(g, t, s, t == WOK_F64 ? (void *)wide : narrow);
  free(wide);
  free(narrow);
  return v;
}
static wok_val *ints(const int32_t *p, int64_t n) { return wok_const(g, WOK_I32, WOK_SHAPE(n), p); }

/* Runs a plan for pairs of values and returns the largest difference inside a pair, relative to the largest magnitude. */
static double apart(wok_val *const *pairs, int n, int64_t *bytes) {
  wok_plan *p;
  if (wok_compile(ctx, &p, pairs, n, &(wok_plan_opts){.reference = true})) fail_msg("%s", wok_errmsg(ctx));
  if (bytes) *bytes = wok_plan_bytes(p);
  if (wok_plan_run(p, &(wok_run_opts){.seed = 1, .tick = 2})) fail_msg("%s", wok_errmsg(ctx));
  double worst = 0;
  for (int k = 0; k < n; k += 2) {
    double top = 0, far = 0;
    assert_true(wok__shape_eq(&pairs[k]->shape, &pairs[k + 1]->shape));
    bool f64 = pairs[k]->dtype == WOK_F64;
    const void *a = wok_plan_data(p, k), *b = wok_plan_data(p, k + 1);
    for (int64_t i = 0; i < wok__shape_count(&pairs[k]->shape); i++) {
      double x = f64 ? ((const double *)a)[i] : (double)((const float *)a)[i];
      double y = f64 ? ((const double *)b)[i] : (double)((const float *)b)[i];
      assert_true(isfinite(x) && isfinite(y));
      top = fmax(top, fabs(x));
      far = fmax(far, fabs(x - y));
    }
    assert_true(top > 0);
    worst = fmax(worst, far / top);
  }
  wok_plan_free(p);
  return worst;
}

/* ---- xent looks at where its logits come from ---- */
static void test_head_is_chosen(void **state) {
  (void)state;
  static const int32_t labels[] = {3, -1, 16, 0, 17, 5};
  wok_val *x = made(WOK_F64, 1, WOK_SHAPE(6, 4)), *w = made(WOK_F64, 2, WOK_SHAPE(17, 4)), *b = made(WOK_F64, 3, WOK_SHAPE(17));
  for (int with = 0; with < 2; with++) {
    wok_val *logits = wok_linear(x, w, with ? b : NULL), *y = ints(labels, 6);
    wok_val *head = wok_xent(logits, y), *plain = wok_xent(wok_neg(wok_neg(logits)), y);
    assert_int_equal(head->node->op->id, WOK__OP_linear_xent);
    assert_int_equal(head->node->nin, with ? 4 : 3);
    assert_ptr_equal(head->node->in[0], x);
    assert_int_equal(plain->node->op->id, WOK__OP_xent);

    wok_val *in[] = {x, w, b}, *d_head[3], *d_plain[3];
    int n = with ? 3 : 2;
    wok_grad(wok_mean(head), in, n, d_head);
    wok_grad(wok_mean(plain), in, n, d_plain);
    wok_val *pairs[8] = {head, plain};
    for (int i = 0; i < n; i++) {
      pairs[2 + 2 * i] = d_head[i];
      pairs[3 + 2 * i] = d_plain[i];
    }
    assert_true(apart(pairs, 2 + 2 * n, NULL) < 1e-14);
  }
  /* rows in two dimensions: the logits stay a value */
  wok_val *deep = wok_linear(wok_reshape(x, WOK_SHAPE(2, 3, 4)), w, NULL);
  assert_int_equal(wok_xent(wok_reshape(deep, WOK_SHAPE(6, 17)), ints(labels, 6))->node->op->id, WOK__OP_xent);
}

/* The loss and its gradients in one plan: one operator that forms the logits once, and the same numbers. */
static void test_head_is_joined(void **state) {
  (void)state;
  static const int32_t labels[] = {3, -1, 16, 0, 17, 5};
  wok_val *x = made(WOK_F64, 1, WOK_SHAPE(6, 4)), *w = made(WOK_F64, 2, WOK_SHAPE(17, 4)), *b = made(WOK_F64, 3, WOK_SHAPE(17));
  wok_val *in[] = {x, w, b}, *d[3];
  wok_val *loss = wok_mean(wok_xent(wok_linear(x, w, b), ints(labels, 6)));
  wok_grad(loss, in, 3, d);
  wok_val *together[] = {loss, d[0], d[1], d[2]};
  wok_plan *joined, *alone;
  assert_int_equal(wok_compile(ctx, &joined, together, 4, &(wok_plan_opts){.reference = true}), WOK_OK);
  char *text;
  assert_int_equal(wok_plan_report(joined, &text), WOK_OK);
  assert_non_null(strstr(text, "linear_xent_both"));
  wok_text_free(text);
  assert_int_equal(wok_plan_run(joined, NULL), WOK_OK);
  for (int i = 0; i < 4; i++) {
    /* the forward by itself; a gradient by itself may be joined as well */
    assert_int_equal(wok_compile(ctx, &alone, &together[i], 1, &(wok_plan_opts){.reference = true}), WOK_OK);
    assert_int_equal(wok_plan_run(alone, NULL), WOK_OK);
    assert_memory_equal(wok_plan_data(alone, 0), wok_plan_data(joined, i), (size_t)wok__bytes(WOK_F64, &together[i]->shape));
    wok_plan_free(alone);
  }
  wok_plan_free(joined);
}

/* ---- attention's defaults ---- */
static void test_attention_defaults(void **state) {
  (void)state;
  static const int32_t lo[] = {0, 0, 0, 0}, hi[] = {1, 2, 3, 4}, zero[] = {0, 0, 0, 0}, count[] = {0, 1, 2, 3};
  wok_val *q = made(WOK_F64, 1, WOK_SHAPE(4, 4, 9)), *k = made(WOK_F64, 2, WOK_SHAPE(4, 2, 9)), *v = made(WOK_F64, 3, WOK_SHAPE(4, 2, 5));
  wok_val *from = ints(lo, 4), *to = ints(hi, 4);
  wok_attention_opts all = {.scale = 1.0 / 3, .dropout = 0.5, .stream = 77, .seq = ints(zero, 4), .row = ints(count, 4)};
  wok_attention_opts few = {.dropout = 0.5, .stream = 77};
  wok_val *pairs[] = {wok_attention(q, k, v, from, to, &all), wok_attention(q, k, v, from, to, &few),
                      wok_attention(q, k, v, from, to, NULL), wok_attention(q, k, v, from, to, &(wok_attention_opts){.scale = 1.0 / 3})};
  assert_true(apart(pairs, 4, NULL) < 1e-15);
  /* without a stream of its own every call draws another mask */
  few.stream = 0;
  wok_val *two[] = {wok_attention(q, k, v, from, to, &few), wok_attention(q, k, v, from, to, &few)};
  assert_true(apart(two, 2, NULL) > 1e-3);

  wok_val *x = made(WOK_F64, 4, WOK_SHAPE(8, 8));
  assert_ptr_equal(wok_dropout(x, 0, 0), x);
  wok_val *masks[] = {wok_dropout(x, 0.5, 0), wok_dropout(x, 0.5, 0)};
  assert_true(apart(masks, 2, NULL) > 1e-3);
}

/* Angles are pos * freq, so <dpos, pos> = <dfreq, freq>, of a gradient and of a gradient's gradient. */
static void test_rope_positions(void **state) {
  (void)state;
  wok_val *x = made(WOK_F32, 1, WOK_SHAPE(5, 2, 6)), *pos = made(WOK_F32, 2, WOK_SHAPE(5)), *freq = made(WOK_F32, 3, WOK_SHAPE(2));
  wok_val *in[] = {pos, freq}, *d[2], *y = wok_sum(wok_tanh(wok_mul(wok_rope(x, pos, freq, true), made(WOK_F32, 4, x->shape))));
  for (int order = 0; order < 2; order++) {
    wok_grad(y, in, 2, d);
    wok_val *pair[] = {wok_sum(wok_mul(d[0], pos)), wok_sum(wok_mul(d[1], freq))};
    assert_true(apart(pair, 2, NULL) < 1e-5);
    y = pair[0]; /* again a function of the angles alone */
  }
}

static void test_refused(void **state) {
  (void)state;
  wok_val *x = made(WOK_F64, 1, WOK_SHAPE(3, 4)), *gain = made(WOK_F64, 2, WOK_SHAPE(4));
  wok__node *n = wok_rms_norm(x, gain, 1e-6)->node;
  assert_true(wok_is_poison(wok_exp(&n->out[1])));
  assert_non_null(strstr(wok_graph_message(g), "by-product of rms_norm"));
  assert_true(wok_is_poison(wok_softmax(x))); /* and after that everything is */
}

/* ---- expansions in blocks: what they give, what they give second, and in how much memory ---- */
static void expand_pairs(wok__node *n, wok_val **pairs) {
  wok_val *out[8] = {0};
  int kept = n->op->saved ? n->op->saved : n->nout;
  n->op->expand(g, n, out);
  for (int i = 0; i < kept; i++) {
    pairs[2 * i] = &n->out[i];
    pairs[2 * i + 1] = out[i];
  }
}

/* 8,300 queries and keys: 65 blocks of 128 queries. A window of 5, each hundredth row blind. */
static void test_attention_blocks(void **state) {
  (void)state;
  NOT_UNDER_VALGRIND("69 million pairs");
  enum { T = 8300 };
  static int32_t lo[T], hi[T];
  for (int32_t i = 0; i < T; i++) {
    lo[i] = WOK__MAX(i - 4, 0);
    hi[i] = i % 100 == 7 ? lo[i] : i + 1;
  }
  wok_val *q = made(WOK_F32, 1, WOK_SHAPE(T, 1, 2)), *k = made(WOK_F32, 2, WOK_SHAPE(T, 1, 2)), *v = made(WOK_F32, 3, WOK_SHAPE(T, 1, 3));
  wok_val *o = wok_attention(q, k, v, ints(lo, T), ints(hi, T), &(wok_attention_opts){.dropout = 0.25, .stream = 3});
  wok_val *in[] = {q, k, v}, *ct = made(WOK_F32, 4, o->shape), *d[3], *pairs[10]; /* the last two are of biases, which there are none of */
  wok_vjp(&o, &ct, 1, in, 3, d);
  expand_pairs(o->node, pairs);
  int64_t bytes, whole = (int64_t)T * T * 4;
  assert_true(apart(pairs, 2, &bytes) < 2e-6);
  assert_true(bytes < whole / 2);
  assert_int_equal(d[0]->node->op->id, WOK__OP_attention_bwd);
  expand_pairs(d[0]->node, pairs);
  assert_true(apart(pairs, 6, &bytes) < 2e-6);
  assert_true(bytes < whole / 2);
}

/* 2,500 rows: blocks of 1,024, 1,024 and 452. */
static void test_head_blocks(void **state) {
  (void)state;
  enum { T = 2500 };
  static int32_t labels[T];
  for (int32_t i = 0; i < T; i++) labels[i] = i * 7 % 9 - 1; /* -1 .. 7 of 7 classes: two of nine count nothing */
  wok_val *x = made(WOK_F64, 1, WOK_SHAPE(T, 3)), *w = made(WOK_F64, 2, WOK_SHAPE(7, 3)), *b = made(WOK_F64, 3, WOK_SHAPE(7));
  wok_val *in[] = {x, w, b}, *ct = made(WOK_F64, 4, WOK_SHAPE(T)), *d[3], *pairs[6];
  wok_val *loss = wok_xent(wok_linear(x, w, b), ints(labels, T));
  wok_vjp(&loss, &ct, 1, in, 3, d);
  expand_pairs(loss->node, pairs);
  assert_true(apart(pairs, 2, NULL) < 1e-13);
  assert_int_equal(d[0]->node->op->id, WOK__OP_linear_xent_bwd);
  expand_pairs(d[0]->node, pairs);
  assert_true(apart(pairs, 6, NULL) < 1e-13);

  /* a gradient of a gradient, through the blocks and through whole logits */
  wok_val *logits = wok_neg(wok_neg(wok_linear(x, w, b))), *plain = wok_xent(logits, ints(labels, T)), *e[3], *second[6];
  wok_vjp(&plain, &ct, 1, in, 3, e);
  wok_grad(wok_sum(wok_add(wok_square(d[0]), wok_mul(x, d[0]))), in, 3, d);
  wok_grad(wok_sum(wok_add(wok_square(e[0]), wok_mul(x, e[0]))), in, 3, e);
  for (int i = 0; i < 3; i++) second[2 * i] = d[i], second[2 * i + 1] = e[i];
  assert_true(apart(second, 6, NULL) < 1e-12);
}

static int begin(void **state) {
  (void)state;
  return wok_ctx_new(&ctx, &(wok_ctx_opts){.threads = 1}) != WOK_OK;
}
static int end(void **state) {
  (void)state;
  wok_ctx_free(ctx);
  return 0;
}
static int fresh(void **state) {
  (void)state;
  return wok_graph_new(ctx, &g) != WOK_OK;
}
static int drop(void **state) {
  (void)state;
  wok_graph_free(g);
  return 0;
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh, drop)
  const struct CMUnitTest tests[] = {
      TEST(test_head_is_chosen), TEST(test_head_is_joined),   TEST(test_attention_defaults), TEST(test_rope_positions),
      TEST(test_refused),        TEST(test_attention_blocks), TEST(test_head_blocks),
  };
  return cmocka_run_group_tests(tests, begin, end) != 0;
}
