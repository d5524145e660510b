#include "fovea/decoding/translator.h"

#include <algorithm>
#include <functional>
#include <optional>
#include <utility>

#include "fovea/decoding/line_parts.h"
#include "fovea/decoding/unknown.h"
#include "fovea/text/sentences.h"

namespace fovea::decoding {

// A line, or what fits the model of it.
struct Translator::Part {
  std::size_t line = 0, number = 0;  // number: of the line's parts
  text::Chunk chunk;
  Request request;                     // without a source: nothing to translate
  std::vector<Hypothesis> hypotheses;  // none: nothing to translate, or not reached
};

namespace {

void expect_vocabulary(const char* side, std::int64_t tokens, std::int64_t rows) {
  if (tokens <= rows) return;
  throw Error(Error::Kind::model, side,
              "the tokenizer knows " + std::to_string(tokens) + " pieces, the model " + std::to_string(rows),
              "do tokenizer and model belong together?");
}

void expect_specials(const text::Vocabulary& vocabulary, const models::TranslationVocabulary& model,
                     const char* side) {
  if (vocabulary.eos() == model.eos && vocabulary.pad() == model.pad) return;
  throw Error(Error::Kind::model, side,
              "</s> and <pad> are " + std::to_string(vocabulary.eos()) + " and " +
                  std::to_string(vocabulary.pad()) + ", but config.json says " + std::to_string(model.eos) +
                  " and " + std::to_string(model.pad),
              "do tokenizer and model belong together?");
}

std::unique_ptr<const StepModel> decoder_of(std::span<const std::unique_ptr<models::TranslationModel>> models,
                                            const kernels::Execution& exec, Ensemble::Mean mean) {
  if (models.size() == 1) return std::make_unique<TranslationDecoder>(*models.front(), exec);
  std::vector<std::unique_ptr<const StepModel>> decoders;
  for (const auto& model : models) decoders.push_back(std::make_unique<TranslationDecoder>(*model, exec));
  return std::make_unique<Ensemble>(std::move(decoders), mean);
}

}  // namespace

Translator::Translator(const models::TranslationModel& model, const text::TranslationTokenizer& tokenizer,
                       const kernels::Execution& exec)
    : model_(model), tokenizer_(tokenizer), decoder_(std::make_unique<TranslationDecoder>(model, exec)) {
  expect_tokenizer();
}

Translator::Translator(std::span<const std::unique_ptr<models::TranslationModel>> models,
                       const text::TranslationTokenizer& tokenizer, const kernels::Execution& exec,
                       Ensemble::Mean mean)
    : model_(*models.front()), tokenizer_(tokenizer), decoder_(decoder_of(models, exec, mean)) {
  expect_tokenizer();
}

void Translator::expect_tokenizer() const {
  expect_vocabulary("source vocabulary", tokenizer_.source_vocabulary().size(), model_.vocabulary().source);
  expect_vocabulary("target vocabulary", tokenizer_.target_vocabulary().size(), model_.vocabulary().target);
  expect_specials(tokenizer_.source_vocabulary(), model_.vocabulary(), "source vocabulary");
  expect_specials(tokenizer_.target_vocabulary(), model_.vocabulary(), "target vocabulary");
}

std::vector<Translator::Part> Translator::cut(std::span<const std::string> lines,
                                              const TranslateOptions& options,
                                              std::span<const std::string> prefixes) const {
  const std::int64_t most = std::min(options.max_tokens, decoder_->max_positions());
  std::vector<Part> parts;
  const auto add = [&](std::size_t line, const text::Chunk& chunk, std::vector<std::int32_t> source) {
    if (source.size() <= 1) source.clear();  // eos alone
    expect_positions(source.size());
    const bool first = parts.empty() || parts.back().line != line;
    const std::uint64_t draw =
        first ? (options.first_line + line) << 20 : parts.back().request.draw + 1;  // a line has fewer parts
    parts.push_back({line, first ? 0 : parts.back().number + 1, chunk, {std::move(source), {}, draw}, {}});
    if (!first || prefixes.empty()) return;
    parts.back().request.prefix = tokenizer_.encode_target(prefixes[line]);
    parts.back().request.prefix.pop_back();  // eos
  };
  for (std::size_t line = 0; line < lines.size(); ++line) {
    auto source = tokenizer_.encode_source(lines[line]);
    for (const auto& chunk : line_parts(lines[line], source.size(), tokenizer_, most)) {
      const bool whole = chunk.text.size() == lines[line].size();
      add(line, chunk, whole ? std::move(source) : tokenizer_.encode_source(chunk.text));
    }
  }
  return parts;
}

// A part is longer than the limit only if it is a single character of many bytes.
void Translator::expect_positions(std::size_t tokens) const {
  const std::int64_t most = decoder_->max_positions();
  if (std::cmp_less_equal(tokens, most)) return;
  throw Error(
      Error::Kind::model, "config.json: max_position_embeddings",
      "is " + std::to_string(most) + ", but a single character takes " + std::to_string(tokens) + " tokens");
}

// The search that is asked for.
BeamOptions Translator::search_options(const TranslateOptions& options) {
  BeamOptions beam = options.beam;
  beam.attention = beam.attention || options.replace_unknown;
  if (options.repetition_penalty != 1.0)
    beam.processors.push_back(std::make_shared<RepetitionPenalty>(options.repetition_penalty));
  if (options.no_repeat_ngram > 0)
    beam.processors.push_back(std::make_shared<NoRepeatNgram>(options.no_repeat_ngram));
  std::vector<std::vector<std::int32_t>> sequences;
  for (const auto& one : options.suppressed) {
    if (one.size() == 1)
      beam.suppressed.push_back(one.front());
    else
      sequences.push_back(one);
  }
  if (!sequences.empty())
    beam.processors.push_back(std::make_shared<SuppressSequences>(std::move(sequences)));
  return beam;
}

// Longest first: what needs most memory fails or passes at once, and the batch empties quickly at the end.
void Translator::decode(std::vector<Part>& parts, const TranslateOptions& options) const {
  std::vector<std::size_t> wanted;
  for (std::size_t i = 0; i < parts.size(); ++i)
    if (!parts[i].request.source.empty()) wanted.push_back(i);
  if (!options.beam.on_token)
    std::ranges::stable_sort(wanted, std::greater(),
                             [&](std::size_t i) { return parts[i].request.source.size(); });
  BeamOptions beam = search_options(options);
  if (options.beam.on_token)
    beam.on_token = [&](StreamedToken token) {
      const Part& part = parts[wanted[token.sentence]];
      token.sentence = part.line;
      token.part = part.number;
      return options.beam.on_token(token);
    };
  std::size_t given = 0;
  const auto next = [&]() -> std::optional<Request> {
    if (given == wanted.size()) return {};
    return parts[wanted[given++]].request;
  };
  const auto found = [&](std::size_t index, std::vector<Hypothesis> hypotheses) {
    parts[wanted[index]].hypotheses = std::move(hypotheses);
  };
  beam_search(*decoder_, next, found, beam, options.batches);
}

std::string Translator::spell(const Part& part, const Hypothesis& hypothesis, bool replace_unknown) const {
  const std::int32_t unk = tokenizer_.target_vocabulary().unk();
  if (!replace_unknown || std::ranges::count(hypothesis.tokens, unk) == 0)
    return tokenizer_.decode_target(hypothesis.tokens);
  const auto words = tokenizer_.source_words(part.chunk.text);
  return tokenizer_.decode_target(hypothesis.tokens, words_for_unknown(hypothesis, unk, words));
}

Translation Translator::join(std::span<Part> parts, bool replace_unknown) const {
  Translation translation;
  translation.parts = parts.size();
  for (const auto& part : parts)
    for (const auto& hypothesis : part.hypotheses)
      translation.complete = translation.complete && hypothesis.complete;
  if (parts.size() == 1) {
    for (auto& hypothesis : parts.front().hypotheses) {
      std::string text = one_line(spell(parts.front(), hypothesis, replace_unknown));
      translation.candidates.push_back({std::move(text), hypothesis.score, std::move(hypothesis.tokens),
                                        std::move(hypothesis.token_log_probabilities),
                                        std::move(hypothesis.attention)});
    }
    translation.source = std::move(parts.front().request.source);
    if (translation.candidates.empty()) translation.candidates.emplace_back();
    return translation;
  }
  std::vector<std::string> texts;
  std::vector<text::Chunk> chunks;
  double score = 0.0;
  for (const auto& part : parts) {
    chunks.push_back(part.chunk);
    texts.push_back(part.hypotheses.empty() ? std::string()
                                            : spell(part, part.hypotheses.front(), replace_unknown));
    if (!part.hypotheses.empty()) score += part.hypotheses.front().score / static_cast<double>(parts.size());
  }
  translation.candidates.push_back({one_line(text::join_chunks(texts, chunks)), score, {}});
  return translation;
}

std::vector<Translation> Translator::translate(std::span<const std::string> lines,
                                               const TranslateOptions& options,
                                               std::span<const std::string> prefixes) const {
  if (!prefixes.empty() && prefixes.size() != lines.size())
    throw Error(Error::Kind::usage, "prefixes",
                std::to_string(prefixes.size()) + " for " + std::to_string(lines.size()) + " lines",
                "give one a line");
  std::vector<Part> parts = cut(lines, options, prefixes);
  decode(parts, options);
  const auto is_missing = [](const Part& part) {
    return part.hypotheses.empty() && !part.request.source.empty();
  };
  std::vector<Translation> translations;
  for (std::size_t first = 0; first < parts.size();) {
    std::size_t last = first;
    while (last < parts.size() && parts[last].line == parts[first].line) ++last;
    const auto line = std::span(parts).subspan(first, last - first);
    if (std::ranges::any_of(line, is_missing)) break;  // cancelled
    translations.push_back(join(line, options.replace_unknown));
    first = last;
  }
  return translations;
}

}  // namespace fovea::decoding
