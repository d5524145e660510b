#include "fovea/formats/npy.h"

#include <gtest/gtest.h>

#include <cstring>

#include "fovea/base/file.h"
#include "tests/base/scratch.h"

namespace fovea::formats {
namespace {

TEST(Npy, IsWhatNumpyWrites) {
  const fovea::test::ScratchFolder folder;
  const std::vector<float> values{1.0f, -2.5f, 3.0f, 0.0f, 5.0f, 6.0f};
  save_npy(folder / "a.npy", values, 2, 3);
  const std::string bytes = read_file(folder / "a.npy", 1 << 20, Error::Kind::data);
  ASSERT_EQ(bytes.size(), 128 + 24U);
  EXPECT_EQ(bytes.substr(0, 8), std::string("\x93NUMPY\x01\x00", 8));
  EXPECT_EQ(static_cast<unsigned char>(bytes[8]) + 256 * bytes[9], 118);
  EXPECT_EQ(bytes.substr(10, 61), "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }  ");
  EXPECT_EQ(bytes[127], '\n');
  EXPECT_EQ(std::memcmp(bytes.data() + 128, values.data(), 24), 0);
}

TEST(Npy, WrongNumberOfValues) {
  fovea::test::expect_error(
      Error::Kind::bug, [] { save_npy("x", std::vector<float>(5), 2, 3); }, "2 x 3");
}

}  // namespace
}  // namespace fovea::formats
