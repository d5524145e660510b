#include "fovea/decoding/beam_search.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "fovea/base/error.h"
#include "fovea/decoding/history.h"
#include "fovea/kernels/top_k.h"

namespace fovea::decoding {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

// A hypothesis that goes on; it is a row of the model's state.
struct Running {
  History::Node last = History::none;
  double log_probability = 0.0;
  std::int32_t parent_row = 0;    // the row it continues
  double coverage_penalty = 0.0;  // if it ended here
};

// A hypothesis that ended.
struct Ended {
  History::Node last;
  double log_probability;
  double score;
  bool complete;
};

// A token that could follow a running hypothesis.
struct Candidate {
  double log_probability;  // of the hypothesis with the token
  std::int32_t parent;     // rank of the running hypothesis
  std::int32_t token;
  float token_log_probability;

  bool operator<(const Candidate& other) const {
    if (log_probability != other.log_probability) return log_probability > other.log_probability;
    return std::pair(parent, token) < std::pair(other.parent, other.token);
  }
};

// The search for one sentence.
struct Sentence {
  std::size_t index;        // which source
  std::size_t source;       // its tokens
  std::int64_t max_length;  // tokens, end of sentence counted
  std::vector<Running> running;
  std::vector<Ended> complete;  // at most `beam`, best first
  std::vector<Ended> cut;       // best first
};

void expect(bool holds, std::string_view option, const std::string& found, std::string_view remedy) {
  if (!holds) throw Error(Error::Kind::usage, option, "is " + found, remedy);
}

void check(const BeamOptions& options, const StepModel& model) {
  using std::to_string;
  const std::int64_t widest = kernels::top_k_limit / 2;
  expect(options.beam >= 1 && (options.beam <= widest || model.vocabulary() <= kernels::top_k_limit), "beam",
         to_string(options.beam), "use 1 to " + to_string(widest));
  expect(options.nbest >= 1 && options.nbest <= options.beam, "nbest",
         to_string(options.nbest) + " with beam " + to_string(options.beam), "use 1 to the beam");
  expect(std::isfinite(options.length_penalty.alpha), "length penalty",
         to_string(options.length_penalty.alpha), "use a number, such as 1");
  expect(options.coverage_penalty.beta >= 0 && std::isfinite(options.coverage_penalty.beta),
         "coverage penalty", to_string(options.coverage_penalty.beta), "use a number of at least 0");
  expect(options.max_length >= 1, "max length", to_string(options.max_length), "use at least 1");
  expect(options.min_length >= 0, "min length", to_string(options.min_length), "use at least 0");
  expect(options.max_length_ratio >= 0 && std::isfinite(options.max_length_ratio), "max length ratio",
         to_string(options.max_length_ratio), "use a number of at least 0");
}

class BeamSearch {
 public:
  BeamSearch(const StepModel& model, const std::vector<std::vector<std::int32_t>>& sources,
             const BeamOptions& options);
  std::vector<std::vector<Hypothesis>> run(DecodingState& state);

 private:
  std::int64_t greatest_length(std::size_t source_length) const;
  Tensor step(DecodingState& state);
  void forbid(std::int64_t length);
  void process(const Tensor& logits) const;
  void find_candidates(const Tensor& logits);
  void diagnose(const Tensor& logits, std::int64_t row) const;
  void rank_candidates(const Sentence& sentence, std::int64_t first_row);
  void advance(Sentence& sentence, std::int64_t first_row);
  Running follow(const Running& past, const Candidate& candidate, std::int64_t first_row);
  Ended end(const Running& running, std::int64_t length, bool complete) const;
  void keep_complete(Sentence& sentence, const Running& running) const;
  bool is_finished(const Sentence& sentence) const;
  void deliver(const Sentence& sentence);
  void select_rows(DecodingState& state);

  const StepModel& model_;
  const BeamOptions& options_;
  const std::size_t beam_;
  const bool covers_;            // whether weights of the model's attention are summed up
  std::vector<Sentence> alive_;  // in the order of their rows
  std::vector<std::vector<Hypothesis>> results_;
  History history_;
  std::int64_t length_ = 0;  // tokens of the running hypotheses
  std::vector<std::int32_t> tokens_,
      parents_;  // a row: what the model is fed next, and which row it continues

