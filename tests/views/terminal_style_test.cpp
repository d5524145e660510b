#include "fovea/views/terminal_style.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <map>

namespace fovea::views {
namespace {

using Variables = std::map<std::string, std::string>;

TerminalStyle style(const Variables& variables, bool is_terminal = true, int columns = 0) {
  const Environment environment = [&](const char* name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional(found->second);
  };
  return terminal_style(environment, is_terminal, columns);
}

TEST(TerminalStyle, ColoursByTerm) {
  EXPECT_EQ(style({{"TERM", "xterm-256color"}}).colours, ColourDepth::indexed);
  EXPECT_EQ(style({{"TERM", "xterm-256color"}, {"COLORTERM", "truecolor"}}).colours,
            ColourDepth::true_colour);
  EXPECT_EQ(style({{"TERM", "xterm"}, {"COLORTERM", "24bit"}}).colours, ColourDepth::true_colour);
  EXPECT_EQ(style({{"TERM", "linux"}}).colours, ColourDepth::sixteen);
  EXPECT_EQ(style({{"TERM", "dumb"}}).colours, ColourDepth::none);
  EXPECT_EQ(style({}).colours, ColourDepth::none);
  EXPECT_FALSE(style({{"TERM", "dumb"}}).interactive);
}

TEST(TerminalStyle, I15_NoColour) {
  const Variables rich{{"TERM", "xterm-256color"}, {"COLORTERM", "truecolor"}};
  auto plain = rich;
  plain["NO_COLOR"] = "1";
  EXPECT_EQ(style(plain).colours, ColourDepth::none);
  plain["NO_COLOR"] = "";  // set but empty does not count (no-color.org)
  EXPECT_EQ(style(plain).colours, ColourDepth::true_colour);
  plain["NO_COLOR"] = "1";
  plain["CLICOLOR_FORCE"] = "1";
  EXPECT_EQ(style(plain).colours, ColourDepth::none);
}

TEST(TerminalStyle, I15_NoTerminal) {
  const Variables rich{{"TERM", "xterm-256color"}, {"COLORTERM", "truecolor"}};
  EXPECT_EQ(style(rich, false).colours, ColourDepth::none);
  EXPECT_FALSE(style(rich, false).interactive);
  auto forced = rich;
  forced["CLICOLOR_FORCE"] = "1";
  EXPECT_EQ(style(forced, false).colours, ColourDepth::true_colour);
}

TEST(TerminalStyle, I15_Locales) {
  const auto charset = [](Variables variables) {
    variables["TERM"] = "xterm";
    return style(variables).charset;
  };
  EXPECT_EQ(charset({{"LANG", "de_DE.UTF-8"}}), Charset::unicode);
  EXPECT_EQ(charset({{"LANG", "tr_TR.utf8"}}), Charset::unicode);
  EXPECT_EQ(charset({{"LANG", "C"}}), Charset::ascii);
  EXPECT_EQ(charset({{"LANG", "en_US.ISO-8859-1"}}), Charset::ascii);
  EXPECT_EQ(charset({{"LANG", "de_DE.UTF-8"}, {"LC_ALL", "C"}}), Charset::ascii);
  EXPECT_EQ(charset({{"LANG", "C"}, {"LC_CTYPE", "C.UTF-8"}}), Charset::unicode);
  EXPECT_EQ(charset({{"LC_ALL", ""}, {"LANG", "en_GB.UTF-8"}}), Charset::unicode);
  EXPECT_EQ(charset({}), Charset::unicode) << "a container sets no locale; its terminal is Unicode";
  EXPECT_EQ(style({{"TERM", "vt100"}}).charset, Charset::ascii);
  EXPECT_EQ(style({}).charset, Charset::ascii);
}

TEST(TerminalStyle, I15_Widths) {
  EXPECT_EQ(style({{"COLUMNS", "100"}}, true, 132).width, 132);
  EXPECT_EQ(style({{"COLUMNS", "100"}}).width, 100);
  EXPECT_EQ(style({{"COLUMNS", "1"}}).width, 1);
  for (const char* wrong : {"", "0", "-5", "12x", "99999999999999999999", " 8"}) {
    EXPECT_EQ(style({{"COLUMNS", wrong}}).width, 80) << wrong;
  }
  EXPECT_EQ(style({{"COLUMNS", "2000000000"}}).width, 10000);
}

TEST(TerminalStyle, AFileIsNoTerminal) {
  const int file = open("/dev/null", O_WRONLY | O_CLOEXEC);
  ASSERT_GE(file, 0);
  EXPECT_FALSE(terminal_style_from_environment(file).interactive);
  close(file);
  EXPECT_FALSE(terminal_style_from_environment(-1).interactive);
}

}  // namespace
}  // namespace fovea::views
