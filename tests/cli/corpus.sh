#!/bin/sh
# wok shuffle and wok dedup as one uses them: pipes, kills, full disks, leaks.
set -eu
. "$WOK_SOURCE/tests/support/lib.sh"

mounts=
clean_up() {
  for mount in $mounts; do umount "$mount" 2>/dev/null || true; done
}
trap clean_up EXIT
trap 'exit 130' INT TERM

words 4000 1 >text
sort text >text.sorted

part 'files, pipes, samples'
ran 0 "$WOK" shuffle text -o one --seed 5
holds err '4000 records' 'seed 5'
sort one >one.sorted
same 'the lines' text.sorted one.sorted
differ 'the order' text one
ran 0 "$WOK" shuffle - -o - --seed 5 --quiet <text
same 'through pipes' one out
ran 0 "$WOK" shuffle text -o other --seed 6
differ 'another seed' one other
ran 0 "$WOK" shuffle text --check one
equal 'what --check says' "the same 4000 records ($(head -c 0 one)$(sed -n 's/.*(\(.*\))/\1/p' out))" "$(cat out)"
head -n 3999 one >less
refused 1 'not the same records' 4000 3999 -- "$WOK" shuffle text --check less
ran 0 "$WOK" shuffle text -o - -n 10 --seed 5 -q
cp out ten
head -n 10 one >ten.want
same 'a sample is the beginning of the order' ten.want ten
ran 0 "$WOK" shuffle text -o part.gz --shards 4 --hold-out 5% --hold-out-to held --seed 5 --json
parses out .records .bytes .out_records .held_records .files .memory .buckets .block .tmp_bytes .resumed .seed .seconds
equal 'held out' 200 "$(value out .held_records)"
ran 0 "$WOK" shuffle held part-*.gz -o all
ran 0 "$WOK" shuffle text --check all
printf 'a\0b\0' >nul
ran 0 "$WOK" shuffle -z nul -o nul.out
equal 'records that end with NUL' 4 "$(size nul.out)"
ran 0 "$WOK" shuffle text -o dry --dry-run
absent dry dry.wok-shuffle
if command -v xz >/dev/null && command -v bzip2 >/dev/null && command -v gzip >/dev/null; then
  for tool in gzip xz bzip2; do
    $tool -c text >packed # a name that says nothing
    ran 0 "$WOK" shuffle packed -o packed.out --seed 5
    same "packed by $tool" one packed.out
  done
else
  left_out 'packed inputs: gzip, xz or bzip2 is missing'
fi

part 'what is refused'
refused 2 '-o OUT' -- "$WOK" shuffle text
refused 2 'FILE...' -- "$WOK" shuffle -o out
refused 2 '--head' "'0'" -- "$WOK" shuffle text -o x --head 0
refused 2 '--hold-out' "'1x'" -- "$WOK" shuffle text -o x --hold-out 1x
refused 2 '--separator' -- "$WOK" shuffle text -o x --separator '\q'
refused 2 'choose one' -- "$WOK" shuffle text -o x --shards 2 --shard-records 5
refused 1 none -- "$WOK" shuffle none -o x
printf '\377\376a\0' >utf16
refused 1 'utf16: begins like UTF-16' -- "$WOK" shuffle utf16 -o x
head -c 100 part-00000.gz >cut
refused 1 'cut: the gzip data ends in the middle' -- "$WOK" shuffle cut -o x
absent x x.part x.wok-shuffle

part 'killed in each phase'
i=0
while [ $i -lt 100 ]; do
  sed "s/^/$i /" text
  i=$((i + 1))
