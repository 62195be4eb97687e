/* Graphs and plans: poison and its first message, names, effects and their order, values written straight into buffers, the
   rewrites, memory limits, plans that share a workspace, differentiation's edges. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/base.h"
#include "graph/plan.h"
#include "valgrind.h"

static wok_ctx *c;
static wok_graph *g;

static int set_up(void **state) {
  (void)state;
  return wok_ctx_new(&c, &(wok_ctx_opts){.threads = 2}) || wok_graph_new(c, &g);
}
static int tear_down(void **state) {
  (void)state;
  wok_graph_free(g);
  wok_ctx_free(c);
  return 0;
}

static wok_plan *plan_of(wok_val *const *v, int n) {
  wok_plan *p;
  if (wok_compile(c, &p, v, n, NULL)) fail_msg("compile: %s", wok_errmsg(c));
  return p;
}
static const float *run(wok_plan *p) {
  if (wok_plan_run(p, NULL)) fail_msg("run: %s", wok_errmsg(c));
  return wok_plan_data(p, 0);
}

/* ---- building ---- */
static void poison_keeps_the_first_message(void **state) {
  (void)state;
  wok_scope_enter(g, "bert");
  wok_scope_enter(g, "layer.%d/ffn", 3);
  wok_val *a = wok_input(g, "a", WOK_F32, WOK_SHAPE(4096, 768)), *b = wok_input(g, "b", WOK_F32, WOK_SHAPE(768, 312));
  wok_val *bad = wok_matmul(a, b, false, true);
  wok_scope_leave(g);
  wok_scope_leave(g);
  wok_val *more = wok_add(wok_tanh(bad), wok_matmul(b, b, false, false));
  assert_true(wok_is_poison(more));
  assert_int_equal(wok_graph_status(g), WOK_SHAPE);
  assert_string_equal(wok_graph_message(g),
                      "matmul: inner sizes 768 and 312 differ (a f32[4096,768], b f32[768,312]^T) in bert/layer.3/ffn");
  wok_plan *p;
  assert_int_equal(wok_compile(c, &p, &more, 1, NULL), WOK_SHAPE);
  assert_string_equal(wok_errmsg(c), wok_graph_message(g));
}

static void values_of_another_graph_are_refused(void **state) {
  (void)state;
  wok_graph *other;
  assert_int_equal(wok_graph_new(c, &other), WOK_OK);
  wok_val *a = wok_input(g, "a", WOK_F32, WOK_SHAPE(2)), *b = wok_input(other, "b", WOK_F32, WOK_SHAPE(2));
  assert_true(wok_is_poison(wok_add(a, b)));
  assert_non_null(strstr(wok_graph_message(g), "another graph"));
  wok_graph_free(other);
}

static void names_and_scopes(void **state) {
  (void)state;
  wok_scope_enter(g, "layer.%d", 0);
  wok_val *v = wok_named(wok_input(g, "x", WOK_F32, WOK_SHAPE(2)), "attn/probs");
  wok_scope_leave(g);
  assert_ptr_equal(wok_find(g, "layer.0/attn/probs"), v);
  assert_null(wok_find(g, "layer.1/attn/probs"));
  assert_string_equal(wok_val_name(v), "layer.0/attn/probs");
}

static void by_products_are_for_backward_operators_only(void **state) {
  (void)state;
  wok_val *x = wok_input(g, "x", WOK_F32, WOK_SHAPE(2, 4)), *gain = wok_full(g, WOK_F32, WOK_SHAPE(4), 1);
  wok_val *y = wok_rms_norm(x, gain, 1e-6);
  wok_val *rstd = &y->node->out[1];
  assert_true(wok_is_poison(wok_exp(rstd)));
  assert_non_null(strstr(wok_graph_message(g), "by-product of rms_norm"));
}

