#include "fovea/formats/safetensors.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "fovea/base/bfloat16.h"
#include "fovea/base/random.h"
#include "tests/base/fake_file_system.h"
#include "tests/base/scratch.h"

namespace fovea::formats {
namespace {

using test::message_of;
using test::ScratchFolder;

/// 64 random bits.
std::uint64_t draw_bits(std::uint64_t seed, std::uint64_t at) {
  const RandomKey key = RandomKey::of(seed, 0, 0);
  return std::uint64_t{random_word(key, 2 * at)} << 32 | random_word(key, 2 * at + 1);
}

// --- files put together by hand
// ----------------------------------------------------------------------------------

std::string little_endian(std::uint64_t value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

/// A file with that header and that many bytes of data.
std::string file_of(const std::string& header, std::size_t data_bytes = 0) {
  std::string text = little_endian(header.size()) + header;
  for (std::size_t i = 0; i < data_bytes; ++i) text.push_back(static_cast<char>(i * 37 + 1));
  return text;
}

std::string tensor(const std::string& name, const std::string& dtype, const std::string& shape,
                   const std::string& offsets) {
  return "\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":[" + shape + "],\"data_offsets\":[" +
         offsets + "]}";
}

SafetensorsFile parse(std::string_view text) {
  std::vector<std::byte> bytes(text.size());
  std::ranges::copy(as_bytes(text), bytes.begin());
  return SafetensorsFile::parse(FileBytes::of("f", std::move(bytes), Error::Kind::model));
}

/// The file must be refused with exit code 4 and a message that says `expected`, on one line.
void expect_refused(const std::string& file, const std::string& expected) {
  const std::string message = message_of(Error::Kind::model, [&] { parse(file); });
  EXPECT_NE(message.find(expected), std::string::npos)
      << "message: " << message << "\nexpected: " << expected;
  EXPECT_EQ(message.rfind("f: ", 0), 0U) << message;
  EXPECT_EQ(message.find('\n'), std::string::npos);
  EXPECT_LT(message.size(), 600U);
}

void expect_header_refused(const std::string& header, const std::string& expected,
                           std::size_t data_bytes = 0) {
  expect_refused(file_of(header, data_bytes), expected);
}

TEST(Safetensors, A01_FilesShorterThanTheLengthOfTheHeader) {
  for (std::size_t bytes = 0; bytes < 8; ++bytes)
    expect_refused(std::string(bytes, '\1'), "has " + std::to_string(bytes) + " bytes, fewer than the 8");
}

TEST(Safetensors, A02_HeaderLengths) {
  expect_refused(little_endian(0), "is not valid JSON");
  expect_refused(little_endian(1), "a length of 1 bytes, but only 0 follow");
  for (const std::uint64_t length : {std::uint64_t{1} << 31, std::uint64_t{1} << 53, std::uint64_t{1} << 63,
                                     ~std::uint64_t{0}, std::uint64_t{100'000'001}})
    expect_refused(little_endian(length) + "{}", "at most 100000000 are allowed");
  expect_refused(little_endian(100'000'000) + "{}", "a length of 100000000 bytes, but only 2 follow");
  expect_refused(std::string("\x3c\0\0\0\0\xff\xff\xff", 8),
                 "at most 100000000 are allowed");  // the reference's own
}

TEST(Safetensors, A03_LengthPastTheEnd) {
  const std::string header = "{}      ";
  expect_refused(little_endian(header.size() + 1) + header, "a length of 9 bytes, but only 8 follow");
  expect_refused(little_endian(99'999'999) + header, "a length of 99999999 bytes, but only 8 follow");
}

TEST(Safetensors, A04_HeaderThatIsNoUtf8) {
  expect_header_refused("\xff", "is not valid UTF-8 at byte 0");
  expect_header_refused("{\"a\xc3\":1}", "is not valid UTF-8 at byte 3");
  expect_header_refused("{\"\xc0\xaf\":1}", "is not valid UTF-8 at byte 2");      // overlong
  expect_header_refused("{\"\xed\xa0\x80\":1}", "is not valid UTF-8 at byte 2");  // a surrogate
  expect_header_refused(R"({"\ud800":1})", "is not valid JSON");                  // a lone surrogate, escaped
}

TEST(Safetensors, A05_HeaderThatIsNoJson) {
  expect_header_refused("{", "is not valid JSON: line 1, column 2");
  expect_header_refused("tensors", "is not valid JSON");
  expect_header_refused(R"({"a":{"dtype":"F32")", "is not valid JSON");
  expect_header_refused("{}garbage", "is not valid JSON");
  expect_header_refused("{}{}", "is not valid JSON");
  expect_header_refused("{\"__metadata__\":{}}// comment", "is not valid JSON");
  expect_header_refused("/* */{}", "is not valid JSON");
  expect_header_refused("{" + tensor("a", "F32", "NaN", "0,4") + "}", "is not valid JSON", 4);
  expect_header_refused("{" + tensor("a", "F32", "Infinity", "0,4") + "}", "is not valid JSON", 4);
  expect_header_refused("{" + tensor("a", "F32", "1", "0,4") + ",}", "is not valid JSON", 4);
  expect_header_refused("\xef\xbb\xbf{}", "byte order mark");
  expect_header_refused(std::string("{}\0PK", 5), "a NUL at byte 2");
  expect_header_refused("[]", "the header is not an object but an array");
  expect_header_refused("7", "the header is not an object but a number");
  expect_header_refused("null", "the header is not an object but null");
}

TEST(Safetensors, A06_DepthBombs) {
  expect_header_refused(std::string(100'000, '['), "the header is not an object but an array");
  std::string objects;
  for (int i = 0; i < 100'000; ++i) objects += "{\"a\":";
  expect_header_refused(objects, "unknown entry \"a\"");
}

TEST(Safetensors, A07_DuplicateKeys) {
  const std::string a = tensor("a", "F32", "1", "0,4");
  expect_header_refused("{" + a + "," + a + "}", "gives the tensor \"a\" twice", 4);
  expect_header_refused("{" + a + "," + tensor("\\u0061", "F32", "1", "4,8") + "}",
                        "gives the tensor \"a\" twice", 8);
  expect_header_refused(R"({"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
                        "gives \"dtype\" twice", 4);
  expect_header_refused(R"({"__metadata__":{},"__metadata__":{}})", "gives __metadata__ twice");
  expect_header_refused(R"({"__metadata__":{"k":"1","k":"2"}})", "gives the key \"k\" twice");
}

TEST(Safetensors, A08_MetadataThatIsNoMapOfTexts) {
  expect_header_refused(R"({"__metadata__":{"k":1}})", "has a number for \"k\" where a text belongs");
  expect_header_refused(R"({"__metadata__":{"k":{}}})", "an object");
  expect_header_refused(R"({"__metadata__":{"k":null}})", "has null for \"k\"");
  expect_header_refused(R"({"__metadata__":null})", "has null as __metadata__");
  expect_header_refused(R"({"__metadata__":[]})", "an array");
}

TEST(Safetensors, A09_UnknownDtypes) {
  expect_header_refused("{" + tensor("a", "F33", "1", "0,4") + "}", "unknown dtype \"F33\"", 4);
  expect_header_refused("{" + tensor("a", "f32", "1", "0,4") + "}", "unknown dtype \"f32\"", 4);
  expect_header_refused(R"({"a":{"dtype":32,"shape":[1],"data_offsets":[0,4]}})", "has a number as dtype", 4);
}

TEST(Safetensors, A10_NumbersThatAreNoSizes) {
  for (const std::string number :
       {"-1", "-0", "1.0", "1e0", "\"1\"", "18446744073709551616", "null", "true", "[1]", "{}"}) {
    expect_header_refused("{" + tensor("a", "F32", number, "0,4") + "}", "tensor \"a\"", 4);
    expect_header_refused("{" + tensor("a", "F32", "1", "0," + number) + "}", "tensor \"a\"", 4);
    expect_header_refused("{" + tensor("a", "F32", "1", number + ",4") + "}", "tensor \"a\"", 4);
  }
  expect_header_refused("{" + tensor("a", "F32", "1", "0") + "}", "fewer than two data_offsets", 4);
  expect_header_refused("{" + tensor("a", "F32", "1", "0,4,8") + "}", "more than two data_offsets", 4);
  expect_header_refused(R"({"a":{"dtype":"F32","shape":[1]}})", "has no \"data_offsets\"", 4);
  expect_header_refused(R"({"a":{"dtype":"F32","shape":1,"data_offsets":[0,4]}})", "has a number as shape",
                        4);
  expect_header_refused(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1}})",
                        "unknown entry \"x\"", 4);
  expect_header_refused(R"({"a":7})", "has a number for tensor \"a\"");
}

TEST(Safetensors, A11_SizesThatOverflow) {
  const auto shape = [](const std::string& dtype, const std::string& extents) {
    expect_header_refused("{" + tensor("test", dtype, extents, "0,16") + "}", "overflows", 16);
  };
  shape("I32", "2,18446744073709551614");  // the reference's own two
  shape("I32", "2,9223372036854775807");
  shape("U8", "4294967296,4294967296");
  shape("F32", "4611686018427387905");  // times 32 bits
  shape("F64", "288230376151711744");   // times 64 bits wraps to 0
  shape("U8", "9223372036854775808");
  shape("F32", "3037000500,3037000500,3037000500,3037000500");
  const std::string last = "18446744073709551615";
  expect_header_refused("{" + tensor("a", "U8", last, "0," + last) + "}", "overflows");
  expect_header_refused(
      "{" + tensor("a", "U8", "8", "0,8") + "," + tensor("b", "U8", "1", last + "," + last) + "}",
      "begins at byte 18446744073709551615", 8);
  expect_header_refused(
      "{" + tensor("a", "F32", std::string("1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1"), "0,4") + "}",
      "has more than 16 axes", 4);
}

TEST(Safetensors, A12_OffsetsThatDoNotTile) {
  const auto two = [](const std::string& first, const std::string& second, const std::string& expected) {
    expect_header_refused("{" + tensor("a", "F32", "1", first) + "," + tensor("b", "F32", "1", second) + "}",
                          expected, 8);
  };
  expect_header_refused("{" + tensor("a", "U8", "4", "4,0") + "}", "begins at byte 4", 4);
  expect_header_refused("{" + tensor("a", "U8", "0", "0,0") + "," + tensor("b", "U8", "4", "0,4") + "," +
                            tensor("c", "U8", "4", "4,2") + "}",
                        "ends before it begins", 4);
  expect_header_refused("{" + tensor("a", "F32", "1", "4,8") + "}", "begins at byte 4 of the data", 8);
  two("0,4", "5,9", "there is a hole");
  two("0,4", "3,7", "they overlap");
  two("0,4", "0,4", "they overlap");
  std::string ten = "{";  // the reference's own: ten tensors on the same bytes
  for (int i = 0; i < 10; ++i)
    ten += (i ? "," : "") + tensor("weight_" + std::to_string(i), "F32", "2,2", "0,16");
  expect_header_refused(ten + "}", "they overlap", 16);
}

TEST(Safetensors, A13_BytesThatDoNotFitTheShape) {
  expect_header_refused("{" + tensor("test", "I32", "2,2", "0,4") + "}",
                        "takes 16 bytes by dtype and shape, but 4");
  expect_header_refused("{" + tensor("a", "F32", "2", "0,4") + "}", "takes 8 bytes by dtype and shape, but 4",
                        4);
  expect_header_refused("{" + tensor("a", "BF16", "2", "0,8") + "}",
                        "takes 4 bytes by dtype and shape, but 8", 8);
  expect_header_refused("{" + tensor("a", "F4", "3", "0,2") + "}", "does not end on a whole byte", 2);
}

TEST(Safetensors, A14_DataThatWasCut) {
  const std::string whole = file_of("{" + tensor("test", "I32", "2,2", "0,16") + "}", 16);
  EXPECT_EQ(parse(whole).tensors().size(), 1U);
  for (const std::size_t missing : {1, 2, 8, 16})
    expect_refused(
        whole.substr(0, whole.size() - missing),
        "has " + std::to_string(16 - missing) + " bytes of data, but its tensors take 16; the file was cut");
}

TEST(Safetensors, A15_BytesBehindTheData) {
  const std::string whole = file_of("{" + tensor("test", "I32", "2,2", "0,16") + "}", 16);
  for (const std::string& extra : {std::string(1, '\0'), std::string("PK\5\6") + std::string(18, '\0'),
                                   std::string("\x7f"
                                               "ELF")})
    expect_refused(whole + extra, "something was appended to the file");
  expect_refused(file_of("{}") + "x", "something was appended to the file");
}

TEST(Safetensors, A16_EmptyAndScalarTensors) {
  const auto file =
      parse(file_of("{" + tensor("empty", "F32", "3,0,5", "0,0") + "," + tensor("scalar", "F32", "", "0,4") +
                        "," + tensor("last", "I64", "0", "4,4") + "}",
                    4));
  EXPECT_EQ(file.read("empty").shape(), (Shape{3, 0, 5}));
  EXPECT_EQ(file.read("scalar").shape(), Shape{});
  EXPECT_EQ(file.read("scalar").elements(), 1);
  EXPECT_TRUE(file.read_integers("last").empty());
  EXPECT_TRUE(parse(file_of("{}")).tensors().empty());
}

TEST(Safetensors, A17_SpaceAroundTheHeader) {
  EXPECT_TRUE(parse(file_of("\t\n{}\r ")).tensors().empty());  // the reference's own
  const std::string inner = "{" + tensor("a", "F32", "1", "0,4") + "}";
  EXPECT_EQ(parse(file_of(std::string(4096, ' ') + inner, 4)).tensors().size(), 1U);
  EXPECT_EQ(parse(file_of(inner + std::string(100, ' '), 4)).tensors().size(), 1U);
}

TEST(Safetensors, A18_AMillionTinyTensors) {
  std::string header = "{";
  for (int i = 0; i < 1'000'000; ++i) {
    const std::string at = std::to_string(i);
    header.append(i ? "," : "").append("\"").append(at);
    header.append(R"(":{"dtype":"U8","shape":[],"data_offsets":[)").append(at).append(",");
    header.append(std::to_string(i + 1)).append("]}");
  }
  const auto file = parse(file_of(header + "}", 1'000'000));
  EXPECT_EQ(file.tensors().size(), 1'000'000U);
  EXPECT_EQ(file.read_integers("999999").size(), 1U);
  const std::string two = file_of(R"({"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"b":{}})");
  std::vector<std::byte> bytes(two.size());
  std::ranges::copy(as_bytes(two), bytes.begin());
  const auto call = [&] {
    SafetensorsFile::parse(FileBytes::of("f", bytes, Error::Kind::model), {.tensors = 1});
  };
  EXPECT_EQ(message_of(Error::Kind::model, call), "f: the header has more than 1 tensors");
}

TEST(Safetensors, A19_StrangeNamesArePrintedEscaped) {
  const auto name = [](const std::string& in_json, const std::string& printed) {
    expect_header_refused("{" + tensor(in_json, "F32", "2", "0,4") + "}", "tensor \"" + printed + "\"", 4);
  };
  name("a\\u0000b", "a\\x00b");
  name("a\\nb", "a\\x0ab");
  name("\\u001b[31mred", "\\x1b[31mred");
  name("\xc3\xa9", "\\xc3\\xa9");
  const auto long_name = [](std::size_t bytes) {
    return "{" + tensor(std::string(bytes, 'n'), "F32", "1", "0,4") + "}";
  };
  expect_header_refused(long_name(10'000'000), "has a tensor name of 10000000 bytes", 4);
  expect_header_refused(long_name(1025), "at most 1024 are allowed", 4);
  EXPECT_EQ(parse(file_of(long_name(1024), 4)).tensors().size(), 1U);
}

TEST(Safetensors, A21_FileCutShortAfterTheHeaderWasRead) {
  const ScratchFolder folder;
  SafetensorsWriter writer;
  writer.add("a", Tensor::full({1000}, 1.5F));
  writer.save(folder / "f");
  const auto file = SafetensorsFile::open(folder / "f");
  ASSERT_EQ(::truncate((folder / "f").c_str(), 1000), 0);
  EXPECT_NE(
      message_of(Error::Kind::model, [&] { file.read("a"); }).find("became shorter while it was being read"),
      std::string::npos);
}

// Whatever the change, the file is refused with a clean error, or means what it says: all of it can be read.
void survive(const std::string& text) {
  try {
    const auto file = parse(text);
    for (const auto& info : file.tensors()) {
      EXPECT_EQ(file.read_bytes(info.name).size(), info.end - info.begin);
      try {
        file.read(info.name);
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), Error::Kind::model) << error.what();
      }
    }
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Error::Kind::model) << error.what();
  }
}

TEST(Safetensors, A22_EveryByteChangedAndEveryTruncation) {
  const std::string file =
      file_of("{\"__metadata__\":{\"format\":\"pt\"}," + tensor("w", "F32", "2,3", "0,24") + "," +
                  tensor("b", "BF16", "4", "24,32") + "," + tensor("h", "F16", "4", "32,40") + "," +
                  tensor("n", "I64", "1", "40,48") + "," + tensor("d", "F64", "", "48,56") + "}",
              56);
  EXPECT_EQ(parse(file).tensors().size(), 5U);
  for (std::size_t at = 0; at < file.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string changed = file;
      changed[at] ^= static_cast<char>(1 << bit);
      survive(changed);
    }
    EXPECT_THROW(parse(file.substr(0, at)), Error);
  }
}

TEST(Safetensors, A22_BytesPutInAndTakenOut) {
  const std::string file = file_of("{" + tensor("w", "F32", "2,3", "0,24") + "}", 24);
  for (std::uint64_t i = 0; i < 5000; ++i) {
    std::string changed = file;
    for (std::uint64_t edit = 0; edit < 1 + i % 3; ++edit) {
      const std::uint64_t draw = draw_bits(22, i * 3 + edit);
      const std::size_t at = draw % changed.size();
      if (draw >> 40 & 1)
        changed.erase(at, 1 + (draw >> 41) % 4);
      else
        changed.insert(at, 1 + (draw >> 41) % 4, static_cast<char>(draw >> 48));
      if (changed.size() < 8) break;
    }
    if (i % 2 && changed.size() > 24 + 8) {  // half of the time with a length that fits
      const std::string length = little_endian(changed.size() - 8 - 24);
      std::ranges::copy(length, changed.begin());
    }
    survive(changed);
  }
}

// --- reading values
// ----------------------------------------------------------------------------------------------

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

// --- writing
// -----------------------------------------------------------------------------------------------------

std::string written(const SafetensorsWriter& writer) {
  std::string text;
  writer.write([&](std::span<const std::byte> bytes) { text.append(as_text(bytes)); });
  EXPECT_EQ(text.size(), writer.bytes());
  return text;
}

TEST(SafetensorsWriter, GivesTheBytesOfTheReference) {
  SafetensorsWriter writer;
  writer.add("test", Tensor::zeros({2, 2}, DType::i32));
  const std::string header =
      R"({"__metadata__":{"format":"pt"},"test":{"dtype":"I32","shape":[2,2],"data_offsets":[0,16]}})";
  const std::string padded = header + std::string((8 - header.size() % 8) % 8, ' ');
  EXPECT_EQ(written(writer), little_endian(padded.size()) + padded + std::string(16, '\0'));
}

TEST(SafetensorsWriter, OrdersByAlignmentThenName) {
  SafetensorsWriter writer(SafetensorsWriter::Metadata{{"note", "\"quoted\"\n"}});
  writer.add("z", Tensor::full({1}, 1));
  writer.add("a", Tensor::full({1}, 2));
  writer.add("c", Tensor::full({3}, 3), DType::bf16);
  writer.add("b", Tensor::zeros({1}, DType::i8));
  writer.add("steps", Shape{2}, {1, -2});
  const auto file = parse(written(writer));
  std::map<std::uint64_t, std::string> places;
  for (const auto& info : file.tensors()) places[info.begin] = info.name;
  EXPECT_EQ(places,
            (std::map<std::uint64_t, std::string>{{0, "steps"}, {16, "a"}, {20, "z"}, {24, "c"}, {30, "b"}}));
  EXPECT_EQ(file.metadata(),
            (std::map<std::string, std::string>{{"format", "pt"}, {"note", "\"quoted\"\n"}}));
  EXPECT_EQ(file.read_integers("steps"), (std::vector<std::int64_t>{1, -2}));
}

TEST(SafetensorsWriter, WhatIsReadBackIsTheSameBits) {
  std::vector<float> values;
  for (std::uint64_t i = 0; i < 300'000; ++i) {
    const auto bits = static_cast<std::uint32_t>(draw_bits(7, i));
    values.push_back(std::bit_cast<float>(bits));
  }
  const Tensor tensor = Tensor::of({300, 1000}, values);
  SafetensorsWriter writer;
  writer.add("f32", tensor);
  writer.add("bf16", tensor, DType::bf16);
  writer.add("empty", Tensor::zeros({0, 4}));
  writer.add("scalar", Tensor::full({}, 2.5F));
  const auto file = parse(written(writer));
  const Tensor same = file.read("f32"), rounded = file.read("bf16");
  EXPECT_EQ(std::memcmp(same.raw(), tensor.raw(), tensor.bytes()), 0);
  for (std::int64_t i = 0; i < tensor.elements(); ++i) {
    const auto expected = static_cast<float>(bfloat16(values[static_cast<std::size_t>(i)]));
    EXPECT_EQ(std::bit_cast<std::uint32_t>(rounded.f32()[i]), std::bit_cast<std::uint32_t>(expected));
  }
  EXPECT_EQ(file.read("scalar").f32()[0], 2.5F);
  EXPECT_EQ(file.read("empty").shape(), (Shape{0, 4}));
}

TEST(SafetensorsWriter, TheDataStartsAtAMultipleOfEight) {
  for (std::size_t length = 1; length < 20; ++length) {
    SafetensorsWriter writer;
    writer.add(std::string(length, 'n'), Tensor::full({1}, 1));
    EXPECT_EQ((writer.bytes() - 4) % 8, 0U);
  }
}

TEST(SafetensorsWriter, RefusesNamesAndTypesThatCannotBeRead) {
  SafetensorsWriter writer;
  const Tensor one = Tensor::full({1}, 1);
  writer.add("a", one);
  for (const std::string& name : {std::string("a"), std::string(""), std::string("__metadata__"),
                                  std::string("\xff"), std::string(1025, 'n')})
    EXPECT_NE(message_of(Error::Kind::bug, [&] { writer.add(name, one); }).find("tensor name"),
              std::string::npos);
  EXPECT_THROW(writer.add("b", one, DType::i32), Error);
  EXPECT_THROW(writer.add("c", Shape{2}, {1}), Error);
}

TEST(SafetensorsWriter, F01_F02_F03_AKillAnywhereLeavesTheOldOrTheNewFile) {
  using test::FakeFiles;
  SafetensorsWriter old_file, new_file;
  old_file.add("a", Tensor::full({100}, 1));
  for (const auto name : {"a", "b", "c"}) new_file.add(name, Tensor::full({40000}, 2));
  const std::string old_text = written(old_file), new_text = written(new_file);
  for (const auto loss : {FakeFiles::Loss::nothing, FakeFiles::Loss::everything, FakeFiles::Loss::bytes,
                          FakeFiles::Loss::tail}) {
    bool finished = false;
    for (int n = 1; !finished; ++n) {
      FakeFiles files;
      files.place("/m", old_text);
      files.kill_at(n);
      try {
        new_file.save("/m", files);
        finished = true;
      } catch (const test::Killed&) {
      }
      files.restart(loss);
      const std::string text = files.text("/m");
      EXPECT_TRUE(text == new_text || (!finished && text == old_text)) << "operation " << n;
    }
  }
}

}  // namespace
}  // namespace fovea::formats
