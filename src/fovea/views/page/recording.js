/* The recording that this page was made of: texts, sides, layers, weights.
 *
 *   text   {tokens, special, second?, continues?, blank_before?, words?}   places are numbers of tokens; at
 *                                                                       `second` the second of two begins
 *   side   {kind, side, rows, columns, layers, clearest}          rows and columns name texts
 *   layer  {number, heads, block, most, entropy[H], distance[H]}
 *
 * Weights wait in elements "weights-BLOCK" (base64 of deflated integers) until a layer is looked at.
 */
const recording = JSON.parse(document.getElementById("recording").textContent);

/** Whether the tokens are pieces, which words can be joined from. */
const hasPieces = Boolean(recording.texts.source.words);

/** What stands on an axis: {labels, second, special:Set, touches:Set (no blank before), within:Set (inside a word), of};
 *  labels from `second` on are of the second text, if there are two. */
const unitsOf = memoised((name, words) => {
  const text = recording.texts[name];
  const special = new Set(text.special);
  const continues = new Set(text.continues ?? []);
  const blankBefore = text.blank_before && new Set(text.blank_before);
  const touches = (i) => blankBefore !== undefined && !blankBefore.has(i);
  const pieces = text.tokens.map((_, i) => i);
  if (!words || !text.words) {
    return { labels: text.tokens, second: text.second, special, touches: new Set(pieces.filter(touches)), within: continues };
  }
  const first = pieces.filter((i) => !continues.has(i));
  const ofFirst = (wanted) => new Set(first.flatMap((piece, word) => (wanted(piece) ? [word] : [])));
  let word = -1;
  return {
    labels: text.words,
    second: text.second && first.indexOf(text.second),
    special: ofFirst((piece) => special.has(piece)),
    touches: ofFirst(touches),
    within: new Set(),
    of: pieces.map((i) => (continues.has(i) ? word : ++word)),
  };
});

/** The names of the classes of unit i of an axis, as HTML wants them. */
const classesOf = (units, i, ...more) =>
  [...more, units.special.has(i) && "special", i >= units.second && "second", i === units.second && "begins"]
    .filter(Boolean).join(" ") || undefined;

/** Remembers what `make` made of each list of arguments. */
function memoised(make) {
  const made = new Map();
  return (...key) => {
    const name = key.join("/");
    if (!made.has(name)) made.set(name, make(...key));
    return made.get(name);
  };
}

const bytesOfBlock = memoised(async (block) => {
  const text = atob(document.getElementById(`weights-${block}`).textContent);
  const deflated = Uint8Array.from(text, (letter) => letter.charCodeAt(0));
  const stream = new Blob([deflated]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
});

/** Numbers from bytes: w = most (q / Q)^2. */
function restored(bytes, most) {
  const wide = recording.bits === 16;
  const top = wide ? 65535 : 255;
  const weights = new Float32Array(wide ? bytes.length / 2 : bytes.length);
  const squares = wide ? null : Float32Array.from({ length: 256 }, (_, q) => most * (q / top) ** 2);
  for (let i = 0; i < weights.length; ++i) {
    weights[i] = wide ? most * ((bytes[2 * i] | (bytes[2 * i + 1] << 8)) / top) ** 2 : squares[bytes[i]];
  }
  return weights;
}

/** Weights [H, T, S] of words: sums over the pieces of a column's word, averages over those of a row's. */
function joined(weights, heads, rows, columns, rowOf, columnOf) {
  const T = rowOf.at(-1) + 1;
  const S = columnOf.at(-1) + 1;
  const share = new Float32Array(T);
  for (const word of rowOf) share[word] += 1;
  const out = new Float32Array(heads * T * S);
  for (let h = 0, i = 0; h < heads; ++h) {
    for (let t = 0; t < rows; ++t) {
      const start = (h * T + rowOf[t]) * S;
      for (let s = 0; s < columns; ++s, ++i) out[start + columnOf[s]] += weights[i] / share[rowOf[t]];
    }
  }
  return out;
}

/** The weights of one layer as they are looked at. */
class Weights {
  constructor(side, layer, words, values) {
    this.side = side;
    this.layer = layer;
    this.words = words;
    this.heads = layer.heads;
    this.rows = unitsOf(side.rows, words);
    this.columns = unitsOf(side.columns, words);
    this.T = this.rows.labels.length;
    this.S = this.columns.labels.length;
    this.values = values;
  }
  at(head, row, column) {
    return this.values[(head * this.T + row) * this.S + column];
  }
  head(h) {
    return this.values.subarray(h * this.T * this.S, (h + 1) * this.T * this.S);
  }
  /** The mean [T, S] of some heads; zeros of none. */
  mean(heads) {
    if (heads.length === 1) return this.head(heads[0]);
    const sum = new Float32Array(this.T * this.S);
    for (const h of heads) {
      const values = this.head(h);
      for (let i = 0; i < sum.length; ++i) sum[i] += values[i] / heads.length;
    }
    return sum;
  }
}

async function loadWeights(side, layer, words) {
  const values = restored(await bytesOfBlock(layer.block), layer.most);
  const rows = unitsOf(side.rows, words);
  const columns = unitsOf(side.columns, words);
  if (!rows.of || !columns.of) return new Weights(side, layer, words, values);
  const T = rows.of.length;
  const S = columns.of.length;
  return new Weights(side, layer, words, joined(values, layer.heads, T, S, rows.of, columns.of));
}
