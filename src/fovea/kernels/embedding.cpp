#include "fovea/kernels/embedding.h"

#include <algorithm>

#include "fovea/kernels/cpu/dropout.h"
#include "fovea/kernels/reference/embedding.h"
#include "fovea/kernels/row_blocks.h"

#define FOVEA_BODY "fovea/kernels/cpu/embedding.inl"
#include "fovea/kernels/cpu/for_each_isa.h"

namespace fovea::kernels {

void embed_forward(const Execution& exec, const EmbedExtents& extents, const std::int32_t* ids,
                   const float* table, const std::int32_t* position, const float* positions, float* out) {
  const auto rows = choose(exec.kernels, &reference::embed_forward<float>, &cpu::plain::embed_forward,
                           &cpu::avx2::embed_forward, &cpu::avx512::embed_forward);
  const EmbedForward<float> arguments{extents, ids, table, position, positions, out};
  exec.pool->parallel_for(extents.N, rows_a_thread(extents.D),
                          [&](std::int64_t begin, std::int64_t end) { rows(arguments, begin, end); });
}

void embed_backward(const Execution& exec, const EmbedExtents& extents, const std::int32_t* ids,
                    const std::int32_t* position, const float* d_out, float* d_table, float* d_positions) {
  const auto part_of = choose(exec.kernels, &reference::embed_backward<float>, &cpu::plain::embed_backward,
                              &cpu::avx2::embed_backward, &cpu::avx512::embed_backward);
  EmbedExtents unscaled = extents;
  unscaled.scale = 1.0f;
  const EmbedBackward<float> tokens{extents, ids, d_out, d_table};
  const EmbedBackward<float> places{unscaled, position, d_out, d_positions};
  const std::int64_t worth = extents.N / rows_a_thread(extents.D) + 1;
  const std::int64_t parts = std::min<std::int64_t>(exec.pool->size(), worth);
  exec.pool->parallel_for(parts, 1, [&](std::int64_t begin, std::int64_t end) {
    for (auto part = static_cast<std::uint32_t>(begin); part < end; ++part) {
      part_of(tokens, part, static_cast<std::uint32_t>(parts));
      if (d_positions) part_of(places, part, static_cast<std::uint32_t>(parts));
    }
  });
}

}  // namespace fovea::kernels
