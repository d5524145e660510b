#include "fovea/training/validation.h"

#include "fovea/base/decimal.h"

namespace fovea::training {

std::string text_of(const Metric& metric, double value) {
  switch (metric.scale) {
    case Metric::Scale::hundred:
      return fixed(value, 2);
    case Metric::Scale::share:
      return fixed(value, 4);
    case Metric::Scale::percent:
      break;
  }
  return fixed(100 * value, 2) + " %";
}

std::optional<double> ValidationResult::of(const Metric& metric) const {
  for (const auto& measured : metrics)
    if (measured.metric->key == metric.key) return measured.value;
  return std::nullopt;
}

double ValidationResult::score() const {
  if (metrics.empty() || by_loss) return -loss;
  const auto& [metric, value] = metrics.front();
  return metric->falls ? 1 - value : value;
}

}  // namespace fovea::training
