#include "fovea/attention/flow.h"

#include <algorithm>
#include <string>

#include "fovea/attention/max_flow.h"
#include "fovea/attention/token_mixing.h"
#include "fovea/base/error.h"

namespace fovea::attention {
namespace {

/// The network of a recording's layers. Nodes come in floors, one token each; floors are numbered as they
/// are added, inputs first.
class Floors {
 public:
  explicit Floors(std::int32_t input) : top_(0), next_(input), tokens_(input) {}

  /// A floor above the top, the first node of the new floor; arcs are still missing.
  std::int32_t raise() {
    top_ = next_;
    next_ += tokens_;
    return top_;
  }
  std::int32_t top() const { return top_; }
  std::int32_t end() const { return next_; }
  /// Another stack of floors beside this, on inputs of its own.
  Floors beside(std::int32_t tokens) const {
    Floors other(tokens);
    other.top_ = next_;
    other.next_ = next_ + tokens;
    return other;
  }

 private:
  std::int32_t top_, next_, tokens_;
};

struct Arc {
  std::int32_t from, to;
  double capacity;
};

void connect(std::vector<Arc>& arcs, std::int32_t upper, std::int32_t lower, const Matrix& capacities) {
  for (std::int32_t t = 0; t < capacities.rows; ++t)
    for (std::int32_t s = 0; s < capacities.columns; ++s)
      arcs.push_back({upper + t, lower + s, capacities.row(t)[s]});
}

void raise_self(std::vector<Arc>& arcs, Floors& floors, const RecordedLayer& layer) {
  const std::int32_t below = floors.top();
  connect(arcs, floors.raise(), below, self_mixing(layer));
}

void raise_cross(std::vector<Arc>& arcs, Floors& floors, const RecordedLayer& layer, std::int32_t memory) {
  const std::int32_t below = floors.top(), above = floors.raise();
  const TokenMixing mixing = token_mixing(layer);
  connect(arcs, above, memory, mixing.attended);
  for (std::int32_t t = 0; t < mixing.attended.rows; ++t)
    arcs.push_back({above + t, below + t, mixing.kept[static_cast<std::size_t>(t)]});
}

struct Graph {
  std::vector<Arc> arcs;
  std::int32_t nodes = 0, outputs = 0;  // outputs: the first of them; the inputs are nodes 0, 1, ...
};

Graph self_graph(const Recording& recording, Side side, int last) {
  Graph graph;
  Floors floors(static_cast<std::int32_t>(recording.rows(side).size()));
  for (int l = 0; l <= last; ++l)
    if (const auto* layer = recording.find(side, l)) raise_self(graph.arcs, floors, *layer);
  graph.nodes = floors.end();
  graph.outputs = floors.top();
  return graph;
}

Graph cross_graph(const Recording& recording, int last) {
  Graph graph;
  Floors encoder(static_cast<std::int32_t>(recording.source.size()));
  for (const auto& layer : recording.layers)
    if (layer.side == Side::encoder) raise_self(graph.arcs, encoder, layer);
  Floors decoder = encoder.beside(static_cast<std::int32_t>(recording.target_out.size()));
  for (int l = 0; l <= last; ++l) {
    if (const auto* self = recording.find(Side::decoder, l)) raise_self(graph.arcs, decoder, *self);
    if (const auto* cross = recording.find(Side::cross, l))
      raise_cross(graph.arcs, decoder, *cross, encoder.top());
  }
  graph.nodes = decoder.end();
  graph.outputs = decoder.top();
  return graph;
}

void expect_few(const Recording& recording) {
  const std::size_t tokens = std::max(recording.source.size(), recording.target_out.size());
  if (tokens > most_flow_tokens)
    throw Error(Error::Kind::usage, "attention flow",
                std::to_string(tokens) + " tokens on a side; at most " + std::to_string(most_flow_tokens) +
                    " are computed",
                "take rollout, which has no limit, or a shorter sentence");
}

}  // namespace

RecordedLayer flow(const kernels::Execution& exec, const Recording& recording, Side side, int through) {
  const int last = last_layer(recording, side, through);
  expect_few(recording);
  const Graph graph = side == Side::cross ? cross_graph(recording, last) : self_graph(recording, side, last);
  FlowNetwork network(graph.nodes);
  for (const auto& arc : graph.arcs) network.add(arc.from, arc.to, arc.capacity);

  Matrix flows = Matrix::zeros(static_cast<std::int64_t>(recording.rows(side).size()),
                               static_cast<std::int64_t>(recording.columns(side).size()));
  exec.pool->parallel_for(flows.columns, 1, [&](std::int64_t begin, std::int64_t end) {
    MaxFlow greatest(network);
    for (std::int64_t s = begin; s < end; ++s) {
      greatest.aim(static_cast<std::int32_t>(s));
      for (std::int64_t t = 0; t < flows.rows; ++t)
        flows.row(t)[s] = greatest.from(graph.outputs + static_cast<std::int32_t>(t));
    }
  });
  normalise_rows(flows);
  return as_layer(side, last, flows);
}

}  // namespace fovea::attention
