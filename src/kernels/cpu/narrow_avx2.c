/* kernels/cpu/narrow_avx2.c - products with few columns for AVX2. */
#include "kernels/cpu/vec_isa_avx2.h"
#include "kernels/cpu/vec.h"
#include "kernels/cpu/narrow.inc"