/* ---- effects ---- */
static void stores_come_after_every_read_of_the_old_contents(void **state) {
  (void)state;
  float mem[4] = {1, 2, 3, 4};
  wok_buffer *b;
  assert_int_equal(wok_buffer_new(c, &b, "state", WOK_F32, 4, mem), WOK_OK);
  wok_val *old = wok_load(g, b, 0, WOK_SHAPE(4));
  wok_val *twice = wok_scale(old, 2);
  wok_val *effect = wok_store(b, 0, twice);          /* built before the other reader */
  wok_val *sum = wok_sum(wok_reshape(old, WOK_SHAPE(2, 2))); /* reads the old contents, under another shape */
  wok_val *after = wok_sum(effect);                  /* reads the new ones */
  wok_val *results[] = {sum, after};
  wok_plan *p = plan_of((wok_val *[]){sum, after, effect}, 3);
  (void)results;
  run(p);
  assert_true(*(const float *)wok_plan_data(p, 0) == 10);
  assert_true(*(const float *)wok_plan_data(p, 1) == 20);
  assert_true(mem[3] == 8);
  run(p);
  assert_true(*(const float *)wok_plan_data(p, 0) == 20 && mem[0] == 4);
  wok_plan_free(p);
  wok_buffer_free(b);
}

static void effects_on_disjoint_ranges_do_not_wait(void **state) {
  (void)state;
  float mem[4] = {1, 2, 3, 4};
  wok_buffer *b;
  assert_int_equal(wok_buffer_new(c, &b, "swap", WOK_F32, 4, mem), WOK_OK);
  /* each half becomes the other: both read before both write */
  wok_val *lo = wok_load(g, b, 0, WOK_SHAPE(2)), *hi = wok_load(g, b, 2, WOK_SHAPE(2));
  wok_val *e[] = {wok_store(b, 0, wok_scale(hi, 1.5)), wok_store(b, 2, wok_scale(lo, 10))};
  wok_plan *p = plan_of(e, 2);
  run(p);
  float want[] = {4.5F, 6, 10, 20};
  for (int i = 0; i < 4; i++)
    if (mem[i] != want[i]) fail_msg("element %d: expected %g, came %g", i, (double)want[i], (double)mem[i]);
  wok_plan_free(p);
  wok_buffer_free(b);
}

static void rows_are_stored_where_the_data_says(void **state) {
  (void)state;
  float mem[10] = {0}, v[4] = {1, 2, 3, 4};
  int32_t idx[2] = {3, -1};
  wok_buffer *b;
  assert_int_equal(wok_buffer_new(c, &b, "cache", WOK_F32, 10, mem), WOK_OK);
  wok_val *i = wok_input(g, "idx", WOK_I32, WOK_SHAPE(2)), *x = wok_input(g, "v", WOK_F32, WOK_SHAPE(2, 2));
  wok_val *all = wok_store_rows(b, 2, WOK_SHAPE(4, 2), i, x);
  wok_val *sum = wok_sum(all);
  wok_plan *p = plan_of(&sum, 1);
  wok_plan_bind(p, i, idx);
  wok_plan_bind(p, x, v);
  assert_true(*run(p) == 3);
  assert_true(mem[8] == 1 && mem[9] == 2 && mem[2] == 0);
  wok_plan_free(p);
  wok_buffer_free(b);
}

