/* train/settings.c - the table of the options of a run. */
#include <math.h>
#include <string.h>
#include "kernels/kernel.h"
#include "train/settings.h"

typedef enum kind { INT, SMALL, REAL, SCHEDULE, WORD, SEED } kind;
enum {
  FIXED = 1,  /* a resumed run must have the same */
  OFF = 2,    /* negative means 0 */
  LENGTH = 4, /* how long the run is: one of these given on resume replaces them all */
  END = 8     /* any negative number means only at the end: -1 */
};
/* A default; it may depend on what stands above it in the table. */
typedef double (*derive)(const wok_train_opts *o, const wok__setting_facts *f);
typedef struct setting {
  const char *name;
  kind kind;
  unsigned flags;
  size_t at;
  double least, most, standard; /* of the resolved value */
  derive derived;               /* instead of standard */
} setting;

static bool by_time(const wok_train_opts *o) { return o->minutes > 0; }
static double twentieth(const wok_train_opts *o) { return (double)WOK__MAX(1, o->steps / 20); }
#define DERIVE(name) static double name(const wok_train_opts *o, const wok__setting_facts *f)
DERIVE(standard_steps) { return (void)f, by_time(o) ? 0 : 1000; }
DERIVE(standard_seq) { return (void)o, (double)WOK__MIN(256, f->positions); }
DERIVE(standard_min_lr) { return (void)f, o->lr / 10; }
DERIVE(standard_warmup) { return (void)f, by_time(o) ? 0 : WOK__MIN(500, twentieth(o)); }
DERIVE(standard_eval) { return (void)f, by_time(o) ? 0 : twentieth(o); }
DERIVE(standard_save) { return (void)f, (double)o->eval_every; }
DERIVE(standard_lr) {
  (void)o;
  double lr = 3e-3 * sqrt(128.0 / (double)WOK__MAX(1, f->hidden));
  return f->hidden > 512 ? WOK__MIN(lr, 1e-3) : lr;
}

#define ROW(kind, flags, field, least, most, standard) {#field, kind, flags, offsetof(wok_train_opts, field), least, most, standard, NULL}
#define DERIVED(kind, flags, field, least, most, f) {#field, kind, flags, offsetof(wok_train_opts, field), least, most, 0, f}
#define WORDS(kind, flags, field) {#field, kind, flags, offsetof(wok_train_opts, field), 0, 0, 0, NULL}

static const setting table[] = {
    ROW(REAL, LENGTH, minutes, 0, 1e9, 0),
    DERIVED(INT, LENGTH, steps, 0, 1e15, standard_steps),
    ROW(INT, FIXED, batch, 1, 1 << 20, 8),
    DERIVED(INT, FIXED, seq, 1, 1 << 20, standard_seq),
    ROW(INT, FIXED, accumulate, 1, 1 << 20, 1),
    DERIVED(REAL, FIXED, lr, 1e-30, 1e3, standard_lr),
    DERIVED(REAL, FIXED | OFF, min_lr, 0, 1e3, standard_min_lr),
    DERIVED(INT, FIXED | OFF, warmup, 0, 1e15, standard_warmup),
    WORDS(SCHEDULE, FIXED, schedule),
    ROW(REAL, FIXED | OFF, beta1, 0, 0.999999999, 0.9),
    ROW(REAL, FIXED | OFF, beta2, 0, 0.999999999, 0.95),
    ROW(REAL, FIXED | OFF, eps, 0, 1, 1e-8),
    ROW(REAL, FIXED | OFF, weight_decay, 0, 1e3, 0.1),
    ROW(REAL, FIXED | OFF, clip, 0, 1e9, 1),
    DERIVED(INT, END, eval_every, -1, 1e15, standard_eval),
    DERIVED(INT, END, save_every, -1, 1e15, standard_save),
    ROW(SMALL, OFF, keep, 0, 1e6, 0),
    WORDS(SEED, FIXED, seed),
    WORDS(WORD, FIXED, compute),
};

static const char *const schedules[] = {"cosine", "linear", "constant"}; /* by wok_schedule */

const char *wok__schedule_word(wok_schedule s) { return (unsigned)s < WOK__COUNT(schedules) ? schedules[s] : "?"; }

