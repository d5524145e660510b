// fovea.h over fovea::Translator.
#include <algorithm>
#include <cstring>
#include <exception>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fovea.h"
#include "fovea/api/translator.h"

struct fovea_translator {
  fovea::Translator translator;
};

struct fovea_translations {
  std::vector<fovea::TranslationResult> lines;
};

namespace {

using fovea::Error;

thread_local std::string last_error;

fovea_status failed(fovea_status status, const char* what) noexcept {
  try {
    last_error = what;
  } catch (...) {
    last_error.clear();
  }
  return status;
}

// Runs `call`; what it throws becomes a status.
template <class Call>
fovea_status guarded(const Call& call) noexcept {
  try {
    call();
    return FOVEA_OK;
  } catch (const Error& error) {
    return failed(static_cast<fovea_status>(error.exit_code()), error.what());
  } catch (const std::bad_alloc&) {
    return failed(FOVEA_MACHINE, "memory: there is no more");
  } catch (const std::exception& error) {
    return failed(FOVEA_BUG, error.what());
  } catch (...) {
    return failed(FOVEA_BUG, "an exception of unknown type");
  }
}

void expect_given(const void* pointer, const char* name) {
  if (!pointer) throw Error(Error::Kind::usage, name, "is NULL");
}

// The options of a caller whose struct may be older and shorter, or newer and longer: what it lacks is 0;
// what is not known here must be. `macro` is what they begin with.
template <class Options>
Options read_options(const Options* given, const char* macro) {
  Options options{};
  if (!given) return options;
  if (given->size < sizeof given->size)
    throw Error(Error::Kind::usage, "options", "their size is " + std::to_string(given->size),
                std::string("begin them with ") + macro);
  const auto* bytes = reinterpret_cast<const unsigned char*>(given);
  const std::size_t known = std::min(given->size, sizeof(Options));
  if (std::any_of(bytes + known, bytes + given->size, [](unsigned char byte) { return byte != 0; }))
    throw Error(Error::Kind::usage, "options", "there are some that this version does not know",
                std::string("this is fovea ") + fovea::version());
  std::memcpy(&options, given, known);
  return options;
}

fovea::WeightType weights_named(const char* name) {
  if (!name) return fovea::WeightType::stored;
  const std::string_view type = name;
  if (type == "f32") return fovea::WeightType::f32;
  if (type == "bf16") return fovea::WeightType::bf16;
  if (type == "int8") return fovea::WeightType::int8;
  throw Error(Error::Kind::usage, "weights", "is '" + fovea::printable(type) + "'", "use f32, bf16 or int8");
}

template <class Value>
std::optional<Value> unless_zero(Value value) {
  return value == 0 ? std::nullopt : std::optional(value);
}

fovea::TranslationOptions options_of(const fovea_options* given) {
  const auto c = read_options(given, "FOVEA_OPTIONS");
  fovea::TranslationOptions options;
  options.beam = unless_zero<std::int64_t>(c.beam);
  options.nbest = c.nbest == 0 ? 1 : c.nbest;
  if (c.length_penalty) options.length_penalty = *c.length_penalty;
  options.min_length = unless_zero<std::int64_t>(c.min_length);
  options.max_length = unless_zero<std::int64_t>(c.max_length);
  options.repetition_penalty = unless_zero(c.repetition_penalty);
  options.no_repeat_ngram = unless_zero<std::int64_t>(c.no_repeat_ngram);
  options.temperature = unless_zero(c.temperature);
  options.top_p = unless_zero(c.top_p);
  options.top_k = unless_zero<std::int64_t>(c.top_k);
  if (c.seed != 0) options.seed = c.seed;
  options.tokens = c.tokens != 0;
  options.attention = c.attention != 0;
  if (c.max_tokens != 0) options.max_tokens = c.max_tokens;
  if (c.batch != 0) options.batch = c.batch;
  return options;
}

std::vector<std::string> lines_of(const char* const* lines, std::size_t count) {
  if (count > 0) expect_given(lines, "lines");
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < count; ++i) {
    if (!lines[i]) throw Error(Error::Kind::usage, "line " + std::to_string(i), "is NULL");
    texts.emplace_back(lines[i]);
  }
  return texts;
}

const fovea::TranslationResult* line_at(const fovea_translations* translations, std::size_t line) {
  return translations && line < translations->lines.size() ? &translations->lines[line] : nullptr;
}

const fovea::Hypothesis* hypothesis_at(const fovea_translations* translations, std::size_t line,
                                       std::size_t i) {
  const auto* found = line_at(translations, line);
  return found && i < found->hypotheses.size() ? &found->hypotheses[i] : nullptr;
}

const char* text_at(const std::vector<std::string>& texts, std::size_t i) {
  return i < texts.size() ? texts[i].c_str() : nullptr;
}

const float* values(const std::vector<float>& numbers) { return numbers.empty() ? nullptr : numbers.data(); }

}  // namespace

const char* fovea_error(void) { return last_error.c_str(); }

