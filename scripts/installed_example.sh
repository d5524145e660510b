#!/bin/sh
# scripts/installed_example.sh BUILD: installs the library of BUILD into a temporary folder, builds an example against
# find_package(fovea) there, and runs it: what a program of someone else's sees.
set -eu
source=$(cd -- "${0%/*}/.." && pwd)
build=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cmake --install "$build" --prefix "$folder/prefix" >"$folder/log"
mkdir "$folder/program"
cp "$source/examples/attention.cpp" "$folder/program/"
cat >"$folder/program/CMakeLists.txt" <<'END'
cmake_minimum_required(VERSION 3.25)
project(program LANGUAGES CXX)
find_package(fovea REQUIRED)
add_executable(program attention.cpp)
target_link_libraries(program PRIVATE fovea::fovea)
END
cmake -G Ninja -S "$folder/program" -B "$folder/build" -DCMAKE_PREFIX_PATH="$folder/prefix" -DCMAKE_BUILD_TYPE=Release \
  >>"$folder/log" && cmake --build "$folder/build" >>"$folder/log" || { cat "$folder/log" >&2; exit 1; }
"$folder/build/program" | grep -q ' sees '
