/* wok pretrain: a model from random parameters on packed data. */
#include <string.h>
#include "cli.h"

typedef struct options {
  const char *arch, *preset, *style, *data, *out, *compute, *schedule;
  int64_t depth, steps, batch, seq, accumulate, warmup, eval_every, save_every, keep;
  double minutes, lr, min_lr, beta1, beta2, eps, weight_decay, clip, dropout;
  bool resume, overwrite, baselines, dry_run, no_clip, no_decay;
  cli_list set, sample;
} options;

#define AT(field) offsetof(options, field)
static const cli_option list[] = {
    {"data", 0, CLI_STRING, "DIR", AT(data), 0, 0, "what `wok pack` wrote"},
    {"output", 'o', CLI_STRING, "DIR", AT(out), 0, 0, "the run directory"},
    {"arch", 0, CLI_CHOICE, "gpt", AT(arch), 0, 0, "family [gpt]"},
    {"preset", 0, CLI_CHOICE, "nano|micro|small|base", AT(preset), 0, 0, "size; base is GPT-2 124M [nano]"},
    {"depth", 0, CLI_INT, "N", AT(depth), 1, 1000, "instead of --preset, one dial: N layers, hidden size 64 N, N heads"},
    {"style", 0, CLI_CHOICE, "gpt2|llama", AT(style), 0, 0, "block: LayerNorm, learned positions, GELU; or RMSNorm, RoPE, SwiGLU [gpt2]"},
    {"set", 0, CLI_LIST, "NAME=VALUE", AT(set), 0, 0, "any model option, also of one layer: layer.3/num_key_value_heads=2; an unknown NAME lists them"},
    {"dropout", 0, CLI_REAL, "P", AT(dropout), 0, 0.95, "dropout of embeddings, branches and attention probabilities [0]"},
    {"steps", 0, CLI_INT, "N", AT(steps), 1, 1e15, "optimizer steps [1000, or no bound with --minutes]"},
    {"minutes", 0, CLI_REAL, "M", AT(minutes), 1e-3, 1e9, "stop after so long; the schedule follows the clock"},
    {"batch", 0, CLI_INT, "N", AT(batch), 1, 1e9, "a step is batch x seq tokens [8]"},
    {"seq", 0, CLI_INT, "N", AT(seq), 1, 1e9, "longest piece of a document, and so many positions [256, or the model's positions]"},
    {"accumulate", 0, CLI_INT, "N", AT(accumulate), 1, 1e6, "compute a step in N micro-batches [1]"},
    {"lr", 0, CLI_REAL, "R", AT(lr), 1e-30, 1e3, "peak learning rate [3e-3 at hidden size 128, less for larger ones]"},
    {"min-lr", 0, CLI_REAL_OR_OFF, "R", AT(min_lr), 0, 0, "learning rate at the end [a tenth of --lr]"},
    {"warmup", 0, CLI_INT_OR_OFF, "N", AT(warmup), 0, 1e12, "steps until the peak [a twentieth of all, at most 500]"},
    {"schedule", 0, CLI_CHOICE, "cosine|linear|constant", AT(schedule), 0, 0, "after the peak [cosine]"},
    {"beta1", 0, CLI_REAL_OR_OFF, "R", AT(beta1), 0, 0.999999, "AdamW [0.9]"},
    {"beta2", 0, CLI_REAL_OR_OFF, "R", AT(beta2), 0, 0.999999, "AdamW [0.95]"},
    {"eps", 0, CLI_REAL_OR_OFF, "R", AT(eps), 0, 1, "AdamW [1e-8]"},
    {"weight-decay", 0, CLI_REAL_OR_OFF, "R", AT(weight_decay), 0, 0, "decoupled, of matrices and embeddings; 0: none [0.1]"},
    {"no-weight-decay", 0, CLI_FLAG, NULL, AT(no_decay), 0, 0, "as --weight-decay 0"},
    {"clip", 0, CLI_REAL_OR_OFF, "R", AT(clip), 0, 0, "most the global norm of the gradient may be; 0: any [1]"},
    {"no-clip", 0, CLI_FLAG, NULL, AT(no_clip), 0, 0, "as --clip 0"},
    {"compute", 0, CLI_CHOICE, CLI_COMPUTES, AT(compute), 0, 0, "what matrix products compute in [f32]"},
    {"eval-every", 0, CLI_INT, "N", AT(eval_every), 1, 1e15, "steps between evaluations on the held-out part [a twentieth of all]"},
    {"save-every", 0, CLI_INT, "N", AT(save_every), 1, 1e15, "steps between checkpoints [as --eval-every]"},
    {"keep", 0, CLI_INT, "N", AT(keep), 0, 1e6, "older checkpoints to keep [0]"},
    {"baselines", 0, CLI_FLAG, NULL, AT(baselines), 0, 0, "measure n-gram models of the same text first, for log and report"},
    {"sample", 0, CLI_LIST, "TEXT", AT(sample), 0, 0, "a prompt to continue at the end, for log and report"},
    {"resume", 0, CLI_FLAG, NULL, AT(resume), 0, 0, "go on from the directory's checkpoint, with the options it began with"},
    {"overwrite", 0, CLI_FLAG, NULL, AT(overwrite), 0, 0, "replace the run that is there"},
    {"dry-run", 0, CLI_FLAG, NULL, AT(dry_run), 0, 0, "say what it would need (measured by a short probe) and stop"},
    CLI_OPTIONS_END};