const char* fovea_version(void) { return fovea::version(); }

fovea_status fovea_open(const char* directory, const fovea_model_options* options,
                        fovea_translator** translator) {
  return guarded([&] {
    expect_given(translator, "translator");
    *translator = nullptr;
    expect_given(directory, "directory");
    const auto c = read_options(options, "FOVEA_MODEL_OPTIONS");
    *translator = new fovea_translator{fovea::Translator(
        directory, {weights_named(c.weights), c.threads, c.workers, c.shortlist ? c.shortlist : ""})};
  });
}

void fovea_close(fovea_translator* translator) { delete translator; }

fovea_status fovea_translate(const fovea_translator* translator, const char* const* lines, size_t count,
                             const fovea_options* options, fovea_translations** translations) {
  return guarded([&] {
    expect_given(translations, "translations");
    *translations = nullptr;
    expect_given(translator, "translator");
    *translations =
        new fovea_translations{translator->translator.translate(lines_of(lines, count), options_of(options))};
  });
}

void fovea_translations_free(fovea_translations* translations) { delete translations; }

size_t fovea_count(const fovea_translations* translations) {
  return translations ? translations->lines.size() : 0;
}

size_t fovea_hypotheses(const fovea_translations* translations, size_t line) {
  const auto* found = line_at(translations, line);
  return found ? found->hypotheses.size() : 0;
}

const char* fovea_text(const fovea_translations* translations, size_t line, size_t hypothesis) {
  const auto* found = hypothesis_at(translations, line, hypothesis);
  return found ? found->text.c_str() : nullptr;
}

double fovea_score(const fovea_translations* translations, size_t line, size_t hypothesis) {
  const auto* found = hypothesis_at(translations, line, hypothesis);
  return found ? found->score : 0.0;
}

size_t fovea_tokens(const fovea_translations* translations, size_t line, size_t hypothesis) {
  const auto* found = hypothesis_at(translations, line, hypothesis);
  return found ? found->tokens.size() : 0;
}

const char* fovea_token(const fovea_translations* translations, size_t line, size_t hypothesis,
                        size_t token) {
  const auto* found = hypothesis_at(translations, line, hypothesis);
  return found ? text_at(found->tokens, token) : nullptr;
}

const float* fovea_token_scores(const fovea_translations* translations, size_t line, size_t hypothesis) {
  const auto* found = hypothesis_at(translations, line, hypothesis);
  return found ? values(found->token_scores) : nullptr;
}

size_t fovea_source_tokens(const fovea_translations* translations, size_t line) {
  const auto* found = line_at(translations, line);
  return found ? found->source_tokens.size() : 0;
}

const char* fovea_source_token(const fovea_translations* translations, size_t line, size_t token) {
  const auto* found = line_at(translations, line);
  return found ? text_at(found->source_tokens, token) : nullptr;
}

const float* fovea_attention(const fovea_translations* translations, size_t line, size_t hypothesis) {
  const auto* found = hypothesis_at(translations, line, hypothesis);
  return found ? values(found->attention) : nullptr;
}

fovea_status fovea_translate_lines(const fovea_translator* translator, fovea_next next, fovea_deliver deliver,
                                   void* user, const fovea_options* options) {
  return guarded([&] {
    expect_given(translator, "translator");
    expect_given(reinterpret_cast<const void*>(next), "next");
    expect_given(reinterpret_cast<const void*>(deliver), "deliver");
    std::size_t line = 0;
    translator->translator.translate(
        [&]() -> std::optional<std::string> {
          const char* text = next(user);
          return text ? std::optional<std::string>(text) : std::nullopt;
        },
        [&](fovea::TranslationResult result) {
          fovea_translations one;
          one.lines.push_back(std::move(result));
          return deliver(user, line++, &one) == 0;
        },
        options_of(options));
  });
}

fovea_status fovea_stream(const fovea_translator* translator, const char* line, fovea_on_text on_text,
                          void* user, const fovea_options* options) {
  return guarded([&] {
    expect_given(translator, "translator");
    expect_given(line, "line");
    expect_given(reinterpret_cast<const void*>(on_text), "on_text");
    translator->translator.stream(
        line, [&](std::string_view fresh) { return on_text(user, std::string(fresh).c_str()) == 0; },
        options_of(options));
  });
}

fovea_status fovea_score_pairs(const fovea_translator* translator, const char* const* sources,
                               const char* const* targets, size_t count, double* log_probabilities) {
  return guarded([&] {
    expect_given(translator, "translator");
    if (count > 0) expect_given(log_probabilities, "log_probabilities");
    auto from = lines_of(sources, count), to = lines_of(targets, count);
    std::vector<fovea::Translator::Pair> pairs;
    for (std::size_t i = 0; i < count; ++i) pairs.push_back({std::move(from[i]), std::move(to[i])});
    const auto scores = translator->translator.score(pairs);
    for (std::size_t i = 0; i < count; ++i) log_probabilities[i] = scores[i].log_probability;
  });
}
