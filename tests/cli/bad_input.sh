#!/bin/sh
# Bad input: one clear line that says what, where and what to do; status 1; what was there before is untouched.
set -eu
. "$WOK_SOURCE/tests/support/lib.sh"

tiny='--preset nano --set num_hidden_layers=1 --set hidden_size=32 --set num_attention_heads=2 --set max_position_embeddings=64
  --batch 2 --seq 64 --threads 1 --quiet'
words 200 5 >text
setup "$WOK" pack text --documents line -o data
# shellcheck disable=SC2086
setup "$WOK" pretrain --data data -o run $tiny --steps 4 --eval-every 2
mkdir model
cp run/config.json run/model.safetensors run/tokenizer.json model
cp -R data was-data

part 'corpora'
keep data
: >empty
refused 1 'nothing to pack' empty -- "$WOK" pack empty -o data
printf '\n\n\r\n\n' >blank
refused 1 'nothing to pack' blank -- "$WOK" pack blank empty --documents blank -o data
printf 'good \303\251\nbad \303\050 text\n' >latin
refused 1 latin UTF-8 'byte 12' 0xC3 'bytes' -- "$WOK" pack text latin -o data
printf 'cut \346\227' >cut
refused 1 cut UTF-8 'byte 4' -- "$WOK" pack cut -o data
refused 1 'standard input' UTF-8 -- "$WOK" pack - -o data <latin
refused 1 no-such-file 'no such file' -- "$WOK" pack text no-such-file -o data
refused 1 was-data directory -- "$WOK" pack was-data -o data
refused 1 'standard input' once -- "$WOK" pack - - -o data </dev/null
refused 1 'too little text' 'hold nothing out' -- "$WOK" pack --hold-out 5 -o data - <<'END'
short
END
refused 1 data/train.wok -- "$WOK" pack data/train.wok -o other
refused 1 tokenizer -- "$WOK" pack text --tokenizer no-such-tokenizer.json -o data
printf '{"version":"1.0","model":{"type":"Unigram","vocab":[]}}' >foreign.json
refused 1 foreign.json -- "$WOK" pack text --tokenizer foreign.json -o data
printf '{"version":"1.0","model":{' >broken.json
refused 1 broken.json -- "$WOK" pack text --tokenizer broken.json -o data
refused 1 text line -- "$WOK" pack text --tokenizer text -o data
refused 1 text directory -- "$WOK" pack text -o text
kept
absent other

part 'small and strange corpora that are welcome'
printf 'just this one line' >one
ran 0 "$WOK" pack one --no-hold-out --json -o small
equal 'characters' 18 "$(value out .train.chars)"
equal 'tokens' 19 "$(value out .train.tokens)"
printf 'a\000b\000\n\000c\000\000' >zeros
ran 0 "$WOK" pack zeros --documents line --no-hold-out --json -o small
equal 'bytes of a text with NUL in it' 8 "$(value out .train.bytes)"
ran 0 "$WOK" pack zeros --tokenizer bytes --no-hold-out --json -o small
equal 'tokens of a text with NUL in it' 10 "$(value out .train.tokens)"
printf '\357\273\277line\r\nother\r\n' >marked
ran 0 "$WOK" pack marked --documents line --no-hold-out --json -o small
equal 'characters without byte order mark and carriage returns' 9 "$(value out .train.chars)"
words 12000 6 | tr '\n' ' ' >line
cat line line line line line line line line line line line line line line line line line line line line line line line line line line >long
[ "$(size long)" -gt 10000000 ] || give_up "a line of 10 MB, not of $(size long)"
ran 0 "$WOK" pack long --documents line --json -o small
equal 'bytes of one line of over 10 MB' "$(size long)" "$(($(value out .train.bytes) + $(value out .valid.bytes)))"
rm -f line long

