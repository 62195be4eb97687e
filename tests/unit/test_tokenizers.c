/* Vocabularies of every kind, made small: what spec 05 E and its checks (E.11) ask for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include "base/json.h"
#include "scratch.h"
#include "text/symbols.h"
#include "text/tokenizer.h"

static wok_tokenizer *parse(scratch *s, const char *json) {
  wok_tokenizer *t;
  assert_works(s->c, wok_tokenizer_parse(s->c, &t, json, (int64_t)strlen(json), "tokenizer.json"));
  return t;
}

/* The pieces of an encoding, with | between them. */
static const char *pieces(scratch *s, const wok_tokenizer *t, const char *text, const wok_encode_opts *o) {
  static char out[4096];
  wok_encoding *e;
  int64_t n, len, at = 0;
  assert_works(s->c, wok_tokenizer_encode(t, text, (int64_t)strlen(text), o, &e));
  const int32_t *ids = wok_encoding_ids(e, &n);
  out[0] = 0;
  for (int64_t i = 0; i < n; i++) {
    const char *z = wok_tokenizer_token(t, ids[i], &len);
    at += snprintf(out + at, sizeof out - (size_t)at, "%s%.*s", i ? "|" : "", (int)len, z);
  }
  wok_encoding_free(e);
  return out;
}
static const wok_encode_opts bare = {.no_special = true};

/* ---- BERT ---- */

static wok_tokenizer *bert(scratch *s, const char *lines, const char *mode, int lower) {
  const char *path = scratch_at(s, "vocab.txt");
  wok_tokenizer *t;
  assert_works(s->c, wok__write_file(s->c, path, lines, (int64_t)strlen(lines)));
  assert_works(s->c, wok_tokenizer_open_with(s->c, &t, path, &(wok_tokenizer_opts){.bert = mode, .lower = lower}));
  return t;
}

#define WORDS "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n"

/* 05-E.11-6 */
static void bert_rules(void **state) {
  scratch *s = *state;
  static const char lines[] = WORDS "ab\n\xe3\x81\x8b\n\xe4\xb8\xbd\n\xce\xbf\xce\xb4\xce\xbf\xcf\x82\n\xce\xbf\xce\xb4\xce\xbf\xcf\x83\nx\n##x\n"
                                    "\xee\x80\x80\na\nb\n";
  char x201[202], x101[102];
  memset(x201, 'x', 201), x201[201] = 0;
  memset(x101, 'x', 101), x101[101] = 0;
  static const struct { const char *text, *bert, *hf; } cases[] = {
      {"a\x0b" "b", "ab", "ab"},                                /* VT is removed */
      {"\xe3\x81\x8c", "\xe3\x81\x8b", "\xe3\x81\x8b"},         /* voicing goes */
      {"ab\xf0\xaf\xa0\x80" "ab", "ab|\xe4\xb8\xbd|ab", "ab|\xe4\xb8\xbd|ab"}, /* U+2F800 stands alone and is decomposed */
      {"\xce\x9f\xce\x94\xce\x9f\xce\xa3", "\xce\xbf\xce\xb4\xce\xbf\xcf\x82", "\xce\xbf\xce\xb4\xce\xbf\xcf\x83"},
      {"a\xee\x80\x80" "b", "[UNK]", "ab"},                     /* private use: kept, removed */
      {"AB [MASK]", "ab|[UNK]|[UNK]|[UNK]", "ab|[MASK]"},
      {"ab\xff" "ab", "[UNK]", "[UNK]"},                         /* a bad byte is dropped: "abab"; hf has U+FFFD removed */
  };
  wok_tokenizer *g = bert(s, lines, "bert", 1), *h = bert(s, lines, "bert-hf", 1), *k = bert(s, lines, "bert4keras", 1);
  assert_string_equal(wok_tokenizer_kind(g), "WordPiece");
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    assert_string_equal(pieces(s, g, cases[i].text, &bare), cases[i].bert);
    assert_string_equal(pieces(s, k, cases[i].text, &bare), cases[i].bert);
    assert_string_equal(pieces(s, h, cases[i].text, &bare), cases[i].hf);
  }
  assert_string_equal(pieces(s, g, x201, &bare), "[UNK]");
  assert_string_equal(pieces(s, h, x101, &bare), "[UNK]");
  assert_int_equal(strlen(pieces(s, g, x101, &bare)), 1 + 100 * 4);
  assert_string_equal(pieces(s, g, "ab", NULL), "[CLS]|ab|[SEP]");
  wok_tokenizer_free(g);
  wok_tokenizer_free(h);
  wok_tokenizer_free(k);
}

