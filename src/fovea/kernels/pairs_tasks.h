#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "fovea/kernels/pairs.h"

namespace fovea::kernels {

/// body(worker, task) for every task in [0, tasks), each by whichever worker is free: tasks of ragged batches
/// differ in size. `work` is what all of them together cost, about one multiply-add each; little work stays
/// on the caller.
template <class Body>
void for_each_task(const Execution& exec, std::int64_t tasks, std::int64_t work, const Body& body) {
  if (tasks <= 1 || work < 16384 || exec.pool->size() == 1) {
    for (std::int64_t task = 0; task < tasks; ++task) body(0, task);
    return;
  }
  std::atomic<std::int64_t> next{0};
  exec.pool->run([&](int worker) {
    for (std::int64_t task = next++; task < tasks; task = next++) body(worker, task);
  });
}

/// body(worker, b, h, begin, end) for stretches of at most `length` of the count[b] rows (queries or keys) of
/// every sequence and head: one long sequence is shared, too.
template <class Body>
void for_each_stretch(const Execution& exec, const PairExtents& x, std::int64_t heads,
                      const std::int64_t* count, std::int64_t length, std::int64_t work, const Body& body) {
  std::int64_t most = 0;
  for (std::int64_t b = 0; b < x.sequences; ++b) most = std::max(most, count[b]);
  const std::int64_t stretches = (most + length - 1) / length;
  for_each_task(exec, x.sequences * heads * stretches, work, [&](int worker, std::int64_t task) {
    const std::int64_t b = task / (heads * stretches), h = task / stretches % heads;
    const std::int64_t begin = task % stretches * length;
    if (begin < count[b]) body(worker, b, h, begin, std::min(count[b], begin + length));
  });
}

/// body(worker, b, h) for every sequence and head.
template <class Body>
void for_each_head(const Execution& exec, const PairExtents& x, const Body& body) {
  for_each_task(exec, x.sequences * x.heads, 8 * x.elements(),
                [&](int worker, std::int64_t task) { body(worker, task / x.heads, task % x.heads); });
}

}  // namespace fovea::kernels
