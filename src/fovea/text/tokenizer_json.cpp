#include "fovea/text/tokenizer_json.h"

#include <algorithm>

#include "fovea/formats/json.h"
#include "fovea/text/pipeline/added_tokens.h"
#include "fovea/text/pipeline/decoder.h"
#include "fovea/text/pipeline/model.h"
#include "fovea/text/pipeline/normaliser.h"
#include "fovea/text/pipeline/post_processor.h"
#include "fovea/text/pipeline/pre_tokeniser.h"

namespace fovea::text {

using formats::Json;

namespace {

constexpr std::int64_t longest = 1 << 30;  // tokens

Truncation parse_truncation(const Json& json) {
  Truncation out;
  out.max_length = static_cast<std::size_t>(json.at("max_length").integer(0, longest));
  out.stride = static_cast<std::size_t>(json.integer_or("stride", 0, 0, longest));
  const std::string direction = json.text_or("direction", "Right");
  if (direction != "Right" && direction != "Left")
    json.at("direction").reject("no direction", "Left or Right");
  out.direction = direction == "Left" ? Truncation::Side::left : Truncation::Side::right;
  const std::string strategy = json.text_or("strategy", "LongestFirst");
  if (strategy == "OnlyFirst")
    out.strategy = Truncation::Strategy::only_first;
  else if (strategy == "OnlySecond")
    out.strategy = Truncation::Strategy::only_second;
  else if (strategy != "LongestFirst")
    json.at("strategy").reject("no strategy", "LongestFirst, OnlyFirst or OnlySecond");
  return out;
}

Padding parse_padding(const Json& json, std::int32_t ids_end) {
  Padding out;
  const Json strategy = json.at("strategy");
  if (strategy.is_object())
    out.length = static_cast<std::size_t>(strategy.at("Fixed").integer(0, longest));
  else if (strategy.text() != "BatchLongest")
    strategy.reject("no strategy", "\"BatchLongest\" or {\"Fixed\": N}");
  out.multiple_of = static_cast<std::size_t>(json.integer_or("pad_to_multiple_of", 0, 0, longest));
  const std::string direction = json.text_or("direction", "Right");
  if (direction != "Right" && direction != "Left")
    json.at("direction").reject("no direction", "Left or Right");
  out.direction = direction == "Left" ? Padding::Side::left : Padding::Side::right;
  out.id = static_cast<std::int32_t>(json.integer_or("pad_id", 0, 0, std::int64_t{ids_end} - 1));
  out.type = static_cast<std::int32_t>(json.integer_or("pad_type_id", 0, 0, 1 << 20));
  return out;
}

template <class Parse>
auto parse_if_there(const Json& root, std::string_view key, const Parse& parse) {
  const auto found = root.find(key);
  return found ? parse(*found) : decltype(parse(*found)){};
}

}  // namespace

struct TokenizerJson::Impl {
  explicit Impl(const Json& root);

  std::int32_t ids_end() const { return std::max(model->pieces().end(), added.end()); }
  /// The tokens of a text, with nothing around them.
  Encoding tokens_of(std::string_view text, std::int8_t sequence, bool ranges) const;
  Encoding finished(std::vector<Encoding> parts, std::span<const std::string_view> texts,
                    bool add_special) const;
  void truncate_all(std::vector<Encoding>& parts, bool add_special) const;

