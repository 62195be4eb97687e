/* The row functions of the loss head for any machine. */
#include "kernels/cpu/vec_isa_generic.h"
#include "kernels/cpu/gemm_xent.h"
#include "kernels/cpu/vec.h"
#include "kernels/cpu/vec_math.inc"
#include "kernels/cpu/gemm_xent.inc"
