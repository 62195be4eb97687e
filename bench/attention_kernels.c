/* attention_kernels.c - attention forward and backward: the bf16 kernels on AMX and the f32 kernels in alternation, one process,
   the same numbers. Beside the times stands how far the results lie apart (root of the mean square, relative). Median of 9.
   GFLOP/s count visible pairs: 4 pairs D forward, 10 pairs D backward. Seconds are CPU seconds of the process divided by the
   threads: what the wall clock shows on an idle machine. Compare rates only within one run.

   cc -O2 -D_GNU_SOURCE -DWOK_X86=1 -Iinclude -Isrc bench/attention_kernels.c build/release/libwok.a -ldnnl -lgomp -llapack \
     -ljansson -lpthread -lm -o attention_kernels && ./attention_kernels [all|train|decode] [threads] */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "kernels/kernel.h"

static wok_ctx *ctx;
static int threads = 2;
enum { RUNS = 9 };

static void stop(const char *why) {
  fprintf(stderr, "attention_kernels: %s\n", why);
  exit(1);
}
static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return ((double)t.tv_sec + 1e-9 * (double)t.tv_nsec) / threads;
}
static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}
static uint64_t state = 1;
static float number(void) {
  state = state * 6364136223846793005u + 1442695040888963407u;
  return (float)(state >> 40) * 0x1p-23f - 1.0f;
}
static wok__arr array(wok_dtype t, wok_shape s) {
  wok__arr a = {t, s, wok__pages_alloc(wok__bytes(t, &s))};
  if (!a.data) stop("no memory");
  return a;
}
static void drop(wok__arr *a, int n) {
  for (int i = 0; i < n; i++) wok__pages_free(a[i].data, wok__bytes(a[i].dtype, &a[i].shape));
}
/* The same numbers twice: rounded to bf16, stored in both types. */
static void fill(wok__arr *half, wok__arr *whole, wok_shape s) {
  *half = array(WOK_BF16, s), *whole = array(WOK_F32, s);
  for (int64_t i = 0; i < wok__shape_count(&s); i++) {
    uint16_t h = ((uint16_t *)half->data)[i] = wok__f32_to_bf16(number());
    ((float *)whole->data)[i] = wok__bf16_to_f32(h);
  }
}

typedef struct one { const wok__kernel *k; wok__kcall call; int64_t bytes; double t[RUNS]; } one;
static one ready(wok__opid op, const void *attr, const wok__arr *in, int nin, const wok__arr *out, int nout, wok__compute compute) {
  wok__kdesc d = {.op = op, .nin = nin, .nout = nout, .in = in, .out = out, .attr = attr, .compute = compute};
  one o = {.k = NULL};
  for (int64_t i = 0; wok__kernel_at(op, i); i++) { /* by hand: the types alone would give an adapter */
    const wok__kernel *k = wok__kernel_at(op, i);
    if (k->dtype == (compute ? WOK_BF16 : WOK_F32) && k->isa <= wok__ctx_isa(ctx) && (!o.k || k->rank > o.k->rank) && (!k->can_run || k->can_run(&d)))
      o.k = k;
  }
  if (!o.k) stop("no kernel: does this machine have AMX?");
  o.bytes = (o.k->scratch ? o.k->scratch(&d, threads) : 0) + 64;
  o.call = (wok__kcall){.c = ctx, .nin = nin, .nout = nout, .in = in, .out = out, .attr = attr, .scratch = wok__pages_alloc(o.bytes)};
  if (!o.call.scratch) stop("no memory");
  return o;
}
static void alternate(one *a, one *b) {
  wok__fpstate fp;
  wok__compute_enter(&fp);
  a->k->run(&a->call), b->k->run(&b->call);
  for (int r = 0; r < RUNS; r++)
    for (int w = 0; w < 2; w++) {
      one *o = w ? b : a;
      double from = seconds();
      o->k->run(&o->call);
      o->t[r] = seconds() - from;
    }
  wok__compute_leave(&fp);
  qsort(a->t, RUNS, sizeof *a->t, by_value), qsort(b->t, RUNS, sizeof *b->t, by_value);
  wok__pages_free(a->call.scratch, a->bytes), wok__pages_free(b->call.scratch, b->bytes);
}
static double apart(const wok__arr *half, const wok__arr *whole) {
  double e = 0, s = 0;
  for (int64_t i = 0; i < wok__shape_count(&half->shape); i++) {
    double x = (double)((float *)whole->data)[i], d = (double)wok__bf16_to_f32(((uint16_t *)half->data)[i]) - x;
    e += d * d, s += x * x;
  }
  return sqrt(e / s);
}

