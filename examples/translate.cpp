// Translating from a C++ program: translate MODEL_DIRECTORY SENTENCE...
//   find_package(fovea REQUIRED)
//   target_link_libraries(program PRIVATE fovea::fovea)
#include <fovea/api/translator.h>

#include <cstdio>
#include <string>
#include <vector>

int main(int argc, char** argv) try {
  if (argc < 3) return std::fprintf(stderr, "translate MODEL_DIRECTORY SENTENCE...\n"), 2;

  // One for the whole program: it may be called from any number of threads.
  const fovea::Translator translator(argv[1], {.weights = fovea::WeightType::int8});

  // All at once, with what the model's makers found best.
  const std::vector<std::string> sentences(argv + 2, argv + argc);
  for (const auto& result : translator.translate(sentences)) std::printf("%s\n", result.text().c_str());

  // The two best, and which word each token came from.
  fovea::TranslationOptions options{.beam = 4, .nbest = 2};
  options.attention = true;
  const auto result = translator.translate(sentences.front(), options);
  for (const auto& hypothesis : result.hypotheses) {
    std::printf("%.3f  %s\n     ", hypothesis.score, hypothesis.text.c_str());
    const auto from = hypothesis.alignment();
    for (std::size_t t = 0; t < from.size(); ++t)
      std::printf(" %s<-%s", hypothesis.tokens[t].c_str(), result.source_tokens[from[t]].c_str());
    std::printf("\n");
  }

  // Word by word, as it comes.
  translator.stream(sentences.front(), [](std::string_view text) {
    std::fwrite(text.data(), 1, text.size(), stdout);
    return std::fflush(stdout) == 0;
  });
  std::printf("\n");
  return 0;
} catch (const fovea::Error& error) {
  return std::fprintf(stderr, "%s\n", error.what()), error.exit_code();
}
