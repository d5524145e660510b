#!/bin/sh
# scripts/setup.sh [--tests] TARGET...: installs the missing packages, configures, and builds TARGET... in build/release;
# with --tests also what tests can use (packages-test.txt), but goes on if that cannot be had. ./fovea and ./test call it. It says what it does on stderr, reads nothing, and exits 5 when the machine does not allow it.
set -u
root=$(cd -- "${0%/*}/.." && pwd -P) || exit 5
build=$root/build
log=$build/setup.log
newline='
'

say() { printf 'fovea: %s\n' "$*" >&2; }
fail() { say "$@"; exit 5; }

quietly() { "$@" </dev/null >>"$log" 2>&1; }

# attempt WHAT COMMAND...: quiet unless it fails; then the end of the log.
attempt() {
  what=$1; shift
  quietly "$@" && return
  tail -n 60 "$log" >&2
  fail "$what failed; the whole output is in $log"
}

# One set-up at a time in a checkout: two would install and link over each other.
lock() {
  mkdir -p "$build" 2>/dev/null && touch "$build/lock" "$log" 2>/dev/null ||
    fail "cannot write in $build, where the program is built; copy the checkout to a folder of yours and run it there"
  exec 9>"$build/lock"
  flock -n 9 || { say "waiting for another build in $root"; flock 9; }
  : >"$log"
}

# missing_packages LIST: sets `missing`.
missing_packages() {
  wanted=$(sed 's/#.*//' "$root/scripts/$1")
  installed=$newline$(dpkg-query -W -f '${db:Status-Abbrev}|${Package}\n' $wanted 2>/dev/null | sed -n 's/^.i.*|//p')$newline
  missing=
  for package in $wanted; do
    case $installed in *"$newline$package$newline"*) ;; *) missing="$missing $package" ;; esac
  done
}

# The lists of a fresh machine are empty and those of an old one name files that are gone: then, and only then, update.
install_packages() {
  say "installing packages:$missing"
  apt="$1 env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=600"
  quietly $apt install -y --no-install-recommends $missing && return
  attempt "apt-get update" $apt update
  attempt "installing$missing" $apt install -y --no-install-recommends $missing
}

# A browser that $FOVEA_BROWSER names is enough; so is FOVEA_BROWSER=none for those who want none.
test_packages() {
  command -v dpkg-query >/dev/null && [ -z "${FOVEA_BROWSER-}" ] || return 0
  missing_packages packages-test.txt
  [ -n "$missing" ] || return 0
  if [ "$(id -u)" = 0 ]; then as=; elif sudo -n true 2>/dev/null; then as='sudo -n'; else return 0; fi
  say "installing for tests:$missing"
  apt="$as env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=600"
  quietly $apt install -y --no-install-recommends $missing && return
  quietly $apt update && quietly $apt install -y --no-install-recommends $missing && return
  say "cannot install$missing; the tests that need it are skipped"
}

packages() {
  command -v dpkg-query >/dev/null || { say "no Debian packages here; going on with what is installed"; return; }
  missing_packages packages.txt
  [ -n "$missing" ] || return 0
  if [ "$(id -u)" = 0 ]; then install_packages ''
  elif sudo -n true 2>/dev/null; then install_packages 'sudo -n'
  else
    say "packages are missing and installing them needs an administrator; run this line, then try again:"
    printf '  sudo apt-get update && sudo apt-get install -y --no-install-recommends%s\n' "$missing" >&2
    exit 5
  fi
}

# A checkout that was moved keeps the old path in its cache: configure afresh. (Ninja sees to changed CMakeLists.txt.)
configure() {
  cache=$build/release/CMakeCache.txt
  if ! grep -sqxF "CMAKE_HOME_DIRECTORY:INTERNAL=$root" "$cache"; then
    attempt configuring cmake --fresh --preset release
  elif [ ! -e "$build/release/build.ninja" ] || [ CMakePresets.json -nt "$cache" ]; then
    attempt configuring cmake --preset release
  fi
}

cd "$root" || exit 5
tests=
[ "${1-}" = --tests ] && { tests=yes; shift; }
lock
packages
[ -z "$tests" ] || test_packages
touch "$build/stamp.new"  # as old as the beginning: a source saved while we build is newer
configure
cores=$(nproc)
say "building with $cores cores (output in $log)"
attempt building cmake --build build/release --parallel "$cores" --target "$@"
mv "$build/stamp.new" "$build/stamp"
