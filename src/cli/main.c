/* wok VERB [options] [files]: parses by the tables, makes the context, runs the verb. Exit status: 0 done, 1 failed (one line on
   stderr), 2 wrong usage, 130 interrupted. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "cli.h"

/* ---- interruption: the first asks the work to end well, the second ends the process ---- */
static cli *volatile running;
static volatile sig_atomic_t asked;

static void tell(const char *text) {
  if (write(2, text, strlen(text)) < 0) return; /* nobody listens any more */
}

static void on_signal(int number) {
  (void)number;
  if (asked++) {
    tell("\nwok: stopped at once; nothing that was saved is lost\n");
    _exit(EXIT_INTERRUPTED);
  }
  if (!running) return;
  wok_cancel(running->ctx);
  if (running->tty && running->when_asked) tell(running->when_asked);
}

static void install_signals(void) {
  struct sigaction a;
  memset(&a, 0, sizeof a);
  sigemptyset(&a.sa_mask);
  a.sa_handler = on_signal;
  a.sa_flags = SA_RESTART;
  sigaction(SIGINT, &a, NULL);
  sigaction(SIGTERM, &a, NULL);
  a.sa_handler = SIG_IGN; /* a closed pipe is an error of writing, said in one line */
  sigaction(SIGPIPE, &a, NULL);
  sigaction(SIGXFSZ, &a, NULL);
}

/* Where the caller closed one of the three, the next file opened would be taken for it. */
static void hold_standard_files(void) {
  for (int fd = 0; fd < 3; fd++)
    if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd ? O_RDONLY : O_WRONLY) != fd) _exit(EXIT_FAILED); /* of no use, as when closed */
}

/* ---- options ---- */
const cli_option cli_common_options[] = {
    {"threads", 0, CLI_INT, "N", offsetof(cli_common, threads), 1, 256, "threads to use [one per CPU]"},
    {"seed", 0, CLI_INT, "N", offsetof(cli_common, seed), 0, 9.2e18, "seed of everything random [0]"},
    {"memory", 0, CLI_SIZE, "SIZE", offsetof(cli_common, memory), 0, 0, "most memory a plan may need, such as 3G [no limit]"},
    {"isa", 0, CLI_CHOICE, "generic|avx2|avx512|amx", offsetof(cli_common, isa), 0, 0, "use no instructions beyond these [this machine's best]"},
    {"json", 0, CLI_FLAG, NULL, offsetof(cli_common, json), 0, 0, "print one JSON object for programs"},
    {"quiet", 'q', CLI_FLAG, NULL, offsetof(cli_common, quiet), 0, 0, "no progress, no notes"},
    {"help", 'h', CLI_FLAG, NULL, offsetof(cli_common, help), 0, 0, "this help"},
    CLI_OPTIONS_END};

static bool is_real(cli_type t) { return t == CLI_REAL || t == CLI_REAL_OR_OFF; }

static bool parse_number(const char *z, cli_type type, double *real, int64_t *whole) {
  char *end;
  errno = 0;
  if (is_real(type)) {
    *real = strtod(z, &end);
    return end != z && !*end && isfinite(*real);
  }
  *whole = strtoll(z, &end, 10);
  if (end == z || errno) return false;
  if (type == CLI_SIZE && *end) {
    const char *units = "KMGT", *u = strchr(units, *end & ~0x20);
    int shift = u && *u ? (int)(u - units + 1) * 10 : 0;
    if (!shift || *whole > INT64_MAX >> shift || *whole < 0) return false;
    *whole <<= shift;
    end++;
    if ((*end & ~0x20) == 'B') end++;
  }
  *real = (double)*whole;
  return !*end;
}

static bool in_choices(const char *choices, const char *z) {
  size_t n = strlen(z);
  for (const char *p = choices; p; p = strchr(p, '|') ? strchr(p, '|') + 1 : NULL)
    if (!strncmp(p, z, n) && (p[n] == '|' || !p[n])) return true;
  return false;
}

