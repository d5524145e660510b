#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "fovea/models/recurrent_decoder.h"
#include "fovea/ops/embed.h"

namespace fovea::models {

/// Sentences in the order in which a loop over time goes through them: longest target first, step t of all
/// that are that long in neighbouring rows.
class TimeMajor {
 public:
  /// From the boundaries [B + 1] of the target sentences.
  explicit TimeMajor(std::span<const std::int32_t> target_start);

  std::int64_t sentences() const { return static_cast<std::int64_t>(order_.size()); }
  std::int64_t steps() const { return static_cast<std::int64_t>(rows_.size()); }
  std::int64_t rows(std::int64_t step) const { return rows_[static_cast<std::size_t>(step)]; }
  /// Which sentence of the batch is row r of a step.
  const std::vector<std::size_t>& order() const { return order_; }
  /// Target tokens, packed by sentence, in the order of the steps.
  std::vector<std::int32_t> arrange(std::span<const std::int32_t> tokens) const;

 private:
  std::vector<std::size_t> order_;
  std::vector<std::int64_t> start_, rows_;
};

/// A recurrent encoder-decoder in mid-sentence.
struct RecurrentState : TranslationState {
  DecoderState decoder;
  SourceView source;  ///< memory.sequences: where each row looks

  /// The steps' packed weights; made once for the state.
  std::shared_ptr<const RecurrentDecoder::Steps> steps;
  bool moves_keys = false;  ///< each row has keys of its own

  std::int64_t rows() const override { return decoder.layers.front().h.dim(0); }
  void reorder(std::span<const std::int32_t> parents) override;
};

/// A recurrent encoder-decoder with attention (Bahdanau et al. 2015; Luong et al. 2015), built as its config
/// says: a (bidirectional, stacked) GRU or LSTM reads the source, another writes the target, looking at the
/// source at every step.
///   logits = dropout(readout(s_t, c_t, e_t)) W^T + b
class RecurrentModel : public TranslationModel {
 public:
  /// Parameters are allocated and set to their beginning by `seed`. Throws Error(bug) if the config is not
  /// valid.
  explicit RecurrentModel(const RecurrentConfig& config, std::uint64_t seed = 1);

  const RecurrentConfig& config() const { return config_; }
  TranslationVocabulary vocabulary() const override { return vocabulary_of(config_); }
  std::int64_t max_positions() const override { return config_.max_positions; }

  ops::LossSums loss(const ops::Context& ctx, const TranslationBatch& batch, float label_smoothing,
                     float weight) const override;
  std::unique_ptr<TranslationState> start(const ops::Context& ctx,
                                          std::span<const std::vector<std::int32_t>> sources) const override;
  Tensor step(const ops::Context& ctx, TranslationState& state,
              std::span<const std::int32_t> tokens) const override;
  void read(const ops::Context& ctx, std::span<const std::int32_t> source,
            std::span<const std::int32_t> target) const override;

  formats::SafetensorsWriter weights_file(
      DType dtype, const std::map<std::string, std::string>& metadata = {}) const override;
  void read_weights(const formats::Weights& file) override;

  /// How many numbers a model of that config learns, without allocating any.
  static double count_parameters(const RecurrentConfig& config);

 private:
  struct Declared {};
  RecurrentModel(const RecurrentConfig& config, Declared);

  struct Encoded {
    SourceView source;
    Tensor summary;  ///< [B, M]
  };
  Encoded encode(const ops::Context& ctx, std::span<const std::int32_t> tokens,
                 const std::shared_ptr<const ops::Sequences>& sentences) const;
  Tensor embed(const ops::Context& ctx, std::span<const std::int32_t> ids, const nn::Parameter* table,
               std::uint32_t site) const;

  /// The readouts of a batch, every target token given, and the attention's weights of each step if wanted.
  struct Unrolled {
    Tensor readout;  ///< [N, E]
    std::vector<Tensor> weights;
  };
  Unrolled unroll(const ops::Context& ctx, const Tensor& embedded, const TimeMajor& time,
                  const Encoded& encoded, bool wants_weights, float coverage_weight) const;

  RecurrentConfig config_;
  nn::Parameter *source_embedding_ = nullptr, *target_embedding_ = nullptr, *output_ = nullptr,
                *output_shift_ = nullptr;
  std::optional<nn::Recurrent> encoder_;
  std::optional<RecurrentDecoder> decoder_;
  std::uint32_t source_site_ = 0, target_site_ = 0, memory_site_ = 0, readout_site_ = 0;
};

double parameter_count(const RecurrentConfig& config);

}  // namespace fovea::models
