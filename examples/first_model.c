/* A first model: a text file packed, a small GPT trained on it, a prompt continued.
 *
 *   first_model TEXT DIR PROMPT [STEPS]
 *
 * DIR/data receives the packed text, DIR/run the run: the same directories as `wok pack` and `wok pretrain` make. */
#include <stdio.h>
#include <stdlib.h>
#include <wok.h>

/* After every step; held-out figures are new now and then. Bits are per character: 2^bits characters seem equally likely. */
static void on_step(void *ud, const wok_step_info *i) {
  (void)ud;
  if (i->evaluated)
    printf("step %lld of %lld: training %.3f, held out %.3f bits, %.0f tokens/s\n", (long long)i->step, (long long)i->steps,
           i->bits, i->valid_bits, i->tokens_per_s);
}

static wok_status pack(wok_ctx *c, const char *text, const char *dir) {
  wok_pack_info info;
  wok_status s = wok_pack(c, &text, 1, dir, &(wok_pack_opts){.documents = WOK_DOC_BLANK}, &info);
  if (!s) printf("%lld tokens to learn from, %lld held out, %lld in the vocabulary\n", (long long)info.train.tokens,
                 (long long)info.valid.tokens, (long long)info.vocab_size);
  return s;
}

static wok_status train(wok_ctx *c, const char *data, const char *run, int64_t steps) {
  wok_data *d;
  wok_model_config cfg;
  wok_status s = wok_data_open(c, &d, data);
  if (s) return s;
  s = wok_model_preset(c, &cfg, "nano", NULL, wok_tokenizer_size(wok_data_tokenizer(d)));
  if (!s) {
    wok_train_opts o = {.steps = steps, .overwrite = true, .on_step = on_step};
    s = wok_pretrain(c, &cfg, d, run, &o, NULL);
    wok_model_config_free(&cfg);
  }
  wok_data_close(d);
  return s;
}

static wok_status go_on(wok_ctx *c, const char *run, const char *prompt) {
  wok_model *m = NULL;
  wok_tokenizer *t = NULL;
  wok_generated r = {0};
  wok_status s = wok_model_open(c, &m, run);
  if (!s) s = wok_tokenizer_open(c, &t, run);
  if (!s) s = wok_generate(m, t, &prompt, 1, &(wok_generate_opts){.max_tokens = 100, .temperature = 0.8}, &r, NULL);
  if (!s) printf("\n%s%s\n", prompt, r.text);
  wok_generated_free(&r, 1);
  wok_tokenizer_free(t);
  wok_model_free(m);
  return s;
}

int main(int argc, char **argv) {
  char data[1024], run[1024];
  wok_ctx *c;
  if (argc < 4) return fprintf(stderr, "usage: first_model TEXT DIR PROMPT [STEPS]\n"), 2;
  snprintf(data, sizeof data, "%s/data", argv[2]);
  snprintf(run, sizeof run, "%s/run", argv[2]);
  wok_status s = wok_ctx_new(&c, NULL);
  if (s) return fprintf(stderr, "%s\n", wok_strerror(s)), 1;
  if (!(s = pack(c, argv[1], data)) && !(s = train(c, data, run, argc > 4 ? atoll(argv[4]) : 300)))
    s = go_on(c, run, argv[3]);
  if (s) fprintf(stderr, "%s\n", wok_errmsg(c));
  wok_ctx_free(c);
  return s != WOK_OK;
}
