#include "fovea/models/word_attention.h"

#include <algorithm>

#include "fovea/attention/rollout.h"
#include "fovea/base/error.h"
#include "fovea/text/symmetrise.h"

namespace fovea::models {
namespace {

using attention::RecordedLayer;
using attention::Side;

std::int64_t heads_of(const RecordedLayer& layer) { return layer.weights_HTS.dim(0); }

/// Adds `scale` times one head's matrix.
void add_head(std::vector<float>& sum_TS, const RecordedLayer& layer, std::int64_t head, float scale) {
  const auto size = static_cast<std::int64_t>(sum_TS.size());
  const float* weights = layer.weights_HTS.f32() + head * size;
  for (std::int64_t i = 0; i < size; ++i) sum_TS[static_cast<std::size_t>(i)] += scale * weights[i];
}

[[noreturn]] void not_there(const std::string& what, int asked, std::int64_t count) {
  throw Error(Error::Kind::usage, "attention", "there is no " + what + " " + std::to_string(asked),
              "they are numbered from 0 to " + std::to_string(count - 1));
}

/// The words of every token of a sentence, without its last one.
std::vector<std::vector<text::WordShare>> shares_of(const text::TranslationTokenizer::Read& read,
                                                    const text::Words& words, std::size_t tokens) {
  return text::word_shares(std::span(read.ranges).first(tokens), words);
}

/// Each weight divided by the sum over target words.
WordWeights balanced(WordWeights weights) {
  for (std::size_t i = 0; i < weights.source_words; ++i) {
    float sum = 0;
    for (std::size_t j = 0; j < weights.target_words; ++j) sum += weights.at(j, i);
    for (std::size_t j = 0; sum > 0 && j < weights.target_words; ++j)
      weights.weights[j * weights.source_words + i] /= sum;
  }
  return weights;
}

text::Link link(std::size_t source, std::size_t target) {
  return {static_cast<std::int32_t>(source), static_cast<std::int32_t>(target)};
}

text::Alignment best_of_targets(const WordWeights& weights) {
  text::Alignment out;
  for (std::size_t j = 0; weights.source_words > 0 && j < weights.target_words; ++j) {
    std::size_t best = 0;
    for (std::size_t i = 1; i < weights.source_words; ++i)
      if (weights.at(j, i) > weights.at(j, best)) best = i;
    out.insert(link(best, j));
  }
  return out;
}

text::Alignment best_of_sources(const WordWeights& weights) {
  text::Alignment out;
  for (std::size_t i = 0; weights.target_words > 0 && i < weights.source_words; ++i) {
    std::size_t best = 0;
    for (std::size_t j = 1; j < weights.target_words; ++j)
      if (weights.at(j, i) > weights.at(best, i)) best = j;
    out.insert(link(i, best));
  }
  return out;
}

text::Alignment every_link(const WordWeights& weights) {
  text::Alignment out;
  for (std::size_t j = 0; j < weights.target_words; ++j)
    for (std::size_t i = 0; i < weights.source_words; ++i) out.insert(link(i, j));
  return out;
}

text::Alignment candidates(const WordWeights& weights, LinkOptions::Rule rule) {
  using text::Symmetrisation;
  switch (rule) {
    case LinkOptions::Rule::best:
      return best_of_targets(weights);
    case LinkOptions::Rule::mutual:
      return text::symmetrise(best_of_targets(weights), best_of_sources(weights),
                              Symmetrisation::intersection);
    case LinkOptions::Rule::joined:
      return text::symmetrise(best_of_targets(weights), best_of_sources(weights),
                              Symmetrisation::grow_diag_final_and);
    case LinkOptions::Rule::all:
      break;
  }
  return every_link(weights);
}

}  // namespace

std::string text_of(const AttentionPick& pick) {
  const std::string layer = "layer " + std::to_string(pick.layer);
  const std::string shifted = pick.shift ? ", shifted" : "";
  switch (pick.from) {
    case AttentionPick::From::head:
      return layer + ", head " + std::to_string(pick.head) + shifted;
    case AttentionPick::From::layer_mean:
      return layer + ", mean" + shifted;
    case AttentionPick::From::mean:
      return "mean of all heads" + shifted;
    case AttentionPick::From::rollout:
      break;
  }
  return "rollout" + shifted;
}

PairAttention::PairAttention(attention::Recording recording, std::vector<std::vector<text::WordShare>> source,
                             std::vector<std::vector<text::WordShare>> target, std::size_t source_words,
                             std::size_t target_words)
    : recording_(std::move(recording)),
      source_(std::move(source)),
      target_(std::move(target)),
      source_words_(source_words),
      target_words_(target_words) {}

std::vector<float> PairAttention::tokens(const AttentionPick& pick) const {
  std::vector<float> out(recording_.target_out.size() * recording_.source.size());
  if (pick.from == AttentionPick::From::rollout) {
    add_head(out, attention::rollout(recording_, Side::cross), 0, 1.0f);
    return out;
  }
  std::vector<const RecordedLayer*> layers;
  std::int64_t all_heads = 0;
  for (const RecordedLayer& layer : recording_.layers)
    if (layer.side == Side::cross) {
      layers.push_back(&layer);
      all_heads += heads_of(layer);
    }
  const auto count = static_cast<std::int64_t>(layers.size());
  if (pick.from != AttentionPick::From::mean) {
    if (pick.layer < 0 || pick.layer >= count) not_there("layer", pick.layer, count);
    layers = {layers[static_cast<std::size_t>(pick.layer)]};
    all_heads = heads_of(*layers.front());
  }
  if (pick.from == AttentionPick::From::head) {
    if (pick.head < 0 || pick.head >= all_heads) not_there("head", pick.head, all_heads);
    add_head(out, *layers.front(), pick.head, 1.0f);
    return out;
  }
  for (const RecordedLayer* layer : layers)
    for (std::int64_t h = 0; h < heads_of(*layer); ++h)
      add_head(out, *layer, h, 1.0f / static_cast<float>(all_heads));
  return out;
}

WordWeights PairAttention::words(const AttentionPick& pick) const {
  const std::vector<float> weights = tokens(pick);
  const std::size_t S = recording_.source.size();
  WordWeights out{source_words_, target_words_, std::vector<float>(source_words_ * target_words_)};
  std::vector<float> paid(target_words_), row(source_words_);
  for (std::size_t t = 0; t < target_.size(); ++t) {
    const float* from = weights.data() + (t + (pick.shift ? 1 : 0)) * S;
    std::ranges::fill(row, 0.0f);
    for (std::size_t s = 0; s < source_.size(); ++s)
      for (const auto [word, share] : source_[s]) row[word] += share * from[s];
    for (const auto [word, share] : target_[t]) {
      paid[word] += share;
      for (std::size_t i = 0; i < source_words_; ++i) out.weights[word * source_words_ + i] += share * row[i];
    }
  }
  for (std::size_t j = 0; j < target_words_; ++j)
    for (std::size_t i = 0; paid[j] > 0 && i < source_words_; ++i)
      out.weights[j * source_words_ + i] /= paid[j];
  return out;
}

std::vector<AttentionPick> PairAttention::picks() const {
  std::vector<AttentionPick> out;
  for (const RecordedLayer& layer : recording_.layers) {
    if (layer.side != Side::cross) continue;
    for (int h = 0; h < static_cast<int>(heads_of(layer)); ++h)
      out.push_back({.from = AttentionPick::From::head, .layer = layer.layer, .head = h});
    if (heads_of(layer) > 1) out.push_back({.from = AttentionPick::From::layer_mean, .layer = layer.layer});
  }
  if (out.size() > 1) out.push_back({.from = AttentionPick::From::mean});
  out.push_back({.from = AttentionPick::From::rollout});
  return out;
}

std::optional<PairAttention> read_pair(const ops::Context& ctx, const TranslationModel& model,
                                       const text::TranslationTokenizer& tokenizer, const text::Words& source,
                                       const text::Words& target) {
  if (source.size() == 0 || target.size() == 0) return std::nullopt;
  const auto from = tokenizer.read_source(source.text);
  const auto to = tokenizer.read_target(target.text);
  // The decoder reads as many tokens as it produces: the start in place of the end.
  const auto most = static_cast<std::size_t>(model.max_positions());
  if (from.ids.size() > most || to.ids.size() > most) return std::nullopt;
  const std::size_t tokens = to.ids.size() - 1;

  attention::Record record;
  ops::Context watched = ctx;
  watched.recorder = &record;
  model.read(watched, from.ids, std::span(to.ids).first(tokens));
  auto recording =
      attention::recording(record, tokenizer.source_pieces(from.ids), std::vector<std::string>(to.ids.size()),
                           tokenizer.target_pieces(to.ids));
  if (!recording.find(Side::cross, 0))
    throw Error(Error::Kind::model, "alignment", "the model has no attention over the source",
                "use a model that attends to it");
  return PairAttention(std::move(recording), shares_of(from, source, from.ids.size()),
                       shares_of(to, target, tokens), source.size(), target.size());
}

text::Alignment links_of(const WordWeights& weights, const LinkOptions& options) {
  auto links =
      options.balance ? candidates(balanced(weights), options.rule) : candidates(weights, options.rule);
  std::erase_if(links, [&](text::Link found) {
    const float weight =
        weights.at(static_cast<std::size_t>(found.target), static_cast<std::size_t>(found.source));
    return !(weight > 0 && weight >= options.threshold);
  });
  return links;
}

}  // namespace fovea::models
