#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "fovea/base/file_system.h"

namespace fovea {

/// The bytes of a file where the system keeps them: read from the disk when they are first touched, given
/// back when memory is short, and the same memory for every process that maps the file.
///
/// A file that is replaced or removed stays as it was for those who have it mapped. One that is cut short in
/// place does not: touching what it no longer holds raises SIGBUS, which no check made before can rule out.
/// A program that handles the signal can ask mapped_file_at() what happened, as the command line does.
class MappedFile {
 public:
  /// Null where the system cannot map it, or has nothing to map.
  static std::shared_ptr<const MappedFile> of(FileSystem& files, FileSystem::Handle handle,
                                              std::uint64_t bytes, std::string name);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const { return {begin_, static_cast<std::size_t>(size_)}; }

 private:
  MappedFile(FileSystem& files, const std::byte* begin, std::uint64_t size, std::string name);
  FileSystem& files_;
  const std::byte* begin_;
  std::uint64_t size_;
  std::string name_;
  int place_;  // in the table that mapped_file_at() reads; below 0: it was full
};

/// The name of the mapped file that has a byte at `address`; null: none has. For signal handlers: takes no
/// lock and allocates nothing.
const char* mapped_file_at(const void* address);

}  // namespace fovea
