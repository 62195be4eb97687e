/* Reading, checking and writing JSON. */
#include <malloc.h>
#include <math.h>
#include "base/json.h"
#include "test_base.h"
#include "test_base_locale.h"

static wok_status parse(env *e, json_t **j, const char *text) {
  return wok__json_parse(e->c, j, text, (int64_t)strlen(text), "config.json");
}

static void refused(env *e, const char *text, wok_status want, const char *message) {
  json_t *j = (json_t *)e;
  assert_status(parse(e, &j, text), want);
  assert_null(j);
  assert_msg(e->c, message);
}

static void parsing(void **state) {
  env *e = *state;
  json_t *j;
  assert_status(parse(e, &j, "{\"a\": [1, 2.5, true, null, \"\xe9\x93\x81\"]}"), WOK_OK);
  assert_int_equal(json_array_size(json_object_get(j, "a")), 5);
  json_decref(j);
  assert_status(parse(e, &j, "\xef\xbb\xbf{}"), WOK_OK);
  json_decref(j);
  refused(e, "{\n  \"a\": 1,\n  \"b\" 2\n}", WOK_FORMAT, "config.json: not JSON: line 3 column ");
  refused(e, "", WOK_FORMAT, "config.json: not JSON: line 1 column 0: ");
  refused(e, "{\"a\": 1, \"a\": 2}", WOK_FORMAT, "duplicate");
  refused(e, "{\"a\": 1} x", WOK_FORMAT, "end of file");
  refused(e, "{\"a\": 1,}", WOK_FORMAT, "config.json");
  refused(e, "[NaN]", WOK_FORMAT, "config.json");
  refused(e, "[-Infinity]", WOK_FORMAT, "config.json");
  refused(e, "[1e999]", WOK_FORMAT, "overflow");
  refused(e, "[\"a\\u0000b\"]", WOK_FORMAT, "NUL");
  refused(e, "[\"\xff\"]", WOK_FORMAT, "unable to decode");
  refused(e, "[\"\xed\xa0\x80\"]", WOK_FORMAT, "unable to decode");
  refused(e, "\"alone\"", WOK_FORMAT, "config.json");
  refused(e, "[\"never ends\\", WOK_FORMAT, "config.json");
  assert_status(wok__json_parse(e->c, &j, "[1]\0", 4, "x"), WOK_FORMAT);
}

static void bounds(void **state) {
  env *e = *state;
  json_t *j;
  int64_t n = 6 << 20;
  char *text = malloc((size_t)n + 1);
  assert_non_null(text);
  memset(text, '[', (size_t)n);
  text[n] = '\0';
  refused(e, text, WOK_LIMIT, "too many small values"); /* by the estimate, at once */
  text[5000] = '\0';
  refused(e, text, WOK_LIMIT, "nested too deeply");
  static const char *const worst[] = {"{},", "[],", "\"\",", "1,", "[1,1],", "{\"\":1},", "1.5,", "true,"};
  for (int64_t k = 0; k < WOK__COUNT(worst); k++) {
    int64_t unit = (int64_t)strlen(worst[k]), at_ = 1;
    text[0] = '[';
    while (at_ + unit < n - 1) {
      memcpy(text + at_, worst[k], (size_t)unit);
      at_ += unit;
    }
    text[at_ - 1] = ']';
    text[at_] = '\0';
#if defined(__GLIBC__) && !defined(SANITIZED)
    size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
    wok_status s = parse(e, &j, text);
    if (s == WOK_OK) { /* what was let in keeps to the promise of json.h */
      size_t used = mallinfo2().uordblks + mallinfo2().hblkhd - before;
      assert_true(used <= (size_t)(32 * at_ + (16 << 20)));
    } else {
      assert_status(s, WOK_LIMIT);
    }
#else
    wok_status s = parse(e, &j, text);
    assert_true(s == WOK_OK || s == WOK_LIMIT);
#endif
    json_decref(j);
  }
  /* An ordinary vocabulary of 250,000 pieces is far inside. */
  int64_t len = 0;
  n = 12 << 20;
  char *vocab = malloc((size_t)n);
  assert_non_null(vocab);
  vocab[len++] = '[';
  for (int i = 0; i < 250000; i++)
    len += snprintf(vocab + len, 40, "%s[\"p%x\",-%d.%d]", i ? "," : "", i, i % 17, i % 10);
  vocab[len++] = ']';
  assert_status(wok__json_parse(e->c, &j, vocab, len, "tokenizer.json"), WOK_OK);
  assert_int_equal(json_array_size(j), 250000);
  json_decref(j);
  free(vocab);
  free(text);
}

