/* kernels/ref/linalg.h - decompositions of single matrices in double, and the loop over a batch of them that every solver
   shares: it converts, refuses what is not finite, fixes the signs of vectors, and puts NaN where a solver gives up. */
#ifndef WOK_KERNELS_REF_LINALG_H
#define WOK_KERNELS_REF_LINALG_H
#include "kernels/kernel.h"

/* a [m, n], row-major, may be destroyed; k = min(m, n). cholesky: a becomes L, its upper triangle of any content.
   eigh: s ascending, u [n, n] with vectors as columns. svd: s descending, u [m, k], vt [k, n]. */
typedef struct wok__matrix_problem {
  int64_t m, n, k;
  double *a, *s, *u, *vt;
  void *work; /* 8-byte aligned */
} wok__matrix_problem;

typedef struct wok__matrix_solver {
  int64_t (*work)(int64_t m, int64_t n);         /* bytes; NULL: none */
  bool (*solve)(const wok__matrix_problem *p);   /* false: it cannot be done */
} wok__matrix_solver;

int64_t wok__matrix_scratch(const wok__kdesc *d, const wok__matrix_solver *s, int threads);
/* All matrices of the call; on the pool, each on one thread, or one after the other. */
void wok__matrix_run(const wok__kcall *k, wok__opid op, const wok__matrix_solver *s, bool pool);
#endif
