#!/bin/sh
# benchmarks/distil.sh --data DIR --teacher MODEL [--output DIR] [SECTION.KEY=VALUE ...]: a student of a Multi30k model. The
# teacher translates the training text, the student learns from that (recipes/multi30k-en-de-student.toml, changed by what
# is given), and both are scored on the test set. What is there already is not made again; a run cut short goes on.
set -eu
fovea="${FOVEA:-${0%/*}/../fovea}" recipe="${0%/*}/../recipes/multi30k-en-de-student.toml"
data= teacher= output=runs/distilled
while [ $# -gt 0 ]; do
  case $1 in
    --data) data=$2 && shift 2 ;;
    --teacher) teacher=$2 && shift 2 ;;
    --output) output=$2 && shift 2 ;;
    *) break ;;
  esac
done
[ -n "$data" ] && [ -n "$teacher" ] ||
  { echo "distil: --data DIR and --teacher MODEL are needed; DIR holds multi30k/" >&2; exit 2; }
mkdir -p "$output"
output=$(cd "$output" && pwd)

text="$output/train.teacher.de" # whole or not there: translate writes it when all is done
[ -e "$text" ] ||
  "$fovea" translate --model "$teacher" --beam 5 --input "$data/multi30k/train.en.gz" --output "$text"

student="$output/student"
for change; do
  set -- "$@" --set "$change"
  shift
done
[ ! -e "$student/recipe.toml" ] || set -- "$@" --resume
[ -e "$student/training.json" ] ||
  "$fovea" train "$recipe" --data "$data" --output "$student" --set data.train_target="$text" "$@"

for model in "$teacher" "$student"; do
  for beam in 1 5; do
    echo "$model, beam $beam"
    "$fovea" evaluate --model "$model" --beam "$beam" --source "$data/multi30k/test_2016_flickr.en.gz" \
      --reference "$data/multi30k/test_2016_flickr.de.gz"
  done
done
