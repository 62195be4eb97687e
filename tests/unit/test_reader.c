/* The record reader (spec 05, A.2.6): every rule, every compression, at buffer sizes that put each cut everywhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <bzlib.h>
#include <lzma.h>
#include <sys/stat.h>
#include <zlib.h>
#include <zstd.h>
#include "corpus/reader.h"
#include "scratch.h"

/* All records with '|' behind each, pieces with '+'; or the failure. */
static wok_status read_all(scratch *s, const char *const *files, int n, wok__reader_opts o, bool show_pieces,
                           wok__str *z) {
  wok__inputs in;
  WOK__TRY(wok__inputs_find(s->c, &in, files, n, NULL));
  wok__reader *r;
  wok_status st = wok__reader_open(s->c, &r, &in, &o);
  int64_t record = -1;
  bool inside = false;
  wok__str_init(z, 1 << 28);
  for (bool more = st == WOK_OK; more;) {
    wok__piece p;
    st = wok__reader_next(r, &p, &more);
    if (st || !more) break;
    assert_int_equal(p.first, !inside);
    record += p.first;
    assert_int_equal(p.record, record);
    inside = !p.last;
    wok__str_add(z, p.p, p.n);
    if (p.last)
      wok__str_puts(z, "|");
    else if (show_pieces)
      wok__str_puts(z, "+");
  }
  if (st == WOK_OK) {
    assert_false(inside);
    int64_t nh;
    const uint8_t *h = wok__reader_header(r, &nh);
    if (nh) {
      wok__str_puts(z, " header ");
      wok__str_add(z, h, nh);
    }
    if (in.all_regular) assert_int_equal(wok__reader_taken(r), in.bytes);
  }
  wok__reader_close(r);
  wok__inputs_free(&in);
  if (st) wok__str_free(z);
  return st;
}

static void rules(void **state) { /* 05-A.2.6 */
  scratch *s = *state;
  static const struct {
    const char *what;
    wok_record_opts how;
    const char *text[3];
    const char *want;
  } cases[] = {
      {"nothing", {0}, {""}, ""},
      {"lines", {0}, {"a\nb\n"}, "a|b|"},
      {"no final newline", {0}, {"a\nb"}, "a|b|"},
      {"files are never glued", {0}, {"a\nb", "c\nd", "e"}, "a|b|c|d|e|"},
      {"an empty file between", {0}, {"a", "", "b"}, "a|b|"},
      {"empty lines", {0}, {"\n\na\n\n"}, "||a||"},
      {"empty lines left out", {.skip_empty = true}, {"\n\na\n\n", "\n", "b"}, "a|b|"},
      {"carriage returns are content", {0}, {"a\r\nb\r"}, "a\r|b\r|"},
      {"stripped", {.crlf = WOK_CRLF_STRIP}, {"a\r\nb\n\r\nc\r"}, "a|b||c|"},
      {"stripped, then empty", {.crlf = WOK_CRLF_STRIP, .skip_empty = true}, {"a\r\n\r\nb"}, "a|b|"},
      {"another byte", {.separator = "%"}, {"a\nb%c%%"}, "a\nb|c||"},
      {"NUL", {.separator = "", .separator_bytes = 1}, {"a\nb"}, "a\nb|"},
      {"a string", {.separator = "<>"}, {"a<b<>c<><>d<"}, "a<b|c||d<|"},
      {"a string that repeats", {.separator = "aab"}, {"aaabaaab"}, "a|a|"},
      {"four lines", {.lines = 4}, {"a\nb\nc\nd\ne\nf\ng\nh\n"}, "a\nb\nc\nd|e\nf\ng\nh|"},
      {"four lines, the last short", {.lines = 4}, {"a\nb\nc\nd\ne\nf\n", "g"}, "a\nb\nc\nd|e\nf|g|"},
      {"fixed", {.fixed_bytes = 3}, {"abcdef", "ghi"}, "abc|def|ghi|"},
      {"a length before", {.prefix_bytes = 1}, {"\001a\003b\nc\001d"}, "\001a|\003b\nc|\001d|"},
      {"header", {.header = 2}, {"h\ni\na\n", "h\nb\n"}, "a|h|b| header h\ni\n"},
      {"headers", {.header = 1, .header_each = true}, {"h\na\n", "h\nb\n"}, "a|b| header h\n"},
      {"a header without its newline", {.header = 1}, {"h"}, " header h\n"},
      {"a mark at the start",
       {0},
       {"\xef\xbb\xbf"
        "a\n\xef\xbb\xbf",
        "\xef\xbb\xbf"
        "b"},
       "a|\xef\xbb\xbf|b|"},
      {"a mark kept",
       {.keep_bom = true},
       {"\xef\xbb\xbf"
        "a"},
       "\xef\xbb\xbf"
       "a|"},
      {"bytes that are no text", {0}, {"\xff\x01\n\xc0\x80\n"}, "\xff\x01|\xc0\x80|"},
  };
  for (int64_t i = 0; i < WOK__COUNT(cases); i++)
    for (int ahead = 0; ahead < 2; ahead++) {
      const char *files[3];
      int n = 0;
      for (; n < 3 && cases[i].text[n]; n++) {
        char name[16];
        snprintf(name, sizeof name, "f%d", n);
        files[n] = scratch_puts(s, name, cases[i].text[n]);
      }
      wok__str z;
      wok__reader_opts o = {.how = cases[i].how, .ahead = ahead};
      assert_works(s->c, read_all(s, files, n, o, true, &z));
      if (strcmp(z.p ? z.p : "", cases[i].want) != 0) {
        print_error("%s: expected %s, got %s\n", cases[i].what, cases[i].want, z.p);
        fail();
      }
      wok__str_free(&z);
    }
}

