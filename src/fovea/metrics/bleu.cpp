#include "fovea/metrics/bleu.h"

#include <cmath>
#include <cstdlib>

#include "fovea/base/decimal.h"
#include "fovea/base/error.h"
#include "fovea/metrics/ngrams.h"
#include "fovea/metrics/unicode_text.h"
#include "fovea/metrics/vocabulary.h"

namespace fovea::metrics {
namespace {

/// The words of a line as numbers.
std::u32string words(std::string_view line, const BleuOptions& options, Vocabulary& vocabulary) {
  std::u32string text = decode_utf8(line);
  if (options.lowercase) text = lower(text);
  const std::u32string tokens = tokenize(strip_right(text), options.tokenizer);
  return vocabulary.numbers(split(tokens));
}

/// The length closest to the hypothesis; the shorter of two equally close.
std::int64_t closest_length(const std::vector<std::u32string>& references, std::int64_t hypothesis_length) {
  std::optional<std::int64_t> best;
  for (const auto& reference : references) {
    const auto length = static_cast<std::int64_t>(reference.size());
    const auto distance = std::abs(length - hypothesis_length);
    const auto best_distance = best ? std::abs(*best - hypothesis_length) : 0;
    if (!best || distance < best_distance || (distance == best_distance && length < *best)) best = length;
  }
  return best.value_or(0);
}

double smoothing_value(const BleuOptions& options) {
  return options.smoothing_value.value_or(options.smoothing == Smoothing::floor ? 0.1 : 1.0);
}

double brevity_penalty(std::int64_t hypothesis_length, std::int64_t reference_length) {
  if (hypothesis_length >= reference_length) return 1.0;
  if (hypothesis_length == 0) return 0.0;
  return std::exp(1.0 - static_cast<double>(reference_length) / static_cast<double>(hypothesis_length));
}

/// ln p, with a number so low for p = 0 that its exponential is zero.
double log_or_lowest(double p) { return p == 0.0 ? -9999999999.0 : std::log(p); }

/// Fills the precisions (and add-k's counts); returns the highest order that the hypothesis has, at least 1.
std::size_t smooth_precisions(BleuScore& result, const BleuOptions& options) {
  double halvings = 1.0;
  std::size_t highest = 1;
  for (std::size_t n = 0; n < bleu_order; ++n) {
    double& matches = result.counts[n];
    double& total = result.totals[n];
    if (options.smoothing == Smoothing::add_k && n > 0) {
      matches += smoothing_value(options);
      total += smoothing_value(options);
    }
    if (total == 0) break;
    highest = n + 1;
    if (matches != 0) {
      result.precisions[n] = 100.0 * matches / total;
    } else if (options.smoothing == Smoothing::exp) {
      halvings *= 2.0;
      result.precisions[n] = 100.0 / (halvings * total);
    } else if (options.smoothing == Smoothing::floor) {
      result.precisions[n] = 100.0 * smoothing_value(options) / total;
    }
  }
  return highest;
}

std::string smoothing_text(const BleuOptions& options) {
  switch (options.smoothing) {
    case Smoothing::floor:
      return "floor[" + fixed(smoothing_value(options), 2) + "]";
    case Smoothing::add_k:
      return "add-k[" + fixed(smoothing_value(options), 2) + "]";
    case Smoothing::none:
      return "none";
    case Smoothing::exp:
      break;
  }
  return "exp";
}

}  // namespace

Smoothing parse_smoothing(std::string_view name) {
  if (name == "exp") return Smoothing::exp;
  if (name == "floor") return Smoothing::floor;
  if (name == "add-k") return Smoothing::add_k;
  if (name == "none") return Smoothing::none;
  throw Error(Error::Kind::usage, "smooth", "unknown smoothing '" + printable(name) + "'",
              "use one of exp, floor, add-k, none");
}

BleuStatistics& BleuStatistics::operator+=(const BleuStatistics& other) {
  for (std::size_t n = 0; n < bleu_order; ++n) {
    matches[n] += other.matches[n];
    totals[n] += other.totals[n];
  }
  hypothesis_length += other.hypothesis_length;
  reference_length += other.reference_length;
  return *this;
}

double BleuScore::ratio() const {
  if (reference_length == 0) return 0.0;
  return static_cast<double>(hypothesis_length) / static_cast<double>(reference_length);
}

std::string BleuScore::details() const {
  std::string out;
  for (const double p : precisions) {
    if (!out.empty()) out += '/';
    out += fixed(p, 1);
  }
  return out + " (BP = " + fixed(brevity_penalty, 3) + " ratio = " + fixed(ratio(), 3) +
         " hyp_len = " + std::to_string(hypothesis_length) +
         " ref_len = " + std::to_string(reference_length) + ")";
}

std::string BleuScore::text(std::string_view signature, int digits) const {
  std::string out = "BLEU";
  if (!signature.empty()) out.append("|").append(signature);
  return out + " = " + fixed(score, digits) + " " + details();
}

BleuStatistics bleu_statistics(std::string_view hypothesis, const std::vector<std::string>& references,
                               const BleuOptions& options) {
  Vocabulary vocabulary;
  const std::u32string ours = words(hypothesis, options, vocabulary);
  std::vector<std::u32string> theirs;
  for (const auto& reference : references) theirs.push_back(words(reference, options, vocabulary));

  BleuStatistics statistics;
  statistics.hypothesis_length = static_cast<std::int64_t>(ours.size());
  statistics.reference_length = closest_length(theirs, statistics.hypothesis_length);
  for (std::size_t n = 1; n <= bleu_order; ++n) {
    const NgramCounts found(ours, n);
    NgramCounts wanted;
    for (const auto& reference : theirs) wanted.keep_maximum(NgramCounts(reference, n));
    statistics.totals[n - 1] = found.total();
    statistics.matches[n - 1] = found.matches(wanted);
  }
  return statistics;
}

BleuScore bleu_score(const BleuStatistics& statistics, const BleuOptions& options) {
  BleuScore result;
  result.hypothesis_length = statistics.hypothesis_length;
  result.reference_length = statistics.reference_length;
  result.brevity_penalty = brevity_penalty(statistics.hypothesis_length, statistics.reference_length);
  bool any = false;
  for (std::size_t n = 0; n < bleu_order; ++n) {
    result.counts[n] = static_cast<double>(statistics.matches[n]);
    result.totals[n] = static_cast<double>(statistics.totals[n]);
    any |= statistics.matches[n] != 0;
  }
  if (!any) return result;  // nothing matched: zero, whatever the smoothing

  const std::size_t highest = smooth_precisions(result, options);
  const std::size_t orders = options.effective_order ? highest : bleu_order;
  double sum = 0.0;
  for (std::size_t n = 0; n < orders; ++n) sum += log_or_lowest(result.precisions[n]);
  result.score = result.brevity_penalty * std::exp(sum / static_cast<double>(orders));
  return result;
}

BleuScore corpus_bleu(const std::vector<std::string>& hypotheses, const References& references,
                      const BleuOptions& options) {
  check_segments(hypotheses, references);
  BleuStatistics sum;
  for (std::size_t i = 0; i < hypotheses.size(); ++i) {
    sum += bleu_statistics(hypotheses[i], segment_references(references, i), options);
  }
  return bleu_score(sum, options);
}

BleuScore sentence_bleu(std::string_view hypothesis, const std::vector<std::string>& references,
                        BleuOptions options) {
  if (references.empty()) throw Error(Error::Kind::data, "references", "there are none to score against");
  options.effective_order = true;
  return bleu_score(bleu_statistics(hypothesis, references, options), options);
}

std::string bleu_signature(const BleuOptions& options, std::size_t references, std::string_view version) {
  std::string out = "nrefs:" + std::to_string(references);
  out += std::string("|case:") + (options.lowercase ? "lc" : "mixed");
  out += std::string("|eff:") + (options.effective_order ? "yes" : "no");
  out.append("|tok:").append(name(options.tokenizer));
  out.append("|smooth:").append(smoothing_text(options));
  return out.append("|version:").append(version);
}

}  // namespace fovea::metrics
