/* kernels/cpu/narrow_avx512.c - products with few columns for AVX-512. */
#include "kernels/cpu/vec_isa_avx512.h"
#include "kernels/cpu/vec.h"
#include "kernels/cpu/narrow.inc"
