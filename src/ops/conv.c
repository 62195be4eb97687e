/* Convolution of images: conv2d, conv2d_input and conv2d_weight. The three are one trilinear form
 *   T(x, w, dy) = sum of dy[n,o,i,j] w[o,c,a,b] x[n, c + channels of o's group, i s - p + a d, j s - p + b d]
 * seen from dy, x and w, so each one's VJP is the other two and any order of derivative stays inside. */
#include "ops/primitive.h"

typedef wok__attr_conv2d attr_conv;

static const attr_conv *attr_of(const wok__node *n) { return n->attr; }

/* ---- shapes ---- */
static bool in_range(const attr_conv *a) {
  bool good = a->groups >= 1 && a->groups <= INT32_MAX;
  for (int i = 0; i < 2; i++)
    good &= a->stride[i] >= 1 && a->stride[i] <= INT32_MAX && a->dilation[i] >= 1 && a->dilation[i] <= INT32_MAX;
  for (int i = 0; i < 4; i++) good &= a->pad[i] >= 0 && a->pad[i] <= INT32_MAX;
  return good;
}

static bool good_attr(wok__node *n) {
  return in_range(attr_of(n)) ||
         wok__node_fail(n, "stride, dilation and groups are at least 1, padding at least 0, none above 2^31");
}

/* Four axes each, one floating type, sizes that 32 bits hold, none empty but the number of images. */
static bool good_pair(wok__node *n, const wok_val *a, const char *a_name, const wok_val *b, const char *b_name) {
  const wok_val *both[] = {a, b};
  const char *names[] = {a_name, b_name};
  for (int i = 0; i < 2; i++) {
    if (both[i]->shape.ndim != 4)
      return wok__node_fail(n, "%s has 4 axes (%s %s)", names[i], names[i], WOK__TEXT(both[i]));
    int64_t least = names[i][0] == 'w' ? 1 : 0;
    for (int k = 0; k < 4; k++, least = 1)
      if (both[i]->shape.dim[k] < least || both[i]->shape.dim[k] > INT32_MAX)
        return wok__node_fail(n, "a size of %s is 0 or above 2^31 (%s %s)", names[i], names[i], WOK__TEXT(both[i]));
  }
  if (a->dtype != b->dtype || !wok__is_float(a->dtype))
    return wok__node_fail(n, "takes two of f32 or two of f64 (%s %s, %s %s)", a_name, WOK__TEXT(a), b_name, WOK__TEXT(b));
  return true;
}

/* Positions of a window of `size` taps along axis i (0 rows, 1 columns) of `extent`; 0 or less: there is none. */
static int64_t positions(const attr_conv *a, int64_t i, int64_t extent, int64_t size) {
  int64_t room = extent + a->pad[2 * i] + a->pad[2 * i + 1] - a->dilation[i] * (size - 1) - 1;
  return room < 0 ? 0 : room / a->stride[i] + 1;
}

/* x [N,C,H,W] and w [O,C/groups,kh,kw] fit; then *y is [N,O,OH,OW]. given[0], given[1]: values for the message. */
static bool fit(wok__node *n, const wok_shape *x, const wok_shape *w, const wok_val *const given[2], wok_shape *y) {
  const attr_conv *a = attr_of(n);
  if (x->dim[1] != w->dim[1] * a->groups || w->dim[0] % a->groups)
    return wok__node_fail(n, "%lld and %lld channels with weights of %lld do not make %lld groups (%s, %s)",
                          (long long)x->dim[1], (long long)w->dim[0], (long long)w->dim[1], (long long)a->groups,
                          WOK__TEXT(given[0]), WOK__TEXT(given[1]));
  *y = WOK_SHAPE(x->dim[0], w->dim[0], positions(a, 0, x->dim[2], w->dim[2]), positions(a, 1, x->dim[3], w->dim[3]));
  if (y->dim[2] > 0 && y->dim[3] > 0 && y->dim[2] <= INT32_MAX && y->dim[3] <= INT32_MAX) return true;
  return wok__node_fail(n, "a window of %lld x %lld taps has no place in %lld x %lld (%s, %s)", (long long)w->dim[2],
                        (long long)w->dim[3], (long long)x->dim[2], (long long)x->dim[3], WOK__TEXT(given[0]),
                        WOK__TEXT(given[1]));
}

