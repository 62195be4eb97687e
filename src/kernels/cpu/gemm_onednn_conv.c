/* gemm_onednn_conv.c - conv2d, conv2d_input and conv2d_weight by oneDNN (v2 and v3).
 *
 * The images are cut into tiles by the shape alone; a tile is one single-threaded primitive, so bits do not depend on the
 * number of threads. oneDNN computes in blocked layouts of its own: each tile's images are brought there and back by reorders
 * while they are in the cache, weights once per run. Weight gradients are one partial sum per tile, added in order.
 * Below the machine's own ISA the reference kernels run: oneDNN's own cap is process-wide. */
#include <dnnl.h>
#include <string.h>
#include "kernels/cpu/gemm_onednn.h"
#include "kernels/kernel.h"
#include "kernels/ref/ref.h"

enum {
  X, W, Y, OPERANDS,            /* as conv2d names them; each operator makes the one that it is called after */
  FORMS = 2,                    /* primitives for whole tiles; for the last one, if it is shorter */
  TILE_FLOPS = 16 << 20,        /* 0.1 ms of one core */
  POSITIONS = 2048,             /* of a tile of a weight gradient: then its partial sum costs little beside it */
  MOST_PARTIALS = 16,
  PARTIAL_FLOATS = 1 << 24,     /* of all partial sums */
  FEW_CHANNELS = 8,             /* below: conv2d_input in plain layouts; blocks of 16 channels would be mostly padding */
  SUM_BLOCK = 4096,
};

/* ---- what differs between v2 and v3 ---- */
typedef struct problem {
  wok__opid op;
  int made;                     /* X, W or Y */
  bool bias;
  int64_t groups, images, tile, tiles;
  dnnl_dims_t dims[OPERANDS], stride, dilation, before, after; /* dims[X][0], dims[Y][0]: of the whole call */
  int64_t size[OPERANDS];       /* elements of an image of x, of all weights, of an image of y */
} problem;

typedef dnnl_memory_desc_t desc;
#if DNNL_VERSION_MAJOR >= 3
typedef const_dnnl_memory_desc_t view;
static view seen(const desc *d) { return *d; }
static dnnl_status_t desc_new(desc *d, int n, const dnnl_dims_t dims, dnnl_format_tag_t tag) {
  return dnnl_memory_desc_create_with_tag(d, n, dims, dnnl_f32, tag);
}
static void desc_free(desc *d) {
  if (*d) (void)dnnl_memory_desc_destroy(*d);
}
static dnnl_status_t describe_conv(dnnl_primitive_desc_t *pd, const problem *p, int made, const desc *d, const desc *bias,
                                   dnnl_engine_t e, dnnl_primitive_desc_t hint, dnnl_primitive_attr_t attr) {
  if (made == Y)
    return dnnl_convolution_forward_primitive_desc_create(pd, e, dnnl_forward_training, dnnl_convolution_direct, d[X], d[W],
                                                          bias ? *bias : NULL, d[Y], p->stride, p->dilation, p->before,
                                                          p->after, attr);
  if (made == X)
    return dnnl_convolution_backward_data_primitive_desc_create(pd, e, dnnl_convolution_direct, d[X], d[W], d[Y], p->stride,
                                                                p->dilation, p->before, p->after, hint, attr);
  return dnnl_convolution_backward_weights_primitive_desc_create(pd, e, dnnl_convolution_direct, d[X], d[W], NULL, d[Y],
                                                                 p->stride, p->dilation, p->before, p->after, hint, attr);
}
#else
typedef const dnnl_memory_desc_t *view;
static view seen(const desc *d) { return d; }
static dnnl_status_t desc_new(desc *d, int n, const dnnl_dims_t dims, dnnl_format_tag_t tag) {
  return dnnl_memory_desc_init_by_tag(d, n, dims, dnnl_f32, tag);
}
static void desc_free(desc *d) { (void)d; }
static dnnl_status_t describe_conv(dnnl_primitive_desc_t *pd, const problem *p, int made, const desc *d, const desc *bias,
                                   dnnl_engine_t e, dnnl_primitive_desc_t hint, dnnl_primitive_attr_t attr) {
  dnnl_convolution_desc_t cd;
  dnnl_status_t s;
  if (made == Y)
    s = dnnl_dilated_convolution_forward_desc_init(&cd, dnnl_forward_training, dnnl_convolution_direct, &d[X], &d[W], bias,
                                                   &d[Y], p->stride, p->dilation, p->before, p->after);
  else if (made == X)
    s = dnnl_dilated_convolution_backward_data_desc_init(&cd, dnnl_convolution_direct, &d[X], &d[W], &d[Y], p->stride,
                                                         p->dilation, p->before, p->after);
  else
    s = dnnl_dilated_convolution_backward_weights_desc_init(&cd, dnnl_convolution_direct, &d[X], &d[W], NULL, &d[Y], p->stride,
                                                            p->dilation, p->before, p->after);
  return s == dnnl_success ? dnnl_primitive_desc_create(pd, &cd, attr, e, hint) : s;
}
#endif

