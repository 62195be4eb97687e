/* vec_kernels.c - the rate of the vector kernels over f32 and bf16 storage, one row of a table at a time: attention, norms, activations, shapes, AdamW.
   Random data, median of several runs. Seconds are CPU seconds of the process divided by the threads: what the wall clock shows
   on an idle machine, and still comparable on a busy one.

   cc -O2 -D_GNU_SOURCE -DWOK_X86=1 -Iinclude -Isrc bench/vec_kernels.c build/release/libwok.a -ldnnl -lgomp -llapack -ljansson \
     -lpthread -lm -o vec_kernels && ./vec_kernels [attention|decode|rows|adamw] [threads] [generic|avx2|avx512] */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "kernels/cpu/optim.h"
#include "kernels/kernel.h"

static wok_ctx *ctx;
static int threads = 2;

static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return ((double)t.tv_sec + 1e-9 * (double)t.tv_nsec) / threads;
}
static void stop(const char *why) {
  fprintf(stderr, "vec_kernels: %s\n", why);
  exit(1);
}
static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static uint64_t state = 1;
static float number(float size) {
  state = state * 6364136223846793005u + 1442695040888963407u;
  return ((float)(state >> 40) * 0x1p-23f - 1.0f) * size;
}
static wok__arr f32(wok_shape s, float size) {
  wok__arr a = {WOK_F32, s, NULL};
  int64_t n = wok__shape_count(&s);
  float *p = a.data = wok__pages_alloc(n * 4);
  if (!p) stop("no memory");
  for (int64_t i = 0; i < n; i++) p[i] = number(size);
  return a;
}
/* The same numbers, stored as bf16. */
static wok__arr bf16(const wok__arr *x) {
  wok__arr a = {WOK_BF16, x->shape, NULL};
  int64_t n = wok__shape_count(&x->shape);
  a.data = wok__pages_alloc(n * 2);
  if (!a.data || !wok__convert(WOK_F32, x->data, WOK_BF16, a.data, n)) stop("no memory");
  return a;
}
static wok__arr i32(int64_t n, int32_t below) {
  wok__arr a = {WOK_I32, WOK_SHAPE(n), wok__pages_alloc(n * 4)};
  if (!a.data) stop("no memory");
  for (int64_t i = 0; i < n; i++) ((int32_t *)a.data)[i] = (int32_t)fabsf(number((float)below - 0.5f));
  return a;
}
static void drop(wok__arr *a, int n) {
  for (int i = 0; i < n; i++) wok__pages_free(a[i].data, wok__bytes(a[i].dtype, &a[i].shape));
}

static double measure(wok__opid op, const void *attr, const wok__arr *in, int nin, const wok__arr *out, int nout, int reps,
                      const char **name) {
  wok__kdesc d = {.op = op, .nin = nin, .nout = nout, .in = in, .out = out, .attr = attr};
  const wok__kernel *k = wok__kernel_find(ctx, &d, false);
  if (!k) stop("no kernel");
  int64_t bytes = k->scratch ? k->scratch(&d, threads) : 0;
  wok__kcall call = {.c = ctx, .nin = nin, .nout = nout, .in = in, .out = out, .attr = attr, .scratch = wok__pages_alloc(bytes + 64)};
  double t[64];
  wok__fpstate fp;
  wok__compute_enter(&fp);
  k->run(&call);
  for (int i = 0; i < reps; i++) {
    double from = seconds();
    k->run(&call);
    t[i] = seconds() - from;
  }
  wok__compute_leave(&fp);
  wok__pages_free(call.scratch, bytes + 64);
  qsort(t, (size_t)reps, sizeof *t, by_value);
  *name = k->name;
  return t[reps / 2];
}

