#pragma once

#include <compare>
#include <cstddef>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "fovea/metrics/classification.h"

/// Entities in labelled words, counted as seqeval 1.2.2 counts them. A label is "O", or a prefix and a type:
/// "B-PER" begins a person, "I-PER" goes on with it; in IOBES, "E-PER" ends it and "S-PER" is one alone.
namespace fovea::metrics {

/// Whether all labels are of that form, and not all are "O".
bool are_entity_labels(std::span<const std::string> labels);

/// What labels that do not fit each other mean.
enum class EntityMode {
  lenient,  ///< seqeval's default: an I- after O, or after another type, begins an entity, as conlleval has
            ///< it
  strict,   ///< of BIO, each entity begins with B-; of IOBES it is S-, or B- I- ... E-; all else is none
};
enum class EntityScheme { bio, iobes };

/// IOBES if a label begins with "E" or "S".
EntityScheme scheme_of(std::span<const std::string> labels);

/// The words [begin, end) of a sentence.
struct Entity {
  std::string type;
  std::size_t begin, end;

  auto operator<=>(const Entity&) const = default;
};
/// The entities of a sentence, from the labels of its words. The scheme counts in strict mode only.
std::set<Entity> entities(std::span<const std::string> labels, EntityMode mode, EntityScheme scheme);

/// An entity is right if its type and both its ends are. Supports are entities.
struct EntityScores {
  std::vector<std::pair<std::string, ClassScore>> types;  ///< by name; those of gold or predicted entities
  ClassScore micro;                                       ///< of all entities together
  ClassScore macro, weighted;                             ///< means over types
};

/// Counts entities, sentence by sentence.
class EntityCounter {
 public:
  EntityCounter(EntityMode mode, EntityScheme scheme) : mode_(mode), scheme_(scheme) {}

  /// The labels of as many words each.
  void add(std::span<const std::string> gold, std::span<const std::string> predicted);
  EntityScores scores() const;

 private:
  struct Count {
    std::string type;
    std::int64_t right = 0, gold = 0, predicted = 0;
  };
  Count& of(const std::string& type);

  EntityMode mode_;
  EntityScheme scheme_;
  std::vector<Count> counts_;  // by type
};

}  // namespace fovea::metrics
