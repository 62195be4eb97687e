# support/json.awk - a JSON text to one line per value: .key.0.key VALUE. Status 1 and a word on stderr when it is not JSON.
{ text = text $0 "\n" }
END {
  at = 1
  n = length(text)
  blank()
  parse("", 0)
  blank()
  if (at <= n) fail("something after the end")
  exit bad
}
function fail(why) {
  if (!bad) print "not JSON at byte " at ": " why > "/dev/stderr"
  bad = 1
  at = n + 1
}
function blank() { while (at <= n && index(" \t\n\r", substr(text, at, 1))) at++ }
function next_is(c) {
  blank()
  if (substr(text, at, 1) != c) return 0
  at++
  return 1
}
function parse(path, depth,   c, from, k, key) {
  blank()
  if (depth > 100) { fail("too deep"); return }
  c = substr(text, at, 1)
  if (c == "{") {
    at++
    print path " {}"
    if (next_is("}")) return
    do {
      blank()
      key = string()
      if (!next_is(":")) fail("no colon after " key)
      parse(path "." substr(key, 2, length(key) - 2), depth + 1)
    } while (!bad && next_is(","))
    if (!bad && !next_is("}")) fail("no end of an object")
  } else if (c == "[") {
    at++
    print path " []"
    if (next_is("]")) return
    k = 0
    do parse(path "." k++, depth + 1)
    while (!bad && next_is(","))
    if (!bad && !next_is("]")) fail("no end of an array")
  } else if (c == "\"") print path " " string()
  else {
    from = at
    while (at <= n && !index(",]} \t\n\r", substr(text, at, 1))) at++
    c = substr(text, from, at - from)
    if (c !~ /^(true|false|null|-?(0|[1-9][0-9]*)([.][0-9]+)?([eE][-+]?[0-9]+)?)$/) fail("a value like '" c "'")
    else print path " " c
  }
}
function string(   c, from) {
  from = at
  if (substr(text, at++, 1) != "\"") { fail("no string"); return "\"\"" }
  while (at <= n) {
    c = substr(text, at++, 1)
    if (c == "\"") return substr(text, from, at - from)
    if (c == "\\") at++
    else if (c == "\n") break
  }
  fail("a string without end")
  return "\"\""
}
