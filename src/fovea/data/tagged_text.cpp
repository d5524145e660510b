#include "fovea/data/tagged_text.h"

#include <algorithm>
#include <string_view>

#include "fovea/base/error.h"
#include "fovea/base/file.h"
#include "fovea/base/random.h"
#include "fovea/data/json_lines.h"
#include "fovea/data/lines.h"

namespace fovea::data {
namespace {

constexpr std::string_view document_mark = "-DOCSTART-";

bool is_json(std::string_view path) {
  if (path.ends_with(".gz")) path.remove_suffix(3);
  return path.ends_with(".json") || path.ends_with(".jsonl");
}

std::string place(const LineReader& lines) {
  return shown(lines.name()) + ":" + std::to_string(lines.line_number());
}

std::vector<std::string_view> columns_of(std::string_view line) {
  const bool tabs = line.find('\t') != std::string_view::npos;
  std::vector<std::string_view> columns;
  for (std::size_t begin = 0; begin <= line.size();) {
    const std::size_t end = std::min(line.find(tabs ? '\t' : ' ', begin), line.size());
    if (tabs || end > begin) columns.push_back(line.substr(begin, end - begin));
    begin = end + 1;
  }
  return columns;
}

bool is_blank(std::string_view text) { return text.find_first_not_of(" \t\r") == std::string_view::npos; }

std::string trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r"), last = text.find_last_not_of(" \t\r");
  return first == std::string_view::npos ? "" : std::string(text.substr(first, last - first + 1));
}

// As CoNLL-U has them: "# text = ...", "# newdoc". A word "#" has columns beside it.
bool is_comment(std::string_view line) {
  return line.starts_with('#') && line.find('\t') == std::string_view::npos &&
         (columns_of(line).size() <= 2 || line.find(" = ") != std::string_view::npos);
}

/// Reads lines of columns.
class ColumnReader {
 public:
  explicit ColumnReader(const TaggedFile& file) : file_(file) {}

  TaggedText read(LineReader& lines) {
    while (const auto line = lines.next()) {
      if (is_blank(*line)) {
        finish();
      } else {
        add(*line, lines);
      }
    }
    finish();
    return std::move(found_);
  }

 private:
  void add(std::string_view line, const LineReader& lines) {
    if (is_comment(line)) return;
    const auto columns = columns_of(line);
    const auto most = std::max({file_.word, file_.label, 2});
    if (std::ssize(columns) < most)
      throw Error(Error::Kind::data, place(lines),
                  "has " + std::to_string(columns.size()) + " columns, and column " + std::to_string(most) +
                      " is asked for",
                  "a line is a word and its label, with a tab or a space between");
    const auto column = [&](int number) { return trimmed(columns[static_cast<std::size_t>(number - 1)]); };
    std::string word = column(file_.word);
    std::string label = column(file_.label > 0 ? file_.label : static_cast<int>(columns.size()));
    if (word.empty() || label.empty())
      throw Error(Error::Kind::data, place(lines), word.empty() ? "has no word" : "has no label");
    if (sentence_.words.empty()) sentence_.line = lines.line_number();
    sentence_.words.push_back(std::move(word));
    sentence_.labels.push_back(std::move(label));
  }

  void finish() {
    const bool marks_document = sentence_.words.size() == 1 && sentence_.words.front() == document_mark;
    if (!sentence_.words.empty() && !marks_document) found_.sentences.push_back(std::move(sentence_));
    sentence_ = {};
  }

  const TaggedFile& file_;
  TaggedSentence sentence_;
  TaggedText found_;
};

formats::Json member(const formats::Json& object, std::initializer_list<std::string_view> names) {
  for (const auto name : names)
    if (const auto found = object.find(name)) return *found;
  return object.at(*names.begin());  // throws
}

std::string label_of(const formats::Json& label) {
  return label.is_number() ? std::to_string(label.integer()) : trimmed(label.text());
}

TaggedText read_objects(LineReader& lines) {
  TaggedText found;
  while (const auto line = lines.next()) {
    if (is_blank(*line)) continue;
    const auto object = json_of_line(*line, lines);
    TaggedSentence sentence;
    sentence.line = lines.line_number();
    for (const formats::Json& word : member(object, {"tokens", "words"}).elements())
      sentence.words.push_back(trimmed(word.text()));
    for (const formats::Json& label : member(object, {"labels", "tags", "ner_tags"}).elements())
      sentence.labels.push_back(label_of(label));
    if (sentence.words.size() != sentence.labels.size())
      throw Error(Error::Kind::data, place(lines),
                  "has " + std::to_string(sentence.words.size()) + " words and " +
                      std::to_string(sentence.labels.size()) + " labels",
                  "each word has one");
    if (std::ranges::count(sentence.words, "") + std::ranges::count(sentence.labels, "") > 0)
      throw Error(Error::Kind::data, place(lines), "has an empty word or label");
    if (!sentence.words.empty()) found.sentences.push_back(std::move(sentence));
  }
  return found;
}

}  // namespace

TaggedText read_tagged(const TaggedFile& file) {
  LineReader lines(file.path);
  TaggedText found = is_json(file.path) ? read_objects(lines) : ColumnReader(file).read(lines);
  if (found.sentences.empty()) throw Error(Error::Kind::data, shown(file.path), "has no sentence");
  found.invalid_lines = lines.statistics().invalid_lines;
  found.first_invalid = lines.statistics().first_invalid;
  return found;
}

TaggedText split_off(TaggedText& text, double share, std::uint64_t seed) {
  const auto key = RandomKey::of(seed, 0, site::sample);
  TaggedText taken;
  std::vector<TaggedSentence> kept;
  for (std::size_t i = 0; i < text.sentences.size(); ++i)
    (uniform(key, i) < static_cast<float>(share) ? taken.sentences : kept)
        .push_back(std::move(text.sentences[i]));
  text.sentences = std::move(kept);
  return taken;
}

}  // namespace fovea::data
