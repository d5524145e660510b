#include "fovea/text/word_piece_trainer.h"

#include <algorithm>
#include <map>
#include <queue>
#include <set>
#include <unordered_map>

namespace fovea::text {
namespace {

using Pair = std::pair<std::int32_t, std::int32_t>;

constexpr std::string_view inside = "##";

std::vector<std::string> characters_of(const std::string& word) {
  std::vector<std::string> characters;
  for (std::size_t at = 0; at < word.size();) {
    std::size_t end = at + 1;
    while (end < word.size() && (static_cast<unsigned char>(word[end]) & 0xC0) == 0x80) ++end;
    characters.push_back((at > 0 ? std::string(inside) : "") + word.substr(at, end - at));
    at = end;
  }
  return characters;
}

/// Words as sequences of pieces, and how often which pieces are neighbours.
class Merger {
 public:
  Merger(const std::vector<WordCount>& words, std::size_t most) {
    choose_characters(words, most);
    for (const auto& [word, count] : words) {
      std::vector<std::int32_t> ids;
      for (const auto& character : characters_of(word)) {
        const auto found = ids_.find(character);
        if (found == ids_.end()) break;
        ids.push_back(found->second);
      }
      if (ids.size() < 2 || ids.size() < characters_of(word).size()) continue;
      words_.push_back({std::move(ids), count});
      count_word(words_.size() - 1, +1);
    }
    for (const auto& [pair, count] : counts_) queue_.push({count, pair});
  }

  /// The most frequent pair becomes a piece; false if no pair occurs twice.
  bool merge() {
    while (!queue_.empty()) {
      const auto [count, pair] = queue_.top();
      queue_.pop();
      const std::int64_t now = counts_[pair];
      if (now != count) {
        if (now > 1) queue_.push({now, pair});
        continue;
      }
      if (count < 2) return false;
      apply(pair);
      return true;
    }
    return false;
  }

  const std::vector<std::string>& pieces() const { return pieces_; }

 private:
  struct Word {
    std::vector<std::int32_t> ids;
    std::int64_t count;
  };
  struct Candidate {
    std::int64_t count;
    Pair pair;
    bool operator<(const Candidate& other) const {
      return count != other.count ? count < other.count : pair > other.pair;
    }
  };

  void choose_characters(const std::vector<WordCount>& words, std::size_t most) {
    std::map<std::string, std::int64_t> found;
    for (const auto& [word, count] : words)
      for (const auto& character : characters_of(word)) found[character] += count;
    std::vector<WordCount> ordered(found.begin(), found.end());
    std::stable_sort(ordered.begin(), ordered.end(),
                     [](const auto& a, const auto& b) { return a.second > b.second; });
    ordered.resize(std::min(ordered.size(), most));
    std::sort(ordered.begin(), ordered.end());
    for (const auto& [character, count] : ordered) id_of(character);
  }

  std::int32_t id_of(const std::string& piece) {
    const auto [at, is_new] = ids_.try_emplace(piece, static_cast<std::int32_t>(pieces_.size()));
    if (is_new) pieces_.push_back(piece);
    return at->second;
  }

  void count_word(std::size_t index, int sign) {
    const Word& word = words_[index];
    for (std::size_t i = 0; i + 1 < word.ids.size(); ++i) {
      const Pair pair{word.ids[i], word.ids[i + 1]};
      counts_[pair] += sign * word.count;
      if (sign > 0) where_[pair].insert(index);
    }
  }

  void apply(const Pair& pair) {
    const auto second = pieces_[static_cast<std::size_t>(pair.second)];
    const auto merged = id_of(pieces_[static_cast<std::size_t>(pair.first)] + second.substr(inside.size()));
    const auto places = std::move(where_[pair]);
    where_.erase(pair);
    std::set<Pair> changed;
    for (const std::size_t index : places) {
      count_word(index, -1);
      auto& ids = words_[index].ids;
      std::vector<std::int32_t> next;
      for (std::size_t i = 0; i < ids.size(); ++i) {
        const bool here = i + 1 < ids.size() && ids[i] == pair.first && ids[i + 1] == pair.second;
        next.push_back(here ? merged : ids[i]);
        i += here;
      }
      ids = std::move(next);
      count_word(index, +1);
      for (std::size_t i = 0; i + 1 < ids.size(); ++i)
        if (ids[i] == merged || ids[i + 1] == merged) changed.insert({ids[i], ids[i + 1]});
    }
    counts_.erase(pair);
    for (const Pair& other : changed) queue_.push({counts_[other], other});
  }

  std::vector<std::string> pieces_;
  std::unordered_map<std::string, std::int32_t> ids_;
  std::vector<Word> words_;
  std::map<Pair, std::int64_t> counts_;
  std::map<Pair, std::set<std::size_t>> where_;
  std::priority_queue<Candidate> queue_;
};

}  // namespace

std::vector<std::string> learn_word_pieces(const std::vector<WordCount>& words, std::size_t size) {
  Merger merger(words, size);
  while (merger.pieces().size() < size && merger.merge()) {
  }
  return merger.pieces();
}

}  // namespace fovea::text
