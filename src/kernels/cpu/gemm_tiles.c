/* gemm_tiles.c - products in tile layout (AMX): how they are cut, and their running.
 *
 * Both factors are packed for all tiles before the tiles run, in slabs of bounded size; A is not where its rows can be loaded
 * as they lie. A tile is up to 16 panels of columns by as many of rows; tiles beside each other in the order share their
 * columns, whose block of B (1 MB) stays in L2. A longer K goes by chunks, the sums of the tile in L2 beside a chunk or two of
 * B, and the next chunk of B is fetched meanwhile; K cut into slabs keeps the sums of the whole slab in scratch. However a
 * product is cut, an element of C is the same chain of sums: over the chunks of K in order, 32 k at a time. So its bits depend
 * on K and the kind of product alone. */
#include "kernels/cpu/gemm_tiles.h"
#ifdef WOK_X86

/* Chosen by measurement (docs/speed.md); none depends on the number of threads. */
enum {
  TILE_M = 16, TILE_N = 16,    /* panels of a tile */
  BLOCK_BYTES = 1000 << 10,    /* of B, in L2 */
  LONG_SUMS = 1 << 20,         /* where K is too long for that, the tile's sums lie there too, */
  LONG_BLOCK = 400 << 10,      /* and as much of B beside them */
  SLAB_BYTES = 20 << 20,       /* of a packed factor */
  ENTRY_BYTES = 3 << 19,       /* up to here a batch entry goes whole to one worker */
  TILE_WORK = 1 << 22,         /* products of a tile worth handing out: about 4 us */
  OWN_WORK = 1 << 26, OWN_SIDES = 200, /* from here on six products of parts are faster than f32's own */
  FEW_ROWS = 160,              /* up to here B goes through once, as it lies */
  FEW_WORK = 1 << 17,          /* elements of B in one piece of work for few rows */
  DIRECT_K = 1024,             /* longer rows lie too far apart for the cache */
  PACK_ALONG = 1 << 17,        /* elements of a piece of packing */
  PACK_DOWN = 16,              /* panels of one chunk, where k runs down */
  SUM_BYTES = 4096,            /* of a block of 32 x 32 */
};

static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

/* ---- the kinds of products ---- */

static const struct { int a, b; } pairs_by_size[] = {{2, 0}, {1, 1}, {0, 2}, {1, 0}, {0, 1}, {0, 0}}; /* h 0, m 1, l 2 */

/* Exact factors have one part; F32 ones as many as the kind of product says. */
static wok__tile_walk walk_of(const wok__gemm *g, bool swapped) {
  int most = g->compute == WOK__COMPUTE_BF16 ? 1 : g->compute == WOK__COMPUTE_BF16X3 ? 2 : 3;
  int pa = g->a == WOK_F32 ? most : 1, pb = g->b == WOK_F32 ? most : 1;
  wok__tile_walk w = {.parts_a = swapped ? pb : pa, .parts_b = swapped ? pa : pb};
  for (int64_t i = 0; i < WOK__COUNT(pairs_by_size); i++) {
    int a = pairs_by_size[i].a, b = pairs_by_size[i].b;
    if (a >= pa || b >= pb || a + b >= most) continue;
    w.a[w.pairs] = (int8_t)(swapped ? b : a);
    w.b[w.pairs++] = (int8_t)(swapped ? a : b);
  }
  w.kc = WOK__TILE_CHUNK / WOK__MAX(pa, pb);
  w.steps = ceil_div(g->K, WOK__TILE_EDGE);
  w.chunks = ceil_div(w.steps, w.kc);
  return w;
}

/* ---- plans ---- */

/* Bytes of a slab of a factor: np panels of its packed form over `chunks` chunks, for every K up to the plan's. */
static int64_t slab_bytes(const wok__tile_walk *w, int64_t np, int64_t chunks, int parts) {
  return np * WOK__MIN(chunks * w->kc, w->steps) * parts * WOK__TILE_STEP;
}

