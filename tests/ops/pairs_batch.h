#pragma once

#include <gtest/gtest.h>

#include <vector>

#include "fovea/ops/pairs.h"

namespace fovea::ops {

/// Sequences of these lengths, one after another.
inline std::shared_ptr<const Sequences> sequences_of(const std::vector<std::int32_t>& lengths) {
  std::vector<std::int32_t> offsets{0};
  for (const std::int32_t length : lengths) offsets.push_back(offsets.back() + length);
  return Sequences::packed(offsets);
}

inline PairsPtr pairs_of(std::int64_t heads, const std::vector<std::int32_t>& T,
                         const std::vector<std::int32_t>& S) {
  return Pairs::of(sequences_of(T), sequences_of(S), heads);
}

/// A context for tests of ops: threads, a seed.
class PairOps : public testing::Test {
 protected:
  Context context(bool training = false) {
    Context ctx;
    ctx.exec = owner_.get();
    ctx.training = training;
    ctx.seed = 3;
    ctx.update = 5;
    return ctx;
  }
  kernels::ExecutionOwner owner_{2};
};

/// Whether two tensors differ in some element: what a parameter must do to the answer.
inline bool differ(const Tensor& a, const Tensor& b) {
  for (std::int64_t i = 0; i < a.elements(); ++i)
    if (a.f32()[i] != b.f32()[i]) return true;
  return a.elements() != b.elements();
}

/// Expects an Error whose line holds `part`.
template <class Body>
void expect_error(const Body& body, const std::string& part) {
  try {
    body();
    ADD_FAILURE() << "no error with: " << part;
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
  }
}

}  // namespace fovea::ops
