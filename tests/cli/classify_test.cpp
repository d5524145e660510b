// classify, evaluate --data, embed and fill: what they print of small random models.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "fovea/base/file.h"
#include "fovea/formats/json.h"
#include "tests/cli/run.h"
#include "tests/cli/small_encoder.h"

namespace fovea::cli {
namespace {

using fovea::test::ScratchFolder;
using Head = models::BertConfig::Head;

/// A model directory of a random BERT.
class Folder {
 public:
  explicit Folder(Head head) { write_encoder(folder_.path(), head); }
  std::string option() const { return " --model " + shell_word(folder_.path().string()) + " "; }
  const ScratchFolder& files() const { return folder_; }

 private:
  ScratchFolder folder_;
};

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t begin = 0, end; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1)
    lines.push_back(text.substr(begin, end - begin));
  return lines;
}

TEST(Classify, ALineForEachText) {
  const Folder model(Head::text);
  const auto some = run_fovea("classify" + model.option() + "--top 3 'good film' 'bad plot'");
  EXPECT_EQ(some.code, 0) << some.err;
  ASSERT_EQ(lines_of(some.out).size(), 2U);
  for (const auto& line : lines_of(some.out)) {
    EXPECT_EQ(count(line, "\t"), 5);
    for (const char* label : {"bad", "fine", "good"}) EXPECT_CONTAINS(line, label);
  }
  const auto file = model.files().write("in", "good film\nbad plot\n");
  EXPECT_EQ(run_fovea("classify" + model.option() + "--top 3 --input " + file).out, some.out);
  EXPECT_EQ(
      run(shell_word(FOVEA_BINARY) + " classify" + model.option() + "--top 3 --threads 1 < " + file).out,
      some.out);
}

TEST(Classify, JsonSaysProbabilities) {
  const Folder model(Head::text);
  const auto result = run_fovea("classify --json --top 9" + model.option() + "--pair 'good film' 'bad plot'");
  EXPECT_EQ(result.code, 0) << result.err;
  const auto json = formats::Json::parse(result.out, {"out", Error::Kind::data});
  EXPECT_EQ(json.at("text").text(), "good film");
  EXPECT_EQ(json.at("second").text(), "bad plot");
  double sum = 0.0;
  for (const auto& entry : json.at("classes").elements()) sum += entry.at("probability").number();
  EXPECT_NEAR(sum, 1.0, 1e-5);
}

TEST(Classify, WordsOfATokenClassifier) {
  const Folder model(Head::token);
  const auto result = run_fovea("classify" + model.option() + "\"A film, isn't it\"");
  EXPECT_EQ(result.code, 0) << result.err;
  std::string found;
  for (const auto& line : lines_of(result.out)) found += line.substr(0, line.find('\t')) + "|";
  EXPECT_EQ(found, "A|film|,|is|n't|it||");
}

TEST(Classify, FaultsAreOneLine) {
  const Folder model(Head::text), masked(Head::masked);
  expect_failure(run_fovea("classify" + masked.option() + "x"), 4, "ForSequenceClassification");
  expect_failure(run_fovea("classify" + model.option() + "--pair x"), 2, "in twos");
  expect_failure(run_fovea("classify --model /nowhere x"), 4, "nowhere");
  expect_failure(run_fovea("classify x"), 2, "--model");
  const auto file = model.files().write("in", "one text\n");
  expect_failure(run_fovea("classify --pair" + model.option() + "--input " + file), 3, "in:1");
}

TEST(Classify, LongTextsAreCutWithAWord) {
  const Folder model(Head::text);
  std::string text = "film";
  for (int i = 0; i < 40; ++i) text += " film";
  const auto result = run_fovea("classify" + model.option() + shell_word(text));
  EXPECT_EQ(result.code, 0);
  EXPECT_CONTAINS(result.err, "1 text cut to the 16 tokens");
}

