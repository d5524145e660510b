#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "fovea/base/random.h"
#include "fovea/formats/safetensors.h"
#include "tests/base/scratch.h"

/// safetensors files put together by hand, good and bad.
namespace fovea::formats {

/// 64 random bits.
inline std::uint64_t draw_bits(std::uint64_t seed, std::uint64_t at) {
  const RandomKey key = RandomKey::of(seed, 0, 0);
  return std::uint64_t{random_word(key, 2 * at)} << 32 | random_word(key, 2 * at + 1);
}

inline std::string little_endian(std::uint64_t value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

/// A file with that header and that many bytes of data.
inline std::string file_of(const std::string& header, std::size_t data_bytes = 0) {
  std::string text = little_endian(header.size()) + header;
  for (std::size_t i = 0; i < data_bytes; ++i) text.push_back(static_cast<char>(i * 37 + 1));
  return text;
}

inline std::string tensor(const std::string& name, const std::string& dtype, const std::string& shape,
                          const std::string& offsets) {
  return "\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":[" + shape + "],\"data_offsets\":[" +
         offsets + "]}";
}

inline SafetensorsFile parse(std::string_view text) {
  std::vector<std::byte> bytes(text.size());
  std::ranges::copy(as_bytes(text), bytes.begin());
  return SafetensorsFile::parse(FileBytes::of("f", std::move(bytes), Error::Kind::model));
}

/// The file must be refused with exit code 4 and a message that says `expected`, on one line.
inline void expect_refused(const std::string& file, const std::string& expected) {
  const std::string message = test::message_of(Error::Kind::model, [&] { parse(file); });
  EXPECT_NE(message.find(expected), std::string::npos)
      << "message: " << message << "\nexpected: " << expected;
  EXPECT_EQ(message.rfind("f: ", 0), 0U) << message;
  EXPECT_EQ(message.find('\n'), std::string::npos);
  EXPECT_LT(message.size(), 600U);
}

inline void expect_header_refused(const std::string& header, const std::string& expected,
                                  std::size_t data_bytes = 0) {
  expect_refused(file_of(header, data_bytes), expected);
}

}  // namespace fovea::formats
