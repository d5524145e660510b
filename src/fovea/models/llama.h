#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "fovea/attention/rotary.h"
#include "fovea/formats/json.h"
#include "fovea/models/language_model.h"
#include "fovea/nn/layers.h"

namespace fovea::models {

/// What a decoder of Llama's shape is made of. Mistral's has windows, Qwen2's biases of queries, keys and
/// values.
struct LlamaConfig {
  enum class Family { llama, mistral, qwen2 };

  Family family = Family::llama;    ///< what config.json calls it
  std::int64_t vocabulary = 32000;  ///< V
  std::int64_t max_positions = 2048;
  std::int64_t width = 4096;  ///< D
  std::int64_t layers = 32;
  std::int64_t heads = 32;                                     ///< H
  std::int64_t kv_heads = 0;                                   ///< H_kv, divides H; 0: H
  std::int64_t head_width = 0;                                 ///< E; 0: D / H
  std::int64_t feed_forward = 11008;                           ///< F
  kernels::Activation activation = kernels::Activation::silu;  ///< of the gate
  float norm_eps = 1e-6f;
  attention::RotarySettings rotary = {};
  std::int64_t window = 0;       ///< tokens that a token sees, itself counted; 0: all before it
  std::int64_t window_from = 0;  ///< the first layer that has the window
  bool qkv_bias = false, output_bias = false, feed_forward_bias = false;
  bool tie_output = false;
  float attention_dropout = 0.0f;
  float dropout = 0.0f;  ///< of embeddings and of what adds to the residual; of training here, config.json
                         ///< has no word for it
  std::optional<std::int32_t> bos = 1;
  std::vector<std::int32_t> eos = {2};

  std::int64_t keys() const { return kv_heads > 0 ? kv_heads : heads; }
  std::int64_t E() const { return head_width > 0 ? head_width : width / heads; }
};

/// Sets every dropout to 0: two models that then agree are of one architecture.
void clear_dropout(LlamaConfig& config);
/// Throws Error(kind) naming `where` and the first thing in `config` that cannot be built.
void validate(const LlamaConfig& config, Error::Kind kind, std::string_view where);
/// How many numbers such a model learns.
double parameter_count(const LlamaConfig& config);
/// config.json, as Hugging Face's LlamaForCausalLM, MistralForCausalLM or Qwen2ForCausalLM reads it.
std::string config_json(const LlamaConfig& config, DType weights);
/// What config.json calls it.
std::string_view model_type_of(LlamaConfig::Family family);
/// Whether `model_type` is one of this shape.
bool is_llama(std::string_view model_type);
/// Throws Error(model) naming file and key: missing, of a wrong type or out of range, or not built here.
LlamaConfig read_llama_config(const formats::Json& config);

/// x + o_proj(attend(q, k, v of norm(x))), then x + down_proj(activation(gate_proj(norm(x))) *
/// up_proj(norm(x)))
class LlamaBlock {
 public:
  LlamaBlock(nn::Builder& builder, const std::string& name, const LlamaConfig& config, std::size_t layer);
  /// `turn` holds the angles of the rows of the pass, `row` [N] their numbers.
  Tensor operator()(const ops::Context& ctx, Tensor x_ND, const attention::CausalPass& pass,
                    const ops::RotaryTables& turn, const Tensor& row) const;
  const attention::CausalHeads& heads() const { return heads_; }

 private:
  std::size_t layer_;
  std::string place_;
  attention::CausalHeads heads_;
  kernels::Activation activation_;
  nn::RmsNorm input_norm_;
  nn::Linear qkv_, o_proj_;
  nn::RmsNorm post_attention_norm_;
  nn::Linear gate_up_, down_proj_;
  ops::Dropping attention_dropping_, mlp_dropping_;
};

/// Llama (Touvron et al. 2023): rotary positions, RMSNorm before each sublayer and after the last, gated
/// feed-forward layers, shared key heads (Ainslie et al. 2023).
class Llama : public LanguageModel {
 public:
  /// Parameters are allocated and set to their beginning by `seed`. Throws Error(bug) if the config is not
  /// valid.
  explicit Llama(const LlamaConfig& config, std::uint64_t seed = 1);
  Llama(const LlamaConfig& config, Declared);

  const LlamaConfig& config() const { return config_; }
  LanguageVocabulary vocabulary() const override { return {config_.vocabulary, config_.bos, config_.eos}; }
  /// Under the dynamic rule of rotary positions, as many times those of the config as its factor says.
  std::int64_t max_positions() const override;

 protected:
  Tensor states(const ops::Context& ctx, std::span<const std::int32_t> tokens,
                const attention::CausalPass& pass) const override;
  FileNames names_in(const formats::Weights& file) const override;
  const nn::Parameter& output() const override { return *output_; }
  std::vector<attention::CausalHeads> heads() const override;

 private:
  LlamaConfig config_;
  nn::Parameter *embed_tokens_ = nullptr, *output_ = nullptr;
  ops::Dropping dropping_;
  std::vector<LlamaBlock> blocks_;
  std::optional<nn::RmsNorm> norm_;
};

}  // namespace fovea::models
