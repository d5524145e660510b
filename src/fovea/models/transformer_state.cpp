#include "fovea/models/transformer_state.h"

#include <algorithm>
#include <utility>

namespace fovea::models {

SourceMemory::SourceMemory(const attention::HeadShape& heads, std::int64_t layers, std::int64_t length)
    : heads_(heads),
      length_(length),
      key_floats_(kernels::beam_key_floats(heads.heads, heads.key_width, length)),
      floats_(Tensor::empty({layers, layer_floats()})) {}

void SourceMemory::set(kernels::KernelSet set, std::int64_t n, const float* keys_values) {
  const std::int64_t keys = heads_.heads * heads_.key_width, values = heads_.heads * heads_.value_width;
  float* to = floats_.f32() + n * layer_floats();
  kernels::store_beam_keys(set, heads_.heads, heads_.key_width, length_, keys_values, keys + values, to);
  to += key_floats_;
  for (std::int64_t t = 0; t < length_; ++t)
    to = std::copy_n(keys_values + t * (keys + values) + keys, values, to);
}

kernels::BeamQueries SourceMemory::queries(std::int64_t n, std::int64_t first, std::int64_t count) const {
  const float* layer = floats_.f32() + n * layer_floats();
  return {first, count, length_, layer, layer + key_floats_};
}

std::span<const std::int32_t> PastRows::of(std::int32_t hypothesis) const {
  const auto i = static_cast<std::size_t>(hypothesis);
  return std::span(rows).subspan(static_cast<std::size_t>(start.at(i)),
                                 static_cast<std::size_t>(count.at(i)));
}

void PastRows::clear() {
  start.clear();
  count.clear();
  rows.clear();
}

void PastRows::add(std::span<const std::int32_t> past) {
  start.push_back(std::ssize(rows));
  count.push_back(std::ssize(past));
  rows.insert(rows.end(), past.begin(), past.end());
}

void TransformerState::reorder(std::span<const std::int32_t> parents) {
  next_sentence_.clear();
  next_past_.clear();
  for (const auto parent : parents) {
    next_sentence_.push_back(sentence.at(static_cast<std::size_t>(parent)));
    next_past_.add(past.of(parent));
  }
  std::swap(sentence, next_sentence_);
  std::swap(past, next_past_);
  next_sentence_.clear();  // sentences that nobody translates any more are forgotten
}

void TransformerState::append(const TransformerState& fresh) {
  sentence.insert(sentence.end(), fresh.sentence.begin(), fresh.sentence.end());
  for (std::int32_t i = 0; i < fresh.rows(); ++i) past.add(fresh.past.of(i));
}

std::int64_t TransformerState::add_tokens() {
  std::int64_t most = 0;
  for (const auto& layer : cache) most = std::max(most, layer.capacity());
  used_.assign(static_cast<std::size_t>(most), 0);
  for (const auto row : past.rows) used_[static_cast<std::size_t>(row)] = 1;
  next_past_.clear();
  slot_.clear();
  std::size_t slot = 0;
  for (std::int32_t i = 0; i < rows(); ++i) {
    while (slot < used_.size() && used_[slot]) ++slot;
    slot_.push_back(static_cast<std::int32_t>(slot++));
    next_past_.add(past.of(i));
    next_past_.rows.push_back(slot_.back());
    ++next_past_.count.back();
  }
  std::swap(past, next_past_);
  for (auto i = std::ssize(number_); i < rows(); ++i) {
    number_.push_back(i);
    one_.push_back(1);
  }
  return static_cast<std::int64_t>(slot);
}

attention::SelfAttention::Past TransformerState::past_of(std::int64_t first, std::int64_t count) const {
  return {.rows = count,
          .slot = slot_.data() + first,
          .start = past.start.data() + first,
          .count = past.count.data() + first,
          .slots = past.rows.data(),
          .number = number_.data(),
          .one = one_.data(),
          .distance_bias = distance_bias.defined() ? distance_bias.f32() : nullptr,
          .distances = distance_bias.defined() ? distance_bias.dim(1) : 0};
}

}  // namespace fovea::models
