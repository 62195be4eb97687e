/* train/checkpoint.c - writing and reading checkpoints. */
#include <stdlib.h>
#include <string.h>
#include "models/models.h"
#include "tensor/safetensors.h"
#include "train/checkpoint.h"
#include "train/rundir.h"

enum { STATE_VERSION = 1, STATE_BYTES = 1 << 20, CONFIG_BYTES = 16 << 20 };
static const double longest = 1e15;

/* The files whose hashes are in state.json. */
static const char *const hashed[] = {"config.json", "tokenizer.json", "model.safetensors", "optimizer.safetensors"};

void wok__run_state_free(wok__run_state *s) {
  json_decref(s->settings);
  s->settings = NULL;
}

/* ---- state.json ---- */
static json_t *hex(uint64_t v) {
  char z[24];
  (void)wok__snprintf(z, (int64_t)sizeof z, "%016llx", (unsigned long long)v);
  return json_string(z);
}

static wok_status hash_file(wok_ctx *c, const char *path, int64_t *bytes, json_t **hash) {
  wok__map_file f;
  if (!path) return wok__nomem(c, 64);
  WOK__TRY(wok__mmap_open(c, &f, path));
  *bytes = f.size;
  *hash = hex(wok__hash64(f.p, f.size, 0));
  wok__mmap_close(&f);
  return *hash ? WOK_OK : wok__nomem(c, 64);
}

static wok_status files_json(wok_ctx *c, wok__arena *a, const char *dir, json_t **out) {
  json_t *files = json_object();
  wok_status s = files ? WOK_OK : wok__nomem(c, 64);
  for (int64_t i = 0; s == WOK_OK && i < WOK__COUNT(hashed); i++) {
    json_t *hash = NULL;
    int64_t bytes;
    s = hash_file(c, wok__path_join(a, dir, hashed[i]), &bytes, &hash);
    if (s == WOK_OK && json_object_set_new(files, hashed[i], json_pack("{s:I, s:o}", "bytes", (json_int_t)bytes, "hash", hash)) != 0)
      s = wok__nomem(c, 64);
  }
  if (s) json_decref(files);
  else *out = files;
  return s;
}

static json_t *last_json(const wok_step_info *i) {
  return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "loss", wok__json_number(i->loss), "bits", wok__json_number(i->bits), "lr",
                   wok__json_number(i->lr), "grad_norm", wok__json_number(i->grad_norm), "valid_loss", wok__json_number(i->valid_loss),
                   "valid_bits", wok__json_number(i->valid_bits));
}

static wok_status write_state(wok_ctx *c, wok__arena *a, const char *dir, const wok__run_state *s) {
  json_t *files = NULL;
  WOK__TRY(files_json(c, a, dir, &files));
  json_t *j = json_pack(
      "{s:i, s:s, s:I, s:I, s:f, s:I, s:I, s:o, s:o, s:o, s:o, s:s, s:{s:I, s:s, s:I}, s:O, s:o}", "version", STATE_VERSION, "wok",
      s->version, "step", (json_int_t)s->step, "tokens", (json_int_t)s->tokens, "seconds", s->seconds, "evaluated_step",
      (json_int_t)s->evaluated_step, "best_step", (json_int_t)s->best_step, "best_bits", wok__json_number(s->best_bits), "best_loss",
      wok__json_number(s->best_loss), "last", last_json(&s->last), "data", hex(s->data_hash), "kernels", s->kernels, "log",
      "log_bytes", (json_int_t)s->log.log_bytes, "events", s->log.events, "events_bytes", (json_int_t)s->log.events_bytes, "settings",
      s->settings, "files", files);
  char *path = wok__path_join(a, dir, "state.json");
  wok_status st = j && path ? wok__json_write(c, j, path) : wok__nomem(c, 1024);
  json_decref(j);
  return st;
}

static wok_status copy_word(wok_ctx *c, const json_t *j, const char *where, const char *key, char *to, size_t cap) {
  const char *z;
  WOK__TRY(wok__json_str(c, j, where, key, &z));
  if (strlen(z) >= cap) return wok__fail(c, WOK_FORMAT, "%s: %s is longer than %d bytes", where, key, (int)cap - 1);
  memcpy(to, z, strlen(z) + 1);
  return WOK_OK;
}

static wok_status read_log_place(wok_ctx *c, const json_t *j, const char *where, wok__log_place *p) {
  const json_t *log = json_object_get(j, "log");
  WOK__TRY(wok__json_int(c, log, where, "log_bytes", 0, INT64_MAX, &p->log_bytes));
  WOK__TRY(wok__json_int(c, log, where, "events_bytes", 0, INT64_MAX, &p->events_bytes));
  WOK__TRY(copy_word(c, log, where, "events", p->events, sizeof p->events));
  /* It becomes a file name in the run directory. */
  if (strncmp(p->events, WOK__EVENTS_PREFIX, strlen(WOK__EVENTS_PREFIX)) != 0 || strchr(p->events, '/'))
    return wok__fail(c, WOK_FORMAT, "%s: %s is no name of an event file", where, p->events);
  return WOK_OK;
}

