#include "fovea/base/file.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <system_error>
#include <utility>

#include "fovea/base/checked.h"
#include "fovea/base/mapped_file.h"

namespace fovea {
namespace {

using Path = std::filesystem::path;

[[noreturn]] void unreadable(Error::Kind kind, const Path& path, int error) {
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      throw Error(kind, shown(path), "there is no such file", "check the path");
    case EISDIR:
      throw Error(kind, shown(path), "is a folder where a file was expected");
    case EACCES:
    case EPERM:
      throw Error(kind, shown(path), "may not be read: " + errno_text(error), "check its permissions");
    default:
      throw Error(kind, shown(path), "cannot be read: " + errno_text(error));
  }
}

// An open handle that closes itself.
class OpenFile {
 public:
  OpenFile(const Path& path, bool may_wait, Error::Kind kind, FileSystem& files) : files_(files) {
    const auto opened = files.open(path, may_wait);
    if (!opened.ok()) unreadable(kind, path, opened.error);
    handle_ = opened.value;
  }
  ~OpenFile() {
    if (handle_ >= 0) files_.close(handle_);
  }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  FileSystem::Handle get() const { return handle_; }
  FileSystem::Handle release() { return std::exchange(handle_, -1); }

 private:
  FileSystem& files_;
  FileSystem::Handle handle_ = -1;
};

[[noreturn]] void too_long(Error::Kind kind, const Path& path, std::uint64_t limit) {
  throw Error(kind, shown(path), "is longer than the " + std::to_string(limit) + " bytes allowed here");
}

// Pipes and devices have no size to trust: read until the end, or until the limit is passed.
std::string read_stream(const OpenFile& file, const Path& path, std::uint64_t limit, Error::Kind kind,
                        FileSystem& files) {
  std::string text;
  std::vector<std::byte> block(1 << 16);
  while (true) {
    const auto got = files.read(file.get(), block);
    if (!got.ok()) unreadable(kind, path, got.error);
    if (got.value == 0) return text;
    if (got.value > limit - text.size()) too_long(kind, path, limit);
    text.append(as_text(std::span(block).first(got.value)));
  }
}

}  // namespace

std::string errno_text(int error) { return std::system_category().message(error); }

Path folder_of(const Path& path) { return path.has_parent_path() ? path.parent_path() : Path("."); }

std::string shown(const Path& path) { return printable(path.native(), 4096); }

Path temporary_beside(const Path& path, int attempt) {
  std::string name = path.native() + ".tmp-" + std::to_string(::getpid());
  if (attempt > 0) name.append("-").append(std::to_string(attempt));
  return name;
}

std::string read_file(const Path& path, std::uint64_t limit, Error::Kind kind, FileSystem& files) {
  const OpenFile file(path, true, kind, files);
  const auto info = files.info(file.get());
  if (!info.ok()) unreadable(kind, path, info.error);
  if (info.value.type == FileSystem::Type::directory) unreadable(kind, path, EISDIR);
  // Files of /proc and the like say they are empty and are not.
  if (info.value.type == FileSystem::Type::other || info.value.bytes == 0)
    return read_stream(file, path, limit, kind, files);
  if (info.value.bytes > limit) too_long(kind, path, limit);
  std::string text(static_cast<std::size_t>(info.value.bytes), '\0');
  std::size_t have = 0;
  while (have < text.size()) {
    const auto got = files.read_at(file.get(), have, std::as_writable_bytes(std::span(text).subspan(have)));
    if (!got.ok()) unreadable(kind, path, got.error);
    if (got.value == 0) throw Error(kind, shown(path), "became shorter while it was being read");
    have += got.value;
  }
  return text;
}