/* The rules said once more, over a whole text in memory. */
static void expect_records(const uint8_t *p, int64_t n, const char *sep, int64_t nsep, wok__str *z) {
  for (int64_t i = 0; i < n;) {
    const uint8_t *e = memmem(p + i, (size_t)(n - i), sep, (size_t)nsep);
    int64_t k = e ? e - (p + i) : n - i;
    wok__str_add(z, p + i, k);
    wok__str_puts(z, "|");
    i += k + (e ? nsep : 0);
  }
}

static void every_cut(
    void **state) { /* records and pieces at the smallest buffer, where every boundary falls somewhere */
  scratch *s = *state;
  wok__rng g;
  wok__rng_init(&g, 7, 0);
  enum { MOST = 120000 };
  uint8_t *text = malloc(MOST);
  for (int round = 0; round < 60; round++) {
    int64_t n = (int64_t)wok__rng_below(&g, MOST), longest = INT64_C(1) << wok__rng_below(&g, 17);
    const char *seps[] = {"\n", "\r\n", "abab"};
    const char *sep = seps[round % 3];
    int64_t nsep = (int64_t)strlen(sep);
    for (int64_t i = 0, left = 0; i < n; i++, left--) {
      if (left <= 0) left = (int64_t)wok__rng_below(&g, (uint64_t)longest);
      text[i] = left == 0 ? (uint8_t)sep[i % nsep]
                          : (uint8_t)("ab\r\n"[wok__rng_below(&g, 4)] + (longest > 50 ? 40 : 0));
      if (left < nsep && n - i > nsep && longest > 50)
        memcpy(text + i, sep, (size_t)nsep), i += nsep - 1, left = 0;
    }
    const char *file = scratch_put(s, "t", text, n);
    wok__str want, got;
    wok__str_init(&want, 1 << 28);
    expect_records(text, n, sep, nsep, &want);
    wok__reader_opts o = {.how = {.separator = sep}, .buffer = 1 << 14, .ahead = round & 1};
    assert_works(s->c, read_all(s, &file, 1, o, false, &got));
    if (want.len != got.len || (want.len && memcmp(want.p, got.p, (size_t)want.len) != 0)) {
      print_error("round %d: %lld bytes expected, %lld came\n", round, (long long)want.len,
                  (long long)got.len);
      fail();
    }
    wok__str_free(&want);
    wok__str_free(&got);
  }
  free(text);
}