static void read_last(const json_t *j, wok_step_info *i) {
  struct { const char *key; double *to; } row[] = {{"loss", &i->loss},           {"bits", &i->bits},
                                                   {"lr", &i->lr},               {"grad_norm", &i->grad_norm},
                                                   {"valid_loss", &i->valid_loss}, {"valid_bits", &i->valid_bits}};
  for (int64_t k = 0; k < WOK__COUNT(row); k++) *row[k].to = json_number_value(json_object_get(j, row[k].key));
}

static wok_status read_state(wok_ctx *c, const json_t *j, const char *where, wok__run_state *s) {
  int64_t version = 0;
  const char *data;
  char *end;
  WOK__TRY(wok__json_int(c, j, where, "version", 1, INT64_MAX, &version));
  if (version != STATE_VERSION)
    return wok__fail(c, WOK_UNSUPPORTED, "%s: version %lld; this wok reads version %d", where, (long long)version, (int)STATE_VERSION);
  WOK__TRY(copy_word(c, j, where, "wok", s->version, sizeof s->version));
  WOK__TRY(copy_word(c, j, where, "kernels", s->kernels, sizeof s->kernels));
  WOK__TRY(wok__json_int(c, j, where, "step", 0, (int64_t)longest, &s->step));
  WOK__TRY(wok__json_int(c, j, where, "tokens", 0, INT64_MAX, &s->tokens));
  WOK__TRY(wok__json_int(c, j, where, "evaluated_step", 0, s->step, &s->evaluated_step));
  WOK__TRY(wok__json_int(c, j, where, "best_step", 0, s->step, &s->best_step));
  WOK__TRY(wok__json_double_opt(c, j, where, "seconds", 0, longest, &s->seconds));
  WOK__TRY(wok__json_double_opt(c, j, where, "best_bits", 0, longest, &s->best_bits));
  WOK__TRY(wok__json_double_opt(c, j, where, "best_loss", 0, longest, &s->best_loss));
  WOK__TRY(wok__json_str(c, j, where, "data", &data));
  s->data_hash = strtoull(data, &end, 16);
  if (*end || end == data) return wok__fail(c, WOK_FORMAT, "%s: data must be a hash", where);
  WOK__TRY(read_log_place(c, j, where, &s->log));
  if (!json_is_object(json_object_get(j, "settings"))) return wok__fail(c, WOK_FORMAT, "%s: settings are missing", where);
  s->settings = json_incref(json_object_get(j, "settings"));
  read_last(json_object_get(j, "last"), &s->last);
  s->last.step = s->step;
  s->last.tokens = s->tokens;
  s->last.best_valid_bits = s->best_bits;
  return WOK_OK;
}

/* ---- writing ---- */
static wok_status write_optim(wok_ctx *c, wok__arena *a, const char *path, const wok_model *m, const wok__optim *o) {
  const wok__rule *rule = wok__optim_rule(o);
  const wok_param *list;
  int64_t n = wok_model_params(m, &list), k = 0;
  wok__st_out *t = wok__new(a, wok__st_out, n * rule->nstate + 1);
  if (!t) return wok__nomem(c, n * (int64_t)sizeof *t);
  for (int s = 0; s < rule->nstate; s++)
    for (int64_t i = 0; i < n; i++) {
      const char *name = wok__arena_printf(a, "%s/%s", rule->state[s], list[i].name);
      if (!name) return wok__nomem(c, 64);
      t[k++] = (wok__st_out){name, WOK_F32, list[i].shape, wok__optim_state(o, s) + list[i].offset};
    }
  const char *meta[] = {"rule", rule->name};
  return wok__st_write(c, path, t, k, meta, WOK__COUNT(meta));
}

/* DIR/checkpoint of step N also as DIR/checkpoint-N. */
static wok_status retain(wok_ctx *c, wok__arena *a, const char *dir, const char *checkpoint, int64_t new_step) {
  json_t *j;
  char *state = wok__path_join(a, checkpoint, "state.json");
  if (!state) return wok__nomem(c, 64);
  if (!wok__is_dir(checkpoint)) return WOK_OK;
  if (wok__json_read(c, &j, state, STATE_BYTES) != WOK_OK) {
    wok__fail_clear(c);
    return WOK_OK; /* what is damaged is not worth keeping */
  }
  int64_t step = json_integer_value(json_object_get(j, "step"));
  char *to = wok__arena_printf(a, "%s/%s%lld", dir, WOK__OLD_PREFIX, (long long)step);
  json_decref(j);
  if (!to) return wok__nomem(c, 64);
  if (step == new_step) return WOK_OK; /* the same step once more, now evaluated */
  return wok__exists(to) ? WOK_OK : wok__copy_dir(c, checkpoint, to);
}

