#include "fovea/decoding/sentence_search.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace fovea::decoding {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

}  // namespace

bool SentenceSearch::Candidate::operator<(const Candidate& other) const {
  if (rank != other.rank) return rank > other.rank;
  return std::pair(parent, token) < std::pair(other.parent, other.token);
}

void SentenceSearch::begin(std::size_t index, Request request, std::int64_t max_length) {
  index_ = index;
  request_ = std::move(request);
  max_length_ = max_length;
  length_ = 0;
  history_.clear();
  groups_.assign(1, Group{{Running{}}, {}, {}});
  rows_.assign(1, History::none);
  coverage_.begin(request_.source.size());
  emitted_.assign(1, 0);
}

// How many groups there are after the prefix.
std::size_t SentenceSearch::branches() const {
  return static_cast<std::size_t>(options_.sampling ? options_.nbest : options_.diverse.groups);
}

void SentenceSearch::draws(std::vector<Draw>& draws) const {
  if (is_forced()) return;
  if (length_ == std::ssize(request_.prefix)) {  // all go on from the one row there is
    if (options_.alternatives) return;
    for (std::size_t g = 0; g < branches(); ++g) draws.push_back({0, static_cast<std::uint32_t>(g)});
    return;
  }
  std::size_t row = 0;
  for (std::size_t g = 0; g < groups_.size(); ++g)
    if (!groups_[g].running.empty()) draws.push_back({row++, static_cast<std::uint32_t>(g)});
}

void SentenceSearch::advance(const StepOffer& offer) {
  if (options_.coverage_penalty.beta != 0.0) coverage_.add(offer.attention);
  if (options_.attention) kept_ = history_.keep(offer.attention);
  ++length_;
  if (length_ <= std::ssize(request_.prefix)) {
    force();
  } else if (options_.contrastive) {
    contrast(offer);
  } else if (length_ == std::ssize(request_.prefix) + 1) {
    branch(offer);
  } else {
    std::size_t drawn = 0;
    for (Group& group : groups_) {
      if (group.running.empty()) continue;
      if (options_.sampling)
        take_drawn(group, offer.drawn[drawn++]);
      else
        rank_candidates(group, offer);
      choose(group);
    }
  }
  chosen_.clear();
  if (options_.on_token) stream();
}

// The next token of the prefix: nothing else is possible.
void SentenceSearch::force() {
  Running& only = groups_.front().running.front();
  const std::int32_t token = request_.prefix[static_cast<std::size_t>(length_) - 1];
  only = follow(only, token, 0.0f, only.log_probability);
}

// The first step that is free: from here on there are as many groups as the options ask for.
void SentenceSearch::branch(const StepOffer& offer) {
  if (options_.alternatives) return begin_alternatives(offer);
  groups_.resize(branches(), groups_.front());
  emitted_.resize(options_.numbered() ? groups_.size() : 1);
  for (std::size_t g = 0; g < groups_.size(); ++g) {
    if (options_.sampling)
      take_drawn(groups_[g], offer.drawn[g]);
    else
      rank_candidates(groups_[g], offer);
    choose(groups_[g]);
  }
}

void SentenceSearch::begin_alternatives(const StepOffer& offer) {
  Group stem = std::move(groups_.front());
  groups_.clear();
  const Running past = stem.running.front();
  for (std::size_t i = 0; i < offer.k && std::ssize(groups_) < options_.nbest; ++i) {
    const float log_probability = offer.log_probabilities[i];
    const bool likely =
        std::exp(static_cast<double>(log_probability)) >= options_.alternatives->min_probability;
    if (!(log_probability > -infinity) || (!likely && !groups_.empty())) break;
    if (is_end(offer.ids[i])) continue;
    const Running first = follow(past, offer.ids[i], log_probability,
                                 past.log_probability + static_cast<double>(log_probability));
    Group& group = groups_.emplace_back();
    if (const auto ending = ending_of(first.last))
      keep_complete(group, first, *ending);
    else if (length_ >= max_length_)
      group.cut.push_back(end(first, length_, Ending::cut));
    else
      group.running.push_back(first);
  }
  if (groups_.empty()) {  // nothing can follow
    stem.cut.push_back(end(past, length_ - 1, Ending::cut));
    stem.running.clear();
    groups_.push_back(std::move(stem));
  }
  emitted_.resize(groups_.size());
}

