#!/bin/sh
# scripts/attention_page.sh GALLERY_PROGRAM: docs/attention.md shows the pictures that the program draws, all of them
# and no others, and docs/attention holds them.
set -eu
cd -- "${0%/*}/.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$1" models/tatoeba-en-de "$folder/drawn"
ls "$folder/drawn" >"$folder/names"
ls docs/attention | diff "$folder/names" - >&2 || { echo "attention_page: docs/attention (>) is not what is drawn (<)" >&2; exit 1; }
grep -o '"attention/[^"]*\.svg"' docs/attention.md | sed 's|"attention/||; s|"||' | sort -u >"$folder/shown"
LC_ALL=C sort "$folder/names" >"$folder/sorted"
LC_ALL=C sort "$folder/shown" | diff "$folder/sorted" - >&2 || { echo "attention_page: docs/attention.md does not show (>) what is drawn (<)" >&2; exit 1; }
