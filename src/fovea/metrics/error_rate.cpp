#include "fovea/metrics/error_rate.h"

#include <unordered_map>

#include "fovea/base/error.h"
#include "fovea/metrics/edit_distance.h"

namespace fovea::metrics {
namespace {

/// Numbers for symbols, the same for the same ones.
class Symbols {
 public:
  std::u32string numbers(std::string_view text) {
    std::u32string out;
    constexpr std::string_view spaces = " \t\r\n\f\v";
    for (std::size_t begin; (begin = text.find_first_not_of(spaces)) != std::string_view::npos;) {
      text.remove_prefix(begin);
      const std::size_t length = std::min(text.find_first_of(spaces), text.size());
      out.push_back(
          known_.emplace(text.substr(0, length), static_cast<char32_t>(known_.size())).first->second);
      text.remove_prefix(length);
    }
    return out;
  }

 private:
  std::unordered_map<std::string_view, char32_t> known_;
};

}  // namespace

double ErrorRate::symbol_rate() const {
  if (symbols == 0) return edits > 0 ? 1.0 : 0.0;
  return static_cast<double>(edits) / static_cast<double>(symbols);
}

double ErrorRate::sequence_rate() const {
  return sequences == 0 ? 0.0 : static_cast<double>(wrong) / static_cast<double>(sequences);
}

ErrorRate error_rate(std::string_view hypothesis, std::span<const std::string> references) {
  if (references.empty()) throw Error(Error::Kind::data, "error rate", "a sequence has no reference");
  Symbols symbols;
  const std::u32string said = symbols.numbers(hypothesis);
  ErrorRate nearest{.edits = -1, .sequences = 1};
  for (const std::string& reference : references) {
    const std::u32string right = symbols.numbers(reference);
    const std::int64_t edits = edit_distance(said, right);
    if (nearest.edits >= 0 && edits >= nearest.edits) continue;
    nearest.edits = edits;
    nearest.symbols = static_cast<std::int64_t>(right.size());
  }
  nearest.wrong = nearest.edits > 0;
  return nearest;
}

ErrorRate error_rate(const std::vector<std::string>& hypotheses,
                     const std::vector<std::vector<std::string>>& references) {
  if (hypotheses.empty() || hypotheses.size() != references.size())
    throw Error(Error::Kind::data, "error rate",
                std::to_string(hypotheses.size()) + " sequences to score, and references of " +
                    std::to_string(references.size()));
  ErrorRate sum;
  for (std::size_t i = 0; i < hypotheses.size(); ++i) {
    const ErrorRate one = error_rate(hypotheses[i], references[i]);
    sum.edits += one.edits;
    sum.symbols += one.symbols;
    sum.wrong += one.wrong;
    sum.sequences += one.sequences;
  }
  return sum;
}

GroupedPairs group_by_source(const std::vector<std::string>& sources,
                             const std::vector<std::string>& targets) {
  GroupedPairs out;
  std::unordered_map<std::string_view, std::size_t> places;
  for (std::size_t i = 0; i < sources.size(); ++i) {
    const auto [found, is_new] = places.emplace(sources[i], out.sources.size());
    if (is_new) {
      out.sources.push_back(sources[i]);
      out.references.emplace_back();
    }
    out.references[found->second].push_back(targets[i]);
  }
  return out;
}

}  // namespace fovea::metrics
