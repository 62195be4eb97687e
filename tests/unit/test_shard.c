/* Token shards: what is written is read; whatever is damaged is noticed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "scratch.h"
#include "shard_seal.h"

enum { DOCUMENTS = 12, VOCAB = 400 };

/* Document d has 3 d + 1 tokens and the end mark. */
static int32_t token(int d, int i) { return 1 + (d * 131 + i * 17) % (VOCAB - 1); }
static int length(int d) { return 3 * d + 1; }

static const char *make(scratch *s, int64_t vocab, int64_t block, wok_split_info *info) {
  const char *path = scratch_at(s, "s.wok");
  wok__shard_writer *w;
  int32_t ids[64], eod = 0;
  assert_works(s->c, wok__shard_create(s->c, &w, path, s->dir, vocab, 77, block));
  for (int d = 0; d < DOCUMENTS; d++) {
    for (int i = 0; i < length(d); i++) ids[i] = token(d, i);
    assert_works(s->c, wok__shard_add(w, ids, length(d) / 2));
    assert_works(s->c, wok__shard_add(w, ids + length(d) / 2, length(d) - length(d) / 2));
    assert_works(s->c, wok__shard_add(w, &eod, 1));
    assert_works(s->c, wok__shard_end_document(w));
  }
  assert_works(s->c, wok__shard_finish(w, 1000, 500, info));
  return path;
}

static void round_trip_of(scratch *s, int64_t vocab, int id_bytes) {
  wok_split_info made, info;
  wok__shard *x;
  const char *path = make(s, vocab, 128, &made);
  assert_works(s->c, wok__shard_open(s->c, &x, path));
  wok__shard_info(x, &info);
  assert_memory_equal(&made, &info, sizeof info);
  assert_int_equal(info.documents, DOCUMENTS);
  assert_int_equal(info.bytes, 1000);
  assert_int_equal(info.chars, 500);
  const wok__shard_header *h = wok__shard_head(x);
  assert_int_equal(h->id_bytes, id_bytes);
  assert_int_equal(h->vocab_size, vocab);
  assert_int_equal(h->tokenizer_hash, 77);
  assert_int_equal(h->ends_at % 64, 0);
  assert_int_equal(h->sums_at % 64, 0);
  int64_t at = 0;
  for (int d = 0; d < DOCUMENTS; d++) {
    int64_t begin, end;
    int32_t ids[64];
    assert_works(s->c, wok__shard_document(x, d, &begin, &end));
    assert_int_equal(begin, at);
    assert_int_equal(end, at + length(d) + 1);
    assert_works(s->c, wok__shard_read(x, begin, end - begin, ids));
    for (int i = 0; i < length(d); i++) assert_int_equal(ids[i], token(d, i));
    assert_int_equal(ids[length(d)], 0);
    at = end;
  }
  assert_int_equal(info.tokens, at);
  assert_works(s->c, wok__shard_verify(x));
  int64_t b, e;
  int32_t one;
  assert_fails(s->c, wok__shard_document(x, DOCUMENTS, &b, &e), WOK_INVALID, "no document 12 among 12");
  assert_fails(s->c, wok__shard_document(x, -1, &b, &e), WOK_INVALID, "no document -1");
  assert_fails(s->c, wok__shard_read(x, at, 1, &one), WOK_INVALID, "are asked for");
  assert_fails(s->c, wok__shard_read(x, INT64_MAX, INT64_MAX, &one), WOK_INVALID, "are asked for");
  assert_fails(s->c, wok__shard_read(x, -1, 1, &one), WOK_INVALID, "are asked for");
  assert_works(s->c, wok__shard_read(x, at, 0, &one));
  wok__shard_close(x);
}
static void round_trip(void **state) {
  round_trip_of(*state, VOCAB, 2);
  round_trip_of(*state, 65536, 2);
  round_trip_of(*state, 65537, 4);
}

