/* support/random_graph.c - see random_graph.h */
#include "random_graph.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LARGEST = 256 }; /* elements of a value */
typedef random_graph gen;

/* ---- drawing ---- */
static int below(gen *k, int n) { return (int)wok__rng_below(&k->r, (uint64_t)n); }
static bool coin(gen *k) { return below(k, 2) != 0; }
static double between(gen *k, double a, double b) { return a + (b - a) * wok__rng_uniform(&k->r); }
static int64_t count_of(const wok_val *v) { return wok__shape_count(&v->shape); }

double random_graph_at(wok_dtype t, const void *p, int64_t i) {
  switch (t) {
  case WOK_F32: return (double)((const float *)p)[i];
  case WOK_F64: return ((const double *)p)[i];
  case WOK_I32: return ((const int32_t *)p)[i];
  case WOK_I64: return (double)((const int64_t *)p)[i];
  default: return ((const uint8_t *)p)[i];
  }
}

static void *numbers(gen *k, int64_t n) { /* in [-1.5, 1.5], of the type */
  void *m = malloc((size_t)(n * wok_dtype_size(k->o.real)) + 1);
  for (int64_t i = 0; i < n; i++) {
    double x = between(k, -1.5, 1.5);
    if (k->o.real == WOK_F64) ((double *)m)[i] = x;
    else ((float *)m)[i] = (float)x;
  }
  return m;
}

static wok_val *constant(gen *k, wok_shape s) {
  void *m = numbers(k, wok__shape_count(&s));
  wok_val *v = wok_const(k->g, k->o.real, s, m);
  free(m);
  return v;
}

static wok_val *leaf(gen *k, wok_shape s) {
  int64_t n = wok__shape_count(&s);
  if (n <= RANDOM_GRAPH_STATE && below(k, 5) == 0) /* often from a range that an effect will overwrite */
    return wok_load(k->g, k->state, below(k, (int)(RANDOM_GRAPH_STATE - n) + 1), s);
  if (k->ninputs < RANDOM_GRAPH_INPUTS && below(k, 3) == 0) {
    int i = k->ninputs++;
    k->data[i] = numbers(k, wok__shape_count(&s));
    k->bound[i] = k->data[i];
    k->inputs[i] = wok_input(k->g, NULL, k->o.real, s);
    return k->inputs[i];
  }
  switch (below(k, 6)) {
  case 0: return wok_random_uniform(k->g, k->o.real, s, 0);
  case 1: return wok_random_normal(k->g, k->o.real, s, 0);
  case 2: return wok_full(k->g, k->o.real, s, between(k, -1, 1));
  case 3: return s.ndim ? wok_scale(wok_iota(k->g, k->o.real, s, below(k, s.ndim)), 0.3) : constant(k, s);
  default: return constant(k, s);
  }
}

static wok_val *remember(gen *k, wok_val *v) {
  if (k->nother < (int)WOK__COUNT(k->other)) k->other[k->nother++] = v;
  return v;
}
static wok_val *integers(gen *k, wok_shape s, int lo, int hi) { /* in [lo, hi) */
  int64_t n = wok__shape_count(&s);
  int32_t *m = malloc((size_t)n * sizeof *m + 1);
  for (int64_t i = 0; i < n; i++) m[i] = lo + below(k, hi - lo);
  wok_val *v = wok_const(k->g, WOK_I32, s, m);
  free(m);
  return remember(k, v);
}

static wok_val *any(gen *k) { /* rather a late one */
  return k->v[coin(k) ? below(k, k->n) : k->n - 1 - below(k, WOK__MIN(k->n, 8))];
}
static wok_val *of_shape(gen *k, wok_shape s) {
  for (int i = 0, at = below(k, k->n); i < k->n; i++) {
    wok_val *v = k->v[(at + i) % k->n];
    if (wok__shape_eq(&v->shape, &s) && below(k, 3)) return v;
  }
  return leaf(k, s);
}
/* A value with at least `least` and at most `most` axes, by another shape if need be. */
static wok_val *with_axes(gen *k, int least, int most) {
  wok_val *v = any(k);
  if (v->shape.ndim > most) {
    wok_shape s = {.ndim = most};
    for (int i = 0; i < most; i++) s.dim[i] = i < most - 1 ? v->shape.dim[i] : -1;
    return most ? wok_reshape(v, s) : wok_sum(v);
  }
  if (v->shape.ndim >= least) return v;
  wok_shape s = v->shape;
  while (s.ndim < least) s.dim[s.ndim++] = 1;
  v = wok_reshape(v, s);
  if (coin(k) && count_of(v) < LARGEST / 4) s.dim[least - 1] *= 1 + below(k, 4);
  return wok_broadcast_to(v, s);
}
/* One whose last axis has at least two elements: statistics of one element are kinks. */
static wok_val *with_rows(gen *k, int least, int most) {
  wok_val *v = with_axes(k, least, most);
  return v->shape.dim[v->shape.ndim - 1] > 1 ? v : of_shape(k, most == 1 ? WOK_SHAPE(4) : WOK_SHAPE(3, 4));
}
static int axis_of(gen *k, const wok_val *v) {
  int a = below(k, v->shape.ndim);
  return coin(k) ? a : a - v->shape.ndim;
}
static int64_t size_at(const wok_val *v, int axis) { return v->shape.dim[axis < 0 ? axis + v->shape.ndim : axis]; }
static wok_val *positive(wok_val *v) { return wok_offset(wok_square(v), 0.5); }

