#include "fovea/kernels/packed_linear.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "fovea/base/bfloat16.h"
#include "fovea/base/error.h"
#include "fovea/kernels/quantise_row.h"
#include "fovea/kernels/reference/activation.h"
#include "fovea/kernels/reference/gemm.h"
#include "tests/kernels/random_rows.h"
#include "tests/kernels/same_bits.h"

namespace fovea::kernels {
namespace {

using Floats = std::vector<float>;
constexpr float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
constexpr Activation activations[] = {Activation::identity, Activation::relu, Activation::gelu,
                                      Activation::silu, Activation::tanh};

// A product with its operands; strides may exceed rows, y lies between guards.
struct Problem {
  static constexpr float guard = 12345.0f;
  std::int64_t M, N, K, x_stride, y_stride;
  Floats x, W, bias, residual, y;

  Problem(std::int64_t M, std::int64_t N, std::int64_t K, std::int64_t slack = 0)
      : M(M), N(N), K(K), x_stride(K + slack), y_stride(N + slack) {
    x = test::normals(M * x_stride, 1);
    W = test::normals(N * K, 2, 0.3);
    bias = test::normals(N, 3);
    residual = test::normals(M * y_stride, 4);
    y = Floats(static_cast<std::size_t>(M * y_stride), guard);
    for (std::int64_t m = 0; m < M; ++m)
      for (std::int64_t n = 0; n < N; ++n) y[at(m, n)] = std::sin(static_cast<float>(3 * m + n));
  }
  std::size_t at(std::int64_t m, std::int64_t n) const { return static_cast<std::size_t>(m * y_stride + n); }
  LinearRows rows() const { return {.data = W.data(), .N = N, .K = K}; }
  LinearOptions strides(LinearOptions options) const {
    options.x_stride = x_stride;
    options.y_stride = y_stride;
    return options;
  }
  Floats run(const Execution& exec, const PackedLinear& packed, const LinearOptions& options) const {
    Floats out = y;
    linear(exec, M, x.data(), packed, out.data(), strides(options));
    return out;
  }
};

// What the product means, in double, from elements as each dtype holds them, with a bound of its error.
struct Expected {
  double value, tolerance;
};

struct Meaning {
  std::vector<double> x, w;    // as multiplied
  std::vector<double> sx, sw;  // scales
  double unit;                 // rounding of the sum: of each step of a chain, relative
};

Meaning meaning_of(const Problem& p, DType dtype) {
  Meaning m{{}, {}, std::vector<double>(p.M, 1.0), std::vector<double>(p.N, 1.0), 0.0};
  const auto take = [&](const float* row, std::vector<double>& to, double& scale) {
    std::vector<std::int8_t> q(static_cast<std::size_t>(p.K));
    if (dtype == DType::i8) scale = quantise_row(row, p.K, q.data()).scale;
    for (std::int64_t k = 0; k < p.K; ++k)
      to.push_back(dtype == DType::f32    ? row[k]
                   : dtype == DType::bf16 ? static_cast<float>(bfloat16(row[k]))
                                          : static_cast<double>(q[static_cast<std::size_t>(k)]));
  };
  for (std::int64_t i = 0; i < p.M; ++i) take(p.x.data() + i * p.x_stride, m.x, m.sx[i]);
  for (std::int64_t n = 0; n < p.N; ++n) take(p.W.data() + n * p.K, m.w, m.sw[n]);
  m.unit = dtype == DType::i8 ? 0.0 : 2.0 * static_cast<double>(p.K + 2) * 0x1p-24;
  return m;
}

// A chain of K rounded products and sums is off by at most gamma_2K sum |x w|; scaling, accumulate, bias and
// residual add a rounding each. No activation has a slope above 1.13; its own error is 1e-6.
Expected expected(const Problem& p, const Meaning& of, std::int64_t m, std::int64_t n,
                  const LinearOptions& o) {
  double c = 0.0, size = 0.0;
  for (std::int64_t k = 0; k < p.K; ++k) {
    const double product =
        of.x[static_cast<std::size_t>(m * p.K + k)] * of.w[static_cast<std::size_t>(n * p.K + k)];
    c += product;
    size += std::fabs(product);
  }
  const double scale = of.sx[m] * of.sw[n];
  double error = of.unit * size * scale + 4.0 * 0x1p-24 * std::fabs(c * scale);
  c *= scale;
  const auto add = [&](double term) {
    error += 0x1p-23 * (std::fabs(c) + std::fabs(term));
    c += term;
  };
  if (o.accumulate) add(p.y[p.at(m, n)]);
  if (o.bias) add(o.bias[n]);
  if (o.activation != Activation::identity) {
    error = 1.13 * error + 1e-6 * std::fmax(1.0, std::fabs(c));
    c = reference::activate(o.activation, c);
  }
  if (o.residual) add(o.residual[p.at(m, n)]);
  return {c, error};
}

void expect_product(const Execution& exec, const Problem& p, DType dtype, const LinearOptions& options) {
  const PackedLinear packed = pack_linear(exec, dtype, p.rows());
  const Floats y = p.run(exec, packed, options);
  const Meaning meaning = meaning_of(p, dtype);
  for (std::int64_t m = 0; m < p.M; ++m) {
    for (std::int64_t n = 0; n < p.N; ++n) {
      const Expected e = expected(p, meaning, m, n, options);
      ASSERT_NEAR(y[p.at(m, n)], e.value, e.tolerance) << m << "," << n;
    }
    for (std::int64_t n = p.N; n < p.y_stride; ++n) ASSERT_EQ(y[p.at(m, n)], Problem::guard);
  }
}

struct Case {
  KernelSet set;
  DType dtype;
};

class PackedLinearTest : public testing::TestWithParam<Case> {
 protected:
  DType dtype() const { return GetParam().dtype; }
  KernelSet set() const { return GetParam().set; }
};

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const KernelSet set : available_kernels())
    for (const DType dtype : {DType::f32, DType::bf16, DType::i8}) all.push_back({set, dtype});
  return all;
}