/* ---- the problem, from the shapes ---- */
static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

static bool problem_of(const wok__kdesc *d, problem *p) {
  const wok__attr_conv2d *a = d->attr;
  const wok__arr *arr[OPERANDS];
  *p = (problem){.op = d->op, .groups = a->groups};
  switch (d->op) {
  case WOK__OP_conv2d: p->made = Y, arr[X] = &d->in[0], arr[W] = &d->in[1], arr[Y] = &d->out[0]; break;
  case WOK__OP_conv2d_input: p->made = X, arr[X] = &d->out[0], arr[W] = &d->in[1], arr[Y] = &d->in[0]; break;
  default: p->made = W, arr[X] = &d->in[0], arr[W] = &d->out[0], arr[Y] = &d->in[1]; break;
  }
  p->bias = d->nin > 2;
  p->images = arr[X]->shape.dim[0];
  for (int i = 0; i < OPERANDS; i++) {
    if (arr[i]->dtype != WOK_F32) return false;
    p->size[i] = wok__shape_count(&arr[i]->shape) / (i == W || !p->images ? 1 : p->images);
    for (int k = 0; k < 4; k++) p->dims[i][k] = arr[i]->shape.dim[k];
  }
  if (p->images == 0) return false;
  if (p->groups > 1) { /* [groups, outputs, inputs, rows, columns] */
    memmove(p->dims[W] + 1, p->dims[W], 4 * sizeof p->dims[W][0]);
    p->dims[W][0] = p->groups;
    p->dims[W][1] /= p->groups;
  }
  for (int64_t i = 0; i < 2; i++) {
    p->stride[i] = a->stride[i];
    p->dilation[i] = a->dilation[i] - 1;
    p->before[i] = a->pad[2 * i];
    p->after[i] = a->pad[2 * i + 1];
  }
  int64_t positions = arr[Y]->shape.dim[2] * arr[Y]->shape.dim[3];
  if (p->made == W) {
    p->tile = WOK__MAX(ceil_div(POSITIONS, positions), ceil_div(p->images, MOST_PARTIALS));
    p->tile = WOK__MAX(p->tile, ceil_div(p->images, WOK__MAX(PARTIAL_FLOATS / p->size[W], 1)));
  } else {
    double flops = 2.0 * (double)positions * (double)p->size[W];
    p->tile = flops < TILE_FLOPS ? (int64_t)(TILE_FLOPS / flops) : 1;
  }
  p->tile = WOK__MIN(p->tile, p->images);
  p->tiles = ceil_div(p->images, p->tile);
  return true;
}

/* ---- one form: a primitive for so many images, and what brings operands to its layouts and back ---- */
typedef struct form {
  dnnl_primitive_desc_t pd;
  dnnl_primitive_t primitive, reorder[OPERANDS]; /* reorder NULL: the layout is ours */
  desc plain[OPERANDS], bias;
  view own[OPERANDS], pad;      /* in pd */
  bool differs[OPERANDS];
  int64_t bytes[OPERANDS], pad_bytes; /* in own layouts, where they differ; of oneDNN's scratchpad */
} form;

