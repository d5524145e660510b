// Long lines, much text, round trips: C12 and B20 of the reliability cases, and real text where there is
// some.

#include <gtest/gtest.h>
#include <time.h>
#include <zlib.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "fovea/base/error.h"
#include "fovea/text/sentencepiece.h"
#include "fovea/text/sentencepiece_trainer.h"
#include "tests/text/oracle.h"
#include "tests/text/sample_text.h"

namespace fovea::text {
namespace {

using Kind = SentencePieceTraining::Kind;

class SentencePieceLong : public ::testing::TestWithParam<Kind> {
 protected:
  static SentencePieceModel model(bool byte_fallback = true) {
    const SentencePieceTraining options{
        .kind = GetParam(), .vocabulary_size = 700, .exact_size = false, .byte_fallback = byte_fallback};
    return SentencePieceModel::parse(train_sentencepiece(options, sample::sentences(1500, 1)), "m");
  }
};

/// Seconds of this thread's processor time for one call, the best of some: other processes do not count.
template <class Call>
double seconds(int repeats, Call call) {
  const auto now = [] {
    timespec t{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
  };
  double best = 1e9;
  for (int i = 0; i < repeats; ++i) {
    const double begin = now();
    call();
    best = std::min(best, now() - begin);
  }
  return best;
}

/// Seconds a byte of encoding `bytes` bytes as one line, compared with as many in lines of 1 KB.
double slowdown(const SentencePieceModel& model, const std::string& line, int repeats) {
  const std::size_t sample = std::min<std::size_t>(line.size(), 1 << 20);
  const double short_lines = seconds(3, [&] {
    for (std::size_t at = 0; at + 1024 <= sample; at += 1024)
      model.encode(std::string_view(line).substr(at, 1024));
  });
  const double whole = seconds(repeats, [&] { model.encode(line); });
  return whole / static_cast<double>(line.size()) / (short_lines / static_cast<double>(sample));
}

std::string long_line(std::size_t size, std::string_view separator) {
  const auto sentences = sample::sentences(20000, 6);
  std::string line;
  for (std::size_t i = 0; line.size() < size; ++i)
    line.append(sentences[i % sentences.size()]).append(separator);
  line.resize(size);
  return repair_utf8(line).text;
}

TEST_P(SentencePieceLong, C12_OneMegabyteIsLinear) {
  const auto m = model();
  EXPECT_LT(slowdown(m, long_line(1 << 20, " "), 3), 2.0);
  EXPECT_LT(slowdown(m, std::string(1 << 20, 'a'), 3), 2.0);
}

TEST_P(SentencePieceLong, C12_OneMegabyteWithoutASpaceIsBounded) {
  std::string line = long_line(1 << 20, "");
  line.erase(
      std::remove_if(line.begin(), line.end(), [](char c) { return c == ' ' || c == ',' || c == '.'; }),
      line.end());
  EXPECT_LT(slowdown(model(), line, 2), 10.0);
}

TEST_P(SentencePieceLong, C12_SlowHundredMegabytesAreLinear) {
  const auto m = model();
  EXPECT_LT(slowdown(m, long_line(100'000'000, " "), 1), 2.5);
}

TEST_P(SentencePieceLong, EqualsTheLibraryOnALineOfAMegabyte) {
  const auto m = model();
  const oracle::Library library(m.bytes());
  const std::string line = long_line(1 << 20, " ");
  EXPECT_EQ(m.encode(line), library.encode(line));
}

TEST_P(SentencePieceLong, B20_DecodedTextStays) {
  for (const bool byte_fallback : {true, false}) {
    const auto m = model(byte_fallback);
    sample::Dice dice(41);
    for (int i = 0; i < 10000; ++i) {
      const std::string text = i % 4 == 0 ? sample::bytes(dice, 40) : sample::awkward(dice, 40);
      const auto ids = m.encode(text);
      const std::string decoded = m.decode(ids);
      ASSERT_TRUE(is_valid_utf8(decoded));
      if (byte_fallback) {
        // A second normalisation may change what the first made, so the text stays from the second on.
        const std::string again = m.decode(m.encode(decoded));
        ASSERT_EQ(m.decode(m.encode(again)), again) << printable(text, 400);
      }
    }
  }
}

TEST_P(SentencePieceLong, B20_IdentityKeepsEveryText) {
  const std::string bytes = oracle::train({{"model_type", GetParam() == Kind::bpe ? "bpe" : "unigram"},
                                           {"vocab_size", "700"},
                                           {"hard_vocab_limit", "false"},
                                           {"byte_fallback", "true"},
                                           {"normalization_rule_name", "identity"},
                                           {"remove_extra_whitespaces", "false"}},
                                          sample::sentences(1500, 1));
  const auto m = SentencePieceModel::parse(bytes, "m");
  sample::Dice dice(42);
  for (int i = 0; i < 20000; ++i) {
    std::string text = sample::awkward(dice, 40);
    const std::string kept = text;
    if (text.find("\xE2\x96\x81") != std::string::npos) continue;  // stands for a space
    ASSERT_EQ(m.decode(m.encode(text)), kept) << printable(text, 400);
  }
}

TEST_P(SentencePieceLong, ManyThreadsShareAModel) {
  const auto m = model();
  const auto lines = sample::sentences(300, 9);
  std::vector<std::vector<std::int32_t>> expected;
  for (const auto& line : lines) expected.push_back(m.encode(line));
  std::vector<std::thread> threads;
  std::vector<int> wrong(4, 0);
  for (std::size_t t = 0; t < wrong.size(); ++t)
    threads.emplace_back([&, t] {
      for (std::size_t i = 0; i < lines.size(); ++i)
        wrong[t] += m.encode(lines[i]) != expected[i] || m.decode(expected[i]) != lines[i];
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, (std::vector<int>(4, 0)));
}

/// Lines of a gzipped file; fields of a TSV file count as lines.
std::vector<std::string> read_lines(const std::filesystem::path& path) {
  std::vector<std::string> lines;
  const gzFile file = gzopen(path.c_str(), "rb");
  std::string all(1 << 20, '\0');
  std::string text;
  for (int n; (n = gzread(file, all.data(), static_cast<unsigned>(all.size()))) > 0;)
    text.append(all, 0, static_cast<std::size_t>(n));
  gzclose(file);
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find_first_of("\n\t", at), text.size());
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

/// Lines of all .gz files of folders of the data named by the environment variable FOVEA_DATA.
std::vector<std::string> real_text(std::initializer_list<const char*> folders) {
  std::vector<std::string> lines;
  const char* root = std::getenv("FOVEA_DATA");
  for (const char* folder : folders) {
    const auto path = root == nullptr ? std::filesystem::path() : std::filesystem::path(root) / folder;
    if (root == nullptr || !std::filesystem::is_directory(path)) continue;
    for (const auto& entry : std::filesystem::directory_iterator(path))
      if (entry.path().extension() == ".gz") {
        const auto more = read_lines(entry.path());
        lines.insert(lines.end(), more.begin(), more.end());
      }
  }
  return lines;
}

TEST_P(SentencePieceLong, SlowRealTextEqualsTheLibrary) {
  const auto lines = real_text({"multi30k", "tatoeba"});
  if (lines.empty()) GTEST_SKIP() << "FOVEA_DATA names no folder with multi30k or tatoeba";
  const SentencePieceTraining options{.kind = GetParam(), .vocabulary_size = 10000, .max_lines = 60000};
  const auto m = SentencePieceModel::parse(train_sentencepiece(options, lines), "m");
  const oracle::Library library(m.bytes());
  for (const std::string& line : lines) {
    const auto ids = library.encode(line);
    ASSERT_EQ(m.encode(line), ids) << line;
    ASSERT_EQ(m.decode(ids), library.decode(ids)) << line;
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, SentencePieceLong, ::testing::Values(Kind::unigram, Kind::bpe),
                         [](const auto& info) { return info.param == Kind::bpe ? "bpe" : "unigram"; });

}  // namespace
}  // namespace fovea::text