static bool infer_conv2d(wok__node *n) {
  const wok_val *x = n->in[0], *w = n->in[1], *b = n->nin > 2 ? n->in[2] : NULL;
  wok_shape y;
  if (!good_attr(n) || !good_pair(n, x, "x", w, "w") || !fit(n, &x->shape, &w->shape, (const wok_val *const[]){x, w}, &y))
    return false;
  if (b && (b->dtype != x->dtype || b->shape.ndim != 1 || b->shape.dim[0] != w->shape.dim[0]))
    return wok__node_fail(n, "the bias is one number for each of the %lld outputs (w %s, b %s)", (long long)w->shape.dim[0],
                          WOK__TEXT(w), WOK__TEXT(b));
  wok__out(n, 0, x->dtype, y);
  return true;
}

/* The result of a transpose has the shape of what conv2d would have taken to make dy. */
static bool infer_transpose(wok__node *n, const wok_val *dy, const wok_shape *x, const wok_shape *w, const wok_shape *result) {
  wok_shape y;
  const wok_val *given[] = {n->in[0], n->in[1]};
  if (!wok__shape_ok(result) || result->dim[2] < 1 || result->dim[3] < 1)
    return wok__node_fail(n, "makes no %lld x %lld (%s, %s)", (long long)result->dim[2], (long long)result->dim[3],
                          WOK__TEXT(given[0]), WOK__TEXT(given[1]));
  if (!fit(n, x, w, given, &y)) return false;
  if (!wok__shape_eq(&y, &dy->shape)) {
    wok_val want = {.dtype = dy->dtype, .shape = y};
    return wok__node_fail(n, "dy would be %s, not %s", WOK__TEXT(&want), WOK__TEXT(dy));
  }
  wok__out(n, 0, dy->dtype, *result);
  return true;
}

static bool infer_conv2d_input(wok__node *n) {
  const wok_val *dy = n->in[0], *w = n->in[1];
  const attr_conv *a = attr_of(n);
  if (!good_attr(n) || !good_pair(n, dy, "dy", w, "w")) return false;
  wok_shape x = WOK_SHAPE(dy->shape.dim[0], w->shape.dim[1] * a->groups, a->size[0], a->size[1]);
  return infer_transpose(n, dy, &x, &w->shape, &x);
}

static bool infer_conv2d_weight(wok__node *n) {
  const wok_val *x = n->in[0], *dy = n->in[1];
  const attr_conv *a = attr_of(n);
  if (!good_attr(n) || !good_pair(n, x, "x", dy, "dy")) return false;
  if (x->shape.dim[1] % a->groups)
    return wok__node_fail(n, "%lld channels do not make %lld groups (x %s)", (long long)x->shape.dim[1], (long long)a->groups,
                          WOK__TEXT(x));
  wok_shape w = WOK_SHAPE(dy->shape.dim[1], x->shape.dim[1] / a->groups, a->size[0], a->size[1]);
  return infer_transpose(n, dy, &x->shape, &w, &w);
}

/* ---- builders ---- */
static wok_val *emit_pair(wok__opid op, wok_val *p, wok_val *q, const attr_conv *a, const wok_val *like) {
  attr_conv t = *a;
  for (int i = 0; i < 2; i++) t.size[i] = like ? like->shape.dim[2 + i] : 0;
  return wok__emit(p->g, op, (wok_val *[]){p, q}, 2, &t, NULL);
}
/* The three forms, with the third operand's rows and columns. */
static wok_val *forward(wok_val *x, wok_val *w, const attr_conv *a) { return emit_pair(WOK__OP_conv2d, x, w, a, NULL); }
static wok_val *to_input(wok_val *dy, wok_val *w, const attr_conv *a, const wok_val *x) {
  return emit_pair(WOK__OP_conv2d_input, dy, w, a, x);
}
static wok_val *to_weight(wok_val *x, wok_val *dy, const attr_conv *a, const wok_val *w) {
  return emit_pair(WOK__OP_conv2d_weight, x, dy, a, w);
}

static attr_conv attr_from(const wok_conv2d_opts *o) {
  attr_conv a = {.groups = o && o->groups ? o->groups : 1};
  for (int i = 0; i < 2; i++) {
    a.stride[i] = o && o->stride[i] ? o->stride[i] : 1;
    a.dilation[i] = o && o->dilation[i] ? o->dilation[i] : 1;
  }
  for (int i = 0; i < 4; i++) a.pad[i] = o ? o->pad[i] : 0;
  return a;
}

