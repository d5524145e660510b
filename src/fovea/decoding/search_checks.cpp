#include "fovea/decoding/search_checks.h"

#include <cmath>
#include <string>
#include <string_view>

#include "fovea/base/error.h"
#include "fovea/kernels/top_k.h"

namespace fovea::decoding {
namespace {

void expect(bool holds, std::string_view option, const std::string& found, std::string_view remedy) {
  if (!holds) throw Error(Error::Kind::usage, option, "is " + found, remedy);
}

void check_numbered(const BeamOptions& options, const StepModel& model) {
  using std::to_string;
  if (options.sampling) {
    validate(*options.sampling);
    expect(options.beam == 1, "beam", to_string(options.beam) + ", but hypotheses are drawn", "use 1");
  }
  if (options.alternatives) {
    const double p = options.alternatives->min_probability;
    expect(p >= 0 && p <= 1, "least probability of an alternative", to_string(p), "use a number from 0 to 1");
    expect(options.nbest < kernels::top_k_limit || model.vocabulary() <= kernels::top_k_limit, "nbest",
           to_string(options.nbest) + " alternatives", "use 1 to " + to_string(kernels::top_k_limit - 1));
  }
  expect(options.nbest >= 1 && (options.numbered() || options.nbest <= options.beam), "nbest",
         to_string(options.nbest) + " with beam " + to_string(options.beam), "use 1 to the beam");
}

void check_contrastive(const BeamOptions& options) {
  if (!options.contrastive) return;
  const auto [alpha, k] = *options.contrastive;
  using std::to_string;
  expect(alpha >= 0 && alpha <= 1, "contrastive alpha", to_string(alpha), "use a number from 0 to 1");
  expect(k >= 1 && k <= kernels::top_k_limit, "contrastive k", to_string(k),
         "use 1 to " + to_string(kernels::top_k_limit));
  expect(options.beam == 1 && options.nbest == 1 && !options.sampling && !options.alternatives &&
             options.coverage_penalty.beta == 0.0 && !options.attention,
         "contrastive search", "asked for together with a beam, sampling, alternatives or attention",
         "use one of them");
}

}  // namespace

void validate(const BeamOptions& options, const BatchLimits& limits, const StepModel& model) {
  using std::to_string;
  const std::int64_t widest = kernels::top_k_limit / candidates_of(1, std::ssize(model.ends()));
  expect(options.beam >= 1 && (options.beam <= widest || model.vocabulary() <= kernels::top_k_limit), "beam",
         to_string(options.beam), "use 1 to " + to_string(widest));
  check_contrastive(options);
  check_numbered(options, model);
  const auto& [groups, penalty] = options.diverse;
  expect(groups >= 1 && options.beam % groups == 0, "diverse groups",
         to_string(groups) + " with beam " + to_string(options.beam), "use a number that divides the beam");
  expect(groups == 1 || !options.alternatives, "diverse groups", to_string(groups) + " with alternatives",
         "use one of both");
  expect(penalty >= 0 && std::isfinite(penalty), "diversity", to_string(penalty),
         "use a number of at least 0");
  expect(std::isfinite(options.length_penalty.alpha), "length penalty",
         to_string(options.length_penalty.alpha), "use a number, such as 1");
  expect(options.coverage_penalty.beta >= 0 && std::isfinite(options.coverage_penalty.beta),
         "coverage penalty", to_string(options.coverage_penalty.beta), "use a number of at least 0");
  expect(options.max_length >= 1, "max length", to_string(options.max_length), "use at least 1");
  expect(options.min_length >= 0, "min length", to_string(options.min_length), "use at least 0");
  expect(options.max_length_ratio >= 0 && std::isfinite(options.max_length_ratio), "max length ratio",
         to_string(options.max_length_ratio), "use a number of at least 0");
  expect(limits.max_rows >= 1, "sentences of a batch", to_string(limits.max_rows), "use at least 1");
  expect(limits.max_tokens >= 1, "tokens of a batch", to_string(limits.max_tokens), "use at least 1");
}

}  // namespace fovea::decoding
