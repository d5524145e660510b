#pragma once

#include <cerrno>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "fovea/base/file.h"
#include "fovea/base/file_system.h"

namespace fovea::test {

/// Thrown by FakeFiles where the process is killed. No Error, so nothing catches it on the way.
struct Killed {};

/// A disk in memory that knows what has been synced and what has not, and fails or stops at a chosen
/// operation.
///
/// It promises as little as POSIX does: bytes are safe after sync() of their file, names after sync_folder()
/// of their folder, and until then each may or may not have reached the disk, in any combination that the
/// Loss kinds name.
class FakeFiles final : public FileSystem {
 public:
  /// What a power cut does with what was not synced.
  enum class Loss {
    nothing,     ///< only the process dies (kill -9): the system still has everything
    everything,  ///< neither names nor bytes got there
    bytes,       ///< names got there, bytes did not: files of length zero (what ext4 was known for)
    tail,        ///< names and all bytes but the last block, which holds garbage
  };

  /// Operation number `n` (from 1) and, if `from_then_on`, all later ones give `error`; of the kinds named in
  /// `only`
  /// ("write", "sync", ...) if it is not empty: then only those count.
  void fail_at(int n, int error, std::set<std::string> only = {}, bool from_then_on = false) {
    *this << Fault{n, error, false, from_then_on, std::move(only)};
  }
  /// The process dies at operation `n`: a write has put down half of its bytes.
  void kill_at(int n) { *this << Fault{n, 0, true, false, {}}; }
  void no_fault() { *this << Fault{}; }
  /// Changing operations counted since the last of the calls above.
  int operations() const { return counted_; }
  /// Bytes the disk holds before it gives ENOSPC.
  void set_capacity(std::uint64_t bytes) { capacity_ = bytes; }
  const std::vector<std::string>& log() const { return log_; }

  /// The machine starts again after the kill.
  void restart(Loss loss) {
    dead_ = false;
    open_.clear();
    no_fault();
    if (loss != Loss::nothing) forget(*root_, loss);
  }

  /// Puts a file there, synced. Its folder must exist.
  void place(const Path& path, std::string_view text) {
    auto [folder, name] = parent(path);
    auto node = std::make_shared<Node>();
    node->bytes = node->synced_bytes = std::string(text);
    folder->names[name] = folder->synced_names[name] = node;
  }
  std::string text(const Path& path) { return find(path) ? find(path)->bytes : "(missing)"; }
  void change(const Path& path, const std::function<void(std::string&)>& edit) {
    edit(find(path)->bytes);
    find(path)->synced_bytes = find(path)->bytes;
  }
  bool exists(const Path& path) { return find(path) != nullptr; }