void SentenceSearch::rank_candidates(const Group& group, const StepOffer& offer) {
  candidates_.clear();
  // Rows follow the running hypotheses; at the first step all groups go on from row 0.
  for (std::size_t parent = 0; parent < group.running.size(); ++parent) {
    const Running& past = group.running[parent];
    const std::size_t begin = static_cast<std::size_t>(past.parent_row) * offer.k;
    for (std::size_t i = begin; i < begin + offer.k; ++i) {
      if (!(offer.log_probabilities[i] > -infinity)) break;  // impossible, and so are those that follow
      const double sum = past.log_probability + static_cast<double>(offer.log_probabilities[i]);
      const auto met = std::ranges::count(chosen_, offer.ids[i]);
      const double taken = met == 0 ? 0.0 : options_.diverse.penalty * static_cast<double>(met);
      candidates_.push_back(
          {sum - taken, sum, static_cast<std::int32_t>(parent), offer.ids[i], offer.log_probabilities[i]});
    }
  }
  const auto most = candidates_of(static_cast<std::int64_t>(group_beam()), std::ssize(ends_));
  const std::size_t count = std::min(candidates_.size(), static_cast<std::size_t>(most));
  std::partial_sort(candidates_.begin(), candidates_.begin() + static_cast<std::ptrdiff_t>(count),
                    candidates_.end());
  candidates_.resize(count);
}

void SentenceSearch::take_drawn(const Group& group, const Drawn& drawn) {
  candidates_.clear();
  if (drawn.token == Drawn::nothing) return;
  const double sum = group.running.front().log_probability + static_cast<double>(drawn.log_probability);
  candidates_.push_back({sum, sum, 0, drawn.token, drawn.log_probability});
}

// Contrastive search is a token behind: what runs are hypotheses that differ in their last token, which the
// model has now read, and one of them stays. Those that run then are its continuations.
void SentenceSearch::contrast(const StepOffer& offer) {
  Group& group = groups_.front();
  if (length_ == std::ssize(request_.prefix) + 1)
    return offer_all(group, Running(group.running.front()), offer);
  const Running chosen = most_contrasting(group, offer.likeness);
  group.running.clear();
  if (const auto ending = ending_of(chosen.last))
    keep_complete(group, chosen, *ending);
  else if (length_ > max_length_)
    group.cut.push_back(end(chosen, max_length_, Ending::cut));
  else
    offer_all(group, chosen, offer);
}

const SentenceSearch::Running& SentenceSearch::most_contrasting(const Group& group,
                                                                std::span<const float> likeness) const {
  const double alpha = options_.contrastive->alpha;
  return *std::ranges::max_element(group.running, {}, [&](const Running& running) {
    const double p = std::exp(static_cast<double>(history_.log_probability(running.last)));
    return (1.0 - alpha) * p -
           alpha * static_cast<double>(likeness[static_cast<std::size_t>(running.parent_row)]);
  });
}

// All that a row offers runs on.
void SentenceSearch::offer_all(Group& group, const Running& past, const StepOffer& offer) {
  group.running.clear();
  const std::size_t begin = static_cast<std::size_t>(past.parent_row) * offer.k;
  for (std::size_t i = begin; i < begin + offer.k; ++i)
    if (const float one = offer.log_probabilities[i]; one > -infinity)
      group.running.push_back(
          follow(past, offer.ids[i], one, past.log_probability + static_cast<double>(one)));
  if (group.running.empty()) group.cut.push_back(end(past, length_ - 1, Ending::cut));
}

