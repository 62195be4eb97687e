/* Choices that several verbs share. */
#include <string.h>
#include "cli.h"

int cli_choice(const char *word, const char *choices) {
  size_t n = word ? strlen(word) : 0;
  int i = 0;
  for (const char *p = choices; word && *p; i++) {
    size_t k = strcspn(p, "|");
    if (n == k && strncmp(word, p, k) == 0) return i;
    p += k + (p[k] == '|');
  }
  return 0;
}

bool cli_documents(const char *word, wok_documents *kind, const char **sep) {
  static const struct { const char *name; wok_documents kind; } kinds[] = {
      {"file", WOK_DOC_FILE}, {"line", WOK_DOC_LINE}, {"blank", WOK_DOC_BLANK}};
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
    if (!strcmp(word, kinds[i].name)) return *kind = kinds[i].kind, true;
  if (strncmp(word, "sep:", 4) || !word[4]) return false;
  *kind = WOK_DOC_SEP;
  *sep = word + 4;
  return true;
}
