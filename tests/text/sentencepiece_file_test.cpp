// Model files that are broken, or hostile: group C of the reliability cases.

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "fovea/base/error.h"
#include "fovea/text/sentencepiece.h"
#include "fovea/text/sentencepiece_proto.h"
#include "fovea/text/sentencepiece_trainer.h"
#include "tests/text/model_builder.h"
#include "tests/text/oracle.h"
#include "tests/text/sample_text.h"

namespace fovea::text {
namespace {

using namespace std::string_literals;
using sample::charsmap_blob;
using sample::ModelBuilder;
using sample::one_rule;

/// The model is refused, as a fault of the model, in one line that names the file and says `what`.
void expect_refused(const std::string& bytes, std::string_view what) {
  try {
    SentencePieceModel::parse(bytes, "dir/source.spm");
    ADD_FAILURE() << "accepted; expected: " << what;
  } catch (const Error& error) {
    const std::string message = error.what();
    EXPECT_EQ(error.kind(), Error::Kind::model);
    EXPECT_EQ(message.find("dir/source.spm: "), 0u) << message;
    EXPECT_NE(message.find(what), std::string::npos) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  }
}

/// Uses a model on some texts: nothing may crash, whatever the file says.
void exercise(const SentencePieceModel& model) {
  for (const std::string& text : {"ab ba a"s, "\xC3\xBC  \xE2\x96\x81 \xFF x"s, std::string(50, 'a'), ""s}) {
    const auto ids = model.encode(text);
    for (const std::int32_t id : ids) {
      ASSERT_GE(id, 0);
      ASSERT_LT(id, model.size());
    }
    model.decode(ids);
    model.encode_pieces(text);
  }
}

/// Refused cleanly, or harmless.
void expect_safe(const std::string& bytes) {
  try {
    exercise(SentencePieceModel::parse(bytes, "dir/source.spm"));
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Error::Kind::model) << error.what();
  }
}

TEST(SentencePieceFile, TheSmallModelWorks) {
  const auto model = SentencePieceModel::parse(ModelBuilder::small().build(), "small");
  EXPECT_EQ(model.encode_pieces("ab a"), (std::vector<std::string>{"\xE2\x96\x81"
                                                                   "ab",
                                                                   "\xE2\x96\x81", "a"}));
  EXPECT_EQ(model.decode(model.encode("ab a")), "ab a");
  EXPECT_EQ(model.eos_id(), 0);
  EXPECT_EQ(model.unk_id(), 1);
  EXPECT_EQ(model.pad_id(), 2);
  EXPECT_EQ(model.bos_id(), -1);
  EXPECT_EQ(model.find("zz"), -1);
  EXPECT_THROW(model.decode(std::vector<std::int32_t>{8}), Error);
  EXPECT_THROW(model.decode(std::vector<std::int32_t>{-1}), Error);
  EXPECT_THROW(model.piece(100), Error);
}

TEST(SentencePieceFile, C01_EmptyOneByteText) {
  expect_refused("", "empty");
  expect_refused("\x0a", "cut off");
  expect_refused("This is no model but a line of text.\n", "");
}

TEST(SentencePieceFile, C02_WrongWireTypes) {
  formats::ProtobufWriter writer;
  writer.varint(1, 5);  // pieces are messages
  expect_refused(writer.str(), "wire type");
  formats::ProtobufWriter piece, model;
  piece.varint(2, 1);  // a score is a float
  model.message(1, piece);
  expect_refused(model.str(), "wire type");
}

TEST(SentencePieceFile, C03_TruncationAtEveryByte) {
  const std::string bytes = ModelBuilder::small()
                                .bpe()
                                .charsmap(charsmap_blob(one_rule(), "b\0"s))
                                .self_test("ab",
                                           "\xE2\x96\x81"
                                           "ab")
                                .build();
  for (std::size_t n = 0; n < bytes.size(); ++n) expect_safe(bytes.substr(0, n));
  exercise(SentencePieceModel::parse(bytes, "whole"));
}

TEST(SentencePieceFile, C04_PieceEmptyInvalidDoubledHuge) {
  expect_refused(ModelBuilder::small().piece("").build(), "piece 8 is empty");
  expect_refused(ModelBuilder::small().piece("\xC3").build(), "piece 8 ('\\xc3') is not valid UTF-8");
  expect_refused(ModelBuilder::small().piece("ab").build(), "piece 8 ('ab') is there twice");
  expect_refused(ModelBuilder::small().piece("</s>").build(), "there twice");
  expect_refused(ModelBuilder::small().piece(std::string(10'000'000, 'a')).build(), "10000000 bytes long");
  expect_refused(ModelBuilder::small().piece("a\0b"s).build(), "NUL");
}

TEST(SentencePieceFile, C05_NoUnknownTwoUnknownsAnotherId) {
  expect_refused(ModelBuilder().piece("a").build(), "0 unknown pieces");
  expect_refused(ModelBuilder::small().piece("<unk2>", 0, sample::unknown).build(), "2 unknown pieces");
  // Where the trainer's settings name another id than the pieces, the pieces count, as in the library.
  const auto model = SentencePieceModel::parse(ModelBuilder::small().trainer(40, 5).build(), "m");
  EXPECT_EQ(model.unk_id(), 1);
  EXPECT_EQ(model.encode("x"), (std::vector<std::int32_t>{3, 1}));
}

TEST(SentencePieceFile, B12_C06_ScoreNotANumber) {
  for (const float score : {std::nanf(""), std::numeric_limits<float>::infinity()})
    expect_refused(ModelBuilder::small().piece("c", score).build(), "score that is not a number");
}

// Scores are log probabilities as a rule; others still choose between cuttings, as in the library.
TEST(SentencePieceFile, B12_EqualAndPositiveScores) {
  const auto model = [](float single, float pair) {
    ModelBuilder builder;
    builder.piece("</s>", 0, sample::control)
        .piece("<unk>", 0, sample::unknown)
        .piece("<pad>", 0, sample::control);
    builder.piece("\xE2\x96\x81", single).piece("a", single).piece("b", single).piece("ab", pair);
    return SentencePieceModel::parse(builder.build(), "m");
  };
  using Pieces = std::vector<std::string>;
  EXPECT_EQ(model(-2, -2).encode_pieces("ab"), (Pieces{"\xE2\x96\x81", "ab"}));    // fewer of equal ones
  EXPECT_EQ(model(3, 4).encode_pieces("ab"), (Pieces{"\xE2\x96\x81", "a", "b"}));  // 3 + 3 > 4
  EXPECT_EQ(model(3, 7).encode_pieces("ab"), (Pieces{"\xE2\x96\x81", "ab"}));
  EXPECT_EQ(model(0, 0).encode_pieces("aba").size(), model(0, 0).encode("aba").size());
}

TEST(SentencePieceFile, C07_UnknownTypes) {
  expect_refused(ModelBuilder::small().piece("c", 0, 99).build(), "unknown type 99");
  expect_refused(ModelBuilder::small().piece("c", 0, 0).build(), "unknown type 0");
  expect_refused(ModelBuilder::small().trainer(3, 7).build(), "unknown model type 7");
}

TEST(SentencePieceFile, C08_CharsmapThatWorks) {
  const auto model = SentencePieceModel::parse(
      ModelBuilder::small().charsmap(charsmap_blob(one_rule(2), "x\0b\0"s)).build(), "m");
  EXPECT_EQ(model.encode_pieces("ca"), (std::vector<std::string>{"\xE2\x96\x81", "c", "b"}));
}

TEST(SentencePieceFile, C08_CharsmapHostile) {
  const auto refused = [](const std::string& blob, std::string_view what) {
    expect_refused(ModelBuilder::small().charsmap(blob).build(), what);
  };
  refused("abc", "no size");
  refused(
      "\xff\xff\xff\xff"
      "abcd",
      "a trie of 4294967295 bytes in 4");                     // larger than the blob
  refused("\x06\0\0\0"s + "abcdef\0"s, "a trie of 6 bytes");  // not whole units
  refused("\0\0\0\0b\0"s, "a trie of 0 bytes");               // no units
  refused(charsmap_blob(one_rule(), "b"), "does not end");    // no NUL
  refused(charsmap_blob(one_rule(), ""), "does not end");     // no replacements
  refused(charsmap_blob(one_rule(2), "b\0"s), "points past the replacements");
  refused(charsmap_blob(one_rule(0x7FFFFFFF), "b\0"s), "points past the replacements");
  auto far = one_rule();
  far[0x60] = 0x1FFFFFu << 10 | 1u << 9 | 1u << 8 | 'a';  // the value lies far outside the array
  refused(charsmap_blob(far, "b\0"s), "outside the trie");
  refused(charsmap_blob(one_rule(), std::string(5000, 'b') + '\0'), "a replacement of 5000 bytes");
  auto root_far = one_rule();
  root_far[0] = 0x1FFFFFu << 10;  // children outside the array: no rules then
  expect_safe(ModelBuilder::small().charsmap(charsmap_blob(root_far, "b\0"s)).build());
}

TEST(SentencePieceFile, C09_TrieThatRunsInACircle) {
  auto itself = one_rule();
  itself[0x60] = 'a' << 10 | 'a';  // 0x60 ^ 'a' ^ 'a': its child by "a" is itself
  expect_refused(ModelBuilder::small().charsmap(charsmap_blob(itself, "b\0"s)).build(), "in a circle");
  auto root = one_rule();
  root[0] = 'c' << 10 | 'c';  // the root is its own child by "c"
  expect_refused(ModelBuilder::small().charsmap(charsmap_blob(root, "b\0"s)).build(), "in a circle");
  std::vector<std::uint32_t> pair(512, 0);  // "a" leads to 0x60, "b" from there to 0x101, "a" from there back
  pair[0] = 1u << 10;
  pair[0x60] = (0x60u ^ 'b' ^ 0x101u) << 10 | 'a';
  pair[0x101] = (0x101u ^ 'a' ^ 0x60u) << 10 | 'b';
  expect_refused(ModelBuilder::small().charsmap(charsmap_blob(pair, "b\0"s)).build(), "in a circle");
}

TEST(SentencePieceFile, C10_ByteFallbackNeedsAllBytes) {
  expect_refused(ModelBuilder::small().trainer(35, 1).build(), "0 of 256 byte pieces");
  expect_refused(ModelBuilder::small().trainer(35, 1).piece("<0x41>", 0, sample::byte).build(),
                 "1 of 256 byte pieces");
  expect_refused(ModelBuilder::small().piece("<0x41>", 0, sample::byte).build(), "byte fallback is off");
  const auto model =
      SentencePieceModel::parse(ModelBuilder::small().trainer(35, 1).bytes_pieces().build(), "m");
  EXPECT_EQ(model.decode(model.encode("ab \xC3\xBC!")), "ab \xC3\xBC!");
}

TEST(SentencePieceFile, B18_BytePiecesThatAreNone) {
  for (const char* piece : {"<0x-1>", "<0xZZ>", "<0x100>", "<0x1>", "<0x0a>", "<0X0A>", "0x0A", "<0x 1>"}) {
    EXPECT_EQ(byte_of_piece(piece), -1) << piece;
    expect_refused(ModelBuilder::small().trainer(35, 1).piece(piece, 0, sample::byte).build(),
                   "is none of <0x00>");
  }
  EXPECT_EQ(byte_of_piece("<0x00>"), 0);
  EXPECT_EQ(byte_of_piece("<0xFF>"), 255);
}

TEST(SentencePieceFile, C11_SelfTestMismatchIsReported) {
  const auto good = SentencePieceModel::parse(ModelBuilder::small()
                                                  .self_test("ab",
                                                             "\xE2\x96\x81"
                                                             "ab")
                                                  .build(),
                                              "m");
  EXPECT_EQ(good.self_test().samples, 1u);
  EXPECT_EQ(good.self_test().failures, 0u);
  for (const bool bpe : {false, true}) {
    auto builder = ModelBuilder::small()
                       .self_test("ab",
                                  "\xE2\x96\x81"
                                  "ab")
                       .self_test("ab", "\xE2\x96\x81 a b");
    if (bpe) builder.bpe();
    const auto bad = SentencePieceModel::parse(builder.build(), "m");
    EXPECT_EQ(bad.self_test().samples, 2u);
    EXPECT_GE(bad.self_test().failures, 1u);
  }
  EXPECT_EQ(SentencePieceModel::parse(ModelBuilder::small().build(), "m").self_test().samples, 0u);
}

TEST(SentencePieceFile, C11_SelfTestOfTheTrainerHolds) {
  const auto lines = sample::sentences(500, 3);
  for (const std::string type : {"unigram", "bpe"}) {
    const auto model = SentencePieceModel::parse(
        oracle::train({{"model_type", type}, {"vocab_size", "300"}, {"self_test_sample_size", "50"}}, lines),
        "m");
    EXPECT_EQ(model.self_test().samples, 50u);
    EXPECT_EQ(model.self_test().failures, 0u);
  }
}

TEST(SentencePieceFile, UnusedPiecesAreTakenApartAsInTheLibrary) {
  for (const bool bpe : {false, true}) {
    ModelBuilder builder;
    builder.piece("<unk>", 0, sample::unknown)
        .piece("\xE2\x96\x81", -1)
        .piece("a", -2)
        .piece("b", -3)
        .piece("c", -4);
    builder.piece("ab", -0.1f, sample::unused).piece("bc", -0.4f).piece("abc", -0.2f, sample::unused);
    builder.piece("aba", -0.3f, sample::unused).piece("d", -9, sample::unused).piece("ca", -0.5f);
    if (bpe) builder.bpe();
    const std::string bytes = builder.build();
    const auto ours = SentencePieceModel::parse(bytes, "m");
    const oracle::Library theirs(bytes);
    sample::Dice dice(3);
    for (int i = 0; i < 3000; ++i) {
      std::string text;
      for (std::uint32_t n = dice(12); n > 0; --n) text += "abcd e"[dice(6)];
      ASSERT_EQ(ours.encode(text), theirs.encode(text)) << text;
    }
  }
}

/// Flips, overwrites, cuts and doubles bytes.
std::string mutate(std::string bytes, sample::Dice& dice, std::size_t begin, std::size_t end) {
  for (std::uint32_t n = 1 + dice(4); n > 0; --n) {
    const std::size_t at = begin + dice(static_cast<std::uint32_t>(end - begin));
    switch (dice(8)) {
      case 0:
        bytes.erase(at, 1 + dice(4));
        break;
      case 1:
        bytes.insert(at, bytes.substr(at, 1 + dice(8)));
        break;
      case 2:
        bytes[at] = "\x00\xff\x7f\x80"[dice(4)];
        break;
      default:
        bytes[at] = static_cast<char>(dice(256));
    }
    end = std::min(end, bytes.size());
    if (begin >= end) break;
  }
  return bytes;
}

TEST(SentencePieceFile, MutatedModelsAreRefusedOrHarmless) {
  auto builder = ModelBuilder::small().piece("ba", -0.7f, sample::user_defined).self_test("ab", "a b");
  builder.trainer(35, 1).bytes_pieces().charsmap(charsmap_blob(one_rule(), "b\0"s));
  sample::Dice dice(21);
  for (const bool bpe : {false, true}) {
    if (bpe) builder.bpe();
    const std::string bytes = builder.build();
    for (int i = 0; i < 3000; ++i) expect_safe(mutate(bytes, dice, 0, bytes.size()));
    const std::size_t map = bytes.find(charsmap_blob(one_rule(), ""));
    ASSERT_NE(map, std::string::npos);
    for (int i = 0; i < 3000; ++i) expect_safe(mutate(bytes, dice, map, bytes.size()));
  }
}

TEST(SentencePieceFile, MutatedCharacterMapsOfRealModelsAreRefusedOrHarmless) {
  const std::string bytes = oracle::train({{"vocab_size", "200"}}, sample::sentences(300, 5));
  const auto proto = parse_sentencepiece_proto(bytes, "m");
  const std::size_t begin = static_cast<std::size_t>(proto.normaliser.charsmap.data() - bytes.data());
  sample::Dice dice(22);
  for (int i = 0; i < 150; ++i) {
    std::string broken = bytes;
    for (int k = 0; k < 200; ++k)
      broken[begin + dice(static_cast<std::uint32_t>(proto.normaliser.charsmap.size()))] =
          static_cast<char>(dice(256));
    try {
      const auto model = SentencePieceModel::parse(broken, "m");
      for (int n = 0; n < 50; ++n) model.encode(sample::awkward(dice, 40));
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), Error::Kind::model) << error.what();
    }
  }
}

}  // namespace
}  // namespace fovea::text