static void wide_integers(void **state) {
  env *e = *state;
  json_t *j;
  /* As transformers writes it for "no limit". */
  assert_status(parse(e, &j,
                      "{\"model_max_length\": 1000000000000000019884624838656, \"s\": \"99999999999999999999 "
                      "\\\" 99999999999999999999\",\n"
                      "\"max\": 9223372036854775807, \"min\": -9223372036854775808, \"over\": "
                      "9223372036854775808, \"under\":-9223372036854775809}"),
                WOK_OK);
  assert_true(json_is_real(json_object_get(j, "model_max_length")));
  assert_true(json_real_value(json_object_get(j, "model_max_length")) == 1e30);
  assert_string_equal(json_string_value(json_object_get(j, "s")),
                      "99999999999999999999 \" 99999999999999999999");
  assert_true(json_integer_value(json_object_get(j, "max")) == INT64_MAX);
  assert_true(json_integer_value(json_object_get(j, "min")) == INT64_MIN);
  assert_true(json_is_real(json_object_get(j, "over")));
  assert_true(json_is_real(json_object_get(j, "under")));
  int64_t v = 0;
  assert_status(wok__json_int(e->c, j, "tokenizer_config.json", "model_max_length", 1, 1000, &v), WOK_FORMAT);
  assert_string_equal(wok_errmsg(e->c),
                      "tokenizer_config.json: model_max_length must be an integer in [1, 1000], not 1e+30");
  json_decref(j);
  refused(e, "[12345678901234567890123 x]", WOK_FORMAT, "line 1");
}

static void getters(void **state) {
  env *e = *state;
  json_t *j;
  assert_status(
      parse(e, &j,
            "{\"i\": -3, \"r\": 0.5, \"b\": true, \"s\": \"gelu\", \"n\": null, \"a\": [], \"o\": {}, "
            "\"long\": \"0123456789012345678901234567890123456789 and more\"}"),
      WOK_OK);
  int64_t i = 7;
  double d = 7;
  bool b = false;
  const char *s = "kept", *where = "config.json";
  assert_status(wok__json_int(e->c, j, where, "i", -5, 5, &i), WOK_OK);
  assert_int_equal(i, -3);
  assert_status(wok__json_int(e->c, j, where, "i", 1, 1048576, &i), WOK_FORMAT);
  assert_string_equal(wok_errmsg(e->c), "config.json: i must be an integer in [1, 1048576], not -3");
  assert_status(wok__json_int(e->c, j, where, "i", 0, INT64_MAX, &i), WOK_FORMAT);
  assert_string_equal(wok_errmsg(e->c), "config.json: i must be an integer of at least 0, not -3");
  assert_status(wok__json_int(e->c, j, where, "i", INT64_MIN, -4, &i), WOK_FORMAT);
  assert_msg(e->c, "an integer of at most -4");
  assert_status(wok__json_int(e->c, j, where, "r", INT64_MIN, INT64_MAX, &i), WOK_FORMAT);
  assert_string_equal(wok_errmsg(e->c), "config.json: r must be an integer, not 0.5");
  assert_status(wok__json_int(e->c, j, where, "missing", 0, 9, &i), WOK_FORMAT);
  assert_string_equal(wok_errmsg(e->c), "config.json: missing is missing");
  assert_status(wok__json_int(e->c, j, where, "n", 0, 9, &i), WOK_FORMAT);
  assert_string_equal(wok_errmsg(e->c), "config.json: n is null");
  assert_status(wok__json_int_opt(e->c, j, where, "n", 0, 9, &i), WOK_OK);
  assert_status(wok__json_int_opt(e->c, j, where, "missing", 0, 9, &i), WOK_OK);
  assert_int_equal(i, -3);
  assert_status(wok__json_int_opt(e->c, j, where, "s", 0, 9, &i), WOK_FORMAT);
  assert_msg(e->c, "not \"gelu\"");
  assert_status(wok__json_double_opt(e->c, j, where, "r", 0, 1, &d), WOK_OK);
  assert_true(d == 0.5);
  assert_status(wok__json_double_opt(e->c, j, where, "i", -10, 1, &d), WOK_OK);
  assert_true(d == -3);
  assert_status(wok__json_double_opt(e->c, j, where, "i", 0, 1, &d), WOK_FORMAT);
  assert_string_equal(wok_errmsg(e->c), "config.json: i must be a number in [0, 1], not -3");
  assert_status(wok__json_double_opt(e->c, j, where, "a", 0, 1, &d), WOK_FORMAT);
  assert_msg(e->c, "not an array");
  assert_status(wok__json_double_opt(e->c, j, where, "n", 0, 1, &d), WOK_OK);
  assert_true(d == -3);
  assert_status(wok__json_bool_opt(e->c, j, where, "b", &b), WOK_OK);
  assert_true(b);
  assert_status(wok__json_bool_opt(e->c, j, where, "missing", &b), WOK_OK);
  assert_status(wok__json_bool_opt(e->c, j, where, "i", &b), WOK_FORMAT);
  assert_msg(e->c, "true or false, not -3");
  assert_status(wok__json_str_opt(e->c, j, where, "missing", &s), WOK_OK);
  assert_string_equal(s, "kept");
  assert_status(wok__json_str(e->c, j, where, "s", &s), WOK_OK);
  assert_string_equal(s, "gelu");
  assert_status(wok__json_str(e->c, j, where, "o", &s), WOK_FORMAT);
  assert_msg(e->c, "o must be a string, not an object");
  assert_status(wok__json_str(e->c, j, where, "b", &s), WOK_FORMAT);
  assert_msg(e->c, "b must be a string, not true");
  assert_status(wok__json_str(e->c, j, where, "missing", &s), WOK_FORMAT);
  assert_status(wok__json_bool_opt(e->c, j, where, "long", &b), WOK_FORMAT);
  assert_msg(e->c, "not \"0123456789012345678901234567890123456789...\"");
  assert_status(wok__json_int(e->c, json_object_get(j, "a"), where, "x", 0, 9, &i), WOK_FORMAT);
  assert_msg(e->c, "config.json: must be an object");
  assert_status(wok__json_int(e->c, NULL, where, "x", 0, 9, &i), WOK_FORMAT);
  json_decref(j);
}

