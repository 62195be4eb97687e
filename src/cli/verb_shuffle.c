/* wok shuffle: records of any number of files into an order drawn from a seed; and the question whether two sets of files are the same but
   for the order. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "cli.h"

typedef struct options {
  const char *out, *tmp, *method, *from0, *pack, *sep, *crlf, *head, *held, *hold_out;
  cli_list check;
  int64_t shards, shard_records, shard_bytes, level, run_records, lines, fixed, prefix, header;
  bool resume, no_verify, force, dry_run, nul, skip_empty, header_each, keep_bom;
} options;

static const cli_option list[] = {
    {"output", 'o', CLI_STRING, "OUT", offsetof(options, out), 0, 0, "the file to write (- : standard output); .gz and .zst are packed"},
    {"head", 'n', CLI_STRING, "N|P%", offsetof(options, head), 0, 0, "only N records of the shuffled order, or P per cent: a sample without replacement [all]"},
    {"hold-out", 0, CLI_STRING, "N|P%", offsetof(options, hold_out), 0, 0, "so many records go to another file, with --hold-out-to"},
    {"hold-out-to", 0, CLI_STRING, "FILE", offsetof(options, held), 0, 0, "where they go"},
    {"shards", 0, CLI_INT, "N", offsetof(options, shards), 1, 99999, "cut the output into N files, OUT-00000 and so on"},
    {"shard-records", 0, CLI_INT, "N", offsetof(options, shard_records), 1, 9.2e18, "or into files of N records"},
    {"shard-bytes", 0, CLI_SIZE, "SIZE", offsetof(options, shard_bytes), 1, 9.2e18, "or into files of at most SIZE, before packing"},
    {"pack", 0, CLI_CHOICE, "none|gzip|zstd", offsetof(options, pack), 0, 0, "pack the output [as its name says]"},
    {"level", 0, CLI_INT, "N", offsetof(options, level), 1, 19, "level of packing [gzip 6, zstd 3]"},
    {"tmp", 0, CLI_STRING, "DIR", offsetof(options, tmp), 0, 0, "directory for temporary data [beside the output]"},
    {"resume", 0, CLI_FLAG, NULL, offsetof(options, resume), 0, 0, "go on where a stopped run with the same options was; keep what that needs"},
    {"files0-from", 0, CLI_STRING, "FILE", offsetof(options, from0), 0, 0, "more input names, with NUL behind each"},
    {"separator", 0, CLI_STRING, "STRING", offsetof(options, sep), 0, 0, "what ends a record; \\n, \\t, \\0, \\xHH are understood [\\n]"},
    {"null", 'z', CLI_FLAG, NULL, offsetof(options, nul), 0, 0, "records end with a NUL byte"},
    {"lines", 0, CLI_INT, "N", offsetof(options, lines), 1, 1e9, "N lines make a record [1]"},
    {"fixed", 0, CLI_SIZE, "BYTES", offsetof(options, fixed), 1, 9.2e18, "records of so many bytes, without separators"},
    {"prefix", 0, CLI_INT, "BYTES", offsetof(options, prefix), 1, 8, "each record begins with its length: 1, 2, 4 or 8 bytes, little-endian"},
    {"header", 0, CLI_INT, "N", offsetof(options, header), 1, 1e9, "the first N records of the first file go to the top of every output"},
    {"header-each", 0, CLI_FLAG, NULL, offsetof(options, header_each), 0, 0, "the other files have that header too: drop it there"},
    {"skip-empty", 0, CLI_FLAG, NULL, offsetof(options, skip_empty), 0, 0, "leave empty records out"},
    {"crlf", 0, CLI_CHOICE, "keep|strip|unify", offsetof(options, crlf), 0, 0, "carriage returns at the end of lines; unify: as in the first line [keep]"},
    {"keep-bom", 0, CLI_FLAG, NULL, offsetof(options, keep_bom), 0, 0, "a byte order mark is content"},
    {"method", 0, CLI_CHOICE, "auto|memory|scatter|two-pass", offsetof(options, method), 0, 0, "two-pass: the article's, not uniform, for study [auto]"},
    {"run-records", 0, CLI_INT, "N", offsetof(options, run_records), 1, 1e9, "two-pass: records of a run [100000]"},
    {"no-verify", 0, CLI_FLAG, NULL, offsetof(options, no_verify), 0, 0, "do not compare checksums of what was read and written"},
    {"force", 0, CLI_FLAG, NULL, offsetof(options, force), 0, 0, "begin although the disk looks too small"},
    {"dry-run", 0, CLI_FLAG, NULL, offsetof(options, dry_run), 0, 0, "only say what would be done"},
    {"check", 0, CLI_LIST, "FILE", offsetof(options, check), 0, 0, "write nothing: do these files (may be given several times) hold the records of FILE...?"},
    CLI_OPTIONS_END};

/* "1000" or "1.5%" */
static bool amount(const char *z, int64_t *n, double *percent) {
  char *end;
  if (!z) return true;
  errno = 0;
  if (*z < '0' || *z > '9') return false;
  *n = strtoll(z, &end, 10);
  if (!*end) return !errno && *n > 0;
  *n = 0;
  *percent = strtod(z, &end);
  return !strcmp(end, "%") && *percent > 0 && *percent <= 100;
}

