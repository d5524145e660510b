// From lines to lines: whatever they hold, in whatever company.
#include "fovea/decoding/translator.h"

#include <gtest/gtest.h>

#include <string_view>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <set>

#include "fovea/text/utf8.h"
#include "tests/decoding/small_model.h"

namespace fovea::decoding {
namespace {

using test::message_of;
using test::small_config;
using test::small_model;
using test::small_pieces;
using test::small_tokenizer;
using text::sample::Dice;

/// Bytes of all kinds: words, spaces, any code points, malformed UTF-8; sometimes nothing, sometimes a lot.
std::string awkward_line(Dice& dice) {
  constexpr std::string_view pieces = "baren ung\t\xF0\x9F\x98\x80 \xE2\x80\xA8 . ";
  constexpr std::string_view spaces = " \t\xC2\xA0\xE3\x80\x80";
  const auto one_of = [&](std::string_view bytes) {
    return bytes[dice(static_cast<std::uint32_t>(bytes.size()))];
  };
  std::string line;
  const std::uint32_t length = dice(10) == 0 ? 0 : dice(20) == 0 ? 200 + dice(200) : dice(40);
  const std::uint32_t kind = dice(4);
  for (std::uint32_t i = 0; i < length; ++i) {
    if (kind == 0) text::append_utf8(line, text::sample::code_point(dice));
    if (kind == 1) line += static_cast<char>(dice(256));
    if (kind == 2) line += one_of(pieces);
    if (kind == 3) line += one_of(spaces);
  }
  return line;
}

std::vector<std::string> awkward_lines(std::size_t count, std::uint64_t seed) {
  Dice dice(seed);
  std::vector<std::string> lines;
  while (lines.size() < count) lines.push_back(awkward_line(dice));
  return lines;
}

class TranslatorTest : public testing::Test {
 protected:
  std::vector<std::string> translate(const std::vector<std::string>& lines, const TranslateOptions& options,
                                     int threads = 1) const {
    const kernels::ExecutionOwner exec(threads);
    const Translator translator(*model_, small_tokenizer(), exec.get());
    std::vector<std::string> texts;
    for (const auto& translation : translator.translate(lines, options)) texts.push_back(translation.text());
    return texts;
  }

  TranslateOptions options(std::int64_t beam = 2, std::int64_t rows = 64) const {
    TranslateOptions options;
    options.beam.beam = beam;
    options.beam.max_length_extra = 8;
    options.max_tokens = 48;
    options.batches.max_rows = rows;
    return options;
  }

  std::unique_ptr<models::Transformer> model_ = small_model();
};

TEST_F(TranslatorTest, I03_I04_AsManyLinesComeBackWhateverTheyHold) {
  const auto lines = awkward_lines(200, 5);
  const auto translations = translate(lines, options());
  ASSERT_EQ(translations.size(), lines.size());
  std::size_t spoken = 0;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    EXPECT_TRUE(text::is_valid_utf8(translations[i])) << i;
    EXPECT_EQ(translations[i].find_first_of(std::string("\n\r\0", 3)), std::string::npos) << i;
    const bool blank = lines[i].find_first_not_of(" \t") == std::string::npos;
    EXPECT_TRUE(!blank || translations[i].empty()) << i;
    spoken += !translations[i].empty();
  }
  EXPECT_GT(spoken, lines.size() / 5);  // the rest ended at once, or was blank
}

TEST_F(TranslatorTest, WhatALineBecomesDoesNotDependOnTheOthers) {
  const auto lines = awkward_lines(60, 6);
  const auto together = translate(lines, options());
  EXPECT_EQ(translate(lines, options(2, 1)), together);
  EXPECT_EQ(translate(lines, options(), 2), together);
  std::vector<std::string> reversed(lines.rbegin(), lines.rend());
  auto back = translate(reversed, options(2, 7));
  std::ranges::reverse(back);
  EXPECT_EQ(back, together);
}

/// Every source token may become its two neighbours in the vocabulary.
std::shared_ptr<const models::Shortlist> neighbours(const text::TranslationTokenizer& tokenizer) {
  models::Shortlist::Table table;
  const auto target = static_cast<std::int32_t>(tokenizer.target_vocabulary().size());
  for (std::int32_t s = 0; s < tokenizer.source_vocabulary().size(); ++s) {
    for (const std::int32_t id : {s - 1, s + 1})
      if (id >= 3 && id < target) table.ids.push_back(id);
    table.offsets.push_back(static_cast<std::int32_t>(table.ids.size()));
  }
  return std::make_shared<const models::Shortlist>(tokenizer, std::vector<std::int32_t>{0, 1},
                                                   std::move(table));
}

TEST_F(TranslatorTest, EachLineHasItsOwnWordsWhoeverTranslatesIt) {
  auto lines = text::sample::sentences(90, 9);
  lines[4].clear();
  lines[5] = "baren ung " + lines[5] + ". " + lines[6] + ". " + lines[7] + ". " + lines[8] + ".";
  auto how = options(2, 8);
  how.beam.attention = true;
  how.beam.min_length = 3;
  how.shortlist = neighbours(small_tokenizer());
  const kernels::ExecutionOwner exec(1);
  const Translator alone(*model_, small_tokenizer(), exec.get());
  Crew crew(3, 3);
  const Translator workers(*model_, small_tokenizer(), crew);
  const auto expected = alone.translate(lines, how), found = workers.translate(lines, how);
  ASSERT_EQ(found.size(), lines.size());
  EXPECT_GT(found[5].parts, 1u);
  std::size_t tokens = 0;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    EXPECT_EQ(found[i].text(), expected[i].text()) << i;
    const auto own = how.shortlist->candidates(found[i].source);
    for (const auto token : found[i].candidates[0].tokens) {
      EXPECT_TRUE(std::ranges::binary_search(own, token)) << i << ": " << token;
      ++tokens;
    }
  }
  EXPECT_GT(tokens, lines.size());
  how.beam.attention = false;
  EXPECT_EQ(workers.translate(lines, how)[5].text(), expected[5].text());
}

