#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fovea/attention/match_score.h"
#include "fovea/models/recurrent_config.h"

namespace fovea::models {

/// A place of random numbers that is another at each step.
inline std::uint32_t site_at(std::uint32_t site, std::int64_t position) {
  return site + (static_cast<std::uint32_t>(position + 1) << 16);
}

/// What the decoder carries from step to step: a row for each sentence in training, for each hypothesis in
/// decoding.
struct DecoderState {
  std::vector<nn::RecurrentState> layers;  ///< [R, H] each
  Tensor fed;                              ///< [R, E] the readout of the step before; input feeding only
  Tensor previous;                         ///< weights of the step before, row after row [S_r], if they count
  Tensor coverage;                         ///< their sum over all steps before
  std::int64_t position = 0;               ///< t
  std::vector<std::int64_t> positions;     ///< decoding: t of each row, in place of `position`
  bool decides = false;                    ///< decoding: monotonic attention is hard
};

/// The source as the decoder's rows look at it: row r at sequence r of `memory`, or at the vector fixed[r].
struct SourceView {
  attention::Memory memory;
  Tensor fixed;  ///< [R, M], of a decoder without attention
};

/// A recurrent decoder that attends with any score, in any of the orders of RecurrentConfig.
///   readout(s, c, e) = tanh(W_s s + W_c c + W_e e + b), the last but for the order luong (its "attentional
///   vector")
/// Source   Bahdanau et al. 2015, appendix A.2 (tanh in place of maxout); Luong et al. 2015, section 3
class RecurrentDecoder {
 public:
  RecurrentDecoder(nn::Builder& builder, const std::string& name, const RecurrentConfig& config);

  /// How the source will be looked at: by all steps at once, or step by step.
  enum class Looks { whole, stepwise };
  /// Keys and values of the encoder's outputs [N, M].
  attention::Memory remember(const ops::Context& ctx, const Tensor& h_NM,
                             const std::shared_ptr<const ops::Sequences>& sentences, Looks looks) const;
  /// The states before the first step, from a summary [B, M] of each sentence (undefined: zeros).
  DecoderState begin(const ops::Context& ctx, const Tensor& summary_BM) const;
  /// The same for decoding, with `memory` (of that many sequences): weights before the first step are zeros.
  DecoderState begin_decoding(const ops::Context& ctx, const Tensor& summary_BM,
                              const attention::Memory& memory) const;
  /// What the first cell makes of embedded tokens [N, E], for any number of steps at once.
  Tensor project(const ops::Context& ctx, const Tensor& embedded_NE) const {
    return cells_.front().project(ctx, embedded_NE);
  }
  /// [N, E] of states [N, H], contexts [N, M] and embedded inputs [N, E].
  Tensor readout(const ops::Context& ctx, const Tensor& s_NH, const Tensor& c_NM,
                 const Tensor& embedded_NE) const;

  /// States and contexts of rows, one step or many.
  struct Looked {
    Tensor s, c;     ///< [N, H], [N, M]
    Tensor readout;  ///< with input feeding only
    Tensor weights;  ///< of the attention, if asked for or needed
  };

  /// All steps of whole target sentences at once; for a config that does not feed back.
  Looked whole(const ops::Context& ctx, const Tensor& projection, const DecoderState& first,
               const std::shared_ptr<const ops::Sequences>& target, const SourceView& source) const;

  /// Steps of one batch: constructed before the loop, in training with B = rows of its first step; rows of
  /// later steps are the first of those before.
  class Steps {
   public:
    /// `given`: whether steps get their rows of project(), or embedded tokens that are known only then.
    Steps(const ops::Context& ctx, const RecurrentDecoder& decoder, std::int64_t B,
          nn::RecurrentCell::Given given = nn::RecurrentCell::Given::projection);
    /// One step: `given` [R, .] of its tokens, `state` goes one further.
    Looked step(const ops::Context& ctx, const Tensor& given, DecoderState& state, const SourceView& source,
                bool wants_weights = false) const;

   private:
    Looked bahdanau(const ops::Context& ctx, const Tensor& given, DecoderState& state,
                    const SourceView& source, bool wants_weights) const;
    Looked luong(const ops::Context& ctx, const Tensor& given, DecoderState& state, const SourceView& source,
                 bool wants_weights) const;
    void step_cells(const ops::Context& ctx, const Tensor& given, DecoderState& state,
                    const Tensor& feedback) const;

    const RecurrentDecoder& decoder_;
    std::vector<nn::RecurrentCell::Loop> cells_;
    std::optional<nn::RecurrentCell::Loop> second_;  // of the order conditional
    std::vector<ops::StepLinear> feeding_;           // W_s, W_c of the readout, with input feeding
  };

  /// Whether keys move with what was looked at, so that each row needs keys of its own.
  bool moves_keys() const { return config_.score == "location" || config_.coverage; }
  const RecurrentConfig& config() const { return config_; }

 private:
  Looked look(const ops::Context& ctx, const Tensor& query_RH, DecoderState& state, const SourceView& source,
              bool wants_weights) const;
  attention::Memory moved(const ops::Context& ctx, const attention::Memory& memory,
                          const DecoderState& state) const;
  attention::AttendOptions options(const ops::Context& ctx, const Tensor& query,
                                   const std::shared_ptr<const ops::Sequences>& queries,
                                   const attention::Memory& memory, const DecoderState& state) const;
  /// Whether a step depends on the weights of those before.
  bool carries_weights() const {
    return moves_keys() || config_.normaliser == attention::Normaliser::monotonic ||
           config_.coverage_loss > 0.0f;
  }
  bool learns_from_weights() const { return carries_weights() || config_.copy; }

  RecurrentConfig config_;
  std::string place_;
  std::vector<nn::RecurrentCell> cells_;
  std::optional<nn::RecurrentCell> second_;
  std::shared_ptr<const attention::Score> score_;
  std::optional<nn::Linear> key_map_;                // where keys must be as wide as queries
  nn::Parameter* energy_bias_ = nullptr;             // r of monotonic attention
  std::optional<nn::Linear> centre_in_, centre_;     // local-p
  nn::Parameter* coverage_ = nullptr;                // w_c
  std::vector<nn::Linear> start_h_, start_c_;        // a layer each
  nn::Parameter *W_s_, *b_, *W_c_, *W_e_ = nullptr;  // the readout
  std::uint32_t attention_site_, noise_site_, layer_site_;
};

}  // namespace fovea::models
