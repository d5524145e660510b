#include "fovea/kernels/activation.h"

#include "fovea/kernels/dropout.h"
#include "fovea/kernels/reference/activation.h"
#include "tests/kernels/finite_difference.h"
#include "tests/kernels/random_rows.h"

namespace fovea::kernels {
namespace {

using namespace fovea::test;

constexpr Activation every[] = {Activation::identity,  Activation::relu, Activation::gelu,
                                Activation::silu,      Activation::tanh, Activation::gelu_tanh,
                                Activation::gelu_quick};
const Dropout dropping{0.4f, RandomKey::of(5, 2, 1004)};

std::vector<double> expected_forward(Activation activation, const Dropout& dropout,
                                     const std::vector<double>& pre) {
  std::vector<double> out(pre.size());
  reference::activation_forward<double>({activation, dropout, pre.data(), out.data()}, 0,
                                        static_cast<std::int64_t>(pre.size()));
  return out;
}

std::vector<double> expected_backward(Activation activation, const Dropout& dropout,
                                      const std::vector<double>& pre, const std::vector<double>& d_out) {
  std::vector<double> d_pre(pre.size());
  reference::activation_backward<double>({activation, dropout, pre.data(), d_out.data(), d_pre.data()}, 0,
                                         static_cast<std::int64_t>(pre.size()));
  return d_pre;
}

void check(const Execution& exec, Activation activation, const Dropout& dropout,
           const std::vector<float>& pre, std::size_t offset) {
  const auto count = static_cast<std::int64_t>(pre.size());
  const auto d_out = normals(count, 9);
  const auto what = std::string(name_of(exec.kernels)) + " activation " + std::to_string(int(activation)) +
                    " count " + std::to_string(count);
  Unaligned in(pre, offset), out(count, offset), upstream(d_out, offset), d_pre(count, offset);
  activation_forward(exec, count, activation, dropout, in.data(), out.data());
  expect_near(out.values(), expected_forward(activation, dropout, widen(pre)), 3e-7 * dropout.scale(), what);
  activation_backward(exec, count, activation, dropout, in.data(), upstream.data(), d_pre.data());
  expect_near(d_pre.values(), expected_backward(activation, dropout, widen(pre), widen(d_out)), 2e-6,
              what + " backward");

  activation_backward(exec, count, activation, dropout, in.data(), upstream.data(), upstream.data());
  EXPECT_EQ(upstream.values(), d_pre.values()) << what;
  activation_forward(exec, count, activation, dropout, in.data(), in.data());
  EXPECT_EQ(in.values(), out.values()) << what;
}

TEST(Activation, IsTheReferenceAtAwkwardLengths) {
  for (const auto set : available_kernels()) {
    const ExecutionOwner owner(2, set);
    for (const auto activation : every) {
      check(owner.get(), activation, dropping, {}, 0);
      for (const auto count : awkward_lengths())
        for (const auto& dropout : {Dropout{}, dropping})
          check(owner.get(), activation, dropout, normals(count, 1, 2.0),
                static_cast<std::size_t>(count % 4));
    }
  }
}

TEST(Activation, IsTheReferenceFromMinusToPlusTwelveAndFarOut) {
  std::vector<float> pre{0.0f,  -0.0f,  1e-30f, -1e-30f, 1e-4f, 50.0f, -50.0f,
                         90.0f, -90.0f, 1e6f,   -1e6f,   1e30f, -1e30f};
  for (double x = -12.0; x <= 12.0; x += 0x1p-11) pre.push_back(static_cast<float>(x));
  for (const auto set : available_kernels()) {
    const ExecutionOwner owner(1, set);
    for (const auto activation : every) check(owner.get(), activation, {}, pre, 0);
  }
}

TEST(Activation, DerivativesAreThoseOfCentralDifferences) {
  for (const auto activation : every) {
    auto pre = normals<double>(40, 3, 2.0);
    const auto d_out = normals<double>(40, 4);
    const auto loss = [&] {
      const auto out = expected_forward(activation, dropping, pre);
      double total = 0;
      for (std::size_t i = 0; i < out.size(); ++i) total += d_out[i] * out[i];
      return total;
    };
    expect_gradient("activation " + std::to_string(int(activation)), pre,
                    expected_backward(activation, dropping, pre, d_out), loss);
  }
}

TEST(Activation, ReluTakesItsOutputForItsInput) {
  const std::int64_t count = 500;
  const auto pre = normals(count, 1), d_out = normals(count, 2);
  for (const auto set : available_kernels()) {
    const ExecutionOwner owner(1, set);
    std::vector<float> out(pre.size()), from_pre(pre.size()), from_out(pre.size());
    activation_forward(owner.get(), count, Activation::relu, dropping, pre.data(), out.data());
    activation_backward(owner.get(), count, Activation::relu, dropping, pre.data(), d_out.data(),
                        from_pre.data());
    activation_backward(owner.get(), count, Activation::relu, dropping, out.data(), d_out.data(),
                        from_out.data());
    for (std::size_t i = 0; i < pre.size(); ++i) EXPECT_EQ(from_pre[i], from_out[i]) << i;  // -0 equals 0
  }
}

TEST(Activation, KeepsNaN) {
  for (const auto set : available_kernels()) {
    const ExecutionOwner owner(1, set);
    for (const auto activation : every) {
      std::vector<float> x(19, NAN), out(19);
      activation_forward(owner.get(), 19, activation, {}, x.data(), out.data());
      for (const float y : out)
        EXPECT_TRUE(std::isnan(y)) << name_of(set) << " activation " << int(activation);
    }
  }
}

TEST(ResidualDropout, IsTheReferenceAtAwkwardLengthsAndInPlace) {
  for (const auto set : available_kernels()) {
    const ExecutionOwner owner(2, set);
    for (const auto count : {0, 1, 17, 128, 1000, 40000}) {
      for (const auto& dropout : {Dropout{}, dropping}) {
        const auto x = normals(count, 1), residual = normals(count, 2);
        std::vector<double> plain(x.size()), sum(x.size());
        for (std::size_t i = 0; i < x.size(); ++i) plain[i] = double(x[i]) * dropout.multiplier(i);
        for (std::size_t i = 0; i < x.size(); ++i) sum[i] = plain[i] + residual[i];
        Unaligned in(x, 1), other(residual, 2), out(count, 3);
        residual_dropout(owner.get(), count, dropout, in.data(), nullptr, out.data());
        expect_near(out.values(), plain, 0x1p-23, "dropout");
        residual_dropout(owner.get(), count, dropout, in.data(), other.data(), out.data());
        expect_near(out.values(), sum, 0x1p-22, "residual + dropout");
        residual_dropout(owner.get(), count, dropout, in.data(), other.data(), other.data());
        EXPECT_EQ(other.values(), out.values());
      }
    }
  }
}

}  // namespace
}  // namespace fovea::kernels
