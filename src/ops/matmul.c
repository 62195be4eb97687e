/* Products: matmul and linear. */
#include "ops/primitive.h"

/* ---- matmul ---- */
typedef struct {
  int64_t m, k, kb, n;
} sizes;

/* a and b have at least two axes. */
static sizes sizes_of(const wok_val *a, const wok_val *b, bool ta, bool tb) {
  const int64_t *da = a->shape.dim + a->shape.ndim - 2, *db = b->shape.dim + b->shape.ndim - 2;
  return (sizes){.m = da[ta], .k = da[!ta], .kb = db[tb], .n = db[!tb]};
}

/* The common shape of the leading sizes, with the last two of v behind it; false when there is none. */
static bool lead_with(const wok_val *a, const wok_val *b, const wok_val *v, wok_shape *out) {
  int na = a->shape.ndim - 2, nb = b->shape.ndim - 2, n = WOK__MAX(na, nb);
  *out = (wok_shape){.ndim = n + 2};
  for (int i = 0; i < n; i++) {
    int64_t da = i < n - na ? 1 : a->shape.dim[i - (n - na)],
            db = i < n - nb ? 1 : b->shape.dim[i - (n - nb)];
    if (da != db && da != 1 && db != 1) return false;
    out->dim[i] = da == 1 ? db : da;
  }
  for (int i = 0; i < 2; i++) out->dim[n + i] = v->shape.dim[v->shape.ndim - 2 + i];
  return true;
}

wok_val *wok_matmul(wok_val *a, wok_val *b, bool ta, bool tb) {
  wok__attr_matmul attr = {.ta = ta, .tb = tb};
  if (wok_is_poison(a)) return a;
  if (wok_is_poison(b)) return b;
  if (a->shape.ndim >= 2 && b->shape.ndim >= 2 && a->dtype == b->dtype) {
    sizes z = sizes_of(a, b, ta, tb);
    wok_shape sa, sb;
    /* What does not fit goes on as it is, so that the message shows the shapes that were given. */
    if (z.k == z.kb && b->shape.ndim == 2 && a->shape.ndim > 2 && !ta) { /* one product of all rows */
      wok_shape s = a->shape;
      s.dim[s.ndim - 1] = z.n;
      wok_shape rows = WOK_SHAPE(1, z.k);
      for (int i = 0; i < a->shape.ndim - 1; i++) rows.dim[0] *= a->shape.dim[i];
      return wok_reshape(wok_matmul(wok_reshape(a, rows), b, false, tb), s);
    }
    if (z.k == z.kb && lead_with(a, b, a, &sa) && lead_with(a, b, b, &sb)) {
      a = wok_broadcast_to(a, sa);
      b = wok_broadcast_to(b, sb);
    }
  }
  return wok__emit(a->g, WOK__OP_matmul, (wok_val *[]){a, b}, 2, &attr, NULL);
}

static bool infer_matmul(wok__node *n) {
  const wok__attr_matmul *t = n->attr;
  const wok_val *a = n->in[0], *b = n->in[1];
  const char *ta = t->ta ? "^T" : "", *tb = t->tb ? "^T" : "";
  if (a->shape.ndim < 2 || b->shape.ndim < 2)
    return wok__node_fail(n, "takes matrices (a %s%s, b %s%s)", WOK__TEXT(a), ta, WOK__TEXT(b), tb);
  if (a->dtype != b->dtype || !wok__is_float(a->dtype))
    return wok__node_fail(n, "takes two of f32 or two of f64 (a %s%s, b %s%s)", WOK__TEXT(a), ta,
                          WOK__TEXT(b), tb);
  sizes z = sizes_of(a, b, t->ta, t->tb);
  if (z.k != z.kb)
    return wok__node_fail(n, "inner sizes %lld and %lld differ (a %s%s, b %s%s)", (long long)z.k,
                          (long long)z.kb, WOK__TEXT(a), ta, WOK__TEXT(b), tb);
  wok_shape s = a->shape, lead = b->shape;
  lead.ndim -= 2, s.ndim -= 2;
  if (!wok__shape_eq(&s, &lead))
    return wok__node_fail(n, "leading sizes differ (a %s%s, b %s%s)", WOK__TEXT(a), ta, WOK__TEXT(b), tb);
  s.dim[s.ndim++] = z.m;
  s.dim[s.ndim++] = z.n;
  if (!wok__shape_ok(&s))
    return wok__node_fail(n, "the result is too large (a %s%s, b %s%s)", WOK__TEXT(a), ta, WOK__TEXT(b), tb);
  wok__out(n, 0, a->dtype, s);
  return true;
}