/* ---- gradients into a buffer ---- */
static void a_tied_parameter_is_one_chain_of_accumulations(void **state) {
  (void)state;
  enum { V = 40, C = 24, T = 16 };
  float w[V * C], dw[V * C] = {0}, x[T * C];
  int32_t ids[T], labels[T];
  for (int i = 0; i < V * C; i++) w[i] = sinf((float)i) * 0.1F;
  for (int i = 0; i < T; i++) {
    ids[i] = i * 7 % V;
    labels[i] = i * 5 % V;
  }
  (void)x;
  wok_buffer *pb, *gb;
  assert_int_equal(wok_buffer_new(c, &pb, "parameters", WOK_F32, V * C, w), WOK_OK);
  assert_int_equal(wok_buffer_new(c, &gb, "gradients", WOK_F32, V * C, dw), WOK_OK);
  wok_val *e = wok_load(g, pb, 0, WOK_SHAPE(V, C)), *in = wok_input(g, "ids", WOK_I32, WOK_SHAPE(T)),
          *lab = wok_input(g, "labels", WOK_I32, WOK_SHAPE(T));
  wok_val *h = wok_tanh(wok_gather(e, in));
  wok_val *loss = wok_sum(wok_xent(wok_linear(h, e, NULL), lab));
  wok_val *de = wok_grad1(loss, e);
  wok_val *results[] = {loss, wok_accumulate(gb, 0, de), de};
  wok_plan *p = plan_of(results, 2), *q = plan_of((wok_val *[]){de}, 1);
  for (int i = 0; i < 2; i++) {
    wok_plan *each = i ? q : p;
    wok_plan_bind(each, in, ids);
    wok_plan_bind(each, lab, labels);
    run(each);
  }
  const float *want = wok_plan_data(q, 0);
  double worst = 0, big = 0;
  for (int i = 0; i < V * C; i++) {
    worst = fmax(worst, fabs((double)(dw[i] - want[i])));
    big = fmax(big, fabs((double)want[i]));
  }
  if (!(worst <= 1e-6 * big)) fail_msg("expected the same gradient, differs by %g of %g", worst, big);
  /* both halves are written by the kernels that make them: no full-size sum, no copy */
  assert_int_equal(p->direct, 2);
  int64_t both = 0, adds = 0;
  for (int64_t i = 0; i < p->nsteps; i++) {
    both += p->steps[i].node->op->id == WOK__OP_linear_xent_both;
    adds += p->steps[i].node->op->id == WOK__OP_add;
  }
  assert_int_equal(both, 1);
  assert_int_equal(adds, 0);
  wok_plan_free(p);
  wok_plan_free(q);
  wok_buffer_free(pb);
  wok_buffer_free(gb);
}

static void slices_come_back_as_one_concatenation(void **state) {
  (void)state;
  wok_val *x = wok_input(g, "x", WOK_F64, WOK_SHAPE(3, 6)), *y = wok_exp(x), *part[3];
  for (int i = 0; i < 3; i++) part[i] = wok_slice(y, 1, 2 * i, 2 * i + 2);
  wok_val *d = wok_grad1(wok_sum(wok_mul(part[0], wok_mul(part[1], wok_square(part[2])))), x);
  wok_plan *p = plan_of(&d, 1);
  int pads = 0, concats = 0;
  for (int64_t i = 0; i < p->nsteps; i++) {
    pads += p->steps[i].node->op->id == WOK__OP_pad;
    concats += p->steps[i].node->op->id == WOK__OP_concat;
  }
  assert_int_equal(pads, 0);
  assert_int_equal(concats, 1);
  double xs[18];
  for (int i = 0; i < 18; i++) xs[i] = 0.1 * i;
  wok_plan_bind(p, x, xs);
  run(p);
  for (int r = 0; r < 3; r++)
    for (int i = 0; i < 6; i++) {
      const double *q = xs + 6 * r;
      int k = i % 2;
      double f = exp(q[k] + q[2 + k] + 2 * q[4 + k]), want = i < 4 ? f : 2 * f, came = ((const double *)wok_plan_data(p, 0))[6 * r + i];
      if (fabs(want - came) > 1e-12 * want) fail_msg("row %d element %d: expected %.15g, came %.15g", r, i, want, came);
    }
  wok_plan_free(p);
}

