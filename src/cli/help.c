/* Help, manual page and completions, all from the tables. */
#include <stdlib.h>
#include <string.h>
#include "cli.h"

const cli_verb *cli_find(const char *name) {
  for (int i = 0; cli_verbs[i]; i++)
    if (!strcmp(cli_verbs[i]->name, name)) return cli_verbs[i];
  return NULL;
}

void cli_overview(FILE *out) {
  fprintf(out, "wok %s - from raw text to a trained, evaluated, served Transformer, on this computer\n\n"
               "usage: wok VERB [options] [files]      (- is standard input or output; sizes take K, M, G)\n\n",
          wok_version());
  for (int i = 0; cli_verbs[i]; i++) fprintf(out, "  %-10s %s\n", cli_verbs[i]->name, cli_verbs[i]->summary);
  fprintf(out, "\n`wok VERB --help` says more. First steps: docs/guide.md, or\n"
               "  wok pack book.txt -o data && wok pretrain --data data -o runs/first && wok generate --model runs/first\n");
}

static void option_line(FILE *out, const cli_option *o) {
  char left[64];
  int n = o->letter ? snprintf(left, sizeof left, "-%c, --%s", o->letter, o->name) : snprintf(left, sizeof left, "    --%s", o->name);
  if (o->arg) snprintf(left + n, sizeof left - (size_t)n, " %s", o->arg);
  fprintf(out, "  %-32s%s%s\n", left, strlen(left) > 31 ? "\n                                  " : "", o->help);
}

void cli_help(const cli_verb *v, FILE *out) {
  fprintf(out, "usage: wok %s%s%s [options]\n\n%s\n", v->name, *v->args ? " " : "", v->args, v->summary);
  if (v->details) fprintf(out, "\n%s\n", v->details);
  if (v->options && v->options->name) fputs("\noptions:\n", out);
  for (const cli_option *o = v->options; o && o->name; o++) option_line(out, o);
  fputs("\nof every verb:\n", out);
  for (const cli_option *o = cli_common_options; o->name; o++) option_line(out, o);
  if (v->examples) fprintf(out, "\nexamples:\n%s\n", v->examples);
}

/* ---- manual page ---- */
static void roff(const char *text) {
  bool start = true;
  for (; *text; text++) {
    if (start && (*text == '.' || *text == '\'')) fputs("\\&", stdout);
    start = *text == '\n';
    if (*text == '\\') fputs("\\e", stdout);
    else if (*text == '-') fputs("\\-", stdout);
    else putchar(*text);
  }
}

static void roff_option(const cli_option *o) {
  fputs(".TP\n", stdout);
  if (o->letter) printf("\\fB\\-%c\\fR, ", o->letter);
  fputs("\\fB\\-\\-", stdout);
  roff(o->name);
  fputs("\\fR", stdout);
  if (o->arg) {
    fputs(" \\fI", stdout);
    roff(o->arg);
    fputs("\\fR", stdout);
  }
  putchar('\n');
  roff(o->help);
  putchar('\n');
}

static void roff_verbatim(const char *text) {
  fputs(".PP\n.nf\n", stdout);
  roff(text);
  fputs("\n.fi\n", stdout);
}

int cli_manual(void) {
  printf(".\\\" made by `wok --manual` from the tables of verbs and options\n"
         ".TH WOK 1 \"\" \"wok %s\" \"User Commands\"\n.SH NAME\nwok \\- from raw text to a trained Transformer on an ordinary computer\n"
         ".SH SYNOPSIS\n.B wok\n\\fIVERB\\fR [\\fIoptions\\fR] [\\fIfiles\\fR]\n.SH DESCRIPTION\n"
         "One program that packs text, trains, evaluates and uses Transformer language models on a CPU.\n"
         "A lone \\- is standard input or output; sizes take K, M, G.\n.SH VERBS\n",
         wok_version());
  for (int i = 0; cli_verbs[i]; i++) {
    const cli_verb *v = cli_verbs[i];
    printf(".SS \"wok ");
    roff(v->name);
    if (*v->args) putchar(' ');
    roff(v->args);
    fputs("\"\n", stdout);
    roff(v->summary);
    fputs(".\n", stdout);
    if (v->details) roff_verbatim(v->details);
    for (const cli_option *o = v->options; o && o->name; o++) roff_option(o);
    if (v->examples) roff_verbatim(v->examples);
  }
  fputs(".SH OPTIONS OF EVERY VERB\n", stdout);
  for (const cli_option *o = cli_common_options; o->name; o++) roff_option(o);
  fputs(".SH EXIT STATUS\n0 done; 1 failed, with one line on standard error that says what, where and what to do; 2 wrong usage;\n"
        "130 interrupted (the step was finished and saved; a second interrupt ends at once).\n",
        stdout);
  return EXIT_DONE;
}

