#pragma once

#include <cstdint>
#include <filesystem>
#include <span>

namespace fovea::formats {

/// Writes a matrix [rows, columns] of float32 as NumPy's .npy, version 1.0, whole or not at all. Throws
/// Error(machine) as AtomicFile does, Error(bug) unless there are rows * columns values.
/// Source   numpy.lib.format
void save_npy(const std::filesystem::path& path, std::span<const float> values, std::int64_t rows,
              std::int64_t columns);

}  // namespace fovea::formats
