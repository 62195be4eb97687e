/* Tokenizers of characters and bytes: against Hugging Face's library (recorded), strict UTF-8, strict files, streaming. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/json.h"
#include "scratch.h"
#include "text/tokenizer.h"

static json_t *golden(wok_ctx *c) {
  json_t *j;
  assert_works(c, wok__json_read(c, &j, WOK_SOURCE_DIR "/tests/golden/tokenizer_chars.json", 1 << 20));
  return j;
}

/* The text of the recorded tokenizer.json, or of a changed copy. */
static char *text_of(wok_ctx *c, const json_t *j, int64_t *n) {
  wok__str s;
  wok__str_init(&s, 1 << 24);
  assert_works(c, wok__json_text(c, j, &s, 2));
  *n = s.len;
  return s.p;
}
static wok_status parse(wok_ctx *c, wok_tokenizer **t, const json_t *j) {
  int64_t n;
  char *z = text_of(c, j, &n);
  wok_status s = wok_tokenizer_parse(c, t, z, n, "tokenizer.json");
  wok__free(z);
  return s;
}
static wok_tokenizer *open_golden(scratch *s, json_t *g) {
  wok_tokenizer *t;
  assert_works(s->c, parse(s->c, &t, json_object_get(g, "tokenizer")));
  return t;
}

static void as_hugging_face(void **state) {
  scratch *s = *state;
  json_t *g = golden(s->c), *cases = json_object_get(g, "cases");
  wok_tokenizer *t = open_golden(s, g);
  assert_string_equal(wok_tokenizer_kind(t), "chars");
  assert_int_equal(
      wok_tokenizer_size(t),
      json_object_size(json_object_get(json_object_get(json_object_get(g, "tokenizer"), "model"), "vocab")));
  assert_true(json_array_size(cases) > 10);
  for (size_t k = 0; k < json_array_size(cases); k++) {
    const json_t *one = json_array_get(cases, k), *want = json_object_get(one, "ids");
    const char *text = json_string_value(json_object_get(one, "text"));
    int64_t len = (int64_t)strlen(text), n, back;
    int32_t ids[4096];
    char out[8192];
    assert_works(s->c, wok_encode(t, text, len, ids, 4096, &n));
    assert_int_equal(n, json_array_size(want));
    for (int64_t i = 0; i < n; i++)
      assert_int_equal(ids[i], json_integer_value(json_array_get(want, (size_t)i)));
    assert_works(s->c, wok_decode(t, ids, n, out, sizeof out, &back));
    assert_int_equal(back, len);
    assert_memory_equal(out, text, (size_t)len);
  }
  wok_tokenizer_free(t);
  json_decref(g);
}

/* What we write is what the library writes, key by key. */
static void saves_the_same(void **state) {
  scratch *s = *state;
  json_t *g = golden(s->c), *again;
  wok_tokenizer *t = open_golden(s, g), *u;
  const char *path = scratch_at(s, "tokenizer.json");
  assert_works(s->c, wok_tokenizer_save(t, path));
  assert_works(s->c, wok__json_read(s->c, &again, path, 1 << 20));
  assert_true(json_equal(again, json_object_get(g, "tokenizer")));
  assert_works(s->c, wok_tokenizer_open(s->c, &u, path));
  assert_true(wok_tokenizer_hash(t) == wok_tokenizer_hash(u));
  wok_tokenizer_free(u);
  assert_works(s->c, wok_tokenizer_open(s->c, &u, s->dir)); /* the folder that holds it */
  assert_true(wok_tokenizer_hash(t) == wok_tokenizer_hash(u));
  wok_tokenizer_free(u);
  wok_tokenizer_free(t);
  json_decref(again);
  json_decref(g);
}