static void form_free(form *f) {
  if (f->primitive) (void)dnnl_primitive_destroy(f->primitive);
  for (int i = 0; i < OPERANDS; i++) {
    if (f->reorder[i]) (void)dnnl_primitive_destroy(f->reorder[i]);
    desc_free(&f->plain[i]);
  }
  desc_free(&f->bias);
  if (f->pd) (void)dnnl_primitive_desc_destroy(f->pd);
}

static int64_t aligned(size_t bytes) { return ((int64_t)bytes + 63) / 64 * 64; }

static dnnl_status_t find_primitive(form *f, const problem *p, const desc *d, dnnl_engine_t e) {
  dnnl_primitive_desc_t hint = NULL;
  dnnl_primitive_attr_t attr = NULL;
  dnnl_status_t s = dnnl_primitive_attr_create(&attr);
  if (s == dnnl_success) s = dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user);
  if (s == dnnl_success && p->made != Y) s = describe_conv(&hint, p, Y, d, NULL, e, NULL, attr);
  if (s == dnnl_success) s = describe_conv(&f->pd, p, p->made, d, p->bias ? &f->bias : NULL, e, hint, attr);
  if (hint) (void)dnnl_primitive_desc_destroy(hint);
  if (attr) (void)dnnl_primitive_attr_destroy(attr);
  return s;
}

static dnnl_status_t form_describe(form *f, const problem *p, int64_t images, dnnl_engine_t e) {
  static const dnnl_query_t asked[OPERANDS][OPERANDS] = {
      [X] = {dnnl_query_diff_src_md, dnnl_query_weights_md, dnnl_query_diff_dst_md},
      [W] = {dnnl_query_src_md, dnnl_query_diff_weights_md, dnnl_query_diff_dst_md},
      [Y] = {dnnl_query_src_md, dnnl_query_weights_md, dnnl_query_dst_md}};
  bool plain = p->made == X && p->groups == 1 && p->dims[X][1] < FEW_CHANNELS;
  desc wanted[OPERANDS];
  memset(wanted, 0, sizeof wanted);
  dnnl_status_t s = dnnl_success;
  for (int i = 0; i < OPERANDS && s == dnnl_success; i++) {
    dnnl_dims_t dims;
    int n = i == W && p->groups > 1 ? 5 : 4;
    memcpy(dims, p->dims[i], sizeof dims);
    if (i != W) dims[0] = images;
    dnnl_format_tag_t tag = n == 5 ? dnnl_abcde : dnnl_abcd;
    s = desc_new(&f->plain[i], n, dims, tag);
    if (s == dnnl_success) s = desc_new(&wanted[i], n, dims, plain ? tag : dnnl_format_tag_any);
  }
  if (s == dnnl_success && p->bias) s = desc_new(&f->bias, 1, (dnnl_dims_t){p->dims[Y][1]}, dnnl_a);
  if (s == dnnl_success) s = find_primitive(f, p, wanted, e);
  for (int i = 0; i < OPERANDS; i++) {
    if (s == dnnl_success) {
      f->own[i] = dnnl_primitive_desc_query_md(f->pd, asked[p->made][i], 0);
      f->differs[i] = !dnnl_memory_desc_equal(f->own[i], seen(&f->plain[i]));
      if (f->differs[i]) f->bytes[i] = aligned(dnnl_memory_desc_get_size(f->own[i]));
    }
    desc_free(&wanted[i]);
  }
  if (s != dnnl_success) return s;
  f->pad = dnnl_primitive_desc_query_md(f->pd, dnnl_query_scratchpad_md, 0);
  f->pad_bytes = aligned(dnnl_memory_desc_get_size(f->pad));
  return s;
}

static dnnl_status_t form_build(form *f, const problem *p, dnnl_engine_t e) {
  dnnl_status_t s = dnnl_primitive_create(&f->primitive, f->pd);
  for (int i = 0; i < OPERANDS && s == dnnl_success; i++) {
    dnnl_primitive_desc_t pd;
    view plain = seen(&f->plain[i]);
    if (!f->differs[i]) continue;
    s = i == p->made ? dnnl_reorder_primitive_desc_create(&pd, f->own[i], e, plain, e, NULL)
                     : dnnl_reorder_primitive_desc_create(&pd, plain, e, f->own[i], e, NULL);
    if (s != dnnl_success) break;
    s = dnnl_primitive_create(&f->reorder[i], pd);
    (void)dnnl_primitive_desc_destroy(pd);
  }
  return s;
}

