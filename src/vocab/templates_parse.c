/* A sentence as nested templates (kexue.fm/archives/5577): for every stretch of words, short ones first, all templates that match it,
   the gaps being stretches solved before. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "vocab/templates.h"

enum { MOST_WORDS = 128, MOST_MATCHES = 10000 };
static const double apart = -20; /* of a word in a list, after the first */

typedef struct match {
  double score;
  int64_t tmpl; /* -1: a list */
  int literals;
  int16_t place[WOK__TEMPLATE_PARSED]; /* of its words, in the sentence */
} match;

struct wok_parse {
  wok_ctx *c;
  const wok_templates *t;
  char **word;
  int64_t n;
  wok_parse_node *node;
  int64_t nodes;
  match *of; /* of each node */
  bool cut;
};

typedef struct parser {
  wok_parse *p;
  int n;
  int64_t id[MOST_WORDS]; /* elements; -1: in no template */
  match *best;            /* [first][end] */
  int first, end;         /* the stretch that is being matched */
  match now;
  int64_t tried;
} parser;

static match *at(parser *k, int first, int end) { return &k->best[first * (k->n + 1) + end]; }

static long long rounded(double score) { return llround(score * 1e4); }

/* Higher scores; more words; words further to the left; the more frequent template. */
static bool better(const match *a, const match *b) {
  if (b->tmpl < 0) return true;
  if (rounded(a->score) != rounded(b->score)) return a->score > b->score;
  if (a->literals != b->literals) return a->literals > b->literals;
  for (int i = 0; i < a->literals; i++)
    if (a->place[i] != b->place[i]) return a->place[i] < b->place[i];
  return a->tmpl < b->tmpl;
}

static void found(parser *k, int32_t node) {
  int64_t tmpl = k->p->t->trie.value[node] - 1;
  if (tmpl < 0) return;
  match m = k->now;
  m.tmpl = tmpl;
  m.score += log((double)k->p->t->list[tmpl].count) - log((double)k->p->t->total);
  match *best = at(k, k->first, k->end);
  if (better(&m, best)) *best = m;
}

/* Continues a match at word `pos`; `gap`: the element before was a placeholder. */
static void go_on(parser *k, int32_t node, int pos, bool gap) {
  const wok__trie *t = &k->p->t->trie;
  if (k->tried++ >= MOST_MATCHES) {
    k->p->cut = true;
    return;
  }
  if (pos == k->end) {
    found(k, node);
    return;
  }
  int32_t next = k->id[pos] < 0 ? -1 : wok__trie_step(t, node, (uint32_t)k->id[pos]);
  if (next >= 0) {
    k->now.place[k->now.literals++] = (int16_t)pos;
    go_on(k, next, pos + 1, false);
    k->now.literals--;
  }
  if (gap || (next = wok__trie_step(t, node, WOK__TEMPLATE_X)) < 0) return;
  double score = k->now.score;
  for (int to = pos + 1; to <= k->end; to++) {
    if (to - pos == k->end - k->first) break; /* a placeholder is never everything */
    k->now.score = score + at(k, pos, to)->score;
    go_on(k, next, to, true);
  }
  k->now.score = score;
}

static void solve(parser *k) {
  for (int length = 1; length <= k->n; length++)
    for (k->first = 0; k->first + length <= k->n; k->first++) {
      k->end = k->first + length;
      *at(k, k->first, k->end) = (match){.tmpl = -1, .score = apart * (length - 1)};
      k->now = (match){.tmpl = -1};
      k->tried = 0;
      go_on(k, 0, k->first, false);
    }
}

/* ---- the tree ---- */

static wok_status add_node(parser *k, int first, int end, int64_t *node) {
  wok_parse *p = k->p; /* at most 2 n - 1 nodes: every node has a word of its own or more than one child */
  const match m = *at(k, first, end);
  int64_t last = -1;
  *node = p->nodes++;
  p->of[*node] = m;
  p->node[*node] = (wok_parse_node){.first = first, .end = end, .tmpl = m.tmpl, .score = m.score, .child = -1, .next = -1};
  if (m.tmpl < 0) return WOK_OK;
  for (int i = 0, from = first; i <= m.literals; i++) {
    int to = i < m.literals ? m.place[i] : end;
    if (to > from) {
      int64_t child;
      WOK__TRY(add_node(k, from, to, &child));
      if (last < 0) p->node[*node].child = child;
      else p->node[last].next = child;
      last = child;
    }
    from = to + 1;
  }
  return WOK_OK;
}

static wok_status copy_words(wok_parse *p, const char *const *words, int64_t n) {
  p->word = wok__calloc(WOK__MAX(n, (int64_t)1), (int64_t)sizeof *p->word);
  p->node = wok__calloc(2 * n + 1, (int64_t)sizeof *p->node);
  p->of = wok__calloc(2 * n + 1, (int64_t)sizeof *p->of);
  if (!p->word || !p->node || !p->of) return wok__nomem(p->c, n * 64);
  for (; p->n < n; p->n++) {
    int64_t bytes = (int64_t)strlen(words[p->n]) + 1;
    p->word[p->n] = wok__malloc(bytes);
    if (!p->word[p->n]) return wok__nomem(p->c, bytes);
    memcpy(p->word[p->n], words[p->n], (size_t)bytes);
  }
  return WOK_OK;
}

