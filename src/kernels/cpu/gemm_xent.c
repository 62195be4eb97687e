/* gemm_xent.c - the loss head in f32 (logits of cross-entropy alone also in BF16): cross-entropy of logits, and of a linear layer whose logits live only in scratch.
 *
 * The layer goes by chunks of R tokens, R a function of V and T alone: logits, then per row the maximum, the sum and (in
 * place) the gradient, then dx, and dw added up chunk by chunk. Within a chunk everything is products and rows, so the
 * bits do not depend on the number of threads. */
#include "kernels/cpu/gemm_xent.h"
#include <math.h>
#include <string.h>
#include "kernels/cpu/gemm.h"

enum {
  CHUNK_BYTES = 128 << 20, /* of logits: more saves passes over dw, less stays nearer to the cores (bench/gemm_kernels.c) */
  CHUNK_LEAST = 256, CHUNK_MOST = 4096,
  ROW_WORK = 1 << 15,      /* logits of one piece of row work */
  COLUMNS = 512,           /* of one piece of a bias gradient */
};

static const wok__xent_form forms[] = {
    {WOK__OP_xent, false, 0, -1, -1, 0, -1},
    {WOK__OP_xent_bwd, false, 1, 3, -1, -1, 0},
    {WOK__OP_linear_xent, true, 0, -1, 3, 0, -1},
    {WOK__OP_linear_xent_bwd, true, 1, 4, 5, -1, 0},
    {WOK__OP_linear_xent_both, true, 1, -1, 4, 0, 2},
};

const wok__xent_form *wok__xent_form_of(wok__opid op) {
  for (int64_t i = 0; i < WOK__COUNT(forms); i++)
    if (forms[i].op == op) return &forms[i];
  return NULL;
}

typedef struct head {
  const wok__xent_form *f;
  const wok__xent_rows *rows;
  int64_t T, V, C, R, ld; /* ld: pitch of the logits in scratch */
  wok_dtype from, to;     /* without a layer: how logits and their gradient are stored */
  wok__gemm logits_g, dx_g, dw_g;
  wok__gemm_plan logits, dx, dw;
} head;

static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

static bool describe(const wok__kdesc *d, head *h) {
  *h = (head){0};
  h->f = wok__xent_form_of(d->op);
  const wok__xent_form *f = h->f;
  if (!f || f->x >= d->nin || d->in[f->x].shape.ndim != 2) return false;
  h->T = d->in[f->x].shape.dim[0];
  h->V = h->ld = d->in[f->x].shape.dim[1];
  h->from = d->in[f->x].dtype;
  h->to = f->grads < 0 ? WOK_F32 : d->out[f->grads].dtype;
  for (int i = 0; i < d->nin + d->nout; i++) {
    wok_dtype t = i < d->nin ? d->in[i].dtype : d->out[i - d->nin].dtype;
    bool logits = i == f->x || (i - d->nin == f->grads && f->grads >= 0);
    if (wok__is_float(t) && t != WOK_F32 && (f->layer || !logits || t != WOK_BF16)) return false;
  }
  if (!f->layer) return h->V > 0;
  h->C = h->V;
  h->V = d->in[f->x + 1].shape.dim[0];
  if (h->V <= 0) return false;
  int64_t most = WOK__MIN(WOK__MAX(CHUNK_BYTES / 4 / h->V, (int64_t)CHUNK_LEAST), (int64_t)CHUNK_MOST);
  h->R = ceil_div(ceil_div(h->T, WOK__MAX(ceil_div(h->T, most), 1)), 16) * 16;
  h->ld = ceil_div(h->V, 32) * 32;
  if (h->ld % 1024 == 0) h->ld += 32; /* rows a multiple of 4096 bytes apart fight for the same cache lines */
  wok__gemm g = {.a = WOK_F32, .b = WOK_F32, .c = WOK_F32, .batch = 1, .compute = d->compute};
  h->logits_g = h->dx_g = h->dw_g = g;
  wok__gemm *l = &h->logits_g, *x = &h->dx_g, *w = &h->dw_g;
  l->M = h->R, l->N = h->V, l->K = h->C, l->tb = true, l->lda = l->ldb = h->C, l->ldc = h->ld;
  l->bias = f->bias >= 0 && d->nin > f->bias;
  x->M = h->R, x->N = h->C, x->K = h->V, x->lda = h->ld, x->ldb = x->ldc = h->C;
  w->M = h->V, w->N = h->C, w->K = h->R, w->ta = true, w->lda = h->ld, w->ldb = w->ldc = h->C;
  return true;
}

bool wok__xent_can_run(const wok__kdesc *d) {
  head h;
  return describe(d, &h);
}

/* A row of logits in f32, when they are not stored so. */
static int64_t wide_bytes(const head *h) { return h->from == WOK_F32 && h->to == WOK_F32 ? 0 : (4 * h->V + 63) / 64 * 64; }

