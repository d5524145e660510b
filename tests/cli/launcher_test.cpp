// ./fovea and scripts/setup.sh in a checkout of their own, with stubs in place of the package manager and
// CMake.
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/cli/run.h"

namespace fovea::cli {
namespace {

namespace fs = std::filesystem;

class Launcher : public testing::Test {
 protected:
  Launcher() {
    fs::create_directories(checkout_ + "/scripts");
    fs::create_directories(checkout_ + "/src");
    fs::create_directories(stubs_);
    for (const char* file :
         {"fovea", "scripts/setup.sh", "scripts/packages.txt", "scripts/packages-test.txt"})
      fs::copy_file(std::string(FOVEA_SOURCE_DIR "/") + file, checkout_ + "/" + file);
    for (const char* file : {"CMakeLists.txt", "CMakePresets.json", "src/main.cpp"})
      write(checkout_ + "/" + file, "");
    stub("dpkg-query", "shift 3; for p; do [ \"$p\" = \"$MISSING\" ] || echo \"ii |$p\"; done");
    stub("cmake", R"(case $1 in
--build) printf '#!/bin/sh\necho "$PWD|$*"\n' >build/release/fovea; chmod +x build/release/fovea ;;
*) mkdir -p build/release; touch build/release/build.ninja
   echo "CMAKE_HOME_DIRECTORY:INTERNAL=$PWD" >build/release/CMakeCache.txt ;;
esac)");
    stub("id", "echo ${FAKE_UID:-0}");
    stub("sudo", "exit 1");
    stub("apt-get", "");
  }

  static void write(const std::string& path, const std::string& text) { std::ofstream(path) << text; }

  /// A program NAME on the path that notes its call in the log and then does `body`.
  void stub(const std::string& name, const std::string& body) {
    const std::string path = stubs_ + "/" + name;
    write(path, "#!/bin/sh\necho \"" + name + " $*\" >>" + shell_word(log_) + "\n" + body + "\n");
    fs::permissions(path, fs::perms::owner_all);
  }

  /// Runs `command` in sh with the stubs first on the path; $HERE is the checkout.
  RunResult with_stubs(const std::string& command) {
    return run("PATH=" + shell_word(stubs_) + ":$PATH HERE=" + shell_word(checkout_) +
               "; export PATH HERE; " + command);
  }

  std::string calls() const { return read_file(log_); }
  void forget_calls() const { fs::remove(log_); }

  test::ScratchFolder folder_;
  std::string checkout_ = folder_.path("check out"), stubs_ = folder_.path("stubs"),
              log_ = folder_.path("calls");
};

TEST_F(Launcher, BuildsTheFirstTimeAndThenOnlyRuns) {
  const auto first = with_stubs("cd /; \"$HERE/fovea\" a 'b c'");
  EXPECT_EQ(first.code, 0) << first.err;
  EXPECT_EQ(first.out, "/|a b c\n");  // in the user's folder, with the user's arguments
  EXPECT_CONTAINS(first.err, "fovea: building with ");
  EXPECT_CONTAINS(calls(), "--target fovea_cli");
  EXPECT_FALSE(contains(calls(), "apt-get"));
  forget_calls();

  const auto second = with_stubs("\"$HERE/fovea\" again");
  EXPECT_EQ(second.code, 0);
  EXPECT_EQ(second.err, "");
  EXPECT_EQ(calls(), "");
}

TEST_F(Launcher, BuildsAgainWhenASourceIsNewerThanTheBuildBegan) {
  with_stubs("\"$HERE/fovea\"");
  for (const char* source : {"src/main.cpp", "src", "CMakeLists.txt", "CMakePresets.json"}) {
    forget_calls();
    fs::last_write_time(checkout_ + "/" + source, fs::file_time_type::clock::now());
    const auto result = with_stubs("\"$HERE/fovea\"");
    EXPECT_EQ(result.code, 0);
    EXPECT_CONTAINS(calls(), "--target fovea_cli");
  }
  forget_calls();
  EXPECT_EQ(with_stubs("\"$HERE/fovea\"").code, 0);
  EXPECT_EQ(calls(), "");
}

