/* cli/bench.h - what the kinds of `wok bench` share. A kind measures one row (a shape) at a time; the frame (verb_bench.c) takes
   the rows from the command line, a file or the built-in list, and judges whether the machine was ours meanwhile. */
#ifndef WOK_CLI_BENCH_H
#define WOK_CLI_BENCH_H
#include "cli/cli.h"

typedef struct bench_options {
  const char *arch, *preset, *style, *compute, *layout, *norm, *net, *shapes;
  int64_t depth, layers, hidden, vocab, batch, seq, reps, m, n, k, heads, kv_heads, head_dim, tokens, prompt, chain;
  bool report, bidirectional;
  const char *label; /* the comment of a row's line; NULL: none */
} bench_options;

/* Fills row, prints a line unless --json. Returns an exit status. */
typedef int bench_run(cli *c, const bench_options *o, json_t *row);
bench_run bench_gemm, bench_attention, bench_norm, bench_xent, bench_optim;            /* bench_kernels.c */
bench_run bench_train, bench_generate, bench_second_order, bench_plan, bench_startup;  /* bench_steps.c, bench_startup.c */

/* The built-in rows of a kind, as bench/shapes/KIND.txt says them; NULL: there are none. Made by the build. */
const char *bench_shapes_of(const char *kind);

/* Prints; before the first time, the machine. So an error before anything was measured leaves stdout empty. */
void bench_say(cli *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
double bench_now(void);
int64_t bench_or(int64_t given, int64_t otherwise);
const char *bench_spread_text(const wok_bench_spread *s);          /* "11.2 ms (10.9 to 12.4)"; static, eight in turn */
void bench_spread_json(json_t *row, const char *name, const wok_bench_spread *s); /* row[name] = {"median_s": ...} */
/* Seconds of `reps` runs of a plan after one more to warm up. */
wok_status bench_plan_times(cli *c, wok_plan *p, int64_t reps, wok_bench_spread *s);
enum { BENCH_MOST_REPS = 1000 };
#endif
