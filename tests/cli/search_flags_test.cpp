// fovea translate: what else than the best translation is wanted, and what may stand in it.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <sstream>

#include "tests/cli/run.h"
#include "tests/decoding/small_model.h"

namespace fovea::cli {
namespace {

using test::ScratchFolder;
using test::SmallModel;

const std::string text = "baren schlei the.\nder zwei, moli?\n\nthe the der baren\n";

RunResult translate(const std::string& arguments, const std::string& input = text,
                    const std::string& model = SmallModel::folder().string()) {
  const ScratchFolder folder;
  return run(shell_word(FOVEA_BINARY) + " translate --threads 1 --model " + shell_word(model) + " " +
             arguments + " <" + folder.write("in", input));
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

TEST(SearchFlags, TemperatureZeroTakesTheLikeliestTokens) {
  EXPECT_EQ(translate("--temperature 0").out, translate("--beam 1").out);
}

TEST(SearchFlags, TheGreatestLengthThatIsGivenAloneCounts) {
  const auto words = [](const std::string& flags) {
    const auto result = translate(flags, "baren\n");
    EXPECT_EQ(result.code, 0) << result.err;
    return result.out.size();
  };
  const auto shorter = words("--min-length 10 --max-length 12"),
             longer = words("--min-length 55 --max-length 60");
  EXPECT_GT(longer, 3 * shorter);
  expect_failure(translate("--min-length 50 --max-length 10"), 2,
                 "--min-length: 50 is more than --max-length 10");
  expect_failure(translate("--temperature 1 --seed -1"), 2, "--seed");
}

TEST(SearchFlags, DrawsFollowTheSeedAndTheLinesNumber) {
  const std::string flags = "--temperature 2 --max-length 20";
  const auto one = translate(flags), again = translate(flags + " --batch 1"),
             other = translate(flags + " --seed 2");
  EXPECT_EQ(one.code, 0) << one.err;
  EXPECT_EQ(one.out, again.out);
  EXPECT_NE(one.out, other.out);
  // The first line alone, and again as the second of two.
  const auto same = lines_of(translate(flags, "baren schlei the.\nbaren schlei the.\n").out);
  ASSERT_EQ(same.size(), 2u);
  EXPECT_EQ(same[0], lines_of(one.out)[0]);
  EXPECT_NE(same[0], same[1]);
  const auto many = translate(flags + " --nbest 5", "baren schlei the.\n");
  EXPECT_EQ(count(many.out, "\n"), 5);
  EXPECT_EQ(translate("--top-k 1 --max-length 20").out, translate("--beam 1 --max-length 20").out);
}

TEST(SearchFlags, TranslationsBeginWithTheirPrefix) {
  const auto found = lines_of(translate("--prefix 'the der'").out);
  ASSERT_EQ(found.size(), 4u);
  for (std::size_t i = 0; i < 4; ++i)
    EXPECT_TRUE(i == 2 ? found[i].empty() : found[i].starts_with("the der"));
  const ScratchFolder folder;
  const auto each =
      lines_of(translate("--prefix-file " + folder.write("prefixes", "the\n\nder\nzwei moli\n")).out);
  ASSERT_EQ(each.size(), 4u);
  EXPECT_TRUE(each[0].starts_with("the"));
  EXPECT_EQ(each[1], lines_of(translate("").out)[1]);
  EXPECT_TRUE(each[3].starts_with("zwei moli"));
  expect_failure(translate("--prefix-file " + folder.write("few", "the\n")), 3, "has fewer lines");
  const auto more = translate("--prefix-file " + folder.write("more", "a\nb\nc\nd\ne\n"));
  EXPECT_EQ(more.code, 3);
  EXPECT_CONTAINS(more.err, "has more lines");
}

TEST(SearchFlags, AlternativesBeginDifferently) {
  const auto found =
      lines_of(translate("--alternatives --nbest 4 --prefix the --beam 2", "baren moli\n").out);
  ASSERT_EQ(found.size(), 4u);
  EXPECT_EQ(std::set<std::string>(found.begin(), found.end()).size(), 4u);
  const auto likely =
      lines_of(translate("--alternatives --min-alternative 1 --nbest 4 --prefix the", "baren moli\n").out);
  EXPECT_EQ(likely.size(), 1u);
}

TEST(SearchFlags, SuppressedTextDoesNotCome) {
  // What the model says after its own first words is as the tokenizer cuts it: a piece after pieces.
  const auto translated = [](const std::string& flags) {
    return translate(flags, "baren schlei the.\n").out;
  };
  const std::string flags = "--alternatives --nbest 8 --max-length 2 --beam 1 ";
  const auto first = lines_of(translated(flags));
  ASSERT_EQ(first.size(), 8u);
  int gone = 0;
  for (const auto& line : first) {
    const std::string word = line.substr(line.rfind('\t') + 1);
    if (word.find(' ') != std::string::npos || word.empty()) continue;
    const auto rest = lines_of(translated(flags + "--suppress " + shell_word(word)));
    gone += std::ranges::none_of(rest, [&](const auto& one) { return one.ends_with("\t" + word); });
  }
  EXPECT_GT(gone, 0);
  expect_failure(translate("--suppress ''"), 2, "has no tokens");
}

TEST(SearchFlags, WhatIsStreamedIsWhatIsTranslated) {
  for (const std::string flags : {"", "--beam 1", "--temperature 1.5", "--beam 4 --max-tokens 8"}) {
    const std::string lines =
        text + "\xF0\x9F\x98\x80 baren \xC3\xA9t\xC3\xA9\nbaren, moli. der zwei. the baren schlei.\n";
    const auto streamed = translate(flags + " --stream", lines), whole = translate(flags, lines);
    EXPECT_EQ(streamed.code, 0) << streamed.err;
    EXPECT_EQ(streamed.out, whole.out) << flags;
    EXPECT_EQ(contains(flags, "max-tokens"), contains(whole.err, "too long"));
  }
}

TEST(SearchFlags, ModelsTranslateTogether) {
  const ScratchFolder scratch;
  const std::string a = SmallModel::folder().string(), b = (scratch / "b").string();
  test::write_model(b, *test::small_model(test::small_config(), 8));
  const std::string one = translate("").out, other = translate("", text, b).out;
  const auto both = translate("--model " + shell_word(b)), itself = translate("--model " + shell_word(a));
  EXPECT_EQ(both.code, 0) << both.err;
  EXPECT_EQ(count(both.out, "\n"), 4);
  EXPECT_EQ(itself.out, one);
  EXPECT_NE(one, other);
  const auto mean = translate("--ensemble-mean probability --model " + shell_word(a));
  EXPECT_EQ(mean.out, one);
  const auto pieces = text::TranslationTokenizer(test::small_pieces(400, 9), {});
  test::write_model((scratch / "c").string(), *test::small_model(test::small_config(pieces)), pieces);
  expect_failure(translate("--model " + shell_word((scratch / "c").string())), 4, "its tokenizer is another");
}

TEST(SearchFlags, TheModelsOwnDefaultsHoldUntilFlagsSayOtherwise) {
  const ScratchFolder scratch;
  const auto model = SmallModel::copy(scratch);
  const auto with = [&](const std::string& keys, const std::string& flags = "") {
    write_atomically(model / "generation_config.json", "{" + keys + "}");
    const auto found = translate(flags, text, model.string());
    EXPECT_EQ(found.code, 0) << found.err;
    return found.out;
  };
  EXPECT_EQ(with("\"num_beams\": 1, \"min_length\": 13"), translate("--beam 1 --min-length 12").out);
  EXPECT_EQ(with("\"num_beams\": 3, \"max_length\": 5"), translate("--beam 3 --max-length 4").out);
  EXPECT_EQ(with("\"num_beams\": 2, \"repetition_penalty\": 1.7, \"no_repeat_ngram_size\": 2"),
            translate("--beam 2 --repetition-penalty 1.7 --no-repeat-ngram 2").out);
  EXPECT_EQ(with("\"num_beams\": 4, \"num_beam_groups\": 2, \"diversity_penalty\": 3.0"),
            translate("--beam 4 --diverse-groups 2 --diversity 3").out);
  EXPECT_EQ(with("\"do_sample\": true, \"temperature\": 1.5, \"top_k\": 7"),
            translate("--temperature 1.5 --top-k 7").out);
  EXPECT_EQ(with("\"do_sample\": true", "--beam 2"), translate("--beam 2").out);
  EXPECT_EQ(with("\"num_beams\": 4, \"num_return_sequences\": 3"), translate("--beam 4 --nbest 3").out);
  EXPECT_EQ(with("\"num_beams\": 4, \"num_return_sequences\": 3", "--nbest 1"), translate("--beam 4").out);
  EXPECT_EQ(with("\"num_beams\": 4, \"num_return_sequences\": 3", "--stream"), translate("--beam 4").out);
  EXPECT_EQ(with("\"num_beams\": 4, \"num_return_sequences\": 3", "--beam 2"),
            translate("--beam 2 --nbest 2").out);
  EXPECT_EQ(with("\"do_sample\": true, \"top_k\": 0, \"num_return_sequences\": 2"),
            translate("--temperature 1 --nbest 2").out);
  EXPECT_EQ(with("\"num_beams\": 4, \"early_stopping\": true, \"length_penalty\": 3.0"),
            translate("--beam 4 --early-stopping true --length-penalty 3").out);
  EXPECT_EQ(with("\"num_beams\": 4, \"num_beam_groups\": 2", "--nbest 5"),
            translate("--beam 5 --nbest 5").out);
  // None of it, if that is wanted.
  const std::string all =
      "\"num_beams\": 2, \"max_length\": 3, \"repetition_penalty\": 2.0, "
      "\"forced_bos_token_id\": 9, \"suppress_tokens\": [3, 4, 5]";
  EXPECT_EQ(with(all, "--no-defaults"), translate("--beam 5 --max-length 512").out);
  EXPECT_NE(with(all), translate("--beam 2 --max-length 2 --repetition-penalty 2").out);
}

TEST(SearchFlags, WhatAModelAsksForAndIsNotBuiltIsAWarning) {
  const ScratchFolder scratch;
  const auto model = SmallModel::copy(scratch);
  write_atomically(model / "generation_config.json", "{\"num_beams\": 2, \"typical_p\": 0.3}");
  const auto found = translate("", text, model.string());
  EXPECT_EQ(found.out, translate("--beam 2").out);
  EXPECT_CONTAINS(found.err, "generation_config.json: typical_p is not built here: ignored");
  write_atomically(model / "generation_config.json", "{\"suppress_tokens\": [\"a\"]}");
  expect_failure(translate("", text, model.string()), 4, "suppress_tokens[0]: is the text \"a\"");
}

TEST(SearchFlags, WhatExcludesEachOtherIsNamed) {
  expect_failure(translate("--temperature 1 --beam 2"), 2,
                 "--beam: 2 hypotheses, but translations are drawn");
  expect_failure(translate("--stream --nbest 2"), 2, "--stream: writes one translation a line");
  expect_failure(translate("--prefix a --prefix-file b"), 2, "exclude each other");
  expect_failure(translate("--diverse-groups 3 --beam 4"), 2, "diverse groups: is 3 with beam 4");
  expect_failure(translate("--top-p 0"), 2, "--top-p");
  expect_failure(translate("--temperature nan"), 2, "temperature: is nan");
}

}  // namespace
}  // namespace fovea::cli
