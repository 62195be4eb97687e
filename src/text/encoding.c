/* Encodings: ids with segments, offsets and special tokens; pairs, truncation, batches on all threads. */
#include <string.h>
#include "text/tokenizer.h"

struct wok_encoding {
  int64_t n, cut;
  int32_t *ids, *types;
  int8_t *sequence;
  int64_t (*offsets)[2];
};

void wok_encoding_free(wok_encoding *e) {
  if (!e) return;
  wok__free(e->ids);
  wok__free(e->types);
  wok__free(e->sequence);
  wok__free(e->offsets);
  wok__free(e);
}
const int32_t *wok_encoding_ids(const wok_encoding *e, int64_t *n) {
  if (n) *n = e->n;
  return e->ids;
}
const int32_t *wok_encoding_types(const wok_encoding *e) { return e->types; }
const int8_t *wok_encoding_sequences(const wok_encoding *e) { return e->sequence; }
const int64_t (*wok_encoding_offsets(const wok_encoding *e))[2] { return (const int64_t(*)[2])e->offsets; }
int64_t wok_encoding_cut(const wok_encoding *e) { return e->cut; }

/* ---- one text ---- */

typedef struct text { const char *p; int64_t n; } text;

/* Characters and bytes in the same form as a pipeline's. */
static bool plain_encode(const wok_tokenizer *t, wok__enc *e, text x) {
  const uint8_t *p = (const uint8_t *)x.p;
  int cut;
  int64_t valid = wok__tokenizer_has_chars(t) ? wok__utf8_valid(p, x.n, &cut) : x.n;
  if (valid < x.n)
    return wok__enc_fail(e, WOK_FORMAT, "the text is not UTF-8 at byte %lld (0x%02X): convert it to UTF-8 or use the tokenizer \"bytes\"",
                         (long long)valid, p[valid]);
  e->view = (wok__view){p, x.n, NULL, 0};
  if (!wok__tok_grow(e, x.n)) return false;
  for (int64_t i = 0; i < x.n;) {
    uint32_t cp;
    int32_t ids[4];
    int64_t k = wok__tokenizer_has_chars(t) ? wok__next(p + i, x.n - i, &cp) : 1;
    int64_t m = wok__tokenizer_encode(t, p + i, k, ids);
    for (int64_t b = 0; b < m; b++)
      if (!wok__tok_add(e, ids[b], m == 1 ? i : i + b, m == 1 ? i + k : i + b + 1)) return false;
    i += k;
  }
  return true;
}

/* Blanks at both ends of a byte-level token are no part of what it stands for (trim_offsets). */
static void trim(const wok_tokenizer *t, wok__enc *e, text x) {
  for (int64_t i = 0; i < e->n; i++) {
    wok__span *s = &e->spans[i];
    int64_t n, lead = 0, trail = 0;
    const char *z = wok_tokenizer_piece(t, e->ids[i], &n);
    if (wok_tokenizer_is_special(t, e->ids[i])) continue;
    while (lead < n && z[lead] == ' ') lead++;
    while (trail < n - lead && z[n - 1 - trail] == ' ') trail++;
    for (; lead > 0 && s->a < s->b && x.p[s->a] == ' '; lead--) s->a++;
    for (; trail > 0 && s->a < s->b && x.p[s->b - 1] == ' '; trail--) s->b--;
  }
}

static bool encode_text(const wok_tokenizer *t, wok__enc *e, text x, const wok_encode_opts *o) {
  e->n = 0;
  e->status = WOK_OK;
  bool ok = t->pipe ? wok__pipe_encode(t->pipe, e, (const uint8_t *)x.p, x.n, o->plain) : plain_encode(t, e, x);
  if (ok && e->mapped && t->pipe && t->pipe->trim) trim(t, e, x);
  return ok;
}

/* ---- truncation ---- */

