#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fovea::training {

/// Something that is measured of a validation set beside its loss.
struct Metric {
  enum class Scale {
    hundred,  ///< 0 to 100
    share,    ///< 0 to 1
    percent,  ///< 0 to 1, which people read in percent
  };
  std::string_view key;   ///< in log.jsonl; in training.json "valid_" stands before it
  std::string_view name;  ///< for people
  Scale scale = Scale::share;
  bool falls = false;  ///< less is better
};

inline constexpr Metric bleu_metric{"bleu", "BLEU", Metric::Scale::hundred};
inline constexpr Metric rouge1_metric{"rouge1", "ROUGE-1", Metric::Scale::hundred};
inline constexpr Metric rouge2_metric{"rouge2", "ROUGE-2", Metric::Scale::hundred};
inline constexpr Metric rougeL_metric{"rougeL", "ROUGE-L", Metric::Scale::hundred};
inline constexpr Metric accuracy_metric{"accuracy", "accuracy"};
/// Share of masked tokens that are guessed.
inline constexpr Metric masked_accuracy_metric{"masked_accuracy", "masked accuracy"};
/// Of entities in labelled words, as seqeval counts them by default (metrics/entities.h).
inline constexpr Metric entity_f1_metric{"entity_f1", "entity F1"};
inline constexpr Metric entity_precision_metric{"entity_precision", "precision"};
inline constexpr Metric entity_recall_metric{"entity_recall", "recall"};
/// Share of wrong target symbols, as phonemes.
inline constexpr Metric symbol_error_metric{"symbol_error_rate", "wrong symbols", Metric::Scale::percent,
                                            true};
/// Share of target sequences that are not right.
inline constexpr Metric sequence_error_metric{"sequence_error_rate", "wrong sequences",
                                              Metric::Scale::percent, true};

inline constexpr const Metric* all_metrics[] = {
    &bleu_metric,      &rouge1_metric,         &rouge2_metric,
    &rougeL_metric,    &accuracy_metric,       &masked_accuracy_metric,
    &entity_f1_metric, &sequence_error_metric, &symbol_error_metric};

/// "38.27", "0.8120" or "20.13 %"
std::string text_of(const Metric& metric, double value);

/// A metric and what it came to.
struct Measured {
  const Metric* metric;
  double value;
};

/// What a validation found.
struct ValidationResult {
  double loss = 0.0;                   ///< nats a target token (or what the task predicts), without smoothing
  std::vector<Measured> metrics = {};  ///< the first is what "best" goes by
  bool by_loss = false;                ///< unless it goes by the loss all the same

  /// What the metric came to, if it was measured.
  std::optional<double> of(const Metric& metric) const;
  /// What "best" goes by: the first metric, or what is left to 1 of one that falls; without any, or
  /// `by_loss`, minus the loss.
  double score() const;
  /// A higher score, or the same one (BLEU 0 at the beginning) with a lower loss.
  bool better_than(double other_score, double other_loss) const {
    return score() > other_score || (score() == other_score && loss < other_loss);
  }
};

}  // namespace fovea::training