wok_val *wok_conv2d(wok_val *x, wok_val *w, wok_val *b, const wok_conv2d_opts *o) {
  attr_conv a = attr_from(o);
  if (o && (o->more[0] || o->more[1]))
    return wok__poison(x->g, WOK_INVALID, "conv2d: `more` belongs to wok_conv2d_transpose");
  return wok__emit(x->g, WOK__OP_conv2d, (wok_val *[]){x, w, b}, b ? 3 : 2, &a, NULL);
}

wok_val *wok_conv2d_transpose(wok_val *x, wok_val *w, wok_val *b, const wok_conv2d_opts *o) {
  wok_graph *g = x->g;
  attr_conv a = attr_from(o);
  if (wok_is_poison(x) || wok_is_poison(w) || (b && wok_is_poison(b))) return wok__poison_of(g);
  for (int64_t i = 0; i < 2 && in_range(&a) && x->shape.ndim == 4 && w->shape.ndim == 4; i++) {
    int64_t more = o ? o->more[i] : 0, steps, reach;
    if (more < 0 || (more > 0 && more >= WOK__MAX(a.stride[i], a.dilation[i])))
      return wok__poison(g, WOK_INVALID, "conv2d_transpose: `more` is %lld, not below the stride or the dilation",
                         (long long)more);
    if (!wok__mul(x->shape.dim[2 + i] - 1, a.stride[i], &steps) || !wok__mul(w->shape.dim[2 + i] - 1, a.dilation[i], &reach) ||
        !wok__add(steps, reach + 1 + more, &a.size[i]))
      a.size[i] = 0; /* what does not fit is refused with the shapes that were given */
    a.size[i] -= a.pad[2 * i] + a.pad[2 * i + 1];
  }
  wok_val *y = wok__emit(g, WOK__OP_conv2d_input, (wok_val *[]){x, w}, 2, &a, NULL);
  if (!b || wok_is_poison(y)) return y;
  if (b->shape.ndim != 1 || b->shape.dim[0] != y->shape.dim[1])
    return wok__poison(g, WOK_SHAPE, "conv2d_transpose: the bias is one number for each of the %lld outputs (w %s, b %s)",
                       (long long)y->shape.dim[1], WOK__TEXT(w), WOK__TEXT(b));
  return wok_add(y, wok_reshape(b, WOK_SHAPE(1, y->shape.dim[1], 1, 1)));
}

/* ---- rules ---- */
static void vjp_conv2d(wok_graph *g, wok__node *n, wok_val *const *ct, const bool *need, wok_val **dx) {
  wok_val *x = n->in[0], *w = n->in[1], *c = ct[0];
  (void)g;
  if (need[0]) dx[0] = to_input(c, w, attr_of(n), x);
  if (need[1]) dx[1] = to_weight(x, c, attr_of(n), w);
  if (n->nin > 2 && need[2]) {
    int64_t channels = w->shape.dim[0];
    dx[2] = wok_reshape(wok_sum_to(c, WOK_SHAPE(1, channels, 1, 1)), WOK_SHAPE(channels));
  }
}

static void vjp_conv2d_input(wok_graph *g, wok__node *n, wok_val *const *ct, const bool *need, wok_val **dx) {
  wok_val *dy = n->in[0], *w = n->in[1], *c = ct[0];
  (void)g;
  if (need[0]) dx[0] = forward(c, w, attr_of(n));
  if (need[1]) dx[1] = to_weight(c, dy, attr_of(n), w);
}

static void vjp_conv2d_weight(wok_graph *g, wok__node *n, wok_val *const *ct, const bool *need, wok_val **dx) {
  wok_val *x = n->in[0], *dy = n->in[1], *c = ct[0];
  (void)g;
  if (need[0]) dx[0] = to_input(dy, c, attr_of(n), x);
  if (need[1]) dx[1] = forward(x, c, attr_of(n));
}

static double flops_of(const wok_shape *y, const wok_shape *w) {
  return 2 * (double)wok__shape_count(y) * (double)(w->dim[1] * w->dim[2] * w->dim[3]);
}
static double flops_conv2d(const wok__node *n) { return flops_of(&n->out[0].shape, &n->in[1]->shape); }
static double flops_conv2d_input(const wok__node *n) { return flops_of(&n->in[0]->shape, &n->in[1]->shape); }
static double flops_conv2d_weight(const wok__node *n) { return flops_of(&n->in[1]->shape, &n->out[0].shape); }

