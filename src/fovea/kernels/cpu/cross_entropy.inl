// Included once per instruction set: see for_each_isa.h.

void cross_entropy(const CrossEntropy<float>& a, std::int64_t begin, std::int64_t end) {
  const std::int64_t V = a.extents.V;
  const double smoothing = a.extents.smoothing, share = smoothing / static_cast<double>(V);
  for (std::int64_t n = begin; n < end; ++n) {
    float* x = a.logits + n * V;
    const std::int64_t target = a.targets[n];
    const double target_logit = x[target];
    RowSums row;
    a.extents.gradient ? sum_row<true>(x, V, row) : sum_row<false>(x, V, row);
    const double log_sum = std::log(row.exponentials.sum), max = row.exponentials.max;
    const double nll = log_sum + (max - target_logit);
    double loss = (1.0 - smoothing) * nll;
    if (smoothing > 0) loss += smoothing * (log_sum + (max - row.logits / static_cast<double>(V)));
    a.losses[n] = static_cast<float>(loss);
    if (a.nll) a.nll[n] = static_cast<float>(nll);
    if (!a.extents.gradient) continue;
    scale_row(x, V, row, a.extents.weight, a.extents.weight * share);
    x[target] -= static_cast<float>(a.extents.weight * (1.0 - smoothing));
  }
}
