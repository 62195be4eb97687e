/* Linear algebra: the shared loop over matrices, and reference solvers: Cholesky by rows, cyclic Jacobi for symmetric matrices,
   one-sided Jacobi for singular values (Hestenes 1958; Golub and Van Loan, Matrix Computations, 8.5 and 8.6). */
#include "kernels/ref/linalg.h"
#include "kernels/ref/ref.h"
#include <float.h>
#include <math.h>
#include <string.h>

/* ---- the loop ---- */
static int64_t aligned(int64_t bytes) { return (bytes + 63) / 64 * 64; }

static wok__matrix_problem problem_of(const wok_shape *a) {
  int64_t m = a->dim[a->ndim - 2], n = a->dim[a->ndim - 1];
  return (wok__matrix_problem){.m = m, .n = n, .k = WOK__MIN(m, n)};
}

/* Doubles of a, s, u, vt. */
static int64_t doubles_of(const wok__matrix_problem *p) { return p->m * p->n + p->k + p->m * p->k + p->k * p->n; }

static int64_t bytes_of(const wok__matrix_problem *p, const wok__matrix_solver *s) {
  return aligned(doubles_of(p) * (int64_t)sizeof(double)) + (s->work ? aligned(s->work(p->m, p->n)) : 0);
}

int64_t wok__matrix_scratch(const wok__kdesc *d, const wok__matrix_solver *s, int threads) {
  wok__matrix_problem p = problem_of(&d->in[0].shape);
  return threads * bytes_of(&p, s);
}

static bool read_finite(const wok__arr *from, int64_t at, double *to, int64_t n) {
  bool finite = true;
  for (int64_t i = 0; i < n; i++) {
    to[i] = from->dtype == WOK_F64 ? ((const double *)from->data)[at + i] : (double)((const float *)from->data)[at + i];
    finite &= isfinite(to[i]) != 0;
  }
  return finite;
}

static void write_out(const wok__kcall *k, int o, int64_t matrix, const double *from, int64_t n, bool good) {
  const wok__arr *to = &k->out[o];
  if (!wok__ref_wanted(k, o)) return;
  for (int64_t i = 0; i < n; i++) {
    double v = good ? from[i] : (double)NAN;
    if (to->dtype == WOK_F64) ((double *)to->data)[matrix * n + i] = v;
    else ((float *)to->data)[matrix * n + i] = (float)v;
  }
}

/* The entry of the largest magnitude of each column of u, of equal ones the first, is positive; vt's rows follow. */
static void fix_signs(const wok__matrix_problem *p, bool two_sided) {
  for (int64_t j = 0; j < p->k; j++) {
    double best = 0;
    for (int64_t i = 0; i < p->m; i++)
      if (fabs(p->u[i * p->k + j]) > fabs(best)) best = p->u[i * p->k + j];
    if (best >= 0) continue;
    for (int64_t i = 0; i < p->m; i++) p->u[i * p->k + j] = -p->u[i * p->k + j];
    for (int64_t i = 0; i < p->n && two_sided; i++) p->vt[j * p->n + i] = -p->vt[j * p->n + i];
  }
}

typedef struct job {
  const wok__kcall *k;
  wok__opid op;
  const wok__matrix_solver *s;
} job;

static void one_matrix(void *arg, int64_t matrix, int worker) {
  const job *j = arg;
  const wok__kcall *k = j->k;
  wok__matrix_problem p = problem_of(&k->in[0].shape);
  char *mine = (char *)k->scratch + worker * bytes_of(&p, j->s);
  p.a = (double *)(void *)mine;
  p.s = p.a + p.m * p.n;
  p.u = p.s + p.k;
  p.vt = p.u + p.m * p.k;
  p.work = mine + aligned(doubles_of(&p) * (int64_t)sizeof(double));
  bool good = read_finite(&k->in[0], matrix * p.m * p.n, p.a, p.m * p.n) && j->s->solve(&p);
  if (j->op == WOK__OP_cholesky) {
    for (int64_t r = 0; r < p.n && good; r++)
      for (int64_t c = r + 1; c < p.n; c++) p.a[r * p.n + c] = 0;
    write_out(k, 0, matrix, p.a, p.n * p.n, good);
    return;
  }
  if (good) fix_signs(&p, j->op == WOK__OP_svd);
  write_out(k, 0, matrix, p.s, p.k, good);
  write_out(k, 1, matrix, p.u, p.m * p.k, good);
  if (j->op == WOK__OP_svd) write_out(k, 2, matrix, p.vt, p.k * p.n, good);
}

void wok__matrix_run(const wok__kcall *k, wok__opid op, const wok__matrix_solver *s, bool pool) {
  job j = {k, op, s};
  const wok_shape *a = &k->in[0].shape;
  int64_t count = 1;
  for (int i = 0; i < a->ndim - 2; i++) count *= a->dim[i];
  if (pool) wok__pool_run(k->c, one_matrix, &j, count);
  else
    for (int64_t i = 0; i < count; i++) one_matrix(&j, i, 0);
}

