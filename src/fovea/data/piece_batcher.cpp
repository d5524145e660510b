#include "fovea/data/piece_batcher.h"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include "fovea/base/error.h"
#include "fovea/base/random.h"

namespace fovea::data {
namespace {

// Where documents are cut draws elements from 0, the order of pieces from here.
constexpr std::uint64_t order_elements = std::uint64_t{1} << 40;

void expect_within(std::int64_t value, std::int64_t least, std::string_view name) {
  constexpr std::int64_t most = std::numeric_limits<std::int32_t>::max();
  if (value < least || value > most)
    throw Error(Error::Kind::usage, name, "is " + std::to_string(value),
                "use from " + std::to_string(least) + " to " + std::to_string(most));
}

}  // namespace

PieceBatcher::PieceBatcher(const DocumentCorpus& corpus, PieceBatcherOptions options)
    : corpus_(corpus), options_(options) {
  corpus.expect_documents("training data");
  expect_within(options.piece, 1, "training.context");
  expect_within(options.batch_tokens, 1, "training.batch_tokens");
  options_.piece = std::min(options.piece, options.batch_tokens);
}

void PieceBatcher::cut_documents(std::int64_t epoch) {
  const auto key = RandomKey::of(options_.seed, static_cast<std::uint32_t>(epoch), site::shuffle);
  plan_.pieces.clear();
  for (std::int64_t d = 0; d < corpus_.size(); ++d) {
    const std::int64_t predictions = std::ssize(corpus_.document(d)) - 1, piece = options_.piece;
    std::int64_t first = 0;
    if (options_.shuffle && predictions > piece) {
      first = below(key, static_cast<std::uint64_t>(d), static_cast<std::uint32_t>(piece));
      if (first > 0) plan_.pieces.push_back({d, 0, first});
    }
    for (; first < predictions; first += piece)
      plan_.pieces.push_back({d, first, std::min(piece, predictions - first)});
  }
  if (!options_.shuffle) return;
  for (std::size_t i = plan_.pieces.size(); i > 1; --i)
    std::swap(plan_.pieces[i - 1],
              plan_.pieces[below(key, order_elements + i, static_cast<std::uint32_t>(i))]);
}

void PieceBatcher::cut_batches() {
  plan_.starts.assign(1, 0);
  std::int64_t tokens = 0;
  for (std::size_t i = 0; i < plan_.pieces.size(); ++i) {
    tokens += plan_.pieces[i].count;
    if (tokens <= options_.batch_tokens) continue;
    plan_.starts.push_back(static_cast<std::int64_t>(i));
    tokens = plan_.pieces[i].count;
  }
  plan_.starts.push_back(std::ssize(plan_.pieces));
}

void PieceBatcher::plan_epoch(std::int64_t epoch) {
  const bool same = plan_.epoch == epoch || (plan_.epoch >= 0 && !options_.shuffle);
  plan_.epoch = epoch;
  if (same) return;
  cut_documents(epoch);
  cut_batches();
}

std::int64_t PieceBatcher::batches_in_epoch() {
  plan_epoch(position_.epoch);
  return plan_.batches();
}

void PieceBatcher::seek(BatchPosition position) {
  plan_epoch(position.epoch);
  if (position.batch < 0 || position.batch > plan_.batches())
    throw Error(Error::Kind::data, "training data",
                "epoch " + std::to_string(position.epoch + 1) + " has " + std::to_string(plan_.batches()) +
                    " batches, the checkpoint stands at " + std::to_string(position.batch),
                "are data and batch_tokens those of the interrupted run?");
  position_ = position;
}

PieceBatch PieceBatcher::next() {
  plan_epoch(position_.epoch);
  if (position_.batch == plan_.batches()) {
    position_ = {position_.epoch + 1, 0};
    plan_epoch(position_.epoch);
  }
  PieceBatch batch;
  batch.epoch = position_.epoch;
  batch.index = position_.batch++;
  batch.start.push_back(0);
  const auto at = static_cast<std::size_t>(batch.index);
  for (std::int64_t i = plan_.starts[at]; i < plan_.starts[at + 1]; ++i) {
    const Piece& piece = plan_.pieces[static_cast<std::size_t>(i)];
    const auto ids =
        corpus_.document(piece.document)
            .subspan(static_cast<std::size_t>(piece.first), static_cast<std::size_t>(piece.count) + 1);
    batch.tokens.insert(batch.tokens.end(), ids.begin(), ids.end() - 1);
    batch.next.insert(batch.next.end(), ids.begin() + 1, ids.end());
    batch.start.push_back(static_cast<std::int32_t>(batch.tokens.size()));
  }
  return batch;
}

}  // namespace fovea::data