static void equal_values_are_made_once_but_dropout_masks_stay_apart(void **state) {
  (void)state;
  wok_val *x = wok_input(g, "x", WOK_F32, WOK_SHAPE(64));
  wok_val *a = wok_add(wok_exp(x), wok_exp(x));
  wok_val *d = wok_add(wok_dropout(x, 0.5, 0), wok_dropout(x, 0.5, 0));
  wok_plan *p = plan_of((wok_val *[]){a, d}, 2);
  int exps = 0, drops = 0;
  for (int64_t i = 0; i < p->nsteps; i++) {
    exps += p->steps[i].node->op->id == WOK__OP_exp;
    drops += p->steps[i].node->op->id == WOK__OP_dropout;
  }
  assert_int_equal(exps, 1);
  assert_int_equal(drops, 2);
  wok_plan_free(p);
}

/* ---- memory ---- */
static void a_chain_of_element_wise_operators_needs_one_block(void **state) {
  (void)state;
  enum { N = 1 << 16 };
  float *x = calloc(N, sizeof *x);
  wok_val *v = wok_input(g, "x", WOK_F32, WOK_SHAPE(N)), *y = v;
  for (int i = 0; i < 40; i++) y = wok_tanh(wok_scale(y, 1.01));
  wok_plan *p = plan_of(&y, 1);
  wok_plan_bind(p, v, x);
  run(p);
  if (wok_plan_bytes(p) > N * 4 + 4096) fail_msg("expected one block of %d bytes, came %lld", N * 4, (long long)wok_plan_bytes(p));
  wok_plan_free(p);
  free(x);
}

/* A fresh run writes what it otherwise adds to: the same sums as onto zeros, without reading what was there. */
static void a_fresh_run_begins_its_sums(void **state) {
  (void)state;
  enum { N = 64, ALL = 2 * N + 8 };
  static float sums[ALL], want[ALL], xs[N];
  wok_buffer *b;
  assert_int_equal(wok_buffer_new(c, &b, "sums", WOK_F32, ALL, sums), WOK_OK);
  wok_val *x = wok_input(g, "x", WOK_F32, WOK_SHAPE(N)), *m = wok_reshape(x, WOK_SHAPE(8, 8));
  wok_val *two = wok_add(wok_reshape(wok_exp(x), WOK_SHAPE(8, 8)), wok_matmul(m, m, true, false));
  wok_val *r[4] = {wok_accumulate(b, 0, two), wok_accumulate(b, N, x), wok_accumulate(b, 2 * N, wok_sum_axis(m, 0, false)), wok_sum(x)};
  for (int i = 0; i < N; i++) xs[i] = (float)(i % 11) * 0.1f;
  wok_plan *p = plan_of(r, 4);
  wok_plan_bind(p, x, xs);
  memset(sums, 0, sizeof sums);
  assert_int_equal(wok_plan_run(p, NULL), WOK_OK);
  memcpy(want, sums, sizeof sums);
  for (int i = 0; i < ALL; i++) sums[i] = NAN;
  assert_int_equal(wok_plan_run(p, &(wok_run_opts){.fresh = true}), WOK_OK);
  assert_memory_equal(sums, want, sizeof sums);
  assert_int_equal(wok_plan_run(p, NULL), WOK_OK); /* and adds again */
  for (int i = 0; i < ALL; i++) assert_true(fabsf(sums[i] - 2 * want[i]) <= 1e-5f * fabsf(want[i]));
  wok_plan_free(p);
  wok_buffer_free(b);
}

static void a_memory_limit_is_named(void **state) {
  (void)state;
  wok_ctx *small;
  wok_graph *h;
  wok_plan *p;
  assert_int_equal(wok_ctx_new(&small, &(wok_ctx_opts){.mem_limit = 1 << 20}), WOK_OK);
  assert_int_equal(wok_graph_new(small, &h), WOK_OK);
  wok_val *y = wok_exp(wok_input(h, "x", WOK_F32, WOK_SHAPE(1 << 20)));
  assert_int_equal(wok_compile(small, &p, &y, 1, &(wok_plan_opts){.name = "train"}), WOK_LIMIT);
  assert_string_equal(wok_errmsg(small), "train needs 4.2 MB (values 4.2 MB, state 0 B); the memory limit is 1.0 MB");
  wok_graph_free(h);
  wok_ctx_free(small);
}

