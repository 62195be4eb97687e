/* kernels/cpu/attention_amx.c - attention and its gradients in bf16 on AMX tiles, softmax and sums in f32. */
#define ATTENTION_QUERIES 128
#include <stdlib.h>
#include "kernels/cpu/vec_isa_avx512.h"
#include "kernels/cpu/vec.h"
#include "kernels/cpu/vec_math.inc"
#include "kernels/cpu/vec_philox.inc"
#include "kernels/cpu/vec_attention.inc"
#include "kernels/cpu/attention_amx.inc"
#include "kernels/cpu/attention_amx_few.inc"
#include "kernels/cpu/attention_amx_fwd.inc"
#include "kernels/cpu/attention_amx_bwd.inc"

#define ROW(name_, run_, can_, scratch_)                                                                     \
  {.name = "amx", .op = WOK__OP_##name_, .dtype = WOK_BF16, .isa = WOK__ISA_AMX, .rank = 50, .can_run = can_, \
   .scratch = scratch_, .run = run_}
static const wok__kernel rows[] = {
    ROW(attention, run_forward, forward_can_run, forward_scratch),
    ROW(attention_bwd, run_backward, backward_can_run, backward_scratch),
};
const wok__kernel_table wok__kernels_cpu_attention_amx = {rows, (int64_t)(sizeof rows / sizeof *rows)};
