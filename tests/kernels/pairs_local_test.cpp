#include "fovea/kernels/pairs_local.h"

#include <gtest/gtest.h>

#include <limits>

#include "fovea/base/error.h"
#include "tests/kernels/random_pairs.h"
#include "tests/kernels/random_rows.h"

namespace fovea::kernels {
namespace {

using test::Batch;
using test::normals;

TEST(GaussianWindow, ForwardAndBackwardOnEverySet) {
  const Batch batch = test::ragged(2, 1);
  const auto x = batch.extents();
  std::vector<float> w = normals(batch.offset.back(), 1), d_out = normals(batch.offset.back(), 2);
  for (std::size_t i = 0; i < w.size(); i += 5) w[i] = 0.0f;
  for (std::size_t i = 0; i < w.size(); i += 7) w[i] *= 1e-30f;  // small weights count, too
  for (const std::int64_t heads : {1, 2}) {
    const GaussianWindow window{heads, 1.5f};
    const std::vector<float> centre = normals(batch.query_rows * heads, 3, 6.0);
    std::vector<double> out(w.size()), d_w(w.size()), d_centre(centre.size(), 0.25);
    batch.for_each_row([&](std::size_t b, std::int64_t h, std::int64_t t) {
      const auto c = static_cast<std::size_t>((batch.q_start[b] + t) * heads + (heads > 1 ? h : 0));
      for (std::int64_t j = 0; j < batch.S[b]; ++j) {
        const auto at = static_cast<std::size_t>(x.row(std::int64_t(b), h, t) + j);
        const double distance = double(j) - centre[c], g = std::exp(-distance * distance / 4.5);
        out[at] = w[at] * g;
        d_w[at] = d_out[at] * g;
        d_centre[c] += double(d_out[at]) * w[at] * g * distance / 2.25;
      }
    });
    for (const KernelSet set : available_kernels())
      for (const int threads : {1, 3}) {
        const std::string what(name_of(set));
        const ExecutionOwner exec(threads, set);
        std::vector<float> values(w.size()), d_values(w.size()), d_at(centre.size(), 0.25f);
        gaussian_forward(exec.get(), x, window, centre.data(), w.data(), values.data());
        test::expect_near(values, out, 2e-6, what);
        for (std::size_t i = 0; i < w.size(); ++i)
          if (out[i] != 0.0) {
            ASSERT_NEAR(values[i], out[i], 2e-5 * std::abs(out[i]) + 1e-36) << what;
          }
        gaussian_backward(exec.get(), x, window, centre.data(), w.data(), d_out.data(), d_values.data(),
                          d_at.data());
        test::expect_near(d_values, d_w, 2e-6, what);
        test::expect_near(d_at, d_centre, 5e-6, what);
      }
  }
}

TEST(GaussianWindow, HiddenGradientsDoNotReachTheCentre) {
  const Batch batch(1, {1}, {3});
  const std::vector<float> w = {0, 1, 0}, centre = {1.5f};
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const KernelSet set : available_kernels()) {
    const ExecutionOwner exec(1, set);
    std::vector<float> d_w(3), d_centre(1);
    const std::vector<float> d_out = {nan, 1, nan};
    gaussian_backward(exec.get(), batch.extents(), {1, 1.0f}, centre.data(), w.data(), d_out.data(),
                      d_w.data(), d_centre.data());
    EXPECT_NEAR(d_centre[0], -0.5 * std::exp(-0.125), 1e-6) << name_of(set);
  }
  const ExecutionOwner exec(1);
  EXPECT_THROW(gaussian_forward(exec.get(), batch.extents(), {1, 0.0f}, nullptr, nullptr, nullptr), Error);
}

}  // namespace
}  // namespace fovea::kernels