part 'directories that are not ours'
mkdir other
echo mine >other/notes
keep other
refused 1 other 'not made by wok pack' -- "$WOK" pack text -o other
# shellcheck disable=SC2086
refused 1 data 'packed data' -- "$WOK" pretrain --data data -o data $tiny --steps 2
# shellcheck disable=SC2086
refused 1 model directory -- "$WOK" pretrain --data data -o model $tiny --steps 2
kept
echo mine >data/notes
keep data
refused 1 data notes -- "$WOK" pack text -o data
kept
rm data/notes
refused 1 other data.json -- "$WOK" pretrain --data other -o new
refused 1 none 'no such' -- "$WOK" pretrain --data none -o new
refused 1 text -- "$WOK" pretrain --data text -o new
refused 1 none config.json -- "$WOK" generate --model none
refused 1 data config.json -- "$WOK" eval --model data --data data
refused 1 none 'no such directory' -- "$WOK" inspect none
refused 1 other -- "$WOK" inspect other
refused 1 none -- "$WOK" report none
refused 1 other -- "$WOK" report other
refused 1 none -- "$WOK" runs none
refused 1 'no directory runs' -- "$WOK" runs
absent new

part 'shards'
# damaged NAME OFFSET BYTES TEXT...: a patched train.wok is refused by `inspect --verify` and by `pretrain`
damaged() {
  damaged_name=$1
  cp -R data bad
  patch bad/train.wok "$2" "$3"
  shift 3
  keep bad
  refused 1 bad/train.wok "$@" -- "$WOK" inspect bad --verify
  # shellcheck disable=SC2086
  refused 1 bad/train.wok "$@" -- "$WOK" pretrain --data bad -o new $tiny --steps 200
  kept
  rm -rf bad new
}
damaged magic 0 X 'not a token shard'
damaged version 8 '\007' 'version 7'
damaged 'number of tokens' 16 '\001' checksum 'pack the corpus again'
damaged 'number of documents' 24 '\001' checksum
damaged 'vocabulary' 48 '\001' checksum
damaged 'place of a section' 80 '\377' checksum
damaged 'a reserved byte' 130 '\001' checksum
damaged 'the checksum of the header' 248 '\001\002' checksum
damaged 'a token' 300 '\377\377' block damaged 'pack the corpus again'
damaged 'a checksum of a block' $(($(size data/train.wok) - 3)) '\001\002' checksum
last=$(size data/train.wok)
cp -R data bad
for length in 0 1 7 8 100 255 256 257 1000 $((last / 2)) $((last - 9)) $((last - 8)) $((last - 1)); do
  head -c "$length" data/train.wok >bad/train.wok
  refused 1 bad/train.wok -- "$WOK" inspect bad
done
{ cat data/train.wok; printf x; } >bad/train.wok
refused 1 bad/train.wok 'added' -- "$WOK" inspect bad
cp data/train.wok bad/train.wok
rm bad/valid.wok
refused 1 bad/valid.wok -- "$WOK" inspect bad
mkdir bad/valid.wok
refused 1 bad/valid.wok directory -- "$WOK" inspect bad
rm -rf bad
cp -R data bad
sed 's/"version": *1/"version": 9/' data/data.json >bad/data.json
refused 1 bad/data.json 'version 9' -- "$WOK" inspect bad
echo '{' >bad/data.json
refused 1 bad/data.json -- "$WOK" inspect bad
cp data/data.json bad/data.json
setup "$WOK" pack text --tokenizer bytes -o bytes
cp bytes/tokenizer.json bad/tokenizer.json
refused 1 bad tokenizer 'pack the corpus again' -- "$WOK" inspect bad
rm -rf bad

