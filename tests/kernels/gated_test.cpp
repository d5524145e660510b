#include "fovea/kernels/gated.h"

#include "fovea/kernels/reference/gated.h"
#include "tests/kernels/finite_difference.h"
#include "tests/kernels/random_rows.h"

namespace fovea::kernels {
namespace {

using namespace fovea::test;

constexpr Activation every[] = {Activation::identity,  Activation::relu, Activation::gelu,
                                Activation::silu,      Activation::tanh, Activation::gelu_tanh,
                                Activation::gelu_quick};

std::vector<double> expected_forward(const GatedExtents& extents, const std::vector<double>& gate_up) {
  std::vector<double> out(gate_up.size() / 2);
  reference::gated_forward<double>({extents, gate_up.data(), out.data()}, 0, extents.N);
  return out;
}

std::vector<double> expected_backward(const GatedExtents& extents, const std::vector<double>& gate_up,
                                      const std::vector<double>& d_out) {
  std::vector<double> d_gate_up(gate_up.size());
  reference::gated_backward<double>({extents, gate_up.data(), d_out.data(), d_gate_up.data()}, 0, extents.N);
  return d_gate_up;
}

void check(const Execution& exec, const GatedExtents& extents, std::size_t offset) {
  const auto gate_up = normals(extents.N * 2 * extents.F, 1, 2.0), d_out = normals(extents.N * extents.F, 2);
  Unaligned in(gate_up, offset), upstream(d_out, offset), out(extents.N * extents.F, offset),
      d_in(extents.N * 2 * extents.F, offset);
  const auto what = std::string(name_of(exec.kernels)) + " activation " +
                    std::to_string(int(extents.activation)) + " F " + std::to_string(extents.F);
  gated_forward(exec, extents, in.data(), out.data());
  expect_near(out.values(), expected_forward(extents, widen(gate_up)), 3e-6, what);
  gated_backward(exec, extents, in.data(), upstream.data(), d_in.data());
  expect_near(d_in.values(), expected_backward(extents, widen(gate_up), widen(d_out)), 1e-5,
              what + " backward");
  gated_backward(exec, extents, in.data(), upstream.data(), in.data());
  EXPECT_EQ(in.values(), d_in.values()) << what;
}

TEST(Gated, IsTheReferenceAtAwkwardWidths) {
  for (const auto set : available_kernels()) {
    const ExecutionOwner owner(2, set);
    for (const auto activation : every)
      for (const auto F : awkward_lengths())
        check(owner.get(), {F > 1000 ? 3 : 7, F, activation}, static_cast<std::size_t>(F % 4));
    check(owner.get(), {0, 5}, 0);
  }
}

TEST(Gated, DerivativesAreThoseOfCentralDifferences) {
  for (const auto activation : every) {
    const GatedExtents extents{3, 5, activation};
    auto gate_up = normals<double>(30, 3, 2.0);
    const auto d_out = normals<double>(15, 4);
    const auto loss = [&] {
      const auto out = expected_forward(extents, gate_up);
      double total = 0;
      for (std::size_t i = 0; i < out.size(); ++i) total += d_out[i] * out[i];
      return total;
    };
    expect_gradient("activation " + std::to_string(int(activation)), gate_up,
                    expected_backward(extents, gate_up, d_out), loss);
  }
}

}  // namespace
}  // namespace fovea::kernels