/* How many tokens of each text stay, of na and nb, when room is left for `most`. */
static wok_status shares(const wok_tokenizer *t, const wok_encode_opts *o, bool pair, int64_t most, int64_t *na, int64_t *nb, wok__enc *e) {
  int64_t a = *na, b = *nb, over = a + b - most;
  if (o->max_length <= 0 || over <= 0) return WOK_OK;
  if (most < 0) {
    (void)wok__enc_fail(e, WOK_INVALID, "max_length %lld has no room for the tokens of the template", (long long)o->max_length);
    return WOK_INVALID;
  }
  if (!pair) return *na = most, WOK_OK;
  if (o->truncation == WOK_TRUNCATE_LONGEST_FIRST) {
    /* one by one from the longer; once both are equal they take turns, and the one that was longer keeps more */
    int64_t low = WOK__MIN(a, b), small = WOK__MIN(low, most / 2), large = most - small;
    bool in_turns = low > most / 2;
    bool first_is_longer = a > b && !(in_turns && t->pipe && t->pipe->first_on_tie);
    *na = first_is_longer ? large : small;
    *nb = first_is_longer ? small : large;
    return WOK_OK;
  }
  int64_t *from = o->truncation == WOK_TRUNCATE_ONLY_FIRST ? na : nb;
  if (*from >= over) return *from -= over, WOK_OK;
  (void)wok__enc_fail(e, WOK_INVALID, "max_length %lld cannot be reached by shortening only the %s text, which has %lld tokens",
                      (long long)o->max_length, from == na ? "first" : "second", (long long)*from);
  return WOK_INVALID;
}

/* ---- putting it together ---- */

typedef struct half { int32_t *ids; wok__span *spans; int64_t n, from; } half; /* tokens that stay: from .. from + n */

static bool room(wok_encoding *x, int64_t n, bool offsets) {
  x->ids = wok__malloc(n * 4);
  x->types = wok__malloc(n * 4);
  x->sequence = wok__malloc(n);
  if (offsets) x->offsets = wok__malloc(n * (int64_t)sizeof *x->offsets);
  return x->ids && x->types && x->sequence && (x->offsets || !offsets);
}

static void put(wok_encoding *x, int32_t id, int32_t type, int sequence, wok__span s) {
  int64_t i = x->n++;
  x->ids[i] = id;
  x->types[i] = type;
  x->sequence[i] = (int8_t)sequence;
  if (x->offsets) x->offsets[i][0] = s.a, x->offsets[i][1] = s.b;
}

static void put_half(wok_encoding *x, const half *h, int32_t type, int sequence) {
  for (int64_t i = h->from; i < h->from + h->n; i++) put(x, h->ids[i], type, sequence, h->spans ? h->spans[i] : (wok__span){0, 0});
}

static void put_template(wok_encoding *x, const wok__template *t, const half *h, bool special) {
  const wok__span none = {0, 0};
  for (int64_t i = 0; i < t->n; i++) {
    const wok__slot *s = &t->slot[i];
    if (s->part != WOK__PART_TOKEN) put_half(x, &h[s->part == WOK__PART_B], s->type, s->part == WOK__PART_B);
    else if (special) put(x, s->id, s->type, -1, none);
  }
}

static void reverse(wok_encoding *x) {
  for (int64_t i = 0, k = x->n - 1; i < k; i++, k--) {
    int32_t id = x->ids[i];
    x->ids[i] = x->ids[k], x->ids[k] = id;
    if (!x->offsets) continue;
    for (int j = 0; j < 2; j++) {
      int64_t at = x->offsets[i][j];
      x->offsets[i][j] = x->offsets[k][j], x->offsets[k][j] = at;
    }
  }
}

static void assemble(const wok_tokenizer *t, wok_encoding *x, const wok_encode_opts *o, const half *h, bool pair) {
  static const wok__slot plain[] = {{WOK__PART_A, -1, 0}, {WOK__PART_B, -1, 1}};
  wok__template fallback = {(wok__slot *)(uintptr_t)plain, pair ? 2 : 1};
  const wok__template *m = !t->pipe ? &fallback : pair ? &t->pipe->two : &t->pipe->one;
  const wok__span none = {0, 0};
  put_template(x, m, h, !o->no_special);
  if (o->reverse) reverse(x);
  if (t->pipe && o->eos && t->pipe->eos >= 0) put(x, t->pipe->eos, pair, -1, none);
  if (!t->pipe || !o->bos || t->pipe->bos < 0) return;
  put(x, 0, 0, -1, none);
  memmove(x->ids + 1, x->ids, (size_t)(x->n - 1) * sizeof *x->ids);
  memmove(x->types + 1, x->types, (size_t)(x->n - 1) * sizeof *x->types);
  memmove(x->sequence + 1, x->sequence, (size_t)(x->n - 1));
  if (x->offsets) memmove(x->offsets + 1, x->offsets, (size_t)(x->n - 1) * sizeof *x->offsets);
  x->ids[0] = t->pipe->bos, x->types[0] = 0, x->sequence[0] = -1;
  if (x->offsets) x->offsets[0][0] = x->offsets[0][1] = 0;
}

