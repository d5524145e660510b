#include <algorithm>
#include <iterator>

#include "fovea/models/row_selection.h"
#include "fovea/models/transformer.h"

namespace fovea::models {

void TransformerState::reorder(std::span<const std::int32_t> parents) {
  std::vector<std::int32_t> new_sentence;
  std::vector<std::vector<std::int32_t>> new_past;
  new_sentence.reserve(parents.size());
  new_past.reserve(parents.size());
  for (const auto parent : parents) {
    new_sentence.push_back(sentence.at(static_cast<std::size_t>(parent)));
    new_past.push_back(past.at(static_cast<std::size_t>(parent)));
  }
  sentence = std::move(new_sentence);
  past = std::move(new_past);
}

void TransformerState::append(const TransformerState& fresh) {
  drop_sentences();
  drop_tokens();
  for (std::size_t n = 0; n < keys_values.size(); ++n)
    keys_values[n] = joined(keys_values[n], fresh.keys_values[n]);
  const auto sentences = static_cast<std::int32_t>(source_start.size()) - 1;
  const std::int32_t tokens = source_start.back();
  for (std::size_t b = 1; b < fresh.source_start.size(); ++b)
    source_start.push_back(tokens + fresh.source_start[b]);
  for (const auto b : fresh.sentence) sentence.push_back(sentences + b);
  past.insert(past.end(), fresh.past.begin(), fresh.past.end());
}

// Keys and values of sentences that no row translates any more.
void TransformerState::drop_sentences() {
  std::vector<std::int32_t> renamed(source_start.size() - 1, -1), start{0}, rows;
  for (auto& b : sentence) {
    const auto before = static_cast<std::size_t>(b);
    if (renamed[before] < 0) {
      renamed[before] = static_cast<std::int32_t>(start.size()) - 1;
      for (auto row = source_start[before]; row < source_start[before + 1]; ++row) rows.push_back(row);
      start.push_back(static_cast<std::int32_t>(rows.size()));
    }
    b = renamed[before];
  }
  for (auto& layer : keys_values) layer = rows_of(layer, rows);
  source_start = std::move(start);
}

// Cached tokens that are the past of no row, once most are: so each is moved seldom.
void TransformerState::drop_tokens() {
  const auto cached = static_cast<std::size_t>(cache.front().rows());
  std::vector<std::int32_t> renamed(cached, -1), rows;
  for (const auto& tokens : past)
    for (const auto token : tokens) renamed[static_cast<std::size_t>(token)] = 0;
  const auto used = static_cast<std::size_t>(std::ranges::count(renamed, 0));
  if (2 * used > cached) return;
  for (std::size_t row = 0; row < cached; ++row) {
    if (renamed[row] < 0) continue;
    renamed[row] = static_cast<std::int32_t>(rows.size());
    rows.push_back(static_cast<std::int32_t>(row));
  }
  for (auto& tokens : past)
    for (auto& token : tokens) token = renamed[static_cast<std::size_t>(token)];
  for (auto& layer : cache) layer.keep(rows);
}

}  // namespace fovea::models