static void plans_share_a_workspace(void **state) {
  (void)state;
  wok_workspace *w;
  assert_int_equal(wok_workspace_new(c, &w), WOK_OK);
  float x[1000];
  for (int i = 0; i < 1000; i++) x[i] = (float)i;
  wok_val *a = wok_input(g, "a", WOK_F32, WOK_SHAPE(10)), *b = wok_input(g, "b", WOK_F32, WOK_SHAPE(1000));
  wok_val *ya = wok_scale(a, 2), *yb = wok_scale(b, 3);
  wok_plan *p, *q;
  assert_int_equal(wok_compile(c, &p, &ya, 1, &(wok_plan_opts){.workspace = w}), WOK_OK);
  wok_plan_bind(p, a, x);
  run(p);
  assert_int_equal(wok_compile(c, &q, &yb, 1, &(wok_plan_opts){.workspace = w}), WOK_OK); /* grows, and moves */
  wok_plan_bind(q, b, x);
  for (int i = 0; i < 3; i++) {
    assert_true(run(q)[999] == 2997);
    assert_true(run(p)[9] == 18);
  }
  wok_plan_free(p);
  wok_plan_free(q);
  wok_workspace_free(w);
}

static void an_unbound_input_is_named(void **state) {
  (void)state;
  wok_val *y = wok_exp(wok_named(wok_input(g, "x", WOK_F32, WOK_SHAPE(2)), "features"));
  wok_plan *p = plan_of(&y, 1);
  assert_int_equal(wok_plan_run(p, NULL), WOK_INVALID);
  assert_non_null(strstr(wok_errmsg(c), "input features was not bound"));
  wok_plan_free(p);
}

/* ---- differentiation ---- */
static void gradients_nest(void **state) {
  (void)state;
  wok_val *x = wok_input(g, "x", WOK_F64, WOK_SHAPE0);
  wok_val *d = wok_tanh(x);
  for (int i = 0; i < 3; i++) d = wok_grad1(d, x);
  wok_plan *p = plan_of(&d, 1);
  double v = 0.7, t = tanh(v), want = (1 - t * t) * (6 * t * t - 2);
  wok_plan_bind(p, x, &v);
  run(p);
  double came = *(const double *)wok_plan_data(p, 0);
  if (fabs(came - want) > 1e-13) fail_msg("tanh''': expected %.15g, came %.15g", want, came);
  wok_plan_free(p);
}

static void unused_inputs_have_zero_gradients_and_integers_none(void **state) {
  (void)state;
  wok_val *x = wok_input(g, "x", WOK_F32, WOK_SHAPE(3)), *u = wok_input(g, "u", WOK_F32, WOK_SHAPE(2)),
          *i = wok_named(wok_input(g, "i", WOK_I32, WOK_SHAPE(2)), "labels");
  wok_val *y = wok_sum(wok_square(x)), *dx[2];
  wok_grad(y, (wok_val *[]){x, u}, 2, dx);
  float xs[3] = {1, 2, 3};
  wok_plan *p = plan_of(dx, 2);
  wok_plan_bind(p, x, xs);
  run(p);
  assert_true(((const float *)wok_plan_data(p, 0))[2] == 6);
  assert_true(((const float *)wok_plan_data(p, 1))[1] == 0);
  wok_plan_free(p);
  assert_true(wok_is_poison(wok_grad1(y, i)));
  assert_non_null(strstr(wok_graph_message(g), "labels, is i32"));
}

