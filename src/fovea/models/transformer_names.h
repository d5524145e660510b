#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "fovea/attention/multi_head.h"
#include "fovea/models/transformer.h"

/// What the tensors of a Transformer are called on disk. There are two manners: fairseq's, which Marian,
/// BART, Pegasus and M2M100 follow, and T5's.
namespace fovea::models {

enum class Stack { encoder, decoder };
std::string_view name_of(Stack stack);

/// The sublayers of a layer and their norms.
struct LayerNames {
  std::string self_attention, self_norm;
  std::string cross_attention, cross_norm;  ///< of the decoder
  std::string feed_forward, feed_forward_norm;
};
LayerNames layer_names(const TransformerConfig& config, Stack stack, std::int64_t n);

/// What stands before and after the layers.
struct StackNames {
  std::string embedding;  ///< its own, if it is not shared
  std::string positions, embedding_norm, norm, distances;
};
StackNames stack_names(const TransformerConfig& config, Stack stack);

/// Both include ".weight".
std::string shared_embedding_name(const TransformerConfig& config);
std::string_view output_name();

/// The products of attention and of feed-forward layers.
attention::HeadForm head_form(const TransformerConfig& config);
struct FeedForwardNames {
  std::string_view gate, in, out;
};
FeedForwardNames feed_forward_names(const TransformerConfig& config);

/// Whether a fixed shift of the logits lies beside the weights, as final_logits_bias.
bool has_output_bias(const TransformerConfig& config);

}  // namespace fovea::models
