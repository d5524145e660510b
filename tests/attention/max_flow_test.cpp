#include "fovea/attention/max_flow.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "fovea/base/error.h"

namespace fovea::attention {
namespace {

struct Arc {
  std::int32_t from, to;
  double capacity;
};

// The least capacity that leaves a set of nodes with `source` and without `sink`: the greatest flow, by the
// theorem of Ford and Fulkerson.
double least_cut(const std::vector<Arc>& arcs, int nodes, int source, int sink) {
  double least = std::numeric_limits<double>::infinity();
  for (unsigned set = 0; set < 1u << nodes; ++set) {
    if (!(set >> source & 1) || (set >> sink & 1)) continue;
    double cut = 0.0;
    for (const auto& arc : arcs)
      if ((set >> arc.from & 1) && !(set >> arc.to & 1)) cut += arc.capacity;
    least = std::min(least, cut);
  }
  return least;
}

FlowNetwork network_of(const std::vector<Arc>& arcs, int nodes) {
  FlowNetwork network(nodes);
  for (const auto& arc : arcs) network.add(arc.from, arc.to, arc.capacity);
  return network;
}

TEST(MaxFlow, IsTheLeastCutOfRandomGraphs) {
  std::mt19937 random(5);
  std::uniform_real_distribution<double> uniform;
  for (int trial = 0; trial < 60; ++trial) {
    const int nodes = 2 + trial % 8;
    const double density = 0.2 + 0.8 * uniform(random);
    std::vector<Arc> arcs;
    for (int from = 0; from < nodes; ++from)
      for (int to = 0; to < nodes; ++to)
        if (from != to && uniform(random) < density)
          arcs.push_back({from, to, trial % 3 ? uniform(random) : std::floor(4 * uniform(random))});
    MaxFlow greatest(network_of(arcs, nodes));
    for (int sink = 0; sink < nodes; ++sink) {
      greatest.aim(sink);
      for (int source = 0; source < nodes; ++source) {
        if (source == sink) continue;
        EXPECT_NEAR(greatest.from(source), least_cut(arcs, nodes, source, sink), 1e-9)
            << "trial " << trial << ", " << source << " to " << sink;
      }
    }
  }
}

TEST(MaxFlow, TakesBackWhatAFirstPathTookWrongly) {
  // The first shortest path may take 0-1-4-5, which blocks both others unless it is partly taken back.
  const std::vector<Arc> arcs{{0, 1, 1}, {0, 2, 1}, {1, 3, 1}, {1, 4, 1}, {2, 4, 1}, {3, 5, 1}, {4, 5, 1}};
  MaxFlow greatest(network_of(arcs, 6));
  greatest.aim(5);
  EXPECT_DOUBLE_EQ(greatest.from(0), 2.0);
  EXPECT_DOUBLE_EQ(greatest.from(0), 2.0);  // the network is empty again
}

TEST(MaxFlow, NothingFlowsWhereNoWayLeads) {
  MaxFlow greatest(network_of({{0, 1, 1}, {2, 3, 1}, {1, 2, std::numeric_limits<double>::quiet_NaN()}}, 4));
  greatest.aim(3);
  EXPECT_EQ(greatest.from(0), 0.0);
  EXPECT_EQ(greatest.from(2), 1.0);
}

TEST(MaxFlow, ArcsSideBySideCarryTheirSum) {
  MaxFlow greatest(network_of({{0, 1, 0.25}, {0, 1, 0.5}}, 2));
  greatest.aim(1);
  EXPECT_DOUBLE_EQ(greatest.from(0), 0.75);
}

TEST(MaxFlow, RefusesWhatIsNoPairOfNodes) {
  FlowNetwork network(2);
  EXPECT_THROW(network.add(0, 2, 1), Error);
  EXPECT_THROW(network.add(1, 1, 1), Error);
  MaxFlow greatest(network);
  EXPECT_THROW(greatest.from(0), Error);  // no aim yet
  EXPECT_THROW(greatest.aim(2), Error);
  greatest.aim(1);
  EXPECT_THROW(greatest.from(1), Error);
}

}  // namespace
}  // namespace fovea::attention
