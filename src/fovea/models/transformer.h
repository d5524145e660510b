#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "fovea/attention/multi_head.h"
#include "fovea/attention/relative_bias.h"
#include "fovea/base/error.h"
#include "fovea/kernels/dropout.h"
#include "fovea/models/transformer_state.h"
#include "fovea/models/translation_model.h"
#include "fovea/ops/embed.h"

namespace fovea::models {

using attention::Sequences;

/// What an encoder-decoder Transformer is made of. Vaswani et al. 2017, table 3, in its letters; and how
/// those after it differ. Families are one file each: models/marian.h, bart.h, m2m100.h, t5.h.
struct TransformerConfig {
  /// Whose config.json and names of tensors a directory has.
  enum class Family { marian, bart, mbart, pegasus, m2m100, t5, mt5 };
  enum class Norm { post, pre };
  enum class NormKind { layer, rms };  ///< nn::LayerNorm, nn::RmsNorm
  enum class Positions {
    sinusoidal,
    fairseq,  ///< sinusoidal as fairseq has it, and two on: attention::fairseq_positions
    learned,
    relative,  ///< a bias of scores by distance, shared by the layers of a stack: attention::T5Bias
  };

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
  std::int32_t eos = 0, unk = 1, pad = 2;
  std::int32_t start = -1;  ///< what the decoder reads first; -1: pad
  std::int32_t bos = -1;    ///< begins texts in some families; -1: none

  Family family = Family::marian;
  NormKind norm_kind = NormKind::layer;
  float norm_eps = 1e-5f;
  bool biases = true;                ///< of products
  bool gated = false;                ///< feed-forward layers have two first products, one opens the other
  bool embedding_norm = false;       ///< a norm of embeddings and positions, before the first layer
  std::int64_t position_offset = 0;  ///< rows of learned positions before that of the first token
  float score_scale = 0.0f;          ///< of q.k; 0: 1/sqrt(d_k)
  std::int64_t distance_buckets = 32, max_distance = 128;  ///< relative positions
  bool scale_output = false;  ///< states over sqrt(width) before the output layer

  std::int64_t d_k() const { return key_width ? key_width : width / heads; }
  std::int64_t d_v() const { return value_width ? value_width : width / heads; }
  std::int32_t first() const { return start < 0 ? pad : start; }
  attention::HeadShape head_shape() const { return {width, heads, d_k(), d_v()}; }
};

/// A norm of the kind that the config names.
class TransformerNorm {
 public:
  TransformerNorm(nn::Builder& builder, const std::string& name, const TransformerConfig& config);

  Tensor operator()(const ops::Context& ctx, const Tensor& x_ND) const { return add(ctx, x_ND, {}, {}); }
  /// norm(residual + dropout(x))
  Tensor add(const ops::Context& ctx, const Tensor& x_ND, const Tensor& residual_ND,
             ops::Dropping dropping) const;
  /// y = norm(residual + x) of rows [N, D]; residual may be null, y may be either. Nothing is recorded.
  void rows(const kernels::Execution& exec, std::int64_t N, const float* x, const float* residual,
            float* y) const;
  std::int64_t width() const { return gamma_->shape[0]; }

 private:
  nn::Parameter *gamma_, *beta_;  // no beta: RMSNorm, which neither centres nor shifts
  float eps_;
};

TranslationVocabulary vocabulary_of(const TransformerConfig& config);

/// What states are multiplied by before the output layer.
float output_scale(const TransformerConfig& config);

/// Sets every dropout to 0: two models that then agree are of one architecture.
void clear_dropout(TransformerConfig& config);

/// Throws Error(kind) naming `where` and the first thing in `config` that cannot be built.
void validate(const TransformerConfig& config, Error::Kind kind, std::string_view where);

/// Norm(x + Dropout(sublayer(x))), section 3.1 and 5.4; or, pre-norm, x + Dropout(sublayer(Norm(x))).
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
  TransformerNorm norm_;
};

