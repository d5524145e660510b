// The values of tensors, of every type.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "fovea/base/bfloat16.h"
#include "tests/formats/safetensors_by_hand.h"

namespace fovea::formats {
namespace {

using test::message_of;

template <class T>
std::string stored(std::initializer_list<T> values) {
  std::string text;
  for (const T& value : values) text.append(reinterpret_cast<const char*>(&value), sizeof value);
  return text;
}

std::string one_tensor(const std::string& dtype, std::size_t elements, const std::string& data) {
  return file_of("{" + tensor("t", dtype, std::to_string(elements), "0," + std::to_string(data.size())) +
                 "}") +
         data;
}

std::vector<float> read_values(const std::string& file) {
  const Tensor read = parse(file).read("t");
  return {read.values().begin(), read.values().end()};
}

TEST(Safetensors, E03_FloatsOfAnyWidthBecomeF32) {
  using Values = std::vector<float>;
  EXPECT_EQ(read_values(one_tensor("F32", 3, stored<float>({1.5F, -0.0F, 3e38F}))),
            (Values{1.5F, -0.0F, 3e38F}));
  EXPECT_EQ(read_values(one_tensor("F64", 2, stored<double>({0.1, -1e-60}))), (Values{0.1F, 0.0F}));
  EXPECT_EQ(read_values(one_tensor("BF16", 2, stored<std::uint16_t>({0x3fc0, 0xc000}))),
            (Values{1.5F, -2.0F}));
  EXPECT_EQ(read_values(one_tensor("F16", 3, stored<std::uint16_t>({0x3e00, 0xc000, 0x7bff}))),
            (Values{1.5F, -2.0F, 65504.0F}));
  EXPECT_TRUE(std::isinf(read_values(one_tensor("F64", 1, stored<double>({HUGE_VAL})))[0]));
  const std::string message =
      message_of(Error::Kind::model, [] { read_values(one_tensor("F64", 1, stored<double>({1e39}))); });
  EXPECT_NE(message.find("more than an f32 can hold"), std::string::npos);
}

TEST(Safetensors, E03_IntegersAreRefusedWhereFloatsAreExpected) {
  for (const std::string dtype : {"I8", "U8", "BOOL", "F8_E4M3"})
    EXPECT_EQ(message_of(Error::Kind::model, [&] { read_values(one_tensor(dtype, 1, "\1")); }),
              "f: tensor \"t\" holds " + dtype +
                  " where floating point was expected; F32, F16, BF16 and F64 are read");
}

TEST(Safetensors, ReadsIntegersOfAnyWidth) {
  using Integers = std::vector<std::int64_t>;
  const auto integers = [](const std::string& file) { return parse(file).read_integers("t"); };
  EXPECT_EQ(integers(one_tensor("I64", 2, stored<std::int64_t>({-1, std::int64_t{1} << 60}))),
            (Integers{-1, std::int64_t{1} << 60}));
  EXPECT_EQ(integers(one_tensor("I32", 2, stored<std::int32_t>({-5, 7}))), (Integers{-5, 7}));
  EXPECT_EQ(integers(one_tensor("I8", 2, stored<std::int8_t>({-128, 127}))), (Integers{-128, 127}));
  EXPECT_EQ(integers(one_tensor("U8", 2, stored<std::uint8_t>({0, 255}))), (Integers{0, 255}));
  EXPECT_EQ(integers(one_tensor("BOOL", 2, stored<std::uint8_t>({0, 1}))), (Integers{0, 1}));
  EXPECT_THROW(integers(one_tensor("BOOL", 1, "\2")), Error);
  EXPECT_THROW(integers(one_tensor("F32", 1, stored<float>({1}))), Error);
}

TEST(Safetensors, ReadsTensorsAsTheyAreStored) {
  const auto i8 = parse(one_tensor("I8", 2, stored<std::int8_t>({-128, 127}))).read_stored("t");
  EXPECT_EQ(i8.dtype(), DType::i8);
  EXPECT_EQ(static_cast<std::int8_t>(i8.raw()[0]), -128);
  EXPECT_EQ(parse(one_tensor("BF16", 1, stored<std::uint16_t>({0x3fc0}))).read_stored("t").dtype(),
            DType::bf16);
  EXPECT_EQ(parse(one_tensor("I32", 1, stored<std::int32_t>({-9}))).read_stored("t").i32()[0], -9);
  EXPECT_NE(message_of(Error::Kind::model,
                       [] { parse(one_tensor("C64", 1, std::string(8, 'c'))).read_stored("t"); })
                .find("holds C64, which is an unsupported dtype"),
            std::string::npos);
}

TEST(Safetensors, EveryHalfIsExact) {
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    const int exponent = static_cast<int>(bits >> 10 & 31), fraction = static_cast<int>(bits & 1023);
    const float sign = bits & 0x8000 ? -1.0F : 1.0F;
    const float value = half_to_float(static_cast<std::uint16_t>(bits));
    if (exponent == 31 && fraction) {
      EXPECT_TRUE(std::isnan(value));
    } else {
      const double magnitude = exponent == 31  ? HUGE_VAL
                               : exponent == 0 ? std::ldexp(fraction, -24)
                                               : std::ldexp(1024 + fraction, exponent - 25);
      EXPECT_EQ(value, sign * static_cast<float>(magnitude));
      EXPECT_EQ(std::signbit(value), sign < 0);
    }
  }
}

TEST(Safetensors, NamesWhatIsNotThereOrDoesNotFit) {
  const auto file = parse(file_of("{" + tensor("seven", "F32", "1,1,1,1,1,1,1", "0,4") + "}", 4));
  EXPECT_EQ(file.info("seven").shape.size(), 7U);
  EXPECT_EQ(message_of(Error::Kind::model, [&] { file.read("seven"); }),
            "f: tensor \"seven\" has 7 axes; at most 6 can be used");
  EXPECT_EQ(message_of(Error::Kind::model, [&] { file.read("w\n"); }), "f: has no tensor \"w\\x0a\"");
}

}  // namespace
}  // namespace fovea::formats
