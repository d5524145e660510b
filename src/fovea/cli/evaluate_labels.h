#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "fovea/base/dtype.h"
#include "fovea/metrics/classification.h"

namespace CLI {
class App;
}

namespace fovea::cli {

/// What `evaluate` is told of a classifier's test.
struct LabelledTest {
  std::string data;                   ///< empty: this is no test of a classifier
  std::vector<std::int64_t> columns;  ///< text and label, or two texts and the label; empty: 1, 2
  bool header = false;
  std::string confusion;  ///< an SVG to be written; empty: none

  bool wanted() const { return !data.empty(); }
  /// --data, --columns, --header and --confusion, written to this object, which must outlive the parsing.
  void add_to(CLI::App& command);
};

/// The SVG that `test` asks for.
void draw_confusion(const LabelledTest& test, const metrics::ConfusionMatrix& matrix,
                    const std::vector<std::string>& names);

/// Prints how well the classifier in `model` does, for people or as JSON: of one that labels words,
/// evaluate_tags().
void evaluate_labels(const std::string& model, const LabelledTest& test, bool json,
                     std::optional<DType> weights, int threads);

}  // namespace fovea::cli