static void choose_slabs(wok__gemm_plan *p, const wok__tile_walk *w) {
  int64_t mp = ceil_div(p->g.M, WOK__TILE_EDGE), np = ceil_div(p->g.N, WOK__TILE_EDGE);
  int64_t chunk = (int64_t)w->kc * WOK__TILE_STEP, least = INT64_C(4) * TILE_N; /* panels that a slab has at least */
  int64_t most_c = SLAB_BYTES / (chunk * WOK__MIN(np, least) * w->parts_b);
  if (!p->tiles.direct) most_c = WOK__MIN(most_c, SLAB_BYTES / (chunk * WOK__MIN(mp, least) * w->parts_a));
  int64_t c_slabs = ceil_div(w->chunks, WOK__MAX(most_c, 1));
  p->tiles.slab_c = ceil_div(w->chunks, c_slabs);
  int64_t most_n = WOK__MAX(SLAB_BYTES / (chunk * p->tiles.slab_c * w->parts_b), (int64_t)1);
  int64_t most_m = WOK__MAX(SLAB_BYTES / (chunk * p->tiles.slab_c * w->parts_a), (int64_t)1);
  if (p->tiles.direct) most_m = mp;
  p->tiles.slab_n = ceil_div(np, ceil_div(np, most_n));
  p->tiles.slab_m = ceil_div(mp, ceil_div(mp, most_m));
}

/* How uneven n equal tiles lie on 2 to 16 threads (no more than `most`), on average: 1 is even. */
static double unevenness(int64_t n, double most) {
  double sum = 0;
  int cases = 0;
  for (int64_t t = 2; t <= 16 && (t == 2 || (double)t <= most); t *= 2, cases++) sum += (double)(ceil_div(n, t) * t) / (double)n;
  return sum / cases;
}

/* How many chunks of n panels of B stay in L2 together. */
static int64_t group_of(const wok__tile_walk *w, int64_t n) {
  int64_t bytes = n * w->kc * w->parts_b * WOK__TILE_STEP;
  return bytes * w->chunks <= BLOCK_BYTES ? w->chunks : WOK__MAX(LONG_BLOCK / bytes, (int64_t)1);
}

/* The rows and columns of a tile that cost least beside their products: B from L3 once for each row of tiles, A and the start
   of each row of blocks once for each column (shares fitted to measurements), and an even load. */
static void choose_tiles(wok__gemm_plan *p, const wok__tile_walk *w) {
  const wok__gemm *g = &p->g;
  int64_t mp = p->tiles.slab_m, np = p->tiles.slab_n, least_n = ceil_div(np, TILE_N);
  double work = (double)g->M * (double)g->N * (double)g->K * w->pairs / TILE_WORK, best = 0;
  for (int64_t by_n = least_n; by_n <= np && (by_n == least_n || (double)by_n <= work); by_n++) {
    int64_t n = ceil_div(np, by_n);
    bool fits = group_of(w, n) >= w->chunks;
    int64_t most_m = fits ? TILE_M : WOK__MAX(LONG_SUMS / SUM_BYTES / n, (int64_t)1), least_m = ceil_div(mp, most_m);
    for (int64_t by_m = least_m; by_m <= mp && (by_m == least_m || (double)(by_m * by_n) <= work); by_m++) {
      int64_t m = ceil_div(mp, by_m);
      double cost = 1 + (fits ? 0.3 : 1.5) / (double)m + (fits ? 2.0 : 3.0) / (double)n;
      cost *= 1 + 0.5 * (unevenness(ceil_div(mp, m) * ceil_div(np, n), work) - 1);
      if (best > 0 && cost >= best) continue;
      best = cost;
      p->tiles.n = n;
      p->tiles.m = m;
    }
  }
  p->tiles.group = group_of(w, p->tiles.n);
  bool sums = p->tiles.slab_c < w->chunks;
  p->tiles.tile_bytes = sums ? 0 : p->tiles.n * SUM_BYTES * (p->tiles.group >= w->chunks ? 1 : p->tiles.m);
  p->tiles.sum_bytes = sums ? p->tiles.slab_m * p->tiles.slab_n * SUM_BYTES : 0;
}

/* More rows than columns of B would not be few. */
static bool has_few(const wok__gemm *g) { return g->M <= FEW_ROWS && (g->M <= WOK__TILE_EDGE || g->N >= 4 * g->M); }

static bool direct_few(const wok__gemm *g, const wok__tile_walk *w) {
  return w->parts_a == 1 && g->b == WOK_BF16 && g->K % WOK__TILE_EDGE == 0;
}