bool wok__xent_takes(const wok__kdesc *d, const wok__gemm_engine *e) {
  head h;
  return describe(d, &h) && h.f->layer && wok__gemm_takes(e, &h.logits_g);
}

static int64_t logits_bytes(const head *h) { return h->R * h->ld * 4; } /* a multiple of 64: R is one of 16 */

int64_t wok__xent_scratch(const wok__kdesc *d, int threads) {
  head h;
  if (!describe(d, &h)) return 0;
  if (!h.f->layer) return threads * wide_bytes(&h);
  int64_t most = wok__gemm_scratch_any(&h.logits_g, threads);
  if (h.f->grads >= 0) {
    most = WOK__MAX(most, wok__gemm_scratch_any(&h.dx_g, threads));
    most = WOK__MAX(most, wok__gemm_scratch_any(&h.dw_g, threads));
  }
  return logits_bytes(&h) + most;
}

static const wok__xent_rows *rows_for(const wok_ctx *c) {
  static const wok__xent_rows *const all[] = {
#ifdef WOK_X86
      &wok__xent_rows_avx512, &wok__xent_rows_avx2,
#endif
      &wok__xent_rows_generic};
  for (int64_t i = 0; i < WOK__COUNT(all); i++)
    if (all[i]->isa <= wok__ctx_isa(c)) return all[i];
  return &wok__xent_rows_generic;
}

wok_status wok__xent_prepare(wok_ctx *c, const wok__kdesc *d, void **prep, int64_t *bytes) {
  head *h = wok__malloc((int64_t)sizeof *h);
  if (!h) return wok__nomem(c, (int64_t)sizeof *h);
  bool ok = describe(d, h);
  h->rows = rows_for(c);
  if (ok && h->f->layer)
    ok = wok__gemm_plan_for(&h->logits, c, &h->logits_g) && wok__gemm_plan_for(&h->dx, c, &h->dx_g) &&
         wok__gemm_plan_for(&h->dw, c, &h->dw_g);
  if (!ok) {
    wok__free(h);
    return wok__fail(c, WOK_UNSUPPORTED, "no loss head for these operands");
  }
  *prep = h;
  *bytes = (int64_t)sizeof *h;
  return WOK_OK;
}

/* ---- rows ---- */
typedef struct row_job {
  const wok__xent_rows *f;
  int64_t V, ld, rows, per;
  const void *from;        /* logits; to == from: in place */
  void *to;                /* gradients; NULL: none wanted */
  wok_dtype type_from, type_to;
  char *wide;              /* of each worker, where they are not F32 */
  int64_t wide_bytes;
  const int32_t *labels;
  const float *dloss, *lse_in;
  float *loss, *lse;       /* NULL: not wanted */
} row_job;

static void gradient(const row_job *j, int64_t r, const float *z, float *to, bool counts, float by, float lse) {
  if (!counts) {
    memset(to, 0, (size_t)j->V * sizeof *to);
    return;
  }
  if (j->lse_in) j->f->probs(to, z, j->V, lse, by);
  else j->f->scale(to, j->V, by);
  to[j->labels[r]] -= j->dloss[r];
}

/* z: the row's logits; to: its gradient or NULL; to == z unless only the gradient is wanted */
static void one_row(const row_job *j, int64_t r, const float *z, float *to) {
  bool counts = j->labels[r] >= 0 && j->labels[r] < j->V;
  if (j->lse_in) { /* backward alone */
    gradient(j, r, z, to, counts, j->dloss[r], j->lse_in[r]);
    return;
  }
  double sum;
  float label = counts ? z[j->labels[r]] : 0;
  float top = to ? j->f->powers(to, j->V, &sum) : j->f->stats(z, j->V, &sum);
  if (j->lse) j->lse[r] = (float)((double)top + log(sum));
  if (j->loss) j->loss[r] = counts ? (float)(log(sum) - ((double)label - (double)top)) : 0;
  if (to) gradient(j, r, z, to, counts, counts ? (float)((double)j->dloss[r] / sum) : 0, 0);
}

static void row_piece(void *arg, int64_t piece, int worker) {
  const row_job *j = arg;
  float *wide = (float *)(void *)(j->wide + worker * j->wide_bytes);
  int64_t end = WOK__MIN((piece + 1) * j->per, j->rows);
  for (int64_t r = piece * j->per; r < end; r++) {
    const float *z = (const float *)j->from + r * j->ld;
    float *to = j->to ? (float *)j->to + r * j->ld : NULL;
    if (j->type_from == WOK_BF16) {
      j->f->widen(wide, (const uint16_t *)j->from + r * j->ld, j->V);
      z = wide;
    }
    if (to && j->type_to == WOK_BF16) to = wide;
    one_row(j, r, z, to);
    if (to && j->type_to == WOK_BF16) j->f->narrow((uint16_t *)j->to + r * j->ld, to, j->V);
  }
}

