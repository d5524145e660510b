// Included once per instruction set: see for_each_isa.h.

/// What all chunks of one dropout share. Where the counter is equal in all lanes Philox starts in plain integers: the
/// first round multiplies one vector instead of two, and so does the second.
struct DropoutSource {
  RandomKey key;
  Words threshold;  // in the upper half word
  Floats scale;
};

inline DropoutSource source_of(const Dropout& dropout) {
  return {dropout.key, broadcast_words(dropout.threshold() << 16), broadcast(dropout.scale())};
}

/// Philox words of blocks `block` .. `block` + width - 1, which share their upper 32 bits; the arithmetic of philox().
inline void philox(const RandomKey& key, std::uint64_t block, Words out[4]) {
  constexpr std::uint32_t m0 = 0xD2511F53u, m1 = 0xCD9E8D57u, weyl0 = 0x9E3779B9u, weyl1 = 0xBB67AE85u;
  alignas(64) static constexpr std::uint32_t lanes[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  const Words multiplier0 = broadcast_words(m0), multiplier1 = broadcast_words(m1);
  const Words counter = add(broadcast_words(static_cast<std::uint32_t>(block)), load_words(lanes));

  // Round 1: c1, c2 and c3 are the same in all lanes, and so are the new c0 and c1.
  const std::uint64_t p1 = std::uint64_t{m1} * key.update;
  const std::uint32_t c0 =
      static_cast<std::uint32_t>(p1 >> 32) ^ static_cast<std::uint32_t>(block >> 32) ^ key.low;
  const WordPair first = multiply(counter, multiplier0);
  const Words c2 = bit_xor(first.high, broadcast_words(key.site ^ key.high));

  // Round 2: its product of c0 is the same in all lanes.
  const std::uint64_t p0 = std::uint64_t{m0} * c0;
  const WordPair second = multiply(c2, multiplier1);
  const std::uint32_t mixed1 = static_cast<std::uint32_t>(p1) ^ (key.low + weyl0);
  const std::uint32_t mixed3 = static_cast<std::uint32_t>(p0 >> 32) ^ (key.high + weyl1);
  Words a = bit_xor(second.high, broadcast_words(mixed1)), b = second.low;
  Words c = bit_xor(first.low, broadcast_words(mixed3)), d = broadcast_words(static_cast<std::uint32_t>(p0));

  std::uint32_t k0 = key.low + 2 * weyl0, k1 = key.high + 2 * weyl1;
  for (int round = 2; round < 7; ++round, k0 += weyl0, k1 += weyl1) {
    const WordPair pa = multiply(a, multiplier0), pc = multiply(c, multiplier1);
    a = bit_xor(bit_xor(pc.high, b), broadcast_words(k0));
    b = pc.low;
    c = bit_xor(bit_xor(pa.high, d), broadcast_words(k1));
    d = pa.low;
  }
  out[0] = a, out[1] = b, out[2] = c, out[3] = d;
}

/// The 128 multipliers of a chunk: lane i of a vector is block i, so words come out as runs of elements.
inline void dropout_chunk(const DropoutSource& source, std::uint64_t chunk, float* out) {
  for (int lane = 0; lane < 16; lane += width) {
    Words words[4];
    philox(source.key, chunk * 16 + static_cast<std::uint64_t>(lane), words);
    for (int w = 0; w < 4; ++w) {
      store(out + 32 * w + lane, value_at_least(shift_left<16>(words[w]), source.threshold, source.scale));
      store(out + 32 * w + 16 + lane, value_at_least(words[w], source.threshold, source.scale));
    }
  }
}

/// See kernels/dropout.h.
inline void dropout_multipliers(const Dropout& dropout, std::uint64_t first, std::int64_t count, float* out) {
  if (dropout.threshold() > 0xffff) return void(std::fill(out, out + count, 0.0f));  // p rounds to 1
  const DropoutSource source = source_of(dropout);
  while (count > 0) {
    const std::int64_t skipped = static_cast<std::int64_t>(first % 128);
    const std::int64_t used = std::min(count, 128 - skipped);
    if (used == 128) {
      dropout_chunk(source, first / 128, out);
    } else {
      alignas(64) float chunk[128];
      dropout_chunk(source, first / 128, chunk);
      std::copy(chunk + skipped, chunk + skipped + used, out);
    }
    first += static_cast<std::uint64_t>(used);
    out += used;
    count -= used;
  }
}

/// out = residual + m * x over elements first .. first + count - 1 of a dropout; residual may be null. The multipliers
/// of a stretch stay in L1.
inline void add_dropped(const Dropout& dropout, std::uint64_t first, std::int64_t count, const float* x,
                        const float* residual, float* out) {
  if (!dropout.active() && !residual) {
    if (out != x) std::copy(x, x + count, out);
    return;
  }
  constexpr std::int64_t stretch = 1024;
  alignas(64) float m[stretch];
  if (!dropout.active()) std::fill(m, m + stretch, 1.0f);
  for (std::int64_t begin = 0; begin < count; begin += stretch) {
    const std::int64_t n = std::min(stretch, count - begin);
    if (dropout.active()) dropout_multipliers(dropout, first + static_cast<std::uint64_t>(begin), n, m);
    over_vectors(n, [&](std::int64_t i, auto lanes) {
      const Floats dropped = mul(lanes.read(m + i), lanes.read(x + begin + i));
      lanes.write(out + begin + i, residual ? add(dropped, lanes.read(residual + begin + i)) : dropped);
    });
  }
}
