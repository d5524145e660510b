#include "fovea/kernels/reference/decode_attention.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace fovea::kernels::reference {
namespace {

// Keys and values of one sequence and cached head, widened.
struct Past {
  std::vector<float> keys, values;

  Past(const CacheView& cache, std::int64_t b, std::int64_t head) {
    const CacheLayout& l = cache.layout;
    const std::int64_t count = cache.length[b];
    keys.resize(static_cast<std::size_t>(count * l.key_width));
    values.resize(static_cast<std::size_t>(count * l.value_width));
    for (std::int64_t j = cache.first[b]; j < count; ++j) {
      const std::int64_t slot = j - cache.first[b];
      load_token(l, cache.pages[cache.page_start[b] + slot / l.page_tokens], slot % l.page_tokens, head,
                 &keys[static_cast<std::size_t>(j * l.key_width)],
                 &values[static_cast<std::size_t>(j * l.value_width)]);
    }
  }
};

}  // namespace

template <class Real>
void decode_attention(const DecodeExtents& x, const CacheView& cache, const Real* q, Real* out,
                      Real* log_sum_exp, std::int64_t lse_stride) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  const CacheLayout& l = cache.layout;
  const std::int64_t group = x.heads / l.kv_heads;
  std::vector<double> p, mixed;
  for (std::int64_t b = 0; b < x.sequences; ++b)
    for (std::int64_t h = 0; h < x.heads; ++h) {
      const Past past(cache, b, h / group);
      for (std::int64_t t = 0; t < x.q_count[b]; ++t) {
        const std::int64_t S = cache.length[b], i = S - x.q_count[b] + t, row = x.q_start[b] + t;
        const std::int64_t end = x.causal ? std::clamp<std::int64_t>(i + 1, 0, S) : S;
        const std::int64_t begin =
            std::max({cache.first[b], x.window_left >= 0 ? i - x.window_left : 0, std::int64_t{0}});
        double largest = x.sinks ? double{x.sinks[h]} : -infinity, sum = 0.0;
        p.assign(static_cast<std::size_t>(S), 0.0);
        for (std::int64_t j = begin; j < end; ++j) {
          double dot = 0.0;
          for (std::int64_t e = 0; e < l.key_width; ++e)
            dot += double{q[row * x.q.row + h * x.q.head + e]} * double{past.keys[j * l.key_width + e]};
          double s = double{x.scale} * dot;
          if (x.soft_cap > 0.0f) s = double{x.soft_cap} * std::tanh(s / double{x.soft_cap});
          if (x.distance_bias)
            s += double{
                x.distance_bias[h * x.distances + std::clamp<std::int64_t>(i - j, 0, x.distances - 1)]};
          p[j] = s;
          largest = std::max(largest, s);
        }
        if (x.sinks) sum += std::exp(double{x.sinks[h]} - largest);
        for (std::int64_t j = begin; j < end; ++j)
          sum += p[j] = largest == -infinity ? 0.0 : std::exp(p[j] - largest);
        mixed.assign(static_cast<std::size_t>(l.value_width), 0.0);
        for (std::int64_t j = begin; j < end; ++j)
          for (std::int64_t e = 0; e < l.value_width; ++e)
            mixed[e] += p[j] * double{past.values[j * l.value_width + e]};
        for (std::int64_t e = 0; e < l.value_width; ++e)
          out[row * x.out.row + h * x.out.head + e] =
              sum == 0.0 ? Real{0} : static_cast<Real>(mixed[e] / sum);
        if (log_sum_exp)
          log_sum_exp[h * lse_stride + row] =
              static_cast<Real>(sum == 0.0 ? -infinity : largest + std::log(sum));
      }
    }
}

template void decode_attention<float>(const DecodeExtents&, const CacheView&, const float*, float*, float*,
                                      std::int64_t);
template void decode_attention<double>(const DecodeExtents&, const CacheView&, const double*, double*,
                                       double*, std::int64_t);

}  // namespace fovea::kernels::reference
