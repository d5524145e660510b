#include "fovea/views/colour.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace fovea::views {
namespace {

template <std::size_t N>
Colour interpolate(const std::array<Colour, N>& stops, double weight) {
  if (!(weight > 0)) return stops.front();  // also NaN
  const double place = std::min(weight, 1.0) * static_cast<double>(N - 1);
  const auto left = std::min(static_cast<std::size_t>(place), N - 2);
  const double t = place - static_cast<double>(left);
  const auto mix = [t](std::uint8_t a, std::uint8_t b) {
    return static_cast<std::uint8_t>(std::lround(a + t * (static_cast<double>(b) - a)));
  };
  const Colour a = stops[left], b = stops[left + 1];
  return {mix(a.red, b.red), mix(a.green, b.green), mix(a.blue, b.blue)};
}

constexpr std::array<Colour, 9> ember_stops{{{22, 20, 44},
                                             {44, 24, 84},
                                             {81, 18, 124},
                                             {130, 37, 129},
                                             {182, 54, 121},
                                             {229, 80, 100},
                                             {251, 135, 97},
                                             {254, 194, 135},
                                             {252, 253, 191}}};
constexpr std::array<Colour, 6> ink_stops{
    {{247, 249, 252}, {203, 219, 238}, {138, 180, 219}, {66, 132, 193}, {22, 84, 154}, {7, 40, 94}}};

constexpr std::array<Colour, 10> ember_indexed_steps{{{0x00, 0x00, 0x5f},
                                                      {0x5f, 0x00, 0x87},
                                                      {0x87, 0x00, 0x87},
                                                      {0xaf, 0x00, 0x87},
                                                      {0xd7, 0x00, 0x5f},
                                                      {0xff, 0x5f, 0x5f},
                                                      {0xff, 0x87, 0x5f},
                                                      {0xff, 0xaf, 0x5f},
                                                      {0xff, 0xd7, 0x87},
                                                      {0xff, 0xff, 0xaf}}};
constexpr std::array<int, 6> cube_levels{0, 95, 135, 175, 215, 255};

int distance(Colour a, int red, int green, int blue) {
  return (a.red - red) * (a.red - red) + (a.green - green) * (a.green - green) +
         (a.blue - blue) * (a.blue - blue);
}

int nearest_level(int value) {
  int best = 0;
  for (int i = 1; i < 6; ++i) {
    if (std::abs(cube_levels[static_cast<std::size_t>(i)] - value) <
        std::abs(cube_levels[static_cast<std::size_t>(best)] - value)) {
      best = i;
    }
  }
  return best;
}

}  // namespace

double lightness(Colour c) { return (0.2126 * c.red + 0.7152 * c.green + 0.0722 * c.blue) / 255.0; }

Colour ember(double weight) { return interpolate(ember_stops, weight); }
Colour ember_indexed(double weight) {
  const double place = weight > 0 ? std::min(weight, 1.0) * (ember_indexed_steps.size() - 1.0) : 0.0;
  return ember_indexed_steps[static_cast<std::size_t>(std::lround(place))];
}
Colour ink(double weight) { return interpolate(ink_stops, weight); }

double emphasis(double weight) { return weight > 0 ? std::pow(std::min(weight, 1.0), 0.6) : 0.0; }

int nearest_indexed(Colour c) {
  const int red = nearest_level(c.red), green = nearest_level(c.green), blue = nearest_level(c.blue);
  const auto level = [](int i) { return cube_levels[static_cast<std::size_t>(i)]; };
  const int grey = std::clamp(((c.red + c.green + c.blue) / 3 - 3) / 10, 0, 23);
  const int grey_value = 8 + 10 * grey;
  const bool cube_is_nearer =
      distance(c, level(red), level(green), level(blue)) <= distance(c, grey_value, grey_value, grey_value);
  return cube_is_nearer ? 16 + 36 * red + 6 * green + blue : 232 + grey;
}

std::string hex(Colour c) {
  constexpr char digits[] = "0123456789abcdef";
  std::string out = "#";
  for (const auto part : {c.red, c.green, c.blue}) {
    out += digits[part >> 4];
    out += digits[part & 15];
  }
  return out;
}

}  // namespace fovea::views
