#include "fovea/formats/npy.h"

#include <string>

#include "fovea/base/error.h"
#include "fovea/base/file.h"

namespace fovea::formats {
namespace {

// Magic, version, length of what follows; a Python dict, filled up so that values begin at a multiple of 64.
std::string npy_header(std::int64_t rows, std::int64_t columns) {
  std::string dict = "{'descr': '<f4', 'fortran_order': False, 'shape': (" + std::to_string(rows) + ", " +
                     std::to_string(columns) + "), }";
  constexpr std::size_t before = 10, alignment = 64;
  dict.append(alignment - 1 - (before + dict.size()) % alignment, ' ').append("\n");
  std::string header("\x93NUMPY\x01\x00", 8);
  header += static_cast<char>(dict.size() & 0xff);
  header += static_cast<char>(dict.size() >> 8);
  return header + dict;
}

}  // namespace

void save_npy(const std::filesystem::path& path, std::span<const float> values, std::int64_t rows,
              std::int64_t columns) {
  if (std::ssize(values) != rows * columns)
    throw Error(Error::Kind::bug, "npy",
                std::to_string(values.size()) + " values for " + std::to_string(rows) + " x " +
                    std::to_string(columns));
  const std::string header = npy_header(rows, columns);
  AtomicFile file(path, header.size() + values.size_bytes());
  file.write(header);
  file.write(std::as_bytes(values));
  file.commit();
}

}  // namespace fovea::formats