/* C = op(A) op(B): dA = dC op(B)^T and dB = op(A)^T dC, transposed where A and B are. */
static void vjp_matmul(wok_graph *g, wok__node *n, wok_val *const *ct, const bool *need, wok_val **dx) {
  const wok__attr_matmul *t = n->attr;
  wok_val *a = n->in[0], *b = n->in[1], *c = ct[0];
  (void)g;
  if (need[0]) dx[0] = t->ta ? wok_matmul(b, c, t->tb, true) : wok_matmul(c, b, false, !t->tb);
  if (need[1]) dx[1] = t->tb ? wok_matmul(c, a, true, t->ta) : wok_matmul(a, c, !t->ta, false);
}

static double flops_matmul(const wok__node *n) {
  const wok__attr_matmul *t = n->attr;
  const wok_shape *a = &n->in[0]->shape;
  return 2 * (double)wok__shape_count(&n->out[0].shape) * (double)a->dim[a->ndim - (t->ta ? 2 : 1)];
}

#define BUILD(name, ta, tb)                                                                                  \
  static int build_##name(wok_graph *g, wok_val *const *in, wok_val **out) {                                 \
    (void)g;                                                                                                 \
    out[0] = wok_matmul(in[0], in[1], ta, tb);                                                               \
    return 1;                                                                                                \
  }
BUILD(nn, false, false)
BUILD(nt, false, true)
BUILD(tn, true, false)
BUILD(tt, true, true)

static const wok__op_case matmul_cases[] = {
    {.inputs = "f[4,8] f[8,5]",
     .build = build_nn,
     .bad = "f[4,7] f[8,5]",
     .message = "inner sizes 7 and 8 differ"},
    {.inputs = "f[17,3] f[1,3]",
     .build = build_nt,
     .bad = "f[4,8] f[8,5]",
     .message = "inner sizes 8 and 5 differ"},
    {.inputs = "f[3,17] f[3,5]",
     .build = build_tn,
     .bad = "f[4,8] f[8,5]",
     .message = "inner sizes 4 and 8 differ"},
    {.inputs = "f[3,17] f[5,3]", .build = build_tt, .bad = "f[3] f[5,3]", .message = "takes matrices"},
    {.inputs = "f[2,3,4] f[2,4,5]",
     .build = build_nn,
     .bad = "f[2,3,4] f[3,4,5]",
     .message = "leading sizes differ"},
    {.inputs = "f[2,3,4] f[2,5,4]",
     .build = build_nt,
     .bad = "i<5[3,3] i<5[3,3]",
     .message = "takes two of f32 or two of f64"},
    {.inputs = "f[2,4,3] f[2,4,5]", .build = build_tn},
    {.inputs = "f[2,4,3] f[2,5,4]", .build = build_tt},
    {.inputs = "f[2,3,1,5] f[17,5]", .build = build_nt},
    {.inputs = "f[2,1,3,4] f[3,4,1]", .build = build_nn},
    {.inputs = "f[3,4] f[2,1,4,5]", .build = build_nn},
    {.inputs = "f[2,4,3] f[4,5]", .build = build_tn},
    {.inputs = "f[0,3] f[3,2]", .build = build_nn},
    {.inputs = "f[2,0] f[0,3]", .build = build_nn},
    {.inputs = "f[2,0,3] f[4,3]", .build = build_nt},
};

const wok__op wok__op_matmul = {
    .id = WOK__OP_matmul,
    .name = "matmul",
    .min_in = 2,
    .max_in = 2,
    .nout = 1,
    .attr_size = sizeof(wok__attr_matmul),
    .infer = infer_matmul,
    .vjp = vjp_matmul,
    .flops = flops_matmul,
    WOK__CASES(matmul_cases),
    .doc = "Products of matrices, each transposed or not, one for each leading position.",
};

/* ---- linear ---- */
wok_val *wok_linear(wok_val *x, wok_val *w, wok_val *b) {
  return wok__emit(x->g, WOK__OP_linear, (wok_val *[]){x, w, b}, b ? 3 : 2, NULL, NULL);
}

