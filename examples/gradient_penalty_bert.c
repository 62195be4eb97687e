/* A classifier with a gradient penalty on its embeddings: loss + eps/2 |d loss / d E|^2, a gradient inside the loss, so training
 * needs the second derivatives of attention, layer norm and all the rest. E is what the embeddings give for the tokens of the
 * batch [T, C].
 *
 * The model is shaped like BERT (bidirectional attention, norms after the residual additions, GELU, a head on the first token),
 * tiny and random. Sequences are packed without padding: each token sees the interval [lo, hi) of its own. The task: tell
 * whether a text with one "good" or "bad" praises; a "not" somewhere in it turns it round. It is learned twice from the same
 * parameters and the same texts, without the penalty and with it. Status 0: both learn it, and the penalty at least halves
 * |d loss / d E|. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <wok.h>

enum { TOKENS = 160, TEXTS = 16, LONGEST = 24, WORDS = 40, STEPS = 1000, TESTS = 40 };
enum { HIDDEN = 32, HEADS = 2, LAYERS = 2, INNER = 64 };
enum { CLS, GOOD, BAD, NOT, FIRST_PLAIN };
static const double EPS = 1.0;

/* ---- texts ---- */
typedef struct batch { int32_t word[TOKENS], position[TOKENS], lo[TOKENS], hi[TOKENS], first[TEXTS], label[TEXTS]; } batch;

static uint64_t state;
static int below(int n) { /* splitmix64, Steele et al. 2014 */
  uint64_t z = state += 0x9e3779b97f4a7c15u;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return (int)((z ^ z >> 31) % (uint64_t)n);
}

static void draw(batch *b) {
  int length[TEXTS], at = 0;
  for (int i = 0; i < TEXTS; i++) length[i] = TOKENS / TEXTS;
  for (int i = 0; i < 10 * TEXTS; i++) { /* tokens wander between the texts; their sum stays */
    int from = below(TEXTS), to = below(TEXTS);
    if (length[from] > 4 && length[to] < LONGEST) length[from]--, length[to]++;
  }
  for (int i = 0; i < TEXTS; at += length[i++]) {
    int good = below(2), not = below(2), n = length[i], where = 1 + below(n - 1), where_not = 1 + below(n - 1);
    while (where_not == where) where_not = 1 + below(n - 1);
    for (int k = 0; k < n; k++) {
      b->word[at + k] = k == 0 ? CLS : FIRST_PLAIN + below(WORDS - FIRST_PLAIN);
      b->position[at + k] = k;
      b->lo[at + k] = at;
      b->hi[at + k] = at + n;
    }
    b->word[at + where] = good ? GOOD : BAD;
    if (not) b->word[at + where_not] = NOT;
    b->first[i] = at;
    b->label[i] = good != not;
  }
}

/* ---- parameters: ranges of one array, their gradients in another ---- */
enum { MOST = 64, CAPACITY = 32768 };
static float params[CAPACITY], start[CAPACITY], grads[CAPACITY], moment1[CAPACITY], moment2[CAPACITY];

typedef struct model {
  wok_graph *g;
  wok_buffer *params, *grads;
  int n, at[MOST], count;
  wok_val *w[MOST], *begin[MOST];
  wok_val *word, *position, *lo, *hi, *first, *label; /* inputs */
  wok_val *embedded, *logits;
  wok_plan *init, *test, *step[2]; /* without the penalty, with it */
} model;

/* A parameter that begins as mean + std * normal. */
static wok_val *param(model *m, wok_shape s, double mean, double std) {
  int i = m->n++, size = 1;
  for (int k = 0; k < s.ndim; k++) size *= (int)s.dim[k];
  wok_val *random = wok_random_normal(m->g, WOK_F32, s, 0);
  m->begin[i] = wok_store(m->params, m->count, wok_offset(wok_scale(random, std), mean));
  m->w[i] = wok_load(m->g, m->params, m->at[i] = m->count, s);
  m->count += size;
  return m->w[i];
}
static wok_val *linear(model *m, wok_val *x, int64_t out) {
  int64_t in = wok_val_shape(x).dim[1];
  wok_val *w = param(m, WOK_SHAPE(out, in), 0, 1 / sqrt((double)in)), *b = param(m, WOK_SHAPE(out), 0, 0);
  return wok_linear(x, w, b);
}
static wok_val *norm(model *m, wok_val *x) {
  wok_val *gain = param(m, WOK_SHAPE(HIDDEN), 1, 0), *bias = param(m, WOK_SHAPE(HIDDEN), 0, 0);
  return wok_layer_norm(x, gain, bias, 1e-12);
}

