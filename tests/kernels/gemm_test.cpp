#include "fovea/kernels/gemm.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "fovea/base/error.h"
#include "fovea/base/random.h"
#include "tests/kernels/random_rows.h"

namespace fovea::kernels {
namespace {

using Floats = std::vector<float>;

Floats random_floats(std::int64_t count, std::uint32_t site) {
  const RandomKey key = RandomKey::of(7, 0, site);
  Floats values(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = 2.0f * uniform(key, i) - 1.0f;
  return values;
}

// A product with its operands; strides may exceed rows, C lies between guards.
struct Problem {
  static constexpr float guard = 12345.0f;
  GemmExtents e;
  Floats A, B, C, bias, pre;

  Problem(std::int64_t M, std::int64_t N, std::int64_t K, bool transpose_a, bool transpose_b,
          std::int64_t slack = 0)
      : e{M,         N,           K,          (transpose_a ? M : K) + slack, (transpose_b ? K : N) + slack,
          N + slack, transpose_a, transpose_b} {
    A = random_floats((transpose_a ? K : M) * e.lda, 1);
    B = random_floats((transpose_b ? N : K) * e.ldb, 2);
    C = Floats(static_cast<std::size_t>(M * e.ldc), guard);
    for (std::int64_t m = 0; m < M; ++m)
      for (std::int64_t n = 0; n < N; ++n) C[at(m, n)] = std::sin(static_cast<float>(3 * m + n));
    bias = random_floats(N, 3);
    pre = Floats(C.size(), guard);
  }
  std::size_t at(std::int64_t m, std::int64_t n) const { return static_cast<std::size_t>(m * e.ldc + n); }
  float a(std::int64_t m, std::int64_t k) const {
    return A[static_cast<std::size_t>(e.transpose_a ? k * e.lda + m : m * e.lda + k)];
  }
  float b(std::int64_t k, std::int64_t n) const {
    return B[static_cast<std::size_t>(e.transpose_b ? n * e.ldb + k : k * e.ldb + n)];
  }
  std::string name() const {
    return std::to_string(e.M) + "x" + std::to_string(e.N) + "x" + std::to_string(e.K) +
           (e.transpose_a ? " A^T" : "") + (e.transpose_b ? " B^T" : "");
  }
};

double activation_in_double(Activation activation, double x) {
  switch (activation) {
    case Activation::identity:
      return x;
    case Activation::relu:
      return std::fmax(x, 0.0);
    case Activation::gelu:
      return 0.5 * x * (1.0 + std::erf(x / std::sqrt(2.0)));
    case Activation::silu:
      return x / (1.0 + std::exp(-x));
    case Activation::tanh:
      return std::tanh(x);
    case Activation::gelu_tanh:
      return 0.5 * x * (1.0 + std::tanh(std::sqrt(2.0 / M_PI) * (x + 0.044715 * x * x * x)));
    case Activation::gelu_quick:
      return x / (1.0 + std::exp(-1.702 * x));
  }
  return x;
}

// The result that `run` leaves in a copy of C must agree with loops in double: a chain of K rounded products
// differs from the exact sum by at most gamma_K sum |a||b|, gamma_K = K u / (1 - K u), u = 2^-24 (twice that
// where products round too); accumulate and bias add one rounding each. No activation has a slope above 1.13;
// its own error is 1e-6.
template <class Run>
void expect_product(const Problem& p, const GemmEpilogue& epilogue, const Run& run) {
  Floats C = p.C, pre = p.pre;
  GemmEpilogue with = epilogue;
  if (epilogue.pre_activation) with.pre_activation = pre.data();
  run(C.data(), with);
  int failures = 0;
  for (std::int64_t m = 0; m < p.e.M; ++m) {
    for (std::int64_t n = 0; n < p.e.ldc; ++n) {
      const std::size_t i = p.at(m, n);
      if (n >= p.e.N) {
        if (C[i] != Problem::guard || pre[i] != Problem::guard) ++failures;
        continue;
      }
      double c = epilogue.accumulate ? p.C[i] : 0.0, size = std::fabs(c);
      for (std::int64_t k = 0; k < p.e.K; ++k) {
        const double product = static_cast<double>(p.a(m, k)) * p.b(k, n);
        c += product;
        size += std::fabs(product);
      }
      if (epilogue.bias) c += epilogue.bias[n], size += std::fabs(epilogue.bias[n]);
      const double tolerance = 2.0 * static_cast<double>(p.e.K + 2) * 0x1p-24 * size;
      const double expected = activation_in_double(epilogue.activation, c);
      const double own =
          epilogue.activation == Activation::identity ? 0.0 : 1e-6 * std::fmax(1.0, std::fabs(c));
      if (!(std::fabs(C[i] - expected) <= 1.13 * tolerance + own)) ++failures;
      if (epilogue.pre_activation && !(std::fabs(pre[i] - c) <= tolerance)) ++failures;
      if (failures == 1) {
        ADD_FAILURE() << p.name() << " at " << m << "," << n << ": " << C[i] << " for " << expected;
        return;
      }
    }
  }
  EXPECT_EQ(failures, 0) << p.name() << ": written beside C";
}

// Every door: unpacked, packed, each also on one worker.
void expect_all_doors(const Execution& exec, const Problem& p, const GemmEpilogue& epilogue) {
  const auto* A = p.A.data();
  const auto* B = p.B.data();
  const PackedMatrix packed = pack_b(exec, p.e.K, p.e.N, B, p.e.ldb, p.e.transpose_b);
  Floats first;
  const auto same = [&](const float* C) {
    if (first.empty()) first.assign(C, C + p.C.size());
    EXPECT_TRUE(std::equal(first.begin(), first.end(), C)) << p.name();
  };
  expect_product(p, epilogue,
                 [&](float* C, const GemmEpilogue& ep) { gemm(exec, p.e, A, B, C, ep), same(C); });
  expect_product(p, epilogue,
                 [&](float* C, const GemmEpilogue& ep) { gemm(exec, p.e, A, packed, C, ep), same(C); });
  expect_product(p, epilogue,
                 [&](float* C, const GemmEpilogue& ep) { gemm_serial(exec, 0, p.e, A, B, C, ep), same(C); });
  expect_product(p, epilogue, [&](float* C, const GemmEpilogue& ep) {
    gemm_serial(exec, 0, p.e, A, packed, C, ep), same(C);
  });
}

class Gemm : public testing::TestWithParam<KernelSet> {};
INSTANTIATE_TEST_SUITE_P(Sets, Gemm, testing::ValuesIn(available_kernels()),
                         [](const auto& info) { return std::string(name_of(info.param)); });

TEST_P(Gemm, MatchesLoopsInDouble) {
  const ExecutionOwner owner(2, GetParam());
  const std::int64_t extents[][3] = {{1, 1, 1},    {1, 64, 16},   {2, 3, 5},    {5, 17, 33},   {6, 64, 64},
                                     {7, 65, 31},  {13, 63, 48},  {16, 16, 16}, {12, 129, 80}, {49, 100, 130},
                                     {97, 70, 17}, {3, 200, 520}, {50, 15, 129}};
  for (const auto& [M, N, K] : extents)
    for (const bool transpose_a : {false, true})
      for (const bool transpose_b : {false, true})
        for (const std::int64_t slack : {0, 3})
          for (const bool accumulate : {false, true})
            expect_all_doors(owner.get(), Problem(M, N, K, transpose_a, transpose_b, slack),
                             {.accumulate = accumulate});
}

TEST_P(Gemm, MatchesOnRandomExtents) {
  const ExecutionOwner owner(3, GetParam());
  const RandomKey key = RandomKey::of(11, 0, 4);
  for (std::uint64_t round = 0; round < 60; ++round) {
    const auto draw = [&](std::uint64_t what, std::uint32_t bound) {
      return static_cast<std::int64_t>(below(key, 8 * round + what, bound));
    };
    const Problem p(1 + draw(0, 130), 1 + draw(1, 200), 1 + draw(2, 150), draw(3, 2) == 1, draw(4, 2) == 1,
                    draw(5, 9));
    GemmEpilogue epilogue{.accumulate = draw(6, 2) == 1, .bias = draw(7, 2) == 1 ? p.bias.data() : nullptr};
    expect_all_doors(owner.get(), p, epilogue);
  }
}

TEST_P(Gemm, MatchesOverSeveralBlocks) {
  if (GetParam() == KernelSet::reference) GTEST_SKIP() << "has no blocks";
  const ExecutionOwner owner(2, GetParam());
  for (const bool transpose_a : {false, true})
    for (const bool transpose_b : {false, true})
      expect_all_doors(owner.get(), Problem(110, 330, 1100, transpose_a, transpose_b), {.accumulate = true});
  const Problem wide(7, 1500, 600, false, true);
  expect_all_doors(owner.get(), wide, {.bias = wide.bias.data()});
}

TEST_P(Gemm, EpilogueStoresAndActivates) {
  const ExecutionOwner owner(2, GetParam());
  for (const auto activation : {Activation::identity, Activation::relu, Activation::gelu, Activation::silu,
                                Activation::tanh, Activation::gelu_tanh, Activation::gelu_quick})
    for (const bool store : {false, true})
      for (const bool accumulate : {false, true}) {
        Problem p(14, 83, 40, false, true, 2);
        for (float& a : p.A) a *= 3.0f;
        expect_all_doors(owner.get(), p,
                         {accumulate, p.bias.data(), store ? p.pre.data() : nullptr, activation});
      }
}

TEST_P(Gemm, ActivationsAreAccurateEverywhere) {
  // K = 0 and accumulate: C = activation(C).
  const ExecutionOwner owner(1, GetParam());
  Floats x;
  for (float v = -30.0f; v < 30.0f; v += 0.0037f) x.push_back(v);
  for (const float v : {0.0f, 1e-6f, -1e-6f, 0.624f, 0.626f, 1e-30f, 80.0f, -80.0f, 1000.0f, -1000.0f})
    x.push_back(v);
  const auto N = static_cast<std::int64_t>(x.size());
  for (const auto activation : {Activation::relu, Activation::gelu, Activation::silu, Activation::tanh,
                                Activation::gelu_tanh, Activation::gelu_quick}) {
    Floats y = x;
    gemm(owner.get(), {1, N, 0, 0, N, N}, nullptr, nullptr, y.data(),
         {.accumulate = true, .activation = activation});
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double expected = activation_in_double(activation, x[i]);
      ASSERT_NEAR(y[i], expected, 1e-6 * std::fmax(1.0, std::fabs(expected)))
          << static_cast<int>(activation) << " " << x[i];
    }
  }
}

TEST_P(Gemm, ARowDoesNotDependOnTheOthersNorOnThreads) {
  constexpr std::int64_t M = 1000, N = 200;
  for (const std::int64_t K : {33, 300, 1030}) {
    if (GetParam() == KernelSet::reference && K > 300) continue;
    for (const bool transpose_b : {false, true}) {
      const Problem p(M, N, K, false, transpose_b);
      const GemmEpilogue epilogue{.bias = p.bias.data(), .activation = Activation::gelu};
      Floats all;
      for (const int threads : {1, 2, 3}) {
        const ExecutionOwner owner(threads, GetParam());
        const PackedMatrix packed = pack_b(owner.get(), K, N, p.B.data(), p.e.ldb, transpose_b);
        Floats C(p.C.size());
        gemm(owner.get(), p.e, p.A.data(), p.B.data(), C.data(), epilogue);
        if (all.empty()) all = C;
        ASSERT_EQ(std::memcmp(all.data(), C.data(), C.size() * sizeof(float)), 0) << threads << " threads";
        for (const std::int64_t rows : {1, 2, 5, 16, 47, 49, 100}) {
          const std::int64_t first = 431;
          GemmExtents few = p.e;
          few.M = rows;
          const auto same = [&](const Floats& some) {
            return std::memcmp(all.data() + first * N, some.data(), some.size() * sizeof(float)) == 0;
          };
          Floats some(static_cast<std::size_t>(rows * N));
          gemm(owner.get(), few, p.A.data() + first * p.e.lda, p.B.data(), some.data(), epilogue);
          EXPECT_TRUE(same(some)) << rows << " rows, K=" << K << ", " << threads << " threads";
          std::fill(some.begin(), some.end(), 0.0f);
          gemm(owner.get(), few, p.A.data() + first * p.e.lda, packed, some.data(), epilogue);
          EXPECT_TRUE(same(some)) << rows << " rows packed, K=" << K << ", " << threads << " threads";
        }
      }
    }
  }
}

TEST_P(Gemm, EveryElementIsOneChainInTheOrderOfK) {
  if (GetParam() == KernelSet::reference) GTEST_SKIP() << "sums in double";
  const ExecutionOwner owner(2, GetParam());
  for (const bool transpose_a : {false, true}) {
    const Problem p(61, 77, 1100, transpose_a, true);
    Floats C = p.C;
    gemm(owner.get(), p.e, p.A.data(), p.B.data(), C.data(), {.accumulate = true});
    for (std::int64_t m = 0; m < p.e.M; ++m)
      for (std::int64_t n = 0; n < p.e.N; ++n) {
        float chain = p.C[p.at(m, n)];
        for (std::int64_t k = 0; k < p.e.K; ++k) {
          const float product = p.a(m, k) * p.b(k, n);
          chain = GetParam() == KernelSet::plain ? chain + product : std::fma(p.a(m, k), p.b(k, n), chain);
        }
        ASSERT_EQ(C[p.at(m, n)], chain) << m << "," << n;
      }
  }
}

// Packed by several threads into memory of the caller: the same elements in the same places.
TEST_P(Gemm, PackedInMemoryOfTheCaller) {
  const ExecutionOwner owner(3, GetParam());
  for (const bool transpose_b : {false, true})
    for (const auto& [K, N] : {std::pair<std::int64_t, std::int64_t>{700, 200}, {3, 5}, {64, 1000}, {0, 7}}) {
      const std::int64_t ldb = (transpose_b ? K : N) + 3;
      const std::vector<float> B = test::normals((transpose_b ? N : K) * ldb, 7);
      const PackedMatrix own = pack_b(owner.get(), K, N, B.data(), ldb, transpose_b);
      const std::size_t floats = packed_floats(owner.get(), K, N);
      std::unique_ptr<float[], void (*)(float*)> memory(
          static_cast<float*>(::operator new[](floats * sizeof(float), std::align_val_t{64})),
          [](float* data) { ::operator delete[](data, std::align_val_t{64}); });
      const PackedMatrix lent = pack_b(owner.get(), K, N, B.data(), ldb, transpose_b, memory.get());
      EXPECT_EQ(lent.data(), memory.get());
      // Beyond column N a panel may hold anything: compare what products see.
      const std::vector<float> A = test::normals(5 * K, 8);
      std::vector<float> c(5 * N), d(5 * N);
      const GemmExtents extents{.M = 5, .N = N, .K = K, .lda = K, .ldc = N};
      gemm(owner.get(), extents, A.data(), own, c.data());
      gemm(owner.get(), extents, A.data(), lent, d.data());
      EXPECT_EQ(c, d) << K << "x" << N;
    }
}

TEST_P(Gemm, EmptyExtents) {
  const ExecutionOwner owner(2, GetParam());
  for (const auto& [M, N, K] :
       {std::array<std::int64_t, 3>{0, 5, 3}, {5, 0, 3}, {5, 70, 0}, {0, 0, 0}, {0, 900, 900}}) {
    const Problem p(M, N, K, false, true);
    expect_all_doors(owner.get(), p, {.bias = p.bias.data(), .activation = Activation::relu});
    expect_all_doors(owner.get(), p, {.accumulate = true});
  }
}

TEST_P(Gemm, NotANumberAndInfinityReachTheirRowsAndColumnsOnly) {
  const ExecutionOwner owner(2, GetParam());
  constexpr float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
  for (const auto activation : {Activation::identity, Activation::relu, Activation::gelu, Activation::silu,
                                Activation::tanh, Activation::gelu_tanh, Activation::gelu_quick}) {
    Problem p(9, 70, 20, false, true);
    for (float& b : p.B) b = std::fabs(b) + 0.1f;
    p.A[2 * 20 + 3] = nan;
    p.A[4 * 20 + 3] = inf;
    p.B[69 * 20 + 7] = nan;
    gemm(owner.get(), p.e, p.A.data(), p.B.data(), p.C.data(), {.activation = activation});
    for (std::int64_t m = 0; m < 9; ++m)
      for (std::int64_t n = 0; n < 70; ++n) {
        const float c = p.C[p.at(m, n)];
        EXPECT_EQ(std::isnan(c), m == 2 || n == 69)
            << m << "," << n << " activation " << static_cast<int>(activation);
        if (m == 4 && n != 69) {
          EXPECT_EQ(c, activation == Activation::tanh ? 1.0f : inf);
        }
      }
  }
}

TEST_P(Gemm, RefusesImpossibleExtents) {
  const ExecutionOwner owner(1, GetParam());
  float x[4] = {};
  EXPECT_THROW(gemm(owner.get(), {-1, 1, 1, 1, 1, 1}, x, x, x), Error);
  EXPECT_THROW(gemm(owner.get(), {1, 2, 2, 1, 2, 2}, x, x, x), Error);
  EXPECT_THROW(gemm(owner.get(), {1, 2, 2, 2, 1, 2}, x, x, x), Error);
  EXPECT_THROW(gemm(owner.get(), {2, 2, 2, 2, 2, 1}, x, x, x), Error);
  const PackedMatrix packed = pack_b(owner.get(), 2, 2, x, 2, false);
  EXPECT_THROW(gemm(owner.get(), {1, 2, 1, 2, 0, 2}, x, packed, x), Error);
}

TEST(GemmSets, VectorSetsGiveTheSameBits) {
  if (!runs_here(KernelSet::avx512)) GTEST_SKIP() << "one vector set only";
  const Problem p(50, 90, 700, false, true);
  Floats wide = p.C, narrow = p.C;
  gemm(ExecutionOwner(1, KernelSet::avx512).get(), p.e, p.A.data(), p.B.data(), wide.data());
  gemm(ExecutionOwner(1, KernelSet::avx2).get(), p.e, p.A.data(), p.B.data(), narrow.data());
  EXPECT_EQ(wide, narrow);
}

// --- products in bf16

class GemmInBf16 : public testing::Test {
 protected:
  void SetUp() override {
    if (!runs_here(KernelSet::avx512) || !has_16_bit_dot()) GTEST_SKIP() << "no products of 16 bits";
  }
  static Execution in_bf16(const ExecutionOwner& owner) {
    Execution exec = owner.get();
    exec.kernels = KernelSet::avx512;
    exec.precision = Precision::bf16;
    return exec;
  }
  // To the nearest bf16, ties to the even one.
  static void round(Floats& values) {
    for (float& value : values) {
      auto bits = std::bit_cast<std::uint32_t>(value);
      bits = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000u;
      value = std::bit_cast<float>(bits);
    }
  }
};

// Products of numbers that bf16 holds are exact, so the bound on a sum is that of f32.
TEST_F(GemmInBf16, MatchesLoopsInDouble) {
  const ExecutionOwner owner(3);
  const RandomKey key = RandomKey::of(12, 0, 4);
  for (std::uint64_t round_ = 0; round_ < 150; ++round_) {
    const auto draw = [&](std::uint64_t what, std::uint32_t bound) {
      return static_cast<std::int64_t>(below(key, 8 * round_ + what, bound));
    };
    Problem p(1 + draw(0, 130), 1 + draw(1, 200), draw(2, round_ % 5 ? 150 : 2300), draw(3, 2) == 1,
              draw(4, 2) == 1, draw(5, 9));
    round(p.A), round(p.B);
    expect_all_doors(in_bf16(owner), p,
                     {.accumulate = draw(6, 2) == 1, .bias = draw(7, 2) == 1 ? p.bias.data() : nullptr});
  }
}

TEST_F(GemmInBf16, RoundsToTheNearest) {
  const ExecutionOwner owner(2);
  for (const bool transpose_a : {false, true})
    for (const bool transpose_b : {false, true}) {
      const Problem p(61, 77, 301, transpose_a, transpose_b);
      Problem rounded = p;
      round(rounded.A), round(rounded.B);
      Floats a = p.C, b = p.C, f32 = p.C;
      gemm(in_bf16(owner), p.e, p.A.data(), p.B.data(), a.data());
      gemm(in_bf16(owner), p.e, rounded.A.data(), rounded.B.data(), b.data());
      gemm(owner.get(), p.e, p.A.data(), p.B.data(), f32.data());
      EXPECT_EQ(a, b) << p.name();
      EXPECT_NE(a, f32) << p.name();
    }
}

TEST_F(GemmInBf16, ARowDoesNotDependOnTheOthersNorOnThreads) {
  for (const std::int64_t K : {33, 300, 2050})
    for (const bool transpose_a : {false, true}) {
      const Problem p(300, 200, K, transpose_a, true);
      Floats all;
      for (const int threads : {1, 2, 3}) {
        const ExecutionOwner owner(threads);
        Floats C(p.C.size());
        gemm(in_bf16(owner), p.e, p.A.data(), p.B.data(), C.data());
        if (all.empty()) all = C;
        ASSERT_EQ(all, C) << threads << " threads, K=" << K;
        for (const std::int64_t rows : {1, 2, 5, 16, 47, 49, 100}) {
          GemmExtents few = p.e;
          few.M = rows;
          const std::int64_t first = 131;
          Floats some(static_cast<std::size_t>(rows * p.e.N));
          gemm(in_bf16(owner), few, p.A.data() + first * (transpose_a ? 1 : p.e.lda), p.B.data(),
               some.data());
          EXPECT_TRUE(std::equal(some.begin(), some.end(), all.begin() + first * p.e.N)) << rows << " rows";
        }
      }
    }
}

TEST_F(GemmInBf16, APackedOperandKeepsItsPrecision) {
  const ExecutionOwner owner(1);
  const Problem p(20, 70, 90, false, true);
  const PackedMatrix packed = pack_b(in_bf16(owner), 90, 70, p.B.data(), p.e.ldb, true);
  EXPECT_EQ(packed.precision(), Precision::bf16);
  Floats with_f32 = p.C, with_bf16 = p.C;
  Execution f32 = in_bf16(owner);
  f32.precision = Precision::f32;
  gemm(f32, p.e, p.A.data(), packed, with_f32.data());
  gemm(in_bf16(owner), p.e, p.A.data(), packed, with_bf16.data());
  EXPECT_EQ(with_f32, with_bf16);
  float column[90];
  EXPECT_THROW(unpack_column(packed, 0, 1.0f, column), Error);
}

TEST(GemmPrecision, IsF32WhereNothingMultipliesPairs) {
  const ExecutionOwner owner(1, KernelSet::plain);
  Execution exec = owner.get();
  exec.precision = Precision::bf16;
  const Problem p(20, 70, 90, false, true);
  Floats a = p.C, b = p.C;
  gemm(exec, p.e, p.A.data(), p.B.data(), a.data());
  gemm(owner.get(), p.e, p.A.data(), p.B.data(), b.data());
  EXPECT_EQ(a, b);
}

}  // namespace
}  // namespace fovea::kernels
