/* The bar of controls: tabs, sides, layers, heads; keys. */

/** An element: make("button", {class: "chip", "aria-pressed": true}, "text", child). */
function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

const makeSvg = (name, attributes, ...children) => {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
};

const bothWays = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
const upAndDown = { ArrowDown: 1, ArrowUp: -1 };

/** Arrow keys walk through the elements of `group` that match; one of them is in the tab order. */
function walkByArrows(group, selector, moved = () => {}, steps = bothWays) {
  group.addEventListener("keydown", (event) => {
    const items = [...group.querySelectorAll(selector)];
    const at = items.indexOf(document.activeElement);
    const to = { Home: 0, End: items.length - 1 }[event.key] ?? at + steps[event.key];
    if (at < 0 || !(to >= 0 && to < items.length) || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    putInTabOrder(items, items[to]);
    items[to].focus();
    moved(items[to]);
  });
}

function putInTabOrder(items, chosen) {
  for (const item of items) item.tabIndex = item === chosen ? 0 : -1;
}

/** A row of buttons of which one is chosen (a radio group, or tabs). */
function buildChoice(group, role, options, choose) {
  group.replaceChildren(
    ...options.map(({ value, label, name, id, controls }) => {
      const button = make("button", { type: "button", role, id, "aria-label": name, "aria-controls": controls }, label);
      button.dataset.value = value;
      button.addEventListener("click", () => choose(value));
      return button;
    }),
  );
  group.hidden = options.length < 2;
}

function showChoice(group, chosen) {
  const buttons = [...group.children];
  for (const button of buttons) {
    const on = button.dataset.value === String(chosen);
    button.setAttribute(button.getAttribute("role") === "tab" ? "aria-selected" : "aria-checked", on);
  }
  putInTabOrder(buttons, buttons.find((button) => button.dataset.value === String(chosen)) ?? buttons[0]);
}

const sideNames = { encoder: "Encoder", decoder: "Decoder", cross: "Cross" };
const isOneText = recording.texts.source.tokens.length === 0 || recording.texts.target_out.tokens.length === 0;
const textNames = isOneText ? { source: "text", target_in: "text", target_out: "text" }
  : { source: "source", target_in: "target, read so far", target_out: "target" };
const kindsThere = [...new Set(recording.sides.map((side) => side.kind))];

const sidesOfKind = (kind) => recording.sides.flatMap((side, i) => (side.kind === kind ? [i] : []));

/** The side of another kind that looks the same way, or its first. */
function sideLike(kind) {
  const sides = sidesOfKind(kind);
  return sides.find((i) => recording.sides[i].side === sideNow().side) ?? sides[0];
}

const viewNames = { heads: "Heads", model: "Model", matrix: "Matrix" };

function buildControls() {
  const click = (button) => button.click();
  buildChoice(byId("views"), "tab",
    Object.entries(viewNames).map(([value, label]) => ({ value, label, id: `tab-${value}`, controls: `panel-${value}` })),
    (view) => update({ view, hover: null }));
  buildChoice(byId("kinds"), "radio", kindsThere.map((kind) => ({ value: kind, label: kind })),
    (kind) => update({ side: sideLike(kind) }));
  for (const group of ["views", "kinds", "sides", "layers"]) walkByArrows(byId(group), "button", click);
  walkByArrows(byId("heads"), "button");
  byId("all-heads").addEventListener("click", toggleAllHeads);
  byId("words").addEventListener("change", (event) => update({ words: event.target.checked }));
  byId("words-field").hidden = !hasPieces;
  byId("faintest").addEventListener("input", (event) => update({ faintest: event.target.value / 100 }));
  byId("theme").addEventListener("click", toggleTheme);
  systemDark.addEventListener("change", () => update({}));
  document.addEventListener("keydown", shortcut);
  onChange(showControls);
}

const toggleTheme = () => update({ theme: isDark() ? "light" : "dark" });

const shortcuts = {
  1: () => update({ view: "heads", hover: null }),
  2: () => update({ view: "model", hover: null }),
  3: () => update({ view: "matrix", hover: null }),
  "[": () => stepLayer(-1),
  "]": () => stepLayer(1),
  a: toggleAllHeads,
  w: () => hasPieces && update({ words: !state.words }),
  t: toggleTheme,
  Escape: () => update({ pin: null, hover: null }),
};

function shortcut(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input[type=range], summary")) return;
  shortcuts[event.key]?.();
}

/** Builds a part of the bar anew only when what it offers changed. */
const builtFor = new Map();
function rebuild(group, key, build) {
  if (builtFor.get(group) === key) return;
  builtFor.set(group, key);
  build();
}

function buildLayers() {
  buildChoice(byId("layers"), "radio",
    sideNow().layers.map((layer, i) => ({ value: i, label: layer.number + 1, name: `Layer ${layer.number + 1}` })),
    (layer) => update({ layer: Number(layer) }));
  byId("layer-field").hidden = sideNow().layers.length < 2;
}

function buildHeads() {
  const chips = state.heads.map((_, h) => {
    const chip = make("button", {
      type: "button", class: "chip", tabindex: h ? -1 : 0, "aria-label": `Head ${h + 1}`,
      title: `Head ${h + 1}: click turns it on or off, double click leaves only it`,
    }, String(h + 1));
    chip.addEventListener("click", (event) => {
      if (event.detail < 2) chooseHead(h, event.shiftKey);
    });
    chip.addEventListener("dblclick", () => leaveOnly(h));
    chip.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      chooseHead(h, true);
    });
    return chip;
  });
  byId("heads").replaceChildren(...chips);
  byId("head-field").hidden = state.heads.length < 2;
}

/** The first click of a double click turned the head already: so this does not go back to all heads. */
const leaveOnly = (h) => update({ heads: state.heads.map((_, i) => i === h) });

function showControls() {
  document.documentElement.dataset.theme = isDark() ? "dark" : "light";
  byId("theme").textContent = isDark() ? "☀ light" : "☾ dark";
  byId("theme").setAttribute("aria-label", isDark() ? "Light theme" : "Dark theme");
  showChoice(byId("views"), state.view);
  for (const view of Object.keys(viewNames)) byId(`panel-${view}`).hidden = view !== state.view;
  showChoice(byId("kinds"), sideNow().kind);
  rebuild("sides", sideNow().kind, () =>
    buildChoice(byId("sides"), "radio",
      sidesOfKind(sideNow().kind).map((i) => ({ value: i, label: sideNames[recording.sides[i].side] })),
      (side) => update({ side: Number(side) })));
  showChoice(byId("sides"), state.side);
  rebuild("layers", String(state.side), buildLayers);
  showChoice(byId("layers"), state.layer);
  rebuild("heads", String(state.heads.length), buildHeads);
  showHeads();
  byId("words").checked = state.words;
  byId("faintest").value = Math.round(100 * state.faintest);
  byId("faintest-value").textContent = `${Math.round(100 * state.faintest)} %`;
}

function showHeads() {
  [...byId("heads").children].forEach((chip, h) => {
    chip.setAttribute("aria-pressed", state.heads[h]);
    chip.style.setProperty("--head", rgb(headColour(h, state.heads.length, isDark())));
  });
  byId("all-heads").textContent = state.heads.every(Boolean) ? "none" : "all";
}