/* ---- the live line ---- */
static void on_step(void *ud, const wok_step_info *i) {
  cli *c = ud;
  char of[32] = "";
  if (i->steps > 0) snprintf(of, sizeof of, "/%lld", (long long)i->steps);
  cli_live(c, "step %lld%s  loss %.3f  %.3f bits  %s left  %s tokens/s  %.0f GFLOP/s", (long long)i->step, of, i->loss, i->bits,
           cli_seconds(i->eta), cli_count(i->tokens_per_s), i->gflops);
  if (!i->evaluated) return;
  cli_note(c, "step %6lld%s  training %.3f bits  held out %.3f bits%s  %s tokens/s  %s", (long long)i->step, of, i->bits, i->valid_bits,
           i->valid_bits <= i->best_valid_bits ? " (best)" : "", cli_count(i->tokens_per_s), cli_seconds(i->seconds));
}

/* Where no option of the model is given, --resume takes the model that the run began with. */
static bool begun_with(cli *c, const options *o, wok_model_config *cfg) {
  char path[4096];
  if (!o->resume || o->preset || o->depth || o->style || o->set.n || o->dropout > 0) return false;
  return snprintf(path, sizeof path, "%s/checkpoint/config.json", o->out) < (int)sizeof path && wok_model_config_read(c->ctx, cfg, path) == WOK_OK;
}

static wok_status configure(cli *c, const options *o, const wok_data *d, wok_model_config *cfg) {
  if (begun_with(c, o, cfg)) return WOK_OK;
  int64_t vocab = wok_tokenizer_size(wok_data_tokenizer(d));
  wok_status s = o->depth ? wok_model_depth(c->ctx, cfg, o->depth, o->style, vocab)
                          : wok_model_preset(c->ctx, cfg, o->preset ? o->preset : "nano", o->style, vocab);
  cfg->bos_token_id = cfg->eos_token_id = wok_tokenizer_eod(wok_data_tokenizer(d));
  static const char *const drops[] = {"embedding_dropout", "hidden_dropout", "attention_dropout"};
  for (size_t i = 0; i < sizeof drops / sizeof *drops && o->dropout > 0 && !s; i++) {
    char text[64];
    snprintf(text, sizeof text, "%s=%.9g", drops[i], o->dropout);
    s = wok_model_set(c->ctx, cfg, text);
  }
  /* positions beyond --seq would never be trained, and a model does badly there; whoever wants them names the number */
  if (o->seq && o->seq < cfg->max_position_embeddings) cfg->max_position_embeddings = o->seq;
  for (int i = 0; i < o->set.n && !s; i++) s = wok_model_set(c->ctx, cfg, o->set.item[i]);
  return s ? s : wok_model_check(c->ctx, cfg);
}

