// Included once per instruction set: see for_each_isa.h.

/// Adds `count` floats to others.
void add_run(std::int64_t count, const float* from, float* to) {
  over_vectors(count, [&](std::int64_t i, auto lanes) { lanes.write(to + i, add(lanes.read(to + i), lanes.read(from + i))); });
}

/// Lines begin .. end - 1 of the output [N * out_height] of a depthwise convolution.
void depthwise_forward(const DepthwiseCall& a, std::int64_t begin, std::int64_t end) {
  const ConvExtents& e = a.extents;
  const std::int64_t OH = e.out_height(), OW = e.out_width();
  for (std::int64_t line = begin; line < end; ++line) {
    const std::int64_t n = line / OH, row = line % OH * e.stride - e.padding;
    for (std::int64_t j = 0; j < OW; ++j) {
      const std::int64_t column = j * e.stride - e.padding;
      float* y = a.out + (line * OW + j) * e.C;
      over_vectors(e.C, [&](std::int64_t c, auto lanes) {
        Floats sum = a.bias ? lanes.read(a.bias + c) : zero();
        for (std::int64_t u = taps_begin(row, e.dilation); u < taps_end(row, e.dilation, e.H, e.KH); ++u)
          for (std::int64_t v = taps_begin(column, e.dilation); v < taps_end(column, e.dilation, e.W, e.KW); ++v) {
            const std::int64_t in = (n * e.H + row + u * e.dilation) * e.W + column + v * e.dilation;
            sum = fma(lanes.read(a.x + in * e.C + c), lanes.read(a.W + (u * e.KW + v) * e.C + c), sum);
          }
        lanes.write(y + c, sum);
      });
    }
  }
}

/// Lines begin .. end - 1 of x [N * H]: what every output that looked at a pixel sends back to it.
void depthwise_backward_input(const DepthwiseCall& a, std::int64_t begin, std::int64_t end) {
  const ConvExtents& e = a.extents;
  const std::int64_t OH = e.out_height(), OW = e.out_width();
  for (std::int64_t line = begin; line < end; ++line) {
    for (std::int64_t u = 0; u < e.KH; ++u) {
      const std::int64_t i = output_at(line % e.H, u, e);
      if (i < 0 || i >= OH) continue;
      for (std::int64_t column = 0; column < e.W; ++column)
        for (std::int64_t v = 0; v < e.KW; ++v) {
          const std::int64_t j = output_at(column, v, e);
          if (j < 0 || j >= OW) continue;
          const float* d_y = a.d_y + ((line / e.H * OH + i) * OW + j) * e.C;
          const float* W = a.W + (u * e.KW + v) * e.C;
          float* d_x = a.out + (line * e.W + column) * e.C;
          over_vectors(e.C, [&](std::int64_t c, auto lanes) {
            lanes.write(d_x + c, fma(lanes.read(d_y + c), lanes.read(W + c), lanes.read(d_x + c)));
          });
        }
    }
  }
}

/// What lines begin .. end - 1 of the output add to d_W [KH,KW,C].
void depthwise_backward_weight(const DepthwiseCall& a, std::int64_t begin, std::int64_t end, float* d_W) {
  const ConvExtents& e = a.extents;
  const std::int64_t OH = e.out_height(), OW = e.out_width();
  for (std::int64_t line = begin; line < end; ++line) {
    const std::int64_t n = line / OH, row = line % OH * e.stride - e.padding;
    for (std::int64_t j = 0; j < OW; ++j) {
      const std::int64_t column = j * e.stride - e.padding;
      const float* d_y = a.d_y + (line * OW + j) * e.C;
      for (std::int64_t u = taps_begin(row, e.dilation); u < taps_end(row, e.dilation, e.H, e.KH); ++u)
        for (std::int64_t v = taps_begin(column, e.dilation); v < taps_end(column, e.dilation, e.W, e.KW); ++v) {
          const float* x = a.x + ((n * e.H + row + u * e.dilation) * e.W + column + v * e.dilation) * e.C;
          float* to = d_W + (u * e.KW + v) * e.C;
          over_vectors(e.C, [&](std::int64_t c, auto lanes) {
            lanes.write(to + c, fma(lanes.read(x + c), lanes.read(d_y + c), lanes.read(to + c)));
          });
        }
    }
  }
}