/* ---- compression ---- */

typedef int64_t packer(const uint8_t *p, int64_t n, uint8_t *to, int64_t cap);

static int64_t pack_gzip(const uint8_t *p, int64_t n, uint8_t *to, int64_t cap) {
  z_stream z = {0};
  deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  z.next_in = (uint8_t *)(uintptr_t)p, z.avail_in = (uInt)n, z.next_out = to, z.avail_out = (uInt)cap;
  assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
  int64_t k = (int64_t)z.total_out;
  deflateEnd(&z);
  return k;
}
static int64_t pack_zstd(const uint8_t *p, int64_t n, uint8_t *to, int64_t cap) {
  return (int64_t)ZSTD_compress(to, (size_t)cap, p, (size_t)n, 3);
}
static int64_t pack_xz(const uint8_t *p, int64_t n, uint8_t *to, int64_t cap) {
  size_t at = 0;
  assert_int_equal(lzma_easy_buffer_encode(1, LZMA_CHECK_CRC64, NULL, p, (size_t)n, to, &at, (size_t)cap),
                   LZMA_OK);
  return (int64_t)at;
}
static int64_t pack_bzip2(const uint8_t *p, int64_t n, uint8_t *to, int64_t cap) {
  unsigned k = (unsigned)cap;
  assert_int_equal(BZ2_bzBuffToBuffCompress((char *)to, &k, (char *)(uintptr_t)p, (unsigned)n, 1, 0, 0),
                   BZ_OK);
  return k;
}

static void
compressed(void **state) { /* 05-A.2.6: by magic; members one after another; cut short is no end */
  scratch *s = *state;
  static const struct {
    const char *name;
    packer *pack;
  } kinds[] = {{"gzip", pack_gzip}, {"zstd", pack_zstd}, {"xz", pack_xz}, {"bzip2", pack_bzip2}};
  enum { N = 200000, CAP = 2 * N };
  uint8_t *text = malloc(N), *packed = malloc(CAP);
  wok__rng g;
  wok__rng_init(&g, 3, 0);
  for (int i = 0; i < N; i++)
    text[i] = wok__rng_below(&g, 40) ? (uint8_t)('a' + wok__rng_below(&g, 4)) : '\n';
  wok__str want;
  wok__str_init(&want, 1 << 28);
  expect_records(text, N, "\n", 1, &want);
  for (int64_t k = 0; k < WOK__COUNT(kinds); k++) {
    int64_t a = kinds[k].pack(text, N / 3, packed, CAP);
    int64_t b = a + kinds[k].pack(text + N / 3, N - N / 3, packed + a, CAP - a);
    assert_string_equal(wok__packing_of(packed, b), kinds[k].name);
    const char *file = scratch_put(s, "named.txt", packed, b);
    wok__str got;
    for (int ahead = 0; ahead < 2; ahead++) {
      assert_works(s->c,
                   read_all(s, &file, 1, (wok__reader_opts){.ahead = ahead, .buffer = 1 << 16}, false, &got));
      assert_int_equal(want.len, got.len);
      assert_memory_equal(want.p, got.p, (size_t)want.len);
      wok__str_free(&got);
    }
    /* cut anywhere but between the members */
    for (int64_t cut = 20; cut < b; cut += 1 + b / 50) {
      if (cut == a) continue;
      file = scratch_put(s, "cut", packed, cut);
      wok_status st = read_all(s, &file, 1, (wok__reader_opts){0}, false, &got);
      assert_fails(s->c, st, WOK_CORRUPT, "cut: the ");
      assert_non_null(strstr(wok_errmsg(s->c), kinds[k].name));
      wok__str_free(&got);
    }
    /* a byte in the middle turned, and rubbish at the end */
    packed[b / 2] ^= 0x55;
    file = scratch_put(s, "bad", packed, b);
    assert_fails(s->c, read_all(s, &file, 1, (wok__reader_opts){0}, false, &got), WOK_CORRUPT, kinds[k].name);
    wok__str_free(&got);
    packed[b / 2] ^= 0x55;
    memcpy(packed + b, "rubbish", 7);
    file = scratch_put(s, "more", packed, b + 7);
    assert_fails(s->c, read_all(s, &file, 1, (wok__reader_opts){0}, false, &got), WOK_CORRUPT, kinds[k].name);
    wok__str_free(&got);
    /* an empty member, and one that holds nothing beside one that does */
    a = kinds[k].pack(text, 0, packed, CAP);
    a += kinds[k].pack((const uint8_t *)"x\ny", 3, packed + a, CAP - a);
    file = scratch_put(s, "few", packed, a);
    assert_works(s->c, read_all(s, &file, 1, (wok__reader_opts){0}, false, &got));
    assert_string_equal(got.p, "x|y|");
    wok__str_free(&got);
  }
  const char *word =
      scratch_puts(s, "word", "BZhang wrote this line\nand this\n"); /* begins like bzip2 and is none */
  wok__str got;
  assert_works(s->c, read_all(s, &word, 1, (wok__reader_opts){0}, false, &got));
  assert_string_equal(got.p, "BZhang wrote this line|and this|");
  wok__str_free(&got);
  wok__str_free(&want);
  free(text);
  free(packed);
}

