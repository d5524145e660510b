#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "fovea/attention/record.h"

namespace fovea::views {

/// Layers that were computed from recorded ones, such as attention rollout.
struct NamedLayers {
  std::string name;                              ///< "Rollout", "Flow": what the page calls them
  std::vector<attention::RecordedLayer> layers;  ///< with the rows and columns of their sides
};

struct PageOptions {
  std::string title = "Attention";        ///< of the window and the page
  std::string subtitle = {};              ///< below the title: the model, the languages
  std::vector<NamedLayers> further = {};  ///< shown beside the recorded layers of the same side
};

inline constexpr std::size_t most_page_tokens = 1024;                   ///< a side, in pieces
inline constexpr std::size_t most_page_weights = std::size_t{1} << 27;  ///< of all layers and heads together

/// Attention as one HTML file to look around in: lines between tokens, all heads as thumbnails, heat maps,
/// what each head is like. It needs nothing else (works offline, from file://) and can do nothing else: its
/// content security policy allows its own script and style, by their hashes, and no request.
///
/// Labels may hold any text; none can become markup. Words are joined from SentencePiece pieces (join_pieces)
/// where there are any, and the page can show either.
///
/// Weights are stored on a square-root scale, w = m (q / Q)^2 with m the largest of the layer, in 16 bits
/// (Q = 65,535; the error is below 0.00002 m) or, from 4 million weights on, in 8 (Q = 255; below 0.004 m,
/// far less for small weights), and compressed. The page says which. Weights that are not finite or are
/// negative count as 0.
///
/// Throws Error (usage) for more tokens or weights than the limits above and for a recording without weights;
/// Error (bug) if a layer is not [H, T, S] for the labels of its side.
std::string attention_page(const attention::Recording& recording, const PageOptions& options = {});

}  // namespace fovea::views
