/* cli/cli.h - the command line: verbs and their options are tables, from which the parser, --help, the manual page and the shell
   completions are made. This room sees the public headers only and does all the talking. */
#ifndef WOK_CLI_CLI_H
#define WOK_CLI_CLI_H
#include <jansson.h>
#include <stddef.h>
#include <stdio.h>
#include <wok.h>

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_INTERRUPTED = 130 };

typedef enum cli_type {
  CLI_FLAG,   /* bool */
  CLI_INT,    /* int64_t, plain number */
  CLI_SIZE,   /* int64_t, 64K, 3M, 2G */
  CLI_REAL,   /* double */
  CLI_INT_OR_OFF,  /* where 0 is a choice and not the default: 0 arrives as -1, the library's word for none */
  CLI_REAL_OR_OFF,
  CLI_STRING, /* const char * */
  CLI_LIST,   /* cli_list: may be given several times */
  CLI_CHOICE  /* const char *, one of arg's words separated by '|' */
} cli_type;

typedef struct cli_list { const char *item[256]; int n; } cli_list;

typedef struct cli_option {
  const char *name; /* "steps": --steps N or --steps=N */
  char letter;      /* 'o' for -o, 0 none */
  cli_type type;
  const char *arg;  /* what stands for the value in the help: "N", "DIR", "cosine|linear" */
  size_t offset;    /* in the verb's options */
  double lo, hi;    /* of numbers; both 0: any number >= 0 */
  const char *help; /* one line; the default in it, in brackets */
} cli_option;
#define CLI_OPTIONS_END {.name = NULL}

/* What every verb has. */
typedef struct cli_common {
  bool json, help, quiet;
  int64_t seed, threads, memory;
  bool seed_given;
  const char *isa;
} cli_common;

typedef struct cli cli;
typedef struct cli_verb {
  const char *name, *args, *summary; /* args: "FILE... -o DIR" */
  const char *details;               /* paragraphs for help and manual, lines at most 100 wide; may be NULL */
  const char *examples;              /* lines of commands; may be NULL */
  const cli_option *options;         /* ends with CLI_OPTIONS_END */
  size_t size;                       /* of its options, which begin with zeros */
  int min_args, max_args;            /* positional; max -1: any number */
  int (*run)(cli *c);
} cli_verb;
extern const cli_verb *const cli_verbs[]; /* ends with NULL */
const cli_verb *cli_find(const char *name);

struct cli {
  wok_ctx *ctx;
  const cli_verb *verb;
  cli_common common;
  void *options;      /* the verb's */
  const char **args;  /* positional */
  int nargs;
  bool tty;           /* a person watches stderr */
  const char *where;  /* stands before what is wrong with the usage: "line 3 of FILE: "; NULL: nothing */
  const char *when_asked; /* told to that person at the first Ctrl-C; NULL: nothing, the work ends soon enough */
};

/* ---- saying things ---- */
/* "wok VERB: message" on stderr; returns EXIT_FAILED / EXIT_USAGE. */
int cli_fail(cli *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int cli_usage(cli *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The library's message; INTERRUPTED gives EXIT_INTERRUPTED. */
int cli_status(cli *c, wok_status s);
/* Overwrites the line a person watches (nothing when nobody does); end leaves it standing, what is printed erases it. */
void cli_live(cli *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void cli_live_end(cli *c);
void cli_note(cli *c, const char *fmt, ...) __attribute__((format(printf, 2, 3))); /* to stderr, unless --quiet */
/* Prints to stdout; a closed pipe is noticed at the end by cli_finish. */
void cli_print(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Prints j and frees it. */
void cli_json(json_t *j);

/* numbers for people: static text, eight in turn */
const char *cli_size(int64_t bytes);   /* "3.1 GB" */
const char *cli_count(double n);       /* "124.4 M" */
const char *cli_seconds(double s);     /* "2:05" */

/* Sets the option of that name in `into`, as --NAME VALUE (a flag: value NULL) would; what is wrong is said. */
int cli_set(cli *c, const cli_option *list, void *into, const char *name, const char *value);
/* Which of the words in "a|b|c" it is, from 0; 0 also for NULL. */
int cli_choice(const char *word, const char *choices);
/* file, line, blank or sep:STRING; false: none of them. */
bool cli_documents(const char *word, wok_documents *kind, const char **sep);
void cli_help(const cli_verb *v, FILE *out);
void cli_overview(FILE *out);
int cli_manual(void);                  /* the manual page, as roff */
int cli_completion(const char *shell); /* "bash", "zsh" */
extern const cli_option cli_common_options[];

/* Opens a model that is to compute in `compute` (NULL: f32). */
#define CLI_COMPUTES "f32|bf16|bf16x3|bf16x6"
wok_status cli_model_open(cli *c, wok_model **m, const char *dir, const char *compute);

/* The CPU, load and so on, that stand beside every measurement. */
json_t *cli_machine_json(cli *c);
void cli_machine_print(cli *c);
#endif
