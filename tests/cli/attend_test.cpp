// fovea attend: what it draws, what it writes, and what it says to what it cannot show.
#include <gtest/gtest.h>

#include <cmath>
#include <sstream>

#include "fovea/base/file.h"
#include "fovea/formats/json.h"
#include "tests/cli/run.h"
#include "tests/cli/small_encoder.h"
#include "tests/decoding/small_model.h"
#include "tests/models/language_variants.h"

namespace fovea::cli {
namespace {

using test::ScratchFolder;
using test::SmallModel;

RunResult attend_with(const std::string& model, const std::string& arguments,
                      const std::string& environment = "COLUMNS=80") {
  return run("env -u NO_COLOR LANG=C.UTF-8 " + environment + " " + shell_word(FOVEA_BINARY) +
             " attend --threads 1 --model " + shell_word(model) + " " + arguments);
}

RunResult attend(const std::string& arguments, const std::string& environment = "COLUMNS=80") {
  return attend_with(SmallModel::folder().string(), arguments, environment);
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

const std::string pair = "'baren schlei the' 'der zwei moli'";

TEST(Attend, DrawsARowForEachWordOfTheTarget) {
  const auto result = attend(pair);
  EXPECT_EQ(result.code, 0);
  EXPECT_EQ(result.err, "");
  const auto lines = lines_of(result.out);
  ASSERT_GE(lines.size(), 6u);
  EXPECT_EQ(lines[0].find("cross-attention, layer "), 0u) << result.out;
  EXPECT_CONTAINS(lines[0], "(the clearest), mean of 4 heads");
  for (const auto* word : {"baren", "schlei", "the"}) EXPECT_CONTAINS(lines[2], word);
  EXPECT_CONTAINS(lines[3], "der");
  EXPECT_CONTAINS(lines[4], "zwei");
  EXPECT_CONTAINS(lines[5], "moli");
  EXPECT_EQ(count(result.out, "</s>"), 0);
  EXPECT_EQ(count(result.out, "\x1b"), 0) << "colour in a pipe";
}

// The text that the pieces of what a model produced spell.
std::string text_of(const formats::Json& recording) {
  std::string text;
  for (const auto& piece : recording.at("target_out").elements())
    if (piece.text() != "</s>") text += piece.text();
  for (auto at = text.find("▁"); at != std::string::npos; at = text.find("▁"))
    text.replace(at, std::string("▁").size(), " ");
  return text.empty() ? text : text.substr(text.front() == ' ');
}

TEST(Attend, TranslatesWhenThereIsNoTarget) {
  const ScratchFolder folder;
  const auto model = shell_word(SmallModel::folder().string());
  for (const std::string arguments :
       {"'baren schlei the.'", "'der zwei, moli?'", "--beam 1 'baren schlei.'", "--beam 4 'ungen der the'"}) {
    const auto translated = run_fovea("translate --threads 1 --model " + model + " " + arguments);
    EXPECT_EQ(attend(arguments + " --output " + shell_word((folder / "a.json").string())).code, 0);
    EXPECT_EQ(text_of(formats::read_json(folder / "a.json", Error::Kind::data)) + "\n", translated.out);
  }
}

TEST(Attend, ShowsAnyLayerHeadAndSide) {
  std::vector<std::string> seen;
  for (const std::string view :
       {"--layer 0", "--layer 1", "--layer mean", "--layer 0 --head 3", "--layer mean --head 2",
        "--side encoder", "--side decoder", "--side encoder --layer 0 --head 1", "--rollout",
        "--rollout --layer 0", "--side encoder --rollout", "--side decoder --flow", "--flow", "--special",
        "--pieces", "--pieces --special"}) {
    const auto result = attend(pair + " " + view);
    EXPECT_EQ(result.code, 0) << view << result.err;
    EXPECT_EQ(result.err, "") << view;
    EXPECT_EQ(std::ranges::find(seen, result.out), seen.end()) << view << " shows what another view does";
    seen.push_back(result.out);
  }
  EXPECT_CONTAINS(attend(pair + " --special").out, "</s>");
  EXPECT_CONTAINS(attend(pair + " --side decoder").out, "<s>");
  EXPECT_CONTAINS(attend(pair + " --rollout").out, "rollout of cross-attention through layer 1");
  EXPECT_CONTAINS(attend(pair + " --head 2 --layer mean").out, "mean of 2 layers, head 2");
}

TEST(Attend, ColoursShadesAndNarrowTerminals) {
  const auto colours = attend(pair, "COLUMNS=80 TERM=xterm COLORTERM=truecolor CLICOLOR_FORCE=1").out;
  EXPECT_CONTAINS(colours, "\x1b[");
  const auto ascii = attend(pair, "COLUMNS=80 LC_ALL=C").out;
  EXPECT_TRUE(std::ranges::all_of(ascii, [](char c) { return static_cast<unsigned char>(c) < 128; }));
  for (const int columns : {1, 7, 15, 16, 20, 40, 500}) {
    const auto narrow =
        attend("'baren 你好 schlei the der zwei' 'moli 世界 ungen'", "COLUMNS=" + std::to_string(columns));
    EXPECT_EQ(narrow.code, 0) << columns << narrow.err;
    EXPECT_FALSE(narrow.out.empty());
  }
}

TEST(Attend, TellsWhatEachHeadDoes) {
  const auto all = attend(pair + " --statistics");
  EXPECT_EQ(all.code, 0) << all.err;
  EXPECT_EQ(lines_of(all.out).size(), 1u + 6 * 4);  // three sides of two layers, four heads
  EXPECT_EQ(all.out.find("side     layer  head  entropy"), 0u);
  const auto encoder = attend(pair + " --statistics --side encoder");
  EXPECT_EQ(lines_of(encoder.out).size(), 1u + 2 * 4);
}

TEST(Attend, WritesPicturesPagesAndNumbers) {
  const ScratchFolder folder;
  const auto write = [&](const std::string& name, const std::string& flags = "") {
    const auto result = attend(pair + " " + flags + " --output " + shell_word((folder / name).string()));
    EXPECT_EQ(result.code, 0) << result.err;
    EXPECT_EQ(result.out + result.err, "");
    return read_file((folder / name).string());
  };
  const auto svg = write("a.svg", "--layer 1 --head 2");
  EXPECT_EQ(svg.find("<svg"), 0u);
  EXPECT_CONTAINS(svg, "cross-attention, layer 1, head 2");
  EXPECT_EQ(write("a.png", "--layer 1").substr(1, 3), "PNG");
  const auto page = write("a.html");
  EXPECT_CONTAINS(page, "<html");
  EXPECT_CONTAINS(page, "Rollout");
  EXPECT_CONTAINS(page, "Flow");
  write("a.json");
  const auto json = formats::read_json(folder / "a.json", Error::Kind::data);
  EXPECT_EQ(json.at("format").text(), "fovea-attention");
  EXPECT_EQ(json.at("version").integer(), 1);
}

TEST(Attend, UnknownWordsOfTheTargetAreNamed) {
  const ScratchFolder folder;
  const text::TranslationTokenizer plain(
      text::SentencePieceModel::parse(
          text::train_sentencepiece({.vocabulary_size = 300, .byte_fallback = false, .threads = 1},
                                    text::sample::sentences(400, 1)),
          "small.spm"),
      {.source_language = "en", .target_language = "de", .max_length = 64});
  test::write_model(folder / "model", *test::small_model(test::small_config(plain)), plain);
  const auto result = attend_with((folder / "model").string(), "'baren the' 'moli ☃ zwei 世界'");
  EXPECT_EQ(result.code, 0);
  EXPECT_EQ(count(result.err, "\n"), 1);
  EXPECT_CONTAINS(result.err,
                  "fovea: warning: target: 2 words with what the model does not know: '☃', '世界'");
  EXPECT_EQ(attend_with((folder / "model").string(), "'baren the' 'moli zwei'").err, "");
  EXPECT_CONTAINS(attend_with((folder / "model").string(), "'baren ☃' 'moli'").err,
                  "warning: source: 1 word ");
}

TEST(Attend, WhatThereIsNotIsNamed) {
  expect_failure(attend(pair + " --layer 2"), 2,
                 "cross attention: there is no layer 2; choose one of 0 to 1");
  expect_failure(attend(pair + " --rollout --layer 2"), 2, "there is no layer 2");
  expect_failure(attend(pair + " --layer 1 --head 4"), 2,
                 "cross-attention, layer 1: there is no head 4; choose one of 0 to 3");
  expect_failure(attend(pair + " --head 99999999999"), 2, "is neither a number from 0 on nor mean");
  expect_failure(attend(pair + " --head -1"), 2, "--head");
  expect_failure(attend(pair + " --layer last"), 2, "is neither a number from 0 on nor mean or best");
  expect_failure(attend(pair + " --side both"), 2, "--side");
  expect_failure(attend(pair + " --rollout --flow"), 2, "excludes");
  expect_failure(attend(pair + " --rollout --head 1"), 2, "excludes");
  expect_failure(attend(pair + " --rollout --layer mean"), 2, "there is no mean of them");
  expect_failure(attend(pair + " --words --pieces"), 2, "excludes");
  expect_failure(attend(pair + " --output a.gif"), 2, "end it in .svg");
  expect_failure(attend(pair + " --output a"), 2, "end it in .svg");
  expect_failure(attend(pair + " third"), 2, "unexpected argument 'third'");
  expect_failure(attend(""), 2, "source is required");
  expect_failure(attend_with("/nowhere/model", pair), 4, "there is no such folder");
  expect_failure(attend(pair + " --output /nowhere/a.svg"), 5, "/nowhere/a.svg");
}

TEST(Attend, OneTokenAndNoTokenAreDrawnAsFarAsTheyGo) {
  const auto one = attend("the der");
  EXPECT_EQ(one.code, 0);
  EXPECT_CONTAINS(one.err, "warning: there is one token to look at");
  EXPECT_CONTAINS(one.out, "der");
  const auto nothing = attend("'baren the' ''");
  EXPECT_EQ(nothing.code, 0) << nothing.err;
  EXPECT_CONTAINS(nothing.out, "</s>");
  expect_failure(attend("''"), 2, "source: is empty");
  expect_failure(attend("'  ' der"), 2, "source: is empty");
}

TEST(Attend, FiveThousandTokensAreTooMany) {
  std::string text;
  for (int i = 0; i < 5000; ++i) text += "the ";
  expect_failure(attend(shell_word(text)), 2, "translated in parts");
  expect_failure(attend(shell_word(text) + " der"), 2, "the model takes at most 64");
  expect_failure(attend("the " + shell_word(text)), 2, "the model takes at most 64");
  std::string sixty;
  for (int i = 0; i < 50; ++i) sixty += "the ";
  expect_failure(attend(shell_word(sixty) + " --max-tokens 20"), 2, "or a larger --max-tokens");
  EXPECT_EQ(attend(shell_word(sixty) + " der").code, 0);
}

TEST(Attend, ArgumentsOfAnyBytesStayHarmless) {
  const auto odd = attend("\"$(printf 'ba\\377 the\\n\\033[31mder')\" 'zwei <script> moli'");
  EXPECT_EQ(odd.code, 0) << odd.err;
  EXPECT_CONTAINS(odd.err, "fovea: warning: source: not UTF-8");
  EXPECT_EQ(count(odd.out, "\x1b"), 0);
}

TEST(Attend, AClosedPipeEndsItWithoutAWord) {
  const std::string command = shell_word(FOVEA_BINARY) + " attend --threads 1 --model " +
                              shell_word(SmallModel::folder().string()) + " " + pair;
  for (const std::string flags : {"", " --statistics"}) {
    const auto result = run("{ sleep 0.2; " + command + flags + "; echo code $? >&2; } | true");
    EXPECT_EQ(result.err, "code 141\n") << "128 + SIGPIPE";
  }
}

TEST(Attend, E04_NaNWeightsAreAWarningAndThenAnError) {
  const ScratchFolder folder;
  const auto model = test::small_model();
  for (const auto& view : model->parameters().views())
    if (view.name == "model.encoder.layers.0.self_attn.q_proj.weight") view.value.f32()[0] = NAN;
  test::write_model(folder / "model", *model);
  const auto result = attend_with((folder / "model").string(), pair);
  EXPECT_EQ(result.code, 4);
  EXPECT_EQ(result.out, "");
  EXPECT_CONTAINS(result.err, "NaN or infinite weights");
  EXPECT_CONTAINS(result.err, "attention weights are not numbers");
}

// A language model whose tokens are letters.
std::string language_model(const ScratchFolder& folder) {
  const auto config = models::small_gpt2();
  write_atomically(folder / "config.json", models::config_json(config, DType::f32));
  models::make_language_model(config)->weights_file(DType::f32).save(folder / "model.safetensors");
  std::string vocabulary;
  for (int i = 0; i < 13; ++i)
    vocabulary += (i ? ", \"" : "\"") + std::string(1, "_.abcdefgh ij"[i]) + "\": " + std::to_string(i);
  write_atomically(
      folder / "tokenizer.json",
      R"({"version": "1.0", "model": {"type": "BPE", "merges": [], "vocab": {)" + vocabulary + "}}}");
  return folder.path().string();
}

TEST(Attend, ALanguageModelLooksBack) {
  const ScratchFolder folder;
  const auto model = language_model(folder);
  const auto result = attend_with(model, "'bad cab.'");
  EXPECT_EQ(result.code, 0) << result.err;
  const auto lines = lines_of(result.out);
  ASSERT_GE(lines.size(), 6u);
  EXPECT_EQ(lines[0].find("decoder self-attention, layer "), 0u) << result.out;
  EXPECT_CONTAINS(lines[2], "bad");
  EXPECT_CONTAINS(lines[2], "cab");
  EXPECT_EQ(attend_with(model, "'bad cab.' --output " + shell_word(folder.path("a.json"))).code, 0);
  const auto json = formats::read_json(folder / "a.json", Error::Kind::data);
  const auto entries = [&](const char* key) { return json.at(key).size(); };
  EXPECT_EQ(entries("source"), 0u);
  EXPECT_EQ(entries("target_in"), 8u);
  EXPECT_EQ(entries("layers"), 4u) << "two recorded, and rollout through each";
  EXPECT_EQ(attend_with(model, "'bad cab.' --output " + shell_word(folder.path("a.html"))).code, 0);

  const auto expect_refused = [&](const std::string& arguments, const std::string& why) {
    const auto refused = attend_with(model, arguments);
    EXPECT_EQ(refused.code, 2);
    EXPECT_CONTAINS(refused.err, why);
  };
  expect_refused("bad cab", "this model reads one text");
  expect_refused("''", "is empty");
  expect_refused("bad --side cross", "it has: decoder");
}

TEST(Attend, AnEncoderLooksAtItsText) {
  const ScratchFolder folder;
  for (const auto head : {models::BertConfig::Head::none, models::BertConfig::Head::text}) {
    const auto model = folder / ("head" + std::to_string(static_cast<int>(head)));
    write_encoder(model, head);
    const auto result = attend_with(model.string(), "'a very fine film'");
    EXPECT_EQ(result.code, 0) << result.err;
    EXPECT_EQ(lines_of(result.out)[0].find("encoder self-attention, layer "), 0u) << result.out;
    for (const auto* word : {"[CLS]", "very", "fine", "film"}) EXPECT_CONTAINS(lines_of(result.out)[2], word);
    EXPECT_EQ(attend_with(model.string(), "'a fine film' --output " + shell_word(folder.path("a.html"))).code,
              0);
  }
}

TEST(Attend, APairOfTextsIsNamed) {
  const ScratchFolder folder;
  const auto model = (folder / "model").string();
  write_encoder(model, models::BertConfig::Head::text);
  const auto result = attend_with(model, "'a very fine film' \"it wasn't bad\"");
  EXPECT_EQ(result.code, 0) << result.err;
  const auto lines = lines_of(result.out);
  ASSERT_GE(lines.size(), 16u);
  EXPECT_CONTAINS(lines[2], "first ─");
  EXPECT_CONTAINS(lines[2], "second ─");
  EXPECT_LT(lines[3].find("film"), lines[3].find("it"));
  EXPECT_EQ(count(result.out, "\nfirst ─"), 1);
  EXPECT_EQ(count(result.out, "second ─"), 2) << "above columns and rows";
  EXPECT_NE(result.out, attend_with(model, "\"a very fine film it wasn't bad\"").out);

  const auto output = [&](const std::string& name) {
    const auto path = (folder / name).string();
    EXPECT_EQ(attend_with(model, "'a very fine film' 'it' --output " + shell_word(path)).code, 0);
    return read_file(path);
  };
  const auto svg = output("a.svg");
  EXPECT_EQ(count(svg, ">first</text>"), 2);
  EXPECT_EQ(count(svg, ">second</text>"), 2);
  EXPECT_CONTAINS(output("a.html"), R"("second":6)");
  const auto json = formats::Json::parse(output("a.json"), {"a.json", Error::Kind::data});
  EXPECT_EQ(json.at("second").integer(), 6) << "[CLS] a very fine film [SEP]";

  expect_failure(attend_with(model, "'a very fine film' ' '"), 2, "second text: is empty");
  std::string long_text;
  for (int i = 0; i < 10; ++i) long_text += " film";
  expect_failure(attend_with(model, "'" + long_text + "' '" + long_text + "'"), 2,
                 "text: 23 tokens; the model takes at most 16");
}

TEST(Attend, AClassifierLooksAtTheWordsThatItPools) {
  const ScratchFolder folder;
  const auto model = folder / "model";
  write_encoder(model, models::BertConfig::Head::text);  // its tokenizer
  models::RecurrentClassifierConfig config;
  config.vocabulary = 40;
  config.embedding = config.width = config.attention_width = 8;
  config.classes.names = {"bad", "good"};
  write_atomically(model / "config.json", models::config_json(models::ClassifierConfig(config), DType::f32));
  models::make_classifier(config)->weights_file(DType::f32).save(model / "model.safetensors");
  const auto result = attend_with(model.string(), "'a very fine film' --special");
  EXPECT_EQ(result.code, 0) << result.err;
  const auto lines = lines_of(result.out);
  ASSERT_GE(lines.size(), 4u);
  EXPECT_EQ(lines[0].find("cross-attention, layer 0"), 0u) << result.out;
  EXPECT_CONTAINS(lines[2], "very");
  EXPECT_TRUE(contains(lines[3], "bad") || contains(lines[3], "good")) << result.out;
  const auto pair = attend_with(model.string(), "'a very fine' 'very fine'");
  EXPECT_EQ(pair.code, 0) << pair.err;
  EXPECT_EQ(count(pair.out, "second ─"), 1) << "above the columns";
}

}  // namespace
}  // namespace fovea::cli