/* B sequences of T tokens, H query heads over G, size D; window 0: none */
static void attention(int64_t B, int64_t T, int64_t H, int64_t G, int64_t D, bool causal, int64_t window, double dropout) {
  int64_t N = B * T;
  wok__attr_attention a = {.scale = 1 / sqrt((double)D), .dropout = dropout, .stream = 1};
  wok_shape sq = WOK_SHAPE(N, H, D), sk = WOK_SHAPE(N, G, D), sl = WOK_SHAPE(N, H);
  wok__arr in[10] = {f32(sq, 1), f32(sq, 1), f32(sk, 1), f32(sk, 1), i32(N, 1), i32(N, 1), i32(N, 1), i32(N, 1), f32(sq, 1), f32(sl, 1)};
  wok__arr out[3] = {f32(sq, 1), f32(sk, 1), f32(sk, 1)};
  double pairs = 0;
  const char *name;
  for (int64_t i = 0; i < N; i++) {
    int64_t first = i / T * T, lo = window && i - first >= window ? i - window + 1 : first, hi = causal ? i + 1 : first + T;
    ((int32_t *)in[4].data)[i] = (int32_t)lo, ((int32_t *)in[5].data)[i] = (int32_t)hi;
    ((int32_t *)in[6].data)[i] = (int32_t)(i / T), ((int32_t *)in[7].data)[i] = (int32_t)(i % T);
    pairs += (double)(hi - lo);
  }
  double f = measure(WOK__OP_attention, &a, in + 1, 7, in + 8, 2, 9, &name);
  double b = measure(WOK__OP_attention_bwd, &a, in, 10, out, 3, 9, &name);
  double work = pairs * (double)(H * D) * 1e-9;
  printf("attention %-7s %3lld x %-4lld heads %2lld/%-2lld size %-3lld %s window %-3lld dropout %.1f: forward %6.2f ms %3.0f GFLOP/s, "
         "backward %6.2f ms %3.0f GFLOP/s\n",
         name, (long long)B, (long long)T, (long long)H, (long long)G, (long long)D, causal ? "causal" : "both  ", (long long)window, dropout,
         f * 1e3, 4 * work / f, b * 1e3, 10 * work / b);
  drop(in, 10), drop(out, 3);
}
/* S sequences with T keys each, `rows` new queries per sequence */
static void decode(int64_t S, int64_t T, int64_t H, int64_t G, int64_t D, int64_t rows) {
  int64_t N = S * T, Q = S * rows;
  wok__attr_attention a = {.scale = 1 / sqrt((double)D)};
  wok__arr in[7] = {f32(WOK_SHAPE(Q, H, D), 1), f32(WOK_SHAPE(N, G, D), 1), f32(WOK_SHAPE(N, G, D), 1), i32(Q, 1), i32(Q, 1), i32(Q, 1), i32(Q, 1)};
  wok__arr out[2] = {f32(WOK_SHAPE(Q, H, D), 1), f32(WOK_SHAPE(Q, H), 1)};
  const char *name;
  for (int64_t i = 0; i < Q; i++) {
    ((int32_t *)in[3].data)[i] = (int32_t)(i / rows * T);
    ((int32_t *)in[4].data)[i] = (int32_t)((i / rows + 1) * T - rows + 1 + i % rows);
  }
  double t = measure(WOK__OP_attention, &a, in, 7, out, 2, 31, &name);
  printf("decode    %-7s %3lld x %-4lld heads %2lld/%-2lld size %-3lld rows %-2lld: %.3f ms, cache at %.1f GB/s\n", name, (long long)S,
         (long long)T, (long long)H, (long long)G, (long long)D, (long long)rows, t * 1e3, 8e-9 * (double)(N * G * D) / t);
  drop(in, 7), drop(out, 2);
}

