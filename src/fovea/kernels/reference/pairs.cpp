#include "fovea/kernels/reference/pairs.h"

namespace fovea::kernels::reference {
namespace {

std::int64_t key_row(const PairProduct& x, std::int64_t b, std::int64_t j) {
  const std::int64_t row = x.pairs.k_start[b] + j;
  return x.key_rows ? x.key_rows[row] : row;
}

// body(pair, row, key): where pair (t,j) of head h of sequence b and its two operands begin.
template <class Body>
void for_each_pair(const PairProduct& x, const Body& body) {
  for (std::int64_t b = 0; b < x.pairs.sequences; ++b)
    for (std::int64_t h = 0; h < x.pairs.heads; ++h)
      for (std::int64_t t = 0; t < x.pairs.q_count[b]; ++t)
        for (std::int64_t j = 0; j < x.pairs.k_count[b]; ++j)
          body(x.pairs.row(b, h, t) + j, (x.pairs.q_start[b] + t) * x.rows.row + h * x.rows.head,
               key_row(x, b, j) * x.keys.row + h / (x.pairs.heads / x.kv_heads) * x.keys.head);
}

}  // namespace

void pair_dot(const PairProduct& x, float scale, const float* rows, const float* keys, float* pairs) {
  for_each_pair(x, [&](std::int64_t pair, std::int64_t row, std::int64_t key) {
    double sum = 0.0;
    for (std::int64_t e = 0; e < x.width; ++e) sum += double{rows[row + e]} * double{keys[key + e]};
    pairs[pair] = static_cast<float>(double{scale} * sum);
  });
}

void pair_mix(const PairProduct& x, const float* pairs, const float* keys, bool accumulate, float* rows) {
  const PairExtents& p = x.pairs;
  for (std::int64_t b = 0; b < p.sequences; ++b)
    for (std::int64_t h = 0; h < p.heads; ++h)
      for (std::int64_t t = 0; t < p.q_count[b]; ++t)
        for (std::int64_t e = 0; e < x.width; ++e) {
          float& out = rows[(p.q_start[b] + t) * x.rows.row + h * x.rows.head + e];
          const std::int64_t head = h / (p.heads / x.kv_heads) * x.keys.head;
          double sum = accumulate ? double{out} : 0.0;
          for (std::int64_t j = 0; j < p.k_count[b]; ++j)
            if (const float w = pairs[p.row(b, h, t) + j]; w != 0.0f)
              sum += double{w} * double{keys[key_row(x, b, j) * x.keys.row + head + e]};
          out = static_cast<float>(sum);
        }
}

void pair_mix_transposed(const PairProduct& x, const float* pairs, const float* rows, float* keys) {
  const PairExtents& p = x.pairs;
  const std::int64_t group = p.heads / x.kv_heads;
  for (std::int64_t b = 0; b < p.sequences; ++b)
    for (std::int64_t g = 0; g < x.kv_heads; ++g)
      for (std::int64_t j = 0; j < p.k_count[b]; ++j)
        for (std::int64_t e = 0; e < x.width; ++e) {
          float& out = keys[key_row(x, b, j) * x.keys.row + g * x.keys.head + e];
          double sum = out;
          for (std::int64_t h = g * group; h < (g + 1) * group; ++h)
            for (std::int64_t t = 0; t < p.q_count[b]; ++t)
              if (const float w = pairs[p.row(b, h, t) + j]; w != 0.0f)
                sum += double{w} * double{rows[(p.q_start[b] + t) * x.rows.row + h * x.rows.head + e]};
          out = static_cast<float>(sum);
        }
}

}  // namespace fovea::kernels::reference
