/* gemm.c - plans of matrix products and their running: tiles, slabs of packed B, pieces for the thread pool. */
#include "kernels/cpu/gemm.h"
#include <string.h>

/* Sizes below were chosen by measurement on the shapes of bench/gemm_kernels.c; none depends on the number of threads. */
enum {
  TILE_WORK = 1 << 18,   /* products of a tile worth handing out: about 2 us at AVX-512's rate */
  TILES_LEAST = 16, TILES_MOST = 384, /* when there is work enough */
  SLAB_BYTES = 12 << 20, /* of packed B: larger ones leave the caches between packing and use */
  PACK_LEAST = 1 << 12, PACK_MOST = 1 << 18, /* elements packed by one piece of pool work: wide ones read long rows */
  PACK_PIECES = 16,      /* when that leaves pieces of this size */
  L2_BYTES = 3 << 19,    /* 1.5 MB: what one may hope to keep there */
  DOTS_ROWS = 8,         /* up to here dot products beat packing */
};

static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
static int64_t round_up(int64_t a, int64_t b) { return ceil_div(a, b) * b; }

int64_t wok__gemm_piece(int64_t K, int64_t kc) {
  if (kc == 0 || K <= kc) return K > 0 ? K : 1;
  return round_up(ceil_div(K, ceil_div(K, kc)), 16);
}

/* How uneven n equal tiles lie on 2 to 16 threads, on average: 1 is even. More threads than `most` would not be worth it. */
static double unevenness(int64_t n, int64_t most) {
  static const int threads[] = {2, 4, 6, 8, 12, 16};
  double s = 0;
  int64_t i = 0;
  for (; i < WOK__COUNT(threads) && (i == 0 || threads[i] <= most); i++)
    s += (double)(ceil_div(n, threads[i]) * threads[i]) / (double)n;
  return s / (double)i;
}

/* The slab: as much of K as fits, then as many columns; equal slabs in each direction. */
static void choose_slab(wok__gemm_plan *p) {
  const wok__gemm *g = &p->g;
  const wok__gemm_engine *e = p->engine;
  p->slab_n = g->N, p->slab_k = g->K;
  if (!e->pack || g->batch > 1 || g->K == 0) return;
  int64_t most = SLAB_BYTES / wok_dtype_size(g->a), piece = wok__gemm_piece(g->K, e->kc), pieces = ceil_div(g->K, piece);
  int64_t fit = WOK__MAX(most / WOK__MIN(g->N, (int64_t)4096) / piece, 1);
  p->slab_k = WOK__MIN(ceil_div(pieces, ceil_div(pieces, fit)) * piece, g->K);
  int64_t columns = WOK__MAX(most / p->slab_k, e->nr);
  p->slab_n = round_up(ceil_div(g->N, ceil_div(g->N, columns)), e->nr);
}

/* What a tile of tm x tn costs besides its products, as a share of their time (fitted to measurements): packing A, or the
   slower kernel that reads it as it lies; panels of B on their way from L3; a piece of A that takes up L2. */
static double overhead(const wok__gemm_plan *p, int64_t tm, int64_t tn) {
  const wok__gemm *g = &p->g;
  double rows = (double)tm, columns = (double)tn;
  if (!p->engine->pack) return 43 / columns + 43 / rows;
  double a = rows * (double)(wok__gemm_piece(g->K, p->engine->kc) * wok_dtype_size(g->a)) / L2_BYTES;
  bool packs_a = g->ta || tn >= WOK__GEMM_PACK_COLUMNS;
  return (packs_a ? 25 / columns : 0.08 + 5 / columns) + (g->batch > 1 ? 25 : 1.5) / rows + 0.15 * a;
}

/* Rows and columns of a tile: the least overhead together with an even load. */
static void choose_tile(wok__gemm_plan *p) {
  const wok__gemm *g = &p->g;
  const wok__gemm_engine *e = p->engine;
  int64_t N = WOK__MIN(p->slab_n, g->N), max_m = ceil_div(g->M, e->mr), max_n = ceil_div(N, e->nr);
  double work = (double)g->M * (double)N * (double)WOK__MIN(p->slab_k, g->K) / TILE_WORK, best = 0;
  work = WOK__MAX(work, 1.0);
  int64_t most = (int64_t)WOK__MIN(work, (double)TILES_MOST);
  int64_t least = ceil_div(WOK__MIN(ceil_div(most, 4), (int64_t)TILES_LEAST), g->batch);
  for (int64_t j = 1, tn = 0; j <= WOK__MIN(max_n, most); j++) {
    if (tn == round_up(ceil_div(N, j), e->nr)) continue;
    tn = round_up(ceil_div(N, j), e->nr);
    int64_t from = WOK__MIN(ceil_div(least, j), max_m), to = WOK__MIN(ceil_div(most, j), max_m);
    for (int64_t i = from, tm = 0; i <= to; i++) {
      if (tm == round_up(ceil_div(g->M, i), e->mr)) continue;
      tm = round_up(ceil_div(g->M, i), e->mr);
      double cost = overhead(p, tm, tn);
      /* Packing B for all: a region of its own, and panels that go through L3 to the other cores. */
      if (e->pack && g->batch == 1 && tm < g->M) cost += 8.0 / work + 25.0 / (double)g->M;
      /* Half of the unevenness: a busy machine is uneven anyway. */
      if (most > 1) cost += 0.5 * unevenness(g->batch * ceil_div(g->M, tm) * ceil_div(N, tn), g->batch * most / 2);
      if (best == 0 || cost < best) {
        best = cost;
        p->tm = tm;
        p->tn = tn;
      }
    }
  }
}

