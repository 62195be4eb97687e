/* The row functions of the loss head for AVX-512. */
#include "kernels/cpu/vec_isa_avx512.h"
#include "kernels/cpu/gemm_xent.h"
#include "kernels/cpu/vec.h"
#include "kernels/cpu/vec_math.inc"
#include "kernels/cpu/gemm_xent.inc"
