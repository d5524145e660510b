#include "fovea/kernels/recurrent.h"

#include <numeric>

#include "fovea/kernels/reference/recurrent.h"
#include "tests/kernels/finite_difference.h"
#include "tests/kernels/random_rows.h"
#include "tests/kernels/same_bits.h"

namespace fovea::kernels {
namespace {

using test::normals;

struct Shape {
  Recurrence cell = Recurrence::gru;
  TimeOrder order = TimeOrder::forward;
  std::int64_t H = 0;
  std::vector<std::int64_t> count;
  bool states = true;  // first states, and gradients of the last ones
  bool mask = false;
  bool bias = true;
};

// All operands and results of a layer, forward and backward.
template <class Real>
struct Layer {
  Shape shape;
  RecurrentExtents x;
  std::vector<std::int64_t> start;
  std::vector<Real> projection, W, b, h0, c0, mask, d_h, d_last_h, d_last_c;
  std::vector<Real> h, last_h, last_c, gates, inner, d_projection, d_W, d_b, d_h0, d_c0;

  explicit Layer(const Shape& s) : shape(s) {
    start.resize(s.count.size());
    std::exclusive_scan(s.count.begin(), s.count.end(), start.begin(), std::int64_t{0});
    x.cell = s.cell;
    x.order = s.order;
    x.N = std::accumulate(s.count.begin(), s.count.end(), std::int64_t{0});
    x.B = static_cast<std::int64_t>(s.count.size());
    x.H = s.H;
    point();
    const std::int64_t width = x.directions() * x.H, gates_width = x.gates() * width;
    projection = normals<Real>(x.N * gates_width, 1);
    W = normals<Real>(gates_width * x.H, 2, 1.0 / std::sqrt(double(std::max<std::int64_t>(x.H, 1))));
    b = normals<Real>(gates_width, 3, 0.3);
    h0 = normals<Real>(x.B * width, 4, 0.5);
    c0 = normals<Real>(x.B * width, 5);
    mask = normals<Real>(x.B * width, 6);
    for (Real& m : mask) m = m > Real(-0.3) ? Real(1.5) : Real(0);
    d_h = normals<Real>(x.N * width, 7);
    d_last_h = normals<Real>(x.B * width, 8);
    d_last_c = normals<Real>(x.B * width, 9);
    h.assign(d_h.size(), -7);
    inner = h;
    last_h.assign(h0.size(), -7);
    last_c = d_h0 = d_c0 = last_h;
    gates.assign(projection.size(), -7);
    d_projection = gates;
    d_W = normals<Real>(static_cast<std::int64_t>(W.size()), 10);
    d_b = normals<Real>(static_cast<std::int64_t>(b.size()), 11);
  }
  void point() {
    x.start = start.data();
    x.count = shape.count.data();
  }
  bool lstm() const { return x.cell == Recurrence::lstm; }
  BasicRecurrentForward<Real> forward(bool keeps = true) {
    return {x,
            projection.data(),
            W.data(),
            shape.bias ? b.data() : nullptr,
            shape.states ? h0.data() : nullptr,
            shape.states && lstm() ? c0.data() : nullptr,
            shape.mask ? mask.data() : nullptr,
            h.data(),
            last_h.data(),
            lstm() ? last_c.data() : nullptr,
            keeps ? gates.data() : nullptr,
            keeps ? inner.data() : nullptr};
  }
  BasicRecurrentBackward<Real> backward() {
    return {x,
            W.data(),
            shape.states ? h0.data() : nullptr,
            shape.states && lstm() ? c0.data() : nullptr,
            shape.mask ? mask.data() : nullptr,
            h.data(),
            gates.data(),
            inner.data(),
            d_h.data(),
            shape.states ? d_last_h.data() : nullptr,
            shape.states && lstm() ? d_last_c.data() : nullptr,
            d_projection.data(),
            d_W.data(),
            shape.bias ? d_b.data() : nullptr,
            shape.states ? d_h0.data() : nullptr,
            shape.states && lstm() ? d_c0.data() : nullptr};
  }
  void run(const Execution& exec) {
    recurrent_forward(exec, forward());
    recurrent_backward(exec, backward());
  }
  // The same numbers as another's, in this one's precision.
  template <class Other>
  void take(const Layer<Other>& other) {
    const auto copy = [](const auto& from, auto& to) { to.assign(from.begin(), from.end()); };
    copy(other.projection, projection), copy(other.W, W), copy(other.b, b), copy(other.h0, h0);
    copy(other.c0, c0), copy(other.mask, mask), copy(other.d_h, d_h), copy(other.d_last_h, d_last_h);
    copy(other.d_last_c, d_last_c), copy(other.d_W, d_W), copy(other.d_b, d_b);
  }
  std::vector<std::pair<std::string, std::vector<Real>>> results() const {
    return {{"h", h},       {"last_h", last_h}, {"last_c", last_c}, {"d_projection", d_projection},
            {"d_W_h", d_W}, {"d_b_h", d_b},     {"d_h0", d_h0},     {"d_c0", d_c0}};
  }
};

std::vector<Shape> shapes() {
  std::vector<Shape> all;
  const std::vector<std::vector<std::int64_t>> counts = {
      {3}, {0}, {1}, {2, 0, 5, 1}, {7, 7, 6, 5, 5, 4, 4, 3, 3, 3, 2, 1, 1, 0}, {1, 2, 9, 4, 4, 1, 3}};
  std::uint64_t number = 0;
  for (const auto cell : {Recurrence::gru, Recurrence::lstm})
    for (const auto order : {TimeOrder::forward, TimeOrder::backward, TimeOrder::both})
      for (const std::int64_t H : {1, 3, 16, 21, 40})
        for (const auto& count : counts) {
          ++number;
          all.push_back({cell, order, H, count, number % 3 != 0, number % 4 == 0, number % 5 != 0});
        }
  return all;
}

class Recurrent : public testing::TestWithParam<KernelSet> {};
INSTANTIATE_TEST_SUITE_P(All, Recurrent, testing::ValuesIn(available_kernels()),
                         [](const auto& info) { return std::string(name_of(info.param)); });

TEST_P(Recurrent, H01_IsTheReferenceInDouble) {
  for (const Shape& shape : shapes()) {
    Layer<float> layer(shape);
    Layer<double> expected(shape);
    expected.take(layer);
    reference::recurrent_forward(expected.forward());
    reference::recurrent_backward(expected.backward());
    layer.run(ExecutionOwner(2, GetParam()).get());
    const auto found = layer.results();
    const auto wanted = expected.results();
    for (std::size_t i = 0; i < found.size(); ++i)
      test::expect_near(found[i].second, wanted[i].second, 2e-5,
                        found[i].first + " H " + std::to_string(shape.H) + " B " + std::to_string(layer.x.B) +
                            (layer.lstm() ? " lstm" : " gru"));
    if (HasFatalFailure()) return;
  }
}

TEST_P(Recurrent, NoSequences) {
  Layer<float> layer({Recurrence::lstm, TimeOrder::both, 8, {}});
  const auto d_W = layer.d_W;
  layer.run(ExecutionOwner(2, GetParam()).get());
  EXPECT_TRUE(same_bits(layer.d_W, d_W));
}

TEST_P(Recurrent, GatesMayTakeThePlaceOfTheProjectionAndItsGradientTheirs) {
  const ExecutionOwner owner(2, GetParam());
  for (const auto cell : {Recurrence::gru, Recurrence::lstm}) {
    const Shape shape{cell, TimeOrder::both, 19, {4, 0, 6, 2}, true, true};
    Layer<float> apart(shape), together(shape);
    apart.run(owner.get());
    auto forward = together.forward();
    forward.gates = together.projection.data();
    recurrent_forward(owner.get(), forward);
    auto backward = together.backward();
    backward.gates = backward.d_x_projection = together.projection.data();
    recurrent_backward(owner.get(), backward);
    EXPECT_TRUE(same_bits(together.projection, apart.d_projection));
    EXPECT_TRUE(same_bits(together.d_W, apart.d_W));
    EXPECT_TRUE(same_bits(together.h, apart.h));
  }
}

TEST_P(Recurrent, WithoutBackwardTheSameBits) {
  const ExecutionOwner owner(2, GetParam());
  for (const auto cell : {Recurrence::gru, Recurrence::lstm}) {
    const Shape shape{cell, TimeOrder::both, 37, {4, 0, 6, 2}, true, true};
    Layer<float> kept(shape), not_kept(shape);
    recurrent_forward(owner.get(), kept.forward());
    recurrent_forward(owner.get(), not_kept.forward(false));
    EXPECT_TRUE(same_bits(kept.h, not_kept.h));
    EXPECT_TRUE(same_bits(kept.last_h, not_kept.last_h));
    EXPECT_TRUE(same_bits(kept.last_c, not_kept.last_c));
  }
}

TEST_P(Recurrent, ThreadsDoNotChangeABit) {
  for (const auto cell : {Recurrence::gru, Recurrence::lstm})
    for (const auto order : {TimeOrder::backward, TimeOrder::both}) {
      std::vector<std::int64_t> count;
      for (std::int64_t b = 0; b < 45; ++b) count.push_back(b * 7 % 11);
      const Shape shape{cell, order, 33, count, true, true};
      Layer<float> one(shape);
      one.run(ExecutionOwner(1, GetParam()).get());
      for (const int threads : {2, 3, 4, 7}) {
        Layer<float> many(shape);
        many.run(ExecutionOwner(threads, GetParam()).get());
        const auto a = one.results(), b = many.results();
        for (std::size_t i = 0; i < a.size(); ++i)
          EXPECT_TRUE(same_bits(a[i].second, b[i].second)) << a[i].first << " on " << threads;
      }
    }
}

TEST_P(Recurrent, NeighboursDoNotChangeABit) {
  const ExecutionOwner owner(2, GetParam());
  for (const auto cell : {Recurrence::gru, Recurrence::lstm}) {
    std::vector<std::int64_t> count(20, 3);
    count[13] = 6;
    count[4] = 9;
    Layer<float> batch({cell, TimeOrder::both, 26, count});
    batch.run(owner.get());
    Layer<float> alone({cell, TimeOrder::both, 26, {6}});
    const std::int64_t width = 2 * 26, G = alone.x.gates(), first = batch.start[13];
    const auto piece = [](const auto& all, std::int64_t begin, std::int64_t size) {
      return std::vector<float>(all.begin() + begin, all.begin() + begin + size);
    };
    alone.projection = piece(batch.projection, first * G * width, 6 * G * width);
    alone.h0 = piece(batch.h0, 13 * width, width);
    alone.c0 = piece(batch.c0, 13 * width, width);
    alone.d_h = piece(batch.d_h, first * width, 6 * width);
    alone.d_last_h = piece(batch.d_last_h, 13 * width, width);
    alone.d_last_c = piece(batch.d_last_c, 13 * width, width);
    alone.run(owner.get());
    EXPECT_TRUE(same_bits(alone.h, piece(batch.h, first * width, 6 * width)));
    EXPECT_TRUE(same_bits(alone.last_h, piece(batch.last_h, 13 * width, width)));
    EXPECT_TRUE(same_bits(alone.d_projection, piece(batch.d_projection, first * G * width, 6 * G * width)));
    EXPECT_TRUE(same_bits(alone.d_h0, piece(batch.d_h0, 13 * width, width)));
  }
}

TEST_P(Recurrent, AThousandSteps) {
  for (const auto cell : {Recurrence::gru, Recurrence::lstm}) {
    Layer<float> layer({cell, TimeOrder::both, 17, {1000, 3}});
    Layer<double> expected(layer.shape);
    expected.take(layer);
    reference::recurrent_forward(expected.forward());
    reference::recurrent_backward(expected.backward());
    layer.run(ExecutionOwner(2, GetParam()).get());
    const auto found = layer.results();
    const auto wanted = expected.results();
    for (std::size_t i = 0; i < found.size(); ++i)
      test::expect_near(found[i].second, wanted[i].second, 5e-4, found[i].first);
  }
}

// One step with given projections is the layer's step, to the bit.
TEST_P(Recurrent, ACellIsAStepOfTheLayer) {
  const ExecutionOwner owner(2, GetParam());
  for (const auto cell : {Recurrence::gru, Recurrence::lstm})
    for (const std::int64_t H : {1, 7, 16, 43}) {
      Shape shape{cell, TimeOrder::forward, H, {1, 1, 1, 1, 1}};
      shape.bias = false;
      Layer<float> layer(shape);
      std::fill(layer.W.begin(), layer.W.end(), 0.0f);
      const std::vector<float> u(layer.projection.size(), 0.0f);
      layer.run(owner.get());
      const std::int64_t GH = layer.x.gates() * H;
      std::vector<float> h(5 * H), c(5 * H), gates(5 * GH), u_n(5 * H), d_u(5 * GH), d_h(5 * H), d_c(5 * H);
      const bool lstm = layer.lstm();
      recurrent_cell_forward(owner.get(), {cell, 5, H, layer.projection.data(), u.data(), layer.h0.data(),
                                           layer.c0.data(), h.data(), c.data(), gates.data(), u_n.data()});
      EXPECT_TRUE(same_bits(h, layer.h));
      EXPECT_TRUE(!lstm || same_bits(c, layer.last_c));
      std::vector<float> d_out(5 * H);
      for (std::size_t i = 0; i < d_out.size(); ++i) d_out[i] = layer.d_last_h[i] + layer.d_h[i];
      recurrent_cell_backward(
          owner.get(),
          {cell, 5, H, gates.data(), u_n.data(), layer.h0.data(), layer.c0.data(), c.data(), d_out.data(),
           layer.d_last_c.data(), gates.data(), lstm ? nullptr : d_u.data(), u_n.data(), d_c.data()});
      EXPECT_TRUE(same_bits(gates, layer.d_projection));
      EXPECT_TRUE(!lstm || same_bits(d_c, layer.d_c0));
      EXPECT_TRUE(lstm || same_bits(u_n, layer.d_h0));
    }
}

TEST(RecurrentReference, H01_GradientsAreFiniteDifferences) {
  for (const auto cell : {Recurrence::gru, Recurrence::lstm})
    for (const auto order : {TimeOrder::forward, TimeOrder::backward, TimeOrder::both})
      for (const bool mask : {false, true}) {
        Layer<double> layer({cell, order, 3, {3, 0, 1, 4}, true, mask});
        layer.d_W.assign(layer.d_W.size(), 0);
        layer.d_b.assign(layer.d_b.size(), 0);
        reference::recurrent_forward(layer.forward());
        reference::recurrent_backward(layer.backward());
        Layer<double> moved(layer.shape);
        const auto loss = [&] {
          reference::recurrent_forward(moved.forward());
          const auto dot = [](const auto& a, const auto& b) {
            return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
          };
          return dot(moved.h, layer.d_h) + dot(moved.last_h, layer.d_last_h) +
                 (layer.lstm() ? dot(moved.last_c, layer.d_last_c) : 0.0);
        };
        test::expect_gradient("projection", moved.projection, layer.d_projection, loss);
        test::expect_gradient("W_h", moved.W, layer.d_W, loss);
        test::expect_gradient("b_h", moved.b, layer.d_b, loss);
        test::expect_gradient("h0", moved.h0, layer.d_h0, loss);
        if (layer.lstm()) test::expect_gradient("c0", moved.c0, layer.d_c0, loss);
      }
}

}  // namespace
}  // namespace fovea::kernels
