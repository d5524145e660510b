#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "fovea/decoding/beam_search.h"
#include "fovea/decoding/constraints.h"
#include "fovea/models/shortlist.h"

namespace fovea::decoding {

struct TranslateOptions : Constraints {
  BeamOptions beam{};
  BatchLimits batches{};  ///< of each worker
  /// A line of more tokens is cut into sentences or parts of them, translated one by one and joined. Models
  /// are trained on sentences: what is much longer than those comes out badly.
  std::int64_t max_tokens = 128;
  /// Above 0 no line is cut into parts: of a longer one so many tokens are read, the end of sentence
  /// counted, and no more. For documents whose beginning says enough.
  std::int64_t max_source_tokens = 0;
  /// What the model says is `<unk>` becomes the word of the source that it looked at most (Jean et al. 2015,
  /// Luong et al. 2015b): for names and numbers that its pieces cannot spell. See decoding/unknown.h.
  bool replace_unknown = false;
  /// The tokens that the words of a line may become: faster, and no others are written (models/shortlist.h).
  /// None: all tokens.
  std::shared_ptr<const models::Shortlist> shortlist = {};
  /// The number of the first line, for sampling: what is drawn for a line depends on its number, not on the
  /// lines that it is translated with.
  std::uint64_t first_line = 0;
};

/// A translation of a line, one of its n best.
struct Candidate {
  std::string text;    ///< one line: where the model spelt a line end or NUL byte there is a space
  double score = 0.0;  ///< as Hypothesis::score; of a cut line, the mean over its parts
  std::vector<std::int32_t> tokens;  ///< ids; empty for a cut line, as are the next two
  /// Of each token and, if the translation is complete, of the end of sentence; nats.
  std::vector<float> token_log_probabilities = {};
  /// [those tokens, source] where the model looked as it wrote each; empty unless BeamOptions::attention.
  std::vector<float> attention = {};
};

struct Translation {
  std::vector<Candidate> candidates;  ///< best first; at least one
  std::vector<std::int32_t> source;   ///< ids of the line with eos; empty if it was cut or empty
  std::size_t parts = 1;              ///< more than one: the line was cut
  bool shortened = false;             ///< not all of the line was read
  bool complete = true;               ///< false: some part was ended at the greatest length

  const std::string& text() const { return candidates.front().text; }
};

/// A line to be translated.
struct Line {
  std::string text;
  std::string prefix = {};  ///< what its translation begins with; of a line in parts, that of the first
};

}  // namespace fovea::decoding