static void special_and_pieces(void **state) {
  scratch *s = *state;
  static const uint32_t chars[] = {'a', 0x9505, 0x1f373};
  wok_tokenizer *t;
  int64_t len, n;
  int32_t ids[16];
  assert_works(s->c, wok__tokenizer_new(s->c, &t, chars, 3));
  assert_int_equal(wok_tokenizer_size(t), 260);
  assert_int_equal(wok_tokenizer_eod(t), 0);
  assert_memory_equal(wok_tokenizer_piece(t, 0, &len), "<|endoftext|>", 13);
  assert_int_equal(len, 13);
  assert_memory_equal(wok_tokenizer_piece(t, 1 + 0xff, &len), "\xff", 1);
  assert_int_equal(len, 1);
  assert_memory_equal(wok_tokenizer_piece(t, 258, &len), "\xe9\x94\x85", 3);
  assert_int_equal(len, 3);
  assert_int_equal(wok__tokenizer_char(t, 259), 0x1f373);
  (void)wok_tokenizer_piece(t, 260, &len);
  assert_int_equal(len, 0);
  (void)wok_tokenizer_piece(t, -1, &len);
  assert_int_equal(len, 0);
  /* the name of the end mark in a text is text */
  assert_works(s->c, wok_encode(t, "<|endoftext|>", 13, ids, 16, &n));
  assert_int_equal(n, 13);
  assert_int_equal(ids[0], 1 + '<');
  /* end marks are left out of decoded text */
  char out[16];
  assert_works(s->c, wok_decode(t, (int32_t[]){257, 0, 258, 1 + 'b'}, 4, out, sizeof out, &len));
  assert_int_equal(len, 5);
  assert_memory_equal(out,
                      "a\xe9\x94\x85"
                      "b",
                      5);
  assert_fails(s->c, wok_decode(t, (int32_t[]){257, 260}, 2, out, sizeof out, &len), WOK_INVALID,
               "id 260 (number 1) is not in the vocabulary of 260");
  assert_fails(s->c, wok_decode(t, (int32_t[]){-1}, 1, out, sizeof out, &len), WOK_INVALID, "id -1");
  /* U+0000 goes by its byte; other code points without a token by theirs */
  assert_works(s->c, wok_encode(t, "\0a", 2, ids, 16, &n));
  assert_int_equal(n, 2);
  assert_int_equal(ids[0], 1);
  assert_int_equal(ids[1], 257);
  wok_tokenizer_free(t);
  static const uint32_t twice[] = {'a', 'a'}, surrogate[] = {0xd800}, zero[] = {0};
  assert_fails(s->c, wok__tokenizer_new(s->c, &t, twice, 2), WOK_INVALID, "U+0061 is twice");
  assert_fails(s->c, wok__tokenizer_new(s->c, &t, surrogate, 1), WOK_INVALID, "U+D800");
  assert_fails(s->c, wok__tokenizer_new(s->c, &t, zero, 1), WOK_INVALID, "U+0000");
  assert_null(t);
}

static void measuring(void **state) {
  scratch *s = *state;
  static const uint32_t chars[] = {'a', 'b'};
  wok_tokenizer *t;
  assert_works(s->c, wok__tokenizer_new(s->c, &t, chars, 2));
  int64_t n;
  int32_t ids[8];
  assert_works(s->c, wok_encode(t, "ab\xe9\x94\x85", 5, NULL, 0, &n));
  assert_int_equal(n, 5);
  for (int i = 0; i < 8; i++) ids[i] = -7;
  assert_works(s->c, wok_encode(t, "ab\xe9\x94\x85", 5, ids, 3, &n));
  assert_int_equal(n, 5);
  assert_int_equal(ids[2], 1 + 0xe9);
  assert_int_equal(ids[3], -7); /* nothing beyond cap */
  char out[4] = "....";
  assert_works(s->c, wok_decode(t, (int32_t[]){257, 258, 1 + 0xe9}, 3, out, 2, &n));
  assert_int_equal(n, 3);
  assert_memory_equal(out, "ab..", 4);
  assert_works(s->c, wok_decode(t, (int32_t[]){257, 258}, 2, NULL, 0, &n));
  assert_int_equal(n, 2);
  assert_works(s->c, wok_encode(t, NULL, 0, NULL, 0, &n));
  assert_int_equal(n, 0);
  wok_tokenizer_free(t);
}

