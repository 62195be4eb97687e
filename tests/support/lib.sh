# support/lib.sh - assertions for test scripts. They say what was expected and what came, and go on; `done_testing` ends the script
# with 1 when any failed. Begin with
#   set -eu
#   . "$WOK_SOURCE/tests/support/lib.sh"

LC_ALL=C
export LC_ALL
failed=0
checks=0
skipped=0
what=

# part TEXT: what the next checks are about
part() {
  what=$1
  printf -- '- %s\n' "$1"
}

# fault EXPECTED CAME [MORE]: one failure
fault() {
  failed=$((failed + 1))
  printf 'FAILED (%s)\n  expected: %s\n  came:     %s\n' "$what" "$1" "$2"
  [ $# -lt 3 ] || printf '  %s\n' "$3"
}

# give_up TEXT: what follows makes no sense any more
give_up() {
  printf 'FAILED (%s)\n  cannot go on: %s\n' "$what" "$1"
  exit 1
}

# left_out TEXT: a case that this machine does not allow
left_out() {
  skipped=$((skipped + 1))
  printf '  left out: %s\n' "$1"
}

done_testing() {
  printf '%d checks, %d failed, %d left out\n' "$checks" "$failed" "$skipped"
  [ "$failed" -eq 0 ] || exit 1
  exit 0
}

# equal NAME EXPECTED CAME
equal() {
  checks=$((checks + 1))
  [ "$2" = "$3" ] || fault "$1 is $2" "$3"
}

# same NAME FILE FILE: byte for byte
same() {
  checks=$((checks + 1))
  cmp -s "$2" "$3" || fault "$1: $2 and $3 are the same" "$(cmp "$2" "$3" 2>&1 || true)"
}

# differ NAME FILE FILE
differ() {
  checks=$((checks + 1))
  ! cmp -s "$2" "$3" || fault "$1: $2 and $3 differ" "the same bytes"
}

# holds FILE TEXT...: each text occurs in the file
holds() {
  held_file=$1
  shift
  for held_text in "$@"; do
    checks=$((checks + 1))
    grep -q -F -e "$held_text" -- "$held_file" || fault "'$held_text' in $held_file" "$(head -c 600 "$held_file")"
  done
}

# lacks FILE TEXT
lacks() {
  checks=$((checks + 1))
  ! grep -q -F -e "$2" -- "$1" || fault "no '$2' in $1" "$(grep -F -e "$2" -- "$1" | head -n 3)"
}

# ran STATUS COMMAND...: runs it with its output in ./out and ./err; its status must be STATUS
ran() {
  ran_want=$1
  shift
  checks=$((checks + 1))
  ran_came=0
  "$@" >out 2>err || ran_came=$?
  [ "$ran_came" -eq "$ran_want" ] || fault "status $ran_want from: $*" "$ran_came" "stderr: $(head -c 600 err)"
}

# setup COMMAND...: must work, or the rest makes no sense
setup() {
  "$@" >out 2>err || give_up "status $? from: $*: $(head -c 600 err)"
}

# refused STATUS TEXT... -- COMMAND...: fails with that status, says so in exactly one line that holds every text, prints nothing else
refused() {
  refused_want=$1
  shift
  : >texts
  while [ "$1" != -- ]; do
    printf '%s\n' "$1" >>texts
    shift
  done
  shift
  ran "$refused_want" "$@"
  said "$*"
}

# said COMMAND: ./err is one line that begins like ours and holds every line of ./texts; ./out is empty
said() {
  checks=$((checks + 1))
  said_lines=$(wc -l <err)
  [ "$said_lines" -eq 1 ] || fault "one line on stderr from: $1" "$((said_lines)): $(head -c 600 err)"
  checks=$((checks + 1))
  grep -q '^wok[ :]' err || fault "a line that begins with wok, from: $1" "$(head -c 600 err)"
  while IFS= read -r said_text; do
    checks=$((checks + 1))
    grep -q -F -e "$said_text" err || fault "'$said_text' in what is said by: $1" "$(head -c 600 err)"
  done <texts
  checks=$((checks + 1))
  [ ! -s out ] || fault "nothing on stdout from: $1" "$(head -c 300 out)"
}

# state PATH...: name, kind and checksum of everything below, to compare before and after
state() {
  for state_root in "$@"; do
    find "$state_root" ! -type f | sort
    find "$state_root" -type f -exec cksum {} + | sort -k 3
  done
}

# keep PATH... / kept: nothing below the paths changed in between
keep() {
  keep_paths=$*
  # shellcheck disable=SC2086 # paths without spaces, so that they can be a list
  state $keep_paths >state.before
}
kept() {
  # shellcheck disable=SC2086
  state $keep_paths >state.after
  checks=$((checks + 1))
  cmp -s state.before state.after || fault "$keep_paths untouched" "$(diff state.before state.after | head -n 8)"
}

# absent PATH...
absent() {
  for absent_path in "$@"; do
    checks=$((checks + 1))
    [ ! -e "$absent_path" ] || fault "no $absent_path" "$(ls -ld "$absent_path")"
  done
}

# nothing_in DIR: absent or empty, but for a lock file
nothing_in() {
  checks=$((checks + 1))
  [ -z "$(ls "$1" 2>/dev/null)" ] || fault "nothing in $1" "$(ls "$1" | tr '\n' ' ')"
}

# ---- JSON ----
# flat FILE: one line for each value of a JSON text, as .key.0.key VALUE; strings keep their quotes. Fails when it is no JSON.
flat() { awk -f "$WOK_SOURCE/tests/support/json.awk" "$1"; }

# parses FILE KEY...: is one JSON text and has all the keys (as in .train.documents)
parses() {
  parses_file=$1
  shift
  checks=$((checks + 1))
  if ! flat "$parses_file" >flat.out 2>flat.err; then
    fault "JSON in $parses_file" "$(cat flat.err): $(head -c 300 "$parses_file")"
    return 0
  fi
  for parses_key in "$@"; do
    checks=$((checks + 1))
    cut -d ' ' -f 1 flat.out | grep -q -x -F -e "$parses_key" || fault "the key $parses_key in $parses_file" "$(cut -d ' ' -f 1 flat.out | head -n 40 | tr '\n' ' ')"
  done
}

# value FILE KEY: the value under a key, nothing when there is none
value() { flat "$1" | awk -v k="$2" 'index($0, k " ") == 1 { print substr($0, length(k) + 2); exit }'; }

# less NAME A B: A < B as numbers
less() {
  checks=$((checks + 1))
  awk -v a="$2" -v b="$3" 'BEGIN { exit !(a != "" && b != "" && a + 0 < b + 0) }' || fault "$1: $2 < $3" "it is not"
}

# ---- text to train on: the same bytes with every awk ----
# words N SEED: N lines of made-up sentences over forty words
words() {
  awk -v n="$1" -v seed="$2" 'BEGIN {
    k = split("the a of and to in that it was he for on are with as his they at be this from have or by one had not but what all " \
              "were when we there can an your which said if", w, " ")
    for (i = 0; i < n; i++) {
      line = ""
      m = 5 + draw(9)
      for (j = 0; j < m; j++) line = line (j ? " " : "") w[1 + int(draw(k) * draw(k) / k)]
      print line "."
    }
  }
  function draw(below) { seed = (seed * 16807 + 11) % 2147483647; return int(seed / 2147483647 * below) }'
}

