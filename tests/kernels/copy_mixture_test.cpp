#include "fovea/kernels/copy_mixture.h"

#include <algorithm>

#include "fovea/kernels/cross_entropy.h"
#include "tests/kernels/random_pairs.h"
#include "tests/kernels/random_rows.h"
#include "tests/kernels/same_bits.h"

namespace fovea::kernels {
namespace {

using namespace fovea::test;

std::int32_t random_id(std::uint64_t seed, std::size_t i, std::int64_t V) {
  return static_cast<std::int32_t>(below(RandomKey::of(seed, 0, 0), i, static_cast<std::uint32_t>(V)));
}

/// A batch with sources, all its operands, and what comes of them.
struct Problem {
  Batch batch;
  std::int64_t V, N;
  std::vector<std::int32_t> ids, targets, slot, distinct, count;
  std::vector<float> logits, p_gen, weights;

  Problem(Batch b, std::int64_t vocabulary, std::uint64_t seed)
      : batch(std::move(b)), V(vocabulary), N(batch.query_rows) {
    logits = normals(N * V, seed, 3.0);
    weights = normals(static_cast<std::int64_t>(batch.pairs()), seed + 1);
    for (float& w : weights) w = std::max(0.0f, w) * 0.3f;  // half of them exactly 0, as sparsemax gives
    for (std::size_t n = 0; n < static_cast<std::size_t>(N); ++n)
      p_gen.push_back(static_cast<float>(1.0 / (1.0 + std::exp(normal(RandomKey::of(seed, 1, 0), n)))));
    // Few different ids, so that sources repeat them and targets meet them.
    const std::int64_t few = std::min<std::int64_t>(V, 12);
    for (std::size_t j = 0; j < static_cast<std::size_t>(batch.key_rows); ++j)
      ids.push_back(random_id(seed, j, few));
    for (std::size_t n = 0; n < static_cast<std::size_t>(N); ++n)
      targets.push_back(random_id(seed + 2, n, n % 3 ? few : V));
    arrange();
  }

  // In order of appearance.
  void arrange() {
    slot.assign(ids.size(), 0);
    distinct = count = slot;
    for (std::size_t b = 0; b < batch.S.size(); ++b) {
      const std::int64_t start = batch.k_start[b];
      std::vector<std::int32_t> seen;
      for (std::int64_t j = start; j < start + batch.S[b]; ++j) {
        const auto found = std::find(seen.begin(), seen.end(), ids[static_cast<std::size_t>(j)]);
        slot[static_cast<std::size_t>(j)] = static_cast<std::int32_t>(found - seen.begin());
        if (found == seen.end()) seen.push_back(ids[static_cast<std::size_t>(j)]);
      }
      std::copy(seen.begin(), seen.end(), distinct.begin() + start);
      if (batch.S[b] > 0) count[static_cast<std::size_t>(start)] = static_cast<std::int32_t>(seen.size());
    }
  }

  CopyExtents extents(float smoothing = 0.0f, float weight = 1.0f) const {
    CopyExtents x;
    x.pairs = batch.extents();
    x.source = {slot.data(), distinct.data(), count.data()};
    x.V = V;
    x.rows = N;
    x.smoothing = smoothing;
    x.weight = weight;
    return x;
  }

