#include "fovea/formats/checkpoint.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <utility>

#include "fovea/formats/hash.h"
#include "fovea/formats/json.h"
#include "fovea/formats/json_writer.h"

namespace fovea::formats {
namespace {

using Path = std::filesystem::path;

constexpr std::string_view prefix = "checkpoint-";
constexpr std::string_view format_name = "fovea-checkpoint";
constexpr std::string_view manifest_name = "manifest.json";
// The last member of the manifest: the checksum of all bytes before this text.
constexpr std::string_view own_checksum = ",\n  \"manifest_xxh64\": \"";

std::string name_of_step(std::uint64_t step) {
  const std::string digits = std::to_string(step);
  return std::string(prefix) + std::string(digits.size() < 6 ? 6 - digits.size() : 0, '0') + digits;
}

std::optional<std::uint64_t> step_of_name(std::string_view name) {
  if (!name.starts_with(prefix)) return std::nullopt;
  std::uint64_t step = 0;
  const char* const end = name.data() + name.size();
  const auto [stop, error] = std::from_chars(name.data() + prefix.size(), end, step);
  if (error != std::errc() || stop != end || name != name_of_step(step)) return std::nullopt;
  return step;
}

std::string hex_of(std::string_view text) {
  Xxh64 hash;
  hash.update(as_bytes(text));
  return hash.hex();
}

void remove_killed_writers(const Path& run_folder, FileSystem& files) {
  for (const auto& name : files.list(run_folder).value)
    if (name.starts_with(prefix) && is_temporary_name(name)) remove_folder(run_folder / name, files);
}

}  // namespace

// --- writing
// -----------------------------------------------------------------------------------------------------

CheckpointWriter::CheckpointWriter(Path run_folder, std::uint64_t step, FileSystem& files)
    : files_(files),
      run_folder_(std::move(run_folder)),
      step_(step),
      final_(run_folder_ / name_of_step(step)),
      temporary_(temporary_beside(final_, 0)) {
  remove_killed_writers(run_folder_, files_);
  if (const int error = files_.make_folder(temporary_)) {
    throw Error(Error::Kind::machine, shown(final_), "cannot be made: " + errno_text(error));
  }
}

CheckpointWriter::~CheckpointWriter() {
  if (!in_place_) remove_folder(temporary_, files_);
}

void CheckpointWriter::add(std::string_view name, std::uint64_t expected, const Producer& produce) {
  if (!std::exchange(open_, false))
    throw Error(Error::Kind::bug, shown(final_), "is no longer being written");
  const auto same = [&](const File& file) { return file.name == name; };
  if (!is_bare_name(name) || name == manifest_name || std::ranges::any_of(written_, same))
    throw Error(Error::Kind::bug, shown(final_), "\"" + printable(name) + "\" cannot name a file in it");
  File file;
  write_file(name, expected, produce, file);
  written_.push_back(std::move(file));
  open_ = true;
}

void CheckpointWriter::add(std::string_view name, std::string_view text) {
  add(name, text.size(), [&](const ByteSink& sink) { sink(as_bytes(text)); });
}

void CheckpointWriter::write_file(std::string_view name, std::uint64_t expected, const Producer& produce,
                                  File& file) {
  OutputFile output(temporary_ / name, expected, shown(final_ / name), files_);
  Xxh64 hash;
  produce([&](std::span<const std::byte> bytes) {
    hash.update(bytes);
    output.write(bytes);
  });
  output.finish();
  file = {std::string(name), output.written(), hash.hex()};
}

std::string CheckpointWriter::manifest() const {
  JsonWriter json;
  json.begin_object().field("format", format_name).field("version", checkpoint_version).field("step", step_);
  json.key("files").begin_array();
  for (const File& file : written_)
    json.begin_object()
        .field("name", file.name)
        .field("bytes", file.bytes)
        .field("xxh64", file.xxh64)
        .end_object();
  std::string text = json.end_array().end_object().finish();
  text.resize(text.size() - std::string_view("\n}\n").size());
  const std::string checksum = hex_of(text);
  return text.append(own_checksum).append(checksum).append("\"\n}\n");
}

Checkpoint CheckpointWriter::commit() {
  if (!std::exchange(open_, false))
    throw Error(Error::Kind::bug, shown(final_), "is no longer being written");
  const std::string text = manifest();
  File ignored;
  write_file(
      manifest_name, text.size(), [&](const ByteSink& sink) { sink(as_bytes(text)); }, ignored);
  if (const int error = files_.sync_folder(temporary_))
    throw Error(Error::Kind::machine, shown(final_), "cannot be synced: " + errno_text(error));
  put_in_place();
  return {final_, step_};
}

void CheckpointWriter::put_in_place() {
  const bool replaces = files_.info(final_).ok();
  const int error = replaces ? files_.exchange(temporary_, final_) : files_.rename(temporary_, final_);
  if (replaces && (error == EINVAL || error == ENOSYS))
    throw Error(Error::Kind::machine, shown(final_),
                "exists, and this file system cannot replace a folder in one step", "move it away");
  if (error) throw Error(Error::Kind::machine, shown(final_), "cannot be put in place: " + errno_text(error));
  in_place_ = true;
  if (const int sync_error = files_.sync_folder(run_folder_))
    throw Error(Error::Kind::machine, shown(final_),
                "was written, but its folder cannot be synced: " + errno_text(sync_error), "check the disk");
  if (replaces) remove_folder(temporary_, files_);  // now the old one
}

// --- reading
// -----------------------------------------------------------------------------------------------------

namespace {

void verify_file(const Path& path, std::uint64_t bytes, std::string_view xxh64, FileSystem& files) {
  const FileBytes file = FileBytes::open(path, Error::Kind::model, files);
  if (file.size() != bytes)
    throw Error(
        Error::Kind::model, file.name(),
        "has " + std::to_string(file.size()) + " bytes, but " + std::to_string(bytes) + " were written");
  Xxh64 hash;
  std::vector<std::byte> block(
      static_cast<std::size_t>(std::min<std::uint64_t>(bytes, std::uint64_t{1} << 20)));
  for (std::uint64_t done = 0; done < bytes;) {
    const auto part =
        std::span(block).first(static_cast<std::size_t>(std::min<std::uint64_t>(block.size(), bytes - done)));
    file.read_at(done, part);
    hash.update(part);
    done += part.size();
  }
  if (hash.hex() != xxh64)
    throw Error(Error::Kind::model, file.name(), "does not hold the bytes that were written");
}

// The manifest, its own bytes checked: after this, what it says is what was written.
Json read_manifest(const Path& path, FileSystem& files) {
  const std::string text = read_file(path, std::uint64_t{16} << 20, Error::Kind::model, files);
  const Json manifest = Json::parse(text, {shown(path), Error::Kind::model});
  const auto body = text.rfind(own_checksum);
  if (body == std::string::npos || manifest.at("manifest_xxh64").text() != hex_of(text.substr(0, body)))
    manifest.reject("does not hold the bytes that were written");
  if (manifest.at("format").text() != format_name)
    manifest.at("format").reject("is not that of a checkpoint");
  const std::int64_t version = manifest.at("version").integer(1);
  if (version > checkpoint_version)
    throw NewerCheckpoint(Error::Kind::model, shown(path),
                          "was written by a newer fovea: its format is version " + std::to_string(version) +
                              ", this program reads up to " + std::to_string(checkpoint_version),
                          "use that fovea, or a newer one");
  return manifest;
}

}  // namespace

void verify_checkpoint(const Checkpoint& checkpoint, FileSystem& files) {
  const Json manifest = read_manifest(checkpoint.folder / manifest_name, files);
  const Json step = manifest.at("step");
  if (std::cmp_not_equal(step.integer(0), checkpoint.step))
    step.reject("is " + std::to_string(step.integer()) + ", but the folder is that of another step");
  for (const Json& file : manifest.at("files").elements()) {
    const std::string_view name = file.at("name").text();
    if (!is_bare_name(name)) file.at("name").reject("is not the bare name of a file");
    verify_file(checkpoint.folder / name, static_cast<std::uint64_t>(file.at("bytes").integer(0)),
                file.at("xxh64").text(), files);
  }
}

std::vector<Checkpoint> find_checkpoints(const Path& run_folder, FileSystem& files) {
  const auto names = files.list(run_folder);
  if (!names.ok())
    throw Error(Error::Kind::model, shown(run_folder), "cannot be read: " + errno_text(names.error));
  std::vector<Checkpoint> found;
  for (const auto& name : names.value)
    if (const auto step = step_of_name(name)) found.push_back({run_folder / name, *step});
  std::ranges::sort(found, std::ranges::greater(), &Checkpoint::step);
  return found;
}

std::optional<Checkpoint> newest_valid_checkpoint(const Path& run_folder, std::vector<std::string>& warnings,
                                                  FileSystem& files) {
  for (const Checkpoint& checkpoint : find_checkpoints(run_folder, files)) {
    try {
      verify_checkpoint(checkpoint, files);
      return checkpoint;
    } catch (const NewerCheckpoint&) {
      throw;
    } catch (const Error& damage) {
      warnings.push_back(std::string(damage.what()) + ": " + name_of_step(checkpoint.step) +
                         " is damaged, passed over");
    }
  }
  return std::nullopt;
}

// --- pruning
// -----------------------------------------------------------------------------------------------------

std::vector<Checkpoint> prune_checkpoints(const Path& run_folder, std::size_t keep,
                                          const std::set<std::uint64_t>& protect, FileSystem& files) {
  const std::vector<Checkpoint> found = find_checkpoints(run_folder, files);
  if (found.size() <= std::max<std::size_t>(keep, 1)) return {};
  verify_checkpoint(found.front(), files);
  std::vector<Checkpoint> removed;
  for (const Checkpoint& checkpoint : std::span(found).subspan(std::max<std::size_t>(keep, 1))) {
    if (protect.contains(checkpoint.step)) continue;
    // First out of the way under a temporary name: half of a checkpoint must never have the name of a whole
    // one.
    const Path temporary = temporary_beside(checkpoint.folder, 0);
    if (files.rename(checkpoint.folder, temporary) || files.sync_folder(run_folder)) continue;
    remove_folder(temporary, files);
    removed.push_back(checkpoint);
  }
  return removed;
}

}  // namespace fovea::formats
