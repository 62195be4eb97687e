/* kernels/cpu/gemm.h - matrix products of the CPU: one description, a plan made from it, and the engines behind it.
 *
 * C[M,N] (+)= A B (+ bias), A [M,K] (ta: stored [K,M]), B [K,N] (tb: stored [N,K]), all row-major with a row pitch.
 *
 * A plan cuts the result into tiles by the shape alone; tiles run on the context's threads and never share an element of C,
 * and K is always walked in the same pieces. So the bits do not depend on the number of threads. They may depend on the engine.
 * In our own engines each element of C is one chain of products per piece of K, in order, wherever it lies in its tile: from 9
 * rows on, a row of C does not even depend on how many rows there are. (Up to 8 rows times B^T go by dot products.)
 *
 * An engine brings its own plan and loops (AMX, gemm_tiles.c), or computes tiles of this one. Such an engine either computes whole tiles from the matrices as they lie (pack is NULL: oneDNN), or wants B in panels. Where
 * several tiles need the same panels they are packed once for all, in slabs of bounded size, before the tiles run; otherwise
 * each tile packs for itself. (A goes the other way: tiles are as wide as they can be, so that few pack the same rows; packing
 * A for all was tried and is slower, since it then comes from L3 twice.) A new engine is one more row of
 * the table in gemm_engines.c. */
#ifndef WOK_KERNELS_CPU_GEMM_H
#define WOK_KERNELS_CPU_GEMM_H
#include "base/base.h"
#include "kernels/kernel.h"
#include "tensor/tensor.h"

typedef struct wok__gemm {
  wok_dtype a, b, c;       /* types of A, B and C: all F64 (and so is bias), or each F32 or BF16 (and bias F32) */
  wok__compute compute;
  int64_t M, N, K, batch;
  bool ta, tb;
  int64_t lda, ldb, ldc;   /* row pitch of the matrix as it is stored, in elements */
  int64_t sa, sb, sc;      /* from one matrix of the batch to the next, in elements; 0: the same one again (not for C) */
  bool beta;               /* C += instead of C = */
  bool bias;               /* bias[N] is added to every row */
  /* For products in tile layout: called with every finished stretch of the result, at most 32 rows by 512 columns, before bias
     and C and without rounding. Row r, column j of it: sums[j / 32 * 1024 + r / 16 * 512 + j / 16 % 2 * 256 + r % 16 * 16 + j % 16].
     Different stretches come from different threads. NULL: nobody looks. */
  void (*seen)(void *ud, int64_t m, int64_t rows, int64_t n, int64_t columns, float *sums);
  void *seen_ud;
  const float *shift;      /* [M], subtracted from the elements of each row on their way into C (tile layout only); NULL: none */
  bool unstored;           /* only `seen` gets the result; C may be NULL */
} wok__gemm;

/* One piece of work of an engine: rows [m0,m1), columns [n0,n1), products over [k0,k1). */
typedef struct wok__gemm_tile {
  const wok__gemm *g;
  const void *a, *b;       /* of this batch entry, whole */
  void *c;
  const void *bias;        /* NULL: none */
  int64_t m0, m1, n0, n1, k0, k1;
  bool add;                /* onto what is in C */
  const void *packed;      /* slab that holds k0..k1 of columns [slab_n0,slab_n1) of B; NULL: pack in ws, or not */
  int64_t slab_n0, slab_n1;
  void *ws;                /* of this worker, 64-byte aligned */
} wok__gemm_tile;