static wok_status prune(wok_ctx *c, wok__arena *a, const char *dir, int keep) {
  int64_t *step, n;
  WOK__TRY(wok__old_checkpoints(c, a, dir, &step, &n)); /* oldest first */
  for (int64_t i = 0; i + keep < n; i++) {
    char *old = wok__arena_printf(a, "%s/%s%lld", dir, WOK__OLD_PREFIX, (long long)step[i]);
    if (!old) return wok__nomem(c, 64);
    WOK__TRY(wok__remove_tree(c, old));
  }
  return WOK_OK;
}

static wok_status write_in(wok_ctx *c, wok__arena *a, const char *dir, const wok_model *m, const wok_tokenizer *t, const wok__optim *o,
                           const wok__run_state *s, int keep) {
  char *now = wok__path_join(a, dir, WOK__CHECKPOINT), *made = wok__path_join(a, dir, WOK__CHECKPOINT_NEW);
  char *tokenizer = made ? wok__path_join(a, made, "tokenizer.json") : NULL;
  char *optim = made ? wok__path_join(a, made, "optimizer.safetensors") : NULL;
  if (!now || !tokenizer || !optim) return wok__nomem(c, 64);
  WOK__TRY(wok__remove_tree(c, made));
  WOK__TRY(wok_model_save(m, made));
  WOK__TRY(wok_tokenizer_save(t, tokenizer));
  WOK__TRY(write_optim(c, a, optim, m, o));
  WOK__TRY(write_state(c, a, made, s));
  if (keep > 0) WOK__TRY(retain(c, a, dir, now, s->step));
  WOK__TRY(wok__rename_dir(c, made, now));
  return prune(c, a, dir, keep);
}

wok_status wok__checkpoint_write(wok_ctx *c, const char *dir, const wok_model *m, const wok_tokenizer *t, const wok__optim *o,
                                 const wok__run_state *s, int keep) {
  wok__arena *a = wok__arena_new(0);
  wok_status st = a ? write_in(c, a, dir, m, t, o, s, keep) : wok__nomem(c, 1 << 16);
  wok__arena_free(a);
  return st;
}

/* ---- reading ---- */
static wok_status check_files(wok_ctx *c, wok__arena *a, const char *checkpoint, const json_t *files) {
  for (int64_t i = 0; i < WOK__COUNT(hashed); i++) {
    const json_t *want = json_object_get(files, hashed[i]);
    const char *path = wok__path_join(a, checkpoint, hashed[i]), *hash = json_string_value(json_object_get(want, "hash"));
    json_t *got = NULL;
    int64_t bytes;
    if (!path) return wok__nomem(c, 64);
    if (!hash) return wok__fail(c, WOK_FORMAT, "%s/state.json: the hash of %s is missing", checkpoint, hashed[i]);
    WOK__TRY(hash_file(c, path, &bytes, &got));
    bool same = strcmp(json_string_value(got), hash) == 0;
    json_decref(got);
    int64_t there = json_integer_value(json_object_get(want, "bytes"));
    if (bytes != there) return wok__fail(c, WOK_CORRUPT, "%s: %lld bytes, %lld were written", path, (long long)bytes, (long long)there);
    if (!same) return wok__fail(c, WOK_CORRUPT, "%s: damaged (its checksum is another than when it was written)", path);
  }
  return WOK_OK;
}

static wok_status open_checkpoint(wok_ctx *c, wok__arena *a, const char *checkpoint, wok__run_state *s) {
  char *state = wok__path_join(a, checkpoint, "state.json");
  json_t *j;
  if (!state) return wok__nomem(c, 64);
  WOK__TRY(wok__json_read(c, &j, state, STATE_BYTES));
  wok_status st = read_state(c, j, state, s);
  if (st == WOK_OK) st = check_files(c, a, checkpoint, json_object_get(j, "files"));
  json_decref(j);
  if (st) wok__run_state_free(s);
  return st;
}

