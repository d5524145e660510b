#pragma once

#include <filesystem>
#include <fstream>
#include <vector>

#include "fovea/training/trainer.h"
#include "fovea/views/learning_curve.h"

namespace fovea::training {

/// log.jsonl: a JSON object a line,
///   {"update":50,"epoch":1,"loss":8.1,"perplexity":2900,"rate":0.000125,"gradient_norm":1.9,"tokens_per_second":9000,"skipped":0}
///   {"update":500,"valid_loss":4.2,"bleu":3.1,"best":true}
/// (with the unit of the task in the place of "tokens", and its metrics in that of "bleu")
/// appended as training goes; a run that resumes cuts it back to what its checkpoint knows.
class Log {
 public:
  /// Opens the log for appending, cut back to what `state` knows: lines of later updates go, and those of its
  /// own update that it has yet to write.
  Log(std::filesystem::path path, const TrainingState& state);

  void write(const LogEntry& entry);
  void write(std::int64_t update, const ValidationResult& result, bool best);

 private:
  void append(const std::string& line);

  std::filesystem::path path_;
  std::ofstream out_;
};

/// The points of a log, for the picture, with what `metric` (null: none) came to. Lines that are no log lines
/// are passed over.
std::vector<views::LearningPoint> read_log(const std::filesystem::path& path, const Metric* metric);

}  // namespace fovea::training
