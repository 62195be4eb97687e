# support/killing.sh - training runs that are killed and go on, for the scripts that compare bits. After lib.sh.

# steps_logged DIR: the numbers of the steps in the log, in one line
steps_logged() { sed -n 's/.*"type": *"step".*"step": *\([0-9]*\).*/\1/p' "$1/log.jsonl" | tr '\n' ' '; }

# train DIR OPTION...: in the folder with ./data
train() {
  train_dir=$1
  shift
  # shellcheck disable=SC2086 # $options is a list
  ran 0 "$WOK" pretrain --data data -o "$train_dir" $options "$@"
}

# step_reached DIR N: the log has come to step N
step_reached() {
  reached=$(sed -n 's/.*"type": *"step".*"step": *\([0-9]*\).*/\1/p' "$1/log.jsonl" 2>/dev/null | tail -n 1)
  [ "${reached:-0}" -ge "$2" ]
}

# killed_when DIR COMMAND...: trains in the background and kills -9 as soon as COMMAND succeeds (or the run ends before)
killed_when() {
  killed_dir=$1
  shift
  # shellcheck disable=SC2086
  "$WOK" pretrain --data data -o "$killed_dir" $options ${resume:-} >out 2>err &
  killed_pid=$!
  while ! "$@"; do
    kill -0 "$killed_pid" 2>/dev/null || break
  done
  kill -9 "$killed_pid" 2>/dev/null || true
  status_of "$killed_pid"
  checks=$((checks + 1))
  case $status in
  137) ;;
  0) printf '  (it was done before it could be killed)\n' ;;
  *) fault 'a run that goes on until it is killed' "status $status: $(head -c 400 err)" ;;
  esac
}

# compare_bits OPTIONS THREADS: the run with one thread, the runs with others, and one killed at several moments
compare_bits() {
  options=$1
  part 'one thread'
  train one --threads 1
  last=$(steps_logged one | wc -w)
  for n in $2; do
    part "$n threads"
    train "threads$n" --threads "$n"
    same "the model with 1 and with $n threads" one/model.safetensors "threads$n/model.safetensors"
    same "the optimizer with 1 and with $n threads" one/checkpoint/optimizer.safetensors "threads$n/checkpoint/optimizer.safetensors"
    same "the best model with 1 and with $n threads" one/best/model.safetensors "threads$n/best/model.safetensors"
  done

  part 'killed before the first checkpoint, during steps, while a checkpoint is written'
  resume=
  killed_when killed test -s killed/log.jsonl
  if [ -e killed/checkpoint ]; then resume=--resume; else resume=--overwrite; fi
  killed_when killed step_reached killed $((last / 8 + 3))
  resume=--resume
  killed_when killed step_reached killed $((last / 2))
  killed_when killed test -e killed/checkpoint.new
  killed_when killed test -e killed/checkpoint.new/optimizer.safetensors
  killed_when killed test -e killed/checkpoint.new/state.json
  train killed --resume --threads 2
  same 'the model, straight and killed' one/model.safetensors killed/model.safetensors
  same 'the optimizer, straight and killed' one/checkpoint/optimizer.safetensors killed/checkpoint/optimizer.safetensors
  same 'the best model, straight and killed' one/best/model.safetensors killed/best/model.safetensors
  equal 'steps in the log of the killed run' "$(steps_logged one)" "$(steps_logged killed)"
  checks=$((checks + 1))
  [ ! -e killed/checkpoint.new ] || fault 'nothing left of the kills' "$(ls killed | tr '\n' ' ')"
}
