#pragma once

#include <string>
#include <vector>

namespace fovea::metrics {

/// Reference translations: `references[r][i]` is the r-th translation of segment i; every stream has as many
/// segments.
using References = std::vector<std::vector<std::string>>;

/// Throws Error (data) unless there is at least one segment and one stream, and every stream has one line a
/// hypothesis.
void check_segments(const std::vector<std::string>& hypotheses, const References& references);

/// The translations of segment i, of all streams.
std::vector<std::string> segment_references(const References& references, std::size_t i);

/// The version a signature ends in: which program counted, and whose counting it repeats.
inline constexpr std::string_view signature_version = "fovea-0.1.0(sacrebleu-2.6.0)";

}  // namespace fovea::metrics
