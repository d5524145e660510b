#pragma once

#include <string>
#include <vector>

#include "fovea/kernels/execution.h"

namespace fovea::kernels {

/// What runs on this machine beside the reference.
inline std::vector<KernelSet> vector_kernels() {
  std::vector<KernelSet> sets = available_kernels();
  sets.erase(sets.begin());
  return sets;
}

/// A parameterised test's name: that of its kernels.
inline constexpr auto set_name = [](const auto& info) { return std::string(name_of(info.param)); };

}  // namespace fovea::kernels
