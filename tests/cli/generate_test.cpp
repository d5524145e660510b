// fovea generate: prompts in, texts out.
#include <gtest/gtest.h>

#include "fovea/formats/json.h"
#include "tests/cli/run.h"
#include "tests/decoding/small_language_model.h"

namespace fovea::cli {
namespace {

using formats::Json;
using test::ScratchFolder;

class Generate : public testing::Test {
 protected:
  RunResult generate(const std::string& arguments) const {
    return run(shell_word(FOVEA_BINARY) + " generate --threads 1 --model " + shell_word(folder_.string()) +
               " " + arguments);
  }
  static Json parsed(const RunResult& result) {
    EXPECT_EQ(result.code, 0) << result.err;
    return Json::parse(result.out, {.name = "output", .kind = Error::Kind::bug});
  }
  static Json first(const Json& answer) { return *answer.at("continuations").elements().begin(); }
  static std::string text_of(const RunResult& result) {
    return std::string(first(parsed(result)).at("text").text());
  }

  ScratchFolder scratch_;
  std::filesystem::path folder_ = test::write_language_model(scratch_);
};

TEST_F(Generate, OneTextIsWrittenAsItComesSeveralUnderTheirNumbers) {
  const std::string flags = "--max-new-tokens 12 --min-new-tokens 12 ";
  const auto one = generate(flags + "'Once upon'"), other = generate(flags + "a");
  EXPECT_EQ(one.code, 0) << one.err;
  EXPECT_EQ(one.out, text_of(generate(flags + "--json 'Once upon'")) + "\n");
  const auto both = generate(flags + "'Once upon' a");
  EXPECT_EQ(both.out, "--- 1\n" + one.out + "--- 2\n" + other.out);
  const auto echoed = generate(flags + "--echo 'Once upon'");
  EXPECT_EQ(echoed.out, "Once upon" + one.out);
  const auto lines = run("printf 'Once upon\\na\\n' | " + shell_word(FOVEA_BINARY) +
                         " generate --threads 1 " + flags + "--model " + shell_word(folder_.string()));
  EXPECT_EQ(lines.out, both.out);
}

TEST_F(Generate, ChatPutsAPromptAsTheModelsTemplateSays) {
  const std::string flags = "--max-new-tokens 6 --min-new-tokens 6 ";
  const auto refused = generate(flags + "--chat hi");
  EXPECT_EQ(refused.code, 4);
  EXPECT_CONTAINS(refused.err, "has no chat template");
  write_atomically(folder_ / "chat_template.jinja",
                   "{% for m in messages %}({{ m.role }}){{ m.content }}{% endfor %}"
                   "{% if add_generation_prompt %}(assistant){% endif %}");
  const auto talked = generate(flags + "--chat hi");
  EXPECT_EQ(talked.code, 0) << talked.err;
  EXPECT_EQ(talked.out, generate(flags + "--no-special '(user)hi(assistant)'").out);
  EXPECT_NE(talked.out, generate(flags + "--no-special hi").out);
  EXPECT_EQ(generate(flags + "--chat --system 'be brief' hi").out,
            generate(flags + "--no-special '(system)be brief(user)hi(assistant)'").out);
  const auto alone = generate(flags + "--system 'be brief' hi");
  EXPECT_EQ(alone.code, 2);
  EXPECT_CONTAINS(alone.err, "--chat");
}

TEST_F(Generate, JsonSaysWhatEndedATextAndWhy) {
  const auto found = parsed(generate("--json --max-new-tokens 5 --min-new-tokens 5 Once"));
  EXPECT_EQ(found.at("prompt").integer(0, 9), 1);
  const Json one = first(found);
  EXPECT_EQ(one.at("ended").text(), "length");
  EXPECT_EQ(one.at("tokens").size(), 5u);
  EXPECT_EQ(one.at("token_log_probabilities").size(), 5u);
  const std::string text(one.at("text").text());
  const auto stopped = parsed(
      generate("--json --max-new-tokens 5 --min-new-tokens 5 Once --stop " + shell_word(text.substr(0, 1))));
  EXPECT_EQ(first(stopped).at("ended").text(), "stop_string");
  EXPECT_EQ(first(stopped).at("text").text(), "");
}

TEST_F(Generate, DrawsFollowTheSeed) {
  const std::string flags = "--temperature 1.5 --max-new-tokens 16 Once ";
  EXPECT_EQ(generate(flags).out, generate(flags + "--seed 1").out);
  EXPECT_NE(generate(flags).out, generate(flags + "--seed 2").out);
  const auto many = generate(flags + "--nbest 3");
  EXPECT_CONTAINS(many.out, "--- 1, 3 of 3, score ");
  EXPECT_EQ(generate("--top-k 1 --max-new-tokens 16 Once").out, generate("--max-new-tokens 16 Once").out);
}

TEST_F(Generate, EveryWayToSearchIsThere) {
  const std::string flags = " --json --max-new-tokens 12 Once";
  for (const std::string way :
       {"--beam 4 --nbest 2", "--contrastive 0.6", "--contrastive 0.5,6", "--typical-p 0.5",
        "--min-p 0.1 --top-p 0.9 --seed 4", "--repetition-penalty 1.3 --no-repeat-ngram 2",
        "--suppress e --suppress th", "--dtype bf16", "--dtype int8", "--overflow slide"})
    EXPECT_FALSE(text_of(generate(way + flags)).empty()) << way;
  EXPECT_EQ(text_of(generate("--contrastive 0,5" + flags)), text_of(generate(flags)));
  EXPECT_EQ(text_of(generate("--temperature 0" + flags)), text_of(generate("--beam 1" + flags)));
}

TEST_F(Generate, TheModelsDefaultsCount) {
  ScratchFolder scratch;
  folder_ = test::write_language_model(
      scratch, R"({"max_new_tokens": 3, "do_sample": true, "temperature": 1.5, "eos_token_id": [501]})");
  const auto drawn = generate("--json Once");
  EXPECT_EQ(first(parsed(drawn)).at("tokens").size(), 3u);
  EXPECT_EQ(drawn.out,
            generate("--json --temperature 1.5 --top-k 50 --max-new-tokens 3 --no-defaults Once").out);
  EXPECT_EQ(text_of(generate("--json --beam 1 Once")),
            text_of(generate("--json --no-defaults --max-new-tokens 3 Once")));
}

TEST_F(Generate, WhatCannotBeIsOneClearLine) {
  std::string words;
  for (int i = 0; i < 80; ++i) words += "abcdefgh"[i % 8], words += ' ';
  expect_failure(generate("'" + words + "'"), 3, "prompt 1: has ");
  const auto cut = generate("--overflow left --max-new-tokens 4 '" + words + "'");
  EXPECT_EQ(cut.code, 0);
  EXPECT_CONTAINS(cut.err, "were left out");
  const auto full = generate("--min-new-tokens 90 --max-new-tokens 100 Once");
  EXPECT_EQ(full.code, 0);
  EXPECT_CONTAINS(full.err, "context is full before --max-new-tokens");
  expect_failure(generate("--contrastive much Once"), 2, "ALPHA,K");
  expect_failure(generate("--beam 4 --temperature 1 Once"), 2, "exclude each other");
  expect_failure(generate("--beam 2 --nbest 3 Once"), 2, "--beam of at least 3");
  expect_failure(generate("--min-new-tokens 9 --max-new-tokens 8 Once"), 2, "--min-new-tokens");
  expect_failure(generate("--stop '' Once"), 2, "stop");
  expect_failure(run_fovea("generate --model " + shell_word(scratch_.path("nothing")) + " Once"), 4,
                 "nothing");
  expect_failure(run_fovea("generate Once"), 2, "--model");
  std::filesystem::remove(folder_ / "tokenizer.json");
  expect_failure(generate("Once"), 4, "has no tokenizer");
}

}  // namespace
}  // namespace fovea::cli