// Replaces the running hypotheses by their best continuations.
void SentenceSearch::choose(Group& group) {
  const std::size_t beam = group_beam();
  before_.swap(group.running);
  group.running.clear();
  for (std::size_t rank = 0; rank < candidates_.size() && group.running.size() < beam; ++rank) {
    const Candidate& candidate = candidates_[rank];
    if (is_end(candidate.token) && rank >= beam) continue;
    const Running next = follow(before_[static_cast<std::size_t>(candidate.parent)], candidate.token,
                                candidate.token_log_probability, candidate.log_probability);
    if (const auto ending = ending_of(next.last)) {
      if (rank < beam) keep_complete(group, next, *ending);
    } else {
      group.running.push_back(next);
      if (options_.diverse.groups > 1) chosen_.push_back(candidate.token);
    }
  }
  const bool at_limit = length_ >= max_length_;
  const bool dead_end = group.running.empty() && group.complete.empty();
  if (at_limit || dead_end)
    for (const Running& running : dead_end ? before_ : group.running)
      group.cut.push_back(end(running, dead_end ? length_ - 1 : length_, Ending::cut));
  if (is_finished(group)) group.running.clear();
}

SentenceSearch::Running SentenceSearch::follow(const Running& past, std::int32_t token,
                                               float token_log_probability, double log_probability) {
  const auto row = static_cast<std::size_t>(past.parent_row);
  const std::int64_t looked =
      options_.attention ? kept_ + static_cast<std::int64_t>(row * request_.source.size()) : History::none;
  return {history_.add(past.last, token, token_log_probability, looked), log_probability, past.parent_row,
          options_.coverage_penalty.beta != 0.0 ? options_.coverage_penalty(coverage_.row(row)) : 0.0};
}

bool SentenceSearch::is_end(std::int32_t token) const {
  return std::ranges::find(ends_, token) != ends_.end();
}

// What ends a hypothesis with its last token, if anything.
std::optional<Ending> SentenceSearch::ending_of(History::Node last) {
  if (is_end(history_.token(last))) return Ending::end_token;
  if (!options_.stops) return {};
  history_.tokens(last, tokens_);
  return options_.stops(index_, tokens_) ? std::optional(Ending::rule) : std::nullopt;
}

SentenceSearch::Ended SentenceSearch::end(const Running& running, std::int64_t length, Ending ending) const {
  const double score = running.log_probability / options_.length_penalty(length) + running.coverage_penalty;
  return {running.last, running.log_probability, score, ending};
}

void SentenceSearch::keep_complete(Group& group, const Running& running, Ending ending) const {
  const Ended ended = end(running, history_.length(running.last), ending);
  const auto place = std::find_if(group.complete.begin(), group.complete.end(),
                                  [&](const Ended& other) { return other.score < ended.score; });
  group.complete.insert(place, ended);
  if (group.complete.size() > group_beam()) group.complete.pop_back();
}

bool SentenceSearch::is_finished(const Group& group) const {
  if (group.running.empty() || length_ >= max_length_) return true;
  if (group.complete.size() < group_beam()) return false;
  if (options_.stop == Stop::first || group_beam() == 1) return true;
  const bool growing = options_.stop == Stop::exact && options_.length_penalty.alpha > 0;
  const double penalty = options_.length_penalty(growing ? max_length_ : length_);
  const double pays = options_.stop == Stop::exact ? 0.0 : 1.0;
  return std::ranges::all_of(group.running, [&](const Running& running) {
    return group.complete.back().score >= running.log_probability / penalty + pays * running.coverage_penalty;
  });
}

bool SentenceSearch::finished() const {
  return std::ranges::all_of(groups_, [](const Group& group) { return group.running.empty(); });
}

void SentenceSearch::next_rows(std::vector<std::int32_t>& tokens, std::vector<std::int32_t>& parents) {
  rows_.clear();
  parents_.clear();
  for (Group& group : groups_) {
    for (Running& running : group.running) {
      tokens.push_back(history_.token(running.last));
      parents_.push_back(running.parent_row);
      running.parent_row = static_cast<std::int32_t>(rows_.size());
      rows_.push_back(running.last);
    }
  }
  parents.insert(parents.end(), parents_.begin(), parents_.end());
  if (options_.coverage_penalty.beta != 0.0) coverage_.reorder(parents_);
}

