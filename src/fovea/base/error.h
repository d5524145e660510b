#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace fovea {

/// What went wrong, where, and what to do about it: the one exception type of the library.
/// The library throws; the program prints one line and exits with the code of the kind.
class Error : public std::runtime_error {
 public:
  /// The kinds; their values are the exit codes of the command line.
  enum class Kind {
    bug = 1,       ///< a fault of ours
    usage = 2,     ///< a bad command line or recipe
    data = 3,      ///< the user's text and data: missing, unreadable, malformed
    model = 4,     ///< anything inside a model directory
    machine = 5,   ///< writing, memory, packages
    diverged = 6,  ///< training that went astray
  };

  /// `where` names a file, line, tensor or option; `what` says what was found and expected; `remedy` may be empty.
  Error(Kind kind, std::string_view where, std::string_view what, std::string_view remedy = {});

  Kind kind() const noexcept { return kind_; }
  int exit_code() const noexcept { return static_cast<int>(kind_); }

 private:
  Kind kind_;
};

/// `text` with control characters, quotes and invalid bytes escaped and long text cut, fit for one line of a message.
std::string printable(std::string_view text, std::size_t limit = 80);

}  // namespace fovea