  struct Answer {
    std::vector<float> logits, losses, nll, d_p_gen, d_weights;
  };
  /// `chunk` rows at a time.
  Answer losses(const Execution& exec, CopyExtents x, std::int64_t chunk = 1 << 20) const {
    const auto n = static_cast<std::size_t>(N);
    Answer out{logits, std::vector<float>(n), std::vector<float>(n), std::vector<float>(n),
               std::vector<float>(weights.size())};
    for (x.first = 0; x.first < N; x.first += chunk) {
      x.rows = std::min(chunk, N - x.first);
      copy_cross_entropy(
          exec, x, {out.logits.data() + x.first * V, p_gen.data(), weights.data()},
          {targets.data(), out.losses.data(), out.nll.data(), out.d_p_gen.data(), out.d_weights.data()});
    }
    return out;
  }
  std::vector<float> log_probabilities(const Execution& exec) const {
    std::vector<float> out = logits;
    copy_log_probabilities(exec, extents(), {out.data(), p_gen.data(), weights.data()});
    return out;
  }
};

TEST(CopyMixture, IsTheReferenceAtAwkwardWidths) {
  const ExecutionOwner plain(1, KernelSet::reference);
  for (const auto set : available_kernels()) {
    const ExecutionOwner owner(2, set);
    for (const std::int64_t V : awkward_lengths()) {
      for (const float smoothing : {0.0f, 0.1f}) {
        const Problem problem(ragged(V % 2 ? 1 : 3), V, static_cast<std::uint64_t>(V));
        const auto x = problem.extents(smoothing, 1.5f);
        const auto found = problem.losses(owner.get(), x), expected = problem.losses(plain.get(), x);
        const auto what = std::string(name_of(set)) + " V " + std::to_string(V);
        expect_near(found.losses, expected.losses, 2e-6, what + " loss");
        expect_near(found.nll, expected.nll, 2e-6, what + " nll");
        expect_near(found.logits, expected.logits, 2e-6, what + " d_logits");
        expect_near(found.d_p_gen, expected.d_p_gen, 2e-6, what + " d_p_gen");
        expect_near(found.d_weights, expected.d_weights, 2e-6, what + " d_weights");
        auto unasked = x;
        unasked.gradient = false;
        const auto losses = problem.losses(owner.get(), unasked);
        expect_near(losses.losses, expected.losses, 2e-6, what + " loss alone");
        expect_near(problem.log_probabilities(owner.get()), problem.log_probabilities(plain.get()), 2e-6,
                    what + " log p");
      }
    }
  }
}

TEST(CopyMixture, ALargeVocabularyIsTheReference) {
  const Problem problem(ragged(1), 10007, 4);
  const ExecutionOwner plain(1, KernelSet::reference), fast(2);
  const auto x = problem.extents(0.1f);
  const auto found = problem.losses(fast.get(), x), expected = problem.losses(plain.get(), x);
  expect_near(found.losses, expected.losses, 2e-6, "loss");
  expect_near(found.logits, expected.logits, 2e-6, "d_logits");
  expect_near(found.d_p_gen, expected.d_p_gen, 4e-6, "d_p_gen");
}

// Source 0 1 0 with weights .5 .3 .2: what is copied is .7 of id 0 and .3 of id 1; p_gen is 1/4.
TEST(CopyMixture, ByHand) {
  Problem problem(Batch(1, {3}, {3}), 3, 1);
  problem.ids = {0, 1, 0};
  problem.arrange();
  problem.weights = {0.5f, 0.3f, 0.2f, 0.5f, 0.3f, 0.2f, 0.5f, 0.3f, 0.2f};
  problem.p_gen = {0.25f, 0.25f, 0.25f};
  problem.targets = {0, 1, 2};
  const auto log = [](double p) { return static_cast<float>(std::log(p)); };
  for (std::size_t n = 0; n < 3; ++n)
    std::copy_n(std::vector{log(0.1), log(0.2), log(0.7)}.begin(), 3,
                problem.logits.begin() + static_cast<std::ptrdiff_t>(3 * n));
  const double p[] = {0.25 * 0.1 + 0.75 * 0.7, 0.25 * 0.2 + 0.75 * 0.3, 0.25 * 0.7};
  for (const auto set : available_kernels()) {
    const ExecutionOwner owner(1, set);
    const auto found = problem.losses(owner.get(), problem.extents());
    const auto log_p = problem.log_probabilities(owner.get());
    for (std::size_t n = 0; n < 3; ++n) {
      EXPECT_NEAR(found.nll[n], -std::log(p[n]), 1e-6);
      EXPECT_NEAR(log_p[n], std::log(p[n]), 1e-6);
    }
    EXPECT_NEAR(found.d_p_gen[0], -(0.1 - 0.7) / p[0], 1e-6);
    EXPECT_NEAR(found.d_weights[0], -0.75 / p[0], 1e-6);
    EXPECT_EQ(found.d_weights[0], found.d_weights[2]);
    EXPECT_EQ(found.d_weights[1], 0.0f);
    EXPECT_NEAR(found.logits[1], 0.2 * 0.025 / p[0], 1e-6);
    EXPECT_NEAR(found.logits[8], 0.7 - 1.0, 1e-6);  // the source lacks id 2: as if it were all generated
    EXPECT_NEAR(found.d_p_gen[2], -4.0, 1e-5);
  }
}

TEST(CopyMixture, WhatIsAllGeneratedIsCrossEntropy) {
  Problem problem(ragged(2), 67, 3);
  std::fill(problem.p_gen.begin(), problem.p_gen.end(), 1.0f);
  for (const auto set : available_kernels()) {
    const ExecutionOwner owner(2, set);
    const auto found = problem.losses(owner.get(), problem.extents(0.1f, 0.5f));
    auto logits = problem.logits;
    std::vector<float> losses(static_cast<std::size_t>(problem.N)), nll = losses;
    cross_entropy(owner.get(), {problem.N, problem.V, 0.1f, 0.5f, true}, logits.data(),
                  problem.targets.data(), losses.data(), nll.data());
    expect_near(found.losses, losses, 1e-6, "losses");
    expect_near(found.nll, nll, 1e-6, "nll");
    expect_near(found.logits, logits, 1e-6, "gradient");
    for (const float d : found.d_weights) EXPECT_EQ(d, 0.0f);
  }
}

TEST(CopyMixture, H02_ExtremeLogits) {
  for (const auto set : available_kernels()) {
    const ExecutionOwner owner(1, set);
    Problem problem(Batch(1, {2}, {1}), 3, 1);
    problem.ids = {1};
    problem.arrange();
    problem.logits = {1e4f, -1e4f, 0.0f, 1e4f, -1e4f, 0.0f};
    problem.weights = {1.0f, 1.0f};
    problem.p_gen = {0.5f, 0.5f};
    problem.targets = {1, 0};  // never generated but copied; always generated
    const auto found = problem.losses(owner.get(), problem.extents());
    EXPECT_NEAR(found.losses[0], std::log(2.0), 1e-6);
    EXPECT_NEAR(found.losses[1], std::log(2.0), 1e-6);
    for (const float d : found.logits) EXPECT_TRUE(std::isfinite(d));
    problem.targets = {2, 2};  // what neither gives: e^-10,000 of the vocabulary
    EXPECT_NEAR(problem.losses(owner.get(), problem.extents()).losses[0], 1e4 + std::log(2.0), 0.01);
  }
}

TEST(CopyMixture, RowsDoNotDependOnChunksThreadsOrEachOther) {
  const Problem problem(ragged(2), 1501, 9);
  const auto x = problem.extents(0.1f);
  const ExecutionOwner one(1), three(3);
  const auto alone = problem.losses(one.get(), x);
  for (const std::int64_t chunk : {1, 7, 100}) {
    const auto found = problem.losses(three.get(), x, chunk);
    EXPECT_TRUE(same_bits(found.losses, alone.losses) && same_bits(found.logits, alone.logits) &&
                same_bits(found.d_p_gen, alone.d_p_gen) && same_bits(found.d_weights, alone.d_weights))
        << chunk;
  }
  EXPECT_TRUE(same_bits(problem.log_probabilities(one.get()), problem.log_probabilities(three.get())));
}

}  // namespace
}  // namespace fovea::kernels
