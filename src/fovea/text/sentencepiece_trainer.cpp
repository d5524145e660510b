#include "fovea/text/sentencepiece_trainer.h"

#include <sentencepiece_trainer.h>
#include <unicode/uchar.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <optional>
#include <unordered_map>

#include "fovea/base/error.h"
#include "fovea/base/random.h"
#include "fovea/text/utf8.h"

namespace fovea::text {
namespace {

constexpr std::size_t max_line_bytes = 4000;           // the library drops lines above 4192
constexpr std::string_view reserved = "\xE2\x96\x85";  // U+2585: the library drops lines that hold it

constexpr std::array normalisations{"nmt_nfkc", "nfkc", "nmt_nfkc_cf", "nfkc_cf", "identity"};

void check(const SentencePieceTraining& options) {
  const auto fail = [](const std::string& what, std::string_view remedy) {
    throw Error(Error::Kind::usage, "tokenizer", what, remedy);
  };
  const std::int32_t special =
      3 + (options.byte_fallback ? 256 : 0) + static_cast<std::int32_t>(options.user_symbols.size());
  if (options.vocabulary_size <= special || options.vocabulary_size > 1000000)
    fail("a vocabulary of " + std::to_string(options.vocabulary_size) + " pieces, of which " +
             std::to_string(special) + " are special",
         "give a size between " + std::to_string(special + 1) + " and 1000000");
  if (!(options.character_coverage > 0.0 && options.character_coverage <= 1.0))
    fail("a character coverage of " + std::to_string(options.character_coverage),
         "give a share between 0.9 and 1");
  if (options.threads < 1 || options.threads > 128)
    fail(std::to_string(options.threads) + " threads", "give a number between 1 and 128");
  if (std::find(normalisations.begin(), normalisations.end(), options.normalisation) == normalisations.end())
    fail("unknown normalisation '" + printable(options.normalisation) + "'",
         "use nmt_nfkc, nfkc, nmt_nfkc_cf, nfkc_cf or identity");
  for (const std::string& symbol : options.user_symbols)
    if (symbol.empty() || symbol.find_first_of(std::string_view(",\"\n\r\0", 5)) != std::string::npos ||
        !is_valid_utf8(symbol))
      fail("user symbol '" + printable(symbol) + "'",
           "symbols must be text without commas, quotes and line ends");
}

bool has_letter_or_digit(std::string_view line) {
  while (!line.empty()) {
    const Decoded decoded = decode_utf8(line);
    if (decoded.valid && u_isalnum(static_cast<UChar32>(decoded.code_point))) return true;
    line.remove_prefix(decoded.length);
  }
  return false;
}

/// Appends `line` in parts that the library takes, cut at spaces where there are some.
void append_parts(std::vector<std::string>& out, std::string_view line) {
  std::string text = repair_utf8(line).text;
  for (std::size_t at = 0; (at = text.find(reserved, at)) != std::string::npos;)
    std::fill_n(text.begin() + static_cast<std::ptrdiff_t>(at), reserved.size(), ' ');
  std::string_view rest = text;
  while (rest.size() > max_line_bytes) {
    std::size_t end = rest.rfind(' ', max_line_bytes);
    if (end == std::string_view::npos || end == 0)
      for (end = max_line_bytes; (static_cast<unsigned char>(rest[end]) & 0xC0) == 0x80;) --end;
    if (has_letter_or_digit(rest.substr(0, end))) out.emplace_back(rest.substr(0, end));
    rest.remove_prefix(end);
  }
  if (has_letter_or_digit(rest)) out.emplace_back(rest);
}

/// Which lines to use: all, or `count` drawn without replacement, in the order they have (Knuth's algorithm
/// S).
std::vector<std::size_t> draw(std::size_t available, std::size_t count, std::uint64_t seed) {
  const RandomKey key = RandomKey::of(seed, 0, site::sample);
  std::vector<std::size_t> chosen;
  if (count == 0 || count > available) count = available;
  chosen.reserve(count);
  for (std::size_t i = 0; i < available && chosen.size() < count; ++i) {
    const double u = random_word(key, i) * 0x1p-32;
    if (static_cast<double>(available - i) * u < static_cast<double>(count - chosen.size()))
      chosen.push_back(i);
  }
  return chosen;
}

class Lines final : public sentencepiece::SentenceIterator {
 public:
  explicit Lines(const std::vector<std::string>& lines) : lines_(lines) {}
  bool done() const override { return at_ == lines_.size(); }
  void Next() override { ++at_; }
  const std::string& value() const override { return lines_[at_]; }
  sentencepiece::util::Status status() const override { return {}; }

