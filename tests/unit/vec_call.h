/* What the tests of the vector kernels share: arrays, contexts by ISA level and threads, a call of one row. */
#ifndef TEST_VEC_CALL_H
#define TEST_VEC_CALL_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <math.h>
#include <cmocka.h>
#include "kernels/kernel.h"

extern const wok__kernel_table wok__kernels_cpu_vec_generic, wok__kernels_cpu_curve_generic;
#ifdef WOK_X86
extern const wok__kernel_table wok__kernels_cpu_vec_avx2, wok__kernels_cpu_vec_avx512;
extern const wok__kernel_table wok__kernels_cpu_curve_avx2, wok__kernels_cpu_curve_avx512;
#endif

enum { LEVELS = WOK__ISA_AVX512 + 1, MOST_THREADS = 3 };
static const char *const level_name[LEVELS] = {"generic", "avx2", "avx512"};
static wok_ctx *contexts[LEVELS][MOST_THREADS + 1];

static wok_ctx *context(int isa, int threads) {
  if (!contexts[isa][threads])
    assert_int_equal(wok_ctx_new(&contexts[isa][threads], &(wok_ctx_opts){.threads = threads, .isa_cap = level_name[isa]}),
                     WOK_OK);
  return contexts[isa][threads];
}
static int free_contexts(void **state) {
  (void)state;
  for (int i = 0; i < LEVELS; i++)
    for (int t = 0; t <= MOST_THREADS; t++) wok_ctx_free(contexts[i][t]), contexts[i][t] = NULL;
  return 0;
}
/* Does this machine have the level? */
static bool have_level(int isa) { return (int)wok__ctx_isa(context(isa, 1)) == isa; }

static const wok__kernel *find_row_of(int isa, wok__opid op, wok_dtype type) {
  static const wok__kernel_table *const tables[][2] = {{&wok__kernels_cpu_vec_generic, &wok__kernels_cpu_curve_generic},
#ifdef WOK_X86
                                                       {&wok__kernels_cpu_vec_avx2, &wok__kernels_cpu_curve_avx2},
                                                       {&wok__kernels_cpu_vec_avx512, &wok__kernels_cpu_curve_avx512},
#endif
  };
  for (int k = 0; k < 2; k++)
    for (int64_t i = 0; i < tables[isa][k]->count; i++) {
      const wok__kernel *row = &tables[isa][k]->rows[i];
      if (row->op == op && row->dtype == type) return row;
    }
  return NULL;
}
static inline const wok__kernel *find_row(int isa, wok__opid op) { return find_row_of(isa, op, WOK_F32); }

/* A call: inputs, outputs, attributes; the arrays' memory is the test's. */
typedef struct call {
  wok__opid op;
  int nin, nout;
  wok__arr in[16], out[6];
  const void *attr;
  uint32_t accumulate, unused;
  uint64_t seed, tick;
} call;

static int64_t count(const wok__arr *a) { return wok__shape_count(&a->shape); }
static void *need(size_t n) {
  void *p = calloc(n + 64, 1);
  assert_non_null(p);
  return p;
}

/* By the row for BF16 where an array is that, else by the one for F32. Scratch is full of NaN: nothing may be read that was
   not written. */