static void empty_shard(void **state) {
  scratch *s = *state;
  wok__shard_writer *w;
  wok__shard *x;
  wok_split_info info;
  assert_works(s->c, wok__shard_create(s->c, &w, scratch_at(s, "e.wok"), s->dir, VOCAB, 1, 0));
  assert_works(s->c, wok__shard_finish(w, 0, 0, &info));
  assert_works(s->c, wok__shard_open(s->c, &x, scratch_at(s, "e.wok")));
  wok__shard_info(x, &info);
  assert_int_equal(info.documents + info.tokens, 0);
  assert_works(s->c, wok__shard_verify(x));
  wok__shard_close(x);
  wok__shard_close(NULL);
}

static void aborted(void **state) {
  scratch *s = *state;
  wok__shard_writer *w;
  char **names;
  int64_t n;
  assert_works(s->c, wok__shard_create(s->c, &w, scratch_at(s, "a.wok"), s->dir, VOCAB, 1, 0));
  wok__shard_abort(w);
  wok__shard_abort(NULL);
  wok__arena *a = wok__arena_new(0);
  assert_works(s->c, wok__list_dir(s->c, a, s->dir, &names, &n));
  assert_int_equal(n, 0);
  wok__arena_free(a);
  assert_fails(s->c, wok__shard_create(s->c, &w, scratch_at(s, "no/dir/a.wok"), s->dir, VOCAB, 1, 0),
               WOK_NOTFOUND, "no/dir/a.wok");
}

/* The bytes as docs/shard-format.md says, without the code that reads them. */
static void exact_bytes(void **state) {
  scratch *s = *state;
  wok__shard_writer *w;
  int64_t n;
  assert_works(s->c,
               wok__shard_create(s->c, &w, scratch_at(s, "b.wok"), s->dir, 300, 0x0102030405060708, 64));
  assert_works(s->c, wok__shard_add(w, (int32_t[]){258, 0, 5, 6, 0}, 5));
  assert_works(s->c, wok__shard_end_document(w));
  assert_works(s->c, wok__shard_finish(w, 7, 6, NULL));
  unsigned char *p = scratch_get(scratch_at(s, "b.wok"), &n);
  static const unsigned char head[112] = {'W', 'O', 'K', 'S', 'H', 'A', 'R', 'D', 1,   0, 0, 0, 2, 0, 0, 0,
                                          5,   0,   0,   0,   0,   0,   0,   0,   1,   0, 0, 0, 0, 0, 0, 0, //
                                          7,   0,   0,   0,   0,   0,   0,   0,   6,   0, 0, 0, 0, 0, 0, 0,
                                          44,  1,   0,   0,   0,   0,   0,   0,   8,   7, 6, 5, 4, 3, 2, 1, //
                                          64,  0,   0,   0,   0,   0,   0,   0,   0,   1, 0, 0, 0, 0, 0, 0,
                                          64,  1,   0,   0,   0,   0,   0,   0,   128, 1, 0, 0, 0, 0, 0, 0, //
                                          144, 1};
  assert_int_equal(n, 400);
  assert_memory_equal(p, head, 104);
  static const unsigned char tokens[12] = {2, 1, 0, 0, 5, 0, 6, 0, 0, 0, 0, 0};
  assert_memory_equal(p + 256, tokens, 12);
  assert_int_equal(p[320], 5);
  uint64_t sum[2] = {wok__hash64(p + 256, 64, 0), wok__hash64(p + 320, 64, 0)};
  for (int i = 0; i < 16; i++) assert_int_equal(p[384 + i], sum[i / 8] >> 8 * (i % 8) & 255);
  free(p);
}