enum { MOST = 6 };
static double report(const char *name, const wok__arr *in, int nin, const wok__arr *out, int nout, double t) {
  double bytes = 0;
  for (int i = 0; i < nin; i++) bytes += (double)wok__bytes(in[i].dtype, &in[i].shape);
  for (int i = 0; i < nout; i++) bytes += (double)wok__bytes(out[i].dtype, &out[i].shape);
  printf(" %8.3f ms %5.1f GB/s %s |", t * 1e3, bytes / t * 1e-9, name);
  return t;
}
/* In f32, and with the arrays that `mix` names in bf16 (bit i: input i, bit 8 + o: output o). */
static void row(const char *what, wok__opid op, const void *attr, const wok__arr *in, int nin, const wok__arr *out, int nout, uint32_t mix) {
  wok__arr in2[MOST], out2[MOST];
  const char *name;
  printf("%-28s", what);
  double t = measure(op, attr, in, nin, out, nout, 15, &name);
  report(name, in, nin, out, nout, t);
  if (mix) {
    for (int i = 0; i < nin; i++) in2[i] = mix >> i & 1 ? bf16(&in[i]) : in[i];
    for (int i = 0; i < nout; i++) out2[i] = mix >> (8 + i) & 1 ? bf16(&out[i]) : out[i];
    t = measure(op, attr, in2, nin, out2, nout, 15, &name);
    printf(" bf16:");
    report(name, in2, nin, out2, nout, t);
    for (int i = 0; i < nin; i++)
      if (mix >> i & 1) drop(&in2[i], 1);
    for (int i = 0; i < nout; i++)
      if (mix >> (8 + i) & 1) drop(&out2[i], 1);
  }
  printf("\n");
}
static void rows(void) {
  enum { T = 4096, C = 768, F = 3072 };
  static const wok__attr_norm norm = {1e-5};
  static const wok__attr_permute turn = {{1, 0}};
  static const wok__attr_rope pairs = {.interleaved = 1}, halves = {0};
  static const wok__attr_dropout tenth = {.p = 0.1, .stream = 1};
  static const wok__attr_slice third = {1, C, 2 * C};
  wok_shape tc = WOK_SHAPE(T, C), c = WOK_SHAPE(C), tf = WOK_SHAPE(T, F);
  wok__arr x = f32(tc, 1), y = f32(tc, 1), dy = f32(tc, 1), gain = f32(c, 1), bias = f32(c, 1), mean = f32(WOK_SHAPE(T), 1),
           rstd = f32(WOK_SHAPE(T), 1), dgain = f32(c, 1), dbias = f32(c, 1), a = f32(tf, 3), b = f32(tf, 1), z = f32(tf, 1),
           z2 = f32(tf, 1), z3 = f32(tf, 1);
  row("layer_norm 4096x768", WOK__OP_layer_norm, &norm, (wok__arr[]){x, gain, bias}, 3, (wok__arr[]){y, mean, rstd}, 3, 0x100);
  row("layer_norm_bwd", WOK__OP_layer_norm_bwd, &norm, (wok__arr[]){dy, x, gain, mean, rstd}, 5, (wok__arr[]){y, dgain, dbias}, 3, 1);
  row("rms_norm", WOK__OP_rms_norm, &norm, (wok__arr[]){x, gain}, 2, (wok__arr[]){y, rstd}, 2, 0x100);
  row("rms_norm_bwd", WOK__OP_rms_norm_bwd, &norm, (wok__arr[]){dy, x, gain, rstd}, 4, (wok__arr[]){y, dgain}, 2, 1);
  static const char *const acts[] = {"gelu (tanh) 4096x3072", "gelu (erf)", "silu", "relu"};
  for (int i = 0; i < WOK_ACT_COUNT; i++) {
    wok__attr_act act = {.act = i};
    char text[64];
    row(acts[i], WOK__OP_activation, &act, &a, 1, &z, 1, 0x101);
    snprintf(text, sizeof text, "%s backward", acts[i]);
    row(text, WOK__OP_activation_bwd, &act, (wok__arr[]){b, a}, 2, &z, 1, 0x103);
  }
  static const wok__attr_act silu = {.act = WOK_ACT_SILU};
  row("gated silu", WOK__OP_gated, &silu, (wok__arr[]){a, b}, 2, &z, 1, 0x103);
  row("gated silu backward", WOK__OP_gated_bwd, &silu, (wok__arr[]){b, a, z3}, 3, (wok__arr[]){z, z2}, 2, 0x307);
  row("add 4096x3072", WOK__OP_add, NULL, (wok__arr[]){a, b}, 2, &z, 1, 0x103);
  row("add to residual 4096x768", WOK__OP_add, NULL, (wok__arr[]){x, dy}, 2, &y, 1, 2);
  row("mul", WOK__OP_mul, NULL, (wok__arr[]){a, b}, 2, &z, 1, 0x103);
  row("dropout", WOK__OP_dropout, &tenth, &a, 1, &z, 1, 0x101);
  row("softmax", WOK__OP_softmax, NULL, &a, 1, &z, 1, 0x101);
  row("softmax_bwd", WOK__OP_softmax_bwd, NULL, (wok__arr[]){b, a}, 2, &z, 1, 0x103);
  row("sum over rows", WOK__OP_sum_to, NULL, &a, 1, (wok__arr[]){f32(WOK_SHAPE(F), 1)}, 1, 1);
  row("sum over rows 4096x768", WOK__OP_sum_to, NULL, &x, 1, (wok__arr[]){f32(WOK_SHAPE(C), 1)}, 1, 1);
  row("sum over all", WOK__OP_sum_to, NULL, &a, 1, (wok__arr[]){f32(WOK_SHAPE0, 1)}, 1, 1);
  row("transpose", WOK__OP_permute, &turn, &a, 1, (wok__arr[]){f32(WOK_SHAPE(F, T), 1)}, 1, 0x101);
  row("slice 768 of 3072", WOK__OP_slice, &third, &a, 1, (wok__arr[]){f32(WOK_SHAPE(T, C), 1)}, 1, 0x101);
  wok__arr q = f32(WOK_SHAPE(T, 12, 64), 1), r = f32(WOK_SHAPE(T, 12, 64), 1), pos = i32(T, 512), freq = f32(WOK_SHAPE(32), 1);
  row("rope, halves", WOK__OP_rope, &halves, (wok__arr[]){q, pos, freq}, 3, &r, 1, 0x101);
  row("rope, interleaved", WOK__OP_rope, &pairs, (wok__arr[]){q, pos, freq}, 3, &r, 1, 0x101);
  wok__arr table = f32(WOK_SHAPE(50257, C), 1), idx = i32(T, 50257);
  row("scatter_add into 50257x768", WOK__OP_scatter_add, NULL, (wok__arr[]){x, idx}, 2, &table, 1, 1);
}

