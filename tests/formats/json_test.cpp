#include "fovea/formats/json.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>

#include "fovea/base/file.h"
#include "fovea/base/random.h"
#include "fovea/formats/json_writer.h"
#include "tests/base/scratch.h"

namespace fovea::formats {
namespace {

using test::message_of;

Json parse(std::string_view text, const JsonLimits& limits = {}) {
  return Json::parse(text, {"config.json", Error::Kind::model}, limits);
}

std::string refusal(std::string_view text, const JsonLimits& limits = {}) {
  return message_of(Error::Kind::model, [&] { parse(text, limits); });
}

const char* const example = R"({
  "d_model": 512, "dropout": 0.1, "tied": true, "name": "caf\u00e9", "none": null, "big": 18446744073709551615,
  "layers": [{"heads": 8}, {"heads": -3, "x.y": [1, [2]]}], "empty": {}, "nothing": []
})";

TEST(Json, GivesTypedValues) {
  const Json config = parse(example);
  EXPECT_EQ(config.at("d_model").integer(1, 1 << 20), 512);
  EXPECT_EQ(config.at("dropout").number(0, 1), 0.1);
  EXPECT_EQ(config.at("d_model").number(), 512.0);
  EXPECT_TRUE(config.at("tied").boolean());
  EXPECT_EQ(config.at("name").text(), "caf\xc3\xa9");
  EXPECT_EQ(config.size(), 9U);
  EXPECT_EQ(config.at("layers").size(), 2U);
  EXPECT_EQ(config.at("empty").size() + config.at("nothing").size(), 0U);
  EXPECT_TRUE(config.at("none").is_null());
  EXPECT_FALSE(config.find("none"));
  EXPECT_FALSE(config.has("missing"));
  EXPECT_EQ(config.integer_or("d_model", 1), 512);
  EXPECT_EQ(config.integer_or("none", 7), 7);
  EXPECT_EQ(config.number_or("missing", 0.5), 0.5);
  EXPECT_EQ(config.text_or("missing", "x"), "x");
  EXPECT_TRUE(config.boolean_or("tied", false));
}

TEST(Json, StepsThroughElementsAndMembersInTheOrderOfTheFile) {
  const Json config = parse(example);
  std::string keys;
  for (const auto& [key, value] : config.members()) keys.append(key).append(" ");
  EXPECT_EQ(keys, "d_model dropout tied name none big layers empty nothing ");
  std::vector<std::int64_t> heads;
  for (const Json& layer : config.at("layers").elements()) heads.push_back(layer.at("heads").integer());
  EXPECT_EQ(heads, (std::vector<std::int64_t>{8, -3}));
}

TEST(Json, MessagesNameTheFileThePathAndWhatWasFound) {
  const Json config = parse(example);
  const auto message = [](const auto& call) { return message_of(Error::Kind::model, call); };
  EXPECT_EQ(message([&] { config.at("name").integer(1, 9); }),
            "config.json: name: is the text \"caf\\xc3\\xa9\", but an integer from 1 to 9 was expected");
  EXPECT_EQ(message([&] { config.at("d_model").integer(1, 9); }),
            "config.json: d_model: is 512, but an integer from 1 to 9 was expected");
  EXPECT_EQ(message([&] { config.at("dropout").integer(0, 9); }),
            "config.json: dropout: is the number 0.1, but an integer from 0 to 9 was expected");
  EXPECT_THROW(config.at("big").integer(), Error);
  EXPECT_EQ(message([&] { config.at("dropout").number(0.5, 1); }),
            "config.json: dropout: is the number 0.1, but a number from 0.5 to 1 was expected");
  EXPECT_EQ(message([&] { config.at("d_modle"); }), "config.json: has no \"d_modle\"");
  EXPECT_EQ(message([&] { config.at("none").text(); }),
            "config.json: none: is null, but a text was expected");
  EXPECT_EQ(message([&] { config.at("empty").elements(); }),
            "config.json: empty: is an object, but an array was expected");
  EXPECT_EQ(message([&] { config.at("layers").at("x"); }),
            "config.json: layers: is an array of 2, but an object was expected");
  for (const Json& layer : config.at("layers").elements())
    if (const auto odd = layer.find("x.y"))
      for (const Json& element : odd->elements()) {
        EXPECT_EQ(element.path(), element.is_array() ? "layers[1].x.y[1]" : "layers[1].x.y[0]");
      }
}

TEST(Json, ACursorOutlivesItsRoot) {
  const Json heads = parse(R"({"a":[{"b":"text"}]})").at("a");
  for (const Json& element : heads.elements()) EXPECT_EQ(element.at("b").text(), "text");
}