/* ---- both forms, and the scratch they need ---- */
typedef struct conv conv;
typedef struct worker {
  dnnl_stream_t stream;
  struct { dnnl_memory_t plain[OPERANDS], own[OPERANDS], bias, pad; } m[FORMS];
} worker;
struct conv {
  problem p;
  bool reference;               /* below the machine's ISA */
  dnnl_engine_t engine;
  int forms, workers;
  form form[FORMS];
  int64_t shared[FORMS];        /* where each form's weights lie in the scratch; conv2d_weight: [0] is the partial sums */
  int64_t shared_bytes, worker_bytes;
  worker *worker;
};

static int form_of(const conv *c, int64_t tile) { return c->forms > 1 && tile == c->p.tiles - 1; }

static void conv_close(conv *c) {
  for (int w = 0; w < c->workers && c->worker; w++) {
    for (int f = 0; f < FORMS; f++) {
      for (int i = 0; i < OPERANDS; i++) {
        if (c->worker[w].m[f].plain[i]) (void)dnnl_memory_destroy(c->worker[w].m[f].plain[i]);
        if (c->worker[w].m[f].own[i]) (void)dnnl_memory_destroy(c->worker[w].m[f].own[i]);
      }
      if (c->worker[w].m[f].bias) (void)dnnl_memory_destroy(c->worker[w].m[f].bias);
      if (c->worker[w].m[f].pad) (void)dnnl_memory_destroy(c->worker[w].m[f].pad);
    }
    if (c->worker[w].stream) (void)dnnl_stream_destroy(c->worker[w].stream);
  }
  wok__free(c->worker);
  for (int f = 0; f < c->forms; f++) form_free(&c->form[f]);
  if (c->engine) (void)dnnl_engine_destroy(c->engine);
}

static dnnl_status_t conv_open(conv *c, const problem *p) {
  *c = (conv){.p = *p};
  dnnl_status_t s = dnnl_engine_create(&c->engine, dnnl_cpu, 0);
  int64_t images[FORMS] = {p->tile, p->images - (p->tiles - 1) * p->tile};
  int forms = images[1] == images[0] ? 1 : FORMS;
  for (; c->forms < forms && s == dnnl_success; c->forms++) {
    form *f = &c->form[c->forms];
    memset(f, 0, sizeof *f);
    s = form_describe(f, p, images[c->forms], c->engine);
    int64_t own = f->bytes[X] + f->bytes[Y] + f->pad_bytes;
    if (p->made == W) own += f->bytes[W];
    else {
      c->shared[c->forms] = c->shared_bytes;
      c->shared_bytes += f->bytes[W];
    }
    c->worker_bytes = WOK__MAX(c->worker_bytes, own);
  }
  if (p->made == W) c->shared_bytes = aligned((size_t)(p->tiles * p->size[W]) * sizeof(float));
  return s;
}

static dnnl_status_t worker_build(const conv *c, worker *w) {
  dnnl_status_t s = dnnl_stream_create(&w->stream, c->engine, dnnl_stream_default_flags);
  for (int i = 0; i < c->forms; i++) {
    const form *f = &c->form[i];
    for (int k = 0; k < OPERANDS && s == dnnl_success; k++) {
      s = dnnl_memory_create(&w->m[i].plain[k], seen(&f->plain[k]), c->engine, DNNL_MEMORY_NONE);
      if (s == dnnl_success && f->differs[k]) s = dnnl_memory_create(&w->m[i].own[k], f->own[k], c->engine, DNNL_MEMORY_NONE);
    }
    if (s == dnnl_success && c->p.bias) s = dnnl_memory_create(&w->m[i].bias, seen(&f->bias), c->engine, DNNL_MEMORY_NONE);
    if (s == dnnl_success) s = dnnl_memory_create(&w->m[i].pad, f->pad, c->engine, DNNL_MEMORY_NONE);
  }
  return s;
}

