#pragma once

#include <cstdint>
#include <vector>

namespace fovea::attention {

/// A directed graph whose arcs can carry so much and no more.
class FlowNetwork {
 public:
  /// Capacities up to this carry nothing: a flow is exact but for so much an arc.
  static constexpr double negligible = 1e-12;

  explicit FlowNetwork(std::int32_t nodes) : out_(static_cast<std::size_t>(nodes)) {}

  /// Adds an arc; one that is negligible or not a number is left out. Arcs side by side carry their sum.
  void add(std::int32_t from, std::int32_t to, double capacity);
  std::int32_t nodes() const { return static_cast<std::int32_t>(out_.size()); }

 private:
  friend class MaxFlow;
  struct Arc {
    std::int32_t to;
    std::int32_t partner;  // place of the arc back in out_[to]
    double capacity;       // 0: there only to take back what its partner carries
  };
  std::vector<std::vector<Arc>> out_;
};

/// The greatest flow between two nodes, by shortest augmenting paths with labels that are mended where they
/// fail (ISAP): a path is sought along nodes that are each one step nearer to the sink; a node without a way
/// on is labelled anew; a distance that no node has left proves that there is no further path.
/// One aim() serves any number of sources, and a flow touches only what it uses, so that the flows from all
/// outputs to all inputs of a dense layered graph cost little more than reading the paths.
/// Cost     aim(): one breadth-first search, O(arcs). from(): O(nodes^2 arcs) at worst, in attention graphs
///          about the arcs near the paths.
/// Source   Ahuja and Orlin, Distance-directed augmenting path algorithms for maximum flow and parametric
///          maximum flow problems, Naval Research Logistics 38 (1991), section 3
class MaxFlow {
 public:
  /// The network is read once; it need not outlive the object.
  explicit MaxFlow(const FlowNetwork& network);

  /// All flows from now on end in `sink`.
  void aim(std::int32_t sink);
  /// The greatest flow from `source`, another node, to the sink.
  double from(std::int32_t source);

 private:
  bool advance(std::int32_t node);    // goes one step nearer, if there is a way
  bool relabel(std::int32_t node);    // false: no path is left
  double augment(std::size_t& keep);  // fills the path; keep: steps before the first full arc
  void reset();

  std::size_t arcs_of(std::int32_t node) const { return first_[static_cast<std::size_t>(node)]; }
  std::int32_t label(std::int32_t node) const { return label_[static_cast<std::size_t>(node)]; }

  std::vector<std::size_t> first_;       // [nodes + 1] arcs of a node: [first_[v], first_[v + 1])
  std::vector<std::int32_t> to_;         // [arcs], of each node the widest first
  std::vector<std::size_t> partner_;     // [arcs]
  std::vector<double> capacity_, left_;  // [arcs]
  std::vector<double> in_, out_;         // [nodes] what can arrive, what can leave
  std::int32_t sink_ = 0;
  std::vector<std::int32_t> distance_, distance_count_;  // to the sink, in an empty network
  std::vector<std::int32_t> label_, count_;              // lower bounds of it now; how many nodes have each
  std::vector<std::size_t> current_;                     // [nodes] the arc to try next
  std::vector<std::size_t> path_, touched_;              // arcs
};

}  // namespace fovea::attention
