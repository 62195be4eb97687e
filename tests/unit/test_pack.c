/* wok_pack and opened data directories: how text becomes documents, what is held out, what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "base/json.h"
#include "scratch.h"
#include "text/tokenizer.h"
#include "vocab/data.h"
#include "vocab/documents.h"

static const wok_pack_opts whole_bytes = {.tokenizer = "bytes", .hold_out = -1};

static wok_status pack1(scratch *s, const char *file, const char *dir, const wok_pack_opts *o,
                        wok_pack_info *info) {
  return wok_pack(s->c, &file, 1, dir, o, info);
}

/* Document i of a split as text. */
static char *text_of(scratch *s, wok_data *d, wok_split split, int64_t i, int64_t *len) {
  int64_t n, back;
  assert_works(s->c, wok_data_length(d, split, i, &n));
  int32_t *ids = malloc((size_t)n * sizeof *ids);
  assert_works(s->c, wok_data_read(d, split, i, 0, n, ids));
  assert_int_equal(ids[n - 1], wok_tokenizer_eod(wok_data_tokenizer(d)));
  for (int64_t k = 0; k + 1 < n; k++) assert_int_not_equal(ids[k], 0);
  char *text = malloc((size_t)n * 4 + 1);
  assert_works(s->c, wok_decode(wok_data_tokenizer(d), ids, n, text, n * 4, &back));
  text[back] = 0;
  *len = back;
  free(ids);
  return text;
}

/* Documents with '|' behind each: what a small pack holds. */
static char *all_of(scratch *s, wok_data *d, wok_split split) {
  wok_split_info info;
  wok_data_info(d, split, &info);
  wok__str z;
  wok__str_init(&z, 1 << 28);
  int64_t bytes = 0;
  for (int64_t i = 0; i < info.documents; i++) {
    int64_t n;
    char *t = text_of(s, d, split, i, &n);
    wok__str_add(&z, t, n);
    wok__str_puts(&z, "|");
    bytes += n;
    free(t);
  }
  assert_int_equal(info.bytes, bytes);
  return z.p ? z.p : calloc(1, 1);
}

/* ---- documents ---- */

