#include "fovea/models/transformer_names.h"

namespace fovea::models {
namespace {

using Family = TransformerConfig::Family;

bool as_t5(const TransformerConfig& config) {
  return config.family == Family::t5 || config.family == Family::mt5;
}

}  // namespace

std::string_view name_of(Stack stack) { return stack == Stack::encoder ? "encoder" : "decoder"; }

LayerNames layer_names(const TransformerConfig& config, Stack stack, std::int64_t n) {
  const std::string of(name_of(stack)), number = std::to_string(n);
  if (!as_t5(config)) {
    const std::string layer = "model." + of + ".layers." + number;
    return {.self_attention = layer + ".self_attn",
            .self_norm = layer + ".self_attn_layer_norm",
            .cross_attention = layer + ".encoder_attn",
            .cross_norm = layer + ".encoder_attn_layer_norm",
            .feed_forward = layer,
            .feed_forward_norm = layer + ".final_layer_norm"};
  }
  const auto sublayer = [&](int i) { return of + ".block." + number + ".layer." + std::to_string(i); };
  const std::string last = sublayer(stack == Stack::encoder ? 1 : 2);
  return {.self_attention = sublayer(0) + ".SelfAttention",
          .self_norm = sublayer(0) + ".layer_norm",
          .cross_attention = sublayer(1) + ".EncDecAttention",
          .cross_norm = sublayer(1) + ".layer_norm",
          .feed_forward = last + ".DenseReluDense",
          .feed_forward_norm = last + ".layer_norm"};
}

StackNames stack_names(const TransformerConfig& config, Stack stack) {
  const std::string of(name_of(stack));
  if (as_t5(config))
    return {.embedding = of + ".embed_tokens.weight",
            .positions = {},
            .embedding_norm = {},
            .norm = of + ".final_layer_norm",
            .distances = of + ".block.0.layer.0.SelfAttention.relative_attention_bias"};
  return {.embedding = "model." + of + ".embed_tokens.weight",
          .positions = "model." + of + ".embed_positions.weight",
          .embedding_norm = "model." + of + ".layernorm_embedding",
          .norm = "model." + of + ".layer_norm",
          .distances = {}};
}

std::string shared_embedding_name(const TransformerConfig& config) {
  return as_t5(config) ? "shared.weight" : "model.shared.weight";
}

std::string_view output_name() { return "lm_head.weight"; }

attention::HeadForm head_form(const TransformerConfig& config) {
  attention::HeadForm form{.scale = config.score_scale,
                           .bias = config.biases ? nn::Bias::with : nn::Bias::without};
  if (as_t5(config)) form.q = ".q", form.k = ".k", form.v = ".v", form.out = ".o";
  return form;
}

FeedForwardNames feed_forward_names(const TransformerConfig& config) {
  if (!as_t5(config)) return {.gate = ".fc0", .in = ".fc1", .out = ".fc2"};
  if (!config.gated) return {.gate = {}, .in = ".wi", .out = ".wo"};
  return {.gate = ".wi_0", .in = ".wi_1", .out = ".wo"};
}

bool has_output_bias(const TransformerConfig& config) {
  return !as_t5(config) && config.family != Family::m2m100;
}

}  // namespace fovea::models
