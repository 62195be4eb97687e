/* wok dedup: repeated lines, within files, across them, and between training and test data. */
#include <string.h>
#include "cli.h"

typedef struct options {
  const char *out, *test_out, *leaks, *tmp, *normal, *pack, *from, *field_sep, *crlf;
  cli_list test;
  int64_t field, lines, header, level;
  bool nul, skip_empty, header_each, keep_bom;
} options;

static const cli_option list[] = {
    {"output", 'o', CLI_STRING, "OUT", offsetof(options, out), 0, 0, "the lines that stay, in their order; .gz and .zst are packed [only count]"},
    {"test", 0, CLI_LIST, "FILE", offsetof(options, test), 0, 0, "a file of the test split (may be given several times); FILE... are the training split"},
    {"test-output", 0, CLI_STRING, "OUT", offsetof(options, test_out), 0, 0, "the test lines that stay [only count]"},
    {"from", 0, CLI_CHOICE, "test|train", offsetof(options, from), 0, 0, "which split loses the lines that both have [test]"},
    {"leaks", 0, CLI_STRING, "FILE", offsetof(options, leaks), 0, 0, "a table of those lines: file, record, other file, other record"},
    {"normal", 0, CLI_CHOICE, "none|space|fold", offsetof(options, normal), 0, 0, "what makes no difference; space: how much white space; fold: also case and width [none]"},
    {"field", 0, CLI_INT, "N", offsetof(options, field), 1, 1e9, "compare only field N of a line [the whole line]"},
    {"field-separator", 0, CLI_STRING, "CHAR", offsetof(options, field_sep), 0, 0, "what stands between fields [a tab]"},
    {"tmp", 0, CLI_STRING, "DIR", offsetof(options, tmp), 0, 0, "directory for temporary data [/var/tmp]"},
    {"pack", 0, CLI_CHOICE, "none|gzip|zstd", offsetof(options, pack), 0, 0, "pack the outputs [as their names say]"},
    {"level", 0, CLI_INT, "N", offsetof(options, level), 1, 19, "level of packing [gzip 6, zstd 3]"},
    {"null", 'z', CLI_FLAG, NULL, offsetof(options, nul), 0, 0, "records end with a NUL byte"},
    {"lines", 0, CLI_INT, "N", offsetof(options, lines), 1, 1e9, "N lines make a record [1]"},
    {"header", 0, CLI_INT, "N", offsetof(options, header), 1, 1e9, "the first N records of the first file go to the top of every output"},
    {"header-each", 0, CLI_FLAG, NULL, offsetof(options, header_each), 0, 0, "the other files have that header too: drop it there"},
    {"skip-empty", 0, CLI_FLAG, NULL, offsetof(options, skip_empty), 0, 0, "leave empty records out"},
    {"crlf", 0, CLI_CHOICE, "keep|strip|unify", offsetof(options, crlf), 0, 0, "carriage returns at the end of lines [keep]"},
    {"keep-bom", 0, CLI_FLAG, NULL, offsetof(options, keep_bom), 0, 0, "a byte order mark is content"},
    CLI_OPTIONS_END};

static int index_of(const char *word, const char *const *words) {
  for (int i = 0; word && words[i]; i++)
    if (!strcmp(word, words[i])) return i;
  return 0;
}

static json_t *split_json(const wok_dedup_split *s) {
  return json_pack("{s:I, s:I, s:I, s:I, s:I}", "files", (json_int_t)s->files, "records", (json_int_t)s->records, "distinct",
                   (json_int_t)s->distinct, "leaked", (json_int_t)s->leaked, "kept", (json_int_t)s->kept);
}

static double percent(int64_t a, int64_t of) { return of ? 100.0 * (double)a / (double)of : 0; }

static void report(cli *c, const options *o, const wok_dedup_info *i) {
  const wok_dedup_split *t = &i->train, *e = &i->test;
  if (c->common.json) {
    cli_json(json_pack("{s:o, s:o, s:I, s:I, s:I, s:f}", "train", split_json(t), "test", split_json(e), "listed", (json_int_t)i->listed,
                       "memory", (json_int_t)i->memory, "tmp_bytes", (json_int_t)i->tmp_bytes, "seconds", i->seconds));
    return;
  }
  const char *name = e->files ? "training" : "lines";
  cli_print("%-9s %10lld, %lld distinct (%.1f %% repeated), %lld kept\n", name, (long long)t->records, (long long)t->distinct,
            percent(t->records - t->distinct, t->records), (long long)t->kept);
  if (e->files) {
    cli_print("%-9s %10lld, %lld distinct (%.1f %% repeated), %lld kept\n", "test", (long long)e->records, (long long)e->distinct,
              percent(e->records - e->distinct, e->records), (long long)e->kept);
    cli_print("leaked: %lld of %lld test lines (%.1f %%) are also in the training data\n", (long long)e->leaked, (long long)e->records,
              percent(e->leaked, e->records));
  }
  if (o->leaks) cli_print("%s lists %lld lines\n", o->leaks, (long long)i->listed);
}

static int run(cli *c) {
  static const char *const normals[] = {"none", "space", "fold", NULL}, *const packings[] = {"", "none", "gzip", "zstd", NULL},
                    *const crlf[] = {"keep", "strip", "unify", NULL};
  const options *o = c->options;
  if (o->field_sep && (strlen(o->field_sep) != 1 || !o->field)) return cli_usage(c, "--field-separator takes one character, and goes with --field");
  wok_dedup_opts p = {.records = {.lines = o->lines, .header = o->header, .header_each = o->header_each, .skip_empty = o->skip_empty,
                                  .keep_bom = o->keep_bom, .crlf = (wok_crlf)index_of(o->crlf, crlf)},
                      .memory = c->common.memory, .tmp = o->tmp, .normal = (wok_normal)index_of(o->normal, normals), .field = o->field,
                      .field_separator = o->field_sep ? o->field_sep[0] : 0, .test = o->test.item, .ntest = o->test.n,
                      .from_train = o->from && !strcmp(o->from, "train"), .out = o->out, .test_out = o->test_out, .leaks = o->leaks,
                      .packing = (wok_packing)index_of(o->pack, packings), .level = (int)o->level};
  if (o->nul) p.records.separator = "", p.records.separator_bytes = 1;
  wok_dedup_info i;
  wok_status s = wok_dedup(c->ctx, (const char *const *)c->args, c->nargs, &p, &i);
  if (s == WOK_INVALID) {
    cli_fail(c, "%s", wok_errmsg(c->ctx));
    return EXIT_USAGE;
  }
  if (s) return cli_status(c, s);
  if (!o->out || strcmp(o->out, "-")) report(c, o, &i);
  return EXIT_DONE;
}

const cli_verb cli_dedup = {
    .name = "dedup", .args = "FILE... [-o OUT] [--test FILE...]", .summary = "find repeated lines, and test lines that are in the training data",
    .details = "The first of equal lines stays, in the order of the files; equal are lines of the same bytes, or of the same --normal form,\n"
               "or with the same --field. Without -o it only counts. With --test it says how many test lines the training data holds, and\n"
               "--test-output writes the others.",
    .examples = "  wok dedup corpus/ -o distinct.txt --memory 4G\n"
                "  wok dedup train.tsv --test test.tsv --field 1 --normal space --leaks leaked.tsv\n"
                "  wok dedup crawl/ --test benchmark.txt --from train -o clean.txt.zst",
    .options = list, .size = sizeof(options), .min_args = 1, .max_args = -1, .run = run};
