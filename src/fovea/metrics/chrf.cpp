#include "fovea/metrics/chrf.h"

#include <algorithm>

#include "fovea/base/decimal.h"
#include "fovea/base/error.h"
#include "fovea/metrics/ngrams.h"
#include "fovea/metrics/unicode_text.h"
#include "fovea/metrics/vocabulary.h"

namespace fovea::metrics {
namespace {

bool is_ascii_punctuation(char32_t c) {
  return (c >= 0x21 && c <= 0x2F) || (c >= 0x3A && c <= 0x40) || (c >= 0x5B && c <= 0x60) ||
         (c >= 0x7B && c <= 0x7E);
}

std::u32string without_whitespace(std::u32string_view text) {
  std::u32string out;
  std::copy_if(text.begin(), text.end(), std::back_inserter(out), [](char32_t c) { return !is_space(c); });
  return out;
}

/// The words, one mark of punctuation parted from the end or else from the beginning: "(hi)" is "(hi" and
/// ")".
std::vector<std::u32string_view> part_punctuation(std::u32string_view text) {
  std::vector<std::u32string_view> out;
  for (const auto word : split(text)) {
    const std::size_t last = word.size() - 1;
    if (last > 0 && is_ascii_punctuation(word[last])) {
      out.insert(out.end(), {word.substr(0, last), word.substr(last)});
    } else if (last > 0 && is_ascii_punctuation(word[0])) {
      out.insert(out.end(), {word.substr(0, 1), word.substr(1)});
    } else {
      out.push_back(word);
    }
  }
  return out;
}

/// A segment cut up: its characters and words, and the n-grams that point into them.
class Segment {
 public:
  Segment(std::string_view line, const ChrfOptions& options, Vocabulary& vocabulary) {
    std::u32string text = decode_utf8(line);
    if (options.lowercase) text = lower(text);
    characters_ = options.whitespace ? text : without_whitespace(text);
    if (options.word_order > 0) words_ = vocabulary.numbers(part_punctuation(text));
    for (std::size_t n = 1; n <= options.character_order; ++n) orders_.emplace_back(characters_, n);
    for (std::size_t n = 1; n <= options.word_order; ++n) orders_.emplace_back(words_, n);
  }
  Segment(const Segment&) = delete;
  Segment& operator=(const Segment&) = delete;

  ChrfStatistics against(const Segment& reference) const {
    ChrfStatistics out;
    for (std::size_t i = 0; i < orders_.size(); ++i) {
      const auto& wanted = reference.orders_[i];
      // No hits are counted where the reference has no n-gram of that order.
      out.push_back({wanted.empty() ? 0 : orders_[i].total(), wanted.total(), orders_[i].matches(wanted)});
    }
    return out;
  }

 private:
  std::u32string characters_, words_;
  std::vector<NgramCounts> orders_;
};

double f_score(const ChrfStatistics& statistics, const ChrfOptions& options) {
  constexpr double epsilon = 1e-16;
  const double factor = static_cast<double>(options.beta) * options.beta;
  double precisions = 0.0, recalls = 0.0, scores = 0.0;
  int orders = 0;
  for (const auto& [hypothesis, reference, matches] : statistics) {
    const auto share = [m = matches](std::int64_t of) {
      return of > 0 ? static_cast<double>(m) / static_cast<double>(of) : epsilon;
    };
    const double precision = share(hypothesis), recall = share(reference);
    const double denominator = factor * precision + recall;
    scores += denominator > 0 ? (1 + factor) * precision * recall / denominator : epsilon;
    if (hypothesis > 0 && reference > 0) {
      precisions += precision;
      recalls += recall;
      ++orders;
    }
  }
  if (options.epsilon_smoothing) return 100 * scores / static_cast<double>(statistics.size());
  if (orders == 0) return 0.0;
  const double precision = precisions / orders, recall = recalls / orders;
  if (precision + recall == 0.0) return 0.0;
  // The order of operations is SacreBLEU's: the last digit depends on it.
  double score = (1 + factor) * precision * recall;
  score /= (factor * precision) + recall;
  return 100 * score;
}

}  // namespace

std::string ChrfScore::text(std::string_view signature, int digits) const {
  std::string out = name;
  if (!signature.empty()) out.append("|").append(signature);
  return out + " = " + fixed(score, digits);
}

ChrfStatistics chrf_statistics(std::string_view hypothesis, const std::vector<std::string>& references,
                               const ChrfOptions& options) {
  Vocabulary vocabulary;
  const Segment ours(hypothesis, options, vocabulary);
  ChrfStatistics best;
  double best_score = -1.0;
  for (const auto& reference : references) {
    ChrfStatistics statistics = ours.against(Segment(reference, options, vocabulary));
    const double score = f_score(statistics, options);
    if (score > best_score) {
      best_score = score;
      best = std::move(statistics);
    }
  }
  return best;
}

ChrfScore chrf_score(ChrfStatistics statistics, const ChrfOptions& options) {
  ChrfScore result;
  result.score = f_score(statistics, options);
  result.name = "chrF" + std::to_string(options.beta) + std::string(options.word_order, '+');
  result.statistics = std::move(statistics);
  return result;
}

ChrfScore corpus_chrf(const std::vector<std::string>& hypotheses, const References& references,
                      const ChrfOptions& options) {
  check_segments(hypotheses, references);
  ChrfStatistics sum(options.character_order + options.word_order);
  for (std::size_t i = 0; i < hypotheses.size(); ++i) {
    const auto segment = chrf_statistics(hypotheses[i], segment_references(references, i), options);
    for (std::size_t n = 0; n < sum.size(); ++n) {
      sum[n].hypothesis += segment[n].hypothesis;
      sum[n].reference += segment[n].reference;
      sum[n].matches += segment[n].matches;
    }
  }
  return chrf_score(std::move(sum), options);
}

ChrfScore sentence_chrf(std::string_view hypothesis, const std::vector<std::string>& references,
                        const ChrfOptions& options) {
  if (references.empty()) throw Error(Error::Kind::data, "references", "there are none to score against");
  return chrf_score(chrf_statistics(hypothesis, references, options), options);
}

std::string chrf_signature(const ChrfOptions& options, std::size_t references, std::string_view version) {
  std::string out = "nrefs:" + std::to_string(references);
  out += std::string("|case:") + (options.lowercase ? "lc" : "mixed");
  out += std::string("|eff:") + (options.epsilon_smoothing ? "no" : "yes");
  out += "|nc:" + std::to_string(options.character_order) + "|nw:" + std::to_string(options.word_order);
  out += std::string("|space:") + (options.whitespace ? "yes" : "no");
  return out.append("|version:").append(version);
}

}  // namespace fovea::metrics
