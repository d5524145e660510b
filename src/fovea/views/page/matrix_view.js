/* The matrix view: the weights as a heat map, the value under the pointer, zoom for long texts. */

const matrixView = { painted: null, cell: 24, x: 0, y: 0 };
const labelsFrom = 11; // the smallest cells, in pixels, that have room for a label
const numbersFrom = 32;

/** The size of a cell that shows all of the matrix, as far as that can be read. */
function fittingCell() {
  const frame = byId("matrix");
  const wide = frame.clientWidth - byId("row-labels").offsetWidth - 56;
  const high = innerHeight * 0.62;
  return Math.max(2, Math.min(44, wide / current.S, Math.max(high / current.T, 3)));
}

function buildAxisLabels(holder, axis, units) {
  holder.replaceChildren(...units.labels.map((label, i) => {
    const item = make("span", { class: units.special.has(i) ? "label special" : "label" }, make("bdi", {}, label));
    item.dataset.index = i;
    item.dataset.axis = axis;
    return item;
  }));
}

function layOutMatrix() {
  const { T, S } = current;
  const cell = Math.min(60, Math.max(2, fittingCell() * state.zoom));
  matrixView.cell = cell >= 4 ? Math.floor(cell) : cell;
  const size = matrixView.cell;
  const frame = byId("matrix");
  frame.style.setProperty("--cell", `${size}px`);
  frame.classList.toggle("steep", size < 20);
  byId("cells").style.width = `${S * size}px`;
  byId("cells").style.height = `${T * size}px`;
  [...byId("column-labels").children].forEach((item, s) => (item.style.left = `${(s + 0.5) * size}px`));
  [...byId("row-labels").children].forEach((item, t) => (item.style.top = `${t * size}px`));
  frame.classList.toggle("tiny", size < labelsFrom);
}

/** Paints the weights a pixel each; drawing then only enlarges them. */
function paintMatrix() {
  const key = [isDark(), activeHeads()].join();
  if (matrixView.painted?.of === current && matrixView.painted.key === key) return matrixView.painted.canvas;
  const canvas = document.createElement("canvas");
  paintWeights(canvas, meanNow(), current.T, current.S, isDark());
  matrixView.painted = { of: current, key, canvas };
  return canvas;
}

function drawCellsInSight(context, width, height) {
  const { cell, x, y } = matrixView;
  context.imageSmoothingEnabled = false;
  context.drawImage(paintMatrix(), x / cell, y / cell, width / cell, height / cell, 0, 0, width, height);
  if (cell < 9) return;
  context.fillStyle = getComputedStyle(byId("matrix")).getPropertyValue("--card");
  for (let s = Math.ceil(x / cell); s * cell - x <= width; ++s) context.fillRect(s * cell - x - 0.5, 0, 1, height);
  for (let t = Math.ceil(y / cell); t * cell - y <= height; ++t) context.fillRect(0, t * cell - y - 0.5, width, 1);
}

function drawNumbers(context, width, height) {
  const { cell, x, y } = matrixView;
  if (cell < numbersFrom) return;
  const values = meanNow();
  context.font = `${Math.min(13, cell * 0.36)}px ${getComputedStyle(document.body).fontFamily}`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  for (let t = Math.floor(y / cell); t < Math.min(current.T, (y + height) / cell); ++t) {
    for (let s = Math.floor(x / cell); s < Math.min(current.S, (x + width) / cell); ++s) {
      const weight = values[t * current.S + s];
      if (weight < 0.01) continue;
      context.fillStyle = isLight(weightColour(weight, isDark())) ? "rgb(20 24 36 / 0.85)" : "rgb(255 255 255 / 0.92)";
      context.fillText(Math.round(100 * weight), (s + 0.5) * cell - x, (t + 0.5) * cell - y + 1);
    }
  }
}

/** The row and the column of the chosen cell, and the cell. */
function drawCross(context, width, height, chosen) {
  if (!chosen) return;
  const { cell, x, y } = matrixView;
  const [left, top] = [chosen.s * cell - x, chosen.t * cell - y];
  const accent = getComputedStyle(byId("matrix")).getPropertyValue("--accent");
  context.fillStyle = context.strokeStyle = accent;
  context.globalAlpha = 0.16;
  if (chosen.t !== undefined) context.fillRect(0, top, width, cell);
  if (chosen.s !== undefined) context.fillRect(left, 0, cell, height);
  context.globalAlpha = 1;
  context.lineWidth = 2;
  if (chosen.t !== undefined && chosen.s !== undefined) context.strokeRect(left, top, Math.max(cell, 3), Math.max(cell, 3));
}

/** The focus as places of a cell: {t, s}; only a token has one of them. */
function chosenCell() {
  const focus = focusNow();
  if (!focus) return null;
  return focus.axis === "row" ? { t: focus.index, s: focus.other } : { t: focus.other, s: focus.index };
}

function drawMatrixView() {
  if (state.view !== "matrix") return;
  const { side, rows, columns } = current;
  if (matrixView.rows !== rows || matrixView.columns !== columns) {
    Object.assign(matrixView, { rows, columns });
    buildAxisLabels(byId("row-labels"), "row", rows);
    buildAxisLabels(byId("column-labels"), "column", columns);
  }
  byId("matrix-caption").textContent =
    [`rows: ${textNames[side.rows]}`, `columns: ${textNames[side.columns]}`, whereNow()].filter(Boolean).join(" · ");
  layOutMatrix();
  drawHeat();
  drawScale();
}