std::vector<Hypothesis> SentenceSearch::results() const {
  std::vector<Hypothesis> results;
  if (options_.numbered()) {
    for (const Group& group : groups_) deliver(*group.best(), results);
    return results;
  }
  for (const auto list : {&Group::complete, &Group::cut}) {
    std::vector<Ended> ended;
    for (const Group& group : groups_) ended.insert(ended.end(), (group.*list).begin(), (group.*list).end());
    if (groups_.size() > 1)
      std::ranges::stable_sort(ended, [](const Ended& a, const Ended& b) { return a.score > b.score; });
    for (const Ended& one : ended)
      if (std::ssize(results) < options_.nbest) deliver(one, results);
  }
  return results;
}

void SentenceSearch::deliver(const Ended& ended, std::vector<Hypothesis>& results) const {
  auto [tokens, log_probabilities, attention] =
      history_.path(ended.last, options_.attention ? request_.source.size() : 0);
  if (ended.ending == Ending::end_token) tokens.pop_back();
  results.push_back({std::move(tokens), ended.score, ended.log_probability, std::move(log_probabilities),
                     ended.complete(), std::move(attention), ended.ending});
}

// Tells of what every hypothesis shares that can still be returned; once all has ended, of what is returned.
void SentenceSearch::stream() {
  const auto share = [&](const Group& group, History::Node sure, bool& any) {
    const auto meet = [&](History::Node node) {
      sure = any ? history_.shared(sure, node) : node;
      any = true;
    };
    for (const Running& running : group.running)  // contrastive search has not chosen among their last tokens
      meet(options_.contrastive ? history_.first(running.last, history_.length(running.last) - 1)
                                : running.last);
    if (!group.complete.empty() || group.running.empty())
      if (const Ended* best = group.best()) meet(text_of(*best));
    return sure;
  };
  if (options_.numbered()) {
    if (length_ <= std::ssize(request_.prefix)) return;  // they are still one
    for (std::size_t g = 0; g < groups_.size(); ++g) {
      bool any = false;
      const History::Node sure = share(groups_[g], History::none, any);
      if (!emit(g, sure)) stop_at(groups_[g], history_.first(sure, emitted_[g]));
    }
    return;
  }
  History::Node sure = History::none;
  if (finished()) {
    const Ended* best = nullptr;
    for (const Group& group : groups_) {
      const Ended* one = group.best();
      if (one && (!best || std::pair(one->complete(), one->score) > std::pair(best->complete(), best->score)))
        best = one;
    }
    sure = text_of(*best);
  } else {
    bool any = false;
    for (const Group& group : groups_) sure = share(group, sure, any);
  }
  if (emit(0, sure)) return;
  groups_.resize(1);
  stop_at(groups_.front(), history_.first(sure, emitted_.front()));
}

// Its last token that is not an end token.
History::Node SentenceSearch::text_of(const Ended& ended) const {
  if (ended.ending != Ending::end_token) return ended.last;
  return history_.first(ended.last, history_.length(ended.last) - 1);
}

// Whether the listener wants more.
bool SentenceSearch::emit(std::size_t stream, History::Node sure) {
  std::int64_t& done = emitted_[stream];
  while (done < history_.length(sure)) {
    const History::Node node = history_.first(sure, done + 1);
    const StreamedToken token{index_, static_cast<std::int64_t>(stream), done, history_.token(node),
                              history_.log_probability(node)};
    ++done;
    if (!options_.on_token(token)) return false;
  }
  return true;
}

// The one hypothesis of the group ends there.
void SentenceSearch::stop_at(Group& group, History::Node last) {
  Running stopped{last, 0.0, 0, 0.0};
  for (const float one : history_.path(last).log_probabilities)
    stopped.log_probability += static_cast<double>(one);
  group = {};
  group.cut.push_back(end(stopped, history_.length(last), Ending::cut));
}

}  // namespace fovea::decoding