INSTANTIATE_TEST_SUITE_P(Kernels, PackedLinearTest, testing::ValuesIn(cases()), [](const auto& info) {
  return std::string(name_of(info.param.set)) + "_" + std::string(name_of(info.param.dtype));
});

TEST_P(PackedLinearTest, MeansTheFormulaForAwkwardShapes) {
  const ExecutionOwner owner(2, set());
  int turn = 0;
  for (const std::int64_t M : {1, 2, 3, 5, 6, 7, 8, 17, 31})
    for (const auto& [N, K] : {std::array<std::int64_t, 2>{1, 1},
                               {3, 2},
                               {16, 3},
                               {17, 4},
                               {63, 5},
                               {64, 16},
                               {65, 63},
                               {130, 67},
                               {200, 129},
                               {257, 31}}) {
      const Problem p(M, N, K, turn % 3);
      LinearOptions options{.activation = activations[turn % 5]};
      if (turn % 2) options.bias = p.bias.data();
      if (turn % 3 == 1) options.residual = p.residual.data();
      options.accumulate = turn % 4 == 3;
      SCOPED_TRACE(std::to_string(M) + "x" + std::to_string(N) + "x" + std::to_string(K));
      expect_product(owner.get(), p, dtype(), options);
      ++turn;
    }
}

// Each part of the epilogue with each activation, over several blocks of rows and of K.
TEST_P(PackedLinearTest, EveryEpilogue) {
  const ExecutionOwner owner(2, set());
  const Problem p(9, 70, 530, 1);
  for (const Activation activation : activations)
    for (const bool accumulate : {false, true})
      for (const bool bias : {false, true})
        for (const bool residual : {false, true}) {
          LinearOptions options{.activation = activation, .accumulate = accumulate};
          if (bias) options.bias = p.bias.data();
          if (residual) options.residual = p.residual.data();
          expect_product(owner.get(), p, dtype(), options);
        }
}

TEST_P(PackedLinearTest, EmptyExtents) {
  const ExecutionOwner owner(2, set());
  for (const auto& [M, N, K] :
       {std::array<std::int64_t, 3>{0, 5, 3}, {5, 0, 3}, {5, 70, 0}, {0, 0, 0}, {1, 1, 0}}) {
    const Problem p(M, N, K);
    expect_product(owner.get(), p, dtype(), {.bias = p.bias.data(), .activation = Activation::relu});
    expect_product(owner.get(), p, dtype(), {.accumulate = true});
  }
}