static void a_gradient_within_a_loss(void **state) {
  (void)state;
  /* L = sum(f) + 1/2 |df/dx|^2 with f = x^3: dL/dx = 3x^2 + 3x^2 * 6x */
  wok_val *x = wok_input(g, "x", WOK_F64, WOK_SHAPE(2));
  wok_val *f = wok_sum(wok_mul(x, wok_square(x))), *df = wok_grad1(f, x);
  wok_val *dl = wok_grad1(wok_add(f, wok_scale(wok_sum(wok_square(df)), 0.5)), x);
  double xs[2] = {0.5, -1.25};
  wok_plan *p = plan_of(&dl, 1);
  wok_plan_bind(p, x, xs);
  run(p);
  for (int i = 0; i < 2; i++) {
    double want = 3 * xs[i] * xs[i] * (1 + 6 * xs[i]), came = ((const double *)wok_plan_data(p, 0))[i];
    if (fabs(want - came) > 1e-12) fail_msg("expected %.15g, came %.15g", want, came);
  }
  wok_plan_free(p);
}

/* ---- forward mode, Hessian products ---- */
static void forward_mode_agrees_with_the_formula(void **state) {
  (void)state;
  wok_val *x = wok_input(g, "x", WOK_F64, WOK_SHAPE(3)), *v = wok_input(g, "v", WOK_F64, WOK_SHAPE(3));
  wok_val *y = wok_mul(wok_sin(x), x), *dy, *hv;
  wok_jvp(&y, 1, &x, &v, 1, &dy);
  wok_hvp(wok_sum(wok_mul(y, wok_square(x))), &x, &v, 1, &hv);
  double xs[] = {0.3, -1.1, 2}, vs[] = {1, -0.5, 0.25};
  wok_plan *p = plan_of((wok_val *[]){dy, hv}, 2);
  wok_plan_bind(p, x, xs);
  wok_plan_bind(p, v, vs);
  run(p);
  for (int i = 0; i < 3; i++) {
    double a = xs[i], j = (sin(a) + a * cos(a)) * vs[i];
    /* d2/da2 of a^3 sin a */
    double h = (6 * a * sin(a) + 6 * a * a * cos(a) - a * a * a * sin(a)) * vs[i];
    double cj = ((const double *)wok_plan_data(p, 0))[i], ch = ((const double *)wok_plan_data(p, 1))[i];
    if (fabs(cj - j) > 1e-13) fail_msg("jvp %d: expected %.15g, came %.15g", i, j, cj);
    if (fabs(ch - h) > 1e-12) fail_msg("hvp %d: expected %.15g, came %.15g", i, h, ch);
  }
  wok_plan_free(p);
}

static wok_val *attend(wok_graph *h, wok_val *const *x, int n, void *ud) {
  (void)n;
  (void)ud;
  int32_t lo[6] = {0}, hi[6];
  for (int i = 0; i < 6; i++) hi[i] = i + 1;
  wok_val *o = wok_attention(x[0], x[1], x[2], wok_const(h, WOK_I32, WOK_SHAPE(6), lo), wok_const(h, WOK_I32, WOK_SHAPE(6), hi), NULL);
  return wok_sum(wok_square(wok_tanh(o)));
}

static wok_val *wrong_slope(wok_graph *h, wok_val *const *x, int n, void *ud) {
  (void)h;
  (void)n;
  (void)ud;
  /* x^2 whose gradient forgets a factor: part of it hides behind stop_grad */
  return wok_sum(wok_mul(x[0], wok_stop_grad(x[0])));
}

static wok_val *kinked(wok_graph *h, wok_val *const *x, int n, void *ud) {
  (void)h;
  (void)n;
  (void)ud;
  return wok_sum(wok_activation(x[0], WOK_ACT_RELU));
}