static bool infer_linear(wok__node *n) {
  const wok_val *x = n->in[0], *w = n->in[1], *b = n->nin > 2 ? n->in[2] : NULL;
  wok_shape s = x->shape;
  if (s.ndim < 1 || w->shape.ndim != 2)
    return wok__node_fail(n, "takes rows and a matrix (x %s, w %s)", WOK__TEXT(x), WOK__TEXT(w));
  if (x->dtype != w->dtype || (b && b->dtype != w->dtype) || !wok__is_float(x->dtype))
    return wok__node_fail(n, "takes f32 throughout or f64 throughout (x %s, w %s, b %s)", WOK__TEXT(x),
                          WOK__TEXT(w), b ? WOK__TEXT(b) : "none");
  if (s.dim[s.ndim - 1] != w->shape.dim[1])
    return wok__node_fail(n, "inner sizes %lld and %lld differ (x %s, w %s^T)", (long long)s.dim[s.ndim - 1],
                          (long long)w->shape.dim[1], WOK__TEXT(x), WOK__TEXT(w));
  if (b && (b->shape.ndim != 1 || b->shape.dim[0] != w->shape.dim[0]))
    return wok__node_fail(n, "the bias is one number for each of the %lld outputs (w %s, b %s)",
                          (long long)w->shape.dim[0], WOK__TEXT(w), WOK__TEXT(b));
  s.dim[s.ndim - 1] = w->shape.dim[0];
  if (!wok__shape_ok(&s))
    return wok__node_fail(n, "the result is too large (x %s, w %s)", WOK__TEXT(x), WOK__TEXT(w));
  wok__out(n, 0, x->dtype, s);
  return true;
}

/* [..., C] as [rows, C]. */
static wok_val *as_rows(wok_val *v) {
  int last = v->shape.ndim - 1;
  wok_shape s = WOK_SHAPE(1, v->shape.dim[last]);
  for (int i = 0; i < last; i++) s.dim[0] *= v->shape.dim[i];
  return wok_reshape(v, s);
}

static void vjp_linear(wok_graph *g, wok__node *n, wok_val *const *ct, const bool *need, wok_val **dx) {
  wok_val *x = n->in[0], *w = n->in[1], *rows = as_rows(ct[0]);
  (void)g;
  if (need[0]) dx[0] = wok_reshape(wok_matmul(rows, w, false, false), x->shape);
  if (need[1]) dx[1] = wok_matmul(rows, as_rows(x), true, false);
  if (n->nin > 2 && need[2]) dx[2] = wok_sum_to(rows, n->in[2]->shape);
}

static double flops_linear(const wok__node *n) {
  return 2 * (double)wok__shape_count(&n->out[0].shape) * (double)n->in[1]->shape.dim[1];
}

static int build_linear(wok_graph *g, wok_val *const *in, wok_val **out) {
  (void)g;
  out[0] = wok_linear(in[0], in[1], in[2]);
  return 1;
}
static int build_linear_plain(wok_graph *g, wok_val *const *in, wok_val **out) {
  (void)g;
  out[0] = wok_linear(in[0], in[1], NULL);
  return 1;
}
static const wok__op_case linear_cases[] = {
    {.inputs = "f[4,8] f[5,8] f[5]",
     .build = build_linear,
     .bad = "f[4,7] f[5,8] f[5]",
     .message = "inner sizes 7 and 8 differ"},
    {.inputs = "f[17,3] f[1,3]",
     .build = build_linear_plain,
     .bad = "f[4,8] f[8]",
     .message = "takes rows and a matrix"},
    {.inputs = "f[2,3,4] f[17,4] f[17]",
     .build = build_linear,
     .bad = "f[3,4] f[17,4] f[1]",
     .message = "the bias is one number"},
    {.inputs = "f[3] f[5,3] f[5]",
     .build = build_linear,
     .bad = "f[] f[5,3] f[5]",
     .message = "takes rows and a matrix"},
    {.inputs = "f[2,1,1,3] f[5,3]",
     .build = build_linear_plain,
     .bad = "i<5[3,4] f[17,4]",
     .message = "f32 throughout"},
    {.inputs = "f[0,4] f[3,4] f[3]", .build = build_linear},
    {.inputs = "f[2,0] f[3,0] f[3]", .build = build_linear},
};

const wok__op wok__op_linear = {
    .id = WOK__OP_linear,
    .name = "linear",
    .min_in = 2,
    .max_in = 3,
    .nout = 1,
    .infer = infer_linear,
    .vjp = vjp_linear,
    .flops = flops_linear,
    WOK__CASES(linear_cases),
    .doc = "x w^T, plus b on every row: the layer.",
};
