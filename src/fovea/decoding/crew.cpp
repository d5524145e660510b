#include "fovea/decoding/crew.h"

#include <algorithm>
#include <exception>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "fovea/base/error.h"

namespace fovea::decoding {
namespace {

int threads_for(int threads, int workers) {
  if (threads <= 0) return std::max({workers, 1, static_cast<int>(std::thread::hardware_concurrency())});
  if (workers <= threads) return threads;
  throw Error(
      Error::Kind::usage, "workers",
      std::to_string(workers) + " of " + std::to_string(threads) + (threads == 1 ? " thread" : " threads"),
      "use at most as many workers as threads");
}

}  // namespace

Crew::Crew(int threads, int workers, kernels::KernelSet kernels)
    : owned_(std::make_unique<kernels::ExecutionOwner>(threads_for(threads, workers), kernels)),
      together_(&owned_->get()),
      apart_(static_cast<std::size_t>(workers > 0 ? workers : together_->pool->size())) {
  for (std::size_t i = apart_.size(); i > 0; --i) free_.push_back(i - 1);
}

Crew::Crew(const kernels::Execution& exec) : together_(&exec), apart_(1), free_{0} {}

// The threads of a worker; of a single one they are all.
const kernels::Execution* Crew::worker(std::size_t i) {
  const std::size_t all = static_cast<std::size_t>(threads()), count = apart_.size();
  if (count == 1) return together_;
  if (!apart_[i])
    apart_[i] = std::make_unique<kernels::ExecutionOwner>(
        static_cast<int>(all * (i + 1) / count - all * i / count), together_->kernels);
  return &apart_[i]->get();
}

Crew::Lease::Lease(Crew& crew, std::size_t batches) : crew_(crew) {
  const std::lock_guard lock(crew.mutex_);
  auto& free = crew.free_;
  const bool whole = crew.leases_ == 0 && batches < free.size();
  const std::size_t count = whole ? free.size() : std::min(std::max<std::size_t>(batches, 1), free.size());
  workers_.assign(free.end() - static_cast<std::ptrdiff_t>(count), free.end());
  if (whole) {
    executions_.push_back(crew.together_);
  } else if (count > 0) {
    for (const auto i : workers_) executions_.push_back(crew.worker(i));
  } else {
    if (crew.added_.empty())
      crew.added_.push_back(std::make_unique<kernels::ExecutionOwner>(1, crew.together_->kernels));
    added_ = std::move(crew.added_.back());
    crew.added_.pop_back();
    executions_.push_back(&added_->get());
  }
  free.resize(free.size() - count);  // after all that can fail
  ++crew.leases_;
}

Crew::Lease::~Lease() {
  const std::lock_guard lock(crew_.mutex_);
  crew_.free_.insert(crew_.free_.end(), workers_.begin(), workers_.end());
  if (added_) crew_.added_.push_back(std::move(added_));
  --crew_.leases_;
}

void Crew::Lease::run(const std::function<void(std::size_t, const kernels::Execution&)>& body) const {
  std::mutex mutex;
  std::exception_ptr first;
  const auto guarded = [&](std::size_t i) {
    try {
      body(i, *executions_[i]);
    } catch (...) {
      const std::lock_guard lock(mutex);
      if (!first) first = std::current_exception();
    }
  };
  {
    std::vector<std::jthread> others;
    others.reserve(executions_.size());
    for (std::size_t i = 1; i < executions_.size(); ++i) {
      try {
        others.emplace_back(guarded, i);
      } catch (const std::system_error&) {
        break;  // the system gives no more threads: those there are do the work
      }
    }
    guarded(0);
  }
  if (first) std::rethrow_exception(first);
}

}  // namespace fovea::decoding
