#!/bin/sh
# scripts/installed_example.sh BUILD: installs what BUILD built into a temporary folder, moves it, builds
# examples/{attention.cpp,translate.cpp,translate_c.c} against find_package(fovea) there and runs them: what programs of
# someone else's see.
# Every installed header has to compile alone; nothing installed may name the source or build tree.
set -eu
source=$(cd -- "${0%/*}/.." && pwd)
build=$(cd -- "$1" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
fail() { echo "installed_example: $1" >&2; exit 1; }
quietly() { "$@" >"$folder/log" 2>&1 || { cat "$folder/log" >&2; fail "failed: $*"; }; }

quietly cmake --install "$build" --prefix "$folder/installed"
mv "$folder/installed" "$folder/prefix"
for tree in "$source" "$build" "$folder/installed"; do
  ! grep -rlIF -- "$tree" "$folder/prefix" || fail "installed files name $tree"
done

# Alone: a header that its own source includes first has proved it in the build; the others are compiled here.
# All together: none of them includes what is not installed.
mkdir "$folder/program"
for example in attention.cpp translate.cpp translate_c.c; do cp "$source/examples/$example" "$folder/program/"; done
(cd "$folder/prefix/include" && find . -name '*.h' | sed 's|^[.]/||' | sort) >"$folder/headers"
[ -s "$folder/headers" ] || fail "no header is installed"
while read -r header; do
  echo "#include \"$header\"" >>"$folder/program/all.cpp"
  first=$(sed -n '/^#include/{p;q;}' "$source/src/${header%.h}.cpp" 2>/dev/null) || true
  [ "$first" = "#include \"$header\"" ] || echo "#include \"$header\"" >"$folder/program/$(echo "$header" | tr / _).cpp"
done <"$folder/headers"

cat >"$folder/program/CMakeLists.txt" <<'END_OF_PROJECT'
cmake_minimum_required(VERSION 3.25)
project(program LANGUAGES C CXX)
find_package(fovea 0.1 REQUIRED)
foreach(example attention.cpp translate.cpp translate_c.c)
  string(REGEX REPLACE "[.].*" "" name ${example})
  add_executable(${name} ${example})
  target_link_libraries(${name} PRIVATE fovea::fovea)
endforeach()
file(GLOB headers *.h.cpp)
add_library(headers OBJECT all.cpp ${headers})
target_compile_options(headers PRIVATE -fsyntax-only -Wall -Wextra -Werror)
target_link_libraries(headers PRIVATE fovea::fovea)
END_OF_PROJECT
quietly cmake -S "$folder/program" -B "$folder/build" -DCMAKE_PREFIX_PATH="$folder/prefix" -DCMAKE_BUILD_TYPE=Release \
  ${CXX:+"-DCMAKE_CXX_COMPILER=$CXX"} -G "${GENERATOR:-Ninja}"
grep -q "^fovea_DIR:PATH=$folder/prefix/" "$folder/build/CMakeCache.txt" || fail "found another fovea"
quietly cmake --build "$folder/build" --parallel
# says EXAMPLE PATTERN ARGUMENT...: the example runs and prints a line of that pattern.
says() {
  example=$1 pattern=$2
  shift 2
  "$folder/build/$example" "$@" >"$folder/output" || fail "$example failed"
  grep -q -- "$pattern" "$folder/output" || { cat "$folder/output" >&2; fail "$example says something else"; }
}
says attention '^dancer sees dancer'
says translate '^Tom ist hier[.]$' "$source/models/tatoeba-en-de" "Tom is here."
says translate_c '  Tom ist hier[.]$' "$source/models/tatoeba-en-de" "Tom is here."
