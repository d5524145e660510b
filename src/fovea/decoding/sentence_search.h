#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "fovea/decoding/history.h"
#include "fovea/decoding/search_options.h"

namespace fovea::decoding {

/// What a step offers the rows of one sentence.
struct StepOffer {
  std::size_t k = 0;                         ///< candidates a row
  std::span<const float> log_probabilities;  ///< [rows, k], best first; -infinity: impossible
  std::span<const std::int32_t> ids;         ///< [rows, k]
  std::span<const Drawn> drawn;              ///< in place of those: one for each of draws()
  std::span<const float> attention;          ///< [rows, source], or empty
  std::span<const float> likeness;           ///< [rows] to what was read before, of contrastive search
};

/// The search for one sentence: its hypotheses, step by step. Rows are numbered from 0 here.
class SentenceSearch {
 public:
  /// Both must outlive it.
  SentenceSearch(const BeamOptions& options, std::span<const std::int32_t> ends)
      : options_(options), ends_(ends) {}

  /// Begins with one row. `max_length` counts tokens, end of sentence included; the prefix is shorter.
  void begin(std::size_t index, Request request, std::int64_t max_length);

  std::size_t index() const { return index_; }
  const Request& request() const { return request_; }
  std::size_t rows() const { return rows_.size(); }
  std::int64_t length() const { return length_; }  ///< tokens of the running hypotheses
  void tokens_of(std::size_t row, std::vector<std::int32_t>& tokens) const {
    history_.tokens(rows_[row], tokens);
  }
  /// Whether the prefix says what comes next: then nothing is chosen, and the offer may hold anything.
  bool is_forced() const { return length_ < std::ssize(request_.prefix); }

  /// The tokens to be drawn at this step, of sampling: by which row, for which hypothesis.
  struct Draw {
    std::size_t row;
    std::uint32_t hypothesis;
  };
  void draws(std::vector<Draw>& draws) const;

  /// Goes on by a token.
  void advance(const StepOffer& offer);
  bool finished() const;
  /// Numbers the rows anew: what each is fed, and which row it was.
  void next_rows(std::vector<std::int32_t>& tokens, std::vector<std::int32_t>& parents);
  /// The results of a finished search.
  std::vector<Hypothesis> results() const;

 private:
  // A hypothesis that goes on.
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
    Ending ending;
    bool complete() const { return ending != Ending::cut; }
  };
  // Hypotheses that compete with each other.
  struct Group {
    std::vector<Running> running;
    std::vector<Ended> complete;  // at most a group's beam, best first
    std::vector<Ended> cut;       // best first
    const Ended* best() const {
      return !complete.empty() ? &complete.front() : !cut.empty() ? &cut.front() : nullptr;
    }
  };
  // A token that could follow a running hypothesis.
  struct Candidate {
    double rank;             // log_probability, less what diversity takes
    double log_probability;  // of the hypothesis with the token
    std::int32_t parent;     // number of the running hypothesis
    std::int32_t token;
    float token_log_probability;
    bool operator<(const Candidate& other) const;
  };

  std::size_t group_beam() const { return static_cast<std::size_t>(options_.beam / options_.diverse.groups); }
  std::size_t branches() const;
  void force();
  void branch(const StepOffer& offer);
  void begin_alternatives(const StepOffer& offer);
  void advance(Group& group, const StepOffer& offer);
  void rank_candidates(const Group& group, const StepOffer& offer);
  void take_drawn(const Group& group, const Drawn& drawn);
  void contrast(const StepOffer& offer);
  const Running& most_contrasting(const Group& group, std::span<const float> likeness) const;
  void offer_all(Group& group, const Running& past, const StepOffer& offer);
  void choose(Group& group);
  Running follow(const Running& past, std::int32_t token, float token_log_probability,
                 double log_probability);
  bool is_end(std::int32_t token) const;
  std::optional<Ending> ending_of(History::Node last);
  Ended end(const Running& running, std::int64_t length, Ending ending) const;
  void keep_complete(Group& group, const Running& running, Ending ending) const;
  History::Node text_of(const Ended& ended) const;
  bool is_finished(const Group& group) const;
  void deliver(const Ended& ended, std::vector<Hypothesis>& results) const;

  void stream();
  bool emit(std::size_t stream, History::Node sure);
  void stop_at(Group& group, History::Node last);

  const BeamOptions& options_;
  std::span<const std::int32_t> ends_;
  std::size_t index_ = 0;
  Request request_;
  std::int64_t max_length_ = 0, length_ = 0;
  History history_;
  std::vector<Group> groups_;
  std::vector<History::Node> rows_;  // the hypothesis that each row of the model is
  std::vector<std::int32_t> parents_;
  Coverage coverage_;
  std::int64_t kept_ = History::none;  // where the history has the attention of this step
  std::vector<std::int64_t> emitted_;  // of each stream: how many tokens
  std::vector<Candidate> candidates_;  // of one group, best first
  std::vector<Running> before_;        // the hypotheses they continue
  std::vector<std::int32_t> chosen_;   // by the groups before, at this step
  std::vector<std::int32_t> tokens_;   // of one hypothesis, for the stop rule
};

}  // namespace fovea::decoding
