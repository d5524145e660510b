#pragma once

#include <sys/wait.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

#include "tests/base/scratch.h"

namespace fovea::cli {

inline std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// `text` as one word of the shell.
inline std::string shell_word(const std::string& text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

struct RunResult {
  int code = -1;  ///< exit code, or 128 + the signal's number
  std::string out, err;
};

/// Runs `command` in sh, with nothing on standard input unless it says otherwise.
inline RunResult run(const std::string& command) {
  const test::ScratchFolder folder;
  const std::string out = folder.path("out"), err = folder.path("err");
  const int status =
      std::system(("{ " + command + "\n} </dev/null >" + shell_word(out) + " 2>" + shell_word(err)).c_str());
  return {WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status), read_file(out), read_file(err)};
}

/// Runs the program with `arguments`, written as for the shell.
inline RunResult run_fovea(const std::string& arguments) {
  return run(shell_word(FOVEA_BINARY) + " " + arguments);
}

/// How often `part` stands in `text`.
inline int count(const std::string& text, const std::string& part) {
  int found = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size())) ++found;
  return found;
}

inline bool contains(const std::string& text, const std::string& part) { return count(text, part) > 0; }

#define EXPECT_CONTAINS(text, part) EXPECT_TRUE(::fovea::cli::contains(text, part)) << (text)

/// Expects exit code `code`, nothing on stdout, and one line on stderr that begins "fovea: " and holds
/// `part`.
inline void expect_failure(const RunResult& result, int code, const std::string& part) {
  EXPECT_EQ(result.code, code) << result.err;
  EXPECT_EQ(result.out, "");
  EXPECT_TRUE(result.err.starts_with("fovea: ")) << result.err;
  EXPECT_EQ(count(result.err, "\n"), 1) << result.err;
  EXPECT_CONTAINS(result.err, part);
}

/// Replaces the first `from` in a text file by `to`; it must be there.
inline void replace_in(const std::filesystem::path& file, const std::string& from, const std::string& to) {
  std::string text = read_file(file.string());
  const auto at = text.find(from);
  ASSERT_NE(at, std::string::npos) << file << " does not hold " << from;
  std::ofstream(file, std::ios::binary) << text.replace(at, from.size(), to);
}

}  // namespace fovea::cli
