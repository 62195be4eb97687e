/* The tests that every operator's table entry implies, made from its cases: shape errors, every kernel against the reference,
   reference against expansion, gradient and gradient of gradient against central differences in f64, in place against out of
   place, accumulation into a buffer, 1 thread against n bit for bit. An operator without cases fails. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "graph/graph.h"
#include "kernels/kernel.h"
#include "ops/primitive.h"

enum { MAX = 8, OUTS = 8 };

/* ---- inputs from their specification ---- */
typedef struct inputs {
  int n;
  char kind[MAX]; /* f p i b, '-' absent */
  int64_t limit[MAX], count[MAX];
  wok_shape shape[MAX];
  wok_dtype type[MAX];
  double *value[MAX]; /* numbers as doubles, whatever the type under test */
  void *data[MAX];    /* the same in the type */
} inputs;

static void parse_one(inputs *x, const char *word) {
  int i = x->n++;
  assert_true(i < MAX);
  x->kind[i] = word[0];
  x->count[i] = 1;
  if (word[0] == '-') return;
  const char *p = word + 1;
  if (word[0] == 'i') {
    assert_true(*p == '<');
    x->limit[i] = strtoll(p + 1, (char **)&p, 10);
  }
  assert_true(strchr("fpib", word[0]) != NULL && *p == '[');
  for (p++; *p != ']';) {
    int64_t d = strtoll(p, (char **)&p, 10);
    x->shape[i].dim[x->shape[i].ndim++] = d;
    x->count[i] *= d;
    if (*p == ',') p++;
  }
}

static void parse(inputs *x, const char *spec) {
  char text[256], *save = NULL;
  *x = (inputs){0};
  snprintf(text, sizeof text, "%s", spec);
  for (char *w = strtok_r(text, " ", &save); w; w = strtok_r(NULL, " ", &save)) parse_one(x, w);
}

static void draw(inputs *x, uint64_t seed) {
  wok__rng r;
  wok__rng_init(&r, seed, 7);
  for (int i = 0; i < x->n; i++) {
    x->value[i] = calloc((size_t)x->count[i] + 1, sizeof(double));
    for (int64_t k = 0; k < x->count[i]; k++) {
      double u = wok__rng_uniform(&r);
      double v = x->kind[i] == 'f' ? 3 * u - 1.5 : x->kind[i] == 'p' ? 0.5 + 2 * u : x->kind[i] == 'b' ? (u < 0.5) : floor(u * (double)x->limit[i]);
      x->value[i][k] = v;
    }
  }
}

static void cast_to(inputs *x, wok_dtype real) {
  for (int i = 0; i < x->n; i++) {
    if (x->kind[i] == '-') continue;
    x->type[i] = x->kind[i] == 'i' ? WOK_I32 : x->kind[i] == 'b' ? WOK_BOOL : real;
    free(x->data[i]);
    x->data[i] = malloc((size_t)((x->count[i] + 1) * wok_dtype_size(x->type[i])));
    for (int64_t k = 0; k < x->count[i]; k++) switch (x->type[i]) {
      case WOK_F32: ((float *)x->data[i])[k] = (float)x->value[i][k]; break;
      case WOK_F64: ((double *)x->data[i])[k] = x->value[i][k]; break;
      case WOK_I32: ((int32_t *)x->data[i])[k] = (int32_t)x->value[i][k]; break;
      default: ((uint8_t *)x->data[i])[k] = (uint8_t)x->value[i][k];
      }
  }
}

static void drop(inputs *x) {
  for (int i = 0; i < x->n; i++) {
    free(x->value[i]);
    free(x->data[i]);
  }
}

static void make_inputs(wok_graph *g, const inputs *x, wok_val **in) {
  for (int i = 0; i < x->n; i++) {
    char name[16];
    snprintf(name, sizeof name, "x%d", i);
    in[i] = x->kind[i] == '-' ? NULL : wok_input(g, name, x->type[i], x->shape[i]);
  }
}

/* ---- contexts ---- */
static const char *const caps[] = {NULL, "avx2", "generic"};
enum { CAPS = 3, THREADS = 3 };
static wok_ctx *contexts[CAPS][THREADS];
static wok_ctx *context(void) { return contexts[0][1]; }

static int set_up(void **state) {
  (void)state;
  for (int i = 0; i < CAPS; i++)
    for (int t = 0; t < THREADS; t++)
      if (wok_ctx_new(&contexts[i][t], &(wok_ctx_opts){.threads = t + 1, .isa_cap = caps[i], .seed = 11})) return -1;
  return 0;
}
static int tear_down(void **state) {
  (void)state;
  for (int i = 0; i < CAPS; i++)
    for (int t = 0; t < THREADS; t++) wok_ctx_free(contexts[i][t]);
  return 0;
}

