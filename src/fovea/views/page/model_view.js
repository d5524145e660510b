/* The model view: every head of every layer of a side as a thumbnail. */

const thumbnailPixels = 96;
const modelView = { key: "", queue: null };

function buildThumbnail(layerIndex, head) {
  const layer = sideNow().layers[layerIndex];
  const name = `Layer ${layer.number + 1}, head ${head + 1}`;
  const button = make("button", {
    type: "button", class: "thumbnail", tabindex: -1, "aria-label": name,
  }, make("canvas"));
  button.addEventListener("click", () =>
    update({ view: "matrix", layer: layerIndex, heads: Array.from({ length: layer.heads }, (_, i) => i === head), hover: null }));
  const peek = () => update({ peek: { layer: layerIndex, head } });
  button.addEventListener("mouseenter", peek);
  button.addEventListener("focus", peek);
  for (const left of ["mouseleave", "blur"]) button.addEventListener(left, () => update({ peek: null }));
  return button;
}

function buildModelView() {
  const side = sideNow();
  const most = Math.max(...side.layers.map((layer) => layer.heads));
  const holder = byId("thumbnails");
  holder.style.setProperty("--heads", most);
  const header = Array.from({ length: most }, (_, h) => make("span", { class: "head-name" }, `${h + 1}`));
  const rows = side.layers.map((layer, i) => {
    const row = make("div", { class: "thumbnail-row" }, make("span", { class: "layer-name" }, `layer ${layer.number + 1}`),
      ...Array.from({ length: layer.heads }, (_, h) => buildThumbnail(i, h)));
    row.dataset.layer = i;
    return row;
  });
  holder.replaceChildren(make("div", { class: "thumbnail-row" }, make("span", { class: "layer-name" }, "head"), ...header),
    ...rows);
  modelView.queue?.disconnect();
  modelView.queue = new IntersectionObserver(paintRowsInSight, { rootMargin: "200px" });
  rows.forEach((row) => modelView.queue.observe(row));
}

/** Loads and paints the layers that come into sight. */
function paintRowsInSight(entries) {
  for (const { target, isIntersecting } of entries) {
    if (isIntersecting && target.dataset.layer !== undefined) paintRow(target, modelView.key);
  }
}

async function paintRow(row, key) {
  modelView.queue.unobserve(row);
  const side = sideNow();
  const weights = await loadWeights(side, side.layers[row.dataset.layer], state.words);
  if (key !== modelView.key) return; // another side meanwhile
  [...row.querySelectorAll("canvas")].forEach((canvas, h) =>
    paintWeights(canvas, weights.head(h), weights.T, weights.S, isDark(), thumbnailPixels));
  row.classList.add("painted");
}

function drawModelView() {
  if (state.view !== "model") return;
  const key = [state.side, state.words, isDark()].join();
  if (modelView.key !== key) {
    modelView.key = key;
    buildModelView();
  }
  const thumbnails = [...byId("thumbnails").querySelectorAll(".thumbnail")];
  const on = (row, h) => Number(row.dataset.layer) === state.layer && state.heads[h];
  for (const row of byId("thumbnails").querySelectorAll("[data-layer]")) {
    [...row.querySelectorAll(".thumbnail")].forEach((button, h) => {
      button.classList.toggle("chosen", on(row, h));
      button.style.setProperty("--head", rgb(headColour(h, sideNow().layers[row.dataset.layer].heads, isDark())));
    });
  }
  putInTabOrder(thumbnails, thumbnails.find((button) => button.classList.contains("chosen")) ?? thumbnails[0]);
}

/** Up and down go to the same head of the next layer. */
function moveAcrossLayers(event) {
  const by = { ArrowUp: -1, ArrowDown: 1 }[event.key];
  const row = event.target.closest("[data-layer]");
  if (!by || !row) return;
  event.preventDefault();
  const at = [...row.querySelectorAll(".thumbnail")].indexOf(event.target);
  const there = byId("thumbnails").querySelector(`[data-layer="${Number(row.dataset.layer) + by}"]`);
  there?.querySelectorAll(".thumbnail")[at]?.focus();
}

function setUpModelView() {
  walkByArrows(byId("thumbnails"), ".thumbnail", undefined, { ArrowRight: 1, ArrowLeft: -1 });
  byId("thumbnails").addEventListener("keydown", moveAcrossLayers);
  onChange(drawModelView);
}
