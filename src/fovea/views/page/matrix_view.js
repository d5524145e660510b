/* The matrix view: the weights as a heat map, the value under the pointer, zoom for long texts. */

const matrixView = { painted: null, wide: 24, high: 24, x: 0, y: 0 };
const labelsFrom = 11; // the smallest cells, in pixels, that have room for a label
const numbersFrom = { wide: 28, high: 18 };

/** The size of a cell, {wide, high} in pixels, that shows all of the matrix as far as that can be read. */
function fittingCell() {
  const room = byId("panel-matrix").clientWidth - byId("row-labels").offsetWidth - 64;
  const high = Math.min(36, (innerHeight * 0.6) / current.T);
  return { high, wide: Math.min(1.6 * high, room / current.S) };
}

function buildAxisLabels(holder, axis, units) {
  holder.replaceChildren(...units.labels.map((label, i) => {
    const item = make("span", { class: classesOf(units, i, "label") }, make("bdi", {}, label));
    item.dataset.index = i;
    item.dataset.axis = axis;
    return item;
  }));
}

/** The frame's edges are as wide as the longest labels need, within limits. */
function makeRoomForLabels() {
  const longest = (holder) => Math.max(...[...holder.querySelectorAll("bdi")].map((label) => label.offsetWidth));
  const frame = byId("matrix");
  frame.style.setProperty("--row-room", `${Math.min(150, longest(byId("row-labels")) + 18)}px`);
  frame.style.setProperty("--column-room", `${Math.min(108, Math.max(40, longest(byId("column-labels")) * 0.78 + 20))}px`);
}

function layOutMatrix() {
  const { T, S } = current;
  const fitting = fittingCell();
  const sized = (pixels) => {
    const zoomed = Math.max(1, Math.min(72, pixels * state.zoom));
    return zoomed < 4 ? zoomed : Math.floor(zoomed); // whole pixels, where a fraction would show
  };
  const [wide, high] = [sized(fitting.wide), sized(fitting.high)];
  Object.assign(matrixView, { wide, high });
  const frame = byId("matrix");
  frame.style.setProperty("--cell-wide", `${wide}px`);
  frame.style.setProperty("--cell-high", `${high}px`);
  frame.classList.toggle("steep", wide < 20);
  frame.classList.toggle("tiny-columns", wide < labelsFrom);
  frame.classList.toggle("tiny-rows", high < labelsFrom);
  byId("cells").style.width = `${S * wide}px`;
  byId("cells").style.height = `${T * high}px`;
  [...byId("column-labels").children].forEach((item, s) => (item.style.left = `${(s + 0.5) * wide}px`));
  [...byId("row-labels").children].forEach((item, t) => (item.style.top = `${t * high}px`));
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
  const { wide, high, x, y } = matrixView;
  context.imageSmoothingEnabled = Math.min(wide, high) < 4;
  context.drawImage(paintMatrix(), x / wide, y / high, width / wide, height / high, 0, 0, width, height);
  if (Math.min(wide, high) < 9) return;
  context.fillStyle = getComputedStyle(byId("matrix")).getPropertyValue("--card");
  for (let s = Math.ceil(x / wide); s * wide - x <= width; ++s) context.fillRect(s * wide - x - 0.5, 0, 1, height);
  for (let t = Math.ceil(y / high); t * high - y <= height; ++t) context.fillRect(0, t * high - y - 0.5, width, 1);
}

function drawNumbers(context, width, height) {
  const { wide, high, x, y } = matrixView;
  if (wide < numbersFrom.wide || high < numbersFrom.high) return;
  const values = meanNow();
  context.font = `${Math.min(13, wide * 0.36, high * 0.5)}px ${getComputedStyle(document.body).fontFamily}`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  for (let t = Math.floor(y / high); t < Math.min(current.T, (y + height) / high); ++t) {
    for (let s = Math.floor(x / wide); s < Math.min(current.S, (x + width) / wide); ++s) {
      const weight = values[t * current.S + s];
      if (weight < 0.01) continue;
      context.fillStyle = isLight(weightColour(weight, isDark())) ? "rgb(20 24 36 / 0.8)" : "rgb(255 255 255 / 0.9)";
      context.fillText(Math.round(100 * weight), (s + 0.5) * wide - x, (t + 0.5) * high - y + 1);
    }
  }
}

/** Lines through the cells where the second of two texts begins. */
function drawTextsApart(context, width, height) {
  const { wide, high, x, y } = matrixView;
  context.fillStyle = getComputedStyle(document.body).color;
  if (current.columns.second) context.fillRect(Math.round(current.columns.second * wide - x) - 1, 0, 2, height);
  if (current.rows.second) context.fillRect(0, Math.round(current.rows.second * high - y) - 1, width, 2);
}

/** Lines along the row and the column of the chosen cell, which keep clear of the colours, and the cell. */
function drawCross(context, width, height, chosen) {
  if (!chosen) return;
  const { wide, high, x, y } = matrixView;
  const [left, top] = [chosen.s * wide - x, chosen.t * high - y];
  const accent = getComputedStyle(byId("matrix")).getPropertyValue("--accent");
  context.fillStyle = context.strokeStyle = accent;
  context.lineWidth = 1;
  context.globalAlpha = 0.75;
  if (chosen.t !== undefined) context.strokeRect(-2, top - 0.5, width + 4, high);
  if (chosen.s !== undefined) context.strokeRect(left - 0.5, -2, wide, height + 4);
  context.globalAlpha = 1;
  context.lineWidth = 2.5;
  if (chosen.t !== undefined && chosen.s !== undefined) context.strokeRect(left - 0.5, top - 0.5, wide, high);
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
    makeRoomForLabels();
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
  const width = Math.min(current.S * matrixView.wide - matrixView.x, frame.clientWidth - byId("row-labels").offsetWidth);
  const height = Math.min(current.T * matrixView.high - matrixView.y,
    frame.clientHeight - byId("column-labels").offsetHeight);
  const context = prepare(byId("heat"), Math.max(1, width), Math.max(1, height));
  drawCellsInSight(context, width, height);
  drawTextsApart(context, width, height);
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
  const t = Math.floor((event.clientY - box.top + matrixView.y) / matrixView.high);
  const s = Math.floor((event.clientX - box.left + matrixView.x) / matrixView.wide);
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
  const { wide, high } = matrixView;
  const across = frame.clientWidth - byId("row-labels").offsetWidth - wide;
  const down = frame.clientHeight - byId("column-labels").offsetHeight - high;
  frame.scrollLeft = Math.max(Math.min(frame.scrollLeft, s * wide), s * wide - across);
  frame.scrollTop = Math.max(Math.min(frame.scrollTop, t * high), t * high - down);
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
