#pragma once

#include <string>

namespace fovea::cli {

/// What `fovea --version` prints: version, commit, compiler, kernel set in use; lines ended by newlines.
/// Throws Error(usage) if FOVEA_KERNELS names a set that cannot run.
std::string version_text();

/// Name and version of the compiler that built this program.
std::string compiler();

}  // namespace fovea::cli
