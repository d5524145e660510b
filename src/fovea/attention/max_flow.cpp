#include "fovea/attention/max_flow.h"

#include <algorithm>
#include <numeric>

#include "fovea/base/error.h"

namespace fovea::attention {

void FlowNetwork::add(std::int32_t from, std::int32_t to, double capacity) {
  if (from < 0 || to < 0 || from >= nodes() || to >= nodes() || from == to)
    throw Error(Error::Kind::bug, "flow network",
                "an arc from " + std::to_string(from) + " to " + std::to_string(to) + " of " +
                    std::to_string(nodes()) + " nodes");
  if (!(capacity > negligible)) return;
  auto& there = out_[static_cast<std::size_t>(from)];
  auto& back = out_[static_cast<std::size_t>(to)];
  there.push_back({to, static_cast<std::int32_t>(back.size()), capacity});
  back.push_back({from, static_cast<std::int32_t>(there.size()) - 1, 0.0});
}

MaxFlow::MaxFlow(const FlowNetwork& network) {
  const auto nodes = static_cast<std::size_t>(network.nodes());
  first_.assign(nodes + 1, 0);
  in_.assign(nodes, 0.0);
  out_.assign(nodes, 0.0);
  for (std::size_t v = 0; v < nodes; ++v) first_[v + 1] = first_[v] + network.out_[v].size();
  // Where each arc comes to stand: the widest of a node first, for wide paths are few.
  std::vector<std::size_t> order, place(first_.back());
  for (std::size_t v = 0; v < nodes; ++v) {
    const auto& arcs = network.out_[v];
    order.resize(arcs.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::stable_sort(order, std::greater(), [&](std::size_t i) { return arcs[i].capacity; });
    for (std::size_t i = 0; i < order.size(); ++i) place[first_[v] + order[i]] = first_[v] + i;
  }
  to_.resize(first_.back());
  partner_.resize(first_.back());
  capacity_.resize(first_.back());
  for (std::size_t v = 0; v < nodes; ++v) {
    for (std::size_t i = 0; i < network.out_[v].size(); ++i) {
      const auto& arc = network.out_[v][i];
      const auto to = static_cast<std::size_t>(arc.to);
      const std::size_t at = place[first_[v] + i];
      to_[at] = arc.to;
      partner_[at] = place[first_[to] + static_cast<std::size_t>(arc.partner)];
      capacity_[at] = arc.capacity;
      out_[v] += arc.capacity;
      in_[to] += arc.capacity;
    }
  }
  left_ = capacity_;
  current_.resize(nodes);
}

void MaxFlow::aim(std::int32_t sink) {
  const auto nodes = static_cast<std::int32_t>(in_.size());
  if (sink < 0 || sink >= nodes) throw Error(Error::Kind::bug, "maximum flow", "no such node");
  reset();
  sink_ = sink;
  distance_.assign(in_.size(), nodes);
  distance_count_.assign(in_.size() + 1, 0);
  distance_[static_cast<std::size_t>(sink)] = 0;
  std::vector<std::int32_t> queue{sink};
  for (std::size_t next = 0; next < queue.size(); ++next) {
    const std::int32_t node = queue[next], steps = distance_[static_cast<std::size_t>(node)];
    ++distance_count_[static_cast<std::size_t>(steps)];
    for (std::size_t arc = arcs_of(node); arc < arcs_of(node + 1); ++arc) {
      auto& before = distance_[static_cast<std::size_t>(to_[arc])];
      if (before < nodes || capacity_[partner_[arc]] <= 0.0) continue;
      before = steps + 1;
      queue.push_back(to_[arc]);
    }
  }
}

double MaxFlow::from(std::int32_t source) {
  const auto nodes = static_cast<std::int32_t>(in_.size());
  if (distance_.empty() || source < 0 || source >= nodes || source == sink_)
    throw Error(Error::Kind::bug, "maximum flow", "needs a sink and another node as source");
  reset();
  label_ = distance_;
  count_ = distance_count_;
  std::copy_n(first_.begin(), in_.size(), current_.begin());
  path_.clear();
  const double bound = std::min(out_[static_cast<std::size_t>(source)], in_[static_cast<std::size_t>(sink_)]);
  double flow = 0.0;
  std::int32_t node = source;
  while (label(source) < nodes && flow < bound - FlowNetwork::negligible) {
    if (node == sink_) {
      std::size_t keep = 0;
      flow += augment(keep);
      node = to_[partner_[path_[keep]]];
      path_.resize(keep);
    } else if (advance(node)) {
      node = to_[path_.back()];
    } else {
      if (!relabel(node)) break;
      if (node == source) continue;
      node = to_[partner_[path_.back()]];
      path_.pop_back();
    }
  }
  return flow;
}

bool MaxFlow::advance(std::int32_t node) {
  for (auto& arc = current_[static_cast<std::size_t>(node)]; arc < arcs_of(node + 1); ++arc) {
    if (left_[arc] <= FlowNetwork::negligible || label(to_[arc]) + 1 != label(node)) continue;
    path_.push_back(arc);
    return true;
  }
  return false;
}

bool MaxFlow::relabel(std::int32_t node) {
  const auto nodes = static_cast<std::int32_t>(in_.size());
  std::int32_t nearest = nodes;
  for (std::size_t arc = arcs_of(node); arc < arcs_of(node + 1); ++arc)
    if (left_[arc] > FlowNetwork::negligible) nearest = std::min(nearest, label(to_[arc]) + 1);
  auto& own = label_[static_cast<std::size_t>(node)];
  if (--count_[static_cast<std::size_t>(own)] == 0) return false;
  own = nearest;
  current_[static_cast<std::size_t>(node)] = arcs_of(node);
  if (own < nodes) ++count_[static_cast<std::size_t>(own)];
  return true;
}

double MaxFlow::augment(std::size_t& keep) {
  double least = left_[path_.front()];
  for (const std::size_t arc : path_) least = std::min(least, left_[arc]);
  for (std::size_t step = path_.size(); step-- > 0;) {
    const std::size_t arc = path_[step];
    left_[arc] -= least;
    left_[partner_[arc]] += least;
    touched_.push_back(arc);
    if (left_[arc] <= FlowNetwork::negligible) keep = step;
  }
  return least;
}

void MaxFlow::reset() {
  for (const std::size_t arc : touched_) {
    left_[arc] = capacity_[arc];
    left_[partner_[arc]] = capacity_[partner_[arc]];
  }
  touched_.clear();
}

}  // namespace fovea::attention