/* ---- running ---- */
typedef struct results {
  int n;
  wok_dtype type[OUTS];
  int64_t count[OUTS];
  void *data[OUTS];
} results;

static double at(const results *r, int o, int64_t k) {
  switch (r->type[o]) {
  case WOK_F32: return (double)((const float *)r->data[o])[k];
  case WOK_F64: return ((const double *)r->data[o])[k];
  case WOK_I32: return ((const int32_t *)r->data[o])[k];
  case WOK_I64: return (double)((const int64_t *)r->data[o])[k];
  default: return ((const uint8_t *)r->data[o])[k];
  }
}
static void drop_results(results *r) {
  for (int i = 0; i < r->n; i++) free(r->data[i]);
  r->n = 0;
}

static const char *now_testing = "";
static void fail_with(const char *what, const char *message) {
  print_error("%s: %s: %s\n", now_testing, what, message);
  fail();
}

static results run_values(wok_ctx *c, wok_val *const *v, int n, const inputs *x, wok_val *const *in, bool reference) {
  results r = {0};
  wok_plan *p;
  if (wok_compile(c, &p, v, n, &(wok_plan_opts){.name = "test", .reference = reference})) fail_with("compile", wok_errmsg(c));
  for (int i = 0; i < x->n; i++)
    if (x->kind[i] != '-') assert_int_equal(wok_plan_bind(p, in[i], x->data[i]), WOK_OK);
  if (wok_plan_run(p, &(wok_run_opts){.seed = 5, .tick = 3})) fail_with("run", wok_errmsg(c));
  r.n = n;
  for (int i = 0; i < n; i++) {
    r.type[i] = v[i]->dtype;
    r.count[i] = wok__shape_count(&v[i]->shape);
    size_t bytes = (size_t)wok__bytes(v[i]->dtype, &v[i]->shape);
    r.data[i] = malloc(bytes + 1);
    memcpy(r.data[i], wok_plan_data(p, i), bytes);
  }
  wok_plan_free(p);
  return r;
}

typedef int (*build_fn)(wok_graph *g, wok_val *const *in, wok_val **out);

static results run_case(wok_ctx *c, build_fn build, const inputs *x, bool reference, bool fresh) {
  wok_graph *g;
  wok_val *in[MAX], *used[MAX], *out[OUTS];
  assert_int_equal(wok_graph_new(c, &g), WOK_OK);
  make_inputs(g, x, in);
  for (int i = 0; i < x->n; i++) {
    used[i] = in[i];
    /* a value of the plan's own that dies in the operator: what in-place work may take over; times one is exact */
    if (fresh && (x->kind[i] == 'f' || x->kind[i] == 'p')) used[i] = wok_mul(in[i], wok_full(g, x->type[i], WOK_SHAPE0, 1));
  }
  int n = build(g, used, out);
  if (wok_graph_status(g)) fail_with("build", wok_graph_message(g));
  results r = run_values(c, out, n, x, in, reference);
  wok_graph_free(g);
  return r;
}

static double largest(const results *r, int o) {
  double m = 0;
  for (int64_t k = 0; k < r->count[o]; k++)
    if (isfinite(at(r, o, k))) m = fmax(m, fabs(at(r, o, k)));
  return m;
}

/* |a - b| <= bound * largest |b|; infinities and NaNs must be the same. */
static void close_to(const results *a, const results *b, double bound, const char *what) {
  assert_int_equal(a->n, b->n);
  for (int o = 0; o < a->n; o++) {
    double m = fmax(largest(b, o), 1e-30);
    for (int64_t k = 0; k < a->count[o]; k++) {
      double x = at(a, o, k), y = at(b, o, k);
      if (x == y || (isnan(x) && isnan(y))) continue;
      if (fabs(x - y) <= bound * m) continue;
      char text[160];
      snprintf(text, sizeof text, "output %d element %lld: expected %.9g, came %.9g (bound %.1e of %.3g)", o, (long long)k, y, x,
               bound, m);
      fail_with(what, text);
    }
  }
}

