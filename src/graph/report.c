/* What a plan is, for people: memory, the largest values, every operator with its kernel, time and rate; graphs as DOT. */
#include <stdlib.h>
#include <string.h>
#include "graph/plan.h"

static void size(wok__str *s, int64_t bytes) {
  char b[32];
  wok__format_size(b, sizeof b, bytes);
  wok__str_puts(s, b);
}

static wok_status give(wok_ctx *c, wok__str *s, char **text) {
  *text = NULL;
  if (s->failed || !s->p) {
    wok__str_free(s);
    return wok__nomem(c, 1 << 16);
  }
  *text = s->p;
  return WOK_OK;
}

void wok_text_free(char *text) { wok__free(text); }

static int by_bytes(const void *a, const void *b) {
  const wok__block *x = *(const wok__block *const *)a, *y = *(const wok__block *const *)b;
  if (x->bytes != y->bytes) return x->bytes < y->bytes ? 1 : -1;
  return (x->first > y->first) - (x->first < y->first);
}

static void largest_values(const wok_plan *p, wok__str *s) {
  const wok__block **b = wok__malloc((p->nblocks ? p->nblocks : 1) * (int64_t)sizeof *b);
  if (!b) return;
  int64_t n = 0;
  for (int64_t i = 0; i < p->nblocks; i++)
    if (p->blocks[i].v) b[n++] = &p->blocks[i];
  qsort(b, (size_t)n, sizeof *b, by_bytes);
  wok__str_puts(s, "\nlargest values                                       bytes   steps\n");
  for (int64_t i = 0; i < n && i < 12; i++) {
    char t[WOK__SHAPE_TEXT], e[24] = "end", z[32];
    if (b[i]->last != INT64_MAX) {
      wok__str d;
      wok__str_init(&d, 64);
      wok__str_printf(&d, "%lld", (long long)b[i]->last);
      if (d.p) memcpy(e, d.p, (size_t)WOK__MIN(d.len + 1, 23));
      wok__str_free(&d);
    }
    wok__format_size(z, sizeof z, b[i]->bytes);
    wok__str_printf(s, "  %-32.60s %-18s %9s  %lld..%s\n", wok_val_name(b[i]->v),
                    wok__shape_text(t, sizeof t, b[i]->dtype, &b[i]->v->shape), z, (long long)b[i]->first, e);
  }
  wok__free(b);
}

/* Sums by (operator, kernel). */
typedef struct row { const char *op, *kernel; int64_t n; double seconds, flops; } row;
static int by_seconds(const void *a, const void *b) {
  const row *x = a, *y = b;
  if (x->seconds != y->seconds) return x->seconds < y->seconds ? 1 : -1;
  if (x->flops != y->flops) return x->flops < y->flops ? 1 : -1;
  return strcmp(x->op, y->op);
}

static void by_operator(const wok_plan *p, wok__str *s) {
  row r[2 * WOK__OP_COUNT];
  int64_t n = 0;
  double all = 0;
  for (int64_t i = 0; i < p->nsteps; i++) {
    const wok__step *t = &p->steps[i];
    if (!t->kernel) continue;
    int64_t k = 0;
    while (k < n && (strcmp(r[k].op, t->node->op->name) != 0 || strcmp(r[k].kernel, t->kernel->name) != 0)) k++;
    if (k == WOK__COUNT(r)) continue;
    if (k == n) r[n++] = (row){.op = t->node->op->name, .kernel = t->kernel->name};
    r[k].n++;
    r[k].seconds += t->seconds;
    r[k].flops += t->flops;
    all += t->seconds;
  }
  qsort(r, (size_t)n, sizeof *r, by_seconds);
  wok__str_puts(s, "\noperator            kernel         steps   ms/run      %  GFLOP/s\n");
  double runs = p->runs ? (double)p->runs : 1;
  for (int64_t k = 0; k < n; k++) {
    wok__str_printf(s, "%-19s %-13s %6lld", r[k].op, r[k].kernel, (long long)r[k].n);
    if (r[k].seconds > 0) {
      wok__str_printf(s, " %8.2f %6.1f", r[k].seconds / runs * 1e3, 100 * r[k].seconds / all);
      if (r[k].flops > 0) wok__str_printf(s, " %8.0f", r[k].flops * runs / r[k].seconds * 1e-9);
    }
    wok__str_puts(s, "\n");
  }
}

