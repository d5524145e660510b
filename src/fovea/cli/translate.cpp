// fovea translate: lines of text in, lines of text out.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "fovea/base/decimal.h"
#include "fovea/base/error.h"
#include "fovea/base/file.h"
#include "fovea/cli/command.h"
#include "fovea/cli/common.h"
#include "fovea/cli/decoding_options.h"
#include "fovea/cli/ensemble_flags.h"
#include "fovea/cli/language_flags.h"
#include "fovea/cli/search_flags.h"
#include "fovea/cli/signals.h"
#include "fovea/cli/text_output.h"
#include "fovea/data/lines.h"
#include "fovea/decoding/line_parts.h"
#include "fovea/decoding/text_stream.h"
#include "fovea/decoding/translator.h"
#include "fovea/models/alignment.h"
#include "fovea/text/utf8.h"
#include "fovea/views/attention_matrix.h"
#include "fovea/views/heat_map.h"
#include "fovea/views/terminal_style.h"

namespace fovea::cli {
namespace {

using decoding::Translation;

struct Options {
  std::vector<std::string> text;
  std::string input, output = "-", bad_utf8 = "replace";
  std::string prefix, prefix_file;
  std::int64_t nbest = 0;  // not given
  EnsembleFlags ensemble;
  LanguageFlags languages;
  DecodingFlags decoding;
  SearchFlags search;
  bool no_picture = false, stream = false;
  int threads = 0, workers = 0;

  data::BadUtf8 policy() const { return bad_utf8 == "error" ? data::BadUtf8::error : data::BadUtf8::replace; }
};

/// The sentences given as arguments, a line each.
std::vector<std::string> argument_lines(const Options& options) {
  std::vector<std::string> lines;
  for (const std::string& text : options.text) {
    const std::string where = "argument " + std::to_string(lines.size() + 1);
    if (options.policy() == data::BadUtf8::error && !text::is_valid_utf8(text))
      throw Error(Error::Kind::data, where, "is not UTF-8");
    lines.push_back(argument_line(text, where));
  }
  return lines;
}

data::LineOptions line_options(const Options& options) { return {.bad_utf8 = options.policy()}; }

class Translating {
 public:
  explicit Translating(const Options& options)
      : options_(options),
        crew_(options.threads, options.workers),
        loaded_(options.ensemble, crew_.together()),
        task_(options.languages.choose(loaded_.folder, loaded_.tokenizer)),
        translate_(translate_options(task_.generation, options.decoding,
                                     options.search.numbered() ? 0 : options.nbest)),
        translator_(loaded_.models, loaded_.tokenizer, crew_, options.ensemble.mean()),
        text_(loaded_.tokenizer),
        sink_(options.output) {
    options.search.apply(translate_, loaded_.tokenizer, options.decoding.beam, options.nbest);
    translate_.shortlist = options.decoding.read_shortlist(loaded_.tokenizer);
    if (options.stream) stream();
    if (!options.prefix_file.empty()) prefixes_.emplace(options.prefix_file, line_options(options));
  }

  void arguments() {
    const auto lines = argument_lines(options_);
    for (std::size_t i = 0; i < lines.size();)
      translate([&, first = i] {
        return i == lines.size() || (i > first && options_.stream) ? std::nullopt : std::optional(lines[i++]);
      });
    finish();
  }

  // Lines that have arrived are translated together, but none waits for one that has not.
  void lines(data::LineReader& reader) {
    const bool asks = options_.input.empty() && isatty(STDIN_FILENO);
    if (asks) std::fprintf(stderr, "fovea: type a sentence and press Enter; Ctrl-D ends.\n");
    const bool one_by_one = asks || options_.stream;
    while (auto line = text_of(reader.next())) {
      translate([&] {
        auto given = std::exchange(line, {});
        if (!given && !one_by_one && reader.has_line()) given = text_of(reader.next());
        return given;
      });
    }
    warn_of_repairs(reader.statistics());
    finish();
  }

 private:
  void finish() {
    if (prefixes_ && prefixes_->next())
      throw Error(Error::Kind::data, prefixes_->name(), "has more lines than there are to translate",
                  "give one prefix a line");
    warnings_.finish();
    sink_.finish();
  }

