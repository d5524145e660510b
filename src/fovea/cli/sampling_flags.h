#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <type_traits>

#include "fovea/decoding/sampling.h"

namespace fovea::cli {

/// An option whose value may be left out: whole numbers N or others X, from `least` to `most`.
template <class Value>
void add_number(CLI::App& command, const char* names, std::optional<Value>& value, double least, double most,
                const std::string& help) {
  constexpr bool whole = std::is_integral_v<Value>;
  auto* option = command.add_option(names, value, help)->type_name(whole ? "N" : "X");
  if constexpr (whole)
    option->check(CLI::Range(static_cast<std::int64_t>(least), static_cast<std::int64_t>(most)));
  else
    option->check(CLI::Range(least, most));
}

/// How tokens are drawn, as the command line says it.
struct SamplingFlags {
  std::optional<double> temperature, top_p, min_p, typical_p;
  std::optional<std::int64_t> top_k;
  std::optional<std::uint64_t> seed;

  /// --temperature, --top-k, --top-p, --min-p, --typical-p and --seed, written to this object, which must
  /// outlive the parsing. `text` is what is drawn, such as "a translation"; of `several`, --nbest says how
  /// many.
  void add_to(CLI::App& command, const std::string& text, bool several = true);
  /// Temperature 0: nothing is drawn, the most probable token is taken.
  bool greedy() const { return temperature == 0.0; }
  bool any() const { return !greedy() && (temperature || top_k || top_p || min_p || typical_p || seed); }
  /// Sets what was given; whoever says how to draw wants to.
  void apply(std::optional<decoding::Sampling>& sampling) const;
};

}  // namespace fovea::cli
