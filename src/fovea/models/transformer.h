#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "fovea/attention/multi_head.h"
#include "fovea/base/error.h"
#include "fovea/kernels/dropout.h"
#include "fovea/models/transformer_state.h"
#include "fovea/models/translation_model.h"
#include "fovea/ops/embed.h"

namespace fovea::models {

using attention::Sequences;

/// What a Transformer for translation is made of. Vaswani et al. 2017, table 3, in its letters.
struct TransformerConfig {
  enum class Norm { post, pre };
  enum class Positions { sinusoidal, learned };

  std::int64_t source_vocabulary = 0, target_vocabulary = 0;
  std::int64_t encoder_layers = 6, decoder_layers = 6;  ///< N
  std::int64_t width = 512;                             ///< d_model
  std::int64_t feed_forward = 2048;                     ///< d_ff
  std::int64_t heads = 8;                               ///< h
  std::int64_t key_width = 0, value_width = 0;          ///< d_k, d_v; 0: width / heads
  kernels::Activation activation = kernels::Activation::relu;
  Norm norm = Norm::post;
  Positions positions = Positions::sinusoidal;
  std::int64_t max_positions = 512;
  bool tie_source_target = true;  ///< one embedding for both sides
  bool tie_output = true;         ///< the output layer is the target embedding
  bool scale_embedding = true;    ///< embeddings times sqrt(width)
  float dropout = 0.1f;           ///< P_drop: sublayer outputs and embeddings
  float attention_dropout = 0.0f, activation_dropout = 0.0f;
  std::int32_t eos = 0, unk = 1, pad = 2;  ///< the decoder starts from pad, which is never generated

  std::int64_t d_k() const { return key_width ? key_width : width / heads; }
  std::int64_t d_v() const { return value_width ? value_width : width / heads; }
};

TranslationVocabulary vocabulary_of(const TransformerConfig& config);

/// Sets every dropout to 0: two models that then agree are of one architecture.
void clear_dropout(TransformerConfig& config);

/// Throws Error(kind) naming `where` and the first thing in `config` that cannot be built.
void validate(const TransformerConfig& config, Error::Kind kind, std::string_view where);

/// LayerNorm(x + Dropout(sublayer(x))), section 3.1 and 5.4; or, pre-norm, x +
/// Dropout(sublayer(LayerNorm(x))).
class Residual {
 public:
  Residual(nn::Builder& builder, const std::string& norm_name, const TransformerConfig& config);

  template <class Sublayer>
  Tensor operator()(const ops::Context& ctx, const Tensor& x_ND, const Sublayer& sublayer) const {
    if (pre_norm_) return ops::add_residual(ctx, sublayer(norm_(ctx, x_ND)), x_ND, dropping_);
    return norm_.add(ctx, sublayer(x_ND), x_ND, dropping_);
  }
  /// The same of x [N, D] in its place; sublayer(in, out) writes its rows to `out`.
  template <class Sublayer>
  void step(const kernels::Execution& exec, std::int64_t N, float* x, const StepRoom& room,
            const Sublayer& sublayer) const {
    if (!pre_norm_) {
      sublayer(x, room.out);
      return norm_.rows(exec, N, room.out, x, x);
    }
    norm_.rows(exec, N, x, nullptr, room.normed);
    sublayer(room.normed, room.out);
    kernels::residual_dropout(exec, N * norm_.width(), {}, room.out, x, x);
  }

 private:
  bool pre_norm_;
  ops::Dropping dropping_;
  nn::LayerNorm norm_;
};

/// FFN(x) = activation(x W_1 + b_1) W_2 + b_2, section 3.3.
class FeedForward {
 public:
  FeedForward(nn::Builder& builder, const std::string& name, const TransformerConfig& config);
  Tensor operator()(const ops::Context& ctx, const Tensor& x_ND) const {
    return out_(ctx, in_(ctx, x_ND, inner_));
  }
  /// The same of rows [N, D]; `inner` has room for [N, d_ff].
  void step(const kernels::Execution& exec, std::int64_t N, const float* x, float* inner, float* out) const {
    in_.rows(exec, N, x, inner, inner_.activation);
    out_.rows(exec, N, inner, out);
  }

 private:
  nn::Linear in_, out_;
  ops::LinearOptions inner_;
};

/// Self-attention, then feed-forward; section 3.1.
class EncoderLayer {
 public:
  EncoderLayer(nn::Builder& builder, const std::string& name, const TransformerConfig& config,
               std::string place);
  Tensor forward(const ops::Context& ctx, const Tensor& x_ND,
                 const std::shared_ptr<const Sequences>& source) const;

 private:
  std::string place_;
  attention::SelfAttention self_attention_;
  Residual self_residual_;
  FeedForward feed_forward_;
  Residual feed_forward_residual_;
};

/// Masked self-attention, attention over the encoder's output, feed-forward; section 3.1.
class DecoderLayer {
 public:
  DecoderLayer(nn::Builder& builder, const std::string& name, const TransformerConfig& config,
               const std::string& place);

