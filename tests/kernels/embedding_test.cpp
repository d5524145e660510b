#include "fovea/kernels/embedding.h"

#include "fovea/kernels/column_sum.h"
#include "fovea/kernels/reference/embedding.h"
#include "tests/kernels/finite_difference.h"
#include "tests/kernels/random_rows.h"

namespace fovea::kernels {
namespace {

using namespace fovea::test;

const Dropout dropping{0.2f, RandomKey::of(8, 9, 1007)};
constexpr std::int64_t V = 11, P = 6;

struct Batch {
  std::vector<std::int32_t> ids, position;
  explicit Batch(std::int64_t N) {
    for (std::int64_t n = 0; n < N; ++n) {
      ids.push_back(
          static_cast<std::int32_t>(below(RandomKey::of(1, 0, 0), static_cast<std::uint64_t>(n), V)));
      position.push_back(static_cast<std::int32_t>(n % P));
    }
  }
};

void check(const Execution& exec, const EmbedExtents& extents, bool with_positions) {
  const std::int64_t N = extents.N, D = extents.D;
  const Batch batch(N);
  const auto table = normals(V * D, 1), positions = normals(P * D, 2), d_out = normals(N * D, 3);
  const auto table64 = widen(table), positions64 = widen(positions), d_out64 = widen(d_out);
  std::vector<double> out(d_out.size()), d_table(table64), d_positions(positions64);
  EmbedExtents unscaled = extents;
  unscaled.scale = 1.0f;
  reference::embed_forward<double>({extents, batch.ids.data(), table64.data(), batch.position.data(),
                                    with_positions ? positions64.data() : nullptr, out.data()},
                                   0, N);
  reference::embed_backward<double>({extents, batch.ids.data(), d_out64.data(), d_table.data()}, 0, 1);
  reference::embed_backward<double>({unscaled, batch.position.data(), d_out64.data(), d_positions.data()}, 0,
                                    1);

  const auto what = std::string(name_of(exec.kernels)) + " D " + std::to_string(D);
  Unaligned rows(table, 1), places(positions, 2), result(N * D, 3), upstream(d_out, 1);
  embed_forward(exec, extents, batch.ids.data(), rows.data(), batch.position.data(),
                with_positions ? places.data() : nullptr, result.data());
  expect_near(result.values(), out, 0x1p-20, what);
  Unaligned d_rows(table, 3), d_places(positions, 1);  // are added to
  embed_backward(exec, extents, batch.ids.data(), batch.position.data(), upstream.data(), d_rows.data(),
                 with_positions ? d_places.data() : nullptr);
  const double tolerance = 0x1p-22 * std::abs(extents.scale) * (static_cast<double>(N) + 1);
  expect_near(d_rows.values(), d_table, tolerance, what + " d_table");
  if (with_positions) expect_near(d_places.values(), d_positions, tolerance, what + " d_positions");
}

TEST(Embedding, IsTheReferenceAtAwkwardWidths) {
  for (const auto set : available_kernels()) {
    const ExecutionOwner owner(2, set);
    for (const auto D : awkward_lengths())
      for (const bool positions : {false, true})
        for (const auto& dropout : {Dropout{}, dropping})
          check(owner.get(), {40, D, 1.75f, dropout}, positions);
    check(owner.get(), {0, 16, 1.0f, dropping}, true);
  }
}

TEST(Embedding, GradientIsThatOfCentralDifferences) {
  const std::int64_t N = 9, D = 5;
  const EmbedExtents extents{N, D, 2.5f, dropping};
  EmbedExtents unscaled = extents;
  unscaled.scale = 1.0f;
  const Batch batch(N);
  auto table = normals<double>(V * D, 1), positions = normals<double>(P * D, 2);
  const auto d_out = normals<double>(N * D, 3);
  std::vector<double> out(d_out.size()), d_table(table.size()), d_positions(positions.size());
  const auto loss = [&] {
    reference::embed_forward<double>(
        {extents, batch.ids.data(), table.data(), batch.position.data(), positions.data(), out.data()}, 0, N);
    double total = 0;
    for (std::size_t i = 0; i < out.size(); ++i) total += d_out[i] * out[i];
    return total;
  };
  reference::embed_backward<double>({extents, batch.ids.data(), d_out.data(), d_table.data()}, 0, 1);
  reference::embed_backward<double>({unscaled, batch.position.data(), d_out.data(), d_positions.data()}, 0,
                                    1);
  expect_gradient("table", table, d_table, loss);
  expect_gradient("positions", positions, d_positions, loss);
}

TEST(Embedding, GradientHasTheSameBitsForAnyNumberOfThreads) {
  const std::int64_t N = 700, D = 100;
  const Batch batch(N);
  const auto d_out = normals(N * D, 3);
  const auto run = [&](int threads) {
    const ExecutionOwner owner(threads);
    std::vector<float> both(static_cast<std::size_t>((V + P) * D));
    embed_backward(owner.get(), {N, D, 1.5f, dropping}, batch.ids.data(), batch.position.data(), d_out.data(),
                   both.data(), both.data() + V * D);
    return both;
  };
  const auto alone = run(1);
  for (const int threads : {2, 3, 5}) EXPECT_EQ(run(threads), alone);
}

TEST(ColumnSum, IsTheSumInDoubleForAnyShapeAndThreads) {
  for (const auto set : available_kernels()) {
    const ExecutionOwner one(1, set), three(3, set);
    for (const std::int64_t N : {0, 1, 3, 4, 31, 33, 300, 5000}) {
      for (const std::int64_t D : {1, 7, 16, 33, 130}) {
        const auto d_y = normals(N * D, 1);
        std::vector<double> expected(static_cast<std::size_t>(D), 0.5);
        for (std::size_t i = 0; i < d_y.size(); ++i) expected[i % static_cast<std::size_t>(D)] += d_y[i];
        const std::vector<float> before(static_cast<std::size_t>(D), 0.5f);
        Unaligned in(d_y, 1), sums(before, 3), again(before, 2);
        column_sum(one.get(), N, D, in.data(), sums.data());
        expect_near(sums.values(), expected, 0x1p-23 * (1 + static_cast<double>(N)),
                    std::string(name_of(set)));
        column_sum(three.get(), N, D, in.data(), again.data());
        EXPECT_EQ(sums.values(), again.values());
      }
    }
  }
}

}  // namespace
}  // namespace fovea::kernels