  IoResult<Handle> open(const Path& path, bool) override {
    if (dead_) return {-1, EIO};
    const auto node = find(path);
    if (!node) return {-1, ENOENT};
    return {take(node, false), 0};
  }
  IoResult<Handle> create(const Path& path) override {
    if (const int error = step("create", path)) return {-1, error};
    if (find(path)) return {-1, EEXIST};
    auto [folder, name] = parent(path);
    if (!folder) return {-1, ENOENT};
    return {take(folder->names[name] = std::make_shared<Node>(), true), 0};
  }
  IoResult<Info> info(Handle handle) override { return {describe(*open_.at(handle)), 0}; }
  IoResult<Info> info(const Path& path) override {
    if (dead_) return {{}, EIO};
    const auto node = find(path);
    if (!node) return {{}, ENOENT};
    return {describe(*node), 0};
  }
  IoResult<std::size_t> read_at(Handle handle, std::uint64_t offset, std::span<std::byte> out) override {
    const auto& bytes = open_.at(handle)->bytes;
    if (open_.at(handle)->folder) return {0, EISDIR};
    if (offset >= bytes.size()) return {0, 0};
    const std::size_t count = std::min<std::size_t>(out.size(), bytes.size() - offset);
    std::ranges::copy(as_bytes(bytes).subspan(offset, count), out.begin());
    return {count, 0};
  }
  IoResult<std::size_t> read(Handle handle, std::span<std::byte> out) override {
    auto& position = positions_[handle];
    const auto got = read_at(handle, position, out);
    position += got.value;
    return got;
  }
  IoResult<std::size_t> write(Handle handle, std::span<const std::byte> bytes) override {
    auto& node = *open_.at(handle);
    const bool dies = will_die();
    if (dies) node.bytes.append(as_text(bytes.first(bytes.size() / 2)));
    if (const int error = step("write", std::to_string(bytes.size()))) return {0, error};
    std::size_t count = std::min<std::size_t>(bytes.size(), 4096 * 16);  // short writes happen
    const std::uint64_t free = capacity_ - std::min(capacity_, used(*root_));
    if (free == 0) return {0, ENOSPC};
    count = std::min<std::size_t>(count, free);
    node.bytes.append(as_text(bytes.first(count)));
    return {count, 0};
  }
  int sync(Handle handle) override {
    if (const int error = step("sync", "")) return error;
    open_.at(handle)->synced_bytes = open_.at(handle)->bytes;
    return 0;
  }
  int close(Handle handle) override {
    if (dead_) return EIO;
    const bool for_writing = written_.erase(handle) > 0;
    open_.erase(handle);
    positions_.erase(handle);
    return for_writing ? step("close", "") : 0;
  }
  int sync_folder(const Path& path) override {
    if (const int error = step("sync_folder", path)) return error;
    const auto node = find(path);
    if (!node) return ENOENT;
    node->synced_names = node->names;
    return 0;
  }
  int rename(const Path& from, const Path& to) override {
    if (const int error = step("rename", from.native() + " " + to.native())) return error;
    const auto node = find(from);
    if (!node) return ENOENT;
    const auto target = find(to);
    if (target && target->folder && !target->names.empty()) return ENOTEMPTY;
    auto [old_folder, old_name] = parent(from);
    auto [new_folder, new_name] = parent(to);
    old_folder->names.erase(old_name);
    new_folder->names[new_name] = node;
    return 0;
  }
  int exchange(const Path& one, const Path& other) override {
    if (const int error = step("exchange", one.native() + " " + other.native())) return error;
    if (!find(one) || !find(other)) return ENOENT;
    auto [folder, name] = parent(one);
    auto [other_folder, other_name] = parent(other);
    std::swap(folder->names[name], other_folder->names[other_name]);
    return 0;
  }
  int remove(const Path& path) override {
    if (const int error = step("remove", path)) return error;
    const auto node = find(path);
    if (!node) return ENOENT;
    if (!node->names.empty()) return ENOTEMPTY;
    auto [folder, name] = parent(path);
    folder->names.erase(name);
    return 0;
  }
  int make_folder(const Path& path) override {
    if (const int error = step("make_folder", path)) return error;
    if (find(path)) return EEXIST;
    auto [folder, name] = parent(path);
    if (!folder) return ENOENT;
    folder->names[name] = std::make_shared<Node>();
    folder->names[name]->folder = true;
    return 0;
  }
  IoResult<std::vector<std::string>> list(const Path& path) override {
    if (dead_) return {{}, EIO};
    const auto node = find(path);
    if (!node) return {{}, ENOENT};
    if (!node->folder) return {{}, ENOTDIR};
    IoResult<std::vector<std::string>> names;
    for (const auto& [name, child] : node->names) names.value.push_back(name);
    return names;
  }

 private:
  struct Node {
    bool folder = false;
    std::string bytes, synced_bytes;
    std::map<std::string, std::shared_ptr<Node>> names, synced_names;
  };
  struct Fault {
    int n = 0;
    int error = 0;
    bool kill = false;
    bool from_then_on = false;
    std::set<std::string> only;
  };

  void operator<<(Fault fault) {
    fault_ = std::move(fault);
    counted_ = 0;
    log_.clear();
  }
  bool will_die() const { return !dead_ && fault_.kill && counted_ + 1 == fault_.n; }