# verses N SEED: N lines of Chinese, put together from pieces of well-known ones
verses() {
  awk -v n="$1" -v seed="$2" 'BEGIN {
    k = split("床前明月光 疑是地上霜 举头望明月 低头思故乡 白日依山尽 黄河入海流 欲穷千里目 更上一层楼 春眠不觉晓 处处闻啼鸟 夜来风雨声 " \
              "花落知多少 红豆生南国 春来发几枝 愿君多采撷 此物最相思 路遥知马力 日久见人心 学而时习之 不亦说乎 有朋自远方来 不亦乐乎", w, " ")
    for (i = 0; i < n; i++) printf "%s,%s。\n", w[1 + draw(k)], w[1 + draw(k)]
  }
  function draw(below) { seed = (seed * 16807 + 11) % 2147483647; return int(seed / 2147483647 * below) }'
}

# patch FILE OFFSET ESCAPES: writes bytes, given as printf takes them ('\001\377'), over the ones there
patch() {
  # shellcheck disable=SC2059 # the bytes are the format
  printf "$3" | dd of="$1" bs=1 seek="$2" conv=notrunc 2>/dev/null
}

# size FILE: bytes
size() { wc -c <"$1" | tr -d ' '; }

# soon SECONDS COMMAND...: waits until the command succeeds; fails after SECONDS
soon() {
  soon_left=$(($1 * 20))
  shift
  until "$@" >/dev/null 2>&1; do
    soon_left=$((soon_left - 1))
    [ "$soon_left" -gt 0 ] || return 1
    sleep 0.05
  done
}

# status_of PID: waits for it and puts its status into $status
status_of() {
  status=0
  wait "$1" || status=$?
}
