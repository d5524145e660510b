#pragma once

#include <cstddef>
#include <span>

/// What is given arbitrary bytes: by libFuzzer (tests/fuzz/fuzzer.cpp), and by corpus_test.cpp those that are
/// kept.
namespace fovea::fuzz {

struct Target {
  const char* name;                         ///< of the program fuzz_NAME and the folder corpus/NAME
  void (*run)(std::span<const std::byte>);  ///< lets nothing but fovea::Error pass, and catches that
};

std::span<const Target> targets();

}  // namespace fovea::fuzz