TEST_F(Launcher, ASourceSavedDuringTheBuildIsBuiltNextTime) {
  stub("cmake", R"(mkdir -p build/release; touch build/release/build.ninja
echo "CMAKE_HOME_DIRECTORY:INTERNAL=$PWD" >build/release/CMakeCache.txt
printf '#!/bin/sh\n' >build/release/fovea; chmod +x build/release/fovea
sleep 0.02; touch src/main.cpp)");
  EXPECT_EQ(with_stubs("\"$HERE/fovea\"").code, 0);
  forget_calls();
  with_stubs("\"$HERE/fovea\"");
  EXPECT_CONTAINS(calls(), "--build");
}

TEST_F(Launcher, WorksThroughALinkAndBySearchPath) {
  fs::create_symlink(checkout_ + "/fovea", stubs_ + "/linked");
  EXPECT_EQ(with_stubs("cd /; linked x").out, "/|x\n");
  EXPECT_EQ(with_stubs("cd \"$HERE\"; sh fovea x").out, checkout_ + "|x\n");
  EXPECT_EQ(with_stubs("cd \"$HERE/src\"; ../fovea x").out, checkout_ + "/src|x\n");
}

TEST_F(Launcher, InstallsABrowserForTestsAloneAndGoesOnWithoutOne) {
  const std::string missing = "MISSING=chromium-headless-shell ",
                    tests = "\"$HERE/scripts/setup.sh\" --tests all";
  EXPECT_EQ(with_stubs(missing + "\"$HERE/fovea\"").code, 0);
  EXPECT_FALSE(contains(calls(), "apt-get"));
  EXPECT_EQ(with_stubs("FOVEA_BROWSER=none " + missing + tests).code, 0);
  EXPECT_FALSE(contains(calls(), "apt-get"));

  const auto installed = with_stubs(missing + tests);
  EXPECT_EQ(installed.code, 0) << installed.err;
  EXPECT_CONTAINS(calls(), "install -y --no-install-recommends chromium-headless-shell\n");
  EXPECT_CONTAINS(calls(), "--target all");

  stub("apt-get", "exit 100");
  forget_calls();
  const auto without = with_stubs(missing + tests);
  EXPECT_EQ(without.code, 0) << without.err;
  EXPECT_CONTAINS(without.err, "cannot install chromium-headless-shell; the tests that need it are skipped");
  EXPECT_CONTAINS(calls(), "--target all");
}

TEST_F(Launcher, InstallsWhatIsMissingAndSaysSo) {
  const auto result = with_stubs("MISSING=libicu-dev \"$HERE/fovea\" <<END\nsurprise\nEND");
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(count(result.out, "\n"), 1);
  EXPECT_CONTAINS(result.err, "fovea: installing packages: libicu-dev\n");
  EXPECT_CONTAINS(calls(), "install -y --no-install-recommends libicu-dev\n");
  EXPECT_FALSE(
      contains(calls(), "apt-get -q -o DPkg::Lock::Timeout=600 update"));  // the lists were good enough
}

TEST_F(Launcher, UpdatesTheListsOnlyWhenInstallingFailed) {
  stub("apt-get", "cat; case $* in *update*) touch " + shell_word(folder_.path("updated")) + " ;; *) [ -e " +
                      shell_word(folder_.path("updated")) + " ] ;; esac");
  const auto result = with_stubs("MISSING=cmake \"$HERE/fovea\"");
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(count(calls(), " update\n"), 1);
  EXPECT_EQ(count(calls(), "install -y --no-install-recommends cmake\n"), 2);
}

