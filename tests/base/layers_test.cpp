// The floors of docs/architecture.md, held against the #include lines of src/fovea.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <string>

namespace fovea {
namespace {

/// Rooms by floor, from the ground up. A file includes its own room and the floors below, no other room of
/// its floor.
const std::map<std::string, int> floors = {{"base", 0},     {"kernels", 1},  {"tensor", 2},  {"ops", 3},
                                           {"formats", 3},  {"nn", 4},       {"text", 4},    {"attention", 5},
                                           {"models", 6},   {"data", 7},     {"metrics", 7}, {"views", 7},
                                           {"decoding", 8}, {"training", 9}, {"api", 9}, {"server", 10}, {"cli", 10}};

/// "kernels" of "kernels/cpu/gemm.h"; empty for a file outside the rooms.
std::string room_of(const std::string& path) {
  const auto slash = path.find('/');
  return slash == std::string::npos ? "" : path.substr(0, slash);
}

/// What is wrong with `file` (relative to src/fovea) including `included` (as written); empty if nothing is.
std::string violation(const std::string& file, const std::string& included) {
  const std::string prefix = "fovea/";
  if (!included.starts_with(prefix)) {
    const bool outside = included == "fovea_commit.h" || included == "fovea.h";  // generated; for C
    return outside ? "" : "includes \"" + included + "\", not by its full name \"fovea/...\"";
  }
  const std::string from = room_of(file), to = room_of(included.substr(prefix.size()));
  if (!floors.contains(from)) return "stands in no room of the architecture";
  if (!floors.contains(to)) return "includes " + included + ", which stands in no room";
  if (from == to || floors.at(to) < floors.at(from)) return "";
  return "of " + from + " includes " + included + " of " + to + ", which is not below it";
}

/// What `line` includes in quotes; empty if it does not. An .inl that is compiled once an instruction set is
/// named by a macro (kernels/cpu/for_each_isa.h) and counts too.
std::string included_by(const std::string& line) {
  const auto begins = [&line](const char* words) { return line.starts_with(words); };
  if (!begins("#include \"") && !begins("#define FOVEA_BODY \"")) return "";
  const auto open = line.find('"'), close = line.find('"', open + 1);
  return line.substr(open + 1, close == std::string::npos ? close : close - open - 1);
}

TEST(Layers, TheRuleItselfSeesViolations) {
  EXPECT_EQ(violation("tensor/tensor.h", "fovea/base/dtype.h"), "");
  EXPECT_EQ(violation("kernels/cpu/gemm.cpp", "fovea/kernels/gemm.h"), "");
  EXPECT_NE(violation("kernels/gemm.h", "fovea/tensor/tensor.h"), "");
  EXPECT_NE(violation("ops/softmax.cpp", "fovea/formats/safetensors.h"), "");  // neighbours on a floor
  EXPECT_NE(violation("text/tokenizer.h", "fovea/nn/module.h"), "");
  EXPECT_NE(violation("server/http.cpp", "fovea/cli/common.h"), "");
  EXPECT_NE(violation("attic/old.h", "fovea/base/error.h"), "");
  EXPECT_NE(violation("base/error.cpp", "error.h"), "");
  EXPECT_EQ(included_by("#include \"fovea/base/error.h\"  // why"), "fovea/base/error.h");
  EXPECT_EQ(included_by("#define FOVEA_BODY \"fovea/kernels/cpu/rows.inl\""), "fovea/kernels/cpu/rows.inl");
  EXPECT_EQ(included_by("#include <string>"), "");
}

TEST(Layers, EveryFileIncludesItsOwnRoomAndTheFloorsBelow) {
  const std::filesystem::path root = FOVEA_SOURCE_DIR "/src/fovea";
  int includes = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
    if (!entry.is_regular_file()) continue;
    const std::string file = std::filesystem::relative(entry.path(), root).string();
    std::ifstream lines(entry.path());
    for (std::string line; std::getline(lines, line);) {
      const std::string included = included_by(line);
      if (included.empty()) continue;
      ++includes;
      EXPECT_EQ(violation(file, included), "") << "in " << file;
    }
  }
  EXPECT_GT(includes, 20);  // the walk found the sources
}

}  // namespace
}  // namespace fovea
