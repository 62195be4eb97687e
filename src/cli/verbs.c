/* The verbs, in the order in which one meets them. */
#include "cli.h"

extern const cli_verb cli_info, cli_shuffle, cli_dedup, cli_words, cli_segment, cli_templates, cli_tokenize, cli_detokenize, cli_pack,
    cli_pretrain, cli_eval, cli_generate, cli_logits, cli_report, cli_runs, cli_inspect, cli_bench;

const cli_verb *const cli_verbs[] = {&cli_info,       &cli_shuffle,  &cli_dedup, &cli_words,    &cli_segment,  &cli_templates, &cli_tokenize,
                                     &cli_detokenize, &cli_pack,     &cli_pretrain, &cli_eval,  &cli_generate, &cli_logits,
                                     &cli_report, &cli_runs,   &cli_inspect,  &cli_bench,   NULL};
