/* Linear algebra: cholesky, triangular_solve, eigh, svd, one problem for each leading position. The rules are compositions of
   matmul, triangular_solve and element-by-element operators on the operators' own results, so every order is there. Below,
   bars are cotangents and o is the product element by element. */
#include "ops/primitive.h"

/* ---- small compositions ---- */
static int64_t size_of(const wok_val *v, int back) { return v->shape.dim[v->shape.ndim - back]; }

static wok_val *transposed(wok_val *v) {
  int axes[WOK_MAX_DIMS] = {0}, n = v->shape.ndim;
  if (wok_is_poison(v)) return v;
  for (int i = 0; i < n; i++) axes[i] = i;
  axes[n - 1] = n - 2;
  axes[n - 2] = n - 1;
  return wok_permute(v, axes);
}
static wok_val *product(wok_val *a, wok_val *b) { return wok_matmul(a, b, false, false); }
static wok_val *product_ta(wok_val *a, wok_val *b) { return wok_matmul(a, b, true, false); }
static wok_val *product_tb(wok_val *a, wok_val *b) { return wok_matmul(a, b, false, true); }

/* v [..., k] as rows [..., 1, k] or columns [..., k, 1], to scale the columns or rows of a matrix. */
static wok_val *as_row(wok_val *v) {
  wok_shape s = v->shape;
  if (wok_is_poison(v)) return v;
  s.dim[s.ndim] = s.dim[s.ndim - 1];
  s.dim[s.ndim++ - 1] = 1;
  return wok_reshape(v, s);
}
static wok_val *as_column(wok_val *v) {
  wok_shape s = v->shape;
  if (wok_is_poison(v)) return v;
  s.dim[s.ndim++] = 1;
  return wok_reshape(v, s);
}

/* Row and column numbers of [n, n]. */
static wok_val *rows_of(wok_graph *g, int64_t n) { return wok_iota(g, WOK_I32, WOK_SHAPE(n, n), 0); }
static wok_val *columns_of(wok_graph *g, int64_t n) { return wok_iota(g, WOK_I32, WOK_SHAPE(n, n), 1); }
static wok_val *zero_like(wok_val *v) { return wok__like(v, 0); }

/* The square matrices with all but one triangle (the diagonal included) made zero. */
static wok_val *triangle(wok_val *v, bool upper) {
  if (wok_is_poison(v)) return v;
  wok_val *r = rows_of(v->g, size_of(v, 1)), *c = columns_of(v->g, size_of(v, 1));
  return wok_select(upper ? wok_less_equal(r, c) : wok_less_equal(c, r), v, zero_like(v));
}
static wok_val *diagonal_to_half(wok_val *v) {
  if (wok_is_poison(v)) return v;
  return wok_select(wok_equal(rows_of(v->g, size_of(v, 1)), columns_of(v->g, size_of(v, 1))), wok_scale(v, 0.5), v);
}

/* diag(v) added: v [..., k] on the diagonal of zeros [..., k, k]. */
static wok_val *diagonal(wok_val *v) {
  if (wok_is_poison(v)) return v;
  wok_val *on = wok_equal(rows_of(v->g, size_of(v, 1)), columns_of(v->g, size_of(v, 1)));
  return wok_select(on, as_row(v), wok_full(v->g, v->dtype, WOK_SHAPE0, 0));
}

static wok_val *symmetric(wok_val *a) {
  if (wok_is_poison(a) || a->shape.ndim < 2 || size_of(a, 1) != size_of(a, 2) || !wok__is_float(a->dtype)) return a;
  return wok_scale(wok_add(a, transposed(a)), 0.5);
}

/* 1/d where d is not zero, 0 where it is (the diagonal, and pairs of equal values). */
static wok_val *reciprocal(wok_val *d) {
  if (wok_is_poison(d)) return d;
  wok_val *none = wok_equal(d, zero_like(d)), *one = wok__like(d, 1);
  return wok_select(none, zero_like(d), wok_div(one, wok_select(none, one, d)));
}

/* For infer: matrices of f32 or f64, at least one axis before none; rows == columns where square; sizes that LAPACK's
   32-bit numbers and workspaces hold. */
enum { MOST = 16384 };
static bool good_matrix(wok__node *n, const wok_val *a, const char *name, bool square) {
  if (!wok__is_float(a->dtype)) return wok__node_fail(n, "%s is %s, not f32 or f64", name, wok_dtype_name(a->dtype));
  if (a->shape.ndim < 2) return wok__node_fail(n, "%s is no matrix (%s %s)", name, name, WOK__TEXT(a));
  int64_t r = size_of(a, 2), c = size_of(a, 1);
  if (square && r != c) return wok__node_fail(n, "%s is not square (%s %s)", name, name, WOK__TEXT(a));
  if (r >= 1 && c >= 1 && r <= MOST && c <= MOST) return true;
  return wok__node_fail(n, "rows and columns are 1 to %d (%s %s)", MOST, name, WOK__TEXT(a));
}

