#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace fovea {

/// What a call on a FileSystem gives: a value, or the errno that says why not.
template <class T>
struct IoResult {
  T value{};
  int error = 0;
  bool ok() const { return error == 0; }
};

/// The few calls on files that this library makes, as an interface: so that a test can fail or stop at each
/// of them, and lose what was not synced. Nothing here throws; every call says how it went by an errno value
/// (0: well). Thread safe as the system's own calls are.
class FileSystem {
 public:
  using Path = std::filesystem::path;
  using Handle = int;
  enum class Type { regular, directory, other };
  struct Info {
    Type type = Type::other;
    std::uint64_t bytes = 0;
    std::int64_t modified_ns = 0;  ///< when its bytes were last changed, since 1970
  };
  virtual ~FileSystem() = default;

  /// Opens for reading, following links; never waits for the writer of a pipe unless `may_wait`.
  virtual IoResult<Handle> open(const Path& path, bool may_wait) = 0;
  /// Creates a file that must not exist yet (EEXIST), for writing.
  virtual IoResult<Handle> create(const Path& path) = 0;
  virtual IoResult<Info> info(Handle handle) = 0;
  virtual IoResult<Info> info(const Path& path) = 0;
  /// Up to out.size() bytes at `offset`; 0 at the end of the file. As pread.
  virtual IoResult<std::size_t> read_at(Handle handle, std::uint64_t offset, std::span<std::byte> out) = 0;
  /// Up to out.size() bytes where the last read ended, for pipes; 0 at the end. As read.
  virtual IoResult<std::size_t> read(Handle handle, std::span<std::byte> out) = 0;
  /// The first `bytes` of the file where the system keeps them, to be read alone, until unmap(); the handle
  /// may be closed before. ENODEV where that cannot be done. As mmap.
  virtual IoResult<const std::byte*> map(Handle, std::uint64_t /*bytes*/) { return {nullptr, ENODEV}; }
  virtual void unmap(const std::byte*, std::uint64_t /*bytes*/) {}
  /// Appends up to bytes.size() bytes; says how many. As write, but a file size limit gives EFBIG and no
  /// signal.
  virtual IoResult<std::size_t> write(Handle handle, std::span<const std::byte> bytes) = 0;
  /// The bytes written so far are on the disk afterwards. As fsync.
  virtual int sync(Handle handle) = 0;
  virtual int close(Handle handle) = 0;

  /// The names in `folder` are on the disk afterwards: fsync of the folder.
  virtual int sync_folder(const Path& folder) = 0;
  /// Gives `from` the name `to` in one step, replacing a file there.
  virtual int rename(const Path& from, const Path& to) = 0;
  /// Two existing names change places in one step; EINVAL or ENOSYS where the file system cannot.
  virtual int exchange(const Path& one, const Path& other) = 0;
  /// Removes a file or an empty folder.
  virtual int remove(const Path& path) = 0;
  virtual int make_folder(const Path& path) = 0;
  /// The names in `folder`, without . and .., in no order.
  virtual IoResult<std::vector<std::string>> list(const Path& folder) = 0;
};

/// The real one.
FileSystem& system_files();

}  // namespace fovea
