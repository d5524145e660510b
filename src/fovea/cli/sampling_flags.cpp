#include "fovea/cli/sampling_flags.h"

#include <cstdint>
#include <limits>

namespace fovea::cli {

void SamplingFlags::add_to(CLI::App& command, const std::string& text, bool several) {
  add_number(command, "--temperature,--sampling-temperature", temperature, 0, 1e3,
             "Draw " + text +
                 " in place of searching the best; below 1 favours likely words, 0 takes the "
                 "likeliest" +
                 (several ? ". --nbest N draws N" : ""));
  add_number(command, "--top-k", top_k, 1, 1e9, "Draw among the N most probable tokens");
  add_number(command, "--top-p", top_p, 1e-9, 1,
             "Draw among the fewest tokens with that share of the probability");
  add_number(command, "--min-p", min_p, 0, 1,
             "Draw among tokens with that share of the greatest probability");
  add_number(command, "--typical-p", typical_p, 1e-9, 1,
             "Draw among the most typical tokens with that share of the probability");
  command
      .add_option("--seed", seed, "Of the drawing (default: 1); a line's draw depends on its number alone")
      ->check(CLI::Range(std::int64_t{0}, std::numeric_limits<std::int64_t>::max()))
      ->type_name("N");
}

void SamplingFlags::apply(std::optional<decoding::Sampling>& sampling) const {
  if (any() && !sampling) sampling.emplace();
  if (!sampling) return;
  sampling->temperature = temperature.value_or(sampling->temperature);
  sampling->top_k = top_k.value_or(sampling->top_k);
  sampling->top_p = top_p.value_or(sampling->top_p);
  sampling->min_p = min_p.value_or(sampling->min_p);
  sampling->typical_p = typical_p.value_or(sampling->typical_p);
  sampling->seed = seed.value_or(sampling->seed);
}

}  // namespace fovea::cli