TEST_F(TranslatorTest, AShortlistOfOtherVocabulariesIsRefused) {
  const text::TranslationTokenizer other(small_pieces(380, 1), small_tokenizer().settings());
  auto how = options();
  how.shortlist = neighbours(other);
  EXPECT_NE(message_of(Error::Kind::usage, [&] { translate({"baren"}, how); }).find("other vocabularies"),
            std::string::npos);
}

TEST_F(TranslatorTest, GreedyAlsoStandsAlone) {
  const auto lines = text::sample::sentences(12, 8);
  const auto together = translate(lines, options(1));
  for (std::size_t i = 0; i < lines.size(); ++i)
    EXPECT_EQ(translate({lines[i]}, options(1)).front(), together[i]);
}

TEST_F(TranslatorTest, NBestAreSortedAndDistinct) {
  auto how = options(4);
  how.beam.nbest = 4;
  const kernels::ExecutionOwner exec(1);
  const Translator translator(*model_, small_tokenizer(), exec.get());
  for (const auto& translation : translator.translate(text::sample::sentences(5, 9), how)) {
    ASSERT_EQ(translation.candidates.size(), 4u);
    for (std::size_t i = 1; i < 4; ++i) {
      EXPECT_LE(translation.candidates[i].score, translation.candidates[i - 1].score);
      EXPECT_NE(translation.candidates[i].tokens, translation.candidates[i - 1].tokens);
    }
  }
}

TEST_F(TranslatorTest, E07_ALongLineIsTranslatedInPartsAndJoined) {
  const auto sentences = text::sample::sentences(40, 10);
  std::string line;
  for (const auto& sentence : sentences) line += (line.empty() ? "" : " ") + sentence;
  const kernels::ExecutionOwner exec(1);
  const Translator translator(*model_, small_tokenizer(), exec.get());
  auto how = options();
  how.max_tokens = 1 << 20;  // the model's 64 positions still hold
  const auto all = translator.translate(std::vector<std::string>{line, "", sentences[0]}, how);
  ASSERT_EQ(all.size(), 3u);
  EXPECT_GT(all[0].parts, 10u);
  EXPECT_EQ(all[0].candidates.size(), 1u);
  EXPECT_EQ(all[1].parts, 1u);
  EXPECT_EQ(all[1].text(), "");
  // Each sentence by itself gives a part of the whole.
  EXPECT_NE(all[0].text().find(all[2].text()), std::string::npos);
}

TEST_F(TranslatorTest, E07_ACharacterThatNeedsMorePositionsThanThereAre) {
  auto config = small_config();
  config.max_positions = 4;
  const auto model = small_model(config);
  const kernels::ExecutionOwner exec(1);
  const Translator translator(*model, small_tokenizer(), exec.get());
  // Four bytes and the end of sentence.
  const auto message = message_of(Error::Kind::model, [&] {
    translator.translate(std::vector<std::string>{"a \xF0\x9F\x98\x80"}, options());
  });
  EXPECT_NE(message.find("max_position_embeddings: is 4, but a single character takes "), std::string::npos)
      << message;
  EXPECT_EQ(translator.translate(std::vector<std::string>{"a b a b a b"}, options()).size(), 1u);
}

// U+FDFA is 3 bytes of text but a sentence of 18 letters once it is normalised.
TEST_F(TranslatorTest, TextThatGrowsWhenItIsNormalisedIsCutAllTheSame) {
  std::string line;
  for (int i = 0; i < 15; ++i) line += "\xEF\xB7\xBA";
  auto config = small_config();
  config.max_positions = 96;
  const auto model = small_model(config);
  const kernels::ExecutionOwner exec(1);
  auto how = options();
  how.max_tokens = 96;
  const auto found =
      Translator(*model, small_tokenizer(), exec.get()).translate(std::vector<std::string>{line}, how);
  EXPECT_GT(found.front().parts, 1u);
}