TEST(Json, B01_RefusesWhatIsNotStrictJson) {
  for (const char* text : {"",
                           " ",
                           "{",
                           "[1,]",
                           "{\"a\":1,}",
                           "{'a':1}",
                           "{a:1}",
                           "01",
                           "+1",
                           "1.",
                           ".5",
                           "0x10",
                           "NaN",
                           "-Infinity",
                           "// c\n1",
                           "/**/1",
                           "1 2",
                           "{}x",
                           "\"\t\"",
                           "\"\\x\"",
                           "\"\\ud800\"",
                           "\"\\udc00\\ud800\"",
                           "tru",
                           "1e999"})
    EXPECT_NE(refusal(text).find("config.json: is not valid JSON: "), std::string::npos) << text;
  EXPECT_EQ(refusal("{\n \"a\": nil}").substr(0, 47), "config.json: is not valid JSON: line 2, column ");
  EXPECT_NE(refusal(std::string_view("{}\0{}", 5)).find("a NUL at byte 2"), std::string::npos);
  EXPECT_NE(refusal("\xef\xbb\xbf{}").find("byte order mark"), std::string::npos);
  EXPECT_NE(refusal("\"\xff\"").find("is not valid UTF-8 at byte 1"), std::string::npos);
}

TEST(Json, RefusesAKeyGivenTwice) {
  EXPECT_EQ(refusal(R"({"a":1,"b":{"c":1,"d":2,"c":1}})"),
            "config.json: gives the key \"c\" twice in the same object");
  EXPECT_EQ(refusal(R"({"a":1,"\u0061":1})"), "config.json: gives the key \"a\" twice in the same object");
  EXPECT_EQ(parse(R"({"a":{"a":1},"b":{"a":2}})").at("b").at("a").integer(), 2);
}

