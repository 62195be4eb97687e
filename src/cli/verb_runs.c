/* wok report, wok runs: looking at training runs. */
#include <string.h>
#include <time.h>
#include "cli.h"

/* ---- report ---- */
typedef struct report_options { const char *out; } report_options;
static const cli_option report_list[] = {
    {"output", 'o', CLI_STRING, "FILE", offsetof(report_options, out), 0, 0, "the page to write [RUN/report.html]"}, CLI_OPTIONS_END};

static int run_report(cli *c) {
  const report_options *o = c->options;
  wok_status s = wok_report_write(c->ctx, c->args[0], o->out);
  if (s) return cli_status(c, s);
  if (c->common.json) cli_json(o->out ? json_pack("{s:s}", "report", o->out) : json_pack("{s:s+}", "report", c->args[0], "/report.html"));
  else if (o->out) cli_print("%s\n", o->out);
  else cli_print("%s/report.html\n", c->args[0]);
  return EXIT_DONE;
}

const cli_verb cli_report = {
    .name = "report", .args = "RUN [-o FILE]", .summary = "write one self-contained HTML page about a run",
    .details = "Curves, n-gram baselines where they were measured, settings, machine, samples. Works while the run goes on.",
    .examples = "  wok report runs/first",
    .options = report_list, .size = sizeof(report_options), .min_args = 1, .max_args = 1, .run = run_report};

/* ---- runs ---- */
static int run_runs(cli *c) {
  wok_run_summary *r;
  int64_t n;
  const char *root = c->nargs ? c->args[0] : "runs";
  wok_status s = wok_runs_list(c->ctx, root, &r, &n);
  if (s == WOK_NOTFOUND && !c->nargs) return cli_fail(c, "there is no directory runs here: name the one that your runs are in");
  if (s) return cli_status(c, s);
  json_t *all = json_array();
  if (!c->common.json && n) cli_print("%-28s %-8s %10s %15s %9s %9s  %s\n", "run", "state", "parameters", "step", "held out", "time", "started");
  for (int64_t i = 0; i < n; i++) {
    if (c->common.json) {
      json_array_append_new(all, json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:f, s:f, s:f, s:I}", "run", r[i].dir, "model", r[i].model,
                                           "state", r[i].state, "parameters", (json_int_t)r[i].parameters, "step", (json_int_t)r[i].step,
                                           "steps", (json_int_t)r[i].steps, "bits", r[i].bits, "best_bits", r[i].best_bits, "seconds",
                                           r[i].seconds, "started_ms", (json_int_t)r[i].started_ms));
      continue;
    }
    char steps[40], when[32] = "", bits[16] = "-";
    time_t t = (time_t)(r[i].started_ms / 1000);
    struct tm tm;
    if (localtime_r(&t, &tm)) strftime(when, sizeof when, "%Y-%m-%d %H:%M", &tm);
    snprintf(steps, sizeof steps, r[i].steps > 0 ? "%lld/%lld" : "%lld", (long long)r[i].step, (long long)r[i].steps);
    if (r[i].best_bits > 0) snprintf(bits, sizeof bits, "%.3f", r[i].best_bits);
    cli_print("%-28s %-8s %10s %15s %9s %9s  %s\n", r[i].dir, r[i].state, cli_count((double)r[i].parameters), steps, bits,
              cli_seconds(r[i].seconds), when);
  }
  if (!n && !c->common.json) cli_note(c, "no runs in %s", root);
  if (c->common.json) cli_json(all);
  else json_decref(all);
  wok_text_free((char *)r);
  return EXIT_DONE;
}

const cli_verb cli_runs = {
    .name = "runs", .args = "[DIR]", .summary = "list the runs in a directory [runs], best held-out bits and state",
    .examples = "  wok runs\n  wok runs experiments --json",
    .options = NULL, .size = 0, .min_args = 0, .max_args = 1, .run = run_runs};
