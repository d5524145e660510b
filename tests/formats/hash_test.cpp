#include "fovea/formats/hash.h"

#include <gtest/gtest.h>

#include "fovea/base/file.h"

namespace fovea::formats {
namespace {

// The bytes 0, 1, 2, ... 250, 0, 1, ...
std::string bytes_of(std::size_t count) {
  std::string text;
  for (std::size_t i = 0; i < count; ++i) text.push_back(static_cast<char>(i % 251));
  return text;
}

// Values of the reference library, libxxhash 0.8.1, XXH64(bytes, seed 0).
TEST(Xxh64, GivesTheValuesOfTheReference) {
  const std::pair<std::size_t, std::uint64_t> reference[] = {
      {0, 0xef46db3751d8e999U},    {1, 0xe934a84adb052768U},   {3, 0xe5c7bb4533bc65ddU},
      {4, 0xffced8604453cc1eU},    {7, 0x14cc643f630c72d2U},   {8, 0x884a173614b81b8dU},
      {12, 0x424af23f1f08dca5U},   {15, 0xa948f5f0f6abac2dU},  {31, 0xc346d2b59b4d8ee1U},
      {32, 0xcbf59c5116ff32b4U},   {33, 0x0c535d1acafb8eadU},  {63, 0xe26aa9e2a95f8e4fU},
      {64, 0xf7c67301db6713f0U},   {65, 0xc31eb63b2ae4465bU},  {96, 0x450baa11f6739216U},
      {1000, 0xf306f04aa88b54d3U}, {4099, 0xd1ebc6e909729b6dU}};
  for (const auto& [count, hash] : reference) EXPECT_EQ(xxh64(as_bytes(bytes_of(count))), hash) << count;
  EXPECT_EQ(xxh64(as_bytes("abc")), 0x44bc2cf5ad770999U);
}

TEST(Xxh64, IsTheSameHoweverTheBytesCome) {
  const std::string text = bytes_of(1000);
  for (std::size_t step = 1; step < 100; ++step) {
    Xxh64 hash;
    for (std::size_t at = 0; at < text.size(); at += step)
      hash.update(as_bytes(std::string_view(text).substr(at, step)));
    EXPECT_EQ(hash.digest(), xxh64(as_bytes(text))) << step;
  }
}

TEST(Xxh64, PrintsSixteenDigits) { EXPECT_EQ(Xxh64().hex(), "ef46db3751d8e999"); }

}  // namespace
}  // namespace fovea::formats
