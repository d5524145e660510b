// Attention to look around in: attention_page [MODEL_DIRECTORY [PAGE.html [SENTENCE [TRANSLATION]]]]
// Translates a sentence (or takes the translation), records every head of every layer, and writes the page.
#include <cstdio>
#include <filesystem>

#include "fovea/attention/flow.h"
#include "fovea/attention/rollout.h"
#include "fovea/base/file.h"
#include "fovea/decoding/translator.h"
#include "fovea/models/translation_folder.h"
#include "fovea/views/attention_page.h"

namespace {

namespace attention = fovea::attention;

/// What the model looks at while it reads the pair, target given.
attention::Recording watched(const fovea::decoding::Translator& translator,
                             const std::vector<std::int32_t>& source, std::vector<std::int32_t> target,
                             const fovea::kernels::Execution& exec) {
  const auto vocabulary = translator.model().vocabulary();
  attention::Record record;
  fovea::ops::Context ctx{.exec = exec};
  ctx.recorder = &record;
  translator.model().read(ctx, source, target);
  const auto& tokenizer = translator.tokenizer();
  std::vector<std::int32_t> target_in{vocabulary.pad};
  target_in.insert(target_in.end(), target.begin(), target.end());
  target.push_back(vocabulary.eos);
  return attention::recording(record, tokenizer.source_pieces(source), tokenizer.target_pieces(target_in),
                              tokenizer.target_pieces(target));
}

attention::Recording read(const fovea::decoding::Translator& translator, const std::string& sentence,
                          const std::string& translation, const fovea::kernels::Execution& exec) {
  const auto found = translator.translate(std::vector{sentence}).front();
  auto target = translation.empty() ? found.candidates.front().tokens
                                    : translator.tokenizer().encode_target(translation);
  while (!target.empty() && target.back() == translator.model().vocabulary().eos) target.pop_back();
  return watched(translator, found.source, std::move(target), exec);
}

std::string page(const attention::Recording& recording, const std::string& model,
                 const fovea::kernels::Execution& exec) {
  fovea::views::PageOptions options{.title = "What the model looked at", .subtitle = model};
  options.further.push_back({"Rollout", attention::rollouts(recording)});
  fovea::views::NamedLayers flows{"Flow", {}};
  for (const auto side : {attention::Side::encoder, attention::Side::decoder, attention::Side::cross})
    flows.layers.push_back(attention::flow(exec, recording, side));
  options.further.push_back(flows);
  return fovea::views::attention_page(recording, options);
}

}  // namespace

int main(int argc, char** argv) {
  const auto argument = [&](int i, const char* otherwise) { return i < argc ? argv[i] : otherwise; };
  try {
    const std::filesystem::path directory = argument(1, "models/tatoeba-en-de");
    const fovea::kernels::ExecutionOwner threads(1);
    const auto model = fovea::models::load_for_inference(directory, threads.get());
    const auto tokenizer = fovea::text::TranslationTokenizer::read(directory);
    const fovea::decoding::Translator translator(*model, tokenizer, threads.get());
    const auto recording =
        read(translator, argument(3, "The teacher has lost the new pen that she bought in the city."),
             argument(4, ""), threads.get());
    fovea::write_atomically(argument(2, "attention.html"),
                            page(recording, directory.filename().string(), threads.get()));
    return 0;
  } catch (const fovea::Error& error) {
    return std::fprintf(stderr, "%s\n", error.what()), error.exit_code();
  }
}
