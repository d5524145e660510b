#include "fovea/base/run_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>

#include "fovea/base/error.h"
#include "fovea/base/file.h"

namespace fovea {
namespace {

std::string owner(int handle) {
  char text[32];
  const ssize_t bytes = ::pread(handle, text, sizeof text, 0);
  std::string pid;
  for (ssize_t i = 0; i < bytes && text[i] >= '0' && text[i] <= '9'; ++i) pid.push_back(text[i]);
  return pid.empty() ? "unknown" : pid;
}

}  // namespace

RunLock::RunLock(const std::filesystem::path& folder) {
  const auto path = folder / ".lock";
  const int handle = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (handle < 0)
    throw Error(Error::Kind::machine, shown(path), "cannot lock the folder: " + errno_text(errno),
                "it must exist and be writable");
  int result = ::flock(handle, LOCK_EX | LOCK_NB);
  while (result < 0 && errno == EINTR) result = ::flock(handle, LOCK_EX | LOCK_NB);
  if (result < 0) {
    const int error = errno;
    const std::string pid = owner(handle);
    ::close(handle);
    if (error == EWOULDBLOCK)
      throw Error(Error::Kind::machine, shown(folder), "is in use by another process (pid " + pid + ")",
                  "wait for it, stop it, or choose another folder");
    throw Error(Error::Kind::machine, shown(path), "cannot lock the folder: " + errno_text(error));
  }
  handle_ = handle;
  // Who holds it is a courtesy to the reader of the message: a full disk must not forbid the run.
  const std::string pid = std::to_string(::getpid()) + "\n";
  if (::ftruncate(handle_, 0) == 0) static_cast<void>(::pwrite(handle_, pid.data(), pid.size(), 0) < 0);
}

RunLock::~RunLock() {
  if (handle_ >= 0) ::close(handle_);
}

RunLock::RunLock(RunLock&& other) noexcept : handle_(std::exchange(other.handle_, -1)) {}

}  // namespace fovea