static void pairs_and_truncation(void **state) {
  scratch *s = *state;
  wok_tokenizer *t = bert(s, WORDS "a\nb\nc\nd\ne\nf\n", "bert-hf", 1);
  static const struct { const char *a, *b; int64_t most; wok_truncation how; bool left; const char *want; } cases[] = {
      {"a b", "c", 0, 0, false, "[CLS]|a|b|[SEP]|c|[SEP]"},
      {"a b c d", "e f", 7, WOK_TRUNCATE_LONGEST_FIRST, false, "[CLS]|a|b|[SEP]|e|f|[SEP]"},
      {"a b c", "d e f", 8, WOK_TRUNCATE_LONGEST_FIRST, false, "[CLS]|a|b|[SEP]|d|e|f|[SEP]"}, /* as Hugging Face's */
      {"a b c d", "e f", 7, WOK_TRUNCATE_ONLY_FIRST, true, "[CLS]|c|d|[SEP]|e|f|[SEP]"},
      {"a b", "c d e f", 7, WOK_TRUNCATE_ONLY_SECOND, false, "[CLS]|a|b|[SEP]|c|d|[SEP]"},
      {"a b c d", NULL, 4, 0, false, "[CLS]|a|b|[SEP]"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    wok_encode_opts o = {.pair = cases[i].b, .pair_len = cases[i].b ? (int64_t)strlen(cases[i].b) : 0, .max_length = cases[i].most,
                         .truncation = cases[i].how, .truncate_left = cases[i].left};
    assert_string_equal(pieces(s, t, cases[i].a, &o), cases[i].want);
  }
  wok_encoding *e;
  assert_fails(s->c, wok_tokenizer_encode(t, "a", 1, &(wok_encode_opts){.pair = "b c d", .pair_len = 5, .max_length = 4, .truncation = WOK_TRUNCATE_ONLY_FIRST}, &e),
               WOK_INVALID, "max_length 4 cannot be reached by shortening only the first text, which has 1 tokens");
  assert_fails(s->c, wok_tokenizer_encode(t, "a", 1, &(wok_encode_opts){.max_length = 1}, &e), WOK_INVALID, "has no room for the tokens of the template");
  /* segments, sequences, offsets in bytes and in characters */
  assert_works(s->c, wok_tokenizer_encode(t, "\xe4\xb8\xad  B", 6, &(wok_encode_opts){.pair = "a", .pair_len = 1, .offsets = true}, &e));
  int64_t n;
  (void)wok_encoding_ids(e, &n);
  assert_int_equal(n, 6);
  static const int32_t types[] = {0, 0, 0, 0, 1, 1};
  static const int8_t sequences[] = {-1, 0, 0, -1, 1, -1};
  static const int64_t offsets[][2] = {{0, 0}, {0, 3}, {5, 6}, {0, 0}, {0, 1}, {0, 0}}, chars[][2] = {{0, 1}, {3, 4}};
  assert_memory_equal(wok_encoding_types(e), types, sizeof types);
  assert_memory_equal(wok_encoding_sequences(e), sequences, sizeof sequences);
  assert_memory_equal(wok_encoding_offsets(e), offsets, sizeof offsets);
  int64_t two[2][2] = {{0, 3}, {5, 6}};
  wok_offsets_to_chars("\xe4\xb8\xad  B", 6, two, 2);
  assert_memory_equal(two, chars, sizeof chars);
  wok_encoding_free(e);
  wok_tokenizer_free(t);
}

/* What is saved as tokenizer.json is the same tokenizer. */
static void saved(void **state) {
  scratch *s = *state;
  static const char *const modes[] = {"bert", "bert-hf", "bert4keras"};
  for (int i = 0; i < 3; i++) {
    wok_tokenizer *t = bert(s, WORDS "A\nb\n##b\n", modes[i], 0), *u;
    const char *path = scratch_at(s, "tokenizer.json");
    assert_works(s->c, wok_tokenizer_save(t, path));
    assert_works(s->c, wok_tokenizer_open(s->c, &u, path));
    assert_true(wok_tokenizer_hash(t) == wok_tokenizer_hash(u));
    assert_string_equal(pieces(s, u, "Abb [MASK]", NULL), i == 1 ? "[CLS]|A|##b|##b|[MASK]|[SEP]" : "[CLS]|A|##b|##b|[UNK]|[UNK]|[UNK]|[SEP]");
    assert_int_equal(wok_tokenizer_eod(u), 3);
    wok_tokenizer_free(t);
    wok_tokenizer_free(u);
  }
}

/* ---- byte-level BPE ---- */

/* All bytes, and the merges given as words: "ab cd" joins ab and cd. */
static wok_tokenizer *byte_bpe(scratch *s, const char *regex, const char *const *merges, int n) {
  wok__str z;
  wok__str_init(&z, 1 << 20);
  json_t *vocab = json_object(), *list = json_array(), *pre;
  char letter[8];
  for (int b = 0; b < 256; b++) {
    letter[wok__utf8_put(wok__byte_char((uint8_t)b), letter)] = 0;
    json_object_set_new(vocab, letter, json_integer(b));
  }
  for (int i = 0; i < n; i++) {
    char joined[64];
    const char *blank = strchr(merges[i], ' ');
    snprintf(joined, sizeof joined, "%.*s%s", (int)(blank - merges[i]), merges[i], blank + 1);
    json_object_set_new(vocab, joined, json_integer(256 + i));
    json_array_append_new(list, json_string(merges[i]));
  }
  pre = regex ? json_pack("{s:s,s:[{s:s,s:{s:s},s:s,s:b},{s:s,s:b,s:b}]}", "type", "Sequence", "pretokenizers", "type", "Split", "pattern", "Regex",
                          regex, "behavior", "Isolated", "invert", 0, "type", "ByteLevel", "add_prefix_space", 0, "use_regex", 0)
              : json_pack("{s:s,s:b,s:b}", "type", "ByteLevel", "add_prefix_space", 0, "use_regex", 1);
  json_t *root = json_pack("{s:s,s:[],s:n,s:o,s:n,s:{s:s},s:{s:s,s:o,s:o}}", "version", "1.0", "added_tokens", "normalizer", "pre_tokenizer", pre,
                           "post_processor", "decoder", "type", "ByteLevel", "model", "type", "BPE", "vocab", vocab, "merges", list);
  assert_works(s->c, wok__json_text(s->c, root, &z, 0));
  wok_tokenizer *t = parse(s, z.p);
  json_decref(root);
  wok__str_free(&z);
  return t;
}

/* 05-E.11-3: merges in the order of their ranks, the leftmost first. */
static void bpe_merges(void **state) {
  scratch *s = *state;
  static const char *const merges[] = {"e s", "es t", "l o", "lo w", "e w", "n ew", "new est", "a a"};
  wok_tokenizer *t = byte_bpe(s, NULL, merges, 8);
  assert_string_equal(wok_tokenizer_kind(t), "BPE");
  assert_string_equal(pieces(s, t, "lowest", NULL), "low|est");
  assert_string_equal(pieces(s, t, "newest", NULL), "newest");
  assert_string_equal(pieces(s, t, "lower", NULL), "low|e|r");
  assert_string_equal(pieces(s, t, "aaaaa", NULL), "aa|aa|a");
  char many[1001]; /* the long way: a heap */
  memset(many, 'a', 1000), many[1000] = 0;
  int64_t n;
  assert_works(s->c, wok_encode(t, many, 1000, NULL, 0, &n));
  assert_int_equal(n, 500);
  /* dropout 1 leaves every merge out */
  assert_string_equal(pieces(s, t, "low", &(wok_encode_opts){.sample = true, .alpha = 1}), "l|o|w");
  wok_tokenizer_free(t);
}

/* What the scanners cut, against the same expressions by PCRE2 (with a group around them, which no scanner knows). */
static void scanners(void **state) {
  scratch *s = *state;
  static const char *const some[] = {"Hello  world's 123\xe4\xb8\xad\xe6\x96\x87!! \xc2\xa0x\n\n  y", "I'LL DON'T can't", "", " ", "  ", "\n", " \n \n x", "12345 6",
                                     "it\xc2\x85s\xe1\xa0\x8e!\r\n\t", "\xe2\x80\xa9 a", "x's's'", "'\xc5\xbf", "a  \n", "\xcc\x81" "a"};
  wok__rng r;
  wok__rng_init(&r, 3, 0);
  for (int k = 0; k < 5; k++) {
    char grouped[512];
    snprintf(grouped, sizeof grouped, "(?:%s)", wok__scanner_regex(k));
    wok__pattern *p;
    assert_works(s->c, wok__pattern_new(s->c, &p, "test", grouped));
    for (int round = 0; round < 3000; round++) {
      char text[128];
      int64_t n = 0;
      if (round < (int)(sizeof some / sizeof *some)) n = snprintf(text, sizeof text, "%s", some[round]);
      else
        for (uint64_t want = wok__rng_below(&r, 16); want > 0; want--) {
          static const uint32_t alphabet[] = {' ', ' ', '\n', '\r', '\t', 'a', 'L', 's', 't', '\'', '\'', '1', '2', '!', '/', 0xa0, 0x4e2d, 0x17f, 0x301, 0x660, 0x1f600, 0x2028};
          n += wok__utf8_put(alphabet[wok__rng_below(&r, sizeof alphabet / sizeof *alphabet)], text + n);
        }
      wok__enc e;
      wok__enc_init(&e, NULL, false);
      for (int64_t i = 0; i < n;) {
        wok__span m;
        assert_true(wok__pattern_find(p, &e, (const uint8_t *)text, n, i, &m));
        int64_t end = wok__scan(k, (const uint8_t *)text, n, i);
        if (m.a != i || m.b != end) print_error("scanner %d at byte %d of \"%.*s\": %d, the expression says %d\n", k, (int)i, (int)n, text, (int)end, (int)m.b);
        assert_int_equal(m.a, i);
        assert_int_equal(m.b, end);
        i = end;
      }
      wok__enc_free(&e);
    }
    wok__pattern_free(p);
  }
}

/* 05-E.11-2: any bytes come back; streamed, only whole characters come out. */
static void byte_round_trip(void **state) {
  scratch *s = *state;
  static const char *const merges[] = {"a b", "ab c", "\xc3\xa4 \xc2\xb8", "\xc4\xa0 a"};
  static const char llama[] = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
  wok_tokenizer *t[2] = {byte_bpe(s, NULL, merges, 4), byte_bpe(s, llama, merges, 4)};
  wok__rng r;
  wok__rng_init(&r, 9, 0);
  for (int round = 0; round < 2000; round++) {
    char text[64], back[64], stream[1024];
    int32_t ids[64];
    int64_t len = (int64_t)wok__rng_below(&r, 60), n, got, at = 0;
    for (int64_t i = 0; i < len; i++) text[i] = wok__rng_below(&r, 3) ? " abc\n1'\xe4\xb8\xad"[wok__rng_below(&r, 10)] : (char)wok__rng_below(&r, 256);
    assert_works(s->c, wok_encode(t[round & 1], text, len, ids, 64, &n));
    assert_works(s->c, wok_decode(t[round & 1], ids, n, back, 64, &got));
    assert_int_equal(got, len);
    assert_memory_equal(text, back, (size_t)len);
    wok_decoder d = {.npart = 0};
    int64_t room = wok_decode_room(t[0]);
    assert_true(room < 700);
    for (int64_t i = 0; i <= n; i++) {
      int cut;
      int64_t k = wok_decode_stream(t[round & 1], &d, i < n ? ids[i] : -1, stream + at, room);
      assert_int_equal(wok__utf8_valid((uint8_t *)stream + at, k, &cut), k);
      at += k;
      if (at > 250) at = 0;
    }
  }
  wok_tokenizer_free(t[0]);
  wok_tokenizer_free(t[1]);
}

/* ---- Unigram ---- */

/* 05-E.11-4: "watching" of watch .2, ing .2, wat .1, ching .1, w .05, atching .05, drawn with the power alpha. */
static void unigram_sampling(void **state) {
  scratch *s = *state;
  static const struct { const char *z; double p; } words[] = {{"<unk>", 1e-9}, {"watch", .2}, {"ing", .2}, {"wat", .1}, {"ching", .1}, {"w", .05}, {"atching", .05}};
  static const struct { double alpha, p[3]; } cases[] = {{1, {.761905, .190476, .047619}}, {.5, {.571429, .285714, .142857}}, {.1, {.380458, .331208, .288333}}};
  json_t *vocab = json_array();
  for (int i = 0; i < 7; i++) json_array_append_new(vocab, json_pack("[s,f]", words[i].z, log(words[i].p)));
  json_t *root = json_pack("{s:s,s:[],s:{s:s,s:i,s:o}}", "version", "1.0", "added_tokens", "model", "type", "Unigram", "unk_id", 0, "vocab", vocab);
  wok__str z;
  wok__str_init(&z, 1 << 16);
  assert_works(s->c, wok__json_text(s->c, root, &z, 0));
  wok_tokenizer *t = parse(s, z.p);
  enum { DRAWS = 20000 };
  for (int nbest = 0; nbest <= 3; nbest += 3) /* over all segmentations; among the three best, which are all */
    for (int c = 0; c < 3; c++) {
      int64_t count[3] = {0};
      for (int i = 0; i < DRAWS; i++) {
        const char *got = pieces(s, t, "watching", &(wok_encode_opts){.sample = true, .alpha = cases[c].alpha, .nbest = nbest, .seed = (uint64_t)i});
        count[!strcmp(got, "watch|ing") ? 0 : !strcmp(got, "wat|ching") ? 1 : 2]++;
      }
      for (int k = 0; k < 3; k++) {
        double want = cases[c].p[k] * DRAWS, sigma = sqrt(want * (1 - cases[c].p[k]));
        if (fabs((double)count[k] - want) > 4 * sigma) print_error("alpha %g, nbest %d: %d of %d, expected %.0f\n", cases[c].alpha, nbest, (int)count[k], DRAWS, want);
        assert_true(fabs((double)count[k] - want) <= 4 * sigma);
      }
    }
  assert_string_equal(pieces(s, t, "watching", NULL), "watch|ing");
  assert_string_equal(pieces(s, t, "watching", &(wok_encode_opts){.nbest = 2}), "wat|ching");
  assert_string_equal(pieces(s, t, "watching", &(wok_encode_opts){.nbest = 3}), "w|atching");
  assert_string_equal(pieces(s, t, "xxwatch", NULL), "<unk>|watch");
  wok_tokenizer_free(t);
  json_decref(root);
  wok__str_free(&z);
}

/* ---- SentencePiece files, written by hand ---- */

static void put_varint(wok__str *z, uint64_t v) {
  for (; v >= 0x80; v >>= 7) wok__str_add(z, &(uint8_t){(uint8_t)(v | 0x80)}, 1);
  wok__str_add(z, &(uint8_t){(uint8_t)v}, 1);
}
static void put_bytes(wok__str *z, int field, const void *p, int64_t n) {
  put_varint(z, (uint64_t)field << 3 | 2);
  put_varint(z, (uint64_t)n);
  wok__str_add(z, p, n);
}
static void put_piece(wok__str *z, const char *text, float score, int type) {
  wok__str p;
  wok__str_init(&p, 1024);
  put_bytes(&p, 1, text, (int64_t)strlen(text));
  put_varint(&p, 2 << 3 | 5);
  wok__str_add(&p, &score, 4);
  put_varint(&p, 3 << 3);
  put_varint(&p, (uint64_t)type);
  put_bytes(z, 1, p.p, p.len);
  wok__str_free(&p);
}

static void sp_model(wok__str *z, int kind, bool bytes) {
  static const struct { const char *text; float score; int type; } list[] = {
      {"<unk>", 0, 2}, {"<s>", 0, 3}, {"</s>", 0, 3}, {"<tag>", 0, 4}, {"\xe2\x96\x81", -3, 1}, {"a", -4, 1}, {"b", -4.5f, 1}, {"ab", -1, 1}, {"\xe2\x96\x81" "ab", -2, 1}, {"bb", -9, 5}};
  wok__str_init(z, 1 << 16);
  for (size_t i = 0; i < sizeof list / sizeof *list; i++) put_piece(z, list[i].text, list[i].score, list[i].type);
  for (int b = 0; bytes && b < 256; b++) {
    char name[8];
    snprintf(name, sizeof name, "<0x%02X>", b);
    put_piece(z, name, 0, 6);
  }
  const uint8_t trainer[] = {3 << 3, (uint8_t)kind, (35 << 3 & 0x7f) | 0x80, 35 >> 4, bytes};
  put_bytes(z, 2, trainer, sizeof trainer);
}

static void sentencepiece(void **state) {
  scratch *s = *state;
  for (int kind = 1; kind <= 2; kind++)
    for (int bytes = 0; bytes < 2; bytes++) {
      wok__str z;
      sp_model(&z, kind, bytes);
      const char *path = scratch_at(s, "x.model");
      assert_works(s->c, wok__write_file(s->c, path, z.p, z.len));
      wok_tokenizer *t, *u;
      assert_works(s->c, wok_tokenizer_open(s->c, &t, path));
      assert_string_equal(wok_tokenizer_kind(t), kind == 1 ? "SentencePieceUnigram" : "SentencePieceBPE");
      assert_string_equal(pieces(s, t, "  ab  ab ", NULL), "\xe2\x96\x81" "ab|\xe2\x96\x81" "ab");
      assert_string_equal(pieces(s, t, "a<tag>ab", NULL), "\xe2\x96\x81|a|<tag>|ab");
      assert_string_equal(pieces(s, t, "<s>", NULL), bytes ? "\xe2\x96\x81|<0x3C>|<0x73>|<0x3E>" : "\xe2\x96\x81|<unk>"); /* never a control symbol */
      assert_string_equal(pieces(s, t, "axya", NULL), bytes ? "\xe2\x96\x81|a|<0x78>|<0x79>|a" : "\xe2\x96\x81|a|<unk>|a");
      assert_string_equal(pieces(s, t, "abb", NULL), "\xe2\x96\x81" "ab|b"); /* an unused piece comes from no text */
      assert_string_equal(pieces(s, t, "", NULL), "");
      assert_string_equal(pieces(s, t, "ab", &(wok_encode_opts){.bos = true, .eos = true}), "<s>|\xe2\x96\x81" "ab|</s>");
      char out[64];
      int64_t n, len;
      int32_t ids[64];
      assert_works(s->c, wok_encode(t, " ab\xe4\xb8\xad", 6, ids, 64, &n));
      assert_works(s->c, wok_decode(t, ids, n, out, 64, &len));
      out[len] = 0;
      assert_string_equal(out, bytes ? "ab\xe4\xb8\xad" : "ab \xe2\x81\x87 ");
      /* streamed the same, and never half a character */
      char stream[1024];
      wok_decoder d = {.npart = 0};
      int64_t at = 0, room = wok_decode_room(t);
      for (int64_t i = 0; i <= n; i++) at += wok_decode_stream(t, &d, i < n ? ids[i] : -1, stream + at, room);
      stream[at] = 0;
      assert_string_equal(stream, out);
      assert_works(s->c, wok_tokenizer_save(t, scratch_at(s, "tokenizer.json")));
      assert_works(s->c, wok_tokenizer_open(s->c, &u, scratch_at(s, "tokenizer.json")));
      assert_true(wok_tokenizer_hash(u) == wok_tokenizer_hash(t));
      assert_string_equal(pieces(s, u, "ab<tag>x", NULL), bytes ? "\xe2\x96\x81" "ab|<tag>|<0x78>" : "\xe2\x96\x81" "ab|<tag>|<unk>");
      wok_tokenizer_free(u);
      wok_tokenizer_free(t);
      for (int64_t k = 0; k < z.len; k++) { /* cut anywhere: one line, or a smaller vocabulary */
        json_t *root;
        wok_status st = wok__read_sentencepiece(s->c, &root, path, (const uint8_t *)z.p, k, &(wok__vocab_config){.bos = 0});
        if (st == WOK_OK) st = wok__tokenizer_of(s->c, &t, root, path);
        if (st == WOK_OK) wok_tokenizer_free(t);
        else assert_true(wok_errmsg(s->c)[0] && !strchr(wok_errmsg(s->c), '\n'));
        if (k > 400) k += 20;
      }
      wok__str_free(&z);
    }
}

/* ---- components ---- */

typedef struct component { const char *normalizer, *pre, *text, *want; } component;

static void components(void **state) {
  scratch *s = *state;
  static const component cases[] = {
      {"{\"type\":\"Lowercase\"}", "{\"type\":\"Whitespace\"}", "Ab!? c_1", "ab|!?|c_1"},
      {"{\"type\":\"Strip\",\"strip_left\":true,\"strip_right\":true}", "null", "  a b ", "a b"},
      {"{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFD\"},{\"type\":\"StripAccents\"}]}", "null", "\xc3\xa9t\xc3\xa9", "ete"},
      {"{\"type\":\"NFKC\"}", "null", "\xef\xac\x81\xe2\x91\xa0", "fi1"},
      {"{\"type\":\"NFC\"}", "null", "e\xcc\x81", "\xc3\xa9"},
      {"{\"type\":\"Nmt\"}", "null", "a\tb\x01", "a b"},
      {"{\"type\":\"Replace\",\"pattern\":{\"Regex\":\" {2,}\"},\"content\":\"_\"}", "null", "a  b c", "a_b c"},
      {"{\"type\":\"Prepend\",\"prepend\":\">\"}", "null", "a", ">a"},
      {"{\"type\":\"ByteLevel\"}", "null", " \xc3\xa9", "\xc4\xa0\xc3\x83\xc2\xa9"},
      {"null", "{\"type\":\"WhitespaceSplit\"}", " a!  b", "a!|b"},
      {"null", "{\"type\":\"BertPreTokenizer\"}", "a,b c", "a|,|b|c"},
      {"null", "{\"type\":\"CharDelimiterSplit\",\"delimiter\":\"-\"}", "a--b-c", "a|b|c"},
      {"null", "{\"type\":\"Metaspace\",\"replacement\":\"_\",\"prepend_scheme\":\"always\"}", "a b", "_a|_b"},
      {"null", "{\"type\":\"Metaspace\",\"replacement\":\"_\",\"prepend_scheme\":\"never\",\"split\":false}", "a b", "a_b"},
      {"null", "{\"type\":\"Split\",\"pattern\":{\"String\":\"-\"},\"behavior\":\"MergedWithPrevious\",\"invert\":false}", "a-b--c", "a-|b-|-|c"},
      {"null", "{\"type\":\"Split\",\"pattern\":{\"String\":\"-\"},\"behavior\":\"MergedWithNext\",\"invert\":false}", "a-b--c", "a|-b|-|-c"},
      {"null", "{\"type\":\"Split\",\"pattern\":{\"String\":\"-\"},\"behavior\":\"Contiguous\",\"invert\":false}", "a-b--c", "a|-|b|--|c"},
      {"null", "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"[a-c]+\"},\"behavior\":\"Removed\",\"invert\":true}", "ab1c", "ab|c"},
      {"null", "{\"type\":\"Punctuation\"}", "a!?b", "a|!|?|b"},
      {"null", "{\"type\":\"Digits\",\"individual_digits\":true}", "a12b", "a|1|2|b"},
      {"null", "{\"type\":\"Digits\",\"individual_digits\":false}", "a12b", "a|12|b"},
      {"null", "{\"type\":\"FixedLength\",\"length\":2}", "\xe4\xb8\xad" "abc", "\xe4\xb8\xad" "a|bc"},
      {"null", "{\"type\":\"UnicodeScripts\"}", "\xe4\xb8\xad\xe3\x81\x8b" "ab\xce\xb1", "\xe4\xb8\xad\xe3\x81\x8b|ab|\xce\xb1"},
      {"null", "{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"WhitespaceSplit\"},{\"type\":\"Digits\",\"individual_digits\":true}]}", "a1 2", "a|1|2"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    /* every wanted piece is a word of the vocabulary, so that what comes shows how the text was cut */
    json_t *vocab = json_object();
    json_object_set_new(vocab, "<unk>", json_integer(0));
    char want[256];
    snprintf(want, sizeof want, "%s", cases[i].want);
    int id = 1;
    for (char *z = strtok(want, "|"); z; z = strtok(NULL, "|"))
      if (!json_object_get(vocab, z)) json_object_set_new(vocab, z, json_integer(id++));
    json_t *root = json_pack("{s:s,s:[],s:o,s:o,s:{s:s,s:s,s:o}}", "version", "1.0", "added_tokens", "normalizer",
                             json_loads(cases[i].normalizer, JSON_DECODE_ANY, NULL), "pre_tokenizer", json_loads(cases[i].pre, JSON_DECODE_ANY, NULL), "model",
                             "type", "WordLevel", "unk_token", "<unk>", "vocab", vocab);
    wok__str z;
    wok__str_init(&z, 1 << 16);
    assert_works(s->c, wok__json_text(s->c, root, &z, 0));
    wok_tokenizer *t = parse(s, z.p);
    const char *got = pieces(s, t, cases[i].text, NULL);
    if (strcmp(got, cases[i].want)) print_error("case %zu: %s\n", i, cases[i].text);
    assert_string_equal(got, cases[i].want);
    wok_tokenizer_free(t);
    json_decref(root);
    wok__str_free(&z);
  }
}

/* Batches are the same on any number of threads. */
static void batches(void **state) {
  scratch *s = *state;
  wok_tokenizer *t = bert(s, WORDS "a\nb\n##b\n##a\n", "bert-hf", 1);
  enum { N = 500 };
  static char text[N][32];
  const char *texts[N];
  int64_t lens[N];
  static wok_encoding *out[N];
  wok__rng r;
  wok__rng_init(&r, 1, 0);
  for (int i = 0; i < N; i++) {
    lens[i] = (int64_t)wok__rng_below(&r, 30);
    for (int64_t k = 0; k < lens[i]; k++) text[i][k] = "ab [MASK]"[wok__rng_below(&r, 9)];
    texts[i] = text[i];
  }
  assert_works(s->c, wok_tokenizer_encode_batch(t, texts, lens, NULL, NULL, N, NULL, out));
  for (int i = 0; i < N; i++) {
    wok_encoding *e;
    int64_t n, m;
    assert_works(s->c, wok_tokenizer_encode(t, texts[i], lens[i], NULL, &e));
    const int32_t *a = wok_encoding_ids(e, &n), *b = wok_encoding_ids(out[i], &m);
    assert_int_equal(n, m);
    assert_memory_equal(a, b, (size_t)n * 4);
    wok_encoding_free(e);
    wok_encoding_free(out[i]);
  }
  wok_tokenizer_free(t);
}

#define SCRATCH(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)
int main(void) {
  const struct CMUnitTest tests[] = {SCRATCH(bert_rules), SCRATCH(pairs_and_truncation), SCRATCH(saved),         SCRATCH(bpe_merges),
                                     SCRATCH(scanners),   SCRATCH(byte_round_trip),      SCRATCH(unigram_sampling), SCRATCH(sentencepiece),
                                     SCRATCH(components), SCRATCH(batches)};
  return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
