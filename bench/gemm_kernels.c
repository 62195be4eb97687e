/* gemm_kernels.c - matrix products and the loss head: wok's engines against oneDNN by itself, in turns in one process.
   For each shape the engines run one after another, `rounds` times; printed are the best rates of all rounds, in GFLOP/s, and
   the ratio of the first engine to the second.

   cc -O2 -Iinclude bench/gemm_kernels.c build/release/libwok.a -ldnnl -lgomp -llapack -ljansson -lpthread -lm -o gemm_kernels
   ./gemm_kernels large|small|few|head [threads [rounds [engine ...]]]
   engines: wok amx-bf16 amx-bf16x3 amx-bf16x6 avx512 avx2 generic onednn-tiles onednn, wok:bf16 and onednn:bf16 (factors stored
   in bf16), registers (what the tile units do on registers alone, in the same minute)
   ./gemm_kernels large 2 5 wok:bf16 onednn:bf16 registers     ./gemm_kernels large 2 5 amx-bf16x6 onednn avx512 amx-bf16x3 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wok/bench.h>

typedef struct shape { const char *set; int64_t M, N, K; bool ta, tb; } shape;
static const shape shapes[] = {
    /* GPT-2 124M, 4096 tokens: forward, gradients of the input, gradients of the weights */
    {"large", 4096, 2304, 768, false, true},  {"large", 4096, 768, 768, false, true},  {"large", 4096, 3072, 768, false, true},
    {"large", 4096, 768, 3072, false, true},  {"large", 4096, 768, 2304, false, false}, {"large", 4096, 768, 768, false, false},
    {"large", 4096, 768, 3072, false, false}, {"large", 4096, 3072, 768, false, false}, {"large", 2304, 768, 4096, true, false},
    {"large", 768, 768, 4096, true, false},   {"large", 3072, 768, 4096, true, false}, {"large", 768, 3072, 4096, true, false},
    /* a model of width 256, 2048 tokens; and tiny ones */
    {"small", 2048, 256, 256, false, true},   {"small", 2048, 768, 256, false, true},  {"small", 2048, 1024, 256, false, true},
    {"small", 2048, 256, 1024, false, true},  {"small", 2048, 256, 1024, false, false}, {"small", 2048, 1024, 256, false, false},
    {"small", 256, 256, 2048, true, false},   {"small", 1024, 256, 2048, true, false}, {"small", 256, 1024, 2048, true, false},
    {"small", 128, 128, 128, false, true},    {"small", 512, 64, 64, false, true},     {"small", 64, 64, 512, true, false},
    /* few rows: decoding, short prompts */
    {"few", 1, 768, 768, false, true},        {"few", 1, 3072, 768, false, true},      {"few", 1, 50257, 768, false, true},
    {"few", 4, 3072, 768, false, true},       {"few", 8, 3072, 768, false, true},      {"few", 16, 3072, 768, false, true},
    {"few", 64, 3072, 768, false, true},      {"few", 16, 3072, 768, false, false},
};
static const wok_bench_head_opts heads[] = {
    {.T = 4096, .V = 50257, .C = 768}, {.T = 4096, .V = 6000, .C = 256}, {.T = 614, .V = 30522, .C = 768},
    {.T = 4096, .V = 50257, .C = 768, .bf16 = true}, {.T = 4096, .V = 6000, .C = 256, .bf16 = true},
    {.T = 614, .V = 30522, .C = 768, .bf16 = true}};

/* "wok:bf16" is engine wok on factors stored in bf16. */
static wok_status run_one(wok_ctx *c, const shape *s, const char *spec, wok_bench_result *b) {
  char name[32];
  const char *colon = strchr(spec, ':');
  snprintf(name, sizeof name, "%.*s", (int)(colon ? colon - spec : 31), spec);
  wok_bench_gemm_opts o = {.dtype = colon && !strcmp(colon, ":bf16") ? WOK_BF16 : WOK_F32, .M = s->M, .N = s->N, .K = s->K, .ta = s->ta,
                           .tb = s->tb, .engine = name};
  return wok_bench_gemm(c, &o, b);
}

static int products(wok_ctx *c, const char *set, int rounds, char **engine, int engines) {
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
    const shape *s = &shapes[i];
    double best[8] = {0};
    char what[64] = "";
    if (strcmp(s->set, set) != 0) continue;
    for (int r = 0; r < rounds; r++)
      for (int e = 0; e < engines; e++) {
        wok_bench_result b;
        wok_status st = run_one(c, s, engine[e], &b);
        if (st != WOK_OK) {
          fprintf(stderr, "%s\n", wok_errmsg(c));
          return 1;
        }
        if (b.gflops_best > best[e]) best[e] = b.gflops_best;
        if (e == 0) snprintf(what, sizeof what, "%s", b.what);
      }
    printf("%5lldx%5lldx%5lld %s%s", (long long)s->M, (long long)s->N, (long long)s->K, s->ta ? "T" : "N", s->tb ? "T" : "N");
    for (int e = 0; e < engines; e++) printf(" | %s %4.0f", engine[e], best[e]);
    printf(" | %.2f | %s\n", best[0] / best[engines > 1], what);
    fflush(stdout);
  }
  return 0;
}

int main(int argc, char **argv) {
  static char wok[] = "wok", onednn[] = "onednn";
  static char *usual[] = {wok, onednn};
  if (argc < 2) {
    fprintf(stderr, "usage: gemm_kernels large|small|few|head [threads [rounds [engine ...]]]\n");
    return 2;
  }
  int threads = argc > 2 ? atoi(argv[2]) : 2, rounds = argc > 3 ? atoi(argv[3]) : 3, engines = argc > 4 ? argc - 4 : 2;
  wok_ctx *c;
  if (engines > 8 || wok_ctx_new(&c, &(wok_ctx_opts){.threads = threads}) != WOK_OK) return 1;
  int status = 0;
  if (strcmp(argv[1], "head") != 0) status = products(c, argv[1], rounds, argc > 4 ? argv + 4 : usual, engines);
  for (size_t i = 0; i < sizeof heads / sizeof *heads && !strcmp(argv[1], "head"); i++) {
    wok_bench_result b;
    if (wok_bench_head(c, &heads[i], &b) != WOK_OK) return 1;
    printf("%s, T %lld V %lld C %lld: best %.0f ms, median %.0f ms, %.0f GFLOP/s\n", b.what, (long long)heads[i].T, (long long)heads[i].V,
           (long long)heads[i].C, b.best_s * 1e3, b.median_s * 1e3, b.gflops_best);
    fflush(stdout);
  }
  wok_ctx_free(c);
  return status;
}
