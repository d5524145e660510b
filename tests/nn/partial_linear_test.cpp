// Some outputs of a layer are those of the whole layer, to the bit, in whatever form its weights are.
#include "fovea/nn/partial_linear.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>

#include "fovea/base/random.h"
#include "fovea/nn/layers.h"
#include "tests/base/scratch.h"

namespace fovea::nn {
namespace {

using Ids = std::vector<std::int32_t>;

Tensor random(Shape shape, std::uint64_t seed) {
  Tensor values = Tensor::empty(shape);
  for (std::int64_t i = 0; i < values.elements(); ++i)
    values.f32()[i] = normal(RandomKey::of(seed, 0, 9), static_cast<std::uint64_t>(i));
  return values;
}

/// A layer [out, in] with bias whose weight is held as a loaded model holds it.
struct Layer {
  enum class Form { values, f32, bf16, i8 };
  Parameters parameters;
  Parameter* W;
  Tensor b;

  Layer(const kernels::Execution& exec, Form form, std::int64_t out, std::int64_t in)
      : W(parameters.add("W", {out, in}, {})), b(random({out}, 3)) {
    W->multiplies = true;
    const Tensor rows = random({out, in}, 2);
    if (form == Form::values) {
      parameters.allocate(1);
      std::ranges::copy(rows.values(), W->value.f32());
      return;
    }
    const DType dtype = form == Form::f32 ? DType::f32 : form == Form::bf16 ? DType::bf16 : DType::i8;
    parameters.load(exec, dtype, [&](const Parameter&) { return StoredRows{rows, {}}; });
  }
};

void expect_the_layers_bits(const ops::Context& ctx, const Layer& layer, const Ids& ids, std::int64_t N) {
  const Tensor x = random({N, layer.W->shape[1]}, 4);
  const Tensor whole = linear(ctx, x, *layer.W, layer.b);
  const PartialLinear partial(ctx.exec, *layer.W, layer.b, ids);
  ASSERT_EQ(partial.outputs(), std::ssize(ids));
  const Tensor some = partial(ctx, x);
  expect_shape(some, {N, std::ssize(ids)}, "test");
  for (std::int64_t n = 0; n < N; ++n)
    for (std::size_t i = 0; i < ids.size(); ++i)
      ASSERT_EQ(std::memcmp(some.f32() + n * some.dim(1) + static_cast<std::int64_t>(i),
                            whole.f32() + n * whole.dim(1) + ids[i], sizeof(float)),
                0)
          << "row " << n << ", output " << ids[i];
}

TEST(PartialLinear, GivesTheBitsOfTheWholeLayer) {
  for (const auto set : kernels::available_kernels()) {
    const kernels::ExecutionOwner owner(2, set);
    ops::Context ctx;
    ctx.exec = owner.get();
    for (const auto form : {Layer::Form::values, Layer::Form::f32, Layer::Form::bf16, Layer::Form::i8})
      for (const std::int64_t in : {1, 7, 64, 515}) {
        SCOPED_TRACE(std::string(name_of(set)) + ", form " + std::to_string(static_cast<int>(form)) +
                     ", in " + std::to_string(in));
        const Layer layer(owner.get(), form, 203, in);
        Ids some;
        for (std::int32_t id = 1; id < 203; id += 1 + id % 5) some.push_back(id);
        expect_the_layers_bits(ctx, layer, some, 3);
        expect_the_layers_bits(ctx, layer, {202}, 1);
        expect_the_layers_bits(ctx, layer, {17, 3, 17, 0}, 40);
        if (HasFailure()) return;
      }
  }
}

TEST(PartialLinear, NothingIsPossibleAndNoRowIsNot) {
  const kernels::ExecutionOwner owner(1);
  ops::Context ctx;
  ctx.exec = owner.get();
  const Layer layer(owner.get(), Layer::Form::f32, 5, 4);
  expect_the_layers_bits(ctx, layer, {}, 2);
  for (const std::int32_t id : {-1, 5})
    EXPECT_NE(
        test::message_of(Error::Kind::bug, [&] { PartialLinear(owner.get(), *layer.W, layer.b, Ids{id}); })
            .find("of 5"),
        std::string::npos);
}

}  // namespace
}  // namespace fovea::nn