static void bytes(void **state) {
  scratch *s = *state;
  wok_tokenizer *t, *u;
  assert_works(s->c, wok_tokenizer_bytes(s->c, &t));
  assert_string_equal(wok_tokenizer_kind(t), "bytes");
  assert_int_equal(wok_tokenizer_size(t), 257);
  char all[256], out[256];
  int32_t ids[256];
  int64_t n;
  for (int i = 0; i < 256; i++) all[i] = (char)i;
  assert_works(s->c, wok_encode(t, all, 256, ids, 256, &n));
  assert_int_equal(n, 256);
  for (int i = 0; i < 256; i++) assert_int_equal(ids[i], 1 + i);
  assert_works(s->c, wok_decode(t, ids, 256, out, 256, &n));
  assert_memory_equal(all, out, 256);
  const char *path = scratch_at(s, "tokenizer.json");
  assert_works(s->c, wok_tokenizer_save(t, path));
  assert_works(s->c, wok_tokenizer_open(s->c, &u, path));
  assert_string_equal(wok_tokenizer_kind(u), "bytes");
  assert_true(wok_tokenizer_hash(t) == wok_tokenizer_hash(u));
  wok_tokenizer_free(u);
  wok_tokenizer_free(t);
  wok_tokenizer_free(NULL);
}

/* Every code point and only those; against the definition of UTF-8. */
static void utf8(void **state) {
  char z[4];
  uint32_t cp;
  for (uint32_t v = 0; v < WOK__CODE_POINTS; v++) {
    int k = wok__utf8_put(v, z);
    assert_int_equal(k, v < 0x80 ? 1 : v < 0x800 ? 2 : v < 0x10000 ? 3 : 4);
    bool surrogate = v >= 0xd800 && v < 0xe000;
    int got = wok__utf8_next((const uint8_t *)z, 4, &cp);
    if (surrogate) {
      assert_int_equal(got, 0);
      continue;
    }
    assert_int_equal(got, k);
    assert_int_equal(cp, v);
    for (int cut = 1; cut < k; cut++) assert_int_equal(wok__utf8_next((const uint8_t *)z, cut, &cp), -1);
  }
  /* all pairs and triples of first bytes that are no beginning */
  for (int a = 0; a < 256; a++)
    for (int b = 0; b < 256; b++) {
      const uint8_t p[4] = {(uint8_t)a, (uint8_t)b, 0x80, 0x80};
      int k = wok__utf8_next(p, 4, &cp);
      bool cont = b >= 0x80 && b < 0xc0;
      int want = a < 0x80   ? 1
                 : a < 0xc2 ? 0
                 : a < 0xe0 ? (cont ? 2 : 0)
                 : a < 0xf0 ? (cont && !(a == 0xe0 && b < 0xa0) && !(a == 0xed && b > 0x9f) ? 3 : 0)
                 : a < 0xf5 && cont && !(a == 0xf0 && b < 0x90) && !(a == 0xf4 && b > 0x8f) ? 4
                                                                                            : 0;
      assert_int_equal(k, want);
    }
  int cut;
  assert_int_equal(wok__utf8_valid((const uint8_t *)"abcdefghij\xe9\x94\x85\xe9\x94", 15, &cut), 13);
  assert_int_equal(cut, 1);
  assert_int_equal(wok__utf8_valid((const uint8_t *)"abcdefgh\xe9\x94\xc0\x80", 12, &cut), 8);
  assert_int_equal(cut, 0);
  assert_int_equal(wok__utf8_count((const uint8_t *)"a\xe9\x94\x85\xf0\x9f\x8d\xb3\n", 9), 4);
}

static void not_utf8(void **state) {
  scratch *s = *state;
  static const struct {
    const char *text;
    int64_t n;
    const char *message;
  } bad[] = {
      {"abc\xff", 4, "not UTF-8 at byte 3 (0xFF): convert it to UTF-8 or use the tokenizer \"bytes\""},
      {"\xc0\x80", 2, "at byte 0 (0xC0)"},             /* overlong */
      {"a\xed\xa0\x80", 4, "at byte 1 (0xED)"},        /* a surrogate */
      {"\xf4\x90\x80\x80", 4, "at byte 0 (0xF4)"},     /* above U+10FFFF */
      {"\xe9\x94\x85\xe9\x94", 5, "at byte 3 (0xE9)"}, /* cut off */
      {"\x80", 1, "at byte 0 (0x80)"},
  };
  static const uint32_t chars[] = {'a'};
  wok_tokenizer *t, *b;
  assert_works(s->c, wok__tokenizer_new(s->c, &t, chars, 1));
  assert_works(s->c, wok_tokenizer_bytes(s->c, &b));
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    int32_t ids[32];
    int64_t n;
    assert_fails(s->c, wok_encode(t, bad[i].text, bad[i].n, ids, 32, &n), WOK_FORMAT, bad[i].message);
    assert_int_equal(n, 0);
    assert_works(s->c, wok_encode(b, bad[i].text, bad[i].n, ids, 32, &n));
    assert_int_equal(n, bad[i].n);
  }
  wok_tokenizer_free(t);
  wok_tokenizer_free(b);
}

