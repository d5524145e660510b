// fovea translate, summarize and evaluate with directories of other families, small ones that Transformers
// made (benchmarks/peers/open_encoder_decoders.py --fixtures).
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "tests/cli/run.h"

namespace fovea::cli {
namespace {

using nlohmann::json;
using test::ScratchFolder;

const std::string fixtures = FOVEA_SOURCE_DIR "/tests/models/huggingface/";

std::string model(const std::string& name) { return " --model " + shell_word(fixtures + name); }

TEST(EncoderDecoders, WriteTheLinesOfTransformers) {
  for (const std::string name : {"t5-text", "bart-text", "nllb-text", "m2m100-text"}) {
    const auto expected = json::parse(read_file(fixtures + name + "/expected.json"));
    const ScratchFolder folder;
    std::string texts, lines, arguments;
    for (const auto& text : expected["texts"]) texts += text.get<std::string>() + "\n";
    for (const auto& line : expected["lines"]) lines += line.get<std::string>() + "\n";
    for (const auto& argument : expected["arguments"]) arguments += " " + argument.get<std::string>();
    const auto result = run_fovea(expected["command"].get<std::string>() + model(name) + arguments +
                                  " --input " + shell_word(folder.write("in", texts)));
    EXPECT_EQ(result.code, 0) << result.err;
    EXPECT_EQ(result.out, lines) << name;
  }
}

TEST(EncoderDecoders, OfSeveralLanguagesOneHasToBeNamed) {
  const auto unnamed = run_fovea("translate" + model("nllb-text") + " hello");
  expect_failure(unnamed, 2, "--to");
  const auto unknown = run_fovea("translate --to fr" + model("nllb-text") + " hello");
  expect_failure(unknown, 2, "'fr' is none of the model's 3");
  EXPECT_CONTAINS(unknown.err, "eng_Latn, deu_Latn, fra_Latn");
  expect_failure(run_fovea("translate --to fr" + model("bart-text") + " hello"), 2, "one pair of languages");
}

TEST(EncoderDecoders, ATaskOfT5IsThePairOfLanguages) {
  const std::string prefixed = "'translate English to German: hello'", beam = " --beam 2 --max-length 9 ";
  const auto by_task = run_fovea("translate --from en --to de --max-length 9" + model("t5-text") + " hello");
  const auto by_hand = run_fovea("translate" + beam + model("t5-text") + " " + prefixed);
  EXPECT_EQ(by_task.code, 0) << by_task.err;
  EXPECT_EQ(by_task.out, by_hand.out);
}

TEST(Summarize, ReadsJsonLinesAndTheBeginningOfLongDocuments) {
  const ScratchFolder folder;
  std::string body;
  for (int i = 0; i < 200; ++i) body += "baluki temo ";
  const std::string lines = folder.write(
      "in.jsonl", "{\"body\": \"" + body + "\"}\n{\"body\": [\"one\", \"two\"]}\n{\"body\": \"\"}\n");
  const auto result = run_fovea("summarize --max-length 5 --max-source-tokens 40 --field body --input " +
                                shell_word(lines) + model("t5-text"));
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(count(result.out, "\n"), 3);
  EXPECT_TRUE(result.out.ends_with("\n\n")) << result.out;
  EXPECT_CONTAINS(result.err, "1 document read to token 40 alone");
  // What lies beyond is not looked at.
  const std::string longer = folder.write("longer.jsonl", "{\"body\": \"" + body + "other end\"}\n");
  const auto same = run_fovea("summarize --max-length 5 --max-source-tokens 40 --field body --input " +
                              shell_word(longer) + model("t5-text"));
  EXPECT_TRUE(result.out.starts_with(same.out)) << same.out;
  expect_failure(run_fovea("summarize --field text --input " + shell_word(lines) + model("t5-text")), 3,
                 "in.jsonl:1");
  EXPECT_EQ(run_fovea("summarize text").code, 2);  // no model
}

TEST(Evaluate, RougeOfFieldsWithSeveralReferences) {
  const ScratchFolder folder;
  const std::string file =
      folder.write("f", "{\"s\": \"the cats sat\", \"r\": [\"a dog\", \"the cat sat\"]}\n");
  const std::string fields =
      "evaluate --metric rouge --json --hypothesis-field s --reference-field r --hypothesis " + file +
      " --reference " + file;
  const auto plain = json::parse(run_fovea(fields).out),
             stemmed = json::parse(run_fovea(fields + " --stem").out);
  ASSERT_EQ(plain.size(), 3u);
  EXPECT_EQ(plain[0]["name"], "ROUGE-1");
  EXPECT_NEAR(plain[0]["score"].get<double>(), 200.0 / 3, 1e-9);
  EXPECT_NEAR(stemmed[0]["score"].get<double>(), 100.0, 1e-9);
  EXPECT_TRUE(stemmed[2]["signature"].get<std::string>().starts_with("nrefs:2|tok:words|stem:yes|"));
  EXPECT_EQ(run_fovea("evaluate --stem --hypothesis " + file + " --reference " + file).code, 2);
}

}  // namespace
}  // namespace fovea::cli