/* ---- test cases ---- */
/* What the cases vary: named rows, used by all three operators. */
#define PLAIN {.groups = 1, .stride = {1, 1}, .dilation = {1, 1}}
#define SAME {.groups = 1, .stride = {1, 1}, .dilation = {1, 1}, .pad = {1, 1, 1, 1}}
#define STRIDED {.groups = 1, .stride = {2, 3}, .dilation = {1, 1}, .pad = {1, 0, 2, 1}}
#define DILATED {.groups = 1, .stride = {1, 2}, .dilation = {2, 3}, .pad = {0, 1, 3, 2}}
#define GROUPED {.groups = 2, .stride = {2, 1}, .dilation = {1, 1}, .pad = {1, 1, 0, 1}}
#define DEPTHWISE {.groups = 4, .stride = {1, 1}, .dilation = {1, 1}, .pad = {1, 1, 1, 1}}

#define BUILDS(name, ...)                                                                                    \
  static int build_##name(wok_graph *g, wok_val *const *in, wok_val **out) {                                 \
    attr_conv a = __VA_ARGS__;                                                                               \
    out[0] = wok__emit(g, WOK__OP_conv2d, in, in[2] ? 3 : 2, &a, NULL);                                      \
    return 1;                                                                                                \
  }                                                                                                          \
  static int build_##name##_input(wok_graph *g, wok_val *const *in, wok_val **out) {                         \
    attr_conv a = __VA_ARGS__;                                                                               \
    (void)g;                                                                                                 \
    out[0] = to_input(in[0], in[1], &a, in[2]);                                                              \
    return 1;                                                                                                \
  }                                                                                                          \
  static int build_##name##_weight(wok_graph *g, wok_val *const *in, wok_val **out) {                        \
    attr_conv a = __VA_ARGS__;                                                                               \
    (void)g;                                                                                                 \
    out[0] = to_weight(in[0], in[1], &a, in[2]);                                                             \
    return 1;                                                                                                \
  }
BUILDS(plain, PLAIN)
BUILDS(same, SAME)
BUILDS(strided, STRIDED)
BUILDS(dilated, DILATED)
BUILDS(grouped, GROUPED)
BUILDS(depthwise, DEPTHWISE)
/* With a bias: padding that is none. */
static int build_negative(wok_graph *g, wok_val *const *in, wok_val **out) {
  (void)g;
  out[0] = wok_conv2d(in[0], in[1], NULL, &(wok_conv2d_opts){.pad = {in[2] ? -1 : 0, 0, 0, 0}});
  return 1;
}
static int build_transpose(wok_graph *g, wok_val *const *in, wok_val **out) {
  (void)g;
  out[0] = wok_conv2d_transpose(in[0], in[1], in[2],
                                &(wok_conv2d_opts){.stride = {2, 3}, .pad = {1, 0, 1, 1}, .groups = 2, .more = {1, 2}});
  return 1;
}

