#include "fovea/kernels/rotary.h"

#include "fovea/kernels/reference/rotary.h"
#include "tests/kernels/random_rows.h"

namespace fovea::kernels {
namespace {

using namespace fovea::test;

struct Case {
  RotaryExtents extents;
  std::vector<std::int32_t> position;
  std::vector<float> cos, sin, x;
};

// 5 rows of 3 heads, `width` of width + 3 elements turned, one column before and two after the heads.
Case random_case(std::int64_t width, bool interleaved, bool inverse) {
  Case c{{5, 3 * (width + 3) + 3, 3, width + 3, width, interleaved, inverse}, {0, 6, 2, 2, 5}, {}, {}, {}};
  c.cos = normals(7 * width / 2, 1);
  c.sin = normals(7 * width / 2, 2);
  c.x = normals(c.extents.N * c.extents.row, 3);
  return c;
}

std::vector<double> expected(const Case& c) {
  const auto cos = widen(c.cos), sin = widen(c.sin), x = widen(c.x);
  auto y = x;
  reference::rotary<double>(
      {c.extents, c.position.data(), cos.data(), sin.data(), x.data() + 1, y.data() + 1}, 0, c.extents.N);
  return y;
}

TEST(Rotary, IsTheReferenceAtAwkwardWidthsAndTouchesNothingElse) {
  for (const auto set : available_kernels()) {
    const ExecutionOwner owner(2, set);
    for (const std::int64_t width : {2, 4, 6, 14, 16, 18, 30, 32, 34, 64, 80, 258, 514}) {
      for (const bool interleaved : {false, true}) {
        for (const bool inverse : {false, true}) {
          const Case c = random_case(width, interleaved, inverse);
          Unaligned y(c.x, static_cast<std::size_t>(width % 4));
          rotary(owner.get(), c.extents, c.position.data(), c.cos.data(), c.sin.data(), y.data() + 1,
                 y.data() + 1);
          // Two products and a sum of numbers of up to about 4: an ulp of 16 or so.
          expect_near(y.values(), expected(c), 2e-6,
                      std::string(name_of(set)) + " width " + std::to_string(width));
        }
      }
    }
  }
}

TEST(Rotary, OutOfPlaceAndAnyNumberOfThreadsGiveTheSameBits) {
  const std::int64_t N = 700;
  for (const bool interleaved : {false, true}) {
    const RotaryExtents extents{N, 96, 3, 32, 24, interleaved, false};
    std::vector<std::int32_t> position;
    for (std::int32_t n = 0; n < N; ++n) position.push_back(n % 50);
    const auto cos = normals(50 * 12, 1), sin = normals(50 * 12, 2), x = normals(N * 96, 3);
    const auto run = [&](int threads, bool in_place) {
      const ExecutionOwner owner(threads);
      auto y = x;
      rotary(owner.get(), extents, position.data(), cos.data(), sin.data(), in_place ? y.data() : x.data(),
             y.data());
      return y;
    };
    const auto alone = run(1, false);
    EXPECT_NE(alone, x);
    for (const int threads : {1, 2, 5}) EXPECT_EQ(run(threads, true), alone);
  }
}

}  // namespace
}  // namespace fovea::kernels
