#include "fovea/data/lines.h"

#include <fcntl.h>
#include <malloc.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "tests/base/scratch.h"
#include "tests/data/gzip.h"

namespace fovea::data {
namespace {

using test::expect_error;
using test::ScratchFolder;

using Lines = std::vector<std::string>;

// A pipe whose writer the test feeds by hand.
struct Pipe {
  Pipe() {
    int ends[2];
    if (::pipe(ends) != 0) throw std::runtime_error("pipe");
    reader = FileDescriptor(ends[0]);
    writer = FileDescriptor(ends[1]);
  }
  void write(std::string_view text) const {
    ASSERT_EQ(::write(writer.number(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  FileDescriptor reader, writer;
};

// Bytes that the program holds from malloc (0 where a sanitizer replaces it).
std::size_t bytes_held() {
  const auto held = ::mallinfo2();
  return held.uordblks + held.hblkhd;
}

TEST(Lines, I03_OnlyNewlineEndsALine) {
  const ScratchFolder folder;
  const auto path = folder.write("a", "a\rb\nc\u2028d\u0085e\ff\n\tg\t\nlast");
  EXPECT_EQ(read_lines(path), (Lines{"a\rb", "c\u2028d\u0085e\ff", "\tg\t", "last"}));
}

TEST(Lines, I03_CarriageReturnBeforeNewlineGoes) {
  const ScratchFolder folder;
  EXPECT_EQ(read_lines(folder.write("a", "a\r\n\r\nb\r\r\nc\r")), (Lines{"a", "", "b\r", "c\r"}));
}

TEST(Lines, I03_ByteOrderMarkIsDroppedAtTheStartOnly) {
  const ScratchFolder folder;
  EXPECT_EQ(read_lines(folder.write("a",
                                    "\xef\xbb\xbf"
                                    "a\n\xef\xbb\xbf"
                                    "b\n")),
            (Lines{"a",
                   "\xef\xbb\xbf"
                   "b"}));
  EXPECT_EQ(read_lines(folder.write("b", "\xef\xbb\xbf")), Lines{});
  EXPECT_EQ(read_lines(folder.write("c", gzip("\xef\xbb\xbf"
                                              "a"))),
            Lines{"a"});
  expect_error(
      Error::Kind::data,
      [&] {
        read_lines(folder.write("d", std::string("\xff\xfe"
                                                 "a\0\n\0",
                                                 6)));
      },
      "UTF-16");
}

TEST(Lines, I03_NulBecomesASpaceAndIsCounted) {
  const ScratchFolder folder;
  LineStatistics statistics;
  EXPECT_EQ(read_lines(folder.write("a", std::string("a\0b\0\n\0c", 7)), {}, &statistics),
            (Lines{"a b ", " c"}));
  EXPECT_EQ(statistics.nul_bytes, 3);
}

TEST(Lines, I03_FinalNewlineMayBeMissing) {
  const ScratchFolder folder;
  EXPECT_EQ(read_lines(folder.write("a", "")), Lines{});
  EXPECT_EQ(read_lines(folder.write("b", "\n")), Lines{""});
  EXPECT_EQ(read_lines(folder.write("c", "x\n\n")), (Lines{"x", ""}));
  EXPECT_EQ(read_lines(folder.write("d", "x\n ")), (Lines{"x", " "}));
}

TEST(Lines, I01_MissingDirectoryAndUnreadableNameThePath) {
  const ScratchFolder folder;
  const auto data = Error::Kind::data;
  expect_error(
      data, [&] { read_lines(folder.path("none")); }, folder.path("none"), "no such file");
  expect_error(
      data, [&] { read_lines(folder.path(".")); }, folder.path("."), "is a directory");
  expect_error(
      data, [&] { read_lines("/proc/self/mem"); }, "/proc/self/mem", "cannot be read");
  EXPECT_EQ(read_lines("/dev/null"), Lines{});
}

TEST(Lines, I01_FifoGivesLinesAsTheyCome) {
  const ScratchFolder folder;
  const auto path = folder.path("fifo");
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  std::thread writer([&] { std::ofstream(path) << "one\ntwo\n"; });
  EXPECT_EQ(read_lines(path), (Lines{"one", "two"}));
  writer.join();
}

// A reader that filled its buffer before it gave a line would hang here.
TEST(Lines, I01_PipeIsReadNoFurtherThanTheLineNeeds) {
  Pipe pipe;
  LineReader reader(std::move(pipe.reader), "pipe");
  for (const std::string line : {"x", "", "\x1f", "second", "\xef"}) {
    pipe.write(line + "\n");
    EXPECT_EQ(reader.next(), line == "\xef" ? "\xef\xbf\xbd" : std::string_view(line));
  }
  pipe.writer = FileDescriptor();
  EXPECT_EQ(reader.next(), std::nullopt);
  EXPECT_EQ(reader.next(), std::nullopt);
}

TEST(Lines, HasLineSaysWhetherNextWouldWait) {
  Pipe pipe;
  LineReader reader(std::move(pipe.reader), "pipe");
  pipe.write("one\ntwo\nthr");
  EXPECT_EQ(reader.next(), "one");
  EXPECT_TRUE(reader.has_line());
  EXPECT_EQ(reader.next(), "two");
  EXPECT_FALSE(reader.has_line());  // half a line
  pipe.write("ee\n");
  EXPECT_TRUE(reader.has_line());
  EXPECT_EQ(reader.next(), "three");
  EXPECT_FALSE(reader.has_line());
  pipe.write("end");
  EXPECT_FALSE(reader.has_line());
  pipe.writer = FileDescriptor();
  EXPECT_TRUE(reader.has_line());
  EXPECT_EQ(reader.next(), "end");
  EXPECT_TRUE(reader.has_line());
  EXPECT_EQ(reader.next(), std::nullopt);
}

TEST(Lines, AFileHasItsLinesAtHand) {
  const test::ScratchFolder folder;
  std::string text;
  for (int i = 0; i < 60'000; ++i) text += "line " + std::to_string(i) + "\n";
  for (const auto& path : {folder.write("plain", text), folder.write("packed", gzip(text))}) {
    LineReader reader(path);
    int lines = 0;
    while (reader.has_line() && reader.next()) ++lines;
    EXPECT_EQ(lines, 60'000);
  }
}

TEST(Lines, I01_DashIsStandardInput) {
  const ScratchFolder folder;
  const int saved = ::dup(STDIN_FILENO);
  const int file = ::open(folder.write("in", "from\nstdin\n").c_str(), O_RDONLY);
  ::dup2(file, STDIN_FILENO);
  const auto lines = read_lines("-");
  EXPECT_NE(::fcntl(STDIN_FILENO, F_GETFD), -1) << "standard input was closed";
  ::dup2(saved, STDIN_FILENO);
  ::close(saved);
  ::close(file);
  EXPECT_EQ(lines, (Lines{"from", "stdin"}));
}

TEST(Lines, GzipIsToldByItsBytes) {
  const ScratchFolder folder;
  std::string text;
  for (int i = 0; i < 50000; ++i) text += "line " + std::to_string(i) + "\n";
  const auto plain = read_lines(folder.write("plain.gz", text));  // plain in spite of its name
  EXPECT_EQ(plain.size(), 50000u);
  EXPECT_EQ(read_lines(folder.write("packed", gzip(text))), plain);
  EXPECT_EQ(read_lines(folder.write("members", gzip(text.substr(0, 1234)) + gzip(text.substr(1234)))), plain);
  EXPECT_EQ(read_lines(folder.write("empty", gzip(""))), Lines{});
  EXPECT_EQ(read_lines(folder.write("byte", "\x1f")), Lines{"\x1f"});
}

TEST(Lines, GzipCutAnywhereOrDamagedNamesThePath) {
  const ScratchFolder folder;
  std::string packed = gzip("some text\nof two lines\n");
  for (std::size_t size = 2; size < packed.size(); ++size)
    expect_error(
        Error::Kind::data, [&] { read_lines(folder.write("cut", packed.substr(0, size))); },
        folder.path("cut"), "too early");
  expect_error(
      Error::Kind::data, [&] { read_lines(folder.write("tail", packed + "garbage")); }, folder.path("tail"));
  packed[packed.size() - 6] ^= 1;  // in the checksum
  expect_error(
      Error::Kind::data, [&] { read_lines(folder.write("sum", packed)); }, folder.path("sum"), "corrupt");
}

TEST(Lines, I18_OddFileNamesAreReadAndKeepMessagesOnOneLine) {
  const ScratchFolder folder;
  for (const std::string name : {"with space", "new\nline", "\xc3\xa4\xf0\x9f\x98\x80", "-dash", "\xff"}) {
    EXPECT_EQ(read_lines(folder.write(name, "a\n")), Lines{"a"});
    const auto path = folder.write(name, "a\n\xff\n");
    try {
      read_lines(path, {.bad_utf8 = BadUtf8::error});
      ADD_FAILURE() << "nothing was thrown for " << name;
    } catch (const Error& error) {
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
    }
  }
  EXPECT_EQ(read_lines(folder.write(std::string(255, 'n'), "a")), Lines{"a"});
  expect_error(
      Error::Kind::data, [&] { read_lines(folder.path(std::string(256, 'n'))); }, "cannot be opened");
}

// Unicode 15, section 3.9, tables 3-8 to 3-11, and the classic malformed sequences; byte = first malformed
// one, from 1.
struct Malformed {
  std::string_view text;
  int byte;
  std::string_view replaced;
};
#define U "\xef\xbf\xbd"
constexpr Malformed malformed[] = {
    {"a\x80", 2, "a" U},
    {"\xbf"
     "b",
     1, U "b"},
    {"\xc0\xaf\xe0\x80\xbf\xf0\x81\x82"
     "A",
     1, U U U U U U U U "A"},
    {"\xed\xa0\x80\xed\xbf\xbf\xed\xaf"
     "A",
     1, U U U U U U U U "A"},
    {"\xf4\x91\x92\x93\xff"
     "A\x80\xbf"
     "B",
     1, U U U U U "A" U U "B"},
    {"\xe1\x80\xe2\xf0\x91\x92\xf1\xbf"
     "A",
     1, U U U U "A"},
    {"ok\xc3", 3, "ok" U},
    {"\xe2\x82", 1, U},
    {"\xf0\x9f\x98", 1, U},
    {"\xc1\xbf", 1, U U},
    {"\xf5\x80\x80\x80", 1, U U U U},
    {"\xf8\x88\x80\x80\x80", 1, U U U U U},
    {"\xfe\xff x", 1, U U " x"},
    {"12345678\xc3\xa4\xff", 11, "12345678\xc3\xa4" U},
    {"\xc3(", 1, U "("},
};
#undef U

TEST(Lines, I02_MalformedUtf8IsReplacedRefusedOrSkipped) {
  const ScratchFolder folder;
  for (const auto& item : malformed) {
    const auto path = folder.write("bad", "fine\n" + std::string(item.text) + "\n\xc3\xa4\n");
    const std::string place = path + ":2:" + std::to_string(item.byte);
    LineStatistics statistics;
    EXPECT_EQ(read_lines(path, {}, &statistics), (Lines{"fine", std::string(item.replaced), "\xc3\xa4"}));
    EXPECT_EQ(statistics.first_invalid, place);
    EXPECT_EQ(statistics.invalid_lines, 1);
    EXPECT_EQ(statistics.lines, 3);
    EXPECT_EQ(read_lines(path, {.bad_utf8 = BadUtf8::skip}, &statistics), (Lines{"fine", "\xc3\xa4"}));
    EXPECT_EQ(statistics.lines, 3);
    expect_error(
        Error::Kind::data, [&] { read_lines(path, {.bad_utf8 = BadUtf8::error}); }, place, "not UTF-8");
  }
}

TEST(Lines, I02_ValidTextIsLeftAlone) {
  const ScratchFolder folder;
  const std::string text = "\u007f\u0080\u07ff\u0800\ud7ff\ue000\uffff\U00010000\U0010ffff \U0001f600 \ufeff";
  EXPECT_EQ(read_lines(folder.write("a", text), {.bad_utf8 = BadUtf8::error}), Lines{text});
}

TEST(Lines, I05_LineOfSixteenMegabytesAndTheLimit) {
  const ScratchFolder folder;
  const std::string big(std::size_t{16} << 20, 'x');
  EXPECT_EQ(read_lines(folder.write("big", "a\n" + big + "\nb")), (Lines{"a", big, "b"}));
  for (const std::string end : {"", "\n"})
    for (const std::size_t length : {11u, 300000u})
      expect_error(
          Error::Kind::data,
          [&] { read_lines(folder.write("l", "a\n" + big.substr(0, length) + end), {.max_bytes = 10}); },
          folder.path("l:2"), "longer than 10 bytes");
  EXPECT_EQ(read_lines(folder.write("l", "0123456789\n"), {.max_bytes = 10}), Lines{"0123456789"});
}

TEST(Lines, SlowI05_LineOfAHundredMegabytes) {
  const ScratchFolder folder;
  const std::string big(100'000'000, 'x');
  LineReader reader(folder.write("big", gzip(big + "\nb")));
  EXPECT_EQ(reader.next(), std::string_view(big));
  EXPECT_EQ(reader.next(), "b");
}

TEST(Lines, I06_StreamingKeepsMemoryFlat) {
  const ScratchFolder folder;
  const auto path = folder.path("long");
  {
    std::ofstream out(path);
    for (int i = 0; i < 100000; ++i)
      out << "a line of some length, so that the file grows to megabytes: " << i << '\n';
  }
  LineReader reader(path);
  for (int i = 0; i < 1000; ++i) ASSERT_TRUE(reader.next());
  const std::size_t before = bytes_held();
  std::int64_t rest = 0;
  while (reader.next()) {
    if (++rest % 1000 != 0) continue;
    ASSERT_LE(bytes_held(), before + 4096) << "after " << rest << " lines";
  }
  EXPECT_EQ(rest, 99000);
}

}  // namespace
}  // namespace fovea::data
