#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/cli/run.h"
#include "tests/data/gzip.h"
#include "tests/decoding/small_model.h"

namespace fovea::cli {
namespace {

constexpr auto translations = "Zwei Männer fahren Rad.\nEin Hund läuft im Park.\n";
constexpr auto references = "Zwei Männer fahren Fahrrad.\nEin Hund läuft im Park.\n";

TEST(Evaluate, PrintsBothScoresWithTheirSignatures) {
  const test::ScratchFolder folder;
  const auto result = run_fovea("evaluate --hypothesis " + folder.write("h", translations) + " --reference " +
                                folder.write("r", references));
  EXPECT_EQ(result.code, 0);
  EXPECT_EQ(result.err, "");
  // 10 of 11 words, 7 of 9 pairs, 5 of 7 triples, 3 of 5 quadruples: the fourth root of their product.
  EXPECT_TRUE(result.out.starts_with("BLEU|nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:"))
      << result.out;
  EXPECT_CONTAINS(result.out,
                  " = 74.19 90.9/77.8/71.4/60.0 (BP = 1.000 ratio = 1.000 hyp_len = 11 ref_len = 11)\n");
  EXPECT_CONTAINS(result.out, "\nchrF2|nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:");
}

TEST(Evaluate, JsonHoldsTheSameScores) {
  const test::ScratchFolder folder;
  const std::string files = "--hypothesis " + folder.write("h", translations) + " --reference " +
                            folder.write("r", references) + " --reference " + folder.path("h");
  const auto scores = nlohmann::json::parse(run_fovea("evaluate --json " + files).out);
  ASSERT_EQ(scores.size(), 2u);
  EXPECT_EQ(scores[0]["name"], "BLEU");
  EXPECT_NEAR(scores[0]["score"].get<double>(), 100, 1e-9);  // the second reference is the translation itself
  EXPECT_TRUE(scores[0]["signature"].get<std::string>().starts_with("nrefs:2|"));
  EXPECT_EQ(scores[1]["name"], "chrF2");
}

TEST(Evaluate, OptionsReachTheMetricAndItsSignature) {
  const test::ScratchFolder folder;
  const std::string files = " --hypothesis " + folder.write("h", "EIN HUND LÄUFT IM PARK\n") +
                            " --reference " + folder.write("r", "Ein Hund läuft im Park\n");
  EXPECT_CONTAINS(run_fovea("evaluate --lowercase" + files).out, "|case:lc|eff:no|tok:13a|");
  EXPECT_CONTAINS(run_fovea("evaluate --lowercase" + files).out, " = 100.00 ");
  EXPECT_CONTAINS(run_fovea("evaluate --tokenize char" + files).out, "|case:mixed|eff:no|tok:char|");
}

TEST(Evaluate, I01_InputsThatCannotBeReadAreNamed) {
  const test::ScratchFolder folder;
  const std::string good = folder.write("r", references);
  for (const std::string& bad : {folder.path("missing"), folder.path("")}) {
    const auto result = run_fovea("evaluate --hypothesis " + bad + " --reference " + good);
    EXPECT_EQ(result.code, 3) << result.err;
    EXPECT_TRUE(result.err.starts_with("fovea: " + bad)) << result.err;
  }
  EXPECT_EQ(run_fovea("evaluate --hypothesis /dev/null --reference /dev/null").code, 3);  // nothing to score
}

TEST(Evaluate, I01_StandardInputFifosAndGzipAreRead) {
  const test::ScratchFolder folder;
  const std::string plain = folder.write("h", translations), good = folder.write("r", references);
  const std::string packed = folder.write("h.gz", data::gzip(translations));
  const std::string expected = run_fovea("evaluate --hypothesis " + plain + " --reference " + good).out;
  EXPECT_CONTAINS(expected, "BLEU");
  EXPECT_EQ(run_fovea("evaluate --hypothesis - --reference " + good + " <" + plain).out, expected);
  EXPECT_EQ(run_fovea("evaluate --hypothesis " + packed + " --reference " + good).out, expected);
  const std::string fifo = folder.path("fifo");
  EXPECT_EQ(run("mkfifo " + fifo + "; cat " + plain + " >" + fifo + " & " + shell_word(FOVEA_BINARY) +
                " evaluate --hypothesis " + fifo + " --reference " + good)
                .out,
            expected);
}

TEST(Evaluate, I07_LineCountsThatDifferAreBothNamed) {
  const test::ScratchFolder folder;
  const std::string two = folder.write("two", translations), one = folder.write("one", "Ein Satz.\n");
  const auto result = run_fovea("evaluate --hypothesis " + two + " --reference " + one);
  EXPECT_EQ(result.code, 3);
  EXPECT_CONTAINS(result.err, one + ": has 1 line, but " + two + " has 2");
}

TEST(Evaluate, I02_InvalidUtf8IsReplacedWithAWarning) {
  const test::ScratchFolder folder;
  const auto result = run_fovea("evaluate --hypothesis " + folder.write("h", "gut\nEin \xff Satz.\n") +
                                " --reference " + folder.write("r", "gut\nEin Satz.\n"));
  EXPECT_EQ(result.code, 0);
  EXPECT_CONTAINS(result.err, "fovea: warning: " + folder.path("h") + ":2:5: not UTF-8");
}

TEST(Evaluate, I18_OddFileNames) {
  const test::ScratchFolder folder;
  folder.write("r", references);
  for (const std::string& name :
       {std::string("with space"), std::string("new\nline"), std::string("Größe-文.txt"),
        std::string(255, 'x'), std::string("-dash"), std::string("quote'\"")}) {
    folder.write(name, translations);
    const auto result = run("cd " + shell_word(folder.path("")) + " && " + shell_word(FOVEA_BINARY) +
                            " evaluate --reference r --hypothesis=" + shell_word(name));
    EXPECT_EQ(result.code, 0) << name << ": " << result.err;
  }
}

TEST(Evaluate, AModelIsScoredAsItsTranslationsAre) {
  const test::ScratchFolder folder;
  std::string text;
  for (const auto& sentence : text::sample::sentences(12, 4)) text += sentence + "\n";
  const std::string source = folder.write("source", text), model = test::SmallModel::folder().string();
  for (const std::string flags : {"", " --beam 3 --length-penalty 0.5", " --max-tokens 20 --batch 2"}) {
    const auto hypotheses = folder.write(
        "h", run_fovea("translate --threads 1 --model " + model + flags + " --input " + source).out);
    const std::string options = " --lowercase --tokenize char --json --reference " + source;
    const auto expected = run_fovea("evaluate --hypothesis " + hypotheses + options);
    const auto found =
        run_fovea("evaluate --threads 1 --model " + model + flags + " --source " + source + options);
    EXPECT_EQ(found.code, 0) << found.err;
    EXPECT_CONTAINS(found.out, "|case:lc|");
    EXPECT_EQ(found.out, expected.out);
  }
  const auto bundled = run("env FOVEA_MODEL=" + model + " " + shell_word(FOVEA_BINARY) +
                           " evaluate --source " + source + " --reference " + source);
  EXPECT_EQ(bundled.code, 0) << bundled.err;
  EXPECT_CONTAINS(bundled.out, "chrF2|");
}

TEST(Evaluate, I08_SwappedFilesAreWarnedOf) {
  const test::ScratchFolder folder;
  const std::string model = test::SmallModel::folder().string();
  const auto languages = text::TranslationTokenizer::read(model).settings();
  ASSERT_NE(languages.source_language, "");
  const std::string source = folder.write("t." + languages.source_language, "a b\n");
  const std::string target = folder.write("t." + languages.target_language, "a b\n");
  const std::string command = "evaluate --threads 1 --model " + model;
  EXPECT_EQ(run_fovea(command + " --source " + source + " --reference " + target).err, "");
  const auto swapped = run_fovea(command + " --source " + target + " --reference " + source);
  EXPECT_EQ(swapped.code, 0);
  EXPECT_CONTAINS(swapped.err, "source and target look swapped");
}

TEST(Evaluate, AModelPronouncesTheWordsOfADictionary) {
  const test::ScratchFolder folder;
  const std::string model = test::SmallModel::folder().string();
  const std::string dictionary = folder.write("d", "a AH0\nA(2) EY1\nbe B IY1\nsea S IY1\n");
  const std::string command =
      "evaluate --threads 1 --max-tokens 8 --model " + model + " --dictionary " + dictionary;
  const auto result = run_fovea(command);
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_CONTAINS(result.out, " edits of ");
  EXPECT_CONTAINS(result.out, "WER = 100.00 % (3 of 3 words equal none of their pronunciations)\n");
  const auto json = nlohmann::json::parse(run_fovea(command + " --json").out);
  EXPECT_EQ(json[1]["words"], 3);
  EXPECT_EQ(json[1]["score"], 1.0);
  expect_failure(run_fovea(command + " --share 0.000001"), 3, "none of its words is held out");
  expect_failure(run_fovea(command + " --reference d"), 2, "--dictionary excludes");
  expect_failure(run_fovea("evaluate --share 0.1 --source s --reference r"), 2, "name --dictionary FILE");
}

TEST(Evaluate, I16_TranslationsAreGivenOrMade) {
  const std::string reference = " --reference /dev/null";
  expect_failure(run_fovea("evaluate --hypothesis h"), 2, "--reference is required");
  expect_failure(run_fovea("evaluate" + reference), 2, "name --hypothesis FILE, or --source FILE");
  expect_failure(run_fovea("evaluate --model m" + reference), 2, "--model needs --source");
  for (const std::string surplus : {"--model m", "--source s", "--beam 3", "--length-penalty 1"})
    expect_failure(run_fovea("evaluate --hypothesis h " + surplus + reference), 2,
                   "--hypothesis excludes --model");
}

TEST(Evaluate, I07_LinesAreCountedBeforeTheModelIsRead) {
  const test::ScratchFolder folder;
  const std::string two = folder.write("two", translations), one = folder.write("one", "Ein Satz.\n");
  expect_failure(run_fovea("evaluate --model /nowhere --source " + two + " --reference " + one), 3,
                 one + ": has 1 line, but " + two + " has 2");
  expect_failure(run_fovea("evaluate --model /nowhere --source " + two + " --reference " + two), 4,
                 "/nowhere");
}

class EvaluateByLength : public testing::Test {
 protected:
  EvaluateByLength() {
    std::string source, good, bad;
    for (int i = 0; i < 30; ++i) {
      std::string words = "w" + std::to_string(i);
      for (int n = 1; n < 4 + (i % 2) * 8; ++n) words += " x" + std::to_string(n);
      source += words + "\n";
      good += words + "\n";
      bad += (i % 2 == 0 ? words : "nothing of that") + "\n";
    }
    source_ = folder_.write("test.en", source);
    good_ = folder_.write("good", good);
    bad_ = folder_.write("bad", bad);
  }
  RunResult evaluate(const std::string& arguments) {
    return run_fovea("evaluate --hypothesis " + bad_ + " --reference " + good_ + " " + arguments);
  }

