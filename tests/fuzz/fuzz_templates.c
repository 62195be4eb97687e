/* Any bytes as a list of templates; sentences made of its own bytes are parsed into them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <wok/words.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static wok_ctx *c;
  if (!c && wok_ctx_new(&c, &(wok_ctx_opts){.threads = 1}) != WOK_OK) abort();
  wok_templates *t;
  if (wok_templates_read(c, &t, (const char *)data, (int64_t)size, "list") != WOK_OK) {
    if (t || !wok_errmsg(c)[0] || strchr(wok_errmsg(c), '\n')) abort();
    return 0;
  }
  char *copy = malloc(size + 1);
  const char *word[12];
  int n = 0;
  if (!copy) abort();
  memcpy(copy, data, size);
  copy[size] = 0;
  for (char *p = strtok(copy, " \t\n"); p && n < 12; p = strtok(NULL, " \t\n")) word[n++] = p;
  wok_parse *p;
  if (n > 0 && wok_templates_parse(c, &p, t, word, n) == WOK_OK) {
    int64_t bytes;
    if (wok_parse_nodes(p) < 1 || wok_parse_nodes(p) > 2 * n || !isfinite(wok_parse_get(p, 0)->score)) abort();
    for (int64_t i = 0; i < wok_parse_nodes(p); i++) {
      const wok_parse_node *e = wok_parse_get(p, i);
      if (e->first < 0 || e->end > n || e->first >= e->end || e->tmpl >= wok_templates_count(t)) abort();
    }
    if (wok_parse_text(p, NULL, 0, &bytes) != WOK_OK || bytes < 1) abort();
    wok_parse_free(p);
  }
  free(copy);
  wok_templates_free(t);
  return 0;
}
