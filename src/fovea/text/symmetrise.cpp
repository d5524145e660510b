#include "fovea/text/symmetrise.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

#include "fovea/base/error.h"

namespace fovea::text {
namespace {

constexpr std::array neighbours{Link{-1, 0},  Link{0, -1}, Link{1, 0},  Link{0, 1},
                                Link{-1, -1}, Link{-1, 1}, Link{1, -1}, Link{1, 1}};

struct ByTarget {
  bool operator()(Link a, Link b) const {
    return std::pair(a.target, a.source) < std::pair(b.target, b.source);
  }
};

/// An alignment that grows, and which words have a link by now.
class Growing {
 public:
  explicit Growing(const Alignment& start) {
    for (const Link link : start) add(link);
  }

  bool source_free(Link link) const { return !sources_.contains(link.source); }
  bool target_free(Link link) const { return !targets_.contains(link.target); }
  void add(Link link) {
    links_.insert(link);
    sources_.insert(link.source);
    targets_.insert(link.target);
  }
  Alignment links() const { return {links_.begin(), links_.end()}; }

  /// Adds links of `candidates` beside links that are there, target word by target word, until none is left.
  void grow(const Alignment& candidates, bool diagonally) {
    for (bool added = true; added;) {
      added = false;
      for (const Link link : links_)
        for (std::size_t n = 0; n < (diagonally ? 8 : 4); ++n)
          added |= add_neighbour(candidates, link, neighbours[n]);
    }
  }

  void add_final(const Alignment& candidates, bool both_free) {
    for (const Link link : candidates)
      if (both_free ? source_free(link) && target_free(link) : source_free(link) || target_free(link))
        add(link);
  }

 private:
  bool add_neighbour(const Alignment& candidates, Link link, Link step) {
    const Link near{link.source + step.source, link.target + step.target};
    if (!candidates.contains(near) || !(source_free(near) || target_free(near))) return false;
    add(near);
    return true;
  }

  std::set<Link, ByTarget> links_;  // an order in which what was just added may still be met, as in the paper
  std::set<std::int32_t> sources_, targets_;
};

}  // namespace

const std::vector<std::string>& symmetrisation_names() {
  static const std::vector<std::string> names{"intersection", "union",           "grow",
                                              "grow-diag",    "grow-diag-final", "grow-diag-final-and"};
  return names;
}

Symmetrisation parse_symmetrisation(std::string_view name) {
  const auto& names = symmetrisation_names();
  const auto found = std::ranges::find(names, name);
  if (found != names.end()) return static_cast<Symmetrisation>(found - names.begin());
  std::string known;
  for (const std::string& other : names) known.append(known.empty() ? "" : ", ").append(other);
  throw Error(Error::Kind::usage, "symmetrise", "unknown way '" + printable(name) + "'",
              "use one of " + known);
}

Alignment symmetrise(const Alignment& forward, const Alignment& backward, Symmetrisation how) {
  Alignment both, either = forward;
  std::ranges::set_intersection(forward, backward, std::inserter(both, both.end()));
  either.insert(backward.begin(), backward.end());
  if (how == Symmetrisation::intersection) return both;
  if (how == Symmetrisation::union_of) return either;
  Growing growing(both);
  growing.grow(either, how != Symmetrisation::grow);
  if (how == Symmetrisation::grow_diag_final || how == Symmetrisation::grow_diag_final_and) {
    const bool both_free = how == Symmetrisation::grow_diag_final_and;
    growing.add_final(forward, both_free);
    growing.add_final(backward, both_free);
  }
  return growing.links();
}

}  // namespace fovea::text
