// Included once per instruction set: see for_each_isa.h.

/// The largest so far of each lane, the first of equals, and where it stood. NaN is passed over: who meets one sees it
/// in the sum, and leaves the matter to the reference.
struct Largest {
  Floats value, place;

  void meet(Floats x, Floats at) {
    place = select_greater(x, value, at, place);
    value = select_greater(x, value, x, value);
  }
};

/// Whether some lane is NaN.
inline bool any_nan(Floats v) {
  return greater(max(v, sub(zero(), v)), broadcast(-1.0f)) != (1u << width) - 1u;
}

/// One vector of channels of an image, from channel c on.
template <class Lanes>
inline void pool_column(const PoolPixels<float>& a, std::int64_t n, std::int64_t c, std::int64_t end, Lanes lanes) {
  constexpr std::int64_t block = 64;  // pixels summed apart, so that rounding grows with P/64 + 64 alone
  const float* x = a.x + n * a.P * a.C + c;
  Largest largest{lanes.read(x), zero()};
  Floats total = zero();
  for (std::int64_t first = 0; first < a.P; first += block) {
    Floats part = zero();
    for (std::int64_t p = first; p < std::min(a.P, first + block); ++p) {
      const Floats pixel = lanes.read(x + p * a.C);
      part = add(part, pixel);
      largest.meet(pixel, broadcast(static_cast<float>(p)));
    }
    total = add(total, part);
  }
  if (any_nan(total)) return reference::pool_pixels(a, n, c, std::min<std::int64_t>(end, c + width));
  if (a.average) lanes.write(a.average + n * a.C + c, mul(total, broadcast(1.0f / static_cast<float>(a.P))));
  if (!a.maximum) return;
  lanes.write(a.maximum + n * a.C + c, largest.value);
  alignas(64) float place[width];
  store(place, largest.place);
  for (std::int64_t i = 0; i < std::min<std::int64_t>(width, end - c); ++i)
    a.which[n * a.C + c + i] = static_cast<std::int32_t>(place[i]);
}

void pool_pixels(const PoolPixels<float>& a, std::int64_t n, std::int64_t begin, std::int64_t end) {
  over_vectors(end - begin, [&](std::int64_t c, auto lanes) { pool_column(a, n, begin + c, end, lanes); });
}

inline Floats lane_numbers() {
  alignas(64) float numbers[width];
  for (int i = 0; i < width; ++i) numbers[i] = static_cast<float>(i);
  return load(numbers);
}

void pool_channels(const PoolChannels<float>& a, std::int64_t begin, std::int64_t end) {
  const Floats numbers = lane_numbers(), lowest = broadcast(-std::numeric_limits<float>::infinity());
  const Floats nowhere = broadcast(std::numeric_limits<float>::max());
  for (std::int64_t r = begin; r < end; ++r) {
    const float* x = a.x + r * a.C;
    Floats total = zero();
    Largest largest{lowest, numbers};
    over_vectors(a.C, [&](std::int64_t c, auto lanes) {
      total = add(total, lanes.read(x + c));
      largest.meet(lanes.read(x + c, lowest), add(numbers, broadcast(static_cast<float>(c))));
    });
    if (any_nan(total)) {
      reference::pool_channels(a, r, r + 1);
      continue;
    }
    const float value = max_of(largest.value);
    const Floats place = select_greater(broadcast(value), largest.value, nowhere, largest.place);
    a.out[2 * r] = sum(total) / static_cast<float>(a.C);
    a.out[2 * r + 1] = value;
    a.which[r] = static_cast<std::int32_t>(-max_of(sub(zero(), place)));
  }
}