  test::ScratchFolder folder_;
  std::string source_, good_, bad_;
};

TEST_F(EvaluateByLength, ATableBelowTheScores) {
  const auto result =
      evaluate("--by-length --source " + source_ + " --series \"the good one=" + good_ + "\"");
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_TRUE(result.out.starts_with(evaluate("").out)) << result.out;
  EXPECT_CONTAINS(result.out,
                  "\nsource tokens  sentences     bad  the good one\n"
                  "          1-5         15  100.00        100.00\n"
                  "        11-15         15    0.00        100.00\n");
}

TEST_F(EvaluateByLength, JsonHoldsTheSame) {
  const auto scores =
      nlohmann::json::parse(evaluate("--by-length --bucket 4 --name plain --json --source " + source_).out);
  ASSERT_EQ(scores.size(), 3u);
  EXPECT_EQ(scores[2]["name"], "BLEU by source length");
  EXPECT_EQ(scores[2]["series"][0]["system"], "plain");
  const auto& buckets = scores[2]["series"][0]["buckets"];
  ASSERT_EQ(buckets.size(), 2u);
  EXPECT_EQ(buckets[1]["shortest"], 9);
  EXPECT_EQ(buckets[1]["longest"], 12);
  EXPECT_EQ(buckets[1]["mean_length"], 12);
  EXPECT_EQ(buckets[1]["sentences"], 15);
}

TEST_F(EvaluateByLength, APictureOfAllSystems) {
  const std::string curve = folder_.path("curve.svg");
  const auto result = evaluate("--curve " + curve + " --name \"no attention\" --source " + source_ +
                               " --series additive=" + good_);
  EXPECT_EQ(result.code, 0) << result.err;
  const std::string svg = read_file(curve);
  for (const char* part : {"<svg ", ">no attention</text>", ">additive</text>", ">test.en</text>"})
    EXPECT_CONTAINS(svg, part);
}

TEST_F(EvaluateByLength, BadInputIsOneClearLine) {
  expect_failure(evaluate("--by-length"), 2, "--by-length needs --source");
  expect_failure(evaluate("--curve x.svg"), 2, "--by-length needs --source");
  expect_failure(evaluate("--by-length --source " + folder_.write("one", "a\n")), 3,
                 "has 1 line, expected 30");
  expect_failure(evaluate("--source " + source_ + " --series " + good_), 2, "is not NAME=FILE");
  expect_failure(evaluate("--source " + source_ + " --series =" + good_), 2, "is not NAME=FILE");
  expect_failure(evaluate("--source " + source_ + " --series a=" + folder_.path("one")), 3,
                 "has 1 line, expected 30");
  expect_failure(evaluate("--source " + source_ + " --by-length --model m"), 2,
                 "--hypothesis excludes --model");
  expect_failure(evaluate("--source " + source_), 2, "--hypothesis excludes --model");
  expect_failure(evaluate("--source " + source_ + " --curve /nowhere/c.svg"), 5, "/nowhere/c.svg");
}

}  // namespace
}  // namespace fovea::cli
