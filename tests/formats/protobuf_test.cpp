#include "fovea/formats/protobuf.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <string>

#include "fovea/base/error.h"
#include "fovea/base/random.h"

namespace fovea::formats {
namespace {

using namespace std::string_literals;

std::string read_all(std::string_view bytes) {
  try {
    for (ProtobufReader reader(bytes, "file.bin"); reader.next();) {
    }
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Error::Kind::model);
    return error.what();
  }
  return "";
}

void expect_fault(std::string_view bytes, std::string_view what) {
  const std::string message = read_all(bytes);
  EXPECT_NE(message.find(what), std::string::npos) << "message: '" << message << "'";
  EXPECT_EQ(message.find("file.bin: "), 0u) << message;
}

TEST(Protobuf, WritesWhatItReads) {
  ProtobufWriter inner;
  inner.bytes(1, "piece\0with NUL"s);
  inner.f32(2, -1.5f);
  ProtobufWriter writer;
  writer.varint(1, std::numeric_limits<std::uint64_t>::max());
  writer.int64(2, -3);
  writer.f64(3, 2.25);
  writer.message(4, inner);
  writer.varint(536870911, 0);
  const std::string bytes = writer.str();

  ProtobufReader reader(bytes, "file.bin");
  ASSERT_TRUE(reader.next());
  EXPECT_EQ(reader.field(), 1u);
  EXPECT_EQ(reader.varint(), std::numeric_limits<std::uint64_t>::max());
  ASSERT_TRUE(reader.next());
  EXPECT_EQ(reader.int32(), -3);
  ASSERT_TRUE(reader.next());
  EXPECT_EQ(reader.f64(), 2.25);
  ASSERT_TRUE(reader.next());
  ProtobufReader message = reader.message();
  ASSERT_TRUE(message.next());
  EXPECT_EQ(message.bytes(), "piece\0with NUL"s);
  ASSERT_TRUE(message.next());
  EXPECT_EQ(message.f32(), -1.5f);
  EXPECT_FALSE(message.next());
  ASSERT_TRUE(reader.next());
  EXPECT_EQ(reader.field(), 536870911u);
  EXPECT_FALSE(reader.boolean());
  EXPECT_FALSE(reader.next());
}

TEST(Protobuf, KnownBytes) {  // the examples of the format's own description
  ProtobufWriter writer;
  writer.varint(1, 150);
  writer.bytes(2, "testing");
  EXPECT_EQ(writer.str(), "\x08\x96\x01\x12\x07testing");
}

TEST(Protobuf, C02_VarintLongerThanTenBytes) {
  expect_fault("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"s, "more than 64 bits at byte 10");
  expect_fault("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"s, "more than 64 bits");
  EXPECT_EQ(read_all("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"s), "");
}

TEST(Protobuf, C02_LengthPastTheEnd) {
  expect_fault(
      "\x0a\x05"
      "abcd"s,
      "field 1 of 5 bytes reaches past the end");
  EXPECT_EQ(read_all("\x0a\x04"
                     "abcd"s),
            "");
}

TEST(Protobuf, C02_NegativeLength) {  // -1 as a varint: 2^64 - 1
  expect_fault("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"s,
               "18446744073709551615 bytes reaches past the end");
}

TEST(Protobuf, C02_GroupsAndUnknownWireTypes) {
  for (const char wire : {3, 4, 6, 7}) expect_fault(std::string(1, static_cast<char>(8 | wire)), "wire type");
}

TEST(Protobuf, C02_FieldNumberZeroOrTooLarge) {
  expect_fault("\x00\x01"s, "field number 0 does not exist");
  expect_fault("\x80\x80\x80\x80\x10\x01"s, "field number 536870912");
}

TEST(Protobuf, C02_WrongWireType) {
  ProtobufWriter writer;
  writer.varint(1, 5);
  const std::string bytes = writer.str();
  ProtobufReader reader(bytes, "file.bin");
  ASSERT_TRUE(reader.next());
  EXPECT_THROW(reader.bytes(), Error);
  EXPECT_THROW(reader.f32(), Error);
  EXPECT_THROW(reader.f64(), Error);
  EXPECT_THROW(reader.message(), Error);
  EXPECT_EQ(reader.varint(), 5u);
}

TEST(Protobuf, C03_TruncationAtEveryByte) {
  ProtobufWriter writer;
  writer.varint(1, 300);
  writer.f32(2, 1.0f);
  writer.f64(3, 1.0);
  writer.bytes(4, "bytes");
  const std::string& bytes = writer.str();
  const std::size_t whole_fields[] = {0, 3, 8, 17, 24};
  for (std::size_t n = 0; n <= bytes.size(); ++n) {
    const bool whole =
        std::find(std::begin(whole_fields), std::end(whole_fields), n) != std::end(whole_fields);
    EXPECT_EQ(read_all(std::string_view(bytes).substr(0, n)).empty(), whole) << n;
  }
}

TEST(Protobuf, FaultsInNestedMessagesNameTheOffsetInTheFile) {
  const std::string bytes =
      "\x08\x01\x12\x03\x0a\x05"
      "a"s;
  ProtobufReader reader(bytes, "file.bin");
  ASSERT_TRUE(reader.next() && reader.next());
  ProtobufReader inner = reader.message();
  try {
    inner.next();
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("at byte 6"), std::string::npos) << error.what();
  }
}

TEST(Protobuf, NestingHasALimit) {
  std::string bytes;
  for (int i = 0; i < 60; ++i) {
    ProtobufWriter writer;
    writer.bytes(1, bytes);
    bytes = std::move(writer).str();
  }
  const auto descend = [&] {
    ProtobufReader reader(bytes, "file.bin");
    for (int depth = 0; depth < 60 && reader.next(); ++depth) reader = reader.message();
  };
  EXPECT_THROW(descend(), Error);
}

TEST(Protobuf, RandomBytesNeverReadOutside) {
  const RandomKey key = RandomKey::of(3, 0, 5);
  std::uint64_t at = 0;
  for (int round = 0; round < 20000; ++round) {
    std::string bytes(below(key, at++, 40), '\0');
    for (char& byte : bytes)
      byte = static_cast<char>(below(key, at++, 3) == 0 ? below(key, at++, 256) : below(key, at++, 32));
    const std::unique_ptr<char[]> copy(
        new char[bytes.size()]);  // no byte longer: a sanitizer sees a read beyond
    std::ranges::copy(bytes, copy.get());
    read_all({copy.get(), bytes.size()});
  }
}

}  // namespace
}  // namespace fovea::formats
