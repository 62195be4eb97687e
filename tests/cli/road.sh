#!/bin/sh
# The whole road on a small text: pack, look, plan, train, evaluate, continue, report.
set -eu
. "$WOK_SOURCE/tests/support/lib.sh"

part 'pack'
words 400 7 >english
verses 400 7 >chinese
ran 0 "$WOK" pack english chinese --documents line --json -o data
parses out .vocab_size
cp out pack.json
equal 'documents in all' 800 "$(($(value out .train.documents) + $(value out .valid.documents)))"
equal 'held-out documents, 5 %' 40 "$(value out .valid.documents)"
equal 'bytes in all, line ends not counted' $(($(size english) + $(size chinese) - 800)) "$(($(value out .train.bytes) + $(value out .valid.bytes)))"
ran 0 "$WOK" pack english chinese --documents line -o data
equal 'lines about it' 3 "$(wc -l <out | tr -d ' ')"
holds out training 'held out' vocabulary data

part 'inspect data'
ran 0 "$WOK" inspect data --verify
holds out 'every checksum right' train valid
ran 0 "$WOK" inspect data --json
equal 'the vocabulary' "$(value pack.json .vocab_size)" "$(value out .vocab_size)"
equal 'training tokens' "$(value pack.json .train.tokens)" "$(value out .train.tokens)"
equal 'tokens are characters and end marks, where none is rare' $(($(value out .train.chars) + $(value out .train.documents))) "$(value out .train.tokens)"

part 'what it would need'
size='--preset nano --set num_hidden_layers=2 --set hidden_size=64 --set max_position_embeddings=128 --batch 4 --seq 64'
# shellcheck disable=SC2086
ran 0 "$WOK" pretrain --data data -o run $size --steps 40 --dry-run
holds out parameters 'peak memory' 'to the end' 'nothing was written'
absent run

part 'train'
# shellcheck disable=SC2086
ran 0 "$WOK" pretrain --data data -o run $size --steps 40 --eval-every 20 --dropout 0.1 --baselines --sample 'it was ' --sample '床前'
holds out '40 steps' 'wok report run' 'wok generate --model run'
for file in config.json model.safetensors tokenizer.json log.jsonl checkpoint/model.safetensors checkpoint/optimizer.safetensors \
  checkpoint/state.json best/config.json best/model.safetensors best/tokenizer.json; do
  checks=$((checks + 1))
  [ -s "run/$file" ] || fault "run/$file" "$(ls run run/checkpoint run/best 2>&1 | tr '\n' ' ')"
done
checks=$((checks + 1))
ls run/events.out.tfevents.* >/dev/null 2>&1 || fault 'TensorBoard events in run' "$(ls run | tr '\n' ' ')"
equal 'steps in the log' "$(seq 1 40 | tr '\n' ' ')" "$(sed -n 's/.*"type": *"step".*"step": *\([0-9]*\).*/\1/p' run/log.jsonl | tr '\n' ' ')"
while IFS= read -r line; do
  printf '%s\n' "$line" >line
  parses line .type .time
done <run/log.jsonl
same 'the model of the run and of its checkpoint' run/model.safetensors run/checkpoint/model.safetensors

part 'a run is not overwritten unless asked'
keep run data
# shellcheck disable=SC2086
refused 1 'run holds a run' 'step 40' resume overwrite -- "$WOK" pretrain --data data -o run $size --steps 40 --quiet
kept
# shellcheck disable=SC2086
ran 0 "$WOK" pretrain --data data -o run $size --steps 20 --eval-every 20 --overwrite --json
equal 'steps of the new run' 20 "$(value out .step)"
# shellcheck disable=SC2086
ran 0 "$WOK" pretrain --data data -o run $size --steps 40 --eval-every 20 --resume --json
equal 'a finished run goes on with more steps' 40 "$(value out .step)"
equal 'and says so' true "$(value out .resumed)"

