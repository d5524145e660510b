#include "fovea/text/sentencepiece.h"

#include <gtest/gtest.h>

#include "fovea/base/error.h"
#include "fovea/text/sentencepiece_trainer.h"
#include "tests/text/oracle.h"
#include "tests/text/sample_text.h"

namespace fovea::text {
namespace {

using Options = std::unordered_map<std::string, std::string>;

/// One way to train a model; together they reach every flag that changes what encoding or decoding does.
struct Flavour {
  std::string name;
  Options options;
};

std::vector<Flavour> flavours() {
  std::vector<Flavour> out;
  for (const std::string type : {"unigram", "bpe", "char", "word"}) {
    const Options base{{"model_type", type},
                       {"vocab_size", "700"},
                       {"character_coverage", "0.999"},
                       {"hard_vocab_limit", "false"}};
    const auto with = [&](const std::string& name, Options more) {
      more.insert(base.begin(), base.end());
      out.push_back({type + name, more});
    };
    with("", {});
    with("_bytes", {{"byte_fallback", "true"}});
    with("_marian",
         {{"byte_fallback", "true"}, {"eos_id", "0"}, {"unk_id", "1"}, {"pad_id", "2"}, {"bos_id", "-1"}});
    with("_identity", {{"normalization_rule_name", "identity"}});
    with("_case_folded", {{"normalization_rule_name", "nmt_nfkc_cf"}});
    with("_no_prefix", {{"add_dummy_prefix", "false"}});
    with("_keep_spaces", {{"remove_extra_whitespaces", "false"}});
    with("_bare", {{"remove_extra_whitespaces", "false"}, {"add_dummy_prefix", "false"}});
    with("_suffix", {{"treat_whitespace_as_suffix", "true"}});
    with("_across_words", {{"split_by_whitespace", "false"}, {"split_by_unicode_script", "false"}});
    with("_symbols", {{"user_defined_symbols",
                       "ren,a b,\xE2\x96\x81,\xC3\x9F"
                       "e,ing."}});
    with("_control", {{"control_symbols", "<sep>,<cls>"}, {"unk_surface", "[?]"}});
  }
  return out;
}

class SentencePiece : public ::testing::TestWithParam<Flavour> {};

TEST_P(SentencePiece, EqualsTheLibrary) {
  const auto lines = sample::sentences(1500, 1);
  const std::string bytes = oracle::train(GetParam().options, lines);
  const auto ours = SentencePieceModel::parse(bytes, GetParam().name);
  const oracle::Library theirs(bytes);
  const auto& processor = theirs.processor();
  ASSERT_EQ(ours.size(), processor.GetPieceSize());
  EXPECT_EQ(ours.unk_id(), processor.unk_id());
  EXPECT_EQ(ours.bos_id(), processor.bos_id());
  EXPECT_EQ(ours.eos_id(), processor.eos_id());
  EXPECT_EQ(ours.pad_id(), processor.pad_id());
  EXPECT_EQ(ours.bytes(), bytes);
  for (std::int32_t id = 0; id < ours.size(); ++id) {
    ASSERT_EQ(ours.piece(id), processor.IdToPiece(id));
    ASSERT_EQ(ours.find(ours.piece(id)), id);
  }
  sample::Dice dice(11);
  const auto check = [&](const std::string& text) {
    const auto ids = theirs.encode(text);
    ASSERT_EQ(ours.encode(text), ids) << printable(text, 400);
    ASSERT_EQ(ours.encode_pieces(text), theirs.encode_pieces(text)) << printable(text, 400);
    ASSERT_EQ(ours.decode(ids), theirs.decode(ids)) << printable(text, 400);
  };
  for (std::size_t i = 0; i < 300; ++i) ASSERT_NO_FATAL_FAILURE(check(lines[i]));
  for (int i = 0; i < 1000; ++i) ASSERT_NO_FATAL_FAILURE(check(sample::awkward(dice, 60)));
  for (int i = 0; i < 300; ++i) ASSERT_NO_FATAL_FAILURE(check(sample::bytes(dice, 60)));
  for (int i = 0; i < 4; ++i) ASSERT_NO_FATAL_FAILURE(check(sample::awkward(dice, 10000)));
  for (const char* text :
       {"", " ", "   ", "\t", "\n", "\xE2\x96\x81", " \xE2\x96\x81 ", "a", " a", "a ", "  a  b  "})
    ASSERT_NO_FATAL_FAILURE(check(text));
  for (int i = 0; i < 1000; ++i) {
    std::vector<std::int32_t> ids;
    for (std::uint32_t n = dice(20); n > 0; --n)
      ids.push_back(static_cast<std::int32_t>(dice(static_cast<std::uint32_t>(ours.size()))));
    ASSERT_EQ(ours.decode(ids), theirs.decode(ids));
    std::vector<std::string> pieces;
    for (const std::int32_t id : ids)
      pieces.emplace_back(dice(10) == 0 ? "not\xE2\x96\x81here" : ours.piece(id));
    const std::vector<std::string_view> views(pieces.begin(), pieces.end());
    ASSERT_EQ(ours.decode_pieces(views), processor.DecodePieces(pieces));
  }
}

INSTANTIATE_TEST_SUITE_P(Flavours, SentencePiece, ::testing::ValuesIn(flavours()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace fovea::text
