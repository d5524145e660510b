#!/bin/sh
# scripts/reliability.sh [--check]: fills the columns "tests" and "state" of docs/reliability.md from the tests whose names
# bear a case's id; with --check changes nothing and fails if the table is behind the tests, or a test names no case.
set -eu
cd -- "${0%/*}/.."
table=docs/reliability.md
names=$(mktemp) new=$(mktemp)
trap 'rm -f "$names" "$new"' EXIT

# "FILE SUITE.NAME" a test, however the macro is wrapped.
find tests -name '*_test.cpp' | LC_ALL=C sort | while read -r file; do
  tr '\n' ' ' <"$file" | grep -oE '\bTEST(_F|_P)?\( *[A-Za-z0-9_]+, *[A-Za-z0-9_]+\)' |
    sed -E "s|^TEST(_F\|_P)?\( *([A-Za-z0-9_]+), *([A-Za-z0-9_]+)\)|$file \2.\3|" || true
done >"$names"

awk '
  function ids(name, list,    i, n, found) {  # A14 and A15 of "SlowA14_A15_Cut": the ids before the words
    sub(/^[^.]*\./, "", name); sub(/^Slow_?/, "", name)
    n = split(name, list, "_")
    for (i = 1; i <= n && list[i] ~ /^[A-O][0-9][0-9]$/; i++) found = i
    return found + 0
  }
  FNR == NR {
    n = ids($2, list)
    for (i = 1; i <= n; i++) {
      case_of[list[i]] = 1
      if (!((list[i], $1) in count)) files[list[i]] = files[list[i]] " " $1
      count[list[i], $1]++
    }
    next
  }
  /^\| [A-O][0-9][0-9] \|/ {
    split($0, cell, / *\| */)
    id = cell[2]; known[id] = 1; tests = ""; state = cell[5]
    n = split(files[id], file, " ")
    for (i = 1; i <= n; i++) {
      path = file[i]; sub(/^tests\//, "", path)
      tests = tests (i > 1 ? ", " : "") path (count[id, file[i]] > 1 ? " (" count[id, file[i]] ")" : "")
    }
    if (n) state = "tested"; else if (state == "tested") state = "open"
    printf "| %s | %s |%s | %s |\n", id, cell[3], n ? " " tests : "", state
    next
  }
  { print }
  END {
    for (id in case_of) if (!(id in known)) { print "a test names " id ", which is no case of the table" >"/dev/stderr"; bad = 1 }
    exit bad
  }
' "$names" "$table" >"$new"

if [ "${1-}" = --check ]; then
  diff "$table" "$new" || { echo "$table is behind the tests: run scripts/reliability.sh" >&2; exit 1; }
else
  cat "$new" >"$table"
  echo "$(grep -c '^| [A-O].*| tested |$' "$table") of $(grep -c '^| [A-O][0-9]' "$table") cases tested"
fi
