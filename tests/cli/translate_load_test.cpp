// fovea translate under load: files of any length, long lines, many threads, signals in mid-file.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <sstream>
#include <thread>

#include "tests/cli/run.h"
#include "tests/decoding/small_model.h"

namespace fovea::cli {
namespace {

using test::SmallModel;

/// The program as a child of its own, which hears signals as from a terminal.
class Child {
 public:
  Child(const std::vector<std::string>& flags, const std::string& in, const std::string& out) {
    std::vector<std::string> words{FOVEA_BINARY, "translate", "--model", SmallModel::folder().string()};
    words.insert(words.end(), flags.begin(), flags.end());
    std::vector<char*> arguments;
    for (auto& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    pid_ = fork();
    if (pid_ != 0) return;
    dup2(open(in.c_str(), O_RDONLY), STDIN_FILENO);
    dup2(open(out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), STDOUT_FILENO);
    execv(FOVEA_BINARY, arguments.data());
    _exit(127);
  }
  void signal(int number) const { kill(pid_, number); }

  struct Ended {
    int code;
    long peak_kilobytes;
  };
  Ended wait() const {
    int status = 0;
    struct rusage usage = {};
    wait4(pid_, &status, 0, &usage);
    return {WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status), usage.ru_maxrss};
  }

 private:
  pid_t pid_ = -1;
};

std::string many_lines(int count) {
  std::string text;
  for (int i = 0; i < count; ++i) {
    text += i % 50 == 7 ? "" : i % 3 == 0 ? "baren" : i % 3 == 1 ? "the der moli" : "zwei schlei, the";
    text += i % 97 == 0 ? " der baren zwei the\n" : "\n";
  }
  return text;
}

/// Peak memory of translating so many lines.
long peak_of(int lines, const std::vector<std::string>& flags) {
  const test::ScratchFolder folder;
  const auto ended = Child(flags, folder.write("in", many_lines(lines)), folder.path("out")).wait();
  EXPECT_EQ(ended.code, 0);
  EXPECT_EQ(count(read_file(folder.path("out")), "\n"), lines);
  return ended.peak_kilobytes;
}

TEST(TranslateLoad, MemoryDoesNotGrowWithTheFile) {
  const std::vector<std::string> flags{"--threads", "1", "--beam", "2", "--max-length", "6"};
  const long some = peak_of(8'000, flags), more = peak_of(24'000, flags);
  EXPECT_LT(more, some + 4096) << some << " kB";
}

TEST(TranslateLoad, SlowAMillionLinesInBoundedMemory) {
  const std::vector<std::string> flags{"--beam", "1", "--max-length", "4"};
  const long some = peak_of(20'000, flags), million = peak_of(1'000'000, flags);
  EXPECT_LT(million, some + 8192) << some << " kB";
}

TEST(TranslateLoad, LinesOfTwentyThousandTokens) {
  const test::ScratchFolder folder;
  std::string line;
  for (int i = 0; i < 10'000; ++i) line += "ba ";
  const std::string in = folder.write("in", "baren\n" + line + "\n\nthe\n");
  for (const std::string flags :
       {"--beam 3", "--temperature 1", "--stream --beam 1", "--alternatives --nbest 2"}) {
    const auto found = run(shell_word(FOVEA_BINARY) + " translate --model " +
                           shell_word(SmallModel::folder().string()) + " " + flags + " <" + in);
    EXPECT_EQ(found.code, 0) << found.err;
    EXPECT_GE(count(found.out, "\n"), 4);
    EXPECT_CONTAINS(found.err, "line 2: too long for one piece");
    EXPECT_FALSE(contains(found.out, "nan\t"));
  }
}

TEST(TranslateLoad, SixtyFourThreadsSayWhatOneSays) {
  const test::ScratchFolder folder;
  const std::string in = folder.write("in", many_lines(60));
  const auto with = [&](const std::string& threads) {
    Child({"--threads", threads, "--nbest", "2"}, in, folder.path("out")).wait();
    return read_file(folder.path("out"));
  };
  const std::string one = with("1");
  EXPECT_GT(count(one, "\n"), 60);
  EXPECT_EQ(with("64"), one);
}

// What is read of a model is read at its start: it may then be replaced, cut short or deleted.
TEST(TranslateLoad, AModelDeletedOrCutWhileItIsInUse) {
  for (const std::string harm : {"rm -r MODEL", ": >MODEL/model.safetensors", "rm MODEL/*.spm MODEL/*.json"})
    for (const std::string dtype : {"f32", "int8"}) {
      const test::ScratchFolder folder;
      SmallModel::copy(folder);
      std::string command = harm;
      for (auto at = command.find("MODEL"); at != std::string::npos; at = command.find("MODEL"))
        command.replace(at, 5, folder.path("model"));
      const std::string in = folder.path("in"), out = folder.path("out");
      const auto found =
          run("mkfifo " + in + " " + out + "; " + shell_word(FOVEA_BINARY) +
              " translate --threads 1 --dtype " + dtype + " --model " + folder.path("model") + " <" + in +
              " >" + out + " & exec 3>" + in + " 4<" + out + "; echo baren >&3; read -r one <&4; " + command +
              "; echo the der zwei >&3; read -r two <&4; exec 3>&-; wait $!; echo $?; "
              "echo \"$one\"; echo \"$two\"");
      EXPECT_EQ(found.err, "") << harm;
      EXPECT_EQ(found.out.substr(0, 2), "0\n") << harm;
      const std::string both = run_fovea("translate --threads 1 --dtype " + dtype + " --model " +
                                         shell_word(SmallModel::folder().string()) + " baren 'the der zwei'")
                                   .out;
      EXPECT_EQ(found.out.substr(2), both) << harm;
    }
}

TEST(TranslateLoad, WorkersSayWhatOneSays) {
  const test::ScratchFolder folder;
  const std::string in = folder.write("in", many_lines(5'000));
  const auto with = [&](std::vector<std::string> flags) {
    flags.insert(flags.end(), {"--beam", "1", "--max-length", "8"});
    EXPECT_EQ(Child(flags, in, folder.path("out")).wait().code, 0);
    return read_file(folder.path("out"));
  };
  const std::string one = with({"--threads", "1"});
  EXPECT_EQ(count(one, "\n"), 5'000);
  EXPECT_EQ(with({"--threads", "3", "--workers", "2"}), one);
  EXPECT_EQ(with({"--workers", "64", "--batch", "3"}), one);
  EXPECT_EQ(with({"--workers", "1", "--batch", "7"}), one);
}

// The lines come through a pipe, faster than they are translated: one batch from beginning to end.
TEST(TranslateLoad, LinesThroughAPipeAreNotWaitedFor) {
  const test::ScratchFolder folder;
  const std::string in = folder.write("in", many_lines(3'000));
  const auto result = run("cat " + in + " | " + shell_word(FOVEA_BINARY) + " translate --beam 1 --model " +
                          shell_word(SmallModel::folder().string()));
  EXPECT_EQ(result.code, 0) << result.err;
  Child({"--beam", "1"}, in, folder.path("out")).wait();
  EXPECT_EQ(result.out, read_file(folder.path("out")));
}

TEST(TranslateLoad, ASignalInMidFileLeavesWholeLinesInOrder) {
  constexpr int lines = 600'000;  // many seconds of work, however fast the machine
  const test::ScratchFolder folder;
  const std::string in = folder.write("in", many_lines(lines));
  const std::vector<std::string> flags{"--threads", "2", "--beam", "4", "--max-length", "8"};
  Child(flags, folder.write("few", many_lines(6'000)), folder.path("expected")).wait();
  const std::string expected = read_file(folder.path("expected"));
  for (const int number : {SIGINT, SIGTERM}) {
    const Child child(flags, in, folder.path("out"));
    for (int waited = 0; read_file(folder.path("out")).empty() && waited < 1000; ++waited)
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    child.signal(number);
    EXPECT_EQ(child.wait().code, 128 + number);
    const std::string out = read_file(folder.path("out"));
    ASSERT_FALSE(out.empty());
    EXPECT_EQ(out.back(), '\n');
    EXPECT_LT(count(out, "\n"), lines);
    const std::size_t both = std::min(out.size(), expected.size());
    EXPECT_EQ(out.substr(0, both), expected.substr(0, both));
  }
  // A file appears whole or not at all.
  auto to_file = flags;
  to_file.insert(to_file.end(), {"--output", folder.path("file")});
  const Child child(to_file, in, folder.path("nothing"));
  std::this_thread::sleep_for(std::chrono::milliseconds(400));
  child.signal(SIGINT);
  EXPECT_EQ(child.wait().code, 130);
  EXPECT_FALSE(std::filesystem::exists(folder.path("file")));
}

}  // namespace
}  // namespace fovea::cli