/* ---- completions ---- */
static void option_words(const cli_option *o) {
  for (; o && o->name; o++) printf(" --%s", o->name);
}

static int completion_bash(void) {
  fputs("# made by `wok --completion bash` from the tables of verbs and options\n_wok() {\n"
        "  local cur=${COMP_WORDS[COMP_CWORD]} verb=${COMP_WORDS[1]} words\n"
        "  if [ \"$COMP_CWORD\" -eq 1 ]; then words='",
        stdout);
  for (int i = 0; cli_verbs[i]; i++) printf("%s%s", i ? " " : "", cli_verbs[i]->name);
  fputs(" --help --version'\n  else case $verb in\n", stdout);
  for (int i = 0; cli_verbs[i]; i++) {
    printf("    %s) words='", cli_verbs[i]->name);
    option_words(cli_verbs[i]->options);
    option_words(cli_common_options);
    fputs("' ;;\n", stdout);
  }
  fputs("    esac\n  fi\n  COMPREPLY=()\n  case $cur in\n    -*) COMPREPLY=($(compgen -W \"$words\" -- \"$cur\")) ;;\n"
        "    *) if [ \"$COMP_CWORD\" -eq 1 ]; then COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
        "       else COMPREPLY=($(compgen -f -- \"$cur\")); fi ;;\n  esac\n}\ncomplete -o filenames -F _wok wok\n",
        stdout);
  return EXIT_DONE;
}

static void zsh_text(const char *z) {
  for (; *z; z++) {
    if (strchr("[]:\\", *z)) putchar('\\');
    if (*z == '\'') fputs("'\\''", stdout);
    else putchar(*z);
  }
}

static void zsh_options(const cli_option *o) {
  for (; o && o->name; o++) {
    printf(" \\\n      '--%s[", o->name);
    zsh_text(o->help);
    putchar(']');
    if (o->arg) {
      putchar(':');
      zsh_text(o->arg);
      fputs(o->type == CLI_STRING || o->type == CLI_LIST ? ":_files" : ": ", stdout);
    }
    putchar('\'');
  }
}

static int completion_zsh(void) {
  fputs("#compdef wok\n# made by `wok --completion zsh` from the tables of verbs and options\nlocal -a verbs\nverbs=(\n", stdout);
  for (int i = 0; cli_verbs[i]; i++) {
    printf("  '%s:", cli_verbs[i]->name);
    zsh_text(cli_verbs[i]->summary);
    fputs("'\n", stdout);
  }
  fputs(")\nif (( CURRENT == 2 )); then _describe verb verbs; return; fi\nlocal verb=$words[2]\n"
        "shift words; (( CURRENT-- ))\ncase $verb in\n",
        stdout);
  for (int i = 0; cli_verbs[i]; i++) {
    printf("  %s) _arguments", cli_verbs[i]->name);
    zsh_options(cli_verbs[i]->options);
    zsh_options(cli_common_options);
    fputs(" \\\n      '*:file:_files' ;;\n", stdout);
  }
  fputs("esac\n", stdout);
  return EXIT_DONE;
}

int cli_completion(const char *shell) {
  if (!strcmp(shell, "bash")) return completion_bash();
  if (!strcmp(shell, "zsh")) return completion_zsh();
  fprintf(stderr, "wok: there are completions for bash and zsh, not for '%s'\n", shell);
  return EXIT_USAGE;
}
