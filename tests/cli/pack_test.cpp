// fovea pack: the same answers from a file that is mapped, while it is there and when it is not any more.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>

#include "tests/cli/run.h"
#include "tests/cli/small_encoder.h"
#include "tests/decoding/small_language_model.h"
#include "tests/decoding/small_model.h"

namespace fovea::cli {
namespace {

using test::ScratchFolder;
using test::SmallModel;

// Translates the lines that it is given, one after the other.
class Translating {
 public:
  Translating(const std::string& model, const std::string& log) {
    int to[2], from[2];
    if (::pipe(to) || ::pipe(from)) throw std::runtime_error("pipe");
    pid_ = ::fork();
    if (pid_ == 0) {
      ::dup2(to[0], STDIN_FILENO);
      ::dup2(from[1], STDOUT_FILENO);
      std::freopen(log.c_str(), "w", stderr);
      for (const int end : {to[0], to[1], from[0], from[1]}) ::close(end);
      ::execl(FOVEA_BINARY, FOVEA_BINARY, "translate", "--dtype", "int8", "--threads", "1", "--model",
              model.c_str(), nullptr);
      ::_exit(127);
    }
    ::close(to[0]);
    ::close(from[1]);
    in_ = ::fdopen(to[1], "w");
    out_ = ::fdopen(from[0], "r");
  }
  ~Translating() {
    if (in_) std::fclose(in_);
    std::fclose(out_);
    if (pid_ > 0) ::kill(pid_, SIGKILL), ::waitpid(pid_, nullptr, 0);
  }
  Translating(const Translating&) = delete;
  Translating& operator=(const Translating&) = delete;

  pid_t pid() const { return pid_; }
  // Without waiting for what comes of it.
  void say(const std::string& line) {
    std::fputs((line + "\n").c_str(), in_);
    std::fflush(in_);
  }
  std::string ask(const std::string& line) {
    say(line);
    char answer[4096] = "";
    return std::fgets(answer, sizeof answer, out_) ? answer : "nothing";
  }
  int wait() {
    std::fclose(in_);
    in_ = nullptr;
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = -1;
    return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
  }

 private:
  pid_t pid_ = -1;
  FILE *in_ = nullptr, *out_ = nullptr;
};

class Pack : public testing::Test {
 protected:
  RunResult pack(const std::string& dtype) const {
    return run_fovea("pack --model " + shell_word(model_.string()) + " --dtype " + dtype);
  }
  std::string translated(const std::string& dtype) const {
    const auto result = run_fovea("translate --model " + shell_word(model_.string()) + " --dtype " + dtype +
                                  " 'A dog runs.' 'Two men are here.'");
    EXPECT_EQ(result.code, 0) << result.err;
    return result.out;
  }
  std::string inspected() const { return run_fovea("inspect " + shell_word(model_.string())).out; }

