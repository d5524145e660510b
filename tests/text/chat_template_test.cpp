#include "fovea/text/chat_template.h"

#include <gtest/gtest.h>

#include "fovea/base/error.h"
#include "tests/base/scratch.h"

namespace fovea::text {
namespace {

using formats::Json;
using test::expect_error;
using test::ScratchFolder;

const std::vector<ChatMessage> hello{{"user", "Hello"}};

std::string render(std::string_view source, const ChatOptions& options = {}) {
  return ChatTemplate::parse(source, "t").render(hello, options);
}

std::string refusal(Error::Kind kind, std::string_view source) {
  return test::message_of(kind, [&] { render(source); });
}

/// What Jinja said of them: benchmarks/peers/chat_templates_jinja.py --write.
TEST(ChatTemplate, RendersWhatJinjaRenders) {
  const auto path = std::filesystem::path(FOVEA_SOURCE_DIR) / "tests/text/chat/expected.json";
  const Json cases = formats::read_json(path, Error::Kind::data, formats::JsonLimits::tokenizer());
  ASSERT_GT(cases.size(), 300u);
  for (const Json& one : cases.elements()) {
    ChatOptions options;
    options.bos_token = "<s>";
    options.eos_token = "</s>";
    options.add_generation_prompt = one.at("prompt").boolean();
    for (const auto& [name, value] : one.at("variables").members())
      options.variables.emplace_back(std::string(name), value);
    const std::string source(one.at("template").text());
    SCOPED_TRACE(source.substr(0, 300));
    const auto run = [&] { return ChatTemplate::parse(source, "t").render(one.at("messages"), options); };
    if (const auto text = one.find("text"))
      EXPECT_EQ(run(), text->text());
    else
      EXPECT_THROW(run(), Error);
  }
}

TEST(ChatTemplate, MessagesOfRoleAndContent) {
  const auto chat = ChatTemplate::parse(
      "{% for m in messages %}{{ m.role }}: {{ m['content'] }}\n{% endfor %}{{ bos_token }}", "t");
  EXPECT_EQ(
      chat.render(std::vector<ChatMessage>{{"user", "a"}, {"assistant", "b\xff"}}, {.bos_token = "<s>"}),
      "user: a\nassistant: b\xEF\xBF\xBD\n<s>");
  EXPECT_EQ(chat.render(std::vector<ChatMessage>{}), "");
}

TEST(ChatTemplate, TheTimeIsGiven) {
  EXPECT_EQ(render("{{ strftime_now('%Y') }}", {.now = 86400 * 366}), "1971");
  EXPECT_EQ(render("{{ strftime_now('%d %b') | length }}"), "6");
}

TEST(ChatTemplate, AFaultNamesTheLine) {
  EXPECT_EQ(refusal(Error::Kind::model, "a\nb\n{{ messages[0].author.name }}"),
            "t: chat template, line 3: 'author' is undefined, so it has no 'name'");
  EXPECT_EQ(refusal(Error::Kind::model, "a\n{% for x in messages %}\n{{ x }}"),
            "t: chat template, line 3: expected {% else %} and found the end of the template");
  EXPECT_EQ(refusal(Error::Kind::model, "{% include 'x' %}"),
            "t: chat template, line 1: {% include %} is not among the statements that chat templates use");
  EXPECT_EQ(refusal(Error::Kind::model, "\n{{ messages.pop() }}"),
            "t: chat template, line 2: pop() would change a value; templates may only read");
  EXPECT_EQ(refusal(Error::Kind::data, "\n{{ raise_exception('No system ' ~ messages[0].role) }}"),
            "t: chat template, line 2: refuses this conversation: No system user");
}

TEST(ChatTemplate, AMaliciousTemplateEnds) {
  const std::string endless = "does more work than a chat template needs";
  for (const char* source :
       {"{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "{% for a in range(99999) %}{% for b in range(99999) %}xxxxxxxx{% endfor %}{% endfor %}",
        "{% set n = namespace(s='xxxxxxxxxxxxxxxx') %}{% for a in range(999) %}{% set n.s = n.s + n.s %}{% "
        "endfor %}",
        "{% set n = namespace(l=[1]) %}{% for a in range(99) %}{% set n.l = n.l + n.l %}{% endfor %}",
        "{% set n = namespace(l=[1]) %}{% for a in range(90) %}{% set n.l = [n.l, n.l] %}{% endfor %}{{ n.l "
        "}}",
        "{% set n = namespace(l=[1]) %}{% for a in range(90) %}{% set n.l = [n.l, n.l] %}{% endfor %}{{ n.l "
        "| tojson }}",
        "{% set n = namespace(l=[1], m=[1]) %}{% for a in range(90) %}{% set n.l = [n.l, n.l] %}{% set n.m = "
        "[n.m, n.m] %}"
        "{% endfor %}{{ n.l == n.m }}",
        "{{ 'x' * 1000000000 }}", "{{ ('x' * 100000) | replace('', 'y' * 100000) }}",
        "{{ messages | tojson(indent=100) | indent(1000) * 99999 }}"})
    EXPECT_NE(refusal(Error::Kind::model, source).find(endless), std::string::npos) << source;
}

TEST(ChatTemplate, NestingIsLimited) {
  const auto repeat = [](std::string_view text, int times) {
    std::string out;
    for (int i = 0; i < times; ++i) out += text;
    return out;
  };
  for (const std::string& source :
       {"{{ " + repeat("(", 100000) + "1" + repeat(")", 100000) + " }}", "{{ " + repeat("[", 100000),
        "{{ 1" + repeat(" + 1", 100000) + " }}", "{{ 1" + repeat("|abs", 100000) + " }}",
        "{{ " + repeat("not ", 100000) + "1 }}", "{{ " + repeat("-", 100000) + "1 }}",
        "{{ x" + repeat(".y", 100000) + " }}", "{{ 1" + repeat(" if 1 else 1", 100000) + " }}",
        repeat("{% if 1 %}", 100000), std::string("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"),
        std::string(
            "{% set n = namespace(l=1) %}{% for a in range(9999) %}{% set n.l = [n.l] %}{% endfor %}")})
    EXPECT_NE(refusal(Error::Kind::model, source), "") << source.substr(0, 40);
  EXPECT_EQ(render("{% set n = namespace() %}{% set n.self = n %}{% set n.l = [n] %}ok"), "ok");
}

TEST(ChatTemplate, IsReadFromAModelsFiles) {
  const ScratchFolder folder;
  EXPECT_FALSE(ChatTemplate::read(folder.path("")));
  folder.write("tokenizer_config.json", R"({"bos_token": {"content": "<b>"}, "eos_token": "<e>"})");
  EXPECT_FALSE(ChatTemplate::read(folder.path("")));
  folder.write(
      "tokenizer_config.json",
      R"({"bos_token": {"content": "<b>"}, "eos_token": "<e>", "chat_template": "{{ bos_token ~ eos_token }}"})");
  EXPECT_EQ(ChatTemplate::read(folder.path(""))->render(hello), "<b><e>");
  EXPECT_EQ(ChatTemplate::read(folder.path(""))->render(hello, {.eos_token = "E"}), "<b>E");
  folder.write("tokenizer_config.json", R"({"chat_template": [{"name": "default", "template": "one"},
                                                              {"name": "tool_use", "template": "two"}]})");
  EXPECT_EQ(ChatTemplate::read(folder.path(""))->render(hello), "one");
  EXPECT_EQ(ChatTemplate::read(folder.path(""), "tool_use")->render(hello), "two");
  expect_error(
      Error::Kind::model, [&] { ChatTemplate::read(folder.path(""), "three"); }, "tokenizer_config.json",
      "has no template 'three'", "default, tool_use");
  folder.write("chat_template.jinja", "three\n");
  EXPECT_EQ(ChatTemplate::read(folder.path(""))->render(hello), "three");
}

}  // namespace
}  // namespace fovea::text
