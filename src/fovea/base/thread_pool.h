#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <type_traits>
#include <vector>

namespace fovea {

/// A fixed number of workers that run one parallel region at a time. The caller is worker 0.
/// Work is cut statically, so who computes what depends on the number of workers alone.
class ThreadPool {
 public:
  /// threads = 0: as many as the machine has.
  explicit ThreadPool(int threads = 0);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const { return static_cast<int>(workers_.size()) + 1; }

  /// Runs body(worker) once on each worker and waits for all. An exception of any worker is thrown here.
  /// Not reentrant: a body must not call run() of the same pool.
  template <class Body>
  void run(Body&& body) {
    if (workers_.empty()) return body(0);
    using Plain = std::remove_reference_t<Body>;
    run_erased([](void* b, int worker) { (*static_cast<Plain*>(b))(worker); },
               const_cast<void*>(static_cast<const void*>(&body)));
  }

  /// Cuts [0, count) into one contiguous range a worker, multiples of `grain`, and runs body(begin, end).
  /// A count of at most `grain` runs on the caller alone.
  template <class Body>
  void parallel_for(std::int64_t count, std::int64_t grain, Body&& body) {
    if (count <= 0) return;
    const std::int64_t blocks = (count + grain - 1) / grain;
    const std::int64_t parts = std::min<std::int64_t>(size(), blocks);
    if (parts == 1) return body(std::int64_t{0}, count);
    run([&](int worker) {
      if (worker >= parts) return;
      const std::int64_t begin = blocks * worker / parts * grain;
      const std::int64_t end = std::min(count, blocks * (worker + 1) / parts * grain);
      if (begin < end) body(begin, end);
    });
  }

 private:
  using Call = void (*)(void*, int);
  void run_erased(Call call, void* body);
  void work(int worker);

  std::vector<std::thread> workers_;
  std::atomic<std::uint64_t> generation_{0};  // counts regions; a change wakes the workers
  std::atomic<int> running_{0};
  std::atomic<bool> stop_{false};
  Call call_ = nullptr;
  void* body_ = nullptr;
  std::exception_ptr error_;
  std::mutex mutex_;
  std::condition_variable wake_, done_;
};

}  // namespace fovea