static void same_bits(const results *a, const results *b, const char *what) {
  for (int o = 0; o < a->n; o++)
    if (memcmp(a->data[o], b->data[o], (size_t)(a->count[o] * wok_dtype_size(a->type[o])))) {
      int64_t k = 0;
      while (k < a->count[o] && at(a, o, k) == at(b, o, k)) k++;
      char text[128];
      snprintf(text, sizeof text, "output %d element %lld: %.9g and %.9g", o, (long long)k, k < a->count[o] ? at(a, o, k) : 0,
               k < a->count[o] ? at(b, o, k) : 0);
      fail_with(what, text);
    }
}

/* ---- shape errors ---- */
static void test_bad(const wok__op_case *k) {
  if (!k->bad) return;
  wok_graph *g;
  wok_val *in[MAX], *out[OUTS] = {0};
  inputs x;
  parse(&x, k->bad);
  draw(&x, 1);
  cast_to(&x, WOK_F32);
  assert_int_equal(wok_graph_new(context(), &g), WOK_OK);
  make_inputs(g, &x, in);
  k->build(g, in, out);
  if (!wok_graph_status(g)) fail_with("bad input", k->bad);
  if (k->message && !strstr(wok_graph_message(g), k->message)) fail_with(k->message, wok_graph_message(g));
  wok_val *after = wok_add(out[0] ? out[0] : wok__poison_of(g), out[0] ? out[0] : wok__poison_of(g));
  assert_true(wok_is_poison(after)); /* poison absorbs */
  wok_plan *p;
  assert_int_not_equal(wok_compile(context(), &p, &after, 1, NULL), WOK_OK);
  assert_string_equal(wok_errmsg(context()), wok_graph_message(g));
  wok_graph_free(g);
  drop(&x);
}

/* ---- kernels ---- */
static void test_kernels(const wok__op_case *k, wok_dtype type, inputs *x) {
  double bound = type == WOK_F32 ? 1e-5 : 1e-12;
  cast_to(x, type);
  results ref = run_case(contexts[0][0], k->build, x, true, false);
  for (int i = 0; i < CAPS; i++) {
    results one = run_case(contexts[i][0], k->build, x, false, false);
    close_to(&one, &ref, bound, caps[i] ? caps[i] : "the best kernel against the reference");
    for (int t = 1; t < THREADS; t++) {
      results more = run_case(contexts[i][t], k->build, x, false, false);
      same_bits(&more, &one, "threads");
      drop_results(&more);
    }
    results fresh = run_case(contexts[i][1], k->build, x, false, true);
    same_bits(&fresh, &one, "in place");
    drop_results(&fresh);
    drop_results(&one);
  }
  drop_results(&ref);
}

/* ---- expansion ---- */
static wok__node *last_of(wok_graph *g, wok_val *const *out, int n, wok__opid id);

static void test_expansion(const wok__op *op, const wok__op_case *k, wok_dtype type, inputs *x) {
  if (!op->expand) return;
  cast_to(x, type);
  wok_graph *g;
  wok_val *in[MAX], *out[OUTS], *fused[OUTS], *parts[OUTS], *expanded[OUTS] = {0};
  assert_int_equal(wok_graph_new(context(), &g), WOK_OK);
  make_inputs(g, x, in);
  int n = k->build(g, in, out), m = 0;
  wok__node *node = last_of(g, out, n, op->id);
  if (!node) fail_with("expansion", "the case does not contain the operator");
  op->expand(g, node, expanded);
  if (wok_graph_status(g)) fail_with("expansion", wok_graph_message(g));
  for (int o = 0; o < node->nout; o++)
    if (expanded[o] && (!op->saved || o < op->saved)) {
      fused[m] = &node->out[o];
      parts[m++] = expanded[o];
    }
  results a = run_values(context(), parts, m, x, in, true), b = run_values(context(), fused, m, x, in, true);
  close_to(&a, &b, type == WOK_F32 ? 5e-6 : 1e-12, "expansion against the reference");
  drop_results(&a);
  drop_results(&b);
  wok_graph_free(g);
}

static wok__node *search(wok__node *n, wok__opid id, int depth) {
  if (n->op->id == id) return n;
  for (int i = 0; i < n->nin && depth; i++) {
    wok__node *f = search(n->in[i]->node, id, depth - 1);
    if (f) return f;
  }
  return NULL;
}
static wok__node *last_of(wok_graph *g, wok_val *const *out, int n, wok__opid id) {
  (void)g;
  for (int i = 0; i < n; i++) {
    wok__node *f = search(out[i]->node, id, 6);
    if (f) return f;
  }
  return NULL;
}

/* ---- derivatives, in f64 ---- */
/* weighted sum of v + 0.3 v^2 of all floating-point outputs: a scalar whose gradient is not special, and has a gradient even where
   the operator is linear */
