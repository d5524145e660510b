#include "fovea/decoding/job_queue.h"

#include <algorithm>
#include <functional>
#include <utility>

namespace fovea::decoding {

JobQueue::JobQueue(const NextJob& next, const DeliverJob& deliver, bool sorted, const Limits& limits)
    : next_(next), deliver_(deliver), sorted_(sorted), limits_(limits) {}

std::size_t JobQueue::begin() {
  add(read_window());
  return at_end_ ? waiting_.size() : many;
}

JobQueue::Window JobQueue::read_window() const {
  Window window;
  while (!window.last && window.requests < limits_.window && window.tokens < limits_.tokens) {
    auto job = next_();
    window.last = !job;
    if (!job) break;
    window.requests += job->requests.size();
    for (const auto& request : job->requests) window.tokens += request.source.size();
    window.jobs.push_back(std::move(job));
  }
  return window;
}

// Others go on while jobs are read.
void JobQueue::fill(std::unique_lock<std::mutex>& lock) {
  filling_ = true;
  lock.unlock();
  Window window = read_window();
  lock.lock();
  add(std::move(window));
  filling_ = false;
  changed_.notify_all();
}

void JobQueue::add(Window window) {
  const auto old = static_cast<std::ptrdiff_t>(waiting_.size());
  for (auto& job : window.jobs) {
    Entry entry{std::move(job), 0};
    entry.job->found.resize(entry.job->requests.size());
    for (std::size_t i = 0; i < entry.job->requests.size(); ++i) {
      const std::size_t number = first_place_ + places_.size();
      entry.job->requests[i].number = number;
      places_.push_back({first_entry_ + entries_.size(), i});
      if (entry.job->requests[i].source.empty()) continue;
      waiting_.push_back(number);
      ++entry.missing;
    }
    entries_.push_back(std::move(entry));
  }
  at_end_ = window.last;
  const auto length = [this](std::size_t number) {
    return entry_of(number).job->requests[place(number).index].source.size();
  };
  if (sorted_)
    std::stable_sort(waiting_.begin() + old, waiting_.end(),
                     [&](std::size_t a, std::size_t b) { return length(a) > length(b); });
}

bool JobQueue::wants_more() const {
  return !at_end_ && !filling_ && waiting_.size() < limits_.low && places_.size() < limits_.most;
}

// No worker takes more than its share of what is left while others have less.
bool JobQueue::may_take(std::size_t worker) const {
  const std::size_t workers = in_work_.size(), left = all_in_work_ + waiting_.size();
  return !waiting_.empty() && in_work_[worker] < (left + workers - 1) / workers;
}

std::optional<Request> JobQueue::take(std::size_t worker, bool idle) {
  std::unique_lock lock(mutex_);
  while (!stopped_) {
    deliver(lock);  // what came without a search
    if (wants_more()) {
      fill(lock);
    } else if (may_take(worker)) {
      const std::size_t number = waiting_.front();
      waiting_.pop_front();
      ++in_work_[worker];
      ++all_in_work_;
      return entry_of(number).job->requests[place(number).index];
    } else if (!idle || (at_end_ && waiting_.empty())) {
      return {};
    } else {
      changed_.wait(lock);  // for a window, or until some have been delivered
    }
  }
  return {};
}

void JobQueue::found(std::size_t worker, std::size_t number, std::vector<Hypothesis> hypotheses) {
  std::unique_lock lock(mutex_);
  --in_work_[worker];
  --all_in_work_;
  Entry& entry = entry_of(number);
  entry.job->found[place(number).index] = std::move(hypotheses);
  --entry.missing;
  deliver(lock);
}

// Whoever finds the first job done delivers it and those after it, while others go on. If `deliver_` throws,
// nobody delivers any more.
void JobQueue::deliver(std::unique_lock<std::mutex>& lock) {
  if (delivering_) return;
  delivering_ = true;
  while (!stopped_ && !entries_.empty() && entries_.front().missing == 0) {
    auto job = std::move(entries_.front().job);
    entries_.pop_front();
    ++first_entry_;
    const std::size_t requests = job->requests.size();
    places_.erase(places_.begin(), places_.begin() + static_cast<std::ptrdiff_t>(requests));
    first_place_ += requests;
    lock.unlock();
    deliver_(std::move(job));
    lock.lock();
    changed_.notify_all();
  }
  delivering_ = false;
}

void JobQueue::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  changed_.notify_all();
}

JobQueue::Place JobQueue::place_of(std::size_t request) {
  const std::lock_guard lock(mutex_);
  return place(request);
}

}  // namespace fovea::decoding