/* Which way few rows go is decided when they come: a plan for many rows may run with few. */
static void plan_few(wok__gemm_plan *p) {
  const wok__gemm *g = &p->g;
  wok__tile_walk w = walk_of(g, true);
  int64_t shared = slab_bytes(&w, ceil_div(WOK__MIN(g->M, (int64_t)FEW_ROWS), WOK__TILE_EDGE), w.chunks, w.parts_b);
  int64_t own = SUM_BYTES + slab_bytes(&w, 1, w.chunks, w.parts_a);
  p->shared_bytes = WOK__MAX(p->shared_bytes, shared);
  p->worker_bytes = WOK__MAX(p->worker_bytes, own);
}

static void plan_many(wok__gemm_plan *p) {
  const wok__gemm *g = &p->g;
  wok__tile_walk w = walk_of(g, false);
  p->tiles.direct = w.parts_a == 1 && g->a == WOK_BF16 && !g->ta && g->K % WOK__TILE_EDGE == 0 && g->K <= DIRECT_K;
  choose_slabs(p, &w);
  choose_tiles(p, &w);
  /* Loaded as it lies, A is packed in its last panel at most. */
  p->tiles.a_bytes = slab_bytes(&w, p->tiles.direct ? 1 : p->tiles.slab_m, p->tiles.slab_c, w.parts_a);
  p->tiles.b_bytes = slab_bytes(&w, p->tiles.slab_n, p->tiles.slab_c, w.parts_b);
  int64_t shared = p->tiles.a_bytes + p->tiles.b_bytes + p->tiles.sum_bytes;
  p->tiles.entries = g->batch > 1 && shared + p->tiles.tile_bytes <= ENTRY_BYTES;
  p->shared_bytes = p->tiles.entries ? 0 : shared;
  p->worker_bytes = p->tiles.tile_bytes + (p->tiles.entries ? shared : 0);
}

void wok__tiles_plan(wok__gemm_plan *p) {
  const wok__gemm *g = &p->g;
  p->tiles.few = g->tb && !g->ta && g->batch == 1 && !g->seen && !g->unstored;
  if (!p->tiles.few || !has_few(g)) plan_many(p);
  if (p->tiles.few) plan_few(p);
}

/* ---- running ---- */

/* Panels of a side that have to be packed, and the pieces of work that makes. */
typedef struct packing {
  const wok__tile_side *side;
  const wok__tile_slab *to;
  int64_t p0, p1, panels, chunks; /* of a piece */
  int64_t by_p, by_c;
} packing;

typedef struct job {
  wok_ctx *c;                /* NULL: on this thread */
  const wok__gemm_plan *p;
  wok__tile_walk w;
  wok__tile_work t;
  packing pack[2];
  int64_t m0, m1, n0, n1;    /* present slab */
  int64_t tiles_m;
  char *workers;
} job;

static void each(const job *j, void (*fn)(void *, int64_t, int), void *arg, int64_t pieces) {
  if (j->c) wok__pool_run(j->c, fn, arg, pieces);
  else
    for (int64_t i = 0; i < pieces; i++) fn(arg, i, 0);
}

static void packing_of(packing *k, const wok__tile_walk *w, const wok__tile_side *s, const wok__tile_slab *to, int64_t p0, int64_t p1) {
  *k = (packing){s, to, p0, p1, 1, 1, 0, 0};
  if (p0 >= p1) return;
  int64_t chunk = INT64_C(1) * WOK__TILE_EDGE * WOK__TILE_EDGE * w->kc; /* elements of a panel's chunk */
  if (s->down) {
    k->panels = PACK_DOWN;
  } else {
    k->chunks = WOK__MIN(WOK__MAX(PACK_ALONG / chunk, 1), to->c1 - to->c0);
    k->panels = WOK__MAX(PACK_ALONG / (chunk * k->chunks), 1);
  }
  k->by_p = ceil_div(p1 - p0, k->panels);
  k->by_c = ceil_div(to->c1 - to->c0, k->chunks);
}

static void pack_piece(void *arg, int64_t piece, int worker) {
  (void)worker;
  const job *j = arg;
  const packing *k = j->pack;
  if (piece >= k->by_p * k->by_c) piece -= k->by_p * k->by_c, k++;
  int64_t p = k->p0 + piece % k->by_p * k->panels, c = k->to->c0 + piece / k->by_p * k->chunks;
  wok__tiles_pack_amx(k->side, &j->w, k->to, p, WOK__MIN(p + k->panels, k->p1), c, WOK__MIN(c + k->chunks, k->to->c1));
}

