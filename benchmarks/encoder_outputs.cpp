// What an encoder's directory gives, for peers/open_encoders.py to hold against another library.
//   encoder_outputs MODEL REQUEST.json OUT.safetensors [COPY]
// The request: {"texts": [[ID]], "types": [[TYPE]]}. OUT gets "states" [N, D] of a model without a head (and
// "pooled" [B, D] if it has a pooler), "logits" of texts [B, C], or of tokens [N, C] or [N, V]. COPY, if
// given, is a directory that the model is written to.
#include <cstdio>
#include <string>
#include <vector>

#include "fovea/base/error.h"
#include "fovea/base/file.h"
#include "fovea/formats/json.h"
#include "fovea/models/classifier_folder.h"

namespace fovea {
namespace {

struct Request {
  std::vector<std::int32_t> tokens, types, start{0};

  models::TextBatch batch() const { return {tokens, types, start}; }
};

Request read_request(const char* path) {
  Request request;
  const auto json = formats::read_json(path, Error::Kind::data);
  for (const auto& text : json.at("texts").elements()) {
    for (const auto& id : text.elements())
      request.tokens.push_back(static_cast<std::int32_t>(id.integer(0, 1 << 24)));
    request.start.push_back(static_cast<std::int32_t>(request.tokens.size()));
  }
  for (const auto& text : json.at("types").elements())
    for (const auto& type : text.elements())
      request.types.push_back(static_cast<std::int32_t>(type.integer(0, 1 << 24)));
  return request;
}

void run(const std::string& folder, const char* request_file, const char* out_file, const char* copy) {
  using Head = models::BertConfig::Head;
  const auto model = models::load_bert(folder);
  const auto request = read_request(request_file);
  const kernels::ExecutionOwner owner(1);
  ops::Context ctx;
  ctx.exec = owner.get();
  formats::SafetensorsWriter out;
  const Head head = model->config().head;
  if (head == Head::none) {
    const Tensor states = model->states(ctx, request.batch());
    out.add("states", states);
    if (model->config().pooler) out.add("pooled", model->pooled(ctx, states, request.batch()));
  } else {
    out.add("logits", head == Head::text ? model->logits(ctx, request.batch())
                                         : model->token_logits(ctx, request.batch()));
  }
  out.save(out_file);
  if (!copy) return;
  const std::filesystem::path target(copy);
  write_atomically(target / "config.json", models::config_json(model->config(), DType::f32));
  model->weights_file(DType::f32, {{"format", "pt"}}).save(target / "model.safetensors");
}

}  // namespace
}  // namespace fovea

int main(int argc, char** argv) try {
  if (argc < 4 || argc > 5) {
    std::fputs("encoder_outputs MODEL REQUEST.json OUT.safetensors [COPY]\n", stderr);
    return 2;
  }
  fovea::run(argv[1], argv[2], argv[3], argc == 5 ? argv[4] : nullptr);
  return 0;
} catch (const fovea::Error& error) {
  std::fprintf(stderr, "encoder_outputs: %s\n", error.what());
  return 1;
}