static void gradcheck_finds_right_and_wrong(void **state) {
  (void)state;
  double q[24], k[24], v[24];
  for (int i = 0; i < 24; i++) {
    q[i] = sin(i);
    k[i] = cos(3 * i);
    v[i] = sin(2 * i + 1);
  }
  wok_shape s[3] = {WOK_SHAPE(6, 2, 2), WOK_SHAPE(6, 2, 2), WOK_SHAPE(6, 2, 2)};
  const double *data[] = {q, k, v};
  wok_check_result r;
  wok_status (*const checks[])(wok_ctx *, wok_scalar_fn, void *, const wok_shape *, const double *const *, int, const wok_check_opts *,
                               wok_check_result *) = {wok_gradcheck, wok_gradgradcheck};
  for (int i = 0; i < 2; i++) {
    wok_status e = checks[i](c, attend, NULL, s, data, 3, NULL, &r);
    if (e) fail_msg("order %d: %s\n%s", i + 1, wok_errmsg(c), r.report);
    assert_true(r.ok && r.checked == 24 && r.kinks == 0);
    wok_text_free(r.report);
  }
  assert_int_equal(wok_gradcheck(c, wrong_slope, NULL, s, data, 1, NULL, &r), WOK_MISMATCH);
  assert_false(r.ok);
  assert_non_null(strstr(r.report, "x[0]: WRONG"));
  wok_text_free(r.report);
  double near[] = {1e-4, 1, -1};
  const double *at[] = {near};
  wok_shape three = WOK_SHAPE(3);
  assert_int_equal(wok_gradcheck(c, kinked, NULL, &three, at, 1, &(wok_check_opts){.directions = 20}, &r), WOK_OK);
  assert_true(r.kinks > 0 && r.kinks < r.checked);
  wok_text_free(r.report);
}

/* ---- recomputed blocks ---- */
static wok_val *weight;
static wok_val *block(wok_graph *h, wok_val *const *x, int n, void *ud) {
  (void)h;
  (void)n;
  (void)ud;
  return wok_add(x[0], wok_dropout(wok_tanh(wok_linear(wok_tanh(wok_linear(x[0], weight, NULL)), weight, NULL)), 0.3, 0));
}

static void recomputed_blocks_keep_less_and_compute_the_same(void **state) {
  (void)state;
  enum { T = 4096, C = 32, LAYERS = 12 };
  float *xs = calloc(T * C, sizeof *xs), *ws = calloc(C * C, sizeof *ws), *first = NULL;
  for (int i = 0; i < T * C; i++) xs[i] = sinf((float)i);
  for (int i = 0; i < C * C; i++) ws[i] = 0.2F * cosf((float)(7 * i));
  int64_t bytes[2];
  for (int k = 0; k < 2; k++) {
    wok_graph *h;
    assert_int_equal(wok_graph_new(c, &h), WOK_OK);
    wok_val *x = wok_input(h, "x", WOK_F32, WOK_SHAPE(T, C)), *y = x, *dx[2];
    weight = wok_input(h, "w", WOK_F32, WOK_SHAPE(C, C));
    for (int i = 0; i < LAYERS; i++) y = k ? wok_recompute(h, block, &y, 1, NULL) : block(h, &y, 1, NULL);
    wok_grad(wok_sum(wok_square(y)), (wok_val *[]){x, weight}, 2, dx);
    wok_plan *p = plan_of(dx, 2);
    wok_plan_bind(p, x, xs);
    wok_plan_bind(p, weight, ws);
    run(p);
    bytes[k] = wok_plan_bytes(p);
    if (!k) {
      first = malloc(sizeof(float) * (T * C + C * C));
      memcpy(first, wok_plan_data(p, 0), sizeof(float) * T * C);
      memcpy(first + T * C, wok_plan_data(p, 1), sizeof(float) * C * C);
    } else { /* the same kernels on the same numbers: the same bits; the weight all layers share is summed block by block */
      assert_memory_equal(first, wok_plan_data(p, 0), sizeof(float) * T * C);
      const float *dw = wok_plan_data(p, 1);
      double big = 0, worst = 0;
      for (int i = 0; i < C * C; i++) {
        big = fmax(big, fabs((double)first[T * C + i]));
        worst = fmax(worst, fabs((double)(first[T * C + i] - dw[i])));
      }
      if (worst > 1e-6 * big) fail_msg("expected the same gradient, differs by %g of %g", worst, big);
    }
    wok_plan_free(p);
    wok_graph_free(h);
  }
  print_message("12 layers: %lld bytes kept, %lld with recomputation\n", (long long)bytes[0], (long long)bytes[1]);
  assert_true(bytes[1] < bytes[0] * 6 / 10);
  free(xs);
  free(ws);
  free(first);
}

