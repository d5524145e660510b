#include "fovea/kernels/decode_attention.h"

#include <string>

#include "fovea/base/error.h"
#include "fovea/kernels/cpu/decode_attention_plan.h"
#include "fovea/kernels/reference/decode_attention.h"

namespace fovea::kernels {
namespace {

void expect(bool holds, const std::string& what) {
  if (!holds) throw Error(Error::Kind::bug, "attention over a cache", what);
}

void validate(const DecodeExtents& x, const CacheView& cache) {
  validate(cache.layout);
  expect(x.heads > 0 && x.heads % cache.layout.kv_heads == 0,
         "H = " + std::to_string(x.heads) + " query heads cannot share " +
             std::to_string(cache.layout.kv_heads) + " cached heads");
  expect(x.sequences == 0 ||
             (x.q_start && x.q_count && cache.pages && cache.page_start && cache.first && cache.length),
         "B = " + std::to_string(x.sequences) + " sequences, but starts, counts or pages are missing");
  expect(!(x.soft_cap < 0.0f), "a soft-cap must be positive, or 0 for none");
  expect(!x.distance_bias || x.distances > 0, "a bias by distance needs at least one distance");
}

void reference_decode(const cpu::DecodeCall& c) {
  reference::decode_attention(c.x, c.cache, c.q, c.out, c.log_sum_exp, c.lse_stride);
}

}  // namespace

void decode_attention(const Execution& exec, const DecodeExtents& x, const CacheView& cache, const float* q,
                      float* out, float* log_sum_exp, std::int64_t lse_stride) {
  validate(x, cache);
  choose(exec.kernels, &reference_decode, &cpu::plain::decode_attention, &cpu::avx2::decode_attention,
         &cpu::avx512::decode_attention)({exec, x, cache, q, out, log_sum_exp, lse_stride});
}

}  // namespace fovea::kernels
