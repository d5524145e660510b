#pragma once

#include <cstddef>
#include <memory>

namespace fovea {

/// A block of memory, aligned to 64 bytes (2 MiB and huge pages asked for when it is large). Freed blocks are
/// kept and given out again, to whoever wants at least half of their size: a steady training update asks the
/// system for nothing, though its batches are never of quite the same size.
class Storage {
 public:
  static std::shared_ptr<Storage> allocate(std::size_t bytes);
  /// Memory that is `owner`'s, which lives as long as this does; it may be of a kind that cannot be written.
  static std::shared_ptr<Storage> borrow(std::shared_ptr<const void> owner, const std::byte* data,
                                         std::size_t bytes);
  ~Storage();
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  std::byte* data() const { return data_; }
  std::size_t bytes() const { return bytes_; }

 private:
  Storage(std::byte* data, std::size_t bytes, std::size_t capacity)
      : data_(data), bytes_(bytes), capacity_(capacity) {}
  std::byte* data_;
  std::size_t bytes_;
  std::size_t capacity_;  // of the block, at least bytes_; 0 if it is borrowed
  std::shared_ptr<const void> owner_ = {};
};

/// What the caching allocator holds.
struct StorageStatistics {
  std::size_t in_use = 0;              ///< bytes handed out
  std::size_t cached = 0;              ///< bytes kept for reuse
  std::size_t system_allocations = 0;  ///< times the system was asked, ever
};
StorageStatistics storage_statistics();

/// Gives cached blocks back to the system.
void release_cached_storage();

}  // namespace fovea
