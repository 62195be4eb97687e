/* kernels/cpu/gemm_tiles.h - between the plan of products in tile layout (gemm_tiles.c) and the kernels on AMX tiles
   (gemm_amx.c). Declarations only: the latter is compiled for instructions that the rest of the library must not contain.
 *
 * A panel is 32 rows of A or 32 columns of B; a step is 32 k. A panel's step is two tiles of 1 KB:
 *   of A: 16 rows x 32 k, row-major;      of B: 16 pairs of k x 16 columns x 2 k.
 * A number is stored in parts: 1 (rounded to bf16), 2 or 3 (x = h + m + l, each the rounding of what the ones before leave).
 * Storage order: [chunk of steps][panel][part][step][2 tiles], so that every inner walk is contiguous and the panels of a block
 * do not fall into the same sets of the cache, as they do at a distance of 64 K bytes. */
#ifndef WOK_KERNELS_CPU_GEMM_TILES_H
#define WOK_KERNELS_CPU_GEMM_TILES_H
#include "kernels/cpu/gemm.h"

enum {
  WOK__TILE_EDGE = 32,      /* rows of a panel; k of a step */
  WOK__TILE_STEP = 2048,    /* bytes of a panel's step */
  WOK__TILE_CHUNK = 12,     /* steps times parts of a chunk: 24 KB of A stay in L1 */
  WOK__TILE_PAIRS = 6,
};

/* One of the two factors. */
typedef struct wok__tile_side {
  const void *data;
  wok_dtype type;
  int64_t ld, n, K;         /* pitch; its rows (A) or columns (B) */
  bool down;                /* k runs down the rows of data: [K,n]; otherwise [n,K] */
  bool right;               /* it is B */
  int parts;
} wok__tile_side;

/* How K is walked; of K and the kind of product alone. */
typedef struct wok__tile_walk {
  int64_t steps, chunks;
  int kc, pairs, parts_a, parts_b;
  int8_t a[WOK__TILE_PAIRS], b[WOK__TILE_PAIRS]; /* parts multiplied with each other, smallest products first */
} wok__tile_walk;
#define WOK__TILE_LO(w, c) ((w)->steps * (c) / (w)->chunks)

/* Panels [p0, p0 + np) x chunks [c0, c1) as they lie in scratch. */
typedef struct wok__tile_slab {
  char *at;
  int64_t p0, np, c0, c1;
} wok__tile_slab;

typedef struct wok__tile_work {
  const wok__gemm *g;
  const wok__tile_walk *w;
  wok__tile_side a, b;
  wok__tile_slab as, bs;
  bool direct;              /* whole panels of A are loaded as they lie */
  void *c;
  const float *bias;
  float *sums;              /* of the whole slab, when K is cut into slabs; NULL: in ws */
  int64_t sums_m0, sums_np;  /* its first panel, its panels of columns */
  int64_t group;            /* chunks of B's block that stay in L2 together */
} wok__tile_work;

/* Packs panels [p0,p1) x chunks [c0,c1) of a side into a slab. */
void wok__tiles_pack_amx(const wok__tile_side *s, const wok__tile_walk *w, const wok__tile_slab *to, int64_t p0, int64_t p1,
                         int64_t c0, int64_t c1);
/* Panels [m0,m1) x [n0,n1) of the result over the slab's chunks. ws: wok__tiles_ws bytes. */
void wok__tiles_block_amx(const wok__tile_work *t, int64_t m0, int64_t m1, int64_t n0, int64_t n1, void *ws);
/* Few rows of A (packed, as the right side) against panels [p0,p1) of B^T (as the left side): C^T, written transposed. */
void wok__tiles_few_amx(const wok__tile_work *t, int64_t p0, int64_t p1, void *ws);

/* n times 4 products of tiles on registers alone: 65536 operations each. */
void wok__tiles_registers_amx(int64_t n);

/* The plan and the running of such products. */
void wok__tiles_plan(wok__gemm_plan *p);
void wok__tiles_run(wok_ctx *c, const wok__gemm_plan *p, const void *a, const void *b, void *out, const void *bias, void *scratch);

extern const wok__gemm_engine wok__gemm_amx_bf16, wok__gemm_amx_bf16x3, wok__gemm_amx_bf16x6;
#endif
