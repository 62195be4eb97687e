/* gemm_onednn.c - oneDNN (v2 and v3) behind our description of a product. The only file that knows it.
 *
 * Tiles go through dnnl_sgemm: it needs no objects, takes any pitch, and single-threaded tiles of it and of matmul
 * primitives prepared for the same tile were equally fast (docs/notes-gemm.md). Each worker calls it with one OpenMP
 * thread (the pool sees to that). */
#include "kernels/cpu/gemm_onednn.h"
#include <dnnl.h>
#include <string.h>

/* libgomp's, which oneDNN brings along; declared here so that nothing needs -fopenmp. */
extern void omp_set_num_threads(int);
extern int omp_get_max_threads(void);
extern int omp_pause_resource_all(int); /* 2: end its helper threads, which would spin beside ours */

static void tile(const wok__gemm_tile *t) {
  const wok__gemm *g = t->g;
  const float *a = (const float *)t->a + (g->ta ? t->m0 : t->m0 * g->lda);
  const float *b = (const float *)t->b + (g->tb ? t->n0 * g->ldb : t->n0);
  float *c = (float *)t->c + t->m0 * g->ldc + t->n0;
  int64_t rows = t->m1 - t->m0, cols = t->n1 - t->n0;
  (void)dnnl_sgemm(g->ta ? 'T' : 'N', g->tb ? 'T' : 'N', rows, cols, g->K, 1.0f, a, g->lda, b, g->ldb, t->add ? 1.0f : 0.0f, c,
                   g->ldc);
  if (t->bias)
    for (int64_t m = 0; m < rows; m++) {
      const float *bias = (const float *)t->bias + t->n0;
      float *row = c + m * g->ldc;
      for (int64_t n = 0; n < cols; n++) row[n] += bias[n];
    }
}

const wok__gemm_engine wok__gemm_onednn_f32 = {"onednn", WOK__ISA_GENERIC, WOK_F32, WOK_F32, 16, 64, 0, NULL, tile, NULL};
