/* gemm_xent_bf16.c - the loss head of a linear layer in BF16 on AMX. As in gemm_xent.c it goes by chunks of R tokens, R a
 * function of V and T alone. What differs:
 *
 * The logits are rounded to BF16 when they are kept, and what is kept of them is their distance from the label's own, which is
 * computed beforehand as a dot product: near the top of the distribution, where it matters, distances are small and lose
 * little. The loss comes from maxima and sums taken of the f32 sums of the products before they are rounded, stretch by
 * stretch of the result (wok__gemm's `seen`). Without gradients no logits are kept at all. */
#include <math.h>
#include <string.h>
#include "kernels/cpu/gemm_tiles.h"
#include "kernels/cpu/gemm_xent.h"
#ifdef WOK_X86

enum {
  CHUNK_BYTES = 144 << 20, /* of logits: more saves passes over dw */
  CHUNK_LEAST = 256, CHUNK_MOST = 4096,
  ROW_WORK = 1 << 16,      /* logits of one piece of row work */
  COLUMNS = 512,           /* of one piece of a bias gradient */
};

typedef struct head {
  const wok__xent_form *f;
  int64_t T, V, C, R, ld; /* ld: pitch of the logits in scratch */
  int64_t slots;          /* stretches of a row */
  bool bias;
  wok__gemm_plan logits, dx, dw;
} head;

static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
static int64_t lines(int64_t bytes) { return (bytes + 63) / 64 * 64; }
static bool narrow_or_f32(const wok__arr *a) { return a->dtype == WOK_F32 || a->dtype == WOK_BF16; }

static bool types_fit(const wok__kdesc *d, const wok__xent_form *f) {
  int labels = f->x + 2;
  for (int i = 0; i < d->nin; i++) {
    bool wide_only = i == f->lse || (f->grads >= 0 && i == 0);
    if (i != labels && (wide_only ? d->in[i].dtype != WOK_F32 : !narrow_or_f32(&d->in[i]))) return false;
  }
  for (int i = 0; i < d->nout; i++) /* dx may be BF16; what is summed up over chunks may not */
    if (i == f->grads ? !narrow_or_f32(&d->out[i]) : d->out[i].dtype != WOK_F32) return false;
  return d->in[labels].dtype == WOK_I32;
}

/* Called by the products with a stretch of logits. */
typedef struct watcher {
  const head *h;
  const float *bias;
  float *tops, *totals; /* [rows][slots] */
} watcher;

static void watch(void *ud, int64_t m, int64_t rows, int64_t n, int64_t columns, float *sums) {
  const watcher *w = ud;
  const wok__gemm_plan *p = &w->h->logits;
  int64_t panel = n / WOK__TILE_EDGE, slab = panel / p->tiles.slab_n;
  int64_t slot = slab * ceil_div(p->tiles.slab_n, p->tiles.n) + panel % p->tiles.slab_n / p->tiles.n, at = m * w->h->slots + slot;
  wok__xent16_stretch_amx(sums, rows, columns, w->bias ? w->bias + n : NULL, w->tops + at, w->totals + at, w->h->slots);
}

static bool describe(const wok__kdesc *d, head *h) {
  *h = (head){.f = wok__xent_form_of(d->op)};
  const wok__xent_form *f = h->f;
  if (!f || !f->layer || f->x + 2 >= d->nin || d->in[f->x].shape.ndim != 2 || d->compute != WOK__COMPUTE_BF16 || !types_fit(d, f))
    return false;
  h->T = d->in[f->x].shape.dim[0];
  h->C = d->in[f->x].shape.dim[1];
  h->V = d->in[f->x + 1].shape.dim[0];
  if (h->V <= 0 || h->C <= 0) return false;
  h->bias = d->nin > f->bias;
  h->ld = ceil_div(h->V, 32) * 32;
  if (h->ld % 2048 == 0) h->ld += 32; /* rows a multiple of 4096 bytes apart fight for the same cache lines */
  int64_t most = f->grads < 0 ? CHUNK_MOST : WOK__MIN(WOK__MAX(CHUNK_BYTES / 2 / h->ld, (int64_t)CHUNK_LEAST), (int64_t)CHUNK_MOST);
  h->R = WOK__MAX(ceil_div(ceil_div(h->T, WOK__MAX(ceil_div(h->T, most), 1)), 32) * 32, 32);
  wok_dtype tx = d->in[f->x].dtype, tw = d->in[f->x + 1].dtype;
  wok__gemm l = {.a = tx, .b = tw, .c = WOK_BF16, .compute = WOK__COMPUTE_BF16, .batch = 1, .M = h->R, .N = h->V, .K = h->C, .tb = true,
                 .lda = h->C, .ldb = h->C, .ldc = h->ld, .bias = h->bias};
  if (f->lse < 0) l.seen = watch;
  l.unstored = f->grads < 0;
  wok__gemm_plan_on(&h->logits, &wok__gemm_amx_bf16, &l);
  if (f->lse < 0) h->slots = ceil_div(ceil_div(h->V, WOK__TILE_EDGE), h->logits.tiles.slab_n) * ceil_div(h->logits.tiles.slab_n, h->logits.tiles.n);
  if (f->grads < 0) return true;
  wok__gemm x = {.a = WOK_BF16, .b = tw, .c = d->out[f->grads].dtype, .compute = WOK__COMPUTE_BF16, .batch = 1, .M = h->R, .N = h->C,
                 .K = h->V, .lda = h->ld, .ldb = h->C, .ldc = h->C};
  wok__gemm w = {.a = WOK_BF16, .b = tx, .c = WOK_F32, .compute = WOK__COMPUTE_BF16, .batch = 1, .M = h->V, .N = h->C, .K = h->R,
                 .ta = true, .lda = h->ld, .ldb = h->C, .ldc = h->C};
  wok__gemm_plan_on(&h->dx, &wok__gemm_amx_bf16, &x);
  wok__gemm_plan_on(&h->dw, &wok__gemm_amx_bf16, &w);
  return true;
}

