/* gemm_onednn.c - oneDNN (v2 and v3) behind our description of a product. The only file that knows it.
 *
 * Tiles go through dnnl_sgemm: it needs no objects, takes any pitch, and single-threaded tiles of it and of matmul
 * primitives prepared for the same tile were equally fast (bench/gemm_kernels.c). Each worker calls it with one OpenMP
 * thread (the pool sees to that). */
#include "kernels/cpu/gemm_onednn.h"
#include <dnnl.h>
#include <string.h>

/* libgomp's, which oneDNN brings along; declared here so that nothing needs -fopenmp. */
extern void omp_set_num_threads(int);
extern int omp_get_max_threads(void);
extern int omp_pause_resource_all(int); /* 1: soft */

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

const wok__gemm_engine wok__gemm_onednn_f32 = {.name = "onednn-tiles", .type = WOK_F32, .mr = 16, .nr = 64, .uncapped = true, .tile = tile};

/* ---- oneDNN by itself ---- */

#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)
const char *wok__onednn_version(void) {
  const dnnl_version_t *v = dnnl_version(); /* of the library in use, which may be newer than the header */
  if (v->major != DNNL_VERSION_MAJOR || v->minor != DNNL_VERSION_MINOR || v->patch != DNNL_VERSION_PATCH)
    return "not the " TEXT(DNNL_VERSION_MAJOR) "." TEXT(DNNL_VERSION_MINOR) "." TEXT(DNNL_VERSION_PATCH) " of the build";
  return TEXT(DNNL_VERSION_MAJOR) "." TEXT(DNNL_VERSION_MINOR) "." TEXT(DNNL_VERSION_PATCH);
}

struct wok__onednn_whole {
  wok__gemm g;
  const void *a, *b;
  void *c;
  dnnl_engine_t engine;
  dnnl_stream_t stream;
  dnnl_primitive_t primitive;
  dnnl_memory_t memory[3];
  int omp; /* the caller's setting */
};

enum { A, B, C };
static const int arguments[] = {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST};

static dnnl_data_type_t type_of(wok_dtype t) { return t == WOK_BF16 ? dnnl_bf16 : dnnl_f32; }

#if DNNL_VERSION_MAJOR >= 3
typedef dnnl_memory_desc_t layout;
static dnnl_status_t layout_new(layout *l, wok_dtype t, const dnnl_dims_t dims, const dnnl_dims_t strides) {
  return dnnl_memory_desc_create_with_strides(l, 2, dims, type_of(t), strides);
}
static void layout_free(layout *l) {
  if (*l) (void)dnnl_memory_desc_destroy(*l);
}
static dnnl_status_t memory_new(dnnl_memory_t *m, const layout *l, dnnl_engine_t e, void *data) {
  return dnnl_memory_create(m, *l, e, data);
}
static dnnl_status_t matmul_new(dnnl_primitive_t *p, const layout *l, dnnl_engine_t e) {
  dnnl_primitive_desc_t pd;
  dnnl_status_t s = dnnl_matmul_primitive_desc_create(&pd, e, l[A], l[B], NULL, l[C], NULL);
  if (s != dnnl_success) return s;
  s = dnnl_primitive_create(p, pd);
  (void)dnnl_primitive_desc_destroy(pd);
  return s;
}
#else
typedef dnnl_memory_desc_t layout;
static dnnl_status_t layout_new(layout *l, wok_dtype t, const dnnl_dims_t dims, const dnnl_dims_t strides) {
  return dnnl_memory_desc_init_by_strides(l, 2, dims, type_of(t), strides);
}
static void layout_free(layout *l) { (void)l; }
static dnnl_status_t memory_new(dnnl_memory_t *m, const layout *l, dnnl_engine_t e, void *data) {
  return dnnl_memory_create(m, l, e, data);
}
static dnnl_status_t matmul_new(dnnl_primitive_t *p, const layout *l, dnnl_engine_t e) {
  dnnl_matmul_desc_t md;
  dnnl_primitive_desc_t pd;
  dnnl_status_t s = dnnl_matmul_desc_init(&md, &l[A], &l[B], NULL, &l[C]);
  if (s == dnnl_success) s = dnnl_primitive_desc_create(&pd, &md, NULL, e, NULL);
  if (s != dnnl_success) return s;
  s = dnnl_primitive_create(p, pd);
  (void)dnnl_primitive_desc_destroy(pd);
  return s;
}
#endif

