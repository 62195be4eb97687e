/* wok info: this build on this machine. */
#include "cli.h"

/* Rate of one product, best of five; 0: this build or machine has no such engine. */
static wok_status rate(cli *c, wok_dtype t, const char *engine, double *gflops) {
  wok_bench_result r;
  wok_bench_gemm_opts o = {.dtype = t, .M = 2048, .N = 3072, .K = 768, .tb = true, .reps = 5, .engine = engine};
  wok_status s = wok_bench_gemm(c->ctx, &o, &r);
  *gflops = s ? 0 : r.gflops_best;
  return s == WOK_UNSUPPORTED ? WOK_OK : s;
}

static int run(cli *c) {
  wok_machine m;
  wok_machine_info(c->ctx, &m);
  static const struct { const char *name, *key[2]; wok_dtype type; } kinds[] = {
      {"f32", {"gemm_gflops", "onednn_gemm_gflops"}, WOK_F32}, {"bf16", {"bf16_gemm_gflops", "onednn_bf16_gemm_gflops"}, WOK_BF16}};
  double gflops[2][2];
  for (int i = 0; i < 2; i++)
    for (int k = 0; k < 2; k++) {
      wok_status s = rate(c, kinds[i].type, k ? "onednn" : "wok", &gflops[i][k]);
      if (s) return cli_status(c, s);
    }
  if (c->common.json) {
    json_t *j = json_pack("{s:s, s:o}", "version", wok_version(), "machine", cli_machine_json(c));
    for (int i = 0; i < 2; i++)
      for (int k = 0; k < 2; k++) json_object_set_new(j, kinds[i].key[k], json_real(gflops[i][k]));
    cli_json(j);
    return EXIT_DONE;
  }
  cli_print("wok %s\n", wok_version());
  cli_print("CPU       %s, %d CPU%s, load %.2f\n", m.cpu, m.cpus, m.cpus == 1 ? "" : "s", m.load1);
  cli_print("features  %s\n", m.features[0] ? m.features : "none that kernels use");
  cli_print("memory    %s\n", cli_size(m.memory));
  cli_print("threads   %d\n", m.threads);
  cli_print("kernels   %s; convolutions by %s%s\n", m.isa, m.onednn ? "oneDNN " : "the reference (built without oneDNN: slow)", m.onednn ? m.onednn : "");
  for (int i = 0; i < 2; i++) {
    if (gflops[i][0] <= 0) continue;
    cli_print("%-9s %.0f GFLOP/s in %s", i ? "" : "products", gflops[i][0], kinds[i].name);
    if (gflops[i][1] > 0) cli_print("; oneDNN by itself %.0f", gflops[i][1]);
    cli_print("%s\n", i ? "" : "  (2048 x 3072 x 768, best of five)");
  }
  return EXIT_DONE;
}

const cli_verb cli_info = {
    .name = "info", .args = "", .summary = "version, CPU, kernels in use, measured rate of matrix products",
    .options = NULL, .size = 0, .min_args = 0, .max_args = 0, .run = run};
