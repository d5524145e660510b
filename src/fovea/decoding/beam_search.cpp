#include "fovea/decoding/beam_search.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "fovea/base/error.h"
#include "fovea/decoding/restriction.h"
#include "fovea/decoding/search_checks.h"
#include "fovea/decoding/sentence_search.h"
#include "fovea/kernels/top_k.h"

namespace fovea::decoding {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

// A row of -infinity alone is no fault: nothing can follow there.
bool can_be_ranked(std::span<const float> logits) {
  return std::ranges::all_of(logits, [](float x) { return x < infinity; });
}

// Bits of all ids but these.
std::vector<std::uint64_t> all_but(std::span<const std::int32_t> ids, std::int64_t vocabulary) {
  std::vector<std::uint64_t> bits(static_cast<std::size_t>(vocabulary / 64 + 1), ~std::uint64_t{0});
  for (const auto id : ids) bits[static_cast<std::size_t>(id / 64)] &= ~(std::uint64_t{1} << (id % 64));
  return bits;
}

class Search {
 public:
  Search(const StepModel& model, const BeamOptions& options, const BatchLimits& limits);
  bool run(Exchange& exchange);

 private:
  std::int64_t greatest_length(const Request& request, std::size_t index) const;
  bool is_end(std::int32_t token) const { return std::ranges::find(ends_, token) != ends_.end(); }
  void forbid();
  void allow_always();
  bool has_room() const;
  bool fits(const Request& request) const;
  void admit(Exchange& exchange);
  void enter(Request request);
  void restrict_rows();
  void name_tokens();
  void process(const SentenceSearch& sentence, std::size_t row, std::span<float> values);
  std::optional<std::size_t> column_of(const SentenceSearch& sentence, std::int32_t token) const;
  Tensor step();
  void constrain(const Tensor& logits);
  void find_candidates(const Tensor& logits);
  void rank_rows();
  void make_room_for_candidates();
  void draw(const Tensor& logits);
  [[noreturn]] void diagnose(const Tensor& logits, std::size_t row) const;
  StepOffer offer_to(const SentenceSearch& sentence, std::size_t row, std::size_t& drawn);
  void advance(Exchange& exchange);
  bool ranks() const { return k_ > 0; }  // whether the most probable tokens are asked for
  static std::span<float> row_of(const Tensor& logits, std::size_t row) {
    const auto width = static_cast<std::size_t>(logits.dim(1));
    return logits.values().subspan(row * width, width);
  }

  const StepModel& model_;
  const BeamOptions& options_;
  const BatchLimits& limits_;
  const bool watches_;  // whether the model is asked where it looks
  const std::vector<std::int32_t> ends_;
  std::unique_ptr<DecodingState> state_;
  std::vector<std::unique_ptr<SentenceSearch>> alive_, spare_;  // alive: in the order of their rows
  std::optional<Request> waiting_;                              // the next request, if it did not fit
  std::size_t entered_ = 0;                                     // requests so far
  std::int64_t source_tokens_ = 0;                              // of those alive

  std::vector<std::int32_t> tokens_,
      parents_;                          // a row: what the model is fed next, and which row it continues
  StepAttention attention_;              // of this step, if it is asked for
  std::vector<float> likeness_;          // [rows], likewise
  std::vector<std::int32_t> forbidden_;  // ids that no row may choose
  std::vector<std::uint64_t> permitted_, without_end_;  // bits of the others; and of those but the end
  bool needs_logits_ = true;                            // whether anybody looks at more than candidates
  std::vector<std::int32_t> always_;                    // ids that are every sentence's own
  bool restricted_ = false;                             // whether sentences have tokens of their own
  std::vector<float> all_tokens_;              // logits of a row, -infinity for tokens that are not its own
  std::vector<const std::uint64_t*> allowed_;  // [rows] of those bits
  std::int64_t k_ = 0;                         // candidates a row
  std::vector<float> log_probabilities_;       // [rows, k]
  std::vector<std::int32_t> ids_;              // [rows, k]
  std::vector<std::int32_t> past_, read_;      // of one hypothesis, for the processors; with its source