static dnnl_status_t whole_fill(wok__onednn_whole *w, const wok__gemm *g, const void *a, const void *b, void *out) {
  dnnl_dims_t dims[] = {{g->M, g->K}, {g->K, g->N}, {g->M, g->N}};
  dnnl_dims_t strides[] = {{g->ta ? 1 : g->lda, g->ta ? g->lda : 1}, {g->tb ? 1 : g->ldb, g->tb ? g->ldb : 1}, {g->ldc, 1}};
  const wok_dtype types[] = {g->a, g->b, g->c};
  void *data[] = {(void *)(uintptr_t)a, (void *)(uintptr_t)b, out};
  layout l[3];
  memset(l, 0, sizeof l);
  dnnl_status_t s = dnnl_engine_create(&w->engine, dnnl_cpu, 0);
  if (s == dnnl_success) s = dnnl_stream_create(&w->stream, w->engine, dnnl_stream_default_flags);
  for (int i = A; i <= C && s == dnnl_success; i++) s = layout_new(&l[i], types[i], dims[i], strides[i]);
  for (int i = A; i <= C && s == dnnl_success; i++) s = memory_new(&w->memory[i], &l[i], w->engine, data[i]);
  if (s == dnnl_success) s = matmul_new(&w->primitive, l, w->engine);
  for (int i = A; i <= C; i++) layout_free(&l[i]);
  return s;
}

wok_status wok__onednn_whole_new(wok_ctx *c, wok__onednn_whole **out, const wok__gemm *g, const void *a, const void *b,
                                 void *result, int threads) {
  wok__onednn_whole *w = wok__calloc(1, (int64_t)sizeof *w);
  if (!w) return wok__nomem(c, (int64_t)sizeof *w);
  w->g = *g, w->a = a, w->b = b, w->c = result;
  w->omp = omp_get_max_threads();
  omp_set_num_threads(threads);
  dnnl_status_t s = whole_fill(w, g, a, b, result);
  if (s != dnnl_success) {
    wok__onednn_whole_free(w);
    return wok__fail(c, s == dnnl_out_of_memory ? WOK_NOMEM : WOK_UNSUPPORTED, "oneDNN made no matmul primitive (its status %d)",
                     (int)s);
  }
  *out = w;
  return WOK_OK;
}

bool wok__onednn_whole_run(wok__onednn_whole *w, bool sgemm) {
  const wok__gemm *g = &w->g;
  if (sgemm)
    return dnnl_sgemm(g->ta ? 'T' : 'N', g->tb ? 'T' : 'N', g->M, g->N, g->K, 1.0f, w->a, g->lda, w->b, g->ldb, 0.0f, w->c, g->ldc) ==
           dnnl_success;
  dnnl_exec_arg_t args[3];
  for (int i = A; i <= C; i++) args[i] = (dnnl_exec_arg_t){arguments[i], w->memory[i]};
  return dnnl_primitive_execute(w->primitive, w->stream, 3, args) == dnnl_success && dnnl_stream_wait(w->stream) == dnnl_success;
}

void wok__onednn_whole_free(wok__onednn_whole *w) {
  if (w->primitive) (void)dnnl_primitive_destroy(w->primitive);
  for (int i = A; i <= C; i++)
    if (w->memory[i]) (void)dnnl_memory_destroy(w->memory[i]);
  if (w->stream) (void)dnnl_stream_destroy(w->stream);
  if (w->engine) (void)dnnl_engine_destroy(w->engine);
  omp_set_num_threads(w->omp);
  (void)omp_pause_resource_all(1); /* its threads would go on spinning beside whatever comes next */
  wok__free(w);
}
