/* Strings, numbers, the map, hashing. */
#include <locale.h>
#include <math.h>
#include "test_base.h"
#include "test_base_locale.h"

static void string_buffer(void **state) {
  (void)state;
  wok__str s;
  wok__str_init(&s, 1000);
  assert_null(s.p);
  wok__str_puts(&s, "");
  assert_string_equal(s.p, "");
  for (int i = 0; i < 50; i++) wok__str_printf(&s, "%d,", i);
  assert_false(s.failed);
  assert_int_equal(s.len, 140);
  assert_int_equal(strlen(s.p), 140);
  wok__str_add(&s, "a\0b", 3);
  assert_memory_equal(s.p + 140, "a\0b", 4);
  wok__str_clear(&s);
  assert_int_equal(s.len, 0);
  assert_string_equal(s.p, "");
  wok__str_free(&s);
  assert_null(s.p);
  wok__str_free(&s);
}

static void string_limit(void **state) {
  (void)state;
  for (int by_printf = 0; by_printf < 2; by_printf++) {
    wok__str s;
    wok__str_init(&s, 10);
    if (by_printf)
      wok__str_printf(&s, "%s", "0123456789");
    else
      wok__str_puts(&s, "0123456789");
    assert_false(s.failed);
    if (by_printf)
      wok__str_printf(&s, "%c", 'x');
    else
      wok__str_puts(&s, "x");
    assert_true(s.failed);
    assert_string_equal(s.p, "0123456789");
    wok__str_clear(&s);
    wok__str_puts(&s, "again");
    assert_false(s.failed);
    if (by_printf)
      wok__str_printf(&s, "%s", "longer than it may be");
    else
      wok__str_puts(&s, "longer than it may be");
    assert_true(s.failed);
    wok__str_puts(&s, "a"); /* sticks, even though this would fit */
    assert_string_equal(s.p, "again");
    wok__str_free(&s);
  }
  wok__str s;
  wok__str_init(&s, INT64_MAX);
  wok__str_add(&s, "x", 1);
  wok__str_add(&s, "", INT64_MAX); /* must fail before anything is read */
  assert_true(s.failed);
  wok__str_free(&s);
}

static const char *text_of(wok__str *s, double v) {
  wok__str_clear(s);
  wok__str_double(s, v);
  return s->p;
}

static void check_doubles(void) {
  wok__str s;
  wok__str_init(&s, 100);
  assert_string_equal(text_of(&s, 0.1), "0.1");
  assert_string_equal(text_of(&s, 0.0), "0");
  assert_string_equal(text_of(&s, -0.0), "-0");
  assert_string_equal(text_of(&s, 1e-12), "1e-12");
  assert_string_equal(text_of(&s, 3.0), "3");
  assert_string_equal(text_of(&s, 1e300), "1e+300");
  assert_string_equal(text_of(&s, 0.1 + 0.2), "0.30000000000000004");
  assert_string_equal(text_of(&s, 5e-324), "4.94065645841247e-324");
  assert_string_equal(text_of(&s, (double)NAN), "nan");
  assert_string_equal(text_of(&s, (double)INFINITY), "inf");
  assert_string_equal(text_of(&s, -(double)INFINITY), "-inf");
  wok__rng r;
  wok__rng_init(&r, 1, 2);
  for (int i = 0; i < 20000; i++) {
    uint64_t bits = (uint64_t)wok__rng_u32(&r) << 32 | wok__rng_u32(&r);
    double v, back = 0;
    memcpy(&v, &bits, sizeof v);
    if (!isfinite(v)) continue;
    assert_true(wok__parse_double(text_of(&s, v), &back));
    assert_memory_equal(&v, &back, sizeof v);
  }
  wok__str_free(&s);
}

static void doubles(void **state) {
  (void)state;
  check_doubles();
  wok__fpstate fp; /* with denormals flushed too */
  wok__compute_enter(&fp);
  check_doubles();
  wok__compute_leave(&fp);
}

