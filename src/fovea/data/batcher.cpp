#include "fovea/data/batcher.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <string>
#include <utility>

#include "fovea/base/error.h"
#include "fovea/base/random.h"

namespace fovea::data {
namespace {

// The pairs draw elements from 0, the batches from here.
constexpr std::uint64_t batch_elements = std::uint64_t{1} << 40;

void shuffle(std::span<std::uint32_t> items, const RandomKey& key, std::uint64_t first_element) {
  for (std::size_t i = items.size(); i > 1; --i)
    std::swap(items[i - 1], items[below(key, first_element + i, static_cast<std::uint32_t>(i))]);
}

// Tokens of both sides of sentences put one after the other.
struct TokenCount {
  std::int64_t source = 0, target = 0;

  TokenCount plus(const TokenCorpus& corpus, std::int64_t pair) const {
    return {source + corpus.source_length(pair) + 1, target + corpus.target_length(pair) + 1};
  }
  std::int64_t larger() const { return std::max(source, target); }
};

void expect_at_least(std::int64_t least, std::int64_t value, std::string_view name) {
  if (value < least)
    throw Error(Error::Kind::usage, name, "is " + std::to_string(value),
                "use at least " + std::to_string(least));
}

}  // namespace

Batcher::Batcher(const TokenCorpus& corpus, BatcherOptions options) : corpus_(corpus), options_(options) {
  corpus.expect_pairs("training data");
  if (corpus.size() > std::numeric_limits<std::uint32_t>::max())
    throw Error(Error::Kind::data, "training data", std::to_string(corpus.size()) + " sentence pairs",
                "split them: a corpus holds at most 2^32 - 1");
  expect_at_least(1, options.batch_tokens, "batch_tokens");
  expect_at_least(1, options.window, "window");
  if (options.batch_tokens > std::numeric_limits<std::int32_t>::max())
    throw Error(Error::Kind::usage, "batch_tokens",
                std::to_string(options.batch_tokens) + " is above 2^31 - 1");
}

// One past the pair that fills `window` batches, from order[begin] on.
std::int64_t Batcher::window_end(std::int64_t begin) const {
  if (!options_.shuffle || options_.window > std::numeric_limits<std::int64_t>::max() / options_.batch_tokens)
    return corpus_.size();
  const std::int64_t budget = options_.window * options_.batch_tokens;
  TokenCount count;
  std::int64_t end = begin;
  while (end < corpus_.size() && count.larger() < budget)
    count = count.plus(corpus_, plan_.order[static_cast<std::size_t>(end++)]);
  return end;
}

// Sorts order[begin..end) of each window by (target length, source length) and cuts it.
void Batcher::sort_windows() {
  struct Entry {
    std::uint64_t key;  // target length, source length
    std::uint32_t pair;
  };
  std::vector<Entry> window;
  plan_.starts.assign(1, 0);
  for (std::int64_t begin = 0; begin < corpus_.size();) {
    const std::int64_t end = window_end(begin);
    window.clear();
    for (std::int64_t i = begin; i < end; ++i) {
      const std::uint32_t pair = plan_.order[static_cast<std::size_t>(i)];
      const auto target = static_cast<std::uint64_t>(corpus_.target_length(pair));
      window.push_back({target << 32 | static_cast<std::uint64_t>(corpus_.source_length(pair)), pair});
    }
    std::stable_sort(window.begin(), window.end(),
                     [](const Entry& a, const Entry& b) { return a.key < b.key; });
    for (std::int64_t i = begin; i < end; ++i)
      plan_.order[static_cast<std::size_t>(i)] = window[static_cast<std::size_t>(i - begin)].pair;
    cut_batches(begin, end);
    begin = end;
  }
}

void Batcher::cut_batches(std::int64_t begin, std::int64_t end) {
  TokenCount count;
  for (std::int64_t i = begin; i < end; ++i) {
    const std::uint32_t pair = plan_.order[static_cast<std::size_t>(i)];
    count = count.plus(corpus_, pair);
    if (count.larger() > options_.batch_tokens && i > plan_.starts.back()) {
      plan_.starts.push_back(i);
      count = TokenCount{}.plus(corpus_, pair);
    }
  }
  plan_.starts.push_back(end);
}

void Batcher::plan_epoch(std::int64_t epoch) {
  if (plan_.epoch == epoch || (plan_.epoch >= 0 && !options_.shuffle)) {
    plan_.epoch = epoch;
    return;
  }
  plan_.order.resize(static_cast<std::size_t>(corpus_.size()));
  std::iota(plan_.order.begin(), plan_.order.end(), 0u);
  const auto key = RandomKey::of(options_.seed, static_cast<std::uint32_t>(epoch), site::shuffle);
  if (options_.shuffle) shuffle(plan_.order, key, 0);
  sort_windows();
  plan_.sequence.resize(plan_.starts.size() - 1);
  std::iota(plan_.sequence.begin(), plan_.sequence.end(), 0u);
  if (options_.shuffle) shuffle(plan_.sequence, key, batch_elements);
  plan_.epoch = epoch;
}

std::int64_t Batcher::batches_in_epoch() {
  plan_epoch(position_.epoch);
  return plan_.batches();
}

Batch Batcher::next() {
  plan_epoch(position_.epoch);
  const std::uint32_t chosen = plan_.sequence[static_cast<std::size_t>(position_.batch)];
  const auto begin = static_cast<std::size_t>(plan_.starts[chosen]);
  const auto end = static_cast<std::size_t>(plan_.starts[chosen + 1]);
  Batch batch = pack(std::span(plan_.order).subspan(begin, end - begin));
  batch.epoch = position_.epoch;
  batch.index = position_.batch;
  if (++position_.batch == plan_.batches()) position_ = {position_.epoch + 1, 0};
  return batch;
}

void Batcher::seek(BatchPosition position) {
  if (position.epoch < 0 || position.epoch > std::numeric_limits<std::uint32_t>::max())
    throw Error(Error::Kind::data, "position in the data",
                "there is no epoch " + std::to_string(position.epoch));
  plan_epoch(position.epoch);
  if (position.batch < 0 || position.batch > plan_.batches())
    throw Error(Error::Kind::data, "position in the data",
                "batch " + std::to_string(position.batch) + " asked for, but epoch " +
                    std::to_string(position.epoch) + " has " + std::to_string(plan_.batches()),
                "the data or the recipe are not those the checkpoint was made with");
  position_ = position.batch == plan_.batches() ? BatchPosition{position.epoch + 1, 0} : position;
}

Batch Batcher::pack(std::span<const std::uint32_t> pairs) const {
  TokenCount count;
  for (const std::uint32_t pair : pairs) count = count.plus(corpus_, pair);
  if (count.larger() > std::numeric_limits<std::int32_t>::max())
    throw Error(Error::Kind::data, "training data",
                "a sentence has " + std::to_string(count.larger()) + " tokens", "set max_tokens");
  Batch batch;
  batch.source.reserve(static_cast<std::size_t>(count.source));
  batch.target_in.reserve(static_cast<std::size_t>(count.target));
  batch.target_out.reserve(static_cast<std::size_t>(count.target));
  batch.source_start.push_back(0);
  batch.target_start.push_back(0);
  for (const std::uint32_t pair : pairs) {
    const auto source = corpus_.source(pair), target = corpus_.target(pair);
    batch.source.insert(batch.source.end(), source.begin(), source.end());
    batch.source.push_back(options_.eos);
    batch.target_in.push_back(options_.decoder_start);
    batch.target_in.insert(batch.target_in.end(), target.begin(), target.end());
    batch.target_out.insert(batch.target_out.end(), target.begin(), target.end());
    batch.target_out.push_back(options_.eos);
    batch.source_start.push_back(static_cast<std::int32_t>(batch.source.size()));
    batch.target_start.push_back(static_cast<std::int32_t>(batch.target_out.size()));
    batch.pairs.push_back(pair);
  }
  return batch;
}

}  // namespace fovea::data
