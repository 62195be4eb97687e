/* safetensors: what is written is read again, the same bytes each time; what is damaged is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "scratch.h"
#include "tensor/safetensors.h"

static const float weights[6] = {1, -2, 3, 4.5f, 5, 6};
static const uint16_t halves[4] = {0x3f80, 0x4000, 0, 0xbf80};
static const uint8_t flags[3] = {1, 0, 1};
static const wok__st_out three[] = {
    {"model/w", WOK_F32, {2, {2, 3}}, weights},
    {"b \"quoted\" \xe9\x94\x85", WOK_BF16, {1, {4}}, halves},
    {"flags", WOK_BOOL, {2, {3, 1}}, flags},
};
static const char *const meta[] = {"format", "pt", "note", "two\nlines"};

static void round_trip(void **state) {
  scratch *s = *state;
  const char *path = scratch_at(s, "m.safetensors");
  assert_works(s->c, wok__st_write(s->c, path, three, 3, meta, 4));
  wok__st_file *f;
  assert_works(s->c, wok__st_open(s->c, &f, path));
  assert_int_equal(wok__st_count(f), 3);
  for (int i = 0; i < 3; i++) {
    const wok__st_entry *e = wok__st_find(f, three[i].name);
    assert_non_null(e);
    assert_ptr_equal(e, wok__st_at(f, i));
    assert_string_equal(e->name, three[i].name);
    assert_int_equal(e->dtype, three[i].dtype);
    assert_true(wok__shape_eq(&e->shape, &three[i].shape));
    assert_int_equal(e->bytes, wok__bytes(e->dtype, &e->shape));
    assert_memory_equal(wok__st_data(f, e), three[i].data, (size_t)e->bytes);
  }
  assert_int_equal((uintptr_t)wok__st_data(f, wok__st_at(f, 0)) % 8, 0);
  assert_null(wok__st_find(f, "absent"));
  assert_null(wok__st_at(f, 3));
  assert_null(wok__st_at(f, -1));
  assert_string_equal(wok__st_meta(f, "format"), "pt");
  assert_string_equal(wok__st_meta(f, "note"), "two\nlines");
  assert_null(wok__st_meta(f, "absent"));
  wok__st_close(f);
  wok__st_close(NULL);
}

/* The exact bytes: the format as others read it, and the same ones each time. */
static void exact_bytes(void **state) {
  scratch *s = *state;
  static const char head[] = "{\"__metadata__\":{\"format\":\"pt\"},\"a\":{\"dtype\":\"F32\",\"shape\":[2,1],"
                             "\"data_offsets\":[0,8]},"
                             "\"s\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[8,16]}}";
  int64_t one = 1, n;
  const wok__st_out t[] = {{"a", WOK_F32, {2, {2, 1}}, weights}, {"s", WOK_I64, {0, {0}}, &one}};
  assert_works(s->c, wok__st_write(s->c, scratch_at(s, "x"), t, 2, meta, 2));
  unsigned char *x = scratch_get(scratch_at(s, "x"), &n);
  int64_t length = (int64_t)strlen(head), padded = (length + 7) / 8 * 8;
  assert_int_equal(n, 8 + padded + 16);
  for (int i = 0; i < 8; i++) assert_int_equal(x[i], (padded >> 8 * i) & 255);
  assert_memory_equal(x + 8, head, (size_t)length);
  for (int64_t i = length; i < padded; i++) assert_int_equal(x[8 + i], ' ');
  assert_memory_equal(x + 8 + padded, weights, 8);
  assert_int_equal(x[8 + padded + 8], 1);
  free(x);
}

static void empty_things(void **state) {
  scratch *s = *state;
  const char *path = scratch_at(s, "e.safetensors");
  wok__st_file *f;
  assert_works(s->c, wok__st_write(s->c, path, NULL, 0, NULL, 0));
  assert_works(s->c, wok__st_open(s->c, &f, path));
  assert_int_equal(wok__st_count(f), 0);
  wok__st_close(f);
  /* tensors without elements lie between, before and after others */
  const wok__st_out t[] = {
      {"z", WOK_F32, {2, {0, 5}}, NULL}, {"w", WOK_F32, {1, {2}}, weights}, {"y", WOK_F32, {1, {0}}, NULL}};
  assert_works(s->c, wok__st_write(s->c, path, t, 3, NULL, 0));
  assert_works(s->c, wok__st_open(s->c, &f, path));
  assert_int_equal(wok__st_count(f), 3);
  assert_int_equal(wok__st_find(f, "y")->offset, 8);
  wok__st_close(f);
}

