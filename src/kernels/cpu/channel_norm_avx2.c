/* kernels/cpu/channel_norm_avx2.c - norms by channel for AVX2. */
#include "kernels/cpu/vec_isa_avx2.h"
#include "kernels/cpu/vec.h"
#include "kernels/ref/sets.h"
#include "kernels/cpu/channel_norm.inc"
