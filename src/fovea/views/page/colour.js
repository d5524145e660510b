/* Colours: of heads, equally light and evenly spread; of weights, the scales of the terminal and SVG views. */

/** A colour of the OKLCH space (Ottosson 2020) as [red, green, blue], 0 to 255. */
function oklch(lightness, chroma, hue) {
  const a = chroma * Math.cos((hue * Math.PI) / 180);
  const b = chroma * Math.sin((hue * Math.PI) / 180);
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ].map((x) => {
    const linear = Math.min(1, Math.max(0, x));
    return Math.round(255 * (linear <= 0.0031308 ? 12.92 * linear : 1.055 * linear ** (1 / 2.4) - 0.055));
  });
}

/** The colour of head `h` of `count`: hues go round once, every second one is darker where there are many. */
const headColour = memoised((h, count, dark) => {
  const hue = 15 + (360 * h) / Math.max(count, 3);
  const step = count > 6 && h % 2 === 1 ? 0.09 : 0;
  return oklch(dark ? 0.78 - step : 0.64 - step, dark ? 0.145 : 0.17, hue);
});

const rgb = ([r, g, b], alpha = 1) => `rgb(${r} ${g} ${b} / ${alpha})`;

/** Where a weight stands on the colour scale, so that a tenth can be told from nothing. */
const emphasis = (weight) => Math.min(1, Math.max(0, weight)) ** 0.6;

/** How strongly a token is coloured that has so much of the chosen one's attention: below 1 % not at all. */
const glow = (weight) => (weight < 0.01 ? "0%" : `${Math.round(100 * emphasis(weight))}%`);

/** 256 colours [red, green, blue] from nothing to all, by the scale of the theme. */
const weightScale = memoised((dark) => {
  const stops = (dark ? recording.scales.ember : recording.scales.ink).map((hex) =>
    [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16)),
  );
  return Array.from({ length: 256 }, (_, i) => {
    const place = (i / 255) * (stops.length - 1);
    const left = Math.min(Math.floor(place), stops.length - 2);
    return stops[left].map((part, k) => Math.round(part + (place - left) * (stops[left + 1][k] - part)));
  });
});

const weightColour = (weight, dark) => weightScale(dark)[Math.round(255 * emphasis(weight))];

/** Whether black or white is read better on a colour. */
const isLight = ([r, g, b]) => 0.2126 * r + 0.7152 * g + 0.0722 * b > 140;

/** Paints weights [T, S] into a canvas of S x T pixels; beyond `most` pixels a side, the largest of each patch. */
function paintWeights(canvas, values, T, S, dark, most = Infinity) {
  const scale = weightScale(dark);
  const width = Math.min(S, most);
  const height = Math.min(T, most);
  const largest = new Float32Array(width * height);
  for (let t = 0, i = 0; t < T; ++t) {
    const y = Math.floor((t * height) / T);
    for (let s = 0; s < S; ++s, ++i) {
      const pixel = y * width + (width === S ? s : Math.floor((s * width) / S));
      if (values[i] > largest[pixel]) largest[pixel] = values[i];
    }
  }
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  for (let i = 0; i < largest.length; ++i) {
    const [r, g, b] = scale[Math.round(255 * emphasis(largest[i]))];
    image.data.set([r, g, b, 255], 4 * i);
  }
  context.putImageData(image, 0, 0);
}