/* ---- the model ---- */
static wok_val *heads(wok_val *x) { return wok_reshape(x, WOK_SHAPE(TOKENS, HEADS, HIDDEN / HEADS)); }

static wok_val *layer(model *m, wok_val *x) {
  wok_val *q = heads(linear(m, x, HIDDEN)), *k = heads(linear(m, x, HIDDEN)), *v = heads(linear(m, x, HIDDEN));
  wok_val *seen = wok_reshape(wok_attention(q, k, v, m->lo, m->hi, NULL), WOK_SHAPE(TOKENS, HIDDEN));
  x = norm(m, wok_add(x, linear(m, seen, HIDDEN)));
  wok_val *inner = wok_activation(linear(m, x, INNER), WOK_ACT_GELU_ERF);
  return norm(m, wok_add(x, linear(m, inner, HIDDEN)));
}

static void forward(model *m) {
  wok_graph *g = m->g;
  m->word = wok_input(g, "word", WOK_I32, WOK_SHAPE(TOKENS));
  m->position = wok_input(g, "position", WOK_I32, WOK_SHAPE(TOKENS));
  m->lo = wok_input(g, "lo", WOK_I32, WOK_SHAPE(TOKENS));
  m->hi = wok_input(g, "hi", WOK_I32, WOK_SHAPE(TOKENS));
  m->first = wok_input(g, "first", WOK_I32, WOK_SHAPE(TEXTS));
  m->label = wok_input(g, "label", WOK_I32, WOK_SHAPE(TEXTS));
  m->embedded = wok_gather(param(m, WOK_SHAPE(WORDS, HIDDEN), 0, 0.5), m->word); /* [T, C] */
  wok_val *x = norm(m, wok_add(m->embedded, wok_gather(param(m, WOK_SHAPE(LONGEST, HIDDEN), 0, 0.5), m->position)));
  for (int i = 0; i < LAYERS; i++) {
    wok_scope_enter(g, "layer.%d", i);
    x = layer(m, x);
    wok_scope_leave(g);
  }
  m->logits = linear(m, wok_tanh(linear(m, wok_gather(x, m->first), HIDDEN)), 2); /* pooler and head on [CLS] */
}

static wok_status build(wok_ctx *c, model *m) {
  static const char *const names[] = {"plain step", "penalised step"};
  wok_status s = wok_graph_new(c, &m->g);
  if (!s) s = wok_buffer_new(c, &m->params, "params", WOK_F32, CAPACITY, params);
  if (!s) s = wok_buffer_new(c, &m->grads, "grads", WOK_F32, CAPACITY, grads);
  if (s) return s;
  forward(m);
  wok_val *loss = wok_mean(wok_xent(m->logits, m->label));
  wok_val *dE = wok_grad1(loss, m->embedded), *square = wok_sum(wok_square(dE)); /* dE [T, C] */
  wok_val *losses[] = {loss, wok_add(loss, wok_scale(square, 0.5 * EPS))}, *shown[] = {m->logits, loss, wok_sqrt(square)};
  if ((s = wok_compile(c, &m->init, m->begin, m->n, &(wok_plan_opts){.name = "init"}))) return s;
  if ((s = wok_compile(c, &m->test, shown, 3, &(wok_plan_opts){.name = "test"}))) return s;
  for (int k = 0; k < 2 && !s; k++) {
    wok_val *dw[MOST], *results[1 + MOST] = {loss};
    wok_grad(losses[k], m->w, m->n, dw);
    for (int i = 0; i < m->n; i++) results[1 + i] = wok_store(m->grads, m->at[i], dw[i]);
    s = wok_compile(c, &m->step[k], results, 1 + m->n, &(wok_plan_opts){.name = names[k]});
  }
  return s;
}

