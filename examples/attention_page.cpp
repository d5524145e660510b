// Attention to look around in: attention_page [MODEL_DIRECTORY [PAGE.html [SENTENCE]]]
// Translates a sentence with a Transformer, records every head of every layer, and writes the page.
#include <cstdio>
#include <filesystem>

#include "fovea/attention/record.h"
#include "fovea/base/file.h"
#include "fovea/decoding/translator.h"
#include "fovea/models/marian.h"
#include "fovea/views/attention_page.h"

namespace {

namespace attention = fovea::attention;
namespace ops = fovea::ops;
using fovea::Tensor;

std::shared_ptr<const ops::Sequences> one_sequence(const std::vector<std::int32_t>& tokens) {
  return ops::Sequences::packed(std::vector<std::int32_t>{0, static_cast<std::int32_t>(tokens.size())});
}

attention::Recording read(const fovea::decoding::Translator& translator, const std::string& sentence,
                          const fovea::kernels::Execution& exec) {
  const auto& model = translator.model();
  const auto& tokenizer = translator.tokenizer();
  const auto translation = translator.translate(std::vector{sentence}).front();
  std::vector<std::int32_t> target = translation.candidates.front().tokens, target_in{model.config().pad};
  if (target.empty() || target.back() != model.config().eos) target.push_back(model.config().eos);
  target_in.insert(target_in.end(), target.begin(), target.end() - 1);

  attention::Record record;
  ops::Context ctx{.exec = exec};
  ctx.recorder = &record;
  const auto S = one_sequence(translation.source), T = one_sequence(target_in);
  model.decode(ctx, target_in, T, model.encode(ctx, translation.source, S), S);

  attention::Recording out{tokenizer.source_pieces(translation.source),
                           tokenizer.target_pieces(target_in),
                           tokenizer.target_pieces(target),
                           {}};
  const auto keep = [&](attention::Side side, int layer, const std::string& place, std::size_t T,
                        std::size_t S) {
    const std::int64_t H = model.config().heads;
    out.layers.push_back({side, layer,
                          record.weights().at(place).reshape(
                              {H, static_cast<std::int64_t>(T), static_cast<std::int64_t>(S)})});
  };
  for (int i = 0; i < model.config().encoder_layers; ++i)
    keep(attention::Side::encoder, i, "encoder." + std::to_string(i), out.source.size(), out.source.size());
  for (int i = 0; i < model.config().decoder_layers; ++i)
    keep(attention::Side::decoder, i, "decoder." + std::to_string(i) + ".self", target.size(), target.size());
  for (int i = 0; i < model.config().decoder_layers; ++i)
    keep(attention::Side::cross, i, "decoder." + std::to_string(i) + ".cross", target.size(),
         out.source.size());
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const std::filesystem::path directory = argc > 1 ? argv[1] : "models/tatoeba-en-de";
    const auto model = fovea::models::load_transformer(directory);
    const auto tokenizer = fovea::text::TranslationTokenizer::read(directory);
    const fovea::kernels::ExecutionOwner threads(1);
    const fovea::decoding::Translator translator(*model, tokenizer, threads.get());
    const auto recording =
        read(translator, argc > 3 ? argv[3] : "The teacher has lost the new pen that she bought in the city.",
             threads.get());
    fovea::write_atomically(argc > 2 ? argv[2] : "attention.html",
                            fovea::views::attention_page(recording, {.title = "What the model looked at",
                                                                     .subtitle = directory.filename()}));
    return 0;
  } catch (const fovea::Error& error) {
    return std::fprintf(stderr, "%s\n", error.what()), error.exit_code();
  }
}
