/* The whole road in one breath: text, vocabulary, training, a continuation. Needs a file book.txt; makes data/ and runs/first/. */
#include <stdio.h>
#include <wok.h>

int main(void) {
  wok_ctx *c;
  wok_data *d = NULL;
  wok_model *m = NULL;
  wok_model_config cfg;
  wok_generated more = {0};
  const char *text = "book.txt", *prompt = "The ";
  if (wok_ctx_new(&c, NULL)) return 1;
  bool failed = wok_pack(c, &text, 1, "data", NULL, NULL) || wok_data_open(c, &d, "data") ||
                wok_model_preset(c, &cfg, "nano", NULL, wok_tokenizer_size(wok_data_tokenizer(d))) ||
                wok_pretrain(c, &cfg, d, "runs/first", &(wok_train_opts){.steps = 500, .overwrite = true}, NULL) ||
                wok_model_open(c, &m, "runs/first") ||
                wok_generate(m, wok_data_tokenizer(d), &prompt, 1, NULL, &more, NULL);
  if (failed) fprintf(stderr, "%s\n", wok_errmsg(c));
  else printf("%s%s\n", prompt, more.text);
  wok_generated_free(&more, 1);
  wok_model_free(m);
  wok_data_close(d);
  wok_ctx_free(c);
  return failed;
}
