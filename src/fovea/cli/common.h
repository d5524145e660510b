#pragma once

#include <cstddef>
#include <exception>
#include <string>
#include <string_view>

namespace CLI {
class App;
}

namespace fovea::data {
struct LineStatistics;
}

namespace fovea::cli {

/// The reader of standard output has left, as `| head -1` does: no error, no message, nothing more to do.
class BrokenPipe : public std::exception {};

/// Standard output where a lost byte is an error: collects what is written and hands it to the system on
/// flush() or when the buffer is full. Throws Error(machine) when a write fails (a full disk), BrokenPipe
/// when nobody reads. A command ends with flush(); the destructor drops what is left, as after an error.
class Output {
 public:
  void write(std::string_view text);
  void flush();

 private:
  static constexpr std::size_t capacity = 1 << 16;
  std::string buffer_;
};

/// Writes `text` to standard output and flushes.
void print(std::string_view text);

/// One line on standard error: "fovea: warning: TEXT".
void warn(std::string_view text);
/// A warning if lines that were read were not UTF-8, with the place of the first.
void warn_of_repairs(const data::LineStatistics& read);

/// "1 line", "2 lines".
std::string counted(std::size_t count, std::string_view noun);

/// A text given as an argument, as a line: line ends inside it count as spaces; what is not UTF-8 becomes
/// U+FFFD with a warning that begins with `where`.
std::string argument_line(std::string text, std::string_view where);

/// --threads N, from 1 to 1024; `threads` stays 0, the number of processors, when it is not given.
void add_threads_option(CLI::App& command, int& threads);

/// --workers N, from 1 to 1024, among which the threads are parted; `workers` stays 0, a thread each, when it
/// is not given.
void add_workers_option(CLI::App& command, int& workers);

}  // namespace fovea::cli
