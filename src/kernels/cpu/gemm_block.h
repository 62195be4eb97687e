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

extern const wok__gemm_engine wok__gemm_generic_f32, wok__gemm_generic_f64;
#ifdef WOK_X86
extern const wok__gemm_engine wok__gemm_avx512_f32, wok__gemm_avx512_f64, wok__gemm_avx2_f32, wok__gemm_avx2_f64;
#endif

#endif
