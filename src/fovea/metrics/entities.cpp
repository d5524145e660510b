#include "fovea/metrics/entities.h"

#include <algorithm>
#include <string_view>

#include "fovea/base/error.h"

namespace fovea::metrics {
namespace {

/// A label taken apart: 'B' and "PER"; without a type, "_".
struct Label {
  char prefix = 'O';
  std::string_view type = "_";

  static Label of(std::string_view text) {
    Label label;
    if (text.empty()) return label;
    label.prefix = text.front();
    const auto dash = text.find('-', 1);
    const auto type = text.substr(dash == std::string_view::npos ? 1 : dash + 1);
    if (!type.empty()) label.type = type;
    return label;
  }
};

// Whether an entity ends between two words, and whether one begins there: seqeval's rules.
bool ends(Label before, Label now) {
  const char a = before.prefix, b = now.prefix;
  if (a == 'E' || a == 'S') return true;
  if ((a == 'B' || a == 'I') && (b == 'B' || b == 'S' || b == 'O')) return true;
  return a != 'O' && before.type != now.type;
}

bool begins(Label before, Label now) {
  const char a = before.prefix, b = now.prefix;
  if (b == 'B' || b == 'S') return true;
  if ((a == 'E' || a == 'S' || a == 'O') && (b == 'E' || b == 'I')) return true;
  return b != 'O' && before.type != now.type;
}

std::set<Entity> lenient_entities(std::span<const std::string> labels) {
  std::set<Entity> found;
  Label before;
  std::size_t begin = 0;
  for (std::size_t i = 0; i <= labels.size(); ++i) {
    const Label now = i < labels.size() ? Label::of(labels[i]) : Label{};
    if (ends(before, now)) found.insert({std::string(before.type), begin, i});
    if (begins(before, now)) begin = i;
    before = now;
  }
  return found;
}

std::set<Entity> strict_entities(std::span<const std::string> labels, EntityScheme scheme) {
  const bool iobes = scheme == EntityScheme::iobes;
  std::set<Entity> found;
  for (std::size_t i = 0; i < labels.size();) {
    const std::size_t begin = i;
    const Label first = Label::of(labels[i++]);
    if (iobes && first.prefix == 'S') found.insert({std::string(first.type), begin, i});
    if (first.prefix != 'B') continue;
    bool ended = !iobes;
    for (; i < labels.size(); ++i) {
      const Label next = Label::of(labels[i]);
      const bool last = iobes && next.prefix == 'E';
      if ((next.prefix != 'I' && !last) || next.type != first.type) break;
      ended |= last;
      if (last) {
        ++i;
        break;
      }
    }
    if (ended) found.insert({std::string(first.type), begin, i});
  }
  return found;
}

ClassScore score_of(std::int64_t right, std::int64_t gold, std::int64_t predicted) {
  const auto share = [](double part, double whole) { return whole > 0 ? part / whole : 0.0; };
  const auto r = static_cast<double>(right);
  ClassScore score;
  score.precision = share(r, static_cast<double>(predicted));
  score.recall = share(r, static_cast<double>(gold));
  score.f1 = share(2 * score.precision * score.recall, score.precision + score.recall);
  score.support = gold;
  return score;
}

}  // namespace

bool are_entity_labels(std::span<const std::string> labels) {
  const auto fits = [](std::string_view label) {
    if (label == "O") return true;
    return std::string_view("BIES").find(label.substr(0, 1)) != std::string_view::npos && label.size() > 2 &&
           label[1] == '-';
  };
  return std::ranges::all_of(labels, fits) &&
         std::ranges::any_of(labels, [](const auto& label) { return label != "O"; });
}

EntityScheme scheme_of(std::span<const std::string> labels) {
  const bool iobes = std::ranges::any_of(
      labels, [](std::string_view label) { return label.starts_with("E-") || label.starts_with("S-"); });
  return iobes ? EntityScheme::iobes : EntityScheme::bio;
}

std::set<Entity> entities(std::span<const std::string> labels, EntityMode mode, EntityScheme scheme) {
  return mode == EntityMode::strict ? strict_entities(labels, scheme) : lenient_entities(labels);
}

EntityCounter::Count& EntityCounter::of(const std::string& type) {
  const auto at = std::ranges::lower_bound(counts_, type, {}, &Count::type);
  if (at != counts_.end() && at->type == type) return *at;
  return *counts_.insert(at, {.type = type});
}

void EntityCounter::add(std::span<const std::string> gold, std::span<const std::string> predicted) {
  if (gold.size() != predicted.size())
    throw Error(Error::Kind::bug, "entities",
                std::to_string(predicted.size()) + " labels for " + std::to_string(gold.size()) + " words");
  const auto there = entities(gold, mode_, scheme_), found = entities(predicted, mode_, scheme_);
  for (const auto& entity : there) ++of(entity.type).gold;
  for (const auto& entity : found) {
    ++of(entity.type).predicted;
    if (there.contains(entity)) ++of(entity.type).right;
  }
}

EntityScores EntityCounter::scores() const {
  EntityScores scores;
  std::int64_t right = 0, gold = 0, predicted = 0;
  for (const auto& count : counts_) {
    scores.types.emplace_back(count.type, score_of(count.right, count.gold, count.predicted));
    right += count.right;
    gold += count.gold;
    predicted += count.predicted;
  }
  scores.micro = score_of(right, gold, predicted);
  scores.macro.support = scores.weighted.support = gold;
  const auto add = [](ClassScore& mean, const ClassScore& score, double weight) {
    mean.precision += weight * score.precision;
    mean.recall += weight * score.recall;
    mean.f1 += weight * score.f1;
  };
  for (const auto& [type, score] : scores.types) {
    add(scores.macro, score, 1.0 / static_cast<double>(scores.types.size()));
    if (gold > 0) add(scores.weighted, score, static_cast<double>(score.support) / static_cast<double>(gold));
  }
  return scores;
}

}  // namespace fovea::metrics
