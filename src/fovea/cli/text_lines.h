#pragma once

#include <functional>
#include <string>
#include <vector>

#include "fovea/decoding/text_encoder.h"

namespace CLI {
class App;
}

namespace fovea::cli {

/// The texts of a command that says something of each: arguments, or the lines of a file.
struct TextLines {
  std::vector<std::string> arguments;
  std::string input;  ///< empty: standard input, unless there are arguments
  bool pair = false;  ///< a line is two texts with a tab between, or two arguments are

  /// TEXT... and --input, written to this object, which must outlive the parsing.
  void add_to(CLI::App& command);
  void add_pair_flag(CLI::App& command);

  /// Calls handle() with the next texts, as many as have come, at most `most`, and where each is from.
  /// Throws Error(data) naming file and line for one that is no pair.
  struct Texts {
    std::vector<decoding::InputText> texts;
    std::vector<std::string> where;  ///< "FILE:LINE"
  };
  void for_each(std::size_t most, const std::function<void(const Texts&)>& handle) const;
};

/// The tokens of each text. Throws Error(data) naming the line of a text without any.
std::vector<text::Encoding> encode(const decoding::TextEncoder& encoder, const TextLines::Texts& texts);

/// A warning if texts were cut.
void warn_of_cuts(const decoding::TextEncoder& encoder);

}  // namespace fovea::cli