static void tile_piece(void *arg, int64_t piece, int worker) {
  const job *j = arg;
  const wok__gemm_plan *p = j->p;
  int64_t m = j->m0 + piece % j->tiles_m * p->tiles.m, n = j->n0 + piece / j->tiles_m * p->tiles.n;
  wok__tiles_block_amx(&j->t, m, WOK__MIN(m + p->tiles.m, j->m1), n, WOK__MIN(n + p->tiles.n, j->n1),
                       j->workers + worker * p->worker_bytes);
}

/* Panels of B that one piece of work reads. */
static int64_t few_panels(const wok__gemm *g) {
  return ceil_div(WOK__MAX(FEW_WORK / g->K, (int64_t)1), WOK__TILE_EDGE);
}

static void few_piece(void *arg, int64_t piece, int worker) {
  const job *j = arg;
  int64_t panels = few_panels(&j->p->g), n = piece * panels;
  wok__tiles_few_amx(&j->t, n, WOK__MIN(n + panels, ceil_div(j->p->g.N, WOK__TILE_EDGE)), j->workers + worker * j->p->worker_bytes);
}

static wok__tile_side left_of(const wok__gemm *g, const void *a, int parts) {
  return (wok__tile_side){a, g->a, g->lda, g->M, g->K, g->ta, false, parts};
}
static wok__tile_side right_of(const wok__gemm *g, const void *b, int parts) {
  return (wok__tile_side){b, g->b, g->ldb, g->N, g->K, !g->tb, true, parts};
}

/* C^T = B^T A^T: A, being small, is packed at once. */
static void run_few(job *j, const void *a, const void *b, char *scratch) {
  const wok__gemm *g = &j->p->g;
  j->t.a = (wok__tile_side){b, g->b, g->ldb, g->N, g->K, false, false, j->w.parts_a};
  j->t.b = (wok__tile_side){a, g->a, g->lda, g->M, g->K, false, true, j->w.parts_b};
  j->t.bs = (wok__tile_slab){scratch, 0, ceil_div(g->M, WOK__TILE_EDGE), 0, j->w.chunks};
  packing_of(&j->pack[0], &j->w, &j->t.b, &j->t.bs, 0, j->t.bs.np);
  j->pack[1] = (packing){0};
  for (int64_t i = 0; i < j->pack[0].by_p * j->pack[0].by_c; i++) pack_piece(j, i, 0);
  each(j, few_piece, j, ceil_div(ceil_div(g->N, WOK__TILE_EDGE), few_panels(g)));
}

static void run_slab(job *j, bool pack_a, bool pack_b) {
  const wok__gemm *g = &j->p->g;
  int64_t whole = g->M / WOK__TILE_EDGE; /* panels that can be loaded as they lie */
  int64_t from = j->t.direct ? WOK__MAX(whole, j->m0) : j->m0;
  if (j->t.direct) j->t.as.p0 = from, j->t.as.np = 1;
  packing_of(&j->pack[0], &j->w, &j->t.b, &j->t.bs, j->n0, pack_b ? j->n1 : j->n0);
  packing_of(&j->pack[1], &j->w, &j->t.a, &j->t.as, from, pack_a ? j->m1 : from);
  each(j, pack_piece, j, j->pack[0].by_p * j->pack[0].by_c + j->pack[1].by_p * j->pack[1].by_c);
  j->tiles_m = ceil_div(j->m1 - j->m0, j->p->tiles.m);
  each(j, tile_piece, j, j->tiles_m * ceil_div(j->n1 - j->n0, j->p->tiles.n));
}

