#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "fovea/base/file.h"

/// Checkpoints of a training run: a folder `checkpoint-000123` each, whole or not there.
/// docs/formats/checkpoint.md has the protocol and the reasons. What the files in it mean is the business of
/// training.
namespace fovea::formats {

/// The format version written; this and all older ones are read.
inline constexpr std::int64_t checkpoint_version = 1;

/// A checkpoint on the disk.
struct Checkpoint {
  std::filesystem::path folder;
  std::uint64_t step = 0;  ///< updates made when it was written
};

/// Writes one checkpoint into `checkpoint-STEP.tmp-PID` in the run folder and gives it its name when all of
/// it is on the disk. After an Error, and without a commit, nothing of it remains; what was there before is
/// untouched. The caller holds the RunLock of the folder: what a killed writer left is removed here.
class CheckpointWriter {
 public:
  /// Gives the bytes of one file, in pieces.
  using Producer = std::function<void(const ByteSink&)>;

  CheckpointWriter(std::filesystem::path run_folder, std::uint64_t step, FileSystem& files = system_files());
  ~CheckpointWriter();
  CheckpointWriter(const CheckpointWriter&) = delete;
  CheckpointWriter& operator=(const CheckpointWriter&) = delete;

  /// Adds the file `name` (bare) of `expected` bytes: the number is for messages, 0 if unknown. Throws
  /// Error(machine).
  void add(std::string_view name, std::uint64_t expected, const Producer& produce);
  void add(std::string_view name, std::string_view text);
  /// Everything on the disk under its final name, which is returned. A checkpoint of the same step is
  /// replaced in one step. Throws Error(machine); if only the last sync failed, the new one is in place all
  /// the same.
  Checkpoint commit();

 private:
  struct File {
    std::string name;
    std::uint64_t bytes;
    std::string xxh64;
  };
  std::string manifest() const;
  void write_file(std::string_view name, std::uint64_t expected, const Producer& produce, File& file);
  void put_in_place();

  FileSystem& files_;
  std::filesystem::path run_folder_;
  std::uint64_t step_;
  std::filesystem::path final_;
  std::filesystem::path temporary_;
  std::vector<File> written_;
  bool open_ = true;  // false after a failure or a commit
  bool in_place_ = false;
};

/// All folders in `run_folder` with the name of a checkpoint, newest (largest step) first; looks at names
/// only, never at clocks. Throws Error(model) if the folder cannot be read.
std::vector<Checkpoint> find_checkpoints(const std::filesystem::path& run_folder,
                                         FileSystem& files = system_files());

/// Thrown for a whole, undamaged checkpoint that a newer version wrote. Not to be passed over for an older
/// one.
class NewerCheckpoint : public Error {
 public:
  using Error::Error;
};

/// Reads every byte of the checkpoint. Throws Error(model) naming the file and what is wrong: missing, of
/// another size or checksum, not ours. Throws NewerCheckpoint.
void verify_checkpoint(const Checkpoint& checkpoint, FileSystem& files = system_files());

/// The newest checkpoint that verifies; a damaged one is passed over with a warning. Nothing if there is none
/// (then `warnings` tells whether there were damaged ones). Throws NewerCheckpoint.
std::optional<Checkpoint> newest_valid_checkpoint(const std::filesystem::path& run_folder,
                                                  std::vector<std::string>& warnings,
                                                  FileSystem& files = system_files());

/// Removes all but the newest `keep` checkpoints and those of the steps in `protect`. Verifies the newest
/// first and removes nothing unless it is whole (Error(model)). Gives what it removed; one that cannot be
/// removed stays, without an error: that must not end a training.
std::vector<Checkpoint> prune_checkpoints(const std::filesystem::path& run_folder, std::size_t keep,
                                          const std::set<std::uint64_t>& protect,
                                          FileSystem& files = system_files());

}  // namespace fovea::formats
