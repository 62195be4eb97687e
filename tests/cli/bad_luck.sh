#!/bin/sh
# Bad luck: full disks, kills, locks, signals, closed pipes, losses that explode. One clear line each, and nothing is lost.
set -eu
. "$WOK_SOURCE/tests/support/lib.sh"
. "$WOK_SOURCE/tests/support/killing.sh"

mounts=
pids=
clean_up() {
  for pid in $pids; do kill -9 "$pid" 2>/dev/null || true; done
  for mount in $mounts; do umount "$mount" 2>/dev/null || true; done
}
trap clean_up EXIT
trap 'exit 130' INT TERM

options='--preset nano --set num_hidden_layers=1 --set hidden_size=32 --set num_attention_heads=2 --set max_position_embeddings=64
  --batch 2 --seq 64 --schedule constant --warmup 1 --threads 1 --quiet'
words 300 5 >text
setup "$WOK" pack text --documents line -o data
train run --steps 20 --eval-every 10
train straight --steps 40 --eval-every 10

part 'a checkpoint cut off at any byte'
# every file, also that of the tokenizer, at its ends and at places in between; afterwards whole again, the run goes on to the same bits
cp -R run cut
for file in config.json model.safetensors tokenizer.json optimizer.safetensors state.json; do
  bytes=$(size "cut/checkpoint/$file")
  header=$((bytes > 8 ? 8 : 1))
  case $file in *.safetensors) header=$((8 + $(od -An -tu8 -N8 "cut/checkpoint/$file" | tr -d ' '))) ;; esac
  for at in 0 1 7 8 9 $((header - 1)) "$header" $((header + 1)) $((bytes / 5)) $((bytes / 3)) $((bytes / 2)) $((bytes * 3 / 4)) $((bytes - 4)) $((bytes - 2)) $((bytes - 1)); do
    # the last byte of a JSON file is a line end, whose loss changes nothing but the checksum
    [ "$file $at" != "state.json $((bytes - 1))" ] || continue
    head -c "$at" "run/checkpoint/$file" >"cut/checkpoint/$file"
    keep cut
    # shellcheck disable=SC2086
    refused 1 "cut/checkpoint/$file" 'begin anew in another directory' -- "$WOK" pretrain --data data -o cut $options --steps 40 --eval-every 10 --resume
    kept
  done
  cp "run/checkpoint/$file" "cut/checkpoint/$file"
done
for file in config.json model.safetensors tokenizer.json optimizer.safetensors state.json; do
  rm "cut/checkpoint/$file"
  keep cut
  # shellcheck disable=SC2086
  refused 1 "cut/checkpoint/$file" -- "$WOK" pretrain --data data -o cut $options --steps 40 --eval-every 10 --resume
  kept
  cp "run/checkpoint/$file" "cut/checkpoint/$file"
done
patch cut/checkpoint/model.safetensors 3000 '\001'
# shellcheck disable=SC2086
refused 1 cut/checkpoint/model.safetensors checksum -- "$WOK" pretrain --data data -o cut $options --steps 40 --eval-every 10 --resume
cp run/checkpoint/model.safetensors cut/checkpoint/model.safetensors
train cut --steps 40 --eval-every 10 --resume
same 'the model after repair and resume' cut/model.safetensors straight/model.safetensors
train older --steps 30 --eval-every 10 --keep 3
: >older/checkpoint/state.json
# shellcheck disable=SC2086
refused 1 older/checkpoint/state.json 'older/checkpoint-20 is whole' -- "$WOK" pretrain --data data -o older $options --steps 40 --resume
rm -rf older/checkpoint
mv older/checkpoint-20 older/checkpoint
train older --steps 40 --eval-every 10 --resume
same 'the model after going back to an older checkpoint' older/model.safetensors straight/model.safetensors

