#include "fovea/cli/version.h"

#include <string_view>

#include "fovea/kernels/execution.h"
#include "fovea_commit.h"  // written at build by scripts/commit.cmake

namespace fovea::cli {

std::string compiler() {
#if defined(__clang__)
  return "clang " __clang_version__;
#else
  return "g++ " __VERSION__;
#endif
}

std::string version_text() {
  std::string text = "fovea " FOVEA_VERSION;
  if (constexpr std::string_view commit = FOVEA_COMMIT; !commit.empty())
    text.append(" (").append(commit).append(")");
  text += "\ncompiler " + compiler() + ", " FOVEA_BUILD_TYPE;
  text.append("\nkernels ").append(kernels::name_of(kernels::default_kernels())).append("\n");
  return text;
}

}  // namespace fovea::cli
