#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "fovea/views/terminal_style.h"

namespace fovea::views {

/// Where training stands. Absent values are not shown.
struct TrainingProgress {
  std::int64_t update = 0;
  std::int64_t updates = 0;  ///< in all; 0 if unknown
  std::optional<double> epoch = {};
  std::optional<double> loss = {};  ///< nats a unit
  std::optional<double> learning_rate = {};
  std::optional<double> gradient_norm = {};
  std::string unit = "tok";  ///< what is counted a second; perplexity is that of tokens
  std::optional<double> units_per_second = {};
  std::optional<double> seconds_left = {};
  std::string last_score = {}, best_score = {};  ///< of validations: "BLEU 38.4" and "39.1"
};

/// "4.2s", "59s", "3m07s", "1h02m", "2d05h"; "?" for what is negative or not finite.
std::string duration_text(double seconds);

/// exp(loss), the perplexity of a loss in nats per token: "12.3"; "1e+09" style beyond five digits.
std::string perplexity_text(double loss);

/// "987", "12.3k", "4.56M"
std::string count_text(double count);

/// One line without a newline for a terminal that redraws it, at most style.width - 1 columns (the last
/// column stays free: writing there makes some terminals wrap). What matters least goes first when there is
/// no room: gradient norm, learning rate, epoch, perplexity, last score, speed, best score, the bar, time
/// left, loss; the update stays.
std::string progress_line(const TrainingProgress& progress, const TerminalStyle& style);

/// The same as plain words for files and pipes: everything, no bar, no colours, no limit.
std::string plain_progress_line(const TrainingProgress& progress);

/// A rate that follows change without jumping: an exponential average over about `memory` seconds.
class SmoothedRate {
 public:
  explicit SmoothedRate(double memory = 15.0) : memory_(memory) {}

  /// `amount` was done in the last `seconds`. Amounts or times that are not positive are skipped.
  void add(double amount, double seconds);
  /// Amount per second; nothing until something was added.
  std::optional<double> per_second() const;

 private:
  double memory_, amount_ = 0, seconds_ = 0;
};

/// Decides what to send to a terminal so that one line is drawn over and over, at most ten times a second.
/// It only makes strings; the caller writes them.
class RedrawnLine {
 public:
  using Clock = std::chrono::steady_clock;

  /// What to write to show `line` now: empty if the last was shown less than a tenth of a second ago.
  std::string redraw(const std::string& line, Clock::time_point now);
  /// What to write before other output: clears the line if one stands there.
  std::string clear();
  /// What to write to leave `line` standing and go on below it.
  std::string finish(const std::string& line);

 private:
  std::optional<Clock::time_point> drawn_;
};

}  // namespace fovea::views