static int set_option(cli *c, const cli_option *o, void *into, const char *value) {
  char *at = (char *)into + o->offset;
  double real = 0;
  int64_t whole = 0;
  switch (o->type) {
  case CLI_FLAG: *(bool *)(void *)at = true; return EXIT_DONE;
  case CLI_STRING: *(const char **)(void *)at = value; return EXIT_DONE;
  case CLI_LIST: {
    cli_list *l = (cli_list *)(void *)at;
    if (l->n == (int)(sizeof l->item / sizeof *l->item)) return cli_usage(c, "--%s is given too often", o->name);
    l->item[l->n++] = value;
    return EXIT_DONE;
  }
  case CLI_CHOICE:
    if (!in_choices(o->arg, value)) return cli_usage(c, "--%s takes one of %s, not '%s'", o->name, o->arg, value);
    *(const char **)(void *)at = value;
    return EXIT_DONE;
  default: break;
  }
  if (!parse_number(value, o->type, &real, &whole))
    return cli_usage(c, "--%s takes %s, not '%s'", o->name, o->type == CLI_SIZE ? "a size such as 512M" : is_real(o->type) ? "a number" : "a whole number", value);
  bool any = o->lo == 0 && o->hi == 0;
  if (any ? real < 0 : real < o->lo || real > o->hi) {
    if (any || o->hi >= 1e15) return cli_usage(c, "--%s must be at least %g, not %s", o->name, any ? 0 : o->lo, value);
    return cli_usage(c, "--%s must lie between %g and %g, not %s", o->name, o->lo, o->hi, value);
  }
  if (real == 0 && (o->type == CLI_INT_OR_OFF || o->type == CLI_REAL_OR_OFF)) real = -1, whole = -1;
  if (is_real(o->type)) *(double *)(void *)at = real;
  else *(int64_t *)(void *)at = whole;
  return EXIT_DONE;
}

static const cli_option *find_option(const cli_option *list, const char *name, size_t n, char letter) {
  for (; list && list->name; list++)
    if (letter ? list->letter == letter : strlen(list->name) == n && !strncmp(list->name, name, n)) return list;
  return NULL;
}

int cli_set(cli *c, const cli_option *list, void *into, const char *name, const char *value) {
  const cli_option *o = find_option(list, name, strlen(name), 0);
  if (!o) return cli_usage(c, "there is no option --%s", name);
  if (o->type == CLI_FLAG && value) return cli_usage(c, "--%s takes no value", o->name);
  if (o->type != CLI_FLAG && !value) return cli_usage(c, "--%s needs a value (%s)", o->name, o->arg);
  return set_option(c, o, into, value);
}

static int unknown_option(cli *c, const char *arg) {
  return cli_usage(c, "there is no option %s; `wok %s --help` lists them", arg, c->verb->name);
}

static int parse(cli *c, int argc, char **argv) {
  bool only_files = false;
  for (int i = 0; i < argc; i++) {
    const char *a = argv[i], *value = NULL;
    if (!*a) return cli_usage(c, "argument %d is empty", i + 1);
    if (only_files || a[0] != '-' || !a[1]) {
      c->args[c->nargs++] = a;
      continue;
    }
    if (!strcmp(a, "--")) {
      only_files = true;
      continue;
    }
    const char *eq = strchr(a, '=');
    size_t n = a[1] == '-' ? (eq ? (size_t)(eq - a - 2) : strlen(a + 2)) : 0;
    char letter = a[1];
    if (letter == '-') letter = 0;
    void *into = c->options;
    const cli_option *o = find_option(c->verb->options, a + 2, n, letter);
    if (!o) {
      o = find_option(cli_common_options, a + 2, n, letter);
      into = &c->common;
    }
    if (!o) return unknown_option(c, a);
    if (o->type == CLI_FLAG) {
      if ((!letter && eq) || (letter && a[2])) return cli_usage(c, "--%s takes no value", o->name);
    } else if (letter && a[2]) value = a + 2;
    else if (!letter && eq) value = eq + 1;
    else if (i + 1 < argc) value = argv[++i];
    else return cli_usage(c, "--%s needs a value (%s)", o->name, o->arg);
    int e = set_option(c, o, into, value);
    if (e) return e;
    if (into == &c->common && !strcmp(o->name, "seed")) c->common.seed_given = true;
  }
  return EXIT_DONE;
}