  // Tokens are written as soon as they are sure, a sentence at a time.
  void stream() {
    translate_.batches.max_rows = 1;
    translate_.beam.nbest = 1;
    translate_.replace_unknown = false;
    translate_.beam.on_token = [this](const decoding::StreamedToken& token) {
      sink_.write(text_.add(token));
      return true;
    };
  }

  static std::optional<std::string> text_of(std::optional<std::string_view> line) {
    return line ? std::optional<std::string>(*line) : std::nullopt;
  }

  std::string next_prefix() {
    if (!prefixes_) return options_.prefix;
    const auto line = prefixes_->next();
    if (!line)
      throw Error(Error::Kind::data, prefixes_->name(), "has fewer lines than there are to translate",
                  "give one prefix a line; an empty one is none");
    return std::string(*line);
  }

  // Its text is written part by part, as its tokens come.
  void begin_stream(const std::string& line) {
    streamed_ = line;
    if (translate_.max_source_tokens > 0) return text_.begin({{streamed_, {}}});
    text_.begin(decoding::line_parts(streamed_, loaded_.tokenizer.encode_source(streamed_).size(),
                                     loaded_.tokenizer,
                                     std::min(translate_.max_tokens, translator_.max_positions())));
  }

  // The lines that `next` gives until it gives none; one, where it is streamed.
  void translate(const std::function<std::optional<std::string>()>& next) {
    const Signals signals;  // while something is under way: between, they end the program as ever
    translate_.beam.cancelled = &signals.caught();
    translate_.first_line = static_cast<std::uint64_t>(line_);
    const std::int64_t before = line_;
    Translation last;
    translator_.translate(
        [&]() -> std::optional<decoding::Line> {
          auto text = next();
          if (!text) return {};
          if (!task_.prefix.empty() && !text->empty()) text->insert(0, task_.prefix);
          if (options_.stream) begin_stream(*text);
          return decoding::Line{std::move(*text), next_prefix()};
        },
        [&](Translation translation) {
          ++line_;
          report(translation);
          sink_.write(options_.stream ? text_.finish(translation.text()) + "\n" : shown(translation));
          last = std::move(translation);
        },
        translate_);
    if (signals.caught()) {
      sink_.abandon();
      signals.exit_as_caught();
    }
    if (line_ == before + 1) show_attention(last);
  }

  // A line each; of n best, "LINE TAB SCORE TAB TEXT" each.
  std::string shown(const Translation& translation) const {
    if (translate_.beam.nbest == 1) return translation.text() + "\n";
    std::string text;
    for (const auto& candidate : translation.candidates)
      text += std::to_string(line_) + "\t" + fixed(candidate.score, 4) + "\t" + candidate.text + "\n";
    return text;
  }

  void report(const Translation& translation) {
    if (translation.parts > 1)
      warnings_.add(line_,
                    "too long for one piece; translated in " + std::to_string(translation.parts) + " parts");
    if (translation.shortened)
      warnings_.add(line_, "long; the first " + counted(translation.source.size(), "token") + " were read");
    if (!translation.complete) warnings_.add(line_, "the translation was cut at its greatest length");
  }

  // On a terminal: which words the model looked at.
  void show_attention(const Translation& translation) const {
    const auto style = views::terminal_style_from_environment(STDERR_FILENO);
    if (options_.no_picture || !style.interactive || !isatty(STDOUT_FILENO) || options_.output != "-") return;
    const auto& target = translation.candidates.front().tokens;
    if (translation.source.empty() || target.empty()) return;
    // The decoder reads one token more than it wrote: a translation cut at the last position has no picture.
    if (std::cmp_greater_equal(target.size(), loaded_.first().max_positions())) return;
    ops::Context ctx;
    ctx.exec = crew_.together();
    const Tensor weights = models::cross_attention(ctx, loaded_.first(), translation.source, target);
    const auto map = views::heat_map(views::merge_pieces(without_eos(translation, weights)), style);
    std::fprintf(stderr, "\n%s", map.c_str());
  }

