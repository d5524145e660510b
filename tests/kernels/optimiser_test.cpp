#include "fovea/kernels/optimiser.h"

#include "fovea/kernels/reference/optimiser.h"
#include "tests/kernels/random_rows.h"

namespace fovea::kernels {
namespace {

using namespace fovea::test;

struct State {
  std::vector<double> gradient, m, v, weights, average;
};

State random_state(std::int64_t count) {
  const auto squares = normals(count, 3, 0.1);
  State state{widen(normals(count, 1)),
              widen(normals(count, 2, 0.1)),
              {},
              widen(normals(count, 4)),
              widen(normals(count, 5))};
  for (const float x : squares) state.v.push_back(x * x);
  return state;
}

State expected(const AdamStep& step, State s, bool with_average) {
  reference::adam<double>({step, s.gradient.data(), s.m.data(), s.v.data(), s.weights.data(),
                           with_average ? s.average.data() : nullptr},
                          0, static_cast<std::int64_t>(s.weights.size()));
  return s;
}

void check(const Execution& exec, const AdamStep& step, std::int64_t count, bool with_average) {
  const auto narrow = [](const std::vector<double>& x) { return std::vector<float>(x.begin(), x.end()); };
  State s = random_state(count);
  for (double& x : s.v) x = static_cast<float>(x);
  Unaligned g(narrow(s.gradient), 1), m(narrow(s.m), 2), v(narrow(s.v), 3), w(narrow(s.weights), 0),
      average(narrow(s.average), 1);
  const State after = expected(step, s, with_average);
  adam(exec, count, step, g.data(), m.data(), v.data(), w.data(), with_average ? average.data() : nullptr);
  const auto what = std::string(name_of(exec.kernels)) + " count " + std::to_string(count);
  expect_near(m.values(), after.m, 4 * 0x1p-24, what + " m");
  expect_near(v.values(), after.v, 4 * 0x1p-24 * std::max(1.0f, step.gradient_scale * step.gradient_scale),
              what + " v");
  expect_near(average.values(), after.average, 0x1p-22, what + " average");
  // A step is about rate * m/sqrt(v); what the smallest v of the draw makes of that is its largest.
  double largest = 1;
  for (std::size_t i = 0; i < s.weights.size(); ++i)
    largest = std::max(largest, std::abs(after.weights[i] - s.weights[i]));
  expect_near(w.values(), after.weights, 0x1p-21 * largest, what + " w");
}

TEST(Adam, IsTheReferenceAtAwkwardLengths) {
  for (const auto set : available_kernels()) {
    const ExecutionOwner owner(2, set);
    for (const bool average : {false, true}) {
      check(owner.get(), {}, 0, average);
      for (const auto count : awkward_lengths()) check(owner.get(), {.average_decay = 0.9f}, count, average);
      check(owner.get(), {.t = 1000, .average_decay = 0.999f}, 40000, average);
    }
  }
}

TEST(Adam, EveryFieldCounts) {
  const AdamStep usual{.rate = 1e-2f,
                       .beta1 = 0.9f,
                       .beta2 = 0.98f,
                       .eps = 1e-3f,
                       .weight_decay = 0.1f,
                       .decoupled = true,
                       .t = 3,
                       .gradient_scale = 0.5f,
                       .average_decay = 0.9f};
  std::vector<AdamStep> others(9, usual);
  others[0].rate = 2e-2f, others[1].beta1 = 0.8f, others[2].beta2 = 0.9f, others[3].eps = 1e-1f;
  others[4].weight_decay = 0.2f, others[5].decoupled = false, others[6].t = 4,
  others[7].gradient_scale = 0.25f;
  others[8].average_decay = 0.5f;
  const State state = random_state(8), after = expected(usual, state, true);
  for (std::size_t i = 0; i < others.size(); ++i) {
    const State other = expected(others[i], state, true);
    EXPECT_GT(std::abs(other.average[0] - after.average[0]), 1e-7) << "field " << i;
  }
  for (const auto set : available_kernels()) {
    const ExecutionOwner owner(1, set);
    check(owner.get(), usual, 37, true);
    for (const auto& step : others) check(owner.get(), step, 37, true);
  }
}

TEST(Adam, FirstStepIsOneRateAgainstTheSign) {
  // From zero moments m/(1-beta1) = g and v/(1-beta2) = g^2, so the step is rate * sign(g) (Kingma and Ba,
  // section 2.1).
  for (const auto set : available_kernels()) {
    const ExecutionOwner owner(1, set);
    const std::vector<float> g{3.0f, -1e-3f, 0.0f};
    std::vector<float> m(3), v(3), w{1, 1, 1};
    adam(owner.get(), 3, {.rate = 0.125f}, g.data(), m.data(), v.data(), w.data(), nullptr);
    EXPECT_NEAR(w[0], 0.875f, 1e-6);
    EXPECT_NEAR(w[1], 1.125f, 1e-6);
    EXPECT_EQ(w[2], 1.0f);
  }
}

TEST(SumOfSquares, IsTheSumInDoubleWithTheSameBitsForAnyThreads) {
  for (const auto set : available_kernels()) {
    const ExecutionOwner one(1, set), three(3, set);
    for (const std::int64_t count : {0, 1, 15, 16, 17, 16384, 16385, 100003}) {
      const auto x = normals(count, 1);
      double expected = 0;
      for (const float value : x) expected += double(value) * value;
      Unaligned in(x, 3);
      const double sum = sum_of_squares(one.get(), count, in.data());
      EXPECT_NEAR(sum, expected, 1e-12 * std::max(1.0, expected));
      EXPECT_EQ(sum, sum_of_squares(three.get(), count, in.data()));
    }
    std::vector<float> large(20, 3e38f);
    EXPECT_NEAR(sum_of_squares(one.get(), 20, large.data()) / 1.8e78, 1.0, 1e-6);  // no float overflow
  }
}

TEST(SumOfSquares, H04_ShowsNaNAndInfinity) {
  for (const auto set : available_kernels()) {
    const ExecutionOwner owner(2, set);
    auto x = normals(40000, 1);
    x[39999] = std::numeric_limits<float>::infinity();
    EXPECT_TRUE(std::isinf(sum_of_squares(owner.get(), 40000, x.data())));
    x[20000] = NAN;
    EXPECT_TRUE(std::isnan(sum_of_squares(owner.get(), 40000, x.data())));
  }
}

}  // namespace
}  // namespace fovea::kernels