static int hex_digit(char z) { return z >= '0' && z <= '9' ? z - '0' : (z | 32) >= 'a' && (z | 32) <= 'f' ? (z | 32) - 'a' + 10 : -1; }

/* In place; the length, or -1. */
static int64_t unescape(const char *z, char *to) {
  static const char names[] = "ntr0\\", bytes[] = "\n\t\r\0\\";
  int64_t n = 0;
  for (; *z; z++) {
    if (*z != '\\') {
      to[n++] = *z;
      continue;
    }
    const char *k = *++z ? strchr(names, *z) : NULL;
    if (k) to[n++] = bytes[k - names];
    else if (*z == 'x' && hex_digit(z[1]) >= 0 && hex_digit(z[2]) >= 0) to[n++] = (char)(hex_digit(z[1]) << 4 | hex_digit(z[2])), z += 2;
    else return -1;
  }
  return n;
}

static int index_of(const char *word, const char *const *words) {
  for (int i = 0; word && words[i]; i++)
    if (!strcmp(word, words[i])) return i;
  return 0;
}

static int records(cli *c, const options *o, char *sep, wok_record_opts *r) {
  static const char *const crlf[] = {"keep", "strip", "unify", NULL};
  *r = (wok_record_opts){.lines = o->lines, .fixed_bytes = o->fixed, .prefix_bytes = (int)o->prefix, .header = o->header,
                         .header_each = o->header_each, .skip_empty = o->skip_empty, .keep_bom = o->keep_bom,
                         .crlf = (wok_crlf)index_of(o->crlf, crlf)};
  if (o->nul && o->sep) return cli_usage(c, "--null or --separator: choose one");
  if (!o->nul && !o->sep) return EXIT_DONE;
  int64_t n = o->nul ? 1 : unescape(o->sep, sep);
  if (n < 1) return cli_usage(c, "--separator takes a string such as '\\n\\n' or '\\x1e', not '%s'", o->sep);
  r->separator = o->nul ? "" : sep;
  r->separator_bytes = n;
  return EXIT_DONE;
}

static int check(cli *c, const options *o, const wok_record_opts *r) {
  wok_same_records same;
  wok_status s = wok_corpus_compare(c->ctx, (const char *const *)c->args, c->nargs, o->check.item, o->check.n, r, &same);
  if (s) return cli_status(c, s);
  if (c->common.json)
    cli_json(json_pack("{s:b, s:I, s:I, s:I, s:I}", "same", same.same, "records", (json_int_t)same.records[0], "bytes",
                       (json_int_t)same.bytes[0], "other_records", (json_int_t)same.records[1], "other_bytes", (json_int_t)same.bytes[1]));
  else if (same.same) cli_print("the same %lld records (%s)\n", (long long)same.records[0], cli_size(same.bytes[0]));
  if (same.same) return EXIT_DONE;
  if (same.records[0] != same.records[1] || same.bytes[0] != same.bytes[1])
    return cli_fail(c, "not the same records: %lld (%lld bytes) against %lld (%lld bytes)", (long long)same.records[0],
                    (long long)same.bytes[0], (long long)same.records[1], (long long)same.bytes[1]);
  return cli_fail(c, "not the same records: as many, of as many bytes, but others");
}