struct wok__gemm_plan;
typedef struct wok__gemm_engine {
  const char *name;       /* as plan reports show it */
  wok__isa isa;
  bool (*takes)(const wok__gemm *g); /* NULL: F32 or F64 alone, as `type` says */
  wok_dtype type;
  int64_t mr, nr;          /* grain of rows and columns: the panels' width */
  int64_t kc;              /* longest piece of K; 0: it has no pieces */
  bool uncapped;           /* knows the machine's own instructions only: not for a context with an ISA cap */
  /* Packs rows [k0,k1) of B, panels [p0,p1) of nr columns of the slab [n0,n1), into the slab at dst. NULL: no packing. */
  void (*pack)(const wok__gemm *g, const void *b, int64_t k0, int64_t k1, int64_t n0, int64_t n1, int64_t p0, int64_t p1,
               void *dst);
  void (*tile)(const wok__gemm_tile *t);
  /* C = A B^T for few rows of A: streams the rows of B once, nothing is packed. NULL: tile does it. */
  void (*dots)(const wok__gemm_tile *t);
  /* An engine that plans and runs by itself. `run`: without a context on the calling thread alone. */
  void (*plan)(struct wok__gemm_plan *p);
  void (*run)(wok_ctx *c, const struct wok__gemm_plan *p, const void *a, const void *b, void *out, const void *bias, void *scratch);
} wok__gemm_engine;

/* From this width of a tile on, A is packed even where its rows are contiguous: the packed kernel is faster. */
enum { WOK__GEMM_PACK_COLUMNS = 256 };

/* How a product will be computed. A plan serves every M up to the one it was made for and, if A is stored [K,M], every such K:
   set g.M or g.K (the last, shorter chunk of a loop) in a copy; tiles and slabs keep their sizes. */
typedef struct wok__gemm_plan {
  wok__gemm g;
  const wok__gemm_engine *engine;
  bool dots;
  bool shared;             /* B is packed once for all tiles */
  int64_t slab_n, slab_k;  /* extent of B that is worked on at once */
  int64_t tm, tn;          /* rows and columns of a tile */
  int64_t group;           /* batch entries per piece of pool work */
  int64_t shared_bytes, worker_bytes; /* scratch: the slab, and what each worker needs */
  struct {                 /* of products in tile layout, in panels of 32 and chunks of K */
    bool direct;           /* A is read as it lies */
    bool few;              /* when there are few rows of A, B is read as it lies */
    bool entries;          /* entries of the batch go whole to one worker each */
    int64_t m, n;          /* of a tile */
    int64_t slab_m, slab_n, slab_c;
    int64_t group;         /* chunks whose block of B stays near */
    int64_t a_bytes, b_bytes, sum_bytes, tile_bytes;
  } tiles;
} wok__gemm_plan;

/* The engines of this build, best first; i-th or NULL past the end. */
const wok__gemm_engine *wok__gemm_engine_at(int64_t i);
/* Can this engine compute g? (Whether the machine can run the engine is another question.) */
bool wok__gemm_takes(const wok__gemm_engine *e, const wok__gemm *g);
/* The engine for g in this context: the first whose ISA and types fit. NULL: none (types of BF16 without AMX).
   Asks for the permission to use AMX when, and only when, an engine would use it. */
const wok__gemm_engine *wok__gemm_engine_for(const wok_ctx *c, const wok__gemm *g);

/* Plans g on an engine; sizes may be 0. */
void wok__gemm_plan_on(wok__gemm_plan *p, const wok__gemm_engine *e, const wok__gemm *g);
/* The same on the context's engine; false: none has these types. */
bool wok__gemm_plan_for(wok__gemm_plan *p, const wok_ctx *c, const wok__gemm *g);
int64_t wok__gemm_scratch(const wok__gemm_plan *p, int threads);
/* What any engine of this build may need for g: for kernel rows, whose scratch() does not see the context. */
int64_t wok__gemm_scratch_any(const wok__gemm *g, int threads);

/* Computes. scratch: 64-byte aligned, wok__gemm_scratch bytes. */
void wok__gemm_run(wok_ctx *c, const wok__gemm_plan *p, const void *a, const void *b, void *out, const void *bias, void *scratch);
/* The same bits on the calling thread alone, from inside a tile of the pool; scratch for one thread. */
void wok__gemm_run_serial(const wok__gemm_plan *p, const void *a, const void *b, void *out, const void *bias, void *scratch);

/* Pieces of K of an engine's length: equal but for the last, a multiple of 16. */
int64_t wok__gemm_piece(int64_t K, int64_t kc);

#endif
