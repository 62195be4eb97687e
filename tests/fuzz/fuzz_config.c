/* config.json from anywhere: refused with one line, or read so that writing and reading it again changes nothing. Lines of text
   behind a NUL byte are options that are set afterwards. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "models/models.h"

static void need(bool ok, const char *what) {
  if (ok) return;
  fprintf(stderr, "fuzz_config: %s\n", what);
  abort();
}

static char *text_of(wok_ctx *c, const wok_model_config *cfg) {
  json_t *j;
  wok__str s;
  wok__str_init(&s, 1 << 26);
  need(wok__config_to_json(c, cfg, WOK_F32, NULL, &j) == WOK_OK && wok__json_text(c, j, &s, 0) == WOK_OK,
       "cannot be written");
  json_decref(j);
  return s.p;
}

static void round_trip(wok_ctx *c, const wok_model_config *cfg) {
  wok_model_config back;
  char *one = text_of(c, cfg);
  need(wok_model_config_parse(c, &back, one, (int64_t)strlen(one), "again") == WOK_OK, wok_errmsg(c));
  char *two = text_of(c, &back);
  need(strcmp(one, two) == 0, "reads back as another model");
  need(strcmp(wok_model_type(cfg), wok_model_type(&back)) == 0, "reads back as another type");
  wok_model_config_free(&back);
  wok__free(one);
  wok__free(two);
}

static void set_lines(wok_ctx *c, wok_model_config *cfg, const char *p, size_t n) {
  char line[128];
  while (n > 0) {
    size_t k = strcspn(p, "\n"), m = WOK__MIN(k, sizeof line - 1);
    memcpy(line, p, m);
    line[m] = '\0';
    (void)wok_model_set(c, cfg, line);
    if (k >= n) break;
    p += k + 1;
    n -= k + 1;
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  wok_ctx *c;
  if (wok_ctx_new(&c, &(wok_ctx_opts){.threads = 1})) return 0;
  char *text = malloc(size + 1);
  need(text != NULL, "out of memory");
  memcpy(text, data, size);
  text[size] = '\0';
  size_t json = strlen(text);
  wok_model_config cfg;
  if (wok_model_config_parse(c, &cfg, text, (int64_t)json, "config.json") == WOK_OK) {
    need(wok_model_config_params(&cfg) > 0, "no parameters");
    round_trip(c, &cfg);
    if (json < size) set_lines(c, &cfg, text + json + 1, size - json - 1);
    (void)wok_model_type(&cfg);
    if (wok_model_check(c, &cfg) == WOK_OK) round_trip(c, &cfg);
    wok_model_config_free(&cfg);
  } else {
    need(cfg.layer == NULL, "layers are left over");
    need(wok_errmsg(c)[0] && !strchr(wok_errmsg(c), '\n'), "not one line of message");
  }
  free(text);
  wok_ctx_free(c);
  return 0;
}
