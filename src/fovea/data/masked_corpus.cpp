#include "fovea/data/masked_corpus.h"

#include <algorithm>
#include <utility>

#include "fovea/base/error.h"
#include "fovea/base/random.h"

namespace fovea::data {
namespace {

// Where masks are drawn: apart from the sites of modules and of base/random.h.
constexpr std::uint32_t choice_site = 101, fate_site = 102, other_site = 103;
constexpr float masked = 0.8f, replaced = 0.9f;

/// The draws for one piece.
class Masker {
 public:
  Masker(const Masking& masking, std::uint32_t epoch, std::int64_t offset)
      : masking_(masking),
        choice_(RandomKey::of(masking.seed, epoch, choice_site)),
        fate_(RandomKey::of(masking.seed, epoch, fate_site)),
        other_(RandomKey::of(masking.seed, epoch, other_site)),
        offset_(static_cast<std::uint64_t>(offset)) {}

  /// Which tokens are chosen.
  std::vector<bool> chosen(std::span<const std::int32_t> kinds) const {
    std::vector<bool> chosen(kinds.size());
    const auto starts_unit = [&](std::size_t t) {
      return kinds[t] != MaskedCorpus::frame && (!masking_.whole_words || kinds[t] == MaskedCorpus::begins ||
                                                 kinds[t - 1] == MaskedCorpus::frame);
    };
    float least = 2.0f;
    std::size_t nearest = 0, units = 0;
    bool current = false;
    for (std::size_t t = 0; t < kinds.size(); ++t) {
      if (kinds[t] == MaskedCorpus::frame) continue;
      if (t == 0 || starts_unit(t)) {
        const float draw = uniform(choice_, offset_ + t);
        current = draw < static_cast<float>(masking_.share);
        units += current;
        if (draw < least) {
          least = draw;
          nearest = t;
        }
      }
      chosen[t] = current;
    }
    if (units == 0 && least < 2.0f) {
      chosen[nearest] = true;
      for (std::size_t t = nearest + 1;
           t < kinds.size() && kinds[t] != MaskedCorpus::frame && !starts_unit(t); ++t)
        chosen[t] = true;
    }
    return chosen;
  }

  /// What is read in the place of a chosen token.
  std::int32_t read_as(std::size_t t, std::int32_t token) const {
    const float fate = uniform(fate_, offset_ + t);
    if (fate < masked) return masking_.mask;
    if (fate >= replaced || masking_.others.empty()) return token;
    return masking_.others[below(other_, offset_ + t, static_cast<std::uint32_t>(masking_.others.size()))];
  }

 private:
  const Masking& masking_;
  RandomKey choice_, fate_, other_;
  std::uint64_t offset_;
};

}  // namespace

void MaskedCorpus::add(std::span<const std::int32_t> tokens, std::span<const std::uint8_t> begins_word) {
  const auto room = frame_.most - std::ssize(frame_.front) - std::ssize(frame_.back);
  if (room < 1 || tokens.size() != begins_word.size())
    throw Error(Error::Kind::bug, "masked corpus", "a piece has no room for a token, or flags are missing");
  for (std::size_t begin = 0; begin < tokens.size();) {
    std::size_t end = std::min(begin + static_cast<std::size_t>(room), tokens.size());
    if (end < tokens.size()) {
      std::size_t word = end;
      while (word > begin && !begins_word[word]) --word;
      if (word > begin) end = word;
    }
    add_piece(tokens.subspan(begin, end - begin), begins_word.subspan(begin, end - begin));
    begin = end;
  }
}

void MaskedCorpus::add_piece(std::span<const std::int32_t> tokens,
                             std::span<const std::uint8_t> begins_word) {
  std::vector<std::int32_t> ids = frame_.front, kinds(frame_.front.size(), frame);
  ids.insert(ids.end(), tokens.begin(), tokens.end());
  for (const auto word : begins_word) kinds.push_back(word ? begins : goes_on);
  ids.insert(ids.end(), frame_.back.begin(), frame_.back.end());
  kinds.resize(ids.size(), frame);
  offsets_.push_back(token_count());
  pieces_.add(ids, kinds);
}

void MaskedBatch::append(const MaskedCorpus& corpus, std::int64_t i, const Masking& masking,
                         std::uint32_t epoch) {
  if (start.empty()) start.push_back(0);
  const auto piece = corpus.tokens(i);
  const Masker masker(masking, epoch, corpus.offset(i));
  const auto chosen = masker.chosen(corpus.kinds(i));
  for (std::size_t t = 0; t < piece.size(); ++t) {
    if (chosen[t]) {
      rows.push_back(static_cast<std::int32_t>(tokens.size()));
      targets.push_back(piece[t]);
    }
    tokens.push_back(chosen[t] ? masker.read_as(t, piece[t]) : piece[t]);
  }
  start.push_back(static_cast<std::int32_t>(tokens.size()));
}

MaskedBatcher::MaskedBatcher(const MaskedCorpus& corpus, const Masking& masking, std::int64_t batch_tokens)
    : corpus_(corpus),
      masking_(masking),
      order_(corpus.as_pairs(), {.batch_tokens = batch_tokens, .seed = masking.seed}) {}

MaskedBatch MaskedBatcher::next() {
  const Batch order = order_.next();
  MaskedBatch batch;
  for (const std::int64_t i : order.pairs)
    batch.append(corpus_, i, masking_, static_cast<std::uint32_t>(order.epoch));
  return batch;
}

}  // namespace fovea::data