static bool run_call(const call *c, int isa, int threads) {
  wok_dtype type = WOK_F32;
  for (int i = 0; i < c->nin; i++)
    if (c->in[i].dtype == WOK_BF16) type = WOK_BF16;
  for (int i = 0; i < c->nout; i++)
    if (c->out[i].dtype == WOK_BF16) type = WOK_BF16;
  const wok__kernel *row = find_row_of(isa, c->op, type);
  assert_non_null(row);
  wok__arr in[16], out[6];
  for (int i = 0; i < c->nin; i++) in[i] = c->in[i], in[i].data = NULL;
  for (int i = 0; i < c->nout; i++) out[i] = c->out[i], out[i].data = NULL;
  wok__kdesc d = {.op = c->op, .nin = c->nin, .nout = c->nout, .in = in, .out = out, .attr = c->attr};
  if (row->can_run && !row->can_run(&d)) return false;
  int64_t bytes = row->scratch ? row->scratch(&d, threads) : 0;
  char *scratch = aligned_alloc(64, (size_t)(bytes + 128) / 64 * 64);
  assert_non_null(scratch);
  memset(scratch, 0xff, (size_t)(bytes + 128) / 64 * 64);
  assert_int_equal(c->accumulate & ~row->can_accumulate, 0);
  wok__kcall k = {.c = context(isa, threads), .nin = c->nin, .nout = c->nout, .in = c->in, .out = c->out, .attr = c->attr,
                  .scratch = scratch, .accumulate = c->accumulate, .unused = c->unused, .seed = c->seed, .tick = c->tick};
  wok__fpstate fp;
  wok__compute_enter(&fp);
  row->run(&k);
  wok__compute_leave(&fp);
  for (int64_t i = bytes; i < (bytes + 128) / 64 * 64; i++) assert_int_equal((uint8_t)scratch[i], 0xff);
  free(scratch);
  return true;
}

/* ---- numbers ---- */
static uint64_t random_state = 1;
static uint32_t random_u32(void) {
  random_state = random_state * 6364136223846793005u + 1442695040888963407u;
  uint64_t x = random_state ^ random_state >> 29;
  return (uint32_t)(x * 0x9E3779B97F4A7C15u >> 32);
}
static float random_f32(float size) { return ((float)(random_u32() >> 8) * 0x1p-23f - 1.0f) * size; } /* [-size, size) */

static inline wok__arr make_f32(wok_shape s, float size) {
  wok__arr a = {WOK_F32, s, NULL};
  float *p = a.data = need((size_t)count(&a) * 4);
  for (int64_t i = 0; i < count(&a); i++) p[i] = random_f32(size);
  return a;
}
/* For results: NaN, with a guard of NaN behind that run_call's caller checks with guard_ok. */
static inline wok__arr make_out_of(wok_dtype type, wok_shape s) {
  wok__arr a = {type, s, NULL};
  size_t bytes = (size_t)wok__bytes(type, &s);
  a.data = need(bytes);
  memset(a.data, 0xff, bytes + 64);
  return a;
}
static inline wok__arr make_out(wok_shape s) { return make_out_of(WOK_F32, s); }
static inline bool guard_ok(const wok__arr *a) {
  const uint8_t *p = (const uint8_t *)a->data + wok__bytes(a->dtype, &a->shape);
  for (int i = 0; i < 64; i++)
    if (p[i] != 0xff) return false;
  return true;
}
static inline wok__arr make_i32(wok_shape s, int32_t from, int32_t to) { /* in [from, to) */
  wok__arr a = {WOK_I32, s, NULL};
  int32_t *p = a.data = need((size_t)count(&a) * 4);
  for (int64_t i = 0; i < count(&a); i++) p[i] = from + (int32_t)(random_u32() % (uint32_t)(to - from));
  return a;
}
static inline float *f32(const wok__arr *a) { return a->data; }
static inline int32_t *i32(const wok__arr *a) { return a->data; }

/* The largest |got - want| over the largest |want|; NaN and infinity must be met exactly. */
static inline double distance(const float *got, const double *want, int64_t n) {
  double top = 0, far = 0;
  for (int64_t i = 0; i < n; i++) {
    if (!isfinite(want[i])) {
      if (isnan(want[i]) ? !isnan(got[i]) : (double)got[i] != want[i]) return HUGE_VAL;
      continue;
    }
    double e = fabs((double)got[i] - want[i]);
    if (!(e <= far)) far = isnan(e) ? HUGE_VAL : e;
    if (fabs(want[i]) > top) top = fabs(want[i]);
  }
  return far == 0 ? 0 : top > 0 ? far / top : HUGE_VAL;
}
#endif
