/* planes.c - pooling and resizing on the context's threads: the reference kernels on pieces of a few planes each, cut by the shape
   alone, so the bits are the reference's own. */
#include "kernels/kernel.h"
#include "kernels/ref/ref.h"

enum { PIECE = 1 << 15 }; /* elements of a piece, of the larger side */

typedef struct job {
  const wok__kcall *k;
  void (*run)(const wok__kcall *k);
  int64_t planes, piece;        /* planes in all; of a piece */
  int64_t scratch;              /* bytes of a worker */
} job;

static int64_t plane_of(const wok__arr *a) { return a->shape.dim[2] * a->shape.dim[3]; }

/* The same array from plane `from` on, so many planes. */
static wok__arr part_of(const wok__arr *a, int64_t from, int64_t planes) {
  wok__arr part = *a;
  part.shape.dim[0] = 1;
  part.shape.dim[1] = planes;
  if (a->data) part.data = (char *)a->data + from * plane_of(a) * wok_dtype_size(a->dtype);
  return part;
}

static void run_piece(void *arg, int64_t index, int worker) {
  const job *j = arg;
  int64_t from = index * j->piece, planes = WOK__MIN(j->piece, j->planes - from);
  wok__kcall k = *j->k;
  wok__arr in = part_of(&k.in[0], from, planes), out[2];
  for (int i = 0; i < k.nout; i++) out[i] = part_of(&k.out[i], from, planes);
  k.in = &in;
  k.out = out;
  k.scratch = (char *)k.scratch + worker * j->scratch;
  j->run(&k);
}

static int64_t scratch_of(wok__opid op, const wok__kdesc *d) {
  switch (op) {
  case WOK__OP_sum_unpool2d: return wok__ref_plane_scratch(d, 1);
  case WOK__OP_resize2d:
  case WOK__OP_resize2d_transpose: return wok__ref_resize2d_scratch(d, 1);
  default: return 0;
  }
}
static int64_t scratch(const wok__kdesc *d, int threads) { return threads * ((scratch_of(d->op, d) + 63) / 64 * 64); }

static void split(const wok__kcall *k, wok__opid op, void (*run)(const wok__kcall *k)) {
  wok__kdesc d = {.op = op, .nin = k->nin, .nout = k->nout, .in = k->in, .out = k->out, .attr = k->attr};
  int64_t larger = WOK__MAX(plane_of(&k->in[0]), plane_of(&k->out[0]));
  job j = {.k = k, .run = run, .planes = k->in[0].shape.dim[0] * k->in[0].shape.dim[1], .scratch = scratch(&d, 1)};
  j.piece = WOK__MAX(PIECE / larger, 1);
  wok__pool_run(k->c, run_piece, &j, (j.planes + j.piece - 1) / j.piece);
}

#define PLANES(X) X(sum_pool2d) X(sum_unpool2d) X(max_pool2d) X(resize2d) X(resize2d_transpose)
#define RUN(op)                                                                                              \
  static void run_##op##_f32(const wok__kcall *k) { split(k, WOK__OP_##op, wok__ref_##op##_f32); }           \
  static void run_##op##_f64(const wok__kcall *k) { split(k, WOK__OP_##op, wok__ref_##op##_f64); }
PLANES(RUN)

#define ROW(op_)                                                                                             \
  {.name = "planes", .op = WOK__OP_##op_, .dtype = WOK_F32, .rank = 5, .scratch = scratch, .run = run_##op_##_f32}, \
      {.name = "planes", .op = WOK__OP_##op_, .dtype = WOK_F64, .rank = 5, .scratch = scratch, .run = run_##op_##_f64},
static const wok__kernel rows[] = {PLANES(ROW)};
const wok__kernel_table wok__kernels_cpu_planes = {rows, WOK__COUNT(rows)};
