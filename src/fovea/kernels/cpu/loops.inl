// Included once per instruction set: see for_each_isa.h.

/// All lanes of a vector.
struct Whole {
  Floats read(const float* p) const { return load(p); }
  Floats read(const float* p, Floats) const { return load(p); }
  void write(float* p, Floats v) const { store(p, v); }
  Floats keep(Floats v) const { return v; }
};

/// The first lanes of a vector; the others read as 0 (or as `rest`), are not written, and keep() clears them.
struct First {
  int count;
  Floats read(const float* p) const { return load_first(p, count); }
  Floats read(const float* p, Floats rest) const { return load_first(p, count, rest); }
  void write(float* p, Floats v) const { store_first(p, v, count); }
  Floats keep(Floats v) const { return first(v, count); }
};

/// See loops.h.
template <class Body>
inline void over_vectors(std::int64_t count, const Body& body) {
  std::int64_t i = 0;
  for (; i + width <= count; i += width) body(i, Whole{});
  if (i < count) body(i, First{static_cast<int>(count - i)});
}