part 'resume with other data or options'
cp -R run resumed
words 300 6 >text2
setup "$WOK" pack text2 --documents line --tokenizer data -o data2
keep resumed
# refuses_resume TEXT... -- OPTION...
refuses_resume() {
  : >said_texts
  while [ "$1" != -- ]; do
    printf '%s\n' "$1" >>said_texts
    shift
  done
  shift
  # shellcheck disable=SC2086
  ran 1 "$WOK" pretrain -o resumed $options --steps 40 --eval-every 10 --resume "$@"
  cp said_texts texts
  said "pretrain --resume $*"
  kept
}
refuses_resume 'the data' -- --data data2
refuses_resume 'batch 2 there, 4 here' -- --data data --batch 4
refuses_resume 'seq 64 there, 32 here' -- --data data --seq 32
refuses_resume 'lr ' 'there, 0.5 here' -- --data data --lr 0.5
refuses_resume 'schedule constant there, linear here' -- --data data --schedule linear
refuses_resume 'seed' there here -- --data data --seed 7
refuses_resume 'hidden_size 32 there, 48 here' -- --data data --set hidden_size=48
refuses_resume 'hidden_dropout 0' -- --data data --dropout 0.1
refuses_resume 'the data' 'batch 2 there, 4 here' 'weight_decay 0.1' -- --data data2 --batch 4 --weight-decay 0
refuses_resume 'kernels' generic -- --data data --isa generic
ran 0 "$WOK" pretrain --data data -o resumed --steps 40 --eval-every 10 --resume --quiet --threads 1
same 'resumed with no other option than the length' resumed/model.safetensors straight/model.safetensors

part 'two runs in one directory'
"$WOK" pretrain --data data -o long --preset micro --batch 4 --seq 128 --steps 1000000 --threads 1 --quiet >long.out 2>long.err &
long=$!
pids="$pids $long"
soon 20 test -s long/log.jsonl || give_up "the long run does not begin: $(cat long.err)"
# shellcheck disable=SC2086
refused 1 long 'in use' "process $long" -- "$WOK" pretrain --data data -o long $options --steps 2 --overwrite
# shellcheck disable=SC2086
refused 1 long 'in use' -- "$WOK" pretrain --data data -o long $options --steps 2 --resume
ran 0 "$WOK" runs .
holds out running
kill -0 "$long" 2>/dev/null || fault 'the first run goes on' "$(cat long.err)"
kill -9 "$long"
status_of "$long"
# shellcheck disable=SC2086
ran 0 "$WOK" pretrain --data data -o long $options --steps 2 --overwrite
mkfifo pipe
"$WOK" pack - -o shared <pipe >pack.out 2>pack.err &
first=$!
pids="$pids $first"
exec 4>pipe
soon 20 test -e shared.packing/new || give_up 'the first pack does not begin'
refused 1 'in use' -- "$WOK" pack text -o shared
cat text >&4
exec 4>&-
status_of "$first"
equal 'status of the first pack' 0 "$status"
ran 0 "$WOK" inspect shared --verify

part 'kill -9 while packing'
cp -R shared was-shared
"$WOK" pack - -o shared <pipe >pack.out 2>pack.err &
first=$!
pids="$pids $first"
exec 4>pipe
cat text >&4
soon 20 test -e shared.packing/new || give_up 'packing does not begin'
kill -9 "$first"
status_of "$first"
exec 4>&-
same 'the earlier pack' shared/train.wok was-shared/train.wok
ran 0 "$WOK" pack text -o shared
absent shared.packing

part 'Ctrl-C and SIGTERM'
# a run that is long enough; its length is taken again at resume
resume=
for signal in INT TERM; do
  rm -rf stopped
  # shellcheck disable=SC2086
  "$WOK" pretrain --data data -o stopped $options --steps 100000 --eval-every 10000 >out 2>err &
  pid=$!
  pids="$pids $pid"
  soon 20 step_reached stopped 3 || give_up "the run does not begin: $(cat err)"
  kill -s $signal "$pid"
  status_of "$pid"
  equal "status after SIG$signal" 130 "$status"
  printf '%s\n' interrupted 'of 100000' saved stopped --resume >texts
  said "pretrain, with SIG$signal"
  logged=$(steps_logged stopped | wc -w | tr -d ' ')
  equal 'the step of the checkpoint is the last in the log' "$logged" "$(value stopped/checkpoint/state.json .step)"
  same 'the model of the run and of the checkpoint' stopped/model.safetensors stopped/checkpoint/model.safetensors
