#include "fovea/api/translator.h"

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <limits>
#include <new>
#include <numeric>
#include <system_error>
#include <utility>

#include "fovea/decoding/generation.h"
#include "fovea/decoding/line_parts.h"
#include "fovea/decoding/pair_scorer.h"
#include "fovea/decoding/text_stream.h"
#include "fovea/decoding/translator.h"
#include "fovea/models/translation_folder.h"
#include "fovea/text/utf8.h"

namespace fovea {
namespace {

// Runs `call`; what the system refuses becomes an Error.
template <class Call>
auto with_errors(const Call& call) {
  try {
    return call();
  } catch (const std::bad_alloc&) {
    throw Error(Error::Kind::machine, "memory", "there is no more", "use a smaller batch or model");
  } catch (const std::system_error& error) {
    throw Error(Error::Kind::machine, "system", error.what());
  }
}

std::optional<DType> dtype_of(WeightType type) {
  switch (type) {
    case WeightType::f32:
      return DType::f32;
    case WeightType::bf16:
      return DType::bf16;
    case WeightType::int8:
      return DType::i8;
    case WeightType::stored:
      break;
  }
  return {};
}

// A text as a line that a tokenizer takes.
std::string line_of(std::string_view text) {
  std::string line = text::is_valid_utf8(text) ? std::string(text) : text::repair_utf8(text).text;
  for (char& c : line)
    if (c == '\n' || c == '\r' || c == '\0') c = ' ';
  return line;
}

void add_sampling(const TranslationOptions& options, decoding::BeamOptions& search) {
  if (!options.temperature && !options.top_p && !options.top_k) return;
  if (!search.sampling) search.sampling.emplace();
  if (options.temperature) search.sampling->temperature = *options.temperature;
  if (options.top_p) search.sampling->top_p = *options.top_p;
  if (options.top_k) search.sampling->top_k = *options.top_k;
  search.beam = search.diverse.groups = 1;
}

void set_search(const TranslationOptions& options, decoding::BeamOptions& search) {
  if (options.beam) {
    search.beam = *options.beam;
    search.sampling.reset();
  }
  add_sampling(options, search);
  if (search.sampling) search.sampling->seed = options.seed;
  search.nbest = options.nbest;
  if (!search.sampling) search.beam = std::max(search.beam, search.nbest);
  if (options.beam || search.beam % search.diverse.groups != 0) search.diverse.groups = 1;
  if (options.length_penalty) search.length_penalty.alpha = *options.length_penalty;
  if (options.min_length) search.min_length = *options.min_length;
  if (options.max_length) search.max_length = *options.max_length;
  search.attention = options.attention;
}

}  // namespace

class Translator::Implementation {
 public:
  Implementation(const std::string& directory, const ModelOptions& options)
      : crew_(options.threads, options.workers),
        model_(models::load_for_inference(directory, crew_.together(), dtype_of(options.weights))),
        tokenizer_(text::TranslationTokenizer::read(directory)),
        defaults_(decoding::options_of(models::read_generation_defaults(directory))),
        translator_(*model_, tokenizer_, crew_) {
    if (!options.shortlist.empty())
      defaults_.shortlist =
          std::make_shared<const models::Shortlist>(models::Shortlist::read(options.shortlist, tokenizer_));
  }

  bool translate(const decoding::Translator::Next& next, const Deliver& deliver,
                 const TranslationOptions& options) const;
  TranslationResult stream(std::string_view line, const OnText& on_text,
                           const TranslationOptions& options) const;
  std::vector<PairScore> score(std::span<const Pair> pairs) const;
  const text::TranslationTokenizer& tokenizer() const { return tokenizer_; }
  const decoding::Crew& crew() const { return crew_; }

 private:
  decoding::TranslateOptions search_for(const TranslationOptions& options) const;
  TranslationResult result_of(decoding::Translation translation, const TranslationOptions& options) const;
  Hypothesis hypothesis_of(decoding::Candidate candidate, const TranslationOptions& options) const;

