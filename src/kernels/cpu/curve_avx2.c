/* kernels/cpu/curve_avx2.c - functions of one number for AVX2. */
#include "kernels/cpu/vec_isa_avx2.h"
#include "kernels/cpu/vec.h"
#include "kernels/cpu/vec_math.inc"
#include "kernels/cpu/vec_each.inc"
#include "kernels/cpu/curve.inc"
