#include "fovea/decoding/line_codec.h"

#include <algorithm>
#include <utility>

#include "fovea/base/error.h"
#include "fovea/decoding/line_parts.h"
#include "fovea/decoding/unknown.h"

namespace fovea::decoding {

// Beside each request the text that it stands for.
struct LineCodec::LineJob : Job {
  std::string text;
  std::vector<text::Chunk> chunks;  // of the text
  bool shortened = false;
};

namespace {

// The first and, of what ends every text, the last of a text's tokens: `limit` in all.
template <class Token>
void leave_out_rest(std::vector<Token>& tokens, std::size_t limit, std::size_t closing) {
  const auto end = tokens.end() - static_cast<std::ptrdiff_t>(closing);
  tokens.erase(end - static_cast<std::ptrdiff_t>(tokens.size() - limit), end);
}

}  // namespace

LineCodec::LineCodec(const text::TranslationTokenizer& tokenizer, std::int64_t max_positions,
                     const TranslateOptions& options)
    : tokenizer_(tokenizer),
      max_positions_(max_positions),
      options_(options),
      frame_(tokenizer.encode_source("").size()) {}

// A part is longer than the limit only if it is a single character of many bytes.
Request LineCodec::request(std::vector<std::int32_t> source, std::uint64_t draw) const {
  if (std::cmp_greater(source.size(), max_positions_))
    throw Error(Error::Kind::model, "config.json: max_position_embeddings",
                "is " + std::to_string(max_positions_) + ", but a single character takes " +
                    std::to_string(source.size()) + " tokens");
  if (source.size() <= frame_) source.clear();  // nothing to read
  Request request{std::move(source), {}, draw};
  if (options_.shortlist)
    request.allowed =
        std::make_shared<const std::vector<std::int32_t>>(options_.shortlist->candidates(request.source));
  return request;
}

std::unique_ptr<Job> LineCodec::encode(Line line, std::uint64_t number) const {
  auto job = std::make_unique<LineJob>();
  job->text = std::move(line.text);
  auto source = tokenizer_.encode_source(job->text);
  if (options_.max_source_tokens > 0) {
    const auto limit = static_cast<std::size_t>(
        std::max<std::int64_t>(tokenizer_.closing(), std::min(options_.max_source_tokens, max_positions_)));
    job->shortened = source.size() > limit;
    if (job->shortened) leave_out_rest(source, limit, static_cast<std::size_t>(tokenizer_.closing()));
    job->chunks = {{job->text, {}}};
  } else {
    job->chunks =
        line_parts(job->text, source.size(), tokenizer_, std::min(options_.max_tokens, max_positions_));
  }
  std::uint64_t draw = number << 20;  // a line has fewer parts
  for (const auto& chunk : job->chunks) {
    const bool whole = chunk.text.size() == job->text.size();
    job->requests.push_back(
        request(whole ? std::move(source) : tokenizer_.encode_source(chunk.text), draw++));
  }
  if (!line.prefix.empty()) {
    auto& prefix = job->requests.front().prefix;
    prefix = tokenizer_.encode_target(line.prefix);
    prefix.pop_back();  // eos
  }
  return job;
}

// `source`: so many tokens of the chunk were read.
std::string LineCodec::spell(const text::Chunk& chunk, std::size_t source,
                             const Hypothesis& hypothesis) const {
  const std::int32_t unk = tokenizer_.target_vocabulary().unk();
  if (!options_.replace_unknown || std::ranges::count(hypothesis.tokens, unk) == 0)
    return tokenizer_.decode_target(hypothesis.tokens);
  auto words = tokenizer_.source_words(chunk.text);
  if (words.size() > source) leave_out_rest(words, source, static_cast<std::size_t>(tokenizer_.closing()));
  return tokenizer_.decode_target(hypothesis.tokens, words_for_unknown(hypothesis, unk, words));
}

Translation LineCodec::single(LineJob& job) const {
  Translation translation;
  for (auto& hypothesis : job.found.front()) {
    std::string text = one_line(spell(job.chunks.front(), job.requests.front().source.size(), hypothesis));
    translation.candidates.push_back({std::move(text), hypothesis.score, std::move(hypothesis.tokens),
                                      std::move(hypothesis.token_log_probabilities),
                                      std::move(hypothesis.attention)});
  }
  if (translation.candidates.empty()) translation.candidates.emplace_back();
  translation.source = std::move(job.requests.front().source);
  return translation;
}

Translation LineCodec::join(const LineJob& job) const {
  std::vector<std::string> texts;
  double score = 0.0;
  for (std::size_t i = 0; i < job.chunks.size(); ++i) {
    texts.emplace_back();
    if (job.found[i].empty()) continue;
    texts.back() = spell(job.chunks[i], job.requests[i].source.size(), job.found[i].front());
    score += job.found[i].front().score / static_cast<double>(job.chunks.size());
  }
  Translation translation;
  translation.candidates.push_back({one_line(text::join_chunks(texts, job.chunks)), score, {}});
  return translation;
}

Translation LineCodec::decode(Job& done) const {
  auto& job = static_cast<LineJob&>(done);
  bool complete = true;
  for (const auto& part : job.found)
    for (const auto& hypothesis : part) complete = complete && hypothesis.complete;
  Translation translation = job.chunks.size() == 1 ? single(job) : join(job);
  translation.parts = job.chunks.size();
  translation.complete = complete;
  translation.shortened = job.shortened;
  return translation;
}

}  // namespace fovea::decoding