TEST_F(TranslatorTest, SuppressedSequencesAndRepetitionsDoNotCome) {
  const kernels::ExecutionOwner exec(1);
  const Translator translator(*model_, small_tokenizer(), exec.get());
  const auto lines = text::sample::sentences(12, 8);
  auto how = options(3);
  how.beam.min_length = 6;
  const auto before = translator.translate(lines, how);
  for (const auto& one : before) {
    const auto& tokens = one.candidates.front().tokens;
    how.suppressed.push_back({tokens[0]});
    how.suppressed.push_back({tokens[1], tokens[2]});
  }
  how.no_repeat_ngram = 1;
  for (const auto& one : translator.translate(lines, how)) {
    const auto& tokens = one.candidates.front().tokens;
    for (const auto& sequence : how.suppressed) EXPECT_TRUE(std::ranges::search(tokens, sequence).empty());
    EXPECT_EQ(std::set(tokens.begin(), tokens.end()).size(), tokens.size());
  }
}

TEST_F(TranslatorTest, WhatIsCancelledAreTheLastLines) {
  const kernels::ExecutionOwner exec(1);
  const Translator translator(*model_, small_tokenizer(), exec.get());
  const auto lines = text::sample::sentences(60, 8);
  auto how = options(2, 4);
  how.beam.min_length = 4;
  const auto all = translator.translate(lines, how);
  std::atomic<bool> cancelled{false};
  how.beam.cancelled = &cancelled;
  std::size_t told = 0;
  how.beam.on_token = [&](const StreamedToken& token) {  // lines are then translated in their order
    cancelled = cancelled || ++told > 60;
    return token.sentence < lines.size();
  };
  const auto found = translator.translate(lines, how);
  EXPECT_GT(found.size(), 2u);
  EXPECT_LT(found.size(), lines.size());
  for (std::size_t i = 0; i < found.size(); ++i) EXPECT_EQ(found[i].text(), all[i].text());
}

TEST_F(TranslatorTest, LineEndsThatTheModelSpellsBecomeSpaces) {
  const auto& vocabulary = small_tokenizer().target_vocabulary();
  auto model = small_model();
  Tensor bias = Tensor::zeros({model->config().target_vocabulary});
  for (const char* piece : {"<0x0A>", "<0x0D>", "<0x00>"}) bias.f32()[vocabulary.find(piece)] = 50.0f;
  bias.f32()[vocabulary.find("<0x41>")] = 50.0f;
  model->set_output_bias(bias);
  const kernels::ExecutionOwner exec(1);
  for (const auto& translation :
       Translator(*model, small_tokenizer(), exec.get()).translate(text::sample::sentences(5, 3), options()))
    EXPECT_EQ(translation.text().find_first_of(std::string("\n\r\0", 3)), std::string::npos);
}

TEST_F(TranslatorTest, E04_ModelsOfNaNAreNotBelieved) {
  model_->parameters().views()[5].value.f32()[0] = NAN;
  const auto message = message_of(Error::Kind::model, [&] { translate({"baren"}, options()); });
  EXPECT_NE(message.find("NaN"), std::string::npos) << message;
}

TEST_F(TranslatorTest, E05_WeightsAllZeroOrDenormalStillGiveLines) {
  for (const float value : {0.0f, 1e-42f}) {
    std::ranges::fill(model_->parameters().values().values(), value);
    EXPECT_EQ(translate({"baren schl", "", "the"}, options()).size(), 3u);
  }
}

TEST_F(TranslatorTest, E08_ATokenizerOfAnotherModelIsRefused) {
  const kernels::ExecutionOwner exec(1);
  const auto refused = [&](const models::TransformerConfig& config,
                           const text::TranslationTokenizer& tokenizer) {
    const auto model = small_model(config);
    return message_of(Error::Kind::model, [&] { Translator(*model, tokenizer, exec.get()); });
  };
  auto fewer = small_config();
  fewer.source_vocabulary = fewer.target_vocabulary = small_tokenizer().source_vocabulary().size() - 1;
  EXPECT_NE(refused(fewer, small_tokenizer()).find("the tokenizer knows 400 pieces, the model 399"),
            std::string::npos);

  const auto one = small_pieces(400, 1), other = small_pieces(380, 2);
  const text::TranslationTokenizer right(one, other, {}), swapped(other, one, {});
  const auto config = small_config(right);
  EXPECT_NO_THROW(Translator(*small_model(config), right, exec.get()));
  EXPECT_NE(refused(config, swapped).find("target vocabulary: the tokenizer knows 400 pieces, the model 380"),
            std::string::npos);

  auto marian = small_config();  // <pad> last, as Marian's own vocabularies have it
  marian.pad = static_cast<std::int32_t>(marian.target_vocabulary) - 1;
  EXPECT_NE(
      refused(marian, small_tokenizer()).find("</s> and <pad> are 0 and 2, but config.json says 0 and 399"),
      std::string::npos);
}

}  // namespace
}  // namespace fovea::decoding
