#include "fovea/text/chat_template.h"

#include "fovea/base/error.h"
#include "fovea/base/file.h"
#include "fovea/formats/adapter.h"
#include "fovea/text/jinja/interpreter.h"
#include "fovea/text/jinja/parser.h"
#include "fovea/text/utf8.h"

namespace fovea::text {
namespace {

using formats::Json;
using jinja::Value;

constexpr std::uint64_t largest_file = 16u << 20;  // bytes

bool is_there(const std::filesystem::path& path) {
  std::error_code error;
  return std::filesystem::exists(path, error);
}

/// "chat_template" of a file: a text, or the one of that name in a list.
std::optional<std::string> template_in(const Json& config, std::string_view wanted) {
  const auto found = config.find("chat_template");
  if (!found) return std::nullopt;
  if (found->is_text()) return std::string(found->text());
  const std::string_view name = wanted.empty() ? "default" : wanted;
  std::string names;
  for (const Json& named : found->elements()) {
    if (named.at("name").text() == name) return std::string(named.at("template").text());
    names.append(names.empty() ? "" : ", ").append(named.at("name").text());
  }
  found->reject("has no template '" + printable(name) + "'", "there are " + printable(names));
}

void set_tokens(ChatTemplate& chat, const Json& config) {
  for (const char* name :
       {"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"})
    if (const auto found = config.find(name))
      chat.set_token(name, std::string((found->is_object() ? found->at("content") : *found).text()));
}

}  // namespace

struct ChatTemplate::Impl {
  std::string where;
  std::shared_ptr<const jinja::Body> body;
  std::vector<std::pair<std::string, std::string>> tokens;

  std::string run(Value messages, const ChatOptions& options) const;
};

std::string ChatTemplate::Impl::run(Value messages, const ChatOptions& options) const {
  jinja::Interpreter::Variables variables;
  for (const auto& [name, text] : tokens) variables[name] = Value(text);
  if (!options.bos_token.empty()) variables["bos_token"] = Value(options.bos_token);
  if (!options.eos_token.empty()) variables["eos_token"] = Value(options.eos_token);
  variables["add_generation_prompt"] = Value(options.add_generation_prompt);
  variables["tools"] = variables["documents"] = Value(Value::None{});
  variables["messages"] = std::move(messages);
  for (const auto& [name, json] : options.variables) variables[name] = Value::from_json(json);
  jinja::Interpreter interpreter(options.most_steps, options.now ? options.now : std::time(nullptr));
  const auto place = [&] { return where + ": chat template, line " + std::to_string(interpreter.line()); };
  try {
    return interpreter.render(*body, std::move(variables));
  } catch (const jinja::Raised& raised) {
    throw Error(Error::Kind::data, place(), "refuses this conversation: " + printable(raised.what(), 500));
  } catch (const jinja::Fault& fault) {
    throw Error(Error::Kind::model, place(), printable(fault.what(), 500));
  }
}

ChatTemplate ChatTemplate::parse(std::string_view source, const std::string& where) {
  auto impl = std::make_shared<Impl>();
  impl->where = where;
  impl->body = std::make_shared<const jinja::Body>(jinja::parse(repair_utf8(source).text, where));
  return ChatTemplate(std::move(impl));
}

std::optional<ChatTemplate> ChatTemplate::read(const std::filesystem::path& folder, std::string_view name) {
  const auto directory = formats::tokenizer_papers_of(folder);
  std::optional<std::string> source;
  std::filesystem::path path = directory / "chat_template.jinja";
  std::optional<Json> config;
  if (is_there(directory / "tokenizer_config.json"))
    config = formats::read_json(directory / "tokenizer_config.json", Error::Kind::model);
  if (is_there(path) && (name.empty() || name == "default")) {
    source = read_file(path, largest_file, Error::Kind::model);
  } else if (const auto named = directory / "additional_chat_templates" / (std::string(name) + ".jinja");
             !name.empty() && name.find('/') == std::string_view::npos && is_there(named)) {
    source = read_file(path = named, largest_file, Error::Kind::model);
  } else if (config && config->has("chat_template")) {
    path = directory / "tokenizer_config.json";
    source = template_in(*config, name);
  } else if (is_there(directory / "chat_template.json")) {
    path = directory / "chat_template.json";
    source = template_in(formats::read_json(path, Error::Kind::model), name);
  }
  if (!source) return std::nullopt;
  ChatTemplate chat = parse(*source, shown(path));
  if (is_there(directory / "special_tokens_map.json"))
    set_tokens(chat, formats::read_json(directory / "special_tokens_map.json", Error::Kind::model));
  if (config) set_tokens(chat, *config);
  return chat;
}

std::string ChatTemplate::render(std::span<const ChatMessage> messages, const ChatOptions& options) const {
  std::vector<Value> list;
  for (const ChatMessage& message : messages)
    list.push_back(Value::dict({{"role", Value(repair_utf8(message.role).text)},
                                {"content", Value(repair_utf8(message.content).text)}}));
  return impl_->run(Value::list(std::move(list)), options);
}

std::string ChatTemplate::render(const Json& messages, const ChatOptions& options) const {
  Value list;
  try {
    list = Value::from_json(messages);
  } catch (const jinja::Fault& fault) {
    messages.reject(fault.what());
  }
  return impl_->run(std::move(list), options);
}

void ChatTemplate::set_token(std::string name, std::string text) {
  impl_ = std::make_shared<Impl>(*impl_);
  impl_->tokens.emplace_back(std::move(name), std::move(text));
}

}  // namespace fovea::text
