#include "fovea/metrics/segments.h"

#include "fovea/base/error.h"

namespace fovea::metrics {

void check_segments(const std::vector<std::string>& hypotheses, const References& references) {
  if (hypotheses.empty()) throw Error(Error::Kind::data, "hypotheses", "there are none to score");
  if (references.empty()) throw Error(Error::Kind::data, "references", "there are none to score against");
  for (const auto& stream : references) {
    if (stream.size() == hypotheses.size()) continue;
    throw Error(Error::Kind::data, "references",
                std::to_string(stream.size()) + " lines, but there are " + std::to_string(hypotheses.size()) +
                    " hypotheses",
                "line i of the references must translate line i of the source");
  }
}

std::vector<std::string> segment_references(const References& references, std::size_t i) {
  std::vector<std::string> out;
  out.reserve(references.size());
  for (const auto& stream : references) out.push_back(stream.at(i));
  return out;
}

}  // namespace fovea::metrics
