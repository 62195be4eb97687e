/* kernels/cpu/gemm_onednn.h - what the rest sees of oneDNN; none of it exists when built without (WOK_ONEDNN not defined). */
#ifndef WOK_KERNELS_CPU_GEMM_ONEDNN_H
#define WOK_KERNELS_CPU_GEMM_ONEDNN_H
#include "kernels/cpu/gemm.h"

#ifdef WOK_ONEDNN
extern const wok__gemm_engine wok__gemm_onednn_f32;
const char *wok__onednn_version(void); /* "2.6.3" */

/* What oneDNN reaches by itself over the whole of g (F32 or BF16, plain layouts, batch 1) with its own `threads` OpenMP
   threads: by a matmul primitive prepared once, or (F32 alone) by dnnl_sgemm. */
typedef struct wok__onednn_whole wok__onednn_whole;
wok_status wok__onednn_whole_new(wok_ctx *c, wok__onednn_whole **w, const wok__gemm *g, const void *a, const void *b, void *out,
                                 int threads);
bool wok__onednn_whole_run(wok__onednn_whole *w, bool sgemm);
void wok__onednn_whole_free(wok__onednn_whole *w); /* also gives the caller's OpenMP settings back */
#endif
#endif
