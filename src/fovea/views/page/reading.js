/* The running text above the views, and the weights of the chosen token in words. */

const percent = (weight) => {
  const value = 100 * weight;
  return `${value >= 9.95 || value === 0 ? Math.round(value) : value.toFixed(value < 0.095 ? 2 : 1)} %`;
};

/** Whether to write a layer or a head: nobody needs to hear of the only one. */
const layerName = () => (sideNow().layers.length > 1 ? `layer ${layerNow().number + 1}` : "");
function headsName() {
  const heads = activeHeads();
  if (state.heads.length === 1) return "";
  if (heads.length === 1) return `head ${heads[0] + 1}`;
  return heads.length === state.heads.length ? "mean of all heads" : `mean of heads ${heads.map((h) => h + 1).join(", ")}`;
}
const whereNow = () => [layerName(), headsName()].filter(Boolean).join(", ");

/** The mean of the heads that are on; made once for each choice. */
let meanMade = { of: null, heads: "", values: null };
function meanNow() {
  const heads = activeHeads();
  if (meanMade.of !== current || meanMade.heads !== heads.join()) {
    meanMade = { of: current, heads: heads.join(), values: current.mean(heads) };
  }
  return meanMade.values;
}

/** For a token, the weights to (or from) every token of the other axis. */
function weightsAround(values, { axis, index }) {
  const { T, S } = current;
  if (axis === "row") return values.subarray(index * S, (index + 1) * S);
  return Float32Array.from({ length: T }, (_, t) => values[t * S + index]);
}

/** Units [begin, end) as they run. Tokens are not isolated here: letters of a word join across its pieces. */
function buildParagraph(axis, units, title, begin, end) {
  const paragraph = make("p", { dir: "auto" });
  for (let i = begin; i < end; ++i) {
    if (i > begin && !units.touches.has(i)) paragraph.append(" ");
    const token = make("span", { class: classesOf(units, i) }, units.labels[i]);
    token.dataset.axis = axis;
    token.dataset.index = i;
    paragraph.append(token);
  }
  return make("div", {}, make("span", { class: "caption" }, title), paragraph);
}

/** The text on an axis, or the two. */
function buildParagraphs(axis, units, title) {
  const end = units.labels.length;
  if (!units.second) return [buildParagraph(axis, units, title, 0, end)];
  return [buildParagraph(axis, units, "first", 0, units.second),
    buildParagraph(axis, units, "second", units.second, end)];
}

function buildReading() {
  const { side, rows, columns } = current;
  const same = side.rows === side.columns;
  const paragraphs = buildParagraphs("row", rows, textNames[side.rows]);
  const others = same ? [] : buildParagraphs("column", columns, textNames[side.columns]);
  if (side.side === "cross") paragraphs.unshift(...others); // the source comes first, as it did
  else paragraphs.push(...others);
  byId("reading").replaceChildren(...paragraphs);
  byId("reading").classList.toggle("long", Math.max(current.T, current.S) > 80);
}

/** Colours the tokens that the chosen one looks at (or that look at it). */
function paintReading() {
  const focus = focusNow();
  const around = focus && weightsAround(meanNow(), focus);
  const same = current.side.rows === current.side.columns;
  for (const token of byId("reading").querySelectorAll("[data-axis]")) {
    const { axis, index } = token.dataset;
    const chosen = focus && (same || axis === focus.axis) && Number(index) === focus.index;
    const weight = focus && (same || axis !== focus.axis) ? around[index] : 0;
    token.classList.toggle("chosen", Boolean(chosen));
    token.style.setProperty("--weight", glow(weight));
  }
}

/** One line of the readout: token, bar, number, and what each head gives. */
function readoutLine(label, special, weight, perHead) {
  const bar = make("span", { class: "bar" }, make("span", { class: "fill" }));
  bar.firstChild.style.width = `${100 * Math.min(1, weight)}%`;
  const line = make("li", {}, make("bdi", { class: special ? "label special" : "label" }, label), bar,
    make("span", { class: "number" }, percent(weight)));
  if (perHead.length > 1) line.append(headCells(perHead));
  return line;
}

function headCells(perHead) {
  const cells = perHead.map(({ h, weight }) => {
    const cell = make("span", { class: "cell", title: `head ${h + 1}: ${weight.toFixed(4)}` },
      make("span", { class: "hidden-text" }, `head ${h + 1} ${percent(weight)}, `));
    cell.style.backgroundColor = rgb(headColour(h, state.heads.length, isDark()), emphasis(weight));
    return cell;
  });
  return make("span", { class: "head-cells" }, ...cells);
}

