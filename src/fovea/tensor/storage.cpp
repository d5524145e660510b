#include "fovea/tensor/storage.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <mutex>
#include <new>
#include <string>
#include <unordered_map>
#include <vector>

#include "fovea/base/error.h"

namespace fovea {
namespace {

constexpr std::size_t huge_page = std::size_t{2} << 20;

// Size classes: eight steps between powers of two waste at most an eighth.
std::size_t size_class(std::size_t bytes) {
  const std::size_t wanted = std::max<std::size_t>(bytes, 256);
  const std::size_t step = std::max<std::size_t>(std::bit_floor(wanted - 1) / 8, 64);
  return (wanted + step - 1) / step * step;
}

class Cache {
 public:
  std::byte* take(std::size_t capacity) {
    {
      const std::lock_guard lock(mutex_);
      statistics_.in_use += capacity;
      auto& blocks = blocks_[capacity];
      if (!blocks.empty()) {
        std::byte* block = blocks.back();
        blocks.pop_back();
        statistics_.cached -= capacity;
        return block;
      }
      ++statistics_.system_allocations;
    }
    const std::size_t alignment = capacity >= huge_page ? huge_page : 64;
    auto* block = static_cast<std::byte*>(::operator new[](capacity, std::align_val_t{alignment}, std::nothrow));
    if (!block) {
      const std::lock_guard lock(mutex_);
      statistics_.in_use -= capacity;
      throw Error(Error::Kind::machine, "memory",
                  "cannot get " + std::to_string(capacity >> 20) + " MiB beside " +
                      std::to_string((statistics_.in_use + statistics_.cached) >> 20) + " MiB held",
                  "use a smaller batch or model");
    }
    if (capacity >= huge_page) madvise(block, capacity, MADV_HUGEPAGE);
    return block;
  }

  void give_back(std::byte* block, std::size_t capacity) noexcept {
    const std::lock_guard lock(mutex_);
    statistics_.in_use -= capacity;
    statistics_.cached += capacity;
    blocks_[capacity].push_back(block);
  }

  void release() {
    const std::lock_guard lock(mutex_);
    for (auto& [capacity, blocks] : blocks_) {
      const std::size_t alignment = capacity >= huge_page ? huge_page : 64;
      for (auto* block : blocks) ::operator delete[](block, std::align_val_t{alignment});
      statistics_.cached -= capacity * blocks.size();
      blocks.clear();
    }
  }

  StorageStatistics statistics() {
    const std::lock_guard lock(mutex_);
    return statistics_;
  }

 private:
  std::mutex mutex_;
  std::unordered_map<std::size_t, std::vector<std::byte*>> blocks_;
  StorageStatistics statistics_;
};

// Never destroyed: tensors with static lifetime may outlive any order of destructors.
Cache& cache() {
  static auto* instance = new Cache;
  return *instance;
}

}  // namespace

std::shared_ptr<Storage> Storage::allocate(std::size_t bytes) {
  const std::size_t capacity = size_class(bytes);
  std::byte* data = cache().take(capacity);
  return std::shared_ptr<Storage>(new Storage(data, bytes, capacity));
}

Storage::~Storage() { cache().give_back(data_, capacity_); }

StorageStatistics storage_statistics() { return cache().statistics(); }

void release_cached_storage() { cache().release(); }

}  // namespace fovea