part 'models'
header=$(od -An -tu8 -N8 model/model.safetensors | tr -d ' ')
# refuses_model TEXT...: ./bad is refused by every verb that opens a model, and stays as it is
refuses_model() {
  keep bad
  refused 1 "$@" -- "$WOK" inspect bad
  refused 1 "$@" -- "$WOK" generate --model bad --prompt it
  refused 1 "$@" -- "$WOK" logits --model bad --ids 1
  refused 1 "$@" -- "$WOK" eval --model bad --data data
  kept
  rm -rf bad
}
cp -R model bad
rm bad/model.safetensors
refuses_model bad/model.safetensors
cp -R model bad
rm bad/config.json
refused 1 bad/config.json -- "$WOK" generate --model bad
rm -rf bad
cp -R model bad
rm bad/tokenizer.json
refused 1 bad/tokenizer.json -- "$WOK" generate --model bad
rm -rf bad
cp -R model bad
cp bytes/tokenizer.json bad/tokenizer.json
refused 1 tokenizer vocabulary -- "$WOK" generate --model bad
rm -rf bad
refused 1 tokenizer -- "$WOK" eval --model model --data bytes
cp -R model bad
sed 's/"n_layer": *1/"n_layer": 2/' model/config.json >bad/config.json
differ 'a config of two layers' model/config.json bad/config.json
refuses_model bad/model.safetensors 'h.1.' 'is missing' config.json
cp -R model bad
sed 's/h\.0\.ln_1\.bias/h.0.ln_X.bias/' model/model.safetensors >bad/model.safetensors
differ 'a renamed tensor' model/model.safetensors bad/model.safetensors
refuses_model bad/model.safetensors 'h.0.ln_1.bias is missing' 'h.0.ln_X.bias is unexpected'
# shellcheck disable=SC2086
setup "$WOK" pretrain --data data -o two $tiny --set num_hidden_layers=2 --steps 1
cp -R model bad
cp two/model.safetensors bad/model.safetensors
refuses_model bad/model.safetensors 'h.1.' 'is unexpected' 'and '
cp -R model bad
sed 's/"n_inner": *[a-z0-9]*/"n_inner": 96/' model/config.json >bad/config.json
differ 'a config of another inner size' model/config.json bad/config.json
refuses_model bad/model.safetensors 'mlp' '96'
cp -R model bad
patch bad/model.safetensors $((8 + header + 4 * 33)) '\000\000\300\177'
refuses_model bad/model.safetensors 'not a finite number' '['
cp -R model bad
patch bad/model.safetensors $((8 + header)) '\000\000\200\377'
refuses_model bad/model.safetensors 'not a finite number'
last=$(size model/model.safetensors)
cp -R model bad
for length in 0 4 7 8 9 $((8 + header / 2)) $((7 + header)) $((8 + header)) $((9 + header)) $((last / 2)) $((last - 1)); do
  head -c "$length" model/model.safetensors >bad/model.safetensors
  refused 1 bad/model.safetensors -- "$WOK" inspect bad
done
{ cat model/model.safetensors; printf x; } >bad/model.safetensors
refused 1 bad/model.safetensors -- "$WOK" inspect bad
cp model/model.safetensors bad/model.safetensors
patch bad/model.safetensors 0 '\377\377\377\377\377\377\377\177'
refused 1 bad/model.safetensors header -- "$WOK" inspect bad
for length in 0 1 50 $(($(size model/config.json) - 3)); do
  head -c "$length" model/config.json >bad/config.json
  refused 1 bad/config.json -- "$WOK" inspect bad
done
for json in '[]' '{}' '{"model_type":"gpt2"}' '{"model_type":"bert","hidden_size":8}' '{"model_type":7}'; do
  printf '%s' "$json" >bad/config.json
  refused 1 bad/config.json -- "$WOK" inspect bad
done
for change in '"n_embd": 33' '"n_embd": -1' '"n_embd": "wide"' '"n_head": 0' '"n_layer": 1e3' '"vocab_size": 99999999999'; do
  key=${change%%:*}
  sed "s/$key: *[0-9]*/$change/" model/config.json >bad/config.json
  differ "a config with $change" model/config.json bad/config.json
  refused 1 bad/config.json -- "$WOK" inspect bad
done
rm -rf bad

part 'absurd sizes: the memory needed is named before anything is allocated'
# bounded COMMAND...: with so little address space that allocating first would fail otherwise
bounded() { (ulimit -v 3000000 && exec "$@"); }
ran 0 bounded "$WOK" inspect model
cp -R model bad
sed 's/"n_embd": *[0-9]*/"n_embd": 32768/; s/"n_layer": *[0-9]*/"n_layer": 500/; s/"n_inner": *[0-9]*/"n_inner": null/' model/config.json >bad/config.json
refused 1 bad parameters needs 'this machine has' -- bounded "$WOK" inspect bad
sed 's/"n_embd": *[0-9]*/"n_embd": 1048576/; s/"n_layer": *[0-9]*/"n_layer": 4096/; s/"n_inner": *[0-9]*/"n_inner": null/' model/config.json >bad/config.json
refused 1 bad parameters needs 'beyond any machine' -- bounded "$WOK" inspect bad
rm -rf bad
# shellcheck disable=SC2086
refused 1 parameters needs 'this machine has' 'smaller' -- bounded "$WOK" pretrain --data data -o new --depth 256 --threads 1 --quiet
refused 1 parameters needs 'this machine has' 'smaller' -- bounded "$WOK" pretrain --data data -o new --depth 200 --dry-run --threads 1 --quiet
refused 1 parameters needs 'machine' -- bounded "$WOK" pretrain --data data -o new --set hidden_size=1048576 --set num_hidden_layers=4096 --threads 1 --quiet
refused 1 batch needs 'this machine has' 'would fit' -- bounded "$WOK" pretrain --data data -o new --batch 524288 --seq 256 --threads 1 --quiet
refused 1 batch needs 'the memory limit is' 'would fit' -- "$WOK" pretrain --data data -o new --batch 64 --memory 60M --threads 1 --quiet
refused 1 needs 'memory limit' 'smaller model' -- "$WOK" pretrain --data data -o new --memory 1M --threads 1 --quiet
refused 1 needs limit -- "$WOK" generate --model model --prompt it --memory 1K
nothing_in new
# shellcheck disable=SC2086
ran 0 "$WOK" pretrain --data data -o new $tiny --steps 1 --memory 1G
rm -rf new

