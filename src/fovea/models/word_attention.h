#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fovea/attention/record.h"
#include "fovea/models/translation_model.h"
#include "fovea/text/translation_tokenizer.h"
#include "fovea/text/word_alignment.h"
#include "fovea/text/words.h"

/// Word alignments from what a translation model looks at.
namespace fovea::models {

/// Which attention over the source to take.
struct AttentionPick {
  enum class From {
    head,        ///< one head of one decoder layer
    layer_mean,  ///< the mean of a layer's heads
    mean,        ///< the mean of all heads of all layers
    rollout,     ///< attention rollout through encoder and decoder (attention/rollout.h)
  };
  From from = From::mean;
  int layer = 0, head = 0;  ///< from 0
  /// For a target token take the step that reads it, not the one that produces it. Layers of a Transformer
  /// near the input look at the translation of the word they read: Chen et al. 2020, "Accurate word alignment
  /// induction from neural machine translation", section 3.
  bool shift = false;

  bool operator==(const AttentionPick&) const = default;
};

/// "layer 1, head 3, shifted", "layer 0, mean", "mean of all heads", "rollout"
std::string text_of(const AttentionPick& pick);

/// How much each target word looks at each source word.
struct WordWeights {
  std::size_t source_words = 0, target_words = 0;
  std::vector<float> weights;  ///< [target_words, source_words]
  float at(std::size_t target, std::size_t source) const { return weights[target * source_words + source]; }
};

/// What a model looked at over the source while it read a pair of sentences, and the words its tokens lie in.
class PairAttention {
 public:
  PairAttention(attention::Recording recording, std::vector<std::vector<text::WordShare>> source,
                std::vector<std::vector<text::WordShare>> target, std::size_t source_words,
                std::size_t target_words);

  /// Attention of words from attention of tokens:
  ///   W[j,i] = sum_t a[t,j] sum_s w[t,s] b[s,i] / sum_t a[t,j]
  /// with w the weights picked (row t+1 for token t if shifted), b the share of source token s that lies in
  /// word i, a that of target token t in word j: what goes to the parts of a word adds up, what its parts pay
  /// is averaged. Attention to the end of sentence and to spaces goes to no word.
  /// Throws Error(usage) naming what there is if the model has no such layer or head.
  WordWeights words(const AttentionPick& pick) const;

  /// Every head and mean there is, not shifted.
  std::vector<AttentionPick> picks() const;

 private:
  std::vector<float> tokens(const AttentionPick& pick) const;  // [T, S]

  attention::Recording recording_;
  std::vector<std::vector<text::WordShare>> source_, target_;  // of tokens, without the target's eos
  std::size_t source_words_, target_words_;
};

/// Lets `model` read the pair and keeps what it looks at. Nothing if a side has more tokens than the model
/// takes, or no word. Throws Error(model) if the model has no attention over the source.
std::optional<PairAttention> read_pair(const ops::Context& ctx, const TranslationModel& model,
                                       const text::TranslationTokenizer& tokenizer, const text::Words& source,
                                       const text::Words& target);

/// Which weights become links.
struct LinkOptions {
  enum class Rule {
    best,    ///< each target word and the source word it looks at most
    mutual,  ///< of those, the ones where no other target word looks more at that source word
    joined,  ///< each target word's best and each source word's best, joined by grow-diag-final-and
    all,     ///< whatever reaches the threshold
  };
  Rule rule = Rule::best;
  /// Compare weights after each is divided by what all target words give to its source word: what everything
  /// looks at, such as a full stop, says little.
  bool balance = false;
  float threshold = 0;  ///< weights (not divided) below make no link; a weight of 0 never does
};

/// The links that weights stand for; of equal weights the leftmost word's.
text::Alignment links_of(const WordWeights& weights, const LinkOptions& options);

}  // namespace fovea::models
