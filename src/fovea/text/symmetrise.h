#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "fovea/text/word_alignment.h"

namespace fovea::text {

/// How the alignments of the two directions of translation become one. intersection keeps the links of both
/// (few, most of them right), union_of those of either. The others start from the intersection and add links
/// of the union step by step: `grow` those beside a link (above, below, left, right) that give a word its
/// first link, `grow_diag` also diagonally beside one, `final` at last every link that gives either of its
/// words its first, `final_and` only those that do so for both.
/// Source: Koehn et al. 2005, "Edinburgh system description for the 2005 IWSLT speech translation
/// evaluation".
enum class Symmetrisation { intersection, union_of, grow, grow_diag, grow_diag_final, grow_diag_final_and };

/// Their names: "intersection", "union", "grow", "grow-diag", "grow-diag-final", "grow-diag-final-and".
const std::vector<std::string>& symmetrisation_names();
/// Throws Error(usage) listing the names.
Symmetrisation parse_symmetrisation(std::string_view name);

/// One alignment of two, both written source first.
Alignment symmetrise(const Alignment& source_to_target, const Alignment& target_to_source,
                     Symmetrisation how);

}  // namespace fovea::text