done >big
ran 0 "$WOK" shuffle big -o straight --memory 2M --threads 1
# killed COMMAND...: kill -9 as soon as COMMAND succeeds
killed() {
  "$WOK" shuffle big -o killed --memory 2M ${resume:-} >out 2>err &
  pid=$!
  while ! "$@"; do
    kill -0 "$pid" 2>/dev/null || break
  done
  kill -9 "$pid" 2>/dev/null || true
  status_of "$pid"
  checks=$((checks + 1))
  case $status in
  137) ;;
  0) printf '  (it was done before it could be killed)\n' ;;
  *) fault 'a run that goes on until it is killed' "status $status: $(head -c 400 err)" ;;
  esac
}
resume=
killed test -s killed.wok-shuffle/journal
absent killed
resume=--resume
killed test -s killed.wok-shuffle/journal
killed test -s killed.wok-shuffle/place.json
ran 0 "$WOK" shuffle big -o killed --memory 2M --resume --json --threads 2
equal 'resumed' true "$(value out .resumed)"
same 'straight, and killed three times' straight killed
absent killed.wok-shuffle killed.part
for packed in killed.gz killed.zst; do
  "$WOK" shuffle big -o $packed --memory 4M --resume -q >out 2>err &
  pid=$!
  soon 60 test -s $packed.wok-shuffle/place.json || true
  kill -9 $pid 2>/dev/null || true
  status_of $pid
  ran 0 "$WOK" shuffle big -o $packed --memory 4M --resume -q
  ran 0 "$WOK" shuffle big -o straight.${packed#*.} -q
  same "$packed, straight and killed" straight.${packed#*.} $packed
done
resume=
killed test -s killed.wok-shuffle/journal
refused 1 'another seed or other options' -- "$WOK" shuffle big -o killed --memory 2M --resume --seed 7
touch big
refused 1 'the inputs are not those' -- "$WOK" shuffle big -o killed --memory 2M --resume
ran 0 "$WOK" shuffle big -o killed --memory 2M
same 'begun anew after a kill' straight killed
absent killed.wok-shuffle killed.part

part 'interrupted'
cp straight before
"$WOK" shuffle big -o straight --memory 2M >out 2>err &
pid=$!
soon 60 test -s straight.wok-shuffle/journal || true
kill -INT $pid 2>/dev/null || true
status_of $pid
case $status in
130) holds err 'interrupted; straight is as it was before' ;;
0) printf '  (it was done before it could be interrupted)\n' ;;
*) fault 'status 130' "$status" "$(cat err)" ;;
esac
same 'the output after an interruption' before straight
absent straight.wok-shuffle straight.part

part 'a full disk'
mkdir small
if mount -t tmpfs -o size=10m tmpfs small 2>/dev/null; then
  mounts=$PWD/small
  keep big
  refused 1 small 'are missing' -- "$WOK" shuffle big -o small/out --memory 2M
  refused 1 'needs' 'free' -- "$WOK" shuffle big -o elsewhere --tmp small --memory 2M
  refused 1 small 'no space left' 'more are needed' -- "$WOK" shuffle big -o small/out --memory 2M --force
  kept
  nothing_in small
  absent elsewhere
else
  left_out 'a full disk: no right to mount one'
fi

part 'dedup'
printf 'b\na\nb\nc\nA \na\n' >some
printf 'c\nd\nb\nd\n' >more
ran 0 "$WOK" dedup some more -o distinct
printf 'b\na\nc\nA \nd\n' >want
same 'the first of each' want distinct
holds out '10, 5 distinct' '5 kept'
ran 0 "$WOK" dedup some more --normal fold -o distinct
printf 'b\na\nc\nd\n' >want
same 'letter case and space' want distinct
ran 0 "$WOK" dedup some --test more -o train --test-output test --leaks leaks --json
parses out .train.records .train.distinct .train.leaked .train.kept .test.files .test.leaked .listed .memory .tmp_bytes .seconds
equal 'leaked test lines' 2 "$(value out .test.leaked)"
equal 'training lines that are in the test' 3 "$(value out .train.leaked)"
printf 'd\n' >want
same 'clean test lines' want test
printf 'file\trecord\tother_file\tother_record\nmore\t1\tsome\t4\nmore\t3\tsome\t1\n' >want
same 'the table of leaks' want leaks
ran 0 "$WOK" dedup some --test more --from train -o train.zst --test-output test
ran 0 "$WOK" shuffle train.zst -o train
printf 'A \na\n' >want
sort train >train.sorted
same 'taken from the training lines' want train.sorted
ran 0 "$WOK" dedup big big text --memory 8M -o distinct --json
equal 'kept of two copies' "$(cat big text | sort -u | wc -l | tr -d ' ')" "$(value out .train.kept)"
refused 2 'test files' -- "$WOK" dedup some --leaks x
refused 2 'read twice' -- "$WOK" dedup - -o x </dev/null
absent x

# the sentiment set: 680 of its 2,111 test rows are in its training part (white space at the ends aside)
data=${WOK_DATA:-$WOK_SOURCE/../shared/data}/zh.tar.xz
if [ -e "$data" ] && tar -xJf "$data" 2>/dev/null; then
  train=$(find . -name sentiment.train.data) test=$(find . -name sentiment.test.data)
  ran 0 "$WOK" dedup "$train" --test "$test" --field 1 --normal space --json
  equal 'sentiment: leaked test rows' 680 "$(value out .test.leaked)"
  equal 'sentiment: distinct training texts' 13963 "$(value out .train.distinct)"
else
  left_out "the sentiment set: $data is not here"
fi
done_testing