const readoutLines = 6;

function readoutOfToken(focus) {
  const looks = focus.axis === "row";
  const [mine, theirs] = looks ? [current.rows, current.columns] : [current.columns, current.rows];
  const around = weightsAround(meanNow(), focus);
  const best = [...around.keys()].sort((a, b) => around[b] - around[a]).slice(0, readoutLines);
  const perHead = (other) => activeHeads().map((h) => ({
    h, weight: looks ? current.at(h, focus.index, other) : current.at(h, other, focus.index),
  }));
  return [
    make("h2", {}, make("bdi", {}, mine.labels[focus.index]), make("span", { class: "soft" },
      looks ? " looks at" : " is looked at by")),
    make("ol", { class: "lines" },
      ...best.map((i) => readoutLine(theirs.labels[i], theirs.special.has(i), around[i], perHead(i)))),
  ];
}

function readoutOfCell(t, s) {
  const mean = meanNow()[t * current.S + s];
  const heads = activeHeads().map((h) => {
    const weight = current.at(h, t, s);
    const bar = make("span", { class: "bar" }, make("span", { class: "fill" }));
    bar.firstChild.style.width = `${100 * Math.min(1, weight)}%`;
    bar.firstChild.style.backgroundColor = rgb(headColour(h, state.heads.length, isDark()));
    return make("li", {}, make("span", { class: "label" }, `head ${h + 1}`), bar,
      make("span", { class: "number" }, weight.toFixed(4)));
  });
  return [
    make("h2", {}, make("bdi", {}, current.rows.labels[t]), make("span", { class: "soft" }, " → "),
      make("bdi", {}, current.columns.labels[s]), " ", make("span", { class: "value" }, mean.toFixed(4))),
    make("ol", { class: "lines" }, ...(heads.length > 1 ? heads : [])),
  ];
}

/** A head that is pointed at in the model view or the chart, larger. */
function readoutOfHead({ layer: index, head }) {
  const layer = sideNow().layers[index];
  const picture = make("canvas", { class: "preview" });
  loadWeights(sideNow(), layer, state.words).then((weights) =>
    paintWeights(picture, weights.head(head), weights.T, weights.S, isDark(), 256));
  const number = (name, unit) => make("p", { class: "hint" }, `${name} ${layer[name][head].toFixed(2)} ${unit}`);
  return [make("h2", {}, `Layer ${layer.number + 1}, head ${head + 1}`), picture, number("entropy", "bits"),
    number("distance", "tokens")];
}

function showReadout() {
  const focus = focusNow();
  if (state.peek) return byId("readout").replaceChildren(...readoutOfHead(state.peek));
  const place = make("p", { class: "hint" }, whereNow());
  if (activeHeads().length === 0) {
    byId("readout").replaceChildren(make("p", { class: "hint" }, "All heads are off: choose one above."));
  } else if (!focus) {
    byId("readout").replaceChildren(make("h2", {}, "Point at a token"), make("p", { class: "hint" },
      "to see what it looks at; click keeps it. Heads can be switched off above, a double click leaves one alone."));
  } else if (focus.other !== undefined && state.view === "matrix") {
    const [t, s] = focus.axis === "row" ? [focus.index, focus.other] : [focus.other, focus.index];
    byId("readout").replaceChildren(...readoutOfCell(t, s), place);
  } else {
    byId("readout").replaceChildren(...readoutOfToken(focus), place);
  }
}

function setUpReading() {
  const tokenAt = (event) => event.target.closest("[data-axis]");
  const placeOf = (token) => ({ axis: token.dataset.axis, index: Number(token.dataset.index) });
  byId("reading").addEventListener("mouseover", (event) =>
    update({ hover: tokenAt(event) ? placeOf(tokenAt(event)) : null }));
  byId("reading").addEventListener("mouseleave", () => update({ hover: null }));
  byId("reading").addEventListener("click", (event) => {
    if (!tokenAt(event) || !getSelection().isCollapsed) return;
    const { axis, index } = placeOf(tokenAt(event));
    togglePin(axis, index);
  });
  let builtOf = null;
  onChange(() => {
    if (builtOf?.rows !== current.rows || builtOf.columns !== current.columns) buildReading();
    builtOf = current;
    paintReading();
    showReadout();
  });
}