FileBytes FileBytes::open(const Path& path, Error::Kind kind, FileSystem& files) {
  OpenFile file(path, false, kind, files);
  const auto info = files.info(file.get());
  if (!info.ok()) unreadable(kind, path, info.error);
  if (info.value.type == FileSystem::Type::directory) unreadable(kind, path, EISDIR);
  if (info.value.type != FileSystem::Type::regular)
    throw Error(kind, shown(path), "is a pipe or device where a regular file was expected");
  FileBytes bytes(shown(path), kind);
  bytes.size_ = info.value.bytes;
  bytes.modified_ns_ = info.value.modified_ns;
  bytes.files_ = &files;
  bytes.handle_ = file.release();
  return bytes;
}

FileBytes FileBytes::of(std::string name, std::vector<std::byte> memory, Error::Kind kind) {
  FileBytes bytes(std::move(name), kind);
  bytes.size_ = memory.size();
  bytes.memory_ = std::move(memory);
  return bytes;
}

FileBytes::~FileBytes() {
  if (files_ && handle_ >= 0) files_->close(handle_);
}

FileBytes::FileBytes(FileBytes&& other) noexcept
    : name_(std::move(other.name_)),
      kind_(other.kind_),
      size_(other.size_),
      modified_ns_(other.modified_ns_),
      files_(other.files_),
      handle_(std::exchange(other.handle_, -1)),
      memory_(std::move(other.memory_)) {}

std::shared_ptr<const MappedFile> FileBytes::map() const {
  return files_ ? MappedFile::of(*files_, handle_, size_, name_) : nullptr;
}

void FileBytes::read_at(std::uint64_t offset, std::span<std::byte> out) const {
  const auto end = checked_add<std::uint64_t>(offset, out.size());
  if (!end || *end > size_)
    throw Error(kind_, name_, "has no " + std::to_string(out.size()) + " bytes at " + std::to_string(offset));
  if (!files_) {
    std::copy_n(memory_.begin() + static_cast<std::ptrdiff_t>(offset), out.size(), out.begin());
    return;
  }
  while (!out.empty()) {
    const auto got = files_->read_at(handle_, offset, out);
    if (!got.ok()) throw Error(kind_, name_, "cannot be read: " + errno_text(got.error));
    if (got.value == 0)
      throw Error(kind_, name_,
                  "became shorter while it was being read: it ends before byte " + std::to_string(*end));
    offset += got.value;
    out = out.subspan(got.value);
  }
}

OutputFile::OutputFile(Path path, std::uint64_t expected, std::string shown_as, FileSystem& files)
    : path_(std::move(path)), expected_(expected), shown_as_(std::move(shown_as)), files_(files) {
  const auto created = files_.create(path_);
  if (!created.ok()) fail("create", created.error);
  handle_ = created.value;
}

OutputFile::~OutputFile() {
  if (handle_ >= 0) files_.close(handle_);
  if (!finished_) files_.remove(path_);
}

void OutputFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const auto put = files_.write(handle_, bytes);
    if (!put.ok()) fail("write", put.error);
    if (put.value == 0) fail("write", ENOSPC);  // POSIX does not forbid it; do not try for ever
    written_ += put.value;
    bytes = bytes.subspan(put.value);
  }
}

void OutputFile::finish() {
  // After a failed sync the system may have dropped the bytes and forgotten: never ask again, the file is
  // lost.
  if (const int error = files_.sync(handle_)) fail("sync", error);
  if (const int error = files_.close(std::exchange(handle_, -1))) fail("close", error);
  finished_ = true;
}

void OutputFile::fail(std::string_view call, int error) {
  std::string what = "cannot " + std::string(call) + ": " + errno_text(error);
  const std::uint64_t needed = std::max(expected_, written_);
  const bool full = error == ENOSPC || error == EDQUOT || error == EFBIG;
  if (full && expected_ > 0)
    what += " after " + std::to_string(written_) + " bytes of " + std::to_string(needed);
  else if (call != "create")
    what += " after " + std::to_string(written_) + " bytes";
  throw Error(Error::Kind::machine, shown_as_, what,
              full ? "free some space; what was there before is intact" : "");
}