static void adamw(void) {
  const int64_t n = 56623104;
  wok__arr s[4];
  for (int i = 0; i < 4; i++) s[i] = f32(WOK_SHAPE(n), i == 3 ? 0 : 1);
  wok__adamw_args a = {.lr = 1e-3, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .weight_decay = 0.01, .bias1 = 0.1, .bias2 = 0.001, .grad_scale = 1};
  uint16_t *bf = wok__pages_alloc(n * 2);
  if (!bf) stop("no memory");
  double t[3][9];
  for (int i = -1; i < 9; i++) {
    double t0 = seconds();
    wok__adamw(ctx, s[0].data, s[1].data, s[2].data, s[3].data, NULL, n, &a);
    double t1 = seconds();
    (void)wok__sumsq(ctx, s[1].data, n, NULL);
    double t2 = seconds();
    wok__adamw(ctx, s[0].data, s[1].data, s[2].data, s[3].data, bf, n, &a);
    if (i >= 0) t[0][i] = t1 - t0, t[1][i] = t2 - t1, t[2][i] = seconds() - t2;
  }
  static const char *const what[] = {"adamw", "sum of squares", "adamw with a bf16 copy"};
  static const double bytes[] = {28e-9, 4e-9, 30e-9};
  for (int k = 0; k < 3; k++) {
    qsort(t[k], 9, sizeof **t, by_value);
    printf("%s of 56.6 M parameters: %.1f ms, %.1f GB/s\n", what[k], t[k][4] * 1e3, bytes[k] * (double)n / t[k][4]);
  }
}

int main(int argc, char **argv) {
  const char *what = argc > 1 ? argv[1] : "all";
  if (argc > 2) threads = atoi(argv[2]);
  if (wok_ctx_new(&ctx, &(wok_ctx_opts){.threads = threads, .isa_cap = argc > 3 ? argv[3] : NULL})) stop("no context");
  bool all = strcmp(what, "all") == 0;
  if (all || strcmp(what, "attention") == 0) {
    attention(8, 512, 12, 12, 64, true, 0, 0);
    attention(8, 512, 12, 12, 64, false, 0, 0);
    attention(8, 512, 12, 12, 64, true, 0, 0.1);
    attention(2, 2048, 12, 12, 64, true, 0, 0);
    attention(2, 2048, 12, 4, 64, true, 0, 0);
    attention(8, 512, 8, 2, 128, true, 0, 0);
    attention(32, 128, 12, 12, 64, false, 0, 0);
    attention(120, 33, 12, 12, 64, false, 0, 0);
    attention(4, 1024, 12, 12, 64, true, 256, 0);
    attention(1, 4096, 1, 1, 64, true, 0, 0);
  }
  if (all || strcmp(what, "decode") == 0) {
    decode(1, 4096, 12, 12, 64, 1);
    decode(16, 1024, 12, 12, 64, 1);
    decode(1, 8192, 32, 4, 128, 1);
    decode(1, 4096, 12, 12, 64, 16);
  }
  if (all || strcmp(what, "rows") == 0) rows();
  if (all || strcmp(what, "adamw") == 0) adamw();
  wok_ctx_free(ctx);
  return 0;
}
