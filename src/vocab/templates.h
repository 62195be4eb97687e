/* vocab/templates.h - a list of templates, and as a trie over their elements for parsing. */
#ifndef WOK_VOCAB_TEMPLATES_H
#define WOK_VOCAB_TEMPLATES_H
#include <wok/words.h>
#include "corpus/counter.h"
#include "text/trie.h"

enum {
  WOK__TEMPLATE_X = 0,       /* the placeholder among elements; words count from 1 */
  WOK__TEMPLATE_PARSED = 8,  /* longer templates take no part in parsing */
  WOK__TEMPLATE_MOST = 512   /* elements */
};

struct wok_templates {
  wok_ctx *c;
  wok_template *list; /* text: an offset into `text` until the list is complete */
  int64_t n, cap, total;
  wok__str text;
  wok__map *words; /* word -> element */
  wok__trie trie;  /* value: number of the template + 1 */
  wok_templates_info info;
};

wok_status wok__templates_new(wok_ctx *c, wok_templates **t);
wok_status wok__templates_add(wok_templates *t, const char *text, int64_t bytes, int64_t count, double gain);
/* Sorts, sets the texts, builds the trie. */
wok_status wok__templates_complete(wok_templates *t);

/* The next element of a template's text from *at on: its bytes without the backslash that guards it. false: no more. */
bool wok__template_next(const char *text, int64_t n, int64_t *at, const char **word, int64_t *bytes, bool *placeholder);
/* Appends an element, with a blank before it where it is not the first. */
void wok__template_put(wok__str *s, const char *word, int64_t bytes, bool placeholder);

#endif
