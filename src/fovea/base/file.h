#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fovea/base/error.h"
#include "fovea/base/file_system.h"

/// Reading whole files with a limit, reading big ones piece by piece, and writing so that a name always holds
/// either the old bytes or all of the new ones.
namespace fovea {

class MappedFile;

/// `text` as bytes.
inline std::span<const std::byte> as_bytes(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}
inline std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// All bytes of the file (or pipe) at `path`.
/// Throws Error(kind) naming the path: missing, a folder, unreadable, longer than `limit` bytes, cut while
/// being read.
std::string read_file(const std::filesystem::path& path, std::uint64_t limit, Error::Kind kind,
                      FileSystem& files = system_files());

/// The bytes of a file, read piece by piece as they are asked for; or a block of memory in the same clothes.
///
/// Reading is the rule: of a file that another process cuts short a read says "fewer bytes than expected",
/// which becomes an Error. What is large, only read, and used as it lies may be mapped (base/mapped_file.h).
///
/// Thread safe: reads at any offset from any thread.
class FileBytes {
 public:
  /// Opens a regular file. Throws Error(kind) naming the path: missing, unreadable, or not a regular file.
  static FileBytes open(const std::filesystem::path& path, Error::Kind kind,
                        FileSystem& files = system_files());
  /// The same over `bytes` in memory; `name` stands for the path in messages.
  static FileBytes of(std::string name, std::vector<std::byte> bytes, Error::Kind kind);
  ~FileBytes();
  FileBytes(FileBytes&& other) noexcept;
  FileBytes& operator=(FileBytes&&) = delete;

  /// Bytes in the file when it was opened.
  std::uint64_t size() const { return size_; }
  /// For messages: the path, escaped.
  const std::string& name() const { return name_; }
  Error::Kind kind() const { return kind_; }
  /// Fills `out` from `offset`. Throws Error(kind) if the file has fewer bytes (it was cut since) or cannot
  /// be read.
  void read_at(std::uint64_t offset, std::span<std::byte> out) const;
  /// When the file was last changed, in ns since 1970; 0 in memory.
  std::int64_t modified_ns() const { return modified_ns_; }
  /// All of it, mapped; null where that cannot be done.
  std::shared_ptr<const MappedFile> map() const;

 private:
  FileBytes(std::string name, Error::Kind kind) : name_(std::move(name)), kind_(kind) {}
  std::string name_;
  Error::Kind kind_;
  std::uint64_t size_ = 0;
  std::int64_t modified_ns_ = 0;
  FileSystem* files_ = nullptr;  // null: in memory
  FileSystem::Handle handle_ = -1;
  std::vector<std::byte> memory_;
};

/// Where a writer puts its bytes, in order.
using ByteSink = std::function<void(std::span<const std::byte>)>;

/// A new file being written. Not yet atomic: AtomicFile and formats::CheckpointWriter are made of it.
class OutputFile {
 public:
  /// Creates `path`, which must not exist. `expected` bytes, if known, are named when the disk is full;
  /// messages call the file `shown_as`.
  OutputFile(std::filesystem::path path, std::uint64_t expected, std::string shown_as, FileSystem& files);
  /// Removes the file unless it was finished.
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  void write(std::span<const std::byte> bytes);
  /// On the disk, and closed; the file stays. Throws Error(machine), as write does, and the file goes.
  void finish();
  std::uint64_t written() const { return written_; }

 private:
  [[noreturn]] void fail(std::string_view call, int error);
  std::filesystem::path path_;
  std::uint64_t expected_;
  std::string shown_as_;
  FileSystem& files_;
  FileSystem::Handle handle_ = -1;
  std::uint64_t written_ = 0;
  bool finished_ = false;
};

/// A file that appears whole or not at all: a temporary one beside it (NAME.tmp-PID), written, synced,
/// renamed over the name, and the folder synced. Until commit() returns, `path` holds what it held before
/// (or, if only the last sync failed, all of the new bytes); after an Error the temporary one is gone. A
/// process killed in between leaves the temporary one, for remove_leftovers. A symbolic link at `path` is
/// replaced, not followed. Throws Error(machine) naming the path, the call and its cause.
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path path, std::uint64_t expected = 0,
                      FileSystem& files = system_files());

  void write(std::span<const std::byte> bytes) { output_.write(bytes); }
  void write(std::string_view text) { output_.write(as_bytes(text)); }
  /// Without it: nothing happened.
  void commit();

 private:
  FileSystem& files_;
  std::filesystem::path path_;
  std::filesystem::path temporary_;
  OutputFile output_;
};

/// `bytes` become the contents of `path`, in one step: see AtomicFile.
void write_atomically(const std::filesystem::path& path, std::span<const std::byte> bytes,
                      FileSystem& files = system_files());
void write_atomically(const std::filesystem::path& path, std::string_view text,
                      FileSystem& files = system_files());

/// Whether `name` is one that AtomicFile and its kin write beside: it ends in ".tmp-" and digits (and "-"
/// digits).
bool is_temporary_name(std::string_view name);
/// Removes what killed processes left in `folder`: files and folders (one deep) with temporary names.
/// Only for one who knows that nobody writes there now: the holder of the RunLock. Errors are ignored.
void remove_leftovers(const std::filesystem::path& folder, FileSystem& files = system_files());
/// Removes a folder and the files in it (no deeper); 0 or the errno of the first call that failed.
int remove_folder(const std::filesystem::path& folder, FileSystem& files);

/// Makes `folder` and those above it that are missing, each synced into the one that holds it.
/// Throws Error(machine) naming the folder that cannot be made.
void make_folders(const std::filesystem::path& folder, FileSystem& files = system_files());

/// Whether `name` can only mean a file in the folder it is looked up in: not empty, no / \ : or NUL, no
/// leading dot, at most 255 bytes. For names that come out of files.
bool is_bare_name(std::string_view name);

/// The errno value in words: "No space left on device".
std::string errno_text(int error);
/// The folder that holds `path`: "." for a bare name.
std::filesystem::path folder_of(const std::filesystem::path& path);
/// `path` for a message: escaped, whole unless it is very long.
std::string shown(const std::filesystem::path& path);
/// A temporary name beside `path`: path + ".tmp-PID"; `attempt` above 0 adds "-attempt".
std::filesystem::path temporary_beside(const std::filesystem::path& path, int attempt);

}  // namespace fovea
