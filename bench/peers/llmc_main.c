/* Training steps of llm.c's own functions at a batch and length of our choosing: its program has both compiled in. Built by
   llmc.py with llm.c's folder in the include path; prints the seconds of each step, one a line.
     llmc_main MODEL.bin BATCH SEQ REPS */
#define TESTING
#include "train_gpt2.c"

int main(int argc, char **argv) {
  if (argc != 5) return 2;
  int B = atoi(argv[2]), T = atoi(argv[3]), reps = atoi(argv[4]);
  GPT2 model;
  gpt2_build_from_checkpoint(&model, argv[1]);
  int *tokens = malloc((size_t)(B * T + 1) * sizeof *tokens);
  if (!tokens) return 1;
  unsigned x = 12345;
  for (int step = 0; step <= reps; step++) {
    struct timespec a, b;
    for (int i = 0; i <= B * T; i++) tokens[i] = (int)((x = x * 1664525u + 1013904223u) >> 8) % (int)model.config.vocab_size;
    clock_gettime(CLOCK_MONOTONIC, &a);
    gpt2_forward(&model, tokens, tokens + 1, B, T);
    gpt2_zero_grad(&model);
    gpt2_backward(&model);
    gpt2_update(&model, 1e-5f, 0.9f, 0.95f, 1e-8f, 0.1f, step + 1);
    clock_gettime(CLOCK_MONOTONIC, &b);
    if (step) fprintf(stderr, "%.9f %.6f\n", (double)(b.tv_sec - a.tv_sec) + 1e-9 * (double)(b.tv_nsec - a.tv_nsec), model.mean_loss);
  }
  gpt2_free(&model);
  free(tokens);
  return 0;
}
