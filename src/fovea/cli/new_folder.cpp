#include "fovea/cli/new_folder.h"

#include <algorithm>
#include <string_view>

#include "fovea/base/error.h"
#include "fovea/cli/common.h"

namespace fovea::cli {
namespace {

using Path = std::filesystem::path;

// "averaged/" names the folder "averaged".
Path without_slash(const Path& path) { return path.has_filename() ? path : path.parent_path(); }

bool is_carried_over(const Path& file) {
  const std::string name = file.filename().string(), ending = file.extension().string();
  if (name.starts_with('.') || name == "training.json" || name.ends_with(".index.json")) return false;
  constexpr std::string_view papers[] = {".json", ".spm", ".model", ".jinja", ".md", ".txt"};
  return std::ranges::find(papers, ending) != std::end(papers) || name == "LICENSE";
}

}  // namespace

NewFolder::NewFolder(Path path) : path_(without_slash(path)), temporary_(temporary_beside(path_, 0)) {
  if (std::filesystem::symlink_status(path_).type() != std::filesystem::file_type::not_found)
    throw Error(Error::Kind::usage, shown(path_), "exists already", "name a new folder");
  if (const int error = files_.make_folder(temporary_)) fail("cannot be made", error);
}

NewFolder::~NewFolder() {
  if (!in_place_) remove_folder(temporary_, files_);
}

void NewFolder::commit() {
  if (const int error = files_.sync_folder(temporary_)) fail("cannot be synced", error);
  if (const int error = files_.rename(temporary_, path_)) fail("cannot be put in place", error);
  in_place_ = true;
  if (const int error = files_.sync_folder(folder_of(path_)))
    fail("was written, but cannot be synced", error);
}

void NewFolder::fail(const std::string& what, int error) const {
  throw Error(Error::Kind::machine, shown(path_), what + ": " + errno_text(error));
}

void copy_papers(const Path& from, const Path& to) {
  constexpr std::uint64_t limit = std::uint64_t{1} << 30;
  for (const auto& entry : std::filesystem::directory_iterator(from)) {
    if (!entry.is_regular_file() || !is_carried_over(entry.path())) continue;
    write_atomically(to / entry.path().filename(), read_file(entry.path(), limit, Error::Kind::model));
  }
}

}  // namespace fovea::cli