TEST_F(Launcher, APackageManagerThatFailsIsQuotedAndExits5) {
  stub("apt-get", "echo 'E: the mirror is gone'; exit 100");
  const auto result = with_stubs("MISSING=cmake \"$HERE/fovea\"");
  EXPECT_EQ(result.code, 5);
  EXPECT_EQ(result.out, "");
  EXPECT_CONTAINS(result.err, "E: the mirror is gone");
  EXPECT_CONTAINS(result.err, "fovea: apt-get update failed");
}

TEST_F(Launcher, WithoutRootOrSudoItPrintsTheLineToRunAndExits5) {
  const auto result = with_stubs("MISSING=libgtest-dev FAKE_UID=1000 \"$HERE/fovea\" translate x");
  EXPECT_EQ(result.code, 5);
  EXPECT_EQ(result.out, "");
  EXPECT_CONTAINS(
      result.err,
      "\n  sudo apt-get update && sudo apt-get install -y --no-install-recommends libgtest-dev\n");
  EXPECT_FALSE(contains(calls(), "apt-get"));
}

TEST_F(Launcher, WithSudoItInstallsThroughIt) {
  stub("sudo", "[ \"$1\" = -n ] || exit 1; shift; \"$@\"");
  const auto result = with_stubs("MISSING=cmake FAKE_UID=1000 \"$HERE/fovea\"");
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_CONTAINS(calls(), "sudo -n env DEBIAN_FRONTEND=noninteractive apt-get");
}

TEST_F(Launcher, ABuildThatFailsShowsTheEndOfItsOutputAndIsTriedAgain) {
  stub("cmake", "echo 'main.cpp:1: error: no'; exit 1");
  const auto result = with_stubs("\"$HERE/fovea\"");
  EXPECT_EQ(result.code, 5);
  EXPECT_EQ(result.out, "");
  EXPECT_CONTAINS(result.err, "main.cpp:1: error: no");
  EXPECT_CONTAINS(result.err,
                  "fovea: configuring failed; the whole output is in " + checkout_ + "/build/setup.log");
  forget_calls();
  EXPECT_EQ(with_stubs("\"$HERE/fovea\"").code, 5);
  EXPECT_CONTAINS(calls(), "cmake ");
}

TEST_F(Launcher, AMovedCheckoutIsConfiguredAfresh) {
  with_stubs("\"$HERE/fovea\"");
  forget_calls();
  const std::string moved = folder_.path("moved");
  fs::rename(checkout_, moved);
  checkout_ = moved;
  fs::last_write_time(checkout_ + "/src/main.cpp", fs::file_time_type::clock::now());
  EXPECT_EQ(with_stubs("\"$HERE/fovea\"").code, 0);
  EXPECT_CONTAINS(calls(), "cmake --fresh --preset release");
}

TEST_F(Launcher, ACheckoutThatCannotBeWrittenIsSaidClearly) {
  write(checkout_ + "/build", "not a folder");
  const auto result = with_stubs("\"$HERE/fovea\"");
  EXPECT_EQ(result.code, 5);
  EXPECT_CONTAINS(result.err, "fovea: cannot write in " + checkout_ + "/build");
  EXPECT_EQ(count(result.err, "\n"), 1);
}

TEST_F(Launcher, TwoAtOnceBuildOneAfterTheOther) {
  stub("cmake", R"(mkdir -p build/release; touch build/release/build.ninja
echo "CMAKE_HOME_DIRECTORY:INTERNAL=$PWD" >build/release/CMakeCache.txt
printf '#!/bin/sh\n' >build/release/fovea; chmod +x build/release/fovea
[ ! -e busy ] || echo OVERLAP >>)" +
                    shell_word(log_) + R"(
touch busy; sleep 0.1; rm busy)");
  EXPECT_EQ(with_stubs("\"$HERE/fovea\" & \"$HERE/fovea\"; code=$?; wait; exit $code").code, 0);
  EXPECT_GE(count(calls(), "cmake --build"), 1);
  EXPECT_FALSE(contains(calls(), "OVERLAP"));
}

}  // namespace
}  // namespace fovea::cli