/* ---- element by element ---- */
#define ONE(name, expr)                                                                                      \
  static wok_val *make_##name(gen *k) {                                                                      \
    wok_val *x = any(k);                                                                                     \
    return expr;                                                                                             \
  }
#define ELEMENTS(X)                                                                                          \
  X(neg, wok_neg(x)) X(exp, wok_exp(x)) X(log, wok_log(positive(x))) X(sqrt, wok_sqrt(positive(x)))          \
  X(sin, wok_sin(x)) X(cos, wok_cos(x)) X(tanh, wok_tanh(x)) X(erf, wok_erf(x)) X(abs, wok_abs(x))           \
  X(square, wok_square(x)) X(scale, wok_scale(x, between(k, -2, 2))) X(offset, wok_offset(x, between(k, -1, 1))) \
  X(sigmoid, wok_sigmoid(x)) X(log_sigmoid, wok_log_sigmoid(x)) X(softplus, wok_softplus(x))                 \
  X(elu, wok_elu(x, between(k, 0.5, 2))) X(leaky_relu, wok_leaky_relu(x, between(k, 0, 0.5)))                \
  X(rsqrt, wok_rsqrt(positive(x))) X(cube, wok_pow(x, 3)) X(power, wok_pow(positive(x), between(k, -2, 2)))  \
  X(activation, wok_activation(x, (wok_act)below(k, WOK_ACT_COUNT))) X(dropout, wok_dropout(x, between(k, 0, 0.7), 0)) \
  X(stop_grad, wok_stop_grad(x)) X(sum, wok_sum(x)) X(mean, wok_mean(x))                                     \
  X(straight_through, wok_straight_through(x, wok_tanh(x)))
ELEMENTS(ONE)

/* b with x's shape, or one that broadcasts with it */
static wok_val *partner(gen *k, const wok_val *x) {
  wok_shape s = x->shape;
  if (below(k, 3)) return of_shape(k, s);
  for (int i = 0; i < s.ndim; i++)
    if (below(k, 3) == 0) s.dim[i] = 1;
  while (s.ndim && below(k, 3) == 0) { /* fewer axes */
    memmove(s.dim, s.dim + 1, (size_t)(WOK_MAX_DIMS - 1) * sizeof *s.dim);
    s.dim[--s.ndim] = 0;
  }
  return of_shape(k, s);
}
/* With numbers of its own: what is equal to another value but for rounding would compare as it happens to be rounded. */
static wok_val *apart_from(gen *k, wok_val *y) { return wok_add(y, constant(k, y->shape)); }
static wok_val *less(gen *k, wok_val *x, wok_val *y) {
  y = apart_from(k, y);
  return remember(k, coin(k) ? wok_less(x, y) : wok_less_equal(x, y));
}
#define TWO(name, expr)                                                                                      \
  static wok_val *make_##name(gen *k) {                                                                      \
    wok_val *x = any(k), *y = partner(k, x);                                                                 \
    return expr;                                                                                             \
  }
#define PAIRS(X)                                                                                             \
  X(add, wok_add(x, y)) X(sub, wok_sub(y, x)) X(mul, wok_mul(x, y)) X(div, wok_div(x, positive(y)))          \
  X(maximum, wok_maximum(x, apart_from(k, y))) \
  X(minimum, wok_minimum(apart_from(k, y), x))                                                               \
  X(select, wok_select(less(k, x, y), y, x)) X(mask, wok_mul(wok_cast(less(k, y, x), k->o.real), x))
PAIRS(TWO)
static wok_val *make_equal(gen *k) {
  wok_val *x = any(k), *a = integers(k, x->shape, 0, 3), *b = integers(k, x->shape, 0, 3);
  return wok_mul(wok_cast(remember(k, wok_equal(a, b)), k->o.real), x);
}

