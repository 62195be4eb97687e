/* kernels/cpu/channel_norm_generic.c - norms by channel for any machine. */
#include "kernels/cpu/vec_isa_generic.h"
#include "kernels/cpu/vec.h"
#include "kernels/ref/sets.h"
#include "kernels/cpu/channel_norm.inc"
