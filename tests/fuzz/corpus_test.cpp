// The kept corpus as ordinary tests: what a fuzzer once found, and what it starts from.
#include <gtest/gtest.h>

#include <filesystem>

#include "fovea/base/file.h"
#include "tests/fuzz/targets.h"

namespace fovea::fuzz {
namespace {

class Corpus : public testing::TestWithParam<Target> {};

TEST_P(Corpus, EndsInAnAnswerOrAnError) {
  const auto folder = std::filesystem::path(FOVEA_SOURCE_DIR) / "tests/fuzz/corpus" / GetParam().name;
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    SCOPED_TRACE(entry.path().filename());
    const std::string bytes = read_file(entry.path(), 1 << 20, Error::Kind::data);
    GetParam().run(std::as_bytes(std::span(bytes)));
    // Cut short anywhere, and with a bit turned, it must end as well.
    for (std::size_t i = 0; i < bytes.size(); i += bytes.size() / 24 + 1) {
      GetParam().run(std::as_bytes(std::span(bytes).first(i)));
      std::string turned = bytes;
      turned[i] = static_cast<char>(turned[i] ^ (1 << i % 8));
      GetParam().run(std::as_bytes(std::span(turned)));
    }
    ++files;
  }
  EXPECT_GT(files, 0);
}

INSTANTIATE_TEST_SUITE_P(Of, Corpus, testing::ValuesIn(targets().begin(), targets().end()),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace fovea::fuzz
