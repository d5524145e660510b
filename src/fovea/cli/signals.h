#pragma once

#include <atomic>
#include <csignal>
#include <vector>

namespace fovea::cli {

/// While it lives, SIGINT, SIGTERM and SIGHUP set a flag; a second one ends the process at once. A signal
/// that was ignored stays so (nohup, or an asynchronous command of a shell). One at a time.
class Signals {
 public:
  Signals();
  ~Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  /// Whether one came.
  const std::atomic<bool>& caught() const;
  /// Ends the process with the code of the signal that came: 128 + its number.
  [[noreturn]] void exit_as_caught() const;

 private:
  struct Handled {
    int number;
    struct sigaction before;
  };
  std::vector<Handled> handled_;
};

/// From now on a process that reads what a mapped file no longer holds ends with a line that names the file
/// and the exit code of damaged models, not by SIGBUS without a word.
void name_files_cut_short();

}  // namespace fovea::cli