// Any rows, any threads, whole or by columns from inside a region: the same bits.
TEST_P(PackedLinearTest, ARowHasTheSameBitsWhateverIsBesideIt) {
  const ExecutionOwner alone(1, set());
  const bool slow = set() == KernelSet::reference;
  for (const auto& [N, K] : {std::array<std::int64_t, 2>{100, 70}, {700, 1100}, {1000, 515}}) {
    const Problem p(slow ? 9 : 61, N, slow ? 70 : K);
    const PackedLinear packed = pack_linear(alone.get(), dtype(), p.rows());
    const LinearOptions options{.bias = p.bias.data(), .activation = Activation::gelu};
    const Floats all = p.run(alone.get(), packed, options);
    for (const int threads : {1, 2, 3, 5}) {
      const ExecutionOwner owner(threads, set());
      EXPECT_TRUE(same_bits(p.run(owner.get(), packed, options), all)) << threads << " threads";
      for (const std::int64_t rows : {1, 2, 4, 7}) {
        const std::int64_t first = p.M - rows;
        Floats some(static_cast<std::size_t>(rows * N));
        linear(owner.get(), rows, p.x.data() + first * p.K, packed, some.data(), options);
        EXPECT_TRUE(same_bits(some, Floats(all.begin() + first * N, all.end())))
            << rows << " rows, " << threads;
      }
      Floats parts(static_cast<std::size_t>(p.M * N));
      owner.get().pool->run([&](int worker) {
        const auto [begin, end] = std::pair{worker == 0 ? 0 : 64, worker == 0 && threads > 1 ? 64 : N};
        if (worker < 2)
          linear_serial(owner.get(), worker, p.M, p.x.data(), packed, parts.data(), options,
                        {begin, end - begin});
      });
      EXPECT_TRUE(same_bits(parts, all)) << "by columns, " << threads << " threads";
    }
  }
}

// The sums are exact: sets differ in nothing before the activation.
TEST(PackedLinear, IntegersAgreeInEveryBitBetweenSets) {
  for (const auto& [M, N, K] : {std::array<std::int64_t, 3>{1, 100, 7}, {13, 70, 515}, {6, 64, 2048}}) {
    const Problem p(M, N, K);
    for (const bool accumulate : {true, false}) {
      Floats first;
      for (const KernelSet set : available_kernels()) {
        if (set == KernelSet::reference) continue;
        const ExecutionOwner owner(1, set);
        const PackedLinear packed = pack_linear(owner.get(), DType::i8, p.rows());
        const Floats y =
            p.run(owner.get(), packed,
                  {.bias = p.bias.data(), .residual = p.residual.data(), .accumulate = accumulate});
        if (first.empty()) first = y;
        EXPECT_TRUE(same_bits(y, first)) << name_of(set);
      }
    }
  }
}

// The largest products there are, of one sign: sums of pairs exceed 16 bits, sums of rows come near 32.
TEST(PackedLinear, H11_IntegerSumsNeverSaturate) {
  for (const KernelSet set : available_kernels()) {
    const ExecutionOwner owner(1, set);
    const std::int64_t K = set == KernelSet::reference ? 1024 : 131072, N = 17;
    std::vector<std::int8_t> W(static_cast<std::size_t>(N * K));
    for (std::int64_t n = 0; n < N; ++n)
      std::fill_n(W.begin() + n * K, K,
                  static_cast<std::int8_t>(n == 0   ? 127
                                           : n == 1 ? -128
                                           : n == 2 ? -127
                                                    : n));
    const Floats scales(static_cast<std::size_t>(N), 1.0f);
    const PackedLinear packed =
        pack_linear(owner.get(), DType::i8, {DType::i8, W.data(), N, K, scales.data()});
    for (const float sign : {1.0f, -1.0f}) {
      const Floats x(static_cast<std::size_t>(2 * K), sign * 127.0f);
      Floats y(static_cast<std::size_t>(2 * N));
      linear(owner.get(), 2, x.data(), packed, y.data());
      for (std::int64_t i = 0; i < 2 * N; ++i) {
        const double w = W[static_cast<std::size_t>(i % N * K)];
        ASSERT_EQ(y[static_cast<std::size_t>(i)],
                  static_cast<float>(sign * 127.0 * w * static_cast<double>(K)))
            << name_of(set) << " " << i;
      }
    }
  }
}

TEST_P(PackedLinearTest, NotANumberAndInfinityAreSeen) {
  const ExecutionOwner owner(2, set());
  for (const Activation activation : activations) {
    Problem p(8, 70, 20);
    p.x[2 * 20 + 3] = nan;
    p.x[4 * 20 + 3] = -inf;
    p.W[69 * 20 + 7] = nan;
    p.W[5 * 20 + 7] = inf;
    const PackedLinear packed = pack_linear(owner.get(), dtype(), p.rows());
    const Floats y = p.run(owner.get(), packed, {.bias = p.bias.data(), .activation = activation});
    for (std::int64_t m = 0; m < 8; ++m)
      for (std::int64_t n = 0; n < 70; ++n) {
        const float c = y[p.at(m, n)];
        if (m == 2 || n == 69) {
          EXPECT_TRUE(std::isnan(c)) << m << "," << n;
        } else if (dtype() == DType::i8 && (m == 4 || n == 5)) {
          EXPECT_TRUE(std::isnan(c)) << m << "," << n;
        } else if (activation == Activation::identity) {
          EXPECT_EQ(std::isfinite(c), m != 4 && n != 5) << m << "," << n;
        }
      }
  }
}

