#include "fovea/kernels/conv.h"

#include <algorithm>

#include "fovea/kernels/conv_taps.h"
#include "fovea/kernels/cpu/loops.h"
#include "fovea/kernels/gemm.h"
#include "fovea/kernels/reference/conv.h"
#include "fovea/kernels/row_blocks.h"

namespace fovea::kernels {

/// Arguments of the depthwise kernels, by lines.
struct DepthwiseCall {
  ConvExtents extents;
  const float *x = nullptr, *W = nullptr, *bias = nullptr, *d_y = nullptr;
  float* out = nullptr;  ///< y or d_x
};

}  // namespace fovea::kernels

#define FOVEA_BODY "fovea/kernels/cpu/conv.inl"
#include "fovea/kernels/cpu/for_each_isa.h"

namespace fovea::kernels {
namespace {

constexpr std::int64_t patches_at_once = std::int64_t{1} << 20;  // floats

/// Patches [OW, K] of one line of the output.
void patches_of_line(const ConvExtents& e, const float* x, std::int64_t line, float* out) {
  const std::int64_t OH = e.out_height(), OW = e.out_width();
  const float* image = x + line / OH * e.H * e.W * e.C;
  const std::int64_t row = line % OH * e.stride - e.padding;
  const std::int64_t u0 = taps_begin(row, e.dilation), u1 = taps_end(row, e.dilation, e.H, e.KH);
  for (std::int64_t j = 0; j < OW; ++j, out += e.patch()) {
    const std::int64_t column = j * e.stride - e.padding;
    const std::int64_t v0 = taps_begin(column, e.dilation), v1 = taps_end(column, e.dilation, e.W, e.KW);
    const bool whole = u0 == 0 && u1 == e.KH && v0 == 0 && v1 == e.KW;
    if (!whole) std::fill_n(out, e.patch(), 0.0f);
    for (std::int64_t u = u0; u < u1; ++u) {
      const float* from = image + ((row + u * e.dilation) * e.W + column) * e.C;
      float* to = out + u * e.KW * e.C;
      if (e.dilation == 1 && v0 < v1)
        std::copy_n(from + v0 * e.C, (v1 - v0) * e.C, to + v0 * e.C);
      else
        for (std::int64_t v = v0; v < v1; ++v) std::copy_n(from + v * e.dilation * e.C, e.C, to + v * e.C);
    }
  }
}

/// Adds to a line of d_x [N * H] what the patches of output lines first .. last - 1 send back to it.
template <class AddRun>
void gather_line(const ConvExtents& e, const float* patches, std::int64_t first, std::int64_t last,
                 std::int64_t line, float* d_x, AddRun* add_run) {
  const std::int64_t OH = e.out_height(), OW = e.out_width();
  float* to = d_x + line * e.W * e.C;
  // By the last tap first, that is by lines of the output in order: so it does not matter where chunks end.
  for (std::int64_t u = e.KH - 1; u >= 0; --u) {
    const std::int64_t i = output_at(line % e.H, u, e), from_line = line / e.H * OH + i;
    if (i < 0 || i >= OH || from_line < first || from_line >= last) continue;
    const float* patch = patches + (from_line - first) * OW * e.patch() + u * e.KW * e.C;
    for (std::int64_t j = 0; j < OW; ++j, patch += e.patch()) {
      const std::int64_t column = j * e.stride - e.padding;
      const std::int64_t v0 = taps_begin(column, e.dilation), v1 = taps_end(column, e.dilation, e.W, e.KW);
      if (v0 >= v1) continue;
      if (e.dilation == 1)
        add_run((v1 - v0) * e.C, patch + v0 * e.C, to + (column + v0) * e.C);
      else
        for (std::int64_t v = v0; v < v1; ++v)
          add_run(e.C, patch + v * e.C, to + (column + v * e.dilation) * e.C);
    }
  }
}

/// Calls body(first line, last line, memory for their patches) for a few lines of the output at a time.
template <class Body>
void over_chunks(const Execution& exec, const ConvExtents& e, const Body& body) {
  const std::int64_t lines = e.N * e.out_height(), line = e.out_width() * e.patch();
  if (lines * line == 0) return;
  const std::int64_t at_once = std::clamp<std::int64_t>(patches_at_once / line, 1, lines);
  float* patches = exec.workspace->get(0, 5, static_cast<std::size_t>(at_once * line));
  for (std::int64_t first = 0; first < lines; first += at_once)
    body(first, std::min(lines, first + at_once), patches);
}

void make_patches(const Execution& exec, const ConvExtents& e, const float* x, std::int64_t first,
                  std::int64_t last, float* patches) {
  const std::int64_t line = e.out_width() * e.patch();
  exec.pool->parallel_for(last - first, rows_a_thread(line), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) patches_of_line(e, x, first + i, patches + i * line);
  });
}

void forward_rows(const Execution& exec, const ConvExtents& e, std::int64_t rows, const float* patches,
                  const float* W, const float* bias, float* y) {
  const std::int64_t K = e.patch();
  gemm(exec, {.M = rows, .N = e.O, .K = K, .lda = K, .ldb = K, .ldc = e.O, .transpose_b = true}, patches, W,
       y, {.bias = bias});
}

void input_rows(const Execution& exec, const ConvExtents& e, std::int64_t rows, const float* W,
                const float* d_y, float* d_patches, bool accumulate) {
  const std::int64_t K = e.patch();
  gemm(exec, {.M = rows, .N = K, .K = e.O, .lda = e.O, .ldb = K, .ldc = K}, d_y, W, d_patches,
       {.accumulate = accumulate});
}