static void refusals(void **state) {
  scratch *s = *state;
  wok__str z = {0};
  const char *utf16 = scratch_put(s, "u16",
                                  "\xff\xfe"
                                  "a\0",
                                  4);
  assert_fails(s->c, read_all(s, &utf16, 1, (wok__reader_opts){0}, false, &z), WOK_FORMAT,
               "u16: begins like UTF-16");
  const char *utf32 = scratch_put(s, "u32", "\0\0\xfe\xff\0\0\0a", 8);
  assert_fails(s->c, read_all(s, &utf32, 1, (wok__reader_opts){0}, false, &z), WOK_FORMAT, "UTF-32");
  const char *odd = scratch_puts(s, "odd", "abcd");
  assert_fails(s->c, read_all(s, &odd, 1, (wok__reader_opts){.how = {.fixed_bytes = 3}}, false, &z),
               WOK_CORRUPT, "record 2");
  const char *prefix = scratch_puts(s, "prefix", "\003ab");
  assert_fails(s->c, read_all(s, &prefix, 1, (wok__reader_opts){.how = {.prefix_bytes = 1}}, false, &z),
               WOK_CORRUPT, "cut short");
  assert_fails(s->c, read_all(s, &prefix, 1, (wok__reader_opts){.how = {.prefix_bytes = 4}}, false, &z),
               WOK_CORRUPT, "a length");
  assert_fails(s->c, read_all(s, &odd, 1, (wok__reader_opts){.how = {.prefix_bytes = 3}}, false, &z),
               WOK_INVALID, "1, 2, 4 or 8");
  assert_fails(
      s->c, read_all(s, &odd, 1, (wok__reader_opts){.how = {.prefix_bytes = 4, .fixed_bytes = 3}}, false, &z),
      WOK_INVALID, "choose one");
  assert_fails(
      s->c,
      read_all(s, &odd, 1, (wok__reader_opts){.how = {.crlf = WOK_CRLF_STRIP, .separator = "x"}}, false, &z),
      WOK_INVALID, "one line");
  const char *none = scratch_at(s, "none"), *nomatch = scratch_at(s, "none*");
  assert_fails(s->c, read_all(s, &none, 1, (wok__reader_opts){0}, false, &z), WOK_NOTFOUND, "none");
  assert_fails(s->c, read_all(s, &nomatch, 1, (wok__reader_opts){0}, false, &z), WOK_NOTFOUND,
               "no file matches");
  const char *twice[] = {"-", "-"};
  assert_fails(s->c, read_all(s, twice, 2, (wok__reader_opts){0}, false, &z), WOK_INVALID, "only once");
}

