#!/bin/sh
# scripts/page_screenshot.sh PAGE.html PICTURE.png [ADDRESS [WIDTH,HEIGHT]]: what an attention page looks like, for the README.
# ADDRESS is what the page keeps behind '#' of its own address: view=heads|model|matrix, side, layer, heads=0.2, words=0|1,
# pin=row.3, theme=light|dark. Uses $FOVEA_BROWSER or the first of those below; $SCALE pixels for each of the page's (default 2).
set -eu
[ $# -ge 2 ] || { sed -n '2,4s/^# //p' "$0" >&2; exit 2; }
page=$1 picture=$2 address=${3:-view=heads&theme=light} size=${4:-1200,750}
case $page in /*) ;; *) page=$PWD/$page ;; esac
[ -r "$page" ] || { echo "page_screenshot: no page $page" >&2; exit 3; }
for browser in ${FOVEA_BROWSER-} chromium-headless-shell chromium google-chrome ''; do
  [ -n "$browser" ] || { echo 'page_screenshot: no browser; install chromium-headless-shell' >&2; exit 5; }
  command -v "$browser" >/dev/null && break
done
profile=$(mktemp -d)
trap 'rm -rf "$profile"' EXIT
"$browser" --headless --no-sandbox --disable-gpu --hide-scrollbars --no-first-run --user-data-dir="$profile" \
  --force-device-scale-factor="${SCALE:-2}" --window-size="$size" --timeout=2500 --screenshot="$profile/picture.png" \
  "file://$page#$address" >"$profile/log" 2>&1 && [ -s "$profile/picture.png" ] ||
  { cat "$profile/log" >&2; echo 'page_screenshot: the browser made no picture' >&2; exit 5; }
mv "$profile/picture.png" "$picture"