/* Primitives and scratch are made for one OpenMP thread. */
static bool can_run(const wok__kdesc *d) {
  problem p;
  conv c;
  wok__fpstate fp;
  if (!problem_of(d, &p)) return false;
  wok__compute_enter(&fp);
  bool can = conv_open(&c, &p) == dnnl_success;
  conv_close(&c);
  wok__compute_leave(&fp);
  return can;
}

static int64_t reference_scratch(const wok__kdesc *d) {
  return d->op == WOK__OP_conv2d_weight ? 0 : wok__ref_conv2d_scratch(d, 1);
}

static int64_t scratch(const wok__kdesc *d, int threads) {
  problem p;
  conv c;
  wok__fpstate fp;
  if (!problem_of(d, &p)) return 0;
  wok__compute_enter(&fp);
  int64_t bytes = conv_open(&c, &p) == dnnl_success ? c.shared_bytes + threads * c.worker_bytes : 0;
  conv_close(&c);
  wok__compute_leave(&fp);
  return WOK__MAX(bytes, reference_scratch(d));
}

static void release(void *prep) {
  conv_close(prep);
  wok__free(prep);
}

static wok_status prepare(wok_ctx *ctx, const wok__kdesc *d, void **prep, int64_t *bytes) {
  problem p;
  conv *c = wok__calloc(1, (int64_t)sizeof *c);
  if (!c) return wok__nomem(ctx, (int64_t)sizeof *c);
  *bytes = (int64_t)sizeof *c;
  *prep = c;
  if (!problem_of(d, &p) || wok__ctx_isa_capped(ctx)) {
    c->reference = true;
    c->p.op = d->op;
    return WOK_OK;
  }
  wok__fpstate fp;
  wok__compute_enter(&fp);
  dnnl_status_t s = conv_open(c, &p);
  c->worker = wok__calloc(wok__ctx_threads(ctx), (int64_t)sizeof *c->worker);
  c->workers = wok__ctx_threads(ctx);
  *bytes += c->workers * (int64_t)sizeof *c->worker;
  if (!c->worker) s = dnnl_out_of_memory;
  for (int f = 0; f < c->forms && s == dnnl_success; f++) s = form_build(&c->form[f], &p, c->engine);
  for (int w = 0; w < c->workers && s == dnnl_success; w++) s = worker_build(c, &c->worker[w]);
  wok__compute_leave(&fp);
  if (s == dnnl_success) return WOK_OK;
  release(c);
  *prep = NULL;
  return wok__fail(ctx, s == dnnl_out_of_memory ? WOK_NOMEM : WOK_UNSUPPORTED, "oneDNN made no convolution (its status %d)", (int)s);
}

/* ---- running ---- */
typedef struct job {
  const conv *c;
  const wok__kcall *k;
  const float *data[OPERANDS];  /* NULL: made */
  float *out;
} job;

/* Memory that stands for these bytes from now on. */
static dnnl_memory_t at(dnnl_memory_t m, const void *data) {
  (void)dnnl_memory_set_data_handle(m, (void *)(uintptr_t)data);
  return m;
}
static void reorder(const worker *w, dnnl_primitive_t p, dnnl_memory_t from, dnnl_memory_t to) {
  dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}};
  (void)dnnl_primitive_execute(p, w->stream, 2, args);
}

static void run_weights(void *arg, int64_t index, int who) {
  const job *j = arg;
  const conv *c = j->c;
  const worker *w = &c->worker[who];
  if (!c->form[index].differs[W]) return;
  char *own = (char *)j->k->scratch + c->shared[index];
  reorder(w, c->form[index].reorder[W], at(w->m[index].plain[W], j->data[W]), at(w->m[index].own[W], own));
}