/* Shards written from the description alone (tests/fuzz/make_seeds.py). */
static void as_described(void **state) {
  scratch *s = *state;
  static const struct {
    const char *name;
    int64_t documents, tokens, last;
    int32_t first;
  } shards[] = {
      {"none", 0, 0, 0, 0}, {"one", 1, 3, 3, 5}, {"many", 20, 210, 20, 0}, {"wide", 2, 6, 4, 70000}};
  for (size_t i = 0; i < sizeof shards / sizeof *shards; i++) {
    char path[512];
    wok__shard *x;
    wok_split_info info;
    int64_t begin, end;
    int32_t id;
    snprintf(path, sizeof path, "%s/tests/fuzz/corpus/shard/%s", WOK_SOURCE_DIR, shards[i].name);
    assert_works(s->c, wok__shard_open(s->c, &x, path));
    assert_works(s->c, wok__shard_verify(x));
    wok__shard_info(x, &info);
    assert_int_equal(info.documents, shards[i].documents);
    assert_int_equal(info.tokens, shards[i].tokens);
    if (info.documents) {
      assert_works(s->c, wok__shard_document(x, info.documents - 1, &begin, &end));
      assert_int_equal(end - begin, shards[i].last);
      assert_works(s->c, wok__shard_read(x, 0, 1, &id));
      assert_int_equal(id, shards[i].first);
    }
    wok__shard_close(x);
  }
}

/* ---- damage ---- */

/* A copy on the heap, opened and read throughout. */
static wok_status check(scratch *s, const uint8_t *bytes, int64_t n) {
  uint8_t *p = malloc((size_t)n + !n);
  memcpy(p, bytes, (size_t)n);
  wok__shard *x;
  wok_status st = wok__shard_parse(s->c, &x, p, n, "s.wok");
  if (st == WOK_OK)
    st = wok__shard_verify(x);
  else
    assert_null(x);
  wok__shard_close(x);
  free(p);
  return st;
}

static uint8_t *sample(scratch *s, int64_t *n) { return scratch_get(make(s, VOCAB, 128, NULL), n); }

static void cut_anywhere(void **state) {
  scratch *s = *state;
  int64_t n;
  uint8_t *p = sample(s, &n);
  assert_works(s->c, check(s, p, n));
  for (int64_t k = 0; k < n; k++) {
    wok_status st = check(s, p, k);
    assert_true(st == WOK_FORMAT || st == WOK_CORRUPT);
  }
  uint8_t *longer = calloc(1, (size_t)n + 1);
  memcpy(longer, p, (size_t)n);
  assert_fails(s->c, check(s, longer, n + 1), WOK_CORRUPT, "something was added to it");
  assert_fails(s->c, check(s, p, n - 1), WOK_CORRUPT, "it is cut off");
  free(longer);
  free(p);
}

/* No byte can change unnoticed. */
static void any_byte_changed(void **state) {
  scratch *s = *state;
  int64_t n;
  uint8_t *p = sample(s, &n);
  for (int64_t k = 0; k < n; k++)
    for (int bit = 0; bit < 8; bit++) {
      p[k] ^= (uint8_t)(1 << bit);
      assert_true(check(s, p, n) != WOK_OK);
      p[k] ^= (uint8_t)(1 << bit);
    }
  free(p);
}

/* Damage is noticed when its block is used, not before, and again each time. */
static void lazily(void **state) {
  scratch *s = *state;
  int64_t n;
  int32_t ids[200];
  uint8_t *p = sample(s, &n);
  wok__shard *x;
  p[256 + 2 * 10] ^= 1; /* token 10: block 0; tokens 64 and on are in others */
  assert_works(s->c, wok__shard_parse(s->c, &x, p, n, "s.wok"));
  assert_works(s->c, wok__shard_read(x, 64, 60, ids));
  assert_fails(s->c, wok__shard_read(x, 0, 1, ids), WOK_CORRUPT,
               "s.wok: block 0 of 5 is damaged (bytes 256 to 383)");
  assert_fails(s->c, wok__shard_read(x, 5, 80, ids), WOK_CORRUPT, "block 0 of 5");
  assert_works(s->c, wok__shard_read(x, 64, 60, ids));
  assert_fails(s->c, wok__shard_verify(x), WOK_CORRUPT, "block 0 of 5");
  wok__shard_close(x);
  free(p);
}

typedef struct bad_field {
  int offset, bytes;
  uint64_t value;
  wok_status status;
  const char *message;
} bad_field;