static void check_parse_double(void) {
  static const struct {
    const char *z;
    double v;
  } good[] = {{"1", 1},
              {"+1.5", 1.5},
              {"-.5", -.5},
              {"5.", 5},
              {"1e3", 1000},
              {"1E-3", .001},
              {"0", 0},
              {"1e-400", 0},
              {"00012", 12},
              {"1e+0002", 100},
              {"0.1", 0.1},
              {"-0", -0.0},
              {"123456789012345678901234567890", 123456789012345678901234567890.0}};
  static const char *const bad[] = {"",     "-",   ".",   "e5",   "1e",    "1e+",   " 1", "1 ",  "1,5",
                                    "0x10", "nan", "inf", "-inf", "1e999", "1.2.3", "1f", "--1", "1_000"};
  for (int64_t i = 0; i < WOK__COUNT(good); i++) {
    double v = 99;
    assert_true(wok__parse_double(good[i].z, &v));
    assert_memory_equal(&v, &good[i].v, sizeof v);
  }
  for (int64_t i = 0; i < WOK__COUNT(bad); i++) {
    double v = 99;
    assert_false(wok__parse_double(bad[i], &v));
    assert_true(v == 99);
  }
}

static void parse_numbers(void **state) {
  (void)state;
  check_parse_double();
  int64_t v = 5;
  assert_true(wok__parse_int64("9223372036854775807", &v));
  assert_true(v == INT64_MAX);
  assert_true(wok__parse_int64("-9223372036854775808", &v));
  assert_true(v == INT64_MIN);
  assert_true(wok__parse_int64("+7", &v) && v == 7);
  assert_true(wok__parse_int64("-0", &v) && v == 0);
  static const char *const bad[] = {
      "",    "-",   "9223372036854775808", "-9223372036854775809", "1.0", " 1", "1 ",
      "0x1", "1e3", "99999999999999999999"};
  v = 5;
  for (int64_t i = 0; i < WOK__COUNT(bad); i++) assert_false(wok__parse_int64(bad[i], &v));
  assert_int_equal(v, 5);
  assert_true(wok__parse_size("512", &v) && v == 512);
  assert_true(wok__parse_size("64K", &v) && v == 65536);
  assert_true(wok__parse_size("3m", &v) && v == 3 << 20);
  assert_true(wok__parse_size("2G", &v) && v == INT64_C(2) << 30);
  assert_true(wok__parse_size("1T", &v) && v == INT64_C(1) << 40);
  static const char *const sizes[] = {"",     "K",        "-1", "+1",  "1KB",
                                      "1.5G", "8388608T", "1X", "1 G", "99999999999999999999"};
  v = 5;
  for (int64_t i = 0; i < WOK__COUNT(sizes); i++) assert_false(wok__parse_size(sizes[i], &v));
  assert_int_equal(v, 5);
}

static void check_formats(void) {
  char b[32];
  static const struct {
    int64_t n;
    const char *size, *count;
  } t[] = {{0, "0 B", "0"},
           {999, "999 B", "999"},
           {-5, "-5 B", "-5"},
           {1000, "1.0 kB", "1.0 K"},
           {3100000, "3.1 MB", "3.1 M"},
           {999949, "999.9 kB", "999.9 K"},
           {999950, "1.0 MB", "1.0 M"},
           {-124400000, "-124.4 MB", "-124.4 M"},
           {INT64_C(7000000000), "7.0 GB", "7.0 B"},
           {INT64_MAX, "9.2 EB", "9223372.0 T"},
           {INT64_MIN, "-9.2 EB", "-9223372.0 T"}};
  for (int64_t i = 0; i < WOK__COUNT(t); i++) {
    wok__format_size(b, 32, t[i].n);
    assert_string_equal(b, t[i].size);
    wok__format_count(b, 32, t[i].n);
    assert_string_equal(b, t[i].count);
  }
  static const struct {
    double s;
    const char *z;
  } u[] = {{0, "0:00"},       {59.4, "0:59"},        {59.6, "1:00"}, {125, "2:05"},
           {3723, "1:02:03"}, {360000, "100:00:00"}, {-1, "?"},      {1e300, "?"}};
  for (int64_t i = 0; i < WOK__COUNT(u); i++) {
    wok__format_seconds(b, 32, u[i].s);
    assert_string_equal(b, u[i].z);
  }
  wok__format_seconds(b, 32, (double)NAN);
  assert_string_equal(b, "?");
  wok__format_size(b, 4, 3100000); /* cut, never past the end */
  assert_string_equal(b, "3.1");
}

