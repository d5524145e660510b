#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "fovea/metrics/segments.h"

/// ROUGE as rouge_score 0.1.2 counts it, that of Google's papers.
///   precision = overlap / what the summary has,  recall = overlap / what the reference has
///   F = 2 precision recall / (precision + recall)
/// where the overlap is, of ROUGE-1 and -2, the n-grams they share, each as often as both have it; of
/// ROUGE-L the longest common subsequence of words; of ROUGE-Lsum that of each reference sentence with all
/// sentences of the summary together, a sentence being a line of the text.
/// Of several references each score is that of the one with the greatest F.
/// Source   Lin 2004, "ROUGE: a package for automatic evaluation of summaries"
namespace fovea::metrics {

enum class RougeTokens {
  words,       ///< runs of a-z and 0-9 of the text in lower case: rouge_score's own, for English
  characters,  ///< all but white space, in lower case: for Chinese
};

struct RougeOptions {
  RougeTokens tokens = RougeTokens::words;
  bool stemmer = false;  ///< porter_stem() of words longer than three letters
};

/// Percent.
struct RougeScore {
  double precision = 0.0, recall = 0.0, f = 0.0;

  RougeScore& operator+=(const RougeScore& other);
};
struct RougeScores {
  RougeScore rouge1, rouge2, rougeL, rougeLsum;
};

/// Of one summary, which may have several references. Nothing on a side gives zeros. Throws Error(data) for
/// texts of more words than the table of ROUGE-Lsum may have.
RougeScores rouge(std::string_view summary, const std::vector<std::string>& references,
                  const RougeOptions& options = {});

/// The mean over the summaries. Throws Error(data) if line counts differ or there is nothing to score.
RougeScores corpus_rouge(const std::vector<std::string>& summaries, const References& references,
                         const RougeOptions& options = {});

/// "nrefs:1|tok:words|stem:yes|version:fovea-0.1.0(rouge_score-0.1.2)"
std::string rouge_signature(const RougeOptions& options, std::size_t references);

}  // namespace fovea::metrics