  ScratchFolder folder_;
  std::filesystem::path model_ = SmallModel::copy(folder_);
};

TEST_F(Pack, GivesTheSameTranslations) {
  for (const std::string dtype : {"f32", "bf16", "int8"}) {
    const auto before = translated(dtype);
    const auto result = pack(dtype);
    EXPECT_EQ(result.code, 0) << result.err;
    EXPECT_CONTAINS(result.out,
                    "packed-" + dtype + ".safetensors holds the weights as the processor reads them, ");
    EXPECT_EQ(translated(dtype), before);
  }
  EXPECT_CONTAINS(inspected(), "packed        f32, bf16, int8\n");
  replace_in(model_ / "model.safetensors", "\"__metadata__\":{\"format\":\"pt\"}",
             "\"__metadata__\":{\"format\":\"pu\"}");
  EXPECT_CONTAINS(inspected(), "packed        f32 (outdated), bf16 (outdated), int8 (outdated)\n");
}

TEST_F(Pack, ServesModelsOfEveryKind) {
  write_encoder(folder_ / "classifier", models::BertConfig::Head::text);
  const ScratchFolder other;
  const auto language = test::write_language_model(other);
  for (const auto& [model, command] :
       {std::pair((folder_ / "classifier").string(), std::string("classify 'a fine film' --model ")),
        {language.string(), "generate --max-new-tokens 8 --min-new-tokens 8 Once --model "}}) {
    const auto before = run_fovea(command + shell_word(model)).out;
    EXPECT_NE(before, "");
    EXPECT_EQ(run_fovea("pack --model " + shell_word(model)).code, 0);
    EXPECT_CONTAINS(run_fovea("inspect " + shell_word(model)).out, "packed        f32\n");
    EXPECT_EQ(run_fovea(command + shell_word(model)).out, before);
  }
}

TEST_F(Pack, CopiesOfTheModelLeaveItBehind) {
  ASSERT_EQ(pack("f32").code, 0);
  const auto to = folder_ / "copy";
  ASSERT_EQ(run_fovea("quantize --to int8 --model " + shell_word(model_.string()) + " --output " +
                      shell_word(to.string()))
                .code,
            0);
  EXPECT_FALSE(std::filesystem::exists(to / "packed-f32.safetensors"));
}

TEST_F(Pack, AModelThatIsDeletedWhileItIsMappedGoesOn) {
  ASSERT_EQ(pack("int8").code, 0);
  Translating running(model_.string(), folder_.path("log"));
  const auto first = running.ask("A dog runs.");
  std::filesystem::remove_all(model_);
  EXPECT_EQ(running.ask("A dog runs."), first);
  EXPECT_EQ(running.wait(), 0);
}

TEST_F(Pack, A21_AFileCutShortWhileItIsMappedEndsWithALine) {
  ASSERT_EQ(pack("int8").code, 0);
  Translating running(model_.string(), folder_.path("log"));
  running.ask("A dog runs.");
  std::filesystem::resize_file(model_ / "packed-int8.safetensors", 64);
  running.say("Two men are here.");
  EXPECT_EQ(running.wait(), 4);
  const auto said = read_file(folder_.path("log"));
  EXPECT_EQ(count(said, "\n"), 1) << said;
  EXPECT_CONTAINS(said, "packed-int8.safetensors: was cut short");
}

// kB of one kind, of all that a process maps of `file`.
long kilobytes(pid_t pid, const std::string& file, const std::string& kind) {
  std::ifstream maps("/proc/" + std::to_string(pid) + "/smaps");
  bool within = false;
  long sum = 0;
  for (std::string line; std::getline(maps, line);) {
    if (line.find('-') < line.find(' ') && line.find(':') > line.find(' ')) within = contains(line, file);
    if (within && line.starts_with(kind + ":")) sum += std::stol(line.substr(kind.size() + 1));
  }
  return sum;
}

TEST_F(Pack, ProcessesShareOneCopy) {
  ASSERT_EQ(pack("int8").code, 0);
  Translating one(model_.string(), folder_.path("one")), other(model_.string(), folder_.path("other"));
  EXPECT_EQ(one.ask("A dog runs."), other.ask("A dog runs."));
  for (const auto* process : {&one, &other}) {
    const auto of = [&](const std::string& kind) { return kilobytes(process->pid(), "packed-int8", kind); };
    EXPECT_GT(of("Shared_Clean") + of("Shared_Dirty"), 0);
    // Its own copies. A page of the file that only one process has touched yet counts as private, and one not
    // on the disk yet as dirty: neither is a copy.
    EXPECT_EQ(of("Anonymous"), 0);
  }
}

TEST_F(Pack, A14_ADamagedFileIsNamedAndCanBeMadeAgain) {
  ASSERT_EQ(pack("int8").code, 0);
  const auto before = translated("int8");
  for (const std::uintmax_t bytes : {1000, 3, 0}) {
    std::filesystem::resize_file(model_ / "packed-int8.safetensors", bytes);
    expect_failure(run_fovea("translate dog --dtype int8 --model " + shell_word(model_.string())), 4,
                   "packed-int8.safetensors");
    EXPECT_EQ(run_fovea("translate dog --dtype bf16 --model " + shell_word(model_.string())).code, 0);
    EXPECT_EQ(pack("int8").code, 0);
    EXPECT_EQ(translated("int8"), before);
  }
  // The end of the last tensor are scales; 0xff four times is no number.
  const auto path = (model_ / "packed-int8.safetensors").string();
  auto bytes = read_file(path);
  std::fill(bytes.end() - 256, bytes.end(), '\xff');
  std::ofstream(path, std::ios::binary) << bytes;
  expect_failure(run_fovea("translate dog --dtype int8 --model " + shell_word(model_.string())), 4,
                 "is no finite number");
  EXPECT_EQ(pack("int8").code, 0);
  EXPECT_EQ(translated("int8"), before);
}

TEST_F(Pack, BadInputGetsOneLine) {
  expect_failure(pack("int4"), 2, "--dtype");
  expect_failure(run_fovea("pack --model " + folder_.path("nothing")), 4, "nothing");
}

}  // namespace
}  // namespace fovea::cli
