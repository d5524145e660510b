#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "fovea/formats/json.h"
#include "fovea/models/any_model.h"

namespace fovea::cli {

/// A tensor as it lies on disk, and what is in it.
struct TensorReport {
  std::string name, type;
  std::vector<std::int64_t> shape;
  std::int64_t not_finite = 0;  ///< NaN and infinite elements
  /// Of the finite elements; nothing for types that are not read as numbers.
  std::optional<double> least, greatest, mean;
};

/// The pieces of one language.
struct VocabularyReport {
  std::int32_t pieces = 0;
  std::string kind;  ///< "unigram", "BPE", ...; empty: no SentencePiece model, and nothing of what follows
  bool byte_fallback = false;
  std::string normaliser;
  std::size_t samples = 0, failures = 0;  ///< of the model file's self-test
};

/// What there is to say about a model directory.
struct ModelReport {
  std::string folder;
  /// Of the folder of an adapter what it adds to which model; the rest is of both together. Empty: it is
  /// none.
  std::string adapter;
  models::AnyConfig config;
  std::optional<std::string> why_not_marian;  ///< of a translation model; empty: it is one
  std::vector<TensorReport> tensors;
  std::int64_t parameters = 0;                     ///< numbers learned; 0 if the model cannot be loaded
  std::uint64_t bytes = 0;                         ///< of all tensors on disk
  std::optional<VocabularyReport> source, target;  ///< of a model that reads one kind of text: source alone
  bool joint = false;                              ///< source and target have one vocabulary
  std::string source_language, target_language;
  std::vector<std::string> packed;        ///< types for which `fovea pack` has been, and how they stand
  std::optional<formats::Json> training;  ///< training.json
  std::vector<std::string> faults;        ///< why it cannot be used, or should not; a line each
};

/// Looks at everything in a model directory. What is wrong with weights or tokenizer goes into `faults`; only
/// a folder that is none of a model throws: Error(model).
ModelReport report_on(const std::string& folder);

}  // namespace fovea::cli
