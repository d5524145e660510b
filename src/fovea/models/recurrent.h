#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "fovea/models/copying.h"
#include "fovea/models/own_tokens.h"
#include "fovea/models/recurrent_decoder.h"
#include "fovea/models/time_major.h"
#include "fovea/ops/embed.h"

namespace fovea::models {

/// A recurrent encoder-decoder in mid-sentence.
struct RecurrentState : TranslationState {
  DecoderState decoder;
  SourceView source;  ///< memory.sequences: where each row looks
  CopyView copies;    ///< of a model that copies

  /// The steps' packed weights; made once for the state.
  std::shared_ptr<const RecurrentDecoder::Steps> steps;
  bool moves_keys = false;  ///< each row has keys of its own

  std::int64_t rows() const override { return decoder.layers.front().h.dim(0); }
  void reorder(std::span<const std::int32_t> parents) override;
  /// Adds the rows of a state that has not stepped yet; drops sentences of no row.
  void append(const RecurrentState& fresh);
};

/// A recurrent encoder-decoder with attention (Bahdanau et al. 2015; Luong et al. 2015), built as its config
/// says: a (bidirectional, stacked) GRU or LSTM reads the source, another writes the target, looking at the
/// source at every step.
///   logits = dropout(readout(s_t, c_t, e_t)) W^T + b
/// With `copy` what it gives are log-probabilities: those of its logits mixed with where it looks
/// (models/copying.h).
class RecurrentModel : public TranslationModel {
 public:
  /// Parameters are allocated and set to their beginning by `seed`. Throws Error(bug) if the config is not
  /// valid.
  explicit RecurrentModel(const RecurrentConfig& config, std::uint64_t seed = 1);
  RecurrentModel(const RecurrentConfig& config, Declared);

  const RecurrentConfig& config() const { return config_; }
  TranslationVocabulary vocabulary() const override { return vocabulary_of(config_); }
  std::int64_t max_positions() const override { return config_.max_positions; }

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
  Tensor predict(const ops::Context& ctx, const TranslationBatch& batch) const override;
  void read(const ops::Context& ctx, std::span<const std::int32_t> source,
            std::span<const std::int32_t> target) const override;

  formats::SafetensorsWriter weights_file(
      DType dtype, const std::map<std::string, std::string>& metadata = {}) const override;
  void read_weights(const formats::Weights& file, const Packing* packing = nullptr) override;

  /// How many numbers a model of that config learns, without allocating any.
  static double count_parameters(const RecurrentConfig& config);

 private:
  using Looks = RecurrentDecoder::Looks;
  using Looked = RecurrentDecoder::Looked;

  struct Encoded {
    SourceView source;
    Tensor summary;   ///< [B, M]
    CopyView copies;  ///< of a model that copies
  };
  Encoded encode(const ops::Context& ctx, std::span<const std::int32_t> tokens,
                 const std::shared_ptr<const ops::Sequences>& sentences, Looks looks) const;
  Tensor embed(const ops::Context& ctx, std::span<const std::int32_t> ids, const nn::Parameter* table,
               std::uint32_t site) const;

  /// What the output layer is given of N rows.
  struct Output {
    Tensor readout;        ///< [N, E]
    ops::Copying copying;  ///< of a model that copies
  };
  /// Of what rows looked at, each a query of `queries`, and their embedded inputs [N, E].
  Output output(const ops::Context& ctx, const Looked& looked, const Tensor& embedded,
                const std::shared_ptr<const ops::Sequences>& queries, const CopyView& copies) const;
  /// What a search is given for logits, from plain logits of the same rows.
  Tensor mixed(const ops::Context& ctx, const Tensor& logits, const Output& output) const;

  /// A batch with every target token given, or some drawn from what the model predicts.
  struct Unrolling {
    const TimeMajor& time;
    std::vector<std::int32_t> tokens;  ///< that the decoder reads, in the order of the steps
    const Encoded& encoded;
    const OwnTokens* own = nullptr;
    bool wants_weights = false;
    float coverage_weight = 0.0f;
  };
  /// The output of a batch gone through step by step, and the attention's weights of each step if wanted.
  struct Unrolled {
    Output output;
    std::vector<Tensor> weights;
  };
  Unrolled unroll(const ops::Context& ctx, const Unrolling& batch) const;
  class Reading;

  ops::LossSums loss_of_whole(const ops::Context& ctx, const TranslationBatch& batch, float label_smoothing,
                              float weight) const;
  ops::LossSums loss_step_by_step(const ops::Context& ctx, const TranslationBatch& batch,
                                  float label_smoothing, float weight) const;
  ops::LossSums cross_entropy(const ops::Context& ctx, const Output& output,
                              std::span<const std::int32_t> targets, float label_smoothing,
                              float weight) const;

  RecurrentConfig config_;
  nn::Parameter *source_embedding_ = nullptr, *target_embedding_ = nullptr, *output_ = nullptr,
                *output_shift_ = nullptr;
  std::optional<nn::Recurrent> encoder_;
  std::optional<RecurrentDecoder> decoder_;
  std::optional<CopyGate> gate_;
  std::uint32_t source_site_ = 0, target_site_ = 0, memory_site_ = 0, readout_site_ = 0;
};

double parameter_count(const RecurrentConfig& config);

}  // namespace fovea::models