/* ---- training ---- */
static wok_status run(const model *m, wok_plan *p, const batch *b) {
  const struct { const wok_val *input; const void *data; } binding[] = {
      {m->word, b->word}, {m->position, b->position}, {m->lo, b->lo}, {m->hi, b->hi}, {m->first, b->first}, {m->label, b->label}};
  for (int i = 0; i < 6; i++) {
    wok_status s = wok_plan_bind(p, binding[i].input, binding[i].data);
    if (s) return s;
  }
  return wok_plan_run(p, NULL);
}

static void adam(const model *m, int t) {
  const double lr = 2e-3 * fmin(t / 30.0, 1) * (STEPS - t + 1) / STEPS, fix = sqrt(1 - pow(0.99, t)) / (1 - pow(0.9, t));
  for (int i = 0; i < m->count; i++) {
    moment1[i] = 0.9f * moment1[i] + 0.1f * grads[i];
    moment2[i] = 0.99f * moment2[i] + 0.01f * grads[i] * grads[i];
    params[i] -= (float)(lr * fix) * moment1[i] / (sqrtf(moment2[i]) + 1e-8f);
  }
}

static const char *const how[] = {"plain    ", "penalised"};

typedef struct outcome { double loss, right, norm; } outcome; /* means over the tests */

static wok_status learn(model *m, int penalised, outcome *o) {
  static batch b;
  wok_status s = WOK_OK;
  memcpy(params, start, sizeof params);
  memset(moment1, 0, sizeof moment1);
  memset(moment2, 0, sizeof moment2);
  state = 1;
  for (int t = 1; t <= STEPS && !s; t++) {
    draw(&b);
    if ((s = run(m, m->step[penalised], &b))) return s;
    if (t % 200 == 0)
      printf("%s  step %4d  loss %.4f\n", how[penalised], t, (double)*(const float *)wok_plan_data(m->step[penalised], 0));
    adam(m, t);
  }
  *o = (outcome){0};
  for (int i = 0; i < TESTS; i++) {
    draw(&b);
    if ((s = run(m, m->test, &b))) return s;
    const float *logits = wok_plan_data(m->test, 0);
    for (int k = 0; k < TEXTS; k++) o->right += (logits[2 * k + 1] > logits[2 * k]) == b.label[k] ? 1.0 / (TEXTS * TESTS) : 0;
    o->loss += (double)*(const float *)wok_plan_data(m->test, 1) / TESTS;
    o->norm += (double)*(const float *)wok_plan_data(m->test, 2) / TESTS;
  }
  return s;
}

int main(void) {
  wok_ctx *c;
  static model m;
  outcome o[2] = {0};
  wok_status s = wok_ctx_new(&c, &(wok_ctx_opts){.seed = 1, .threads = 1});
  if (s) {
    fprintf(stderr, "%s\n", wok_strerror(s));
    return 1;
  }
  if (!(s = build(c, &m)) && !(s = wok_plan_run(m.init, NULL))) {
    memcpy(start, params, sizeof start);
    for (int k = 0; k < 2 && !s; k++) s = learn(&m, k, &o[k]);
  }
  if (s) fprintf(stderr, "%s\n", wok_errmsg(c));
  else
    for (int k = 0; k < 2; k++)
      printf("%s  new texts: loss %.4f, right %.1f %%, |d loss / d E| %.5f\n", how[k], o[k].loss, 100 * o[k].right, o[k].norm);
  wok_plan *plans[] = {m.init, m.test, m.step[0], m.step[1]};
  for (int i = 0; i < 4; i++) wok_plan_free(plans[i]);
  wok_buffer_free(m.params);
  wok_buffer_free(m.grads);
  wok_graph_free(m.g);
  wok_ctx_free(c);
  return s != WOK_OK || !(o[0].right > 0.95 && o[1].right > 0.95 && o[1].norm < 0.5 * o[0].norm);
}