static void bad_writes(void **state) {
  scratch *s = *state;
  const char *path = scratch_at(s, "w.safetensors");
  wok__st_out t[2] = {three[0], three[2]};
  t[1].name = t[0].name;
  assert_fails(s->c, wok__st_write(s->c, path, t, 2, NULL, 0), WOK_INVALID,
               "two tensors are called \"model/w\"");
  t[1].name = "__metadata__";
  assert_fails(s->c, wok__st_write(s->c, path, t, 2, NULL, 0), WOK_INVALID, "cannot be called __metadata__");
  t[1].name = "\xff";
  assert_fails(s->c, wok__st_write(s->c, path, t, 2, NULL, 0), WOK_INVALID, "is it UTF-8?");
  t[1].name = "ok";
  t[1].shape = WOK_SHAPE(-1);
  assert_fails(s->c, wok__st_write(s->c, path, t, 2, NULL, 0), WOK_INVALID, "no valid type or shape");
  t[1] = three[2];
  t[1].data = NULL;
  assert_fails(s->c, wok__st_write(s->c, path, t, 2, NULL, 0), WOK_INVALID, "\"flags\" has no data");
  assert_fails(s->c, wok__st_write(s->c, path, three, 3, meta, 3), WOK_INVALID, "keys and values");
  assert_false(wok__exists(path));
  /* a failing write leaves the old file as it was */
  scratch_puts(s, "w.safetensors", "old");
  assert_fails(s->c, wok__st_write(s->c, path, t, 2, NULL, 0), WOK_INVALID, "no data");
  int64_t n;
  unsigned char *x = scratch_get(path, &n);
  assert_memory_equal(x, "old", 3);
  free(x);
  assert_fails(s->c, wok__st_write(s->c, scratch_at(s, "no/such/dir"), three, 3, NULL, 0), WOK_NOTFOUND,
               "no/such/dir");
}

/* A file from a header and a number of data bytes. */
static wok_status parse(scratch *s, const char *header, int64_t data) {
  int64_t length = (int64_t)strlen(header), n = 8 + length + data;
  uint8_t *p = calloc(1, (size_t)n);
  for (int i = 0; i < 8; i++) p[i] = (uint8_t)(length >> 8 * i);
  memcpy(p + 8, header, (size_t)length);
  wok__st_file *f;
  wok_status st = wok__st_parse(s->c, &f, p, n, "x.safetensors");
  if (st) assert_null(f);
  wok__st_close(f);
  free(p);
  return st;
}

