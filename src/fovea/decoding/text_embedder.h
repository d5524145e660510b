#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "fovea/decoding/text_encoder.h"
#include "fovea/models/bert.h"
#include "fovea/models/sentence_pooling.h"

namespace fovea::decoding {

/// Texts as vectors.
class TextEmbedder {
 public:
  struct Options {
    std::string pooling = {};  ///< as models::pooling_named; empty: as the directory says, else mean
    bool normalise = false;    ///< to length 1, also where the directory does not say so
    std::optional<DType> weights = {};
  };
  /// The model of a directory: of sentence-transformers (modules.json), or any BERT. `exec` must outlive the
  /// embedder. Throws Error(model) as the parts do.
  static TextEmbedder load(const std::filesystem::path& directory, const kernels::Execution& exec,
                           const Options& options);

  const TextEncoder& encoder() const { return encoder_; }
  /// A vector for each text, [B, width].
  Tensor embed(std::span<const text::Encoding> texts) const;

 private:
  TextEmbedder(std::unique_ptr<models::Bert> model, TextEncoder encoder, models::SentencePooling pooling,
               const kernels::Execution& exec)
      : model_(std::move(model)), encoder_(std::move(encoder)), pooling_(std::move(pooling)), exec_(exec) {}

  std::unique_ptr<models::Bert> model_;
  TextEncoder encoder_;
  models::SentencePooling pooling_;
  kernels::Execution exec_;
};

/// Row i of a matrix.
std::span<const float> row_of(const Tensor& matrix, std::size_t i);

/// cos(query, v) of each row v of a matrix of the query's width; 0 for a row of zeros.
std::vector<float> similarities(std::span<const float> query, std::span<const float> rows);

}  // namespace fovea::decoding
