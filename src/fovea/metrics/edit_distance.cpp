#include "fovea/metrics/edit_distance.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "fovea/base/error.h"

namespace fovea::metrics {
namespace {

constexpr double beam = 25;
constexpr std::int64_t unreachable = 10'000'000'000'000'000;

}  // namespace

std::int64_t edit_distance(std::u32string_view a, std::u32string_view b) {
  if (a.size() < b.size()) std::swap(a, b);
  std::vector<std::int64_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (const char32_t symbol : a) {
    std::int64_t diagonal = row[0]++;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::int64_t substituted = diagonal + (symbol != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({substituted, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row.back();
}

BeamEditDistance::BeamEditDistance(std::u32string_view reference) : reference_(reference) {
  Row first;
  for (std::size_t j = 0; j <= reference_.size(); ++j) {
    first.cells.push_back({static_cast<std::int64_t>(j), Edit::insert});
  }
  rows_.push_back(std::move(first));
}

BeamEditDistance::Cell BeamEditDistance::at(std::size_t i, std::size_t j) const {
  const Row& row = rows_[i];
  if (j < row.first || j - row.first >= row.cells.size()) return {unreachable, Edit::none};
  return row.cells[j - row.first];
}

/// Row i of the table (1 <= i <= length of the hypothesis) from row i-1.
BeamEditDistance::Row BeamEditDistance::row(std::size_t i) const {
  const std::size_t columns = reference_.size() + 1;
  const double ratio = static_cast<double>(reference_.size()) / static_cast<double>(hypothesis_.size());
  // Where lengths differ wildly, a beam of constant width could miss the row above.
  const double width = beam < ratio / 2 ? std::ceil(ratio / 2 + beam) : beam;
  const double diagonal = std::floor(static_cast<double>(i) * ratio);
  Row out;
  out.first = static_cast<std::size_t>(std::max(0.0, diagonal - width));
  std::size_t end = std::min(columns, static_cast<std::size_t>(diagonal + width));
  if (i == hypothesis_.size()) end = columns;
  for (std::size_t j = out.first; j < end; ++j) {
    if (j == 0) {
      out.cells.push_back({at(i - 1, 0).cost + 1, Edit::remove});
      continue;
    }
    const bool same = hypothesis_[i - 1] == reference_[j - 1];
    Cell best{unreachable, Edit::none};
    const auto offer = [&best](std::int64_t cost, Edit edit) {
      if (cost < best.cost) best = {cost, edit};
    };
    offer(at(i - 1, j - 1).cost + (same ? 0 : 1), same ? Edit::keep : Edit::substitute);
    offer(at(i - 1, j).cost + 1, Edit::remove);
    offer((j > out.first ? out.cells.back().cost : unreachable) + 1, Edit::insert);
    out.cells.push_back(best);
  }
  return out;
}

std::int64_t BeamEditDistance::distance(std::u32string_view hypothesis) {
  std::size_t same = 0;
  if (hypothesis.size() == hypothesis_.size()) {
    while (same < hypothesis.size() && hypothesis[same] == hypothesis_[same]) ++same;
  }
  hypothesis_ = hypothesis;
  rows_.resize(std::min(rows_.size(), same + 1));
  for (std::size_t i = rows_.size(); i <= hypothesis_.size(); ++i) rows_.push_back(row(i));
  return at(hypothesis_.size(), reference_.size()).cost;
}

std::vector<Edit> BeamEditDistance::trace() const {
  std::vector<Edit> out;
  std::size_t i = hypothesis_.size(), j = reference_.size();
  while (i > 0 || j > 0) {
    const Edit edit = at(i, j).edit;
    if (edit == Edit::none) throw Error(Error::Kind::bug, "edit distance", "the beam lost the path");
    out.push_back(edit);
    if (edit != Edit::insert) --i;
    if (edit != Edit::remove) --j;
  }
  std::reverse(out.begin(), out.end());
  return out;
}

}  // namespace fovea::metrics
