/* The head view: who looks (left), at whom (right), a line for each weight in the colour of its head. */

const headView = { rows: null, columns: null, tokenHeight: 30 };
const mostLines = 5000;

function buildTokens(list, axis, units) {
  const fragment = document.createDocumentFragment();
  units.labels.forEach((label, i) => {
    const item = make("li", {
      role: "option", tabindex: i ? -1 : 0, title: label.length > 18 ? label : undefined,
      class: classesOf(units, i, units.within.has(i) && "within"),
    }, make("bdi", {}, label));
    item.dataset.index = i;
    fragment.append(item);
  });
  list.replaceChildren(fragment);
  list.dataset.axis = axis;
}

function buildHeadView() {
  const { rows, columns, side } = current;
  Object.assign(headView, { rows, columns });
  headView.tokenHeight = Math.max(current.T, current.S) > 60 ? 22 : 30;
  byId("stage").style.setProperty("--token-height", `${headView.tokenHeight}px`);
  buildTokens(byId("row-tokens"), "row", rows);
  buildTokens(byId("column-tokens"), "column", columns);
  byId("row-tokens").setAttribute("aria-label", `${textNames[side.rows]}: who looks`);
  byId("column-tokens").setAttribute("aria-label", `${textNames[side.columns]}: who is looked at`);
  byId("looks").textContent = `${textNames[side.rows]} looks at`;
  byId("looked-at").textContent = textNames[side.columns];
}

/** What is in sight: places and sizes in pixels of the canvas. */
function measureStage() {
  const stage = byId("stage");
  const [left, right] = [byId("row-tokens"), byId("column-tokens")];
  const top = stage.scrollTop;
  const height = stage.clientHeight;
  const first = Math.floor(top / headView.tokenHeight);
  const last = Math.ceil((top + height) / headView.tokenHeight);
  return {
    width: stage.clientWidth, height, first, last,
    left: { inner: left.offsetLeft + left.offsetWidth, outer: left.offsetLeft },
    right: { inner: right.offsetLeft, outer: right.offsetLeft + right.offsetWidth },
    y: (index) => (index + 0.5) * headView.tokenHeight - top,
  };
}

/** A canvas of so many CSS pixels, sharp on any screen, cleared. */
function prepare(canvas, width, height) {
  const ratio = devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return context;
}

const inSight = (place, index) => index >= place.first && index < place.last;

/** The weights that get a line: {h, t, s, weight}; where they are too many, the largest. */
function linesInSight(place, heads, focus) {
  const { T, S } = current;
  const found = [];
  for (const h of heads) {
    const values = current.head(h);
    for (let t = 0; t < T; ++t) {
      if (focus?.axis === "row" && focus.index !== t) continue;
      const all = focus || inSight(place, t);
      const [from, to] = all ? [0, S] : [Math.max(0, place.first), Math.min(S, place.last)];
      for (let s = from; s < to; ++s) {
        const weight = values[t * S + s];
        if (weight >= state.faintest && weight > 0 && (focus?.axis !== "column" || focus.index === s)) {
          found.push({ h, t, s, weight });
        }
      }
    }
  }
  found.sort((a, b) => a.weight - b.weight);
  return found.slice(-mostLines);
}

/** Lines to tokens that are out of sight are faint. */
function drawLines(context, place, heads, focus) {
  const x0 = place.left.inner + 6;
  const x1 = place.right.inner - 6;
  const bend = (x1 - x0) * 0.42;
  const spread = Math.min(2.2, (headView.tokenHeight * 0.55) / Math.max(1, heads.length));
  const lane = new Map(heads.map((h, i) => [h, (i - (heads.length - 1) / 2) * spread]));
  context.lineCap = "round";
  for (const { h, t, s, weight } of linesInSight(place, heads, focus)) {
    const [y0, y1] = [place.y(t) + lane.get(h), place.y(s) + lane.get(h)];
    const leaves = !focus && (!inSight(place, t) || !inSight(place, s));
    const alpha = (0.06 + 0.9 * Math.min(1, weight) ** 0.8) * (leaves ? 0.25 : 1);
    context.strokeStyle = rgb(headColour(h, state.heads.length, isDark()), alpha);
    context.lineWidth = 0.8 + 2.4 * Math.min(1, weight);
    context.beginPath();
    context.moveTo(x0, y0);
    context.bezierCurveTo(x0 + bend, y0, x1 - bend, y1, x1, y1);
    context.stroke();
  }
}

