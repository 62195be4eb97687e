/* gemm.c - plans of matrix products and their running: tiles, slabs of packed B, pieces for the thread pool. */
#include "kernels/cpu/gemm.h"
#include <string.h>

/* Sizes below were chosen by measurement on the shapes of docs/notes-gemm.md; none depends on the number of threads. */
enum {
  TILE_WORK = 1 << 20,      /* products of a tile worth handing out: about 9 us at AVX-512's rate */
  TILES = 48,               /* enough for an even load on 16 threads */
  SLAB_BYTES = 16 << 20,    /* of packed B */
  PACK_WORK = 1 << 16,      /* elements packed by one piece of pool work */
  L2_BYTES = 3 << 19,       /* 1.5 MB: of A that a tile re-reads for every panel of B */
  DOTS_ROWS = 8,            /* up to here dot products beat packing */
};

static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
static int64_t round_up(int64_t a, int64_t b) { return ceil_div(a, b) * b; }

int64_t wok__gemm_piece(int64_t K, int64_t kc) {
  if (K <= kc) return K > 0 ? K : 1;
  return round_up(ceil_div(K, ceil_div(K, kc)), 16);
}

/* How uneven n equal tiles lie on 2 to 16 threads, on average: 1 is even. */
static double unevenness(int64_t n) {
  static const int threads[] = {2, 4, 6, 8, 12, 16};
  double s = 0;
  for (int64_t i = 0; i < WOK__COUNT(threads); i++)
    s += (double)(ceil_div(n, threads[i]) * threads[i]) / (double)n;
  return s / (double)WOK__COUNT(threads);
}

/* What a tile of tn columns pays for its A, as a share of its products' time: packing costs 43 products per element, reading
   it unpacked 5 and a slower kernel (both measured). */
static double cost_of_a(const wok__gemm *g, const wok__gemm_engine *e, int64_t tn) {
  if (!e->pack) return 25 / (double)tn;
  return g->ta || tn >= WOK__GEMM_PACK_COLUMNS ? 43 / (double)tn : 0.05 + 5 / (double)tn;
}

/* Rows and columns of a tile, weighing what A costs, what B costs, a piece of A that overflows the L2 cache, and an uneven
   load of the threads. */
static void choose_tile(wok__gemm_plan *p) {
  const wok__gemm *g = &p->g;
  const wok__gemm_engine *e = p->engine;
  int64_t max_m = ceil_div(g->M, e->mr), max_n = ceil_div(g->N, e->nr), kc = e->kc ? WOK__MIN(e->kc, g->K) : g->K;
  double work = (double)g->M * (double)g->N * (double)g->K;
  int64_t want = (int64_t)WOK__MIN(WOK__MAX(work / TILE_WORK, 1.0), (double)TILES);
  double b_cost = e->pack ? 5 : 25, best = 0;
  for (int64_t j = 1; j <= WOK__MIN(max_n, (int64_t)TILES); j++) {
    int64_t tn = round_up(ceil_div(g->N, j), e->nr);
    for (int64_t i = WOK__MIN(ceil_div(want, j), max_m); i <= WOK__MIN(ceil_div(2 * want, j), max_m); i++) {
      int64_t tm = round_up(ceil_div(g->M, i), e->mr);
      double a_share = (double)(tm * kc * wok_dtype_size(g->in)) / L2_BYTES;
      double cost = cost_of_a(g, e, tn) + b_cost / (double)tm + 0.2 * a_share * a_share;
      if (want > 1) cost += unevenness(ceil_div(g->M, tm) * ceil_div(g->N, tn));
      if (best == 0 || cost < best) {
        best = cost;
        p->tm = tm;
        p->tn = tn;
      }
    }
  }
}

/* How much of B is packed at once: all of it when it is small enough, else as much of K as fits, in whole pieces. */
static void choose_slab(wok__gemm_plan *p) {
  const wok__gemm *g = &p->g;
  const wok__gemm_engine *e = p->engine;
  if (!e->pack || g->batch > 1 || g->M <= p->tm) return;
  int64_t most = SLAB_BYTES / wok_dtype_size(g->in), piece = wok__gemm_piece(g->K, e->kc), n = round_up(g->N, p->tn);
  if (g->K <= most / n) {
    p->slab_k = g->K;
    p->slab_n = n;
  } else {
    p->slab_k = WOK__MIN(g->K, WOK__MAX(most / WOK__MIN(n, (int64_t)2048) / piece, 1) * piece);
    p->slab_n = WOK__MIN(n, WOK__MAX(most / p->slab_k / p->tn, 1) * p->tn);
  }
  p->shared_bytes = round_up(round_up(p->slab_k, piece) * round_up(p->slab_n, e->nr) * wok_dtype_size(g->in), 64);
}

void wok__gemm_plan_on(wok__gemm_plan *p, const wok__gemm_engine *e, const wok__gemm *g) {
  *p = (wok__gemm_plan){.g = *g, .engine = e, .tm = 1, .tn = 1, .group = 1};
  if (g->M == 0 || g->N == 0 || g->batch == 0) return;
  int64_t size = wok_dtype_size(g->in);
  double work = (double)g->M * (double)g->N * (double)g->K;
  p->dots = e->dots && g->tb && !g->ta && g->M <= DOTS_ROWS;
  if (p->dots) {
    p->tm = g->M;
    int64_t rows = WOK__MAX((int64_t)(TILE_WORK / 16) / WOK__MAX(g->K, 1), 1); /* bound by memory: smaller pieces */
    p->tn = round_up(WOK__MIN(rows, g->N), 4);
  } else {
    choose_tile(p);
    choose_slab(p);
    if (e->pack) p->worker_bytes = round_up((e->nr + round_up(p->tm, e->mr) + 1) * e->kc * size, 64);
  }
  if (g->batch > 1 && g->M <= p->tm && g->N <= p->tn)
    p->group = (int64_t)WOK__MIN(WOK__MAX((double)TILE_WORK / WOK__MAX(work, 1.0), 1.0), (double)g->batch);
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
    if (e->in != g->in || e->out != g->out) continue;
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
  void *c, *scratch;
  int64_t k0, k1, n0, n1;  /* present slab; without slabs, everything */
  int64_t tiles_m, tiles_n, panels, pack_panels, piece;
} job;