/* ---- reference solvers ---- */
static bool solve_cholesky(const wok__matrix_problem *p) {
  double *l = p->a;
  int64_t n = p->n;
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j <= i; j++) {
      double sum = l[i * n + j];
      for (int64_t k = 0; k < j; k++) sum -= l[i * n + k] * l[j * n + k];
      if (i == j && !(sum > 0)) return false;
      l[i * n + j] = i == j ? sqrt(sum) : sum / l[j * n + j];
    }
  return true;
}

/* The rotation by which two directions with products app, aqq and apq become orthogonal: tangent, cosine, sine. */
typedef struct rotation { double t, c, s; } rotation;
static rotation rotation_of(double app, double apq, double aqq) {
  double theta = (aqq - app) / (2 * apq);
  double t = fabs(theta) > 1e150 ? 0.5 / theta : (theta < 0 ? -1 : 1) / (fabs(theta) + sqrt(theta * theta + 1));
  double c = 1 / sqrt(t * t + 1);
  return (rotation){t, c, t * c};
}
static void turn(double *p, double *q, int64_t n, int64_t step, rotation r) {
  for (int64_t i = 0; i < n * step; i += step) {
    double a = p[i], b = q[i];
    p[i] = r.c * a - r.s * b;
    q[i] = r.s * a + r.c * b;
  }
}
static void exchange(double *p, double *q, int64_t n, int64_t step) {
  for (int64_t i = 0; i < n * step; i += step) {
    double keep = p[i];
    p[i] = q[i];
    q[i] = keep;
  }
}
static void identity(double *v, int64_t n) {
  for (int64_t i = 0; i < n * n; i++) v[i] = i % (n + 1) == 0;
}
static double product(const double *p, const double *q, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; i++) sum += p[i] * q[i];
  return sum;
}

enum { SWEEPS = 100 }; /* about ten are needed */

static bool solve_eigh(const wok__matrix_problem *p) {
  int64_t n = p->n;
  double *a = p->a, *v = p->u;
  bool again = true;
  identity(v, n);
  for (int sweep = 0; sweep < SWEEPS && again; sweep++) {
    again = false;
    for (int64_t i = 0; i < n; i++)
      for (int64_t j = i + 1; j < n; j++) {
        double off = a[i * n + j];
        if (fabs(off) <= DBL_EPSILON * 0.125 * sqrt(fabs(a[i * n + i])) * sqrt(fabs(a[j * n + j])) || fabs(off) < DBL_MIN) continue;
        again = true;
        rotation r = rotation_of(a[i * n + i], off, a[j * n + j]);
        turn(a + i, a + j, n, n, r);
        turn(a + i * n, a + j * n, n, 1, r);
        a[i * n + j] = a[j * n + i] = 0;
        turn(v + i, v + j, n, n, r);
      }
  }
  for (int64_t i = 0; i < n; i++) p->s[i] = a[i * n + i];
  for (int64_t i = 0; i < n; i++) {
    int64_t least = i;
    for (int64_t j = i + 1; j < n; j++)
      if (p->s[j] < p->s[least]) least = j;
    if (least == i) continue;
    exchange(p->s + i, p->s + least, 1, 1);
    exchange(v + i, v + least, n, n);
  }
  return !again;
}

/* Directions in rows: k long ones (of a's longer side) and k short ones. */
static int64_t work_svd(int64_t m, int64_t n) {
  int64_t k = WOK__MIN(m, n);
  return k * (WOK__MAX(m, n) + k) * (int64_t)sizeof(double);
}

/* Row j of g (rows of length n, the other ones orthonormal or zero) becomes a unit vector at right angles to them. */
static void complete(double *g, int64_t rows, int64_t n, int64_t j) {
  int64_t best = 0;
  double least = INFINITY;
  for (int64_t i = 0; i < n; i++) { /* the axis that the others reach least */
    double reach = 0;
    for (int64_t r = 0; r < rows; r++) reach += r == j ? 0 : g[r * n + i] * g[r * n + i];
    if (reach < least) least = reach, best = i;
  }
  for (int64_t i = 0; i < n; i++) g[j * n + i] = i == best;
  for (int twice = 0; twice < 2; twice++)
    for (int64_t r = 0; r < rows; r++) {
      double along = r == j ? 0 : product(g + j * n, g + r * n, n);
      for (int64_t i = 0; i < n && r != j; i++) g[j * n + i] -= along * g[r * n + i];
    }
  double size = sqrt(product(g + j * n, g + j * n, n));
  for (int64_t i = 0; i < n; i++) g[j * n + i] /= size;
}

