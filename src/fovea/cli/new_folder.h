#pragma once

#include <filesystem>
#include <string>

#include "fovea/base/file.h"

namespace fovea::cli {

/// A folder that appears whole or not at all: made beside its place under a temporary name, synced, renamed.
class NewFolder {
 public:
  /// Throws Error(usage) if there is something at `path`, Error(machine) if the folder cannot be made.
  explicit NewFolder(std::filesystem::path path);
  ~NewFolder();
  NewFolder(const NewFolder&) = delete;
  NewFolder& operator=(const NewFolder&) = delete;

  /// Where its files are to be written.
  const std::filesystem::path& path() const { return temporary_; }
  /// Without it: nothing happened. Throws Error(machine).
  void commit();

 private:
  [[noreturn]] void fail(const std::string& what, int error) const;

  FileSystem& files_ = system_files();
  std::filesystem::path path_, temporary_;
  bool in_place_ = false;
};

/// Copies configuration, tokenizer and papers of the model in `from`: all but its weights and the story of
/// its training.
void copy_papers(const std::filesystem::path& from, const std::filesystem::path& to);

}  // namespace fovea::cli
