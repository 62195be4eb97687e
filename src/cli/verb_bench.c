/* wok bench: the numbers we publish, one command each. Prints what it measured, the shapes, the CPU, the load, and whether the
   machine was ours meanwhile. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "cli/bench.h"

enum { MOST_ROWS = 256 };

#define AT(field) offsetof(bench_options, field)
static const cli_option list[] = {
    {"reps", 0, CLI_INT, "N", AT(reps), 1, BENCH_MOST_REPS, "counted repetitions [by kind: 5 to 200]"},
    {"shapes", 0, CLI_STRING, "FILE", AT(shapes), 0, 0, "rows to measure, a line of name=value each [built in: bench/shapes]"},
    {"compute", 0, CLI_CHOICE, CLI_COMPUTES, AT(compute), 0, 0, "train, generate, gemm, attention: what products compute in [f32]"},
    {"arch", 0, CLI_CHOICE, "gpt", AT(arch), 0, 0, "train, generate: family [gpt]"},
    {"preset", 0, CLI_CHOICE, "nano|micro|small|base", AT(preset), 0, 0, "train, generate: size [base]"},
    {"depth", 0, CLI_INT, "N", AT(depth), 1, 256, "train, generate: or one dial"},
    {"style", 0, CLI_CHOICE, "gpt2|llama", AT(style), 0, 0, "train, generate: block [gpt2]"},
    {"layers", 0, CLI_INT, "N", AT(layers), 1, 1e5, "train, generate, plan: layers [the preset's]"},
    {"hidden", 0, CLI_INT, "N", AT(hidden), 1, 1e6, "train, generate, plan: hidden size [the preset's]"},
    {"vocab", 0, CLI_INT, "N", AT(vocab), 2, 1e7, "train, xent, plan: vocabulary [the preset's, 50257]"},
    {"batch", 0, CLI_INT, "N", AT(batch), 1, 1e6, "sequences [8; generate 1], samples of second-order"},
    {"seq", 0, CLI_INT, "N", AT(seq), 1, 1e6, "tokens of each [512]"},
    {"m", 0, CLI_INT, "N", AT(m), 1, 1e7, "gemm, norm, xent: rows"},
    {"n", 0, CLI_INT, "N", AT(n), 1, 1e10, "gemm, norm: columns; optim: parameters"},
    {"k", 0, CLI_INT, "N", AT(k), 1, 1e7, "gemm, xent: inner size"},
    {"layout", 0, CLI_CHOICE, "NT|NN|TN", AT(layout), 0, 0, "gemm: A and B as they lie, T: transposed [NT, a layer]"},
    {"norm", 0, CLI_CHOICE, "layer|rms", AT(norm), 0, 0, "norm: which [layer]"},
    {"heads", 0, CLI_INT, "N", AT(heads), 1, 1e4, "attention: query heads [12]; models: [hidden / 64]"},
    {"kv-heads", 0, CLI_INT, "N", AT(kv_heads), 1, 1e4, "attention, models: key/value heads [as --heads]"},
    {"head-dim", 0, CLI_INT, "N", AT(head_dim), 1, 1024, "attention, models: size of a head [64]"},
    {"bidirectional", 0, CLI_FLAG, NULL, AT(bidirectional), 0, 0, "attention: every key visible [causal]"},
    {"prompt", 0, CLI_INT, "N", AT(prompt), 1, 1e6, "generate: tokens of the prompt [128]"},
    {"tokens", 0, CLI_INT, "N", AT(tokens), 1, 1e6, "generate: new tokens [128]"},
    {"net", 0, CLI_CHOICE, "mlp|conv", AT(net), 0, 0, "second-order: critic, 2-64-64-1 or on images of 1x28x28 [mlp]"},
    {"chain", 0, CLI_INT, "N", AT(chain), 1, 1e7, "plan: a chain of N operators on one element"},
    {"report", 0, CLI_FLAG, NULL, AT(report), 0, 0, "train, second-order: the plan, operators timed"},
    CLI_OPTIONS_END};

static const struct { const char *name; bench_run *run; bool computes; } kinds[] = {
    {"gemm", bench_gemm, true},          {"train", bench_train, true},   {"attention", bench_attention, true},
    {"norm", bench_norm, false},         {"xent", bench_xent, false},    {"optim", bench_optim, false},
    {"generate", bench_generate, true}, {"plan", bench_plan, false},    {"second-order", bench_second_order, false},
    {"startup", bench_startup, false}};

/* ---- rows ---- */
/* Is there a shape on the command line? How often to measure and how to compute is none. */
static bool one_shape(const bench_options *o) {
  for (const cli_option *p = list; p->name; p++) {
    const void *at = (const char *)o + p->offset;
    if (p->offset == AT(reps) || p->offset == AT(shapes) || p->offset == AT(compute) || p->offset == AT(report)) continue;
    if (p->type == CLI_FLAG ? *(const bool *)at : p->type == CLI_INT ? *(const int64_t *)at != 0 : *(const char *const *)at != NULL) return true;
  }
  return false;
}