  /// Keys and values of the encoder's output.
  Tensor keys_values(const ops::Context& ctx, const Tensor& memory_MD) const {
    return cross_attention_.keys_values(ctx, memory_MD);
  }
  Tensor forward(const ops::Context& ctx, const Tensor& x_ND, const Tensor& keys_values,
                 const std::shared_ptr<const Sequences>& target,
                 const std::shared_ptr<const Sequences>& source) const;
  std::int64_t cache_width() const { return self_attention_.cache_width(); }
  /// One token a row: x [N, D] becomes the layer's output. `sentences` are those of this layer.
  void step(const ops::Context& ctx, float* x, const attention::HypothesisCache& cache,
            const attention::SelfAttention::Past& past, std::span<const kernels::BeamQueries> sentences,
            const StepRoom& room) const;

 private:
  std::string self_place_, cross_place_;
  attention::SelfAttention self_attention_;
  Residual self_residual_;
  attention::CrossAttention cross_attention_;
  Residual cross_residual_;
  FeedForward feed_forward_;
  Residual feed_forward_residual_;
};

/// The Transformer (Vaswani et al. 2017), as MarianMT arranges it: post-norm, biases everywhere, the decoder
/// started on pad, target_vocabulary logits without bias. Deviations by option: pre-norm (with a norm after
/// each stack), learned positions, head widths that are not width/heads.
class Transformer : public TranslationModel {
 public:
  /// Parameters are allocated and set to their beginning by `seed`. Throws Error(bug) if the config is not
  /// valid.
  explicit Transformer(const TransformerConfig& config, std::uint64_t seed = 1);
  Transformer(const TransformerConfig& config, Declared);

  const TransformerConfig& config() const { return config_; }
  TranslationVocabulary vocabulary() const override { return vocabulary_of(config_); }
  std::int64_t max_positions() const override { return config_.max_positions; }

  /// The encoder's output [sum of lengths, D] of packed source sentences.
  Tensor encode(const ops::Context& ctx, std::span<const std::int32_t> source,
                const std::shared_ptr<const Sequences>& sentences) const;

  /// The decoder's states [sum of lengths, D], given all target tokens before each.
  Tensor decode(const ops::Context& ctx, std::span<const std::int32_t> target_in,
                const std::shared_ptr<const Sequences>& target, const Tensor& memory_MD,
                const std::shared_ptr<const Sequences>& source) const;

  /// Logits [N, V] of states [N, D].
  Tensor logits(const ops::Context& ctx, const Tensor& states_ND) const;

  ops::LossSums loss(const ops::Context& ctx, const TranslationBatch& batch, float label_smoothing,
                     float weight) const override;
  std::unique_ptr<TranslationState> start(const ops::Context& ctx,
                                          std::span<const std::vector<std::int32_t>> sources) const override;
  void admit(const ops::Context& ctx, TranslationState& state,
             std::span<const std::vector<std::int32_t>> sources) const override;
  Tensor step(const ops::Context& ctx, TranslationState& state,
              std::span<const std::int32_t> tokens) const override;
  std::shared_ptr<const nn::PartialLinear> output_for(const kernels::Execution& exec,
                                                      std::span<const std::int32_t> tokens) const override;
  bool ranks() const override { return true; }
  void step_top(const ops::Context& ctx, TranslationState& state, std::span<const std::int32_t> tokens,
                const kernels::TopKChoice& choice, float* log_probs, std::int32_t* ids) const override;
  Tensor last_logits(const ops::Context& ctx, const TranslationState& state) const override;
  Tensor predict(const ops::Context& ctx, const TranslationBatch& batch) const override;
  void read(const ops::Context& ctx, std::span<const std::int32_t> source,
            std::span<const std::int32_t> target) const override;

  /// Under MarianMT's names; see models/marian.h.
  formats::SafetensorsWriter weights_file(
      DType dtype, const std::map<std::string, std::string>& metadata = {}) const override;
  void read_weights(const formats::Weights& file, const Packing* packing = nullptr) override;

 private:
  int shares_of(const ops::Context& ctx, std::int64_t rows, std::int64_t outputs) const;
  double step_cost(std::int64_t rows, std::int64_t outputs) const;
  ops::Context advance(const ops::Context& ctx, TransformerState& state,
                       std::span<const std::int32_t> tokens) const;
  void step_rows(const ops::Context& ctx, TransformerState& state, std::span<const std::int32_t> tokens,
                 std::int64_t first, StepShare& share) const;
  StepRoom room_for(std::int64_t rows, kernels::Workspace& memory) const;
  float embedding_scale() const;
  Tensor embed(const ops::Context& ctx, std::span<const std::int32_t> ids,
               std::span<const std::int32_t> position, const nn::Parameter* table, const Tensor& positions,
               ops::Dropping dropping) const;
  const Tensor& positions(const nn::Parameter* learned) const {
    return learned ? learned->value : sinusoidal_;
  }

  TransformerConfig config_;
  nn::Parameter* source_embedding_ = nullptr;
  nn::Parameter* target_embedding_ = nullptr;
  nn::Parameter* output_ = nullptr;
  nn::Parameter* encoder_positions_ = nullptr;  // null: sinusoidal
  nn::Parameter* decoder_positions_ = nullptr;
  Tensor sinusoidal_;
  ops::Dropping encoder_dropping_, decoder_dropping_;
  std::vector<EncoderLayer> encoder_;
  std::vector<DecoderLayer> decoder_;
  std::optional<nn::LayerNorm> encoder_norm_, decoder_norm_;  // pre-norm only
};

}  // namespace fovea::models
