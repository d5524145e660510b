// Included once per instruction set: see for_each_isa.h.
// A row is that of cross_entropy, two passes over V, and what the source gives: a few ids a row, in double.

/// The ids of a source, and what a row copies of each.
struct Copied {
  std::int64_t count;
  const std::int32_t* ids;
  float* share;   // [count] sum of weights
  float* second;  // [count] for the caller
};

inline Copied copied(const CopyExtents& x, const float* weights, std::int64_t b, std::int64_t t, float* scratch) {
  const std::int64_t S = x.pairs.k_count[b], start = x.pairs.k_start[b];
  const std::int64_t count = S > 0 ? x.source.count[start] : 0;
  const Copied out{count, x.source.distinct + start, scratch, scratch + count};
  std::fill_n(out.share, count, 0.0f);
  for (std::int64_t h = 0; h < x.pairs.heads; ++h) {
    const float* row = weights + x.pairs.row(b, h, t);
    for (std::int64_t j = 0; j < S; ++j) out.share[x.source.slot[start + j]] += row[j];
  }
  for (std::int64_t u = 0; u < count; ++u) out.share[u] /= static_cast<float>(x.pairs.heads);
  return out;
}

/// An id that is generated with probability e^log_generated and copied with `copied`.
struct Mixed {
  double log_p, p, r, difference;  // r: the share of p that was generated; difference: d p / d g
};

inline Mixed mix_id(double g, double log_g, double log_generated, double copied) {
  const double generated = std::exp(log_generated), p = g * generated + (1.0 - g) * copied;
  if (copied > 0.0) return {std::log(p), p, g * generated / p, generated - copied};
  return {log_g + log_generated, p, 1.0, generated};
}

/// What a row costs and its gradients by scalars: those of p_gen, of what is copied (left in copied.share) and
/// of softmax, whose r for each id of the source is left in copied.second.
struct CopyCost {
  double loss, nll, d_g, generated, target_r;
};

// copied.second holds the ids' logits.
inline CopyCost cost_of(const CopyExtents& x, const RowSums& row, double g, std::int64_t target,
                        double target_logit, const Copied& copied) {
  const double log_g = std::log(g), log_sum = row.exponentials.max + std::log(row.exponentials.sum);
  const double V = static_cast<double>(x.V), share = x.smoothing / V;
  double smooth = log_sum - row.logits / V - log_g;  // mean of -log p, as if nothing were copied
  double elsewhere = 1.0, d_g = 0.0;                 // elsewhere: q of ids that the source lacks
  CopyCost cost{0.0, log_sum - target_logit - log_g, 0.0, 1.0, 1.0};
  for (std::int64_t u = 0; u < copied.count; ++u) {
    const bool is_target = copied.ids[u] == target;
    const double q = share + (is_target ? 1.0 - x.smoothing : 0.0);
    const double log_generated = copied.second[u] - log_sum;
    const float given = copied.share[u];
    copied.share[u] = 0.0f;
    copied.second[u] = 1.0f;
    if (q == 0.0) continue;
    const Mixed mixed = mix_id(g, log_g, log_generated, given);
    smooth -= (mixed.log_p - (log_g + log_generated)) / V;
    elsewhere -= q;
    d_g -= given > 0.0f ? q * mixed.difference / mixed.p : q / g;
    cost.generated -= q * (1.0 - mixed.r);
    if (is_target) cost.nll = -mixed.log_p, cost.target_r = mixed.r;
    copied.share[u] = static_cast<float>(-q * (1.0 - g) / mixed.p);
    copied.second[u] = static_cast<float>(mixed.r);
  }
  const bool lacks_some = x.smoothing > 0 ? copied.count < x.V : elsewhere > 0.5;
  cost.d_g = lacks_some ? d_g - elsewhere / g : d_g;
  cost.loss = (1.0 - x.smoothing) * cost.nll + (x.smoothing > 0 ? x.smoothing * smooth : 0.0);
  return cost;
}

void copy_cross_entropy(const CopyExtents& x, const CopyInputs& in, const CopyLosses& out, std::int64_t b,
                        std::int64_t begin, std::int64_t end, float* scratch) {
  const std::int64_t V = x.V, start = x.pairs.k_start[b];
  const double share = x.smoothing / static_cast<double>(V), weight = x.weight;
  for (std::int64_t t = begin; t < end; ++t) {
    const std::int64_t n = x.pairs.q_start[b] + t, target = out.targets[n];
    float* logits = in.logits + (n - x.first) * V;
    const Copied from_source = copied(x, in.weights, b, t, scratch);
    for (std::int64_t u = 0; u < from_source.count; ++u) from_source.second[u] = logits[from_source.ids[u]];
    const double target_logit = logits[target];
    RowSums row;
    x.gradient ? sum_row<true>(logits, V, row) : sum_row<false>(logits, V, row);
    const CopyCost cost = cost_of(x, row, in.p_gen[n], target, target_logit, from_source);
    out.losses[n] = static_cast<float>(cost.loss);
    out.nll[n] = static_cast<float>(cost.nll);
    if (!x.gradient) continue;
    out.d_p_gen[n] = static_cast<float>(weight * cost.d_g);
    scale_row(logits, V, row, weight * cost.generated, weight * share);
    for (std::int64_t u = 0; u < from_source.count; ++u)
      logits[from_source.ids[u]] += static_cast<float>(weight * share * (1.0 - from_source.second[u]));
    logits[target] -= static_cast<float>(weight * (1.0 - x.smoothing) * cost.target_r);
    const float of_head = x.weight / static_cast<float>(x.pairs.heads);
    for (std::int64_t h = 0; h < x.pairs.heads; ++h) {
      float* d = out.d_weights + x.pairs.row(b, h, t);
      for (std::int64_t j = 0; j < x.pairs.k_count[b]; ++j)
        d[j] = of_head * from_source.share[x.source.slot[start + j]];
    }
  }
}

void copy_log_probabilities(const CopyExtents& x, const CopyInputs& in, std::int64_t b, std::int64_t begin,
                            std::int64_t end, float* scratch) {
  const std::int64_t V = x.V;
  for (std::int64_t t = begin; t < end; ++t) {
    const std::int64_t n = x.pairs.q_start[b] + t;
    float* logits = in.logits + (n - x.first) * V;
    const Copied from_source = copied(x, in.weights, b, t, scratch);
    RowSums row;
    sum_row<false>(logits, V, row);
    const double g = in.p_gen[n], log_g = std::log(g);
    const double log_sum = row.exponentials.max + std::log(row.exponentials.sum);
    for (std::int64_t u = 0; u < from_source.count; ++u)
      from_source.second[u] = static_cast<float>(
          mix_id(g, log_g, logits[from_source.ids[u]] - log_sum, from_source.share[u]).log_p);
    const Floats shift = broadcast(static_cast<float>(log_g - log_sum));
    over_vectors(V, [&](std::int64_t i, auto lanes) {
      lanes.write(logits + i, add(lanes.read(logits + i), shift));
    });
    for (std::int64_t u = 0; u < from_source.count; ++u) logits[from_source.ids[u]] = from_source.second[u];
  }
}