static int dry_run(cli *c, const options *o, const wok_model_config *cfg, const wok_data *d, const wok_train_opts *t) {
  wok_train_estimate e;
  wok_status s = wok_pretrain_estimate(c->ctx, cfg, d, t, true, &e);
  if (s) return cli_status(c, s);
  if (c->common.json) {
    cli_json(json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:f}", "model_type", wok_model_type(cfg), "parameters",
                       (json_int_t)e.parameters, "matmul_weights", (json_int_t)e.matmul_weights, "state_bytes",
                       (json_int_t)e.state_bytes, "plan_bytes", (json_int_t)e.plan_bytes, "peak_bytes", (json_int_t)e.peak_bytes,
                       "tokens_per_step", (json_int_t)e.tokens_per_step, "flops_per_token", e.flops_per_token, "tokens_per_s",
                       e.tokens_per_s, "seconds", e.seconds));
    return EXIT_DONE;
  }
  cli_print("model          %s, %s parameters (%s in matrices), vocabulary %lld\n", wok_model_type(cfg), cli_count((double)e.parameters),
            cli_count((double)e.matmul_weights), (long long)cfg->vocab_size);
  cli_print("state          %s (parameters, gradients, two moments)\n", cli_size(e.state_bytes));
  cli_print("peak memory    %s\n", cli_size(e.peak_bytes));
  cli_print("a step         %s tokens, %s\n", cli_count((double)e.tokens_per_step),
            e.tokens_per_s > 0 ? cli_seconds((double)e.tokens_per_step / e.tokens_per_s) : "?");
  cli_print("speed          %s tokens/s, %.0f GFLOP/s (a short probe)\n", cli_count(e.tokens_per_s), e.tokens_per_s * e.flops_per_token * 1e-9);
  cli_print("to the end     %s\n", e.seconds > 0 ? cli_seconds(e.seconds) : "?");
  cli_print("nothing was written to %s\n", o->out);
  return EXIT_DONE;
}

static int report_end(cli *c, const options *o, const wok_train_result *r, const char *unit) {
  const wok_step_info *i = &r->last;
  if (c->common.json) {
    cli_json(json_pack("{s:s, s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:I, s:b}", "run", o->out, "step", (json_int_t)i->step, "loss",
                       i->loss, "bits", i->bits, "valid_loss", i->valid_loss, "valid_bits", i->valid_bits, "best_valid_bits",
                       i->best_valid_bits, "tokens_per_s", i->tokens_per_s, "gflops", i->gflops, "seconds", r->seconds, "peak_bytes",
                       (json_int_t)r->peak_bytes, "resumed", r->resumed));
    return EXIT_DONE;
  }
  if (i->tokens_per_s > 0)
    cli_print("%lld step%s in %s, %s tokens/s, %.0f GFLOP/s, peak memory %s\n", (long long)i->step, i->step == 1 ? "" : "s", cli_seconds(r->seconds),
              cli_count(i->tokens_per_s), i->gflops, cli_size(r->peak_bytes));
  else cli_print("nothing was left to do: the run has its %lld steps; more of them with --steps or --minutes\n", (long long)i->step);
  if (i->best_valid_bits > 0)
    cli_print("held out: %.3f bits per %s at the end, %.3f at best (%s/best)\n", i->valid_bits, unit, i->best_valid_bits, o->out);
  cli_print("model in %s; curves: wok report %s; try it: wok generate --model %s --prompt TEXT\n", o->out, o->out, o->out);
  return EXIT_DONE;
}

