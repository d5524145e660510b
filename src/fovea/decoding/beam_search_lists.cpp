// Ways into a search for those who have functions or lists in place of an Exchange.
#include <functional>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "fovea/decoding/beam_search.h"

namespace fovea::decoding {
namespace {

// An exchange of two functions.
class Functions : public Exchange {
 public:
  using Next = std::function<std::optional<Request>()>;
  using Found = std::function<void(std::size_t, std::vector<Hypothesis>)>;
  Functions(const Next& next, const Found& found) : next_(next), found_(found) {}

  std::optional<Request> next(bool) override {
    auto request = at_end_ ? std::nullopt : next_();
    at_end_ = !request;
    return request;
  }
  void found(std::size_t number, std::vector<Hypothesis> hypotheses) override {
    found_(number, std::move(hypotheses));
  }

 private:
  const Next& next_;
  const Found& found_;
  bool at_end_ = false;
};

}  // namespace

bool beam_search(const StepModel& model, const std::function<std::optional<Request>()>& next,
                 const std::function<void(std::size_t, std::vector<Hypothesis>)>& found,
                 const BeamOptions& options, const BatchLimits& limits) {
  Functions exchange(next, found);
  return beam_search(model, exchange, options, limits);
}

std::vector<std::vector<Hypothesis>> beam_search(const StepModel& model, std::vector<Request> requests,
                                                 const BeamOptions& options, const BatchLimits& limits) {
  std::vector<std::vector<Hypothesis>> results(requests.size());
  std::size_t given = 0;
  const auto next = [&]() -> std::optional<Request> {
    if (given == requests.size()) return {};
    return std::move(requests[given++]);
  };
  const auto found = [&](std::size_t index, std::vector<Hypothesis> hypotheses) {
    results[index] = std::move(hypotheses);
  };
  beam_search(model, next, found, options, limits);
  return results;
}

std::vector<std::vector<Hypothesis>> beam_search(const StepModel& model,
                                                 const std::vector<std::vector<std::int32_t>>& sources,
                                                 const BeamOptions& options) {
  constexpr std::int64_t all = std::numeric_limits<std::int64_t>::max() / 4;
  std::vector<Request> requests;
  for (std::size_t i = 0; i < sources.size(); ++i) requests.push_back({sources[i], {}, i});
  return beam_search(model, std::move(requests), options, {all, all});
}

}  // namespace fovea::decoding
