#include "fovea/models/row_selection.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <string>
#include <utility>

#include "fovea/base/error.h"

namespace fovea::models {

using attention::Memory;
using ops::Sequences;

Tensor rows_of(const Tensor& matrix, std::span<const std::int32_t> rows) {
  if (!matrix.defined()) return matrix;
  const std::int64_t D = matrix.dim(1);
  Tensor selected = Tensor::empty({static_cast<std::int64_t>(rows.size()), D});
  float* to = selected.f32();
  for (const auto row : rows) to = std::copy_n(matrix.f32() + row * D, D, to);
  return selected;
}

Tensor joined(const Tensor& a, const Tensor& b) {
  if (!a.defined() && !b.defined()) return a;
  if (!a.defined() || !b.defined() || a.dim(1) != b.dim(1))
    throw Error(Error::Kind::bug, "rows of a decoder", "rows of another kind cannot join");
  Tensor both = Tensor::empty({a.dim(0) + b.dim(0), a.dim(1)});
  std::copy_n(b.f32(), b.elements(), std::copy_n(a.f32(), a.elements(), both.f32()));
  return both;
}

Tensor parts_of(const Tensor& packed, const Sequences& sequences, std::span<const std::int32_t> rows) {
  if (!packed.defined()) return packed;
  std::vector<std::int64_t> offset{0};
  for (const auto count : sequences.count) offset.push_back(offset.back() + count);
  const std::int64_t heads = offset.back() > 0 ? packed.elements() / offset.back() : 0;
  if (heads * offset.back() != packed.elements())
    throw Error(Error::Kind::bug, "recurrent model",
                packed.shape().text() + " are no weights of " + std::to_string(offset.back()) + " keys");
  std::vector<float> selected;
  for (const auto row : rows) {
    const auto at = static_cast<std::size_t>(row);
    selected.insert(selected.end(), packed.f32() + heads * offset[at], packed.f32() + heads * offset[at + 1]);
  }
  return Tensor::of({static_cast<std::int64_t>(selected.size())}, selected);
}

std::shared_ptr<const Sequences> selected(const Sequences& sequences, std::span<const std::int32_t> rows) {
  auto chosen = std::make_shared<Sequences>();
  for (const auto row : rows) {
    chosen->start.push_back(sequences.start[static_cast<std::size_t>(row)]);
    chosen->count.push_back(sequences.count[static_cast<std::size_t>(row)]);
  }
  return chosen;
}

std::shared_ptr<const Sequences> single_rows(std::int64_t rows) {
  auto sequences = std::make_shared<Sequences>();
  for (std::int64_t r = 0; r < rows; ++r) sequences->start.push_back(r);
  sequences->count.assign(static_cast<std::size_t>(rows), 1);
  return sequences;
}

Memory unshared(const Memory& memory) {
  std::vector<std::int32_t> rows;
  auto sequences = std::make_shared<Sequences>();
  for (std::size_t r = 0; r < memory.sequences->start.size(); ++r) {
    const std::int64_t start = memory.sequences->start[r], count = memory.sequences->count[r];
    sequences->start.push_back(static_cast<std::int64_t>(rows.size()));
    sequences->count.push_back(count);
    for (std::int64_t j = 0; j < count; ++j) rows.push_back(static_cast<std::int32_t>(start + j));
  }
  Memory own = memory;
  own.keys.matrix = rows_of(memory.keys.matrix, rows);
  own.values.matrix = rows_of(memory.values.matrix, rows);
  own.prepared = {};
  own.sequences = std::move(sequences);
  return own;
}

Gathered gathered(const Sequences& sequences) {
  Gathered found;
  auto parts = std::make_shared<Sequences>(), moved = std::make_shared<Sequences>();
  std::map<std::int64_t, std::int64_t> at;  // where a sequence that began here begins now
  for (std::size_t b = 0; b < sequences.start.size(); ++b) {
    const std::int64_t start = sequences.start[b], count = sequences.count[b];
    const auto [place, is_new] = at.try_emplace(start, std::ssize(found.rows));
    moved->start.push_back(place->second);
    moved->count.push_back(count);
    if (!is_new) continue;
    parts->start.push_back(place->second);
    parts->count.push_back(count);
    for (std::int64_t j = 0; j < count; ++j) found.rows.push_back(static_cast<std::int32_t>(start + j));
  }
  found.parts = std::move(parts);
  found.sequences = std::move(moved);
  return found;
}

std::shared_ptr<const Sequences> joined(const Sequences& a, const Sequences& b, std::int64_t shift) {
  auto both = std::make_shared<Sequences>(a);
  for (const auto start : b.start) both->start.push_back(start + shift);
  both->count.insert(both->count.end(), b.count.begin(), b.count.end());
  return both;
}

Memory joined(const Memory& a, const Memory& b) {
  const Gathered of_a = gathered(*a.sequences), of_b = gathered(*b.sequences);
  const auto join = [&](const Tensor& from_a, const Tensor& from_b) {
    return joined(rows_of(from_a, of_a.rows), rows_of(from_b, of_b.rows));
  };
  Memory both = a;
  both.keys.matrix = join(a.keys.matrix, b.keys.matrix);
  both.values.matrix = join(a.values.matrix, b.values.matrix);
  both.prepared = a.prepared.defined() && b.prepared.defined() ? join(a.prepared, b.prepared) : Tensor();
  both.sequences = joined(*of_a.sequences, *of_b.sequences, std::ssize(of_a.rows));
  return both;
}

}  // namespace fovea::models