/* x, w, and a bias or none */
static const wok__op_case conv2d_cases[] = {
    {"f[2,3,5,6] f[4,3,3,2] f[4]", build_plain, "f[2,3,5,6] f[4,2,3,2] f[4]", "3 and 4 channels with weights of 2"},
    {"f[2,3,5,4] f[2,3,3,3] -", build_same, "f[2,3,5] f[2,3,3,3] -", "x has 4 axes"},
    {"f[2,2,6,7] f[3,2,3,3] f[3]", build_strided, "f[2,2,6,7] f[3,2,3,3] f[2]", "the bias is one number"},
    {"f[1,2,7,6] f[3,2,2,3] -", build_dilated, "f[1,2,2,6] f[3,2,4,3] -", "a window of 4 x 3 taps has no place in 2 x 6"},
    {"f[2,4,5,4] f[6,2,3,2] f[6]", build_grouped, "f[2,4,5,4] f[5,2,3,2] f[5]", "do not make 2 groups"},
    {"f[3,4,4,4] f[4,1,3,3] f[4]", build_depthwise, "i<4[3,4,4,4] i<4[4,1,3,3] -", "takes two of f32 or two of f64"},
    {"f[5,3,1,1] f[2,3,1,1] -", build_plain, "f[1,0,3,3] f[2,0,1,1] -", "a size of x is 0"},
    {"f[0,3,4,4] f[2,3,3,3] f[2]", build_plain, NULL, NULL},
    {"f[1,1,9,17] f[1,1,2,2] -", build_plain, NULL, NULL},
    {"f[1,1,3,3] f[1,1,2,2] -", build_negative, "f[1,1,3,3] f[1,1,2,2] f[1]", "padding at least 0"},
    {"f[11,16,6,6] f[16,16,3,3] f[16]", build_same, NULL, NULL},
};
/* dy, w, and an x of the wanted size (only its shape counts) */
static const wok__op_case conv2d_input_cases[] = {
    {"f[2,4,3,5] f[4,3,3,2] i<2[2,3,5,6]", build_plain_input, "f[2,4,3,5] f[4,3,3,2] i<2[2,3,6,6]", "dy would be"},
    {"f[2,2,5,4] f[2,3,3,3] i<2[2,3,5,4]", build_same_input, "f[2,2,5,4] f[2,3,3] i<2[2,3,5,4]", "w has 4 axes"},
    {"f[2,3,3,3] f[3,2,3,3] i<2[2,2,6,7]", build_strided_input, "f[2,3,3,3] f[2,2,3,3] i<2[2,2,6,7]", "dy would be"},
    {"f[1,3,6,3] f[3,2,2,3] i<2[1,2,7,6]", build_dilated_input, "f[1,3,6,3] f[3,2,2,3] i<2[1,2,0,6]", "makes no 0 x 6"},
    {"f[2,6,3,4] f[6,2,3,2] i<2[2,4,5,4]", build_grouped_input, NULL, NULL},
    {"f[3,4,4,4] f[4,1,3,3] i<2[3,4,4,4]", build_depthwise_input, NULL, NULL},
    {"f[2,4,3,2] f[4,2,3,2] f[4]", build_transpose, "f[2,4,3,2] f[4,2,3,2] f[3]", "one number for each of the 4 outputs"},
    {"f[0,2,2,2] f[2,3,3,3] i<2[0,3,4,4]", build_plain_input, NULL, NULL},
    {"f[11,16,6,6] f[16,16,3,3] i<2[1,1,6,6]", build_same_input, NULL, NULL},
};
/* x, dy, and a w of the wanted size */
static const wok__op_case conv2d_weight_cases[] = {
    {"f[2,3,5,6] f[2,4,3,5] i<2[4,3,3,2]", build_plain_weight, "f[2,3,5,6] f[2,4,3,5] i<2[4,3,3,3]", "dy would be"},
    {"f[2,3,5,4] f[2,2,5,4] i<2[2,3,3,3]", build_same_weight, "f[2,3,5,4] f[2,2,5] i<2[2,3,3,3]", "dy has 4 axes"},
    {"f[2,2,6,7] f[2,3,3,3] i<2[3,2,3,3]", build_strided_weight, NULL, NULL},
    {"f[1,2,7,6] f[1,3,6,3] i<2[3,2,2,3]", build_dilated_weight, NULL, NULL},
    {"f[2,4,5,4] f[2,6,3,4] i<2[6,2,3,2]", build_grouped_weight, "f[2,3,5,4] f[2,6,3,4] i<2[6,2,3,2]", "do not make 2 groups"},
    {"f[3,4,4,4] f[3,4,4,4] i<2[4,1,3,3]", build_depthwise_weight, NULL, NULL},
    {"f[0,3,4,4] f[0,2,2,2] i<2[2,3,3,3]", build_plain_weight, "f[1,3,4,4] f[1,2,2,2] i<2[1,1,0,3]", "makes no 0 x 3"},
    {"f[19,5,6,6] f[19,3,6,6] i<2[3,5,3,3]", build_same_weight, NULL, NULL},
};

const wok__op wok__op_conv2d = {
    .id = WOK__OP_conv2d, .name = "conv2d", .min_in = 2, .max_in = 3, .nout = 1,
    .attr_size = sizeof(attr_conv), .infer = infer_conv2d, .vjp = vjp_conv2d, .flops = flops_conv2d,
    WOK__CASES(conv2d_cases),
    .doc = "Correlation of images with filters, plus b on every channel.",
};
const wok__op wok__op_conv2d_input = {
    .id = WOK__OP_conv2d_input, .name = "conv2d_input", .min_in = 2, .max_in = 2, .nout = 1,
    .attr_size = sizeof(attr_conv), .infer = infer_conv2d_input, .vjp = vjp_conv2d_input, .flops = flops_conv2d_input,
    WOK__CASES(conv2d_input_cases),
    .doc = "The transpose of conv2d in x: its gradient, and transposed convolution.",
};
const wok__op wok__op_conv2d_weight = {
    .id = WOK__OP_conv2d_weight, .name = "conv2d_weight", .min_in = 2, .max_in = 2, .nout = 1,
    .attr_size = sizeof(attr_conv), .infer = infer_conv2d_weight, .vjp = vjp_conv2d_weight, .flops = flops_conv2d_weight,
    WOK__CASES(conv2d_weight_cases),
    .doc = "The transpose of conv2d in w.",
};