static const char pretty[] = "{\n"
                             "  \"z\": 1,\n"
                             "  \"a\": [\n"
                             "    0.1,\n"
                             "    1e-12,\n"
                             "    5.0,\n"
                             "    1e+22\n"
                             "  ],\n"
                             "  \"s\": \"\xe9\x93\x81 \\\"q\\\" \\\\ / \\n\\t\\u0001\",\n"
                             "  \"e\": {},\n"
                             "  \"l\": [],\n"
                             "  \"o\": {\n"
                             "    \"n\": null,\n"
                             "    \"t\": true,\n"
                             "    \"f\": false,\n"
                             "    \"i\": -9223372036854775808\n"
                             "  }\n"
                             "}\n";

static void check_round_trip(env *e) {
  json_t *j, *again;
  char *path = at(e, "x.json"), *text;
  assert_status(parse(e, &j, pretty), WOK_OK);
  assert_true(json_real_value(json_array_get(json_object_get(j, "a"), 0)) == 0.1);
  assert_status(wok__json_write(e->c, j, path), WOK_OK);
  assert_status(wok__read_file(e->c, path, 10000, &text, NULL), WOK_OK);
  assert_string_equal(text, pretty);
  wok__free(text);
  assert_status(wok__json_read(e->c, &again, path, 10000), WOK_OK);
  assert_true(json_equal(j, again));
  json_decref(again);
  json_decref(j);
}

static void writing(void **state) {
  env *e = *state;
  check_round_trip(e);
  json_t *j;
  wok__str s;
  wok__str_init(&s, 1000);
  assert_status(parse(e, &j, "{\"step\": 100, \"loss\": 2.25, \"tags\": [\"a\", \"b\"], \"o\": {\"x\": []}}"),
                WOK_OK);
  assert_status(wok__json_text(e->c, j, &s, 0), WOK_OK);
  assert_string_equal(s.p, "{\"step\":100,\"loss\":2.25,\"tags\":[\"a\",\"b\"],\"o\":{\"x\":[]}}");
  wok__str_free(&s);
  wok__str_init(&s, 10);
  assert_status(wok__json_text(e->c, j, &s, 0), WOK_NOMEM);
  wok__str_free(&s);
  json_decref(j);
  assert_status(wok__json_text(e->c, NULL, &s, 0), WOK_INVALID);
  /* As deep as the parser goes and no deeper. */
  j = json_array();
  for (int i = 0; i < 3000; i++) {
    json_t *outer = json_array();
    assert_int_equal(json_array_append_new(outer, j), 0);
    j = outer;
  }
  assert_status(wok__json_write(e->c, j, at(e, "deep.json")), WOK_LIMIT);
  assert_msg(e->c, "deep.json: ");
  assert_false(wok__exists(at(e, "deep.json")));
  json_decref(j);
}

static void reading(void **state) {
  env *e = *state;
  json_t *j;
  char *path = at(e, "a.json");
  assert_status(wok__json_read(e->c, &j, path, 100), WOK_NOTFOUND);
  assert_null(j);
  assert_status(wok__write_file(e->c, path, "{\"a\":\n x}", 9), WOK_OK);
  assert_status(wok__json_read(e->c, &j, path, 100), WOK_FORMAT);
  assert_msg(e->c, "a.json: not JSON: line 2 column 2: ");
  assert_status(wok__json_read(e->c, &j, path, 5), WOK_LIMIT);
}

static void json_in_a_comma_locale(void **state) {
  env *e = *state;
  if (!comma_locale()) {
    print_message("skipped: no locale with a decimal comma here\n");
    return;
  }
  check_round_trip(e);
  json_t *j;
  double d = 0;
  assert_status(parse(e, &j, "{\"d\": 1.5}"), WOK_OK);
  assert_status(wok__json_double_opt(e->c, j, "x", "d", 0, 1.25, &d), WOK_FORMAT);
  assert_string_equal(wok_errmsg(e->c), "x: d must be a number in [0, 1.25], not 1.5");
  json_decref(j);
  assert_non_null(setlocale(LC_ALL, "C"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      env_test(parsing), env_test(bounds),  env_test(wide_integers),          env_test(getters),
      env_test(writing), env_test(reading), env_test(json_in_a_comma_locale),
  };
  return cmocka_run_group_tests_name("base json", tests, NULL, NULL);
}
