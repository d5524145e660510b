// Included once per instruction set: see for_each_isa.h.

/// The largest so far of each lane, and where it stood. NaN is larger than numbers, the first largest stays.
struct Largest {
  Floats value, place;

  void meet(Floats x, Floats at) {
    // |x| > -1 holds for all but NaN; a lane that is NaN already beats nothing, so it stays.
    const Floats unordered = select_greater(max(x, sub(zero(), x)), broadcast(-1.0f), zero(), broadcast(1.0f));
    const Floats fresh = select_greater(max(value, sub(zero(), value)), broadcast(-1.0f), unordered, zero());
    place = select_greater(x, value, at, select_greater(fresh, zero(), at, place));
    value = select_greater(x, value, x, select_greater(fresh, zero(), x, value));
  }
};

void pool_pixels(const PoolPixels<float>& a, std::int64_t n, std::int64_t begin, std::int64_t end) {
  constexpr std::int64_t block = 64;  // pixels summed apart, so that rounding grows with P/64 + 64 alone
  const float* image = a.x + n * a.P * a.C + begin;
  const std::int64_t at = n * a.C + begin;
  const Floats share = broadcast(1.0f / static_cast<float>(a.P));
  over_vectors(end - begin, [&](std::int64_t c, auto lanes) {
    Largest largest{lanes.read(image + c), zero()};
    Floats total = zero();
    for (std::int64_t first = 0; first < a.P; first += block) {
      Floats part = zero();
      for (std::int64_t p = first; p < std::min(a.P, first + block); ++p) {
        const Floats x = lanes.read(image + p * a.C + c);
        part = add(part, x);
        largest.meet(x, broadcast(static_cast<float>(p)));
      }
      total = add(total, part);
    }
    if (a.average) lanes.write(a.average + at + c, mul(total, share));
    if (!a.maximum) return;
    lanes.write(a.maximum + at + c, largest.value);
    alignas(64) float place[width];
    store(place, largest.place);
    const std::int64_t lanes_here = std::min<std::int64_t>(width, end - begin - c);
    for (std::int64_t i = 0; i < lanes_here; ++i) a.which[at + c + i] = static_cast<std::int32_t>(place[i]);
  });
}

inline Floats lane_numbers() {
  alignas(64) float numbers[width];
  for (int i = 0; i < width; ++i) numbers[i] = static_cast<float>(i);
  return load(numbers);
}

void pool_channels(const PoolChannels<float>& a, std::int64_t begin, std::int64_t end) {
  const Floats numbers = lane_numbers(), lowest = broadcast(-std::numeric_limits<float>::infinity());
  alignas(64) float value[width], place[width];
  for (std::int64_t r = begin; r < end; ++r) {
    const float* x = a.x + r * a.C;
    Floats total = zero();
    Largest largest{lowest, numbers};
    over_vectors(a.C, [&](std::int64_t c, auto lanes) {
      total = add(total, lanes.read(x + c));
      largest.meet(lanes.read(x + c, lowest), add(numbers, broadcast(static_cast<float>(c))));
    });
    store(value, largest.value);
    store(place, largest.place);
    int best = 0;
    for (int i = 1; i < std::min<std::int64_t>(width, a.C); ++i)
      if (reference::larger(value[i], value[best]) ||
          (!reference::larger(value[best], value[i]) && place[i] < place[best]))
        best = i;
    a.out[2 * r] = sum(total) / static_cast<float>(a.C);
    a.out[2 * r + 1] = value[best];
    a.which[r] = static_cast<std::int32_t>(place[best]);
  }
}
