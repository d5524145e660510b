// The frame that every subcommand stands in: help, mistakes, exit codes, standard output.
#include <gtest/gtest.h>

#include <sstream>
#include <vector>

#include "fovea/formats/safetensors.h"
#include "tests/cli/run.h"
#include "tests/cli/small_encoder.h"
#include "tests/decoding/small_language_model.h"
#include "tests/decoding/small_model.h"

namespace fovea::cli {
namespace {

std::vector<std::string> subcommands() {
  std::istringstream help(run_fovea("--help").out);
  std::vector<std::string> names;
  bool listing = false;
  for (std::string line; std::getline(help, line);) {
    if (listing && line.starts_with("  ") && line[2] != ' ')
      names.push_back(line.substr(2, line.find(' ', 2) - 2));
    if (line == "Subcommands:") listing = true;
  }
  return names;
}

TEST(CommandLine, AloneItPrintsAShortHelp) {
  const auto result = run_fovea("");
  EXPECT_EQ(result.code, 0);
  EXPECT_EQ(result.err, "");
  EXPECT_CONTAINS(result.out, "Subcommands:");
  EXPECT_LE(count(result.out, "\n"), 40);
}

TEST(CommandLine, EveryHelpEndsInAnExampleOfThatCommand) {
  const auto names = subcommands();
  EXPECT_GE(names.size(), 2u);
  for (const std::string& name : names) {
    const auto result = run_fovea(name + " --help");
    EXPECT_EQ(result.code, 0) << name;
    const auto example = result.out.rfind("\nExample: ");
    ASSERT_NE(example, std::string::npos) << name;
    EXPECT_CONTAINS(result.out.substr(example), "fovea " + name);
    EXPECT_EQ(count(result.out.substr(example + 1), "\n"), 1) << name << ": the example is not the last line";
  }
}

/// The example that ends a help, as it is printed there.
std::string example_of(const std::string& command) {
  const std::string help = run_fovea(command + " --help").out;
  const std::string example = help.substr(help.rfind("\nExample: ") + 10);
  return example.substr(0, example.find('\n'));
}

/// Of rank 1, on one module of a Llama 32 wide.
void write_adapter(const std::filesystem::path& folder, const std::string& base) {
  std::filesystem::create_directories(folder);
  std::ofstream(folder / "adapter_config.json")
      << R"({"peft_type": "LORA", "r": 1, "base_model_name_or_path": ")" << base << "\"}";
  formats::SafetensorsWriter file;
  const std::string module = "base_model.model.model.layers.0.self_attn.q_proj.lora_";
  file.add(module + "A.weight", Tensor::full({1, 32}, 0.1f));
  file.add(module + "B.weight", Tensor::full({32, 1}, 0.1f));
  file.save(folder / "adapter_model.safetensors");
}

// In bash, in a folder where a model is in models/, runs in runs/, and encoders beside them. Of train:
// tests/cli/train_test.cpp has the data.
TEST(CommandLine, TheExamplesWork) {
  const test::ScratchFolder folder;
  const std::string name = "tatoeba-en-de";
  std::filesystem::create_directory(folder / "models");
  std::filesystem::create_directory(folder / "runs");
  std::filesystem::create_directory(folder / "bin");
  std::filesystem::create_symlink(FOVEA_BINARY, folder / "bin/fovea");
  const auto model = test::SmallModel::copy(folder, "models/" + name),
             here = test::SmallModel::copy(folder, "runs/" + name);
  for (const char* checkpoint : {"checkpoints/checkpoint-000010", "checkpoints/checkpoint-000020"}) {
    std::filesystem::create_directories(here / checkpoint);
    std::filesystem::copy(here / "model.safetensors", here / checkpoint);
    std::ofstream(here / checkpoint / "training_state.json") << "{}";
  }
  using Head = models::BertConfig::Head;
  write_encoder(folder / "runs/sst2", Head::text);
  write_encoder(folder / "all-MiniLM-L6-v2", Head::none);
  write_encoder(folder / "bert-base-uncased", Head::masked);
  folder.write("notes.txt", "the film was fine\n");
  test::SmallModel::copy(folder, "runs/aeslc");
  folder.write("mails.txt", "the meeting is on friday at nine\n");
  std::filesystem::rename(test::write_language_model(folder), folder / "models/gpt2");
  write_adapter(folder / "runs/shakespeare-lora", "../../models/gpt2");
  auto names = subcommands();
  std::erase(names, "train");
  names.push_back("");
  for (const std::string& command : names) {
    const std::string script = "cd " + shell_word(folder.path().string()) + " && export FOVEA_MODEL=models/" +
                               name + " PATH=\"$PWD/bin:$PATH\" && " + example_of(command);
    const auto result = run("bash -c " + shell_word(script));
    EXPECT_EQ(result.code, 0) << example_of(command) << "\n" << result.err;
    EXPECT_NE(result.out, "") << example_of(command);
  }
}

TEST(CommandLine, VersionNamesCompilerAndKernels) {
  const auto result = run("FOVEA_KERNELS=plain " + shell_word(FOVEA_BINARY) + " --version");
  EXPECT_EQ(result.code, 0);
  EXPECT_TRUE(result.out.starts_with("fovea 0."));
  EXPECT_CONTAINS(result.out, "\ncompiler ");
  EXPECT_CONTAINS(result.out, "\nkernels plain\n");
}

TEST(CommandLine, DoctorSaysWhatRuns) {
  const auto result = run("FOVEA_KERNELS=reference " + shell_word(FOVEA_BINARY) + " doctor");
  EXPECT_EQ(result.code, 0);
  EXPECT_CONTAINS(result.out, "reference (chosen by FOVEA_KERNELS)");
  EXPECT_CONTAINS(result.out, "processor ");
}

TEST(CommandLine, DoctorSaysWhichKernelsServeAttention) {
  const auto doctor = [](const std::string& set) {
    return run("FOVEA_KERNELS=" + set + " " + shell_word(FOVEA_BINARY) + " doctor").out;
  };
  EXPECT_CONTAINS(doctor("plain"),
                  "\nattention     tiled dot product, tiled additive, one query over a cache: plain\n");
  EXPECT_CONTAINS(doctor("reference"), "over a cache: reference (the formulas as loops: slow)\n");
  EXPECT_CONTAINS(doctor("plain"),
                  ": bf16, and caches of bf16 and i8, are widened to f32 as they are read\n");
  const bool best = kernels::has_16_bit_dot() && kernels::default_kernels() == kernels::KernelSet::avx512;
  EXPECT_EQ(contains(run_fovea("doctor").out, "\n16-bit dots   used: "), best);
}

TEST(CommandLine, AnUnknownKernelSetIsAUsageError) {
  expect_failure(run("FOVEA_KERNELS=avx9 " + shell_word(FOVEA_BINARY) + " doctor"), 2,
                 "unknown kernel set 'avx9'");
}

TEST(CommandLine, I16_UnknownCommandsAndOptionsNameTheNearest) {
  expect_failure(run_fovea("evalute"), 2, "unknown command 'evalute'; did you mean evaluate?");
  expect_failure(run_fovea("--vresion"), 2, "unknown option '--vresion'; did you mean --version?");
  expect_failure(run_fovea("evaluate --hypotesis=a"), 2,
                 "unknown option '--hypotesis'; did you mean --hypothesis?");
  expect_failure(run_fovea("evaluate --hypotesis a --reference b"), 2, "did you mean --hypothesis?");
  expect_failure(run_fovea("doctor --zzzzzzzz"), 2, "unknown option '--zzzzzzzz'; see fovea doctor --help");
  expect_failure(run_fovea("zzzzzzzz"), 2, "unknown command 'zzzzzzzz'; see fovea --help");
  expect_failure(run_fovea("\"$(printf 'a\\nb')\""), 2, "unknown command 'a\\x0ab'");
}

TEST(CommandLine, WordsWithoutACommandAreAUsageError) {
  expect_failure(run_fovea("-- translate hi"), 2, "no command was named");
}

TEST(CommandLine, APrintedRecipeNamesItsRunAsItsFile) {
  for (const std::string preset : {"transformer-tiny", "llama-tiny", "masked-transformer-tiny"})
    EXPECT_CONTAINS(run_fovea("train --print-recipe " + preset).out, "\nname = \"\"");
}

TEST(CommandLine, OneTextAloneComesFromStandardInput) {
  expect_failure(run_fovea("score --source - --target -"), 2, "only one text");
  expect_failure(run_fovea("evaluate --hypothesis - --reference -"), 2, "only one text");
  expect_failure(run_fovea("evaluate --dictionary words"), 2, "--dictionary needs --model");
  expect_failure(run_fovea("evaluate --hypothesis a --reference b --confusion c.svg"), 2, "--data");
}

TEST(CommandLine, I16_MissingRepeatedAndSurplusArguments) {
  expect_failure(run_fovea("evaluate"), 2, "--reference is required");
  expect_failure(run_fovea("evaluate --hypothesis"), 2, "--hypothesis");
  expect_failure(run_fovea("evaluate --hypothesis a --hypothesis b --reference c"), 2, "--hypothesis");
  expect_failure(run_fovea("doctor surplus"), 2, "doctor: unexpected argument 'surplus'");
  expect_failure(run_fovea("evaluate --hypothesis a --reference b --tokenize 14a"), 2, "14a not in");
}

TEST(CommandLine, I13_AReaderThatLeavesEndsTheProgramQuietly) {
  const auto result = run("{ " + shell_word(FOVEA_BINARY) + " doctor; echo $? >&2; } | true");
  EXPECT_TRUE(result.err == "141\n" || result.err == "0\n") << result.err;  // 0: the writer was first
  // A pipe whose reader is gone for certain: the fifo's only reader closes it before the program starts.
  const test::ScratchFolder folder;
  const std::string fifo = shell_word(folder.path("fifo"));
  const auto closed = run("mkfifo " + fifo + "; { exec 3<" + fifo + "; exec 3<&-; } & exec 4>" + fifo +
                          "; wait; " + shell_word(FOVEA_BINARY) + " doctor >&4; echo $?");
  EXPECT_EQ(closed.out, "141\n");
  EXPECT_EQ(closed.err, "");
}

TEST(CommandLine, I14_AFullDiskOnStandardOutputIsAnError) {
  for (const std::string command : {"doctor", "--help", "--version", ""})
    expect_failure(run_fovea(command + " >/dev/full"), 5,
                   "standard output: cannot write: No space left on device");
  EXPECT_EQ(run_fovea("doctor >&-").code, 5);
}

TEST(CommandLine, I15_LocaleAndTerminalDoNotMatter) {
  const std::string expected = run_fovea("--help").out;
  for (const std::string environment :
       {"LANG=C", "LC_ALL=tr_TR.UTF-8", "-u LANG", "NO_COLOR=1", "COLUMNS=1", "TERM=dumb"})
    EXPECT_EQ(run("env " + environment + " " + shell_word(FOVEA_BINARY) + " --help").out, expected)
        << environment;
}

}  // namespace
}  // namespace fovea::cli