void wok__gemm_plan_on(wok__gemm_plan *p, const wok__gemm_engine *e, const wok__gemm *g) {
  *p = (wok__gemm_plan){.g = *g, .engine = e, .tm = 1, .tn = 1, .group = 1};
  if (g->M == 0 || g->N == 0 || g->batch == 0) return;
  if (e->plan) {
    if (g->K > 0) e->plan(p);
    return;
  }
  int64_t size = wok_dtype_size(g->a);
  double work = (double)g->M * (double)g->N * (double)g->K;
  p->dots = e->dots && g->tb && !g->ta && g->M <= DOTS_ROWS;
  choose_slab(p);
  if (p->dots) {
    p->tm = g->M, p->slab_n = g->N, p->slab_k = g->K;
    int64_t rows = WOK__MAX((int64_t)(TILE_WORK / 4) / WOK__MAX(g->K, 1), 1); /* bound by memory: smaller pieces */
    p->tn = round_up(WOK__MIN(rows, g->N), 4);
  } else {
    choose_tile(p);
    p->slab_n = round_up(p->slab_n, p->tn);
    p->shared = e->pack && g->batch == 1 && g->M > p->tm;
    /* A last slab or a shorter K has shorter pieces, never more elements. */
    if (p->shared) p->shared_bytes = round_up(p->slab_k * p->slab_n * size, 64);
    if (e->pack) p->worker_bytes = round_up((e->nr + p->tm + 1) * e->kc * size, 64);
  }
  if (g->batch > 1 && g->M <= p->tm && g->N <= p->tn)
    p->group = (int64_t)WOK__MIN(WOK__MAX(4.0 * TILE_WORK / WOK__MAX(work, 1.0), 1.0), (double)g->batch);
}

bool wok__gemm_plan_for(wok__gemm_plan *p, const wok_ctx *c, const wok__gemm *g) {
  const wok__gemm_engine *e = wok__gemm_engine_for(c, g);
  if (e) wok__gemm_plan_on(p, e, g);
  return e;
}

int64_t wok__gemm_scratch(const wok__gemm_plan *p, int threads) { return p->shared_bytes + threads * p->worker_bytes; }

int64_t wok__gemm_scratch_any(const wok__gemm *g, int threads) {
  int64_t most = 0;
  const wok__gemm_engine *e;
  for (int64_t i = 0; (e = wok__gemm_engine_at(i)); i++) {
    if (!wok__gemm_takes(e, g)) continue;
    wok__gemm_plan p;
    wok__gemm_plan_on(&p, e, g);
    most = WOK__MAX(most, wok__gemm_scratch(&p, threads));
  }
  return most;
}

/* ---- running ---- */

typedef struct job {
  const wok__gemm_plan *p;
  const void *a, *b, *bias;
  char *c, *slab, *workers; /* slab: NULL when tiles pack for themselves */
  int64_t n0, n1, k0, k1;   /* present slab */
  int64_t tiles_m, tiles_n;
  int64_t piece, panels, pack_panels; /* of packing */
} job;

static const void *at(const void *base, int64_t elements, wok_dtype t) {
  return (const char *)base + elements * wok_dtype_size(t);
}

static void run_tile(const job *j, int64_t entry, int64_t tile, int worker) {
  const wok__gemm_plan *p = j->p;
  const wok__gemm *g = &p->g;
  int64_t m0 = tile % j->tiles_m * p->tm, n0 = j->n0 + tile / j->tiles_m * p->tn;
  wok__gemm_tile t = {.g = g,
                      .a = at(j->a, entry * g->sa, g->a),
                      .b = at(j->b, entry * g->sb, g->b),
                      .c = j->c + entry * g->sc * wok_dtype_size(g->c),
                      .bias = j->k0 == 0 ? j->bias : NULL,
                      .m0 = m0,
                      .m1 = WOK__MIN(m0 + p->tm, g->M),
                      .n0 = n0,
                      .n1 = WOK__MIN(n0 + p->tn, j->n1),
                      .k0 = j->k0,
                      .k1 = j->k1,
                      .add = g->beta || j->k0 > 0,
                      .packed = j->slab,
                      .slab_n0 = j->n0,
                      .slab_n1 = j->n1,
                      .ws = j->workers + worker * p->worker_bytes};
  (p->dots ? p->engine->dots : p->engine->tile)(&t);
}

