#include "fovea/base/file.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "fovea/base/run_lock.h"
#include "tests/base/fake_file_system.h"
#include "tests/base/scratch.h"

namespace fovea {
namespace {

using test::FakeFiles;
using test::Killed;
using test::message_of;
using test::ScratchFolder;

// --- reading
// -----------------------------------------------------------------------------------------------------

TEST(ReadFile, GivesAllBytesUpToTheLimit) {
  const ScratchFolder folder;
  const std::string text("line\n\0more", 10);
  write_atomically(folder / "f", text);
  EXPECT_EQ(read_file(folder / "f", 10, Error::Kind::data), text);
  EXPECT_EQ(message_of(Error::Kind::model, [&] { read_file(folder / "f", 9, Error::Kind::model); }),
            (folder / "f").string() + ": is longer than the 9 bytes allowed here");
  write_atomically(folder / "empty", "");
  EXPECT_EQ(read_file(folder / "empty", 0, Error::Kind::data), "");
}

TEST(ReadFile, NamesWhatIsWrongWithThePath) {
  const ScratchFolder folder;
  const auto message = [&](const std::string& name) {
    return message_of(Error::Kind::data, [&] { read_file(folder / name, 100, Error::Kind::data); });
  };
  EXPECT_EQ(message("none"), (folder / "none").string() + ": there is no such file; check the path");
  EXPECT_EQ(message(""), (folder / "").string() + ": is a folder where a file was expected");
  std::filesystem::create_symlink("loop", folder / "loop");
  EXPECT_NE(message("loop").find("Too many levels of symbolic links"), std::string::npos);
  EXPECT_NE(message("a\nb").find("a\\x0ab: there is no such file"), std::string::npos);
}

TEST(ReadFile, F06_SaysThatAFileMayNotBeReadOrWritten) {
  test::DeniedFiles denied;
  EXPECT_EQ(message_of(Error::Kind::model, [&] { read_file("m", 1, Error::Kind::model, denied); }),
            "m: may not be read: Permission denied; check its permissions");
  EXPECT_EQ(message_of(Error::Kind::machine, [&] { write_atomically("m", "x", denied); }),
            "m: cannot create: Permission denied");
}

TEST(ReadFile, ReadsPipesAndFilesWithoutASizeWithinTheLimit) {
  EXPECT_FALSE(read_file("/proc/self/status", 1 << 20, Error::Kind::data).empty());
  EXPECT_NE(message_of(Error::Kind::data, [] { read_file("/dev/zero", 1000, Error::Kind::data); })
                .find("is longer than the 1000 bytes"),
            std::string::npos);
  const ScratchFolder folder;
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    std::ofstream(folder / "pipe") << std::string(100000, 'p');
    ::_exit(0);
  }
  EXPECT_EQ(read_file(folder / "pipe", 100000, Error::Kind::data), std::string(100000, 'p'));
  ::waitpid(child, nullptr, 0);
}

TEST(FileBytes, ReadsAnywhereAndNeverPastTheEnd) {
  const ScratchFolder folder;
  write_atomically(folder / "f", "0123456789");
  std::vector<std::byte> memory(10);
  std::ranges::copy(as_bytes("0123456789"), memory.begin());
  const FileBytes on_disk = FileBytes::open(folder / "f", Error::Kind::model);
  const FileBytes in_memory = FileBytes::of("memory", memory, Error::Kind::model);
  for (const FileBytes* bytes : {&on_disk, &in_memory}) {
    EXPECT_EQ(bytes->size(), 10U);
    std::array<std::byte, 4> out{};
    bytes->read_at(6, out);
    EXPECT_EQ(as_text(out), "6789");
    EXPECT_THROW(bytes->read_at(7, out), Error);
    EXPECT_THROW(bytes->read_at(~std::uint64_t{0} - 1, out), Error);
    bytes->read_at(10, {});
  }
}

TEST(FileBytes, A21_FileCutShortWhileOpenIsAnError) {
  const ScratchFolder folder;
  write_atomically(folder / "f", std::string(100000, 'x'));
  const FileBytes bytes = FileBytes::open(folder / "f", Error::Kind::model);
  ASSERT_EQ(::truncate((folder / "f").c_str(), 5000), 0);
  std::vector<std::byte> out(100000);
  EXPECT_EQ(message_of(Error::Kind::model, [&] { bytes.read_at(0, out); }),
            (folder / "f").string() + ": became shorter while it was being read: it ends before byte 100000");
}

TEST(FileBytes, RefusesWhatIsNotARegularFileWithoutWaiting) {
  const ScratchFolder folder;
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  EXPECT_NE(message_of(Error::Kind::model, [&] { FileBytes::open(folder / "pipe", Error::Kind::model); })
                .find("is a pipe or device"),
            std::string::npos);
  EXPECT_NE(message_of(Error::Kind::model, [&] { FileBytes::open(folder / "", Error::Kind::model); })
                .find("is a folder"),
            std::string::npos);
}

// --- writing
// -----------------------------------------------------------------------------------------------------

TEST(AtomicFile, F14_ReplacesAFileThatAnotherHasOpen) {
  const ScratchFolder folder;
  write_atomically(folder / "f", "old bytes");
  const FileBytes open = FileBytes::open(folder / "f", Error::Kind::model);
  write_atomically(folder / "f", "new");
  std::array<std::byte, 9> out{};
  open.read_at(0, out);
  EXPECT_EQ(as_text(out), "old bytes");
  EXPECT_EQ(read_file(folder / "f", 100, Error::Kind::data), "new");
  EXPECT_EQ(folder.names(), std::vector<std::string>{"f"});
}

TEST(AtomicFile, WithoutCommitNothingHappens) {
  const ScratchFolder folder;
  write_atomically(folder / "f", "old");
  {
    AtomicFile file(folder / "f");
    file.write("half of the n");
  }
  EXPECT_EQ(read_file(folder / "f", 100, Error::Kind::data), "old");
  EXPECT_EQ(folder.names(), std::vector<std::string>{"f"});
}

TEST(AtomicFile, F06_NamesAFolderThatCannotBeWritten) {
  const ScratchFolder folder;
  EXPECT_EQ(message_of(Error::Kind::machine, [&] { write_atomically(folder / "none/f", "x"); }),
            (folder / "none/f").string() + ": cannot create: No such file or directory");
  EXPECT_NE(message_of(Error::Kind::machine, [&] { write_atomically("/proc/f", "x"); }).find("cannot create"),
            std::string::npos);
  std::filesystem::create_directory(folder / "d");
  EXPECT_NE(
      message_of(Error::Kind::machine, [&] { write_atomically(folder / "d", "x"); }).find("is a folder"),
      std::string::npos);
  EXPECT_NE(message_of(Error::Kind::machine, [&] { write_atomically("/dev/null", "x"); })
                .find("is not a regular file"),
            std::string::npos);
  {
    AtomicFile file(folder / "d/f");
    file.write("x");
    std::filesystem::remove_all(folder / "d");
    EXPECT_THROW(file.commit(), Error);
  }
  EXPECT_EQ(folder.names(), std::vector<std::string>{});
}

TEST(AtomicFile, F07_AFileSizeLimitIsAnErrorAndNotASignal) {
  const ScratchFolder folder;
  write_atomically(folder / "f", "old");
  const pid_t child = ::fork();
  if (child == 0) {
    const rlimit limit{4096, 4096};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    try {
      write_atomically(folder / "f", std::string(100000, 'x'));
    } catch (const Error& error) {
      const std::string what = error.what();
      const bool good = error.kind() == Error::Kind::machine &&
                        what.find("File too large") != std::string::npos &&
                        what.find("after 4096 bytes of 100000") != std::string::npos;
      ::_exit(good ? 42 : 1);
    }
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  ASSERT_TRUE(WIFEXITED(status)) << "ended by signal " << WTERMSIG(status);
  EXPECT_EQ(WEXITSTATUS(status), 42);
  EXPECT_EQ(read_file(folder / "f", 100, Error::Kind::data), "old");
  EXPECT_EQ(folder.names(), std::vector<std::string>{"f"});
}

TEST(AtomicFile, F04_AFullDiskLeavesTheOldFileAndSaysHowMuchIsNeeded) {
  for (std::uint64_t capacity = 0; capacity < 200000; capacity += 20000) {
    FakeFiles files;
    files.place("/f", "old");
    files.set_capacity(3 + capacity);
    const std::string message =
        message_of(Error::Kind::machine, [&] { write_atomically("/f", std::string(200000, 'x'), files); });
    EXPECT_EQ(message, "/f: cannot write: No space left on device after " + std::to_string(capacity) +
                           " bytes of 200000; free some space; what was there before is intact");
    EXPECT_EQ(files.text("/f"), "old");
    EXPECT_EQ(files.list("/").value.size(), 1U);
  }
}

TEST(AtomicFile, F05_EveryCallThatFailsLeavesOneCompleteFile) {
  FakeFiles counting;
  counting.no_fault();
  write_atomically("/f", std::string(100000, 'n'), counting);
  const int operations = counting.operations();
  ASSERT_GE(operations, 7);  // create, write, write, sync, close, rename, sync_folder
  for (int n = 1; n <= operations; ++n) {
    FakeFiles files;
    files.place("/f", "old");
    files.fail_at(n, EIO);
    EXPECT_NE(
        message_of(Error::Kind::machine, [&] { write_atomically("/f", std::string(100000, 'n'), files); })
            .find("Input/output error"),
        std::string::npos);
    // The last call is the sync of the folder: then the new file has its name already.
    EXPECT_EQ(files.text("/f"), n < operations ? "old" : std::string(100000, 'n')) << "operation " << n;
    EXPECT_EQ(files.list("/").value.size(), 1U) << "operation " << n;
  }
}

TEST(AtomicFile, F01_F02_F03_AKillAnywhereLeavesTheOldOrTheNewFile) {
  const std::string old_text = "old", new_text(100000, 'n');
  for (const auto loss : {FakeFiles::Loss::nothing, FakeFiles::Loss::everything, FakeFiles::Loss::bytes,
                          FakeFiles::Loss::tail}) {
    bool finished = false;
    for (int n = 1; !finished; ++n) {
      FakeFiles files;
      files.place("/f", old_text);
      files.kill_at(n);
      try {
        write_atomically("/f", new_text, files);
        finished = true;
      } catch (const Killed&) {
      }
      files.restart(loss);
      const std::string text = files.text("/f");
      EXPECT_TRUE(text == new_text || (text == old_text && !finished))
          << "operation " << n << ": " << text.size();
      remove_leftovers("/", files);
      EXPECT_EQ(files.list("/").value, std::vector<std::string>{"f"});
      write_atomically("/f", "next", files);
      EXPECT_EQ(files.text("/f"), "next");
    }
  }
}

TEST(AtomicFile, TwoWritersOfOneNameDoNotMix) {
  const ScratchFolder folder;
  AtomicFile one(folder / "f"), two(folder / "f");
  one.write("one");
  two.write("two");
  two.commit();
  one.commit();
  EXPECT_EQ(read_file(folder / "f", 100, Error::Kind::data), "one");
  EXPECT_EQ(folder.names(), std::vector<std::string>{"f"});
}

TEST(Leftovers, OnlyTemporaryNamesAreRemoved) {
  for (const auto name : {"f.tmp-1", "checkpoint-000001.tmp-77", "f.tmp-12-3"})
    EXPECT_TRUE(is_temporary_name(name));
  for (const auto name : {"f.tmp", "f.tmp-", "f.tmp-x", ".tmp-1", "f", "f.tmp--1", "f.tmp-1.txt"})
    EXPECT_FALSE(is_temporary_name(name)) << name;
  const ScratchFolder folder;
  write_atomically(folder / "keep", "x");
  std::ofstream(folder / "keep.tmp-99999") << "half";
  std::filesystem::create_directory(folder / "checkpoint-000001.tmp-99999");
  std::ofstream(folder / "checkpoint-000001.tmp-99999/model") << "half";
  remove_leftovers(folder.path());
  EXPECT_EQ(folder.names(), std::vector<std::string>{"keep"});
}

TEST(Names, D10_OnlyBareNamesStayInTheFolder) {
  for (const auto name : {"a", "model-00001-of-00002.safetensors", "a..b", "a b", "\xc3\xa9"})
    EXPECT_TRUE(is_bare_name(name));
  for (const std::string& name :
       {std::string(), std::string("."), std::string(".."), std::string(".a"), std::string("a/b"),
        std::string("/a"), std::string("../a"), std::string("a\\b"), std::string("C:a"),
        std::string("a\0b", 3), std::string(256, 'n')})
    EXPECT_FALSE(is_bare_name(name)) << name;
}

TEST(MakeFolders, MakesWhatIsMissingAndNothingTwice) {
  const ScratchFolder folder;
  make_folders(folder / "a/b/c/");
  make_folders(folder / "a/b/c");
  EXPECT_TRUE(std::filesystem::is_directory(folder / "a/b/c"));
  write_atomically(folder / "file", "x");
  EXPECT_EQ(message_of(Error::Kind::machine, [&] { make_folders(folder / "file"); }),
            (folder / "file").string() + ": cannot be made: Not a directory");
  EXPECT_THROW(make_folders(folder / "file/b"), Error);
}

TEST(MakeFolders, F02_OutlastAPowerCut) {
  FakeFiles files;
  make_folders("/runs/first", files);
  write_atomically("/runs/first/config", "text", files);
  files.restart(FakeFiles::Loss::everything);
  EXPECT_EQ(files.text("/runs/first/config"), "text");
}

// --- locking
// -----------------------------------------------------------------------------------------------------

TEST(RunLock, F11_ASecondProcessIsRefusedAndTheFirstNamed) {
  const ScratchFolder folder;
  int ready[2], done[2];
  ASSERT_EQ(::pipe(ready), 0);
  ASSERT_EQ(::pipe(done), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const RunLock lock(folder.path());
    char byte = 'r';
    if (::write(ready[1], &byte, 1) != 1 || ::read(done[0], &byte, 1) < 0) ::_exit(1);
    ::_exit(0);  // without the destructor, as a killed process
  }
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  EXPECT_EQ(message_of(Error::Kind::machine, [&] { RunLock{folder.path()}; }),
            folder.path().string() + ": is in use by another process (pid " + std::to_string(child) +
                "); wait for it, stop it, or choose another folder");
  ASSERT_EQ(::write(done[1], &byte, 1), 1);
  ::waitpid(child, nullptr, 0);
  const RunLock recovered(folder.path());  // stale: the file is there, its owner is not
  EXPECT_THROW(RunLock{folder.path()}, Error);
}

TEST(RunLock, F11_NeedsAFolder) {
  const ScratchFolder folder;
  EXPECT_NE(
      message_of(Error::Kind::machine, [&] { RunLock{folder / "none"}; }).find("cannot lock the folder"),
      std::string::npos);
  { const RunLock first(folder.path()); }
  const RunLock again(folder.path());
}

}  // namespace
}  // namespace fovea
