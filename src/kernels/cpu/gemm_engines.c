/* gemm_engines.c - the engines of this build, best first, and the choice among them. */
#include "kernels/cpu/gemm_block.h"
#include "kernels/cpu/gemm_onednn.h"

static const wok__gemm_engine *const engines[] = {
#define ROW(isa) &wok__gemm_##isa##_f32, &wok__gemm_##isa##_f64,
    WOK__GEMM_BLOCKS(ROW)
#undef ROW
#ifdef WOK_ONEDNN
        & wok__gemm_onednn_f32,
#endif
};

const wok__gemm_engine *wok__gemm_engine_at(int64_t i) { return i >= 0 && i < WOK__COUNT(engines) ? engines[i] : NULL; }

const wok__gemm_engine *wok__gemm_engine_for(const wok_ctx *c, const wok__gemm *g) {
  wok__isa isa = wok__ctx_isa(c);
  for (int64_t i = 0; i < WOK__COUNT(engines); i++)
    if (engines[i]->isa <= isa && engines[i]->in == g->in && engines[i]->out == g->out) return engines[i];
  return NULL;
}
