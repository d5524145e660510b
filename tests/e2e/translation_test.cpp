// The whole way, as a user goes it: parallel text in, a model trained by the program, translations and their
// score out.
#include <gtest/gtest.h>

#include "tests/cli/run.h"
#include "tests/training/tiny_run.h"

namespace fovea::e2e {
namespace {

using cli::run_fovea;
using cli::shell_word;
using training::test::read;
using training::test::ScratchFolder;
using training::test::write;

/// Sentences of a grammar of twenty words: ARTICLE ADJECTIVE NOUN VERB ARTICLE ADJECTIVE NOUN, where an
/// adjective may be missing. The other language puts adjectives behind their nouns and the verb at the end.
class Grammar {
 public:
  explicit Grammar(std::uint64_t seed) : key_(RandomKey::of(seed, 0, site::shuffle)) {}

  void write_pairs(const std::filesystem::path& folder, const std::string& name, int count) {
    std::string source, target;
    for (int i = 0; i < count; ++i) {
      const auto subject = phrase(), object = phrase();
      const auto verb = pick({"sees/vid", "likes/ama", "finds/trova", "eats/manja", "wants/vol"});
      source += subject.first + " " + verb.first + " " + object.first + ".\n";
      target += subject.second + " " + object.second + " " + verb.second + ".\n";
    }
    write(folder / (name + ".aa"), source);
    write(folder / (name + ".bb"), target);
  }

 private:
  using Words = std::pair<std::string, std::string>;

  Words pick(const std::vector<std::string>& choices) {
    const std::string word = choices[below(key_, ++at_, static_cast<std::uint32_t>(choices.size()))];
    const auto slash = word.find('/');
    return {word.substr(0, slash), word.substr(slash + 1)};
  }
  Words phrase() {
    const Words article = pick({"the/lo", "a/un", "every/cada"});
    const Words noun = pick({"dog/can", "cat/gat", "bird/ocel", "man/ome", "woman/femna", "fish/peis"});
    if (below(key_, ++at_, 3) == 0)
      return {article.first + " " + noun.first, article.second + " " + noun.second};
    const Words adjective =
        pick({"big/grand", "small/pichon", "old/vielh", "red/roge", "green/verd", "good/bon"});
    return {article.first + " " + adjective.first + " " + noun.first,
            article.second + " " + noun.second + " " + adjective.second};
  }

  RandomKey key_;
  std::uint64_t at_ = 0;
};

constexpr auto recipe = R"(
[data]
source_language = "aa"
target_language = "bb"
train_source = "train.aa"
train_target = "train.bb"
valid_source = "valid.aa"
valid_target = "valid.bb"
[tokenizer]
vocabulary = 70
byte_fallback = false
[model]
preset = "custom"
encoder_layers = 1
decoder_layers = 1
width = 64
dropout = 0
%MODEL%
[training]
updates = 400
batch_tokens = 600
rate = 0.005
warmup = 80
schedule = "cosine"
label_smoothing = 0
clip_norm = 1
validate_every = 200
save_every = 100
average_last = 2
[decoding]
beam = 4
)";

struct Kind {
  std::string name, recipe;  ///< what of the recipe is its own
  std::string architecture;
};

std::vector<Kind> kinds() {
  const auto recurrent = [](const std::string& keys) { return "kind = \"recurrent\"\n[recurrent]\n" + keys; };
  return {{"transformer", "feed_forward = 128\nheads = 4", "Transformer (Vaswani et al. 2017)"},
          {"bahdanau", recurrent("attention = \"additive\""), "attention     additive, softmax"},
          {"luong",
           recurrent("cell = \"lstm\"\nattention = \"general\"\norder = \"luong\"\ninput_feeding = true"),
           "order         luong, input feeding"}};
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t begin = 0, end; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1)
    lines.push_back(text.substr(begin, end - begin));
  return lines;
}

class Translation : public testing::TestWithParam<Kind> {};

TEST_P(Translation, ASmallTaskIsLearnedTranslatedScoredAndSeen) {
  const ScratchFolder folder(training::test::memory_folder());
  Grammar(1).write_pairs(folder.path(), "train", 1500);
  Grammar(2).write_pairs(folder.path(), "valid", 50);
  Grammar(3).write_pairs(folder.path(), "test", 200);
  write(folder / "task.toml", std::regex_replace(recipe, std::regex("%MODEL%"), GetParam().recipe));
  const std::string model = shell_word(folder / "run");
  const auto trained = run_fovea("train " + shell_word(folder / "task.toml") + " --data " +
                                 shell_word(folder.path()) + " --output " + model + " --threads 1");
  ASSERT_EQ(trained.code, 0) << trained.err;
  EXPECT_EQ(trained.out, "");
  EXPECT_CONTAINS(trained.err, "update 400: done; ");
  EXPECT_CONTAINS(run_fovea("inspect " + model).out, GetParam().architecture);

  const auto translated =
      run_fovea("translate --model " + model + " --input " + shell_word(folder / "test.aa") + " --threads 1");
  ASSERT_EQ(translated.code, 0) << translated.err;
  const auto hypotheses = lines_of(translated.out), references = lines_of(read(folder / "test.bb"));
  ASSERT_EQ(hypotheses.size(), references.size());
  int right = 0;
  for (std::size_t i = 0; i < references.size(); ++i) right += hypotheses[i] == references[i];
  EXPECT_GE(right, 190) << trained.err << translated.out;

  write(folder / "hypotheses", translated.out);
  const auto scored = run_fovea("evaluate --hypothesis " + shell_word(folder / "hypotheses") +
                                " --reference " + shell_word(folder / "test.bb") + " --json");
  ASSERT_EQ(scored.code, 0) << scored.err;
  const auto json = formats::Json::parse(scored.out, {"scores", Error::Kind::bug});
  EXPECT_GT((*json.elements().begin()).at("score").number(), 90) << scored.out;

  const auto seen = run_fovea("attend --model " + model + " 'the dog sees a red fish.'");
  EXPECT_EQ(seen.code, 0) << seen.err;
  EXPECT_CONTAINS(seen.out, "roge");
  const auto aligned = run_fovea("align --model " + model + " --source " + shell_word(folder / "test.aa") +
                                 " --target " + shell_word(folder / "test.bb"));
  EXPECT_EQ(aligned.code, 0) << aligned.err;
  EXPECT_EQ(lines_of(aligned.out).size(), references.size());
}

INSTANTIATE_TEST_SUITE_P(Kinds, Translation, testing::ValuesIn(kinds()),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace fovea::e2e
