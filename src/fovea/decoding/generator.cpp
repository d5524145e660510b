#include "fovea/decoding/generator.h"

#include <algorithm>
#include <map>
#include <memory>
#include <mutex>
#include <utility>

#include "fovea/decoding/continued_text.h"
#include "fovea/decoding/jobs.h"
#include "fovea/decoding/language_decoder.h"

namespace fovea::decoding {
namespace {

using Ids = std::vector<std::int32_t>;

struct PromptJob : Job {
  std::size_t number = 0;    // of the prompt, from 0
  std::size_t left_out = 0;  // tokens
  const Ids& prompt() const { return requests.front().source; }
};

}  // namespace

std::string_view name_of(WhyEnded why) {
  switch (why) {
    case WhyEnded::end_token:
      return "end_token";
    case WhyEnded::stop_string:
      return "stop_string";
    case WhyEnded::max_new_tokens:
      return "length";
    case WhyEnded::context:
      return "context";
    case WhyEnded::stopped:
      break;
  }
  return "stopped";
}

/// One call of generate(): options made ready, and the texts that are being streamed.
class Generator::Run {
 public:
  Run(const Generator& generator, const GenerateOptions& options)
      : model_(generator.model_),
        tokenizer_(generator.tokenizer_),
        options_(options),
        stops_(options.stop),
        search_(search_options()) {}

  const BeamOptions& search() const { return search_; }
  std::unique_ptr<const StepModel> decoder(const kernels::Execution& exec) const {
    return std::make_unique<LanguageDecoder>(
        model_, exec,
        LanguageDecoderOptions{options_.ends, options_.overflow == Overflow::slide,
                               options_.beam.contrastive.has_value()});
  }

  std::unique_ptr<Job> encode(const Prompt& prompt) {
    auto job = std::make_unique<PromptJob>();
    job->number = given_++;
    Request request{.source = ids_of(prompt, job->number), .draw = options_.first_prompt + job->number};
    job->left_out = cut(request.source, job->number);
    request.max_length = longest(request.source);
    job->requests.push_back(std::move(request));
    if (options_.on_text) begin_stream(*job);
    return job;
  }

  Generated decode(Job& done) {
    auto& job = static_cast<PromptJob&>(done);
    Generated generated{{}, job.prompt().size(), job.left_out};
    for (auto& hypothesis : job.found.front()) {
      if (options_.on_text) finish_stream(job.number, generated.continuations.size());
      generated.continuations.push_back(continuation(job.prompt(), std::move(hypothesis)));
    }
    const std::lock_guard lock(mutex_);
    streams_.erase(job.number);
    return generated;
  }

 private:
  BeamOptions search_options() {
    BeamOptions search = options_.beam;
    search.max_length_ratio = 0.0;
    search.max_length_extra = search.max_length = options_.max_new_tokens;
    options_.constraints.add_to(search);
    if (!stops_.empty())
      search.stops = [this](std::size_t, std::span<const std::int32_t> tokens) {
        return makes_stop_string(tokenizer_, stops_, tokens);
      };
    if (options_.on_text) search.on_token = [this](const StreamedToken& token) { return stream(token); };
    return search;
  }

  Ids ids_of(const Prompt& prompt, std::size_t number) const {
    Ids ids = tokenizer_.encode(prompt.text, {.add_special = prompt.add_special, .ranges = false}).ids;
    if (!ids.empty()) return ids;
    if (const auto bos = model_.vocabulary().bos) return {*bos};
    throw Error(Error::Kind::data, "prompt " + std::to_string(number + 1),
                "is empty, and the model has no token that begins a text", "begin with a word");
  }

  // Tokens that a prompt may have: contrastive search reads one more than it writes.
  std::int64_t room() const { return model_.max_positions() - (options_.beam.contrastive ? 1 : 0); }

  // Leaves out the beginning, but for a bos token; returns how many tokens those were.
  std::size_t cut(Ids& prompt, std::size_t number) const {
    const std::int64_t size = std::ssize(prompt), positions = model_.max_positions();
    std::int64_t keep = room();
    if (options_.overflow == Overflow::left)
      keep = std::max({std::int64_t{1}, positions / 2, keep - options_.max_new_tokens + 1});
    if (size <= keep) return 0;
    if (options_.overflow == Overflow::error)
      throw Error(Error::Kind::data, "prompt " + std::to_string(number + 1),
                  "has " + std::to_string(size) + " tokens, the model reads " + std::to_string(keep),
                  "shorten it, or ask to leave out its beginning or to slide");
    const bool begins = model_.vocabulary().bos == prompt.front() && keep > 1;
    prompt.erase(prompt.begin() + begins, prompt.begin() + begins + (size - keep));
    return static_cast<std::size_t>(size - keep);
  }

