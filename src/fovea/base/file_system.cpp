#include "fovea/base/file_system.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <ctime>

namespace fovea {
namespace {

// The kernel moves at most 2 GiB a call; a smaller step keeps a signal's wait short.
constexpr std::size_t largest_step = std::size_t{64} << 20;

int outcome(int result) { return result < 0 ? errno : 0; }

template <class Call>
auto uninterrupted(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

IoResult<std::size_t> count(ssize_t result) {
  if (result < 0) return {0, errno};
  return {static_cast<std::size_t>(result), 0};
}

FileSystem::Info describe(const struct stat& status) {
  FileSystem::Info info;
  if (S_ISREG(status.st_mode)) info.type = FileSystem::Type::regular;
  if (S_ISDIR(status.st_mode)) info.type = FileSystem::Type::directory;
  info.bytes = status.st_size > 0 ? static_cast<std::uint64_t>(status.st_size) : 0;
  info.modified_ns =
      std::int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + std::int64_t{status.st_mtim.tv_nsec};
  return info;
}

// Holds SIGXFSZ back from this thread, so that `ulimit -f` is an error like any other and not the end of the
// process.
class WithoutSizeSignal {
 public:
  WithoutSizeSignal() {
    sigemptyset(&signals_);
    sigaddset(&signals_, SIGXFSZ);
    pthread_sigmask(SIG_BLOCK, &signals_, &before_);
  }
  ~WithoutSizeSignal() {
    const int kept = errno;
    if (!sigismember(&before_, SIGXFSZ)) {
      const timespec now{};
      while (sigtimedwait(&signals_, nullptr, &now) == SIGXFSZ) {
      }
    }
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    errno = kept;
  }
  WithoutSizeSignal(const WithoutSizeSignal&) = delete;
  WithoutSizeSignal& operator=(const WithoutSizeSignal&) = delete;

 private:
  sigset_t signals_;
  sigset_t before_;
};

class SystemFiles final : public FileSystem {
 public:
  IoResult<Handle> open(const Path& path, bool may_wait) override {
    const int flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | (may_wait ? 0 : O_NONBLOCK);
    const int handle = uninterrupted([&] { return ::open(path.c_str(), flags); });
    return {handle, outcome(handle)};
  }

  IoResult<Handle> create(const Path& path) override {
    const int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC;
    const int handle = uninterrupted([&] { return ::open(path.c_str(), flags, 0666); });
    return {handle, outcome(handle)};
  }

  IoResult<Info> info(Handle handle) override {
    struct stat status {};
    if (::fstat(handle, &status) < 0) return {{}, errno};
    return {describe(status), 0};
  }

  IoResult<Info> info(const Path& path) override {
    struct stat status {};
    if (::stat(path.c_str(), &status) < 0) return {{}, errno};
    return {describe(status), 0};
  }

  IoResult<std::size_t> read_at(Handle handle, std::uint64_t offset, std::span<std::byte> out) override {
    const std::size_t step = std::min(out.size(), largest_step);
    return count(
        uninterrupted([&] { return ::pread(handle, out.data(), step, static_cast<off_t>(offset)); }));
  }

  IoResult<std::size_t> read(Handle handle, std::span<std::byte> out) override {
    const std::size_t step = std::min(out.size(), largest_step);
    return count(uninterrupted([&] { return ::read(handle, out.data(), step); }));
  }

  IoResult<const std::byte*> map(Handle handle, std::uint64_t bytes) override {
    void* begin = ::mmap(nullptr, static_cast<std::size_t>(bytes), PROT_READ, MAP_SHARED, handle, 0);
    if (begin == MAP_FAILED) return {nullptr, errno};
    // Wishes, which a system may not know: large pages, and to begin reading now.
    ::madvise(begin, static_cast<std::size_t>(bytes), MADV_HUGEPAGE);
    ::madvise(begin, static_cast<std::size_t>(bytes), MADV_WILLNEED);
    return {static_cast<const std::byte*>(begin), 0};
  }

  void unmap(const std::byte* begin, std::uint64_t bytes) override {
    ::munmap(const_cast<std::byte*>(begin), static_cast<std::size_t>(bytes));
  }

  IoResult<std::size_t> write(Handle handle, std::span<const std::byte> bytes) override {
    const WithoutSizeSignal guard;
    const std::size_t step = std::min(bytes.size(), largest_step);
    return count(uninterrupted([&] { return ::write(handle, bytes.data(), step); }));
  }

  int sync(Handle handle) override {
    return outcome(uninterrupted([&] { return ::fsync(handle); }));
  }

  // After EINTR Linux has closed the descriptor all the same: asking again could close another thread's file.
  int close(Handle handle) override { return ::close(handle) < 0 && errno != EINTR ? errno : 0; }

  int sync_folder(const Path& folder) override {
    const int handle =
        uninterrupted([&] { return ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); });
    if (handle < 0) return errno;
    const int error = sync(handle);
    ::close(handle);
    return error == EINVAL || error == ENOTSUP ? 0 : error;  // some network file systems cannot and need not
  }

  int rename(const Path& from, const Path& to) override {
    return outcome(std::rename(from.c_str(), to.c_str()));
  }

  int exchange(const Path& one, const Path& other) override {
    return outcome(::renameat2(AT_FDCWD, one.c_str(), AT_FDCWD, other.c_str(), RENAME_EXCHANGE));
  }

  int remove(const Path& path) override { return outcome(std::remove(path.c_str())); }

  int make_folder(const Path& path) override { return outcome(::mkdir(path.c_str(), 0777)); }

  IoResult<std::vector<std::string>> list(const Path& folder) override {
    DIR* stream = ::opendir(folder.c_str());
    if (!stream) return {{}, errno};
    IoResult<std::vector<std::string>> names;
    errno = 0;
    while (const dirent* entry = ::readdir(stream)) {
      const std::string name = entry->d_name;
      if (name != "." && name != "..") names.value.push_back(name);
      errno = 0;
    }
    names.error = errno;
    ::closedir(stream);
    return names;
  }
};

}  // namespace

FileSystem& system_files() {
  static SystemFiles files;  // has no state
  return files;
}

}  // namespace fovea