/* a's leading sizes with `n` sizes behind them. */
static wok_shape with_last(const wok_val *a, int n, int64_t p, int64_t q) {
  wok_shape s = a->shape;
  int64_t last[] = {p, q};
  s.ndim -= 2;
  for (int i = 0; i < n; i++) s.dim[s.ndim++] = last[i];
  return s;
}

/* ---- cholesky ---- */
wok_val *wok_cholesky(wok_val *a) { return wok__unary(WOK__OP_cholesky, symmetric(a), NULL); }

static bool infer_cholesky(wok__node *n) {
  if (!good_matrix(n, n->in[0], "a", true)) return false;
  wok__out(n, 0, n->in[0]->dtype, n->in[0]->shape);
  return true;
}

/* A' = L^-T S L^-1 with S the symmetric part of Phi(L^T L'), Phi the lower triangle with half of the diagonal
   (Murray 2016, "Differentiation of the Cholesky decomposition", arXiv 1602.07527, eq. 10). */
static void vjp_cholesky(wok_graph *g, wok__node *n, wok_val *const *ct, const bool *need, wok_val **dx) {
  wok_val *l = &n->out[0];
  (void)g;
  if (!need[0]) return;
  wok_val *s = symmetric(diagonal_to_half(triangle(product_ta(l, ct[0]), false)));
  wok_val *half = wok_triangular_solve(l, s, false, true);                 /* L^-T S */
  dx[0] = wok_triangular_solve(l, transposed(half), false, true);          /* L^-T (L^-T S)^T, symmetric */
}

/* ---- triangular_solve ---- */
wok_val *wok_triangular_solve(wok_val *t, wok_val *b, bool upper, bool trans) {
  wok__attr_triangular a = {.upper = upper, .transposed = trans};
  return wok__emit(t->g, WOK__OP_triangular_solve, (wok_val *[]){t, b}, 2, &a, NULL);
}

static bool infer_triangular_solve(wok__node *n) {
  const wok_val *t = n->in[0], *b = n->in[1];
  if (!good_matrix(n, t, "t", true) || !good_matrix(n, b, "b", false)) return false;
  if (t->dtype != b->dtype) return wok__node_fail(n, "types differ (t %s, b %s)", WOK__TEXT(t), WOK__TEXT(b));
  wok_shape want = with_last(t, 2, size_of(t, 1), size_of(b, 1));
  if (!wok__shape_eq(&want, &b->shape))
    return wok__node_fail(n, "leading sizes or rows differ (t %s, b %s)", WOK__TEXT(t), WOK__TEXT(b));
  wok__out(n, 0, b->dtype, b->shape);
  return true;
}

/* T X = B: B' = T^-T X', T' = -B' X^T; with T^T X = B: B' = T^-1 X', T' = -X B'^T; T' in its triangle. */
static void vjp_triangular_solve(wok_graph *g, wok__node *n, wok_val *const *ct, const bool *need, wok_val **dx) {
  const wok__attr_triangular *a = n->attr;
  wok_val *x = &n->out[0], *db = wok_triangular_solve(n->in[0], ct[0], a->upper, !a->transposed);
  (void)g;
  if (need[0]) dx[0] = wok_neg(triangle(a->transposed ? product_tb(x, db) : product_tb(db, x), a->upper));
  if (need[1]) dx[1] = db;
}

/* ---- eigh ---- */
wok_val *wok_eigh(wok_val *a, wok_val **vectors) {
  wok__node *n;
  a = symmetric(a);
  wok_val *w = wok__emit(a->g, WOK__OP_eigh, &a, 1, NULL, &n);
  if (vectors) *vectors = n ? &n->out[1] : w;
  return w;
}

static bool infer_eigh(wok__node *n) {
  const wok_val *a = n->in[0];
  if (!good_matrix(n, a, "a", true)) return false;
  wok__out(n, 0, a->dtype, with_last(a, 1, size_of(a, 1), 0));
  wok__out(n, 1, a->dtype, a->shape);
  return true;
}

/* A' = V (diag(w') + F o (V^T V')) V^T, F_ij = 1/(w_j - w_i), 0 where they are equal
   (Giles 2008, "Collected matrix derivative results", section 3.1). */
