/* Opens a model directory and continues a prompt; the text appears as it is made.
 *
 *   generate MODEL PROMPT [TOKENS] */
#include <stdio.h>
#include <stdlib.h>
#include <wok.h>

/* `text` is what became ready: UTF-8, never half a character, perhaps empty. Returning false would stop this prompt. */
static bool on_text(void *ud, int prompt, int32_t id, const char *text, int64_t len) {
  (void)ud, (void)prompt, (void)id;
  fwrite(text, 1, (size_t)len, stdout);
  return fflush(stdout) == 0;
}

static wok_status go_on(wok_ctx *c, const char *dir, const char *prompt, int64_t tokens) {
  wok_model *m = NULL;
  wok_tokenizer *t = NULL;
  wok_generated r = {0};
  wok_generate_stats stats;
  wok_generate_opts o = {.max_tokens = tokens, .temperature = 0.8, .top_p = 0.95, .on_text = on_text};
  wok_status s = wok_model_open(c, &m, dir);
  if (!s) s = wok_tokenizer_open(c, &t, dir);
  if (!s) {
    printf("%s", prompt);
    s = wok_generate(m, t, &prompt, 1, &o, &r, &stats);
    printf("\n");
  }
  if (!s)
    fprintf(stderr, "(%lld tokens in %.2f s; stopped by: %s)\n", (long long)stats.new_tokens, stats.decode_s, r.stop);
  wok_generated_free(&r, 1);
  wok_tokenizer_free(t);
  wok_model_free(m);
  return s;
}

int main(int argc, char **argv) {
  wok_ctx *c;
  if (argc < 3) {
    fprintf(stderr, "usage: generate MODEL PROMPT [TOKENS]\n");
    return 2;
  }
  wok_status s = wok_ctx_new(&c, NULL);
  if (s) {
    fprintf(stderr, "%s\n", wok_strerror(s));
    return 1;
  }
  s = go_on(c, argv[1], argv[2], argc > 3 ? atoll(argv[3]) : 100);
  if (s) fprintf(stderr, "%s\n", wok_errmsg(c));
  wok_ctx_free(c);
  return s != WOK_OK;
}
