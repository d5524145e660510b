#include "fovea/metrics/rouge.h"

#include <algorithm>
#include <cstdint>
#include <unordered_map>

#include "fovea/base/error.h"
#include "fovea/metrics/ngrams.h"
#include "fovea/metrics/porter_stemmer.h"
#include "fovea/metrics/unicode_text.h"
#include "fovea/metrics/vocabulary.h"

namespace fovea::metrics {
namespace {

using Words = std::u32string;  // a number for each word

bool is_word_character(char32_t c) { return (c >= U'a' && c <= U'z') || (c >= U'0' && c <= U'9'); }

Words words_of(std::string_view text, const RougeOptions& options, Vocabulary& vocabulary) {
  std::vector<std::u32string> words;
  std::string word;
  const auto end_word = [&] {
    if (!word.empty())
      words.push_back(decode_utf8(options.stemmer && word.size() > 3 ? porter_stem(word) : word));
    word.clear();
  };
  for (const char32_t c : lower(decode_utf8(text))) {
    if (options.tokens == RougeTokens::characters) {
      if (!is_space(c)) words.emplace_back(1, c);
    } else if (is_word_character(c)) {
      word.push_back(static_cast<char>(c));
    } else {
      end_word();
    }
  }
  end_word();
  return vocabulary.numbers({words.begin(), words.end()});
}

std::vector<Words> sentences_of(std::string_view text, const RougeOptions& options, Vocabulary& vocabulary) {
  std::vector<Words> sentences;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    if (end > begin) sentences.push_back(words_of(text.substr(begin, end - begin), options, vocabulary));
    begin = end + 1;
  }
  return sentences;
}

// As shares, not percent: of several references the best is chosen among these to the last bit.
RougeScore score(std::int64_t overlap, std::size_t summary, std::size_t reference) {
  if (summary == 0 || reference == 0 || overlap == 0) return {};
  const double precision = static_cast<double>(overlap) / static_cast<double>(summary);
  const double recall = static_cast<double>(overlap) / static_cast<double>(reference);
  return {precision, recall, 2 * precision * recall / (precision + recall)};
}

RougeScore of_ngrams(const Words& summary, const Words& reference, std::size_t n) {
  const NgramCounts found(summary, n), wanted(reference, n);
  return score(found.matches(wanted), static_cast<std::size_t>(found.total()),
               static_cast<std::size_t>(wanted.total()));
}

std::int64_t longest_common_subsequence(const Words& a, const Words& b) {
  std::vector<std::int64_t> row(b.size() + 1, 0);  // of a's beginnings, a word longer each
  for (const char32_t word : a) {
    std::int64_t diagonal = 0;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::int64_t above = row[j + 1];
      row[j + 1] = word == b[j] ? diagonal + 1 : std::max(above, row[j]);
      diagonal = above;
    }
  }
  return row.back();
}

// Marks the words of `reference` that one longest common subsequence with `sentence` holds: of those there
// are the one that rouge_score reads out of the table.
void mark_common(const Words& reference, const Words& sentence, std::vector<bool>& marked) {
  constexpr std::size_t most = std::size_t{1} << 28;
  const std::size_t rows = reference.size() + 1, columns = sentence.size() + 1;
  if (columns > most / rows)
    throw Error(Error::Kind::data, "ROUGE-Lsum",
                "a sentence of " + std::to_string(reference.size()) + " words against one of " +
                    std::to_string(sentence.size()) + " is too long",
                "put sentences on lines of their own");
  std::vector<std::int32_t> table(rows * columns, 0);
  const auto at = [&](std::size_t i, std::size_t j) -> std::int32_t& { return table[i * columns + j]; };
  for (std::size_t i = 1; i < rows; ++i)
    for (std::size_t j = 1; j < columns; ++j)
      at(i, j) =
          reference[i - 1] == sentence[j - 1] ? at(i - 1, j - 1) + 1 : std::max(at(i - 1, j), at(i, j - 1));
  for (std::size_t i = rows - 1, j = columns - 1; i > 0 && j > 0;) {
    if (reference[i - 1] == sentence[j - 1]) {
      marked[i - 1] = true;
      --i, --j;
    } else if (at(i, j - 1) > at(i - 1, j)) {
      --j;
    } else {
      --i;
    }
  }
}

