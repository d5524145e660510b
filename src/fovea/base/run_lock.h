#pragma once

#include <filesystem>

namespace fovea {

/// A run folder belongs to one process at a time. The lock is the kernel's, on the file `.lock` in the
/// folder: it ends with the process, however that ends, so a lock never has to be removed by hand. The file
/// itself stays; it holds the pid of the last owner, for messages only.
class RunLock {
 public:
  /// Throws Error(machine) if another process holds the folder (naming its pid), or if the file cannot be
  /// made.
  explicit RunLock(const std::filesystem::path& folder);
  ~RunLock();
  RunLock(RunLock&& other) noexcept;
  RunLock& operator=(RunLock&&) = delete;

 private:
  int handle_ = -1;
};

}  // namespace fovea