TEST_P(PackedLinearTest, ExtremeRows) {
  const ExecutionOwner owner(2, set());
  Problem p(6, 33, 40);
  const auto fill = [&](std::int64_t m, float value) { std::fill_n(p.x.begin() + m * 40, 40, value); };
  fill(0, 0.0f);
  fill(1, -0.0f);
  fill(2, std::numeric_limits<float>::denorm_min());
  fill(3, 1e-33f);
  fill(4, 1e37f);
  p.x[5 * 40] = 3e38f;
  std::fill_n(p.W.begin(), 40, 0.0f);
  std::fill_n(p.W.begin() + 40, 40, 1e-42f);
  const PackedLinear packed = pack_linear(owner.get(), dtype(), p.rows());
  const Floats y = p.run(owner.get(), packed, {.bias = p.bias.data()});
  for (std::int64_t n = 0; n < p.N; ++n) {
    for (std::int64_t m = 0; m < 4; ++m) EXPECT_NEAR(y[p.at(m, n)], p.bias[n], 1e-6) << m << "," << n;
    EXPECT_FALSE(std::isnan(y[p.at(4, n)])) << n;
    EXPECT_FALSE(std::isnan(y[p.at(5, n)])) << n;
  }
  for (std::int64_t m = 0; m < 6; ++m) EXPECT_EQ(y[p.at(m, 0)], p.bias[0]) << m;
}

// What 8 bits cost: at most half a step of x and of w in each product.
TEST(PackedLinear, QuantisationErrorIsBounded) {
  const ExecutionOwner owner(1);
  const Problem p(4, 50, 512);
  const PackedLinear packed = pack_linear(owner.get(), DType::i8, p.rows());
  const Floats y = p.run(owner.get(), packed, {});
  const Meaning exact = meaning_of(p, DType::f32);
  const auto most = [](const float* row) {
    return std::fabs(
        *std::max_element(row, row + 512, [](float a, float b) { return std::fabs(a) < std::fabs(b); }));
  };
  for (std::int64_t m = 0; m < p.M; ++m)
    for (std::int64_t n = 0; n < p.N; ++n) {
      const double step_x = most(p.x.data() + m * 512) / 127.0, step_w = most(p.W.data() + n * 512) / 127.0;
      double bound = 1e-4;
      for (std::int64_t k = 0; k < 512; ++k)
        bound += 0.5 * step_x * std::fabs(p.W[static_cast<std::size_t>(n * 512 + k)]) +
                 0.5 * step_w * std::fabs(p.x[static_cast<std::size_t>(m * 512 + k)]) +
                 0.25 * step_x * step_w;
      EXPECT_NEAR(y[p.at(m, n)], expected(p, exact, m, n, {}).value, bound);
    }
}

TEST(PackedLinear, RowsQuantiseToNearestEvenWithTheLargestAt127) {
  const Floats x{127.0f, -126.5f, 0.5f, 1.5f, -2.5f, 0.49f, -127.0f};
  std::int8_t q[7];
  const QuantisedRow row = quantise_row(x.data(), 7, q);
  EXPECT_EQ(row.scale, 1.0f);
  const std::int8_t expected[] = {127, -126, 0, 2, -2, 0, -127};
  EXPECT_TRUE(std::equal(q, q + 7, expected));
  EXPECT_EQ(row.sum, 0 + 127 - 126 + 2 - 2 - 127);
}

