#include "fovea/training/scheduled_sampling.h"

#include <algorithm>
#include <cmath>

namespace fovea::training {
namespace {

// k >= 1 with k / (k + exp(w / k)) = 0.01, that is w = k (ln k + ln 99), which grows with k.
double slowness(double w) {
  double low = 1.0, high = std::max(1.0, w);
  for (int i = 0; i < 60; ++i) {
    const double middle = (low + high) / 2.0;
    (middle * (std::log(middle) + std::log(99.0)) < w ? low : high) = middle;
  }
  return low;
}

}  // namespace

double own_token_share(const TrainingOptions& options, std::int64_t t) {
  const double last = options.scheduled_sampling, n = static_cast<double>(t - 1);
  const auto w = static_cast<double>(options.scheduled_sampling_warmup);
  if (last == 0.0 || w == 0.0) return last;
  if (options.scheduled_sampling_schedule == SamplingSchedule::linear) return last * std::min(1.0, n / w);
  const double k = slowness(w);
  return last / (1.0 + k * std::exp(-n / k));
}

}  // namespace fovea::training