  // The matrix of the words alone; each row again sums to one, unless all of it went to the end of sentence.
  views::AttentionMatrix without_eos(const Translation& translation, const Tensor& weights) const {
    const auto& target = translation.candidates.front().tokens;
    const std::size_t S = translation.source.size() - 1;
    views::AttentionMatrix matrix;
    matrix.source = loaded_.tokenizer.source_pieces(std::span(translation.source).first(S));
    matrix.target = loaded_.tokenizer.target_pieces(target);
    for (std::size_t t = 0; t < target.size(); ++t) {
      const float* row = weights.f32() + t * (S + 1);
      const float rest = 1.0f - row[S];
      for (std::size_t s = 0; s < S; ++s) matrix.weights.push_back(rest > 1e-6f ? row[s] / rest : 0.0f);
    }
    return matrix;
  }

  const Options& options_;
  decoding::Crew crew_;
  LoadedModels loaded_;
  models::TaskDefaults task_;  // what is asked of a model that has several
  decoding::TranslateOptions translate_;
  decoding::Translator translator_;
  std::string streamed_;  // the line whose tokens come
  decoding::TextStream text_;
  Sink sink_;
  std::optional<data::LineReader> prefixes_;
  LineWarnings warnings_;
  std::int64_t line_ = 0;
};

void check_usage(const Options& options) {
  const auto refuse = [](const char* option, const char* what) {
    throw Error(Error::Kind::usage, option, what, "see fovea translate --help");
  };
  if (!options.prefix.empty() && !options.prefix_file.empty())
    refuse("--prefix", "and --prefix-file exclude each other");
  if (options.stream && options.nbest > 1) refuse("--stream", "writes one translation a line, not --nbest");
  if (options.stream && options.decoding.replace_unknown)
    refuse("--stream", "cannot go back to --replace-unknown");
}

void translate(const Options& options) {
  check_usage(options);
  if (!options.text.empty() && !options.input.empty())
    throw Error(Error::Kind::usage, "translate", "text as arguments and --input exclude each other",
                "see fovea translate --help");
  if (!options.text.empty()) return Translating(options).arguments();
  // Opened first: a missing file need not wait for the model.
  data::LineReader reader(options.input.empty() ? "-" : options.input, line_options(options));
  Translating(options).lines(reader);
}

}  // namespace

void add_translate(CLI::App& fovea) {
  CLI::App* command =
      fovea.add_subcommand("translate", "Translate text: arguments, a file, or lines as they come");
  const auto options = std::make_shared<Options>();
  command->add_option("text", options->text, "Sentences, one an argument; none: read --input")
      ->type_name("TEXT");
  options->ensemble.add_to(*command);
  options->languages.add_to(*command);
  command
      ->add_option("--input", options->input,
                   "Text, a sentence a line, plain or .gz; - (the default) is standard input")
      ->type_name("FILE");
  command
      ->add_option("--output", options->output,
                   "A file for the translations, written when all are done; - is standard output")
      ->type_name("FILE")
      ->capture_default_str();
  options->decoding.add_to(*command);
  command
      ->add_option(
          "--nbest", options->nbest,
          "Translations a line (default: the model's own, as a rule 1), as LINE TAB SCORE TAB TEXT if "
          "more than one")
      ->check(CLI::Range(1, 32))
      ->type_name("N");
  command->add_option("--on-bad-utf8", options->bad_utf8, "What is not UTF-8: replace (and warn) or error")
      ->check(CLI::IsMember({"replace", "error"}))
      ->type_name("")
      ->capture_default_str();
  command->add_flag("--no-picture", options->no_picture, "No picture of the attention on a terminal");
  command->add_option("--prefix", options->prefix, "How every translation begins")->type_name("TEXT");
  command->add_option("--prefix-file", options->prefix_file, "How each translation begins, line by line")
      ->type_name("FILE");
  command->add_flag("--stream", options->stream, "Write words as soon as they are sure, a line at a time");
  options->search.add_to(*command);
  add_threads_option(*command, options->threads);
  add_workers_option(*command, options->workers);
  command->footer(
      "N lines in, N lines out, in order, whatever they hold. A line ends in LF; a CR before it is dropped, "
      "NUL bytes\n"
      "and line ends that the model spells become spaces.\n"
      "Example: fovea translate \"Two men are riding bicycles.\"");
  command->callback([options] { translate(*options); });
}

}  // namespace fovea::cli
