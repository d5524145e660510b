// The words of a sentence look at each other: attention [SENTENCE]
// A word is the pairs of letters that it is written with, and looks at words that share them.
#include <unistd.h>

#include <cstdio>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include "fovea/attention/attend.h"
#include "fovea/views/heat_map.h"

namespace attention = fovea::attention;

// Row n counts the pairs of letters of word n: [words, 32 * 32].
fovea::Tensor letter_pairs(const std::vector<std::string>& words) {
  const auto x = fovea::Tensor::zeros({static_cast<std::int64_t>(words.size()), 32 * 32});
  float* row = x.f32();
  for (const std::string& word : words) {
    for (unsigned last = 0; const unsigned char letter : word + ' ')
      row[last % 32 * 32 + letter % 32] += 1.0f, last = letter;
    row += 32 * 32;
  }
  return x;
}

int main(int argc, char** argv) {
  std::istringstream sentence(argc > 1 ? argv[1] : "the singer sings a song and the dancer dances a dance");
  const std::vector<std::string> words(std::istream_iterator<std::string>{sentence}, {});
  const auto x = letter_pairs(words);

  const fovea::kernels::ExecutionOwner threads;  // a pool of all cores
  const fovea::ops::Context ctx{.exec = threads.get()};
  const attention::CosineScore score({.heads = 1, .width = x.dim(1)}, 5.0f);
  const auto all = attention::Sequences::packed(std::vector{0, static_cast<std::int32_t>(words.size())});
  const auto memory = attention::remember(ctx, score, {x}, {x}, x.dim(1), all);
  const auto attended =
      attention::attend(ctx, score, {x}, all, memory, {.weights = attention::WeightsWanted::yes});

  const auto weights = attended.weights.values();
  const fovea::views::AttentionMatrix matrix{words, words, {weights.begin(), weights.end()}};
  const auto style = fovea::views::terminal_style_from_environment(STDOUT_FILENO);
  std::printf("%s\n", fovea::views::heat_map(matrix, style).c_str());
  for (std::size_t t = 0; t < words.size(); ++t) {
    std::printf("%s sees", words[t].c_str());
    for (std::size_t s = 0; s < words.size(); ++s)
      if (matrix.at(t, s) >= 0.1f) std::printf(" %s (%.0f %%)", words[s].c_str(), 100 * matrix.at(t, s));
    std::printf("\n");
  }
}
