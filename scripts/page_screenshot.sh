#!/bin/sh
# scripts/page_screenshot.sh PAGE.html PICTURE.png [ADDRESS [WIDTH HEIGHT]]: what an attention page looks like, for the README.
# ADDRESS is what the page keeps behind '#' of its own address: view=heads|model|matrix, side, layer, heads=0.2, words=0|1,
# pin=row.3, theme=light|dark. $FOVEA_BROWSER can name a browser; $SCALE pixels are drawn for each of the page's (default 2).
set -eu
root=$(cd -- "${0%/*}/.." && pwd)
[ $# -ge 2 ] || { sed -n '2,4s/^# //p' "$0" >&2; exit 2; }
[ -r "$1" ] || { echo "page_screenshot: no page $1" >&2; exit 3; }
"$root/scripts/setup.sh" page_screenshot
exec "$root/build/release/tests/page_screenshot" "$1" "$2" "${3-view=heads&theme=light}" "${4-1200}" "${5-750}" "${SCALE-2}"