done
rm -rf stopped
# shellcheck disable=SC2086
"$WOK" pretrain --data data -o stopped $options --steps 100000 --eval-every 10000 >out 2>err &
pid=$!
pids="$pids $pid"
soon 20 step_reached stopped 3 || give_up "the run does not begin: $(cat err)"
kill -s INT "$pid"
status_of "$pid"
logged=$(steps_logged stopped | wc -w | tr -d ' ')
train stopped --steps $((logged + 5)) --eval-every 10000 --resume
train whole --steps $((logged + 5)) --eval-every 10000
same 'the model, interrupted and straight' stopped/model.safetensors whole/model.safetensors
equal 'the steps in the log' "$(steps_logged whole)" "$(steps_logged stopped)"

"$WOK" pretrain --data data -o slow --preset nano --batch 1024 --accumulate 64 --seq 256 --steps 10 --threads 1 --quiet >out 2>err &
pid=$!
pids="$pids $pid"
soon 20 test -s slow/log.jsonl || give_up "the slow run does not begin: $(cat err)"
sleep 0.5
kill -s INT "$pid"
sleep 0.3
kill -s INT "$pid"
began=$(date +%s)
status_of "$pid"
equal 'status after the second Ctrl-C' 130 "$status"
less 'seconds until it has stopped' $(($(date +%s) - began)) 3
checks=$((checks + 1))
grep -q 'stopped at once' err || fault "'stopped at once' on stderr" "$(cat err)"

words 20000 8 >many
setup "$WOK" pack many --documents line --tokenizer data --hold-out 90 -o many-data
"$WOK" eval --model run --data many-data --batch 1 --threads 1 >out 2>err &
pid=$!
pids="$pids $pid"
sleep 0.3
kill -s INT "$pid"
status_of "$pid"
equal 'status of eval, interrupted' 130 "$status"
printf 'interrupted\n' >texts
said 'eval, interrupted'

"$WOK" generate --model run --prompts - <pipe >out 2>err &
pid=$!
pids="$pids $pid"
exec 4>pipe
sleep 0.2
kill -s INT "$pid"
exec 4>&-
status_of "$pid"
checks=$((checks + 1))
case $status in 1 | 130) ;; *) fault 'status 1 or 130 from generate, interrupted while it read' "$status" ;; esac
"$WOK" pack - -o interrupted <pipe >out 2>err &
pid=$!
pids="$pids $pid"
exec 4>pipe
soon 20 test -e interrupted.packing/new || give_up 'packing does not begin'
kill -s INT "$pid"
cat text >&4
exec 4>&-
status_of "$pid"
equal 'status of pack, interrupted' 130 "$status"
printf 'interrupted\ninterrupted is as it was\n' >texts
said 'pack, interrupted'
absent interrupted interrupted.packing

part 'closed pipes and outputs'
# The status of the command in front of a pipe, in ./status
piped() { { "$@" 2>err && echo 0 >status || echo $? >status; } | head -c 1 >/dev/null; }
seq -s , 1 60 >ids
piped "$WOK" logits --model run --ids "$(cat ids)" --json
equal 'status of logits into a closed pipe' 1 "$(cat status)"
: >out
printf 'standard output was closed\n' >texts
said 'logits into a closed pipe'
if [ -w /dev/full ]; then
  for command in '--version' '--help' '--manual' 'pack --help' "inspect run" "generate --model run -n 3" "eval --model run --data data --json" 'runs .'; do
    status=0
    # shellcheck disable=SC2086
    "$WOK" $command >/dev/full 2>err || status=$?
    equal "status of wok $command >/dev/full" 1 "$status"
    printf 'standard output\nspace\n' >texts
    said "$command >/dev/full"
  done
else
  left_out 'no /dev/full'
fi
# with standard output closed, the next file opened must not be taken for it
cp -R data was-data
# shellcheck disable=SC2086
for command in 'pack text --documents line -o data' "pretrain --data data -o silent $options --steps 2" 'report run -o page.html'; do
  status=0
  "$WOK" $command >&- 2>err || status=$?
  equal "status of wok $command >&-" 1 "$status"
  printf 'standard output was closed\n' >texts
  said "$command >&-"
done
"$WOK" pack text --documents line -o data <&- >&- 2>&- || true
same 'what was packed with closed outputs' data/train.wok was-data/train.wok
ran 0 "$WOK" inspect data --verify
ran 0 "$WOK" inspect silent

