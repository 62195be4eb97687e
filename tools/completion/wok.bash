# made by `wok --completion bash` from the tables of verbs and options
_wok() {
  local cur=${COMP_WORDS[COMP_CWORD]} verb=${COMP_WORDS[1]} words
  if [ "$COMP_CWORD" -eq 1 ]; then words='info shuffle dedup words segment templates tokenize detokenize pack pretrain eval generate logits report runs inspect bench --help --version'
  else case $verb in
    info) words=' --threads --seed --memory --isa --json --quiet --help' ;;
    shuffle) words=' --output --head --hold-out --hold-out-to --shards --shard-records --shard-bytes --pack --level --tmp --resume --files0-from --separator --null --lines --fixed --prefix --header --header-each --skip-empty --crlf --keep-bom --method --run-records --no-verify --force --dry-run --check --threads --seed --memory --isa --json --quiet --help' ;;
    dedup) words=' --output --test --test-output --from --leaks --normal --field --field-separator --tmp --pack --level --null --lines --header --header-each --skip-empty --crlf --keep-bom --threads --seed --memory --isa --json --quiet --help' ;;
    words) words=' --output --method --charset --documents --join-lines --strip-ansi --min-count --min-pmi --order --back-track --min-prob --penalty --by --merges --max-chars --min-entropy --no-entropies --reference --new-only --format --top --save-counts --counts --tmp --threads --seed --memory --isa --json --quiet --help' ;;
    segment) words=' --dict --method --hmm --separator --report --tmp --threads --seed --memory --isa --json --quiet --help' ;;
    templates) words=' --segmenter --dict --hmm --output --window --min-prob --min-pmi --max-paths --show-trivial --top --templates --tmp --threads --seed --memory --isa --json --quiet --help' ;;
    tokenize) words=' --tokenizer --bert --lower --cased --whole --no-special --plain --ids --pieces --offsets --pair --max-length --truncation --truncate-left --bos --eos --reverse --nbest --sample --alpha --threads --seed --memory --isa --json --quiet --help' ;;
    detokenize) words=' --tokenizer --bert --lower --cased --special --whole --threads --seed --memory --isa --json --quiet --help' ;;
    pack) words=' --output --tokenizer --documents --hold-out --no-hold-out --min-count --strip-ansi --threads --seed --memory --isa --json --quiet --help' ;;
    pretrain) words=' --data --output --arch --preset --depth --style --set --dropout --steps --minutes --batch --seq --accumulate --lr --min-lr --warmup --schedule --beta1 --beta2 --eps --weight-decay --no-weight-decay --clip --no-clip --compute --eval-every --save-every --keep --baselines --sample --resume --overwrite --dry-run --threads --seed --memory --isa --json --quiet --help' ;;
    eval) words=' --model --data --split --batch --seq --compute --baselines --threads --seed --memory --isa --json --quiet --help' ;;
    generate) words=' --model --prompt --prompts --tokens --greedy --temperature --top-k --top-p --repetition-penalty --repetition-window --ignore-eod --compute --threads --seed --memory --isa --json --quiet --help' ;;
    logits) words=' --model --ids --compute --threads --seed --memory --isa --json --quiet --help' ;;
    report) words=' --output --threads --seed --memory --isa --json --quiet --help' ;;
    runs) words=' --threads --seed --memory --isa --json --quiet --help' ;;
    inspect) words=' --tensors --plan --dot --batch --seq --verify --threads --seed --memory --isa --json --quiet --help' ;;
    bench) words=' --reps --shapes --compute --arch --preset --depth --style --layers --hidden --vocab --batch --seq --m --n --k --layout --norm --heads --kv-heads --head-dim --bidirectional --prompt --tokens --net --chain --report --threads --seed --memory --isa --json --quiet --help' ;;
    esac
  fi
  COMPREPLY=()
  case $cur in
    -*) COMPREPLY=($(compgen -W "$words" -- "$cur")) ;;
    *) if [ "$COMP_CWORD" -eq 1 ]; then COMPREPLY=($(compgen -W "$words" -- "$cur"))
       else COMPREPLY=($(compgen -f -- "$cur")); fi ;;
  esac
}
complete -o filenames -F _wok wok
