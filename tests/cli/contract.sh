#!/bin/sh
# The command's contract: exit statuses, options, help, JSON keys, and the files made from the same tables.
set -eu
. "$WOK_SOURCE/tests/support/lib.sh"

verbs='info shuffle dedup words segment templates tokenize detokenize pack pretrain eval generate logits report runs inspect bench'

part 'version and help'
ran 0 "$WOK" --version
equal 'the version line' "wok $(sed -n 's/^project(wok VERSION \([0-9.]*\).*/\1/p' "$WOK_SOURCE/CMakeLists.txt")" "$(cat out)"
equal 'the version on stderr' '' "$(cat err)"
cp out version
ran 0 "$WOK" -V
same '-V' out version
ran 0 "$WOK" --help
cp out help
# shellcheck disable=SC2086
for verb in $verbs; do
  holds help "  $verb "
done
equal 'the verbs in the help' "$(echo $verbs)" "$(awk '/^  [a-z]+ +[a-z]/ { if ($1 != "wok") printf "%s%s", n++ ? " " : "", $1 }' help)"
ran 0 "$WOK" help
same 'wok help' out help
ran 2 "$WOK"
same 'no verb: the help goes to stderr' err help
for verb in $verbs; do
  ran 0 "$WOK" "$verb" --help
  equal "stderr of wok $verb --help" '' "$(cat err)"
  holds out "usage: wok $verb" --threads --seed --json --quiet --memory
  cp out "help.$verb"
  ran 0 "$WOK" "$verb" -h
  same "wok $verb -h" out "help.$verb"
  ran 0 "$WOK" help "$verb"
  same "wok help $verb" out "help.$verb"
  checks=$((checks + 1))
  awk 'length($0) > 140 { bad++ } END { exit bad > 0 }' "help.$verb" || fault "no line over 140 bytes in wok $verb --help" "$(awk 'length($0) > 140' "help.$verb")"
done

part 'wrong usage: status 2 and one line'
refused 2 "'cook'" 'wok --help' -- "$WOK" cook
refused 2 "'cook'" 'wok --help' -- "$WOK" help cook
refused 2 "''" -- "$WOK" ''
refused 2 "'a b'" -- "$WOK" "$(printf 'a\nb')"
for verb in $verbs; do
  refused 2 '--no-such' "wok $verb --help" -- "$WOK" "$verb" --no-such
  refused 2 '-Z' "wok $verb --help" -- "$WOK" "$verb" -Z
  refused 2 --threads 'a whole number' "'many'" -- "$WOK" "$verb" --threads many
  refused 2 --threads 256 -- "$WOK" "$verb" --threads 1000
  refused 2 --threads 'needs a value' -- "$WOK" "$verb" --threads
  refused 2 --json 'no value' -- "$WOK" "$verb" --json=yes
  refused 2 --isa 'generic|avx2|avx512' "'sse'" -- "$WOK" "$verb" --isa sse
  refused 2 --memory 512M "'much'" -- "$WOK" "$verb" --memory much
  refused 2 --seed -- "$WOK" "$verb" --seed=-1
  refused 2 --seed -- "$WOK" "$verb" --seed 99999999999999999999
done
refused 2 'FILE...' -- "$WOK" pack
refused 2 '-o DIR' -- "$WOK" pack text
refused 2 --data -- "$WOK" pretrain -o run
refused 2 -o -- "$WOK" pretrain --data data
refused 2 --data -- "$WOK" eval --model run
refused 2 --model -- "$WOK" eval --data data
refused 2 --model -- "$WOK" generate
refused 2 'argument 1 is empty' -- "$WOK" pack '' -o data
refused 2 --model -- "$WOK" logits --ids 1
refused 2 --ids -- "$WOK" logits --model run
refused 2 --ids "'1,x'" -- "$WOK" logits --model run --ids 1,x
refused 2 --ids -- "$WOK" logits --model run --ids 1,
refused 2 RUN -- "$WOK" report
refused 2 "'b'" 'one argument too many' -- "$WOK" report a b
refused 2 DIR -- "$WOK" inspect
refused 2 --documents "'page'" -- "$WOK" pack text -o data --documents page
refused 2 --documents -- "$WOK" pack text -o data --documents sep:
refused 2 --hold-out 90 -- "$WOK" pack text -o data --hold-out 95
refused 2 --hold-out -- "$WOK" pack text -o data --hold-out nan
refused 2 --steps 1 -- "$WOK" pretrain --data data -o run --steps 0
refused 2 --preset 'nano|micro|small|base' -- "$WOK" pretrain --data data -o run --preset huge
refused 2 --preset --depth -- "$WOK" pretrain --data data -o run --preset nano --depth 2
refused 2 --arch gpt -- "$WOK" pretrain --data data -o run --arch bert
refused 2 --resume --overwrite -- "$WOK" pretrain --data data -o run --resume --overwrite
refused 2 --compute 'f32|bf16' -- "$WOK" pretrain --data data -o run --compute f8
refused 2 --split 'valid|train' -- "$WOK" eval --model run --data data --split test
refused 2 --top-p -- "$WOK" generate --model run --top-p 1.5
absent data run