part 'a loss that explodes'
# the learning rate grows by one with every step
# shellcheck disable=SC2086
refused 1 wild 'step ' 'not a number' 'the last good checkpoint is that of step' 'learning rate' -- "$WOK" pretrain --data data -o wild $options --steps 1000 --eval-every 1 \
  --save-every 1 --lr 1000 --warmup 1000 --no-clip
equal 'the end in the log' nonfinite "$(sed -n 's/.*"type": *"end".*"reason": *"\([a-z]*\)".*/\1/p' wild/log.jsonl)"
ran 0 "$WOK" inspect wild
ran 0 "$WOK" inspect wild/checkpoint
ran 0 "$WOK" runs .
holds out wild

part 'a directory in which nothing can be written'
echo mine >file
keep file data run
refused 1 file directory -- "$WOK" pack text -o file/data
refused 1 file directory -- "$WOK" pack text -o file
# shellcheck disable=SC2086
refused 1 file directory -- "$WOK" pretrain --data data -o file/run $options --steps 2
# shellcheck disable=SC2086
refused 1 file directory -- "$WOK" pretrain --data data -o file $options --steps 2
refused 1 file directory -- "$WOK" report run -o file/page.html
ran 1 "$WOK" inspect run --dot file/graph.dot
holds err 'file/graph.dot: cannot be written' directory
kept
if [ "$(id -u)" -ne 0 ]; then # root may write everywhere
  mkdir closed
  chmod 555 closed
  refused 1 closed 'permission denied' -- "$WOK" pack text -o closed/data
  # shellcheck disable=SC2086
  refused 1 closed 'permission denied' -- "$WOK" pretrain --data data -o closed/run $options --steps 2
  chmod 755 closed
fi
mkdir small
if mount -t tmpfs -o size=2m tmpfs small 2>/dev/null; then
  mounts="$mounts small"
  cp -R run data small
  mount -o remount,ro small
  refused 1 small read-only -- "$WOK" pack text -o small/data
  # shellcheck disable=SC2086
  refused 1 small read-only -- "$WOK" pretrain --data data -o small/run $options --steps 40 --resume
  refused 1 small read-only -- "$WOK" report small/run
  ran 0 "$WOK" eval --model small/run --data small/data
  ran 0 "$WOK" generate --model small/run --prompt it -n 3
  mount -o remount,rw small
  rm -rf small/run small/data

  part 'a full disk'
  setup "$WOK" pack text --documents line -o small/data
  train small/run --steps 20 --eval-every 10
  dd if=/dev/zero of=small/filler bs=1k 2>/dev/null || true
  keep small/data small/run/checkpoint small/run/best small/run/model.safetensors
  refused 1 small 'no space left' -- "$WOK" pack text --documents line -o small/data
  # shellcheck disable=SC2086
  refused 1 small/run 'no space left' -- "$WOK" pretrain --data data -o small/run $options --steps 40 --eval-every 10 --resume
  kept
  # room for the log, and not for a checkpoint
  dd if=/dev/zero of=small/filler bs=1k count=$(($(size small/filler) / 1024 - 60)) 2>/dev/null
  # shellcheck disable=SC2086
  refused 1 small/run 'no space left' 'could not be saved' 'step 20' -- "$WOK" pretrain --data data -o small/run $options --steps 40 --eval-every 10 --resume
  kept
  rm small/filler
  train small/run --steps 40 --eval-every 10 --resume
  same 'the model, over a full disk and straight' small/run/model.safetensors straight/model.safetensors
  equal 'the steps in the log' "$(steps_logged straight)" "$(steps_logged small/run)"
  umount small
  mounts=
else
  left_out 'a read-only and a full disk: no tmpfs may be mounted here'
fi
# a limit on the size of files stops a writer just as well, and everywhere
limited() { (ulimit -f "$1" && shift && exec "$@"); }
cat text text text text text text text text text text >much
keep data
refused 1 data 'too large' -- limited 8 "$WOK" pack much --documents line -o data
kept
cp -R run limited
keep limited/checkpoint limited/best limited/model.safetensors
# shellcheck disable=SC2086
refused 1 limited 'limit' 'could not be saved' -- limited 60 "$WOK" pretrain --data data -o limited $options --steps 40 --eval-every 10 --resume
kept
train limited --steps 40 --eval-every 10 --resume
same 'the model, over a limit and straight' limited/model.safetensors straight/model.safetensors

done_testing
