// Files as they are written: the reference's bytes, read back as the same bits, whole or not there.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "fovea/base/bfloat16.h"
#include "tests/base/fake_file_system.h"
#include "tests/formats/safetensors_by_hand.h"

namespace fovea::formats {
namespace {

using test::message_of;
using test::ScratchFolder;

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