static void formats(void **state) {
  (void)state;
  check_formats();
}

static void numbers_in_a_comma_locale(void **state) {
  (void)state;
  if (!comma_locale()) {
    print_message("skipped: no locale with a decimal comma here\n");
    return;
  }
  char b[16];
  (void)snprintf(b, sizeof b, "%.1f", 1.5);
  assert_string_equal(b, "1,5"); /* the host prints its way */
  check_doubles();
  check_parse_double();
  check_formats();
  wok__str s;
  wok__str_init(&s, 100);
  wok__str_printf(&s, "%.2f", 2.25);
  assert_string_equal(s.p, "2.25");
  wok__str_free(&s);
  (void)snprintf(b, sizeof b, "%.1f", 1.5);
  assert_string_equal(b, "1,5"); /* and still does */
  assert_non_null(setlocale(LC_ALL, "C"));
}

static void map(void **state) {
  (void)state;
  wok__map *m = wok__map_new();
  int64_t v = 0, klen = 0;
  assert_false(wok__map_get(m, "x", 1, &v));
  assert_null(wok__map_key(m, 0, NULL, NULL));
  enum { N = 50000 };
  char key[32];
  for (int i = 0; i < N; i++) {
    int n = snprintf(key, sizeof key, "token %d", i * 7919);
    assert_true(wok__map_put(m, key, n, i));
  }
  assert_int_equal(wok__map_count(m), N);
  for (int i = 0; i < N; i++) {
    int n = snprintf(key, sizeof key, "token %d", i * 7919);
    assert_true(wok__map_get(m, key, n, &v));
    assert_int_equal(v, i);
    assert_false(wok__map_get(m, key, n - 1, &v) && v == i);
    assert_string_equal(wok__map_key(m, i, &klen, &v), key); /* by insertion, NUL-terminated */
    assert_int_equal(klen, n);
    assert_int_equal(v, i);
  }
  assert_true(wok__map_put(m, "token 0", 7, -3));
  assert_int_equal(wok__map_count(m), N);
  assert_true(wok__map_get(m, "token 0", 7, &v));
  assert_int_equal(v, -3);
  assert_true(wok__map_get(m, "token 0", 7, NULL));
  assert_true(wok__map_put(m, "", 0, 11)); /* any bytes are a key, none too */
  assert_true(wok__map_put(m, "a\0b", 3, 12));
  assert_true(wok__map_put(m, "a\0c", 3, 13));
  assert_true(wok__map_get(m, "", 0, &v) && v == 11);
  assert_true(wok__map_get(m, NULL, 0, &v) && v == 11);
  assert_true(wok__map_get(m, "a\0b", 3, &v) && v == 12);
  assert_false(wok__map_get(m, "a", 1, &v));
  assert_false(wok__map_put(m, "a", -1, 0));
  assert_false(wok__map_get(m, "a", -1, &v));
  wok__map_free(m);
  wok__map_free(NULL);
}