TEST(Json, KeepsItsLimits) {
  const auto nested = [](std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_EQ(parse(nested(64)).size(), 1U);
  EXPECT_EQ(refusal(nested(65)), "config.json: nests deeper than 64 levels");
  EXPECT_EQ(refusal(std::string(100'000, '[')), "config.json: nests deeper than 64 levels");
  EXPECT_EQ(refusal("[1,2,3]", {.values = 3}), "config.json: holds more than 3 values");
  EXPECT_EQ(parse("[1,2]", {.values = 3}).size(), 2U);
  EXPECT_EQ(refusal("\"abcd\"", {.string_bytes = 3}),
            "config.json: holds a string longer than 3 bytes: \"abcd\"");
  EXPECT_EQ(refusal("{\"abcd\":1}", {.string_bytes = 3}).substr(0, 47),
            "config.json: holds a string longer than 3 bytes");
  EXPECT_EQ(refusal("12345", {.bytes = 4}), "config.json: is JSON longer than the 4 bytes allowed");
}

TEST(Json, B06_B19_NumbersAtTheEdges) {
  EXPECT_EQ(parse("1e30").number(), 1e30);
  EXPECT_EQ(parse("1000000000000000019884624838656").number(), 1e30);
  EXPECT_THROW(parse("1e30").integer(), Error);
  EXPECT_EQ(parse("9223372036854775807").integer(), std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(parse("-9223372036854775808").integer(), std::numeric_limits<std::int64_t>::min());
  EXPECT_THROW(parse("9223372036854775808").integer(), Error);
  EXPECT_THROW(parse("-9223372036854775809").integer(), Error);
  EXPECT_THROW(parse("1.0").integer(), Error);
  EXPECT_EQ(parse("5e-324").number(), 5e-324);
}

TEST(Json, FindsKeysInLargeObjects) {
  JsonWriter writer;
  writer.begin_object();
  for (int i = 0; i < 60'000; ++i) writer.field("piece" + std::to_string(i * 7919 % 60'000), i);
  const Json vocabulary = parse(writer.end_object().finish());
  EXPECT_EQ(vocabulary.size(), 60'000U);
  for (int i = 0; i < 60'000; ++i)
    ASSERT_EQ(vocabulary.at("piece" + std::to_string(i * 7919 % 60'000)).integer(), i);
}

TEST(Json, ReadsAFileAndNamesIt) {
  const test::ScratchFolder folder;
  write_atomically(folder / "config.json", "[]");
  EXPECT_EQ(
      message_of(Error::Kind::data, [&] { read_json(folder / "config.json", Error::Kind::data).at("a"); }),
      (folder / "config.json").string() + ": is an array of 0, but an object was expected");
  EXPECT_NE(message_of(Error::Kind::model, [&] { read_json(folder / "none", Error::Kind::model); })
                .find("no such file"),
            std::string::npos);
}

// Every change of one byte in a small file gives a clean error or a document that can be walked.
std::size_t walk(const Json& json) {
  std::size_t count = json.path().size() < 10'000 ? 1 : 0;
  if (json.is_array())
    for (const Json& element : json.elements()) count += walk(element);
  if (json.is_object())
    for (const auto& [key, value] : json.members()) count += walk(value) + walk(json.at(key));
  return count;
}

TEST(Json, EveryByteChangedAndEveryTruncation) {
  const std::string text = example;
  for (std::size_t at = 0; at < text.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string changed = text;
      changed[at] ^= static_cast<char>(1 << bit);
      try {
        EXPECT_GT(walk(parse(changed)), 0U);
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), Error::Kind::model);
      }
    }
    EXPECT_THROW(parse(text.substr(0, at)), Error);
  }
}

TEST(Utf8, FindsTheFirstBadByteWhereverItStands) {
  const std::pair<std::string, std::size_t> bad[] = {{"\x80", 0},
                                                     {"\xc1\xbf", 0},
                                                     {"\xe0\x9f\xbf", 0},
                                                     {"\xed\xa0\x80", 0},
                                                     {"\xf0\x8f\xbf\xbf", 0},
                                                     {"\xf4\x90\x80\x80", 0},
                                                     {"\xf5\x80\x80\x80", 0},
                                                     {"\xc3", 0},
                                                     {"\xe2\x82", 0},
                                                     {"\xf0\x9f\x98", 0},
                                                     {"\xe2\x28\xa1", 0},
                                                     {"\xff", 0}};
  const std::string good = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf";
  EXPECT_FALSE(first_invalid_utf8(good));
  EXPECT_FALSE(first_invalid_utf8(""));
  for (const auto& [text, at] : bad)
    for (std::size_t before = 0; before < 20; ++before) {
      EXPECT_EQ(first_invalid_utf8(std::string(before, 'a') + text + "tail"), before + at);
      EXPECT_EQ(first_invalid_utf8(std::string(before, 'a') + text), before + at);
    }
}

TEST(JsonWriter, WritesPrettyAndCompact) {
  const auto write = [](JsonWriter::Layout layout) {
    JsonWriter json(layout);
    json.begin_object().field("d_model", 512).field("dropout", 0.1F).field("one", 1.0).field("tied", false);
    json.key("ids").begin_array().value(1).value(-2).end_array().key("none").null();
    json.key("empty").begin_object().end_object().key("nothing").begin_array().end_array();
    return json.field("text", "\"\\\n\x01 \xc3\xa9").end_object().finish();
  };
  EXPECT_EQ(
      write(JsonWriter::Layout::compact),
      "{\"d_model\":512,\"dropout\":0.1,\"one\":1.0,\"tied\":false,\"ids\":[1,-2],\"none\":null,\"empty\":{},"
      "\"nothing\":[],\"text\":\"\\\"\\\\\\n\\u0001 \xc3\xa9\"}");
  EXPECT_EQ(write(JsonWriter::Layout::pretty),
            "{\n  \"d_model\": 512,\n  \"dropout\": 0.1,\n  \"one\": 1.0,\n  \"tied\": false,\n  \"ids\": "
            "[\n    1,\n"
            "    -2\n  ],\n  \"none\": null,\n  \"empty\": {},\n  \"nothing\": [],\n  \"text\": "
            "\"\\\"\\\\\\n\\u0001 "
            "\xc3\xa9\"\n}\n");
}

TEST(JsonWriter, NumbersReadBackAsTheSameBits) {
  const RandomKey key = RandomKey::of(3, 0, 0);
  for (std::uint64_t i = 0; i < 20'000; ++i) {
    const auto value =
        std::bit_cast<double>(std::uint64_t{random_word(key, 2 * i)} << 32 | random_word(key, 2 * i + 1));
    if (!std::isfinite(value)) continue;
    const double read = parse(JsonWriter().value(value).finish()).number();
    EXPECT_EQ(std::bit_cast<std::uint64_t>(read), std::bit_cast<std::uint64_t>(value)) << value;
    const auto single = static_cast<float>(std::bit_cast<float>(random_word(key, i)));
    if (!std::isfinite(single)) continue;
    const auto single_read = static_cast<float>(parse(JsonWriter().value(single).finish()).number());
    EXPECT_EQ(std::bit_cast<std::uint32_t>(single_read), std::bit_cast<std::uint32_t>(single)) << single;
  }
  EXPECT_EQ(parse(JsonWriter().value(~std::uint64_t{0}).finish()).number(), 18446744073709551615.0);
}

TEST(JsonWriter, RepairsTextAndRefusesMisuse) {
  EXPECT_EQ(JsonWriter(JsonWriter::Layout::compact).value("a\xff\xc3").finish(),
            "\"a\xef\xbf\xbd\xef\xbf\xbd\"");
  EXPECT_THROW(JsonWriter().value(std::nan("")), Error);
  EXPECT_THROW(JsonWriter().value(HUGE_VAL), Error);
  EXPECT_THROW(JsonWriter().key("a"), Error);
  EXPECT_THROW(JsonWriter().begin_object().value(1), Error);
  EXPECT_THROW(JsonWriter().begin_object().key("a").key("b"), Error);
  EXPECT_THROW(JsonWriter().begin_object().end_array(), Error);
  EXPECT_THROW(JsonWriter().begin_object().finish(), Error);
  EXPECT_THROW(JsonWriter().value(1).value(2), Error);
  EXPECT_THROW(JsonWriter().finish(), Error);
}

}  // namespace
}  // namespace fovea::formats
