#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "fovea/kernels/activation.h"
#include "fovea/models/text_classifier.h"

namespace fovea::models {

/// What makes one vector of the states of a text: the modules of a sentence-transformers directory after its
/// Transformer.
/// Source   UKPLab/sentence-transformers, models/Pooling.py, Dense.py, Normalize.py
struct SentencePooling {
  /// Of states h_0 .. h_{T-1}; several are put one after another, in this order.
  ///   cls        h_0
  ///   maximum    of each column
  ///   mean       sum h_t / T
  ///   mean_sqrt  sum h_t / sqrt(T)
  ///   weighted   sum (t + 1) h_t / sum (t + 1)
  ///   last       h_{T-1}
  enum class Mode { cls, maximum, mean, mean_sqrt, weighted, last };
  /// y = activation(W x + b) behind the pooling.
  struct Dense {
    Tensor weight, bias;  ///< [out, in]; [out] or undefined
    kernels::Activation activation = kernels::Activation::tanh;
  };

  std::vector<Mode> modes{Mode::mean};
  std::vector<Dense> dense = {};
  bool normalise = false;       ///< to length 1
  std::int64_t max_tokens = 0;  ///< of a text; 0: nothing is said

  /// Width of a text's vector before Dense.
  std::int64_t width(std::int64_t state_width) const { return std::ssize(modes) * state_width; }
};

/// "cls", "max", "mean", "mean_sqrt", "weighted" or "last"; none for another.
std::optional<SentencePooling::Mode> pooling_named(std::string_view name);

/// Where the encoder of a sentence-transformers directory lies, which is mostly the directory itself.
std::filesystem::path encoder_folder(const std::filesystem::path& directory);
/// What modules.json and the files it names say, for states `state_width` wide; none if there is no
/// modules.json. Throws Error(model) naming file and key: a module of another type, widths that disagree.
std::optional<SentencePooling> read_sentence_pooling(const std::filesystem::path& directory,
                                                     std::int64_t state_width);

/// A vector for each text, [B, width].
Tensor pool(const ops::Context& ctx, const SentencePooling& pooling, const Tensor& states_ND,
            std::span<const std::int32_t> start);

}  // namespace fovea::models
