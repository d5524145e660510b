#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace fovea {

/// Edits that turn `a` into `b`: bytes inserted, deleted, replaced, or swapped with their neighbour, each
/// once (optimal string alignment). Cost O(|a| |b|) time, O(|b|) memory.
std::size_t edit_distance(std::string_view a, std::string_view b);

/// The candidate nearest to `word`, the first of equals; empty if none is within a third of the word's
/// length: a far guess helps nobody.
std::string_view nearest(std::string_view word, std::span<const std::string> candidates);

}  // namespace fovea