static void documents(void **state) {
  scratch *s = *state;
  static const struct {
    wok_documents kind;
    const char *sep;
    bool strip;
    const char *text, *want;
  } cases[] = {
      {WOK_DOC_FILE, NULL, false, "a\r\nb\n", "a\r\nb\n|"},
      {WOK_DOC_FILE, NULL, false, "\n\na\n\n", "\n\na\n\n|"},
      {WOK_DOC_FILE, NULL, false,
       "\xef\xbb\xbf"
       "a",
       "a|"},
      {WOK_DOC_FILE, NULL, false, "a\xef\xbb\xbf", "a\xef\xbb\xbf|"},
      {WOK_DOC_FILE, NULL, false, "\xef\xbb\xbf\xef\xbb\xbf", "\xef\xbb\xbf|"},
      {WOK_DOC_LINE, NULL, false, "a\nbc\r\n\n\r\nd", "a|bc|d|"},
      {WOK_DOC_LINE, NULL, false, "a\r\r\n\rb\r", "a\r|\rb|"},
      {WOK_DOC_LINE, NULL, false, "\n\n x \n", " x |"},
      {WOK_DOC_BLANK, NULL, false, "a\nb\n\n\nc\r\nd\r\n\r\ne", "a\nb|c\nd|e|"},
      {WOK_DOC_BLANK, NULL, false, "\n\na\n \nb\n", "a\n \nb|"},
      {WOK_DOC_SEP, "%", false, "a\nb\n%\nc\n%\n", "a\nb|c|"},
      {WOK_DOC_SEP, "%", false, "%\n%\n\n%\na\n\nb\n%", "a\n\nb|"},
      {WOK_DOC_SEP, "%", false, "a\r\n%\r\nb\r\n", "a|b|"},
      {WOK_DOC_SEP, "%", false, "%%\n %\n% \n%\nx", "%%\n %\n% |x|"},
      {WOK_DOC_SEP, "%", false, "a\n\n%\n\nb\n\n", "a\n|\nb\n|"},
      {WOK_DOC_SEP, "---", false, "--\n---\n----\n---\r\n-", "--|----|-|"},
      {WOK_DOC_SEP, "\xe3\x80\x8a", false, "\xe3\x80\x8b\n\xe3\x80\x8a\n\xe3\x80", "\xe3\x80\x8b|\xe3\x80|"},
      {WOK_DOC_LINE, NULL, true, "\x1b[1;31mred\x1b[0m\n\x1b[m\n\x1b[2Jx\x1b\x1b[3my\x1b[31",
       "red|\x1b[2Jx\x1by\x1b[31|"},
      {WOK_DOC_SEP, "%", true, "a\n\x1b[1m%\x1b[0m\nb", "a|b|"},
      {WOK_DOC_LINE, NULL, true,
       "\x1b[;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;mx",
       "\x1b[;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;mx|"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    wok_pack_opts o = {.tokenizer = "bytes",
                       .hold_out = -1,
                       .documents = cases[i].kind,
                       .sep = cases[i].sep,
                       .strip_ansi = cases[i].strip};
    wok_data *d;
    assert_works(s->c, pack1(s, scratch_puts(s, "in", cases[i].text), scratch_at(s, "data"), &o, NULL));
    assert_works(s->c, wok_data_open(s->c, &d, scratch_at(s, "data")));
    char *got = all_of(s, d, WOK_TRAIN);
    if (strcmp(got, cases[i].want)) print_error("case %zu\n", i);
    assert_string_equal(got, cases[i].want);
    free(got);
    wok_data_close(d);
  }
}

/* The same wherever the pieces of reading end: something tricky across every border. */
static void borders(void **state) {
  scratch *s = *state;
  static const char tail[] =
      "\xe9\x94\x85\n%\r\n%x\r\n\x1b[12m\xf0\x9f\x8d\xb3\r\r\n%\n\n\n%%\n%\n\xe9\x94\x85";
  static const char want[] = "\xe9\x94\x85|%x\n\xf0\x9f\x8d\xb3\r|\n\n%%|\xe9\x94\x85|";
  enum { TAIL = sizeof tail - 1 };
  char *text = malloc(WOK__DOCUMENTS_PIECE + 64);
  for (int before = 0; before <= TAIL + 1; before++) {
    int64_t filler = WOK__DOCUMENTS_PIECE - before;
    memset(text, 'a', (size_t)filler);
    memcpy(text + filler, tail, TAIL);
    const char *in = scratch_put(s, "in", text, filler + TAIL);
    /* chars: pieces must be whole characters; min_count 1: every one of them has a token */
    const wok_pack_opts o = {
        .hold_out = -1, .min_count = 1, .documents = WOK_DOC_SEP, .sep = "%", .strip_ansi = true};
    wok_data *d;
    assert_works(s->c, pack1(s, in, scratch_at(s, "data"), &o, NULL));
    assert_works(s->c, wok_data_open(s->c, &d, scratch_at(s, "data")));
    char *got = all_of(s, d, WOK_TRAIN);
    for (int64_t i = 0; i < filler; i++)
      if (got[i] != 'a') fail_msg("byte %lld with %d before the border", (long long)i, before);
    assert_string_equal(got + filler, want);
    wok_split_info info;
    wok_data_info(d, WOK_TRAIN, &info);
    assert_int_equal(info.tokens, info.chars + info.documents);
    free(got);
    wok_data_close(d);
  }
  free(text);
}

static void several_files(void **state) {
  scratch *s = *state;
  /* a file ends a document, even in the middle of a line */
  const char *files[] = {scratch_puts(s, "1", "a\n%\nb"), scratch_puts(s, "2", "c\n"),
                         scratch_puts(s, "3", ""),
                         scratch_puts(s, "4",
                                      "\xef\xbb\xbf"
                                      "d")};
  const wok_pack_opts o = {.tokenizer = "bytes", .hold_out = -1, .documents = WOK_DOC_SEP, .sep = "%"};
  wok_data *d;
  wok_pack_info info;
  assert_works(s->c, wok_pack(s->c, files, 4, scratch_at(s, "data"), &o, &info));
  assert_works(s->c, wok_data_open(s->c, &d, scratch_at(s, "data")));
  char *got = all_of(s, d, WOK_TRAIN);
  assert_string_equal(got, "a|b|c|d|");
  assert_int_equal(info.train.documents, 4);
  assert_int_equal(info.train.tokens, 8);
  assert_int_equal(info.train.bytes, 4);
  assert_int_equal(info.valid.documents, 0);
  assert_int_equal(info.vocab_size, 257);
  assert_works(s->c, wok_data_verify(d));
  free(got);
  wok_data_close(d);
  json_t *j;
  assert_works(s->c, wok__json_read(s->c, &j, scratch_at(s, "data/data.json"), 1 << 20));
  const json_t *sources = json_object_get(j, "sources");
  assert_int_equal(json_array_size(sources), 4);
  assert_int_equal(json_integer_value(json_object_get(json_array_get(sources, 3), "bytes")), 4);
  assert_string_equal(json_string_value(json_object_get(json_array_get(sources, 0), "name")), files[0]);
  assert_string_equal(json_string_value(json_object_get(j, "tokenizer")), "bytes");
  json_decref(j);
}

/* ---- vocabulary ---- */

static void vocabulary(void **state) {
  scratch *s = *state;
  wok_data *d;
  wok_pack_info info;
  /* b 3, newline 4, a and the pan 2 each (by code point), c and U+0000 too rare or not allowed */
  static const char text[] = "b\xe9\x94\x85"
                             "ab\n\n\n\nba\xe9\x94\x85"
                             "c\0\0\0";
  const wok_pack_opts o = {.hold_out = -1};
  assert_works(s->c, pack1(s, scratch_put(s, "in", text, sizeof text - 1), scratch_at(s, "data"), &o, &info));
  assert_works(s->c, wok_data_open(s->c, &d, scratch_at(s, "data")));
  const wok_tokenizer *t = wok_data_tokenizer(d);
  static const char *const want[] = {"\n", "b", "a", "\xe9\x94\x85"};
  assert_int_equal(info.vocab_size, 257 + 4);
  assert_int_equal(wok_tokenizer_size(t), 257 + 4);
  assert_string_equal(wok_tokenizer_kind(t), "chars");
  for (int i = 0; i < 4; i++) {
    int64_t n;
    const char *p = wok_tokenizer_piece(t, 257 + i, &n);
    assert_int_equal(n, strlen(want[i]));
    assert_memory_equal(p, want[i], (size_t)n);
  }
  int64_t n;
  int32_t ids[32];
  assert_works(s->c, wok_data_length(d, WOK_TRAIN, 0, &n));
  assert_works(s->c, wok_data_read(d, WOK_TRAIN, 0, 0, n, ids));
  static const int32_t expect[] = {258, 260, 259, 258,     257, 257, 257, 257,
                                   258, 259, 260, 1 + 'c', 1,   1,   1,   0};
  assert_int_equal(n, 16);
  assert_memory_equal(ids, expect, sizeof expect);
  /* parts of a document */
  assert_works(s->c, wok_data_read(d, WOK_TRAIN, 0, 11, 2, ids));
  assert_int_equal(ids[0], 1 + 'c');
  assert_int_equal(ids[1], 1);
  assert_fails(s->c, wok_data_read(d, WOK_TRAIN, 0, 11, 6, ids), WOK_INVALID,
               "document 0 has 16 tokens; 6 from number 11 on are asked for");
  assert_fails(s->c, wok_data_read(d, WOK_TRAIN, 0, -1, 1, ids), WOK_INVALID, "from number -1 on");
  assert_fails(s->c, wok_data_read(d, WOK_TRAIN, 0, 0, -1, ids), WOK_INVALID, "-1 from");
  assert_fails(s->c, wok_data_read(d, WOK_TRAIN, 1, 0, 1, ids), WOK_INVALID, "no document 1 among 1");
  assert_fails(s->c, wok_data_length(d, WOK_VALID, 0, &n), WOK_INVALID, "no document 0 among 0");
  wok_data_close(d);
  /* nothing often enough: what is left is the tokenizer of bytes */
  assert_works(s->c, pack1(s, scratch_puts(s, "in", "abc"), scratch_at(s, "data"), &o, &info));
  assert_int_equal(info.vocab_size, 257);
  const wok_pack_opts once = {.hold_out = -1, .min_count = 1};
  assert_works(s->c, pack1(s, scratch_puts(s, "in", "abc"), scratch_at(s, "data"), &once, &info));
  assert_int_equal(info.vocab_size, 260);
}

/* What occurs only in the held-out part has no token. */
static void vocabulary_of_training_part(void **state) {
  scratch *s = *state;
  wok__str z;
  wok_data *d;
  wok__str_init(&z, 1 << 20);
  for (int i = 0; i < 190; i++) wok__str_puts(&z, "a");
  for (int i = 0; i < 10; i++) wok__str_puts(&z, "z");
  assert_works(s->c, pack1(s, scratch_puts(s, "in", z.p), scratch_at(s, "data"), NULL, NULL));
  assert_works(s->c, wok_data_open(s->c, &d, scratch_at(s, "data")));
  assert_int_equal(wok_tokenizer_size(wok_data_tokenizer(d)), 258);
  char *valid = all_of(s, d, WOK_VALID);
  assert_string_equal(valid, "zzzzzzzzzz|");
  free(valid);
  wok_data_close(d);
  wok__str_free(&z);
}

static void given_tokenizer(void **state) {
  scratch *s = *state;
  static const uint32_t chars[] = {'a', 0x9505};
  wok_tokenizer *t;
  wok_data *d;
  wok_pack_info info;
  assert_works(s->c, wok__tokenizer_new(s->c, &t, chars, 2));
  assert_works(s->c, wok_tokenizer_save(t, scratch_at(s, "tokenizer.json")));
  wok_pack_opts o = {.hold_out = -1, .tokenizer = scratch_at(s, "tokenizer.json")};
  const char *in = scratch_puts(s, "in",
                                "a\xe9\x94\x85"
                                "b");
  assert_works(s->c, pack1(s, in, scratch_at(s, "data"), &o, &info));
  assert_int_equal(info.vocab_size, 259);
  assert_works(s->c, wok_data_open(s->c, &d, scratch_at(s, "data")));
  assert_true(wok_tokenizer_hash(wok_data_tokenizer(d)) == wok_tokenizer_hash(t));
  wok_data_close(d);
  o.tokenizer = s->dir; /* a folder that holds one */
  assert_works(s->c, pack1(s, in, scratch_at(s, "data"), &o, &info));
  o.tokenizer = scratch_at(s, "data"); /* an earlier pack, which is replaced */
  assert_works(s->c, pack1(s, in, scratch_at(s, "data"), &o, &info));
  assert_int_equal(info.vocab_size, 259);
  o.tokenizer = scratch_at(s, "nothing");
  assert_fails(s->c, pack1(s, in, scratch_at(s, "data"), &o, &info), WOK_NOTFOUND, "nothing");
  /* as strict about UTF-8 as "chars" */
  o.tokenizer = scratch_at(s, "tokenizer.json");
  assert_fails(s->c, pack1(s, scratch_puts(s, "bad", "a\xff"), scratch_at(s, "data"), &o, &info), WOK_FORMAT,
               "bad: not UTF-8 at byte 1");
  wok_tokenizer_free(t);
}

/* ---- holding out ---- */

static void lines_file(scratch *s, const char *name, int n) {
  FILE *f = fopen(scratch_at(s, name), "w");
  for (int i = 0; i < n; i++) fprintf(f, "%d\n", i);
  fclose(f);
}

/* Which of n numbered lines went to the held-out part. */
static int64_t held_lines(scratch *s, int n, double percent, uint64_t seed, bool *held) {
  wok_data *d;
  const wok_pack_opts o = {
      .tokenizer = "bytes", .documents = WOK_DOC_LINE, .hold_out = percent, .seed = seed};
  lines_file(s, "lines", n);
  assert_works(s->c, pack1(s, scratch_at(s, "lines"), scratch_at(s, "data"), &o, NULL));
  assert_works(s->c, wok_data_open(s->c, &d, scratch_at(s, "data")));
  int seen[1000] = {0};
  wok_split_info info[2];
  for (int split = 0; split < 2; split++) {
    wok_data_info(d, (wok_split)split, &info[split]);
    int before = -1;
    for (int64_t i = 0; i < info[split].documents; i++) {
      int64_t len;
      char *t = text_of(s, d, (wok_split)split, i, &len);
      int v = atoi(t);
      assert_true(v > before); /* the order is kept */
      before = v;
      seen[v]++;
      if (held) held[v] = split == WOK_VALID;
      free(t);
    }
  }
  for (int i = 0; i < n; i++) assert_int_equal(seen[i], 1);
  wok_data_close(d);
  return info[WOK_VALID].documents;
}

static void hold_out_documents(void **state) {
  scratch *s = *state;
  assert_int_equal(held_lines(s, 100, 0, 0, NULL), 5);
  assert_int_equal(held_lines(s, 20, 5, 0, NULL), 1);
  assert_int_equal(held_lines(s, 20, 0.1, 0, NULL), 1);
  assert_int_equal(held_lines(s, 30, 50, 0, NULL), 15);
  assert_int_equal(held_lines(s, 30, 99.9, 0, NULL), 29);
  assert_int_equal(held_lines(s, 290, 2.5, 0, NULL), 7);
  assert_int_equal(held_lines(s, 100, -1, 0, NULL), 0);
  bool a[300] = {0}, b[300] = {0};
  int common = 0, early = 0;
  held_lines(s, 300, 50, 1, a);
  held_lines(s, 300, 50, 2, b);
  for (int i = 0; i < 300; i++) common += a[i] && b[i], early += a[i] && i < 150;
  assert_in_range(common, 45, 105); /* 75 expected, 6 the deviation */
  assert_in_range(early, 45, 105);
}

/* Few documents: the last characters. Both parts together are the text. */
static void hold_out_end(void **state) {
  scratch *s = *state;
  static const char *const texts[] = {"\xe9\x94\x85"
                                      "a\xe9\x94\x85"
                                      "b\xf0\x9f\x8d\xb3",
                                      "cdefghij", "k", "lmnopqrst"}; /* 5 8 1 9 characters */
  for (int held = 1; held < 23; held++) {
    const char *files[4];
    for (int i = 0; i < 4; i++) files[i] = scratch_puts(s, (char[]){(char)('0' + i), 0}, texts[i]);
    const wok_pack_opts o = {.min_count = 1, .hold_out = held / 23.0 * 100};
    wok_pack_info info;
    wok_data *d;
    assert_works(s->c, wok_pack(s->c, files, 4, scratch_at(s, "data"), &o, &info));
    assert_int_equal(info.valid.chars, held);
    assert_int_equal(info.train.chars, 23 - held);
    assert_works(s->c, wok_data_open(s->c, &d, scratch_at(s, "data")));
    char *train = all_of(s, d, WOK_TRAIN), *valid = all_of(s, d, WOK_VALID);
    bool whole = held == 9 || held == 10 || held == 18; /* the cut lies between two documents */
    assert_int_equal(info.train.documents + info.valid.documents, whole ? 4 : 5);
    char both[128];
    snprintf(both, sizeof both, "%s%s", train, valid);
    char want[128] = "", plain[128] = "";
    for (int i = 0; i < 4; i++) strcat(want, texts[i]);
    for (char *p = both, *q = plain; (*q = *p); p++) q += *p != '|';
    assert_string_equal(plain, want);
    int cut;
    assert_int_equal(wok__utf8_valid((uint8_t *)train, (int64_t)strlen(train), &cut), strlen(train));
    free(train);
    free(valid);
    wok_data_close(d);
  }
  /* one document longer than a piece of reading */
  char *text = malloc(600000);
  for (int i = 0; i < 200000; i++) memcpy(text + 3 * i, i % 2 ? "\xe9\x94\x85" : "\xe4\xb8\xad", 3);
  wok_pack_info info;
  assert_works(s->c, pack1(s, scratch_put(s, "long", text, 600000), scratch_at(s, "data"), NULL, &info));
  assert_int_equal(info.valid.chars, 10000);
  assert_int_equal(info.train.chars, 190000);
  assert_int_equal(info.train.documents, 1);
  assert_int_equal(info.valid.documents, 1);
  assert_int_equal(info.valid.bytes, 30000);
  free(text);
}

static void same_bytes_again(void **state) {
  scratch *s = *state;
  lines_file(s, "lines", 500);
  const char *file = scratch_at(s, "lines");
  const wok_pack_opts o = {.documents = WOK_DOC_LINE, .seed = 9},
                      other = {.documents = WOK_DOC_LINE, .seed = 10};
  uint64_t hash[3];
  wok_data *d;
  assert_works(s->c, pack1(s, file, scratch_at(s, "a"), &o, NULL));
  assert_works(s->c, pack1(s, file, scratch_at(s, "b"), &o, NULL));
  assert_works(s->c, pack1(s, file, scratch_at(s, "c"), &other, NULL));
  static const char *const names[] = {"train.wok", "valid.wok", "tokenizer.json", "data.json"};
  for (int i = 0; i < 4; i++) {
    char path[64];
    int64_t n, m;
    snprintf(path, sizeof path, "a/%s", names[i]);
    unsigned char *x = scratch_get(scratch_at(s, path), &n);
    path[0] = 'b';
    unsigned char *y = scratch_get(scratch_at(s, path), &m);
    assert_int_equal(n, m);
    assert_memory_equal(x, y, (size_t)n);
    free(x);
    free(y);
  }
  for (int i = 0; i < 3; i++) {
    assert_works(s->c, wok_data_open(s->c, &d, scratch_at(s, (char[]){(char)('a' + i), 0})));
    hash[i] = wok_data_hash(d);
    wok_data_close(d);
  }
  assert_true(hash[0] == hash[1]);
  assert_true(hash[0] != hash[2]);
}

/* ---- where text comes from ---- */

static void pipes(void **state) {
  scratch *s = *state;
  wok_data *d;
  enum { N = 700000 };
  char *text = malloc(N);
  for (int i = 0; i < N; i++) text[i] = (char)(i % 1000 ? 'a' + i % 26 : '\n');
  const char *file = scratch_put(s, "in", text, N), *fifo = scratch_at(s, "fifo");
  const wok_pack_opts o = {.documents = WOK_DOC_LINE};
  assert_works(s->c, pack1(s, file, scratch_at(s, "a"), &o, NULL));
  /* a named pipe */
  assert_int_equal(mkfifo(fifo, 0600), 0);
  pid_t child = fork();
  if (child == 0) {
    int fd = open(fifo, O_WRONLY);
    for (int i = 0; i < N; i += 70000)
      if (write(fd, text + i, 70000) != 70000) _exit(1);
    _exit(0);
  }
  assert_works(s->c, pack1(s, fifo, scratch_at(s, "b"), &o, NULL));
  int status;
  waitpid(child, &status, 0);
  assert_int_equal(status, 0);
  /* standard input */
  int kept = dup(0), fd = open(file, O_RDONLY);
  dup2(fd, 0);
  close(fd);
  wok_status st = pack1(s, "-", scratch_at(s, "c"), &o, NULL);
  dup2(kept, 0);
  close(kept);
  assert_works(s->c, st);
  uint64_t hash[3];
  for (int i = 0; i < 3; i++) {
    assert_works(s->c, wok_data_open(s->c, &d, scratch_at(s, (char[]){(char)('a' + i), 0})));
    hash[i] = wok_data_hash(d);
    wok_data_close(d);
  }
  assert_true(hash[0] == hash[1] && hash[0] == hash[2]);
  free(text);
  assert_fails(s->c, wok_pack(s->c, (const char *[]){"-", "-"}, 2, scratch_at(s, "c"), &o, NULL), WOK_INVALID,
               "read only once");
}

static wok_status ignore_text(void *ud, const uint8_t *p, int64_t n) { return WOK_OK; }
static wok_status ignore_end(void *ud) { return WOK_OK; }

static void changed_between_readings(void **state) {
  scratch *s = *state;
  static const char *const later[] = {"first text", "first tex", "", "first texts"};
  const wok__documents_opts o = {.utf8 = true};
  const wok__documents_sink sink = {ignore_text, ignore_end, NULL};
  wok__task task;
  wok__task_begin(&task, s->c, "test", "bytes", 0);
  for (int i = 0; i < 4; i++) {
    wok__source src;
    const char *path = scratch_puts(s, "in", "first test");
    assert_works(s->c, wok__source_prepare(s->c, &src, path, s->dir));
    for (int k = 0; k < 2; k++) assert_works(s->c, wok__documents_read(s->c, &src, 1, &o, &sink, &task));
    scratch_puts(s, "in", later[i]);
    assert_fails(s->c, wok__documents_read(s->c, &src, 1, &o, &sink, &task), WOK_MISMATCH,
                 "in: was changed while it was being read");
    wok__source_done(&src);
  }
}

/* ---- what is refused, with nothing left behind ---- */

static void nothing_left(scratch *s, const char *dir) {
  char aside[600];
  snprintf(aside, sizeof aside, "%s.packing", dir);
  assert_false(wok__exists(dir));
  assert_false(wok__exists(aside));
}

static void bad_text(void **state) {
  scratch *s = *state;
  const char *dir = scratch_at(s, "data");
  static const struct {
    const char *text;
    int64_t n;
    const char *message;
  } cases[] = {
      {"abc\xff", 4, "in: not UTF-8 at byte 3 (0xFF): convert it to UTF-8 or use --tokenizer bytes"},
      {"\xef\xbb\xbf"
       "ab\xc0\x80",
       7, "in: not UTF-8 at byte 5 (0xC0)"},
      {"ab\xe9\x94", 4, "in: not UTF-8 at byte 2 (0xE9)"},
      {"\xed\xa0\x80", 3, "in: not UTF-8 at byte 0 (0xED)"},
      {"", 0, "nothing to pack:"},
      {"\n\n\n", 3, "holds no text"},
      {"\xef\xbb\xbf", 3, "holds no text"},
      {"abcdefg", 7,
       "too little text to hold anything out: 7 characters in 1 document, of which 5 % are none; give more "
       "text, or hold nothing out"},
      {"a", 1, "too little text to hold anything out: 1 characters in 1 document"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    assert_fails(s->c, pack1(s, scratch_put(s, "in", cases[i].text, cases[i].n), dir, NULL, NULL), WOK_FORMAT,
                 cases[i].message);
    nothing_left(s, dir);
  }
  /* the place in the file, far behind the first piece of reading, and behind removed colour codes */
  char *text = malloc(400000);
  for (int i = 0; i < 400000; i++) text[i] = i % 4 ? "\x1b[m"[i % 4 - 1] : 'x';
  text[399998] = (char)0xfe;
  const wok_pack_opts strip = {.strip_ansi = true};
  assert_fails(s->c, pack1(s, scratch_put(s, "in", text, 400000), dir, &strip, NULL), WOK_FORMAT,
               "at byte 399998 (0xFE)");
  free(text);
  /* the tokenizer of bytes takes it all */
  wok_data *d;
  assert_works(s->c, pack1(s, scratch_put(s, "in", "a\xff\xc0\x80", 4), dir, &whole_bytes, NULL));
  assert_works(s->c, wok_data_open(s->c, &d, dir));
  wok_split_info info;
  wok_data_info(d, WOK_TRAIN, &info);
  assert_int_equal(info.bytes, 4);
  assert_int_equal(info.chars, 3);
  wok_data_close(d);
  const char *two[] = {scratch_puts(s, "1", ""), scratch_puts(s, "2", "\n")};
  assert_fails(s->c, wok_pack(s->c, two, 2, dir, NULL, NULL), WOK_FORMAT, "1 and 1 more hold no text");
}

static void bad_options(void **state) {
  scratch *s = *state;
  const char *dir = scratch_at(s, "data"), *in = scratch_puts(s, "in", "text");
  static const struct {
    wok_pack_opts o;
    const char *message;
  } cases[] = {
      {{.documents = WOK_DOC_SEP}, "told apart by a separating line, but none was given"},
      {{.documents = WOK_DOC_SEP, .sep = ""}, "but none was given"},
      {{.documents = WOK_DOC_SEP, .sep = "a\nb"}, "must be one line"},
      {{.documents = WOK_DOC_SEP, .sep = "\xff"}, "must be one line of UTF-8"},
      {{.documents = (wok_documents)4}, "no such way"},
      {{.documents = (wok_documents)-1}, "no such way"},
      {{.hold_out = 100}, "a percentage below 100, not 100"},
      {{.hold_out = NAN}, "a percentage below 100"},
      {{.min_count = -1}, "min_count must be at least 1, not -1"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    assert_fails(s->c, pack1(s, in, dir, &cases[i].o, NULL), WOK_INVALID, cases[i].message);
  assert_fails(s->c, wok_pack(s->c, NULL, 0, dir, NULL, NULL), WOK_INVALID, "no files");
  assert_fails(s->c, pack1(s, in, "", NULL, NULL), WOK_INVALID, "no directory");
  nothing_left(s, dir);
}

static void bad_files(void **state) {
  scratch *s = *state;
  const char *dir = scratch_at(s, "data");
  assert_fails(s->c, pack1(s, scratch_at(s, "absent"), dir, &whole_bytes, NULL), WOK_NOTFOUND,
               "absent: no such file");
  assert_fails(s->c, pack1(s, s->dir, dir, &whole_bytes, NULL), WOK_IO,
               "is a directory: name the files in it");
  const char *in = scratch_puts(s, "in", "text");
  assert_fails(s->c, wok_pack(s->c, (const char *[]){in, scratch_at(s, "gone")}, 2, dir, &whole_bytes, NULL),
               WOK_NOTFOUND, "gone: no such file");
  nothing_left(s, dir);
  /* a file in the way of the directory */
  assert_fails(s->c, pack1(s, in, in, &whole_bytes, NULL), WOK_IO, "in: exists and is not a directory");
  char below[600];
  snprintf(below, sizeof below, "%s/data", in);
  wok_status st = pack1(s, in, below, &whole_bytes, NULL);
  assert_fails(s->c, st, WOK_IO, "in: exists and is not a directory");
  if (geteuid() != 0) { /* nothing is forbidden to root */
    assert_int_equal(chmod(s->dir, 0500), 0);
    assert_fails(s->c, pack1(s, in, dir, &whole_bytes, NULL), WOK_IO, "permission denied");
    assert_int_equal(chmod(s->dir, 0700), 0);
  }
}

static void other_data_is_safe(void **state) {
  scratch *s = *state;
  const char *dir = scratch_at(s, "data"), *in = scratch_puts(s, "in", "text");
  wok_data *d;
  assert_works(s->c, wok__mkdirs(s->c, dir));
  assert_works(s->c, pack1(s, in, dir, &whole_bytes, NULL)); /* empty: may be replaced */
  assert_works(s->c, pack1(s, in, dir, &whole_bytes, NULL)); /* an earlier pack */
  char slashes[600];
  snprintf(slashes, sizeof slashes, "%s//", dir);
  assert_works(s->c, pack1(s, in, slashes, &whole_bytes, NULL));
  scratch_puts(s, "data/notes.txt", "mine");
  assert_fails(s->c, pack1(s, in, dir, &whole_bytes, NULL), WOK_MISMATCH,
               "data holds notes.txt, which was not made by wok pack");
  assert_works(s->c, wok_data_open(s->c, &d, dir)); /* the old one is still there */
  wok_data_close(d);
  assert_works(s->c, wok__mkdirs(s->c, scratch_at(s, "home")));
  scratch_puts(s, "home/notes.txt", "mine");
  assert_fails(s->c, pack1(s, in, scratch_at(s, "home"), &whole_bytes, NULL), WOK_MISMATCH,
               "home is not empty and was not made by wok pack");
  scratch_puts(s, "home/data.json", "{\"format\":\"else\"}");
  assert_fails(s->c, pack1(s, in, scratch_at(s, "home"), &whole_bytes, NULL), WOK_MISMATCH,
               "was not made by wok pack");
  assert_true(wok__exists(scratch_at(s, "home/notes.txt")));
  /* a link to the directory: what it points to is replaced, not the link */
  assert_works(s->c, wok__mkdirs(s->c, scratch_at(s, "real")));
  assert_int_equal(symlink(scratch_at(s, "real"), scratch_at(s, "link")), 0);
  assert_works(s->c, pack1(s, in, scratch_at(s, "link"), &whole_bytes, NULL));
  assert_true(wok__exists(scratch_at(s, "real/train.wok")));
  struct stat st;
  assert_int_equal(lstat(scratch_at(s, "link"), &st), 0);
  assert_true(S_ISLNK(st.st_mode));
}

static void locked(void **state) {
  scratch *s = *state;
  const char *dir = scratch_at(s, "data"), *in = scratch_puts(s, "in", "text"),
             *beside = scratch_at(s, "data.packing");
  wok__lock l;
  assert_works(s->c, wok__mkdirs(s->c, beside));
  assert_works(s->c, wok__lock_dir(s->c, &l, beside));
  assert_fails(s->c, pack1(s, in, dir, &whole_bytes, NULL), WOK_LOCKED, "is in use by process");
  wok__unlock(&l);
  /* what a killed run left is cleared away */
  assert_works(s->c, wok__mkdirs(s->c, scratch_at(s, "data.packing/new")));
  scratch_puts(s, "data.packing/new/train.wok.tmp-1-0", "half");
  assert_works(s->c, pack1(s, in, dir, &whole_bytes, NULL));
  assert_false(wok__exists(beside));
  assert_false(wok__exists(scratch_at(s, "data/train.wok.tmp-1-0")));
}

/* The file size limit of a process stops a writer as a full disk does. */
static void full_disk(void **state) {
  scratch *s = *state;
  const char *dir = scratch_at(s, "data"), *in = scratch_puts(s, "in", "text");
  assert_works(s->c, pack1(s, in, dir, &whole_bytes, NULL));
  wok_data *d;
  assert_works(s->c, wok_data_open(s->c, &d, dir));
  uint64_t before = wok_data_hash(d);
  wok_data_close(d);
  char *text = malloc(2000000);
  memset(text, 'a', 2000000);
  in = scratch_put(s, "in", text, 2000000);
  struct rlimit old, small;
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
  small = old;
  small.rlim_cur = 1 << 20;
  signal(SIGXFSZ, SIG_IGN);
  setrlimit(RLIMIT_FSIZE, &small);
  wok_status st = pack1(s, in, dir, &whole_bytes, NULL), st2;
  char message[1024];
  snprintf(message, sizeof message, "%s", wok_errmsg(s->c));
  /* standard input, which is spooled */
  int kept = dup(0), fd = open(in, O_RDONLY);
  dup2(fd, 0);
  close(fd);
  st2 = pack1(s, "-", dir, &whole_bytes, NULL);
  dup2(kept, 0);
  close(kept);
  setrlimit(RLIMIT_FSIZE, &old);
  signal(SIGXFSZ, SIG_DFL);
  assert_fails(s->c, st2, WOK_NOSPACE, "data.packing");
  assert_int_equal(st, WOK_NOSPACE);
  assert_non_null(strstr(message, "train.wok"));
  assert_works(s->c, wok_data_open(s->c, &d, dir)); /* the old one is whole */
  assert_true(wok_data_hash(d) == before);
  wok_data_close(d);
  assert_false(wok__exists(scratch_at(s, "data.packing")));
  free(text);
}

typedef struct watcher {
  int calls, stop_at;
  double last;
  bool rising;
} watcher;
static bool watch(void *ud, const wok_progress *p) {
  watcher *w = ud;
  w->calls++;
  w->rising = w->rising && (double)p->done >= w->last;
  w->last = (double)p->done;
  assert_string_equal(p->what, "pack");
  assert_string_equal(p->unit, "bytes");
  assert_true(p->done <= p->total);
  return w->calls != w->stop_at;
}

static void progress_and_interruption(void **state) {
  scratch *s = *state;
  const char *dir = scratch_at(s, "data"), *in = scratch_puts(s, "in", "text text text text text text text");
  watcher w = {0, -1, 0, true};
  wok_ctx *c;
  assert_int_equal(wok_ctx_new(&c, &(wok_ctx_opts){.threads = 1, .progress = watch, .progress_ud = &w}),
                   WOK_OK);
  assert_works(c, wok_pack(c, &in, 1, dir, NULL, NULL));
  assert_true(w.calls >= 2 && w.rising);
  assert_true(w.last == 3 * 34);
  assert_works(s->c, wok__remove_tree(s->c, dir));
  w = (watcher){0, 1, 0, true};
  assert_int_equal(wok_pack(c, &in, 1, dir, NULL, NULL), WOK_INTERRUPTED);
  nothing_left(s, dir);
  w = (watcher){0, -1, 0, true};
  wok_cancel(c);
  assert_int_equal(wok_pack(c, &in, 1, dir, NULL, NULL), WOK_INTERRUPTED);
  nothing_left(s, dir);
  wok_ctx_free(c);
}

/* ---- opening ---- */

static void bad_directories(void **state) {
  scratch *s = *state;
  wok_data *d;
  const char *in = scratch_puts(s, "in", "some text for two packs");
  const wok_pack_opts chars = {.hold_out = -1};
  assert_works(s->c, pack1(s, in, scratch_at(s, "a"), &whole_bytes, NULL));
  assert_works(s->c, pack1(s, in, scratch_at(s, "b"), &chars, NULL));
  assert_fails(s->c, wok_data_open(s->c, &d, scratch_at(s, "none")), WOK_NOTFOUND, "none: no such directory");
  assert_null(d);
  assert_fails(s->c, wok_data_open(s->c, &d, s->dir), WOK_NOTFOUND, "holds no packed corpus");
  assert_int_equal(rename(scratch_at(s, "a/valid.wok"), scratch_at(s, "a/kept")), 0);
  assert_fails(s->c, wok_data_open(s->c, &d, scratch_at(s, "a")), WOK_NOTFOUND, "valid.wok");
  assert_int_equal(rename(scratch_at(s, "a/kept"), scratch_at(s, "a/valid.wok")), 0);
  int64_t n;
  unsigned char *json = scratch_get(scratch_at(s, "b/tokenizer.json"), &n),
                *old = scratch_get(scratch_at(s, "a/tokenizer.json"), &n);
  scratch_put(s, "a/tokenizer.json", json, (int64_t)strlen((char *)json));
  assert_fails(s->c, wok_data_open(s->c, &d, scratch_at(s, "a")), WOK_MISMATCH,
               "packed with another tokenizer than the tokenizer.json beside it");
  scratch_put(s, "a/tokenizer.json", old, (int64_t)strlen((char *)old));
  free(json);
  free(old);
  scratch_puts(s, "a/data.json", "{\"format\":\"wok data\",\"version\":2}");
  assert_fails(s->c, wok_data_open(s->c, &d, scratch_at(s, "a")), WOK_UNSUPPORTED,
               "version 2 of packed data is not known");
  scratch_puts(s, "a/data.json", "{\"format\":\"other\",\"version\":1}");
  assert_fails(s->c, wok_data_open(s->c, &d, scratch_at(s, "a")), WOK_FORMAT,
               "is not the data.json of a packed corpus");
  scratch_puts(s, "a/data.json", "{");
  assert_fails(s->c, wok_data_open(s->c, &d, scratch_at(s, "a")), WOK_FORMAT, "data.json");
  scratch_puts(s, "a/data.json", "{\"format\":\"wok data\",\"version\":1}");
  assert_works(s->c, wok_data_open(s->c, &d, scratch_at(s, "a")));
  wok_data_close(d);
  wok_data_close(NULL);
  /* damage is found when it is met, with file and block */
  unsigned char *shard = scratch_get(scratch_at(s, "a/train.wok"), &n);
  shard[256] ^= 1;
  scratch_put(s, "a/train.wok", shard, n);
  assert_fails(s->c, wok_data_open(s->c, &d, scratch_at(s, "a")), WOK_CORRUPT,
               "a/train.wok: block 0 of 1 is damaged");
  free(shard);
}

#define SCRATCH(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)
int main(void) {
  const struct CMUnitTest tests[] = {
      SCRATCH(documents),
      SCRATCH(borders),
      SCRATCH(several_files),
      SCRATCH(vocabulary),
      SCRATCH(vocabulary_of_training_part),
      SCRATCH(given_tokenizer),
      SCRATCH(hold_out_documents),
      SCRATCH(hold_out_end),
      SCRATCH(same_bytes_again),
      SCRATCH(pipes),
      SCRATCH(changed_between_readings),
      SCRATCH(bad_text),
      SCRATCH(bad_options),
      SCRATCH(bad_files),
      SCRATCH(other_data_is_safe),
      SCRATCH(locked),
      SCRATCH(full_disk),
      SCRATCH(progress_and_interruption),
      SCRATCH(bad_directories),
  };
  return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
