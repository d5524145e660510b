#include "fovea/base/mapped_file.h"

#include <gtest/gtest.h>

#include "fovea/base/file.h"
#include "tests/base/fake_file_system.h"
#include "tests/base/scratch.h"

namespace fovea {
namespace {

using test::FakeFiles;
using test::ScratchFolder;

std::shared_ptr<const MappedFile> mapped(const std::filesystem::path& path) {
  return FileBytes::open(path, Error::Kind::model).map();
}

TEST(MappedFile, HoldsTheBytesAfterTheFileIsClosed) {
  const ScratchFolder folder;
  write_atomically(folder / "f", std::string_view("eleven text"));
  const auto map = mapped(folder / "f");
  ASSERT_TRUE(map);
  EXPECT_EQ(as_text(map->bytes()), "eleven text");
}

TEST(MappedFile, F14_StaysAsItWasWhenTheNameIsRemovedOrReplaced) {
  const ScratchFolder folder;
  write_atomically(folder / "f", std::string_view("old"));
  const auto map = mapped(folder / "f");
  write_atomically(folder / "f", std::string_view("new, and longer"));
  EXPECT_EQ(as_text(map->bytes()), "old");
  const auto newer = mapped(folder / "f");
  std::filesystem::remove(folder / "f");
  EXPECT_EQ(as_text(newer->bytes()), "new, and longer");
}

TEST(MappedFile, NothingWhereNothingCanBeMapped) {
  const ScratchFolder folder;
  write_atomically(folder / "empty", std::string_view());
  EXPECT_EQ(mapped(folder / "empty"), nullptr);
  FakeFiles files;
  files.place("/f", "text");
  EXPECT_EQ(FileBytes::open("/f", Error::Kind::model, files).map(), nullptr);
  EXPECT_EQ(FileBytes::of("memory", std::vector<std::byte>(3), Error::Kind::model).map(), nullptr);
}

TEST(MappedFile, IsKnownByItsAddresses) {
  const ScratchFolder folder;
  write_atomically(folder / "f", std::string_view("some bytes"));
  auto map = mapped(folder / "f");
  const std::byte* begin = map->bytes().data();
  EXPECT_EQ(mapped_file_at(begin), shown(folder / "f"));
  EXPECT_EQ(mapped_file_at(begin + 9), shown(folder / "f"));
  EXPECT_EQ(mapped_file_at(begin + 10), nullptr);
  EXPECT_EQ(mapped_file_at(begin - 1), nullptr);
  map.reset();
  EXPECT_EQ(mapped_file_at(begin), nullptr);
}

TEST(MappedFile, MoreThanTheTableHoldsAreMappedAllTheSame) {
  const ScratchFolder folder;
  write_atomically(folder / "f", std::string_view("text"));
  std::vector<std::shared_ptr<const MappedFile>> maps;
  for (int i = 0; i < 300; ++i) maps.push_back(mapped(folder / "f"));
  for (const auto& map : maps) EXPECT_EQ(as_text(map->bytes()), "text");
  maps.clear();
  const auto map = mapped(folder / "f");
  EXPECT_EQ(mapped_file_at(map->bytes().data()), shown(folder / "f"));
}

}  // namespace
}  // namespace fovea
