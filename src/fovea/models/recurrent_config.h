#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "fovea/attention/attend.h"
#include "fovea/base/error.h"
#include "fovea/formats/json.h"
#include "fovea/models/generation_defaults.h"
#include "fovea/models/translation_model.h"
#include "fovea/nn/recurrent.h"

namespace fovea::models {

/// What a recurrent encoder-decoder is made of.
struct RecurrentConfig {
  /// When the decoder looks at the source.
  ///   bahdanau      with the state before, then it steps: c_t = attend(s_{t-1}), s_t = cell([y; c_t],
  ///   s_{t-1}) luong         it steps, then looks: s_t = cell(y, s_{t-1}), c_t = attend(s_t) conditional
  ///   between two cells: s' = cell_1(y, s_{t-1}), c_t = attend(s'), s_t = cell_2(c_t, s')
  /// Source   Bahdanau et al. 2015; Luong et al. 2015; Sennrich et al. 2017 (Nematus, "cGRU")
  enum class Order { bahdanau, luong, conditional };
  /// Which source tokens may be looked at: all; those near the target's own position; those near a position
  /// that the query predicts, with a Gaussian around it. Luong et al. 2015.
  enum class Window { global, local_m, local_p };
  /// How the decoder's states begin: at zero; from the encoder's last states; from the mean of its outputs;
  /// the latter two through a learned tanh layer.
  enum class Start { zeros, last, mean };

  std::int64_t source_vocabulary = 0, target_vocabulary = 0;
  nn::Recurrence cell = nn::Recurrence::gru;
  std::int64_t encoder_layers = 1, decoder_layers = 1;
  bool bidirectional = true;  ///< the encoder
  std::int64_t width = 256;   ///< H of encoder (a direction) and decoder
  std::int64_t embedding = 256;
  std::string score = "additive";      ///< one of attention::score_names(), or "none": a fixed context vector
  std::int64_t attention_width = 256;  ///< hidden width of scores that have one
  std::int64_t attention_heads = 1;
  std::int64_t match_layers = 1;  ///< hidden layers of the score "match"
  attention::Normaliser normaliser = attention::Normaliser::softmax;
  float monotonic_noise = 1.0f;  ///< on the energies of monotonic attention, in training
  Window window = Window::global;
  std::int64_t reach = 10;  ///< of a window, D
  Order order = Order::bahdanau;
  bool input_feeding = false;  ///< luong: the last readout joins the next input
  bool coverage = false;       ///< the score sees how much each source token was looked at; See et al. 2017
  float coverage_loss = 0.0f;  ///< weight of the loss on looking again
  bool copy = false;           ///< a pointer-generator, models/copying.h; See et al. 2017
  Start start = Start::last;
  std::int64_t max_positions = 512;
  bool tie_source_target = true;  ///< one embedding for both sides
  bool tie_output = true;         ///< the output layer is the target embedding
  float dropout = 0.0f;           ///< embeddings, encoder outputs, between layers, readout
  bool variational = false;       ///< between layers and on states: one mask for all steps
  float attention_dropout = 0.0f;
  std::int32_t eos = 0, unk = 1, pad = 2;  ///< the decoder starts from pad, which is never generated

  bool attends() const { return score != "none"; }
  std::int64_t memory_width() const { return bidirectional ? 2 * width : width; }
  /// Whether a step needs more than its token and state: then training goes step by step.
  bool feeds_back() const {
    return order != Order::luong || input_feeding || score == "location" || coverage;
  }
};

TranslationVocabulary vocabulary_of(const RecurrentConfig& config);
/// Sets every dropout to 0: two models that then agree are of one architecture.
void clear_dropout(RecurrentConfig& config);

/// Throws Error(kind) naming `where` and the first thing in `config` that cannot be built.
void validate(const RecurrentConfig& config, Error::Kind kind, std::string_view where);

std::string_view name_of(RecurrentConfig::Order order);
std::string_view name_of(RecurrentConfig::Window window);
std::string_view name_of(RecurrentConfig::Start start);
std::string_view name_of(nn::Recurrence cell);

/// config.json of type "fovea-recurrent".
std::string config_json(const RecurrentConfig& config, const GenerationDefaults& generation, DType weights);
/// The architecture in a config.json of that type. Throws Error(model) naming file and key.
RecurrentConfig read_recurrent_config(const formats::Json& config);

}  // namespace fovea::models