static void overlong(void **state) { /* no limit to a record, and memory stays what it was */
  scratch *s = *state;
  const int64_t n = INT64_C(64) << 20;
  const char *path = scratch_at(s, "long");
  FILE *f = fopen(path, "wb");
  fputs("first\n", f);
  for (int64_t i = 0; i < n; i += 1 << 16) {
    static char block[1 << 16];
    memset(block, 'x', sizeof block);
    fwrite(block, 1, sizeof block, f);
  }
  fputs("\nlast", f);
  fclose(f);
  wok__inputs in;
  assert_works(s->c, wok__inputs_find(s->c, &in, &path, 1, NULL));
  wok__reader *r;
  assert_works(s->c, wok__reader_open(s->c, &r, &in, &(wok__reader_opts){.buffer = 1 << 20, .ahead = true}));
  int64_t records = 0, bytes = 0, pieces = 0;
  for (bool more = true; more;) {
    wok__piece p;
    assert_works(s->c, wok__reader_next(r, &p, &more));
    if (!more) break;
    assert_true(p.n <= 1 << 20);
    records += p.last, bytes += p.n, pieces++;
  }
  assert_int_equal(records, 3);
  assert_int_equal(bytes, n + 9);
  assert_true(pieces > 64);
  wok__reader_close(r);
  wok__inputs_free(&in);
}

static void which_files(void **state) { /* directories, patterns, lists; natural order */
  scratch *s = *state;
  assert_int_equal(wok__natural_order("part2", "part10"), -1);
  assert_int_equal(wok__natural_order("part010", "part9"), 1);
  assert_int_equal(wok__natural_order("a", "a"), 0);
  assert_int_equal(wok__natural_order("a01", "a1"), -1);
  assert_int_equal(wok__natural_order("a", "ab"), -1);
  const char *dir = scratch_at(s, "dir");
  mkdir(dir, 0777);
  mkdir(scratch_at(s, "dir/sub3"), 0777);
  scratch_puts(s, "dir/p10", "ten");
  scratch_puts(s, "dir/p2", "two");
  scratch_puts(s, "dir/.hidden", "no");
  scratch_puts(s, "dir/sub3/x", "three");
  wok__str z;
  assert_works(s->c, read_all(s, &dir, 1, (wok__reader_opts){0}, false, &z));
  assert_string_equal(z.p, "two|ten|three|");
  wok__str_free(&z);
  const char *match = scratch_at(s, "dir/p*");
  assert_works(s->c, read_all(s, &match, 1, (wok__reader_opts){0}, false, &z));
  assert_string_equal(z.p, "two|ten|");
  wok__str_free(&z);
  wok__str names;
  wok__str_init(&names, 1 << 16);
  wok__str_puts(&names, scratch_at(s, "dir/p10"));
  wok__str_add(&names, "", 1);
  wok__str_puts(&names, scratch_at(s, "dir/p2"));
  const char *list = scratch_put(s, "list", names.p, names.len);
  wok__inputs in;
  assert_works(s->c, wok__inputs_find(s->c, &in, NULL, 0, list));
  assert_int_equal(in.n, 2);
  assert_int_equal(in.bytes, 6);
  assert_non_null(strstr(in.list[1].path, "p2"));
  wok__inputs_free(&in);
  wok__str_free(&names);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)
  const struct CMUnitTest tests[] = {TEST(rules),    TEST(every_cut), TEST(compressed),
                                     TEST(refusals), TEST(overlong),  TEST(which_files)};
  return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
