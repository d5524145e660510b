#include "tests/fuzz/targets.h"

#include <array>
#include <cstdlib>
#include <string>
#include <vector>

#include "fovea/base/error.h"
#include "fovea/base/file.h"
#include "fovea/formats/adapter.h"
#include "fovea/formats/json.h"
#include "fovea/formats/safetensors.h"
#include "fovea/models/any_model.h"
#include "fovea/models/language_folder.h"
#include "fovea/models/translation_folder.h"
#include "fovea/text/chat_template.h"
#include "fovea/text/sentencepiece.h"
#include "fovea/text/tokenizer_json.h"

namespace fovea::fuzz {
namespace {

using Bytes = std::span<const std::byte>;

constexpr std::string_view awkward =
    "Hello, w\xC3\xB6rld! \xE4\xBD\xA0\xE5\xA5\xBD \xF0\x9F\x98\x80 1234 <s>[MASK]\t\n\xFF e\xCC\x81";

std::string text_of(Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

/// An Error is how bad input ends; a bug is none.
template <class Run>
bool accepted(const Run& run) {
  try {
    run();
  } catch (const Error& error) {
    if (error.kind() == Error::Kind::bug) std::abort();
    return false;
  }
  return true;
}

formats::Json json_of(Bytes bytes) {
  return formats::Json::parse(text_of(bytes), {"input", Error::Kind::model});
}

void safetensors(Bytes bytes) {
  accepted([&] {
    const auto file = formats::SafetensorsFile::parse(
        FileBytes::of("input", std::vector<std::byte>(bytes.begin(), bytes.end()), Error::Kind::model));
    for (const auto& tensor : file.tensors()) {
      file.read_bytes(tensor.name);
      accepted([&] { file.read(tensor.name); });
      accepted([&] { file.read_stored(tensor.name); });
      accepted([&] { file.read_integers(tensor.name); });
    }
  });
}

void config(Bytes bytes) {
  accepted([&] {
    const auto json = json_of(bytes);
    accepted([&] { formats::read_adapter_config(json); });
    accepted([&] { models::read_any_config(json); });
    accepted([&] { models::read_language_config(json); });
    accepted([&] { models::read_translation_config(json); });
  });
}

void tokenizer_json(Bytes bytes) {
  accepted([&] {
    const auto tokenizer = text::TokenizerJson::parse(text_of(bytes), "input");
    accepted([&] { tokenizer->decode(tokenizer->encode_pair(awkward, "b", {}).ids, false); });
  });
}

void sentencepiece(Bytes bytes) {
  accepted([&] {
    const auto model = text::SentencePieceModel::parse(text_of(bytes), "input");
    model.decode(model.encode(awkward));
  });
}

void chat_template(Bytes bytes) {
  static const auto messages = formats::Json::parse(
      R"([{"role": "system", "content": "Be kind."}, {"role": "user", "content": " \u4f60\u597d\n", "n": [1, 2.5, null, true]}])",
      {"messages", Error::Kind::data});
  accepted([&] {
    const auto chat = text::ChatTemplate::parse(text_of(bytes), "input");
    chat.render(messages, {.bos_token = "<s>", .now = 1, .most_steps = 20000});
  });
}

constexpr std::array all{Target{"safetensors", safetensors}, Target{"config", config},
                         Target{"tokenizer_json", tokenizer_json}, Target{"sentencepiece", sentencepiece},
                         Target{"chat_template", chat_template}};

}  // namespace

std::span<const Target> targets() { return all; }

}  // namespace fovea::fuzz
