/* kernels/cpu/gemm.h - matrix products of the CPU: one description, a plan made from it, and the engines behind it.
 *
 * C[M,N] (+)= A B (+ bias), A [M,K] (ta: stored [K,M]), B [K,N] (tb: stored [N,K]), all row-major with a row pitch.
 *
 * A plan cuts the result into tiles by the shape alone; tiles run on the context's threads and never share an element of C,
 * and K is always walked in the same pieces. So the bits do not depend on the number of threads. They may depend on the engine.
 * In our own engines each element of C is one chain of products per piece of K, in order, wherever it lies in its tile: from 9
 * rows on, a row of C does not even depend on how many rows there are. (Up to 8 rows times B^T go by dot products.)
 *
 * An engine either computes whole tiles from the matrices as they lie (pack is NULL: oneDNN), or wants B in panels. Where
 * several tiles need the same panels they are packed once for all, in slabs of bounded size, before the tiles run; otherwise
 * each tile packs for itself. (A goes the other way: tiles are as wide as they can be, so that few pack the same rows; packing
 * A for all was tried and is slower, since it then comes from L3 twice.) A new engine (other types, AMX) is one more row of
 * the table in gemm_engines.c. */
#ifndef WOK_KERNELS_CPU_GEMM_H
#define WOK_KERNELS_CPU_GEMM_H
#include "base/base.h"
#include "tensor/tensor.h"

typedef struct wok__gemm {
  wok_dtype in, out;       /* of A and B; of C and bias */
  int64_t M, N, K, batch;
  bool ta, tb;
  int64_t lda, ldb, ldc;   /* row pitch of the matrix as it is stored, in elements */
  int64_t sa, sb, sc;      /* from one matrix of the batch to the next, in elements; 0: the same one again (not for C) */
  bool beta;               /* C += instead of C = */
  bool bias;               /* bias[N] is added to every row */
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

typedef struct wok__gemm_engine {
  const char *name;
  wok__isa isa;
  wok_dtype in, out;
  int64_t mr, nr;          /* grain of rows and columns: the panels' width */
  int64_t kc;              /* longest piece of K; 0: it has no pieces */
  bool uncapped;           /* knows the machine's own instructions only: not for a context with an ISA cap */
  /* Packs rows [k0,k1) of B, panels [p0,p1) of nr columns of the slab [n0,n1), into the slab at dst. NULL: no packing. */
  void (*pack)(const wok__gemm *g, const void *b, int64_t k0, int64_t k1, int64_t n0, int64_t n1, int64_t p0, int64_t p1,
               void *dst);
  void (*tile)(const wok__gemm_tile *t);
  /* C = A B^T for few rows of A: streams the rows of B once, nothing is packed. NULL: tile does it. */
  void (*dots)(const wok__gemm_tile *t);
} wok__gemm_engine;

/* From this width of a tile on, A is packed even where its rows are contiguous: the packed kernel is faster. */
enum { WOK__GEMM_PACK_COLUMNS = 256 };

/* How a product will be computed. A plan serves every M and K up to those it was made for: set g.M or g.K (the last,
   shorter chunk of a loop) in a copy; tiles and slabs keep their sizes. */
typedef struct wok__gemm_plan {
  wok__gemm g;
  const wok__gemm_engine *engine;
  bool dots;
  bool shared;             /* B is packed once for all tiles */
  int64_t slab_n, slab_k;  /* extent of B that is worked on at once */
  int64_t tm, tn;          /* rows and columns of a tile */
  int64_t group;           /* batch entries per piece of pool work */
  int64_t shared_bytes, worker_bytes; /* scratch: the slab, and what each worker needs */
} wok__gemm_plan;

/* The engines of this build, best first; i-th or NULL past the end. */
const wok__gemm_engine *wok__gemm_engine_at(int64_t i);
/* The engine for g in this context: the first whose ISA and types fit. NULL: none (other types). */
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
