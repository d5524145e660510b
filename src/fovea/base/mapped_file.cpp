#include "fovea/base/mapped_file.h"

#include <array>
#include <atomic>
#include <utility>

namespace fovea {
namespace {

// What is mapped, for a signal handler to read. A place is free while it has no owner, and holds nothing to
// be found until its name is there.
struct Place {
  std::atomic<bool> taken{false};
  std::atomic<std::uintptr_t> begin{0}, end{0};
  std::atomic<const char*> name{nullptr};
};
std::array<Place, 256> places;

int take_place(const std::byte* begin, std::uint64_t size, const char* name) {
  for (std::size_t i = 0; i < places.size(); ++i) {
    Place& place = places[i];
    if (place.taken.exchange(true)) continue;
    place.begin = reinterpret_cast<std::uintptr_t>(begin);
    place.end = reinterpret_cast<std::uintptr_t>(begin) + size;
    place.name = name;
    return static_cast<int>(i);
  }
  return -1;
}

void leave_place(int number) {
  if (number < 0) return;
  Place& place = places[static_cast<std::size_t>(number)];
  place.name = nullptr;
  place.taken = false;
}

}  // namespace

std::shared_ptr<const MappedFile> MappedFile::of(FileSystem& files, FileSystem::Handle handle,
                                                 std::uint64_t bytes, std::string name) {
  if (bytes == 0) return nullptr;
  const auto mapped = files.map(handle, bytes);
  if (!mapped.ok()) return nullptr;
  return std::shared_ptr<const MappedFile>(new MappedFile(files, mapped.value, bytes, std::move(name)));
}

MappedFile::MappedFile(FileSystem& files, const std::byte* begin, std::uint64_t size, std::string name)
    : files_(files),
      begin_(begin),
      size_(size),
      name_(std::move(name)),
      place_(take_place(begin, size, name_.c_str())) {}

MappedFile::~MappedFile() {
  leave_place(place_);
  files_.unmap(begin_, size_);
}

const char* mapped_file_at(const void* address) {
  const auto at = reinterpret_cast<std::uintptr_t>(address);
  for (const Place& place : places)
    if (const char* name = place.name; name && at >= place.begin && at < place.end) return name;
  return nullptr;
}

}  // namespace fovea
