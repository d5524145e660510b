#pragma once

#include <string>

#include "fovea/attention/record.h"
#include "fovea/cli/attention_view.h"
#include "fovea/kernels/execution.h"

namespace fovea::cli {

/// What to make of a recording, as the command line says it: a map in the terminal, a table, or a file.
struct AttentionOutput {
  ViewFlags view = {};
  std::string file = {};  ///< empty: the terminal
  bool statistics = false;

  /// The flags of ViewFlags, --statistics and --output, written to this object, which must outlive the
  /// parsing.
  void add_to(CLI::App& command);
  /// Throws Error(usage) if --output is of no kind that is known: before a model is opened.
  void check() const;
  /// Prints or writes it; `folder` is the model's, whose name pictures bear.
  void show(const kernels::Execution& exec, const attention::Recording& recording,
            const std::string& folder) const;
};

/// Text of the user's as it can stand in a warning: harmless, and cut.
std::string fit_for_warning(std::string_view text, int columns);

}  // namespace fovea::cli