static bool solve_svd(const wok__matrix_problem *p) {
  bool tall = p->m >= p->n, again = true;
  int64_t k = p->k, length = tall ? p->m : p->n;
  double *g = p->work, *w = g + k * length;
  for (int64_t j = 0; j < k; j++)
    for (int64_t i = 0; i < length; i++) g[j * length + i] = tall ? p->a[i * p->n + j] : p->a[j * p->n + i];
  identity(w, k);
  for (int sweep = 0; sweep < SWEEPS && again; sweep++) {
    again = false;
    for (int64_t i = 0; i < k; i++)
      for (int64_t j = i + 1; j < k; j++) {
        double *gi = g + i * length, *gj = g + j * length;
        double ii = product(gi, gi, length), jj = product(gj, gj, length), ij = product(gi, gj, length);
        if (fabs(ij) <= DBL_EPSILON * sqrt(ii) * sqrt(jj) || fabs(ij) < DBL_MIN) continue;
        again = true;
        rotation r = rotation_of(ii, ij, jj);
        turn(gi, gj, length, 1, r);
        turn(w + i * k, w + j * k, k, 1, r);
      }
  }
  for (int64_t j = 0; j < k; j++) p->s[j] = sqrt(product(g + j * length, g + j * length, length));
  for (int64_t i = 0; i < k; i++) {
    int64_t most = i;
    for (int64_t j = i + 1; j < k; j++)
      if (p->s[j] > p->s[most]) most = j;
    if (most == i) continue;
    exchange(p->s + i, p->s + most, 1, 1);
    exchange(g + i * length, g + most * length, length, 1);
    exchange(w + i * k, w + most * k, k, 1);
  }
  for (int64_t j = 0; j < k; j++)
    for (int64_t i = 0; i < length; i++) g[j * length + i] = p->s[j] > DBL_MIN ? g[j * length + i] / p->s[j] : 0;
  for (int64_t j = 0; j < k; j++)
    if (!(p->s[j] > DBL_MIN)) complete(g, k, length, j);
  const double *left = tall ? g : w, *right = tall ? w : g;
  for (int64_t j = 0; j < k; j++) {
    for (int64_t i = 0; i < p->m; i++) p->u[i * k + j] = left[j * p->m + i];
    memcpy(p->vt + j * p->n, right + j * p->n, (size_t)p->n * sizeof *right);
  }
  return !again;
}

static const wok__matrix_solver cholesky = {NULL, solve_cholesky}, eigh = {NULL, solve_eigh}, svd = {work_svd, solve_svd};

#define DECOMPOSITION(name)                                                                                  \
  int64_t wok__ref_##name##_scratch(const wok__kdesc *d, int threads) {                                      \
    (void)threads;                                                                                           \
    return wok__matrix_scratch(d, &name, 1);                                                                 \
  }                                                                                                          \
  void wok__ref_##name(const wok__kcall *k) { wok__matrix_run(k, WOK__OP_##name, &name, false); }
DECOMPOSITION(cholesky)
DECOMPOSITION(eigh)
DECOMPOSITION(svd)

/* ---- triangular_solve: substitution, all columns of b at once ---- */
int64_t wok__ref_triangular_scratch(const wok__kdesc *d, int threads) {
  const wok_shape *b = &d->in[1].shape;
  (void)threads;
  return b->dim[b->ndim - 2] * b->dim[b->ndim - 1] * (int64_t)sizeof(double);
}

#define TRIANGULAR(suffix, R)                                                                                \
  void wok__ref_triangular_solve_##suffix(const wok__kcall *k) {                                             \
    const wok__attr_triangular *t = k->attr;                                                                 \
    const wok_shape *s = &k->in[1].shape;                                                                    \
    int64_t n = s->dim[s->ndim - 2], width = s->dim[s->ndim - 1], count = wok__shape_count(s);               \
    const R *a = k->in[0].data, *b = k->in[1].data;                                                          \
    R *out = k->out[0].data;                                                                                 \
    double *x = k->scratch;                                                                                  \
    bool up = t->upper != t->transposed; /* from the last row to the first */                                \
    for (int64_t at = 0; at < count; at += n * width, a += n * n) {                                          \
      for (int64_t step = 0; step < n; step++) {                                                             \
        int64_t i = up ? n - 1 - step : step;                                                                \
        double *row = x + i * width;                                                                         \
        for (int64_t c = 0; c < width; c++) row[c] = (double)b[at + i * width + c];                          \
        for (int64_t before = 0; before < step; before++) {                                                  \
          int64_t j = up ? n - 1 - before : before;                                                          \
          double f = (double)(t->transposed ? a[j * n + i] : a[i * n + j]);                                  \
          for (int64_t c = 0; c < width; c++) row[c] -= f * x[j * width + c];                                \
        }                                                                                                    \
        double pivot = (double)a[i * n + i];                                                                 \
        for (int64_t c = 0; c < width; c++) row[c] /= pivot;                                                 \
      }                                                                                                      \
      for (int64_t i = 0; i < n * width; i++) out[at + i] = (R)x[i];                                         \
    }                                                                                                        \
  }
TRIANGULAR(f32, float)
TRIANGULAR(f64, double)
