#include "fovea/data/parallel_corpus.h"

#include "tests/base/scratch.h"
#include "tests/data/gzip.h"

namespace fovea::data {
namespace {

using test::expect_error;
using test::ScratchFolder;

using Lines = std::vector<std::string>;

std::string numbered(int lines) {
  std::string text;
  for (int i = 0; i < lines; ++i) text += "line " + std::to_string(i) + "\n";
  return text;
}

TEST(ParallelCorpus, PairsTwoFilesAndDropsEmptyPairs) {
  const ScratchFolder folder;
  const auto text = read_parallel({folder.write("en", "one\n\nthree\n \t\nfive"),
                                   folder.write("de", gzip("eins\nzwei\n\t\n\nf\xc3\xbcnf\n"))});
  EXPECT_EQ(text.source, (Lines{"one", "five"}));
  EXPECT_EQ(text.target, (Lines{"eins", "f\xc3\xbcnf"}));
  EXPECT_EQ(text.statistics.pairs, 2);
  EXPECT_EQ(text.statistics.empty_pairs, 3);
  EXPECT_EQ(text.statistics.source.lines, 5);
  EXPECT_EQ(text.statistics.target.lines, 5);
}

TEST(ParallelCorpus, I07_CountsThatDifferAreBothNamed) {
  const ScratchFolder folder;
  for (const auto& [source, target] : {std::pair{5, 6}, {6, 5}, {1, 1001}, {1001, 1}, {0, 1}}) {
    const ParallelFiles files{folder.write("en", numbered(source)), folder.write("de", numbered(target))};
    expect_error(
        Error::Kind::data, [&] { read_parallel(files); }, files.source, files.target,
        "has " + std::to_string(source) + " lines", "has " + std::to_string(target) + ";");
  }
}

TEST(ParallelCorpus, I09_ColumnsOfATsvFile) {
  const ScratchFolder folder;
  const auto path = folder.write("a.tsv", "en\tde\tfr\none\teins\tun\n");
  EXPECT_EQ(read_parallel({.source = path}).target, (Lines{"de", "eins"}));
  const auto text = read_parallel({.source = path, .source_column = 3, .target_column = 1});
  EXPECT_EQ(text.source, (Lines{"fr", "un"}));
  EXPECT_EQ(text.target, (Lines{"en", "one"}));
}

TEST(ParallelCorpus, I09_WrongColumnsNameTheLine) {
  const ScratchFolder folder;
  const auto path = folder.write("a.tsv", "a\tb\tc\nd\te\n");
  expect_error(
      Error::Kind::data, [&] { read_parallel({.source = path, .source_column = 1, .target_column = 3}); },
      path + ":2", "has 2 columns", "columns 1 and 3");
  expect_error(
      Error::Kind::data, [&] { read_parallel({.source = folder.write("b", "a b\n")}); }, folder.path("b:1"),
      "has 1 column,");
  for (const auto& columns : {std::pair{0, 1}, {1, -1}, {2, 2}})
    expect_error(
        Error::Kind::usage,
        [&] {
          PairReader({path, {}, columns.first, columns.second});
        },
        path, "column");
}

TEST(ParallelCorpus, I02_SkippingALineOfOneFileSkipsThePair) {
  const ScratchFolder folder;
  const ParallelFiles files{folder.write("en", "a\n\xff\nc\nd\ne\n\xff\n"),
                            folder.write("de", "A\nB\nC\n\xff\nE\nF\n")};
  const auto text = read_parallel(files, {.bad_utf8 = BadUtf8::skip});
  EXPECT_EQ(text.source, (Lines{"a", "c", "e"}));
  EXPECT_EQ(text.target, (Lines{"A", "C", "E"}));
  EXPECT_EQ(text.statistics.skipped_pairs, 3);
  EXPECT_EQ(text.statistics.source.first_invalid, files.source + ":2:1");
  EXPECT_EQ(text.statistics.target.first_invalid, files.target + ":4:1");
  EXPECT_EQ(read_parallel(files).source.size(), 6u);

  const auto tsv =
      read_parallel({.source = folder.write("t", "a\tA\n\xff\tB\nc\tC\n")}, {.bad_utf8 = BadUtf8::skip});
  EXPECT_EQ(tsv.target, (Lines{"A", "C"}));
  EXPECT_EQ(tsv.statistics.skipped_pairs, 1);
}

TEST(ParallelCorpus, I01_StandardInputServesOneSideOnly) {
  expect_error(
      Error::Kind::usage,
      [] {
        PairReader({"-", "-"});
      },
      "standard input");
}

TEST(ParallelCorpus, I01_NothingLeftIsAnError) {
  const ScratchFolder folder;
  expect_error(
      Error::Kind::data,
      [&] {
        read_parallel({folder.write("en", "a\n\n"), folder.write("de", "\nb\n")});
      },
      folder.path("en"), "no pair", "2 lines", "2 empty");
  expect_error(
      Error::Kind::data, [&] { read_parallel({.source = "/dev/null"}); }, "/dev/null", "0 lines");
}

}  // namespace
}  // namespace fovea::data
