/* kernels/cpu/curve_avx512.c - functions of one number for AVX-512. */
#include "kernels/cpu/vec_isa_avx512.h"
#include "kernels/cpu/vec.h"
#include "kernels/cpu/vec_math.inc"
#include "kernels/cpu/vec_each.inc"
#include "kernels/cpu/curve.inc"
