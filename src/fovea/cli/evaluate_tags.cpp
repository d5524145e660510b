#include "fovea/cli/evaluate_tags.h"

#include <algorithm>
#include <cstdio>
#include <utility>
#include <vector>

#include "fovea/base/error.h"
#include "fovea/base/file.h"
#include "fovea/cli/common.h"
#include "fovea/decoding/tagged_encoder.h"
#include "fovea/decoding/text_encoder.h"
#include "fovea/decoding/word_tagger.h"
#include "fovea/formats/json_writer.h"
#include "fovea/metrics/entities.h"
#include "fovea/models/classifier_folder.h"
#include "fovea/text/load_tokenizer.h"

namespace fovea::cli {
namespace {

using metrics::ClassScore;
using metrics::EntityCounter;
using metrics::EntityMode;
using metrics::EntityScores;

data::TaggedText read(const LabelledTest& test) {
  if (!test.columns.empty() && test.columns.size() != 2)
    throw Error(Error::Kind::usage, "--columns", "names " + std::to_string(test.columns.size()) + " columns",
                "name those of the word and its label");
  data::TaggedFile file{.path = test.data};
  if (!test.columns.empty()) {
    file.word = static_cast<int>(test.columns[0]);
    file.label = static_cast<int>(test.columns[1]);
  }
  return data::read_tagged(file);
}

/// What was found: counts over all words.
struct Found {
  explicit Found(const std::vector<std::string>& names)
      : names(names),
        of_entities(metrics::are_entity_labels(names)),
        words(std::ssize(names)),
        lenient(EntityMode::lenient, metrics::scheme_of(names)),
        strict(EntityMode::strict, metrics::scheme_of(names)) {}

  // A word; without logits, as it has no token, it is taken as none of an entity.
  void add_word(std::int32_t label, std::span<const float> logits) {
    gold.push_back(names[static_cast<std::size_t>(label)]);
    predicted.emplace_back("O");
    if (!logits.empty()) {
      const auto best = std::ranges::max_element(logits) - logits.begin();
      predicted.back() = names[static_cast<std::size_t>(best)];
      words.add(label, best);
    }
    ++all;
    right += predicted.back() == gold.back();
  }
  void add_sentence() {
    if (of_entities) {
      lenient.add(gold, predicted);
      strict.add(gold, predicted);
    }
    gold.clear();
    predicted.clear();
  }

  const std::vector<std::string>& names;
  bool of_entities;
  metrics::ConfusionMatrix words;  // with a token
  std::int64_t all = 0, right = 0;
  EntityCounter lenient, strict;
  std::vector<std::string> gold, predicted;  // of one sentence

  double accuracy() const { return static_cast<double>(right) / static_cast<double>(all); }
};

Found measure(const ops::Context& ctx, const models::Bert& model, const decoding::EncodedTags& tags) {
  Found found(model.classes().names);
  decoding::for_each_word(ctx, model, tags,
                          [&](std::int32_t label, std::span<const float> logits, bool is_last) {
                            found.add_word(label, logits);
                            if (is_last) found.add_sentence();
                          });
  return found;
}

std::string line_of(std::string name, const ClassScore& score) {
  char numbers[96];
  std::snprintf(numbers, sizeof numbers, "  %9.4f  %6.4f  %6.4f  %8lld\n", score.precision, score.recall,
                score.f1, static_cast<long long>(score.support));
  name.resize(std::max<std::size_t>(name.size(), 16), ' ');
  return name + numbers;
}

std::string table(const std::string& title, const EntityScores& scores) {
  std::string text = "\n" + title + "\nentity            precision  recall      f1  entities\n";
  for (const auto& [type, score] : scores.types) text += line_of(printable(type, 60), score);
  return text + line_of("micro mean", scores.micro) + line_of("macro mean", scores.macro) +
         line_of("weighted mean", scores.weighted);
}

std::string table_of_labels(const Found& found) {
  const auto scores = metrics::classification_scores(found.words);
  std::string text = "\nlabel             precision  recall      f1     words\n";
  for (std::size_t c = 0; c < scores.classes.size(); ++c)
    text += line_of(printable(found.names[c], 60), scores.classes[c]);
  return text + line_of("macro mean", scores.macro) + line_of("weighted mean", scores.weighted);
}

std::string as_text(const Found& found) {
  char accuracy[80];
  std::snprintf(accuracy, sizeof accuracy, "accuracy %.4f of %lld words\n", found.accuracy(),
                static_cast<long long>(found.all));
  if (!found.of_entities) return accuracy + table_of_labels(found);
  return accuracy + table("lenient, as seqeval and conlleval count by default", found.lenient.scores()) +
         table("strict, as seqeval counts with mode='strict'", found.strict.scores());
}

void write_score(formats::JsonWriter& json, const ClassScore& score) {
  json.field("precision", score.precision).field("recall", score.recall).field("f1", score.f1);
  json.field("support", score.support).end_object();
}

void write_entities(formats::JsonWriter& json, std::string_view name, const EntityScores& scores) {
  json.key(name).begin_object();
  write_score(json.key("micro").begin_object(), scores.micro);
  write_score(json.key("macro").begin_object(), scores.macro);
  write_score(json.key("weighted").begin_object(), scores.weighted);
  json.key("types").begin_array();
  for (const auto& [type, score] : scores.types) write_score(json.begin_object().field("type", type), score);
  json.end_array().end_object();
}

std::string as_json(const Found& found) {
  formats::JsonWriter json;
  json.begin_object().field("accuracy", found.accuracy()).field("words", found.all);
  if (found.of_entities) {
    write_entities(json, "entities", found.lenient.scores());
    write_entities(json, "strict", found.strict.scores());
  }
  const auto scores = metrics::classification_scores(found.words);
  json.key("labels").begin_array();
  for (std::size_t c = 0; c < scores.classes.size(); ++c)
    write_score(json.begin_object().field("label", found.names[c]), scores.classes[c]);
  return json.end_array().end_object().finish();
}

}  // namespace

void evaluate_tags(const std::string& folder, const LabelledTest& test, bool json,
                   std::optional<DType> weights, int threads) {
  if (test.header)
    throw Error(Error::Kind::usage, "--header", "columns of words have no names", "leave it out");
  const kernels::ExecutionOwner owner(threads);
  ops::Context ctx;
  ctx.exec = owner.get();
  const auto model = models::load_bert(folder, ctx.exec, {}, weights);
  const decoding::TextEncoder encoder(text::load_tokenizer(folder, text::Lengths::free), model->vocabulary(),
                                      model->max_tokens(), shown(folder));
  const auto encoded = decoding::encode_tagged(read(test), test.data, encoder.tokenizer(),
                                               data::Labels(model->classes().names), encoder.max_tokens());
  const auto found = measure(ctx, *model, encoded);
  if (!test.confusion.empty()) draw_confusion(test, found.words, found.names);
  print(json ? as_json(found) : as_text(found));
  if (encoded.lost_words > 0)
    warn(counted(static_cast<std::size_t>(encoded.lost_words), "word") +
         " beyond what the model reads, or of nothing that it knows: taken as labelled O");
}

}  // namespace fovea::cli
