/* kernels/cpu/optim_avx512.c - the optimizer's chunk functions for AVX-512. */
#include "kernels/cpu/vec_isa_avx512.h"
#include "kernels/cpu/vec.h"
#include "kernels/cpu/optim.h"
#include "kernels/cpu/vec_optim.inc"
