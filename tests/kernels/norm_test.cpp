#include "fovea/kernels/norm.h"

#include "fovea/kernels/reference/norm.h"
#include "tests/kernels/finite_difference.h"
#include "tests/kernels/random_rows.h"

namespace fovea::kernels {
namespace {

using namespace fovea::test;

constexpr double eps32 = 0x1p-24;
const Dropout dropping{0.3f, RandomKey::of(11, 3, 1001)};
constexpr NormKind kinds[] = {NormKind::layer, NormKind::rms};

struct Forward {
  std::vector<double> sum, y, mean, rstd;
};

Forward expected_forward(const NormExtents& extents, const std::vector<double>& x,
                         const std::vector<double>& residual, const std::vector<double>& gamma,
                         const std::vector<double>& beta) {
  const auto N = static_cast<std::size_t>(extents.N);
  Forward out{std::vector<double>(x.size()), std::vector<double>(x.size()), std::vector<double>(N),
              std::vector<double>(N)};
  reference::norm_forward<double>(
      {extents, x.data(), residual.empty() ? nullptr : residual.data(), gamma.data(), beta.data(),
       out.sum.data(), out.y.data(), out.mean.data(), out.rstd.data()},
      0, extents.N);
  return out;
}

void check_forward(const Execution& exec, const NormExtents& extents, bool with_residual,
                   std::size_t offset) {
  const std::int64_t N = extents.N, D = extents.D;
  const auto x = normals(N * D, 1), gamma = normals(D, 3), beta = normals(D, 4);
  const auto residual = with_residual ? normals(N * D, 2) : std::vector<float>{};
  const auto expected = expected_forward(extents, widen(x), widen(residual), widen(gamma), widen(beta));
  Unaligned in(x, offset), other(residual, offset), sum(N * D, offset), y(N * D, offset), mean(N, 0),
      rstd(N, 0);
  const bool centred = extents.kind == NormKind::layer;
  const float* shift = centred ? beta.data() : nullptr;
  norm_forward(exec, extents, in.data(), with_residual ? other.data() : nullptr, gamma.data(), shift,
               sum.data(), y.data(), centred ? mean.data() : nullptr, rstd.data());
  const auto what =
      std::string(name_of(exec.kernels)) + (centred ? " layer" : " rms") + " D " + std::to_string(D);
  // Rounding of D additions in lanes, relative to the terms; rstd amplifies what narrow rows of small
  // variance have.
  const double largest =
      expected.rstd.empty() ? 1 : *std::max_element(expected.rstd.begin(), expected.rstd.end());
  const double tolerance = 32 * eps32 * std::max(1.0, largest);
  expect_near(sum.values(), expected.sum, 4 * eps32, what + " sum");
  if (centred) expect_near(mean.values(), expected.mean, 16 * eps32, what + " mean");
  expect_near(rstd.values(), expected.rstd, tolerance, what + " rstd");
  expect_near(y.values(), expected.y, 4 * tolerance, what + " y");

  // Without an own place for the sum, in place.
  norm_forward(exec, extents, in.data(), with_residual ? other.data() : nullptr, gamma.data(), shift, nullptr,
               in.data(), nullptr, nullptr);
  EXPECT_EQ(in.values(), y.values()) << what;
}

TEST(Norm, ForwardIsTheReferenceAtAwkwardWidths) {
  for (const auto set : available_kernels()) {
    const ExecutionOwner owner(2, set);
    for (const std::int64_t D : awkward_lengths())
      for (const bool residual : {false, true})
        for (const auto& dropout : {Dropout{}, dropping})
          for (const auto kind : kinds)
            check_forward(owner.get(), {D > 1000 ? 18 : 7, D, 1e-5f, dropout, kind}, residual,
                          static_cast<std::size_t>(D % 4));
  }
}

struct Gradients {
  std::vector<double> d_sum, d_x, d_gamma_beta;
};

Gradients expected_backward(const NormExtents& extents, const Forward& forward,
                            const std::vector<double>& d_y, const std::vector<double>& gamma,
                            const std::vector<double>& further) {
  Gradients out{std::vector<double>(d_y.size()), std::vector<double>(d_y.size()),
                std::vector<double>(2 * gamma.size())};
  reference::norm_backward<double>(
      {extents, d_y.data(), forward.sum.data(), forward.mean.data(), forward.rstd.data(), gamma.data(),
       further.empty() ? nullptr : further.data(), out.d_sum.data(), out.d_x.data()},
      0, extents.N, out.d_gamma_beta.data());
  return out;
}

void check_gradient(NormKind kind) {
  const std::int64_t N = 3, D = 7;
  const NormExtents extents{N, D, 0.05f, dropping, kind};
  auto x = normals<double>(N * D, 1), residual = normals<double>(N * D, 2), gamma = normals<double>(D, 3);
  auto beta = normals<double>(D, 4);
  const auto d_y = normals<double>(N * D, 5), further = normals<double>(N * D, 6);
  const auto loss = [&] {
    const auto forward = expected_forward(extents, x, residual, gamma, beta);
    double total = 0;
    for (std::size_t i = 0; i < d_y.size(); ++i) total += d_y[i] * forward.y[i] + further[i] * forward.sum[i];
    return total;
  };
  const auto out =
      expected_backward(extents, expected_forward(extents, x, residual, gamma, beta), d_y, gamma, further);
  expect_gradient("x", x, out.d_x, loss);
  expect_gradient("residual", residual, out.d_sum, loss);
  expect_gradient("gamma", gamma, {out.d_gamma_beta.begin(), out.d_gamma_beta.begin() + D}, loss);
  expect_gradient("beta", beta, {out.d_gamma_beta.begin() + D, out.d_gamma_beta.end()}, loss);
}

TEST(Norm, GradientIsThatOfCentralDifferences) {
  for (const auto kind : kinds) check_gradient(kind);
}

void check_backward(const Execution& exec, const NormExtents& extents, bool with_further,
                    std::size_t offset) {
  const std::int64_t N = extents.N, D = extents.D;
  const auto x = normals(N * D, 1), gamma = normals(D, 3), beta = normals(D, 4), d_y = normals(N * D, 5);
  const auto further = with_further ? normals(N * D, 6) : std::vector<float>{};
  const auto forward = expected_forward(extents, widen(x), {}, widen(gamma), widen(beta));
  const std::vector<float> sum(forward.sum.begin(), forward.sum.end()),
      mean(forward.mean.begin(), forward.mean.end()), rstd(forward.rstd.begin(), forward.rstd.end());
  const auto expected = expected_backward(extents, forward, widen(d_y), widen(gamma), widen(further));
  const bool centred = extents.kind == NormKind::layer;
  const float* means = centred ? mean.data() : nullptr;
  Unaligned upstream(d_y, offset), d_sum(N * D, offset), d_x(N * D, offset);
  Unaligned d_gamma(std::vector<float>(gamma.size(), 1.0f), offset),
      d_beta(std::vector<float>(gamma.size(), 2.0f), 0);
  norm_backward(exec, extents, upstream.data(), sum.data(), means, rstd.data(), gamma.data(),
                with_further ? further.data() : nullptr, d_sum.data(), d_x.data(), d_gamma.data(),
                centred ? d_beta.data() : nullptr);
  const auto what = std::string(name_of(exec.kernels)) + " D " + std::to_string(D);
  const double largest = rstd.empty() ? 1 : *std::max_element(rstd.begin(), rstd.end());
  const double tolerance = 128 * eps32 * std::max(1.0, largest * largest);
  expect_near(d_sum.values(), expected.d_sum, tolerance, what + " d_sum");
  expect_near(d_x.values(), expected.d_x, tolerance, what + " d_x");
  std::vector<double> gamma_sum(expected.d_gamma_beta.begin(), expected.d_gamma_beta.begin() + D),
      beta_sum(expected.d_gamma_beta.begin() + D, expected.d_gamma_beta.end());
  for (auto& g : gamma_sum) g += 1.0;  // what was there before
  for (auto& b : beta_sum) b += 2.0;
  const double of_rows = tolerance * std::sqrt(static_cast<double>(N) + 1);
  expect_near(d_gamma.values(), gamma_sum, of_rows, what + " d_gamma");
  expect_near(d_beta.values(), beta_sum, of_rows, what + " d_beta");

  Unaligned in_place(d_y, offset);
  norm_backward(exec, extents, in_place.data(), sum.data(), means, rstd.data(), gamma.data(),
                with_further ? further.data() : nullptr, in_place.data(), nullptr, d_gamma.data(),
                centred ? d_beta.data() : nullptr);
  EXPECT_EQ(in_place.values(), d_sum.values()) << what;
}

TEST(Norm, BackwardIsTheReferenceAtAwkwardWidths) {
  for (const auto set : available_kernels()) {
    const ExecutionOwner owner(2, set);
    for (const std::int64_t D : awkward_lengths())
      for (const bool further : {false, true})
        for (const auto& dropout : {Dropout{}, dropping})
          for (const auto kind : kinds)
            check_backward(owner.get(), {D < 20 ? 70 : 5, D, 0.01f, dropout, kind}, further,
                           static_cast<std::size_t>(D % 4));
  }
}

TEST(Norm, NoRowsAreNoWork) {
  for (const auto set : available_kernels()) {
    const ExecutionOwner owner(2, set);
    check_forward(owner.get(), {0, 5}, true, 0);
    check_backward(owner.get(), {0, 5}, true, 0);
  }
}

TEST(LayerNorm, H09_ConstantRowsAndWidthOneGiveBeta) {
  for (const auto set : available_kernels()) {
    const ExecutionOwner owner(1, set);
    for (const std::int64_t D : {1, 5, 100}) {
      for (const float value : {0.0f, 0.1f, -7.7f, 1e4f}) {
        const std::vector<float> x(static_cast<std::size_t>(3 * D), value), gamma = normals(D, 3),
                                                                            beta = normals(D, 4);
        Unaligned y(3 * D, 1);
        norm_forward(owner.get(), {3, D}, x.data(), nullptr, gamma.data(), beta.data(), nullptr, y.data(),
                     nullptr, nullptr);
        std::vector<float> expected;
        for (int n = 0; n < 3; ++n) expected.insert(expected.end(), beta.begin(), beta.end());
        // The mean is off by an ulp of the value, and 1/sqrt(eps) = 316 times that remains.
        expect_near(y.values(), expected, 4 * 316 * 2 * eps32 * std::max(1.0f, std::abs(value)),
                    "constant row");
      }
    }
  }
}

TEST(RmsNorm, DividesByTheRootOfTheMeanSquare) {
  const std::vector<float> x{3, 4, 0, 0}, gamma{1, 2, 1, 1};
  std::vector<float> y(4);
  const ExecutionOwner owner(1);
  norm_forward(owner.get(), {.N = 1, .D = 4, .eps = 0.0f, .kind = NormKind::rms}, x.data(), nullptr,
               gamma.data(), nullptr, nullptr, y.data(), nullptr, nullptr);
  EXPECT_FLOAT_EQ(y[0], 3 / 2.5f);  // sqrt(25 / 4)
  EXPECT_FLOAT_EQ(y[1], 2 * 4 / 2.5f);
  EXPECT_EQ(y[2], 0.0f);
}

TEST(LayerNorm, KeepsItsPrecisionFarFromZero) {
  const std::int64_t D = 300;
  auto x = normals(D, 1);
  for (auto& value : x) value += 4096.0f;  // rounds x, but to what both sides then see
  const std::vector<float> gamma(static_cast<std::size_t>(D), 1.0f), beta(static_cast<std::size_t>(D), 0.0f);
  const auto expected = expected_forward({1, D}, widen(x), {}, widen(gamma), widen(beta));
  for (const auto set : available_kernels()) {
    const ExecutionOwner owner(1, set);
    Unaligned y(D, 0);
    norm_forward(owner.get(), {1, D}, x.data(), nullptr, gamma.data(), beta.data(), nullptr, y.data(),
                 nullptr, nullptr);
    expect_near(y.values(), expected.y, 2 * 4096 * eps32,
                std::string(name_of(set)));  // half an ulp of the mean, twice
  }
}

TEST(LayerNorm, EpsCountsAndNaNIsSeen) {
  for (const auto set : available_kernels()) {
    const ExecutionOwner owner(1, set);
    const std::vector<float> gamma(4, 1.0f), beta(4, 0.0f);
    std::vector<float> y(4);
    const std::vector<float> x{1, -1, 1, -1};
    norm_forward(owner.get(), {1, 4, 3.0f}, x.data(), nullptr, gamma.data(), beta.data(), nullptr, y.data(),
                 nullptr, nullptr);
    EXPECT_FLOAT_EQ(y[0], 0.5f);  // variance 1, 1/sqrt(1 + 3)
    const std::vector<float> bad{1, NAN, 1, -1};
    norm_forward(owner.get(), {1, 4}, bad.data(), nullptr, gamma.data(), beta.data(), nullptr, y.data(),
                 nullptr, nullptr);
    for (const float value : y) EXPECT_TRUE(std::isnan(value));
  }
}

TEST(Norm, HasTheSameBitsForAnyNumberOfThreads) {
  const std::int64_t N = 1000, D = 67;
  const NormExtents extents{N, D, 1e-5f, dropping};
  const auto x = normals(N * D, 1), gamma = normals(D, 3), beta = normals(D, 4), d_y = normals(N * D, 5);
  const auto run = [&](int threads) {
    const ExecutionOwner owner(threads);
    std::vector<float> all(static_cast<std::size_t>(4 * N * D + 2 * N + 2 * D));
    float *sum = all.data(), *y = sum + N * D, *d_sum = y + N * D, *d_x = d_sum + N * D, *mean = d_x + N * D,
          *rstd = mean + N, *d_gamma = rstd + N, *d_beta = d_gamma + D;
    norm_forward(owner.get(), extents, x.data(), nullptr, gamma.data(), beta.data(), sum, y, mean, rstd);
    norm_backward(owner.get(), extents, d_y.data(), sum, mean, rstd, gamma.data(), nullptr, d_sum, d_x,
                  d_gamma, d_beta);
    return all;
  };
  const auto alone = run(1);
  for (const int threads : {2, 3, 7}) EXPECT_EQ(run(threads), alone);
}

}  // namespace
}  // namespace fovea::kernels
