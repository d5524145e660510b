#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <limits>
#include <mutex>
#include <optional>
#include <vector>

#include "fovea/decoding/jobs.h"

namespace fovea::decoding {

/// Jobs on their way: from `next` through the hands of several workers to `deliver`, in their order.
class JobQueue {
 public:
  struct Limits {
    std::size_t low = 128;         ///< fewer requests in the queue than that, and more jobs are asked for,
    std::size_t window = 2048;     ///< so many requests at a time,
    std::size_t tokens = 1 << 18;  ///< with so many tokens of sources;
    std::size_t most = 8192;       ///< no more are asked for while so many requests are not yet delivered
  };
  /// All must outlive it. Without `sorted`, requests are handed out in their order.
  JobQueue(const NextJob& next, const DeliverJob& deliver, bool sorted, const Limits& limits);

  /// Where a request stands: the number of its job, and its own number in that.
  struct Place {
    std::size_t job, index;
  };
  /// Of a request that is in work.
  Place place_of(std::size_t request);

  /// Asks for the first window of jobs, before there are workers, and tells how many requests there are;
  /// `many` if more may follow.
  std::size_t begin();
  static constexpr std::size_t many = std::numeric_limits<std::size_t>::max();
  /// How many workers there will be.
  void set_workers(std::size_t count) { in_work_.assign(count, 0); }

  /// As Exchange says, for each worker.
  std::optional<Request> take(std::size_t worker, bool idle);
  void found(std::size_t worker, std::size_t number, std::vector<Hypothesis> hypotheses);
  bool stopped() const { return stopped_; }

  /// Ends the work of all: what is not yet delivered is lost.
  void stop();

 private:
  struct Entry {
    std::unique_ptr<Job> job;
    std::size_t missing = 0;  // results
  };
  // Jobs that have come and are not yet among the others.
  struct Window {
    std::vector<std::unique_ptr<Job>> jobs;
    std::size_t requests = 0, tokens = 0;
    bool last = false;
  };
  Window read_window() const;
  void fill(std::unique_lock<std::mutex>& lock);
  void add(Window window);
  void deliver(std::unique_lock<std::mutex>& lock);
  bool wants_more() const;
  bool may_take(std::size_t worker) const;
  const Place& place(std::size_t request) const { return places_[request - first_place_]; }
  Entry& entry_of(std::size_t request) { return entries_[place(request).job - first_entry_]; }

  const NextJob& next_;
  const DeliverJob& deliver_;
  const bool sorted_;
  const Limits limits_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Entry> entries_;  // not yet delivered, by number from first_entry_
  std::deque<Place> places_;   // of their requests, by number from first_place_
  std::size_t first_entry_ = 0, first_place_ = 0;
  std::deque<std::size_t> waiting_;   // requests that nobody has taken
  std::vector<std::size_t> in_work_;  // requests, of each worker
  std::size_t all_in_work_ = 0;
  bool filling_ = false, delivering_ = false, at_end_ = false;
  std::atomic<bool> stopped_{false};
};

}  // namespace fovea::decoding
