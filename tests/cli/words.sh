#!/bin/sh
# Words, segmenting and templates as a user calls them.
set -eu
. "$WOK_SOURCE/tests/support/lib.sh"

# 22 pieces, each a twenty-second of the text: none can hold together a hundred times better than chance, hence --min-pmi
verses 3000 5 >verses.txt

part 'words'
ran 0 "$WOK" words verses.txt --min-count 20 --min-pmi 1,2,3 -o words.tsv
holds out 'words written to words.tsv'
equal 'the head line' "$(printf '#word\tcount\tcohesion\tleft\tright')" "$(head -n 1 words.tsv)"
equal 'columns' 5 "$(awk -F '\t' '{ if (NF > n) n = NF } END { print n }' words.tsv)"
equal 'descending counts' 0 "$(awk -F '\t' 'NR > 2 && $2 > last { bad++ } NR > 1 { last = $2 } END { print bad + 0 }' words.tsv)"
holds words.tsv 床前明月光
ran 0 "$WOK" words verses.txt --min-count 20 --min-pmi 1,2,3 --threads 1 --memory 32M -o again.tsv
same 'with less memory and one thread' words.tsv again.tsv
ran 0 "$WOK" words verses.txt --min-count 20 --min-pmi 1,2,3 --json
parses out .characters .words .bits_per_character .list.0.word .list.0.count
ran 0 "$WOK" words - --min-count 20 --min-pmi 1,2,3 --top 3 --format list --quiet <verses.txt
equal 'lines of --top 3' 3 "$(wc -l <out | tr -d ' ')"
ran 0 "$WOK" words verses.txt --method merges --merges 5 --format dict -o merged.txt
ran 0 "$WOK" words verses.txt --method pairs --no-entropies -o pairs.tsv
ran 0 "$WOK" words verses.txt --reference merged.txt --new-only --min-count 20 --min-pmi 1,2,3 -o new.tsv
equal "known words left out" 0 "$(cut -d " " -f 1 merged.txt | sort >known; grep -v "^#" new.tsv | cut -f 1 | sort | comm -12 - known | wc -l | tr -d " ")"

part 'partial counts'
head -n 1000 verses.txt >one
tail -n +1001 verses.txt >two
ran 0 "$WOK" words one --min-count 1 --save-counts one.counts --format list -o x
ran 0 "$WOK" words two --min-count 1 --counts one.counts --save-counts sum.counts --format list -o x
ran 0 "$WOK" words verses.txt --min-count 1 --save-counts whole.counts --format list -o x
same 'two parts and the whole' sum.counts whole.counts
patch one.counts 200 '\377'
refused 1 one.counts checksum -- "$WOK" words two --counts one.counts
refused 1 merged.txt 'file of counts' -- "$WOK" words two --counts merged.txt

part 'segment'
ran 0 "$WOK" words verses.txt --min-count 20 --min-pmi 1,2,3 --format dict -o dict.txt
ran 0 "$WOK" segment --dict dict.txt verses.txt
equal 'lines' 3000 "$(wc -l <out | tr -d ' ')"
tr -d ' ' <out >joined
same 'without the blanks it is the text' joined verses.txt
ran 0 "$WOK" segment --dict dict.txt verses.txt --report
holds out 'bits a character'
ran 0 "$WOK" segment --dict dict.txt verses.txt --json
parses out .tokens .types .bits_per_character
gzip -k verses.txt 2>/dev/null || gzip -c verses.txt >verses.txt.gz
ran 0 "$WOK" segment --dict dict.txt verses.txt.gz
tr -d ' ' <out >joined
same 'compressed' joined verses.txt
ran 0 "$WOK" segment --method jieba --dict "$WOK_SOURCE/tests/golden/segment_dict.txt" --hmm "$WOK_SOURCE/tests/golden/segment_tables" verses.txt
refused 2 --dict -- "$WOK" segment verses.txt
refused 1 'no-such' -- "$WOK" segment --dict no-such verses.txt
refused 1 'line 1' -- "$WOK" segment --dict words.tsv --method jieba --hmm verses.txt verses.txt

part 'templates'
printf '苹果 的 颜色 是 什么 呢\n香蕉 的 味道 是 什么 呢\n鸡蛋 可以 吃 吗\n牛肉 可以 煮 吗\n我 的 书\n谢谢\n' >six
ran 0 "$WOK" templates find six --window 3 --show-trivial -o six.tsv
holds six.tsv "$(printf '[X] 的 [X]\t3\t0.0000')" "$(printf '[X] 吗\t2')" "$(printf '谢谢\t1')"
ran 0 "$WOK" templates find six --window 3 --json
parses out .sentences .list.0.template .list.0.gain
ran 0 "$WOK" templates parse --templates six.tsv '香蕉 的 颜色 吗'
holds out '+---> (香蕉) 的 (颜色 吗)' '|     +---> (颜色) 吗'
ran 0 "$WOK" templates parse --templates six.tsv '香蕉 的 颜色 吗' --json
parses out .template .score .blocks.0.template
refused 2 --templates -- "$WOK" templates parse 'a b'
refused 2 "'cook'" -- "$WOK" templates cook six
refused 2 --dict -- "$WOK" templates find six --segmenter jieba
refused 1 'line 1' -- "$WOK" templates parse --templates verses.txt 'a b'

part 'wrong usage'
refused 2 --min-pmi "'x'" -- "$WOK" words verses.txt --min-pmi x
refused 2 --min-pmi -- "$WOK" words verses.txt --min-pmi 1,
refused 2 --documents -- "$WOK" words verses.txt --documents sep:
refused 2 --reference -- "$WOK" words verses.txt --new-only
refused 1 no-such-file -- "$WOK" words no-such-file

done_testing
