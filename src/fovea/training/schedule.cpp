#include "fovea/training/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace fovea::training {

double learning_rate(const TrainingOptions& options, std::int64_t t) {
  const double rate = options.rate, least = options.minimum_rate;
  const auto warmup = static_cast<double>(options.warmup), now = static_cast<double>(t);
  if (t <= options.warmup) return rate * now / warmup;
  const double rest = static_cast<double>(options.updates) - warmup;
  const double done = rest > 0 ? std::min(1.0, (now - warmup) / rest) : 0.0;
  switch (options.schedule) {
    case ScheduleKind::inverse_sqrt:
      return std::max(least, rate * std::sqrt(std::max(warmup, 1.0) / now));
    case ScheduleKind::cosine:
      return least + (rate - least) * (1.0 + std::cos(std::numbers::pi * done)) / 2.0;
    case ScheduleKind::linear:
      return least + (rate - least) * (1.0 - done);
    case ScheduleKind::constant:
      return rate;
  }
  return rate;
}

}  // namespace fovea::training
