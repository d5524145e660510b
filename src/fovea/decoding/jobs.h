#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "fovea/decoding/beam_search.h"
#include "fovea/decoding/crew.h"

namespace fovea::decoding {

/// Requests whose results belong together, such as the parts of a line. Callers derive from it what they need
/// to know of it afterwards.
struct Job {
  virtual ~Job() = default;
  std::vector<Request> requests;               ///< their numbers are given here; without a source: no search
  std::vector<std::vector<Hypothesis>> found;  ///< for each request; nothing where there was no search
};

/// The next job, or null after the last. It is asked for in the midst of work and must not wait for long.
using NextJob = std::function<std::unique_ptr<Job>()>;
/// Takes jobs that are done, in the order in which they came.
using DeliverJob = std::function<void(std::unique_ptr<Job>)>;
/// A model that decodes with the threads of an execution.
using MakeDecoder = std::function<std::unique_ptr<const StepModel>(const kernels::Execution&)>;

/// Searches for what jobs request with the workers of a crew: each decodes a batch of its own, within
/// `limits`, and all draw from one queue that is filled again before it is empty, so that batches stay full
/// to the end; a worker takes no more than its share of what is left. If there are not requests
/// enough that each worker has a batch, all threads work inside one search. Within a window of jobs the
/// longest sources come first: what needs most memory fails or passes at once, and batches empty quickly at
/// the end. With BeamOptions::on_token, whose `sentence` and `part` then are the numbers of a job and of a
/// request in it, requests are searched for in their order, by one worker.
///
/// What is found does not depend on how many workers there are. `next` and `deliver` are called by any of
/// them, each by one at a time, though both perhaps at once. Jobs that wait to be delivered are bounded:
/// memory does not grow with their number. The first exception, of a worker, `next` or `deliver`, stops all
/// workers and is thrown here; nothing is delivered after it.
///
/// Returns whether it went to the end; if it was cancelled, what has been delivered are the first jobs.
bool search_jobs(Crew& crew, const MakeDecoder& decoder, const NextJob& next, const DeliverJob& deliver,
                 const BeamOptions& options = {}, const BatchLimits& limits = {});

}  // namespace fovea::decoding