TEST(EvaluateLabels, ScoresAndPicture) {
  const Folder model(Head::text);
  const auto said = run_fovea("classify" + model.option() + "'good film' 'bad plot'").out;
  const std::string first = said.substr(0, said.find('\t'));
  const std::string other = first == "bad" ? "good" : "bad";
  const auto data = model.files().write("t.tsv", "good film\t" + first + "\ngood film\t" + other + "\n");
  const auto svg = model.files().path("c.svg");
  const auto text = run_fovea("evaluate" + model.option() + "--data " + data + " --confusion " + svg);
  EXPECT_EQ(text.code, 0) << text.err;
  EXPECT_CONTAINS(text.out, "accuracy 0.5000");
  EXPECT_CONTAINS(text.out, "macro mean");
  EXPECT_CONTAINS(read_file(svg), "t.tsv");
  const auto json = formats::Json::parse(run_fovea("evaluate --json" + model.option() + "--data " + data).out,
                                         {"out", Error::Kind::data});
  EXPECT_EQ(json.at("accuracy").number(), 0.5);
  EXPECT_EQ(json.at("classes").size(), 3U);
  const auto unseen = model.files().write("u.tsv", "good film\tugly\n");
  expect_failure(run_fovea("evaluate" + model.option() + "--data " + unseen), 3, "u.tsv:1");
  expect_failure(run_fovea("evaluate --data " + data), 2, "--model");
  expect_failure(run_fovea("evaluate --reference x --data " + data + model.option()), 2, "--reference");
}

TEST(Embed, VectorsAsJsonAndNpy) {
  const Folder model(Head::none);
  const auto result = run_fovea("embed --normalise" + model.option() + "'good film' 'bad plot'");
  EXPECT_EQ(result.code, 0) << result.err;
  const auto lines = lines_of(result.out);
  ASSERT_EQ(lines.size(), 2U);
  std::vector<float> values;
  double length = 0.0;
  for (const auto& line : lines) {
    const auto json = formats::Json::parse(line, {"out", Error::Kind::data});
    for (const auto& x : json.at("embedding").elements()) values.push_back(static_cast<float>(x.number()));
  }
  ASSERT_EQ(values.size(), 32U);
  for (int d = 0; d < 16; ++d)
    length += values[static_cast<std::size_t>(d)] * values[static_cast<std::size_t>(d)];
  EXPECT_NEAR(length, 1.0, 1e-5);
  const auto npy = model.files().path("v.npy");
  EXPECT_EQ(
      run_fovea("embed --normalise" + model.option() + "--output " + npy + " 'good film' 'bad plot'").code,
      0);
  const std::string bytes = read_file(npy);
  ASSERT_EQ(bytes.size(), 128 + 32 * sizeof(float));
  EXPECT_EQ(std::memcmp(bytes.data() + 128, values.data(), 32 * sizeof(float)), 0);
}

TEST(Embed, FindsTheLineItself) {
  const Folder model(Head::none);
  const auto file = model.files().write("lines", "a very fine film\nit was bad\ngood plot\n");
  const auto result = run_fovea("embed" + model.option() + "--search " + file + " --top 2 'it was bad'");
  EXPECT_EQ(result.code, 0) << result.err;
  ASSERT_EQ(lines_of(result.out).size(), 2U);
  EXPECT_EQ(lines_of(result.out)[0], "1.0000\t2\tit was bad");
  const auto npy = model.files().path("v.npy");
  expect_failure(run_fovea("embed" + model.option() + "--search " + file + " --output " + npy + " x"), 2,
                 "--output");
}

TEST(Embed, EveryHeadHasAnEncoder) {
  for (const Head head : {Head::text, Head::token, Head::masked}) {
    const Folder model(head);
    EXPECT_EQ(run_fovea("embed --pooling cls" + model.option() + "film").code, 0);
  }
}

TEST(Fill, ALineForEachMask) {
  const Folder model(Head::masked);
  const auto result = run_fovea("fill --top 3" + model.option() + "'a [MASK] film [MASK]'");
  EXPECT_EQ(result.code, 0) << result.err;
  ASSERT_EQ(lines_of(result.out).size(), 2U);
  EXPECT_EQ(count(lines_of(result.out)[0], "\t"), 5);
  expect_failure(run_fovea("fill" + model.option() + "'a film'"), 3, "[MASK]");
  const Folder other(Head::text);
  expect_failure(run_fovea("fill" + other.option() + "'a [MASK]'"), 4, "ForMaskedLM");
}

}  // namespace
}  // namespace fovea::cli
