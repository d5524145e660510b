// libFuzzer's door to the target named FOVEA_FUZZ_TARGET.
#include <cstdint>
#include <string_view>

#include "tests/fuzz/targets.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  for (const auto& target : fovea::fuzz::targets())
    if (std::string_view(target.name) == FOVEA_FUZZ_TARGET) target.run(std::as_bytes(std::span(data, size)));
  return 0;
}