static char *read_text(cli *c, const char *path) {
  enum { MOST = 1 << 20 };
  char *text = malloc(MOST + 1);
  FILE *f = fopen(path, "r");
  size_t n = f && text ? fread(text, 1, MOST + 1, f) : 0;
  bool bad = !text || !f || ferror(f) || n > MOST;
  if (bad) cli_fail(c, "%s: %s", path, n > MOST ? "too long for a list of shapes" : strerror(errno ? errno : ENOMEM));
  if (f) fclose(f);
  if (bad) {
    free(text);
    return NULL;
  }
  text[n] = 0;
  return text;
}

/* "m=4096 bidirectional # comment" over what the command line says. */
static int read_row(cli *c, char *line, bench_options *o) {
  char *comment = strchr(line, '#'), *rest = NULL;
  if (comment) {
    *comment++ = 0;
    comment += strspn(comment, " ");
  }
  o->label = comment && *comment ? comment : NULL;
  int64_t reps = o->reps;
  for (char *word = strtok_r(line, " \t\r", &rest); word; word = strtok_r(NULL, " \t\r", &rest)) {
    char *value = strchr(word, '=');
    if (value) *value++ = 0;
    int e = cli_set(c, list, o, word, value);
    if (e) return e;
  }
  if (reps) o->reps = reps; /* the command line has the last word on that */
  return EXIT_DONE;
}

static bool only_comment(const char *line) { return line[strspn(line, " \t\r")] == '#' || !line[strspn(line, " \t\r")]; }

/* ---- measuring ---- */
typedef struct session {
  int kind, dirty, count;
  bench_options row[MOST_ROWS];
  char *text; /* the rows' words lie in it */
  json_t *rows;
  wok_bench_verdict before;
} session;

static int check(cli *c, const session *s, const bench_options *o) {
  if (kinds[s->kind].run == bench_gemm && !(o->m && o->n && o->k)) return cli_usage(c, "gemm takes all of --m, --n and --k or none");
  if (bench_or(o->heads, 12) % bench_or(o->kv_heads, 1)) return cli_usage(c, "--heads must be a multiple of --kv-heads");
  if (o->compute && strcmp(o->compute, "f32") != 0 && !kinds[s->kind].computes)
    return cli_fail(c, "--compute %s: %s is measured in f32", o->compute, kinds[s->kind].name);
  return EXIT_DONE;
}

/* What others do while we sleep: for rows too short to be judged by themselves. */
static wok_bench_verdict look_around(void) {
  wok_bench_watch w;
  wok_bench_watch_begin(&w);
  (void)nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL);
  return wok_bench_watch_end(&w);
}

static int measure(cli *c, session *s, const bench_options *o) {
  json_t *row = json_object();
  wok_bench_watch watch;
  if (o->label) json_object_set_new(row, "label", json_string(o->label));
  wok_bench_watch_begin(&watch);
  int e = kinds[s->kind].run(c, o, row);
  wok_bench_verdict v = wok_bench_watch_end(&watch);
  if (v.seconds < 0.5 && v.others < s->before.others) v = s->before;
  if (e) {
    json_decref(row);
    return e;
  }
  json_object_set_new(row, "others", json_real(v.others));
  json_object_set_new(row, "result", json_boolean(!v.busy));
  json_array_append_new(s->rows, row);
  s->dirty += v.busy;
  if (v.busy && !c->common.json)
    bench_say(c, "  busy machine: not a result (others kept %.2f CPUs busy; up to %.2f is allowed)\n", v.others, v.limit);
  fflush(stdout);
  return EXIT_DONE;
}

