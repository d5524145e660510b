#include "fovea/kernels/pairs.h"

#include <algorithm>
#include <string>

#include "fovea/base/error.h"
#include "fovea/kernels/cpu/pairs.h"
#include "fovea/kernels/dropout.h"
#include "fovea/kernels/gemm.h"
#include "fovea/kernels/pairs_tasks.h"
#include "fovea/kernels/reference/pairs.h"

namespace fovea::kernels {
namespace {

// Rows of one task: enough to pay for packing the other operand, few enough that one long sequence is shared.
constexpr std::int64_t rows_a_task = 256;

void validate(const PairProduct& x) {
  if (x.pairs.heads > 0 && x.kv_heads > 0 && x.pairs.heads % x.kv_heads == 0 && x.width > 0) return;
  throw Error(Error::Kind::bug, "pairs",
              "H = " + std::to_string(x.pairs.heads) + " query heads cannot share " +
                  std::to_string(x.kv_heads) + " key heads of width E = " + std::to_string(x.width));
}

std::int64_t work(const PairProduct& x) { return x.pairs.elements() * x.width; }

// The keys of one sequence and head as a matrix: in place, or gathered.
struct Keys {
  const float* data;
  std::int64_t stride;
};
Keys keys_of(const Execution& exec, int worker, const PairProduct& x, std::int64_t b, std::int64_t h,
             const float* keys) {
  const float* head = keys + h / (x.pairs.heads / x.kv_heads) * x.keys.head;
  const std::int64_t first = x.pairs.k_start[b], S = x.pairs.k_count[b];
  if (!x.key_rows) return {head + first * x.keys.row, x.keys.row};
  float* gathered = exec.workspace->get(worker, 4, static_cast<std::size_t>(S * x.width));
  for (std::int64_t j = 0; j < S; ++j)
    std::copy_n(head + x.key_rows[first + j] * x.keys.row, x.width, gathered + j * x.width);
  return {gathered, x.width};
}

cpu::PairKeys in_place(const PairProduct& x, std::int64_t b, std::int64_t h, const float* keys) {
  const float* const head = keys + h / (x.pairs.heads / x.kv_heads) * x.keys.head;
  const std::int64_t first = x.pairs.k_start[b];
  if (x.key_rows) return {head, x.keys.row, x.key_rows + first};
  return {head + first * x.keys.row, x.keys.row, nullptr};
}

bool all_finite(KernelSet set, std::int64_t rows, std::int64_t width, std::int64_t stride, const float* x) {
  return choose(set, &cpu::plain::all_finite, &cpu::plain::all_finite, &cpu::avx2::all_finite,
                &cpu::avx512::all_finite)(rows, width, stride, x);
}

// out (+)= a x as a dense product, or, where 0 * x would not be 0, pair by pair.
void product(const Execution& exec, int worker, const cpu::SparseProduct& p, bool accumulate, float* out) {
  if (p.rows > 1 && all_finite(exec.kernels, p.columns, p.width, p.x_stride, p.x)) {
    const bool transposed = p.a_column != 1;
    gemm_serial(exec, worker,
                {.M = p.rows,
                 .N = p.width,
                 .K = p.columns,
                 .lda = transposed ? p.a_column : p.a_row,
                 .ldb = p.x_stride,
                 .ldc = p.out_stride,
                 .transpose_a = transposed},
                p.a, p.x, out, {.accumulate = accumulate});
    return;
  }
  choose(exec.kernels, &cpu::plain::sparse_product, &cpu::plain::sparse_product, &cpu::avx2::sparse_product,
         &cpu::avx512::sparse_product)(p, accumulate, out);
}

}  // namespace

void pair_dot(const Execution& exec, const PairProduct& x, float scale, const float* rows, const float* keys,
              float* pairs) {
  validate(x);
  if (exec.kernels == KernelSet::reference) return reference::pair_dot(x, scale, rows, keys, pairs);
  const auto multiply = choose(exec.kernels, &cpu::plain::scaled_product, &cpu::plain::scaled_product,
                               &cpu::avx2::scaled_product, &cpu::avx512::scaled_product);
  const auto row_dots = choose(exec.kernels, &cpu::plain::row_dots, &cpu::plain::row_dots,
                               &cpu::avx2::row_dots, &cpu::avx512::row_dots);
  for_each_stretch(
      exec, x.pairs, x.pairs.heads, x.pairs.q_count, rows_a_task, work(x),
      [&](int worker, std::int64_t b, std::int64_t h, std::int64_t begin, std::int64_t end) {
        const std::int64_t S = x.pairs.k_count[b], count = end - begin;
        if (S == 0) return;
        const float* const q = rows + (x.pairs.q_start[b] + begin) * x.rows.row + h * x.rows.head;
        if (x.pairs.q_count[b] == 1)
          return row_dots(S, x.width, q, in_place(x, b, h, keys), scale, pairs + x.pairs.row(b, h, 0));
        const Keys k = keys_of(exec, worker, x, b, h, keys);
        float* out = pairs + x.pairs.row(b, h, begin);
        gemm_serial(exec, worker,
                    {.M = count,
                     .N = S,
                     .K = x.width,
                     .lda = std::max(x.rows.row, x.width),
                     .ldb = k.stride,
                     .ldc = S,
                     .transpose_b = true},
                    q, k.data, out);
        if (scale != 1.0f) multiply(count * S, scale, out, nullptr, out);
      });
}

void pair_mix(const Execution& exec, const PairProduct& x, const float* pairs, const float* keys,
              bool accumulate, float* rows) {
  validate(x);
  if (exec.kernels == KernelSet::reference) return reference::pair_mix(x, pairs, keys, accumulate, rows);
  const auto row_mix = choose(exec.kernels, &cpu::plain::row_mix, &cpu::plain::row_mix, &cpu::avx2::row_mix,
                              &cpu::avx512::row_mix);
  for_each_stretch(exec, x.pairs, x.pairs.heads, x.pairs.q_count, rows_a_task, work(x),
                   [&](int worker, std::int64_t b, std::int64_t h, std::int64_t begin, std::int64_t end) {
                     const std::int64_t S = x.pairs.k_count[b];
                     float* const out = rows + (x.pairs.q_start[b] + begin) * x.rows.row + h * x.rows.head;
                     if (x.pairs.q_count[b] == 1)
                       return row_mix(S, x.width, pairs + x.pairs.row(b, h, 0), in_place(x, b, h, keys),
                                      accumulate, out);
                     const Keys k = keys_of(exec, worker, x, b, h, keys);
                     product(exec, worker,
                             {end - begin, S, x.width, pairs + x.pairs.row(b, h, begin),
                              std::max<std::int64_t>(S, 1), 1, k.data, k.stride, x.rows.row},
                             accumulate, out);
                   });
}

void pair_mix_transposed(const Execution& exec, const PairProduct& x, const float* pairs, const float* rows,
                         float* keys) {
  validate(x);
  if (x.key_rows) throw Error(Error::Kind::bug, "pairs", "gradients of keys do not serve key_rows");
  if (exec.kernels == KernelSet::reference) return reference::pair_mix_transposed(x, pairs, rows, keys);
  const std::int64_t group = x.pairs.heads / x.kv_heads;
  for_each_stretch(exec, x.pairs, x.kv_heads, x.pairs.k_count, rows_a_task, work(x),
                   [&](int worker, std::int64_t b, std::int64_t g, std::int64_t begin, std::int64_t end) {
                     const std::int64_t S = x.pairs.k_count[b], T = x.pairs.q_count[b];
                     if (T == 0) return;
                     for (std::int64_t h = g * group; h < (g + 1) * group; ++h)
                       product(
                           exec, worker,
                           {end - begin, T, x.width, pairs + x.pairs.row(b, h, 0) + begin, 1, S,
                            rows + x.pairs.q_start[b] * x.rows.row + h * x.rows.head, x.rows.row, x.keys.row},
                           true, keys + (x.pairs.k_start[b] + begin) * x.keys.row + g * x.keys.head);
                   });
}

void pair_dropout(const Execution& exec, const PairExtents& x, const Dropout& dropout, const float* a,
                  float* out) {
  constexpr std::int64_t stretch = 1024;
  const auto multiply = choose(exec.kernels, &cpu::plain::scaled_product, &cpu::plain::scaled_product,
                               &cpu::avx2::scaled_product, &cpu::avx512::scaled_product);
  for_each_head(exec, x, [&](int, std::int64_t b, std::int64_t h) {
    alignas(64) float kept[stretch];
    const std::int64_t count = x.q_count[b] * x.k_count[b], start = x.row(b, h, 0);
    for (std::int64_t begin = 0; begin < count; begin += stretch) {
      const std::int64_t n = std::min(stretch, count - begin);
      dropout_multipliers(exec.kernels, dropout,
                          first_random_pair(x, b, h) + static_cast<std::uint64_t>(begin), n, kept);
      multiply(n, 1.0f, a + start + begin, kept, out + start + begin);
    }
  });
}

}  // namespace fovea::kernels