/// FFN(x) = activation(x W_1 + b_1) W_2 + b_2, section 3.3; or, gated, (activation(x W_0) * (x W_1)) W_2
/// (Shazeer 2020).
class FeedForward {
 public:
  FeedForward(nn::Builder& builder, const std::string& name, const TransformerConfig& config);
  Tensor operator()(const ops::Context& ctx, const Tensor& x_ND) const;
  /// The same of rows [N, D]; `inner` has room for [N, room()].
  void step(const kernels::Execution& exec, std::int64_t N, const float* x, float* inner, float* out) const;
  static std::int64_t room(const TransformerConfig& config) {
    return (config.gated ? 3 : 1) * config.feed_forward;
  }

 private:
  bool gated_;
  std::int64_t width_;  // d_ff
  nn::Linear in_, out_;
  ops::LinearOptions inner_;
};

struct LayerNames;  // models/transformer_names.h

/// Self-attention, then feed-forward; section 3.1.
class EncoderLayer {
 public:
  EncoderLayer(nn::Builder& builder, const TransformerConfig& config, std::int64_t n);

  /// `distances`: biases of scores, or none.
  Tensor forward(const ops::Context& ctx, const Tensor& x_ND, const std::shared_ptr<const Sequences>& source,
                 const std::shared_ptr<const ops::PairTerms>& distances) const;

 private:
  EncoderLayer(nn::Builder& builder, const TransformerConfig& config, const LayerNames& names,
               std::string place);

  std::string place_;
  attention::SelfAttention self_attention_;
  Residual self_residual_;
  FeedForward feed_forward_;
  Residual feed_forward_residual_;
};

/// Masked self-attention, attention over the encoder's output, feed-forward; section 3.1.
class DecoderLayer {
 public:
  DecoderLayer(nn::Builder& builder, const TransformerConfig& config, std::int64_t n);

  /// Keys and values of the encoder's output.
  Tensor keys_values(const ops::Context& ctx, const Tensor& memory_MD) const {
    return cross_attention_.keys_values(ctx, memory_MD);
  }
  Tensor forward(const ops::Context& ctx, const Tensor& x_ND, const Tensor& keys_values,
                 const std::shared_ptr<const Sequences>& target,
                 const std::shared_ptr<const Sequences>& source,
                 const std::shared_ptr<const ops::PairTerms>& distances) const;
  std::int64_t cache_width() const { return self_attention_.cache_width(); }
  /// One token a row: x [N, D] becomes the layer's output. `sentences` are those of this layer.
  void step(const ops::Context& ctx, float* x, const attention::HypothesisCache& cache,
            const attention::SelfAttention::Past& past, std::span<const kernels::BeamQueries> sentences,
            const StepRoom& room) const;

 private:
  DecoderLayer(nn::Builder& builder, const TransformerConfig& config, const LayerNames& names,
               const std::string& place);

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
/// each stack), learned or relative positions, head widths that are not width/heads, and what else
/// TransformerConfig has for the families after it.
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

  /// Under the names of its family; see models/transformer_names.h.
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
  void reach_back(const ops::Context& ctx, TransformerState& state) const;
  StepRoom room_for(std::int64_t rows, kernels::Workspace& memory) const;
  float embedding_scale() const;

  /// What stands before and after the layers of a stack.
  struct Ends {
    nn::Parameter* embedding = nullptr;
    nn::Parameter* positions = nullptr;          // null: none that are learned
    std::optional<attention::T5Bias> distances;  // relative positions only
    std::optional<TransformerNorm> embedding_norm;
    ops::Dropping dropping;
    std::optional<TransformerNorm> norm;  // pre-norm only
  };
  void add_embeddings(nn::Builder& builder);
  void add_positions(nn::Builder& builder);
  Tensor embed(const ops::Context& ctx, std::span<const std::int32_t> ids, const Sequences& sentences,
               const Ends& ends) const;
  const Tensor& positions(const Ends& ends) const {
    return ends.positions ? ends.positions->value : sinusoidal_;
  }

  TransformerConfig config_;
  Ends encoder_ends_, decoder_ends_;
  nn::Parameter* output_ = nullptr;
  Tensor sinusoidal_;  // undefined: learned or relative positions
  std::vector<EncoderLayer> encoder_;
  std::vector<DecoderLayer> decoder_;
};

}  // namespace fovea::models
