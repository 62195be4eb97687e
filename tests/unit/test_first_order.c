/* First-order training keeps every fused operator: the operators of a GPT's training step, counted; the step's bits do not
   depend on whether a second derivative was built beside it; its gradients are those of the same net in primitives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include "scratch.h"
#include "models/models.h"
#include "graph/plan.h"
#include "train/lossplan.h"

enum { VOCAB = 23, TOKENS = 9, LAYERS = 2, STEPS = 3 };
static const int32_t ids[TOKENS] = {3, 12, 0, 7, 7, 1, 5, 22, 9}, pos[TOKENS] = {0, 1, 2, 3, 4, 0, 1, 2, 3},
                     lo[TOKENS] = {0, 0, 0, 0, 0, 5, 5, 5, 5}, hi[TOKENS] = {1, 2, 3, 4, 5, 6, 7, 8, 9},
                     seq[TOKENS] = {0, 0, 0, 0, 0, 1, 1, 1, 1}, labels[TOKENS] = {12, 0, 7, 7, -1, 5, 22, 9, -1};

static wok_model *model_of(wok_ctx *c, const char *style, wok_dtype t) {
  wok_model_config cfg;
  wok_model *m;
  static const char *const sizes[] = {"hidden_size=16", "num_hidden_layers=2", "num_attention_heads=4", "num_key_value_heads=2",
                                      "intermediate_size=24", "max_position_embeddings=8", "hidden_dropout=0.1", "attention_dropout=0.2"};
  assert_works(c, wok_model_preset(c, &cfg, "nano", style, VOCAB));
  for (int64_t i = 0; i < WOK__COUNT(sizes); i++) assert_works(c, wok_model_set(c, &cfg, sizes[i]));
  assert_works(c, wok_model_new(c, &m, &cfg, t, 5));
  wok_model_config_free(&cfg);
  return m;
}

/* ---- the operators of the trainer's step ---- */
typedef struct counted { wok__opid op; int64_t each, besides; } counted; /* of every layer; once */
static const counted gpt2[] = {
    {WOK__OP_gather, 0, 2},         {WOK__OP_scatter_add, 0, 2}, /* tokens, positions */
    {WOK__OP_layer_norm, 2, 1},     {WOK__OP_layer_norm_bwd, 2, 1},
    {WOK__OP_linear, 4, 0},         {WOK__OP_matmul, 8, 0}, /* dx and dw of each linear */
    {WOK__OP_sum_to, 4, 0}, /* the gradients of their biases */
    {WOK__OP_slice, 3, 0},          {WOK__OP_concat, 1, 0}, /* q, k, v of one product, and back */
    {WOK__OP_attention, 1, 0},      {WOK__OP_attention_bwd, 1, 0},
    {WOK__OP_activation, 1, 0},     {WOK__OP_activation_bwd, 1, 0},
    {WOK__OP_dropout, 4, 0}, /* of the two branches, there and back */
    {WOK__OP_add, 4, 1}, /* residuals, there and back; positions */
    {WOK__OP_linear_xent_both, 0, 1}, {WOK__OP_full, 0, 1}, {WOK__OP_broadcast_to, 0, 1}, /* the head and its ones */
    {0, 0, 0},
};
static const counted llama[] = {
    {WOK__OP_gather, 0, 1},         {WOK__OP_scatter_add, 0, 1},
    {WOK__OP_rms_norm, 2, 1},       {WOK__OP_rms_norm_bwd, 2, 1},
    {WOK__OP_linear, 4, 0},         {WOK__OP_matmul, 8, 0},
    {WOK__OP_slice, 5, 0},          {WOK__OP_concat, 2, 0}, /* q, k, v; gate and up */
    {WOK__OP_rope, 4, 0}, /* q and k, there and back */
    {WOK__OP_attention, 1, 0},      {WOK__OP_attention_bwd, 1, 0},
    {WOK__OP_gated, 1, 0},          {WOK__OP_gated_bwd, 1, 0},
    {WOK__OP_dropout, 4, 0},
    {WOK__OP_add, 4, 0},
    {WOK__OP_linear_xent_both, 0, 1}, {WOK__OP_full, 0, 1}, {WOK__OP_broadcast_to, 0, 1},
    {0, 0, 0},
};

static void count(wok_ctx *c, const char *style, const counted *want) {
  wok_model *m = model_of(c, style, WOK_F32);
  wok_buffer *grads;
  wok__loss l;
  int64_t n = wok_model_param_count(m), have[WOK__OP_COUNT] = {0}, expected[WOK__OP_COUNT] = {0};
  float *memory = calloc((size_t)n, sizeof *memory);
  assert_works(c, wok_buffer_new(c, &grads, "gradients", WOK_F32, n, memory));
  assert_works(c, wok__loss_new(c, &l, m, &(wok__loss_opts){.name = "train", .tokens = TOKENS, .grads = grads}));
  for (int64_t i = 0; i < l.plan->nsteps; i++)
    if (l.plan->steps[i].kernel) have[l.plan->steps[i].node->op->id]++;
  for (; want->each || want->besides; want++) expected[want->op] = LAYERS * want->each + want->besides;
  for (int i = 0; i < WOK__OP_COUNT; i++)
    if (have[i] != expected[i])
      fail_msg("%s: %lld steps of %s, expected %lld", style, (long long)have[i], wok__op_table[i]->name, (long long)expected[i]);
  wok__loss_free(&l);
  wok_buffer_free(grads);
  wok_model_free(m);
  free(memory);
}
static void test_operators(void **state) {
  scratch *s = *state;
  count(s->c, "gpt2", gpt2);
  count(s->c, "llama", llama);
}

