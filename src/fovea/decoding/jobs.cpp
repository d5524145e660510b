#include "fovea/decoding/jobs.h"

#include <algorithm>
#include <thread>
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

// A worker from beginning to end, with the threads of `exec`.
void work(JobQueue& queue, std::size_t worker, const MakeDecoder& decoder, const kernels::Execution& exec,
          const BeamOptions& options, const BatchLimits& limits) noexcept {
  try {
    Desk desk(queue, worker);
    if (!beam_search(*decoder(exec), desk, options, limits)) queue.stop();
  } catch (...) {
    queue.stop(std::current_exception());
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

}  // namespace

bool search_jobs(Crew& crew, const MakeDecoder& decoder, const NextJob& next, const DeliverJob& deliver,
                 const BeamOptions& options, const BatchLimits& limits) {
  const bool streams = static_cast<bool>(options.on_token);
  JobQueue queue(next, deliver, !streams, queue_limits(crew, limits));
  const std::size_t requests = queue.begin();
  const Crew::Lease lease(crew, streams ? 1 : requests);
  const auto executions = lease.executions();
  queue.set_workers(executions.size());

  BeamOptions how = options;
  if (streams)
    how.on_token = [&](StreamedToken token) {
      token.sentence = queue.job_of(token.sentence);
      return options.on_token(token);
    };
  {
    std::vector<std::jthread> others;
    try {
      for (std::size_t i = 1; i < executions.size(); ++i)
        others.emplace_back([&, i] { work(queue, i, decoder, *executions[i], how, limits); });
    } catch (...) {
      queue.stop(std::current_exception());  // the system gives no more threads
    }
    work(queue, 0, decoder, *executions[0], how, limits);
  }
  queue.throw_error();
  return !queue.stopped();
}

}  // namespace fovea::decoding