  std::unique_ptr<const pipeline::Normaliser> normaliser;
  std::unique_ptr<const pipeline::PreTokeniser> pre_tokeniser;
  std::unique_ptr<const pipeline::Model> model;
  pipeline::AddedTokens added;
  std::unique_ptr<const pipeline::PostProcessor> post_processor;
  std::unique_ptr<const pipeline::Decoder> decoder;
  std::optional<Truncation> truncation;
  std::optional<Padding> padding;
};

TokenizerJson::Impl::Impl(const Json& root)
    : normaliser(parse_if_there(root, "normalizer", pipeline::parse_normaliser)),
      pre_tokeniser(parse_if_there(root, "pre_tokenizer", pipeline::parse_pre_tokeniser)),
      model(pipeline::parse_model(root.at("model"))) {
  if (root.text_or("version", "1.0") != "1.0") root.at("version").reject("is not 1.0");
  if (const auto tokens = root.find("added_tokens"))
    added = pipeline::AddedTokens(*tokens, model->pieces(), normaliser.get());
  if (const auto processor = root.find("post_processor"))
    post_processor = pipeline::parse_post_processor(*processor, ids_end());
  decoder = parse_if_there(root, "decoder", pipeline::parse_decoder);
  if (const auto found = root.find("truncation")) truncation = parse_truncation(*found);
  if (const auto found = root.find("padding")) padding = parse_padding(*found, ids_end());
}

Encoding TokenizerJson::Impl::tokens_of(std::string_view text, std::int8_t sequence, bool ranges) const {
  const bool tracks = ranges || (pre_tokeniser && pre_tokeniser->needs_origins());
  pipeline::SplitText split = added.cut(text, tracks, normaliser.get());
  if (pre_tokeniser) pre_tokeniser->split(split);
  Encoding out;
  std::vector<pipeline::WordToken> tokens;
  std::int32_t word = 0;
  for (const pipeline::Split& part : split.splits) {
    tokens.clear();
    if (part.token >= 0)
      tokens.push_back({part.token, 0, part.end - part.begin});
    else
      model->tokenise(split.of(part), tokens);
    for (const pipeline::WordToken& token : tokens) {
      const TextRange range =
          ranges ? split.text.origin(part.begin + token.begin, part.begin + token.end) : TextRange{};
      out.append(token.id, range, word, sequence, sequence, false);
    }
    ++word;
  }
  return out;
}

void TokenizerJson::Impl::truncate_all(std::vector<Encoding>& parts, bool add_special) const {
  if (!truncation) return;
  const std::size_t around = add_special && post_processor ? post_processor->added(parts.size()) : 0;
  if (around > truncation->max_length)
    throw Error(Error::Kind::data, "truncation",
                "max_length is " + std::to_string(truncation->max_length) + ", but " +
                    std::to_string(around) + " tokens are put around the text",
                "raise it");
  truncate(parts[0], parts.size() > 1 ? &parts[1] : nullptr, truncation->max_length - around, *truncation);
}

Encoding TokenizerJson::Impl::finished(std::vector<Encoding> parts, std::span<const std::string_view> texts,
                                       bool add_special) const {
  truncate_all(parts, add_special);
  if (post_processor) post_processor->process(parts, add_special, {texts, model->pieces(), added});
  Encoding out;
  if (!parts.empty()) out = std::move(parts[0]);
  for (std::size_t i = 1; i < parts.size(); ++i) out.append(parts[i]);
  return out;
}

TokenizerJson::TokenizerJson(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TokenizerJson::~TokenizerJson() = default;

std::shared_ptr<TokenizerJson> TokenizerJson::parse(std::string_view json, const std::string& where) {
  const Json root = Json::parse(json, {where, Error::Kind::model}, formats::JsonLimits::tokenizer());
  return std::shared_ptr<TokenizerJson>(new TokenizerJson(std::make_unique<Impl>(root)));
}

Encoding TokenizerJson::encode(std::string_view text, const Options& options) const {
  return std::move(encode_batch({&text, 1}, options)[0]);
}

std::vector<Encoding> TokenizerJson::encode_batch(std::span<const std::string_view> texts,
                                                  const Options& options) const {
  std::vector<Encoding> batch;
  batch.reserve(texts.size());
  for (const std::string_view& text : texts) {
    std::vector<Encoding> parts(1);
    parts[0] = impl_->tokens_of(text, 0, options.ranges);
    batch.push_back(impl_->finished(std::move(parts), {&text, 1}, options.add_special));
  }
  if (impl_->padding) pad(batch, *impl_->padding);
  return batch;
}

Encoding TokenizerJson::encode_pair(std::string_view first, std::string_view second,
                                    const Options& options) const {
  const std::string_view texts[] = {first, second};
  std::vector<Encoding> parts(2);
  for (std::size_t i = 0; i < 2; ++i)
    parts[i] = impl_->tokens_of(texts[i], static_cast<std::int8_t>(i), options.ranges);
  std::vector<Encoding> batch(1);
  batch[0] = impl_->finished(std::move(parts), texts, options.add_special);
  if (impl_->padding) pad(batch, *impl_->padding);
  return std::move(batch[0]);
}

std::string TokenizerJson::decode(std::span<const std::int32_t> ids, bool skip_special) const {
  std::vector<std::string> pieces;
  pieces.reserve(ids.size());
  for (const std::int32_t id : ids) {
    if (skip_special && impl_->added.is_special(id)) continue;
    if (impl_->added.has(id))
      pieces.emplace_back(impl_->added.text_of(id));
    else if (impl_->model->pieces().has(id))
      pieces.emplace_back(impl_->model->pieces().piece(id));
  }
  if (impl_->decoder) impl_->decoder->decode(pieces);
  std::string text;
  for (std::size_t i = 0; i < pieces.size(); ++i)
    text.append(i > 0 && !impl_->decoder ? " " : "").append(pieces[i]);
  return text;
}

std::int32_t TokenizerJson::size() const { return impl_->ids_end(); }

std::string TokenizerJson::piece(std::int32_t id) const {
  return std::string(impl_->added.has(id) ? impl_->added.content_of(id) : impl_->model->pieces().piece(id));
}

std::int32_t TokenizerJson::find(std::string_view piece) const {
  const std::int32_t added = impl_->added.find(piece);
  return added >= 0 ? added : impl_->model->pieces().find(piece);
}

const std::optional<Truncation>& TokenizerJson::truncation() const { return impl_->truncation; }
const std::optional<Padding>& TokenizerJson::padding() const { return impl_->padding; }
void TokenizerJson::set_truncation(const std::optional<Truncation>& truncation) {
  impl_->truncation = truncation;
}
void TokenizerJson::set_padding(const std::optional<Padding>& padding) { impl_->padding = padding; }

}  // namespace fovea::text
