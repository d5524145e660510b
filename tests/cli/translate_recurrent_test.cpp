// fovea translate with recurrent models: the same flags as with a Transformer, and a clear word where there
// is no attention to ask.
#include <gtest/gtest.h>

#include "tests/cli/run.h"
#include "tests/decoding/small_model.h"

namespace fovea::cli {
namespace {

using test::ScratchFolder;

/// A recurrent model directory with random weights.
std::string make_model(const ScratchFolder& scratch, const std::string& attention, bool copy) {
  const auto& tokenizer = test::small_tokenizer();
  models::RecurrentConfig config;
  config.source_vocabulary = config.target_vocabulary = tokenizer.target_vocabulary().size();
  config.width = config.embedding = config.attention_width = 16;
  config.max_positions = 64;
  config.score = attention;
  config.copy = copy;
  const models::RecurrentModel model(config, 7);
  const auto folder = scratch / attention;
  std::filesystem::create_directories(folder);
  for (const auto& [name, content] : tokenizer.files()) write_atomically(folder / name, content);
  write_atomically(folder / "config.json", models::config_json(config, {}, DType::f32));
  write_atomically(folder / "generation_config.json", models::generation_config_json(config, {.beam = 2}));
  model.weights_file(DType::f32).save(folder / "model.safetensors");
  return folder.string();
}

RunResult translate(const std::string& model, const std::string& arguments) {
  return run(shell_word(FOVEA_BINARY) + " translate --threads 1 --max-tokens 48 --model " +
             shell_word(model) + " " + arguments + " 'baren schlei the.'");
}

TEST(TranslateRecurrent, CopiesAndAsksWhereItLooked) {
  const ScratchFolder scratch;
  const std::string model = make_model(scratch, "additive", true);
  for (const char* flags : {"", "--coverage-penalty 0.2 --length-penalty-kind gnmt", "--replace-unknown",
                            "--coverage-penalty 0.2 --replace-unknown --beam 4"}) {
    const auto result = translate(model, flags);
    EXPECT_EQ(result.code, 0) << flags << result.err;
    EXPECT_EQ(count(result.out, "\n"), 1) << flags;
  }
}

TEST(TranslateRecurrent, InspectionSaysThatItCopies) {
  const ScratchFolder scratch;
  const std::string model = shell_word(make_model(scratch, "additive", true));
  EXPECT_EQ(count(run(shell_word(FOVEA_BINARY) + " inspect " + model).out, "additive, softmax, copied from"),
            1);
  EXPECT_EQ(count(run(shell_word(FOVEA_BINARY) + " inspect --json " + model).out, "\"copy\": true"), 1);
}

TEST(TranslateRecurrent, WithoutAttentionThatIsRefused) {
  const ScratchFolder scratch;
  const std::string model = make_model(scratch, "none", false);
  EXPECT_EQ(translate(model, "").code, 0);
  for (const char* flags : {"--coverage-penalty 0.2", "--replace-unknown"})
    expect_failure(translate(model, flags), 2, "the model has no attention to its source");
}

}  // namespace
}  // namespace fovea::cli