namespace {

// The first free name beside `path`: another thread, or a killed process that had our pid, may hold one.
Path free_temporary(const Path& path, FileSystem& files) {
  for (int attempt = 0; attempt < 1000; ++attempt) {
    Path candidate = temporary_beside(path, attempt);
    if (files.info(candidate).error == ENOENT) return candidate;
  }
  return temporary_beside(path, 0);  // creating it will say what is the matter
}

Path checked_target(Path path, FileSystem& files) {
  const auto info = files.info(path);
  if (info.ok() && info.value.type != FileSystem::Type::regular)
    throw Error(Error::Kind::machine, shown(path),
                info.value.type == FileSystem::Type::directory
                    ? "is a folder, not a file to write"
                    : "is not a regular file: it will not be replaced");
  return path;
}

}  // namespace

AtomicFile::AtomicFile(Path path, std::uint64_t expected, FileSystem& files)
    : files_(files),
      path_(checked_target(std::move(path), files)),
      temporary_(free_temporary(path_, files)),
      output_(temporary_, expected, shown(path_), files) {}

void AtomicFile::commit() {
  output_.finish();
  if (const int error = files_.rename(temporary_, path_)) {
    files_.remove(temporary_);
    throw Error(Error::Kind::machine, shown(path_), "cannot put the new file in place: " + errno_text(error));
  }
  if (const int error = files_.sync_folder(folder_of(path_)))
    throw Error(Error::Kind::machine, shown(path_),
                "was written, but its folder cannot be synced: " + errno_text(error), "check the disk");
}

void write_atomically(const Path& path, std::span<const std::byte> bytes, FileSystem& files) {
  AtomicFile file(path, bytes.size(), files);
  file.write(bytes);
  file.commit();
}

void write_atomically(const Path& path, std::string_view text, FileSystem& files) {
  write_atomically(path, as_bytes(text), files);
}

bool is_temporary_name(std::string_view name) {
  const auto mark = name.rfind(".tmp-");
  if (mark == std::string_view::npos || mark == 0) return false;
  const auto rest = name.substr(mark + 5);
  const auto allowed = [](char c) { return (c >= '0' && c <= '9') || c == '-'; };
  return !rest.empty() && rest.front() != '-' && std::ranges::all_of(rest, allowed);
}

int remove_folder(const Path& folder, FileSystem& files) {
  const auto names = files.list(folder);
  if (!names.ok()) return names.error;
  int first_error = 0;
  for (const auto& name : names.value) {
    const int error = files.remove(folder / name);
    if (error && !first_error) first_error = error;
  }
  const int error = files.remove(folder);
  return first_error ? first_error : error;
}

void make_folders(const Path& folder, FileSystem& files) {
  const auto refuse = [&](int error) {
    throw Error(Error::Kind::machine, shown(folder), "cannot be made: " + errno_text(error));
  };
  const auto info = files.info(folder);
  if (info.ok() && info.value.type == FileSystem::Type::directory) return;
  if (info.ok()) refuse(ENOTDIR);
  if (info.error != ENOENT) refuse(info.error);
  const Path clean = folder.has_filename() ? folder : folder.parent_path();  // "a/b/" is "a/b"
  if (clean.has_parent_path() && clean.parent_path() != clean) make_folders(clean.parent_path(), files);
  const int error = files.make_folder(clean);
  if (error == EEXIST) return;  // another process was quicker
  if (error) refuse(error);
  if (const int sync_error = files.sync_folder(folder_of(clean))) refuse(sync_error);
}

bool is_bare_name(std::string_view name) {
  return !name.empty() && name.size() <= 255 && name.front() != '.' &&
         name.find_first_of(std::string_view("/\\:\0", 4)) == std::string_view::npos;
}

void remove_leftovers(const Path& folder, FileSystem& files) {
  const auto names = files.list(folder);
  if (!names.ok()) return;
  for (const auto& name : names.value) {
    if (!is_temporary_name(name)) continue;
    const auto info = files.info(folder / name);
    if (info.ok() && info.value.type == FileSystem::Type::directory)
      remove_folder(folder / name, files);
    else
      files.remove(folder / name);
  }
}

}  // namespace fovea
