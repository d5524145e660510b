#include "fovea/text/sentencepiece_trainer.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "fovea/base/error.h"
#include "fovea/text/sentencepiece.h"
#include "tests/text/sample_text.h"

namespace fovea::text {
namespace {

using Training = SentencePieceTraining;

std::string message_of(const Training& options, const std::vector<std::string>& lines, Error::Kind kind) {
  try {
    train_sentencepiece(options, lines);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "no error";
  return "";
}

class SentencePieceTrainer : public ::testing::TestWithParam<Training::Kind> {};

TEST_P(SentencePieceTrainer, GivesWhatMarianWants) {
  const auto lines = sample::sentences(1000, 2);
  const Training options{.kind = GetParam(), .vocabulary_size = 600};
  ::testing::internal::CaptureStderr();
  ::testing::internal::CaptureStdout();
  const std::string bytes = train_sentencepiece(options, lines);
  EXPECT_EQ(::testing::internal::GetCapturedStdout(), "");
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
  const auto model = SentencePieceModel::parse(bytes, "m");
  EXPECT_EQ(model.size(), 600);
  EXPECT_EQ(model.piece(0), "</s>");
  EXPECT_EQ(model.piece(1), "<unk>");
  EXPECT_EQ(model.piece(2), "<pad>");
  EXPECT_EQ(model.eos_id(), 0);
  EXPECT_EQ(model.unk_id(), 1);
  EXPECT_EQ(model.pad_id(), 2);
  EXPECT_EQ(model.bos_id(), -1);
  EXPECT_TRUE(model.has_byte_fallback());
  EXPECT_EQ(model.kind() == SentencePieceModel::Kind::bpe, GetParam() == Training::Kind::bpe);
  EXPECT_EQ(model.normaliser_name(), "nmt_nfkc");
  for (const std::string& line : lines) ASSERT_EQ(model.decode(model.encode(line)), line);
  EXPECT_EQ(train_sentencepiece(options, lines), bytes) << "not deterministic";
}

TEST(SentencePieceTrainerOf, CharactersAndWords) {
  const std::vector<std::string> spelled{"bake", "cab"}, spoken{"B EY K", "K AE B"};
  Training options{.kind = Training::Kind::characters, .byte_fallback = false, .character_coverage = 1.0};
  const auto characters = SentencePieceModel::parse(train_sentencepiece(options, spelled), "m");
  EXPECT_EQ(characters.size(), 3 + 5);
  EXPECT_EQ(characters.encode_pieces("back"), (std::vector<std::string>{"b", "a", "c", "k"}));
  EXPECT_EQ(characters.decode(characters.encode("back")), "back");
  options.kind = Training::Kind::words;
  const auto words = SentencePieceModel::parse(train_sentencepiece(options, spoken), "m");
  EXPECT_EQ(words.size(), 3 + 4);
  EXPECT_EQ(words.encode("EY B").size(), 2u);
  EXPECT_EQ(words.decode(words.encode("EY B AE")), "EY B AE");
  EXPECT_EQ(words.encode("EYB"), std::vector<std::int32_t>{words.unk_id()});
  options.vocabulary_size = 5;
  EXPECT_EQ(SentencePieceModel::parse(train_sentencepiece(options, spoken), "m").size(), 5);
}

TEST_P(SentencePieceTrainer, DrawsLinesBySeed) {
  const auto lines = sample::sentences(1000, 2);
  Training options{.kind = GetParam(), .vocabulary_size = 400, .exact_size = false, .max_lines = 100};
  const std::string first = train_sentencepiece(options, lines);
  EXPECT_EQ(train_sentencepiece(options, lines), first);
  options.seed = 2;
  EXPECT_NE(train_sentencepiece(options, lines), first);
}

TEST_P(SentencePieceTrainer, I12_VocabularyLargerThanTheData) {
  const auto lines = sample::sentences(20, 2);
  Training options{.kind = GetParam(), .vocabulary_size = 50000};
  const std::string message = message_of(options, lines, Error::Kind::data);
  const std::string phrase = "the largest possible is ";
  const std::size_t at = message.find(phrase);
  ASSERT_NE(at, std::string::npos) << message;
  EXPECT_NE(message.find("50000 pieces is too large for this text (20 lines)"), std::string::npos) << message;
  options.vocabulary_size = std::stoi(message.substr(at + phrase.size()));
  EXPECT_EQ(SentencePieceModel::parse(train_sentencepiece(options, lines), "m").size(),
            options.vocabulary_size);
  options.vocabulary_size = 50000;
  options.exact_size = false;
  EXPECT_LT(SentencePieceModel::parse(train_sentencepiece(options, lines), "m").size(), 50000);
}

TEST_P(SentencePieceTrainer, I12_OneSentence) {
  const Training options{.kind = GetParam(), .vocabulary_size = 8000};
  EXPECT_NE(message_of(options, {"A dog runs."}, Error::Kind::data).find("(1 lines)"), std::string::npos);
  Training loose = options;
  loose.exact_size = false;
  const auto model = SentencePieceModel::parse(train_sentencepiece(loose, {"A dog runs."}), "m");
  EXPECT_EQ(model.decode(model.encode("A dog runs. \xF0\x9F\x90\x95")), "A dog runs. \xF0\x9F\x90\x95");
}

TEST_P(SentencePieceTrainer, I12_VocabularyTooSmallForTheCharacters) {
  std::string many;
  for (char32_t c = 0x4E00; c < 0x4F00; ++c) append_utf8(many, c);
  const Training options{.kind = GetParam(), .vocabulary_size = 300};
  EXPECT_NE(message_of(options, {many, many}, Error::Kind::data).find("the smallest possible is "),
            std::string::npos);
}

TEST_P(SentencePieceTrainer, I12_NoText) {
  const Training options{.kind = GetParam()};
  for (const std::vector<std::string>& lines :
       {std::vector<std::string>{}, {""}, {" ", "\t", "\xE3\x80\x80"}, {"...", "\xE2\x96\x85"}})
    EXPECT_NE(message_of(options, lines, Error::Kind::data).find("holds a letter or a digit"),
              std::string::npos);
}

TEST_P(SentencePieceTrainer, AwkwardTextNeverEndsTheProcess) {
  sample::Dice dice(31);
  for (int round = 0; round < 60; ++round) {
    std::vector<std::string> lines;
    for (std::uint32_t n = 1 + dice(4); n > 0; --n)
      lines.push_back(dice(2) == 0 ? sample::awkward(dice, 40) : sample::bytes(dice, 40));
    const Training options{
        .kind = GetParam(), .vocabulary_size = 300 + static_cast<int>(dice(60)), .exact_size = dice(2) == 0};
    try {
      SentencePieceModel::parse(train_sentencepiece(options, lines), "m");
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), Error::Kind::data) << error.what();
    }
  }
}

TEST_P(SentencePieceTrainer, LongLinesAreNotDropped) {
  std::string line;
  for (const auto& sentence : sample::sentences(1000, 2)) line.append(sentence).append(" ");
  const Training options{.kind = GetParam(), .vocabulary_size = 600};
  EXPECT_EQ(SentencePieceModel::parse(train_sentencepiece(options, {line}), "m").size(), 600);
}

TEST_P(SentencePieceTrainer, UserSymbolsStayWhole) {
  Training options{.kind = GetParam(), .vocabulary_size = 600, .user_symbols = {">>de<<", "[MASK]"}};
  const auto model = SentencePieceModel::parse(train_sentencepiece(options, sample::sentences(1000, 2)), "m");
  const auto pieces = model.encode_pieces(">>de<< ba[MASK]");
  EXPECT_NE(std::find(pieces.begin(), pieces.end(), ">>de<<"), pieces.end());
  EXPECT_EQ(pieces.back(), "[MASK]");
}

INSTANTIATE_TEST_SUITE_P(Kinds, SentencePieceTrainer,
                         ::testing::Values(Training::Kind::unigram, Training::Kind::bpe),
                         [](const auto& info) {
                           return info.param == Training::Kind::bpe ? "bpe" : "unigram";
                         });

TEST(SentencePieceTraining, OptionsThatMakeNoSense) {
  const auto lines = sample::sentences(10, 2);
  const auto refused = [&](const Training& options, std::string_view what) {
    EXPECT_NE(message_of(options, lines, Error::Kind::usage).find(what), std::string::npos);
  };
  refused({.vocabulary_size = 259}, "between 260 and 1000000");
  refused({.vocabulary_size = -1}, "between 260 and 1000000");
  refused({.vocabulary_size = 2000000}, "between");
  refused({.character_coverage = 0.0}, "coverage");
  refused({.character_coverage = 1.5}, "coverage");
  refused({.normalisation = "nfkcd"}, "unknown normalisation 'nfkcd'");
  refused({.user_symbols = {"a,b"}}, "user symbol");
  refused({.user_symbols = {""}}, "user symbol");
  refused({.threads = 0}, "threads");
}

}  // namespace
}  // namespace fovea::text