static void run_rows(wok_ctx *c, row_job *j) {
  j->per = WOK__MAX(ROW_WORK / j->V, (int64_t)1);
  wok__pool_run(c, row_piece, j, ceil_div(j->rows, j->per));
}

/* ---- the bias's gradient: sums of columns ---- */
typedef struct column_job {
  const head *h;
  const float *dlogits;
  float *db;
  int64_t rows;
  bool add;
} column_job;

static void column_piece(void *arg, int64_t piece, int worker) {
  (void)worker;
  const column_job *j = arg;
  int64_t v = piece * COLUMNS;
  j->h->rows->columns(j->db + v, j->dlogits + v, j->h->ld, j->rows, WOK__MIN((int64_t)COLUMNS, j->h->V - v), j->add);
}

/* ---- all together ---- */
static float *output(const wok__kcall *k, int i) {
  return i < 0 || i >= k->nout || k->unused >> i & 1 ? NULL : k->out[i].data;
}
static const float *input(const wok__kcall *k, int i) { return i < 0 || i >= k->nin ? NULL : k->in[i].data; }
static float *from(float *p, int64_t offset) { return p ? p + offset : NULL; }

static void clear(const wok__kcall *k, int i) { /* the gradient of no tokens */
  float *p = output(k, i);
  if (p && !(k->accumulate >> i & 1)) memset(p, 0, (size_t)wok__shape_count(&k->out[i].shape) * sizeof *p);
}

static void run_layer(const wok__kcall *k, const head *h) {
  const wok__xent_form *f = h->f;
  const float *x = input(k, f->x), *w = input(k, f->x + 1), *b = h->logits_g.bias ? input(k, f->bias) : NULL;
  float *logits = k->scratch;
  char *scratch = (char *)k->scratch + logits_bytes(h);
  bool grads = f->grads >= 0;
  float *dx = grads ? output(k, f->grads) : NULL, *dw = grads ? output(k, f->grads + 1) : NULL;
  float *db = grads ? output(k, f->grads + 2) : NULL, *loss = output(k, f->loss), *lse = f->loss < 0 ? NULL : output(k, f->loss + 1);
  if (grads && h->T == 0)
    for (int i = 1; i < 3; i++) clear(k, f->grads + i);
  for (int64_t t = 0; t < h->T; t += h->R) {
    int64_t rows = WOK__MIN(h->R, h->T - t);
    wok__gemm_plan p = h->logits;
    p.g.M = rows;
    wok__gemm_run(k->c, &p, x + t * h->C, w, logits, b, scratch);
    row_job j = {.f = h->rows, .V = h->V, .ld = h->ld, .rows = rows, .from = logits, .to = grads ? logits : NULL, .type_from = WOK_F32, .type_to = WOK_F32,
                 .labels = (const int32_t *)k->in[f->x + 2].data + t};
    if (grads) j.dloss = input(k, 0) + t;
    if (f->lse >= 0) j.lse_in = input(k, f->lse) + t;
    j.loss = from(loss, t);
    j.lse = from(lse, t);
    run_rows(k->c, &j);
    if (dx) {
      p = h->dx;
      p.g.M = rows;
      p.g.beta = k->accumulate >> f->grads & 1;
      wok__gemm_run(k->c, &p, logits, w, dx + t * h->C, NULL, scratch);
    }
    if (dw) {
      p = h->dw;
      p.g.K = rows;
      p.g.beta = t > 0 || k->accumulate >> (f->grads + 1) & 1;
      wok__gemm_run(k->c, &p, logits, x + t * h->C, dw, NULL, scratch);
    }
    if (db) {
      column_job cj = {h, logits, db, rows, t > 0 || k->accumulate >> (f->grads + 2) & 1};
      wok__pool_run(k->c, column_piece, &cj, ceil_div(h->V, COLUMNS));
    }
  }
}

void wok__xent_run(const wok__kcall *k) {
  head now = *(const head *)k->prep; /* counted rows: fewer than planned for */
  const head *h = &now;
  const wok__xent_form *f = h->f;
  now.T = k->in[f->x].shape.dim[0];
  if (f->layer) {
    run_layer(k, h);
    return;
  }
  row_job j = {.f = h->rows, .V = h->V, .ld = h->V, .rows = h->T, .from = input(k, f->x), .labels = k->in[f->x + 1].data,
               .type_from = h->from, .type_to = h->to, .wide = k->scratch, .wide_bytes = wide_bytes(h),
               .lse_in = input(k, f->lse), .loss = output(k, f->loss), .lse = f->loss < 0 ? NULL : output(k, f->loss + 1)};
  if (f->grads >= 0) {
    j.to = output(k, f->grads);
    j.dloss = input(k, 0);
    if (!j.to) return;
  }
  run_rows(k->c, &j);
}