/* Says which older checkpoint is whole, after what is wrong with the newest. */
static wok_status name_another(wok_ctx *c, wok__arena *a, const char *dir, wok_status st) {
  char *line = wok__arena_strdup(a, wok_errmsg(c));
  int64_t *step, n;
  if (!line) return st;
  if (wok__old_checkpoints(c, a, dir, &step, &n) != WOK_OK) n = 0;
  for (int64_t i = n - 1; i >= 0; i--) {
    wok__run_state old = {0};
    char *path = wok__arena_printf(a, "%s/%s%lld", dir, WOK__OLD_PREFIX, (long long)step[i]);
    if (!path || open_checkpoint(c, a, path, &old) != WOK_OK) continue;
    wok__run_state_free(&old);
    return wok__fail(c, st, "%s; %s is whole: put it in the place of %s/%s to go on from there", line, path, dir, WOK__CHECKPOINT);
  }
  return wok__fail(c, st, "%s; there is no older checkpoint that is whole: begin anew in another directory", line);
}

static wok_status find_in(wok_ctx *c, wok__arena *a, const char *dir, wok__run_state *s) {
  char *checkpoint = wok__path_join(a, dir, WOK__CHECKPOINT);
  if (!checkpoint) return wok__nomem(c, 64);
  WOK__TRY(wok__run_settle(c, a, dir));
  if (!wok__is_dir(checkpoint)) return wok__fail(c, WOK_NOTFOUND, "%s: there is no checkpoint", dir);
  wok_status st = open_checkpoint(c, a, checkpoint, s);
  if (st == WOK_OK || st == WOK_NOMEM || st == WOK_UNSUPPORTED) return st;
  return name_another(c, a, dir, st == WOK_NOTFOUND ? WOK_CORRUPT : st);
}

wok_status wok__checkpoint_find(wok_ctx *c, const char *dir, wok__run_state *s) {
  *s = (wok__run_state){0};
  wok__arena *a = wok__arena_new(0);
  wok_status st = a ? find_in(c, a, dir, s) : wok__nomem(c, 1 << 16);
  wok__arena_free(a);
  return st;
}

wok_status wok__checkpoint_config(wok_ctx *c, const char *dir, wok_model_config *cfg) {
  wok__arena *a = wok__arena_new(1024);
  char *path = a ? wok__arena_printf(a, "%s/%s/config.json", dir, WOK__CHECKPOINT) : NULL;
  wok_status st = path ? wok_model_config_read(c, cfg, path) : wok__nomem(c, 1024);
  wok__arena_free(a);
  return st;
}

wok_status wok__checkpoint_model(wok_ctx *c, const char *dir, wok_model **m) {
  *m = NULL;
  wok__arena *a = wok__arena_new(1024);
  char *path = a ? wok__path_join(a, dir, WOK__CHECKPOINT) : NULL;
  wok_status st = path ? wok_model_open(c, m, path) : wok__nomem(c, 1024);
  wok__arena_free(a);
  return st;
}

static wok_status fill_state(wok_ctx *c, wok__arena *a, const wok__st_file *f, const char *where, const wok_param *list, int64_t n,
                             wok__optim *o) {
  const wok__rule *rule = wok__optim_rule(o);
  const char *written = wok__st_meta(f, "rule");
  if (!written || strcmp(written, rule->name) != 0)
    return wok__fail(c, WOK_MISMATCH, "%s: the state of %s, not of %s", where, written ? written : "an unknown rule", rule->name);
  if (wok__st_count(f) != n * rule->nstate)
    return wok__fail(c, WOK_MISMATCH, "%s: %lld tensors, not %lld", where, (long long)wok__st_count(f), (long long)n * rule->nstate);
  for (int s = 0; s < rule->nstate; s++)
    for (int64_t i = 0; i < n; i++) {
      const char *name = wok__arena_printf(a, "%s/%s", rule->state[s], list[i].name);
      const wok__st_entry *e = name ? wok__st_find(f, name) : NULL;
      if (!e || e->dtype != WOK_F32 || !wok__shape_eq(&e->shape, &list[i].shape))
        return wok__fail(c, WOK_MISMATCH, "%s: %s is %s", where, name ? name : "a tensor", e ? "of another shape or type" : "missing");
      memcpy(wok__optim_state(o, s) + list[i].offset, wok__st_data(f, e), (size_t)e->bytes);
    }
  return WOK_OK;
}

wok_status wok__checkpoint_optim(wok_ctx *c, const char *dir, const wok_param *list, int64_t n, wok__optim *o) {
  wok__st_file *f = NULL;
  wok__arena *a = wok__arena_new(0);
  char *path = a ? wok__arena_printf(a, "%s/%s/optimizer.safetensors", dir, WOK__CHECKPOINT) : NULL;
  wok_status st = path ? wok__st_open(c, &f, path) : wok__nomem(c, 1024);
  if (st == WOK_OK) st = fill_state(c, a, f, path, list, n, o);
  wok__st_close(f);
  wok__arena_free(a);
  return st;
}
