#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "fovea/base/thread_pool.h"
#include "fovea/models/shortlist.h"
#include "fovea/models/translation_model.h"

namespace fovea::models {

/// How much a shortlist holds.
struct ShortlistSize {
  std::int64_t best = 100;      ///< target tokens of a source token, at most
  std::int64_t frequent = 500;  ///< of the target text's, in every sentence
};

/// Learns from sentence pairs which target tokens a source token becomes, by what a model looks at when it
/// reads them.
///   n(s, t) = sum over pairs, target positions j with y_j = t, source positions i with x_i = s:  a[j,i], if
///   a[j,i] >= 0.03;   p(t|s) = n(s, t) / sum_t n(s, t)
/// with a the cross-attention of the layer that points most clearly, averaged over its heads
/// (models/alignment.h). What is learnt does not depend on the number of threads. Memory   16 bytes a pair of
/// tokens that was met.
class ShortlistLearner {
 public:
  /// threads = 0: as many as the machine has. Model and tokenizer must outlive this.
  ShortlistLearner(const TranslationModel& model, const text::TranslationTokenizer& tokenizer,
                   int threads = 0);

  struct Pair {
    std::string_view source, target;
  };
  /// Reads pairs, each on a thread. Empty ones, and those longer than the model takes, teach nothing.
  /// Throws Error(model) if the model has no attention over the source.
  void read(std::span<const Pair> pairs);

  std::int64_t pairs() const { return pairs_; }  ///< that were read, without those that teach nothing
  std::int64_t left_out() const { return left_out_; }

  /// For each source token its most probable target tokens; in every sentence the most frequent ones, the end
  /// of sentence, the unknown token and the pieces that spell bytes. A piece that both sides have may always
  /// stand for itself, as names and numbers do.
  Shortlist shortlist(const ShortlistSize& size);

 private:
  struct Count {
    std::uint64_t key;  // source token, target token
    double weight;
  };
  struct Reading {
    std::vector<std::int32_t> target;
    std::vector<Count> links;
  };
  Reading read_pair(const ops::Context& ctx, const Pair& pair) const;
  void add_up();
  std::vector<std::int32_t> anywhere(std::int64_t frequent) const;

  const TranslationModel& model_;
  const text::TranslationTokenizer& tokenizer_;
  ThreadPool pool_;
  std::int64_t pairs_ = 0, left_out_ = 0;
  std::vector<Count> counts_;  // the first added_up_ by key, each once
  std::size_t added_up_ = 0;
  std::vector<std::int64_t> frequency_;  // of target tokens
};

}  // namespace fovea::models
