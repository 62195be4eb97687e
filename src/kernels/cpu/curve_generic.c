/* kernels/cpu/curve_generic.c - functions of one number for any machine. */
#include "kernels/cpu/vec_isa_generic.h"
#include "kernels/cpu/vec.h"
#include "kernels/cpu/vec_math.inc"
#include "kernels/cpu/vec_each.inc"
#include "kernels/cpu/curve.inc"