/* ---- shapes ---- */
static wok_val *make_reshape(gen *k) {
  wok_val *x = any(k);
  int64_t left = count_of(x);
  wok_shape s = {.ndim = 1 + below(k, 4)};
  if (left == 0) return wok_reshape(x, WOK_SHAPE(0));
  for (int i = 0; i < s.ndim - 1; i++) {
    int64_t d = 1 + below(k, 5);
    s.dim[i] = left % d ? 1 : d;
    left /= s.dim[i];
  }
  s.dim[s.ndim - 1] = coin(k) ? -1 : left;
  return wok_reshape(x, s);
}
static wok_val *make_permute(gen *k) {
  wok_val *x = with_axes(k, 2, 4);
  int axes[4] = {0, 1, 2, 3};
  for (int i = x->shape.ndim - 1; i > 0; i--) {
    int j = below(k, i + 1), t = axes[i];
    axes[i] = axes[j];
    axes[j] = t;
  }
  return wok_permute(x, axes);
}
static wok_val *make_broadcast(gen *k) {
  wok_val *x = with_axes(k, 1, 3);
  wok_shape s = x->shape, t = {.ndim = s.ndim + 1, .dim = {1 + below(k, 3)}};
  memcpy(t.dim + 1, s.dim, (size_t)s.ndim * sizeof *s.dim);
  return wok_broadcast_to(x, t);
}
static wok_val *make_sum_to(gen *k) {
  wok_val *x = with_axes(k, 1, 4);
  wok_shape s = x->shape;
  for (int i = 0; i < s.ndim; i++)
    if (coin(k)) s.dim[i] = 1;
  return wok_sum_to(x, s);
}
static wok_val *make_slice(gen *k) {
  wok_val *x = with_axes(k, 1, 4);
  int a = axis_of(k, x), n = (int)size_at(x, a), from = below(k, n), to = from + 1 + below(k, n - from);
  return wok_slice(x, a, from, to);
}
static wok_val *make_slices(gen *k) { /* cut in two and put together: what a rewrite knows how to differentiate */
  wok_val *x = with_axes(k, 1, 4);
  int a = axis_of(k, x), n = (int)size_at(x, a), cut = below(k, n + 1);
  wok_val *parts[] = {wok_tanh(wok_slice(x, a, 0, cut)), wok_sin(wok_slice(x, a, cut, n))};
  return wok_concat(parts, 2, a);
}
static wok_val *make_pad(gen *k) {
  wok_val *x = with_axes(k, 1, 4);
  return wok_pad(x, axis_of(k, x), below(k, 3), below(k, 3));
}
static wok_val *make_concat(gen *k) {
  wok_val *x = with_axes(k, 1, 4), *parts[3] = {x};
  int a = axis_of(k, x), at = a < 0 ? a + x->shape.ndim : a, n = 1 + below(k, 3);
  for (int i = 1; i < n; i++) {
    wok_shape s = x->shape;
    s.dim[at] = coin(k) ? s.dim[at] : 1 + below(k, 3);
    parts[i] = of_shape(k, s);
  }
  return wok_concat(parts, n, a);
}
static wok_val *make_sum_axis(gen *k) {
  wok_val *x = with_axes(k, 1, 4);
  int a = axis_of(k, x);
  return wok_sum_axis(x, a, coin(k));
}
static wok_val *make_max_axis(gen *k) {
  wok_val *x = with_axes(k, 1, 4);
  int a = axis_of(k, x);
  return wok_max_axis(x, a, coin(k));
}
static wok_val *make_logsumexp(gen *k) {
  wok_val *x = with_axes(k, 1, 4);
  int a = axis_of(k, x);
  return wok_logsumexp(x, a, coin(k));
}
static wok_val *make_cumsum(gen *k) {
  wok_val *x = with_axes(k, 1, 4);
  int a = axis_of(k, x);
  return wok_cumsum(x, a, coin(k));
}

/* ---- indices; a few point outside ---- */
static wok_val *make_gather(gen *k) {
  wok_val *x = with_axes(k, 1, 3);
  wok_shape s = coin(k) ? WOK_SHAPE(1 + below(k, 5)) : WOK_SHAPE(2, 1 + below(k, 2));
  return wok_gather(x, integers(k, s, -1, (int)x->shape.dim[0] + 1));
}
static wok_val *make_scatter(gen *k) {
  wok_val *x = with_axes(k, 1, 3);
  int rows = 1 + below(k, 5);
  return wok_scatter_add(x, integers(k, WOK_SHAPE(x->shape.dim[0]), -1, rows + 1), rows);
}
static wok_val *make_take(gen *k) {
  wok_val *x = with_axes(k, 1, 3);
  int a = axis_of(k, x);
  wok_shape s = x->shape;
  s.dim[a < 0 ? a + s.ndim : a] = 1 + below(k, 4);
  return wok_take_along(x, integers(k, s, -1, (int)size_at(x, a) + 1), a);
}
static wok_val *make_put(gen *k) {
  wok_val *x = with_axes(k, 1, 3);
  int a = axis_of(k, x), size = 1 + below(k, 5);
  return wok_put_along(x, integers(k, x->shape, -1, size + 1), a, size);
}
static wok_val *make_sort(gen *k) {
  wok_val *x = with_axes(k, 1, 3), *from;
  int a = axis_of(k, x);
  wok_val *y = wok_sort(x, a, coin(k), &from);
  remember(k, from);
  return coin(k) ? y : wok_mul(y, wok_take_along(x, from, a));
}
static wok_val *make_top_k(gen *k) {
  wok_val *x = with_axes(k, 1, 3);
  int a = axis_of(k, x);
  return wok_top_k(x, 1 + below(k, (int)size_at(x, a)), a, NULL);
}