part 'evaluate'
ran 0 "$WOK" eval --model run --data data --baselines --json
cp out eval.json
less 'the model learned something: bits below the uniform model' "$(value eval.json .bits)" "$(value eval.json .baselines.uniform)"
less 'n-gram models in their order' "$(value eval.json .baselines.bigram)" "$(value eval.json .baselines.unigram)"
equal 'tokens evaluated' "$(value pack.json .valid.tokens)" "$(value eval.json .tokens)"
for batch in 1 5; do
  ran 0 "$WOK" eval --model run --data data --batch $batch --json
  checks=$((checks + 1))
  awk -v a="$(value out .loss)" -v b="$(value eval.json .loss)" 'BEGIN { exit !((a - b) ^ 2 < 1e-10 * b * b) }' ||
    fault "the loss with --batch $batch is that of --batch 8" "$(value out .loss), not $(value eval.json .loss)"
done
ran 0 "$WOK" eval --model run/best --data data
holds out 'bits per character' perplexity

part 'continue'
ran 0 "$WOK" generate --model run --prompt 'it was ' --greedy -n 40
cp out greedy
ran 0 "$WOK" generate --model run --prompt 'it was ' --greedy -n 40
same 'greedy twice' out greedy
ran 0 "$WOK" generate --model run --prompt 'it was ' -n 40 --seed 11
cp out seed11
ran 0 "$WOK" generate --model run --prompt 'it was ' -n 40 --seed 11 --threads 1
same 'the same seed' out seed11
ran 0 "$WOK" generate --model run --prompt 'it was ' -n 40 --seed 12
differ 'another seed' out seed11
ran 0 "$WOK" generate --model run --prompt 'it was ' -n 40 --seed 11 --temperature 0.8 --top-k 20 --top-p 0.9 --repetition-penalty 1.2
for prompt in 'it was ' '床前' ''; do
  ran 0 "$WOK" generate --model run --prompt "$prompt" --greedy -n 20 --ignore-eod --json
  value out .results.0.ids.19
  value out .results.0.text
done >alone
ran 0 "$WOK" generate --model run --prompt 'it was ' -p '床前' --prompt='' --greedy -n 20 --ignore-eod --json
for i in 0 1 2; do
  value out ".results.$i.ids.19"
  value out ".results.$i.text"
done >together
same 'prompts alone and together' together alone
printf 'it was \n床前\n' >prompts
ran 0 "$WOK" generate --model run --prompts prompts --greedy -n 20 --ignore-eod
cp out from_file
ran 0 "$WOK" generate --model run --prompts - --greedy -n 20 --ignore-eod <prompts
same 'prompts from a file and from standard input' out from_file
ran 0 "$WOK" generate --model run --prompt 'it was ' --greedy -n 20 --ignore-eod
cp out streamed
ran 0 "$WOK" generate --model run --prompt 'it was ' --greedy -n 20 --ignore-eod --json
equal 'streamed text and the text in the JSON' "$(cat streamed)" "$(value out .results.0.prompt | tr -d '"')$(value out .results.0.text | tr -d '"')"
ran 0 "$WOK" generate --model run
checks=$((checks + 1))
[ -s out ] || fault 'a new document without a prompt' 'nothing'

part 'logits'
end=$(value run/tokenizer.json .added_tokens.0.id)
ran 0 "$WOK" generate --model run --greedy -n 3 --ignore-eod --json
id0=$(value out .results.0.ids.0) id1=$(value out .results.0.ids.1) id2=$(value out .results.0.ids.2)
ran 0 "$WOK" logits --model run --ids "$end,$id0,$id1" --json
cp out logits.json
for row in 0 1 2; do
  eval "want=\$id$row"
  # shellcheck disable=SC2154
  equal "the most probable token of row $row is what greedy generation took" "$want" \
    "$(flat logits.json | awk -v p=".logits.$row." 'index($1, p) == 1 { x = $2 + 0; if (!n++ || x > best) { best = x; i = substr($1, length(p) + 1) } } END { print i }')"
