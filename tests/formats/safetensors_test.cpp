// Files that are not what they should be, and odd ones that are valid.
#include "fovea/formats/safetensors.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "fovea/base/mapped_file.h"
#include "fovea/formats/hash.h"
#include "fovea/tensor/storage.h"
#include "tests/formats/safetensors_by_hand.h"

namespace fovea::formats {
namespace {

using test::message_of;
using test::ScratchFolder;

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

TEST(Safetensors, ViewsLieInTheMappedFile) {
  const ScratchFolder folder;
  const std::vector<float> numbers(32, 2.5f);
  SafetensorsWriter writer({}, 64);
  writer.add("a", Tensor::of({16}, std::span(numbers).first(16)));
  writer.add("b", Tensor::of({3}, std::span(numbers).first(3)));
  writer.add("c", Tensor::of({2, 16}, numbers));
  writer.save(folder / "f");
  const auto before = storage_statistics().in_use;
  const auto file = SafetensorsFile::open_mapped(folder / "f");
  const Tensor a = file.view_stored("a");
  EXPECT_EQ(storage_statistics().in_use, before);
  EXPECT_STREQ(mapped_file_at(a.raw()), file.name().c_str());
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(a.raw()) % 64, 0u);
  EXPECT_EQ(file.view_stored("c").shape(), Shape({2, 16}));
  EXPECT_EQ(mapped_file_at(file.view_stored("c").raw()), nullptr);  // behind b, at no multiple of 64
  for (const auto& info : file.tensors())
    EXPECT_TRUE(std::ranges::equal(file.view_stored(info.name).values(), file.read(info.name).values()));
  const auto unmapped = SafetensorsFile::open(folder / "f");
  EXPECT_TRUE(std::ranges::equal(unmapped.view_stored("a").values(), a.values()));
}

TEST(Safetensors, AViewOutlivesItsFile) {
  const ScratchFolder folder;
  SafetensorsWriter writer({}, 64);
  writer.add("a", Tensor::full({16}, 1.5f));
  writer.save(folder / "f");
  const Tensor view = SafetensorsFile::open_mapped(folder / "f").view_stored("a");
  std::filesystem::remove(folder / "f");
  EXPECT_TRUE(std::ranges::all_of(view.values(), [](float x) { return x == 1.5f; }));
}

TEST(Safetensors, TheDigestIsOfAllBytes) {
  const ScratchFolder folder;
  SafetensorsWriter writer;
  writer.add("a", Tensor::full({700'000}, 1.5f));  // several blocks
  writer.save(folder / "f");
  Xxh64 hash;
  const auto bytes = fovea::read_file(folder / "f", 1 << 24, Error::Kind::model);
  hash.update(as_bytes(bytes));
  EXPECT_EQ(SafetensorsFile::open(folder / "f").digest(), hash.hex());
}

}  // namespace
}  // namespace fovea::formats