static const void *at(const void *base, int64_t elements, wok_dtype t) {
  return base ? (const char *)base + elements * wok_dtype_size(t) : NULL;
}

static void run_tile(const job *j, int64_t entry, int64_t tile, int worker) {
  const wok__gemm_plan *p = j->p;
  const wok__gemm *g = &p->g;
  int64_t m0 = tile % j->tiles_m * p->tm, n0 = j->n0 + tile / j->tiles_m * p->tn;
  wok__gemm_tile t = {.g = g,
                      .a = at(j->a, entry * g->sa, g->in),
                      .b = at(j->b, entry * g->sb, g->in),
                      .c = (char *)j->c + entry * g->sc * wok_dtype_size(g->out),
                      .bias = j->k0 == 0 ? j->bias : NULL,
                      .m0 = m0,
                      .m1 = WOK__MIN(m0 + p->tm, g->M),
                      .n0 = n0,
                      .n1 = WOK__MIN(n0 + p->tn, j->n1),
                      .k0 = j->k0,
                      .k1 = j->k1,
                      .add = g->beta || j->k0 > 0,
                      .packed = p->slab_k ? j->scratch : NULL,
                      .slab_n0 = j->n0,
                      .slab_n1 = j->n1,
                      .ws = (char *)j->scratch + p->shared_bytes + worker * p->worker_bytes};
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
  const wok__gemm_plan *p = j->p;
  const wok__gemm_engine *e = p->engine;
  int64_t groups = ceil_div(j->panels, j->pack_panels), p0 = piece % groups * j->pack_panels;
  int64_t k0 = j->k0 + piece / groups * j->piece;
  char *dst = (char *)j->scratch + (k0 - j->k0) * j->panels * e->nr * wok_dtype_size(p->g.in);
  e->pack(&p->g, j->b, k0, WOK__MIN(k0 + j->piece, j->k1), j->n0, j->n1, p0, WOK__MIN(p0 + j->pack_panels, j->panels), dst);
}

/* Runs fn over pieces on the pool, or here when there is none. */
static void each(wok_ctx *c, void (*fn)(void *, int64_t, int), job *j, int64_t pieces) {
  if (c) wok__pool_run(c, fn, j, pieces);
  else
    for (int64_t i = 0; i < pieces; i++) fn(j, i, 0);
}

/* K = 0: the sum of no products. */
static void no_products(const wok__gemm *g, void *c, const void *bias) {
  int64_t size = wok_dtype_size(g->out);
  for (int64_t e = 0; e < g->batch; e++)
    for (int64_t m = 0; m < g->M; m++) {
      char *row = (char *)c + (e * g->sc + m * g->ldc) * size;
      if (!g->beta && !bias) memset(row, 0, (size_t)(g->N * size));
      else if (!g->beta) memcpy(row, bias, (size_t)(g->N * size));
      else if (bias)
        for (int64_t n = 0; n < g->N; n++) {
          if (g->out == WOK_F64) ((double *)(void *)row)[n] += ((const double *)bias)[n];
          else ((float *)(void *)row)[n] += ((const float *)bias)[n];
        }
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
  job j = {.p = p, .a = a, .b = b, .bias = bias, .c = out, .scratch = scratch, .k1 = g->K, .n1 = g->N};
  j.tiles_m = ceil_div(g->M, p->tm);
  if (!p->slab_k) {
    j.tiles_n = ceil_div(g->N, p->tn);
    each(c, compute_piece, &j, p->group > 1 ? ceil_div(g->batch, p->group) : g->batch * j.tiles_m * j.tiles_n);
    return;
  }
  j.piece = wok__gemm_piece(g->K, p->engine->kc);
  for (j.n0 = 0; j.n0 < g->N; j.n0 += p->slab_n)
    for (j.k0 = 0; j.k0 < g->K; j.k0 += p->slab_k) {
      j.n1 = WOK__MIN(j.n0 + p->slab_n, g->N);
      j.k1 = WOK__MIN(j.k0 + p->slab_k, g->K);
      j.panels = ceil_div(j.n1 - j.n0, p->engine->nr);
      j.pack_panels = WOK__MAX((int64_t)PACK_WORK / (j.piece * p->engine->nr), 1);
      j.tiles_n = ceil_div(j.n1 - j.n0, p->tn);
      each(c, pack_piece, &j, ceil_div(j.panels, j.pack_panels) * ceil_div(j.k1 - j.k0, j.piece));
      each(c, compute_piece, &j, j.tiles_m * j.tiles_n);
    }
}

void wok__gemm_run(wok_ctx *c, const wok__gemm_plan *p, const void *a, const void *b, void *out, const void *bias, void *scratch) {
  run(c, p, a, b, out, bias, scratch);
}

void wok__gemm_run_serial(const wok__gemm_plan *p, const void *a, const void *b, void *out, const void *bias, void *scratch) {
  run(NULL, p, a, b, out, bias, scratch);
}
