#!/bin/sh
# wok tokenize and detokenize: every kind of file by the command, and packing with one.
set -eu
. "$WOK_SOURCE/tests/support/lib.sh"

part 'vocab.txt'
printf '[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nhello\nworld\n##s\n!\n中\n' >vocab.txt
printf 'Hello worlds!\n\n中 [MASK]\n' >text
ran 0 "$WOK" tokenize --tokenizer vocab.txt text
cat >want <<'END'
{"ids":[2,5,6,7,8,3],"pieces":["[CLS]","hello","world","##s","!","[SEP]"],"offsets":[[0,0],[0,5],[6,11],[11,12],[12,13],[0,0]]}
{"ids":[2,3],"pieces":["[CLS]","[SEP]"],"offsets":[[0,0],[0,0]]}
{"ids":[2,9,1,1,1,3],"pieces":["[CLS]","中","[UNK]","[UNK]","[UNK]","[SEP]"],"offsets":[[0,0],[0,1],[2,3],[3,7],[7,8],[0,0]]}
END
same 'lines of JSON' out want
ran 0 "$WOK" tokenize --json --tokenizer vocab.txt text
same 'the same with --json' out want
ran 0 "$WOK" tokenize --tokenizer vocab.txt --no-special --ids text
equal 'ids' '5 6 7 8||9 1 1 1|' "$(tr '\n' '|' <out)"
ran 0 "$WOK" tokenize --tokenizer vocab.txt --bert bert-hf --no-special --pieces text
equal 'a name in the text is the token' '中 [MASK]' "$(tail -n 1 out)"
ran 0 "$WOK" tokenize --tokenizer vocab.txt --no-special --whole --ids text
equal 'the whole as one' '5 6 7 8 9 1 1 1' "$(cat out)"
ran 0 "$WOK" tokenize --tokenizer vocab.txt --offsets bytes --no-special text
holds out '"offsets":[[0,3],[4,5],[5,9],[9,10]]'
printf 'hello\tworld\n' >pair
ran 0 "$WOK" tokenize --tokenizer vocab.txt --pair "$(printf '\t')" pair
holds out '"ids":[2,5,3,6,3]' '"types":[0,0,0,1,1]'
ran 0 "$WOK" tokenize --tokenizer vocab.txt --max-length 4 --ids text
equal 'cut' '2 5 6 3' "$(head -n 1 out)"
ran 0 "$WOK" tokenize --tokenizer vocab.txt --ids --threads 2 text -q
cp out ids
ran 0 "$WOK" detokenize --tokenizer vocab.txt ids
equal 'back' 'hello worlds!' "$(head -n 1 out)"
ran 0 "$WOK" detokenize --tokenizer vocab.txt --special ids
equal 'back with special tokens' '[CLS] hello worlds! [SEP]' "$(head -n 1 out)"

part 'GPT-2 files, and a directory of them'
mkdir gpt2
printf '{"h":0,"e":1,"l":2,"o":3,"\304\240":4,"he":5,"ll":6,"hell":7,"<|endoftext|>":8}' >gpt2/vocab.json
printf '#version: 0.2\nh e\nl l\nhe ll\n' >gpt2/merges.txt
printf 'hello he\n' >line
for path in gpt2 gpt2/vocab.json; do
  ran 0 "$WOK" tokenize --tokenizer "$path" line
  equal "$path" '{"ids":[7,3,4,5],"pieces":["hell","o","Ġ","he"],"offsets":[[0,4],[4,5],[5,6],[6,8]]}' "$(cat out)"
done
ran 0 sh -c "'$WOK' tokenize --tokenizer gpt2 --ids line | '$WOK' detokenize --tokenizer gpt2 -"
equal 'there and back' 'hello he' "$(cat out)"

part 'pack with it'
{ words 300 3; words 300 4; } | tr 'a-z' 'hello' >corpus
ran 0 "$WOK" pack corpus --tokenizer gpt2 --documents line -o data --json
equal 'the vocabulary' 9 "$(value out .vocab_size)"
ran 0 "$WOK" inspect data
holds out 'tokenizer BPE'
ran 0 "$WOK" tokenize --tokenizer data --ids line
equal 'the tokenizer in the data' '7 3 4 5' "$(cat out)"
for n in 1 2; do ran 0 "$WOK" pack corpus --tokenizer gpt2 --documents line -o data$n --threads $n; done
same 'the same shards on any number of threads' data1/train.wok data2/train.wok

part 'what is refused'
refused 1 'vocab.bin' 'no such file' -- "$WOK" tokenize --tokenizer vocab.bin text
refused 2 --tokenizer -- "$WOK" tokenize text
refused 2 -- "$WOK" tokenize --tokenizer vocab.txt
refused 1 missing 'opened' -- "$WOK" tokenize --tokenizer vocab.txt missing
printf 'x' >bad.model
refused 1 'bad.model' 'damaged' -- "$WOK" tokenize --tokenizer bad.model text
printf '{"version":"1.0","normalizer":{"type":"Rot13"},"model":{"type":"BPE","vocab":{"a":0},"merges":[]}}' >odd.json
refused 1 'odd.json' 'normalizer Rot13 is not known' -- "$WOK" tokenize --tokenizer odd.json text
printf '99\n' >ids
refused 1 'id 99' -- "$WOK" detokenize --tokenizer vocab.txt ids
printf '{"version":"1.0","model":{"type":"BPE","vocab":{"a":0},"merges":[]}}' >plain.json
refused 1 'ends a document' -- "$WOK" pack text --tokenizer plain.json -o d
done_testing