function drawHeat() {
  const frame = byId("matrix");
  matrixView.x = frame.scrollLeft;
  matrixView.y = frame.scrollTop;
  const width = Math.min(current.S * matrixView.cell - matrixView.x, frame.clientWidth - byId("row-labels").offsetWidth);
  const height = Math.min(current.T * matrixView.cell - matrixView.y,
    frame.clientHeight - byId("column-labels").offsetHeight);
  const context = prepare(byId("heat"), Math.max(1, width), Math.max(1, height));
  drawCellsInSight(context, width, height);
  drawNumbers(context, width, height);
  const chosen = chosenCell();
  drawCross(context, width, height, chosen);
  for (const label of frame.querySelectorAll(".label")) {
    const mine = label.dataset.axis === "row" ? chosen?.t : chosen?.s;
    label.classList.toggle("chosen", mine === Number(label.dataset.index));
  }
}

function drawScale() {
  const context = byId("scale").getContext("2d");
  for (let x = 0; x < 120; ++x) {
    context.fillStyle = rgb(weightScale(isDark())[Math.round((255 * x) / 119)]);
    context.fillRect(x, 0, 1, 10);
  }
}

const hideTip = () => (byId("tip").hidden = true);

function showTip(x, y, t, s) {
  const tip = byId("tip");
  tip.replaceChildren(make("bdi", {}, current.rows.labels[t]), " → ", make("bdi", {}, current.columns.labels[s]),
    make("strong", {}, meanNow()[t * current.S + s].toFixed(4)));
  tip.hidden = false;
  tip.style.left = `${Math.min(x + 16, innerWidth - tip.offsetWidth - 8)}px`;
  tip.style.top = `${y + 18 + tip.offsetHeight > innerHeight ? y - 12 - tip.offsetHeight : y + 18}px`;
}

function cellAt(event) {
  const box = byId("heat").getBoundingClientRect();
  const t = Math.floor((event.clientY - box.top + matrixView.y) / matrixView.cell);
  const s = Math.floor((event.clientX - box.left + matrixView.x) / matrixView.cell);
  const inside = t >= 0 && t < current.T && s >= 0 && s < current.S;
  return inside ? { t, s } : null;
}

function pointAtCell(event) {
  const cell = cellAt(event);
  if (!cell || event.target !== byId("heat")) return leaveMatrix();
  const { t, s } = cell;
  if (state.hover?.index !== t || state.hover.other !== s) update({ hover: { axis: "row", index: t, other: s } });
  showTip(event.clientX, event.clientY, t, s);
}

function leaveMatrix() {
  hideTip();
  if (state.hover) update({ hover: null });
}

/** Moves the kept cell by arrow keys, and the frame with it. */
function moveCell(event) {
  const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
  if (!step || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  const from = chosenCell();
  const clamp = (value, count) => Math.min(Math.max(0, value), count - 1);
  const t = from ? clamp((from.t ?? 0) + step[0], current.T) : 0;
  const s = from ? clamp((from.s ?? 0) + step[1], current.S) : 0;
  bringIntoSight(t, s);
  update({ hover: null, pin: { axis: "row", index: t, other: s } });
}

function bringIntoSight(t, s) {
  const frame = byId("matrix");
  const { cell } = matrixView;
  const wide = frame.clientWidth - byId("row-labels").offsetWidth - cell;
  const high = frame.clientHeight - byId("column-labels").offsetHeight - cell;
  frame.scrollLeft = Math.max(Math.min(frame.scrollLeft, s * cell), s * cell - wide);
  frame.scrollTop = Math.max(Math.min(frame.scrollTop, t * cell), t * cell - high);
}

const zoomBy = (factor) => update({ zoom: Math.min(30, Math.max(0.25, state.zoom * factor)) });

function setUpMatrixView() {
  const frame = byId("matrix");
  frame.addEventListener("mousemove", pointAtCell);
  frame.addEventListener("mouseleave", leaveMatrix);
  frame.addEventListener("click", (event) => {
    const cell = cellAt(event);
    if (cell && event.target === byId("heat")) togglePin("row", cell.t, cell.s);
    const label = event.target.closest(".label");
    if (label && getSelection().isCollapsed) togglePin(label.dataset.axis, Number(label.dataset.index));
  });
  frame.addEventListener("keydown", moveCell);
  frame.addEventListener("scroll", () => requestAnimationFrame(drawHeat));
  frame.addEventListener("wheel", (event) => {
    if (!event.ctrlKey) return;
    event.preventDefault();
    zoomBy(event.deltaY < 0 ? 1.15 : 1 / 1.15);
  }, { passive: false });
  byId("zoom-in").addEventListener("click", () => zoomBy(1.4));
  byId("zoom-out").addEventListener("click", () => zoomBy(1 / 1.4));
  byId("zoom-fit").addEventListener("click", () => update({ zoom: 1 }));
  Object.assign(shortcuts, { "+": () => zoomBy(1.4), "-": () => zoomBy(1 / 1.4), 0: () => update({ zoom: 1 }) });
  new ResizeObserver(() => current && requestAnimationFrame(drawMatrixView)).observe(byId("panel-matrix"));
  onChange(drawMatrixView);
}
