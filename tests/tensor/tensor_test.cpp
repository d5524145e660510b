#include "fovea/tensor/tensor.h"

#include <gtest/gtest.h>

namespace fovea {
namespace {

TEST(Tensor, ViewsShareElements) {
  const Tensor x_ND = Tensor::zeros({4, 3});
  x_ND.rows(1, 3).f32()[0] = 5.0f;
  EXPECT_EQ(x_ND.f32()[3], 5.0f);
  EXPECT_EQ(x_ND.reshape({2, 6}).f32()[3], 5.0f);
  EXPECT_EQ(x_ND.clone().f32()[3], 5.0f);
  EXPECT_EQ(Tensor::zeros({0, 3}).elements(), 0);
}

TEST(Tensor, NamesBothShapesWhenTheyDisagree) {
  try {
    Tensor::zeros({4, 3}).reshape({5, 2});
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "tensor: cannot reshape [4, 3] to [5, 2]");
  }
  EXPECT_THROW(expect_shape(Tensor::zeros({4, 3}), {4, 2}, "q"), Error);
  EXPECT_NO_THROW(expect_shape(Tensor::zeros({4, 3}), {-1, 3}, "q"));
  EXPECT_THROW(Tensor::zeros({4}, DType::i32).f32(), Error);
}

TEST(Storage, ReusesBlocksOfASize) {
  { const Tensor warm = Tensor::zeros({1000}); }
  const auto before = storage_statistics().system_allocations;
  for (int i = 0; i < 100; ++i) const Tensor again = Tensor::zeros({1000});
  EXPECT_EQ(storage_statistics().system_allocations, before);
}

}  // namespace
}  // namespace fovea
