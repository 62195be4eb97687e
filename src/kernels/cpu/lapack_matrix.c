/* lapack_matrix.c - cholesky, eigh and svd by LAPACK. The only file that knows it. Everything is in double, whatever the type in
   memory; arguments are checked before (LAPACK's own answer to a bad one is to print and stop), sizes by the operators' inference.
   LAPACK's matrices lie by columns: it sees the transposes of ours. */
#include "kernels/ref/linalg.h"

/* Fortran: all by reference, and behind the others the length of each character argument. */
extern void dpotrf_(const char *uplo, const int *n, double *a, const int *lda, int *info, size_t);
extern void dsyevd_(const char *job, const char *uplo, const int *n, double *a, const int *lda, double *w, double *work,
                    const int *lwork, int *iwork, const int *liwork, int *info, size_t, size_t);
extern void dgesdd_(const char *job, const int *m, const int *n, double *a, const int *lda, double *s, double *u, const int *ldu,
                    double *vt, const int *ldvt, double *work, const int *lwork, int *iwork, int *info, size_t);

static bool solve_cholesky(const wok__matrix_problem *p) {
  int n = (int)p->n, info;
  dpotrf_("U", &n, p->a, &n, &info, 1); /* of the transpose: our lower triangle */
  return info == 0;
}

static int64_t eigh_doubles(int64_t n) { return 1 + 6 * n + 2 * n * n; }
static int64_t eigh_ints(int64_t n) { return 3 + 5 * n; }
static int64_t work_eigh(int64_t m, int64_t n) {
  (void)m;
  return eigh_doubles(n) * (int64_t)sizeof(double) + eigh_ints(n) * (int64_t)sizeof(int);
}
static bool solve_eigh(const wok__matrix_problem *p) {
  int n = (int)p->n, lwork = (int)eigh_doubles(n), liwork = (int)eigh_ints(n), info;
  double *work = p->work;
  int *iwork = (int *)(void *)(work + lwork);
  dsyevd_("V", "U", &n, p->a, &n, p->s, work, &lwork, iwork, &liwork, &info, 1, 1);
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < n; j++) p->u[i * n + j] = p->a[j * n + i];
  return info == 0;
}

enum { BLOCKS = 64 }; /* more than is needed, for blocked code */
static int64_t svd_doubles(int64_t m, int64_t n) {
  int64_t k = WOK__MIN(m, n), longer = WOK__MAX(m, n);
  return 4 * k * k + 10 * k + (longer + k) * BLOCKS;
}
static int64_t work_svd(int64_t m, int64_t n) {
  return svd_doubles(m, n) * (int64_t)sizeof(double) + 8 * WOK__MIN(m, n) * (int64_t)sizeof(int);
}
/* a^T = V S U^T: what LAPACK calls U is our V, by columns vt by rows; what it calls VT is our U, by rows. */
static bool solve_svd(const wok__matrix_problem *p) {
  int m = (int)p->n, n = (int)p->m, k = (int)p->k, lwork = (int)svd_doubles(p->m, p->n), info;
  double *work = p->work;
  int *iwork = (int *)(void *)(work + lwork);
  dgesdd_("S", &m, &n, p->a, &m, p->s, p->vt, &m, p->u, &k, work, &lwork, iwork, &info, 1);
  return info == 0;
}

static const wok__matrix_solver cholesky = {NULL, solve_cholesky}, eigh = {work_eigh, solve_eigh}, svd = {work_svd, solve_svd};

#define DECOMPOSITION(name)                                                                                  \
  static int64_t scratch_##name(const wok__kdesc *d, int threads) { return wok__matrix_scratch(d, &name, threads); } \
  static void run_##name(const wok__kcall *k) { wok__matrix_run(k, WOK__OP_##name, &name, true); }
DECOMPOSITION(cholesky)
DECOMPOSITION(eigh)
DECOMPOSITION(svd)

#define ROW(op_, type)                                                                                       \
  {.name = "lapack", .op = WOK__OP_##op_, .dtype = type, .rank = 20, .scratch = scratch_##op_, .run = run_##op_},
static const wok__kernel rows[] = {
    ROW(cholesky, WOK_F32) ROW(cholesky, WOK_F64) ROW(eigh, WOK_F32) ROW(eigh, WOK_F64) ROW(svd, WOK_F32) ROW(svd, WOK_F64)
};
const wok__kernel_table wok__kernels_cpu_lapack = {rows, WOK__COUNT(rows)};
