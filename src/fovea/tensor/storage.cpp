#include "fovea/tensor/storage.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <map>
#include <mutex>
#include <new>
#include <optional>
#include <string>
#include <utility>
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

// A block of up to this many times the size asked for is taken from the cache before the system is asked.
// Batches are never of quite the same size: with blocks of just one class each new mixture of lengths would
// ask for new ones.
constexpr std::size_t most_oversize = 2;

struct Block {
  std::byte* data;
  std::size_t capacity;
};

class Cache {
 public:
  // A block of at least `wanted` bytes, a size class.
  Block take(std::size_t wanted) {
    {
      const std::lock_guard lock(mutex_);
      if (const auto fitting = smallest_fitting(wanted)) {
        statistics_.in_use += fitting->capacity;
        statistics_.cached -= fitting->capacity;
        return *fitting;
      }
      statistics_.in_use += wanted;
      ++statistics_.system_allocations;
    }
    return {ask_system(wanted), wanted};
  }

  void give_back(const Block& block) noexcept {
    const std::lock_guard lock(mutex_);
    statistics_.in_use -= block.capacity;
    statistics_.cached += block.capacity;
    blocks_[block.capacity].push_back(block.data);
  }

  void release() {
    const std::lock_guard lock(mutex_);
    for (auto& [capacity, blocks] : blocks_) {
      for (auto* block : blocks) ::operator delete[](block, std::align_val_t{alignment_of(capacity)});
      statistics_.cached -= capacity * blocks.size();
      blocks.clear();
    }
  }

  StorageStatistics statistics() {
    const std::lock_guard lock(mutex_);
    return statistics_;
  }

 private:
  static std::size_t alignment_of(std::size_t capacity) { return capacity >= huge_page ? huge_page : 64; }

  std::optional<Block> smallest_fitting(std::size_t wanted) {
    const auto end = blocks_.upper_bound(most_oversize * wanted);
    for (auto at = blocks_.lower_bound(wanted); at != end; ++at) {
      if (at->second.empty()) continue;
      const Block block{at->second.back(), at->first};
      at->second.pop_back();
      return block;
    }
    return std::nullopt;
  }

  std::byte* ask_system(std::size_t capacity) {
    auto* data = static_cast<std::byte*>(
        ::operator new[](capacity, std::align_val_t{alignment_of(capacity)}, std::nothrow));
    if (!data) {
      const std::lock_guard lock(mutex_);
      statistics_.in_use -= capacity;
      throw Error(Error::Kind::machine, "memory",
                  "cannot get " + std::to_string(capacity >> 20) + " MiB beside " +
                      std::to_string((statistics_.in_use + statistics_.cached) >> 20) + " MiB held",
                  "use a smaller batch or model");
    }
    if (capacity >= huge_page) madvise(data, capacity, MADV_HUGEPAGE);
    return data;
  }

  std::mutex mutex_;
  std::map<std::size_t, std::vector<std::byte*>> blocks_;  // free ones, by capacity
  StorageStatistics statistics_;
};

// Never destroyed: tensors with static lifetime may outlive any order of destructors.
Cache& cache() {
  static auto* instance = new Cache;
  return *instance;
}

}  // namespace

std::shared_ptr<Storage> Storage::allocate(std::size_t bytes) {
  const Block block = cache().take(size_class(bytes));
  return std::shared_ptr<Storage>(new Storage(block.data, bytes, block.capacity));
}

std::shared_ptr<Storage> Storage::borrow(std::shared_ptr<const void> owner, const std::byte* data,
                                         std::size_t bytes) {
  std::shared_ptr<Storage> storage(new Storage(const_cast<std::byte*>(data), bytes, 0));
  storage->owner_ = std::move(owner);
  return storage;
}

Storage::~Storage() {
  if (capacity_ > 0) cache().give_back({data_, capacity_});
}

StorageStatistics storage_statistics() { return cache().statistics(); }

void release_cached_storage() { cache().release(); }

}  // namespace fovea
