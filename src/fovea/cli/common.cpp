#include "fovea/cli/common.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <system_error>

#include "fovea/base/error.h"
#include "fovea/data/lines.h"
#include "fovea/text/utf8.h"

namespace fovea::cli {

void Output::write(std::string_view text) {
  buffer_.append(text);
  if (buffer_.size() >= capacity) flush();
}

void Output::flush() {
  std::string_view rest = buffer_;
  while (!rest.empty()) {
    const ssize_t written = ::write(STDOUT_FILENO, rest.data(), rest.size());
    if (written >= 0) {
      rest.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno == EPIPE) {
      throw BrokenPipe();
    } else if (errno != EINTR) {
      const std::string why = std::generic_category().message(errno);
      throw Error(Error::Kind::machine, "standard output", "cannot write: " + why);
    }
  }
  buffer_.clear();
}

void print(std::string_view text) {
  Output out;
  out.write(text);
  out.flush();
}

void warn(std::string_view text) {
  std::fprintf(stderr, "fovea: warning: %.*s\n", static_cast<int>(text.size()), text.data());
}

void warn_of_repairs(const data::LineStatistics& read) {
  if (read.invalid_lines > 0)
    warn(read.first_invalid + ": not UTF-8; replaced by U+FFFD in " +
         counted(static_cast<std::size_t>(read.invalid_lines), "line"));
}

std::string counted(std::size_t count, std::string_view noun) {
  return std::to_string(count).append(" ").append(noun).append(count == 1 ? "" : "s");
}

std::string argument_line(std::string text, std::string_view where) {
  std::ranges::replace_if(
      text, [](char c) { return c == '\n' || c == '\r'; }, ' ');
  if (text::is_valid_utf8(text)) return text;
  warn(std::string(where) + ": not UTF-8; replaced by U+FFFD");
  return text::repair_utf8(text).text;
}

void add_threads_option(CLI::App& command, int& threads) {
  command.add_option("--threads", threads, "Threads to use; all processors if not given")
      ->check(CLI::Range(1, 1024))
      ->type_name("N");
}

void add_workers_option(CLI::App& command, int& workers) {
  command
      .add_option("--workers", workers,
                  "Batches decoded side by side, which share the threads (default: a thread each); where "
                  "there are fewer, all threads together decode one")
      ->check(CLI::Range(1, 1024))
      ->type_name("N");
}

}  // namespace fovea::cli
