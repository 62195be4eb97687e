/* Blocked products in plain C over 16-byte vectors, which the compiler turns into SSE2, NEON or what the machine has.
   Products are rounded before they are added: no fused multiply-add is assumed. */
#include "kernels/cpu/gemm_block.h"

#define ENGINE_NAME "generic"
#define ENGINE_ISA WOK__ISA_GENERIC

typedef float vf __attribute__((vector_size(16)));
typedef float vf_near __attribute__((vector_size(16), aligned(4), may_alias));
typedef double vd __attribute__((vector_size(16)));
typedef double vd_near __attribute__((vector_size(16), aligned(8), may_alias));

#define v_add(a, b) ((a) + (b))
#define v_fma(a, b, c) ((a) * (b) + (c))

#define T float
#define V vf
#define VL ((int64_t)4)
#define MR 6
#define KC 256
#define ROWS(X) X(6) X(4) X(2) X(1)
#define v_zero() ((vf){0, 0, 0, 0})
#define v_load(p) ((vf) * (const vf_near *)(p))
#define v_store(p, v) ((void)(*(vf_near *)(p) = (v)))
#define v_set1(p) ((vf){*(p), *(p), *(p), *(p)})
#define v_sum(v) (((v)[0] + (v)[2]) + ((v)[1] + (v)[3]))
#define turn(dst, to, src, ld)                                                                               \
  for (int j_ = 0; j_ < 4; j_++)                                                                             \
    for (int k_ = 0; k_ < 4; k_++) (dst)[k_ * (to) + j_] = (src)[j_ * (ld) + k_]
#define N(name) name##_f32
#define ENGINE wok__gemm_generic_f32
#define ENGINE_TYPE WOK_F32
#include "kernels/cpu/gemm_block.inc"

#define v_add(a, b) ((a) + (b))
#define v_fma(a, b, c) ((a) * (b) + (c))
#define T double
#define V vd
#define VL ((int64_t)2)
#define MR 6
#define KC 256
#define ROWS(X) X(6) X(4) X(2) X(1)
#define v_zero() ((vd){0, 0})
#define v_load(p) ((vd) * (const vd_near *)(p))
#define v_store(p, v) ((void)(*(vd_near *)(p) = (v)))
#define v_set1(p) ((vd){*(p), *(p)})
#define v_sum(v) ((v)[0] + (v)[1])
#define turn(dst, to, src, ld)                                                                               \
  for (int j_ = 0; j_ < 2; j_++)                                                                             \
    for (int k_ = 0; k_ < 2; k_++) (dst)[k_ * (to) + j_] = (src)[j_ * (ld) + k_]
#define N(name) name##_f64
#define ENGINE wok__gemm_generic_f64
#define ENGINE_TYPE WOK_F64
#include "kernels/cpu/gemm_block.inc"