static void *field(wok_train_opts *o, const setting *t) { return (char *)o + t->at; }
static const void *field_of(const wok_train_opts *o, const setting *t) { return (const char *)o + t->at; }

static double number(const wok_train_opts *o, const setting *t) {
  const void *p = field_of(o, t);
  if (t->kind == REAL) return *(const double *)p;
  return t->kind == SMALL ? (double)*(const int *)p : (double)*(const int64_t *)p;
}

static void set_number(wok_train_opts *o, const setting *t, double v) {
  void *p = field(o, t);
  if (t->kind == REAL) *(double *)p = v;
  else if (t->kind == SMALL) *(int *)p = (int)v;
  else *(int64_t *)p = (int64_t)v;
}

/* All zero means the default, so zero is what was not given. */
static bool was_given(const wok_train_opts *o, const setting *t) {
  const void *p = field_of(o, t);
  switch (t->kind) {
  case SCHEDULE: return *(const wok_schedule *)p != WOK_SCHEDULE_COSINE;
  case WORD: return *(const char *const *)p != NULL;
  case SEED: return *(const uint64_t *)p != 0;
  default: return number(o, t) != 0;
  }
}

static int word_index(const char *const *words, int64_t n, const char *word) {
  for (int64_t i = 0; i < n; i++)
    if (word && strcmp(words[i], word) == 0) return (int)i;
  return -1;
}

static void take_given(wok_train_opts *out, const wok_train_opts *given, const setting *t) {
  size_t size = t->kind == SMALL ? sizeof(int) : t->kind == SCHEDULE ? sizeof(wok_schedule) : t->kind == WORD ? sizeof(char *) : 8;
  memcpy(field(out, t), field_of(given, t), size);
  if ((t->flags & (OFF | END)) && number(out, t) < 0) set_number(out, t, t->flags & END ? -1 : 0);
}

/* Seeds have 64 bits, JSON's integers here have 63: they are written in hexadecimal. */
static bool parse_seed(const char *z, uint64_t *v) {
  if (!z || z[0] != '0' || z[1] != 'x' || !z[2] || strlen(z) > 18) return false;
  *v = 0;
  for (z += 2; *z; z++) {
    const char *digits = "0123456789abcdef", *d = strchr(digits, *z);
    if (!d) return false;
    *v = *v << 4 | (uint64_t)(d - digits);
  }
  return true;
}

/* false: nothing of that name and type is stored. */
static bool take_stored(wok_train_opts *out, const json_t *stored, const setting *t) {
  const json_t *j = json_object_get(stored, t->name);
  int i;
  switch (t->kind) {
  case REAL:
    if (!json_is_number(j)) return false;
    set_number(out, t, json_number_value(j));
    return true;
  case INT:
  case SMALL:
    if (!json_is_integer(j)) return false;
    set_number(out, t, (double)json_integer_value(j));
    return true;
  case SCHEDULE:
    i = word_index(schedules, WOK__COUNT(schedules), json_string_value(j));
    if (i < 0) return false;
    *(wok_schedule *)field(out, t) = (wok_schedule)i;
    return true;
  case WORD:
    if (!wok__compute_word(json_string_value(j))) return false;
    *(const char **)field(out, t) = wok__compute_word(json_string_value(j));
    return true;
  case SEED: return parse_seed(json_string_value(j), field(out, t));
  }
  return false;
}

static void take_default(wok_train_opts *o, const setting *t, const wok__setting_facts *f) {
  if (t->kind == SEED) *(uint64_t *)field(o, t) = f->seed;
  else if (t->kind == WORD) *(const char **)field(o, t) = wok__compute_name(0);
  else if (t->kind != SCHEDULE) set_number(o, t, t->derived ? t->derived(o, f) : t->standard);
}

static wok_status check_number(wok_ctx *c, const wok_train_opts *o, const setting *t) {
  double v = number(o, t);
  if (v >= t->least && v <= t->most) return WOK_OK; /* also refuses NaN */
  return wok__fail(c, WOK_INVALID, "%s must lie between %.15g and %.15g, not %.15g", t->name, t->least, t->most, v);
}