done
ran 0 "$WOK" logits --model run --ids "$end,$id0" --json
equal 'the first rows do not depend on later ids' "$(flat logits.json | grep '^\.logits\.[01]\.' | cksum)" "$(flat out | grep '^\.logits\.[01]\.' | cksum)"
ran 0 "$WOK" logits --model run --ids "$end"
holds out logsumexp

part 'text that comes out is whole UTF-8 wherever it is cut'
ran 0 "$WOK" pack chinese --tokenizer bytes --documents line -o bytes
# shellcheck disable=SC2086
setup "$WOK" pretrain --data bytes -o run-bytes $size --steps 20 --eval-every 20 --seed 3 --quiet
for n in 1 2 3 4 5 6 7 8 9 20; do
  ran 0 "$WOK" generate --model run-bytes --prompt '床' -n $n --temperature 2 --ignore-eod --seed $n
  checks=$((checks + 1))
  iconv -f UTF-8 -t UTF-8 out >/dev/null 2>&1 || fault "UTF-8 after $n bytes" "$(od -An -tx1 out | tr '\n' ' ')"
  ran 0 "$WOK" generate --model run-bytes --prompt '床' -n $n --temperature 2 --ignore-eod --seed $n --json
  parses out .results.0.text
done
ran 0 "$WOK" eval --model run-bytes --data bytes --json
equal 'the unit of bytes' '"byte"' "$(value out .unit)"

part 'report'
ran 0 "$WOK" report run
equal 'where the page is' run/report.html "$(cat out)"
ran 0 "$WOK" report run -o page.html
same 'the page under another name' page.html run/report.html
holds page.html '<!DOCTYPE html>' '<svg' '</html>'
checks=$((checks + 1))
! grep -E -i -q "(src|href|action|data|poster|srcset) *= *[\"']?(https?:)?//|@import|url\( *[\"']?(https?:)?//|<script[^>]*src|<link|<iframe" page.html ||
  fault 'a page that loads nothing' "$(grep -E -i -o "(src|href)=[^ >]*|<link[^>]*>|<script[^>]*>" page.html | head -n 5)"

part 'runs'
ran 0 "$WOK" runs .
holds out run run-bytes 40/40 done
ran 0 "$WOK" runs . --json
equal 'runs' 2 "$(flat out | grep -c '^\.[0-9]* {}')"
mkdir none
ran 0 "$WOK" runs none --json
equal 'no runs' ' []' "$(flat out)"

part 'inspect the model'
ran 0 "$WOK" inspect run
holds out gpt2 '2 layers' 'hidden 64' parameters kernel embedding
ran 0 "$WOK" inspect run --tensors
holds out rms kernel gain
ran 0 "$WOK" inspect run --plan --seq 32
holds out 'plan forward' 'memory:' 'largest values'
ran 0 "$WOK" inspect run --dot graph.dot --seq 32
holds graph.dot digraph
ran 0 "$WOK" inspect run --dot - --seq 32
same 'the graph on standard output' out graph.dot
ran 0 "$WOK" inspect run --plan --seq 32 --json
parses out .plan
refused 1 200 128 positions -- "$WOK" inspect run --plan --seq 200
ran 0 "$WOK" inspect run/checkpoint
ran 0 "$WOK" inspect run/best

part 'the other style, and layers that differ'
# shellcheck disable=SC2086
ran 0 "$WOK" pretrain --data data -o llama $size --style llama --set num_key_value_heads=2 --steps 10 --eval-every 10 --accumulate 2 --schedule linear --quiet
equal 'its type' '"llama"' "$(value llama/config.json .model_type)"
# shellcheck disable=SC2086
ran 0 "$WOK" pretrain --data data -o mixed $size --set layer.1/num_key_value_heads=1 --set norm=rms --steps 10 --eval-every 10 --quiet
equal 'its type' '"wok-gpt"' "$(value mixed/config.json .model_type)"
ran 0 "$WOK" generate --model llama --prompt it -n 5 --greedy
ran 0 "$WOK" generate --model mixed --prompt it -n 5 --greedy
ran 0 "$WOK" generate --model mixed --prompt it -n 5 --greedy --isa generic

done_testing