enum { DOUT, Q, K, V, LO, HI, SEQ, ROW, O, LSE, INPUTS };
/* B sequences of T tokens; window 0: none. rows > 0: only so many queries at each sequence's end, against a cache of T keys */
static void measure(int64_t B, int64_t T, int64_t H, int64_t G, int64_t D, bool causal, int64_t window, double dropout, int64_t rows) {
  const int64_t per = rows ? rows : T, N = B * per;
  wok__attr_attention attr = {.scale = 1 / sqrt((double)D), .dropout = dropout, .stream = 1};
  wok__arr h[INPUTS], w[INPUTS], hg[3], wg[3];
  double pairs = 0;
  fill(&h[DOUT], &w[DOUT], WOK_SHAPE(N, H, D)), fill(&h[Q], &w[Q], WOK_SHAPE(N, H, D));
  fill(&h[K], &w[K], WOK_SHAPE(B * T, G, D)), fill(&h[V], &w[V], WOK_SHAPE(B * T, G, D));
  for (int i = LO; i <= ROW; i++) h[i] = w[i] = array(WOK_I32, WOK_SHAPE(N));
  h[O] = array(WOK_BF16, WOK_SHAPE(N, H, D)), w[O] = array(WOK_F32, WOK_SHAPE(N, H, D));
  h[LSE] = array(WOK_F32, WOK_SHAPE(N, H)), w[LSE] = array(WOK_F32, WOK_SHAPE(N, H));
  for (int64_t i = 0; i < N; i++) {
    int64_t first = i / per * T, self = first + T - per + i % per;
    int64_t lo = window && self - first >= window ? self - window + 1 : first, hi = causal ? self + 1 : first + T;
    ((int32_t *)h[LO].data)[i] = (int32_t)lo, ((int32_t *)h[HI].data)[i] = (int32_t)hi;
    ((int32_t *)h[SEQ].data)[i] = (int32_t)(i / per), ((int32_t *)h[ROW].data)[i] = (int32_t)(self - first);
    pairs += (double)(hi - lo);
  }
  for (int i = 0; i < 3; i++) hg[i] = array(WOK_BF16, h[Q + i].shape), wg[i] = array(WOK_F32, h[Q + i].shape);
  double work = pairs * (double)(H * D) * 1e-9;
  one a = ready(WOK__OP_attention, &attr, h + Q, 7, h + O, 2, WOK__COMPUTE_BF16), b = ready(WOK__OP_attention, &attr, w + Q, 7, w + O, 2, 0);
  alternate(&a, &b);
  double fa = a.t[RUNS / 2], fb = b.t[RUNS / 2];
  if (rows) {
    double bytes = (double)(B * T * G * D) * 2;
    printf("%2lld x %-5lld %2lld/%-2lld D %-3lld rows %-2lld | bf16 %7.3f ms %5.1f GB/s | f32 %7.3f ms %5.1f GB/s | apart %.1e\n", (long long)B,
           (long long)T, (long long)H, (long long)G, (long long)D, (long long)rows, fa * 1e3, 2e-9 * bytes / fa, fb * 1e3, 4e-9 * bytes / fb,
           apart(&h[O], &w[O]));
  } else {
    printf("%2lld x %-5lld %2lld/%-2lld D %-3lld %-6s window %-3lld dropout %.1f | forward bf16 %6.2f ms %4.0f, f32 %6.2f ms %4.0f, apart %.1e",
           (long long)B, (long long)T, (long long)H, (long long)G, (long long)D, causal ? "causal" : "both", (long long)window, dropout, fa * 1e3,
           4 * work / fa, fb * 1e3, 4 * work / fb, apart(&h[O], &w[O]));
    fflush(stdout);
#ifndef NOBWD
    a = ready(WOK__OP_attention_bwd, &attr, h, 10, hg, 3, WOK__COMPUTE_BF16), b = ready(WOK__OP_attention_bwd, &attr, w, 10, wg, 3, 0);
    alternate(&a, &b);
    fa = a.t[RUNS / 2], fb = b.t[RUNS / 2];
    printf(" | backward bf16 %6.2f ms %4.0f, f32 %6.2f ms %4.0f, apart %.1e %.1e %.1e", fa * 1e3, 10 * work / fa, fb * 1e3, 10 * work / fb,
           apart(&hg[0], &wg[0]), apart(&hg[1], &wg[1]), apart(&hg[2], &wg[2]));
#endif
    printf("\n");
  }
  fflush(stdout);
  drop(h, INPUTS), drop(w, LO), drop(w + O, 2), drop(hg, 3), drop(wg, 3);
}

int main(int argc, char **argv) {
  const char *what = argc > 1 ? argv[1] : "all";
  if (argc > 2) threads = atoi(argv[2]);
  if (wok_ctx_new(&ctx, &(wok_ctx_opts){.threads = threads})) stop("no context");
  const bool all = strcmp(what, "all") == 0;
  printf("%d threads; GFLOP/s on visible pairs\n", threads);
  if (all || strcmp(what, "train") == 0) {
    measure(32, 128, 12, 12, 64, false, 0, 0, 0);
    measure(8, 512, 12, 12, 64, false, 0, 0, 0);
    measure(8, 512, 12, 12, 64, true, 0, 0, 0);
    measure(8, 512, 12, 12, 64, true, 0, 0.1, 0);
    measure(2, 2048, 12, 12, 64, true, 0, 0, 0);
    measure(2, 2048, 12, 4, 64, true, 0, 0, 0);
    measure(8, 512, 8, 2, 128, true, 0, 0, 0);
    measure(2, 2048, 8, 8, 128, true, 0, 0, 0);
    measure(4, 1024, 12, 12, 64, true, 256, 0, 0);
    measure(8, 512, 4, 4, 64, false, 0, 0, 0);
    measure(120, 33, 12, 12, 64, false, 0, 0, 0);
    measure(1, 4096, 1, 1, 64, true, 0, 0, 0);
  }
  if (all || strcmp(what, "decode") == 0) {
    measure(1, 4096, 12, 12, 64, true, 0, 0, 1);
    measure(16, 1024, 12, 12, 64, true, 0, 0, 1);
    measure(1, 8192, 32, 4, 128, true, 0, 0, 1);
    measure(1, 8192, 1, 1, 64, true, 0, 0, 1);
    measure(1, 4096, 12, 12, 64, true, 0, 0, 4);
    measure(1, 4096, 12, 12, 64, true, 0, 0, 16);
  }
  wok_ctx_free(ctx);
  return 0;
}