static void vjp_eigh(wok_graph *g, wok__node *n, wok_val *const *ct, const bool *need, wok_val **dx) {
  wok_val *w = &n->out[0], *v = &n->out[1], *inner = NULL;
  (void)g;
  if (!need[0]) return;
  if (ct[0]) inner = diagonal(ct[0]);
  if (ct[1]) {
    wok_val *turn = wok_mul(reciprocal(wok_sub(as_row(w), as_column(w))), product_ta(v, ct[1]));
    inner = inner ? wok_add(inner, turn) : turn;
  }
  if (inner) dx[0] = product_tb(product(v, inner), v);
}

/* ---- svd ---- */
wok_val *wok_svd(wok_val *a, wok_val **u, wok_val **vt) {
  wok__node *n;
  wok_val *s = wok__emit(a->g, WOK__OP_svd, &a, 1, NULL, &n);
  if (u) *u = n ? &n->out[1] : s;
  if (vt) *vt = n ? &n->out[2] : s;
  return s;
}

static bool infer_svd(wok__node *n) {
  const wok_val *a = n->in[0];
  if (!good_matrix(n, a, "a", false)) return false;
  int64_t r = size_of(a, 2), c = size_of(a, 1), k = WOK__MIN(r, c);
  wok__out(n, 0, a->dtype, with_last(a, 1, k, 0));
  wok__out(n, 1, a->dtype, with_last(a, 2, r, k));
  wok__out(n, 2, a->dtype, with_last(a, 2, k, c));
  return true;
}

/* F o (P - P^T): how the vectors turn into each other. */
static wok_val *turning(wok_val *f, wok_val *p) { return wok_mul(f, wok_sub(p, transposed(p))); }
static wok_val *plus(wok_val *a, wok_val *b) { return a ? wok_add(a, b) : b; }

/* A' = U [diag(s') + (F o (U^T U' - U'^T U)) S + S (F o (V^T V' - V'^T V))] V^T
        + (I - U U^T) U' S^-1 V^T + U S^-1 V'^T (I - V V^T),  F_ij = 1/(s_j^2 - s_i^2), 0 where they are equal
   (Townsend 2016, "Differentiating the singular value decomposition"). Here V^T is the result, and M' its cotangent: V' = M'^T. */
static void vjp_svd(wok_graph *g, wok__node *n, wok_val *const *ct, const bool *need, wok_val **dx) {
  wok_val *s = &n->out[0], *u = &n->out[1], *vt = &n->out[2], *inner = NULL, *sum = NULL;
  int64_t k = size_of(s, 1);
  (void)g;
  if (!need[0]) return;
  wok_val *row = as_row(s), *column = as_column(s);
  wok_val *f = reciprocal(wok_mul(wok_sub(row, column), wok_add(row, column)));
  if (ct[0]) inner = diagonal(ct[0]);
  if (ct[1]) {
    inner = plus(inner, wok_mul(turning(f, product_ta(u, ct[1])), row));
    if (size_of(u, 2) > k) {
      wok_val *scaled = wok_mul(ct[1], wok_div(wok__like(row, 1), row));
      sum = product(wok_sub(scaled, product(u, product_ta(u, scaled))), vt);
    }
  }
  if (ct[2]) {
    inner = plus(inner, wok_mul(turning(f, product_tb(vt, ct[2])), column));
    if (size_of(vt, 1) > k) {
      wok_val *scaled = wok_mul(ct[2], wok_div(wok__like(column, 1), column));
      sum = plus(sum, product(u, wok_sub(scaled, product(product_tb(scaled, vt), vt))));
    }
  }
  if (inner) sum = plus(sum, product(product(u, inner), vt));
  dx[0] = sum;
}

/* ---- test cases ---- */
/* Matrices far from singular, and from equal values: random ones plus 2, 4, 6, ... on the diagonal. */
static wok_val *apart(wok_val *a) {
  if (wok_is_poison(a) || a->shape.ndim < 2 || !wok__is_float(a->dtype)) return a;
  int64_t r = size_of(a, 2), c = size_of(a, 1);
  wok_val *row = wok_iota(a->g, a->dtype, WOK_SHAPE(r, c), 0), *column = wok_iota(a->g, a->dtype, WOK_SHAPE(r, c), 1);
  wok_val *steps = wok_scale(wok_offset(row, 1), 2);
  return wok_add(wok_scale(a, 0.3), wok_select(wok_equal(row, column), steps, wok_full(a->g, a->dtype, WOK_SHAPE0, 0)));
}
#define BUILD(name, expr)                                                                                    \
  static int build_##name(wok_graph *g, wok_val *const *in, wok_val **out) {                                 \
    (void)g;                                                                                                 \
    out[0] = (expr);                                                                                         \
    return 1;                                                                                                \
  }
