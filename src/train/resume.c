/* train/resume.c - does this call go on with what the checkpoint began? */
#include <string.h>
#include "models/models.h"
#include "train/trainer.h"

enum { MOST_LAYERS_NAMED = 4 };

static void add(wok__str *s, int *n, const char *what) { wok__str_printf(s, "%s%s", (*n)++ ? "; " : "", what); }

static void show(wok_ctx *c, wok__str *s, const wok__option *o, const void *value) {
  json_t *j = wok__option_json(o, value);
  if (json_is_string(j)) wok__str_puts(s, json_string_value(j));
  else if (j) (void)wok__json_text(c, j, s, 0);
  json_decref(j);
}

static bool compare(wok_ctx *c, wok__str *s, int *n, const wok__option *o, const char *name, const void *there, const void *here) {
  if (wok__option_equal(o, there, here)) return true;
  add(s, n, name);
  wok__str_puts(s, " ");
  show(c, s, o, there);
  wok__str_puts(s, " there, ");
  show(c, s, o, here);
  wok__str_puts(s, " here");
  return false;
}

/* Both configurations resolved, with all their layers. */
static void compare_configs(wok_ctx *c, wok__str *s, int *n, const wok_model_config *there, const wok_model_config *here) {
  bool layers = there->num_hidden_layers == here->num_hidden_layers;
  if (strcmp(there->family, here->family) != 0) add(s, n, "the family");
  for (int64_t i = 0; i < wok__noptions; i++) {
    const wok__option *o = &wok__options[i];
    if (!(o->flags & WOK__OPTION_BLOCK)) {
      (void)compare(c, s, n, o, o->name, wok__option_at(o, there, -1), wok__option_at(o, here, -1));
      continue;
    }
    int named = 0;
    for (int64_t k = 0; layers && k < there->num_hidden_layers && named < MOST_LAYERS_NAMED; k++) {
      char name[64];
      (void)wok__snprintf(name, (int64_t)sizeof name, "layer.%lld/%s", (long long)k, o->name);
      if (!compare(c, s, n, o, name, wok__option_at(o, there, k), wok__option_at(o, here, k))) named++;
    }
  }
}

static wok_status whole(wok_ctx *c, wok_model_config *to, const wok_model_config *from) {
  WOK__TRY(wok_model_config_copy(c, to, from));
  wok__config_resolve(to);
  return wok__config_layers(c, to);
}

static wok_status differences(wok__trainer *t, const wok_model_config *stored, const wok_model_config *given, wok__str *s, int *n) {
  if (wok_data_hash(t->data) != t->state.data_hash) add(s, n, "the data (another pack than the run began with)");
  if (given) {
    wok_model_config there = {0}, here = {0};
    wok_status st = whole(t->c, &there, stored);
    if (st == WOK_OK) st = whole(t->c, &here, given);
    if (st == WOK_OK) compare_configs(t->c, s, n, &there, &here);
    wok_model_config_free(&there);
    wok_model_config_free(&here);
    WOK__TRY(st);
  }
  int64_t at = s->len;
  int more = wok__settings_differ(&t->o, t->state.settings, s);
  if (more > 0 && *n > 0 && !s->failed) { /* the list goes on */
    wok__str copy;
    wok__str_init(&copy, s->max);
    wok__str_puts(&copy, s->p + at);
    s->len = at;
    add(s, n, copy.p ? copy.p : "settings");
    wok__str_free(&copy);
  }
  *n += more;
  char kernels[64];
  wok__kernel_set(t->c, kernels, (int64_t)sizeof kernels);
  if (strcmp(kernels, t->state.kernels) != 0) {
    add(s, n, "kernels ");
    wok__str_printf(s, "%s there, %s here", t->state.kernels, kernels);
  }
  return WOK_OK;
}

wok_status wok__resume_agrees(wok__trainer *t, const wok_model_config *stored, const wok_model_config *given) {
  wok__str s;
  int n = 0;
  wok__str_init(&s, 4096);
  wok_status st = differences(t, stored, given, &s, &n);
  if (st == WOK_OK && n > 0)
    st = wok__fail(t->c, WOK_MISMATCH, "%s cannot be resumed like this: %s. Give what it began with, or begin anew in another directory",
                   t->dir, s.p ? s.p : "something differs");
  wok__str_free(&s);
  if (st == WOK_OK && strcmp(t->state.version, wok_version()) != 0)
    wok__log(t->c, WOK_LOG_WARN, "%s was begun by wok %s, this is %s: results may differ in the last bits", t->dir, t->state.version,
             wok_version());
  return st;
}