// Section 3.2 of the paper; a word counts at most as often as either text has it, as in ROUGE 1.5.5.
RougeScore of_sentences(const std::vector<Words>& summary, const std::vector<Words>& reference) {
  std::unordered_map<char32_t, std::int64_t> left_there, left_here;
  std::size_t there = 0, here = 0;
  for (const Words& sentence : reference)
    for (const char32_t word : sentence) ++left_there[word], ++there;
  for (const Words& sentence : summary)
    for (const char32_t word : sentence) ++left_here[word], ++here;
  std::int64_t hits = 0;
  for (const Words& sentence : reference) {
    std::vector<bool> marked(sentence.size());
    for (const Words& other : summary) mark_common(sentence, other, marked);
    for (std::size_t i = 0; i < sentence.size(); ++i) {
      if (!marked[i] || left_here[sentence[i]] < 1 || left_there[sentence[i]] < 1) continue;
      ++hits;
      --left_here[sentence[i]];
      --left_there[sentence[i]];
    }
  }
  return score(hits, here, there);
}

void keep_better(RougeScore& best, const RougeScore& other) {
  if (other.f > best.f) best = other;
}

RougeScore percent(const RougeScore& share) {
  return {100.0 * share.precision, 100.0 * share.recall, 100.0 * share.f};
}

}  // namespace

RougeScore& RougeScore::operator+=(const RougeScore& other) {
  precision += other.precision;
  recall += other.recall;
  f += other.f;
  return *this;
}

RougeScores rouge(std::string_view summary, const std::vector<std::string>& references,
                  const RougeOptions& options) {
  Vocabulary vocabulary;
  const Words found = words_of(summary, options, vocabulary);
  const auto found_sentences = sentences_of(summary, options, vocabulary);
  RougeScores best;
  for (const std::string& reference : references) {
    const Words wanted = words_of(reference, options, vocabulary);
    keep_better(best.rouge1, of_ngrams(found, wanted, 1));
    keep_better(best.rouge2, of_ngrams(found, wanted, 2));
    keep_better(best.rougeL, score(longest_common_subsequence(found, wanted), found.size(), wanted.size()));
    keep_better(best.rougeLsum, of_sentences(found_sentences, sentences_of(reference, options, vocabulary)));
  }
  return {percent(best.rouge1), percent(best.rouge2), percent(best.rougeL), percent(best.rougeLsum)};
}

RougeScores corpus_rouge(const std::vector<std::string>& summaries, const References& references,
                         const RougeOptions& options) {
  check_segments(summaries, references);
  RougeScores sum;
  for (std::size_t i = 0; i < summaries.size(); ++i) {
    const RougeScores one = rouge(summaries[i], segment_references(references, i), options);
    sum.rouge1 += one.rouge1;
    sum.rouge2 += one.rouge2;
    sum.rougeL += one.rougeL;
    sum.rougeLsum += one.rougeLsum;
  }
  const auto count = static_cast<double>(summaries.size());
  for (RougeScore* score : {&sum.rouge1, &sum.rouge2, &sum.rougeL, &sum.rougeLsum})
    *score = {score->precision / count, score->recall / count, score->f / count};
  return sum;
}

std::string rouge_signature(const RougeOptions& options, std::size_t references) {
  return "nrefs:" + std::to_string(references) +
         (options.tokens == RougeTokens::characters ? "|tok:char" : "|tok:words") +
         (options.stemmer ? "|stem:yes" : "|stem:no") + "|version:fovea-0.1.0(rouge_score-0.1.2)";
}

}  // namespace fovea::metrics
