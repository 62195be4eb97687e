/* kernels/cpu/optim.c - the optimizer's passes over slabs, cut by size alone. */
#include <math.h>
#include "kernels/cpu/optim.h"

extern const wok__optim_kernels wok__optim_kernels_generic;
#ifdef WOK_X86
extern const wok__optim_kernels wok__optim_kernels_avx2, wok__optim_kernels_avx512;
#endif

const wok__optim_kernels *wok__optim_kernels_of(wok__isa isa) {
#ifdef WOK_X86
  if (isa >= WOK__ISA_AVX512) return &wok__optim_kernels_avx512;
  if (isa >= WOK__ISA_AVX2) return &wok__optim_kernels_avx2;
#endif
  (void)isa;
  return &wok__optim_kernels_generic;
}

enum { CHUNK = 1 << 14, PARTS = 1024 };
typedef struct pass {
  const wok__optim_kernels *with;
  float *p, *m, *v, number;
  const float *g;
  uint16_t *bf;
  int64_t n, size; /* of a tile */
  const wok__adamw_args *args;
  double part[PARTS];
} pass;

static void start(wok_ctx *c, pass *s, void (*tile)(void *, int64_t, int)) {
  s->with = wok__optim_kernels_of(wok__ctx_isa(c));
  if (!s->size) s->size = CHUNK;
  wok__pool_run(c, tile, s, (s->n + s->size - 1) / s->size);
}
static int64_t length(const pass *s, int64_t tile) { return WOK__MIN(s->size, s->n - tile * s->size); }

static void tile_adamw(void *arg, int64_t tile, int worker) {
  const pass *s = arg;
  int64_t at = tile * s->size;
  (void)worker;
  s->with->adamw(s->p + at, s->g + at, s->m + at, s->v + at, s->bf ? s->bf + at : NULL, length(s, tile), s->args);
}
void wok__adamw(wok_ctx *c, float *p, const float *g, float *m, float *v, uint16_t *bf, int64_t n, const wok__adamw_args *a) {
  pass s = {.p = p, .g = g, .m = m, .v = v, .bf = bf, .n = n, .args = a};
  start(c, &s, tile_adamw);
}

static void tile_sumsq(void *arg, int64_t tile, int worker) {
  pass *s = arg;
  (void)worker;
  s->part[tile] = s->with->sumsq(s->g + tile * s->size, length(s, tile));
}
double wok__sumsq(wok_ctx *c, const float *x, int64_t n, bool *finite) {
  pass s = {.g = x, .n = n};
  /* at most PARTS tiles of whole blocks */
  int64_t blocks = (n + WOK__SUMSQ_BLOCK - 1) / WOK__SUMSQ_BLOCK;
  s.size = WOK__MAX(16, (blocks + PARTS - 1) / PARTS) * WOK__SUMSQ_BLOCK;
  start(c, &s, tile_sumsq);
  double total = 0;
  for (int64_t t = 0; t * s.size < n; t++) total += s.part[t];
  if (finite) *finite = isfinite(total); /* squares of f32 cannot overflow a double */
  return total;
}

static void tile_scale(void *arg, int64_t tile, int worker) {
  const pass *s = arg;
  (void)worker;
  s->with->scale(s->p + tile * s->size, s->number, length(s, tile));
}
void wok__scale(wok_ctx *c, float *x, float by, int64_t n) {
  pass s = {.p = x, .number = by, .n = n};
  start(c, &s, tile_scale);
}
