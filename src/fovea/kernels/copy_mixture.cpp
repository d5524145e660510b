#include "fovea/kernels/copy_mixture.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "fovea/base/error.h"
#include "fovea/kernels/cpu/softmax_rows.h"
#include "fovea/kernels/pairs_tasks.h"
#include "fovea/kernels/reference/copy_mixture.h"
#include "fovea/kernels/row_blocks.h"

#define FOVEA_BODY "fovea/kernels/cpu/copy_mixture.inl"
#include "fovea/kernels/cpu/for_each_isa.h"

namespace fovea::kernels {
namespace {

/// body(b, begin, end, scratch) for stretches of the rows that are served; scratch holds two floats a token
/// of the source.
template <class Body>
void for_rows(const Execution& exec, const CopyExtents& x, const Body& body) {
  for_each_stretch(exec, x.pairs, 1, x.pairs.q_count, rows_a_thread(x.V), x.rows * x.V,
                   [&](int worker, std::int64_t b, std::int64_t, std::int64_t begin, std::int64_t end) {
                     begin = std::max(begin, x.first - x.pairs.q_start[b]);
                     end = std::min(end, x.first + x.rows - x.pairs.q_start[b]);
                     if (begin >= end) return;
                     const auto scratch = static_cast<std::size_t>(2 * x.pairs.k_count[b]);
                     body(b, begin, end, exec.workspace->get(worker, 0, scratch));
                   });
}

}  // namespace

void copy_cross_entropy(const Execution& exec, const CopyExtents& x, const CopyInputs& in,
                        const CopyLosses& out) {
  for (std::int64_t n = x.first; n < x.first + x.rows; ++n)
    if (out.targets[n] < 0 || out.targets[n] >= x.V)
      throw Error(Error::Kind::bug, "copy_cross_entropy",
                  "target " + std::to_string(out.targets[n]) + " of row " + std::to_string(n) +
                      " lies outside [0, " + std::to_string(x.V) + ")");
  const auto rows = choose(exec.kernels, &reference::copy_cross_entropy, &cpu::plain::copy_cross_entropy,
                           &cpu::avx2::copy_cross_entropy, &cpu::avx512::copy_cross_entropy);
  for_rows(exec, x, [&](std::int64_t b, std::int64_t begin, std::int64_t end, float* scratch) {
    rows(x, in, out, b, begin, end, scratch);
  });
}

void copy_log_probabilities(const Execution& exec, const CopyExtents& x, const CopyInputs& in) {
  const auto rows =
      choose(exec.kernels, &reference::copy_log_probabilities, &cpu::plain::copy_log_probabilities,
             &cpu::avx2::copy_log_probabilities, &cpu::avx512::copy_log_probabilities);
  for_rows(exec, x, [&](std::int64_t b, std::int64_t begin, std::int64_t end, float* scratch) {
    rows(x, in, b, begin, end, scratch);
  });
}

}  // namespace fovea::kernels
