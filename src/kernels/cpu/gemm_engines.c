/* gemm_engines.c - the engines of this build, best first, and the choice among them. */
#include "kernels/cpu/gemm_block.h"
#include "kernels/cpu/gemm_onednn.h"
#include "kernels/cpu/gemm_tiles.h"

/* Measured (bench/gemm_kernels.c): our kernels for AVX-512 and AVX2 are as fast as oneDNN's for the same instructions, or faster,
   and allocate nothing; where we have none of our own, oneDNN stands before plain C. */
static const wok__gemm_engine *const engines[] = {
#ifdef WOK_X86
    &wok__gemm_amx_bf16, &wok__gemm_amx_bf16x3, &wok__gemm_amx_bf16x6,
    &wok__gemm_avx512_f32, &wok__gemm_avx512_f64, &wok__gemm_avx2_f32, &wok__gemm_avx2_f64,
#endif
#ifdef WOK_ONEDNN
    &wok__gemm_onednn_f32,
#endif
    &wok__gemm_generic_f32, &wok__gemm_generic_f64,
};

const wok__gemm_engine *wok__gemm_engine_at(int64_t i) { return i >= 0 && i < WOK__COUNT(engines) ? engines[i] : NULL; }

bool wok__gemm_takes(const wok__gemm_engine *e, const wok__gemm *g) {
  if (e->takes) return e->takes(g);
  return g->a == e->type && g->b == e->type && g->c == e->type; /* which is more than any g->compute asks */
}

const wok__gemm_engine *wok__gemm_engine_for(const wok_ctx *c, const wok__gemm *g) {
  wok__isa isa = wok__ctx_isa(c);
  for (int64_t i = 0; i < WOK__COUNT(engines); i++) {
    const wok__gemm_engine *e = engines[i];
    if (e->isa > isa || !wok__gemm_takes(e, g) || (e->uncapped && wok__ctx_isa_capped(c))) continue;
    if (e->isa == WOK__ISA_AMX && !wok__amx_permitted()) continue;
    return e;
  }
  return NULL;
}
