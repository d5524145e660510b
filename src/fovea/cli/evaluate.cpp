// fovea evaluate: how good translations, summaries, pronunciations, classes or predictions of a text are.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "fovea/base/decimal.h"
#include "fovea/base/error.h"
#include "fovea/cli/by_length.h"
#include "fovea/cli/command.h"
#include "fovea/cli/common.h"
#include "fovea/cli/decoding_options.h"
#include "fovea/cli/evaluate_labels.h"
#include "fovea/cli/language_flags.h"
#include "fovea/cli/model_folder.h"
#include "fovea/cli/perplexity.h"
#include "fovea/cli/pronouncing.h"
#include "fovea/cli/summary_task.h"
#include "fovea/data/json_lines.h"
#include "fovea/data/languages.h"
#include "fovea/data/lines.h"
#include "fovea/metrics/bleu.h"
#include "fovea/metrics/chrf.h"
#include "fovea/metrics/rouge.h"

namespace fovea::cli {
namespace {

struct Options {
  std::string hypothesis, model, source;
  std::vector<std::string> references;
  std::string tokenizer = "13a", metric = "bleu";
  std::string source_field, hypothesis_field, reference_field;  ///< of JSON lines; empty: plain lines
  bool lowercase = false, json = false, stemmer = false;
  LanguageFlags languages;
  DecodingFlags decoding;
  DTypeFlag dtype;
  ByLengthOptions by_length;
  PerplexityFlags perplexity;
  DictionaryOptions dictionary;
  LabelledTest labelled;
  int threads = 0;

