#include "fovea/kernels/elementwise.h"

#include "fovea/kernels/reference/elementwise.h"
#include "tests/kernels/finite_difference.h"
#include "tests/kernels/random_rows.h"

namespace fovea::kernels {
namespace {

using namespace fovea::test;

TEST(Elementwise, UnaryIsTheReferenceAtAwkwardLengths) {
  for (const auto set : available_kernels()) {
    const ExecutionOwner owner(2, set);
    for (const Unary f : {Unary::sigmoid, Unary::root}) {
      for (const std::int64_t count : awkward_lengths()) {
        const auto x = normals(count, 1, 4.0), d_y = normals(count, 2);
        std::vector<double> y(x.size()), d_x(x.size());
        const auto wide = widen(x), wide_d = widen(d_y);
        reference::unary_forward<double>({f, wide.data(), y.data()}, 0, count);
        reference::unary_backward<double>({f, y.data(), wide_d.data(), d_x.data()}, 0, count);
        Unaligned out(x, 1), d_out(d_y, 2);
        unary_forward(owner.get(), count, f, out.data(), out.data());
        expect_near(out.values(), y, 5e-7, std::string(name_of(set)));
        unary_backward(owner.get(), count, f, out.data(), d_out.data(), d_out.data());
        expect_near(d_out.values(), d_x, 2e-6, std::string(name_of(set)));
      }
    }
  }
}

TEST(Elementwise, UnaryEdges) {
  for (const auto set : available_kernels()) {
    const ExecutionOwner owner(1, set);
    const std::vector<float> x{0.0f, 100.0f, -100.0f, INFINITY, -INFINITY, NAN};
    std::vector<float> y(x.size());
    unary_forward(owner.get(), 6, Unary::sigmoid, x.data(), y.data());
    EXPECT_FLOAT_EQ(y[0], 0.5f);
    EXPECT_FLOAT_EQ(y[1], 1.0f);
    EXPECT_NEAR(y[2], 0.0f, 1e-37);
    EXPECT_FLOAT_EQ(y[3], 1.0f);
    EXPECT_NEAR(y[4], 0.0f, 1e-37);
    EXPECT_TRUE(std::isnan(y[5]));
    unary_forward(owner.get(), 6, Unary::root, x.data(), y.data());
    EXPECT_FLOAT_EQ(y[0], 1e-5f);
    EXPECT_FLOAT_EQ(y[2], 1e-5f);
    EXPECT_TRUE(std::isnan(y[5]));
    const std::vector<float> d(6, 1.0f);
    unary_backward(owner.get(), 6, Unary::root, y.data(), d.data(), y.data());
    EXPECT_EQ(y[0], 0.0f);
    EXPECT_FLOAT_EQ(y[1], 0.05f);
  }
}

TEST(Elementwise, UnaryGradientsAreThoseOfDifferences) {
  for (const Unary f : {Unary::sigmoid, Unary::root}) {
    auto x = normals<double>(9, 1);
    for (auto& value : x) value += f == Unary::root ? 4.0 : 0.0;
    const auto d_y = normals<double>(9, 2);
    std::vector<double> y(9), d_x(9);
    const auto loss = [&] {
      reference::unary_forward<double>({f, x.data(), y.data()}, 0, 9);
      double sum = 0;
      for (std::size_t i = 0; i < 9; ++i) sum += y[i] * d_y[i];
      return sum;
    };
    loss();
    reference::unary_backward<double>({f, y.data(), d_y.data(), d_x.data()}, 0, 9);
    expect_gradient("x", x, d_x, loss);
  }
}

// Every way in which an operand of [N, P, C] can be repeated.
std::vector<BroadcastStrides> repetitions(std::int64_t N, std::int64_t P, std::int64_t C,
                                          std::vector<std::int64_t>& sizes) {
  std::vector<BroadcastStrides> all;
  for (int bits = 0; bits < 8; ++bits) {
    const std::int64_t c = bits & 1 ? C : 1, p = bits & 2 ? P : 1, n = bits & 4 ? N : 1;
    all.push_back({bits & 4 ? c * p : 0, bits & 2 ? c : 0, bits & 1 ? 1 : 0});
    sizes.push_back(n * p * c);
  }
  return all;
}

TEST(Elementwise, BinaryIsTheReferenceForEveryRepetition) {
  for (const auto set : available_kernels()) {
    const ExecutionOwner owner(3, set);
    for (const std::int64_t C : {1, 5, 16, 35}) {
      const std::int64_t N = 3, P = 70;
      std::vector<std::int64_t> sizes;
      const auto strides = repetitions(N, P, C, sizes);
      for (std::size_t a = 0; a < 8; ++a)
        for (std::size_t b = 0; b < 8; ++b)
          for (const Binary op : {Binary::add, Binary::multiply}) {
            const BinaryExtents extents{N, P, C, strides[a], strides[b]};
            const auto in_a = normals(sizes[a], 1), in_b = normals(sizes[b], 2), d_y = normals(N * P * C, 3);
            const auto wide_a = widen(in_a), wide_b = widen(in_b), wide_d = widen(d_y);
            std::vector<double> y(d_y.size()), d_a(in_a.size(), 0.5);
            reference::binary_forward<double>({extents, op, wide_a.data(), wide_b.data(), y.data()}, 0,
                                              N * P);
            reference::binary_backward<double>({extents, op, wide_d.data(), wide_b.data()}, 0, N * P,
                                               d_a.data());
            Unaligned out(N * P * C, 1), gradient(std::vector<float>(in_a.size(), 0.5f), 2);
            binary_forward(owner.get(), extents, op, in_a.data(), in_b.data(), out.data());
            binary_backward(owner.get(), extents, op, d_y.data(), in_b.data(), gradient.data());
            const auto what = std::string(name_of(set)) + " " + std::to_string(a) + " " + std::to_string(b);
            expect_near(out.values(), y, 1e-6, what);
            expect_near(gradient.values(), d_a, 1e-4, what + " gradient");  // sums of up to 7350 terms
          }
    }
  }
}

TEST(Elementwise, BinaryHasTheSameBitsForAnyNumberOfThreads) {
  const std::int64_t N = 4, P = 500, C = 33;
  std::vector<std::int64_t> sizes;
  const auto strides = repetitions(N, P, C, sizes);
  const auto b = normals(N * P * C, 2), d_y = normals(N * P * C, 3);
  for (std::size_t a = 0; a < 8; ++a) {
    const auto run = [&](int threads) {
      const ExecutionOwner owner(threads);
      std::vector<float> d_a(static_cast<std::size_t>(sizes[a]));
      binary_backward(owner.get(), {N, P, C, strides[a], strides[7]}, Binary::multiply, d_y.data(), b.data(),
                      d_a.data());
      return d_a;
    };
    const auto alone = run(1);
    for (const int threads : {2, 5}) EXPECT_EQ(run(threads), alone);
  }
}

}  // namespace
}  // namespace fovea::kernels
