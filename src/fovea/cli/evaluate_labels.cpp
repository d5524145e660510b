#include "fovea/cli/evaluate_labels.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>

#include "fovea/base/error.h"
#include "fovea/base/file.h"
#include "fovea/cli/common.h"
#include "fovea/cli/evaluate_tags.h"
#include "fovea/cli/labelled_words.h"
#include "fovea/cli/model_folder.h"
#include "fovea/cli/text_lines.h"
#include "fovea/data/labelled_text.h"
#include "fovea/data/labels.h"
#include "fovea/formats/json_writer.h"
#include "fovea/metrics/classification.h"
#include "fovea/models/classifier_folder.h"
#include "fovea/text/load_tokenizer.h"
#include "fovea/views/confusion.h"

namespace fovea::cli {
namespace {

using metrics::ClassificationScores;
using metrics::ClassScore;
using metrics::ConfusionMatrix;

data::LabelledText read(const LabelledTest& test) {
  const std::vector<std::int64_t> columns =
      test.columns.empty() ? std::vector<std::int64_t>{1, 2} : test.columns;
  if (columns.size() < 2 || columns.size() > 3)
    throw Error(Error::Kind::usage, "--columns", "names " + std::to_string(columns.size()) + " columns",
                "name those of the text and the label, or of two texts and the label");
  const auto column = [&](std::size_t i) { return static_cast<int>(columns[i]); };
  const bool pairs = columns.size() == 3;
  return data::read_labelled({.path = test.data,
                              .text = column(0),
                              .second = pairs ? column(1) : 0,
                              .label = column(pairs ? 2 : 1),
                              .header = test.header});
}

ConfusionMatrix measure(const models::TextClassifier& model, const data::Labels& labels,
                        const decoding::TextEncoder& encoder, const data::LabelledText& text,
                        const std::string& file, const ops::Context& ctx) {
  ConfusionMatrix matrix(labels.size());
  std::vector<text::Encoding> encodings;
  std::vector<std::int32_t> gold;
  for (std::size_t i = 0; i < text.text.size(); ++i) {
    const std::string where = shown(file) + ":" + std::to_string(text.line[i]);
    gold.push_back(labels.at(text.label[i], where));
    decoding::InputText input{text.text[i]};
    if (!text.second.empty()) input.second = text.second[i];
    encodings.push_back(encoder.encode(input));
    if (encodings.back().ids.empty()) throw Error(Error::Kind::data, where, "has no token");
  }
  const auto p = decoding::classify(ctx, model, encodings);
  for (std::size_t i = 0; i < p.size(); ++i)
    matrix.add(gold[i], static_cast<std::int64_t>(decoding::greatest(p[i], 1).front()));
  return matrix;
}

std::string report_line(std::string name, const ClassScore& score) {
  char numbers[96];
  std::snprintf(numbers, sizeof numbers, "  %9.4f  %6.4f  %6.4f  %7lld\n", score.precision, score.recall,
                score.f1, static_cast<long long>(score.support));
  name.resize(std::max<std::size_t>(name.size(), 16), ' ');
  return name + numbers;
}

std::string as_text(const ClassificationScores& scores, const data::Labels& labels) {
  char accuracy[64];
  std::snprintf(accuracy, sizeof accuracy, "accuracy %.4f\n\n", scores.accuracy);
  std::string text = accuracy + std::string("class             precision  recall      f1    texts\n");
  for (std::size_t c = 0; c < scores.classes.size(); ++c)
    text += report_line(printable(labels.names()[c], 60), scores.classes[c]);
  return text + report_line("macro mean", scores.macro) + report_line("weighted mean", scores.weighted);
}

void write_score(formats::JsonWriter& json, const ClassScore& score) {
  json.field("precision", score.precision).field("recall", score.recall).field("f1", score.f1);
  json.field("texts", score.support).end_object();
}

std::string as_json(const ClassificationScores& scores, const ConfusionMatrix& matrix,
                    const data::Labels& labels) {
  formats::JsonWriter json;
  json.begin_object().field("accuracy", scores.accuracy);
  write_score(json.key("macro").begin_object(), scores.macro);
  write_score(json.key("weighted").begin_object(), scores.weighted);
  json.key("classes").begin_array();
  for (std::size_t c = 0; c < scores.classes.size(); ++c)
    write_score(json.begin_object().field("label", labels.names()[c]), scores.classes[c]);
  json.end_array().key("confusion").begin_array();
  for (std::int64_t g = 0; g < matrix.classes(); ++g) {
    json.begin_array();
    for (std::int64_t p = 0; p < matrix.classes(); ++p) json.value(matrix.count(g, p));
    json.end_array();
  }
  return json.end_array().end_object().finish();
}

}  // namespace

void draw_confusion(const LabelledTest& test, const ConfusionMatrix& matrix,
                    const std::vector<std::string>& names) {
  views::ConfusionTable table{names, {}};
  for (std::int64_t g = 0; g < matrix.classes(); ++g)
    for (std::int64_t p = 0; p < matrix.classes(); ++p) table.counts.push_back(matrix.count(g, p));
  const std::string name = std::filesystem::path(test.data).filename().string();
  write_atomically(test.confusion, views::confusion_svg(table, "Confusion matrix of " + name));
}

void LabelledTest::add_to(CLI::App& command) {
  command.option_defaults()->group("Accuracy of a classifier");
  command
      .add_option(
          "--data", data,
          "Texts with their labels in tab-separated columns, plain or .gz; for a model that labels words "
          "CoNLL columns or JSON lines")
      ->type_name("FILE");
  command
      .add_option(
          "--columns", columns,
          "Columns of text and label, or of two texts and the label (default: 1,2; for words 1 and the last)")
      ->delimiter(',')
      ->check(CLI::Range(1, 1000))
      ->type_name("N,N");
  command.add_flag("--header", header, "The first line of --data names the columns");
  command.add_option("--confusion", confusion, "Draw what was taken for what, an SVG")->type_name("FILE");
  command.option_defaults()->group("Options");
}

void evaluate_labels(const std::string& folder, const LabelledTest& test, bool json,
                     std::optional<DType> weights, int threads) {
  if (folder.empty())
    throw Error(Error::Kind::usage, "evaluate", "--data needs --model", "name the classifier");
  refuse_checkpoint(folder);
  if (labels_words(folder)) return evaluate_tags(folder, test, json, weights, threads);
  const kernels::ExecutionOwner owner(threads);
  ops::Context ctx;
  ctx.exec = owner.get();
  const auto model = models::load_classifier(folder, ctx.exec, weights);
  if (model->classes().problem != models::Problem::single_label)
    throw Error(Error::Kind::model, shown(folder), "does not say of a text which one class it is of",
                "accuracy and F1 are of such models");
  const decoding::TextEncoder encoder(text::load_tokenizer(folder, text::Lengths::free), model->vocabulary(),
                                      model->max_tokens(), shown(folder));
  const data::Labels labels(model->classes().names);
  const auto matrix = measure(*model, labels, encoder, read(test), test.data, ctx);
  const auto scores = metrics::classification_scores(matrix);
  if (!test.confusion.empty()) draw_confusion(test, matrix, labels.names());
  print(json ? as_json(scores, matrix, labels) : as_text(scores, labels));
  warn_of_cuts(encoder);
}

}  // namespace fovea::cli