static void bad_headers(void **state) {
  scratch *s = *state;
#define T(name, dtype, shape, offsets)                                                                       \
  "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}"
  static const struct {
    const char *header;
    int64_t data;
    wok_status status;
    const char *message;
  } cases[] = {
      {"{}", 0, WOK_OK, ""},
      {"{}", 1, WOK_CORRUPT, "describes 0 bytes of tensors, the file holds 1"},
      {"[]", 0, WOK_FORMAT, "does not begin with {"},
      {" {}", 0, WOK_FORMAT, "does not begin with {"},
      {"{", 0, WOK_FORMAT, "does not begin with {"},
      {"{]", 0, WOK_FORMAT, "x.safetensors: not JSON: line 1 column 2"},
      {"{\"a\":1}", 0, WOK_FORMAT, "\"a\" is not described by an object"},
      {"{\"a\":{}}", 0, WOK_FORMAT, "\"a\" has no dtype"},
      {"{\"a\":{\"dtype\":3}}", 0, WOK_FORMAT, "\"a\" has no dtype"},
      {"{\"a\":{\"dtype\":\"F32\"}}", 0, WOK_FORMAT, "\"a\" has no shape"},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[]}}", 0, WOK_FORMAT, "data_offsets must be two integers"},
      {"{" T("a", "F8_E4M3", "[4]", "[0,4]") "}", 4, WOK_UNSUPPORTED,
       "dtype F8_E4M3, which is not known to this version"},
      {"{" T("a", "F32", "[1,1,1,1,1,1,1,1,1]", "[0,4]") "}", 4, WOK_UNSUPPORTED, "9 dimensions"},
      {"{" T("a", "F32", "[-1]", "[0,4]") "}", 4, WOK_FORMAT, "size 0 of its shape is not a count"},
      {"{" T("a", "F32", "[1,1.0]", "[0,4]") "}", 4, WOK_FORMAT, "size 1 of its shape is not a count"},
      {"{" T("a", "F32", "[99999999999999999999]", "[0,4]") "}", 4, WOK_FORMAT, "not a count"},
      {"{" T("a", "F32", "[4294967296,4294967296]", "[0,0]") "}", 0, WOK_FORMAT, "impossibly large"},
      {"{" T("a", "F32", "[9223372036854775807]", "[0,4]") "}", 4, WOK_FORMAT, "impossibly large"},
      {"{" T("a", "F32", "[2]", "[0,4]") "}", 4, WOK_FORMAT, "f32[2] takes 8 bytes, data_offsets give 4"},
      {"{" T("a", "F32", "[1]", "[4,0]") "}", 4, WOK_FORMAT, "[4,0] are no range"},
      {"{" T("a", "F32", "[1]", "[-4,0]") "}", 4, WOK_FORMAT, "no range"},
      {"{" T("a", "F32", "[1]", "[0,4,8]") "}", 4, WOK_FORMAT, "two integers"},
      {"{" T("a", "F32", "[1]", "[0,\"4\"]") "}", 4, WOK_FORMAT, "two integers"},
      {"{" T("a", "F32", "[1]", "[0,4]") "}", 3, WOK_CORRUPT,
       "ends at byte 4 of the data, but the file has 3"},
      {"{" T("a", "F32", "[1]", "[0,4]") "}", 5, WOK_CORRUPT,
       "describes 4 bytes of tensors, the file holds 5"},
      {"{" T("a", "F32", "[1]", "[0,4]") "," T("b", "F32", "[1]", "[2,6]") "}", 6, WOK_FORMAT,
       "\"a\" and \"b\" overlap"},
      {"{" T("a", "F32", "[1]", "[0,4]") "," T("b", "F32", "[1]", "[0,4]") "}", 4, WOK_FORMAT,
       "\"a\" and \"b\" overlap"},
      {"{" T("a", "F32", "[1]", "[0,4]") "," T("b", "F32", "[1]", "[8,12]") "}", 12, WOK_FORMAT,
       "4 bytes before tensor \"b\""},
      {"{" T("a", "F32", "[1]", "[4,8]") "}", 8, WOK_FORMAT, "4 bytes before tensor \"a\""},
      {"{" T("a", "F32", "[1]", "[0,4]") "," T("a", "F32", "[1]", "[4,8]") "}", 8, WOK_FORMAT, "duplicate"},
      {"{\"a\":{\"dtype\":\"U8\",\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1, WOK_FORMAT,
       "duplicate"},
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1],\"strides\":[1]}}", 1, WOK_UNSUPPORTED,
       "\"strides\" is not known to this version"},
      {"{\"__metadata__\":{\"a\":1}}", 0, WOK_FORMAT, "\"a\" is not a string"},
      {"{\"__metadata__\":[]}", 0, WOK_FORMAT, "not an object"},
      {"{" T("a\\nb", "F32", "[2]", "[0,4]") "}", 4, WOK_FORMAT, "tensor \"a b\""},
      {"{\"\xff\":{}}", 0, WOK_FORMAT, "x.safetensors"},
      {"{\"a\\u0000b\":{}}", 0, WOK_FORMAT, "x.safetensors"},
  };
#undef T
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    wok_status st = parse(s, cases[i].header, cases[i].data);
    if (st != cases[i].status) print_error("case %zu: %s\n", i, cases[i].header);
    if (cases[i].status == WOK_OK)
      assert_works(s->c, st);
    else
      assert_fails(s->c, st, cases[i].status, cases[i].message);
  }
}

static void deep_json(void **state) {
  scratch *s = *state;
  enum { DEPTH = 100000 };
  char *p = malloc(DEPTH + 8);
  memcpy(p, "{\"a\":", 5);
  memset(p + 5, '[', DEPTH);
  p[5 + DEPTH] = 0;
  assert_fails(s->c, parse(s, p, 0), WOK_LIMIT, "nested too deeply");
  free(p);
}

