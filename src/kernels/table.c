/* The kernel tables by name, and the choice among their rows. */
#include <string.h>
#include "kernels/kernel.h"

#define TABLES_VEC(X, isa) X(cpu_vec_##isa) X(cpu_curve_##isa) X(cpu_channel_norm_##isa) X(cpu_narrow_##isa)
#define TABLES_ALL(X) X(ref_primitives) X(ref_fused) X(cpu_gemm) X(cpu_planes) TABLES_VEC(X, generic)
#ifdef WOK_X86
#define TABLES_X86(X) TABLES_VEC(X, avx2) TABLES_VEC(X, avx512) X(cpu_attention_amx)
#else
#define TABLES_X86(X)
#endif
#ifdef WOK_ONEDNN
#define TABLES_ONEDNN(X) X(cpu_conv)
#else
#define TABLES_ONEDNN(X)
#endif
#ifdef WOK_LAPACK
#define TABLES_LAPACK(X) X(cpu_lapack)
#else
#define TABLES_LAPACK(X)
#endif
#define TABLES(X) TABLES_ALL(X) TABLES_X86(X) TABLES_ONEDNN(X) TABLES_LAPACK(X)

#define DECLARE(name) extern const wok__kernel_table wok__kernels_##name;
TABLES(DECLARE)
#undef DECLARE

static const wok__kernel_table *const tables[] = {
#define ROW(name) &wok__kernels_##name,
    TABLES(ROW)
#undef ROW
};

static bool touches(const wok__kdesc *d, wok_dtype t) {
  for (int i = 0; i < d->nout; i++)
    if (d->out[i].dtype == t) return true;
  for (int i = 0; i < d->nin; i++)
    if (d->in[i].dtype == t) return true;
  return false;
}

static const char *const computes[] = {"f32", "bf16", "bf16x3", "bf16x6"}; /* by wok__compute */

const char *wok__compute_name(int i) { return i >= 0 && i < WOK__COUNT(computes) ? computes[i] : NULL; }

bool wok__compute_of(const char *name, wok__compute *out) {
  for (int i = 0; i < WOK__COUNT(computes); i++)
    if (strcmp(name, computes[i]) == 0) {
      *out = (wok__compute)i;
      return true;
    }
  return false;
}

const char *wok__compute_word(const char *name) {
  wok__compute c;
  return name && wok__compute_of(name, &c) ? computes[c] : NULL;
}

wok_dtype wok__kdesc_dtype(const wok__kdesc *d) {
  if (d->compute == WOK__COMPUTE_BF16 || touches(d, WOK_BF16)) return WOK_BF16;
  for (int i = 0; i < d->nout; i++)
    if (wok__is_float(d->out[i].dtype)) return d->out[i].dtype;
  for (int i = 0; i < d->nin; i++)
    if (wok__is_float(d->in[i].dtype)) return d->in[i].dtype;
  return d->nout ? d->out[0].dtype : d->nin ? d->in[0].dtype : WOK_F32;
}

const wok__kernel *wok__kernel_at(wok__opid op, int64_t i) {
  for (int64_t t = 0; t < WOK__COUNT(tables); t++)
    for (int64_t r = 0; r < tables[t]->count; r++)
      if (tables[t]->rows[r].op == op && i-- == 0) return &tables[t]->rows[r];
  return NULL;
}

const wok__kernel *wok__kernel_find(const wok_ctx *c, const wok__kdesc *d, bool reference) {
  const wok__kernel *best = NULL;
  wok_dtype type = wok__kdesc_dtype(d);
  wok__isa isa = wok__ctx_isa(c);
  bool mixed = touches(d, WOK_BF16) && (touches(d, WOK_F32) || touches(d, WOK_F64)) && d->op != WOK__OP_cast;
  for (int64_t t = 0; t < WOK__COUNT(tables); t++)
    for (int64_t r = 0; r < tables[t]->count; r++) {
      const wok__kernel *k = &tables[t]->rows[r];
      if (k->op != d->op || k->dtype != type || k->isa > isa || (reference && k->rank > 0)) continue;
      if (best && best->rank >= k->rank) continue;
      if (k->can_run ? !k->can_run(d) : type == WOK_BF16 && mixed) continue;
      if (k->isa == WOK__ISA_AMX && !wok__amx_permitted()) continue;
      best = k;
    }
  return best;
}
