/* kernels/cpu/optim_generic.c - the optimizer's chunk functions for any machine. */
#include "kernels/cpu/vec_isa_generic.h"
#include "kernels/cpu/vec.h"
#include "kernels/cpu/optim.h"
#include "kernels/cpu/vec_optim.inc"