/* ---- products ---- */
static wok_val *make_matmul(gen *k) {
  wok_val *x = with_axes(k, 2, 3);
  bool ta = coin(k), tb = coin(k);
  int64_t inner = x->shape.dim[x->shape.ndim - (ta ? 2 : 1)], n = 1 + below(k, 5);
  wok_shape s = x->shape;
  if (s.ndim == 3 && coin(k)) s = (wok_shape){2, {s.dim[1], s.dim[2]}};
  s.dim[s.ndim - 2] = tb ? n : inner;
  s.dim[s.ndim - 1] = tb ? inner : n;
  return wok_matmul(x, of_shape(k, s), ta, tb);
}
static wok_val *make_linear(gen *k) {
  wok_val *x = with_axes(k, 1, 3);
  int64_t in = x->shape.dim[x->shape.ndim - 1], out = 1 + below(k, 6);
  wok_val *w = of_shape(k, WOK_SHAPE(out, in)), *b = coin(k) ? of_shape(k, WOK_SHAPE(out)) : NULL;
  return wok_linear(x, w, b);
}
static wok_val *make_solve(gen *k) {
  wok_val *x = with_axes(k, 2, 2);
  int64_t n = x->shape.dim[0];
  wok_val *row = wok_iota(k->g, WOK_I32, WOK_SHAPE(n, n), 0), *column = wok_iota(k->g, WOK_I32, WOK_SHAPE(n, n), 1);
  wok_val *diagonal = wok_cast(wok_equal(row, column), k->o.real), *square = wok_matmul(x, x, false, true);
  wok_val *l = wok_cholesky(wok_add(square, wok_scale(diagonal, 2)));
  bool transposed = coin(k);
  return wok_triangular_solve(l, of_shape(k, WOK_SHAPE(n, 1 + below(k, 3))), false, transposed);
}

/* ---- images ---- */
static wok_val *image(gen *k) {
  for (int i = 0; i < 6; i++) {
    wok_val *v = any(k);
    if (v->shape.ndim == 4 && v->shape.dim[2] > 1 && v->shape.dim[3] > 1 && count_of(v) <= 96) return v;
  }
  wok_shape s = {.ndim = 4};
  for (int i = 0; i < 4; i++) s.dim[i] = i < 2 ? 1 + below(k, 2 + 2 * i) : 2 + below(k, 3);
  return leaf(k, s);
}
static wok_conv2d_opts conv_opts(gen *k) {
  wok_conv2d_opts o = {.stride = {1 + below(k, 2), 1 + below(k, 2)}, .dilation = {1, 1 + below(k, 2)}};
  for (int i = 0; i < 4; i++) o.pad[i] = 1 + below(k, 2);
  return o;
}
static wok_val *make_conv2d(gen *k) {
  wok_val *x = image(k);
  wok_conv2d_opts o = conv_opts(k);
  int64_t c = x->shape.dim[1], out = 1 + below(k, 3), rows = 1 + below(k, 2), cols = 1 + below(k, 3);
  if (cols == 3) o.dilation[1] = 1; /* fits the narrowest image */
  o.groups = c % 2 == 0 && coin(k) ? 2 : 1;
  out *= o.groups;
  wok_val *w = of_shape(k, WOK_SHAPE(out, c / o.groups, rows, cols));
  return wok_conv2d(x, w, coin(k) ? of_shape(k, WOK_SHAPE(out)) : NULL, &o);
}
static wok_val *make_conv2d_transpose(gen *k) {
  wok_val *x = image(k);
  wok_conv2d_opts o = {.stride = {1 + below(k, 2), 1 + below(k, 2)}};
  int64_t rows = 1 + below(k, 2), cols = 1 + below(k, 3);
  return wok_conv2d_transpose(x, of_shape(k, WOK_SHAPE(x->shape.dim[1], 1 + below(k, 2), rows, cols)), NULL, &o);
}
static wok_val *make_pool(gen *k) {
  wok_val *x = image(k);
  wok_pool2d_opts o = {.window = {2, 2}, .stride = {1 + below(k, 2), 1 + below(k, 2)}, .inside = coin(k)};
  for (int i = 0; i < 4; i++) o.pad[i] = below(k, 2);
  int which = below(k, 3);
  return which == 0 ? wok_avg_pool2d(x, &o) : which == 1 ? wok_max_pool2d(x, &o) : wok_global_avg_pool2d(x);
}
static wok_val *make_resize(gen *k) {
  wok_val *x = image(k);
  int h = 2 + below(k, 4), w = 2 + below(k, 4);
  return wok_resize2d(x, h, w, (wok_resize)below(k, WOK_RESIZE_COUNT));
}

/* ---- fused ---- */
#define ROWS(X)                                                                                              \
  X(softmax, wok_softmax(x)) X(log_softmax, wok_log_softmax(x))                                              \
  X(layer_norm, wok_layer_norm(x, of_shape(k, last), coin(k) ? of_shape(k, last) : NULL, 0.1))               \
  X(rms_norm, wok_rms_norm(x, of_shape(k, last), 0.1)) X(gumbel, wok_gumbel_softmax(x, 0.7, false, 0))
#define ROW(name, expr)                                                                                      \
  static wok_val *make_##name(gen *k) {                                                                      \
    wok_val *x = with_rows(k, 1, 3);                                                                         \
    wok_shape last = WOK_SHAPE(x->shape.dim[x->shape.ndim - 1]);                                             \
    (void)last;                                                                                              \
    return expr;                                                                                             \
  }