/* Streams token by token; on valid text equal to decoding at once, and every step ends at a character. */
static void streaming(void **state) {
  scratch *s = *state;
  static const uint32_t chars[] = {'a', 0x9505};
  wok_tokenizer *t;
  assert_works(s->c, wok__tokenizer_new(s->c, &t, chars, 2));
  wok__rng r;
  wok__rng_init(&r, 5, 0);
  for (int round = 0; round < 500; round++) {
    char text[256], out[512];
    int64_t len = 0, n, at = 0;
    while (len < 200) {
      uint32_t v = wok__rng_below(&r, 3) ? chars[wok__rng_below(&r, 2)]
                                         : (uint32_t)wok__rng_below(&r, WOK__CODE_POINTS);
      if (v >= 0xd800 && v < 0xe000) continue;
      len += wok__utf8_put(v, text + len);
    }
    int32_t ids[256];
    assert_works(s->c, wok_encode(t, text, len, ids, 256, &n));
    wok_decoder d = {.npart = 0};
    for (int64_t i = 0; i < n; i++) {
      int64_t k = wok_decode_stream(t, &d, ids[i], out + at, 64);
      int cut;
      assert_int_equal(wok__utf8_valid((const uint8_t *)out + at, k, &cut), k);
      at += k;
    }
    at += wok_decode_stream(t, &d, -1, out + at, 64);
    assert_int_equal(at, len);
    assert_memory_equal(text, out, (size_t)len);
  }
  /* what is no text becomes U+FFFD, one for each piece that could have begun a character */
  static const struct {
    int32_t ids[8];
    int n;
    const char *out;
  } bad[] = {
      {{1 + 0xff, 257},
       2,
       "\xef\xbf\xbd"
       "a"},
      {{1 + 0xe9, 257},
       2,
       "\xef\xbf\xbd"
       "a"},
      {{1 + 0xe9, 1 + 0x94, 258}, 3, "\xef\xbf\xbd\xe9\x94\x85"},
      {{1 + 0xe9, 1 + 0x94}, 2, "\xef\xbf\xbd"}, /* by the flush */
      {{1 + 0xe9, 1 + 0xe9, 1 + 0x94, 1 + 0x85}, 4, "\xef\xbf\xbd\xe9\x94\x85"},
      {{1 + 0xc0, 1 + 0x80}, 2, "\xef\xbf\xbd\xef\xbf\xbd"},
      {{1 + 0xed, 1 + 0xa0, 1 + 0x80}, 3, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
      {{1 + 0xe9, 0, 1 + 0x94, 0, 1 + 0x85}, 5, "\xe9\x94\x85"}, /* end marks are no text */
      {{9999, 257}, 2, "a"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    wok_decoder d = {.npart = 0};
    char out[512];
    int64_t at = 0;
    for (int k = 0; k < bad[i].n; k++) at += wok_decode_stream(t, &d, bad[i].ids[k], out + at, 64);
    at += wok_decode_stream(t, &d, -1, out + at, 64);
    assert_int_equal(at, strlen(bad[i].out));
    assert_memory_equal(out, bad[i].out, (size_t)at);
  }
  wok_decoder wild = {.part = {1, 2, 3, 4}, .npart = 77, .nheld = -5, .nbefore = 99}; /* a state that is not ours does no harm */
  char out[64];
  assert_int_equal(wok_decode_stream(t, &wild, 257, out, 64), 1);
  assert_int_equal(wok_decode_stream(t, &wild, 257, out, 63), 0);
  wok_tokenizer_free(t);
}

/* ---- files that are refused: the recorded one with one change ---- */

typedef struct change {
  const char *at;    /* "model.dropout": where; the last name is set, or taken out when value is NULL */
  const char *value; /* JSON */
  wok_status status;
  const char *message;
} change;

static void apply(json_t *root, const change *k) {
  char path[64], *name = path;
  snprintf(path, sizeof path, "%s", k->at);
  json_t *o = root;
  for (char *dot; (dot = strchr(name, '.')); name = dot + 1) {
    *dot = 0;
    o = json_is_array(o) ? json_array_get(o, (size_t)atoi(name)) : json_object_get(o, name);
    assert_non_null(o);
  }
  if (!k->value) {
    assert_int_equal(json_object_del(o, name), 0);
    return;
  }
  json_t *v = json_loads(k->value, JSON_DECODE_ANY, NULL);
  assert_non_null(v);
  assert_int_equal(json_object_set_new(o, name, v), 0);
}

static void strict_files(void **state) {
  scratch *s = *state;
  static const change changes[] = {
      {"pre_tokenizer", "{\"type\":\"Runes\",\"use_regex\":true}", WOK_UNSUPPORTED,
       "tokenizer.json: pre_tokenizer Runes is not known to this version"},
      {"normalizer", "{\"type\":\"NFKX\"}", WOK_UNSUPPORTED, "normalizer NFKX is not known to this version"},
      {"normalizer", "{}", WOK_UNSUPPORTED, "tokenizer.json: normalizer is not known to this version"},
      {"normalizer", "7", WOK_FORMAT, "normalizer must be an object or null"},
      {"normalizer", "{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFC\"},{\"type\":\"Rot13\"}]}", WOK_UNSUPPORTED,
       "normalizer Rot13 is not known"},
      {"normalizer", "{\"type\":\"Sequence\"}", WOK_FORMAT, "Sequence of the normalizer has no list normalizers"},
      {"normalizer", "{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"(\"},\"content\":\"\"}", WOK_FORMAT,
       "normalizer Replace: the regular expression is not understood at character 1"},
      {"normalizer", "{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"AAAA\"}", WOK_CORRUPT, "the precompiled character map is damaged"},
      {"post_processor", "{\"type\":\"Envelope\"}", WOK_UNSUPPORTED, "post_processor Envelope is not known"},
      {"decoder", "{\"type\":\"Oracle\"}", WOK_UNSUPPORTED, "decoder Oracle is not known"},
      {"decoder.decoders", "[{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"},{\"type\":\"Strip\"}]", WOK_FORMAT,
       "decoder Strip: content must be a string"},
      {"version", "\"2.0\"", WOK_UNSUPPORTED, "version 2.0 is not known"},
      {"version", "1", WOK_UNSUPPORTED, "version is not known"},
      {"extra", "1", WOK_UNSUPPORTED, "the key extra is not known"},
      {"model.type", "\"Markov\"", WOK_UNSUPPORTED, "model Markov is not known"},
      {"model", "[]", WOK_UNSUPPORTED, "model is not known"},
      {"model", NULL, WOK_FORMAT, "model is missing"},
      {"model.dropout", "2", WOK_FORMAT, "dropout must be a number in [0, 1], not 2"},
      {"model.unk_token", "7", WOK_FORMAT, "unk_token must be a string, not 7"},
      {"model.fuse_unk", "\"no\"", WOK_FORMAT, "fuse_unk must be true or false"},
      {"model.surprise", "1", WOK_UNSUPPORTED, "the key model.surprise is not known"},
      {"model.merges", "[[\"a\",\"b\"]]", WOK_FORMAT, "merge 0 (\"a\" and \"b\") names a token that is not in the vocabulary"},
      {"model.merges", "[\"a\"]", WOK_FORMAT, "merge 0 is not two tokens"},
      {"model.merges", "{}", WOK_FORMAT, "model.merges is not a list"},
      {"model.vocab", "[]", WOK_FORMAT, "model.vocab is not an object"},
      {"model.vocab", "{}", WOK_FORMAT, "the vocabulary is empty"},
      {"model.vocab.a", "99999999", WOK_LIMIT, "the id 99999999 is far outside a vocabulary"},
      {"model.vocab.a", "-1", WOK_FORMAT, "\"a\" has the id -1"},
      {"model.vocab.a", "1e3", WOK_FORMAT, "the id of \"a\" is not an integer"},
      {"model.vocab.a", "300", WOK_FORMAT, "two tokens have the id 300"},
      {"added_tokens", "{}", WOK_FORMAT, "added_tokens is not a list"},
      {"added_tokens", "[{\"id\":0,\"content\":\"<pad>\",\"special\":true}]", WOK_FORMAT, "<pad> has the id 0, which is another token's"},
      {"added_tokens", "[{\"id\":0,\"special\":true}]", WOK_FORMAT, "added token 0: content must be a string"},
      {"added_tokens.0.id", "5", WOK_FORMAT, "has the id 5, which is another token's"},
      {"added_tokens.0.colour", "true", WOK_UNSUPPORTED, "added token 0: the key colour is not known"},
  };
  json_t *g = golden(s->c), *good = json_object_get(g, "tokenizer");
  for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
    json_t *j = json_deep_copy(good);
    wok_tokenizer *t;
    apply(j, &changes[i]);
    wok_status st = parse(s->c, &t, j);
    if (st != changes[i].status) print_error("change %zu: %s\n", i, changes[i].at);
    assert_fails(s->c, st, changes[i].status, changes[i].message);
    assert_null(t);
    json_decref(j);
  }
  json_decref(g);
}

static void bad_files(void **state) {
  scratch *s = *state;
  wok_tokenizer *t;
  static const char twice[] = "{\"version\":\"1.0\",\"version\":\"1.0\"}";
  assert_fails(s->c, wok_tokenizer_parse(s->c, &t, twice, (int64_t)strlen(twice), "x.json"), WOK_FORMAT,
               "x.json: not JSON: line 1 column");
  assert_fails(s->c, wok_tokenizer_parse(s->c, &t, "[]", 2, "x.json"), WOK_FORMAT,
               "x.json: this is not an object");
  assert_fails(s->c, wok_tokenizer_parse(s->c, &t, "", 0, "x.json"), WOK_FORMAT, "x.json");
  assert_fails(s->c, wok_tokenizer_open(s->c, &t, scratch_at(s, "absent.json")), WOK_NOTFOUND, "absent.json");
  assert_fails(s->c, wok_tokenizer_open(s->c, &t, s->dir), WOK_NOTFOUND, "tokenizer.json");
  assert_null(t);
  assert_works(s->c, wok_tokenizer_bytes(s->c, &t));
  assert_fails(s->c, wok_tokenizer_save(t, scratch_at(s, "no/dir/t.json")), WOK_NOTFOUND, "no/dir/t.json");
  wok_tokenizer_free(t);
}

/* Cut anywhere or with any byte changed, a file is refused or is a tokenizer that round-trips text. */
static void damaged_files(void **state) {
  scratch *s = *state;
  json_t *g = golden(s->c);
  int64_t n, accepted = 0;
  char *z = text_of(s->c, json_object_get(g, "tokenizer"), &n);
  wok_tokenizer *t;
  for (int64_t k = 0; k < n; k += 1 + n / 700) {
    char *p = malloc((size_t)k + !k);
    memcpy(p, z, (size_t)k);
    assert_true(wok_tokenizer_parse(s->c, &t, p, k, "cut") != WOK_OK);
    free(p);
  }
  for (int64_t k = 0; k < n; k++) {
    z[k] ^= (char)(1 << k % 7);
    if (wok_tokenizer_parse(s->c, &t, z, n, "changed") == WOK_OK) {
      accepted++;
      assert_true(wok_tokenizer_size(t) >= 317 && wok_tokenizer_size(t) < 1000); /* an id may leave a gap */
      wok_tokenizer_free(t);
    }
    z[k] ^= (char)(1 << k % 7);
  }
  assert_true(accepted < n / 4); /* blanks between values, and another character for a character */
  wok__free(z);
  json_decref(g);
}

#define SCRATCH(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)
int main(void) {
  const struct CMUnitTest tests[] = {
      SCRATCH(as_hugging_face), SCRATCH(saves_the_same), SCRATCH(special_and_pieces), SCRATCH(measuring),
      SCRATCH(bytes),           cmocka_unit_test(utf8),  SCRATCH(not_utf8),           SCRATCH(streaming),
      SCRATCH(strict_files),    SCRATCH(bad_files),      SCRATCH(damaged_files),
  };
  return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
