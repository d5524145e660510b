// What a language model's directory gives, for peers/open_language_models.py to hold against another library.
//   language_outputs MODEL REQUEST.json LOGITS.safetensors [COPY]
// The request: {"texts": [[ID]]}. LOGITS gets "whole" and "stepped" [sum of lengths, V]: logits of what
// follows each token, with all of a text in one pass, and with its second half token by token. COPY, if
// given, is a directory that the model is written to.
#include <cstdio>
#include <string>
#include <vector>

#include "fovea/base/error.h"
#include "fovea/base/file.h"
#include "fovea/formats/json.h"
#include "fovea/models/language_folder.h"

namespace fovea {
namespace {

using Ids = std::vector<std::int32_t>;

std::vector<Ids> texts_of(const formats::Json& request) {
  std::vector<Ids> texts;
  for (const auto& text : request.at("texts").elements()) {
    texts.emplace_back();
    for (const auto& id : text.elements())
      texts.back().push_back(static_cast<std::int32_t>(id.integer(0, 1 << 24)));
  }
  return texts;
}

Tensor whole(const ops::Context& ctx, const models::LanguageModel& model, const std::vector<Ids>& texts) {
  Ids packed, start{0};
  for (const Ids& text : texts) {
    packed.insert(packed.end(), text.begin(), text.end());
    start.push_back(static_cast<std::int32_t>(packed.size()));
  }
  return model.predict(ctx, packed, start);
}

// The logits of a text's first half from one pass, those of its second token by token.
void stepped(const ops::Context& ctx, const models::LanguageModel& model, const Ids& text, float* to) {
  const std::size_t half = text.size() / 2;
  const Ids beginning(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(half));
  const Tensor first = whole(ctx, model, {beginning});
  to = std::copy_n(first.f32(), first.elements(), to);
  const auto state = model.start(ctx, std::vector<Ids>{beginning});
  for (std::size_t t = half; t < text.size(); ++t) {
    const Tensor logits = model.step(ctx, *state, {&text[t], 1});
    to = std::copy_n(logits.f32(), logits.elements(), to);
  }
}

void run(const std::string& folder, const char* request_file, const char* logits_file, const char* copy) {
  const auto model = models::load_language_model(folder);
  const auto texts = texts_of(formats::read_json(request_file, Error::Kind::data));
  const kernels::ExecutionOwner owner(1);
  ops::Context ctx;
  ctx.exec = owner.get();
  const Tensor all = whole(ctx, *model, texts), by_step = Tensor::empty(all.shape());
  float* to = by_step.f32();
  for (const Ids& text : texts) {
    stepped(ctx, *model, text, to);
    to += std::ssize(text) * all.dim(1);
  }
  formats::SafetensorsWriter logits;
  logits.add("whole", all);
  logits.add("stepped", by_step);
  logits.save(logits_file);
  if (!copy) return;
  const std::filesystem::path target(copy);
  const auto config =
      models::read_language_config(formats::read_json(folder + "/config.json", Error::Kind::model));
  write_atomically(target / "config.json", models::config_json(config, DType::f32));
  model->weights_file(DType::f32, {{"format", "pt"}}).save(target / "model.safetensors");
}

}  // namespace
}  // namespace fovea

int main(int argc, char** argv) try {
  if (argc < 4 || argc > 5) {
    std::fputs("language_outputs MODEL REQUEST.json LOGITS.safetensors [COPY]\n", stderr);
    return 2;
  }
  fovea::run(argv[1], argv[2], argv[3], argc == 5 ? argv[4] : nullptr);
  return 0;
} catch (const fovea::Error& error) {
  std::fprintf(stderr, "language_outputs: %s\n", error.what());
  return 1;
}
