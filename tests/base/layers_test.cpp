// The floors of docs/architecture.md, held against the #include lines of src/fovea.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <string>

namespace fovea {
namespace {

/// Rooms by floor, from the ground up. A file includes its own room and the floors below, no other room of
/// its floor.
const std::map<std::string, int> floors = {{"base", 0},     {"kernels", 1},  {"tensor", 2},  {"ops", 3},
                                           {"formats", 3},  {"nn", 4},       {"text", 4},    {"attention", 5},
                                           {"models", 6},   {"data", 7},     {"metrics", 7}, {"views", 7},
                                           {"decoding", 8}, {"training", 9}, {"server", 10}, {"cli", 10}};

/// "kernels" of "kernels/cpu/gemm.h"; empty for a file outside the rooms.
std::string room_of(const std::string& path) {
  const auto slash = path.find('/');
  return slash == std::string::npos ? "" : path.substr(0, slash);
}

/// What is wrong with `file` (relative to src/fovea) including `included` (as written); empty if nothing is.
std::string violation(const std::string& file, const std::string& included) {
  const std::string prefix = "fovea/";
  if (!included.starts_with(prefix)) {
    const bool generated = included == "fovea_commit.h";
    return generated ? "" : "includes \"" + included + "\", not by its full name \"fovea/...\"";
  }
  const std::string from = room_of(file), to = room_of(included.substr(prefix.size()));
  if (!floors.contains(from)) return "stands in no room of the architecture";
  if (!floors.contains(to)) return "includes " + included + ", which stands in no room";
  if (from == to || floors.at(to) < floors.at(from)) return "";
  return "of " + from + " includes " + included + " of " + to + ", which is not below it";
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
}

TEST(Layers, EveryFileIncludesItsOwnRoomAndTheFloorsBelow) {
  const std::filesystem::path root = FOVEA_SOURCE_DIR "/src/fovea";
  // An .inl that is compiled once an instruction set is named by a macro (kernels/cpu/for_each_isa.h).
  const std::regex include(R"(^\s*#\s*(?:include|define\s+FOVEA_BODY)\s+"([^"]+)\".*)");
  int includes = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
    if (!entry.is_regular_file()) continue;
    const std::string file = std::filesystem::relative(entry.path(), root).string();
    std::ifstream lines(entry.path());
    for (std::string line; std::getline(lines, line);) {
      std::smatch match;
      if (!std::regex_match(line, match, include)) continue;
      ++includes;
      EXPECT_EQ(violation(file, match[1]), "") << "in " << file;
    }
  }
  EXPECT_GT(includes, 20);  // the walk found the sources
}

}  // namespace
}  // namespace fovea
