#include "fovea/base/thread_pool.h"

#include <algorithm>

namespace fovea {
namespace {

// A region of a small layer lasts tens of microseconds: waiting by spinning first saves the price of a sleep
// (about 50 us for both sides); 2,000 pauses are about 20 us.
constexpr int spins = 2000;

template <class Ready>
bool spin_until(const Ready& ready) {
  for (int i = 0; i < spins; ++i) {
    if (ready()) return true;
    __builtin_ia32_pause();
  }
  return false;
}

}  // namespace

ThreadPool::ThreadPool(int threads) {
  if (threads <= 0) threads = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  for (int worker = 1; worker < threads; ++worker) workers_.emplace_back([this, worker] { work(worker); });
}

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
    ++generation_;
  }
  wake_.notify_all();
  for (auto& worker : workers_) worker.join();
}

void ThreadPool::run_erased(Call call, void* body) {
  {
    const std::lock_guard lock(mutex_);
    call_ = call;
    body_ = body;
    error_ = nullptr;
    running_.store(static_cast<int>(workers_.size()), std::memory_order_relaxed);
    generation_.fetch_add(1, std::memory_order_release);
  }
  wake_.notify_all();
  std::exception_ptr mine;
  try {
    call(body, 0);
  } catch (...) {
    mine = std::current_exception();
  }
  const auto finished = [this] { return running_.load(std::memory_order_acquire) == 0; };
  if (!spin_until(finished)) {
    std::unique_lock lock(mutex_);
    done_.wait(lock, finished);
  }
  const std::lock_guard lock(mutex_);
  if (mine) std::rethrow_exception(mine);
  if (error_) std::rethrow_exception(error_);
}

void ThreadPool::work(int worker) {
  std::uint64_t seen = 0;
  while (true) {
    const auto called = [&] { return generation_.load(std::memory_order_acquire) != seen; };
    if (!spin_until(called)) {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, called);
    }
    seen = generation_.load(std::memory_order_acquire);
    if (stop_) return;
    try {
      call_(body_, worker);
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (!error_) error_ = std::current_exception();
    }
    if (running_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      const std::lock_guard lock(mutex_);  // so that the caller is either before its check or asleep
      done_.notify_one();
    }
  }
}

}  // namespace fovea
