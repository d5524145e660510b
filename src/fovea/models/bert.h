#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fovea/models/bert_config.h"
#include "fovea/models/text_classifier.h"
#include "fovea/nn/layers.h"
#include "fovea/ops/attention.h"

namespace fovea::models {

/// norm(x + attention(x)), then norm(x + outer(activation(inner(x)))).
class BertLayer {
 public:
  BertLayer(nn::Builder& builder, const BertConfig& config, std::int64_t number);
  Tensor operator()(const ops::Context& ctx, const Tensor& x_ND,
                    const std::shared_ptr<const ops::Sequences>& texts) const;

 private:
  std::string place_;
  std::int64_t width_, heads_;
  kernels::Activation activation_;
  ops::Dropping weights_dropping_, attention_dropping_, output_dropping_;
  nn::Linear qkv_, attention_out_;
  nn::LayerNorm attention_norm_;
  nn::Linear inner_, outer_;
  nn::LayerNorm output_norm_;
};

/// BERT (Devlin et al. 2019), DistilBERT (Sanh et al. 2019) and RoBERTa (Liu et al. 2019): a Transformer
/// encoder, norms after each sublayer and after the embeddings, that looks both ways.
class Bert : public TextClassifier {
 public:
  /// Parameters are allocated and set to their beginning by `seed`. Throws Error(bug) if the config is not
  /// valid.
  explicit Bert(const BertConfig& config, std::uint64_t seed = 1);
  Bert(const BertConfig& config, Declared);

  const BertConfig& config() const { return config_; }
  const ClassNames& classes() const override { return config_.classes; }
  std::int64_t vocabulary() const override { return config_.vocabulary; }
  std::int64_t max_tokens() const override { return config_.max_tokens(); }

  void read_weights(const formats::Weights& file, const Packing* packing = nullptr) override;
  /// Reads the encoder alone, whatever head the file has; the head keeps its beginning.
  void read_pretrained(const formats::Weights& file);

  /// The states of all tokens, [N, D].
  Tensor states(const ops::Context& ctx, const TextBatch& batch) const;
  /// tanh(W h_first + b) of each text, [B, D]; for a config with a pooler.
  Tensor pooled(const ops::Context& ctx, const Tensor& states_ND, const TextBatch& batch) const;
  /// Of the rows that are asked for (all of them: empty): the classes of tokens [R, C], or what could stand
  /// in their place [R, V]; for the heads token and masked.
  Tensor token_logits(const ops::Context& ctx, const TextBatch& batch,
                      std::span<const std::int32_t> rows = {}) const;
  /// Cross-entropy of those rows' targets [R]; with a tape, backward() then adds the gradients of weight *
  /// (sum of losses).
  ops::LossSums token_loss(const ops::Context& ctx, const TextBatch& batch,
                           std::span<const std::int32_t> rows, std::span<const std::int32_t> targets,
                           float label_smoothing, float weight) const;

 protected:
  Output output() const override { return output_; }
  Tensor summary(const ops::Context& ctx, const TextBatch& batch) const override;

 private:
  void add_embeddings(nn::Builder& builder);
  void add_head(nn::Builder& builder);
  void add_masked_head(nn::Builder& builder);
  Tensor token_summary(const ops::Context& ctx, const TextBatch& batch,
                       std::span<const std::int32_t> rows) const;
  Tensor embedded(const ops::Context& ctx, const TextBatch& batch) const;
  std::vector<std::int32_t> positions(const TextBatch& batch) const;
  bool is_redundant(std::string_view name, const formats::Weights& file) const;
  void read(const formats::Weights& file, const Packing* packing, bool encoder_only);

  BertConfig config_;
  nn::Parameter *words_ = nullptr, *positions_ = nullptr, *types_ = nullptr;
  std::optional<nn::LayerNorm> embedding_norm_;
  ops::Dropping embedding_dropping_, input_dropping_, head_dropping_;
  std::vector<BertLayer> layers_;
  std::optional<nn::Linear> pooler_;
  std::optional<nn::Linear> dense_;  // of heads that have a layer before the last
  std::optional<nn::LayerNorm> dense_norm_;
  Output output_{};
};

}  // namespace fovea::models
