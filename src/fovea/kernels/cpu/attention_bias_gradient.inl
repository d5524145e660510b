// Gradients of biases: sums of ds over pairs, in one fixed order. `Pairs` computes the tiles again: see
// PairGradients, for f32. Included by attention.inl and attention_bf16.inl.

// Runs body(begin, end of the range that is summed) for what a stride of 0 sums over, else body(i, i + 1).
struct SummedRange {
  std::int64_t count;   // units of their own
  std::int64_t length;  // of the dimension
  bool summed;
  SummedRange(std::int64_t stride, std::int64_t dimension)
      : count(stride ? dimension : std::min<std::int64_t>(dimension, 1)),
        length(dimension),
        summed(!stride) {}
  Interval of(std::int64_t unit) const { return summed ? Interval{0, length} : Interval{unit, unit + 1}; }
};

// `units` units of a pass over pairs, dealt to workers in runs; each unit owns what it sums into.
template <class Pairs, class Call, class Body>
void run_pair_units(const Call& call, std::int64_t units, const Body& body) {
  Arena count;
  Pairs(call, count);
  const int workers = static_cast<int>(std::clamp<std::int64_t>(units, 1, call.exec.pool->size()));
  run_workers(call.exec, workers, [&](int worker) {
    Arena arena(call.exec.workspace->get(worker, 3, count.used()));
    Pairs pairs(call, arena);
    for (std::int64_t u = units * worker / workers; u < units * (worker + 1) / workers; ++u) body(u, pairs);
  });
}

// d_bias[...] = sum of ds over everything that the bias is broadcast over: parallel over its own rows, in
// order over what is summed.
template <class Pairs, class Call>
void bias_gradient(const Call& call) {
  const AttentionExtents& x = call.x;
  const PairStrides& s = x.bias;
  std::int64_t most_queries = 0;
  for (std::int64_t b = 0; b < x.sequences; ++b) most_queries = std::max(most_queries, x.q_count[b]);
  const SummedRange sequences(s.sequence, x.sequences), heads(s.head, x.heads);
  const SummedRange blocks(s.query, (most_queries + max_block - 1) / max_block);
  const std::int64_t units = sequences.count * heads.count * blocks.count;
  run_pair_units<Pairs>(call, units, [&](std::int64_t unit, Pairs& pairs) {
    const Interval bs = sequences.of(unit / (heads.count * blocks.count));
    const Interval hs = heads.of(unit / blocks.count % heads.count), ts = blocks.of(unit % blocks.count);
    const auto for_each_block = [&](std::int64_t h0, std::int64_t h1, const auto& body) {
      for (std::int64_t b = bs.begin; b < bs.end; ++b)
        for (std::int64_t h = h0; h < h1; ++h)
          for (std::int64_t t0 = ts.begin * max_block; t0 < std::min(ts.end * max_block, x.q_count[b]);
               t0 += max_block)
            body(AttentionHead(x, b, h), t0, std::min(t0 + max_block, x.q_count[b]),
                 call.d.bias + b * s.sequence + h * s.head);
    };
    for_each_block(hs.begin, hs.begin + 1, [&](const AttentionHead& head, auto t0, auto t1, float* to) {
      for (std::int64_t t = t0; t < t1; ++t)
        for (std::int64_t j = 0; j < head.keys; ++j) to[t * s.query + j * s.key] = 0.0f;
    });
    for_each_block(hs.begin, hs.end, [&](const AttentionHead& head, auto t0, auto t1, float* to) {
      pairs.for_each_tile(head, t0, t1, [&](const KeyTile& tile, const float* ds, std::int64_t stride) {
        for (std::int64_t t = t0; t < t1; ++t) {
          const std::int64_t lane = t - t0;
          const Interval keys = tile.edges.columns(lane, lane + 1, tile.n);
          for (std::int64_t j = keys.begin; j < keys.end; ++j)
            to[t * s.query + (tile.j0 + j) * s.key] += ds[j * stride + lane];
        }
      });
    });
  });
}

// d_relative[h, distance] = sum of ds over sequences and queries, in order; parallel over heads. Neighbours
// in lanes are neighbours in the table.
template <class Pairs, class Call>
void relative_gradient(const Call& call) {
  const AttentionExtents& x = call.x;
  const RelativeLayout& r = x.relative;
  const SummedRange heads(r.head, x.heads);
  run_pair_units<Pairs>(call, heads.count, [&](std::int64_t unit, Pairs& pairs) {
    float* const table = call.d.relative + unit * r.head;
    std::fill_n(table, r.count, 0.0f);
    for (std::int64_t b = 0; b < x.sequences; ++b)
      for (std::int64_t h = heads.of(unit).begin; h < heads.of(unit).end; ++h) {
        const AttentionHead head(x, b, h);
        for (std::int64_t t0 = 0; t0 < head.queries; t0 += max_block) {
          const std::int64_t t1 = std::min(t0 + max_block, head.queries), nq = t1 - t0;
          pairs.for_each_tile(head, t0, t1, [&](const KeyTile& tile, const float* ds, std::int64_t stride) {
            for (std::int64_t lane = 0; lane < nq; lane += width) {
              const Interval keys = lane_keys(tile, lane, nq);
              const int lanes = static_cast<int>(std::min<std::int64_t>(width, nq - lane));
              for (std::int64_t j = keys.begin; j < keys.end; ++j) {
                const std::int64_t first = r.zero + t0 + lane + head.shift - tile.j0 - j;
                const float* const from = ds + j * stride + lane;
                if (first >= 0 && first + lanes <= r.count) {
                  const Floats sum = add(load_first(table + first, lanes), load_first(from, lanes));
                  store_first(table + first, sum, lanes);
                  continue;
                }
                for (int i = 0; i < lanes; ++i)
                  if (first + i >= 0 && first + i < r.count) table[first + i] += from[i];
              }
            }
          });
        }
      }
  });
}
