#pragma once

#include <cstdint>

#include "fovea/kernels/execution.h"

namespace fovea::kernels {

/// One step of Adam (Kingma and Ba 2015) or AdamW (Loshchilov and Hutter 2019) over a flat array, in one pass:
///   g = gradient_scale * g (+ weight_decay * w if not decoupled)
///   m = beta1 m + (1-beta1) g;  v = beta2 v + (1-beta2) g^2
///   w -= rate * ( m/(1-beta1^t) / (sqrt(v/(1-beta2^t)) + eps)  + weight_decay w if decoupled )
struct AdamStep {
  float rate = 1e-3f, beta1 = 0.9f, beta2 = 0.98f, eps = 1e-9f, weight_decay = 0.0f;
  bool decoupled = true;
  std::int64_t t = 1;            ///< number of this update, from 1
  float gradient_scale = 1.0f;   ///< clipping and accumulation
  float average_decay = 0.0f;    ///< if average is given: average = decay*average + (1-decay)*w
};
void adam(const Execution& exec, std::int64_t count, const AdamStep& step, const float* gradient, float* m, float* v,
          float* weights, float* average);

/// Sum of squares in double over fixed blocks: the same bits for any number of threads. NaN or infinity if any is there.
double sum_of_squares(const Execution& exec, std::int64_t count, const float* x);

}  // namespace fovea::kernels
