/* kernels/cpu/attention_generic.c - attention and its gradients for any machine. */
#include "kernels/cpu/vec_isa_generic.h"
#include "kernels/cpu/vec.h"
#include "kernels/cpu/vec_math.inc"
#include "kernels/cpu/vec_philox.inc"
#include "kernels/cpu/vec_mm.inc"
#include "kernels/cpu/vec_attention.inc"
#include "kernels/cpu/vec_attention_fwd.inc"
#include "kernels/cpu/vec_attention_bwd.inc"
