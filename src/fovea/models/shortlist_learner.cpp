#include "fovea/models/shortlist_learner.h"

#include <algorithm>
#include <atomic>
#include <numeric>
#include <utility>

#include "fovea/kernels/execution.h"
#include "fovea/models/alignment.h"

namespace fovea::models {
namespace {

constexpr float least_weight = 0.03f;

std::uint64_t key_of(std::int32_t source, std::int32_t target) {
  return static_cast<std::uint64_t>(static_cast<std::uint32_t>(source)) << 32 |
         static_cast<std::uint32_t>(target);
}
std::int32_t source_of(std::uint64_t key) { return static_cast<std::int32_t>(key >> 32); }
std::int32_t target_of(std::uint64_t key) { return static_cast<std::int32_t>(key & 0xffffffff); }

/// "<0x41>": a byte of what has no piece of its own.
bool spells_a_byte(std::string_view piece) {
  return piece.size() == 6 && piece.starts_with("<0x") && piece.ends_with('>');
}

}  // namespace

ShortlistLearner::ShortlistLearner(const TranslationModel& model, const text::TranslationTokenizer& tokenizer,
                                   int threads)
    : model_(model),
      tokenizer_(tokenizer),
      pool_(threads),
      frequency_(static_cast<std::size_t>(tokenizer.target_vocabulary().size())) {}

ShortlistLearner::Reading ShortlistLearner::read_pair(const ops::Context& ctx, const Pair& pair) const {
  const auto source = tokenizer_.encode_source(pair.source);
  auto target = tokenizer_.encode_target(pair.target);
  const std::int64_t most = model_.max_positions();
  if (source.size() < 2 || target.size() < 2 || std::ssize(source) > most || std::ssize(target) > most)
    return {};
  target.pop_back();
  const Tensor weights = cross_attention(ctx, model_, source, target);
  Reading reading;
  const std::size_t S = source.size();
  for (std::size_t t = 0; t < target.size(); ++t)
    for (std::size_t s = 0; s + 1 < S; ++s)
      if (const float weight = weights.f32()[t * S + s]; weight >= least_weight)
        reading.links.push_back({key_of(source[s], target[t]), weight});
  reading.target = std::move(target);
  return reading;
}

// A pair is small, so each worker reads whole pairs, on one thread of its own.
void ShortlistLearner::read(std::span<const Pair> pairs) {
  constexpr std::size_t most_new = std::size_t{1} << 22;
  std::vector<Reading> readings(pairs.size());
  std::atomic<std::size_t> next{0};
  pool_.run([&](int) {
    const kernels::ExecutionOwner exec(1);
    ops::Context ctx;
    ctx.exec = exec.get();
    for (std::size_t i; (i = next.fetch_add(1)) < pairs.size();) readings[i] = read_pair(ctx, pairs[i]);
  });
  for (const Reading& reading : readings) {
    ++(reading.target.empty() ? left_out_ : pairs_);
    for (const auto token : reading.target) ++frequency_[static_cast<std::size_t>(token)];
    counts_.insert(counts_.end(), reading.links.begin(), reading.links.end());
  }
  if (counts_.size() > added_up_ + most_new) add_up();
}

// One count a pair of tokens. Stable: sums do not depend on how often this is done in between.
void ShortlistLearner::add_up() {
  std::ranges::stable_sort(counts_, {}, &Count::key);
  std::size_t last = 0;
  for (std::size_t i = 1; i < counts_.size(); ++i) {
    if (counts_[i].key == counts_[last].key)
      counts_[last].weight += counts_[i].weight;
    else
      counts_[++last] = counts_[i];
  }
  if (!counts_.empty()) counts_.resize(last + 1);
  added_up_ = counts_.size();
}

std::vector<std::int32_t> ShortlistLearner::anywhere(std::int64_t frequent) const {
  const text::Vocabulary& target = tokenizer_.target_vocabulary();
  std::vector<std::int32_t> order(frequency_.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, std::greater(),
                           [&](std::int32_t id) { return frequency_[static_cast<std::size_t>(id)]; });
  order.resize(std::min(order.size(), static_cast<std::size_t>(std::max<std::int64_t>(frequent, 0))));
  std::erase_if(order, [&](std::int32_t id) { return frequency_[static_cast<std::size_t>(id)] == 0; });
  for (std::int32_t id = 0; id < target.size(); ++id)
    if (id == target.eos() || id == target.unk() || spells_a_byte(target.piece(id))) order.push_back(id);
  std::ranges::sort(order);
  order.erase(std::ranges::unique(order).begin(), order.end());
  return order;
}

Shortlist ShortlistLearner::shortlist(const ShortlistSize& size) {
  add_up();
  const auto everywhere = anywhere(size.frequent);
  const text::Vocabulary &source = tokenizer_.source_vocabulary(), &target = tokenizer_.target_vocabulary();
  Shortlist::Table table;
  auto first = counts_.begin();
  std::vector<Count> found;
  std::vector<std::int32_t> ids;
  for (std::int32_t s = 0; s < source.size(); ++s) {
    const auto last =
        std::find_if(first, counts_.end(), [&](const Count& count) { return source_of(count.key) != s; });
    found.clear();
    std::copy_if(first, last, std::back_inserter(found), [&](const Count& count) {
      return !std::ranges::binary_search(everywhere, target_of(count.key));
    });
    first = last;
    std::ranges::stable_sort(found, std::greater(), &Count::weight);
    if (std::ssize(found) > size.best) found.resize(static_cast<std::size_t>(size.best));
    ids.clear();
    for (const Count& count : found) ids.push_back(target_of(count.key));
    if (const auto same = target.find(source.piece(s));
        same >= 0 && same != target.pad() && !std::ranges::binary_search(everywhere, same))
      ids.push_back(same);
    std::ranges::sort(ids);
    ids.erase(std::ranges::unique(ids).begin(), ids.end());
    table.ids.insert(table.ids.end(), ids.begin(), ids.end());
    table.offsets.push_back(static_cast<std::int32_t>(table.ids.size()));
  }
  return Shortlist(tokenizer_, everywhere, std::move(table));
}

}  // namespace fovea::models
