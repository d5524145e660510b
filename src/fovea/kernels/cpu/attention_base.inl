// What every part of attention for one instruction set begins with.

inline constexpr float log2_e = 1.44269504089f, ln_2 = 0.69314718056f;
inline constexpr float lowest = -3e38f;  // below every score, and finite: lowest - lowest = 0
inline constexpr float no_score = -std::numeric_limits<float>::infinity();

template <class Body>
void run_workers(const Execution& exec, int workers, const Body& body) {
  if (workers <= 1) return body(0);
  exec.pool->run([&](int worker) {
    if (worker < workers) body(worker);
  });
}