static int train(cli *c, const options *o, wok_data *d, const wok_model_config *cfg) {
  wok_train_opts t = {.steps = o->steps, .minutes = o->minutes, .batch = o->batch, .seq = o->seq, .accumulate = o->accumulate,
                      .lr = o->lr, .min_lr = o->min_lr, .warmup = o->warmup, .beta1 = o->beta1, .beta2 = o->beta2, .eps = o->eps,
                      .weight_decay = o->no_decay ? -1 : o->weight_decay, .clip = o->no_clip ? -1 : o->clip,
                      .eval_every = o->eval_every, .save_every = o->save_every, .keep = (int)o->keep, .compute = o->compute,
                      .resume = o->resume, .overwrite = o->overwrite, .baselines = o->baselines, .samples = o->sample.item,
                      .nsamples = o->sample.n, .on_step = on_step, .ud = c};
  if (o->schedule) t.schedule = *o->schedule == 'l' ? WOK_SCHEDULE_LINEAR : *o->schedule == 'c' && o->schedule[2] == 'n' ? WOK_SCHEDULE_CONSTANT : WOK_SCHEDULE_COSINE;
  if (o->dry_run) return dry_run(c, o, cfg, d, &t);
  bool bytes = !strcmp(wok_tokenizer_kind(wok_data_tokenizer(d)), "bytes");
  cli_note(c, "%s, %s parameters, vocabulary %lld; bits are per %s", wok_model_type(cfg), cli_count((double)wok_model_config_params(cfg)),
           (long long)cfg->vocab_size, bytes ? "byte" : "character");
  wok_train_result r;
  c->when_asked = "\nfinishing this step, then saving; Ctrl-C again stops at once\n";
  wok_status s = wok_pretrain(c->ctx, cfg, d, o->out, &t, &r);
  if (s == WOK_INTERRUPTED && r.last.step > 0) {
    cli_fail(c, "%s (`wok pretrain --data %s -o %s --resume`)", wok_errmsg(c->ctx), o->data, o->out);
    return EXIT_INTERRUPTED;
  }
  return s ? cli_status(c, s) : report_end(c, o, &r, bytes ? "byte" : "character");
}

static int run(cli *c) {
  const options *o = c->options;
  if (!o->data) return cli_usage(c, "on what? --data DIR is missing (`wok pack` makes it)");
  if (!o->out) return cli_usage(c, "where to? -o DIR is missing");
  if (o->depth && o->preset) return cli_usage(c, "--preset and --depth exclude each other");
  if (o->resume && o->overwrite) return cli_usage(c, "--resume and --overwrite exclude each other");
  wok_data *d;
  wok_status s = wok_data_open(c->ctx, &d, o->data);
  if (s) return cli_status(c, s);
  wok_model_config cfg = {0};
  s = configure(c, o, d, &cfg);
  int e = s ? cli_status(c, s) : train(c, o, d, &cfg);
  wok_model_config_free(&cfg);
  wok_data_close(d);
  return e;
}

const cli_verb cli_pretrain = {
    .name = "pretrain", .args = "--data DIR -o DIR", .summary = "train a language model from scratch",
    .details = "Results depend on data, options and seed, not on the number of threads. The run directory is a model directory\n"
               "(config.json, model.safetensors, tokenizer.json) with checkpoint/, best/, log.jsonl and TensorBoard events.\n"
               "Ctrl-C finishes the step, saves, and says how to go on; a killed run goes on from its last checkpoint.",
    .examples = "  wok pretrain --data data -o runs/first\n"
                "  wok pretrain --data data -o runs/m --preset micro --dropout 0.1 --minutes 30\n"
                "  wok pretrain --data data -o runs/m --minutes 60 --resume\n"
                "  wok pretrain --data data -o runs/d6 --depth 6 --style llama --steps 2000 --dry-run",
    .options = list, .size = sizeof(options), .min_args = 0, .max_args = 0, .run = run};
