/* kernels/cpu/optim_avx2.c - the optimizer's chunk functions for AVX2. */
#include "kernels/cpu/vec_isa_avx2.h"
#include "kernels/cpu/vec.h"
#include "kernels/cpu/optim.h"
#include "kernels/cpu/vec_optim.inc"
