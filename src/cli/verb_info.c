/* wok info: this build on this machine. */
#include "cli.h"

static int run(cli *c) {
  wok_machine m;
  wok_machine_info(c->ctx, &m);
  static const char *const engines[] = {"onednn", "wok"};
  double rate[2] = {0};
  for (int i = 0; i < 2; i++) {
    wok_bench_result r;
    wok_bench_gemm_opts o = {.dtype = WOK_F32, .M = 2048, .N = 3072, .K = 768, .tb = true, .reps = 5, .engine = engines[i]};
    wok_status s = wok_bench_gemm(c->ctx, &o, &r);
    if (s && s != WOK_UNSUPPORTED) return cli_status(c, s);
    rate[i] = s ? 0 : r.gflops_best;
  }
  if (c->common.json) {
    json_t *j = json_pack("{s:s, s:o, s:f, s:f}", "version", wok_version(), "machine", cli_machine_json(c), "onednn_gemm_gflops", rate[0],
                          "gemm_gflops", rate[1]);
    cli_json(j);
    return EXIT_DONE;
  }
  cli_print("wok %s\n", wok_version());
  cli_print("CPU       %s, %d CPU%s, load %.2f\n", m.cpu, m.cpus, m.cpus == 1 ? "" : "s", m.load1);
  cli_print("features  %s\n", m.features[0] ? m.features : "none that kernels use");
  cli_print("memory    %s\n", cli_size(m.memory));
  cli_print("threads   %d\n", m.threads);
  cli_print("kernels   %s%s%s\n", m.isa, m.onednn ? ", matrix products by oneDNN " : ", matrix products by wok's own (built without oneDNN: slower)",
            m.onednn ? m.onednn : "");
  cli_print("products  %.0f GFLOP/s in f32 (2048 x 3072 x 768, best of five)", rate[1]);
  if (rate[0] > 0) cli_print("; oneDNN by itself %.0f", rate[0]);
  cli_print("\n");
  return EXIT_DONE;
}

const cli_verb cli_info = {
    .name = "info", .args = "", .summary = "version, CPU, kernels in use, measured rate of matrix products",
    .options = NULL, .size = 0, .min_args = 0, .max_args = 0, .run = run};
