#pragma once

#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "fovea/formats/json.h"
#include "fovea/text/encoding.h"
#include "fovea/text/pipeline/added_tokens.h"

namespace fovea::text::pipeline {

/// What a post-processor may look at besides the tokens.
struct Texts {
  std::span<const std::string_view> originals;  ///< one or two
  const PieceTable& pieces;
  const AddedTokens& added;
};

/// Puts the tokens around texts that a model expects.
class PostProcessor {
 public:
  virtual ~PostProcessor() = default;
  /// How many tokens it adds to `texts` texts, 1 or 2.
  virtual std::size_t added(std::size_t texts) const = 0;
  /// `parts` are the texts, and what is put before, between and after them once a processor has been there.
  /// May be called from many threads.
  virtual void process(std::vector<Encoding>& parts, bool add_special, const Texts& texts) const = 0;
};

/// The post_processor of a tokenizer.json: TemplateProcessing, BertProcessing, RobertaProcessing, ByteLevel,
/// Sequence. Throws Error(model) naming file and place: another type, a field missing or wrong, a template
/// with a token that is not listed, or ids outside [0, ids_end).
std::unique_ptr<const PostProcessor> parse_post_processor(const formats::Json& json, std::int32_t ids_end);

}  // namespace fovea::text::pipeline
