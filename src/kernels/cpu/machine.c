/* machine.c - wok_machine_info: what the base knows of the machine, and what the kernels add. */
#include "base/base.h"
#include "kernels/cpu/gemm_onednn.h"

void wok_machine_info(const wok_ctx *c, wok_machine *m) {
  wok__machine_base(c, m);
#ifdef WOK_ONEDNN
  m->onednn = wok__onednn_version();
#else
  m->onednn = NULL;
#endif
}
