/* kernels/cpu/attention_avx512.c - attention and its gradients for AVX-512. */
#include "kernels/cpu/vec_isa_avx512.h"
#include "kernels/cpu/vec.h"
#include "kernels/cpu/vec_math.inc"
#include "kernels/cpu/vec_philox.inc"
#include "kernels/cpu/vec_mm.inc"
#include "kernels/cpu/vec_attention.inc"
#include "kernels/cpu/vec_attention_fwd.inc"
#include "kernels/cpu/vec_attention_bwd.inc"
