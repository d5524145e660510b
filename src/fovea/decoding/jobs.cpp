#include "fovea/decoding/jobs.h"

#include <algorithm>
#include <utility>

#include "fovea/decoding/job_queue.h"

namespace fovea::decoding {
namespace {

// What a worker sees of the queue.
class Desk : public Exchange {
 public:
  Desk(JobQueue& queue, std::size_t worker) : queue_(queue), worker_(worker) {}
  std::optional<Request> next(bool idle) override { return queue_.take(worker_, idle); }
  void found(std::size_t number, std::vector<Hypothesis> hypotheses) override {
    queue_.found(worker_, number, std::move(hypotheses));
  }
  bool stopped() const override { return queue_.stopped(); }

 private:
  JobQueue& queue_;
  std::size_t worker_;
};

// A worker from beginning to end; when it is not the end of the jobs, the others stop too.
void work(JobQueue& queue, Desk desk, const MakeDecoder& decoder, const kernels::Execution& exec,
          const BeamOptions& options, const BatchLimits& limits) {
  try {
    if (!beam_search(*decoder(exec), desk, options, limits)) queue.stop();
  } catch (...) {
    queue.stop();
    throw;
  }
}

JobQueue::Limits queue_limits(const Crew& crew, const BatchLimits& limits) {
  JobQueue::Limits queue;
  const auto rows = static_cast<std::size_t>(
      std::clamp<std::int64_t>(limits.max_rows, 1, static_cast<std::int64_t>(queue.window)));
  queue.low = rows * static_cast<std::size_t>(crew.workers());
  queue.most = 2 * (queue.window + queue.low);
  return queue;
}

// Each worker reads all weights at each step: that pays if its batch is large, or as large as it may be.
// Fewer requests are better off with all threads inside one search, which reads them once.
std::size_t full_batches(std::size_t requests, const BatchLimits& limits) {
  constexpr std::int64_t enough_rows = 32;
  return requests / static_cast<std::size_t>(std::clamp<std::int64_t>(limits.max_rows, 1, enough_rows));
}

}  // namespace

bool search_jobs(Crew& crew, const MakeDecoder& decoder, const NextJob& next, const DeliverJob& deliver,
                 const BeamOptions& options, const BatchLimits& limits) {
  const bool streams = static_cast<bool>(options.on_token);
  JobQueue queue(next, deliver, !streams, queue_limits(crew, limits));
  const std::size_t requests = queue.begin();
  const Crew::Lease lease(crew, streams ? 0 : full_batches(requests, limits));
  queue.set_workers(lease.executions().size());

  BeamOptions how = options;
  if (streams)
    how.on_token = [&](StreamedToken token) {
      const auto place = queue.place_of(token.sentence);
      token.sentence = place.job;
      token.part = place.index;
      return options.on_token(token);
    };
  lease.run([&](std::size_t worker, const kernels::Execution& exec) {
    work(queue, {queue, worker}, decoder, exec, how, limits);
  });
  return !queue.stopped();
}

}  // namespace fovea::decoding
