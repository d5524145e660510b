// fovea summarize: documents in, a line of summary each.
#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "fovea/base/error.h"
#include "fovea/cli/command.h"
#include "fovea/cli/common.h"
#include "fovea/cli/decoding_options.h"
#include "fovea/cli/model_folder.h"
#include "fovea/cli/search_flags.h"
#include "fovea/cli/signals.h"
#include "fovea/cli/summary_task.h"
#include "fovea/cli/text_output.h"
#include "fovea/data/json_lines.h"
#include "fovea/data/lines.h"
#include "fovea/decoding/translator.h"
#include "fovea/models/generation_defaults.h"

namespace fovea::cli {
namespace {

using decoding::Translation;

struct Options {
  std::vector<std::string> text;
  std::string model, input, field, output = "-";
  std::optional<std::string> prefix;
  DecodingFlags decoding;
  SearchFlags search;
  DTypeFlag dtype;
  int threads = 0, workers = 0;
};

/// Documents as they come: arguments, lines, or a field of JSON lines.
class Documents {
 public:
  explicit Documents(const Options& options) : options_(options) {
    if (options.text.empty()) reader_.emplace(options.input.empty() ? "-" : options.input);
  }

  /// Whether next() need not wait.
  bool has_next() { return !reader_ || reader_->has_line(); }

  void warn_of_repairs() const {
    if (reader_) cli::warn_of_repairs(reader_->statistics());
  }

  std::optional<std::string> next() {
    if (!reader_) {
      if (given_ == options_.text.size()) return {};
      const std::string where = "argument " + std::to_string(given_ + 1);
      return argument_line(options_.text[given_++], where);
    }
    const auto line = reader_->next();
    if (!line) return {};
    if (options_.field.empty()) return std::string(*line);
    return data::text_of(data::json_of_line(*line, *reader_), options_.field);
  }

 private:
  const Options& options_;
  std::optional<data::LineReader> reader_;
  std::size_t given_ = 0;
};

class Summarising {
 public:
  explicit Summarising(const Options& options)
      : crew_(options.threads, options.workers),
        loaded_(load_model(options.model, crew_.together(), options.dtype)),
        task_(summary_task(options.model, options.prefix)),
        search_(summary_options(task_, options.decoding, loaded_)),
        translator_(*loaded_.model, loaded_.tokenizer, crew_),
        sink_(options.output) {
    options.search.apply(search_, loaded_.tokenizer, options.decoding.beam, 1);
    search_.beam.nbest = 1;
    search_.shortlist = options.decoding.read_shortlist(loaded_.tokenizer);
  }

  void run(Documents& documents) {
    const Signals signals;
    search_.beam.cancelled = &signals.caught();
    // Documents that have arrived are summarised together, but none waits for one that has not.
    while (auto first = documents.next()) {
      summarise([&] {
        auto given = std::exchange(first, {});
        return given || !documents.has_next() ? given : documents.next();
      });
      if (!signals.caught()) continue;
      sink_.abandon();
      signals.exit_as_caught();
    }
    documents.warn_of_repairs();
    if (shortened_ > 0)
      warn(counted(shortened_, "document") + " read to token " + std::to_string(search_.max_source_tokens) +
           " alone (--max-source-tokens)");
    warnings_.finish();
    sink_.finish();
  }

 private:
  void summarise(const std::function<std::optional<std::string>()>& next) {
    translator_.translate(
        [&]() -> std::optional<decoding::Line> {
          auto text = next();
          if (!text) return {};
          if (!text->empty()) text->insert(0, task_.prefix);
          return decoding::Line{std::move(*text)};
        },
        [&](const Translation& summary) { write(summary); }, search_);
  }

  void write(const Translation& summary) {
    ++line_;
    shortened_ += summary.shortened;
    if (!summary.complete) warnings_.add(line_, "the summary was cut at its greatest length");
    sink_.write(summary.text() + "\n");
  }

  decoding::Crew crew_;
  LoadedModel loaded_;
  models::TaskDefaults task_;
  decoding::TranslateOptions search_;
  decoding::Translator translator_;
  Sink sink_;
  LineWarnings warnings_;
  std::int64_t line_ = 0;
  std::size_t shortened_ = 0;
};

void summarize(const Options& options) {
  if (!options.text.empty() && !options.input.empty())
    throw Error(Error::Kind::usage, "summarize", "text as arguments and --input exclude each other",
                "see fovea summarize --help");
  if (!options.text.empty() && !options.field.empty())
    throw Error(Error::Kind::usage, "--field", "is of JSON lines, not of text as arguments",
                "see fovea summarize --help");
  Documents documents(options);  // opened first: a missing file need not wait for the model
  Summarising(options).run(documents);
}

}  // namespace

void add_summarize(CLI::App& fovea) {
  CLI::App* command =
      fovea.add_subcommand("summarize", "Summarise documents: arguments, lines, or JSON lines");
  const auto options = std::make_shared<Options>();
  command->add_option("text", options->text, "Documents, one an argument; none: read --input")
      ->type_name("TEXT");
  command
      ->add_option("--model", options->model, "Model directory: T5, BART, Pegasus, or one that fovea trained")
      ->required()
      ->type_name("DIR");
  command
      ->add_option("--input", options->input,
                   "Documents, one a line, plain or .gz; - (the default) is standard input")
      ->type_name("FILE");
  command->add_option("--field", options->field, "The input is JSON lines; the member that is the document")
      ->type_name("NAME");
  command
      ->add_option("--output", options->output,
                   "A file for the summaries, written when all are done; - is standard output")
      ->type_name("FILE")
      ->capture_default_str();
  command
      ->add_option("--source-prefix", options->prefix,
                   "What every document begins with (default: as config.json has it, \"summarize: \" of T5)")
      ->type_name("TEXT");
  options->decoding.add_to(*command, false);
  options->dtype.add_to(*command);
  options->search.add_to(*command, "summary", false);
  add_threads_option(*command, options->threads);
  add_workers_option(*command, options->workers);
  command->footer(
      "A line of summary for each document, in order. Of a long document the beginning is read, as many\n"
      "tokens as the model was made for or --max-source-tokens says, and a warning says so.\n"
      "Of JSON lines: fovea summarize --model DIR --input dev.jsonl.gz --field body --no-repeat-ngram 3\n"
      "Example: fovea summarize --model runs/aeslc --input mails.txt --beam 4");
  command->callback([options] { summarize(*options); });
}

}  // namespace fovea::cli