static void compute_piece(void *arg, int64_t piece, int worker) {
  const job *j = arg;
  int64_t tiles = j->tiles_m * j->tiles_n, group = j->p->group;
  if (group == 1) {
    run_tile(j, piece / tiles, piece % tiles, worker);
    return;
  }
  int64_t end = WOK__MIN((piece + 1) * group, j->p->g.batch);
  for (int64_t e = piece * group; e < end; e++) run_tile(j, e, 0, worker);
}

static void pack_piece(void *arg, int64_t piece, int worker) {
  (void)worker;
  const job *j = arg;
  const wok__gemm_engine *e = j->p->engine;
  int64_t groups = ceil_div(j->panels, j->pack_panels), p0 = piece % groups * j->pack_panels;
  int64_t k0 = j->k0 + piece / groups * j->piece;
  char *dst = j->slab + (k0 - j->k0) * j->panels * e->nr * wok_dtype_size(j->p->g.a);
  e->pack(&j->p->g, j->b, k0, WOK__MIN(k0 + j->piece, j->k1), j->n0, j->n1, p0, WOK__MIN(p0 + j->pack_panels, j->panels), dst);
}

/* Runs fn over pieces on the pool, or here when there is none. */
static void each(wok_ctx *c, void (*fn)(void *, int64_t, int), job *j, int64_t pieces) {
  if (c) wok__pool_run(c, fn, j, pieces);
  else
    for (int64_t i = 0; i < pieces; i++) fn(j, i, 0);
}

static void run_slab(wok_ctx *c, job *j) {
  const wok__gemm_plan *p = j->p;
  if (p->shared) {
    int64_t nr = p->engine->nr, work = (j->n1 - j->n0) * (j->k1 - j->k0) / PACK_PIECES;
    work = WOK__MIN(WOK__MAX(work, (int64_t)PACK_LEAST), (int64_t)PACK_MOST);
    j->piece = wok__gemm_piece(p->g.K, p->engine->kc);
    j->panels = ceil_div(j->n1 - j->n0, nr);
    j->pack_panels = WOK__MAX(work / (j->piece * nr), 1);
    each(c, pack_piece, j, ceil_div(j->panels, j->pack_panels) * ceil_div(j->k1 - j->k0, j->piece));
  }
  j->tiles_m = ceil_div(p->g.M, p->tm);
  j->tiles_n = ceil_div(j->n1 - j->n0, p->tn);
  each(c, compute_piece, j, p->group > 1 ? ceil_div(p->g.batch, p->group) : p->g.batch * j->tiles_m * j->tiles_n);
}

static double number(wok_dtype t, const void *p, int64_t i) {
  if (t == WOK_F64) return ((const double *)p)[i];
  return t == WOK_F32 ? (double)((const float *)p)[i] : (double)wok__bf16_to_f32(((const uint16_t *)p)[i]);
}

static void set_number(wok_dtype t, void *p, int64_t i, double v) {
  if (t == WOK_F64) ((double *)p)[i] = v;
  else if (t == WOK_F32) ((float *)p)[i] = (float)v;
  else ((uint16_t *)p)[i] = wok__f32_to_bf16((float)v);
}

/* K = 0: the sum of no products. */
static void no_products(const wok__gemm *g, void *c, const void *bias) {
  wok_dtype bias_type = g->c == WOK_F64 ? WOK_F64 : WOK_F32;
  for (int64_t e = 0; e < g->batch; e++)
    for (int64_t m = 0; m < g->M; m++)
      for (int64_t n = 0; n < g->N; n++) {
        int64_t i = e * g->sc + m * g->ldc + n;
        set_number(g->c, c, i, (bias ? number(bias_type, bias, n) : 0) + (g->beta ? number(g->c, c, i) : 0));
      }
}

static void run(wok_ctx *c, const wok__gemm_plan *p, const void *a, const void *b, void *out, const void *bias, void *scratch) {
  const wok__gemm *g = &p->g;
  if (g->M == 0 || g->N == 0 || g->batch == 0) return;
  if (!g->bias) bias = NULL;
  if (g->K == 0) {
    no_products(g, out, bias);
    return;
  }
  if (p->engine->run) {
    p->engine->run(c, p, a, b, out, bias, scratch);
    return;
  }
  job j = {.p = p, .a = a, .b = b, .bias = bias, .c = out, .slab = p->shared ? scratch : NULL};
  j.workers = (char *)scratch + p->shared_bytes;
  for (j.n0 = 0; j.n0 < g->N; j.n0 = j.n1)
    for (j.k0 = 0, j.n1 = WOK__MIN(j.n0 + p->slab_n, g->N); j.k0 < g->K; j.k0 = j.k1) {
      j.k1 = WOK__MIN(j.k0 + p->slab_k, g->K);
      run_slab(c, &j);
    }
}

void wok__gemm_run(wok_ctx *c, const wok__gemm_plan *p, const void *a, const void *b, void *out, const void *bias, void *scratch) {
  run(c, p, a, b, out, bias, scratch);
}

void wok__gemm_run_serial(const wok__gemm_plan *p, const void *a, const void *b, void *out, const void *bias, void *scratch) {
  run(NULL, p, a, b, out, bias, scratch);
}