ROWS(ROW)
static wok_val *make_group_norm(gen *k) {
  wok_val *x = image(k), *gain = coin(k) ? of_shape(k, WOK_SHAPE(x->shape.dim[1])) : NULL;
  return below(k, 3) ? wok_group_norm(x, x->shape.dim[1] % 2 ? 1 : 2, gain, NULL, 0.1)
                     : wok_batch_norm(x, gain, NULL, &(wok_batch_norm_opts){.eps = 0.1}, NULL);
}
static wok_val *heads_of(gen *k, int64_t t, int64_t h, int64_t d) { return of_shape(k, WOK_SHAPE(t, h, d)); }
static wok_val *make_rope(gen *k) {
  int64_t t = 1 + below(k, 4), h = 1 + below(k, 2);
  wok_val *x = heads_of(k, t, h, 4), *pos = integers(k, WOK_SHAPE(t), 0, 9);
  return wok_rope(x, pos, constant(k, WOK_SHAPE(1 + below(k, 2))), coin(k));
}
static wok_val *make_attention(gen *k) {
  int32_t lo[8], hi[8];
  int tq = 1 + below(k, 5), tk = 1 + below(k, 6);
  int64_t g = 1 + below(k, 2), h = g * (1 + below(k, 2)), d = 2 + 2 * below(k, 2);
  for (int i = 0; i < tq; i++) {
    lo[i] = below(k, tk);
    hi[i] = lo[i] + below(k, tk - lo[i] + 1); /* some see nothing */
  }
  wok_val *q = heads_of(k, tq, h, d), *key = heads_of(k, tk, g, d), *v = heads_of(k, tk, g, 2 + below(k, 2));
  wok_attention_opts o = {.dropout = coin(k) ? 0.3 : 0, .scale = coin(k) ? 0.7 : 0};
  wok_val *from = remember(k, wok_const(k->g, WOK_I32, WOK_SHAPE(tq), lo)), *to = wok_const(k->g, WOK_I32, WOK_SHAPE(tq), hi);
  return wok_attention(q, key, v, from, to, &o);
}
static wok_val *make_xent(gen *k) {
  wok_val *x = with_rows(k, 2, 2);
  if (coin(k)) {
    int64_t out = 2 + below(k, 5);
    wok_val *w = of_shape(k, WOK_SHAPE(out, x->shape.dim[1]));
    x = wok_linear(x, w, coin(k) ? of_shape(k, WOK_SHAPE(out)) : NULL);
  }
  return wok_xent(x, integers(k, WOK_SHAPE(x->shape.dim[0]), -1, (int)x->shape.dim[1]));
}

/* One value as two inputs, the last that anyone reads of it: working in its memory would change what is still read. */
static wok_val *make_same(gen *k) {
  wok_val *x = with_rows(k, 1, 1), *h = wok_tanh(x), *y, *dx;
  switch (below(k, 5)) {
  case 3: /* one of its rows */
    x = with_rows(k, 2, 2);
    h = wok_tanh(x);
    y = wok_reshape(wok_slice(h, 0, 0, 1), WOK_SHAPE(x->shape.dim[1]));
    return coin(k) ? wok_rms_norm(h, y, 0.1) : wok_layer_norm(h, y, y, 0.1);
  case 0: return wok_layer_norm(h, h, h, 0.1);
  case 1: return wok_rms_norm(h, h, 0.1);
  case 2: return wok_gated(h, h, WOK_ACT_SILU);
  default:
    y = coin(k) ? wok_softmax(x) : wok_log_softmax(x);
    wok_vjp(&y, &y, 1, &x, 1, &dx);
    return dx;
  }
}

/* ---- blocks, own operators, gradients within ---- */
static wok_val *block(wok_graph *g, wok_val *const *x, int n, void *ud) {
  (void)g;
  (void)n;
  (void)ud;
  wok_val *h = wok_dropout(wok_tanh(wok_add(x[0], x[1])), 0.25, 0);
  return wok_add(wok_mul(h, wok_sin(x[0])), wok_sum_to(wok_square(h), (wok_shape){x[0]->shape.ndim, {1, 1, 1, 1, 1, 1, 1, 1}}));
}
static wok_val *make_recompute(gen *k) {
  wok_val *x = any(k), *in[] = {x, of_shape(k, x->shape)};
  return wok_recompute(k->g, block, in, 2, NULL);
}