static void run_entry(wok_ctx *c, const wok__gemm_plan *p, const void *a, const void *b, void *out, const void *bias, char *scratch,
                      char *workers) {
  const wok__gemm *g = &p->g;
  bool few = p->tiles.few && has_few(g);
  job j = {.c = c, .p = p, .w = walk_of(g, few), .workers = workers};
  int64_t mp = ceil_div(g->M, WOK__TILE_EDGE), np = ceil_div(g->N, WOK__TILE_EDGE), chunks = j.w.chunks;
  j.t = (wok__tile_work){.g = g, .w = &j.w, .c = out, .bias = bias, .group = p->tiles.group, .sums_np = p->tiles.slab_n};
  j.t.direct = few ? direct_few(g, &j.w) : p->tiles.direct;
  if (few) {
    run_few(&j, a, b, scratch);
    return;
  }
  j.t.a = left_of(g, a, j.w.parts_a);
  j.t.b = right_of(g, b, j.w.parts_b);
  if (p->tiles.sum_bytes) j.t.sums = (float *)(void *)(scratch + p->tiles.a_bytes + p->tiles.b_bytes);
  bool one_a = p->tiles.slab_m >= mp && p->tiles.slab_c >= chunks; /* A as a whole is in scratch and stays */
  for (j.n0 = 0; j.n0 < np; j.n0 = j.n1) {
    j.n1 = WOK__MIN(j.n0 + p->tiles.slab_n, np);
    for (j.m0 = 0; j.m0 < mp; j.m0 = j.m1) {
      j.m1 = WOK__MIN(j.m0 + p->tiles.slab_m, mp);
      for (int64_t c0 = 0; c0 < chunks; c0 += p->tiles.slab_c) {
        int64_t c1 = WOK__MIN(c0 + p->tiles.slab_c, chunks);
        j.t.sums_m0 = j.m0;
        j.t.as = (wok__tile_slab){scratch, j.m0, j.m1 - j.m0, c0, c1};
        j.t.bs = (wok__tile_slab){scratch + p->tiles.a_bytes, j.n0, j.n1 - j.n0, c0, c1};
        run_slab(&j, !one_a || j.n0 == 0, j.m0 == 0 || p->tiles.slab_c < chunks);
      }
    }
  }
}

typedef struct entries {
  const wok__gemm_plan *p;
  const char *a, *b;
  char *c, *workers;
  const void *bias;
} entries;

static void run_one(wok_ctx *c, const entries *e, int64_t i, char *scratch, char *workers) {
  const wok__gemm *g = &e->p->g;
  run_entry(c, e->p, e->a + i * g->sa * wok_dtype_size(g->a), e->b + i * g->sb * wok_dtype_size(g->b),
            e->c ? e->c + i * g->sc * wok_dtype_size(g->c) : NULL, e->bias, scratch, workers);
}

static void entry_piece(void *arg, int64_t piece, int worker) {
  const entries *e = arg;
  char *ws = e->workers + worker * e->p->worker_bytes;
  run_one(NULL, e, piece, ws + e->p->tiles.tile_bytes, ws);
}

void wok__tiles_run(wok_ctx *c, const wok__gemm_plan *p, const void *a, const void *b, void *out, const void *bias, void *scratch) {
  entries e = {p, a, b, out, (char *)scratch + p->shared_bytes, bias};
  if (p->tiles.entries && c) {
    wok__pool_run(c, entry_piece, &e, p->g.batch);
    return;
  }
  for (int64_t i = 0; i < p->g.batch; i++) {
    if (p->tiles.entries) entry_piece(&e, i, 0);
    else run_one(c, &e, i, scratch, e.workers);
  }
}

/* ---- engines ---- */

static bool tile_types(const wok__gemm *g) {
  return (g->a == WOK_F32 || g->a == WOK_BF16) && (g->b == WOK_F32 || g->b == WOK_BF16) && (g->c == WOK_F32 || g->c == WOK_BF16);
}
static bool takes_bf16(const wok__gemm *g) { return tile_types(g) && g->compute == WOK__COMPUTE_BF16; }
static bool takes_x3(const wok__gemm *g) { return tile_types(g) && g->compute == WOK__COMPUTE_BF16X3; }

/* Plain f32 goes this way where that is faster; with factors in BF16 there is no other. */
static bool takes_x6(const wok__gemm *g) {
  if (!tile_types(g)) return false;
  if (g->compute == WOK__COMPUTE_BF16X6) return true;
  if (g->compute != WOK__COMPUTE_OWN) return false;
  if (g->a == WOK_BF16 || g->b == WOK_BF16 || g->c == WOK_BF16) return true;
  double work = (double)g->M * (double)g->N * (double)g->K;
  return g->batch == 1 && g->K >= 128 && work >= OWN_WORK && g->M * g->N >= OWN_SIDES * (g->M + g->N);
}

#define ENGINE(kind, text)                                                                                   \
  const wok__gemm_engine wok__gemm_amx_##kind = {.name = text, .isa = WOK__ISA_AMX, .takes = takes_##kind, .type = WOK_BF16, \
                                                 .plan = wok__tiles_plan, .run = wok__tiles_run}
#define takes_bf16x3 takes_x3
#define takes_bf16x6 takes_x6
ENGINE(bf16, "amx-bf16");
ENGINE(bf16x3, "amx-bf16x3");
ENGINE(bf16x6, "amx-bf16x6");
#endif