/* ---- a step by hand: loss and gradients ---- */
typedef struct step {
  wok_graph *g;
  wok_plan *plan;
  wok_val **x, **result; /* parameters; the loss, then their gradients */
  int n;
} step;

static step step_of(wok_ctx *c, wok_model *m) {
  step s = {.n = (int)wok_model_params(m, NULL)};
  assert_works(c, wok_graph_new(c, &s.g));
  s.x = malloc((size_t)s.n * sizeof *s.x), s.result = malloc((size_t)(s.n + 1) * sizeof *s.result);
  const wok_shape t = WOK_SHAPE(TOKENS);
  wok_batch b = {.ids = wok_const(s.g, WOK_I32, t, ids), .pos = wok_const(s.g, WOK_I32, t, pos), .lo = wok_const(s.g, WOK_I32, t, lo),
                 .hi = wok_const(s.g, WOK_I32, t, hi), .seq = wok_const(s.g, WOK_I32, t, seq), .row = wok_const(s.g, WOK_I32, t, pos),
                 .training = true};
  s.result[0] = wok_sum(wok_xent(wok_model_forward(s.g, m, &b).logits, wok_const(s.g, WOK_I32, t, labels)));
  for (int i = 0; i < s.n; i++) s.x[i] = wok_model_param_at(s.g, m, i);
  wok_grad(s.result[0], s.x, s.n, s.result + 1);
  return s;
}
static void compile(wok_ctx *c, step *s) {
  assert_works(c, wok_compile(c, &s->plan, s->result, s->n + 1, NULL));
}
static void release(step *s) {
  wok_plan_free(s->plan);
  wok_graph_free(s->g);
  free(s->x), free(s->result);
}

/* Steps down the gradient; second: with a penalty on the gradients and its own gradient built into the graph, though not run. */
static float *train(wok_ctx *c, const char *style, bool second, int64_t *n) {
  wok_model *m = model_of(c, style, WOK_F32);
  const wok_param *list;
  wok_model_params(m, &list);
  step s = step_of(c, m);
  if (second) {
    wok_val *penalty = wok_sum(wok_square(s.result[1])), **d2 = malloc((size_t)s.n * sizeof *d2);
    for (int i = 1; i < s.n; i++) penalty = wok_add(penalty, wok_sum(wok_square(s.result[1 + i])));
    wok_grad(penalty, s.x, s.n, d2);
    assert_string_equal(wok_graph_message(s.g), "");
    free(d2);
  }
  compile(c, &s);
  float *w = m->slab.data;
  for (int k = 0; k < STEPS; k++) {
    assert_works(c, wok_plan_run(s.plan, &(wok_run_opts){.seed = 7, .tick = (uint64_t)k}));
    for (int i = 0; i < s.n; i++) {
      const float *d = wok_plan_data(s.plan, 1 + i);
      for (int64_t e = 0; e < list[i].count; e++) w[list[i].offset + e] -= 0.05F * d[e];
    }
  }
  *n = m->slab.count;
  float *copy = malloc((size_t)*n * sizeof *copy);
  memcpy(copy, w, (size_t)*n * sizeof *copy);
  release(&s);
  wok_model_free(m);
  return copy;
}
static void test_bits(void **state) {
  scratch *s = *state;
  static const char *const styles[] = {"gpt2", "llama"};
  for (int i = 0; i < 2; i++) {
    int64_t n, same;
    float *alone = train(s->c, styles[i], false, &n), *beside = train(s->c, styles[i], true, &same);
    assert_int_equal(n, same);
    assert_memory_equal(alone, beside, (size_t)n * sizeof *alone);
    free(alone), free(beside);
  }
}

/* ---- the same in primitives ---- */
static void test_primitives(void **state) {
  scratch *s = *state;
  static const char *const styles[] = {"gpt2", "llama"};
  for (int i = 0; i < 2; i++) {
    wok_model *m = model_of(s->c, styles[i], WOK_F64);
    const wok_param *list;
    wok_model_params(m, &list);
    step fused = step_of(s->c, m), apart = step_of(s->c, m);
    wok__expand_all(apart.result, 1, apart.result); /* the loss in primitives, and the gradients of that */
    wok_grad(apart.result[0], apart.x, apart.n, apart.result + 1);
    compile(s->c, &fused);
    compile(s->c, &apart);
    for (int64_t k = 0; k < apart.plan->nsteps; k++)
      if (apart.plan->steps[k].node->op->expand) fail_msg("%s is no primitive", apart.plan->steps[k].node->op->name);
    for (int k = 0; k < 2; k++) assert_works(s->c, wok_plan_run(k ? fused.plan : apart.plan, &(wok_run_opts){.seed = 7, .tick = 1}));
    for (int k = 0; k <= fused.n; k++) {
      const double *a = wok_plan_data(fused.plan, k), *b = wok_plan_data(apart.plan, k);
      double far = 0, top = 0;
      for (int64_t e = 0; e < (k ? list[k - 1].count : 1); e++) far = fmax(far, fabs(a[e] - b[e])), top = fmax(top, fabs(b[e]));
      if (!(top > 0 && far <= 1e-12 * top)) fail_msg("%s, %s: off by %g of %g", styles[i], k ? list[k - 1].name : "loss", far, top);
    }
    release(&fused);
    release(&apart);
    wok_model_free(m);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_operators, scratch_setup, scratch_teardown),
      cmocka_unit_test_setup_teardown(test_bits, scratch_setup, scratch_teardown),
      cmocka_unit_test_setup_teardown(test_primitives, scratch_setup, scratch_teardown),
  };
  return cmocka_run_group_tests_name("first order", tests, NULL, NULL) != 0;
}
