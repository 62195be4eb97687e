/* kernels/cpu/narrow_generic.c - products with few columns for any machine. */
#include "kernels/cpu/vec_isa_generic.h"
#include "kernels/cpu/vec.h"
#include "kernels/cpu/narrow.inc"