static void run_tile(void *arg, int64_t tile, int who) {
  static const int names[OPERANDS][OPERANDS] = {[X] = {DNNL_ARG_DIFF_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DIFF_DST},
                                                [W] = {DNNL_ARG_SRC, DNNL_ARG_DIFF_WEIGHTS, DNNL_ARG_DIFF_DST},
                                                [Y] = {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST}};
  const job *j = arg;
  const conv *c = j->c;
  const problem *p = &c->p;
  const worker *w = &c->worker[who];
  int fi = form_of(c, tile), made = p->made;
  const form *f = &c->form[fi];
  char *mine = (char *)j->k->scratch + c->shared_bytes + who * c->worker_bytes;
  dnnl_memory_t plain[OPERANDS], used[OPERANDS];
  for (int i = 0; i < OPERANDS; i++) {
    const float *data = i == made ? j->out : j->data[i];
    if (i != W) data += tile * p->tile * p->size[i];
    else if (made == W) data = (const float *)j->k->scratch + tile * p->size[W];
    plain[i] = used[i] = at(w->m[fi].plain[i], data);
    if (!f->differs[i]) continue;
    if (i == W && made != W) {
      used[i] = at(w->m[fi].own[i], (char *)j->k->scratch + c->shared[fi]);
      continue;
    }
    used[i] = at(w->m[fi].own[i], mine);
    mine += f->bytes[i];
    if (i != made) reorder(w, f->reorder[i], plain[i], used[i]);
  }
  dnnl_exec_arg_t args[OPERANDS + 2];
  int n = 0;
  for (int i = 0; i < OPERANDS; i++) args[n++] = (dnnl_exec_arg_t){names[made][i], used[i]};
  args[n++] = (dnnl_exec_arg_t){DNNL_ARG_SCRATCHPAD, at(w->m[fi].pad, mine)};
  if (p->bias) args[n++] = (dnnl_exec_arg_t){DNNL_ARG_BIAS, at(w->m[fi].bias, j->k->in[2].data)};
  (void)dnnl_primitive_execute(f->primitive, w->stream, n, args);
  if (f->differs[made]) reorder(w, f->reorder[made], used[made], plain[made]);
  (void)dnnl_stream_wait(w->stream);
}

/* The partial sums of weights, in order of the tiles. */
static void run_sum(void *arg, int64_t block, int who) {
  const job *j = arg;
  const problem *p = &j->c->p;
  const float *parts = j->k->scratch;
  int64_t from = block * SUM_BLOCK, end = WOK__MIN(from + SUM_BLOCK, p->size[W]);
  double sum[SUM_BLOCK];
  (void)who;
  for (int64_t i = from; i < end; i++) sum[i - from] = 0;
  for (int64_t t = 0; t < p->tiles; t++)
    for (int64_t i = from; i < end; i++) sum[i - from] += (double)parts[t * p->size[W] + i];
  for (int64_t i = from; i < end; i++) j->out[i] = (j->k->accumulate & 1 ? j->out[i] : 0) + (float)sum[i - from];
}

static void run_reference(const wok__kcall *k, wok__opid op) {
  switch (op) {
  case WOK__OP_conv2d: wok__ref_conv2d_f32(k); break;
  case WOK__OP_conv2d_input: wok__ref_conv2d_input_f32(k); break;
  default: wok__ref_conv2d_weight_f32(k); break;
  }
}

static void run(const wok__kcall *k) {
  const conv *c = k->prep;
  if (c->reference) {
    run_reference(k, c->p.op);
    return;
  }
  job j = {.c = c, .k = k, .out = k->out[0].data};
  switch (c->p.made) {
  case Y: j.data[X] = k->in[0].data, j.data[W] = k->in[1].data; break;
  case X: j.data[Y] = k->in[0].data, j.data[W] = k->in[1].data; break;
  default: j.data[X] = k->in[0].data, j.data[Y] = k->in[1].data; break;
  }
  if (c->p.made != W) wok__pool_run(k->c, run_weights, &j, c->forms);
  wok__pool_run(k->c, run_tile, &j, c->p.tiles);
  if (c->p.made == W) wok__pool_run(k->c, run_sum, &j, ceil_div(c->p.size[W], SUM_BLOCK));
}

#define ROW(op, accumulate)                                                                                  \
  { "onednn", WOK__OP_##op, WOK_F32, WOK__ISA_GENERIC, 40, accumulate, can_run, scratch, prepare, release, run }
static const wok__kernel rows[] = {ROW(conv2d, 0), ROW(conv2d_input, 0), ROW(conv2d_weight, 1)};
const wok__kernel_table wok__kernels_cpu_conv = {rows, WOK__COUNT(rows)};
