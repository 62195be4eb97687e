/* kernels/cpu/channel_norm_avx512.c - norms by channel for AVX-512. */
#include "kernels/cpu/vec_isa_avx512.h"
#include "kernels/cpu/vec.h"
#include "kernels/ref/sets.h"
#include "kernels/cpu/channel_norm.inc"