static bool own_infer(void *ud, int n, const wok_dtype *types, const wok_shape *shapes, wok_dtype *type,
                      wok_shape *shape, char *why) {
  (void)ud;
  (void)n;
  (void)why;
  *type = types[0];
  *shape = shapes[0];
  return n == 2 && wok__shape_eq(&shapes[0], &shapes[1]) && types[0] == types[1] && wok__is_float(types[0]);
}
static void own_run(void *ud, int n, const void *const *in, const wok_dtype *types, const wok_shape *shapes, void *out) {
  (void)ud;
  (void)n;
  for (int64_t i = 0; i < wok__shape_count(&shapes[0]); i++) {
    if (types[0] == WOK_F64) ((double *)out)[i] = ((const double *)in[0])[i] * sin(((const double *)in[1])[i]);
    else ((float *)out)[i] = ((const float *)in[0])[i] * sinf(((const float *)in[1])[i]);
  }
}
static void own_vjp(void *ud, wok_graph *g, wok_val *const *in, int n, wok_val *y, wok_val *ct, const bool *need, wok_val **dx) {
  (void)ud;
  (void)g;
  (void)n;
  (void)y;
  if (need[0]) dx[0] = wok_mul(ct, wok_sin(in[1]));
  if (need[1]) dx[1] = wok_mul(ct, wok_mul(in[0], wok_cos(in[1])));
}
static wok_val *make_gated(gen *k) {
  wok_val *x = any(k), *up = of_shape(k, x->shape);
  return wok_gated(x, up, (wok_act)below(k, WOK_ACT_COUNT));
}
static wok_val *make_custom(gen *k) {
  wok_val *x = any(k), *in[] = {x, of_shape(k, x->shape)};
  return wok_custom(k->g, &(wok_custom_op){.name = "own", .infer = own_infer, .run = own_run, .vjp = own_vjp}, in, 2);
}
static wok_val *make_grad(gen *k) { /* a gradient among the values: the graph's own two come on top */
  if (k->g->nnodes > 120 || !k->ninputs) return wok_tanh(any(k));
  return wok_grad1(wok_sum(wok_square(any(k))), k->inputs[below(k, k->ninputs)]);
}
static wok_val *make_jvp(gen *k) {
  if (k->g->nnodes > 120 || !k->ninputs) return wok_sin(any(k));
  wok_val *y = any(k), *x = k->inputs[below(k, k->ninputs)], *v = of_shape(k, x->shape), *dy;
  wok_jvp(&y, 1, &x, &v, 1, &dy);
  return dy;
}

#define NAMES(X)                                                                                             \
  X(reshape) X(permute) X(broadcast) X(sum_to) X(slice) X(slices) X(pad) X(concat) X(sum_axis) X(max_axis)   \
  X(logsumexp) X(cumsum) X(gather) X(scatter) X(take) X(put) X(sort) X(top_k) X(matmul) X(matmul) X(linear)  \
  X(linear) X(solve) X(conv2d) X(conv2d_transpose) X(pool) X(resize) X(group_norm) X(rope) X(attention)      \
  X(xent) X(same) X(equal) X(gated) X(recompute) X(custom) X(grad) X(jvp)
static const struct maker { const char *name; wok_val *(*make)(gen *k); } makers[] = {
#define MAKER(name) {#name, make_##name},
#define MAKER2(name, expr) MAKER(name)
    ELEMENTS(MAKER2) PAIRS(MAKER2) ROWS(MAKER2) NAMES(MAKER)
};

/* ---- wild calls: builders with whatever is at hand ---- */
typedef struct wild { wok_val *a, *b, *c, *i; int n, m; bool p, q; wok_shape s; } wild;
#define WILDS(X)                                                                                             \
  X(wok_add(w->a, w->b)) X(wok_sub(w->a, w->i)) X(wok_mul(w->i, w->b)) X(wok_div(w->a, w->b)) X(wok_maximum(w->a, w->b)) \
  X(wok_exp(w->i)) X(wok_less(w->a, w->i)) X(wok_select(w->i, w->a, w->b)) X(wok_select(w->a, w->b, w->c))   \
  X(wok_reshape(w->a, w->s)) X(wok_broadcast_to(w->a, w->s)) X(wok_sum_to(w->a, w->s)) X(wok_slice(w->a, w->n, w->m, w->m + 2)) \
  X(wok_pad(w->a, w->n, w->m, 1)) X(wok_concat((wok_val *[]){w->a, w->b}, 2, w->n)) X(wok_sum_axis(w->a, w->n, w->p)) \
  X(wok_max_axis(w->a, w->n, w->p)) X(wok_cumsum(w->a, w->n, w->p)) X(wok_gather(w->a, w->i)) X(wok_gather(w->a, w->b)) \
  X(wok_scatter_add(w->a, w->i, w->m)) X(wok_take_along(w->a, w->i, w->n)) X(wok_put_along(w->a, w->i, w->n, w->m)) \
  X(wok_sort(w->a, w->n, w->p, NULL)) X(wok_top_k(w->a, w->m, w->n, NULL)) X(wok_matmul(w->a, w->b, w->p, w->q)) \
  X(wok_linear(w->a, w->b, w->c)) X(wok_linear(w->a, w->b, NULL)) X(wok_cholesky(w->a)) X(wok_eigh(w->a, NULL)) \
  X(wok_triangular_solve(w->a, w->b, w->p, w->q)) X(wok_conv2d(w->a, w->b, w->p ? w->c : NULL, NULL))        \
  X(wok_conv2d(w->a, w->b, NULL, &(wok_conv2d_opts){.stride = {w->n, w->m}, .groups = w->m}))                \
  X(wok_conv2d_transpose(w->a, w->b, NULL, NULL)) X(wok_avg_pool2d(w->a, &(wok_pool2d_opts){.window = {w->n, w->m}})) \
  X(wok_max_pool2d(w->a, &(wok_pool2d_opts){.window = {2, 2}, .pad = {w->n}})) X(wok_resize2d(w->a, w->n, w->m, (wok_resize)w->n)) \
  X(wok_softmax(w->i)) X(wok_layer_norm(w->a, w->b, w->c, 0.1)) X(wok_rms_norm(w->a, w->b, 0.1))             \
  X(wok_group_norm(w->a, w->n, w->b, w->c, 0.1)) X(wok_batch_norm(w->a, w->b, NULL, NULL, NULL))             \
  X(wok_activation(w->a, (wok_act)w->n)) X(wok_gated(w->a, w->b, WOK_ACT_SILU)) X(wok_dropout(w->a, w->n, 0)) \
  X(wok_rope(w->a, w->i, w->b, w->p)) X(wok_attention(w->a, w->b, w->c, w->i, w->i, NULL)) X(wok_xent(w->a, w->i)) \
  X(wok_xent(wok_linear(w->a, w->b, NULL), w->i)) X(wok_straight_through(w->a, w->b)) X(wok_grad1(w->a, w->b)) \
  X(wok_grad1(wok_sum(w->a), w->i)) X(wok_logsumexp(w->a, w->n, w->p)) X(wok_cast(w->a, (wok_dtype)w->m))    \
  X(wok_random_uniform(w->a->g, WOK_I32, w->s, 0)) X(wok_full(w->a->g, WOK_I32, w->s, 0.5))                  \
  X(wok_iota(w->a->g, WOK_F64, w->s, w->n))                                                                  \
  X(wok_recompute(w->a->g, block, (wok_val *[]){w->a, w->b}, 2, NULL))                                       \
  X(wok_custom(w->a->g, &(wok_custom_op){.name = "own", .infer = own_infer, .run = own_run}, (wok_val *[]){w->a, w->i}, 2))