  // Tokens that may follow a prompt.
  std::int64_t longest(const Ids& prompt) const {
    if (options_.max_length == 0) return options_.max_new_tokens;
    return std::clamp<std::int64_t>(options_.max_length - std::ssize(prompt), 1, options_.max_new_tokens);
  }

  StoppedText text_after(const Ids& prompt) const { return {ContinuedText(tokenizer_, prompt), stops_}; }

  Continuation continuation(const Ids& prompt, Hypothesis hypothesis) const {
    Continuation found;
    StoppedText text = text_after(prompt);
    for (const auto token : hypothesis.tokens) found.text += text.add(token);
    found.text += text.finish();
    found.why = why(prompt, hypothesis, text.stopped_by().has_value());
    if (const auto which = text.stopped_by()) found.stop = stops_[*which];
    found.tokens = std::move(hypothesis.tokens);
    found.token_log_probabilities = std::move(hypothesis.token_log_probabilities);
    found.score = hypothesis.score;
    found.log_probability = hypothesis.log_probability;
    return found;
  }

  WhyEnded why(const Ids& prompt, const Hypothesis& hypothesis, bool by_string) const {
    if (by_string) return WhyEnded::stop_string;
    if (hypothesis.ending == Ending::end_token) return WhyEnded::end_token;
    const std::int64_t length = std::ssize(hypothesis.tokens);
    if (length >= options_.max_new_tokens) return WhyEnded::max_new_tokens;
    const bool full = options_.overflow != Overflow::slide && length + std::ssize(prompt) > room();
    return full || length >= longest(prompt) ? WhyEnded::context : WhyEnded::stopped;
  }

  // ---- Streaming. One worker decodes; what is delivered may yet be by another thread.

  struct Stream {
    Ids prompt;
    std::map<std::int64_t, StoppedText> texts;  // by hypothesis
    StoppedText& text(const Run& run, std::int64_t hypothesis) {
      return texts.try_emplace(hypothesis, run.text_after(prompt)).first->second;
    }
  };

  void begin_stream(const PromptJob& job) {
    const std::lock_guard lock(mutex_);
    streams_[job.number].prompt = job.prompt();
  }

  bool stream(const StreamedToken& token) {
    std::string text;
    {
      const std::lock_guard lock(mutex_);
      text = streams_.at(token.sentence).text(*this, token.hypothesis).add(token.token);
    }
    return text.empty() || options_.on_text(token.sentence, token.hypothesis, text);
  }

  // What was held back; of hypotheses that compete with each other the first alone is shown.
  void finish_stream(std::size_t number, std::size_t hypothesis) {
    if (hypothesis > 0 && !options_.beam.numbered()) return;
    std::string text;
    {
      const std::lock_guard lock(mutex_);
      text = streams_.at(number).text(*this, static_cast<std::int64_t>(hypothesis)).finish();
    }
    if (!text.empty()) options_.on_text(number, static_cast<std::int64_t>(hypothesis), text);
  }

  const models::LanguageModel& model_;
  const text::Tokenizer& tokenizer_;
  const GenerateOptions& options_;
  const StopStrings stops_;
  const BeamOptions search_;
  std::size_t given_ = 0;
  std::mutex mutex_;
  std::map<std::size_t, Stream> streams_;  // of prompts that are not delivered, by number
};

Generator::Generator(const models::LanguageModel& model, const text::Tokenizer& tokenizer, Crew& crew)
    : model_(model), tokenizer_(tokenizer), crew_(crew) {
  if (tokenizer.size() > model.vocabulary().size)
    throw Error(Error::Kind::model, "tokenizer",
                "has " + std::to_string(tokenizer.size()) + " tokens, the model " +
                    std::to_string(model.vocabulary().size),
                "take the tokenizer that the model was trained with");
}

bool Generator::generate(const Next& next, const Deliver& deliver, const GenerateOptions& options) const {
  Run run(*this, options);
  const auto next_job = [&]() -> std::unique_ptr<Job> {
    auto prompt = next();
    return prompt ? run.encode(*prompt) : nullptr;
  };
  const auto deliver_job = [&](std::unique_ptr<Job> job) { deliver(run.decode(*job)); };
  return search_jobs(
      crew_, [&](const kernels::Execution& exec) { return run.decoder(exec); }, next_job, deliver_job,
      run.search(), options.batches);
}

std::vector<Generated> Generator::generate(std::span<const std::string> prompts,
                                           const GenerateOptions& options) const {
  std::vector<Generated> all;
  std::size_t given = 0;
  const auto next = [&]() -> std::optional<Prompt> {
    if (given == prompts.size()) return {};
    return Prompt{prompts[given++]};
  };
  generate(
      next, [&](Generated one) { all.push_back(std::move(one)); }, options);
  return all;
}

}  // namespace fovea::decoding
