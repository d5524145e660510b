#include "fovea/models/shortlist.h"

#include <algorithm>
#include <utility>

#include "fovea/base/error.h"
#include "fovea/formats/hash.h"
#include "fovea/formats/safetensors.h"

namespace fovea::models {
namespace {

constexpr auto format = "fovea-shortlist-1", digest_key = "vocabularies";

// Of the pieces of both sides, in order of their ids.
std::string digest_of(const text::TranslationTokenizer& tokenizer) {
  formats::Xxh64 hash;
  for (const auto* side : {&tokenizer.source_vocabulary(), &tokenizer.target_vocabulary()}) {
    for (std::int32_t id = 0; id < side->size(); ++id) {
      hash.update(as_bytes(side->piece(id)));
      hash.update(as_bytes(std::string_view("\0", 1)));
    }
    hash.update(as_bytes(std::string_view("\n", 1)));
  }
  return hash.hex();
}

bool is_ascending(std::span<const std::int32_t> ids, std::int64_t vocabulary) {
  for (std::size_t i = 1; i < ids.size(); ++i)
    if (ids[i] <= ids[i - 1]) return false;
  return ids.empty() || (ids.front() >= 0 && ids.back() < vocabulary);
}

Tensor as_tensor(const std::vector<std::int32_t>& numbers) {
  Tensor tensor = Tensor::empty({std::ssize(numbers)}, DType::i32);
  std::ranges::copy(numbers, tensor.i32());
  return tensor;
}

std::vector<std::int32_t> read_numbers(const formats::SafetensorsFile& file, std::string_view name) {
  const auto& info = file.info(name);
  if (info.type != formats::StoredType::i32 || info.shape.size() != 1)
    throw Error(Error::Kind::model, file.name(), "tensor '" + std::string(name) + "' is no list of I32");
  const Tensor tensor = file.read_stored(name);
  return {tensor.i32(), tensor.i32() + tensor.elements()};
}

std::string metadata_of(const formats::SafetensorsFile& file, const std::string& key) {
  const auto found = file.metadata().find(key);
  return found == file.metadata().end() ? std::string() : found->second;
}

}  // namespace

Shortlist::Shortlist(const text::TranslationTokenizer& tokenizer, std::vector<std::int32_t> anywhere,
                     Table table)
    : Shortlist(tokenizer.target_vocabulary().size(), digest_of(tokenizer), std::move(anywhere),
                std::move(table)) {
  std::string wrong = fault();
  if (wrong.empty() && source_vocabulary() != tokenizer.source_vocabulary().size())
    wrong = "has " + std::to_string(source_vocabulary()) + " rows for " +
            std::to_string(tokenizer.source_vocabulary().size()) + " source tokens";
  if (!wrong.empty()) throw Error(Error::Kind::bug, "shortlist", wrong);
}

std::string Shortlist::fault() const {
  const auto& [offsets, ids] = table_;
  if (!is_ascending(anywhere_, target_vocabulary_)) return "'anywhere' is not of ascending target ids";
  if (offsets.empty() || offsets.front() != 0 || offsets.back() != std::ssize(ids) ||
      !std::ranges::is_sorted(offsets))
    return "'offsets' do not lead from 0 to the " + std::to_string(ids.size()) + " numbers of 'ids'";
  for (std::size_t s = 0; s + 1 < offsets.size(); ++s) {
    const auto begin = static_cast<std::size_t>(offsets[s]), end = static_cast<std::size_t>(offsets[s + 1]);
    if (!is_ascending(std::span(ids).subspan(begin, end - begin), target_vocabulary_))
      return "row " + std::to_string(s) + " of 'ids' is not of ascending target ids";
  }
  return {};
}

void Shortlist::save(const std::filesystem::path& path) const {
  formats::SafetensorsWriter file({{"format", format}, {digest_key, digest_}});
  file.add("anywhere", as_tensor(anywhere_));
  file.add("offsets", as_tensor(table_.offsets));
  file.add("ids", as_tensor(table_.ids));
  file.save(path);
}

Shortlist Shortlist::read(const std::filesystem::path& path, const text::TranslationTokenizer& tokenizer) {
  const auto file = formats::SafetensorsFile::open(path);
  if (metadata_of(file, "format") != format)
    throw Error(Error::Kind::model, file.name(), "is not a shortlist", "make one: fovea shortlist --help");
  if (metadata_of(file, digest_key) != digest_of(tokenizer))
    throw Error(Error::Kind::model, file.name(), "was made for other vocabularies than this model's",
                "make one for this model: fovea shortlist --model DIR");
  Shortlist shortlist(tokenizer.target_vocabulary().size(), metadata_of(file, digest_key),
                      read_numbers(file, "anywhere"),
                      {read_numbers(file, "offsets"), read_numbers(file, "ids")});
  std::string wrong = shortlist.fault();
  if (wrong.empty() && shortlist.source_vocabulary() != tokenizer.source_vocabulary().size())
    wrong = "'offsets' has rows for " + std::to_string(shortlist.source_vocabulary()) + " source tokens of " +
            std::to_string(tokenizer.source_vocabulary().size());
  if (!wrong.empty())
    throw Error(Error::Kind::model, file.name(), wrong, "the file is damaged; make it again");
  return shortlist;
}

std::vector<std::int32_t> Shortlist::candidates(std::span<const std::int32_t> source) const {
  std::vector<char> in(static_cast<std::size_t>(target_vocabulary_));
  const auto add = [&in](std::span<const std::int32_t> ids) {
    for (const auto id : ids) in[static_cast<std::size_t>(id)] = 1;
  };
  add(anywhere_);
  for (const auto token : source) {
    if (token < 0 || token >= source_vocabulary()) continue;
    const auto begin = static_cast<std::size_t>(table_.offsets[static_cast<std::size_t>(token)]);
    const auto end = static_cast<std::size_t>(table_.offsets[static_cast<std::size_t>(token) + 1]);
    add(std::span(table_.ids).subspan(begin, end - begin));
  }
  std::vector<std::int32_t> ids;
  for (std::size_t id = 0; id < in.size(); ++id)
    if (in[id]) ids.push_back(static_cast<std::int32_t>(id));
  return ids;
}

}  // namespace fovea::models
