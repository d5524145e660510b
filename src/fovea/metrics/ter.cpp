#include "fovea/metrics/ter.h"

#include <algorithm>
#include <optional>
#include <tuple>

#include "fovea/base/decimal.h"
#include "fovea/metrics/edit_distance.h"
#include "fovea/metrics/unicode_text.h"
#include "fovea/metrics/vocabulary.h"

namespace fovea::metrics {
namespace {

// The limits of Tercom, and SacreBLEU's on the number of moves tried.
constexpr std::int64_t longest_run = 10, farthest_move = 50, most_candidates = 1000;

using Words = std::u32string;

/// A run of words that stands in the hypothesis and, elsewhere, in the reference.
struct Run {
  std::int64_t hypothesis, reference, length;
};

/// Which words of both sides are edited, and where each reference word lies in the hypothesis (-1: before its
/// first).
struct Alignment {
  std::vector<std::int64_t> hypothesis_of;
  std::vector<int> reference_edited, hypothesis_edited;
};

Alignment align(const std::vector<Edit>& trace) {
  Alignment out;
  std::int64_t position = -1;
  for (const Edit edit : trace) {
    const int edited = edit == Edit::keep ? 0 : 1;
    if (edit != Edit::insert) {
      ++position;
      out.hypothesis_edited.push_back(edited);
    }
    if (edit != Edit::remove) {
      out.hypothesis_of.push_back(position);
      out.reference_edited.push_back(edited);
    }
  }
  return out;
}

bool any_edited(const std::vector<int>& edited, std::int64_t begin, std::int64_t length) {
  return std::any_of(edited.begin() + begin, edited.begin() + begin + length, [](int e) { return e != 0; });
}

/// `words` with the run moved so that it stands before what is now at `target`.
Words moved(const Words& words, const Run& run, std::int64_t target) {
  Words rest = words;
  rest.erase(static_cast<std::size_t>(run.hypothesis), static_cast<std::size_t>(run.length));
  // A target behind the run counts from before the removal; one inside it is taken as that many words further
  // on.
  const std::int64_t place = target > run.hypothesis + run.length ? target - run.length : target;
  rest.insert(std::min(static_cast<std::size_t>(place), rest.size()), words,
              static_cast<std::size_t>(run.hypothesis), static_cast<std::size_t>(run.length));
  return rest;
}

/// The search for the move that saves most.
class Shifter {
 public:
  Shifter(Words hypothesis, const Words& reference)
      : words_(std::move(hypothesis)), reference_(reference), distance_(reference) {}

  std::int64_t edits() {
    std::int64_t moves = 0;
    while (move_best() && candidates_ < most_candidates) {
      words_ = best_->words;
      ++moves;
    }
    return moves + distance_.distance(words_);
  }

 private:
  struct Candidate {
    std::int64_t saved, length, start, target;
    Words words;

    /// Most saved first, then the longest, the earliest, the earliest target: Tercom's order.
    auto rank() const { return std::tuple(saved, length, -start, -target); }
  };

  /// Finds the best move; false if none saves anything.
  bool move_best() {
    best_.reset();
    before_ = distance_.distance(words_);
    alignment_ = align(distance_.trace());
    const auto hypothesis_length = static_cast<std::int64_t>(words_.size());
    const auto reference_length = static_cast<std::int64_t>(reference_.size());
    for (std::int64_t h = 0; h < hypothesis_length; ++h) {
      const std::int64_t end = std::min(reference_length, h + farthest_move + 1);
      for (std::int64_t r = std::max<std::int64_t>(0, h - farthest_move); r < end; ++r) {
        const std::int64_t most = std::min({longest_run, hypothesis_length - h, reference_length - r});
        for (std::int64_t length = 1; length <= most && same(h + length - 1, r + length - 1); ++length) {
          if (try_run({h, r, length}) && candidates_ >= most_candidates) return saves();
        }
      }
    }
    return saves();
  }