/* Headers that lie, with checksums that fit. */
static void lying_headers(void **state) {
  scratch *s = *state;
  static const bad_field bad[] = {
      {0, 1, 'w', WOK_FORMAT, "s.wok: is not a token shard"},
      {SHARD_version, 4, 2, WOK_UNSUPPORTED, "version 2 of the shard format is not known to this version"},
      {SHARD_id_bytes, 4, 3, WOK_CORRUPT, "neither 2 nor 4 bytes"},
      {SHARD_id_bytes, 4, 4, WOK_CORRUPT, "sections are not where"},
      {SHARD_tokens, 8, 1, WOK_CORRUPT, "impossible counts"},
      {SHARD_tokens, 8, UINT64_MAX, WOK_CORRUPT, "impossible counts"},
      {SHARD_tokens, 8, (UINT64_C(1) << 56) - 1, WOK_CORRUPT, "sections are not where"},
      {SHARD_tokens, 8, 0, WOK_CORRUPT, "counts contradict"},
      {SHARD_documents, 8, 0, WOK_CORRUPT, "counts contradict"},
      {SHARD_documents, 8, 300, WOK_CORRUPT, "impossible counts"},
      {SHARD_documents, 8, 30, WOK_CORRUPT, "sections are not where"},
      {SHARD_documents, 8, UINT64_MAX / 8 + 2, WOK_CORRUPT, "impossible counts"},
      {SHARD_text_bytes, 8, UINT64_C(1) << 63, WOK_CORRUPT, "counts contradict"},
      {SHARD_text_chars, 8, 1001, WOK_CORRUPT, "counts contradict"},
      {SHARD_vocab_size, 8, 0, WOK_CORRUPT, "impossible size of the vocabulary"},
      {SHARD_vocab_size, 8, 65537, WOK_CORRUPT, "impossible size of the vocabulary"},
      {SHARD_vocab_size, 8, UINT64_MAX, WOK_CORRUPT, "impossible size of the vocabulary"},
      {SHARD_vocab_size, 8, 20, WOK_CORRUPT, "but the vocabulary has 20"},
      {SHARD_block_bytes, 8, 0, WOK_CORRUPT, "impossible size of its blocks"},
      {SHARD_block_bytes, 8, 96, WOK_CORRUPT, "impossible size of its blocks"},
      {SHARD_block_bytes, 8, UINT64_C(1) << 31, WOK_CORRUPT, "impossible size of its blocks"},
      {SHARD_block_bytes, 8, 64, WOK_CORRUPT, "sections are not where"},
      {SHARD_tokens_at, 8, 320, WOK_CORRUPT, "sections are not where"},
      {SHARD_ends_at, 8, 0, WOK_CORRUPT, "sections are not where"},
      {SHARD_sums_at, 8, UINT64_MAX - 7, WOK_CORRUPT, "sections are not where"},
      {SHARD_file_bytes, 8, 0, WOK_CORRUPT, "sections are not where"},
      {SHARD_sums_hash, 8, 1, WOK_CORRUPT, "the checksum of its checksums"},
      {WOK__SHARD_RESERVED, 1, 1, WOK_CORRUPT, "reserved bytes"},
      {WOK__SHARD_HASHED - 1, 1, 1, WOK_CORRUPT, "reserved bytes"},
  };
  int64_t n;
  uint8_t *good = sample(s, &n), *p = malloc((size_t)n);
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    memcpy(p, good, (size_t)n);
    wok__le_store(p + bad[i].offset, bad[i].value, bad[i].bytes);
    shard_seal_header(p);
    wok_status st = check(s, p, n);
    if (st != bad[i].status) print_error("case %zu\n", i);
    assert_fails(s->c, st, bad[i].status, bad[i].message);
  }
  memcpy(p, good, (size_t)n);
  p[SHARD_tokens] ^= 1;
  assert_fails(s->c, check(s, p, n), WOK_CORRUPT, "the checksum of its header is wrong");
  free(p);
  free(good);
}

