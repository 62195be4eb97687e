/* kernels/cpu/attention_avx2.c - attention and its gradients for AVX2. */
#include "kernels/cpu/vec_isa_avx2.h"
#include "kernels/cpu/vec.h"
#include "kernels/cpu/vec_math.inc"
#include "kernels/cpu/vec_philox.inc"
#include "kernels/cpu/vec_mm.inc"
#include "kernels/cpu/vec_attention.inc"
#include "kernels/cpu/vec_attention_fwd.inc"
#include "kernels/cpu/vec_attention_bwd.inc"