// From rows as files hold them: the same product as from floats of the same values; and in memory of the
// caller's.
TEST_P(PackedLinearTest, PacksRowsOfAnyType) {
  const ExecutionOwner owner(3, set());
  const Execution& exec = owner.get();
  for (const auto& [N, K] : {std::array<std::int64_t, 2>{70, 35}, {300, 260}}) {
    Problem p(5, N, K);
    std::vector<bfloat16> narrow;
    for (float& w : p.W) narrow.emplace_back(w), w = static_cast<float>(narrow.back());
    const Floats y = p.run(exec, pack_linear(exec, dtype(), p.rows()), {});
    const auto bytes = packed_linear_bytes(exec, dtype(), N, K);
    const std::unique_ptr<std::byte[], void (*)(std::byte*)> memory(
        static_cast<std::byte*>(::operator new[](bytes, std::align_val_t{64})),
        [](std::byte* data) { ::operator delete[](data, std::align_val_t{64}); });
    const PackedLinear lent = pack_linear(exec, dtype(), {DType::bf16, narrow.data(), N, K}, memory.get());
    EXPECT_EQ(lent.bytes(), bytes);
    EXPECT_TRUE(same_bits(p.run(exec, lent, {}), y));
    EXPECT_TRUE(same_bits(p.run(exec, packed_linear(exec, dtype(), N, K, lent.memory()), {}), y));

    std::vector<std::int8_t> integers(p.W.size());
    Floats scales;
    for (std::int64_t n = 0; n < N; ++n) {
      scales.push_back(quantise_row(p.W.data() + n * K, K, integers.data() + n * K).scale);
      for (std::int64_t k = 0; k < K; ++k) p.W[n * K + k] = scales.back() * integers[n * K + k];
    }
    const PackedLinear packed = pack_linear(exec, dtype(), {DType::i8, integers.data(), N, K, scales.data()});
    const Floats from_integers = p.run(exec, packed, {});
    if (dtype() == DType::i8)
      EXPECT_TRUE(same_bits(from_integers, y));
    else
      EXPECT_TRUE(same_bits(from_integers, p.run(exec, pack_linear(exec, dtype(), p.rows()), {})));
  }
}

TEST_P(PackedLinearTest, LooksRowsUp) {
  const ExecutionOwner owner(2, set());
  const Problem p(1, 150, 1030);
  const PackedLinear packed = pack_linear(owner.get(), dtype(), p.rows());
  const std::vector<std::int32_t> ids{149, 0, 64, 63, 17, 17, 128};
  Floats out(ids.size() * 1030);
  look_up_rows(owner.get(), packed, static_cast<std::int64_t>(ids.size()), ids.data(), 2.0f, out.data());
  const Meaning m = meaning_of(p, dtype());
  for (std::size_t i = 0; i < ids.size(); ++i)
    for (std::size_t k = 0; k < 1030; ++k) {
      const auto n = static_cast<std::size_t>(ids[i]);
      const double expected = 2.0 * m.sw[n] * m.w[n * 1030 + k];
      ASSERT_NEAR(out[i * 1030 + k], expected, 1e-7 * std::fabs(expected)) << i << "," << k;
    }
}

TEST(PackedLinear, SizesOfMemory) {
  const ExecutionOwner owner(1);
  EXPECT_EQ(packed_linear_bytes(owner.get(), DType::bf16, 128, 512), 128u * 512 * 2);
  EXPECT_EQ(packed_linear_bytes(owner.get(), DType::i8, 128, 512), 128u * 512 + 128 * 4);
  EXPECT_EQ(packed_linear_bytes(owner.get(), DType::i8, 1, 1), 64u * 4 + 64 * 4);
}

TEST_P(PackedLinearTest, RefusesTheImpossible) {
  const ExecutionOwner owner(1, set());
  const Execution& exec = owner.get();
  Floats x(64), y(64);
  const PackedLinear packed = pack_linear(exec, dtype(), {.data = x.data(), .N = 4, .K = 4});
  EXPECT_THROW(linear(exec, -1, x.data(), packed, y.data()), Error);
  EXPECT_THROW(linear(exec, 2, x.data(), packed, y.data(), {.x_stride = 3}), Error);
  EXPECT_THROW(linear(exec, 2, x.data(), packed, y.data(), {.y_stride = 3}), Error);
  EXPECT_THROW(linear_serial(exec, 0, 1, x.data(), packed, y.data(), {}, {0, 5}), Error);
  EXPECT_THROW(linear_serial(exec, 0, 1, x.data(), packed, y.data(), {}, {1, 2}), Error);
  EXPECT_THROW(pack_linear(exec, dtype(), {.data = x.data(), .N = -1, .K = 4}), Error);
  EXPECT_THROW(pack_linear(exec, DType::i32, {.data = x.data(), .N = 4, .K = 4}), Error);
  EXPECT_THROW(pack_linear(exec, dtype(), {DType::i8, x.data(), 4, 4, nullptr}), Error);
  EXPECT_THROW(packed_linear_bytes(exec, DType::i8, 4, 131073), Error);
  EXPECT_THROW(packed_linear_bytes(exec, dtype(), std::int64_t{1} << 60, std::int64_t{1} << 60), Error);
}

}  // namespace
}  // namespace fovea::kernels