static void bad_lengths(void **state) {
  scratch *s = *state;
  wok__st_file *f;
  uint8_t p[64] = {0};
  assert_fails(s->c, wok__st_parse(s->c, &f, p, 0, "x"), WOK_FORMAT, "0 bytes are too few");
  assert_fails(s->c, wok__st_parse(s->c, &f, p, 7, "x"), WOK_FORMAT, "7 bytes are too few");
  assert_fails(s->c, wok__st_parse(s->c, &f, p, 64, "x"), WOK_FORMAT, "does not begin with {");
  p[0] = 57;
  assert_fails(s->c, wok__st_parse(s->c, &f, p, 64, "x"), WOK_CORRUPT, "cut off");
  memset(p, 0xff, 8); /* 2^64 - 1 */
  assert_fails(s->c, wok__st_parse(s->c, &f, p, 64, "x"), WOK_FORMAT, "18446744073709551615");
  assert_fails(s->c, wok__st_open(s->c, &f, scratch_at(s, "absent")), WOK_NOTFOUND, "absent");
  assert_null(f);
  assert_fails(s->c, wok__st_open(s->c, &f, s->dir), WOK_IO, "directory");
  assert_fails(s->c, wok__st_open(s->c, &f, scratch_puts(s, "empty", "")), WOK_FORMAT, "0 bytes");
}

/* The file of the damage tests, from the heap so that a sanitizer sees the first byte read beyond it. */
static unsigned char *sample(scratch *s, int64_t *n) {
  const char *path = scratch_at(s, "m.safetensors");
  assert_works(s->c, wok__st_write(s->c, path, three, 3, meta, 4));
  return scratch_get(path, n);
}

static void cut_anywhere(void **state) {
  scratch *s = *state;
  int64_t n;
  unsigned char *whole = sample(s, &n);
  for (int64_t k = 0; k < n; k++) {
    unsigned char *p = malloc((size_t)k + !k);
    memcpy(p, whole, (size_t)k);
    wok__st_file *f;
    wok_status st = wok__st_parse(s->c, &f, p, k, "cut");
    assert_true(st == WOK_FORMAT || st == WOK_CORRUPT);
    assert_non_null(strstr(wok_errmsg(s->c), "cut"));
    assert_null(f);
    free(p);
  }
  free(whole);
}

/* Any change of one byte of the header is either refused or leaves every tensor that keeps its name with its own shape and place. */
static void any_byte_changed(void **state) {
  scratch *s = *state;
  int64_t n, refused = 0, tried = 0;
  unsigned char *p = sample(s, &n);
  int64_t header = 8 + p[0] + 256 * p[1];
  for (int64_t k = 0; k < header; k++)
    for (int x = 1; x < 256; x++) {
      p[k] ^= (unsigned char)x;
      unsigned char *copy = malloc((size_t)n);
      memcpy(copy, p, (size_t)n);
      wok__st_file *f;
      tried++;
      if (wok__st_parse(s->c, &f, copy, n, "changed")) {
        refused++;
        assert_non_null(wok_errmsg(s->c)[0] ? "" : NULL);
      } else {
        assert_int_equal(wok__st_count(f), 3);
        for (int i = 0; i < 3; i++) {
          const wok__st_entry *e = wok__st_find(f, three[i].name);
          if (!e) continue;
          assert_true(wok__shape_eq(&e->shape, &three[i].shape));
          assert_int_equal(e->bytes, wok__bytes(three[i].dtype, &three[i].shape));
        }
        wok__st_close(f);
      }
      free(copy);
      p[k] ^= (unsigned char)x;
    }
  free(p);
  assert_true(refused > tried / 2);
}

#define SCRATCH(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)
int main(void) {
  const struct CMUnitTest tests[] = {
      SCRATCH(round_trip),  SCRATCH(exact_bytes),  SCRATCH(empty_things),
      SCRATCH(bad_writes),  SCRATCH(bad_headers),  SCRATCH(deep_json),
      SCRATCH(bad_lengths), SCRATCH(cut_anywhere), SCRATCH(any_byte_changed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
