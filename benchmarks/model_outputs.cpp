// What a model directory gives at every stage, for peers/open_marian.py to hold against another library.
//   model_outputs MODEL REQUEST.json LOGITS.safetensors
// The request, all keys but the texts and pairs with a default:
//   {"source_texts": [TEXT], "target_texts": [TEXT], "pairs": [{"source": [ID], "target": [ID]}],
//    "beam": 5, "length_penalty": 1.0, "max_length": 64}
// Ids end in eos. Standard output is a JSON object: "source_ids" and "target_ids" of the texts, "decoded":
// the target ids as text again; "greedy" and "beam": the n best of each pair's source, n = beam, of at most
// max_length tokens. "logits" [sum of target lengths, V] of the pairs, each target token given those before
// it, go to the safetensors file.
#include <cstdio>
#include <string>
#include <vector>

#include "fovea/base/error.h"
#include "fovea/decoding/beam_search.h"
#include "fovea/decoding/translation_decoder.h"
#include "fovea/formats/json.h"
#include "fovea/formats/json_writer.h"
#include "fovea/models/marian.h"
#include "fovea/text/translation_tokenizer.h"

namespace fovea {
namespace {

using formats::Json;
using formats::JsonWriter;
using Ids = std::vector<std::int32_t>;

struct Pair {
  Ids source, target;
};

Ids ids_of(const Json& array) {
  Ids ids;
  for (const Json& id : array.elements()) ids.push_back(static_cast<std::int32_t>(id.integer(0, 1 << 24)));
  return ids;
}

std::vector<Pair> pairs_of(const Json& request) {
  std::vector<Pair> pairs;
  for (const Json& pair : request.at("pairs").elements())
    pairs.push_back({ids_of(pair.at("source")), ids_of(pair.at("target"))});
  return pairs;
}

void write_ids(JsonWriter& json, const Ids& ids) {
  json.begin_array();
  for (const auto id : ids) json.value(id);
  json.end_array();
}

void write_tokens(JsonWriter& json, const Json& request, const text::TranslationTokenizer& tokenizer) {
  json.key("source_ids").begin_array();
  for (const Json& text : request.at("source_texts").elements())
    write_ids(json, tokenizer.encode_source(text.text()));
  json.end_array().key("target_ids").begin_array();
  for (const Json& text : request.at("target_texts").elements())
    write_ids(json, tokenizer.encode_target(text.text()));
  json.end_array().key("decoded").begin_array();
  for (const Json& text : request.at("target_texts").elements())
    json.value(tokenizer.decode_target(tokenizer.encode_target(text.text())));
  json.end_array();
}

// Logits of each token of every target, given the tokens before it.
Tensor forced_logits(const ops::Context& ctx, const models::Transformer& model,
                     const std::vector<Pair>& pairs) {
  Ids source, target_in, source_start{0}, target_start{0};
  for (const Pair& pair : pairs) {
    source.insert(source.end(), pair.source.begin(), pair.source.end());
    target_in.push_back(model.config().pad);
    target_in.insert(target_in.end(), pair.target.begin(), pair.target.end() - 1);
    source_start.push_back(static_cast<std::int32_t>(source.size()));
    target_start.push_back(static_cast<std::int32_t>(target_in.size()));
  }
  const auto sources = models::Sequences::packed(source_start);
  const Tensor memory_MD = model.encode(ctx, source, sources);
  return model.logits(
      ctx, model.decode(ctx, target_in, models::Sequences::packed(target_start), memory_MD, sources));
}

void write_search(JsonWriter& json, const std::vector<Pair>& pairs,
                  const decoding::TranslationDecoder& decoder, const decoding::BeamOptions& options,
                  const text::TranslationTokenizer& tokenizer) {
  std::vector<Ids> sources;
  for (const Pair& pair : pairs) sources.push_back(pair.source);
  json.begin_array();
  for (const auto& hypotheses : decoding::beam_search(decoder, sources, options)) {
    json.begin_array();
    for (const auto& one : hypotheses) {
      json.begin_object().field("score", one.score).field("complete", one.complete);
      json.field("text", tokenizer.decode_target(one.tokens)).key("tokens");
      write_ids(json, one.tokens);
      json.end_object();
    }
    json.end_array();
  }
  json.end_array();
}

void run(const char* folder, const char* request_file, const char* logits_file) {
  const auto model = models::load_transformer(folder);
  const auto tokenizer = text::TranslationTokenizer::read(folder);
  const Json request = formats::read_json(request_file, Error::Kind::data);
  const auto pairs = pairs_of(request);
  const kernels::ExecutionOwner owner(1);
  ops::Context ctx;
  ctx.exec = owner.get();

  formats::SafetensorsWriter logits;
  logits.add("logits", forced_logits(ctx, *model, pairs));
  logits.save(logits_file);

  decoding::BeamOptions options;
  options.length_penalty.alpha = request.number_or("length_penalty", 1.0);
  options.max_length = request.integer_or("max_length", 64, 1, 1 << 20);
  options.max_length_ratio = 0.0;
  options.max_length_extra = options.max_length;
  const decoding::TranslationDecoder decoder(*model, owner.get());
  JsonWriter json(JsonWriter::Layout::compact);
  json.begin_object();
  write_tokens(json, request, tokenizer);
  for (const auto& [name, beam] : {std::pair<const char*, std::int64_t>{"greedy", 1},
                                   {"beam", request.integer_or("beam", 5, 1, 1024)}}) {
    options.beam = options.nbest = beam;
    json.key(name);
    write_search(json, pairs, decoder, options, tokenizer);
  }
  std::puts(json.end_object().finish().c_str());
}

}  // namespace
}  // namespace fovea

int main(int argc, char** argv) try {
  if (argc != 4) return std::fprintf(stderr, "model_outputs MODEL REQUEST.json LOGITS.safetensors\n"), 2;
  fovea::run(argv[1], argv[2], argv[3]);
  return 0;
} catch (const fovea::Error& error) {
  return std::fprintf(stderr, "%s\n", error.what()), static_cast<int>(error.kind());
}
