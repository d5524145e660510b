#include "fovea/decoding/search_options.h"
#include "fovea/training/recipe_key_table.h"

namespace fovea::training {
namespace {

constexpr auto section = &Recipe::decoding;
using O = DecodingOptions;
constexpr Range penalty{1e-3, 1e3}, share{0, 1}, tokens{0, 1 << 20}, ids{0, 4e6};
constexpr Range beams{1, static_cast<double>(decoding::widest_beam)};

void add_search(std::vector<Key>& keys) {
  using models::EarlyStopping, models::LengthPenaltyKind;
  keys.push_back(key<section, &O::beam>("beam", "hypotheses kept; 1: greedy", beams));
  keys.push_back(
      key<section, &O::nbest>("num_return_sequences", "translations given of a sentence", {1, 32}));
  keys.push_back(key<section, &O::length_penalty>(
      "length_penalty", "exponent; above 0 favours longer translations", {-10, 10}));
  keys.push_back(key<section, &O::length_penalty_kind>(
      "length_penalty_kind", "divide by ((5+n)/6)^a or by n^a", {},
      {choice("gnmt", LengthPenaltyKind::gnmt), choice("power", LengthPenaltyKind::power)}));
  keys.push_back(key<section, &O::early_stopping>(
      "early_stopping", "stop at a complete beam; false: unless one leads; never: unless one can win", {},
      {choice("false", EarlyStopping::no), choice("true", EarlyStopping::yes),
       choice("never", EarlyStopping::never)}));
  keys.push_back(key<section, &O::num_beam_groups>(
      "num_beam_groups", "parts of the beam that keep away from each other", beams));
  keys.push_back(key<section, &O::diversity_penalty>(
      "diversity_penalty", "what a token costs that another group has just chosen, in nats", {0, 1e3}));
  keys.push_back(key<section, &O::coverage_penalty>(
      "coverage_penalty", "above 0 favours translations that looked at the whole source (GNMT: 0.2)",
      {0, 100}));
  keys.push_back(key<section, &O::replace_unknown>(
      "replace_unknown", "unknown words become the word of the source that was looked at"));
}

void add_lengths(std::vector<Key>& keys) {
  keys.push_back(
      key<section, &O::min_length>("min_length", "tokens before the end of sentence, at least", tokens));
  keys.push_back(key<section, &O::max_length>(
      "max_length", "tokens with the end of sentence, at most; 0: as many as the model has positions",
      tokens));
  keys.push_back(key<section, &O::max_length_ratio>(
      "max_length_ratio", "a translation has at most this many times the source's tokens", {0, 100}));
  keys.push_back(key<section, &O::max_length_extra>("max_length_extra", "and this many more", {0, 10000}));
}

void add_sampling(std::vector<Key>& keys) {
  keys.push_back(
      key<section, &O::do_sample>("do_sample", "draw translations in place of searching the best"));
  keys.push_back(
      key<section, &O::temperature>("temperature", "below 1 favours likely words when drawing", penalty));
  keys.push_back(
      key<section, &O::top_k>("top_k", "draw among the most probable tokens, so many; 0: all", {0, 1 << 30}));
  keys.push_back(key<section, &O::top_p>(
      "top_p", "draw among the fewest tokens with that share of the probability", {1e-9, 1}));
  keys.push_back(key<section, &O::min_p>(
      "min_p", "draw among tokens with that share of the greatest probability", share));
}

void add_constraints(std::vector<Key>& keys) {
  keys.push_back(key<section, &O::repetition_penalty>(
      "repetition_penalty", "above 1: what has been said becomes less likely", penalty));
  keys.push_back(key<section, &O::no_repeat_ngram_size>(
      "no_repeat_ngram_size", "no so many tokens in a row occur twice; 0: off", tokens));
  keys.push_back(key<section, &O::suppress_tokens>("suppress_tokens",
                                                   "ids that are not generated, such as [7, 8]", ids));
  keys.push_back(key<section, &O::begin_suppress_tokens>("begin_suppress_tokens",
                                                         "ids that no translation begins with", ids));
  keys.push_back(key<section, &O::forced_bos_token_id>(
      "forced_bos_token_id", "id that every translation begins with; -1: any", {-1, 4e6}));
}

}  // namespace

void add_decoding(std::vector<Key>& keys) {
  const std::size_t first = keys.size();
  for (const auto add : {add_search, add_lengths, add_sampling, add_constraints}) add(keys);
  keys.push_back(key<section, &O::validation_beam>("validation_beam", "beam of validations", beams));
  keys.push_back(
      key<section, &O::batch_sentences>("batch_sentences", "sentences translated together", {1, 65536}));
  for (std::size_t i = first; i < keys.size(); ++i) keys[i].may_change = true;
}

}  // namespace fovea::training
