/* wok bench plan, startup: what happens before anything is computed. */
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "cli/bench.h"

/* ---- plan ---- */
static int chain(cli *c, const bench_options *o, json_t *row) {
  wok_bench_chain_result r;
  wok_status s = wok_bench_chain(c->ctx, &(wok_bench_chain_opts){.length = o->chain, .reps = (int)o->reps}, &r);
  if (s) return cli_status(c, s);
  double each = r.run.median_s / (double)r.length;
  json_object_set_new(row, "chain", json_integer((json_int_t)r.length));
  json_object_set_new(row, "operator_s", json_real(each));
  json_object_set_new(row, "compile_s", json_real(r.compile_s));
  bench_spread_json(row, "run", &r.run);
  if (!c->common.json)
    bench_say(c, "chain of %lld operators on one element: %s, %.3f us each; planned in %.4f s\n", (long long)r.length, bench_spread_text(&r.run),
              each * 1e6, r.compile_s);
  return EXIT_DONE;
}

int bench_plan(cli *c, const bench_options *o, json_t *row) {
  if (o->chain) return chain(c, o, row);
  wok_bench_compile_opts opts = {.layers = o->layers, .hidden = o->hidden, .vocab = o->vocab, .batch = o->batch, .seq = o->seq, .reps = (int)o->reps};
  wok_bench_compile_result r;
  wok_status s = wok_bench_compile(c->ctx, &opts, &r);
  if (s) return cli_status(c, s);
  json_t *mine = json_pack("{s:I, s:I, s:I, s:I}", "layers", (json_int_t)r.layers, "parameters", (json_int_t)r.parameters, "steps",
                           (json_int_t)r.steps, "plan_bytes", (json_int_t)r.plan_bytes);
  json_object_update(row, mine);
  json_decref(mine);
  bench_spread_json(row, "compile", &r.compile);
  if (!c->common.json)
    bench_say(c, "%lld layers, %s parameters: graph, gradient and plan of %lld steps in %s\n", (long long)r.layers,
              cli_count((double)r.parameters), (long long)r.steps, bench_spread_text(&r.compile));
  return EXIT_DONE;
}

/* ---- startup ---- */
extern char **environ;

/* This program with one argument, its output thrown away: from the call to its end. 0: it could not be started or failed. */
static double run_self(const char *argument) {
  posix_spawn_file_actions_t quiet;
  if (posix_spawn_file_actions_init(&quiet)) return 0;
  int status = -1;
  pid_t child;
  char name[] = "wok", arg[32];
  snprintf(arg, sizeof arg, "%s", argument);
  double t = bench_now();
  bool ok = !posix_spawn_file_actions_addopen(&quiet, 1, "/dev/null", O_WRONLY, 0) &&
            !posix_spawn(&child, "/proc/self/exe", &quiet, NULL, (char *[]){name, arg, NULL}, environ) && waitpid(child, &status, 0) == child;
  t = bench_now() - t;
  posix_spawn_file_actions_destroy(&quiet);
  return ok && WIFEXITED(status) && WEXITSTATUS(status) == 0 ? t : 0;
}

static double time_context(cli *c) {
  wok_ctx *aside;
  double t = bench_now();
  if (wok_ctx_new(&aside, &(wok_ctx_opts){.threads = (int)c->common.threads})) return 0;
  wok_ctx_free(aside);
  return bench_now() - t;
}

int bench_startup(cli *c, const bench_options *o, json_t *row) {
  enum { VERSION, HELP, CONTEXT, KINDS };
  static const char *const name[KINDS] = {"version", "help", "context"};
  static const char *const says[KINDS] = {"wok --version, start to end", "wok --help, start to end", "a context, made and freed"};
  int64_t reps = bench_or(o->reps, 20);
  for (int kind = 0; kind < KINDS; kind++) {
    double v[BENCH_MOST_REPS];
    for (int64_t i = -1; i < reps; i++) {
      double t = kind == CONTEXT ? time_context(c) : run_self(kind == HELP ? "--help" : "--version");
      if (t <= 0) return cli_fail(c, "%s: it could not be started", says[kind]);
      if (wok_cancelled(c->ctx)) return cli_status(c, WOK_INTERRUPTED);
      if (i >= 0) v[i] = t;
    }
    wok_bench_spread s;
    wok_bench_spread_of(&s, v, (int)reps);
    bench_spread_json(row, name[kind], &s);
    if (!c->common.json) bench_say(c, "%-28s %s\n", says[kind], bench_spread_text(&s));
  }
  return EXIT_DONE;
}
