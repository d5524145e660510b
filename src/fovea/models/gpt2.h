#pragma once

#include <optional>
#include <string>

#include "fovea/formats/json.h"
#include "fovea/models/language_model.h"
#include "fovea/nn/layers.h"

namespace fovea::models {

/// What a GPT-2 is made of, by the names of its config.json where they say enough.
struct Gpt2Config {
  std::int64_t vocabulary = 50257;  ///< V
  std::int64_t max_positions = 1024;
  std::int64_t width = 768;  ///< D
  std::int64_t layers = 12;
  std::int64_t heads = 12;        ///< H, divides D
  std::int64_t feed_forward = 0;  ///< F; 0: 4 D
  kernels::Activation activation = kernels::Activation::gelu_tanh;
  float norm_eps = 1e-5f;
  bool scale_scores = true;            ///< by 1/sqrt(E)
  bool scale_scores_by_layer = false;  ///< and by 1/(layer + 1)
  bool tie_output = true;
  float embedding_dropout = 0.1f, residual_dropout = 0.1f, attention_dropout = 0.1f;
  std::optional<std::int32_t> bos = 50256;
  std::vector<std::int32_t> eos = {50256};

  std::int64_t inner() const { return feed_forward > 0 ? feed_forward : 4 * width; }
};

/// Sets every dropout to 0: two models that then agree are of one architecture.
void clear_dropout(Gpt2Config& config);
/// Throws Error(kind) naming `where` and the first thing in `config` that cannot be built.
void validate(const Gpt2Config& config, Error::Kind kind, std::string_view where);
/// How many numbers such a model learns.
double parameter_count(const Gpt2Config& config);
/// config.json, as Hugging Face's GPT2LMHeadModel reads it.
std::string config_json(const Gpt2Config& config, DType weights);
/// Throws Error(model) naming file and key: missing, of a wrong type or out of range, or not built here.
Gpt2Config read_gpt2_config(const formats::Json& config);

/// x + c_proj(attend(c_attn(ln_1(x)))), then x + c_proj(activation(c_fc(ln_2(x)))).
class Gpt2Block {
 public:
  Gpt2Block(nn::Builder& builder, const std::string& name, const Gpt2Config& config, std::size_t layer);
  Tensor operator()(const ops::Context& ctx, Tensor x_ND, const attention::CausalPass& pass) const;
  const attention::CausalHeads& heads() const { return heads_; }

 private:
  std::size_t layer_;
  std::string place_;
  attention::CausalHeads heads_;
  kernels::Activation activation_;
  nn::LayerNorm ln_1_;
  nn::Linear c_attn_, attention_c_proj_;
  nn::LayerNorm ln_2_;
  nn::Linear c_fc_, mlp_c_proj_;
  ops::Dropping attention_dropping_, mlp_dropping_;
};

/// GPT-2 (Radford et al. 2019): learned positions, norms before each sublayer and after the last, the output
/// layer tied to the embedding.
class Gpt2 : public LanguageModel {
 public:
  /// Parameters are allocated and set to their beginning by `seed`. Throws Error(bug) if the config is not
  /// valid.
  explicit Gpt2(const Gpt2Config& config, std::uint64_t seed = 1);
  Gpt2(const Gpt2Config& config, Declared);

  const Gpt2Config& config() const { return config_; }
  LanguageVocabulary vocabulary() const override { return {config_.vocabulary, config_.bos, config_.eos}; }
  std::int64_t max_positions() const override { return config_.max_positions; }

 protected:
  Tensor states(const ops::Context& ctx, std::span<const std::int32_t> tokens,
                const attention::CausalPass& pass) const override;
  FileNames names_in(const formats::Weights& file) const override;
  const nn::Parameter& output() const override { return *output_; }
  std::vector<attention::CausalHeads> heads() const override;

 private:
  Gpt2Config config_;
  nn::Parameter *wte_ = nullptr, *wpe_ = nullptr, *output_ = nullptr;
  ops::Dropping dropping_;
  std::vector<Gpt2Block> blocks_;
  std::optional<nn::LayerNorm> ln_f_;
};

}  // namespace fovea::models