  struct PlannedDraw {
    std::size_t row;
    RandomKey key;
    std::int64_t position;
    const std::vector<std::int32_t>* own;  // what columns stand for, if not for tokens
  };
  std::vector<SentenceSearch::Draw> draws_;  // of one sentence
  std::vector<PlannedDraw> planned_;         // of all, in order
  std::vector<Drawn> drawn_;
  std::vector<Sampler> samplers_;  // one a thread
};

Search::Search(const StepModel& model, const BeamOptions& options, const BatchLimits& limits)
    : model_(model),
      options_(options),
      limits_(limits),
      watches_(options.coverage_penalty.beta != 0.0 || options.attention),
      ends_(model.ends().begin(), model.ends().end()) {
  forbid();
  if (options.sampling)
    samplers_.assign(static_cast<std::size_t>(model.execution().pool->size()), Sampler(*options.sampling));
}

// Decides which ids no row may choose, how many candidates a row can have, and whether they are all that is
// asked for.
void Search::forbid() {
  std::set<std::int32_t> ids(model_.banned().begin(), model_.banned().end());
  ids.insert(options_.suppressed.begin(), options_.suppressed.end());
  std::erase_if(ids, [&](std::int32_t id) { return id < 0 || id >= model_.vocabulary(); });
  forbidden_.assign(ids.begin(), ids.end());
  const std::int64_t allowed = model_.vocabulary() - std::ssize(forbidden_);
  if (allowed < 1) throw Error(Error::Kind::model, "decoding", "every token of the vocabulary is banned");
  if (options_.contrastive)
    k_ = options_.contrastive->k;
  else if (!options_.sampling)
    k_ = candidates_of(options_.beam, std::ssize(ends_));
  else if (options_.sampling->top_k <= kernels::top_k_limit)
    k_ = options_.sampling->top_k;
  if (options_.alternatives) k_ = std::max(k_, options_.nbest + 1);
  k_ = std::min(k_, allowed);
  permitted_ = without_end_ = all_but(forbidden_, model_.vocabulary());
  for (const auto end : ends_)
    without_end_[static_cast<std::size_t>(end / 64)] &= ~(std::uint64_t{1} << (end % 64));
  allow_always();
  needs_logits_ = !model_.ranks() || watches_ || options_.sampling || options_.contrastive ||
                  !options_.processors.empty();
}

// What a sentence may hold that has tokens of its own, whatever they are.
void Search::allow_always() {
  std::set<std::int32_t> ids(ends_.begin(), ends_.end());
  for (const auto& processor : options_.processors)
    if (const auto token = processor->forced(); token && *token >= 0 && *token < model_.vocabulary())
      ids.insert(*token);
  always_.assign(ids.begin(), ids.end());
}

std::int64_t Search::greatest_length(const Request& request, std::size_t index) const {
  // Contrastive search lets the model read its last token, too.
  const std::int64_t steps = model_.most_steps(request.source) - (options_.contrastive ? 1 : 0);
  std::int64_t limit = std::min(options_.max_length, steps);
  if (request.max_length > 0) limit = std::min(limit, request.max_length);
  if (limit < 1)
    throw Error(Error::Kind::usage, "sentence " + std::to_string(index),
                "leaves no room for a token: it has " + std::to_string(request.source.size()) + " of its own",
                "cut it");
  const std::string where = "prefix of sentence " + std::to_string(index);
  if (std::ssize(request.prefix) >= limit)
    throw Error(Error::Kind::usage, where, "has " + std::to_string(request.prefix.size()) + " tokens",
                "use fewer than the greatest length, " + std::to_string(limit));
  for (const auto token : request.prefix)
    if (token < 0 || token >= model_.vocabulary() || is_end(token))
      throw Error(Error::Kind::usage, where, "token " + std::to_string(token) + " cannot be generated");
  const double longer = std::max(options_.max_length_ratio * static_cast<double>(request.source.size()),
                                 static_cast<double>(request.prefix.size()));
  const double wanted = longer + static_cast<double>(options_.max_length_extra);
  if (wanted >= static_cast<double>(limit)) return limit;
  return std::max({std::int64_t{1}, static_cast<std::int64_t>(wanted), std::ssize(request.prefix) + 1});
}

bool Search::run(Exchange& exchange) {
  const auto stopped = [&] { return (options_.cancelled && *options_.cancelled) || exchange.stopped(); };
  for (;;) {
    if (stopped()) return false;
    admit(exchange);
    if (alive_.empty()) return !stopped();
    if (needs_logits_ || restricted_) {
      const Tensor logits = step();
      expect_shape(logits, {std::ssize(tokens_), restricted_ ? -1 : model_.vocabulary()},
                   "decoding: logits of a step");
      constrain(logits);
      if (ranks()) find_candidates(logits);
      if (options_.sampling) draw(logits);
    } else {
      rank_rows();
    }
    advance(exchange);
  }
}

// Few at a time would be read one by one, and make room for one at a time again.
bool Search::has_room() const {
  return std::ssize(alive_) <= limits_.max_rows * 3 / 4 && source_tokens_ <= limits_.max_tokens * 3 / 4;
}

bool Search::fits(const Request& request) const {
  return alive_.empty() || (std::ssize(alive_) < limits_.max_rows &&
                            source_tokens_ + std::ssize(request.source) <= limits_.max_tokens);
}

// Fills the batch with new sentences.
void Search::admit(Exchange& exchange) {
  if (!has_room() && !alive_.empty()) return;
  std::vector<std::vector<std::int32_t>> sources;
  std::vector<std::int32_t> first;
  const bool others = !alive_.empty();
  for (;;) {
    if (!waiting_) waiting_ = exchange.next(alive_.empty());
    if (!waiting_ || !fits(*waiting_)) break;
    sources.push_back(waiting_->source);
    first.push_back(model_.start_token(waiting_->source));
    enter(*std::exchange(waiting_, {}));
  }
  if (sources.empty()) return;
  if (others)
    model_.admit(*state_, sources);
  else
    state_ = model_.start(sources);
  tokens_.insert(tokens_.end(), first.begin(), first.end());
  if (state_->rows() != std::ssize(tokens_))
    throw Error(Error::Kind::bug, "decoding",
                "the model has " + std::to_string(state_->rows()) + " rows for " +
                    std::to_string(tokens_.size()) + " hypotheses");
  if (restricted_) restrict_rows();
}

void Search::restrict_rows() {
  std::vector<TokenSet> sets;
  for (const auto& sentence : alive_) sets.insert(sets.end(), sentence->rows(), sentence->request().allowed);
  model_.restrict_to(*state_, sets);
}

void Search::enter(Request request) {
  const bool is_first = alive_.empty() && spare_.empty();
  const std::size_t number = request.number.value_or(entered_++);
  const auto own_tokens = [&] { return "allowed tokens of sentence " + std::to_string(number); };
  if (is_first) restricted_ = request.allowed != nullptr;
  if (restricted_ != (request.allowed != nullptr))
    throw Error(Error::Kind::usage, own_tokens(), "are given for some sentences alone",
                "give them for all or none");
  if (restricted_)
    request.allowed =
        possible_tokens(*request.allowed, always_, forbidden_, model_.vocabulary(), own_tokens());
  if (spare_.empty()) {
    alive_.push_back(std::make_unique<SentenceSearch>(options_, ends_));
  } else {
    alive_.push_back(std::move(spare_.back()));
    spare_.pop_back();
  }
  source_tokens_ += std::ssize(request.source);
  const std::int64_t longest = greatest_length(request, number);
  alive_.back()->begin(number, std::move(request), longest);
}

// Logits; where the rows looked, and how alike they are to their past, is asked only if somebody wants to
// know.
Tensor Search::step() {
  if (options_.contrastive) return model_.step_compared(*state_, tokens_, likeness_);
  if (!watches_) return model_.step(*state_, tokens_);
  Tensor logits = model_.step_watched(*state_, tokens_, attention_);
  std::size_t row = 0, weights = 0;
  for (const auto& sentence : alive_) {
    const std::size_t S = sentence->request().source.size();
    for (std::size_t i = 0; i < sentence->rows(); ++i, ++row, weights += S)
      if (row + 1 >= attention_.start.size() || attention_.start[row] != weights ||
          attention_.start[row + 1] != weights + S)
        throw Error(Error::Kind::bug, "decoding", "the attention of a step has not a weight a source token");
  }
  return logits;
}

// What holds for some rows alone, by setting logits to -infinity.
void Search::constrain(const Tensor& logits) {
  const bool forbids = options_.sampling && !restricted_;  // else top_k leaves them out, or nobody has them
  std::size_t row = 0;
  for (const auto& sentence : alive_) {
    const bool forced = sentence->is_forced(), open = sentence->length() < options_.min_length;
    for (std::size_t i = 0; i < sentence->rows(); ++i, ++row) {
      if (forced || (options_.processors.empty() && !open && !forbids)) continue;
      const auto values = row_of(logits, row);
      if (!options_.processors.empty()) process(*sentence, i, values);
      if (open)
        for (const auto token : ends_)
          if (const auto end = column_of(*sentence, token)) values[*end] = -infinity;
      if (forbids)
        for (const auto id : forbidden_) values[static_cast<std::size_t>(id)] = -infinity;
    }
  }
}

// Processors know tokens by their ids: a row that has a sentence's own alone goes by way of all.
void Search::process(const SentenceSearch& sentence, std::size_t row, std::span<float> values) {
  sentence.tokens_of(row, past_);
  read_.clear();
  if (model_.continues()) read_ = sentence.request().source;
  read_.insert(read_.end(), past_.begin(), past_.end());
  std::span<float> all = values;
  if (restricted_) {
    all_tokens_.assign(static_cast<std::size_t>(model_.vocabulary()), -infinity);
    all = all_tokens_;
    const auto& own = *sentence.request().allowed;
    for (std::size_t j = 0; j < own.size(); ++j) all[static_cast<std::size_t>(own[j])] = values[j];
  }
  for (const auto& processor : options_.processors)
    processor->process(sentence.index(), processor->reads_prompts() ? read_ : past_, all);
  if (!restricted_) return;
  const auto& own = *sentence.request().allowed;
  for (std::size_t j = 0; j < own.size(); ++j) values[j] = all[static_cast<std::size_t>(own[j])];
}

// Where a row has the logit of a token, if it has one.
std::optional<std::size_t> Search::column_of(const SentenceSearch& sentence, std::int32_t token) const {
  if (!restricted_) return static_cast<std::size_t>(token);
  const auto& own = *sentence.request().allowed;
  const auto place = std::ranges::lower_bound(own, token);
  if (place == own.end() || *place != token) return {};
  return static_cast<std::size_t>(place - own.begin());
}

// Candidates from a model that ranks by itself: rows may choose by bitmaps, logits exist nowhere.
void Search::rank_rows() {
  make_room_for_candidates();
  allowed_.clear();
  for (const auto& sentence : alive_) {
    const bool open = sentence->length() < options_.min_length && !sentence->is_forced();
    allowed_.insert(allowed_.end(), sentence->rows(), (open ? without_end_ : permitted_).data());
  }
  model_.step_top(*state_, tokens_, {k_, allowed_.data(), nullptr}, log_probabilities_.data(), ids_.data());
  for (std::size_t row = 0; row < tokens_.size(); ++row)
    if (std::isnan(log_probabilities_[row * static_cast<std::size_t>(k_)])) {
      const Tensor logits = model_.last_logits(*state_);
      if (!can_be_ranked(row_of(logits, row))) diagnose(logits, row);
    }
}

void Search::make_room_for_candidates() {
  log_probabilities_.resize(tokens_.size() * static_cast<std::size_t>(k_));
  ids_.resize(log_probabilities_.size());
}

void Search::find_candidates(const Tensor& logits) {
  const std::size_t rows = tokens_.size();
  make_room_for_candidates();
  const std::int64_t forbidden = restricted_ ? 0 : std::ssize(forbidden_);
  kernels::top_k_log_softmax(model_.execution(), std::ssize(tokens_), logits.dim(1), k_, logits.f32(),
                             forbidden_.data(), forbidden, log_probabilities_.data(), ids_.data());
  for (std::size_t row = 0; row < rows; ++row) {
    if (!std::isnan(log_probabilities_[row * static_cast<std::size_t>(k_)])) continue;
    if (!can_be_ranked(row_of(logits, row))) diagnose(logits, row);
  }
  if (restricted_) name_tokens();
}

// Columns of rows that are restricted become tokens; those past the end are impossible and have no name.
void Search::name_tokens() {
  auto id = ids_.begin();
  for (const auto& sentence : alive_) {
    const auto& own = *sentence->request().allowed;
    for (const auto end = id + static_cast<std::ptrdiff_t>(sentence->rows()) * k_; id != end; ++id)
      *id = std::cmp_less(*id, own.size()) ? own[static_cast<std::size_t>(*id)] : Drawn::nothing;
  }
}

void Search::draw(const Tensor& logits) {
  planned_.clear();
  std::size_t row = 0;
  for (const auto& sentence : alive_) {
    draws_.clear();
    sentence->draws(draws_);
    for (const auto& one : draws_)
      planned_.push_back({row + one.row, samplers_.front().key(sentence->request().draw, one.hypothesis),
                          sentence->length(), sentence->request().allowed.get()});
    row += sentence->rows();
  }
  drawn_.resize(planned_.size());
  const auto k = static_cast<std::size_t>(k_);
  const bool ranked = ranks() && options_.sampling->top_k == k_;
  const std::int64_t count = std::ssize(planned_), workers = std::ssize(samplers_);
  model_.execution().pool->run([&](int worker) {
    Sampler& sampler = samplers_[static_cast<std::size_t>(worker)];
    for (auto i = static_cast<std::size_t>(count * worker / workers);
         i < static_cast<std::size_t>(count * (worker + 1) / workers); ++i) {
      const auto& [at, key, position, own] = planned_[i];
      drawn_[i] = ranked ? sampler.draw(std::span(ids_).subspan(at * k, k),
                                        std::span(log_probabilities_).subspan(at * k, k), key, position)
                         : sampler.draw(row_of(logits, at), key, position);
      if (std::int32_t& token = drawn_[i].token; !ranked && own && token >= 0)
        token = (*own)[static_cast<std::size_t>(token)];
    }
  });
  for (std::size_t i = 0; i < planned_.size(); ++i)
    if (drawn_[i].token == Drawn::not_a_number) diagnose(logits, planned_[i].row);
}

// Names the logit that made a row's probabilities NaN.
void Search::diagnose(const Tensor& logits, std::size_t row) const {
  const auto values = row_of(logits, row);
  const auto bad = std::find_if(values.begin(), values.end(), [](float x) { return !(x < infinity); });
  auto sentence = alive_.begin();
  while (row >= (*sentence)->rows()) row -= (*sentence++)->rows();
  std::int64_t token = bad - values.begin();
  if (restricted_) token = (*sentence)->request().allowed->at(static_cast<std::size_t>(token));
  throw Error(Error::Kind::model, "decoding",
              "the logit of token " + std::to_string(token) + " is " +
                  (std::isnan(*bad) ? "NaN" : "infinite") + " at step " +
                  std::to_string((*sentence)->length()) + " of sentence " +
                  std::to_string((*sentence)->index()),
              "the model's weights are damaged, or its training diverged");
}

StepOffer Search::offer_to(const SentenceSearch& sentence, std::size_t row, std::size_t& drawn) {
  const auto k = static_cast<std::size_t>(k_);
  const std::size_t rows = sentence.rows();
  StepOffer offer;
  if (ranks()) {
    offer.k = k;
    offer.log_probabilities = std::span(log_probabilities_).subspan(row * k, rows * k);
    offer.ids = std::span(ids_).subspan(row * k, rows * k);
  }
  if (options_.sampling) {
    draws_.clear();
    sentence.draws(draws_);
    offer.drawn = std::span(drawn_).subspan(drawn, draws_.size());
    drawn += draws_.size();
  }
  if (options_.contrastive) offer.likeness = std::span(likeness_).subspan(row, rows);
  if (watches_) {
    const std::size_t begin = attention_.start[row], end = attention_.start[row + rows];
    offer.attention = std::span(attention_.weights).subspan(begin, end - begin);
  }
  return offer;
}

// Every sentence goes on by a token; those that are finished leave. Sets the model's rows to the hypotheses
// that run, and the tokens it is fed next.
void Search::advance(Exchange& exchange) {
  const std::size_t rows_before = tokens_.size();
  tokens_.clear();
  parents_.clear();
  std::size_t row = 0, drawn = 0;
  for (auto& sentence : alive_) {
    const std::size_t rows = sentence->rows(), begin = parents_.size();
    sentence->advance(offer_to(*sentence, row, drawn));
    if (sentence->finished()) {
      source_tokens_ -= std::ssize(sentence->request().source);
      exchange.found(sentence->index(), sentence->results());
      spare_.push_back(std::move(sentence));
    } else {
      sentence->next_rows(tokens_, parents_);
      for (std::size_t i = begin; i < parents_.size(); ++i) parents_[i] += static_cast<std::int32_t>(row);
    }
    row += rows;
  }
  std::erase(alive_, nullptr);
  if (alive_.empty()) return state_.reset();
  bool same = parents_.size() == rows_before;
  for (std::size_t i = 0; same && i < parents_.size(); ++i)
    same = parents_[i] == static_cast<std::int32_t>(i);
  if (!same) state_->reorder(parents_);
}

}  // namespace

bool beam_search(const StepModel& model, Exchange& exchange, const BeamOptions& options,
                 const BatchLimits& limits) {
  validate(options, limits, model);
  return Search(model, options, limits).run(exchange);
}

}  // namespace fovea::decoding
