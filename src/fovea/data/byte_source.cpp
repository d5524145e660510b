#include "fovea/data/byte_source.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <new>
#include <system_error>
#include <utility>

#include "fovea/base/error.h"

namespace fovea::data {
namespace {

constexpr std::size_t raw_bytes = std::size_t{64} << 10;
constexpr unsigned char gzip_first = 0x1f, gzip_second = 0x8b;

[[noreturn]] void fail(const std::string& name, const std::string& what, std::string_view remedy = {}) {
  throw Error(Error::Kind::data, printable(name, 400), what, remedy);
}

std::string system_message(int code) { return std::generic_category().message(code); }

unsigned char byte_at(const std::vector<char>& bytes, std::size_t at) {
  return static_cast<unsigned char>(bytes[at]);
}

}  // namespace

FileDescriptor::FileDescriptor(FileDescriptor&& other) noexcept
    : number_(std::exchange(other.number_, -1)), owned_(std::exchange(other.owned_, false)) {}

FileDescriptor& FileDescriptor::operator=(FileDescriptor&& other) noexcept {
  if (this != &other) {
    close();
    number_ = std::exchange(other.number_, -1);
    owned_ = std::exchange(other.owned_, false);
  }
  return *this;
}

void FileDescriptor::close() noexcept {
  if (owned_ && number_ >= 0) ::close(number_);
}

FileDescriptor FileDescriptor::open(const std::string& path) {
  if (path == "-") return FileDescriptor(STDIN_FILENO, false);
  int number;
  do {
    number = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  } while (number < 0 && errno == EINTR);
  if (number < 0) {
    const int code = errno;
    if (code == ENOENT) fail(path, "no such file", "check the path");
    fail(path, "cannot be opened: " + system_message(code));
  }
  FileDescriptor file(number);
  struct stat status {};
  if (fstat(number, &status) == 0 && S_ISDIR(status.st_mode))
    fail(path, "is a directory", "name a file in it");
  return file;
}

/// zlib's inflate over one gzip member after the other.
class ByteSource::Inflater {
 public:
  Inflater() {
    constexpr int gzip_wrapper = 16;
    if (inflateInit2(&stream_, MAX_WBITS + gzip_wrapper) != Z_OK) throw std::bad_alloc();
  }
  ~Inflater() { inflateEnd(&stream_); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  struct Progress {
    std::size_t consumed, produced;
    int status;  // as inflate returns it
  };

  Progress step(std::span<const char> from, std::span<char> into) {
    constexpr std::size_t most = std::numeric_limits<uInt>::max();
    const auto available_in = static_cast<uInt>(std::min(from.size(), most));
    const auto available_out = static_cast<uInt>(std::min(into.size(), most));
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(from.data()));
    stream_.avail_in = available_in;
    stream_.next_out = reinterpret_cast<Bytef*>(into.data());
    stream_.avail_out = available_out;
    const int status = inflate(&stream_, Z_NO_FLUSH);
    in_member_ = status != Z_STREAM_END;
    return {available_in - stream_.avail_in, available_out - stream_.avail_out, status};
  }

  const char* message() const { return stream_.msg ? stream_.msg : "corrupt data"; }
  bool in_member() const { return in_member_; }
  void next_member() {
    inflateReset(&stream_);
    in_member_ = true;
  }

 private:
  z_stream stream_{};
  bool in_member_ = true;
};

ByteSource::ByteSource(const std::string& path) : ByteSource(FileDescriptor::open(path), path) {}
ByteSource::ByteSource(FileDescriptor file, std::string name)
    : file_(std::move(file)), name_(name == "-" ? "standard input" : std::move(name)), raw_(raw_bytes) {}
ByteSource::~ByteSource() = default;
ByteSource::ByteSource(ByteSource&&) noexcept = default;
ByteSource& ByteSource::operator=(ByteSource&&) noexcept = default;

// Appends what one read() of the system gives; false at the end of the file.
bool ByteSource::fill() {
  if (begin_ == end_) begin_ = end_ = 0;
  ssize_t count;
  do {
    count = ::read(file_.number(), raw_.data() + end_, raw_.size() - end_);
  } while (count < 0 && errno == EINTR);
  if (count < 0) fail(name_, "cannot be read: " + system_message(errno));
  end_ += static_cast<std::size_t>(count);
  return count > 0;
}

void ByteSource::detect_gzip() {
  detected_ = true;
  // A second read only after a first magic byte: a terminal's one-byte line is passed on at once.
  if (!fill() || byte_at(raw_, 0) != gzip_first) return;
  if (end_ == 1) fill();
  if (end_ >= 2 && byte_at(raw_, 1) == gzip_second) inflater_ = std::make_unique<Inflater>();
}

std::size_t ByteSource::read(std::span<char> into) {
  if (into.empty()) return 0;
  if (!detected_) detect_gzip();
  return inflater_ ? read_gzip(into) : read_plain(into);
}

bool ByteSource::ready() const {
  if (begin_ != end_) return true;
  pollfd file{file_.number(), POLLIN, 0};
  return poll(&file, 1, 0) > 0;
}

std::size_t ByteSource::read_plain(std::span<char> into) {
  if (begin_ == end_ && !fill()) return 0;
  const std::size_t count = std::min(into.size(), end_ - begin_);
  std::memcpy(into.data(), raw_.data() + begin_, count);
  begin_ += count;
  return count;
}

std::size_t ByteSource::read_gzip(std::span<char> into) {
  while (true) {
    if (begin_ == end_ && !fill()) {
      if (inflater_->in_member())
        fail(name_, "gzip data end too early", "the file is truncated: copy it again");
      return 0;
    }
    if (!inflater_->in_member()) {
      if (byte_at(raw_, begin_) != gzip_first) fail(name_, "bytes after the gzip data that are not gzip");
      inflater_->next_member();
    }
    const auto progress = inflater_->step({raw_.data() + begin_, end_ - begin_}, into);
    begin_ += progress.consumed;
    if (progress.status == Z_MEM_ERROR) throw std::bad_alloc();
    if (progress.status != Z_OK && progress.status != Z_STREAM_END && progress.status != Z_BUF_ERROR)
      fail(name_, std::string("gzip data are corrupt: ") + inflater_->message(), "copy the file again");
    if (progress.produced > 0) return progress.produced;
  }
}

}  // namespace fovea::data