void weight_rows(const Execution& exec, const ConvExtents& e, std::int64_t rows, const float* patches,
                 const float* d_y, float* d_W) {
  const std::int64_t K = e.patch();
  gemm(exec, {.M = e.O, .N = K, .K = rows, .lda = e.O, .ldb = K, .ldc = K, .transpose_a = true}, d_y, patches,
       d_W, {.accumulate = true});
}

}  // namespace

void conv_forward(const Execution& exec, const ConvExtents& e, const float* x, const float* W,
                  const float* bias, float* y) {
  if (exec.kernels == KernelSet::reference) return reference::conv_forward(e, x, W, bias, y);
  if (e.pointwise()) return forward_rows(exec, e, e.N * e.H * e.W, x, W, bias, y);
  const std::int64_t OW = e.out_width();
  over_chunks(exec, e, [&](std::int64_t first, std::int64_t last, float* patches) {
    make_patches(exec, e, x, first, last, patches);
    forward_rows(exec, e, (last - first) * OW, patches, W, bias, y + first * OW * e.O);
  });
}

void conv_backward_input(const Execution& exec, const ConvExtents& e, const float* W, const float* d_y,
                         float* d_x) {
  if (exec.kernels == KernelSet::reference) return reference::conv_backward_input(e, W, d_y, d_x);
  if (e.pointwise()) return input_rows(exec, e, e.N * e.H * e.W, W, d_y, d_x, true);
  const auto add_run = choose(exec.kernels, &cpu::plain::add_run, &cpu::plain::add_run, &cpu::avx2::add_run,
                              &cpu::avx512::add_run);
  const std::int64_t OH = e.out_height(), OW = e.out_width();
  over_chunks(exec, e, [&](std::int64_t first, std::int64_t last, float* patches) {
    input_rows(exec, e, (last - first) * OW, W, d_y + first * OW * e.O, patches, false);
    const std::int64_t from = first / OH * e.H, to = ((last - 1) / OH + 1) * e.H;  // lines of their images
    exec.pool->parallel_for(to - from, rows_a_thread(OW * e.patch()),
                            [&](std::int64_t begin, std::int64_t end) {
                              for (std::int64_t line = from + begin; line < from + end; ++line)
                                gather_line(e, patches, first, last, line, d_x, add_run);
                            });
  });
}

void conv_backward_weight(const Execution& exec, const ConvExtents& e, const float* x, const float* d_y,
                          float* d_W) {
  if (exec.kernels == KernelSet::reference) return reference::conv_backward_weight(e, x, d_y, d_W);
  if (e.pointwise()) return weight_rows(exec, e, e.N * e.H * e.W, x, d_y, d_W);
  const std::int64_t OW = e.out_width();
  over_chunks(exec, e, [&](std::int64_t first, std::int64_t last, float* patches) {
    make_patches(exec, e, x, first, last, patches);
    weight_rows(exec, e, (last - first) * OW, patches, d_y + first * OW * e.O, d_W);
  });
}

void depthwise_forward(const Execution& exec, const ConvExtents& e, const float* x, const float* W,
                       const float* bias, float* y) {
  if (exec.kernels == KernelSet::reference) return reference::depthwise_forward(e, x, W, bias, y);
  const auto lines = choose(exec.kernels, &cpu::plain::depthwise_forward, &cpu::plain::depthwise_forward,
                            &cpu::avx2::depthwise_forward, &cpu::avx512::depthwise_forward);
  const DepthwiseCall call{.extents = e, .x = x, .W = W, .bias = bias, .out = y};
  exec.pool->parallel_for(e.N * e.out_height(), rows_a_thread(e.out_width() * e.patch()),
                          [&](std::int64_t begin, std::int64_t end) { lines(call, begin, end); });
}

void depthwise_backward_input(const Execution& exec, const ConvExtents& e, const float* W, const float* d_y,
                              float* d_x) {
  if (exec.kernels == KernelSet::reference) return reference::depthwise_backward_input(e, W, d_y, d_x);
  const auto lines =
      choose(exec.kernels, &cpu::plain::depthwise_backward_input, &cpu::plain::depthwise_backward_input,
             &cpu::avx2::depthwise_backward_input, &cpu::avx512::depthwise_backward_input);
  const DepthwiseCall call{.extents = e, .W = W, .d_y = d_y, .out = d_x};
  exec.pool->parallel_for(e.N * e.H, rows_a_thread(e.W * e.patch()),
                          [&](std::int64_t begin, std::int64_t end) { lines(call, begin, end); });
}

void depthwise_backward_weight(const Execution& exec, const ConvExtents& e, const float* x, const float* d_y,
                               float* d_W) {
  if (exec.kernels == KernelSet::reference) return reference::depthwise_backward_weight(e, x, d_y, d_W);
  const auto lines =
      choose(exec.kernels, &cpu::plain::depthwise_backward_weight, &cpu::plain::depthwise_backward_weight,
             &cpu::avx2::depthwise_backward_weight, &cpu::avx512::depthwise_backward_weight);
  const DepthwiseCall call{.extents = e, .x = x, .d_y = d_y};
  const float* sums = sum_over_rows(
      exec, e.N * e.out_height(), e.patch(),
      [&](std::int64_t begin, std::int64_t end, float* partial) { lines(call, begin, end, partial); });
  if (!sums) return;
  for (std::int64_t i = 0; i < e.patch(); ++i) d_W[i] += sums[i];
}

}  // namespace fovea::kernels