/* From the reference implementation of XXH64: these values are in files and must never change. */
static void hash_golden(void **state) {
  (void)state;
  unsigned char b[256];
  for (int i = 0; i < 256; i++) b[i] = (unsigned char)(i * 7 + 3);
  static const struct {
    int n;
    uint64_t seed, h;
  } t[] = {
      {0, UINT64_C(0x0), UINT64_C(0xef46db3751d8e999)},
      {0, UINT64_C(0x9e3779b97f4a7c15), UINT64_C(0xc4349fc93c010000)},
      {1, UINT64_C(0x0), UINT64_C(0x1f25c8d0bc1f4bb6)},
      {3, UINT64_C(0x0), UINT64_C(0x31d2363f52e564c9)},
      {4, UINT64_C(0x0), UINT64_C(0x9bb64b7d66ee9fda)},
      {4, UINT64_C(0x9e3779b97f4a7c15), UINT64_C(0x6f0a6c97d68bf353)},
      {7, UINT64_C(0x0), UINT64_C(0x9a7b149959ce60d8)},
      {8, UINT64_C(0x0), UINT64_C(0xdab99d95c6f90092)},
      {8, UINT64_C(0x9e3779b97f4a7c15), UINT64_C(0xa2f1e28437a78a1b)},
      {12, UINT64_C(0x0), UINT64_C(0xd52e407833af5133)},
      {12, UINT64_C(0x9e3779b97f4a7c15), UINT64_C(0xbcc9f0d616ff9a7b)},
      {15, UINT64_C(0x0), UINT64_C(0x1b47cb8243cc8e32)},
      {31, UINT64_C(0x0), UINT64_C(0xa2aa5f33cc4a6119)},
      {32, UINT64_C(0x0), UINT64_C(0x23c3c17ef790fd97)},
      {32, UINT64_C(0x9e3779b97f4a7c15), UINT64_C(0xbf624b932c090428)},
      {33, UINT64_C(0x0), UINT64_C(0x50a7cfc7ba588784)},
      {63, UINT64_C(0x0), UINT64_C(0x5e3e54b431c7493c)},
      {64, UINT64_C(0x0), UINT64_C(0x0eb64b3ef6eeb01f)},
      {64, UINT64_C(0x9e3779b97f4a7c15), UINT64_C(0x4af341f14e3a6fc9)},
      {71, UINT64_C(0x0), UINT64_C(0xfdb8dfc5700141a7)},
      {100, UINT64_C(0x0), UINT64_C(0xa61f8d4c170fe531)},
      {100, UINT64_C(0x9e3779b97f4a7c15), UINT64_C(0xf6d8f65c625abb4f)},
      {255, UINT64_C(0x0), UINT64_C(0x39ae55a29989206f)},
      {256, UINT64_C(0x0), UINT64_C(0x00cfc5207dd8e201)},
      {256, UINT64_C(0x9e3779b97f4a7c15), UINT64_C(0x05da853cbd232c06)},
  };
  assert_true(wok__hash64("", 0, 0) == UINT64_C(0xef46db3751d8e999));
  assert_true(wok__hash64(NULL, 0, 0) == UINT64_C(0xef46db3751d8e999));
  assert_true(wok__hash64("abc", 3, 0) == UINT64_C(0x44bc2cf5ad770999));
  for (int64_t i = 0; i < WOK__COUNT(t); i++) assert_true(wok__hash64(b, t[i].n, t[i].seed) == t[i].h);
}

static void hash_in_pieces(void **state) {
  (void)state;
  unsigned char b[150];
  for (int i = 0; i < 150; i++) b[i] = (unsigned char)(i * 31 + 1);
  for (int n = 0; n <= 150; n += n < 70 ? 1 : 16) {
    uint64_t whole = wok__hash64(b, n, 9);
    for (int i = 0; i <= n; i++)
      for (int j = i; j <= n; j++) {
        wok__hasher h;
        wok__hasher_init(&h, 9);
        wok__hasher_add(&h, b, i);
        (void)wok__hasher_end(&h); /* looking does not change it */
        wok__hasher_add(&h, b + i, j - i);
        wok__hasher_add(&h, b + j, n - j);
        assert_true(wok__hasher_end(&h) == whole);
      }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(string_buffer),
      cmocka_unit_test(string_limit),
      cmocka_unit_test(doubles),
      cmocka_unit_test(parse_numbers),
      cmocka_unit_test(formats),
      cmocka_unit_test(numbers_in_a_comma_locale),
      cmocka_unit_test(map),
      cmocka_unit_test(hash_golden),
      cmocka_unit_test(hash_in_pieces),
  };
  return cmocka_run_group_tests_name("base text", tests, NULL, NULL);
}
