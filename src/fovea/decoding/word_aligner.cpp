#include "fovea/decoding/word_aligner.h"

#include <atomic>
#include <mutex>

#include "fovea/kernels/execution.h"

namespace fovea::decoding {

WordAligner::WordAligner(const models::TranslationModel& model, const text::TranslationTokenizer& tokenizer,
                         int threads)
    : model_(model), tokenizer_(tokenizer), pool_(threads) {}

// A pair is small, so each worker reads whole pairs, on one thread of its own.
void WordAligner::for_each(std::span<const WordPair> pairs, const Visit& visit) const {
  std::atomic<std::size_t> next{0};
  pool_.run([&](int) {
    const kernels::ExecutionOwner exec(1);
    ops::Context ctx;
    ctx.exec = exec.get();
    for (std::size_t i; (i = next.fetch_add(1)) < pairs.size();) {
      const auto read = models::read_pair(ctx, model_, tokenizer_, pairs[i].source, pairs[i].target);
      visit(i, read ? &*read : nullptr);
    }
  });
}

WordAligner::Result WordAligner::align(std::span<const WordPair> pairs, const models::AttentionPick& pick,
                                       const models::LinkOptions& options) const {
  Result result{std::vector<text::Alignment>(pairs.size()), {}};
  std::vector<char> unread(pairs.size());
  for_each(pairs, [&](std::size_t i, const models::PairAttention* read) {
    if (read)
      result.alignments[i] = models::links_of(read->words(pick), options);
    else
      unread[i] = pairs[i].source.size() > 0 && pairs[i].target.size() > 0;
  });
  for (std::size_t i = 0; i < pairs.size(); ++i)
    if (unread[i]) result.too_long.push_back(i);
  return result;
}

std::vector<WordAligner::Scored> WordAligner::score_all(std::span<const WordPair> pairs,
                                                        std::span<const text::GoldAlignment> gold,
                                                        const models::LinkOptions& options) const {
  std::vector<models::AttentionPick> picks;
  std::vector<metrics::AlignmentCounts> counts;
  metrics::AlignmentCounts unread;
  std::mutex mutex;
  for_each(pairs, [&](std::size_t i, const models::PairAttention* read) {
    std::vector<models::AttentionPick> all;
    if (read) all = read->picks();
    for (std::size_t p = 0, unshifted = all.size(); p < unshifted; ++p) {
      all.push_back(all[p]);
      all.back().shift = true;
    }
    std::vector<metrics::AlignmentCounts> found;
    for (const auto& pick : all)
      found.push_back(metrics::alignment_counts(models::links_of(read->words(pick), options), gold[i]));
    const std::lock_guard lock(mutex);
    if (!read) unread += metrics::alignment_counts({}, gold[i]);
    if (picks.empty()) picks = all;
    counts.resize(picks.size());
    for (std::size_t p = 0; p < found.size(); ++p) counts[p] += found[p];
  });
  std::vector<Scored> out;
  for (std::size_t p = 0; p < picks.size(); ++p)
    out.push_back({picks[p], metrics::alignment_score(counts[p] += unread)});
  return out;
}

}  // namespace fovea::decoding
