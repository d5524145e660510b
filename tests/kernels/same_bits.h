#pragma once

#include <cstring>

namespace fovea::kernels {

/// Whether two vectors hold the same bits: NaN equals itself, 0 is not -0.
template <class Values>
bool same_bits(const Values& a, const Values& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(a[0])) == 0);
}

}  // namespace fovea::kernels
