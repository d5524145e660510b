// fovea translate: lines of text in, lines of text out.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "fovea/base/error.h"
#include "fovea/base/file.h"
#include "fovea/cli/command.h"
#include "fovea/cli/common.h"
#include "fovea/cli/decoding_options.h"
#include "fovea/cli/model_folder.h"
#include "fovea/data/lines.h"
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
  std::string model, input, output = "-", bad_utf8 = "replace";
  std::int64_t nbest = 1;
  DecodingFlags decoding;
  DTypeFlag dtype;
  bool no_picture = false;
  int threads = 0;

  data::BadUtf8 policy() const { return bad_utf8 == "error" ? data::BadUtf8::error : data::BadUtf8::replace; }
};

/// Where translations go: standard output, or a file that appears when all is done.
class Sink {
 public:
  explicit Sink(const std::string& path) {
    if (path != "-") file_.emplace(path);
  }
  void write(const std::string& text) {
    if (file_) return file_->write(text);
    out_.write(text);
    out_.flush();
  }
  void finish() {
    if (file_) file_->commit();
  }

 private:
  std::optional<AtomicFile> file_;
  Output out_;
};

/// Warnings about lines: the first few in full, of the rest how many they were.
class LineWarnings {
 public:
  void add(std::int64_t line, std::string_view what) {
    if (++count_ <= shown_in_full) warn("line " + std::to_string(line) + ": " + std::string(what));
  }
  void finish() const {
    if (count_ > shown_in_full) warn(counted(count_ - shown_in_full, "more line") + " with such warnings");
  }

 private:
  static constexpr std::size_t shown_in_full = 5;
  std::size_t count_ = 0;
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

class Translating {
 public:
  explicit Translating(const Options& options)
      : options_(options),
        folder_(model_folder(options.model)),
        translate_(translate_options(folder_, options.decoding, options.nbest)),
        exec_(options.threads),
        loaded_(load_model(folder_, exec_.get(), options.dtype)),
        translator_(*loaded_.model, loaded_.tokenizer, exec_.get()),
        sink_(options.output) {}

  void arguments() {
    translate(argument_lines(options_));
    finish();
  }

  void lines(data::LineReader& reader) {
    const bool asks = options_.input.empty() && isatty(STDIN_FILENO);
    if (asks) std::fprintf(stderr, "fovea: type a sentence and press Enter; Ctrl-D ends.\n");
    translate_stream(reader, asks);
    if (const auto& found = reader.statistics(); found.invalid_lines > 0)
      warn(found.first_invalid + ": not UTF-8; replaced by U+FFFD in " +
           counted(static_cast<std::size_t>(found.invalid_lines), "line"));
    finish();
  }

 private:
  void finish() {
    warnings_.finish();
    sink_.finish();
  }

  // Lines that have arrived are translated together, but none waits for one that has not.
  void translate_stream(data::LineReader& reader, bool one_by_one) {
    constexpr std::size_t most_lines = 4096;
    std::vector<std::string> lines;
    while (const auto line = reader.next()) {
      lines.emplace_back(*line);
      if (!one_by_one && lines.size() < most_lines && reader.has_line()) continue;
      translate(lines);
      lines.clear();
    }
  }

  void translate(const std::vector<std::string>& lines) {
    const auto translations = translator_.translate(lines, translate_);
    std::string text;
    for (const Translation& translation : translations) {
      ++line_;
      report(translation);
      text += shown(translation);
    }
    sink_.write(text);
    if (lines.size() == 1) show_attention(translations.front());
  }

  // A line each; of n best, "LINE TAB SCORE TAB TEXT" each.
  std::string shown(const Translation& translation) const {
    if (options_.nbest == 1) return translation.text() + "\n";
    std::string text;
    for (const auto& candidate : translation.candidates) {
      char score[64];
      std::snprintf(score, sizeof score, "%lld\t%.4f\t", static_cast<long long>(line_), candidate.score);
      text += score + candidate.text + "\n";
    }
    return text;
  }

  void report(const Translation& translation) {
    if (translation.parts > 1)
      warnings_.add(line_,
                    "too long for one piece; translated in " + std::to_string(translation.parts) + " parts");
    if (!translation.complete) warnings_.add(line_, "the translation was cut at its greatest length");
  }

  // On a terminal: which words the model looked at.
  void show_attention(const Translation& translation) const {
    const auto style = views::terminal_style_from_environment(STDERR_FILENO);
    if (options_.no_picture || !style.interactive || !isatty(STDOUT_FILENO) || options_.output != "-") return;
    const auto& target = translation.candidates.front().tokens;
    if (translation.source.empty() || target.empty()) return;
    // The decoder reads one token more than it wrote: a translation cut at the last position has no picture.
    if (std::cmp_greater_equal(target.size(), loaded_.model->max_positions())) return;
    ops::Context ctx;
    ctx.exec = exec_.get();
    const Tensor weights = models::cross_attention(ctx, *loaded_.model, translation.source, target);
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
  std::string folder_;
  decoding::TranslateOptions translate_;
  kernels::ExecutionOwner exec_;
  LoadedModel loaded_;
  decoding::Translator translator_;
  Sink sink_;
  LineWarnings warnings_;
  std::int64_t line_ = 0;
};

void translate(const Options& options) {
  if (!options.text.empty() && !options.input.empty())
    throw Error(Error::Kind::usage, "translate", "text as arguments and --input exclude each other",
                "see fovea translate --help");
  if (!options.text.empty()) return Translating(options).arguments();
  // Opened first: a missing file need not wait for the model.
  data::LineReader reader(options.input.empty() ? "-" : options.input, {.bad_utf8 = options.policy()});
  Translating(options).lines(reader);
}

}  // namespace

void add_translate(CLI::App& fovea) {
  CLI::App* command =
      fovea.add_subcommand("translate", "Translate text: arguments, a file, or lines as they come");
  const auto options = std::make_shared<Options>();
  command->add_option("text", options->text, "Sentences, one an argument; none: read --input")
      ->type_name("TEXT");
  command
      ->add_option("--model", options->model, "Model directory (default: the bundled English-German model)")
      ->type_name("DIR");
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
  options->dtype.add_to(*command);
  command
      ->add_option("--nbest", options->nbest,
                   "Translations a line, as LINE TAB SCORE TAB TEXT if more than one")
      ->check(CLI::Range(1, 32))
      ->type_name("N")
      ->capture_default_str();
  command->add_option("--on-bad-utf8", options->bad_utf8, "What is not UTF-8: replace (and warn) or error")
      ->check(CLI::IsMember({"replace", "error"}))
      ->type_name("")
      ->capture_default_str();
  command->add_flag("--no-picture", options->no_picture, "No picture of the attention on a terminal");
  add_threads_option(*command, options->threads);
  command->footer(
      "N lines in, N lines out, in order, whatever they hold. A line ends in LF; a CR before it is dropped, "
      "NUL bytes\n"
      "and line ends that the model spells become spaces.\n"
      "Example: fovea translate \"Two men are riding bicycles.\"");
  command->callback([options] { translate(*options); });
}

}  // namespace fovea::cli
