/* What is looked at now. update() changes it, and every part of the page that asked to hear draws itself again.
 *
 *   view     "heads" | "model" | "matrix"
 *   side     number of recording.sides            layer  number in that side's layers
 *   heads    which heads are on, [true, false..]  words  whether pieces are joined
 *   pin      the token that is kept, hover the one pointed at: {axis: "row" | "column", index, other?}
 *            (other: the place on the other axis, of a cell)
 *   peek     the head pointed at, {layer, head}, in the model view
 *   faintest the smallest weight with a line      zoom   of the matrix, 1 shows all of it
 *   theme    "auto" | "light" | "dark"
 */
const state = {
  view: "heads", side: 0, layer: 0, heads: [], words: hasPieces,
  pin: null, hover: null, peek: null, faintest: 0.02, zoom: 1, theme: "auto",
};
/** The weights of the side and layer that state names; null until they are there. */
let current = null;

const listeners = [];
const onChange = (listener) => listeners.push(listener);
const byId = (id) => document.getElementById(id);

const sideNow = () => recording.sides[state.side];
const layerNow = () => sideNow().layers[state.layer];
const activeHeads = () => state.heads.flatMap((on, h) => (on ? [h] : []));
const focusNow = () => state.hover ?? state.pin;
const systemDark = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (state.theme === "auto" ? systemDark.matches : state.theme === "dark");

/** Takes over `change`, made to fit: a layer and heads that exist, no token of another text. */
function apply(change) {
  const moved = "side" in change && change.side !== state.side;
  const rejoined = "words" in change && change.words !== state.words;
  Object.assign(state, change);
  const clamp = (value, count) => Math.min(Math.max(0, value | 0), count - 1);
  state.side = clamp(state.side, recording.sides.length);
  if (moved && !("layer" in change)) {
    const number = recording.sides[state.side].layers.findIndex((layer) => layer.number === state.layer);
    state.layer = number < 0 ? sideNow().clearest : number;
  }
  state.layer = clamp(state.layer, sideNow().layers.length);
  if (state.heads.length !== layerNow().heads) state.heads = Array(layerNow().heads).fill(true);
  if (moved || rejoined) state.pin = change.pin ?? null;
  if (moved || rejoined) state.hover = null;
  if (state.view !== "model" || moved) state.peek = null;
}

let drawing = false;

/** Changes the state and draws what changed, once a frame. */
async function update(change) {
  document.documentElement.dataset.ready = "no";
  apply(change);
  const [side, layer, words] = [sideNow(), layerNow(), state.words];
  if (current?.side !== side || current.layer !== layer || current.words !== words) {
    const loaded = await loadWeights(side, layer, words);
    if (side !== sideNow() || layer !== layerNow() || words !== state.words) return; // a later one loads its own
    current = loaded;
  }
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(draw);
}

function draw() {
  drawing = false;
  dropLostFocus();
  for (const listener of listeners) listener();
  writeAddress();
  document.documentElement.dataset.ready = "yes"; // for programs that watch
}

function dropLostFocus() {
  const fits = (place) => !place || place.index < (place.axis === "row" ? current.T : current.S);
  if (!fits(state.pin)) state.pin = null;
  if (!fits(state.hover)) state.hover = null;
}

const pinned = (axis, index) => state.pin?.axis === axis && state.pin.index === index;
const togglePin = (axis, index, other) =>
  update({ pin: pinned(axis, index) && state.pin.other === other ? null : { axis, index, other } });

/** Turns one head on or off; `alone` leaves only it, or, if it is alone already, all. */
function chooseHead(h, alone) {
  const only = state.heads.map((_, i) => i === h);
  const already = state.heads.every((on, i) => on === only[i]);
  if (alone) update({ heads: already ? state.heads.map(() => true) : only });
  else update({ heads: state.heads.map((on, i) => (i === h ? !on : on)) });
}

const toggleAllHeads = () => update({ heads: state.heads.map(() => !state.heads.every(Boolean)) });
const stepLayer = (by) => update({ layer: state.layer + by });

/* The address keeps what is looked at, so that a link shows the same. */
function writeAddress() {
  const at = new URLSearchParams({ view: state.view, side: state.side, layer: state.layer });
  if (!state.heads.every(Boolean)) at.set("heads", activeHeads().join("."));
  if (state.words !== hasPieces) at.set("words", Number(state.words));
  if (state.pin) at.set("pin", [state.pin.axis, state.pin.index, state.pin.other].filter((x) => x != null).join("."));
  if (state.theme !== "auto") at.set("theme", state.theme);
  if (location.hash !== `#${at}`) history.replaceState(null, "", `#${at}`);
}

function readAddress() {
  const at = new URLSearchParams(location.hash.slice(1));
  const number = (name, otherwise) => (/^\d+$/.test(at.get(name) ?? "") ? Number(at.get(name)) : otherwise);
  const cross = recording.sides.findIndex((side) => side.side === "cross");
  const side = Math.min(number("side", Math.max(0, cross)), recording.sides.length - 1);
  const layers = recording.sides[side].layers;
  const layer = Math.min(number("layer", recording.sides[side].clearest), layers.length - 1);
  const on = at.get("heads")?.split(".").map(Number);
  const [axis, index, other] = at.get("pin")?.split(".") ?? [];
  const kept = (axis === "row" || axis === "column") && /^\d+$/.test(index);
  Object.assign(state, {
    side, layer,
    view: ["heads", "model", "matrix"].includes(at.get("view")) ? at.get("view") : "heads",
    heads: Array.from({ length: layers[layer].heads }, (_, h) => on?.includes(h) ?? true),
    words: hasPieces && number("words", 1) === 1,
    pin: kept ? { axis, index: Number(index), other: /^\d+$/.test(other) ? Number(other) : undefined } : null,
    theme: ["light", "dark"].includes(at.get("theme")) ? at.get("theme") : "auto",
  });
}