part 'options that do not fit'
refused 1 hidden_size 33 num_attention_heads -- "$WOK" pretrain --data data -o new --set hidden_size=33
refused 1 num_attention_heads 4 num_key_value_heads 3 -- "$WOK" pretrain --data data -o new --set num_key_value_heads=3
refused 1 no_such_option hidden_size -- "$WOK" pretrain --data data -o new --set no_such_option=1
refused 1 'name=value' -- "$WOK" pretrain --data data -o new --set hidden_size
refused 1 layer.9 '0 to 3' -- "$WOK" pretrain --data data -o new --set layer.9/gated=true
refused 1 seq 512 256 positions -- "$WOK" pretrain --data data -o new --seq 512 --quiet
refused 1 batch 8 3 -- "$WOK" pretrain --data data -o new --accumulate 3 --quiet
refused 2 bf12 bf16x6 -- "$WOK" pretrain --data data -o new --compute bf12 --quiet
refused 1 sample 1 positions -- "$WOK" pretrain --data data -o new --sample "$(head -c 1000 text)" --quiet
nothing_in new
setup "$WOK" pack one --no-hold-out -o small
# shellcheck disable=SC2086
ran 0 "$WOK" pretrain --data small -o little $tiny --steps 2
refused 1 small held -- "$WOK" eval --model little --data small
refused 1 small held -- "$WOK" eval --data small --baselines

part 'prompts'
refused 1 prompt 64 positions 'shorten' -- "$WOK" generate --model model --prompt "$(head -c 64 text)"
ran 0 "$WOK" generate --model model --prompt "$(head -c 63 text | tr '\n' ' ')" -n 5
refused 1 'prompt 2' positions -- "$WOK" generate --model model --prompt it --prompt "$(head -c 100 text)"
refused 1 'prompt 1' UTF-8 'byte 1' -- "$WOK" generate --model model --prompt "$(printf 'a\377b')"
ran 0 "$WOK" generate --model model --prompt '路遥 𝄞 é' -n 5 --greedy
holds out '路遥 𝄞 é'
refused 1 no-such-file -- "$WOK" generate --model model --prompts no-such-file
refused 1 empty 'no prompts' -- "$WOK" generate --model model --prompts empty
refused 1 'id 99999' vocabulary -- "$WOK" logits --model model --ids 1,99999
refused 1 65 64 positions -- "$WOK" logits --model model --ids "$(seq -s , 1 65)"
ran 0 "$WOK" generate --model model --prompt it -n 1000 --ignore-eod --json
equal 'a long answer ends with the positions' '"positions"' "$(value out .results.0.stop)"

part 'more threads than cores, and lower instruction sets'
for n in 3 16 64; do
  ran 0 "$WOK" generate --model model --prompt it --greedy -n 5 --threads $n
  [ "$n" = 3 ] || same "the text with $n threads" out with3
  [ "$n" != 3 ] || cp out with3
done
# shellcheck disable=SC2086
ran 0 "$WOK" pretrain --data data -o many $tiny --threads 33 --steps 4 --eval-every 2
same 'the model trained with 33 threads' many/model.safetensors run/model.safetensors

same 'the data at the end of it all' data/train.wok was-data/train.wok
done_testing