#define WILD_CASE(expr) case __COUNTER__ - FIRST_WILD: return expr;
enum { FIRST_WILD = __COUNTER__ + 1 };
static wok_val *call_wild(const wild *w, int which) {
  switch (which) { WILDS(WILD_CASE) default: return wok_neg(w->a); }
}
enum { ALL_WILD = __COUNTER__ - FIRST_WILD };

static wok_val *go_wild(gen *k) {
  wild w = {.a = any(k), .b = any(k), .c = any(k), .i = k->nother ? k->other[below(k, k->nother)] : any(k)};
  w.n = below(k, 9) - 3;
  w.m = below(k, 9) - 2;
  w.p = coin(k);
  w.q = coin(k);
  w.s.ndim = below(k, 5);
  for (int i = 0; i < w.s.ndim; i++) w.s.dim[i] = below(k, 6) - 1;
  return call_wild(&w, below(k, ALL_WILD));
}

/* ---- building ---- */
static bool wrong(gen *k, const char *what, const char *more) {
  snprintf(k->error, sizeof k->error, "step %d (%s): %.200s", k->step, what, more);
  return false;
}

/* Largest magnitude; infinity when something is no number. */
static double reach(const gen *k, const wok_val *v) {
  double m = 0;
  for (int64_t i = 0; i < count_of(v); i++) {
    double x = fabs(random_graph_at(v->dtype, interpreter_data(&k->it, v), i));
    if (!(x < INFINITY)) return INFINITY;
    m = fmax(m, x);
  }
  return m;
}

/* Values stay between sizes at which rounding says little, and small: what grows is scaled, what is too long is summed. */
static bool keep(gen *k, wok_val *v, const char *name) {
  if (wok_is_poison(v)) return wrong(k, name, wok_graph_message(k->g)[0] ? wok_graph_message(k->g) : "poison without a message");
  while (count_of(v) > LARGEST) {
    int longest = 0;
    for (int i = 1; i < v->shape.ndim; i++)
      if (v->shape.dim[i] > v->shape.dim[longest]) longest = i;
    v = wok_sum_axis(v, longest, false);
  }
  if (count_of(v) == 0) return true; /* computed, but nothing to go on with */
  if (!interpreter_go(&k->it)) return wrong(k, name, k->it.error);
  double m = reach(k, v);
  if (m == INFINITY) return wrong(k, name, "not finite");
  if (m > 4) v = wok_scale(v, 2 / m);
  if (!interpreter_go(&k->it)) return wrong(k, name, k->it.error);
  k->v[k->n++] = v;
  return true;
}

static void note(gen *k, const char *name) {
  int n = snprintf(k->log + k->logged, sizeof k->log - (size_t)k->logged, "%s%s", k->logged ? " " : "", name);
  if (n > 0 && k->logged + n < (int64_t)sizeof k->log) k->logged += n;
}

/* A wild call gives a value or poison with a message that stays. */
static bool step_wild(gen *k) {
  wok_val *v = go_wild(k);
  note(k, "wild");
  if (!v) return wrong(k, "wild", "a builder gave NULL");
  if ((wok_graph_status(k->g) != WOK_OK) != (wok_graph_message(k->g)[0] != 0))
    return wrong(k, "wild", "a status without a message, or the other way round");
  if (wok_is_poison(v)) {
    k->bad = true;
    return wok_graph_status(k->g) || wrong(k, "wild", "poison without a message");
  }
  if (wok_graph_status(k->g)) return wrong(k, "wild", "a value beside a failure");
  return interpreter_go(&k->it) || wrong(k, "wild", k->it.error);
}