/* All rows are read before the first is measured, so that what is wrong is said at once. */
static int read_rows(cli *c, session *s, const bench_options *o, char *text, const char *where) {
  char place[512];
  int number = 0, e = EXIT_DONE;
  for (char *line = text, *next; line && !e; line = next) {
    next = strchr(line, '\n');
    if (next) *next++ = 0;
    number++;
    if (only_comment(line)) continue;
    if (s->count == MOST_ROWS) return cli_usage(c, "%s: more than %d shapes", where, MOST_ROWS);
    bench_options *row = &s->row[s->count++];
    *row = *o;
    snprintf(place, sizeof place, "line %d of %s: ", number, where);
    c->where = place;
    e = read_row(c, line, row);
    if (!e) e = check(c, s, row);
    c->where = NULL;
  }
  return e;
}

static int choose_rows(cli *c, session *s) {
  const bench_options *o = c->options;
  const char *name = kinds[s->kind].name, *built_in = bench_shapes_of(name);
  if (o->shapes && one_shape(o)) return cli_usage(c, "--shapes names the shapes: no other may stand beside it");
  if (!o->shapes && one_shape(o)) {
    s->row[s->count++] = *o;
    return check(c, s, o);
  }
  s->text = o->shapes ? read_text(c, o->shapes) : strdup(built_in ? built_in : "");
  if (!s->text) return EXIT_FAILED;
  return read_rows(c, s, o, s->text, o->shapes ? o->shapes : "the built-in shapes");
}

static int run_kind(cli *c, session *s, json_t *j) {
  s->before = look_around();
  s->rows = json_array();
  json_object_set_new(j, "machine", cli_machine_json(c));
  json_object_set_new(j, "rows", s->rows);
  for (int i = 0; i < s->count; i++) {
    int e = measure(c, s, &s->row[i]);
    if (e) return e;
  }
  json_object_set_new(j, "result", json_boolean(!s->dirty));
  return EXIT_DONE;
}

static int run(cli *c) {
  session *s = calloc(1, sizeof *s);
  if (!s) return cli_fail(c, "out of memory");
  s->kind = -1;
  for (int i = 0; i < (int)(sizeof kinds / sizeof *kinds); i++)
    if (!strcmp(kinds[i].name, c->args[0])) s->kind = i;
  int e = s->kind < 0 ? cli_usage(c, "there is no '%s' to measure; there is %s", c->args[0], c->verb->args) : choose_rows(c, s);
  if (!e) {
    json_t *j = json_pack("{s:s}", "bench", c->args[0]);
    e = run_kind(c, s, j);
    if (!e && c->common.json) cli_json(j);
    else json_decref(j);
  }
  free(s->text);
  free(s);
  return e;
}

const cli_verb cli_bench = {
    .name = "bench", .args = "gemm|train|attention|norm|xent|optim|generate|plan|second-order|startup",
    .summary = "measure this machine: the numbers we publish, one command each",
    .details = "Without a shape among the options, each kind measures the rows of bench/shapes/KIND.txt, which are built in. Times\n"
               "are medians, with the quartiles in brackets. When other programs kept more than a twentieth of the CPUs busy\n"
               "meanwhile, the line says that its number is no result (\"result\": false with --json).\n"
               "Machines are shared and noisy: compare ratios of one run, not single numbers of two. Utilisation is the model's\n"
               "FLOP/s over the rate that oneDNN itself reaches on a large product in the same run.",
    .examples = "  wok bench train --preset base --batch 8 --seq 512 --json\n  wok bench gemm\n  wok bench attention --seq 2048 --batch 2\n"
                "  wok bench second-order --net mlp --threads 1\n  wok bench norm --shapes my-shapes.txt",
    .options = list, .size = sizeof(bench_options), .min_args = 1, .max_args = 1, .run = run};