static void a_long_chain_compiles_in_linear_time(void **state) {
  (void)state;
  NOT_UNDER_VALGRIND("a matter of time");
  double t[2];
  for (int k = 0; k < 2; k++) {
    wok_graph *h;
    wok_plan *p;
    assert_int_equal(wok_graph_new(c, &h), WOK_OK);
    wok_val *x = wok_input(h, "x", WOK_F32, WOK_SHAPE(1)), *y = x;
    for (int i = 0; i < (k ? 40000 : 10000); i++) y = wok_sin(y);
    wok_val *d = wok_grad1(y, x);
    double t0 = wok__now();
    if (wok_compile(c, &p, &d, 1, NULL)) fail_msg("%s", wok_errmsg(c));
    t[k] = wok__now() - t0;
    wok_plan_free(p);
    wok_graph_free(h);
  }
  print_message("10,000 and 40,000 operators with gradient: %.3f s, %.3f s\n", t[0], t[1]);
  assert_true(t[1] < 10 * t[0] + 0.5); /* 4 would be linear, 16 quadratic */
}

static void reports_and_dot(void **state) {
  (void)state;
  wok_val *x = wok_input(g, "x", WOK_F32, WOK_SHAPE(8, 8)), *y = wok_matmul(x, x, false, false);
  wok_plan *p;
  char *text;
  float xs[64] = {0};
  assert_int_equal(wok_compile(c, &p, &y, 1, &(wok_plan_opts){.name = "demo", .profile = true}), WOK_OK);
  wok_plan_bind(p, x, xs);
  run(p);
  assert_int_equal(wok_plan_report(p, &text), WOK_OK);
  assert_non_null(strstr(text, "plan demo: 2 steps"));
  assert_non_null(strstr(text, "matmul"));
  wok_text_free(text);
  assert_int_equal(wok_graph_dot(g, &text), WOK_OK);
  assert_non_null(strstr(text, "n0 -> n1"));
  wok_text_free(text);
  wok_plan_free(p);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(poison_keeps_the_first_message),
      TEST(values_of_another_graph_are_refused),
      TEST(names_and_scopes),
      TEST(by_products_are_for_backward_operators_only),
      TEST(stores_come_after_every_read_of_the_old_contents),
      TEST(effects_on_disjoint_ranges_do_not_wait),
      TEST(rows_are_stored_where_the_data_says),
      TEST(a_tied_parameter_is_one_chain_of_accumulations),
      TEST(slices_come_back_as_one_concatenation),
      TEST(equal_values_are_made_once_but_dropout_masks_stay_apart),
      TEST(a_chain_of_element_wise_operators_needs_one_block),
      TEST(a_fresh_run_begins_its_sums), TEST(a_memory_limit_is_named),
      TEST(plans_share_a_workspace),
      TEST(an_unbound_input_is_named),
      TEST(gradients_nest),
      TEST(unused_inputs_have_zero_gradients_and_integers_none),
      TEST(a_gradient_within_a_loss),
      TEST(forward_mode_agrees_with_the_formula),
      TEST(gradcheck_finds_right_and_wrong),
      TEST(recomputed_blocks_keep_less_and_compute_the_same),
      TEST(a_long_chain_compiles_in_linear_time),
      TEST(reports_and_dot),
  };
  return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
