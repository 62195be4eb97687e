/* kernels/cpu/gemm_block.h - what the files around gemm_block.inc share. Declarations only: these files are compiled for
   instructions that the rest of the library must not contain. */
#ifndef WOK_KERNELS_CPU_GEMM_BLOCK_H
#define WOK_KERNELS_CPU_GEMM_BLOCK_H
#include "kernels/cpu/gemm.h"

#if defined(__clang__)
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

#define WOK__GEMM_BLOCKS(X) X(generic)
#ifdef WOK_X86
#undef WOK__GEMM_BLOCKS
#define WOK__GEMM_BLOCKS(X) X(avx512) X(avx2) X(generic)
#endif

#define WOK__GEMM_BLOCK(isa) extern const wok__gemm_engine wok__gemm_##isa##_f32, wok__gemm_##isa##_f64;
WOK__GEMM_BLOCKS(WOK__GEMM_BLOCK)
#undef WOK__GEMM_BLOCK

#endif
