#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace fovea::data {

/// An open file, closed with the object unless it was lent (standard input).
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int number, bool owned = true) : number_(number), owned_(owned) {}
  ~FileDescriptor() { close(); }
  FileDescriptor(FileDescriptor&& other) noexcept;
  FileDescriptor& operator=(FileDescriptor&& other) noexcept;

  /// Opens `path` for reading; "-" lends standard input. A FIFO waits for its writer.
  /// Throws Error(data) naming the path if it is missing, a directory or unreadable.
  static FileDescriptor open(const std::string& path);

  int number() const { return number_; }

 private:
  void close() noexcept;
  int number_ = -1;
  bool owned_ = false;
};

/// The bytes of a file, unpacked if they are gzip (RFC 1952, any number of members): told by the two magic
/// bytes, not by the name. Reads forward only and never more than it must, so pipes, FIFOs and terminals work
/// as they come. Memory: 64 KiB, and zlib's window of 32 KiB when unpacking.
class ByteSource {
 public:
  explicit ByteSource(const std::string& path);
  /// `name` stands for the file in messages.
  ByteSource(FileDescriptor file, std::string name);
  ~ByteSource();
  ByteSource(ByteSource&&) noexcept;
  ByteSource& operator=(ByteSource&&) noexcept;

  /// Fills a leading part of `into` and returns its size in bytes: 0 only at the end (or if `into` is empty).
  /// Throws Error(data) naming the file if reading fails or the gzip data are truncated or corrupt.
  std::size_t read(std::span<char> into);
  /// Whether bytes, or the end, have arrived, so that read() need not wait for them (of gzip data it may
  /// still: too few of them unpack to nothing).
  bool ready() const;

  const std::string& name() const { return name_; }

 private:
  class Inflater;
  void detect_gzip();
  bool fill();
  std::size_t read_plain(std::span<char> into);
  std::size_t read_gzip(std::span<char> into);

  FileDescriptor file_;
  std::string name_;
  std::vector<char> raw_;  // bytes of the file not yet passed on: [begin_, end_)
  std::size_t begin_ = 0, end_ = 0;
  bool detected_ = false;
  std::unique_ptr<Inflater> inflater_;  // set if the file is gzip
};

}  // namespace fovea::data
