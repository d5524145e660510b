#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "fovea/kernels/pairs_visibility.h"

namespace fovea::test {

/// A batch of packed sequences and the layout of their pairs, with gaps between sequences' rows.
struct Batch {
  std::int64_t heads;
  std::vector<std::int64_t> T, S;
  std::vector<std::int64_t> q_start, k_start, offset{0};
  std::int64_t query_rows = 0, key_rows = 0;

  Batch(std::int64_t H, std::vector<std::int64_t> t, std::vector<std::int64_t> s, std::int64_t gap = 0)
      : heads(H), T(std::move(t)), S(std::move(s)) {
    for (std::size_t b = 0; b < T.size(); ++b) {
      q_start.push_back(query_rows);
      k_start.push_back(key_rows);
      query_rows += T[b] + gap;
      key_rows += S[b] + gap;
      offset.push_back(offset.back() + H * T[b] * S[b]);
    }
  }
  kernels::PairExtents extents() const {
    return {static_cast<std::int64_t>(T.size()),
            heads,
            q_start.data(),
            T.data(),
            k_start.data(),
            S.data(),
            offset.data()};
  }
  std::size_t pairs() const { return static_cast<std::size_t>(offset.back()); }

  /// body(b, h, t): every row of pairs.
  template <class Body>
  void for_each_row(const Body& body) const {
    for (std::size_t b = 0; b < T.size(); ++b)
      for (std::int64_t h = 0; h < heads; ++h)
        for (std::int64_t t = 0; t < T[b]; ++t) body(b, h, t);
  }
};

/// Empty, one key, more queries than keys and the reverse, beyond a vector.
inline Batch ragged(std::int64_t heads, std::int64_t gap = 0) {
  return {heads, {3, 0, 1, 5, 4, 19}, {4, 3, 1, 0, 2, 37}, gap};
}

}  // namespace fovea::test