part 'the ways to write an option'
words 300 1 >text
setup "$WOK" pack text --documents line --hold-out 10 -o data
cp -R data first
for form in '--documents=line --hold-out=10' '--hold-out 10.0 --documents line' '--seed 0 --threads=1 --documents line --hold-out 1e1'; do
  # shellcheck disable=SC2086
  ran 0 "$WOK" pack $form text -o data
  same "the shard made with $form" data/train.wok first/train.wok
done
ran 0 "$WOK" pack --documents line --hold-out 10 -odata -- text
same 'the shard made with -odata' data/train.wok first/train.wok
ran 0 "$WOK" pack --documents line --hold-out 10 --output=data - <text
same 'the shard made from standard input' data/train.wok first/train.wok
ran 0 "$WOK" pack --documents line --hold-out 10 -o data --tokenizer first/tokenizer.json text
same 'the shard made with a tokenizer.json' data/train.wok first/train.wok
ran 0 "$WOK" pack --documents line --hold-out 10 -o data --tokenizer first text
same 'the shard made with the directory of a tokenizer' data/train.wok first/train.wok
ran 0 "$WOK" pack --documents line --hold-out 10 --seed 5 -o data text
differ 'another seed holds out other documents' data/valid.wok first/valid.wok
ran 0 "$WOK" pack --documents line --hold-out 0 -o data --json text
equal 'held out with --hold-out 0' 0 "$(value out .valid.documents)"
ran 0 "$WOK" pack --documents line --no-hold-out -o data --json text
equal 'held out with --no-hold-out' 0 "$(value out .valid.documents)"
setup "$WOK" pack text --documents line --hold-out 10 -o data

part 'JSON for programs'
tiny='--preset nano --set num_hidden_layers=1 --set hidden_size=32 --set num_attention_heads=2 --set max_position_embeddings=64 --batch 2 --seq 32 --threads 1'
ran 0 "$WOK" pack text --documents line --json -o data.json
parses out .data .vocab_size .train.documents .train.tokens .train.bytes .train.chars .valid.documents .seconds
# shellcheck disable=SC2086
ran 0 "$WOK" pretrain --data data -o dry $tiny --steps 4 --dry-run --json
parses out .model_type .parameters .matmul_weights .state_bytes .plan_bytes .peak_bytes .tokens_per_step .flops_per_token .tokens_per_s .seconds
absent dry
# shellcheck disable=SC2086
ran 0 "$WOK" pretrain --data data -o run $tiny --steps 4 --eval-every 2 --json
parses out .run .step .loss .bits .valid_loss .valid_bits .best_valid_bits .tokens_per_s .gflops .seconds .peak_bytes .resumed
equal 'steps made' 4 "$(value out .step)"
ran 0 "$WOK" eval --model run --data data --json
parses out .model .split .documents .tokens .chars .bytes .loss .perplexity .bits .unit .accuracy .seconds
equal 'the unit' '"character"' "$(value out .unit)"
equal 'the split' '"valid"' "$(value out .split)"
ran 0 "$WOK" eval --model run --data data --split train --json
equal 'the split' '"train"' "$(value out .split)"
ran 0 "$WOK" eval --data data --baselines --json
parses out .baselines.uniform .baselines.unigram .baselines.bigram .baselines.trigram .baselines.kneser_ney
ran 0 "$WOK" generate --model run --prompt 'the ' --prompt it -n 3 --json
parses out .results.0.prompt .results.0.text .results.0.ids .results.0.stop .results.1.prompt .prompt_tokens .new_tokens .cache_bytes
equal 'the prompt in the answer' '"the "' "$(value out .results.0.prompt)"
ran 0 "$WOK" logits --model run --ids 1,2,3 --json
parses out .ids.0 .ids.1 .ids.2 .logits.0.0 .logits.2.0
cp out logits.json
vocab=$(value run/config.json .vocab_size)
equal 'rows of logits' 3 "$(flat logits.json | grep -c '^\.logits\.[0-9]* \[\]')"
equal 'numbers in all rows' $((3 * vocab)) "$(flat logits.json | grep -c '^\.logits\.[0-9]*\.')"
equal 'the keys of logits' '{} .ids .logits' "$(flat logits.json | awk '$1 == "{}" || $1 == ".ids" || $1 == ".logits" { printf "%s%s", n++ ? " " : "", $1 }')"
ran 0 "$WOK" report run --json
parses out .report
ran 0 "$WOK" runs . --json
parses out .0.run .0.model .0.state .0.parameters .0.step .0.steps .0.bits .0.best_bits .0.seconds .0.started_ms
ran 0 "$WOK" inspect data --json
parses out .path .kind .tokenizer .vocab_size .train.tokens .valid.tokens
ran 0 "$WOK" inspect run --json
parses out .path .kind .model_type .parameters .matmul_weights .vocab_size .hidden_size .num_hidden_layers .max_position_embeddings .roles.kernel
ran 0 "$WOK" inspect run --tensors --json
parses out .tensors.0.name .tensors.0.role .tensors.0.shape .tensors.0.count .tensors.0.rms
ran 0 "$WOK" inspect run --plan --json
parses out .kind .plan
ran 0 "$WOK" info --json
parses out .version .machine.cpu .machine.isa .machine.threads .machine.memory .gemm_gflops
ran 0 "$WOK" bench train --arch gpt --preset nano --vocab 300 --batch 2 --seq 32 --reps 2 --json
parses out .bench .machine.cpu .machine.load .result .rows.0.tokens_per_s .rows.0.gflops .rows.0.gemm_gflops .rows.0.utilisation \
  .rows.0.peak_bytes .rows.0.step.median_s .rows.0.step.low_s .rows.0.step.high_s .rows.0.others .rows.0.result
