#include "fovea/decoding/translator.h"

#include <algorithm>
#include <utility>

#include "fovea/text/sentences.h"

namespace fovea::decoding {

// A line, or what fits the model of it.
struct Translator::Part {
  std::size_t line = 0;
  text::Chunk chunk;
  std::vector<std::int32_t> source;
  std::vector<Hypothesis> hypotheses;  // none: nothing to translate
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

// Byte pieces can spell a line end; a translation is one line whatever the model says.
std::string one_line(std::string text) {
  for (char& c : text)
    if (c == '\n' || c == '\r' || c == '\0') c = ' ';
  return text;
}

}  // namespace

Translator::Translator(const models::TranslationModel& model, const text::TranslationTokenizer& tokenizer,
                       const kernels::Execution& exec)
    : model_(model), tokenizer_(tokenizer), decoder_(model, exec) {
  expect_vocabulary("source vocabulary", tokenizer.source_vocabulary().size(), model.vocabulary().source);
  expect_vocabulary("target vocabulary", tokenizer.target_vocabulary().size(), model.vocabulary().target);
  expect_specials(tokenizer.source_vocabulary(), model.vocabulary(), "source vocabulary");
  expect_specials(tokenizer.target_vocabulary(), model.vocabulary(), "target vocabulary");
}

std::vector<Translator::Part> Translator::cut(std::span<const std::string> lines, std::size_t limit) const {
  const auto count = [this](std::string_view text) { return tokenizer_.encode_source(text).size(); };
  std::vector<Part> parts;
  const auto add = [&](std::size_t line, const text::Chunk& chunk, std::vector<std::int32_t> source) {
    if (source.size() <= 1) source.clear();  // eos alone
    expect_positions(source.size());
    parts.push_back({line, chunk, std::move(source), {}});
  };
  for (std::size_t line = 0; line < lines.size(); ++line) {
    auto source = tokenizer_.encode_source(lines[line]);
    const auto chunks = source.size() > limit ? text::split_into_chunks(lines[line], limit, count)
                                              : std::vector<text::Chunk>();
    if (chunks.empty()) add(line, {lines[line], {}}, std::move(source));
    for (const auto& chunk : chunks) add(line, chunk, tokenizer_.encode_source(chunk.text));
  }
  return parts;
}

// A part is longer than the limit only if it is a single character of many bytes.
void Translator::expect_positions(std::size_t tokens) const {
  const std::int64_t most = model_.max_positions();
  if (std::cmp_less_equal(tokens, most)) return;
  throw Error(
      Error::Kind::model, "config.json: max_position_embeddings",
      "is " + std::to_string(most) + ", but a single character takes " + std::to_string(tokens) + " tokens");
}

void Translator::decode(std::vector<Part>& parts, const TranslateOptions& options) const {
  std::vector<std::size_t> wanted;
  std::vector<std::int64_t> lengths;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (parts[i].source.empty()) continue;
    wanted.push_back(i);
    lengths.push_back(static_cast<std::int64_t>(parts[i].source.size()));
  }
  for (const auto& batch : plan_batches(lengths, options.batches)) {
    std::vector<std::vector<std::int32_t>> sources;
    for (const auto i : batch) sources.push_back(parts[wanted[i]].source);
    auto found = beam_search(decoder_, sources, options.beam);
    for (std::size_t i = 0; i < batch.size(); ++i) parts[wanted[batch[i]]].hypotheses = std::move(found[i]);
  }
}

Translation Translator::join(std::span<Part> parts) const {
  Translation translation;
  translation.parts = parts.size();
  for (const auto& part : parts)
    for (const auto& hypothesis : part.hypotheses)
      translation.complete = translation.complete && hypothesis.complete;
  if (parts.size() == 1) {
    translation.source = std::move(parts.front().source);
    for (auto& hypothesis : parts.front().hypotheses)
      translation.candidates.push_back({one_line(tokenizer_.decode_target(hypothesis.tokens)),
                                        hypothesis.score, std::move(hypothesis.tokens)});
    if (translation.candidates.empty()) translation.candidates.emplace_back();
    return translation;
  }
  std::vector<std::string> texts;
  std::vector<text::Chunk> chunks;
  double score = 0.0;
  for (const auto& part : parts) {
    chunks.push_back(part.chunk);
    texts.push_back(part.hypotheses.empty() ? std::string()
                                            : tokenizer_.decode_target(part.hypotheses.front().tokens));
    if (!part.hypotheses.empty()) score += part.hypotheses.front().score / static_cast<double>(parts.size());
  }
  translation.candidates.push_back({one_line(text::join_chunks(texts, chunks)), score, {}});
  return translation;
}

std::vector<Translation> Translator::translate(std::span<const std::string> lines,
                                               const TranslateOptions& options) const {
  const auto limit = static_cast<std::size_t>(
      std::max<std::int64_t>(2, std::min(options.max_tokens, model_.max_positions())));
  std::vector<Part> parts = cut(lines, limit);
  decode(parts, options);
  std::vector<Translation> translations;
  for (std::size_t first = 0; first < parts.size();) {
    std::size_t last = first;
    while (last < parts.size() && parts[last].line == parts[first].line) ++last;
    translations.push_back(join(std::span(parts).subspan(first, last - first)));
    first = last;
  }
  return translations;
}

}  // namespace fovea::decoding
