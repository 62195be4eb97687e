/* gemm.c - plans of matrix products and their running: tiles, slabs of packed B, pieces for the thread pool. */
#include "kernels/cpu/gemm.h"
#include <string.h>

#ifndef PC
#define PC WOK__GEMM_PACK_COLUMNS
#endif
/* Sizes below were chosen by measurement on the shapes of docs/notes-gemm.md; none depends on the number of threads. */
enum {
  TILE_WORK = 1 << 20,  /* products of a tile worth handing out: about 9 us at AVX-512's rate */
  TILES = 48,           /* enough for an even load on 16 threads */
  SLAB_BYTES = 32 << 20, /* of packed A, and of packed B */
  PACK_LEAST = 1 << 15, PACK_MOST = 1 << 18, /* elements packed by one piece of pool work: wide ones read long rows */
  PACK_PIECES = 16,     /* of one side, when that leaves pieces of this size */
  L2_BYTES = 3 << 19,   /* 1.5 MB: what one may hope to keep there */
  DOTS_ROWS = 8,        /* up to here dot products beat packing */
};

static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
static int64_t round_up(int64_t a, int64_t b) { return ceil_div(a, b) * b; }

int64_t wok__gemm_piece(int64_t K, int64_t kc) {
  if (kc == 0 || K <= kc) return K > 0 ? K : 1;
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

/* Slabs: as much of K as fits, then as many rows and columns; equal slabs in each direction. */
static void choose_slabs(wok__gemm_plan *p) {
  const wok__gemm *g = &p->g;
  const wok__gemm_engine *e = p->engine;
  p->slab_m = g->M, p->slab_n = g->N, p->slab_k = g->K;
  if (!e->pack_b || g->batch > 1 || g->K == 0) return;
  int64_t most = SLAB_BYTES / wok_dtype_size(g->in), wide = WOK__MIN(WOK__MAX(g->N, g->M), (int64_t)4096);
  int64_t piece = wok__gemm_piece(g->K, e->kc), pieces = ceil_div(g->K, piece);
  int64_t fit = WOK__MAX(most / wide / piece, 1);
  p->slab_k = WOK__MIN(ceil_div(pieces, ceil_div(pieces, fit)) * piece, g->K);
  int64_t side = WOK__MAX(most / p->slab_k, e->nr);
  p->slab_m = round_up(ceil_div(g->M, ceil_div(g->M, side)), e->mr);
  p->slab_n = round_up(ceil_div(g->N, ceil_div(g->N, side)), e->nr);
}

/* What a tile of tm x tn costs besides its products, as a share of their time (measured). */
static double overhead(const wok__gemm_plan *p, int64_t tm, int64_t tn) {
  const wok__gemm *g = &p->g;
  double size = (double)wok_dtype_size(g->in), rows = (double)tm, columns = (double)tn;
  if (!p->engine->pack_b) return 43 / columns + 43 / rows; /* packs A and B for itself */
  double piece = (double)wok__gemm_piece(g->K, p->engine->kc), depth = (double)WOK__MIN(p->slab_k, g->K);
  bool repacks_a = g->ta && g->batch > 1;
  bool b_stays = columns * depth * size <= L2_BYTES; /* in L2, for the next tile below */
  double a_share = rows * piece * size / L2_BYTES;   /* of A that is read again for every panel of B */
  return (repacks_a ? 43 : 5) / columns + (b_stays ? 1.5 : 5) / rows + 0.8 * a_share * a_share;
}

/* Rows and columns of a tile: the least overhead together with an even load. */
static void choose_tile(wok__gemm_plan *p) {
  const wok__gemm *g = &p->g;
  const wok__gemm_engine *e = p->engine;
  int64_t M = WOK__MIN(p->slab_m, g->M), N = WOK__MIN(p->slab_n, g->N);
  int64_t max_m = ceil_div(M, e->mr), max_n = ceil_div(N, e->nr);
  double work = (double)M * (double)N * (double)WOK__MIN(p->slab_k, g->K) / TILE_WORK, best = 0;
  int64_t least = (int64_t)WOK__MIN(WOK__MAX(work, 1.0), (double)TILES), most = (int64_t)WOK__MIN(WOK__MAX(work, 1.0), 8.0 * TILES);
  for (int64_t j = 1; j <= WOK__MIN(max_n, most); j++) {
    int64_t tn = round_up(ceil_div(N, j), e->nr);
    for (int64_t i = WOK__MIN(ceil_div(least, j), max_m); i <= WOK__MIN(ceil_div(most, j), max_m); i++) {
      int64_t tm = round_up(ceil_div(M, i), e->mr);
      double cost = overhead(p, tm, tn);
      if (least > 1) cost += unevenness(ceil_div(M, tm) * ceil_div(N, tn));
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
  int64_t size = wok_dtype_size(g->in);
  double work = (double)g->M * (double)g->N * (double)g->K;
  p->dots = e->dots && g->tb && !g->ta && g->M <= DOTS_ROWS;
  choose_slabs(p);
  if (p->dots) {
    p->slab_m = p->tm = g->M, p->slab_n = g->N, p->slab_k = g->K;
    int64_t rows = WOK__MAX((int64_t)(TILE_WORK / 16) / WOK__MAX(g->K, 1), 1); /* bound by memory: smaller pieces */
    p->tn = round_up(WOK__MIN(rows, g->N), 4);
  } else {
    choose_tile(p);
    p->slab_m = round_up(p->slab_m, p->tm);
    p->slab_n = round_up(p->slab_n, p->tn);
    if (e->pack_b && g->batch == 1) {
      p->share_a = (g->ta || g->N >= PC) && g->N > p->tn;
      p->share_b = g->M > p->tm;
    }
    int64_t k = round_up(p->slab_k, 16); /* a last slab that is shorter has shorter pieces, but no more of them */
    if (p->share_a) p->a_bytes = round_up(k * p->slab_m * size, 64);
    if (p->share_b) p->b_bytes = round_up(k * p->slab_n * size, 64);
    if (e->pack_b) p->worker_bytes = round_up((e->nr + p->tm + 1) * e->kc * size, 64);
  }
  if (g->batch > 1 && g->M <= p->tm && g->N <= p->tn)
    p->group = (int64_t)WOK__MIN(WOK__MAX((double)TILE_WORK / WOK__MAX(work, 1.0), 1.0), (double)g->batch);
}

bool wok__gemm_plan_for(wok__gemm_plan *p, const wok_ctx *c, const wok__gemm *g) {
  const wok__gemm_engine *e = wok__gemm_engine_for(c, g);
  if (e) wok__gemm_plan_on(p, e, g);
  return e;
}

int64_t wok__gemm_scratch(const wok__gemm_plan *p, int threads) {
  return p->a_bytes + p->b_bytes + threads * p->worker_bytes;
}

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
  char *c, *slab_a, *slab_b, *workers; /* slab_a, slab_b: NULL when not shared */
  int64_t m0, m1, n0, n1, k0, k1;      /* present slab */
  int64_t tiles_m, tiles_n;
  int64_t piece, b_pieces;             /* of packing: the first b_pieces are B's, then come A's */
} job;

static const void *at(const void *base, int64_t elements, wok_dtype t) {
  return (const char *)base + elements * wok_dtype_size(t);
}

static void run_tile(const job *j, int64_t entry, int64_t tile, int worker) {
  const wok__gemm_plan *p = j->p;
  const wok__gemm *g = &p->g;
  int64_t m0 = j->m0 + tile % j->tiles_m * p->tm, n0 = j->n0 + tile / j->tiles_m * p->tn;
  wok__gemm_tile t = {.g = g,
                      .a = at(j->a, entry * g->sa, g->in),
                      .b = at(j->b, entry * g->sb, g->in),
                      .c = j->c + entry * g->sc * wok_dtype_size(g->out),
                      .bias = j->k0 == 0 ? j->bias : NULL,
                      .m0 = m0,
                      .m1 = WOK__MIN(m0 + p->tm, j->m1),
                      .n0 = n0,
                      .n1 = WOK__MIN(n0 + p->tn, j->n1),
                      .k0 = j->k0,
                      .k1 = j->k1,
                      .add = g->beta || j->k0 > 0,
                      .packed_a = j->slab_a,
                      .packed_b = j->slab_b,
                      .slab_m0 = j->m0,
                      .slab_m1 = j->m1,
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

/* One side's part of the packing: pieces of K times groups of panels. */
typedef struct side {
  wok__gemm_pack pack;
  const void *matrix;
  char *slab;
  int64_t from, to, grain, group; /* group: panels per piece of work */
} side;

static side side_of(const job *j, bool a) {
  const wok__gemm_engine *e = j->p->engine;
  side s = a ? (side){e->pack_a, j->a, j->slab_a, j->m0, j->m1, e->mr, 0} : (side){e->pack_b, j->b, j->slab_b, j->n0, j->n1, e->nr, 0};
  int64_t work = (s.to - s.from) * (j->k1 - j->k0) / PACK_PIECES;
  work = WOK__MIN(WOK__MAX(work, (int64_t)PACK_LEAST), (int64_t)PACK_MOST);
  s.group = WOK__MAX(work / (j->piece * s.grain), 1);
  return s;
}
static int64_t panels(const side *s) { return ceil_div(s->to - s->from, s->grain); }
static int64_t groups(const side *s) { return ceil_div(panels(s), s->group); }

static void pack_piece(void *arg, int64_t piece, int worker) {
  (void)worker;
  const job *j = arg;
  bool a = piece >= j->b_pieces;
  side s = side_of(j, a);
  if (a) piece -= j->b_pieces;
  int64_t p0 = piece % groups(&s) * s.group, k0 = j->k0 + piece / groups(&s) * j->piece;
  char *dst = s.slab + (k0 - j->k0) * panels(&s) * s.grain * wok_dtype_size(j->p->g.in);
  s.pack(&j->p->g, s.matrix, k0, WOK__MIN(k0 + j->piece, j->k1), s.from, s.to, p0, WOK__MIN(p0 + s.group, panels(&s)), dst);
}

/* Runs fn over pieces on the pool, or here when there is none. */
static void each(wok_ctx *c, void (*fn)(void *, int64_t, int), job *j, int64_t pieces) {
  if (c) wok__pool_run(c, fn, j, pieces);
  else
    for (int64_t i = 0; i < pieces; i++) fn(j, i, 0);
}

/* The slab [m0,m1) x [n0,n1) x [k0,k1). */
static void run_slab(wok_ctx *c, job *j) {
  const wok__gemm_plan *p = j->p;
  int64_t k_pieces = ceil_div(j->k1 - j->k0, j->piece), pieces = j->b_pieces = 0;
  if (p->share_b && j->m0 == 0) { /* stays for all slabs of rows */
    side b = side_of(j, false);
    pieces = j->b_pieces = k_pieces * groups(&b);
  }
  if (p->share_a) {
    side a = side_of(j, true);
    pieces += k_pieces * groups(&a);
  }
  if (pieces) each(c, pack_piece, j, pieces);
  j->tiles_m = ceil_div(j->m1 - j->m0, p->tm);
  j->tiles_n = ceil_div(j->n1 - j->n0, p->tn);
  each(c, compute_piece, j, p->group > 1 ? ceil_div(p->g.batch, p->group) : p->g.batch * j->tiles_m * j->tiles_n);
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
  char *at_a = scratch, *at_b = at_a + p->a_bytes;
  job j = {.p = p, .a = a, .b = b, .bias = bias, .c = out, .slab_a = p->share_a ? at_a : NULL, .slab_b = p->share_b ? at_b : NULL};
  j.workers = at_b + p->b_bytes;
  j.piece = wok__gemm_piece(g->K, p->engine->kc);
  for (j.n0 = 0; j.n0 < g->N; j.n0 = j.n1)
    for (j.k0 = 0, j.n1 = WOK__MIN(j.n0 + p->slab_n, g->N); j.k0 < g->K; j.k0 = j.k1)
      for (j.m0 = 0, j.k1 = WOK__MIN(j.k0 + p->slab_k, g->K); j.m0 < g->M; j.m0 = j.m1) {
        j.m1 = WOK__MIN(j.m0 + p->slab_m, g->M);
        run_slab(c, &j);
      }
}

void wok__gemm_run(wok_ctx *c, const wok__gemm_plan *p, const void *a, const void *b, void *out, const void *bias, void *scratch) {
  run(c, p, a, b, out, bias, scratch);
}

void wok__gemm_run_serial(const wok__gemm_plan *p, const void *a, const void *b, void *out, const void *bias, void *scratch) {
  run(NULL, p, a, b, out, bias, scratch);
}