static wok_status parse(wok_parse *p) {
  parser *k = wok__calloc(1, (int64_t)sizeof *k);
  if (!k) return wok__nomem(p->c, (int64_t)sizeof *k);
  k->p = p;
  k->n = (int)p->n;
  k->best = wok__calloc((p->n + 1) * (p->n + 1), (int64_t)sizeof *k->best);
  wok_status s = k->best ? WOK_OK : wok__nomem(p->c, p->n * p->n * (int64_t)sizeof *k->best);
  for (int i = 0; i < k->n; i++)
    if (!wok__map_get(p->t->words, p->word[i], (int64_t)strlen(p->word[i]), &k->id[i])) k->id[i] = -1;
  if (s == WOK_OK) {
    int64_t root;
    solve(k);
    s = add_node(k, 0, k->n, &root);
  }
  wok__free(k->best);
  wok__free(k);
  return s;
}

wok_status wok_templates_parse(wok_ctx *c, wok_parse **out, const wok_templates *t, const char *const *words, int64_t n) {
  wok__fail_clear(c);
  *out = NULL;
  if (n < 1) return wok__fail(c, WOK_INVALID, "a sentence without words");
  if (n > MOST_WORDS) return wok__fail(c, WOK_LIMIT, "a sentence of %lld words; at most %d are parsed", (long long)n, (int)MOST_WORDS);
  wok_parse *p = wok__calloc(1, (int64_t)sizeof *p);
  if (!p) return wok__nomem(c, (int64_t)sizeof *p);
  p->c = c;
  p->t = t;
  wok_status s = copy_words(p, words, n);
  if (s == WOK_OK) s = parse(p);
  if (s) wok_parse_free(p);
  else *out = p;
  return s;
}

void wok_parse_free(wok_parse *p) {
  if (!p) return;
  for (int64_t i = 0; i < p->n; i++) wok__free(p->word[i]);
  wok__free(p->word);
  wok__free(p->node);
  wok__free(p->of);
  wok__free(p);
}

int64_t wok_parse_nodes(const wok_parse *p) { return p->nodes; }
const wok_parse_node *wok_parse_get(const wok_parse *p, int64_t i) { return i >= 0 && i < p->nodes ? &p->node[i] : NULL; }
bool wok_parse_cut(const wok_parse *p) { return p->cut; }

/* ---- for people ---- */

static void begin_line(wok__str *s, int depth) {
  for (int i = 0; i < depth; i++) wok__str_puts(s, "|     ");
  wok__str_puts(s, "+---> ");
}

static void words_between(const wok_parse *p, wok__str *s, int64_t from, int64_t to) {
  for (int64_t i = from; i < to; i++) wok__str_printf(s, "%s%s", i > from ? " " : "", p->word[i]);
}

/* The template with its gaps in parentheses; below it its words and gaps, one after another. */
static void show(const wok_parse *p, wok__str *s, int64_t node, int depth) {
  const wok_parse_node *e = &p->node[node];
  const match *m = &p->of[node];
  begin_line(s, depth);
  if (e->tmpl < 0 || (m->literals == 1 && e->end - e->first == 1)) {
    words_between(p, s, e->first, e->end);
    wok__str_puts(s, "\n");
    return;
  }
  for (int pass = 0; pass < 2; pass++) {
    int64_t from = e->first, child = e->child;
    for (int i = 0; i <= m->literals; i++) {
      int64_t to = i < m->literals ? m->place[i] : e->end;
      if (to > from && pass == 0) {
        wok__str_puts(s, from > e->first ? " (" : "(");
        words_between(p, s, from, to);
        wok__str_puts(s, ")");
      } else if (to > from) {
        show(p, s, child, depth + 1);
        child = p->node[child].next;
      }
      if (i < m->literals && pass == 0) wok__str_printf(s, "%s%s", to > e->first ? " " : "", p->word[to]);
      else if (i < m->literals) begin_line(s, depth + 1), wok__str_printf(s, "%s\n", p->word[to]);
      from = to + 1;
    }
    if (pass == 0) wok__str_puts(s, "\n");
  }
}

wok_status wok_parse_text(const wok_parse *p, char *text, int64_t cap, int64_t *n) {
  wok__str s;
  wok__str_init(&s, 1 << 28);
  show(p, &s, 0, 0);
  bool ok = !s.failed;
  *n = ok ? s.len : 0;
  if (ok && cap > 0) memcpy(text, s.p, (size_t)WOK__MIN(cap, s.len));
  wok__str_free(&s);
  return ok ? WOK_OK : wok__nomem(p->c, 1 << 20);
}