  int step(const std::string& kind, const Path& detail) {
    if (dead_) return EIO;
    if (!fault_.only.empty() && !fault_.only.contains(kind)) return 0;
    ++counted_;
    log_.push_back(kind + " " + detail.native());
    if (fault_.n == 0) return 0;
    if (counted_ == fault_.n && fault_.kill) {
      dead_ = true;
      throw Killed{};
    }
    const bool hit = counted_ == fault_.n || (fault_.from_then_on && counted_ > fault_.n);
    return hit ? fault_.error : 0;
  }

  std::shared_ptr<Node> find(const Path& path) const {
    auto node = root_;
    for (const auto& part : path.lexically_normal()) {
      if (part == "/" || part == "." || part.empty()) continue;
      const auto child = node->names.find(part.native());
      if (child == node->names.end()) return nullptr;
      node = child->second;
    }
    return node;
  }
  std::pair<std::shared_ptr<Node>, std::string> parent(const Path& path) const {
    return {find(folder_of(path)), path.filename().native()};
  }
  Handle take(std::shared_ptr<Node> node, bool for_writing) {
    open_[++last_] = std::move(node);
    if (for_writing) written_.insert(last_);
    return last_;
  }
  static Info describe(const Node& node) {
    return {node.folder ? Type::directory : Type::regular, node.bytes.size()};
  }
  static std::uint64_t used(const Node& node) {
    std::uint64_t sum = node.bytes.size();
    for (const auto& [name, child] : node.names) sum += used(*child);
    return sum;
  }

  static void forget(Node& node, Loss loss) {
    if (loss == Loss::everything) node.names = node.synced_names;
    node.synced_names = node.names;
    if (loss == Loss::tail && node.bytes != node.synced_bytes && !node.bytes.empty()) {
      const std::size_t block = (node.bytes.size() - 1) / 512 * 512;
      for (std::size_t i = block; i < node.bytes.size(); ++i) node.bytes[i] = static_cast<char>(0x5a ^ i);
    } else {
      node.bytes = node.synced_bytes;
    }
    node.synced_bytes = node.bytes;
    for (auto& [name, child] : node.names) forget(*child, loss);
  }

  std::shared_ptr<Node> root_ = [] {
    auto node = std::make_shared<Node>();
    node->folder = true;
    return node;
  }();
  std::map<Handle, std::shared_ptr<Node>> open_;
  std::map<Handle, std::uint64_t> positions_;
  std::set<Handle> written_;
  Handle last_ = 0;
  Fault fault_;
  int counted_ = 0;
  bool dead_ = false;
  std::uint64_t capacity_ = std::uint64_t{1} << 40;
  std::vector<std::string> log_;
};

/// A file system that allows nothing: what a user without permission sees (root may do everything, so the
/// real one cannot show it to a test that runs as root). Only `folder` may be looked at from outside.
class DeniedFiles final : public FileSystem {
 public:
  explicit DeniedFiles(Path folder = {}) : folder_(std::move(folder)) {}
  IoResult<Handle> open(const Path&, bool) override { return {-1, EACCES}; }
  IoResult<Handle> create(const Path&) override { return {-1, EACCES}; }
  IoResult<Info> info(Handle) override { return {{}, EACCES}; }
  IoResult<Info> info(const Path& path) override {
    if (path == folder_) return {{Type::directory, 0}, 0};
    return {{}, EACCES};
  }
  IoResult<std::size_t> read_at(Handle, std::uint64_t, std::span<std::byte>) override { return {0, EACCES}; }
  IoResult<std::size_t> read(Handle, std::span<std::byte>) override { return {0, EACCES}; }
  IoResult<std::size_t> write(Handle, std::span<const std::byte>) override { return {0, EACCES}; }
  int sync(Handle) override { return EACCES; }
  int close(Handle) override { return 0; }
  int sync_folder(const Path&) override { return EACCES; }
  int rename(const Path&, const Path&) override { return EACCES; }
  int exchange(const Path&, const Path&) override { return EACCES; }
  int remove(const Path&) override { return EACCES; }
  int make_folder(const Path&) override { return EACCES; }
  IoResult<std::vector<std::string>> list(const Path&) override { return {{}, EACCES}; }

 private:
  Path folder_;
};

}  // namespace fovea::test