static int report(cli *c, const options *o, const wok_shuffle_info *i) {
  if (c->common.json) {
    json_t *j = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:I, s:f}", "records", (json_int_t)i->records, "bytes",
                          (json_int_t)i->bytes, "out_records", (json_int_t)i->out_records, "held_records", (json_int_t)i->held_records,
                          "files", (json_int_t)i->files, "memory", (json_int_t)i->memory, "buckets", (json_int_t)i->buckets, "block",
                          (json_int_t)i->block, "tmp_bytes", (json_int_t)i->tmp_bytes, "resumed", i->resumed, "seed", (json_int_t)i->seed,
                          "seconds", i->seconds);
    if (strcmp(o->out, "-")) cli_json(j);
    else json_decref(j);
    return EXIT_DONE;
  }
  if (o->dry_run) {
    cli_print("within %s of memory: %lld buckets, blocks of %s; temporary data: %s\n", cli_size(i->memory), (long long)i->buckets,
              cli_size(i->block), i->tmp_bytes < 0 ? "not known beforehand (packed inputs, a pipe, a sample)" : i->tmp_bytes ? cli_size(i->tmp_bytes) : "none");
    return EXIT_DONE;
  }
  char held[96] = "", files[48] = "", tmp[64] = "";
  if (i->held_records) snprintf(held, sizeof held, ", %lld of them held out", (long long)i->held_records);
  if (i->files - (o->held != NULL) > 1) snprintf(files, sizeof files, " in %lld files", (long long)(i->files - (o->held != NULL)));
  if (i->tmp_bytes) snprintf(tmp, sizeof tmp, ", %s through the temporary file", cli_size(i->tmp_bytes));
  cli_note(c, "%lld records, %s%s%s, in %s (%s/s)%s; seed %llu%s", (long long)(i->out_records + i->held_records), cli_size(i->bytes), held, files,
           cli_seconds(i->seconds), cli_size((int64_t)((double)i->bytes / (i->seconds > 0 ? i->seconds : 1e-9))), tmp,
           (unsigned long long)i->seed, i->resumed ? "; resumed" : "");
  return EXIT_DONE;
}

static int shuffle(cli *c, const options *o, const wok_record_opts *r) {
  static const char *const methods[] = {"auto", "memory", "scatter", "two-pass", NULL}, *const packings[] = {"", "none", "gzip", "zstd", NULL};
  wok_shuffle_opts p = {.records = *r, .seed = (uint64_t)c->common.seed, .memory = c->common.memory, .tmp = o->tmp,
                        .method = (wok_shuffle_method)index_of(o->method, methods), .run_records = o->run_records, .files0_from = o->from0,
                        .packing = (wok_packing)index_of(o->pack, packings), .level = (int)o->level, .shards = o->shards,
                        .shard_records = o->shard_records, .shard_bytes = o->shard_bytes, .held = o->held, .resume = o->resume,
                        .no_verify = o->no_verify, .force = o->force, .dry_run = o->dry_run};
  if (!amount(o->head, &p.head, &p.head_percent)) return cli_usage(c, "--head takes a number of records or a share such as 1%%, not '%s'", o->head);
  if (!amount(o->hold_out, &p.held_records, &p.held_percent))
    return cli_usage(c, "--hold-out takes a number of records or a share such as 1%%, not '%s'", o->hold_out);
  wok_shuffle_info i;
  wok_status s = wok_shuffle(c->ctx, (const char *const *)c->args, c->nargs, o->out, &p, &i);
  if (s == WOK_INTERRUPTED) {
    cli_fail(c, "interrupted; %s is as it was before%s", o->out, o->resume ? "; the same command goes on" : "");
    return EXIT_INTERRUPTED;
  }
  if (s == WOK_INVALID) {
    cli_fail(c, "%s", wok_errmsg(c->ctx));
    return EXIT_USAGE;
  }
  return s ? cli_status(c, s) : report(c, o, &i);
}

static int run(cli *c) {
  const options *o = c->options;
  wok_record_opts r;
  if (!o->out && !o->check.n) return cli_usage(c, "where to? -o OUT is missing");
  if (o->out && o->check.n) return cli_usage(c, "--check only looks; it goes without -o");
  if (!c->nargs && !o->from0) return cli_usage(c, "which files? FILE... or --files0-from is missing");
  char *sep = malloc(o->sep ? strlen(o->sep) + 1 : 1);
  if (!sep) return cli_fail(c, "out of memory");
  int e = records(c, o, sep, &r);
  if (!e) e = o->check.n ? check(c, o, &r) : shuffle(c, o, &r);
  free(sep);
  return e;
}

const cli_verb cli_shuffle = {
    .name = "shuffle", .args = "FILE... -o OUT", .summary = "shuffle the lines of a corpus larger than memory",
    .details = "Every order of the records is as likely as any other. It depends on --seed and the bytes of the inputs alone: not on\n"
               "--memory, --threads, the temporary directory, or on having been killed and resumed. Inputs may be gzip, zstd, xz or bzip2,\n"
               "told apart by content; a directory stands for its files; - is standard input. What fits into --memory [half of what is\n"
               "free] stays there, the rest goes through one temporary file. The output gets its name when it is whole.",
    .examples = "  wok shuffle corpus/ -o shuffled.txt --memory 4G\n"
                "  wok shuffle *.jsonl.gz -o train.jsonl.zst --shards 64 --hold-out 1% --hold-out-to valid.jsonl\n"
                "  wok shuffle big.txt -o big.shuffled.txt --resume          # and again after a kill\n"
                "  wok shuffle big.txt -o - -n 1000 --seed 7                 # a sample\n"
                "  wok shuffle big.txt --check big.shuffled.txt",
    .options = list, .size = sizeof(options), .min_args = 0, .max_args = -1, .run = run};
