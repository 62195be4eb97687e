/* How the command speaks: failures, the live line, numbers for people. */
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include "cli.h"

/* There is one terminal: whether a live line stands on it concerns whatever is printed next. */
static bool line_open;

static void erase_line(void) {
  if (line_open) fputs("\r\033[K", stderr);
  line_open = false;
}

/* One line whatever the arguments hold: names of files are the caller's bytes. */
static void say(cli *c, const char *fmt, va_list ap) {
  char text[4096];
  cli_live_end(c);
  vsnprintf(text, sizeof text, fmt, ap);
  for (char *z = text; *z; z++)
    if ((unsigned char)*z < 0x20 || *z == 0x7f) *z = ' ';
  fprintf(stderr, "wok%s%s: %s\n", c->verb ? " " : "", c->verb ? c->verb->name : "", text);
}

int cli_fail(cli *c, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  say(c, fmt, ap);
  va_end(ap);
  return EXIT_FAILED;
}

int cli_usage(cli *c, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  if (c->where) {
    char text[512];
    vsnprintf(text, sizeof text, fmt, ap);
    const char *where = c->where;
    c->where = NULL;
    cli_usage(c, "%s%s", where, text);
    c->where = where;
  } else {
    say(c, fmt, ap);
  }
  va_end(ap);
  return EXIT_USAGE;
}

int cli_status(cli *c, wok_status s) {
  if (s == WOK_OK) return EXIT_DONE;
  const char *m = wok_errmsg(c->ctx);
  cli_fail(c, "%s", *m ? m : wok_strerror(s));
  return s == WOK_INTERRUPTED ? EXIT_INTERRUPTED : EXIT_FAILED;
}

/* Columns of the terminal; a longer live line would scroll instead of being overwritten. */
static int columns(void) {
  struct winsize w;
  return ioctl(2, TIOCGWINSZ, &w) == 0 && w.ws_col > 20 ? w.ws_col : 80;
}

void cli_live(cli *c, const char *fmt, ...) {
  if (!c->tty || c->common.quiet) return;
  char text[512];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  fprintf(stderr, "\r%.*s\033[K", columns() - 1, text);
  fflush(stderr);
  line_open = true;
}

void cli_live_end(cli *c) {
  (void)c;
  if (line_open) fputc('\n', stderr);
  line_open = false;
}

void cli_note(cli *c, const char *fmt, ...) {
  if (c->common.quiet) return;
  erase_line();
  va_list ap;
  va_start(ap, fmt);
  vfprintf(stderr, fmt, ap);
  va_end(ap);
  fputc('\n', stderr);
}

void cli_print(const char *fmt, ...) {
  erase_line();
  va_list ap;
  va_start(ap, fmt);
  vprintf(fmt, ap);
  va_end(ap);
}

void cli_json(json_t *j) {
  erase_line();
  json_dumpf(j, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
  putchar('\n');
  json_decref(j);
}

/* ---- numbers for people ---- */
static char *slot(void) {
  static char text[8][32];
  static int next;
  return text[next++ & 7];
}

static const char *scaled(double v, const char *const *units, int n, const char *gap) {
  char *s = slot();
  int i = 0;
  while (fabs(v) >= 999.5 && i < n - 1) {
    v /= 1000;
    i++;
  }
  snprintf(s, 32, i == 0 || fabs(v) >= 99.95 ? "%.0f%s%s" : "%.1f%s%s", v, i || *gap ? gap : "", units[i]);
  size_t len = strlen(s);
  if (len && s[len - 1] == ' ') s[len - 1] = 0;
  return s;
}

const char *cli_size(int64_t bytes) {
  static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB"};
  return scaled((double)bytes, units, 6, " ");
}

const char *cli_count(double n) {
  static const char *const units[] = {"", "k", "M", "G", "T"};
  return scaled(n, units, 5, " ");
}

const char *cli_seconds(double s) {
  char *t = slot();
  int64_t n = (int64_t)(s + 0.5);
  if (s < 0) snprintf(t, 32, "?");
  else if (s < 10) snprintf(t, 32, "%.1f s", s);
  else if (n < 60) snprintf(t, 32, "%lld s", (long long)n);
  else if (n < 3600) snprintf(t, 32, "%lld:%02lld min", (long long)(n / 60), (long long)(n % 60));
  else snprintf(t, 32, "%lld:%02lld h", (long long)(n / 3600), (long long)(n / 60 % 60));
  return t;
}

wok_status cli_model_open(cli *c, wok_model **m, const char *dir, const char *compute) {
  wok_status s = wok_model_open(c->ctx, m, dir);
  return s ? s : wok_model_compute(*m, compute);
}

/* ---- the machine beside every measurement ---- */
json_t *cli_machine_json(cli *c) {
  wok_machine m;
  wok_machine_info(c->ctx, &m);
  return json_pack("{s:s, s:s, s:s, s:i, s:i, s:I, s:f, s:s?}", "cpu", m.cpu, "isa", m.isa, "features", m.features, "cpus", m.cpus,
                   "threads", m.threads, "memory", (json_int_t)m.memory, "load", m.load1, "onednn", m.onednn);
}

void cli_machine_print(cli *c) {
  wok_machine m;
  wok_machine_info(c->ctx, &m);
  cli_print("%s, %d CPU%s, %d thread%s, %s, oneDNN %s, load %.2f\n", m.cpu, m.cpus, m.cpus == 1 ? "" : "s", m.threads,
            m.threads == 1 ? "" : "s", m.isa, m.onednn ? m.onednn : "none", m.load1);
}