static wok_val *scalar_of(wok_graph *g, wok_val *const *v, int n, uint64_t seed) {
  wok_val *s = NULL;
  for (int i = 0; i < n; i++) {
    if (v[i]->dtype != WOK_F64 || wok__shape_count(&v[i]->shape) == 0) continue;
    int64_t count = wok__shape_count(&v[i]->shape);
    double *w = malloc((size_t)count * sizeof *w);
    wok__rng r;
    wok__rng_init(&r, seed + (uint64_t)i, 9);
    for (int64_t k = 0; k < count; k++) w[k] = wok__rng_uniform(&r) - 0.3;
    wok_val *bent = wok_mul(v[i], wok_offset(wok_scale(v[i], 0.3), 1));
    wok_val *t = wok_sum(wok_mul(bent, wok_const(g, WOK_F64, v[i]->shape, w)));
    free(w);
    s = s ? wok_add(s, t) : t;
  }
  return s;
}

/* the scalar (order 0) or a scalar of its gradient (order 1), and its gradient */
typedef struct derived { wok_graph *g; wok_val *in[MAX], *s, *dx[MAX], *x[MAX]; int index[MAX], nx; } derived;

static bool derive(derived *d, const wok__op_case *k, const inputs *x, int order) {
  wok_val *out[OUTS];
  *d = (derived){0};
  assert_int_equal(wok_graph_new(context(), &d->g), WOK_OK);
  make_inputs(d->g, x, d->in);
  int n = k->build(d->g, d->in, out);
  for (int i = 0; i < n; i++) /* by-products are no results to differentiate */
    if (out[i]->node && out[i]->node->op->saved && out[i]->out >= out[i]->node->op->saved) out[i] = d->in[0] ? wok_iota(d->g, WOK_I32, WOK_SHAPE(1), 0) : out[i];
  for (int i = 0; i < x->n; i++)
    if (x->kind[i] == 'f' || x->kind[i] == 'p') {
      d->index[d->nx] = i;
      d->x[d->nx++] = d->in[i];
    }
  d->s = scalar_of(d->g, out, n, 100);
  if (!d->s || !d->nx) return false;
  for (int i = 0; i < order; i++) {
    wok_val *g1[MAX];
    wok_grad(d->s, d->x, d->nx, g1);
    if (wok_graph_status(d->g)) fail_with("gradient", wok_graph_message(d->g));
    d->s = scalar_of(d->g, g1, d->nx, 200 + (uint64_t)i);
  }
  if (!d->s) return false;
  wok_grad(d->s, d->x, d->nx, d->dx);
  if (wok_graph_status(d->g)) fail_with("gradient", wok_graph_message(d->g));
  return true;
}

static double value_of(wok_plan *p, const wok_run_opts *o) {
  assert_int_equal(wok_plan_run(p, o), WOK_OK);
  return *(const double *)wok_plan_data(p, 0);
}

/* Returns how many derivatives that are not zero were compared. */
static int64_t test_derivative(const wok__op_case *k, inputs *x, int order) {
  cast_to(x, WOK_F64);
  derived d;
  wok_run_opts ro = {.seed = 5, .tick = 3};
  int64_t compared = 0;
  if (!derive(&d, k, x, order)) {
    wok_graph_free(d.g);
    return 0;
  }
  results grad = run_values(context(), d.dx, d.nx, x, d.in, true);
  wok_plan *p;
  if (wok_compile(context(), &p, &d.s, 1, &(wok_plan_opts){.name = "scalar", .reference = true})) fail_with("compile", wok_errmsg(context()));
  for (int i = 0; i < x->n; i++)
    if (x->kind[i] != '-') assert_int_equal(wok_plan_bind(p, d.in[i], x->data[i]), WOK_OK);
  for (int i = 0; i < d.nx; i++) {
    double *v = x->data[d.index[i]], big = largest(&grad, i), scale = 0;
    for (int j = 0; j < d.nx; j++) scale = fmax(scale, largest(&grad, j));
    int64_t count = x->count[d.index[i]], step = count > 24 ? count / 24 : 1;
    for (int64_t e = 0; e < count; e += step) {
      double keep = v[e], h = 2e-4, f[4];
      for (int j = 0; j < 4; j++) {
        v[e] = keep + h * (j < 2 ? j - 2 : j - 1);
        f[j] = value_of(p, &ro);
      }
      v[e] = keep;
      double numeric = (f[0] - 8 * f[1] + 8 * f[2] - f[3]) / (12 * h), came = at(&grad, i, e);
      compared += came != 0;
      /* 1e-6 of the largest magnitude of the result; where all of it is tiny, of the gradient as a whole */
      double bound = 1e-6 * fmax(big, fmax(1e-3 * scale, 1e-5));
      /* and what rounding the four values does to the quotient */
      for (int j = 0; j < 4; j++) bound += 2.3e-16 * fabs(f[j]) / h;
      if (fabs(numeric - came) <= bound) continue;
      char text[160];
      snprintf(text, sizeof text, "order %d, input %d element %lld: central difference %.12g, gradient %.12g", order + 1, d.index[i],
               (long long)e, numeric, came);
      fail_with("derivative", text);
    }
  }
  wok_plan_free(p);
  drop_results(&grad);
  wok_graph_free(d.g);
  return compared;
}

