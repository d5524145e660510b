#include "fovea/kernels/cpu/recurrent_rows.h"
#include "fovea/kernels/row_blocks.h"

namespace fovea::kernels {
namespace {

// Row r of a matrix that is H wide, or null.
template <class Real>
Real* row(Real* matrix, std::int64_t H, std::int64_t r) {
  return matrix ? matrix + r * H : nullptr;
}

// An element of a gate costs about as much as ten of a plain pass.
std::int64_t rows_a_part(std::int64_t GH) { return rows_a_thread(10 * GH); }

}  // namespace

void recurrent_cell_forward(const Execution& exec, const CellForward& a) {
  const auto cell = recurrent_rows(exec.kernels, a.cell).cell;
  const std::int64_t H = a.H, GH = gates_of(a.cell) * H;
  exec.pool->parallel_for(a.R, rows_a_part(GH), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r)
      cell({H, row(a.x_projection, GH, r), row(a.h_projection, GH, r), row(a.h_previous, H, r),
            row(a.c_previous, H, r), row(a.h, H, r), row(a.c, H, r), row(a.gates, GH, r), row(a.u_n, H, r)});
  });
}

void recurrent_cell_backward(const Execution& exec, const CellBackward& a) {
  const auto cell = recurrent_rows(exec.kernels, a.cell).cell_backward;
  const std::int64_t H = a.H, GH = gates_of(a.cell) * H;
  const std::vector<float> zeros(a.d_h ? 0 : static_cast<std::size_t>(H));
  exec.pool->parallel_for(a.R, rows_a_part(GH), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      float* const d_c = row(a.d_c_previous, H, r);
      if (d_c && a.d_c) std::copy_n(row(a.d_c, H, r), H, d_c);
      if (d_c && !a.d_c) std::fill_n(d_c, H, 0.0f);
      cell({H, row(a.gates, GH, r), row(a.u_n, H, r), row(a.h_previous, H, r), row(a.c_previous, H, r),
            row(a.c, H, r), a.d_h ? row(a.d_h, H, r) : zeros.data(), row(a.d_h_previous, H, r), d_c,
            row(a.d_x_projection, GH, r), row(a.d_h_projection, GH, r)});
    }
  });
}

}  // namespace fovea::kernels
