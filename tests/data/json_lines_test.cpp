#include "fovea/data/json_lines.h"

#include <gtest/gtest.h>

#include "fovea/base/file.h"
#include "fovea/data/parallel_corpus.h"
#include "tests/base/scratch.h"

namespace fovea::data {
namespace {

using fovea::test::message_of;
using fovea::test::ScratchFolder;

class JsonLines : public testing::Test {
 protected:
  std::string file(const std::string& content) const {
    write_atomically(folder_ / "f.jsonl", content);
    return (folder_ / "f.jsonl").string();
  }
  const ScratchFolder folder_;
};

TEST_F(JsonLines, AFieldIsATextOrAListOfTexts) {
  const auto path =
      file("{\"a\": \"one\\ntwo\\tthree\", \"b\": [\"x\", \"y z\"]}\n{\"b\": [], \"a\": \"\"}\n");
  EXPECT_EQ(read_json_texts(path, "a"), (std::vector<std::string>{"one two three", ""}));
  EXPECT_EQ(read_json_texts(path, "b"), (std::vector<std::string>{"x y z", ""}));
  EXPECT_EQ(read_json_lists(path, "b"), (std::vector<std::vector<std::string>>{{"x", "y z"}, {}}));
}

TEST_F(JsonLines, PairsAreTwoFields) {
  const auto path = file(
      "{\"body\": [\"Long\", \"text.\"], \"subject\": [\"Short\", \"Other\"]}\n"
      "{\"body\": \" \", \"subject\": \"none\"}\n{\"body\": \"B\", \"subject\": \"S\"}\n");
  const auto text = read_parallel({.source = path, .source_field = "body", .target_field = "subject"});
  EXPECT_EQ(text.source, (std::vector<std::string>{"Long text.", "B"}));
  EXPECT_EQ(text.target, (std::vector<std::string>{"Short", "S"}));
  EXPECT_EQ(text.statistics.empty_pairs, 1);
}

TEST_F(JsonLines, SaysWhereALineIsWrong) {
  const auto message = [&](const std::string& content) {
    const auto path = file(content);
    return message_of(Error::Kind::data, [&] { read_json_texts(path, "a"); });
  };
  EXPECT_NE(message("{\"a\": \"x\"}\n{\"a\" \"x\"}\n").find("f.jsonl:2"), std::string::npos);
  EXPECT_NE(message("{\"a\": \"x\"}\n[]\n").find("f.jsonl:2: is no JSON object"), std::string::npos);
  EXPECT_NE(message("{\"b\": \"x\"}\n").find("f.jsonl:1"), std::string::npos);
  EXPECT_NE(message("{\"a\": 3}\n").find(": a: "), std::string::npos);
  EXPECT_NE(message("{\"a\": [\"x\", 3]}\n").find("a[1]"), std::string::npos);
  const auto path = file("{}");
  const auto one = message_of(Error::Kind::usage, [&] { PairReader({.source = path, .source_field = "a"}); });
  EXPECT_NE(one.find("name that of the source and that of the target"), std::string::npos) << one;
}

}  // namespace
}  // namespace fovea::data
