// What a terminal shows, as a picture in SVG: COMMAND | terminal_picture TITLE > picture.svg
// (CLICOLOR_FORCE=1 makes fovea colour what goes into a pipe.)
#include <cstdio>
#include <iostream>
#include <iterator>
#include <string>

#include "fovea/views/terminal_picture.h"

int main(int argc, char** argv) {
  const std::string text{std::istreambuf_iterator<char>(std::cin), {}};
  const std::string picture = fovea::views::terminal_picture_svg(text, argc > 1 ? argv[1] : "fovea", 80);
  std::fputs(picture.c_str(), stdout);
  return 0;
}
