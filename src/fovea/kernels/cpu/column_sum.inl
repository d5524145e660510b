// Included once per instruction set: see for_each_isa.h.

/// sums[d] += rows begin .. end - 1 of d_y [.,D], four at a time so that the sums are read and written less often.
void add_rows(const float* d_y, std::int64_t D, std::int64_t begin, std::int64_t end, float* sums) {
  std::int64_t n = begin;
  for (; n + 4 <= end; n += 4) {
    const float *r0 = d_y + n * D, *r1 = r0 + D, *r2 = r1 + D, *r3 = r2 + D;
    over_vectors(D, [&](std::int64_t d, auto lanes) {
      const Floats four = add(add(lanes.read(r0 + d), lanes.read(r1 + d)), add(lanes.read(r2 + d), lanes.read(r3 + d)));
      lanes.write(sums + d, add(lanes.read(sums + d), four));
    });
  }
  for (; n < end; ++n)
    over_vectors(D, [&](std::int64_t d, auto lanes) {
      lanes.write(sums + d, add(lanes.read(sums + d), lanes.read(d_y + n * D + d)));
    });
}
