#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "fovea/kernels/execution.h"

namespace fovea::decoding {

/// The threads of a program that decodes: all of them inside one search, or parted among workers, each of
/// which decodes a batch of its own. Several callers may want them at once: none waits for another.
class Crew {
 public:
  /// `threads` in all; 0: as many as the machine has, or as there are workers if those are more. `workers`:
  /// among how many they are parted; 0: a thread each. Throws Error(usage) for more workers than threads.
  explicit Crew(int threads = 0, int workers = 0, kernels::KernelSet kernels = kernels::default_kernels());
  /// One worker with the threads of an execution, which must outlive the crew.
  explicit Crew(const kernels::Execution& exec);
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;

  int threads() const { return together_->pool->size(); }
  int workers() const { return static_cast<int>(apart_.size()); }
  /// All threads, for what is done while nobody decodes: loading a model, a picture.
  const kernels::Execution& together() const { return *together_; }

  /// What a caller has of a crew, until it goes out of scope: an execution for each search that it may run.
  class Lease {
   public:
    /// For so many batches. For fewer than there are workers, all threads inside one search; else a worker
    /// for each, as far as there are. While somebody else has a lease, what workers are left, at least one:
    /// where there are none a thread is added, and the system divides the time.
    Lease(Crew& crew, std::size_t batches);
    ~Lease();
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    std::span<const kernels::Execution* const> executions() const { return executions_; }

    /// Calls body(i, *executions()[i]) for each i, the first in the caller's thread, the others in threads of
    /// their own; throws the first exception when all have come back. They must see to it that one that fails
    /// ends the others.
    void run(const std::function<void(std::size_t, const kernels::Execution&)>& body) const;

   private:
    Crew& crew_;
    std::vector<std::size_t> workers_;
    std::unique_ptr<kernels::ExecutionOwner> added_;
    std::vector<const kernels::Execution*> executions_;
  };

 private:
  const kernels::Execution* worker(std::size_t i);

  std::unique_ptr<kernels::ExecutionOwner> owned_;
  const kernels::Execution* together_;

  std::mutex mutex_;
  std::vector<std::unique_ptr<kernels::ExecutionOwner>> apart_;  // the workers, made when first needed
  std::vector<std::size_t> free_;                                // of them
  std::vector<std::unique_ptr<kernels::ExecutionOwner>> added_;  // threads that nobody has
  std::size_t leases_ = 0;
};

}  // namespace fovea::decoding
