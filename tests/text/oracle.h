#pragma once

#include <sentencepiece_processor.h>
#include <sentencepiece_trainer.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <gtest/gtest.h>

namespace fovea::text::oracle {

/// Trains with the library's own options: for the flags that our trainer does not offer.
inline std::string train(std::unordered_map<std::string, std::string> options,
                         const std::vector<std::string>& lines) {
  struct Iterator final : sentencepiece::SentenceIterator {
    explicit Iterator(const std::vector<std::string>& all) : lines(all) {}
    bool done() const override { return at == lines.size(); }
    void Next() override { ++at; }
    const std::string& value() const override { return lines[at]; }
    sentencepiece::util::Status status() const override { return {}; }
    const std::vector<std::string>& lines;
    std::size_t at = 0;
  } iterator(lines);
  options["minloglevel"] = "4";
  std::string model;
  const auto status = sentencepiece::SentencePieceTrainer::Train(options, &iterator, &model);
  EXPECT_TRUE(status.ok()) << status.message();
  return model;
}

/// Debian's library on a model that we made ourselves.
class Library {
 public:
  explicit Library(const std::string& bytes) {
    const auto status = processor_.LoadFromSerializedProto(bytes);
    EXPECT_TRUE(status.ok()) << status.message();
  }
  std::vector<std::int32_t> encode(std::string_view text) const { return processor_.EncodeAsIds(text); }
  std::vector<std::string> encode_pieces(std::string_view text) const {
    return processor_.EncodeAsPieces(text);
  }
  std::string decode(const std::vector<std::int32_t>& ids) const { return processor_.DecodeIds(ids); }
  const sentencepiece::SentencePieceProcessor& processor() const { return processor_; }

 private:
  sentencepiece::SentencePieceProcessor processor_;
};

}  // namespace fovea::text::oracle