BUILD(cholesky, wok_cholesky(apart(in[0])))
BUILD(lower, wok_triangular_solve(apart(in[0]), in[1], false, false))
BUILD(lower_t, wok_triangular_solve(apart(in[0]), in[1], false, true))
BUILD(upper, wok_triangular_solve(apart(in[0]), in[1], true, false))
BUILD(upper_t, wok_triangular_solve(apart(in[0]), in[1], true, true))
BUILD(values, wok_eigh(apart(in[0]), NULL))
BUILD(singular, wok_svd(apart(in[0]), NULL, NULL))
static int build_eigh(wok_graph *g, wok_val *const *in, wok_val **out) {
  (void)g;
  out[0] = wok_eigh(apart(in[0]), &out[1]);
  return 2;
}
static int build_svd(wok_graph *g, wok_val *const *in, wok_val **out) {
  (void)g;
  out[0] = wok_svd(apart(in[0]), &out[1], &out[2]);
  return 3;
}
/* Parts of the results alone. */
static int build_vectors(wok_graph *g, wok_val *const *in, wok_val **out) {
  (void)g;
  wok_eigh(apart(in[0]), &out[0]);
  return 1;
}
static int build_left(wok_graph *g, wok_val *const *in, wok_val **out) {
  (void)g;
  wok_svd(apart(in[0]), &out[0], NULL);
  return 1;
}

static const wok__op_case cholesky_cases[] = {
    {"f[3,3]", build_cholesky, "f[3,4]", "a is not square"},
    {"f[2,4,4]", build_cholesky, "f[3]", "a is no matrix"},
    {"f[1,1]", build_cholesky, "i<3[3,3]", "a is i32, not f32 or f64"},
    {"f[0,3,3]", build_cholesky, "f[0,0]", "rows and columns are 1 to 16384"},
};
static const wok__op_case triangular_solve_cases[] = {
    {"f[3,3] f[3,4]", build_lower, "f[3,3] f[4,4]", "leading sizes or rows differ"},
    {"f[2,3,3] f[2,3,1]", build_lower_t, "f[2,3,3] f[3,1]", "leading sizes or rows differ"},
    {"f[3,3] f[3,2]", build_upper, "f[3,4] f[3,2]", "t is not square"},
    {"f[2,3,3] f[2,3,2]", build_upper_t, "f[3,3] f[3]", "b is no matrix"},
};
static const wok__op_case eigh_cases[] = {
    {"f[3,3]", build_eigh, "f[3,4]", "a is not square"},
    {"f[2,4,4]", build_values, "f[3]", "a is no matrix"},
    {"f[2,1,3,3]", build_vectors, "i<3[3,3]", "a is i32, not f32 or f64"},
    {"f[1,1]", build_eigh, NULL, NULL},
    {"f[0,3,3]", build_eigh, NULL, NULL},
};
static const wok__op_case svd_cases[] = {
    {"f[3,3]", build_svd, "f[3]", "a is no matrix"},
    {"f[2,4,3]", build_svd, "f[0,3]", "rows and columns are 1 to 16384"},
    {"f[2,5]", build_svd, "b[3,3]", "a is bool, not f32 or f64"},
    {"f[2,3,4]", build_singular, NULL, NULL},
    {"f[5,3]", build_left, NULL, NULL},
    {"f[1,1]", build_svd, NULL, NULL},
};

#define ENTRY(op, arity, outputs, attributes, text)                                                          \
  const wok__op wok__op_##op = {                                                                             \
      .id = WOK__OP_##op,                                                                                    \
      .name = #op,                                                                                           \
      .min_in = arity,                                                                                       \
      .max_in = arity,                                                                                       \
      .nout = outputs,                                                                                       \
      .attr_size = attributes,                                                                               \
      .infer = infer_##op,                                                                                   \
      .vjp = vjp_##op,                                                                                       \
      WOK__CASES(op##_cases),                                                                                \
      .doc = text,                                                                                           \
  };
ENTRY(cholesky, 1, 1, 0, "Lower L with L L^T = a, of positive definite matrices.")
ENTRY(triangular_solve, 2, 1, sizeof(wok__attr_triangular), "x with t x = b or t^T x = b, t triangular.")
ENTRY(eigh, 1, 2, 0, "Values, ascending, and vectors, as columns, of symmetric matrices.")
ENTRY(svd, 1, 3, 0, "Singular values, descending, with left vectors as columns and right ones as rows.")