/* ---- the context's voice ---- */
static bool on_progress(void *ud, const wok_progress *p) {
  cli *c = ud;
  if (!strcmp(p->what, "pretrain")) return true; /* its own line says more */
  double rate = p->seconds > 0 ? (double)p->done / p->seconds : 0;
  char of[64] = "", left[48] = "";
  bool bytes = !strcmp(p->unit, "bytes");
  if (p->total > 0) {
    snprintf(of, sizeof of, " of %s (%.0f %%)", bytes ? cli_size(p->total) : cli_count((double)p->total),
             100.0 * (double)p->done / (double)p->total);
    if (rate > 0 && p->done < p->total) snprintf(left, sizeof left, ", %s left", cli_seconds((double)(p->total - p->done) / rate));
  }
  cli_live(c, "%s: %s%s%s%s%s%s%s", p->what, bytes ? cli_size(p->done) : cli_count((double)p->done), bytes ? "" : " ",
           bytes ? "" : p->unit, of, left, p->text ? ", " : "", p->text ? p->text : "");
  return true;
}

static void on_log(void *ud, int level, const char *message) {
  cli *c = ud;
  if (level <= WOK_LOG_INFO) cli_note(c, "%s%s", level <= WOK_LOG_WARN ? "note: " : "", message);
}

/* Output counts only when it has arrived. */
static int finish(cli *c, int status) {
  cli_live_end(c);
  errno = 0;
  if ((!fflush(stdout) && !ferror(stdout)) || status != EXIT_DONE) return status;
  if (errno == EPIPE || errno == EBADF) return cli_fail(c, "standard output was closed before everything was written");
  return cli_fail(c, "standard output: %s", errno ? strerror(errno) : "could not be written");
}

static int run_verb(cli *c, int argc, char **argv) {
  int e = parse(c, argc, argv);
  if (e) return e;
  if (c->common.help) {
    cli_help(c->verb, stdout);
    return finish(c, EXIT_DONE);
  }
  if (c->nargs < c->verb->min_args) return cli_usage(c, "it takes %s; `wok %s --help` says more", c->verb->args, c->verb->name);
  if (c->verb->max_args >= 0 && c->nargs > c->verb->max_args)
    return cli_usage(c, "'%s' is one argument too many; it takes %s", c->args[c->verb->max_args], c->verb->args);
  wok_ctx_opts o = {.threads = (int)c->common.threads, .isa_cap = c->common.isa, .seed = (uint64_t)c->common.seed,
                    .mem_limit = c->common.memory, .log = on_log, .log_ud = c};
  if (c->tty && !c->common.quiet) {
    o.progress = on_progress;
    o.progress_ud = c;
  }
  wok_status s = wok_ctx_new(&c->ctx, &o);
  if (s) return cli_fail(c, "%s", wok_strerror(s));
  running = c;
  if (asked) wok_cancel(c->ctx);
  e = c->verb->run(c);
  running = NULL;
  e = finish(c, e);
  wok_ctx_free(c->ctx);
  return e;
}

static int no_verb(cli *c, const char *name) { return cli_usage(c, "there is no verb '%s'; `wok --help` lists them", name); }

static int help(cli *c, int argc, char **argv) {
  const cli_verb *v = argc > 2 ? cli_find(argv[2]) : NULL;
  if (argc > 2 && !v) return no_verb(c, argv[2]);
  if (v) cli_help(v, stdout);
  else cli_overview(stdout);
  return EXIT_DONE;
}

/* What is asked of the program and not of a verb; -1: nothing. */
static int special(cli *c, int argc, char **argv) {
  const char *a = argv[1];
  if (!strcmp(a, "--version") || !strcmp(a, "-V")) {
    cli_print("wok %s\n", wok_version());
    return EXIT_DONE;
  }
  if (!strcmp(a, "--manual")) return cli_manual();
  if (!strcmp(a, "--completion")) return cli_completion(argc > 2 ? argv[2] : "bash");
  if (!strcmp(a, "--help") || !strcmp(a, "-h") || !strcmp(a, "help")) return help(c, argc, argv);
  return -1;
}

int main(int argc, char **argv) {
  cli c = {.tty = isatty(2) == 1};
  hold_standard_files();
  install_signals();
  if (argc < 2) {
    cli_overview(stderr);
    return EXIT_USAGE;
  }
  int e = special(&c, argc, argv);
  if (e >= 0) return finish(&c, e);
  c.verb = cli_find(argv[1]);
  if (!c.verb) return no_verb(&c, argv[1]);
  c.options = calloc(1, c.verb->size ? c.verb->size : 1);
  c.args = calloc((size_t)argc, sizeof *c.args);
  e = c.options && c.args ? run_verb(&c, argc - 2, argv + 2) : cli_fail(&c, "out of memory");
  free(c.options);
  free(c.args);
  return e;
}