/* A template may name a text twice: then it stands there twice. */
static int64_t most_tokens(const wok_tokenizer *t, const half *h, bool pair) {
  int64_t n = 2; /* bos, eos */
  if (!t->pipe) return n + h[0].n + h[1].n;
  const wok__template *m = pair ? &t->pipe->two : &t->pipe->one;
  for (int64_t i = 0; i < m->n; i++) n += m->slot[i].part == WOK__PART_TOKEN ? 1 : h[m->slot[i].part == WOK__PART_B].n;
  return n;
}

/* Both encoders are scratch; a's failure may come from either. */
static wok_encoding *encode_pair(const wok_tokenizer *t, wok__enc *a, wok__enc *b, text x, text y, const wok_encode_opts *o) {
  bool pair = y.p != NULL;
  if (!encode_text(t, a, x, o)) return NULL;
  if (pair && !encode_text(t, b, y, o)) {
    a->status = b->status;
    memcpy(a->message, b->message, sizeof a->message);
    return NULL;
  }
  int64_t na = a->n, nb = pair ? b->n : 0, extra = 0;
  if (t->pipe && !o->no_special) extra = pair ? t->pipe->two_extra : t->pipe->one_extra;
  if (t->pipe) extra += (o->bos && t->pipe->bos >= 0) + (o->eos && t->pipe->eos >= 0);
  int64_t all = na + nb;
  if (shares(t, o, pair, o->max_length - extra, &na, &nb, a)) return NULL;
  half h[2] = {{a->ids, a->mapped ? a->spans : NULL, na, o->truncate_left ? a->n - na : 0}, {NULL, NULL, 0, 0}};
  if (pair) h[1] = (half){b->ids, b->mapped ? b->spans : NULL, nb, o->truncate_left ? b->n - nb : 0};
  wok_encoding *e = wok__calloc(1, (int64_t)sizeof *e);
  if (!e || !room(e, most_tokens(t, h, pair), a->mapped)) {
    wok_encoding_free(e);
    return (void)wok__enc_nomem(a), NULL;
  }
  e->cut = all - na - nb;
  assemble(t, e, o, h, pair);
  return e;
}

static const wok_encode_opts no_opts;

static wok_status check(const wok_tokenizer *t, const wok_encode_opts *o) {
  if (o->pair_len < 0 || o->max_length < 0 || o->nbest < 0 || o->nbest > 512 || !(o->alpha >= 0))
    return wok__fail(t->c, WOK_INVALID, "encode: lengths and alpha are not negative, nbest is at most 512");
  if ((unsigned)o->truncation > WOK_TRUNCATE_ONLY_SECOND) return wok__fail(t->c, WOK_INVALID, "encode: no such truncation");
  return WOK_OK;
}

static void prepare(wok__enc *e, const wok_encode_opts *o, int64_t number, int which) {
  e->mapped = o->offsets;
  e->sample = o->sample;
  e->alpha = o->alpha;
  e->nbest = o->nbest;
  wok__rng_init(&e->rng, o->seed + (uint64_t)number * UINT64_C(0x9E3779B97F4A7C15), (uint32_t)which);
}

wok_status wok_tokenizer_encode(const wok_tokenizer *t, const char *text_p, int64_t len, const wok_encode_opts *o, wok_encoding **out) {
  *out = NULL;
  if (!o) o = &no_opts;
  if (len < 0) return wok__fail(t->c, WOK_INVALID, "encode: a negative length");
  WOK__TRY(check(t, o));
  wok__enc a, b;
  wok__enc_init(&a, t, o->offsets);
  wok__enc_init(&b, t, o->offsets);
  prepare(&a, o, 0, 0);
  prepare(&b, o, 0, 1);
  *out = encode_pair(t, &a, &b, (text){text_p, len}, (text){o->pair, o->pair_len}, o);
  wok_status s = wok__enc_status(&a, t->c);
  wok__enc_free(&a);
  wok__enc_free(&b);
  return s;
}

/* ---- batches ---- */

enum { TILE_TEXTS = 64 };