bool wok__xent16_can_run(const wok__kdesc *d) {
  head h;
  return describe(d, &h) && wok__amx_permitted();
}

/* Parts of scratch. */
typedef struct parts {
  int64_t logits, tops, totals, label, bias, products, bytes;
} parts;

static parts parts_of(const head *h, int threads) {
  parts p = {0};
  bool grads = h->f->grads >= 0;
  p.tops = p.logits + (grads ? lines(h->R * h->ld * 2) : 0);
  p.totals = p.tops + lines(h->R * h->slots * 4);
  p.label = p.totals + lines(h->R * h->slots * 4);
  p.bias = p.label + lines(h->R * 4);
  p.products = p.bias + lines(h->V * 4);
  int64_t most = wok__gemm_scratch(&h->logits, threads);
  if (grads) most = WOK__MAX(most, WOK__MAX(wok__gemm_scratch(&h->dx, threads), wok__gemm_scratch(&h->dw, threads)));
  p.bytes = p.products + most;
  return p;
}

int64_t wok__xent16_scratch(const wok__kdesc *d, int threads) {
  head h;
  return describe(d, &h) ? parts_of(&h, threads).bytes : 0;
}

wok_status wok__xent16_prepare(wok_ctx *c, const wok__kdesc *d, void **prep, int64_t *bytes) {
  head *h = wok__malloc((int64_t)sizeof *h);
  if (!h) return wok__nomem(c, (int64_t)sizeof *h);
  (void)describe(d, h);
  *prep = h;
  *bytes = (int64_t)sizeof *h;
  return WOK_OK;
}

/* ---- rows ---- */
typedef struct row_job {
  const head *h;
  int64_t rows, per;
  const char *x, *w;
  wok_dtype tx, tw;
  const float *bias;
  float *label;           /* the logit of each row's label */
  const float *tops, *totals;
  uint16_t *logits;       /* less the label's; NULL: no gradients */
  const int32_t *labels;
  const float *dloss, *lse_in;
  float *loss, *lse;      /* NULL: not wanted */
} row_job;

static bool counts(const row_job *j, int64_t r) { return j->labels[r] >= 0 && j->labels[r] < j->h->V; }

static void label_piece(void *arg, int64_t piece, int worker) {
  (void)worker;
  const row_job *j = arg;
  int64_t C = j->h->C, end = WOK__MIN((piece + 1) * j->per, j->rows);
  for (int64_t r = piece * j->per; r < end; r++) {
    j->label[r] = 0;
    if (!counts(j, r)) continue;
    const char *w = j->w + j->labels[r] * C * wok_dtype_size(j->tw);
    j->label[r] = wok__xent16_dot_amx(j->x + r * C * wok_dtype_size(j->tx), j->tx, w, j->tw, C) + (j->bias ? j->bias[j->labels[r]] : 0);
  }
}

static void one_row(const row_job *j, int64_t r) {
  const head *h = j->h;
  double lse = j->lse_in ? (double)j->lse_in[r] : 0;
  if (!j->lse_in) {
    double total, top = (double)wok__xent16_merge_amx(j->tops + r * h->slots, j->totals + r * h->slots, h->slots, &total);
    lse = top + log(total);
    if (j->lse) j->lse[r] = (float)lse;
    if (j->loss) j->loss[r] = counts(j, r) ? (float)(log(total) + (top - (double)j->label[r])) : 0;
  }
  if (!j->logits) return;
  uint16_t *z = j->logits + r * h->ld;
  if (!counts(j, r)) {
    memset(z, 0, (size_t)h->V * sizeof *z);
    return;
  }
  double off = lse - (double)j->label[r];
  wok__xent16_probs_amx(z, h->V, (float)off, j->dloss[r]);
  z[j->labels[r]] = wok__f32_to_bf16((float)(expm1(-off) * (double)j->dloss[r])); /* p - 1, of the label's own logit */
}

static void row_piece(void *arg, int64_t piece, int worker) {
  (void)worker;
  const row_job *j = arg;
  int64_t end = WOK__MIN((piece + 1) * j->per, j->rows);
  for (int64_t r = piece * j->per; r < end; r++) one_row(j, r);
}