/** Beside each token of the other side: a cell for each head, and the mean in percent. */
function drawCells(context, place, heads, focus) {
  const looks = focus.axis === "row";
  const room = looks ? place.width - place.right.outer : place.left.outer;
  const around = weightsAround(meanNow(), focus);
  const withNumbers = room >= 70;
  const side = Math.max(2, Math.min(13, (room - (withNumbers ? 54 : 12)) / heads.length));
  const size = Math.min(14, headView.tokenHeight - 8);
  context.font = `12px ${getComputedStyle(document.body).fontFamily}`;
  context.textBaseline = "middle";
  context.textAlign = looks ? "left" : "right";
  const ink = getComputedStyle(document.body).color;
  for (let i = Math.max(0, place.first); i < Math.min(around.length, place.last); ++i) {
    const y = place.y(i);
    heads.forEach((h, k) => {
      const weight = looks ? current.at(h, focus.index, i) : current.at(h, i, focus.index);
      const x = looks ? place.right.outer + 8 + k * side : place.left.outer - 8 - (heads.length - k) * side;
      context.fillStyle = rgb(headColour(h, state.heads.length, isDark()), 0.07 + 0.93 * emphasis(weight));
      context.fillRect(x, y - size / 2, side - 1, size);
    });
    if (around[i] < 0.005 || !withNumbers) continue;
    context.fillStyle = ink;
    const x = 14 + heads.length * side;
    context.fillText(percent(around[i]), looks ? place.right.outer + x : place.left.outer - x, y);
  }
}

function markTokens(focus) {
  const around = focus && weightsAround(meanNow(), focus);
  for (const list of [byId("row-tokens"), byId("column-tokens")]) {
    const mine = focus?.axis === list.dataset.axis;
    list.classList.toggle("others-fade", Boolean(mine));
    [...list.children].forEach((item, i) => {
      const chosen = mine && focus.index === i;
      item.classList.toggle("chosen", chosen);
      item.setAttribute("aria-selected", pinned(list.dataset.axis, i));
      item.style.setProperty("--weight", focus && !mine ? glow(around[i]) : "0%");
    });
  }
}

function drawHeadView() {
  if (state.view !== "heads") return;
  if (headView.rows !== current.rows || headView.columns !== current.columns) buildHeadView();
  const focus = focusNow();
  markTokens(focus);
  const place = measureStage();
  const context = prepare(byId("lines"), place.width, place.height);
  const heads = activeHeads();
  drawLines(context, place, heads, focus);
  if (focus && heads.length > 0) drawCells(context, place, heads, focus);
}

function moveAlongTokens(event) {
  const item = event.target.closest("li");
  if (!item) return;
  const index = Number(item.dataset.index);
  const axis = item.parentElement.dataset.axis;
  if (event.key === "Enter" || event.key === " ") {
    event.preventDefault();
    togglePin(axis, index);
    return;
  }
  const across = { ArrowLeft: byId("row-tokens"), ArrowRight: byId("column-tokens") }[event.key];
  if (!across || across === item.parentElement) return;
  event.preventDefault();
  const there = across.children[Math.min(index, across.children.length - 1)];
  putInTabOrder([...across.children], there);
  there.focus();
}

function setUpHeadView() {
  for (const list of [byId("row-tokens"), byId("column-tokens")]) {
    const placeOf = (event) => {
      const item = event.target.closest("li");
      return item && { axis: list.dataset.axis, index: Number(item.dataset.index) };
    };
    list.addEventListener("mouseover", (event) => placeOf(event) && update({ hover: placeOf(event) }));
    list.addEventListener("mouseleave", () => update({ hover: null }));
    list.addEventListener("focusin", (event) => event.target.matches(":focus-visible") && update({ hover: placeOf(event) }));
    list.addEventListener("focusout", () => update({ hover: null }));
    list.addEventListener("click", (event) => {
      const place = placeOf(event);
      if (place && getSelection().isCollapsed) togglePin(place.axis, place.index);
    });
    walkByArrows(list, "li", undefined, upAndDown);
    list.addEventListener("keydown", moveAlongTokens);
  }
  byId("stage").addEventListener("scroll", () => requestAnimationFrame(drawHeadView));
  new ResizeObserver(() => current && requestAnimationFrame(drawHeadView)).observe(byId("stage"));
  onChange(drawHeadView);
}
