// Translating from a C++ program: translate MODEL_DIRECTORY SENTENCE...
#include <cstdio>
#include <string>
#include <vector>

#include "fovea/base/error.h"
#include "fovea/decoding/translator.h"
#include "fovea/models/translation_folder.h"

int main(int argc, char** argv) {
  if (argc < 3) return std::fprintf(stderr, "translate MODEL_DIRECTORY SENTENCE...\n"), 2;
  try {
    const fovea::kernels::ExecutionOwner
        threads;  // a pool of all cores; give each thread of a server its own
    const auto model = fovea::models::load_for_inference(argv[1], threads.get());
    const auto tokenizer = fovea::text::TranslationTokenizer::read(argv[1]);
    const fovea::decoding::Translator translator(*model, tokenizer, threads.get());
    const std::vector<std::string> sentences(argv + 2, argv + argc);
    for (const auto& translation : translator.translate(sentences, {.beam = {.beam = 5}}))
      std::printf("%s\t(score %.3f)\n", translation.text().c_str(), translation.candidates.front().score);
    return 0;
  } catch (const fovea::Error& error) {
    return std::fprintf(stderr, "%s\n", error.what()), error.exit_code();
  }
}
