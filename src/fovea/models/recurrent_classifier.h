#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fovea/attention/pooling.h"
#include "fovea/base/error.h"
#include "fovea/formats/json.h"
#include "fovea/models/text_classifier.h"
#include "fovea/nn/recurrent.h"

namespace fovea::models {

/// What a recurrent classifier is made of.
struct RecurrentClassifierConfig {
  /// What becomes of the states of a text: looked at by additive attention; or their mean.
  enum class Pooling { attention, mean };

  std::int64_t vocabulary = 0;
  std::int64_t embedding = 128;
  nn::Recurrence cell = nn::Recurrence::gru;
  std::int64_t layers = 1;  ///< 0: the embeddings themselves are looked at
  bool bidirectional = true;
  std::int64_t width = 128;  ///< H of a direction
  Pooling pooling = Pooling::attention;
  std::int64_t attention_width = 128;
  std::int64_t max_tokens = 512;
  float embedding_dropout = 0.0f;   ///< of words, element by element
  float dropout = 0.0f;             ///< between layers, and of their output
  float classifier_dropout = 0.0f;  ///< of what the last layer reads
  bool variational = false;         ///< between layers and on states: one mask for all steps
  ClassNames classes = {};

  /// Width of what is looked at.
  std::int64_t state_width() const { return layers == 0 ? embedding : bidirectional ? 2 * width : width; }
};

/// The model_type of their config.json.
inline constexpr std::string_view recurrent_classifier_type = "fovea-recurrent-classifier";

/// Sets every dropout to 0: two models that then agree are of one architecture.
void clear_dropout(RecurrentClassifierConfig& config);
/// Throws Error(kind) naming `where` and the first thing in `config` that cannot be built.
void validate(const RecurrentClassifierConfig& config, Error::Kind kind, std::string_view where);
/// How many numbers such a model learns.
double parameter_count(const RecurrentClassifierConfig& config);
std::string config_json(const RecurrentClassifierConfig& config, DType weights);
/// Throws Error(model) naming file and key.
RecurrentClassifierConfig read_recurrent_classifier_config(const formats::Json& config);

/// Words are embedded, read in both directions, and looked at with a learned query.
///   h = GRU or LSTM(E w);  s = sum_t alpha_t h_t, alpha = softmax_t(tanh(W h_t + b) . u);  logits = V s + c
/// Source   Yang et al. 2016 (hierarchical attention networks), of one level; Lin et al. 2017, with one hop
class RecurrentClassifier : public TextClassifier {
 public:
  explicit RecurrentClassifier(const RecurrentClassifierConfig& config, std::uint64_t seed = 1);
  RecurrentClassifier(const RecurrentClassifierConfig& config, Declared);

  const RecurrentClassifierConfig& config() const { return config_; }
  const ClassNames& classes() const override { return config_.classes; }
  std::int64_t vocabulary() const override { return config_.vocabulary; }
  std::int64_t max_tokens() const override { return config_.max_tokens; }

  void read_weights(const formats::Weights& file, const Packing* packing = nullptr) override;

  /// The place at which a recorder finds the weights of the words, [1, T] of each text: as if the class were
  /// the one word that a decoder writes.
  static constexpr std::string_view pooling_place = "decoder.0.cross";

 protected:
  Output output() const override { return output_; }
  Tensor summary(const ops::Context& ctx, const TextBatch& batch) const override;

 private:
  RecurrentClassifierConfig config_;
  nn::Parameter* words_ = nullptr;
  ops::Dropping embedding_dropping_, state_dropping_, classifier_dropping_;
  std::optional<nn::Recurrent> recurrent_;
  std::optional<attention::WordAttention> attention_;
  Output output_{};
};

}  // namespace fovea::models
