#include "fovea/kernels/batch_norm.h"

#include "fovea/kernels/reference/batch_norm.h"
#include "tests/kernels/random_rows.h"

namespace fovea::kernels {
namespace {

using namespace fovea::test;

TEST(BatchNorm, MomentsAndRowsAreTheFormulas) {
  for (const auto set : available_kernels()) {
    const ExecutionOwner owner(3, set);
    for (const std::int64_t C : {1, 5, 16, 33, 130}) {
      const std::int64_t M = 150;
      auto x = normals(M * C, 1);
      for (auto& value : x) value = 3.0f * value + 20.0f;
      const auto gamma = normals(C, 2), beta = normals(C, 3), d_y = normals(M * C, 4);
      std::vector<float> mean(gamma.size()), variance(gamma.size()), rstd(gamma.size());
      column_moments(owner.get(), {M, C}, x.data(), mean.data(), variance.data());
      std::vector<double> y(x.size()), d_x(x.size()), d_given(x.size()), sums(2 * gamma.size());
      for (std::size_t c = 0; c < gamma.size(); ++c) {
        double m = 0, v = 0, d_gamma = 0, d_beta = 0;
        for (std::size_t i = c; i < x.size(); i += gamma.size()) m += x[i] / double(M);
        for (std::size_t i = c; i < x.size(); i += gamma.size()) v += (x[i] - m) * (x[i] - m) / double(M);
        EXPECT_NEAR(mean[c], m, 2e-5);
        EXPECT_NEAR(variance[c], v, 2e-5 * v);
        rstd[c] = static_cast<float>(1 / std::sqrt(v + 1e-5));
        const auto h = [&](std::size_t i) { return (double(x[i]) - mean[c]) * rstd[c]; };
        for (std::size_t i = c; i < x.size(); i += gamma.size()) {
          y[i] = h(i) * gamma[c] + beta[c];
          d_gamma += d_y[i] * h(i);
          d_beta += d_y[i];
        }
        for (std::size_t i = c; i < x.size(); i += gamma.size()) {
          d_given[i] = double(gamma[c]) * rstd[c] * d_y[i];
          d_x[i] = double(gamma[c]) * rstd[c] * (d_y[i] - (d_beta + h(i) * d_gamma) / double(M));
        }
        sums[c] = d_gamma;
        sums[gamma.size() + c] = d_beta;
      }
      Unaligned out(M * C, 1), gradient(d_y, 2), given(M * C, 3), total(2 * C, 1);
      batch_norm_forward(owner.get(), {M, C}, x.data(), mean.data(), rstd.data(), gamma.data(), beta.data(),
                         out.data());
      expect_near(out.values(), y, 2e-6, std::string(name_of(set)));
      batch_norm_backward(owner.get(), {M, C}, x.data(), mean.data(), rstd.data(), gamma.data(), d_y.data(),
                          false, total.data(), given.data());
      expect_near(given.values(), d_given, 2e-6, "given moments");
      batch_norm_backward(owner.get(), {M, C}, x.data(), mean.data(), rstd.data(), gamma.data(),
                          gradient.data(), true, total.data(), gradient.data());
      expect_near(gradient.values(), d_x, 5e-6, "moments of the batch");
      expect_near(total.values(), sums, 2e-5, "sums");
    }
  }
}

TEST(BatchNorm, SameBitsForAnyNumberOfThreads) {
  const std::int64_t M = 5000, C = 19;
  const auto x = normals(M * C, 1);
  const auto run = [&](int threads) {
    const ExecutionOwner owner(threads);
    std::vector<float> moments(2 * C);
    column_moments(owner.get(), {M, C}, x.data(), moments.data(), moments.data() + C);
    return moments;
  };
  const auto alone = run(1);
  for (const int threads : {2, 5}) EXPECT_EQ(run(threads), alone);
}

}  // namespace
}  // namespace fovea::kernels
