#!/bin/sh
# benchmarks/attention_table.sh --data DIR [--output DIR] [NAME ...]: the same small translation model with each attention
# (and a Transformer), 20 minutes of one core each, scored on Multi30k's test set. Every NAME leaves a run, its translations
# and one line of OUTPUT/table.tsv; then OUTPUT/by_length.svg compares all there are. Runs cut short go on where they were.
set -eu
fovea="${FOVEA:-${0%/*}/../fovea}" recipes="${0%/*}/../recipes" data= output=runs/attentions
while [ $# -gt 0 ]; do
  case $1 in
    --data) data=$2 && shift 2 ;;
    --output) output=$2 && shift 2 ;;
    *) break ;;
  esac
done
[ -n "$data" ] || { echo "attention_table: --data DIR is missing; DIR holds multi30k/" >&2; exit 2; }
[ $# -gt 0 ] || set -- none dot general concat additive cosine local-p monotonic transformer
mkdir -p "$output"
source="$data/multi30k/test_2016_flickr.en.gz" reference="$data/multi30k/test_2016_flickr.de.gz"

# What NAME changes of the recipe; as many updates as take 20 minutes of one core.
changes() {
  # One vocabulary for all, embeddings as wide as the Transformer's.
  [ "$1" = transformer ] || echo tokenizer.vocabulary=10000 recurrent.embedding=128
  case $1 in
    none) echo recurrent.attention=none training.updates=6100 ;;
    dot | general | concat | additive | cosine) echo recurrent.attention="$1" training.updates=5600 ;;
    local-p) echo recurrent.attention=general recurrent.window=local_p training.updates=5600 ;;
    monotonic) echo recurrent.normaliser=monotonic training.updates=5600 ;;
    transformer) echo training.updates=6400 training.batch_tokens=1024 training.rate=0.002 training.warmup=500 ;;
    *) echo "attention_table: no attention '$1'; see the case in this script" >&2; exit 2 ;;
  esac
}

# field FILE KEY: the first number of that name in a JSON file.
field() { sed -n "s/.*\"$2\": *\([0-9.]*\).*/\1/p" "$1" | head -n 1; }

train() {
  name=$1 recipe="$recipes/multi30k-en-de-bahdanau.toml"
  [ "$name" != transformer ] || recipe="$recipes/multi30k-en-de.toml"
  set --
  for change in $(changes "$name") training.validate_every=1600 training.save_every=200 training.keep_last=5 \
    training.average_last=5; do
    set -- "$@" --set "$change"
  done
  [ ! -e "$output/$name/recipe.toml" ] || set -- "$@" --resume
  "$fovea" train "$recipe" --data "$data" --output "$output/$name" --threads 1 "$@"
}

score() {
  name=$1 && shift
  "$fovea" evaluate --hypothesis "$output/$name.de" --reference "$reference" --json "$@" >"$output/$name/score.json"
  field "$output/$name/score.json" score
}

for name; do
  [ -e "$output/$name/training.json" ] || train "$name"
  "$fovea" translate --model "$output/$name" --beam 5 --input "$source" --output "$output/$name.de"
  "$fovea" inspect "$output/$name" --json >"$output/$name/inspect.json"
  printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$name" "$(field "$output/$name/inspect.json" parameters)" \
    "$(field "$output/$name/training.json" updates)" "$(field "$output/$name/training.json" core_minutes)" \
    "$(score "$name")" "$(score "$name" --lowercase)" >>"$output/table.tsv"
done

# BLEU by source length of all that has been translated: the first is the system, the others are series beside it.
set --
for hypotheses in "$output"/*.de; do
  name="${hypotheses##*/}" name="${name%.de}"
  if [ $# -eq 0 ]; then set -- --hypothesis "$hypotheses" --name "$name"; else set -- "$@" --series "$name=$hypotheses"; fi
done
"$fovea" evaluate "$@" --source "$source" --reference "$reference" --by-length --curve "$output/by_length.svg"