  /// Whether a model is to make the translations.
  bool translates() const { return hypothesis.empty(); }
  bool summarises() const { return metric == "rouge"; }
};

struct Scores {
  metrics::BleuScore bleu;
  metrics::ChrfScore chrf;
  std::string bleu_signature, chrf_signature;
};

metrics::BleuOptions bleu_options(const Options& options) {
  metrics::BleuOptions bleu;
  bleu.tokenizer = metrics::parse_mt_tokenizer(options.tokenizer);
  bleu.lowercase = options.lowercase;
  return bleu;
}

Scores score(const std::vector<std::string>& hypotheses, const metrics::References& references,
             const Options& options) {
  const metrics::BleuOptions bleu = bleu_options(options);
  metrics::ChrfOptions chrf;
  chrf.lowercase = options.lowercase;
  return {metrics::corpus_bleu(hypotheses, references, bleu),
          metrics::corpus_chrf(hypotheses, references, chrf),
          metrics::bleu_signature(bleu, references.size()), metrics::chrf_signature(chrf, references.size())};
}

/// One object a metric, with the names SacreBLEU's own JSON uses.
nlohmann::ordered_json as_json(const Scores& scores) {
  const nlohmann::ordered_json bleu = {{"name", "BLEU"},
                                       {"score", scores.bleu.score},
                                       {"signature", scores.bleu_signature},
                                       {"verbose_score", scores.bleu.details()}};
  const nlohmann::ordered_json chrf = {
      {"name", scores.chrf.name}, {"score", scores.chrf.score}, {"signature", scores.chrf_signature}};
  return nlohmann::ordered_json::array({bleu, chrf});
}

std::string as_text(const Scores& scores) {
  return scores.bleu.text(scores.bleu_signature) + "\n" + scores.chrf.text(scores.chrf_signature) + "\n";
}

metrics::RougeOptions rouge_options(const Options& options) {
  const bool characters = options.tokenizer == "char" || options.tokenizer == "zh";
  return {characters ? metrics::RougeTokens::characters : metrics::RougeTokens::words, options.stemmer};
}

void print_rouge(const std::vector<std::string>& summaries, const metrics::References& references,
                 const Options& options) {
  const auto how = rouge_options(options);
  const auto scores = metrics::corpus_rouge(summaries, references, how);
  const std::string signature = metrics::rouge_signature(how, references.size());
  auto json = nlohmann::ordered_json::array();
  std::string text;
  for (const auto& [name, score] : {std::pair{"ROUGE-1", scores.rouge1}, std::pair{"ROUGE-2", scores.rouge2},
                                    std::pair{"ROUGE-L", scores.rougeL}}) {
    json.push_back({{"name", name},
                    {"score", score.f},
                    {"precision", score.precision},
                    {"recall", score.recall},
                    {"signature", signature}});
    text += std::string(name) + "|" + signature + " = " + fixed(score.f, 2) + " (precision " +
            fixed(score.precision, 2) + ", recall " + fixed(score.recall, 2) + ")\n";
  }
  print(options.json ? json.dump(1) + "\n" : text);
}

[[noreturn]] void misused(const std::string& what, const std::string& remedy) {
  throw Error(Error::Kind::usage, "evaluate", what, remedy);
}

/// A text to be predicted stands alone with the model that predicts it.
void check_prediction(const Options& options) {
  const bool translations = !options.hypothesis.empty() || !options.source.empty() ||
                            !options.references.empty() || options.by_length.wanted() ||
                            options.decoding.any();
  if (translations)
    misused("--text asks how well a text is predicted and excludes what is about translations",
            "leave out --hypothesis, --source, --reference and their options");
  if (options.model.empty()) misused("--text needs --model", "name a language model's directory");
}

/// Translations come from a file or from a model, never both.
void check_usage(const Options& options) {
  if (options.perplexity.any_detail())
    misused("--documents, --column, --window and --stride need --text", "name the text to be predicted");
  if (options.dictionary.wanted()) {
    if (!options.hypothesis.empty() || !options.source.empty() || !options.references.empty() ||
        options.by_length.wanted())
      misused("--dictionary excludes texts and what is counted in them", "it holds words and pronunciations");
    if (options.model.empty())
      misused("--dictionary needs --model", "name the directory of one that pronounces");
    return;
  }
  if (options.labelled.header || !options.labelled.columns.empty() || !options.labelled.confusion.empty())
    misused("--columns, --header and --confusion are of a classifier's test", "name --data FILE");
  const auto from_input =
      std::ranges::count(options.references, "-") + (options.source == "-") + (options.hypothesis == "-");
  if (from_input > 1) misused("only one text can be read from standard input", "name files for the others");
  if (options.dictionary.share > 0 || options.dictionary.stress)
    misused("--share and --stress are of a dictionary", "name --dictionary FILE");
  if (options.references.empty())
    misused(
        "--reference is required",
        "name the reference translations; or --data FILE to test a classifier, --text FILE a language model, "
        "--dictionary FILE one that pronounces");
  const bool by_length = options.by_length.wanted();
  const bool names_model = !options.model.empty() || (!options.source.empty() && !by_length);
  if (!options.translates() && (names_model || options.decoding.any()))
    misused("--hypothesis excludes --model, --source and their options",
            "translations are given or made, not both");
  if (options.summarises() && by_length) misused("--by-length is of BLEU", "leave out --metric rouge");
  if (options.stemmer && !options.summarises()) misused("--stem is of ROUGE", "add --metric rouge");
  if (by_length && options.source.empty())
    misused("--by-length needs --source", "name the text that was translated");
  if (options.translates() && options.model.empty() && options.source.empty())
    misused("nothing to score", "name --hypothesis FILE, or --source FILE to be translated by --model DIR");
  if (options.translates() && options.source.empty())
    misused("--model needs --source", "name the text that the model is to translate");
}

std::vector<std::string> texts(const std::string& path, const std::string& field) {
  return field.empty() ? read_text(path) : data::read_json_texts(path, field);
}

/// A file of lines is one reference of each segment; a field of JSON lines that is a list of texts is as many
/// as the longest list has. Shorter ones say their first again, which changes no best match.
metrics::References references_in(const std::string& path, const Options& options) {
  if (options.reference_field.empty()) return {read_text(path)};
  metrics::References references;
  const auto lists = data::read_json_lists(path, options.reference_field);
  std::size_t most = 1;
  for (const auto& list : lists) most = std::max(most, list.size());
  for (std::size_t r = 0; r < most; ++r) {
    auto& stream = references.emplace_back();
    for (const auto& list : lists)
      stream.push_back(list.empty() ? std::string() : r < list.size() ? list[r] : list.front());
  }
  return references;
}

/// Those of all files, of which each has one line a segment, or the scores would compare the wrong sentences.
metrics::References read_references(const Options& options, std::size_t segments) {
  const std::string& counted_file = options.translates() ? options.source : options.hypothesis;
  metrics::References all;
  for (const auto& path : options.references)
    for (auto& stream : references_in(path, options)) {
      if (stream.size() != segments)
        throw Error(Error::Kind::data, shown(path),
                    "has " + counted(stream.size(), "line") + ", but " + shown(counted_file) + " has " +
                        std::to_string(segments),
                    "each line must be the reference of its translation");
      all.push_back(std::move(stream));
    }
  return all;
}

std::vector<std::string> translate(const std::vector<std::string>& source, const Options& options) {
  const std::string folder = model_folder(options.model);
  decoding::Crew crew(options.threads);
  LoadedModel loaded = load_model(folder, crew.together(), options.dtype);
  const auto task =
      options.summarises() ? summary_task(folder) : options.languages.choose(folder, loaded.tokenizer);
  auto how = options.summarises() ? summary_options(task, options.decoding, loaded)
                                  : translate_options(task.generation, options.decoding);
  how.shortlist = options.decoding.read_shortlist(loaded.tokenizer);
  const auto& languages = loaded.tokenizer.settings();
  for (const std::string& reference : options.references)
    if (const auto doubt = data::swapped_languages(options.source, reference, languages.source_language,
                                                   languages.target_language))
      warn(*doubt);
  const decoding::Translator translator(*loaded.model, loaded.tokenizer, crew);
  std::vector<std::string> asked, translations;
  for (const std::string& line : source) asked.push_back(line.empty() ? line : task.prefix + line);
  for (const auto& translation : translator.translate(asked, how)) translations.push_back(translation.text());
  return translations;
}

void test_classifier(const Options& options) {
  if (!options.references.empty() || !options.hypothesis.empty() || !options.source.empty())
    misused("--data excludes --reference, --hypothesis and --source",
            "a classifier or translations are scored");
  evaluate_labels(options.model, options.labelled, options.json, options.dtype.wanted(), options.threads);
}

void evaluate(const Options& options) {
  if (options.perplexity.wanted()) {
    check_prediction(options);
    return print(
        perplexity_report(options.model, options.perplexity, options.dtype, options.threads, options.json));
  }
  if (options.labelled.wanted()) return test_classifier(options);
  check_usage(options);
  if (options.dictionary.wanted()) {
    const auto pronounce = [&](const std::vector<std::string>& words) { return translate(words, options); };
    return print(pronouncing_report(options.dictionary, pronounce, options.json));
  }
  const std::vector<std::string> source =
      options.source.empty() ? std::vector<std::string>{} : texts(options.source, options.source_field);
  auto segments = options.translates() ? source : texts(options.hypothesis, options.hypothesis_field);
  const metrics::References references = read_references(options, segments.size());
  std::vector<LengthSeries> series;
  if (options.by_length.wanted())
    series = read_series(options.by_length, options.hypothesis, options.model, source, segments.size());
  if (options.translates()) segments = translate(segments, options);
  if (options.summarises()) return print_rouge(segments, references, options);
  const Scores scores = score(segments, references, options);
  auto json = as_json(scores);
  std::string text = as_text(scores);
  if (!series.empty()) {
    series.front().translations = segments;
    measure(series, source, references, bleu_options(options), options.by_length);
    if (!options.by_length.curve.empty()) draw(series, options.by_length, options.source);
    json.push_back(by_length_json(series));
    text += "\n" + by_length_table(series);
  }
  print(options.json ? json.dump(1) + "\n" : text);
}

}  // namespace

void add_evaluate(CLI::App& fovea) {
  CLI::App* command =
      fovea.add_subcommand("evaluate",
                           "Score translations and summaries (BLEU, chrF2, ROUGE), pronunciations, "
                           "a classifier or a language model");
  const auto options = std::make_shared<Options>();
  command
      ->add_option("--hypothesis", options->hypothesis,
                   "Translations, one a line, plain or .gz; - is standard input")
      ->type_name("FILE");
  command->add_option("--model", options->model, "Or the model that makes them (default: the bundled one)")
      ->type_name("DIR");
  command
      ->add_option("--source", options->source, "The text that the model translates, or whose lengths count")
      ->type_name("FILE");
  command
      ->add_option("--reference", options->references,
                   "Reference translations, line by line; several are allowed")
      ->type_name("FILE");
  command
      ->add_option(
          "--metric", options->metric,
          "bleu (with chrF2), or of summaries rouge: ROUGE-1, 2 and L, the best of several references")
      ->check(CLI::IsMember({"bleu", "rouge"}))
      ->type_name("")
      ->capture_default_str();
  command->add_flag("--stem", options->stemmer, "ROUGE by Porter's stems, of English");
  command
      ->add_option("--source-field", options->source_field,
                   "The source is JSON lines; the member that is the text")
      ->type_name("NAME");
  command->add_option("--hypothesis-field", options->hypothesis_field, "Likewise of --hypothesis")
      ->type_name("NAME");
  command
      ->add_option("--reference-field", options->reference_field,
                   "Likewise of --reference; a list of texts is several references")
      ->type_name("NAME");
  options->languages.add_to(*command);
  command->add_flag("--lowercase", options->lowercase, "Ignore case");
  command
      ->add_option("--tokenize", options->tokenizer,
                   "How BLEU cuts words: 13a, zh, char, intl or none; for ROUGE zh and char are characters")
      ->check(CLI::IsMember({"13a", "zh", "char", "intl", "none"}))
      ->type_name("")
      ->capture_default_str();
  command->add_flag("--json", options->json, "Print scores, signatures and details as JSON");
  options->decoding.add_to(*command);
  options->dtype.add_to(*command);
  options->by_length.add_to(*command);
  options->perplexity.add_to(*command);
  options->dictionary.add_to(*command);
  options->labelled.add_to(*command);
  add_threads_option(*command, options->threads);
  command->footer(
      "Of two systems: fovea evaluate --hypothesis a.de --series \"attention=b.de\" --source test.en "
      "--reference "
      "test.de --curve curve.svg\n"
      "Of a classifier: fovea evaluate --model DIR --data test.tsv --confusion confusion.svg\n"
      "Of a model: fovea evaluate --model DIR --source test.en --reference test.de\n"
      "Of a language model: fovea evaluate --model DIR --text test.txt\n"
      "Of phonemes: fovea evaluate --model DIR --dictionary cmudict.dict\n"
      "Example: fovea evaluate --hypothesis <(echo Der Hund rennt schnell weg.) --reference "
      "<(echo Der Hund rennt weg.)");
  command->callback([options] { evaluate(*options); });
}

}  // namespace fovea::cli
