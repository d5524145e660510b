#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fovea/ops/context.h"

namespace fovea::attention {

/// Keeps the attention weights of a forward pass, by place ("encoder.0", "decoder.3.self",
/// "decoder.3.cross").
class Record : public ops::Recorder {
 public:
  /// Keeps what happens at places that end in `suffix`: "cross" for the attention between two sides; all if
  /// it is empty.
  explicit Record(std::string suffix = {}) : suffix_(std::move(suffix)) {}

  bool wants(std::string_view place) const override { return place.ends_with(suffix_); }
  void attention(std::string_view place, const Tensor& weights) override {
    calls_[std::string(place)].push_back(weights.detached());
  }

  /// Weights by place, of the last call there: sequence after sequence, each [H, T, S].
  std::map<std::string, Tensor> weights() const;
  /// The same of every call there, in order: a decoder that goes step by step calls once a step.
  const std::map<std::string, std::vector<Tensor>>& calls() const { return calls_; }

 private:
  std::string suffix_;
  std::map<std::string, std::vector<Tensor>> calls_;
};

/// The mean over heads of weights [H, T, S]: [T, S].
Tensor mean_over_heads(const Tensor& weights, std::int64_t heads, std::int64_t T, std::int64_t S);

/// Who looks at whom: source at source, target at target, target at source.
enum class Side { encoder, decoder, cross };

/// "encoder", "decoder", "cross"
std::string_view name(Side side);

/// What one layer looked at while one pair of sentences was read.
struct RecordedLayer {
  Side side;
  int layer;           ///< from 0
  Tensor weights_HTS;  ///< [H, T, S]; encoder: [H, S, S], decoder: [H, T, T]
};

/// All that was looked at while one pair was read. Row t of a decoder's layer is the step that produced
/// target_out[t]. A text that an encoder read alone is a source without target; one that a decoder read alone
/// is its target without source, target_in and target_out both: row t is the step that read it.
///   side      rows        columns
///   encoder   source      source
///   decoder   target_out  target_in
///   cross     target_out  source
struct Recording {
  std::vector<std::string> source;      ///< S labels, with the end of sentence
  std::vector<std::string> target_in;   ///< T labels: what each step read, the start symbol first
  std::vector<std::string> target_out;  ///< T labels: what it produced, the end of sentence last
  std::vector<RecordedLayer> layers;    ///< the encoder's, then the decoder's, then cross, by number
  std::size_t second = 0;               ///< where in `source` the second of two texts begins; 0: there is one

  /// The layer, or null if there is none such.
  const RecordedLayer* find(Side side, int layer) const;
  /// `layer` if the side has it; its last layer for -1. Throws Error(usage) naming what there is.
  int number(Side side, int layer) const;
  /// Labels of the rows and of the columns of a side's matrices.
  const std::vector<std::string>& rows(Side side) const {
    return side == Side::encoder ? source : target_out;
  }
  const std::vector<std::string>& columns(Side side) const {
    return side == Side::decoder ? target_in : source;
  }
  bool has(Side side) const;
  /// Where to look first: at cross-attention, else the decoder's, else the encoder's.
  Side main_side() const;
};

/// The recording of one pair of sentences from what a model told `record` while it read that pair, whole or
/// step by step (T calls, each [H, 1, columns so far]; columns that did not exist yet count as 0).
/// Places of other names are left out. Throws Error(bug) if weights fit no number of heads.
Recording recording(const Record& record, std::vector<std::string> source, std::vector<std::string> target_in,
                    std::vector<std::string> target_out);

/// The same of one text that an encoder or a decoder read alone; `side` is not cross.
Recording recording(const Record& record, Side side, std::vector<std::string> text);

/// Side and number of a place; nothing for places that are named otherwise.
struct Place {
  Side side;
  int layer;
};
std::optional<Place> parse_place(std::string_view place);

}  // namespace fovea::attention