  mutable decoding::Crew crew_;
  std::unique_ptr<const models::TranslationModel> model_;
  text::TranslationTokenizer tokenizer_;
  decoding::TranslateOptions defaults_;
  decoding::Translator translator_;
};

decoding::TranslateOptions Translator::Implementation::search_for(const TranslationOptions& options) const {
  decoding::TranslateOptions search = defaults_;
  set_search(options, search.beam);
  if (options.repetition_penalty) search.repetition_penalty = *options.repetition_penalty;
  if (options.no_repeat_ngram) search.no_repeat_ngram = *options.no_repeat_ngram;
  if (options.replace_unknown) search.replace_unknown = *options.replace_unknown;
  for (const std::string& text : options.suppressed) {
    search.suppressed.push_back(tokenizer_.target_tokens(line_of(text)));
    if (search.suppressed.back().empty())
      throw Error(Error::Kind::usage, "suppressed", "'" + printable(text) + "' has no tokens");
  }
  search.max_tokens = options.max_tokens;
  search.batches.max_rows = options.batch;
  return search;
}

Hypothesis Translator::Implementation::hypothesis_of(decoding::Candidate candidate,
                                                     const TranslationOptions& options) const {
  Hypothesis hypothesis{std::move(candidate.text), candidate.score};
  if (!options.tokens && !options.attention) return hypothesis;
  if (candidate.token_log_probabilities.size() > candidate.tokens.size())
    candidate.tokens.push_back(tokenizer_.target_vocabulary().eos());
  hypothesis.tokens = tokenizer_.target_pieces(candidate.tokens);
  hypothesis.token_scores = std::move(candidate.token_log_probabilities);
  if (options.attention) hypothesis.attention = std::move(candidate.attention);
  return hypothesis;
}

TranslationResult Translator::Implementation::result_of(decoding::Translation translation,
                                                        const TranslationOptions& options) const {
  TranslationResult result;
  for (auto& candidate : translation.candidates)
    result.hypotheses.push_back(hypothesis_of(std::move(candidate), options));
  if (options.attention) result.source_tokens = tokenizer_.source_pieces(translation.source);
  result.parts = translation.parts;
  result.complete = translation.complete;
  return result;
}

bool Translator::Implementation::translate(const decoding::Translator::Next& next, const Deliver& deliver,
                                           const TranslationOptions& options) const {
  std::atomic<bool> enough{false};
  auto search = search_for(options);
  search.beam.cancelled = &enough;
  return translator_.translate(
      next,
      [&](decoding::Translation translation) {
        if (!enough) enough = !deliver(result_of(std::move(translation), options));
      },
      search);
}

TranslationResult Translator::Implementation::stream(std::string_view line, const OnText& on_text,
                                                     const TranslationOptions& options) const {
  TranslationOptions one = options;
  one.nbest = 1;
  auto search = search_for(one);
  search.replace_unknown = false;  // what has been told cannot be replaced
  search.batches.max_rows = 1;     // a part of the line after the other
  const std::string whole = line_of(line);
  decoding::TextStream text(tokenizer_);
  text.begin(decoding::line_parts(whole, tokenizer_.encode_source(whole).size(), tokenizer_,
                                  std::min(search.max_tokens, translator_.max_positions())));
  const auto tell = [&](const std::string& fresh) { return fresh.empty() || on_text(fresh); };
  bool goes_on = true;
  search.beam.on_token = [&](const decoding::StreamedToken& token) {
    if (goes_on) goes_on = tell(text.add(token));
    return goes_on;
  };
  const auto found = translator_.translate(std::vector{whole}, search);
  if (goes_on) tell(text.finish(found.front().text()));
  return result_of(found.front(), one);
}

std::vector<PairScore> Translator::Implementation::score(std::span<const Pair> pairs) const {
  constexpr std::size_t chunk = 128;
  std::vector<PairScore> scores(pairs.size());
  std::atomic<std::size_t> next{0};
  const decoding::Crew::Lease lease(crew_, (pairs.size() + chunk - 1) / chunk);
  lease.run([&](std::size_t, const kernels::Execution& exec) {
    const decoding::PairScorer scorer(*model_, tokenizer_, exec);
    for (std::size_t first; (first = next.fetch_add(chunk)) < pairs.size();) {
      std::vector<decoding::PairScorer::Pair> ids;
      for (const auto& pair : pairs.subspan(first, std::min(chunk, pairs.size() - first)))
        ids.push_back(scorer.pair_of(line_of(pair.source), line_of(pair.target)));
      auto found = scorer.score(ids);
      for (std::size_t i = 0; i < found.size(); ++i) {
        const double sum = std::accumulate(found[i].begin(), found[i].end(), 0.0);
        const bool fits = !found[i].empty();
        scores[first + i] = {fits ? sum : -std::numeric_limits<double>::infinity(), std::move(found[i])};
      }
    }
  });
  return scores;
}

std::vector<std::size_t> Hypothesis::alignment() const {
  std::vector<std::size_t> most;
  const std::size_t width = attention.empty() ? 0 : attention.size() / tokens.size();
  for (std::size_t t = 0; width > 0 && t < tokens.size(); ++t) {
    const auto row = attention.begin() + static_cast<std::ptrdiff_t>(t * width);
    most.push_back(
        static_cast<std::size_t>(std::max_element(row, row + static_cast<std::ptrdiff_t>(width)) - row));
  }
  return most;
}

Translator::Translator(const std::string& directory, const ModelOptions& options)
    : implementation_(with_errors([&] { return std::make_unique<Implementation>(directory, options); })) {}
Translator::~Translator() = default;
Translator::Translator(Translator&&) noexcept = default;
Translator& Translator::operator=(Translator&&) noexcept = default;

TranslationResult Translator::translate(std::string_view line, const TranslationOptions& options) const {
  const std::string one(line);
  return std::move(translate(std::span(&one, 1), options).front());
}

std::vector<TranslationResult> Translator::translate(std::span<const std::string> lines,
                                                     const TranslationOptions& options) const {
  std::vector<TranslationResult> results;
  std::size_t given = 0;
  translate(
      [&]() -> std::optional<std::string> {
        if (given == lines.size()) return {};
        return lines[given++];
      },
      [&](TranslationResult result) { return results.push_back(std::move(result)), true; }, options);
  return results;
}

void Translator::translate(const Next& next, const Deliver& deliver,
                           const TranslationOptions& options) const {
  const auto next_line = [&]() -> std::optional<decoding::Line> {
    const auto text = next();
    if (!text) return {};
    return decoding::Line{line_of(*text)};
  };
  with_errors([&] { return implementation_->translate(next_line, deliver, options); });
}

TranslationResult Translator::stream(std::string_view line, const OnText& on_text,
                                     const TranslationOptions& options) const {
  return with_errors([&] { return implementation_->stream(line, on_text, options); });
}

std::vector<PairScore> Translator::score(std::span<const Pair> pairs) const {
  return with_errors([&] { return implementation_->score(pairs); });
}

std::string Translator::source_language() const {
  return implementation_->tokenizer().settings().source_language;
}
std::string Translator::target_language() const {
  return implementation_->tokenizer().settings().target_language;
}
int Translator::threads() const { return implementation_->crew().threads(); }
int Translator::workers() const { return implementation_->crew().workers(); }

const char* version() { return FOVEA_VERSION; }

}  // namespace fovea