/* Document ends and ids that cannot be, with checksums that fit. */
static void lying_contents(void **state) {
  scratch *s = *state;
  int64_t n;
  uint8_t *good = sample(s, &n), *p = malloc((size_t)n);
  int64_t ends = (int64_t)wok__le_load(good + SHARD_ends_at, 8);
  uint64_t tokens = wok__le_load(good + SHARD_tokens, 8);
  const struct {
    int64_t at;
    uint64_t value;
    int bytes;
    const char *message;
  } bad[] = {
      {ends, 0, 8, "document 0 ends at token 0"},
      {ends + 8, 2, 8, "document 1 ends at token 2, the one before it at 2"},
      {ends + 8, UINT64_MAX, 8, "document 1 ends at token 18446744073709551615"},
      {ends + 16, tokens + 1, 8, "document 2 ends at token"},
      {ends + 8 * (DOCUMENTS - 1), tokens - 1, 8, "tokens after the last document"},
      {256, 0xffff, 2, "token id 65535 in tokens 0 to"},
      {256 + 200, VOCAB, 2, "token id 400 in tokens"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    memcpy(p, good, (size_t)n);
    wok__le_store(p + bad[i].at, bad[i].value, bad[i].bytes);
    shard_seal(p);
    assert_fails(s->c, check(s, p, n), WOK_CORRUPT, bad[i].message);
  }
  free(p);
  free(good);
}

static void missing(void **state) {
  scratch *s = *state;
  wok__shard *x;
  assert_fails(s->c, wok__shard_open(s->c, &x, scratch_at(s, "absent.wok")), WOK_NOTFOUND, "absent.wok");
  assert_fails(s->c, wok__shard_open(s->c, &x, scratch_puts(s, "t.wok", "text")), WOK_FORMAT,
               "is not a token shard");
  assert_fails(s->c, wok__shard_open(s->c, &x, scratch_puts(s, "h.wok", "WOKSHARD...")), WOK_CORRUPT,
               "ends within its header");
  assert_null(x);
}

/* More blocks and more tokens than fit in any buffer of the writer. */
static void large(void **state) {
  scratch *s = *state;
  enum { N = 3000000, D = 100000 };
  wok__shard_writer *w;
  wok__shard *x;
  int32_t *ids = malloc(N * sizeof *ids), *back = malloc(N * sizeof *ids);
  wok__rng r;
  wok__rng_init(&r, 1, 0);
  for (int i = 0; i < N; i++) ids[i] = (int32_t)wok__rng_below(&r, 70000);
  assert_works(s->c, wok__shard_create(s->c, &w, scratch_at(s, "l.wok"), s->dir, 70000, 1, 0));
  for (int d = 0; d < D; d++) {
    assert_works(s->c, wok__shard_add(w, ids + d * (N / D), N / D));
    assert_works(s->c, wok__shard_end_document(w));
  }
  assert_works(s->c, wok__shard_finish(w, N, N, NULL));
  assert_works(s->c, wok__shard_open(s->c, &x, scratch_at(s, "l.wok")));
  assert_works(s->c, wok__shard_read(x, 0, N, back));
  assert_memory_equal(ids, back, N * sizeof *ids);
  int64_t begin, end;
  assert_works(s->c, wok__shard_document(x, D - 1, &begin, &end));
  assert_int_equal(begin, N - N / D);
  wok__shard_close(x);
  free(back);
  free(ids);
}

#define SCRATCH(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)
int main(void) {
  const struct CMUnitTest tests[] = {
      SCRATCH(round_trip),    SCRATCH(empty_shard),    SCRATCH(aborted),          SCRATCH(exact_bytes),
      SCRATCH(as_described),  SCRATCH(cut_anywhere),   SCRATCH(any_byte_changed), SCRATCH(lazily),
      SCRATCH(lying_headers), SCRATCH(lying_contents), SCRATCH(missing),          SCRATCH(large),
  };
  return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