static void every_step(const wok_plan *p, wok__str *s) {
  wok__str_puts(s, "\nstep operator           kernel        result                        in\n");
  double runs = p->runs ? (double)p->runs : 1;
  for (int64_t i = 0; i < p->nsteps; i++) {
    const wok__step *t = &p->steps[i];
    if (!t->kernel) continue;
    char b[WOK__SHAPE_TEXT];
    wok__str_printf(s, "%4lld %-18s %-13s %-29s %s%s%s", (long long)i, t->node->op->name, t->kernel->name,
                    wok__shape_text(b, sizeof b, t->out_arr[0].dtype, &t->out_arr[0].shape), t->node->scope,
                    t->in_place ? " (in place)" : "", t->accumulate ? " (into the buffer)" : "");
    if (t->seconds > 0) {
      wok__str_printf(s, "  %.3f ms", t->seconds / runs * 1e3);
      if (t->flops > 0) wok__str_printf(s, ", %.0f GFLOP/s", t->flops * runs / t->seconds * 1e-9);
    }
    wok__str_puts(s, "\n");
  }
}

wok_status wok_plan_report(const wok_plan *p, char **text) {
  wok__str s;
  wok__str_init(&s, 64 << 20);
  int64_t kernels = 0;
  for (int64_t i = 0; i < p->nsteps; i++) kernels += p->steps[i].kernel != NULL;
  wok__str_printf(&s, "plan %s: %lld steps (%lld run a kernel, %lld effects written by the kernel that makes the value)\n", p->name,
                  (long long)p->nsteps, (long long)kernels, (long long)p->direct);
  wok__str_puts(&s, "memory: values and scratch ");
  size(&s, p->memory);
  wok__str_puts(&s, ", prepared by kernels ");
  size(&s, p->prepared);
  wok__str_puts(&s, ", state it touches ");
  size(&s, p->state);
  if (p->rebuilt) wok__str_printf(&s, "\nto fit the memory limit, %lld operators run again in the backward pass", (long long)p->rebuilt);
  wok__str_printf(&s, "\nplanned in %.1f ms; %.2f GFLOP a run", p->compile_s * 1e3, p->flops * 1e-9);
  if (p->runs) wok__str_printf(&s, "; %lld runs, %.2f ms each", (long long)p->runs, p->seconds / (double)p->runs * 1e3);
  wok__str_puts(&s, "\n");
  largest_values(p, &s);
  by_operator(p, &s);
  every_step(p, &s);
  return give(p->c, &s, text);
}

wok_status wok_graph_dot(const wok_graph *g, char **text) {
  wok__str s;
  wok__str_init(&s, 256 << 20);
  wok__str_puts(&s, "digraph wok {\n  rankdir=BT;\n  node [shape=box, fontname=\"sans-serif\", fontsize=10];\n");
  for (int64_t i = 0; i < g->nnodes; i++) {
    const wok__node *n = g->nodes[i];
    char t[WOK__SHAPE_TEXT];
    wok__str_printf(&s, "  n%lld [label=\"%s\\n%s\\n", (long long)i, n->op->name,
                    wok__shape_text(t, sizeof t, n->out[0].dtype, &n->out[0].shape));
    for (const char *q = n->out[0].name && strcmp(n->out[0].name, "poison") != 0 ? n->out[0].name : n->scope; *q; q++)
      if (*q != '"' && *q != '\\') wok__str_add(&s, q, 1);
    wok__str_printf(&s, "\"%s];\n", n->op->flags & WOK__OP_EFFECT ? ", style=filled, fillcolor=\"#ffe0b0\"" : "");
    for (int k = 0; k < n->nin; k++)
      wok__str_printf(&s, "  n%lld -> n%lld;\n", (long long)n->in[k]->node->id, (long long)i);
  }
  wok__str_puts(&s, "}\n");
  return give(g->c, &s, text);
}
