/* The chart of heads: how spread out each looks (entropy) and how far (distance). */

const chart = { width: 300, height: 210, left: 30, right: 12, top: 10, bottom: 30, key: "" };

/** Round steps of 1, 2 or 5 times a power of ten: about `count` of them up to `most`. */
function roundStep(most, count) {
  const rough = Math.max(most, 1e-6) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  return power * [1, 2, 5, 10].find((factor) => factor * power >= rough);
}

function chartAxes(layers) {
  const most = (name) => Math.max(0.5, ...layers.flatMap((layer) => layer[name])) * 1.06;
  const [x, y] = [most("entropy"), most("distance")];
  const place = {
    x: (value) => chart.left + (value / x) * (chart.width - chart.left - chart.right),
    y: (value) => chart.height - chart.bottom - (value / y) * (chart.height - chart.top - chart.bottom),
  };
  const parts = [];
  const text = (attributes, content) => parts.push(makeSvg("text", { class: "tick", ...attributes }, content));
  const round = (value) => String(Number(value.toFixed(6)));
  const bottom = chart.height - chart.bottom;
  for (let v = 0, step = roundStep(x, 5); v <= x; v += step) {
    parts.push(makeSvg("line", { class: "grid", x1: place.x(v), x2: place.x(v), y1: chart.top, y2: bottom }));
    text({ x: place.x(v), y: bottom + 13, "text-anchor": "middle" }, round(v));
  }
  for (let v = 0, step = roundStep(y, 5); v <= y; v += step) {
    parts.push(makeSvg("line", { class: "grid", x1: chart.left, x2: chart.width - chart.right, y1: place.y(v), y2: place.y(v) }));
    text({ x: chart.left - 5, y: place.y(v) + 3.5, "text-anchor": "end" }, round(v));
  }
  text({ x: chart.width - chart.right, y: chart.height - 3, "text-anchor": "end" }, "entropy, bits →");
  text({ x: chart.left + 4, y: chart.top + 8 }, "↑ distance, tokens");
  return { place, parts };
}

function chartPoint(layerIndex, h, place) {
  const layer = sideNow().layers[layerIndex];
  const here = layerIndex === state.layer;
  const [x, y] = [place.x(layer.entropy[h]), place.y(layer.distance[h])];
  const name = `Layer ${layer.number + 1}, head ${h + 1}: entropy ${layer.entropy[h].toFixed(2)} bits, ` +
    `distance ${layer.distance[h].toFixed(2)} tokens`;
  const dot = makeSvg("circle", { cx: x, cy: y, r: here ? 8 : 3.4 });
  const point = makeSvg("g", {
    class: `point ${here ? "here" : "elsewhere"} ${here && state.heads[h] ? "on" : "off"}`,
    role: "button", tabindex: -1, "aria-label": name,
  }, makeSvg("title", {}, name), dot);
  if (here) point.append(makeSvg("text", { x, y: y + 3.3, "text-anchor": "middle" }, String(h + 1)));
  point.style.setProperty("--head", rgb(headColour(h, layer.heads, isDark())));
  point.dataset.layer = layerIndex;
  point.dataset.head = h;
  return point;
}

function chooseInChart(point) {
  const [layer, head] = [Number(point.dataset.layer), Number(point.dataset.head)];
  const heads = sideNow().layers[layer].heads;
  const alone = layer === state.layer && state.heads.every((on, i) => on === (i === head));
  update({ layer, heads: Array.from({ length: heads }, (_, i) => alone || i === head) });
}

function drawChart() {
  const key = [state.side, state.layer, state.heads, isDark()].join();
  if (chart.key === key) return;
  chart.key = key;
  const held = document.activeElement?.closest?.(".point")?.dataset;
  const layers = sideNow().layers;
  const { place, parts } = chartAxes(layers);
  const points = layers.flatMap((layer, i) => Array.from({ length: layer.heads }, (_, h) => chartPoint(i, h, place)));
  points.sort((a, b) => a.classList.contains("here") - b.classList.contains("here"));
  const picture = makeSvg("svg", { viewBox: `0 0 ${chart.width} ${chart.height}`, role: "group",
    "aria-label": "Entropy and distance of each head" }, ...parts, ...points);
  byId("chart").replaceChildren(picture);
  const first = points.find((point) => point.classList.contains("here"));
  const same = held && points.find((p) => p.dataset.layer === held.layer && p.dataset.head === held.head);
  putInTabOrder(points, same ?? first);
  same?.focus();
  byId("chart-hint").textContent = layers.length > 1
    ? `Large: layer ${layerNow().number + 1}; small: the other layers. Click takes a head alone.`
    : "Click takes a head alone.";
}

function setUpChart() {
  const pointOf = (event) => event.target.closest(".point");
  byId("chart").addEventListener("click", (event) => pointOf(event) && chooseInChart(pointOf(event)));
  byId("chart").addEventListener("keydown", (event) => {
    if (!pointOf(event) || (event.key !== "Enter" && event.key !== " ")) return;
    event.preventDefault();
    chooseInChart(pointOf(event));
  });
  walkByArrows(byId("chart"), ".point");
  onChange(drawChart);
}