  bool saves() const { return best_ && best_->saved > 0; }
  bool same(std::int64_t h, std::int64_t r) const {
    return words_[static_cast<std::size_t>(h)] == reference_[static_cast<std::size_t>(r)];
  }

  /// Tries the places that a run may move to; false if it is left alone because it or its target is right
  /// already.
  bool try_run(const Run& run) {
    if (!any_edited(alignment_.hypothesis_edited, run.hypothesis, run.length)) return false;
    if (!any_edited(alignment_.reference_edited, run.reference, run.length)) return false;
    const std::int64_t there = alignment_.hypothesis_of[static_cast<std::size_t>(run.reference)];
    if (there >= run.hypothesis && there < run.hypothesis + run.length) return false;
    std::int64_t last_target = -1;
    for (std::int64_t r = run.reference - 1; r < run.reference + run.length; ++r) {
      const std::int64_t target = r < 0 ? 0 : alignment_.hypothesis_of[static_cast<std::size_t>(r)] + 1;
      if (target == last_target) continue;
      last_target = target;
      Words words = moved(words_, run, target);
      const std::int64_t saved = before_ - distance_.distance(words);
      Candidate candidate{saved, run.length, run.hypothesis, target, std::move(words)};
      ++candidates_;
      if (!best_ || candidate.rank() > best_->rank()) best_ = std::move(candidate);
    }
    return true;
  }

  Words words_;
  const Words& reference_;
  BeamEditDistance distance_;
  Alignment alignment_;
  std::optional<Candidate> best_;
  std::int64_t before_ = 0, candidates_ = 0;
};

Words words(std::string_view line, const TerOptions& options, Vocabulary& vocabulary) {
  std::u32string text = decode_utf8(line);
  if (!options.case_sensitive) text = lower(text);
  return vocabulary.numbers(split(text));
}

}  // namespace

std::string TerScore::text(std::string_view signature, int digits) const {
  std::string out = "TER";
  if (!signature.empty()) out.append("|").append(signature);
  return out + " = " + fixed(score, digits);
}

TerStatistics ter_statistics(std::string_view hypothesis, const std::vector<std::string>& references,
                             const TerOptions& options) {
  Vocabulary vocabulary;
  const Words ours = words(hypothesis, options, vocabulary);
  std::optional<std::int64_t> fewest;
  std::int64_t lengths = 0;
  for (const auto& line : references) {
    const Words reference = words(line, options, vocabulary);
    const auto edits =
        reference.empty() ? static_cast<std::int64_t>(ours.size()) : Shifter(ours, reference).edits();
    fewest = std::min(fewest.value_or(edits), edits);
    lengths += static_cast<std::int64_t>(reference.size());
  }
  return {fewest.value_or(0), static_cast<double>(lengths) / static_cast<double>(references.size())};
}

TerScore ter_score(const TerStatistics& statistics) {
  double rate = statistics.edits > 0 ? 1.0 : 0.0;  // of an empty reference
  if (statistics.reference_length > 0)
    rate = static_cast<double>(statistics.edits) / statistics.reference_length;
  return {100 * rate, statistics.edits, statistics.reference_length};
}

TerScore corpus_ter(const std::vector<std::string>& hypotheses, const References& references,
                    const TerOptions& options) {
  check_segments(hypotheses, references);
  TerStatistics sum;
  for (std::size_t i = 0; i < hypotheses.size(); ++i) {
    const auto segment = ter_statistics(hypotheses[i], segment_references(references, i), options);
    sum.edits += segment.edits;
    sum.reference_length += segment.reference_length;
  }
  return ter_score(sum);
}

std::string ter_signature(const TerOptions& options, std::size_t references, std::string_view version) {
  std::string out = "nrefs:" + std::to_string(references);
  out += std::string("|case:") + (options.case_sensitive ? "mixed" : "lc");
  return out.append("|tok:tercom|norm:no|punct:yes|asian:no|version:").append(version);
}

}  // namespace fovea::metrics
