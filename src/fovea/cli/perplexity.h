#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "fovea/cli/model_folder.h"

namespace CLI {
class App;
}

/// fovea evaluate --text: how well a language model predicts a text.
namespace fovea::cli {

struct PerplexityFlags {
  std::vector<std::string> text;   ///< files
  std::string documents = "file";  ///< or lines, paragraphs
  std::int64_t column = 0, window = 0, stride = 0;

  bool wanted() const { return !text.empty(); }
  /// Whether one of the flags is given that count with --text only.
  bool any_detail() const { return documents != "file" || column != 0 || window != 0 || stride != 0; }
  void add_to(CLI::App& command);
};

/// Reads the model in `folder` and the text, and says in lines, or as JSON, how well one predicts the other:
/// each token counts once, and so does each character. Throws Error as reading either does, Error(data) if
/// there is nothing to predict.
std::string perplexity_report(const std::string& folder, const PerplexityFlags& flags, const DTypeFlag& dtype,
                              int threads, bool json);

}  // namespace fovea::cli