static wok_status check(wok_ctx *c, const wok_train_opts *o, const wok__setting_facts *f) {
  for (int64_t i = 0; i < WOK__COUNT(table); i++) {
    kind k = table[i].kind;
    if (k == INT || k == SMALL || k == REAL) WOK__TRY(check_number(c, o, &table[i]));
  }
  if ((unsigned)o->schedule >= WOK__COUNT(schedules)) return wok__fail(c, WOK_INVALID, "there is no schedule %d", (int)o->schedule);
  if (o->batch % o->accumulate != 0)
    return wok__fail(c, WOK_INVALID, "a batch of %lld cannot be cut into %lld micro-batches: batch must be a multiple of accumulate",
                     (long long)o->batch, (long long)o->accumulate);
  if (o->seq > f->positions)
    return wok__fail(c, WOK_INVALID, "seq %lld is more than the model's %lld positions", (long long)o->seq, (long long)f->positions);
  if (o->batch / o->accumulate > (INT64_C(1) << 27) / o->seq)
    return wok__fail(c, WOK_INVALID, "a micro-batch of %lld x %lld tokens is more than 2^27: use accumulate",
                     (long long)(o->batch / o->accumulate), (long long)o->seq);
  return WOK_OK;
}

wok_status wok__settings_resolve(wok_ctx *c, wok_train_opts *out, const wok_train_opts *given, const json_t *stored,
                                 const wok__setting_facts *f) {
  wok_train_opts in = given ? *given : (wok_train_opts){0};
  if (!in.seed) in.seed = f->seed;
  if (in.compute && !(in.compute = wok__compute_word(in.compute)))
    return wok__fail(c, WOK_INVALID, "there is no compute \"%.20s\": f32, bf16, bf16x3, bf16x6", given->compute);
  bool new_length = in.steps != 0 || in.minutes != 0;
  *out = in;
  for (int64_t i = 0; i < WOK__COUNT(table); i++) {
    const setting *t = &table[i];
    bool keeps = stored && !((t->flags & LENGTH) && new_length);
    if (was_given(&in, t)) take_given(out, &in, t);
    else if (!keeps || !take_stored(out, stored, t)) take_default(out, t, f);
  }
  /* By time is 0, which a run by steps cannot have. */
  if (out->eval_every == 0 && !by_time(out)) out->eval_every = (int64_t)twentieth(out);
  if (out->save_every == 0 && !by_time(out)) out->save_every = out->eval_every;
  return check(c, out, f);
}

static json_t *json_of(const wok_train_opts *o, const setting *t) {
  char seed[24];
  switch (t->kind) {
  case REAL: return json_real(number(o, t));
  case INT:
  case SMALL: return json_integer((json_int_t)number(o, t));
  case SCHEDULE: return json_string(schedules[o->schedule]);
  case WORD: return json_string(o->compute);
  case SEED: break;
  }
  (void)wok__snprintf(seed, (int64_t)sizeof seed, "0x%llx", (unsigned long long)o->seed);
  return json_string(seed);
}

json_t *wok__settings_json(const wok_train_opts *o) {
  json_t *j = json_object();
  for (int64_t i = 0; j && i < WOK__COUNT(table); i++)
    if (json_object_set_new(j, table[i].name, json_of(o, &table[i])) != 0) {
      json_decref(j);
      return NULL;
    }
  return j;
}

static void show(wok__str *s, const json_t *j) {
  if (json_is_string(j)) wok__str_puts(s, json_string_value(j));
  else if (json_is_integer(j)) wok__str_printf(s, "%lld", (long long)json_integer_value(j));
  else if (json_is_real(j)) wok__str_double(s, json_real_value(j));
  else wok__str_puts(s, "nothing");
}

static bool same(const json_t *a, const json_t *b) {
  if (json_is_number(a) && json_is_number(b)) return json_number_value(a) == json_number_value(b);
  return json_equal(a, b);
}

int wok__settings_differ(const wok_train_opts *now, const json_t *stored, wok__str *text) {
  int n = 0;
  for (int64_t i = 0; i < WOK__COUNT(table); i++) {
    if (!(table[i].flags & FIXED)) continue;
    const json_t *there = json_object_get(stored, table[i].name);
    json_t *here = json_of(now, &table[i]);
    if (!same(there, here)) {
      wok__str_printf(text, "%s%s ", n++ ? "; " : "", table[i].name);
      show(text, there);
      wok__str_puts(text, " there, ");
      show(text, here);
      wok__str_puts(text, " here");
    }
    json_decref(here);
  }
  return n;
}