ran 0 "$WOK" bench generate --preset nano --prompt 8 --tokens 8 --reps 1 --json
parses out .bench .machine.cpu .rows.0.prefill_tokens_per_s .rows.0.decode_tokens_per_s
ran 0 "$WOK" bench attention --batch 1 --seq 32 --reps 1 --json
parses out .bench .machine.cpu .rows.0.forward_gflops .rows.0.backward_gflops
ran 0 "$WOK" bench gemm --m 64 --n 64 --k 64 --reps 2 --json
parses out .bench .machine.cpu .rows.0.m .rows.0.gflops .rows.0.layout
ran 0 "$WOK" bench norm --m 64 --n 32 --norm rms --reps 2 --json
parses out .bench .rows.0.forward.median_s .rows.0.forward_gb_per_s
ran 0 "$WOK" bench xent --m 64 --k 16 --vocab 50 --reps 2 --json
parses out .bench .rows.0.median_s .rows.0.gflops
ran 0 "$WOK" bench optim --n 5000 --reps 2 --json
parses out .bench .rows.0.step.median_s .rows.0.parameters
ran 0 "$WOK" bench second-order --net conv --batch 4 --reps 2 --json
parses out .bench .rows.0.step.median_s .rows.0.loss
ran 0 "$WOK" bench plan --chain 100 --reps 2 --json
parses out .bench .rows.0.operator_s
ran 0 "$WOK" bench plan --layers 3 --reps 1 --json
parses out .bench .rows.0.compile.median_s .rows.0.steps
ran 0 "$WOK" bench startup --reps 2 --json
parses out .bench .rows.0.version.median_s .rows.0.context.median_s
printf '# two rows\nm=8 n=16  # small\n\nnorm=rms m=8 n=16\n' >rows
ran 0 "$WOK" bench norm --shapes rows --reps 2 --json
parses out .rows.0.label .rows.1.norm .rows.1.forward.reps
printf 'm=8 wide=3\n' >rows
refused 2 --wide 'line 1 of rows' -- "$WOK" bench norm --shapes rows
refused 2 --shapes -- "$WOK" bench norm --shapes rows --m 5
refused 1 no-such -- "$WOK" bench norm --shapes no-such
refused 1 bf16 f32 -- "$WOK" bench norm --compute bf16 --m 8
printf 'm=8 n=8 k=8\nm=8\n' >rows
refused 2 'gemm takes all' 'line 2 of rows' -- "$WOK" bench gemm --shapes rows
refused 2 "'cook'" 'gemm' -- "$WOK" bench cook
refused 2 --m --n --k -- "$WOK" bench gemm --m 5 --quiet
refused 2 bf12 bf16x6 -- "$WOK" bench train --compute bf12 --preset nano

part 'no progress and no notes where nobody watches and --quiet is given'
# shellcheck disable=SC2086
ran 0 "$WOK" pretrain --data data -o quiet $tiny --steps 2 --quiet
equal 'stderr with --quiet' '' "$(cat err)"
ran 0 "$WOK" generate --model run --prompt it -n 3
equal 'stderr of generate' '' "$(cat err)"
ran 0 "$WOK" pack text --documents line -o data
equal 'stderr of pack' '' "$(cat err)"

part 'files made from the tables: tools/regenerate makes them again'
ran 0 "$WOK" --manual
same 'the manual page' out "$WOK_SOURCE/docs/man/wok.1"
for verb in $verbs; do
  holds out ".SS \"wok $verb"
done
ran 0 "$WOK" --completion bash
same 'the completion for bash' out "$WOK_SOURCE/tools/completion/wok.bash"
! command -v bash >/dev/null || ran 0 bash -n "$WOK_SOURCE/tools/completion/wok.bash"
ran 0 "$WOK" --completion zsh
same 'the completion for zsh' out "$WOK_SOURCE/tools/completion/_wok"
! command -v zsh >/dev/null || ran 0 zsh -n "$WOK_SOURCE/tools/completion/_wok"
refused 2 "'fish'" bash zsh -- "$WOK" --completion fish

done_testing
