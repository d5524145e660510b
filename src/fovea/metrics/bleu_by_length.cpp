#include "fovea/metrics/bleu_by_length.h"

#include <algorithm>
#include <map>

#include "fovea/base/error.h"

namespace fovea::metrics {
namespace {

/// A bucket in the making: its segments.
struct Group {
  std::size_t shortest, longest;
  std::vector<std::size_t> segments;
};

Group joined(const Group& a, const Group& b) {
  Group out{std::min(a.shortest, b.shortest), std::max(a.longest, b.longest), a.segments};
  out.segments.insert(out.segments.end(), b.segments.begin(), b.segments.end());
  return out;
}

std::vector<Group> groups_of(const std::vector<std::size_t>& lengths, const LengthBuckets& buckets) {
  const std::size_t width = std::max<std::size_t>(buckets.width, 1);
  std::map<std::size_t, std::vector<std::size_t>> by_number;
  for (std::size_t i = 0; i < lengths.size(); ++i)
    if (lengths[i] > 0) by_number[(lengths[i] - 1) / width].push_back(i);
  std::vector<Group> out;
  for (const auto& [number, segments] : by_number) {
    const Group group{number * width + 1, (number + 1) * width, segments};
    if (!out.empty() && out.back().segments.size() < buckets.least_segments)
      out.back() = joined(out.back(), group);
    else
      out.push_back(group);
  }
  if (out.size() > 1 && out.back().segments.size() < buckets.least_segments) {
    out[out.size() - 2] = joined(out[out.size() - 2], out.back());
    out.pop_back();
  }
  return out;
}

}  // namespace

std::size_t source_length(std::string_view source) {
  const std::string cut = tokenize(source, MtTokenizer::zh);
  std::size_t words = 0;
  bool inside = false;
  for (const char c : cut) {
    const bool blank = c == ' ' || c == '\t';
    words += !blank && !inside;
    inside = !blank;
  }
  return words;
}

std::vector<LengthBucket> bleu_by_length(const std::vector<std::string>& sources,
                                         const std::vector<std::string>& hypotheses,
                                         const References& references, const BleuOptions& options,
                                         const LengthBuckets& buckets) {
  check_segments(hypotheses, references);
  if (sources.size() != hypotheses.size())
    throw Error(
        Error::Kind::data, "BLEU by length",
        std::to_string(sources.size()) + " sources of " + std::to_string(hypotheses.size()) + " translations",
        "line n of the one must belong to line n of the other");
  std::vector<std::size_t> lengths;
  for (const std::string& source : sources) lengths.push_back(source_length(source));
  std::vector<LengthBucket> out;
  for (const Group& group : groups_of(lengths, buckets)) {
    LengthBucket bucket{group.shortest, group.longest, group.segments.size(), 0, {}};
    BleuStatistics sum;
    for (const std::size_t i : group.segments) {
      sum += bleu_statistics(hypotheses[i], segment_references(references, i), options);
      bucket.mean_length += static_cast<double>(lengths[i]);
    }
    bucket.mean_length /= static_cast<double>(group.segments.size());
    bucket.bleu = bleu_score(sum, options);
    out.push_back(bucket);
  }
  return out;
}

}  // namespace fovea::metrics
