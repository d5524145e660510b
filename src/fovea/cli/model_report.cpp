#include "fovea/cli/model_report.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <iterator>

#include "fovea/base/error.h"
#include "fovea/cli/common.h"
#include "fovea/cli/model_folder.h"
#include "fovea/decoding/translator.h"
#include "fovea/formats/weights.h"
#include "fovea/models/marian.h"
#include "fovea/models/packed_weights.h"
#include "fovea/models/weights_on_disk.h"
#include "fovea/text/load_tokenizer.h"

namespace fovea::cli {
namespace {

using formats::StoredType;

bool is_read_as_numbers(StoredType type) {
  return type == StoredType::f32 || type == StoredType::bf16 || type == StoredType::f16 ||
         type == StoredType::f64;
}

TensorReport report_on(const formats::Weights& weights, const std::string& name) {
  const auto& info = weights.info(name);
  TensorReport report{name, std::string(formats::name_of(info.type)), info.shape, 0, {}, {}, {}};
  if (!is_read_as_numbers(info.type)) return report;
  const Tensor tensor = weights.read(name);
  double sum = 0;
  std::int64_t finite = 0;
  for (const double value : tensor.values()) {
    if (!std::isfinite(value)) continue;
    sum += value;
    report.least = finite ? std::min(*report.least, value) : value;
    report.greatest = finite ? std::max(*report.greatest, value) : value;
    ++finite;
  }
  if (finite) report.mean = sum / static_cast<double>(finite);
  report.not_finite = tensor.elements() - finite;
  return report;
}

void report_weights(ModelReport& report) {
  const auto weights = formats::Weights::open(report.folder);
  for (const auto& name : weights.names()) {
    report.tensors.push_back(report_on(weights, name));
    report.bytes += weights.info(name).end - weights.info(name).begin;
    if (const auto& tensor = report.tensors.back(); tensor.not_finite > 0)
      report.faults.push_back(printable(name) + ": NaN or infinite in " +
                              counted(static_cast<std::size_t>(tensor.not_finite), "element"));
  }
}

const char* kind_name(text::SentencePieceModel::Kind kind) {
  using Kind = text::SentencePieceModel::Kind;
  switch (kind) {
    case Kind::bpe:
      return "BPE";
    case Kind::word:
      return "words";
    case Kind::chars:
      return "characters";
    case Kind::unigram:
      break;
  }
  return "unigram";
}

// Of a tokenizer that is no SentencePiece model.
VocabularyReport report_of(std::int32_t pieces) {
  VocabularyReport report;
  report.pieces = pieces;
  return report;
}

VocabularyReport report_on(const text::SentencePieceModel& model, const text::Vocabulary& vocabulary) {
  const auto test = model.self_test();
  return {vocabulary.size(),
          kind_name(model.kind()),
          model.has_byte_fallback(),
          std::string(model.normaliser_name()),
          test.samples,
          test.failures};
}

void report_tokenizer(ModelReport& report, const text::TranslationTokenizer& tokenizer) {
  const bool pieces = tokenizer.has_sentencepiece();
  report.source = pieces ? report_on(tokenizer.source_model(), tokenizer.source_vocabulary())
                         : report_of(tokenizer.source_vocabulary().size());
  report.target = pieces ? report_on(tokenizer.target_model(), tokenizer.target_vocabulary())
                         : report_of(tokenizer.target_vocabulary().size());
  report.joint = !tokenizer.has_separate_vocabularies();
  report.source_language = tokenizer.settings().source_language;
  report.target_language = tokenizer.settings().target_language;
}

// Runs `part`; an Error of it becomes a fault.
template <class Part>
bool without_fault(ModelReport& report, const Part& part) {
  try {
    part();
    return true;
  } catch (const Error& error) {
    report.faults.emplace_back(error.what());
    return false;
  }
}

void add(std::vector<std::string>& faults, std::vector<std::string> more) {
  std::ranges::move(more, std::back_inserter(faults));
}

// A model that does not translate, and its tokenizer.
void report_reader(ModelReport& report) {
  without_fault(report, [&] {
    const auto model = models::load_any_model(report.folder);
    report.parameters = model->parameters().count();
    add(report.faults, doubts_of_config(report.folder));
  });
  without_fault(report, [&] { report.source = report_of(text::load_tokenizer(report.folder)->size()); });
}

void report_together(ModelReport& report) {
  std::unique_ptr<models::TranslationModel> model;
  std::optional<text::TranslationTokenizer> tokenizer;
  without_fault(report, [&] {
    model = models::load_translation_model(report.folder);
    report.parameters = model->parameters().count();
  });
  without_fault(report, [&] {
    tokenizer = text::TranslationTokenizer::read(report.folder);
    report_tokenizer(report, *tokenizer);
  });
  if (!model || !tokenizer) return;
  without_fault(report, [&] {
    const kernels::ExecutionOwner exec(1);
    const decoding::Translator agrees(*model, *tokenizer, exec.get());
    add(report.faults, doubts_of_config(report.folder));
    add(report.faults, doubts_of_tokenizer(report.folder, *model, *tokenizer));
  });
}

std::string why_not_marian(const models::TranslationConfig& config, DType stored) {
  const auto* transformer = std::get_if<models::TransformerConfig>(&config);
  const std::string why = transformer ? models::why_not_marian(*transformer) : "it is no Transformer";
  return why.empty() && stored == DType::i8 ? "8-bit integers with scales" : why;
}

std::string adapter_text(const std::filesystem::path& folder, const formats::Weights& weights) {
  const formats::Adapter* adapter = weights.adapter();
  if (!adapter) return {};
  std::int64_t parameters = 0;
  for (const auto& tensor : adapter->file().tensors()) parameters += tensor.elements();
  return "LoRA of rank " + std::to_string(adapter->config().rank) + " on " +
         counted(adapter->pairs().size(), "module") + ", " + std::to_string(parameters) +
         " parameters, added to " + shown(formats::base_of_adapter(folder));
}

std::vector<std::string> packed_types(const formats::Weights& weights) {
  const kernels::ExecutionOwner owner(1);
  std::vector<std::string> types;
  for (const auto& [name, dtype] :
       {std::pair("f32", DType::f32), {"bf16", DType::bf16}, {"int8", DType::i8}}) {
    const auto state = models::packed_state(weights, {owner.get(), dtype});
    if (state != models::PackedState::none)
      types.push_back(name + std::string(state == models::PackedState::current ? "" : " (outdated)"));
  }
  return types;
}

}  // namespace

ModelReport report_on(const std::string& folder) {
  const std::filesystem::path path = folder;
  refuse_checkpoint(path);
  ModelReport report;
  report.folder = folder;
  const auto weights = formats::Weights::open(path);  // says best what is no model directory
  report.adapter = adapter_text(path, weights);
  report.config = models::read_any_config(path);
  without_fault(report, [&] { report_weights(report); });
  without_fault(report, [&] { report.packed = packed_types(weights); });
  if (const auto* translation = std::get_if<models::TranslationConfig>(&report.config)) {
    report.why_not_marian = why_not_marian(*translation, models::stored_as(weights));
    report_together(report);
  } else {
    report_reader(report);
  }
  std::error_code error;
  if (std::filesystem::exists(path / "training.json", error))
    without_fault(report,
                  [&] { report.training = formats::read_json(path / "training.json", Error::Kind::model); });
  return report;
}

}  // namespace fovea::cli