 private:
  const std::vector<std::string>& lines_;
  std::size_t at_ = 0;
};

std::string_view type_name(SentencePieceTraining::Kind kind) {
  static constexpr std::array<std::string_view, 4> names{"unigram", "bpe", "char", "word"};
  return names[static_cast<std::size_t>(kind)];
}

std::unordered_map<std::string, std::string> arguments(const SentencePieceTraining& options) {
  std::array<char, 32> coverage{};
  // to_chars, since the decimal point of printf depends on the locale.
  *std::to_chars(coverage.begin(), coverage.end() - 1, options.character_coverage).ptr = '\0';
  std::string symbols;
  for (const std::string& symbol : options.user_symbols)
    symbols.append(symbols.empty() ? "" : ",").append(symbol);
  const auto flag = [](bool value) { return std::string(value ? "true" : "false"); };
  using Kind = SentencePieceTraining::Kind;
  const bool whole = options.kind == Kind::characters || options.kind == Kind::words;
  std::unordered_map<std::string, std::string> out{
      {"minloglevel", "4"},  // nothing
      {"model_type", std::string(type_name(options.kind))},
      {"vocab_size", std::to_string(options.vocabulary_size)},
      {"hard_vocab_limit", flag(options.exact_size && !whole)},
      // A character begins nothing: a piece for the space before the text would be a token for nothing.
      {"add_dummy_prefix", flag(options.kind != Kind::characters)},
      {"byte_fallback", flag(options.byte_fallback)},
      {"character_coverage", coverage.data()},
      {"normalization_rule_name", options.normalisation},
      {"num_threads", std::to_string(options.threads)},
      {"eos_id", "0"},
      {"unk_id", "1"},
      {"pad_id", "2"},
      {"bos_id", "-1"}};
  if (!symbols.empty()) out["user_defined_symbols"] = symbols;
  return out;
}

/// The number after `phrase` in `text`.
std::optional<long> number_after(std::string_view text, std::string_view phrase) {
  const std::size_t at = text.find(phrase);
  if (at == std::string_view::npos) return std::nullopt;
  long value = 0;
  const char* begin = text.data() + at + phrase.size();
  if (std::from_chars(begin, text.data() + text.size(), value).ec != std::errc{}) return std::nullopt;
  return value;
}

[[noreturn]] void fail(const SentencePieceTraining& options, std::string_view message, std::size_t lines) {
  const std::string asked = "a vocabulary of " + std::to_string(options.vocabulary_size) + " pieces";
  const std::string text = " for this text (" + std::to_string(lines) + " lines)";
  if (const auto most = number_after(message, "Please set it to a value <= "))
    throw Error(Error::Kind::data, "tokenizer", asked + " is too large" + text,
                "the largest possible is " + std::to_string(*most));
  const std::string vs = std::to_string(options.vocabulary_size) + " vs ";
  if (const auto least = number_after(message, vs))
    throw Error(Error::Kind::data, "tokenizer", asked + " is too small for the characters of this text",
                "the smallest possible is " + std::to_string(*least) + ", or lower the character coverage");
  throw Error(Error::Kind::data, "tokenizer", "training failed" + text + ": " + printable(message, 300));
}

}  // namespace

std::string train_sentencepiece(const SentencePieceTraining& options, const std::vector<std::string>& lines) {
  check(options);
  std::vector<std::string> parts;
  for (const std::size_t i : draw(lines.size(), options.max_lines, options.seed))
    append_parts(parts, lines[i]);
  if (parts.empty())
    throw Error(Error::Kind::data, "tokenizer",
                "none of " + std::to_string(lines.size()) + " lines holds a letter or a digit",
                "give text to train the tokenizer on");
  Lines iterator(parts);
  std::string model;
  const auto status = sentencepiece::SentencePieceTrainer::Train(arguments(options), &iterator, &model);
  if (!status.ok()) fail(options, status.message(), lines.size());
  return model;
}

}  // namespace fovea::text
