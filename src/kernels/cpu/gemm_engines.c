/* gemm_engines.c - the engines of this build, best first, and the choice among them. */
#include "kernels/cpu/gemm_block.h"
#include "kernels/cpu/gemm_onednn.h"

/* Measured (bench/gemm_kernels.c): our kernels for AVX-512 and AVX2 are as fast as oneDNN's for the same instructions, or faster,
   and allocate nothing; where we have none of our own, oneDNN stands before plain C. */
static const wok__gemm_engine *const engines[] = {
#ifdef WOK_X86
    &wok__gemm_avx512_f32, &wok__gemm_avx512_f64, &wok__gemm_avx2_f32, &wok__gemm_avx2_f64,
#endif
#ifdef WOK_ONEDNN
    &wok__gemm_onednn_f32,
#endif
    &wok__gemm_generic_f32, &wok__gemm_generic_f64,
};

const wok__gemm_engine *wok__gemm_engine_at(int64_t i) { return i >= 0 && i < WOK__COUNT(engines) ? engines[i] : NULL; }

const wok__gemm_engine *wok__gemm_engine_for(const wok_ctx *c, const wok__gemm *g) {
  wok__isa isa = wok__ctx_isa(c);
  for (int64_t i = 0; i < WOK__COUNT(engines); i++) {
    const wok__gemm_engine *e = engines[i];
    if (e->isa <= isa && e->in == g->in && e->out == g->out && !(e->uncapped && wok__ctx_isa_capped(c))) return e;
  }
  return NULL;
}
