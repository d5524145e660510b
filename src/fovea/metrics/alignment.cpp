#include "fovea/metrics/alignment.h"

#include <algorithm>

namespace fovea::metrics {
namespace {

std::int64_t shared(const text::Alignment& found, const text::Alignment& gold) {
  return std::ranges::count_if(found, [&](text::Link link) { return gold.contains(link); });
}

double ratio(std::int64_t part, std::int64_t whole) {
  return whole == 0 ? 1.0 : static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

AlignmentCounts& AlignmentCounts::operator+=(const AlignmentCounts& other) {
  links += other.links;
  sure += other.sure;
  links_sure += other.links_sure;
  links_possible += other.links_possible;
  return *this;
}

AlignmentCounts alignment_counts(const text::Alignment& found, const text::GoldAlignment& gold) {
  return {static_cast<std::int64_t>(found.size()), static_cast<std::int64_t>(gold.sure.size()),
          shared(found, gold.sure), shared(found, gold.possible)};
}

AlignmentScore alignment_score(const AlignmentCounts& n) {
  return {.precision = ratio(n.links_possible, n.links),
          .recall = ratio(n.links_sure, n.sure),
          .error_rate = 1 - ratio(n.links_sure + n.links_possible, n.links + n.sure)};
}

}  // namespace fovea::metrics
