#include "fovea/views/png.h"

#include <gtest/gtest.h>
#include <png.h>

#include <cmath>
#include <functional>
#include <stdexcept>
#include <vector>

#include "fovea/base/error.h"
#include "fovea/views/colour.h"
#include "fovea/views/heat_map_svg.h"
#include "fovea/views/learning_curve.h"

namespace fovea::views {
namespace {

/// A picture as libpng, which did not write it, reads it.
struct Picture {
  png_image image{};
  std::vector<std::uint8_t> bytes;  // red, green, blue, alpha

  explicit Picture(const std::string& png) {
    image.version = PNG_IMAGE_VERSION;
    if (!png_image_begin_read_from_memory(&image, png.data(), png.size()))
      throw std::runtime_error(image.message);
    image.format = PNG_FORMAT_RGBA;
    bytes.resize(PNG_IMAGE_SIZE(image));
    if (!png_image_finish_read(&image, nullptr, bytes.data(), 0, nullptr))
      throw std::runtime_error(image.message);
  }
  Colour at(std::size_t x, std::size_t y) const {
    const std::uint8_t* pixel = bytes.data() + 4 * (y * image.width + x);
    return {pixel[0], pixel[1], pixel[2]};
  }
  std::size_t count(Colour colour) const {
    std::size_t found = 0;
    for (std::size_t y = 0; y < image.height; ++y)
      for (std::size_t x = 0; x < image.width; ++x) found += at(x, y) == colour;
    return found;
  }
};

std::string thrown(const std::function<void()>& call, Error::Kind kind) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind);
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return {};
}

const std::string square =
    R"(<svg xmlns="http://www.w3.org/2000/svg" width="10" height="6"><rect width="5" height="6" fill="#ff8000"/></svg>)";

TEST(Png, HasTheColoursAndTheScaleThatWereAskedFor) {
  const Picture picture(png_from_svg(square, 3));
  EXPECT_EQ(picture.image.width, 30u);
  EXPECT_EQ(picture.image.height, 18u);
  EXPECT_EQ(picture.at(2, 2), (Colour{255, 128, 0}));
  EXPECT_EQ(picture.count({255, 128, 0}), 15u * 18u);
}

TEST(Png, ShowsAHeatMapInItsColours) {
  const AttentionMatrix matrix{{"a", "b"}, {"x", "y"}, {1.0f, 0.0f, 0.25f, 0.75f}};
  const Picture picture(png_from_svg(heat_map_svg(matrix), 1));
  for (const double weight : {0.0, 0.25, 0.75, 1.0})  // cells of 38 x 26, with corners and numbers off
    EXPECT_GT(picture.count(ink(emphasis(weight))), 600u) << weight;
}

TEST(Png, ShowsALearningCurve) {
  const Picture picture(png_from_svg(learning_curve_svg({{1, 5.0}, {2, 4.0}, {3, 3.5}})));
  EXPECT_EQ(picture.image.width, 1800u);
}

TEST(Png, RefusesSizesThatItCannotHold) {
  EXPECT_NE(thrown([] { png_from_svg(square, 4000); }, Error::Kind::usage).find("40000 x 24000"),
            std::string::npos);
  EXPECT_NE(thrown([] { png_from_svg(square, 0); }, Error::Kind::usage).find("32,767"), std::string::npos);
  EXPECT_NE(thrown([] { png_from_svg(square, std::nan("")); }, Error::Kind::usage).find("another scale"),
            std::string::npos);
}

TEST(Png, SaysWhatIsNoSvg) {
  EXPECT_NE(thrown([] { png_from_svg("no picture"); }, Error::Kind::bug).find("not SVG"), std::string::npos);
  EXPECT_NE(thrown([] { png_from_svg(""); }, Error::Kind::bug).find("not SVG"), std::string::npos);
}

TEST(Png, KnowsLettersThatNoFontHas) {
  EXPECT_EQ(letters_without_font("Plain letters, ä ö ü."), "");
  const std::string unassigned = "\xf3\xb0\x80\x80";  // U+F0000, of private use
  EXPECT_EQ(letters_without_font("a" + unassigned + "b" + unassigned), unassigned);
}

}  // namespace
}  // namespace fovea::views