  StepAttention attention_;            // of this step, if it is asked for
  std::int64_t kept_ = History::none;  // where the history has it
  Coverage coverage_;                  // a row: what it has looked at, this step included

  std::vector<std::int32_t> forbidden_;   // ids that no row may choose at this step
  std::int64_t k_ = 0;                    // candidates a row
  std::vector<float> log_probabilities_;  // [rows, k]
  std::vector<std::int32_t> ids_;         // [rows, k]
  std::vector<Candidate> candidates_;     // of one sentence, best first
  std::vector<Running> before_;           // the hypotheses they continue
};

BeamSearch::BeamSearch(const StepModel& model, const std::vector<std::vector<std::int32_t>>& sources,
                       const BeamOptions& options)
    : model_(model),
      options_(options),
      beam_(static_cast<std::size_t>(options.beam)),
      covers_(options.coverage_penalty.beta != 0.0),
      results_(sources.size()) {
  for (std::size_t i = 0; i < sources.size(); ++i)
    alive_.push_back({i, sources[i].size(), greatest_length(sources[i].size()), {Running{}}, {}, {}});
  tokens_.assign(sources.size(), model.start_token());
}

std::int64_t BeamSearch::greatest_length(std::size_t source_length) const {
  const double wanted = options_.max_length_ratio * static_cast<double>(source_length) +
                        static_cast<double>(options_.max_length_extra);
  const std::int64_t limit = std::min(options_.max_length, model_.max_positions());
  if (wanted >= static_cast<double>(limit)) return limit;
  return wanted >= 1.0 ? static_cast<std::int64_t>(wanted) : 1;
}

std::vector<std::vector<Hypothesis>> BeamSearch::run(DecodingState& state) {
  while (!alive_.empty()) {
    forbid(length_ + 1);
    const Tensor logits = step(state);
    expect_shape(logits, {std::ssize(tokens_), model_.vocabulary()}, "decoding: logits of a step");
    if (!options_.processors.empty()) process(logits);
    find_candidates(logits);
    ++length_;
    std::int64_t first_row = 0;
    for (Sentence& sentence : alive_) {
      const auto rows = static_cast<std::int64_t>(sentence.running.size());
      advance(sentence, first_row);
      first_row += rows;
    }
    std::erase_if(alive_, [&](const Sentence& sentence) {
      const bool finished = is_finished(sentence);
      if (finished) deliver(sentence);
      return finished;
    });
    if (!alive_.empty()) select_rows(state);
  }
  return std::move(results_);
}

// Logits; where the rows looked is asked only if somebody wants to know.
Tensor BeamSearch::step(DecodingState& state) {
  if (!covers_ && !options_.attention) return model_.step(state, tokens_);
  Tensor logits = model_.step_watched(state, tokens_, attention_);
  std::size_t row = 0, weights = 0;
  for (const Sentence& sentence : alive_)
    for (std::size_t i = 0; i < sentence.running.size(); ++i, ++row, weights += sentence.source)
      if (row + 1 >= attention_.start.size() || attention_.start[row] != weights ||
          attention_.start[row + 1] != weights + sentence.source)
        throw Error(Error::Kind::bug, "decoding", "the attention of a step has not a weight a source token");
  if (covers_) coverage_.add(attention_);
  if (options_.attention) kept_ = history_.keep(attention_);
  return logits;
}

// Decides which ids may not be token number `length`, and how many candidates a row can have.
void BeamSearch::forbid(std::int64_t length) {
  if (length != 1 && length != options_.min_length + 1) return;  // as at the step before
  std::set<std::int32_t> ids(model_.banned().begin(), model_.banned().end());
  if (length <= options_.min_length) ids.insert(model_.eos());
  std::erase_if(ids, [&](std::int32_t id) { return id < 0 || id >= model_.vocabulary(); });
  forbidden_.assign(ids.begin(), ids.end());
  k_ = std::min<std::int64_t>(2 * options_.beam, model_.vocabulary() - static_cast<std::int64_t>(ids.size()));
  if (k_ < 1) throw Error(Error::Kind::model, "decoding", "every token of the vocabulary is banned");
}

void BeamSearch::process(const Tensor& logits) const {
  const auto vocabulary = static_cast<std::size_t>(model_.vocabulary());
  std::size_t row = 0;
  for (const Sentence& sentence : alive_) {
    for (const Running& running : sentence.running) {
      const auto tokens = history_.path(running.last).tokens;
      const auto values = logits.values().subspan(row++ * vocabulary, vocabulary);
      for (const auto& processor : options_.processors) processor->process(sentence.index, tokens, values);
    }
  }
}

void BeamSearch::find_candidates(const Tensor& logits) {
  const auto rows = static_cast<std::int64_t>(tokens_.size());
  log_probabilities_.resize(static_cast<std::size_t>(rows * k_));
  ids_.resize(log_probabilities_.size());
  kernels::top_k_log_softmax(model_.execution(), rows, model_.vocabulary(), k_, logits.f32(),
                             forbidden_.data(), static_cast<std::int64_t>(forbidden_.size()),
                             log_probabilities_.data(), ids_.data());
  for (std::int64_t row = 0; row < rows; ++row)
    if (std::isnan(log_probabilities_[static_cast<std::size_t>(row * k_)])) diagnose(logits, row);
}

// Names the logit that made a row's probabilities NaN. A row of -infinity alone is no fault: nothing can
// follow there.
void BeamSearch::diagnose(const Tensor& logits, std::int64_t row) const {
  const auto values = logits.values().subspan(static_cast<std::size_t>(row * model_.vocabulary()),
                                              static_cast<std::size_t>(model_.vocabulary()));
  const auto bad = std::find_if(values.begin(), values.end(), [](float x) { return !(x < infinity); });
  if (bad == values.end()) return;
  auto sentence = alive_.begin();
  while (row >= static_cast<std::int64_t>(sentence->running.size()))
    row -= static_cast<std::int64_t>((sentence++)->running.size());
  throw Error(Error::Kind::model, "decoding",
              "the logit of token " + std::to_string(bad - values.begin()) + " is " +
                  (std::isnan(*bad) ? "NaN" : "infinite") + " at step " + std::to_string(length_) +
                  " of sentence " + std::to_string(sentence->index),
              "the model's weights are damaged, or its training diverged");
}

void BeamSearch::rank_candidates(const Sentence& sentence, std::int64_t first_row) {
  candidates_.clear();
  const auto k = static_cast<std::size_t>(k_);
  for (std::size_t rank = 0; rank < sentence.running.size(); ++rank) {
    const std::size_t begin = (static_cast<std::size_t>(first_row) + rank) * k;
    for (std::size_t i = begin; i < begin + k; ++i) {
      if (!(log_probabilities_[i] > -infinity)) break;  // impossible, and so are those that follow
      candidates_.push_back(
          {sentence.running[rank].log_probability + static_cast<double>(log_probabilities_[i]),
           static_cast<std::int32_t>(rank), ids_[i], log_probabilities_[i]});
    }
  }
  const std::size_t count = std::min(candidates_.size(), 2 * beam_);
  std::partial_sort(candidates_.begin(), candidates_.begin() + static_cast<std::ptrdiff_t>(count),
                    candidates_.end());
  candidates_.resize(count);
}

// Replaces the running hypotheses by their best continuations.
void BeamSearch::advance(Sentence& sentence, std::int64_t first_row) {
  rank_candidates(sentence, first_row);
  before_.swap(sentence.running);
  sentence.running.clear();
  for (std::size_t rank = 0; rank < candidates_.size() && sentence.running.size() < beam_; ++rank) {
    const Candidate& candidate = candidates_[rank];
    const bool ends = candidate.token == model_.eos();
    if (ends && rank >= beam_) continue;
    const Running next = follow(before_[static_cast<std::size_t>(candidate.parent)], candidate, first_row);
    if (ends) {
      keep_complete(sentence, next);
    } else {
      sentence.running.push_back(next);
    }
  }
  const bool at_limit = length_ >= sentence.max_length;
  const bool dead_end = sentence.running.empty() && sentence.complete.empty();
  if (!at_limit && !dead_end) return;
  for (const Running& running : dead_end ? before_ : sentence.running)
    sentence.cut.push_back(end(running, dead_end ? length_ - 1 : length_, false));
}

Running BeamSearch::follow(const Running& past, const Candidate& candidate, std::int64_t first_row) {
  const std::int64_t row = first_row + candidate.parent;
  const auto at = static_cast<std::size_t>(row);
  const std::int64_t looked =
      options_.attention ? kept_ + static_cast<std::int64_t>(attention_.start[at]) : History::none;
  return {history_.add(past.last, candidate.token, candidate.token_log_probability, looked),
          candidate.log_probability, static_cast<std::int32_t>(row),
          covers_ ? options_.coverage_penalty(coverage_.row(at)) : 0.0};
}

Ended BeamSearch::end(const Running& running, std::int64_t length, bool complete) const {
  const double score = running.log_probability / options_.length_penalty(length) + running.coverage_penalty;
  return {running.last, running.log_probability, score, complete};
}

void BeamSearch::keep_complete(Sentence& sentence, const Running& running) const {
  const Ended ended = end(running, length_, true);
  const auto place = std::find_if(sentence.complete.begin(), sentence.complete.end(),
                                  [&](const Ended& other) { return other.score < ended.score; });
  sentence.complete.insert(place, ended);
  if (sentence.complete.size() > beam_) sentence.complete.pop_back();
}

bool BeamSearch::is_finished(const Sentence& sentence) const {
  if (sentence.running.empty() || length_ >= sentence.max_length) return true;
  if (sentence.complete.size() < beam_) return false;
  if (options_.stop == Stop::first || beam_ == 1) return true;
  const bool growing = options_.stop == Stop::exact && options_.length_penalty.alpha > 0;
  const double penalty = options_.length_penalty(growing ? sentence.max_length : length_);
  const double pays = options_.stop == Stop::exact ? 0.0 : 1.0;
  return std::ranges::all_of(sentence.running, [&](const Running& running) {
    return sentence.complete.back().score >=
           running.log_probability / penalty + pays * running.coverage_penalty;
  });
}

void BeamSearch::deliver(const Sentence& sentence) {
  std::vector<Hypothesis>& result = results_[sentence.index];
  for (const auto* ended : {&sentence.complete, &sentence.cut}) {
    for (const Ended& one : *ended) {
      if (static_cast<std::int64_t>(result.size()) == options_.nbest) return;
      auto [tokens, log_probabilities, attention] =
          history_.path(one.last, options_.attention ? sentence.source : 0);
      if (one.complete) tokens.pop_back();
      result.push_back({std::move(tokens), one.score, one.log_probability, std::move(log_probabilities),
                        one.complete, std::move(attention)});
    }
  }
}

// Sets the model's rows to the running hypotheses, and the tokens it is fed next.
void BeamSearch::select_rows(DecodingState& state) {
  const std::size_t rows_before = tokens_.size();
  tokens_.clear();
  parents_.clear();
  for (const Sentence& sentence : alive_) {
    for (const Running& running : sentence.running) {
      tokens_.push_back(history_.token(running.last));
      parents_.push_back(running.parent_row);
    }
  }
  bool same = parents_.size() == rows_before;
  for (std::size_t row = 0; same && row < parents_.size(); ++row)
    same = parents_[row] == static_cast<std::int32_t>(row);
  if (same) return;
  state.reorder(parents_);
  if (covers_) coverage_.reorder(parents_);
}

}  // namespace

std::vector<std::vector<Hypothesis>> beam_search(const StepModel& model,
                                                 const std::vector<std::vector<std::int32_t>>& sources,
                                                 const BeamOptions& options) {
  check(options, model);
  if (sources.empty()) return {};
  const auto state = model.start(sources);
  if (state->rows() != static_cast<std::int64_t>(sources.size()))
    throw Error(Error::Kind::bug, "decoding",
                "the model started " + std::to_string(state->rows()) + " rows for " +
                    std::to_string(sources.size()) + " sources");
  return BeamSearch(model, sources, options).run(*state);
}

}  // namespace fovea::decoding