/* ---- the bias's gradient ---- */
typedef struct column_job {
  const head *h;
  const uint16_t *dlogits;
  float *db;
  int64_t rows;
  bool add;
} column_job;

static void column_piece(void *arg, int64_t piece, int worker) {
  (void)worker;
  const column_job *j = arg;
  int64_t v = piece * COLUMNS;
  wok__xent16_columns_amx(j->db + v, j->dlogits + v, j->h->ld, j->rows, WOK__MIN((int64_t)COLUMNS, j->h->V - v), j->add);
}

/* ---- all together ---- */
static void *output(const wok__kcall *k, int i) { return i < 0 || i >= k->nout || k->unused >> i & 1 ? NULL : k->out[i].data; }
static float *from(float *p, int64_t offset) { return p ? p + offset : NULL; }

static void clear(const wok__kcall *k, int i) { /* the gradient of no tokens */
  float *p = output(k, i);
  if (p && !(k->accumulate >> i & 1)) memset(p, 0, (size_t)wok__shape_count(&k->out[i].shape) * sizeof *p);
}

static const float *bias_of(const wok__kcall *k, const head *h, float *wide) {
  if (!h->bias) return NULL;
  const wok__arr *b = &k->in[h->f->bias];
  if (b->dtype == WOK_F32) return b->data;
  for (int64_t i = 0; i < h->V; i++) wide[i] = wok__bf16_to_f32(((const uint16_t *)b->data)[i]);
  return wide;
}

static void gradients(const wok__kcall *k, const head *h, const row_job *j, int64_t t, void *scratch) {
  int i = h->f->grads;
  char *dx = output(k, i);
  float *dw = output(k, i + 1), *db = output(k, i + 2);
  if (dx) {
    wok__gemm_plan p = h->dx;
    p.g.M = j->rows;
    p.g.beta = k->accumulate >> i & 1;
    wok__gemm_run(k->c, &p, j->logits, j->w, dx + t * h->C * wok_dtype_size(p.g.c), NULL, scratch);
  }
  if (dw) {
    wok__gemm_plan p = h->dw;
    p.g.K = j->rows;
    p.g.beta = t > 0 || k->accumulate >> (i + 1) & 1;
    wok__gemm_run(k->c, &p, j->logits, j->x, dw, NULL, scratch);
  }
  if (db) {
    column_job cj = {h, j->logits, db, j->rows, t > 0 || k->accumulate >> (i + 2) & 1};
    wok__pool_run(k->c, column_piece, &cj, ceil_div(h->V, COLUMNS));
  }
}

void wok__xent16_run(const wok__kcall *k) {
  head now = *(const head *)k->prep; /* counted rows: fewer than planned for */
  const head *h = &now;
  const wok__xent_form *f = h->f;
  parts at = parts_of(h, 0);
  char *s = k->scratch;
  bool grads = f->grads >= 0;
  now.T = k->in[f->x].shape.dim[0];
  row_job all = {.h = h, .w = k->in[f->x + 1].data, .tx = k->in[f->x].dtype, .tw = k->in[f->x + 1].dtype,
                 .bias = bias_of(k, h, (float *)(void *)(s + at.bias)), .label = (float *)(void *)(s + at.label),
                 .tops = (float *)(void *)(s + at.tops), .totals = (float *)(void *)(s + at.totals),
                 .logits = grads ? (uint16_t *)(void *)(s + at.logits) : NULL};
  watcher w = {h, all.bias, (float *)(void *)(s + at.tops), (float *)(void *)(s + at.totals)};
  if (grads && h->T == 0)
    for (int i = 1; i < 3; i++) clear(k, f->grads + i);
  for (int64_t t = 0; t < h->T; t += h->R) {
    row_job j = all;
    j.rows = WOK__MIN(h->R, h->T - t);
    j.x = (const char *)k->in[f->x].data + t * h->C * wok_dtype_size(j.tx);
    j.labels = (const int32_t *)k->in[f->x + 2].data + t;
    if (grads) j.dloss = (const float *)k->in[0].data + t;
    if (f->lse >= 0) j.lse_in = (const float *)k->in[f->lse].data + t;
    j.loss = from(output(k, f->loss), t);
    j.lse = f->loss < 0 ? NULL : from(output(k, f->loss + 1), t);
    j.per = WOK__MAX(ROW_WORK / h->C, (int64_t)1);
    wok__pool_run(k->c, label_piece, &j, ceil_div(j.rows, j.per));
    wok__gemm_plan p = h->logits;
    p.g.M = j.rows;
    p.g.seen_ud = &w;
    p.g.shift = j.label;
    wok__gemm_run(k->c, &p, j.x, j.w, j.logits, j.bias, s + at.products);
    j.per = grads ? WOK__MAX(ROW_WORK / h->V, (int64_t)1) : 64;
    wok__pool_run(k->c, row_piece, &j, ceil_div(j.rows, j.per));
    if (grads) gradients(k, h, &j, t, s + at.products);
  }
}
#endif