/* ---- fused against fully expanded: values, gradients, gradients of gradients, in f64. Both ways
   round: the fused one's gradients in primitives, and the gradients of what was put into primitives before. ---- */
static bool no_expansion_left(wok_val *const *v, int n) {
  bool left = false;
  for (int i = 0; i < n; i++)
    for (int id = 0; id < WOK__OP_COUNT; id++) left |= wok__op_table[id]->expand && search(v[i]->node, (wok__opid)id, 12);
  return !left;
}
typedef struct ways { wok_val *v[3][MAX * 3]; int n; } ways;
static void add_ways(ways *w, wok_val *fused, wok_val *apart) {
  int i = w->n++;
  w->v[0][i] = fused, w->v[2][i] = apart;
  wok__expand_all(&fused, 1, &w->v[1][i]);
  assert_true(no_expansion_left(&w->v[1][i], 1));
}
static void test_expanded(const wok__op *op, const wok__op_case *k, inputs *x) {
  if (!op->expand) return;
  cast_to(x, WOK_F64);
  wok_graph *g;
  wok_val *in[MAX], *at[MAX], *out[OUTS], *apart[OUTS];
  ways w = {0};
  int nx = 0, kept = 0;
  assert_int_equal(wok_graph_new(context(), &g), WOK_OK);
  make_inputs(g, x, in);
  for (int i = 0; i < x->n; i++)
    if (x->kind[i] == 'f' || x->kind[i] == 'p') at[nx++] = in[i];
  int n = k->build(g, in, out);
  for (int i = 0; i < n; i++) /* without by-products */
    if (!out[i]->node->op->saved || out[i]->out < out[i]->node->op->saved) out[kept++] = out[i];
  wok__expand_all(out, kept, apart);
  for (int i = 0; i < kept; i++) add_ways(&w, out[i], apart[i]);
  wok_val *s[2] = {scalar_of(g, out, kept, 100), scalar_of(g, apart, kept, 100)};
  for (int order = 1; order < 3 && s[0]; order++) {
    wok_val *d[2][MAX];
    for (int i = 0; i < 2; i++) {
      wok_grad(s[i], at, nx, d[i]);
      s[i] = scalar_of(g, d[i], nx, 200);
    }
    for (int i = 0; i < nx; i++) add_ways(&w, d[0][i], d[1][i]);
  }
  if (wok_graph_status(g)) fail_with("fused against expanded", wok_graph_message(g));
  for (int i = 0; i < w.n; i++) {
    results one[3];
    for (int v = 0; v < 3; v++) one[v] = run_values(context(), &w.v[v][i], 1, x, in, true);
    close_to(&one[1], &one[0], 1e-12, "expanded after differentiation against fused");
    close_to(&one[2], &one[0], 1e-12, "expanded before differentiation against fused");
    for (int v = 0; v < 3; v++) drop_results(&one[v]);
  }
  wok_graph_free(g);
}

/* A gradient does not pass through memory: it is refused by name. */
static void test_refused(const wok__op *op, const wok__op_case *k, inputs *x) {
  cast_to(x, WOK_F64);
  wok_graph *g;
  wok_val *in[MAX], *out[OUTS];
  assert_int_equal(wok_graph_new(context(), &g), WOK_OK);
  make_inputs(g, x, in);
  int n = k->build(g, in, out);
  wok_val *s = scalar_of(g, out, n, 1);
  for (int i = 0; i < x->n && s; i++)
    if (x->kind[i] == 'f') {
      assert_true(wok_is_poison(wok_grad1(s, in[i])));
      if (!strstr(wok_graph_message(g), "cannot differentiate through") || !strstr(wok_graph_message(g), op->name))
        fail_with("refusal", wok_graph_message(g));
      break;
    }
  wok_graph_free(g);
}