/* A value that nobody else will read: its kernel may write or add to the state itself. */
static wok_val *apart(gen *k, wok_val *x) {
  int kind = below(k, 3);
  if (kind == 0 && x->shape.ndim) return wok_sum_axis(x, 0, true);
  if (kind == 1 && x->shape.ndim) return wok_linear(x, constant(k, WOK_SHAPE(3, x->shape.dim[x->shape.ndim - 1])), NULL);
  return wok_tanh(x);
}

bool random_graph_build(random_graph *k, wok_ctx *c, const random_graph_opts *o) {
  *k = (random_graph){.o = *o, .c = c};
  if (wok_graph_new(c, &k->g)) return wrong(k, "graph", wok_errmsg(c));
  k->it = (interpreter){.c = c, .g = k->g, .run = {.seed = 5, .tick = 3}, .bound = k->bound};
  wok__rng_init(&k->r, o->seed, 1);
  k->memory = numbers(k, RANDOM_GRAPH_STATE);
  k->work = malloc((size_t)(RANDOM_GRAPH_STATE * wok_dtype_size(o->real)));
  if (wok_buffer_new(c, &k->state, "state", o->real, RANDOM_GRAPH_STATE, k->work)) return wrong(k, "state", wok_errmsg(c));
  random_graph_reset(k);
  static const wok_shape shapes[] = {{2, {3, 4}}, {2, {4, 5}}, {3, {3, 2, 4}}, {4, {2, 2, 3, 4}}, {1, {4}}, {0, {0}}};
  for (int i = 0; i < 4; i++) {
    wok_shape s = shapes[below(k, (int)WOK__COUNT(shapes))];
    k->inputs[k->ninputs] = wok_input(k->g, NULL, o->real, s);
    k->bound[k->ninputs] = k->data[k->ninputs] = numbers(k, wok__shape_count(&s));
    k->v[k->n++] = k->inputs[k->ninputs++];
  }
  if (!interpreter_go(&k->it)) return wrong(k, "inputs", k->it.error);
  for (k->step = 0; k->step < o->steps && !k->bad; k->step++) {
    if (o->skip && o->skip[k->step]) continue;
    wok__rng_init(&k->r, o->seed, 100 + (uint32_t)k->step);
    if (o->wild && below(k, 8) == 0) {
      if (!step_wild(k)) return false;
      continue;
    }
    const struct maker *m = &makers[below(k, (int)WOK__COUNT(makers))];
    note(k, m->name);
    wok_scope_enter(k->g, "%d", k->step);
    bool ok = keep(k, m->make(k), m->name);
    wok_scope_leave(k->g);
    if (!ok) return false;
    if (below(k, 8) == 0 && k->napart < RANDOM_GRAPH_APART) k->apart[k->napart++] = apart(k, any(k));
  }
  return true;
}

void random_graph_reset(random_graph *k) { memcpy(k->work, k->memory, (size_t)(RANDOM_GRAPH_STATE * wok_dtype_size(k->o.real))); }

static wok_val *effect_of(gen *k, wok_val *x) {
  int64_t count = count_of(x);
  int rows = 2 + below(k, 3), kind = below(k, 5);
  if (count > RANDOM_GRAPH_STATE / 2 || count == 0) return NULL;
  int64_t at = below(k, (int)(RANDOM_GRAPH_STATE - count) + 1);
  if (kind < 2) return wok_store(k->state, at, x);
  if (kind < 4 || !x->shape.ndim) return wok_accumulate(k->state, at, x);
  wok_shape s = x->shape;
  s.dim[0] = rows;
  count = wok__shape_count(&s);
  if (count > RANDOM_GRAPH_STATE) return NULL;
  at = below(k, (int)(RANDOM_GRAPH_STATE - count) + 1);
  return wok_store_rows(k->state, at, s, integers(k, WOK_SHAPE(x->shape.dim[0]), -1, rows + 1), x);
}

int random_graph_effects(random_graph *k, wok_val *const *v, int n, wok_val **effects) {
  int made = 0;
  wok__rng_init(&k->r, k->o.seed, 40);
  for (int i = 0; i < n + k->napart; i++) {
    if (i < n && below(k, 3) == 0) continue;
    wok_val *x = i >= n ? k->apart[i - n] : coin(k) ? v[i] : apart(k, v[i]);
    wok_val *e = effect_of(k, x);
    if (e) effects[made++] = e;
  }
  return made;
}

void random_graph_free(random_graph *k) {
  wok_buffer_free(k->state);
  free(k->memory);
  free(k->work);
  interpreter_free(&k->it);
  wok_graph_free(k->g);
  for (int i = 0; i < k->ninputs; i++) free(k->data[i]);
}

wok_val *random_graph_scalar(random_graph *k, wok_val *const *v, int n, uint32_t salt) {
  wok_val *s = NULL;
  wok__rng_init(&k->r, k->o.seed, 50 + salt);
  for (int i = 0; i < n; i++) {
    if (count_of(v[i]) == 0) continue;
    wok_val *t = coin(k) ? wok_sum(wok_mul(v[i], constant(k, v[i]->shape))) : wok_scale(wok_mean(wok_square(v[i])), 0.5);
    s = s ? wok_add(s, t) : t;
  }
  return s ? s : wok_full(k->g, k->o.real, WOK_SHAPE0, 1);
}
