#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "fovea/attention/record.h"
#include "fovea/kernels/execution.h"
#include "fovea/views/attention_matrix.h"

namespace CLI {
class App;
}

namespace fovea::cli {

/// Which part of a recording to draw as one matrix, as the command line says it.
struct ViewFlags {
  std::string side = {}, layer = {}, head = {};  ///< empty: not given
  bool rollout = false, flow = false, pieces = false, special = false;

  /// --side, --layer, --head, --rollout, --flow, --words, --pieces and --special, written to this object,
  /// which must outlive the parsing.
  void add_to(CLI::App& command);
};

/// The side that --side names; the main one of the recording if it is empty.
attention::Side side_of(const std::string& name, const attention::Recording& recording);

/// A matrix and what it is of, in words.
struct AttentionView {
  views::AttentionMatrix matrix;
  std::string title;
};

/// The view that the flags ask for; `exec` computes a flow. Throws Error(usage) naming what there is if the
/// recording has no such side, layer or head.
AttentionView attention_view(const kernels::Execution& exec, const attention::Recording& recording,
                             const ViewFlags& flags);

}  // namespace fovea::cli