/* ---- accumulation into a buffer, where a kernel writes it itself ---- */
static void test_accumulate(const wok__op *op, const wok__op_case *k, wok_dtype type, inputs *x) {
  if (op->flags & WOK__OP_EFFECT) return;
  cast_to(x, type);
  for (int i = 0; i < CAPS; i++) {
    wok_ctx *c = contexts[i][1];
    results plain = run_case(c, k->build, x, false, false);
    for (int o = 0; o < plain.n; o++) {
      if (plain.type[o] != type) continue;
      wok_graph *g;
      wok_val *in[MAX], *out[OUTS];
      assert_int_equal(wok_graph_new(c, &g), WOK_OK);
      make_inputs(g, x, in);
      k->build(g, in, out);
      if (out[o]->node->op->saved && out[o]->out >= out[o]->node->op->saved) {
        wok_graph_free(g);
        continue;
      }
      int64_t n = plain.count[o], size = wok_dtype_size(type);
      char *memory = calloc((size_t)(n + 2), (size_t)size);
      for (int64_t e = 0; e < n + 2; e++) {
        if (type == WOK_F32) ((float *)memory)[e] = 0.25F * (float)(e % 5);
        else ((double *)memory)[e] = 0.25 * (double)(e % 5);
      }
      wok_buffer *b;
      assert_int_equal(wok_buffer_new(c, &b, "sum", type, n + 2, memory), WOK_OK);
      wok_val *effect = wok_accumulate(b, 1, out[o]);
      results r = run_values(c, &effect, 1, x, in, false), want = {.n = 1, .type = {type}, .count = {n}};
      want.data[0] = malloc((size_t)(n * size + 1));
      for (int64_t e = 0; e < n; e++) {
        double v = at(&plain, o, e) + 0.25 * (double)((e + 1) % 5);
        if (type == WOK_F32) ((float *)want.data[0])[e] = (float)v;
        else ((double *)want.data[0])[e] = v;
      }
      close_to(&r, &want, type == WOK_F32 ? 2e-6 : 1e-13, "accumulate");
      drop_results(&r);
      drop_results(&want);
      wok_buffer_free(b);
      free(memory);
      wok_graph_free(g);
    }
    drop_results(&plain);
  }
}

/* ---- all of it ---- */
static void test_op(void **state) {
  const wok__op *op = *state;
  assert_non_null(op->doc);
  if (op->id == WOK__OP_input) return; /* every case of every operator stands on inputs */
  if (!op->ncases) fail_with(op->name, "the entry has no cases");
  int64_t compared[2] = {0, 0};
  for (int64_t i = 0; i < op->ncases; i++) {
    const wok__op_case *k = &op->cases[i];
    char label[320];
    snprintf(label, sizeof label, "%s case %lld (%s)", op->name, (long long)i, k->inputs);
    now_testing = label;
    test_bad(k);
    inputs x;
    parse(&x, k->inputs);
    draw(&x, 17 + (uint64_t)i);
    for (int t = 0; t < 2; t++) {
      wok_dtype type = t ? WOK_F64 : WOK_F32;
      test_kernels(k, type, &x);
      test_expansion(op, k, type, &x);
      test_accumulate(op, k, type, &x);
    }
    if (op->flags & WOK__OP_EFFECT) test_refused(op, k, &x);
    else
      for (int order = 0; order < 2; order++) compared[order] += test_derivative(k, &x, order);
    test_expanded(op, k, &x);
    drop(&x);
  }
  /* an operator with derivatives has cases that show them, of both orders */
  bool none = op->flags & WOK__OP_EFFECT || op->vjp == wok__vjp_none || (!op->vjp && !op->expand);
  if (!none && (!compared[0] || !compared[1])) fail_with(op->name, "no case has a derivative that is not zero");
}

int main(int argc, char **argv) {
  struct CMUnitTest tests[WOK__OP_COUNT];
  int n = 0;
  for (int i = 0; i < WOK__OP_COUNT; i++) {
    const wok__op *op = wok__op_table[i];
    if (argc > 1 && strcmp(argv[1], op->name) != 0) continue;
    tests[n++] = (struct CMUnitTest){.name = op->name, .test_func = test_op, .initial_state = (void *)(uintptr_t)op};
  }
  return _cmocka_run_group_tests("operators", tests, (size_t)n, set_up, tear_down) != 0;
}