typedef struct batch {
  const wok_tokenizer *t;
  const char *const *texts, *const *pairs;
  const int64_t *lens, *pair_lens;
  int64_t n;
  const wok_encode_opts *o;
  wok_encoding **out;
  wok__enc *enc; /* two per worker */
  struct { int64_t at; wok_status status; char message[256]; } *failed; /* first failure of each worker */
} batch;

static void batch_tile(void *arg, int64_t tile, int worker) {
  batch *b = arg;
  wok__enc *e = &b->enc[2 * worker];
  int64_t end = WOK__MIN(b->n, (tile + 1) * TILE_TEXTS);
  for (int64_t i = tile * TILE_TEXTS; i < end; i++) {
    prepare(&e[0], b->o, i, 0);
    prepare(&e[1], b->o, i, 1);
    text y = {b->pairs ? b->pairs[i] : NULL, b->pairs ? b->pair_lens[i] : 0};
    b->out[i] = encode_pair(b->t, &e[0], &e[1], (text){b->texts[i], b->lens[i]}, y, b->o);
    if (b->out[i] || (b->failed[worker].status && b->failed[worker].at < i)) continue;
    b->failed[worker].at = i;
    b->failed[worker].status = e[0].status;
    memcpy(b->failed[worker].message, e[0].message, sizeof e[0].message);
  }
}

static wok_status batch_status(const batch *b, int threads) {
  int first = -1;
  for (int w = 0; w < threads; w++)
    if (b->failed[w].status && (first < 0 || b->failed[w].at < b->failed[first].at)) first = w;
  if (first < 0) return WOK_OK;
  return wok__fail(b->t->c, b->failed[first].status, "text %lld: %s", (long long)b->failed[first].at, b->failed[first].message);
}

wok_status wok_tokenizer_encode_batch(const wok_tokenizer *t, const char *const *texts, const int64_t *lens, const char *const *pairs,
                                      const int64_t *pair_lens, int64_t n, const wok_encode_opts *o, wok_encoding **out) {
  if (!o) o = &no_opts;
  for (int64_t i = 0; i < n; i++) out[i] = NULL;
  WOK__TRY(check(t, o));
  for (int64_t i = 0; i < n; i++)
    if (lens[i] < 0 || (pairs && pair_lens[i] < 0)) return wok__fail(t->c, WOK_INVALID, "encode: a negative length");
  int threads = wok__ctx_threads(t->c);
  batch b = {.t = t, .texts = texts, .pairs = pairs, .lens = lens, .pair_lens = pair_lens, .n = n, .o = o, .out = out};
  b.enc = wok__calloc(2 * threads, (int64_t)sizeof *b.enc);
  b.failed = wok__calloc(threads, (int64_t)sizeof *b.failed);
  wok_status s = b.enc && b.failed ? WOK_OK : wok__nomem(t->c, threads * (int64_t)sizeof *b.enc);
  if (s == WOK_OK) {
    for (int w = 0; w < 2 * threads; w++) wok__enc_init(&b.enc[w], t, o->offsets);
    wok__pool_run(t->c, batch_tile, &b, (n + TILE_TEXTS - 1) / TILE_TEXTS);
    s = batch_status(&b, threads);
    for (int w = 0; w < 2 * threads; w++) wok__enc_free(&b.enc[w]);
  }
  for (int64_t i = 0; s && i < n; i++) {
    wok_encoding_free(out[i]);
    out[i] = NULL;
  }
  wok__free(b.enc);
  wok__free(b.failed);
  return s;
}

/* ---- offsets in characters ---- */

void wok_offsets_to_chars(const char *text_p, int64_t len, int64_t (*offsets)[2], int64_t n) {
  const uint8_t *p = (const uint8_t *)text_p;
  int64_t byte = 0, chars = 0; /* character number `chars` begins at `byte` */
  for (int64_t i = 0; i < n; i++) {
    int64_t from = WOK__MIN(WOK__MAX(offsets[i][0], 0), len), to = WOK__MIN(WOK__MAX(offsets[i][1], from), len);
    if (from < byte) byte = chars = 0; /* tokens are nearly always in order */
    for (int pass = 0; pass < 2; pass++) {
      int64_t want = pass ? to : from;
      int64_t b = byte, c = chars;
      uint32_t cp;
      while (b < want) {
        int k = wok__next(p + b, len - b, &cp);
        if (!pass && b + k > want) break; /* the character that holds this byte */
        b += k;
        c++;
      }
      offsets[i][pass] = c;
      if (!pass) byte = b, chars = c;
    }
  }
}
