// What an encoder-decoder's directory gives, for peers/open_encoder_decoders.py to hold against another
// library.
//   encoder_decoder_outputs MODEL REQUEST.json LOGITS.safetensors [COPY]
// The request: {"pairs": [{"source": [ID], "target": [ID]}], "max_length": N, "forced_first": ID or -1}.
// LOGITS gets "whole" and "stepped" [sum of target lengths, V]: logits of each target token given those
// before it, from one pass and token by token. Standard output is a JSON object: of each pair's source the
// "greedy" and the "beam" hypothesis (4 beams), of at most max_length tokens. COPY, if given, is a directory
// that the model is written to.
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "fovea/base/error.h"
#include "fovea/base/file.h"
#include "fovea/decoding/beam_search.h"
#include "fovea/decoding/logit_processor.h"
#include "fovea/decoding/translation_decoder.h"
#include "fovea/formats/json.h"
#include "fovea/formats/json_writer.h"
#include "fovea/models/transformer_folder.h"
#include "fovea/models/translation_folder.h"

namespace fovea {
namespace {

using formats::Json;
using formats::JsonWriter;
using Ids = std::vector<std::int32_t>;

Ids ids_of(const Json& array) {
  Ids ids;
  for (const Json& id : array.elements()) ids.push_back(static_cast<std::int32_t>(id.integer(0, 1 << 24)));
  return ids;
}

struct Pairs {
  std::vector<Ids> sources, targets;
};

Pairs pairs_of(const Json& request) {
  Pairs pairs;
  for (const Json& pair : request.at("pairs").elements()) {
    pairs.sources.push_back(ids_of(pair.at("source")));
    pairs.targets.push_back(ids_of(pair.at("target")));
  }
  return pairs;
}

// What the decoder reads for a target.
Ids shifted(const models::TranslationModel& model, const Ids& target) {
  Ids in{model.vocabulary().start};
  in.insert(in.end(), target.begin(), target.end() - 1);
  return in;
}

Tensor whole(const ops::Context& ctx, const models::TranslationModel& model, const Pairs& pairs) {
  Ids source, in, out, source_start{0}, target_start{0};
  for (std::size_t i = 0; i < pairs.sources.size(); ++i) {
    const Ids read = shifted(model, pairs.targets[i]);
    source.insert(source.end(), pairs.sources[i].begin(), pairs.sources[i].end());
    in.insert(in.end(), read.begin(), read.end());
    out.insert(out.end(), pairs.targets[i].begin(), pairs.targets[i].end());
    source_start.push_back(static_cast<std::int32_t>(source.size()));
    target_start.push_back(static_cast<std::int32_t>(in.size()));
  }
  return model.predict(ctx, {source, source_start, in, out, target_start});
}

void stepped(const ops::Context& ctx, const models::TranslationModel& model, const Pairs& pairs, float* to) {
  for (std::size_t i = 0; i < pairs.sources.size(); ++i) {
    const auto state = model.start(ctx, {&pairs.sources[i], 1});
    for (const std::int32_t token : shifted(model, pairs.targets[i])) {
      const Tensor logits = model.step(ctx, *state, {&token, 1});
      to = std::copy_n(logits.f32(), logits.elements(), to);
    }
  }
}

void write_search(JsonWriter& json, const models::TranslationModel& model, const kernels::Execution& exec,
                  const Json& request, const Pairs& pairs, std::int64_t beam) {
  decoding::BeamOptions options;
  options.beam = beam;
  options.max_length = request.at("max_length").integer(1, 1 << 20);
  options.max_length_ratio = 0.0;
  options.max_length_extra = options.max_length;
  if (const auto first = request.at("forced_first").integer(-1, 1 << 24); first >= 0)
    options.processors.push_back(std::make_shared<decoding::ForceFirst>(static_cast<std::int32_t>(first)));
  const decoding::TranslationDecoder decoder(model, exec);
  json.begin_array();
  for (const auto& hypotheses : decoding::beam_search(decoder, pairs.sources, options)) {
    const auto& best = hypotheses.front();
    json.begin_object().field("score", best.score).field("complete", best.complete);
    json.key("tokens").begin_array();
    for (const auto id : best.tokens) json.value(id);
    json.end_array().end_object();
  }
  json.end_array();
}

void save(const std::string& folder, const models::TranslationModel& model, const char* copy) {
  const std::filesystem::path target(copy);
  const auto weights = formats::Weights::open(folder);
  auto config =
      models::read_translation_config(formats::read_json(folder + "/config.json", Error::Kind::model));
  if (auto* transformer = std::get_if<models::TransformerConfig>(&config))
    *transformer = models::agreed(*transformer, weights);
  write_atomically(target / "config.json", models::config_json(config, {}, DType::f32));
  model.weights_file(DType::f32, {{"format", "pt"}}).save(target / "model.safetensors");
}

void run(const std::string& folder, const char* request_file, const char* logits_file, const char* copy) {
  const Json request = formats::read_json(request_file, Error::Kind::data);
  const Pairs pairs = pairs_of(request);
  const kernels::ExecutionOwner owner(1);
  ops::Context ctx;
  ctx.exec = owner.get();
  const auto model = models::load_for_inference(folder, owner.get());
  const Tensor all = whole(ctx, *model, pairs), by_step = Tensor::empty(all.shape());
  stepped(ctx, *model, pairs, by_step.f32());
  formats::SafetensorsWriter logits;
  logits.add("whole", all);
  logits.add("stepped", by_step);
  logits.save(logits_file);
  JsonWriter json(JsonWriter::Layout::compact);
  json.begin_object();
  write_search(json.key("greedy"), *model, owner.get(), request, pairs, 1);
  write_search(json.key("beam"), *model, owner.get(), request, pairs, 4);
  std::puts(json.end_object().finish().c_str());
  if (copy) save(folder, *models::load_translation_model(folder), copy);
}

}  // namespace
}  // namespace fovea

int main(int argc, char** argv) try {
  if (argc < 4 || argc > 5) {
    std::fputs("encoder_decoder_outputs MODEL REQUEST.json LOGITS.safetensors [COPY]\n", stderr);
    return 2;
  }
  fovea::run(argv[1], argv[2], argv[3], argc == 5 ? argv[4] : nullptr);
  return 0;
} catch (const fovea::Error& error) {
  std::fprintf(stderr, "encoder_decoder_outputs: %s\n", error.what());
  return 1;
}
