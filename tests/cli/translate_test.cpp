// fovea translate: N lines in, N lines out, in order, whatever they hold and wherever they come from.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <sstream>

#include "tests/cli/run.h"
#include "tests/data/gzip.h"
#include "tests/decoding/small_model.h"

namespace fovea::cli {
namespace {

using test::ScratchFolder;
using test::SmallModel;

std::string translate_command(const std::string& arguments) {
  return shell_word(FOVEA_BINARY) + " translate --threads 1 --max-tokens 48 --model " +
         shell_word(SmallModel::folder().string()) + " " + arguments;
}

RunResult translate(const std::string& arguments) { return run(translate_command(arguments)); }

/// What comes back for `text` on standard input.
RunResult translate_text(const std::string& text, const std::string& arguments = "") {
  const ScratchFolder folder;
  return translate(arguments + " <" + folder.write("in", text));
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

TEST(Translate, ArgumentsFilesAndStandardInputAreTheSame) {
  const ScratchFolder folder;
  const std::string text = "baren schlei the.\nder zwei, moli?\n";
  const std::string expected = translate_text(text).out;
  EXPECT_EQ(count(expected, "\n"), 2);
  EXPECT_EQ(translate("'baren schlei the.' 'der zwei, moli?'").out, expected);
  const std::string plain = folder.write("plain", text), packed = folder.write("packed.gz", data::gzip(text));
  EXPECT_EQ(translate("--input " + plain).out, expected);
  EXPECT_EQ(translate("--input " + packed).out, expected);
  EXPECT_EQ(translate("--input - <" + plain).out, expected);
  const auto to_file = translate("--input " + plain + " --output " + folder.path("out"));
  EXPECT_EQ(to_file.code, 0) << to_file.err;
  EXPECT_EQ(to_file.out, "");
  EXPECT_EQ(read_file(folder.path("out")), expected);
}

TEST(Translate, I01_InputsThatCannotBeReadAreNamed) {
  const ScratchFolder folder;
  expect_failure(translate("--input " + folder.path("missing")), 3, folder.path("missing"));
  expect_failure(translate("--input " + folder.path("")), 3, folder.path(""));
  for (const std::string& empty : {std::string("/dev/null"), folder.write("empty", "")}) {
    const auto result = translate("--input " + empty);
    EXPECT_EQ(result.code, 0) << result.err;
    EXPECT_EQ(result.out + result.err, "");
  }
  const std::string fifo = folder.path("fifo");
  const auto piped =
      run("mkfifo " + fifo + "; echo baren >" + fifo + " & " + translate_command("--input " + fifo));
  EXPECT_EQ(piped.out, translate("baren").out);
}

TEST(Translate, I02_WhatIsNotUtf8IsReplacedOrRefused) {
  const auto replaced = translate_text("gut\nba\xff\xfe ren\n\xc3\n");
  EXPECT_EQ(replaced.code, 0);
  EXPECT_EQ(count(replaced.out, "\n"), 3);
  EXPECT_CONTAINS(replaced.err,
                  "fovea: warning: standard input:2:3: not UTF-8; replaced by U+FFFD in 2 lines\n");
  expect_failure(translate_text("ba\xff\n", "--on-bad-utf8 error"), 3,
                 "standard input:1:3: the line is not UTF-8");

  const auto argument = translate("gut \"$(printf 'ba\\377')\"");
  EXPECT_EQ(count(argument.out, "\n"), 2);
  EXPECT_CONTAINS(argument.err, "fovea: warning: argument 2: not UTF-8");
  expect_failure(translate("--on-bad-utf8 error \"$(printf 'ba\\377')\""), 3, "argument 1: is not UTF-8");
}

TEST(Translate, I03_OddLineEndsAndBytesKeepTheirLines) {
  struct Case {
    std::string text;
    int lines;
  };
  for (const auto& [text, lines] : std::vector<Case>{{"\xef\xbb\xbf"
                                                      "baren\nthe\n",
                                                      2},
                                                     {"baren\r\nthe\r\n", 2},
                                                     {"ba\rren\nthe\n", 2},
                                                     {"ba\xe2\x80\xa8ren\n", 1},
                                                     {std::string("ba\0ren\n", 7), 1},
                                                     {"baren\nthe", 2},
                                                     {"\tba\tren\t\n", 1},
                                                     {"\xf0\x9f\x98\x80 \xf0\x9f\x8f\xb3\xef\xb8\x8f\n", 1},
                                                     {"\n", 1}}) {
    const auto result = translate_text(text);
    EXPECT_EQ(result.code, 0) << result.err;
    EXPECT_EQ(count(result.out, "\n"), lines) << text;
    EXPECT_EQ(count(result.out, "\r"), 0) << text;
  }
  const std::string plain = translate_text("baren\nthe\n").out;
  EXPECT_EQ(translate_text("baren\r\nthe\r\n").out, plain);
  EXPECT_EQ(translate_text("\xef\xbb\xbf"
                           "baren\nthe")
                .out,
            plain);
  EXPECT_EQ(translate_text(std::string("ba\0ren\n", 7)).out, translate_text("ba ren\n").out);
  EXPECT_EQ(count(translate("\"$(printf 'ba\\nren')\"").out, "\n"), 1);  // an argument is a line
}

TEST(Translate, I04_EmptyLinesKeepTheirPlaces) {
  const auto found = lines_of(translate_text("\nbaren schlei.\n   \n\t\n\xc2\xa0\nthe der.\n\n").out);
  ASSERT_EQ(found.size(), 7u);
  for (const std::size_t empty : {0, 2, 3, 4, 6}) EXPECT_EQ(found[empty], "") << empty;
  EXPECT_EQ(found[1] + "\n", translate("'baren schlei.'").out);
  EXPECT_EQ(found[5] + "\n", translate("'the der.'").out);
  const auto argument = translate("\"\" baren");
  EXPECT_EQ(count(argument.out, "\n"), 2);
  EXPECT_EQ(argument.out.front(), '\n');
}

TEST(Translate, I05_ALineOfTenThousandWordsIsCutWithAWarning) {
  std::string line;
  for (const auto& sentence : text::sample::sentences(1000, 3)) line += sentence + " ";
  const auto result = translate_text("baren.\n" + line + "\nthe.\n", "--beam 1");
  EXPECT_EQ(result.code, 0);
  const auto found = lines_of(result.out);
  ASSERT_EQ(found.size(), 3u);
  EXPECT_CONTAINS(result.err, "fovea: warning: line 2: too long for one piece; translated in ");
  EXPECT_GT(found[1].size(), 1000u);
  EXPECT_EQ(found[2] + "\n", translate("the. --beam 1").out);
}

TEST(Translate, I05_OneMegabyteInOneLine) {
  const auto result = translate_text(std::string(std::size_t{1} << 20, ' ') + "baren.\n");
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(count(result.out, "\n"), 1);
}

TEST(Translate, ManyWarningsAreCounted) {
  std::string text;
  for (int i = 0; i < 12; ++i)
    text += "baren ren schl the ing ungen er zw st ra mo qu an li 1 2 3 4 5 6 7 8 9 0 baren the\n";
  const ScratchFolder folder;
  const auto result = run_fovea("translate --max-tokens 10 --beam 1 --model " +
                                shell_word(SmallModel::folder().string()) + " <" + folder.write("in", text));
  EXPECT_EQ(count(result.out, "\n"), 12);
  EXPECT_LE(count(result.err, "\n"), 6);
  EXPECT_CONTAINS(result.err, "fovea: warning: ");
  EXPECT_CONTAINS(result.err, " more lines with such warnings");
}

TEST(Translate, NBestNamesLineScoreAndText) {
  const auto result = translate_text("baren schlei.\n\nthe der\n", "--nbest 3 --beam 4");
  EXPECT_EQ(result.code, 0) << result.err;
  std::vector<int> of_line(4);
  double last = 0.0;
  for (const auto& line : lines_of(result.out)) {
    int number = 0;
    double score = 1.0;
    ASSERT_EQ(std::sscanf(line.c_str(), "%d\t%lf\t", &number, &score), 2) << line;
    ASSERT_TRUE(number >= 1 && number <= 3) << line;
    EXPECT_EQ(count(line, "\t"), 2) << line;
    const bool first = of_line[static_cast<std::size_t>(number)]++ == 0;
    EXPECT_TRUE(first || score <= last) << line;
    last = score;
  }
  EXPECT_EQ(of_line, (std::vector<int>{0, 3, 1, 3}));
}

TEST(Translate, OptionsChangeWhatIsFound) {
  const std::string sentence = " 'baren schlei the zwei moli ungen, der'";
  EXPECT_NE(translate("--nbest 2 --beam 2 --length-penalty 0" + sentence).out,
            translate("--nbest 2 --beam 2 --length-penalty 2" + sentence).out);
  // The model's own beam is 2.
  EXPECT_EQ(translate(sentence).out, translate("--beam 2" + sentence).out);
  EXPECT_EQ(translate("--nbest 2" + sentence).out, translate("--beam 2 --nbest 2" + sentence).out);
}

TEST(Translate, PenaltiesComeFromTheFlagsOrElseFromTheModel) {
  const std::string sentence = " 'baren schlei the der zwei'", nbest = "--nbest 3 --beam 3";
  const std::string plain = translate(nbest + sentence).out;
  EXPECT_EQ(translate(nbest + " --coverage-penalty 0 --length-penalty-kind power" + sentence).out, plain);
  const auto covering = translate(nbest + " --coverage-penalty 0.5 --length-penalty-kind gnmt" + sentence);
  EXPECT_EQ(covering.code, 0) << covering.err;
  EXPECT_NE(covering.out, plain);
  EXPECT_EQ(translate(nbest + " --replace-unknown" + sentence).code, 0);

  const ScratchFolder scratch;
  const auto model = SmallModel::copy(scratch);
  write_atomically(model / "generation_config.json",
                   models::generation_config_json(
                       test::small_config(),
                       {.length_penalty_kind = models::LengthPenaltyKind::gnmt, .coverage_penalty = 0.5}));
  const auto by_model = [&](const std::string& flags) {
    return run(shell_word(FOVEA_BINARY) + " translate --model " + shell_word(model.string()) + " " + flags +
               sentence)
        .out;
  };
  EXPECT_EQ(by_model(nbest), covering.out);
  EXPECT_EQ(by_model(nbest + " --coverage-penalty 0 --length-penalty-kind power"), plain);
}

TEST(Translate, LinesAreTranslatedAsTheyCome) {
  const ScratchFolder folder;
  const std::string in = folder.path("in"), out = folder.path("out");
  // The second line is written only when the translation of the first has been read.
  const auto result =
      run("mkfifo " + in + " " + out + "; " + translate_command("") + " <" + in + " >" + out + " & exec 3>" +
          in + " 4<" + out +
          "; echo baren >&3; read -r one <&4; echo got one; echo the >&3; read -r two <&4; echo got two; "
          "exec 3>&-; wait");
  EXPECT_EQ(result.out, "got one\ngot two\n");
}

/// Runs a command on a terminal of its own; `keys` is what is typed.
RunResult on_terminal(const std::string& command, const std::string& keys = "") {
  return run("printf '" + keys + "' | TERM=xterm LC_ALL=C.UTF-8 script -qec " + shell_word(command) +
             " /dev/null");
}

TEST(Translate, OnATerminalThePictureFollowsTheTranslation) {
  const ScratchFolder folder;
  const auto model = test::small_model();
  model->output_bias().f32()[0] = -50.0f;  // it never ends by itself: there is much to show
  test::write_model(folder / "model", *model);
  const auto command = [&](const std::string& flags) {
    return shell_word(FOVEA_BINARY) + " translate --model " + shell_word((folder / "model").string()) +
           flags + " 'baren schlei the.'";
  };
  const std::string plain = run(command("")).out;
  const std::string line = plain.substr(0, plain.size() - 1) + "\r\n";
  const auto shown = on_terminal(command(""));
  EXPECT_EQ(shown.code, 0);
  EXPECT_CONTAINS(shown.out, line);
  EXPECT_GT(count(shown.out, "\n"), 4);
  EXPECT_CONTAINS(shown.out, "\x1b[");
  const auto bare = on_terminal(command(" --no-picture"));
  EXPECT_CONTAINS(bare.out, line);
  EXPECT_EQ(count(bare.out, "\n"), 2);  // the other line is a warning
}

TEST(Translate, OnATerminalItAsksForSentences) {
  const auto shown = on_terminal(translate_command("--no-picture"), "baren schlei the.\\n\\004");
  EXPECT_CONTAINS(shown.out, "fovea: type a sentence and press Enter; Ctrl-D ends.");
  const auto plain = translate("'baren schlei the.'").out;
  EXPECT_CONTAINS(shown.out, plain.substr(0, plain.size() - 1) + "\r\n");
}

TEST(Translate, E07_ATranslationThatFillsAllPositionsHasNoPicture) {
  const ScratchFolder folder;
  auto config = test::small_config();
  config.max_positions = 16;
  const auto model = test::small_model(config);
  model->output_bias().f32()[config.eos] = -50.0f;  // it never ends by itself
  test::write_model(folder / "model", *model);
  const auto shown = on_terminal(shell_word(FOVEA_BINARY) + " translate --model " +
                                 shell_word((folder / "model").string()) + " baren");
  EXPECT_EQ(shown.code, 0) << shown.out;
  EXPECT_CONTAINS(shown.out, "the translation was cut at its greatest length");
  EXPECT_EQ(count(shown.out, "\n"), 2) << shown.out;
}

TEST(Translate, I13_AReaderThatLeavesEndsItQuietly) {
  const ScratchFolder folder;
  std::string text;
  for (int i = 0; i < 3000; ++i) text += "the\n";
  const auto result =
      run("{ " + translate_command("--beam 1 <" + folder.write("in", text)) + "; echo $? >&2; } | head -n 1");
  EXPECT_EQ(count(result.out, "\n"), 1);
  EXPECT_TRUE(result.err == "141\n" || result.err == "0\n") << result.err;
  const std::string fifo = shell_word(folder.path("fifo"));
  const auto closed = run("mkfifo " + fifo + "; { exec 3<" + fifo + "; exec 3<&-; } & exec 4>" + fifo +
                          "; wait; " + translate_command("baren >&4") + "; echo $?");
  EXPECT_EQ(closed.out, "141\n");
  EXPECT_EQ(closed.err, "");
}

TEST(Translate, I14_AFullDiskIsAnErrorAndLeavesNothing) {
  expect_failure(translate("baren >/dev/full"), 5, "standard output: cannot write: No space left on device");
  const ScratchFolder folder;
  expect_failure(translate("baren --output " + folder.path("no/such")), 5, folder.path("no/such"));
  expect_failure(translate("baren --output " + folder.path("")), 5, "is a folder");
  expect_failure(translate("baren --output /dev/null"), 5, "/dev/null: is not a regular file");
}

TEST(Translate, AFailureLeavesTheOldOutputAndNoOther) {
  const ScratchFolder folder;
  const std::string out = (folder / "out").string();
  std::ofstream(out) << "old\n";
  std::ofstream(folder / "in") << "baren\nba\xff\n";
  expect_failure(translate("--on-bad-utf8 error --input " + (folder / "in").string() + " --output " + out), 3,
                 "in:2:3");
  EXPECT_EQ(read_file(out), "old\n");
  EXPECT_EQ(folder.names(), (std::vector<std::string>{"in", "out"}));
  EXPECT_EQ(translate("baren --output " + out).code, 0);
  EXPECT_EQ(read_file(out), translate("baren").out);
  EXPECT_EQ(folder.names(), (std::vector<std::string>{"in", "out"}));
}

TEST(Translate, I15_LocaleAndTerminalDoNotMatter) {
  const std::string expected = translate("'baren schlei \xc3\xbc'").out;
  for (const std::string environment :
       {"LANG=C", "LC_ALL=tr_TR.UTF-8", "-u LANG", "NO_COLOR=1", "COLUMNS=1", "TERM=dumb"})
    EXPECT_EQ(run("env " + environment + " " + translate_command("'baren schlei \xc3\xbc'")).out, expected)
        << environment;
}

TEST(Translate, I16_FlagsThatMakeNoSense) {
  expect_failure(translate("--bem 3 baren"), 2, "did you mean --beam?");
  expect_failure(translate("--beam 0 baren"), 2, "--beam");
  expect_failure(translate("--beam 33 baren"), 2, "--beam");
  expect_failure(translate("--beam three baren"), 2, "--beam");
  expect_failure(translate("--beam 2 --beam 3 baren"), 2, "--beam");
  expect_failure(translate("--nbest 3 --beam 2 baren"), 2, "--nbest: 3 translations of 2 hypotheses");
  expect_failure(translate("--length-penalty 11 baren"), 2, "--length-penalty");
  expect_failure(translate("--coverage-penalty -1 baren"), 2, "--coverage-penalty");
  expect_failure(translate("--length-penalty-kind log baren"), 2, "--length-penalty-kind");
  expect_failure(translate("--length-penalty nan baren"), 2, "length penalty: is nan");
  expect_failure(translate("--workers 0 baren"), 2, "--workers");
  expect_failure(translate("--workers 2 baren"), 2, "workers: 2 of 1 thread; use at most as many");
  expect_failure(translate("--input /dev/null baren"), 2, "text as arguments and --input exclude each other");
  expect_failure(translate("--on-bad-utf8 skip baren"), 2, "skip not in");
  EXPECT_EQ(translate("-- --beam").code, 0);  // text, after --
}

TEST(Translate, I18_OddFileNames) {
  const ScratchFolder folder;
  const std::string expected = translate("baren").out;
  for (const std::string& name :
       {std::string("with space"), std::string("new\nline"), std::string("Größe-文.txt"),
        std::string(240, 'x'), std::string("-dash"), std::string("quote'\"")}) {
    std::ofstream(folder / name) << "baren\n";
    const std::string there = "cd " + shell_word(folder.path().string()) + " && ";
    const auto result =
        run(there + translate_command("--input=" + shell_word(name) + " --output=" + shell_word(name)));
    EXPECT_EQ(result.code, 0) << name << ": " << result.err;
    EXPECT_EQ(read_file((folder / name).string()), expected) << name;
    std::filesystem::rename(SmallModel::copy(folder, "copy"), folder / (name + "m"));
    EXPECT_EQ(
        run(there + shell_word(FOVEA_BINARY) + " translate --model=" + shell_word(name + "m") + " baren").out,
        expected);
  }
}

// --- what a model directory can be

RunResult translate_with(const std::filesystem::path& model) {
  return run_fovea("translate --threads 1 --model " + shell_word(model.string()) + " baren");
}

TEST(Translate, D08_FoldersThatAreNoModelGetOneLine) {
  const ScratchFolder folder;
  expect_failure(translate_with(folder / "missing"), 4, "missing: there is no such folder");
  std::filesystem::create_directory(folder / "empty");
  expect_failure(translate_with(folder / "empty"), 4, "empty: is empty");
  expect_failure(translate_with(SmallModel::folder() / "model.safetensors"), 4,
                 "is a file, but a model is a folder");
  std::filesystem::create_directory_symlink(folder / "loop", folder / "loop");
  expect_failure(translate_with(folder / "loop"), 4, "loop");
  for (const std::string file :
       {"config.json", "model.safetensors", "source.spm", "target.spm", "vocab.json"}) {
    const auto model = SmallModel::copy(folder, "without-" + file);
    std::filesystem::remove(model / file);
    expect_failure(translate_with(model), 4, file);
  }
  const auto checkpoint = SmallModel::copy(folder, "checkpoint-000010");
  std::filesystem::remove(checkpoint / "config.json");
  std::ofstream(checkpoint / "training_state.json") << "{}";
  expect_failure(translate_with(checkpoint), 4, "is a checkpoint of a run");
  expect_failure(run("env FOVEA_MODEL=" + shell_word((folder / "none").string()) + " " +
                     shell_word(FOVEA_BINARY) + " translate baren"),
                 4, "none: there is no such folder");
}

TEST(Translate, E10_FilesThatAreNotTheirOwnAreRefused) {
  const ScratchFolder folder;
  for (const std::string file :
       {"config.json", "model.safetensors", "source.spm", "vocab.json", "generation_config.json"}) {
    const auto model = SmallModel::copy(folder, "odd-" + file);
    std::ofstream(model / file, std::ios::binary) << "neither this nor that\n";
    expect_failure(translate_with(model), 4, file);
    const std::string whole = read_file((SmallModel::folder() / file).string());
    std::ofstream(model / file, std::ios::binary) << whole.substr(0, whole.size() / 2);
    expect_failure(translate_with(model), 4, file);
  }
}

TEST(Translate, B01_B02_ConfigsThatAreBrokenGetOneLine) {
  const ScratchFolder folder;
  const auto refused = [&](const std::string& name, const std::string& from, const std::string& to,
                           const std::string& part) {
    const auto model = SmallModel::copy(folder, name);
    replace_in(model / "config.json", from, to);
    expect_failure(translate_with(model), 4, part);
  };
  refused("key", "\"d_model\"", "\"d_modell\"", "config.json: has no \"d_model\"");
  refused("type", "\"d_model\": 16", "\"d_model\": \"16\"", "config.json: d_model: is the text \"16\"");
  refused("null", "\"d_model\": 16", "\"d_model\": null", "config.json: d_model: is null");
  refused("huge", "\"d_model\": 16", "\"d_model\": 1e18", "config.json: d_model");
  refused("wide", "\"d_model\": 16", "\"d_model\": 65536", "does config.json belong to these weights?");
  refused("rows", "\"vocab_size\": 400", "\"vocab_size\": 401",
          "tied source and target embeddings need one vocabulary");
}

TEST(Translate, B07_CodeFromElsewhereIsNotRun) {
  const ScratchFolder folder;
  const auto model = SmallModel::copy(folder);
  replace_in(model / "config.json", "{", "{\"auto_map\": {\"AutoModel\": \"evil.Model\"},");
  const auto result = translate_with(model);
  EXPECT_EQ(result.code, 0);
  EXPECT_EQ(result.out, translate("baren").out);
  EXPECT_CONTAINS(result.err, "config.json: auto_map names code to be run: ignored");
}

TEST(Translate, E04_NaNWeightsAreAWarningAndThenAnError) {
  const ScratchFolder folder;
  for (const float bad : {NAN, INFINITY})
    for (const std::size_t tensor : {0, 4, 40}) {
      const auto model = test::small_model();
      const auto view = model->parameters().views()[tensor];
      std::ranges::fill(view.value.values(), bad);
      test::write_model(folder / "model", *model);
      for (const std::string flags :
           {"", "--beam 1", "--temperature 2", "--temperature 1 --top-k 3",
            "--coverage-penalty 0.2 --nbest 2", "--alternatives --nbest 3", "--dtype int8", "--dtype bf16",
            "--stream", "--ensemble-mean probability --model"}) {
        const std::string path = shell_word((folder / "model").string());
        const auto result = run_fovea("translate --threads 1 baren --model " + path + " " + flags +
                                      (flags.ends_with("--model") ? " " + path : ""));
        EXPECT_EQ(result.code, 4) << view.name << " " << flags << ": " << result.out;
        EXPECT_EQ(result.out, "");
        EXPECT_CONTAINS(result.err, "fovea: warning: " + (folder / "model").string() +
                                        ": NaN or infinite weights in " + view.name + "\n");
        EXPECT_CONTAINS(result.err, "the model's weights are damaged, or its training diverged");
      }
    }
}

TEST(Translate, E08_TokenizersThatAreSwappedOrForeign) {
  const ScratchFolder folder;
  const text::TranslationTokenizer right(test::small_pieces(400, 1), test::small_pieces(380, 2), {});
  test::write_model(folder / "model", *test::small_model(test::small_config(right)), right);
  EXPECT_EQ(translate_with(folder / "model").err, "");
  const auto exchange = [&](const std::string& one, const std::string& other) {
    std::filesystem::rename(folder / "model" / one, folder / "kept");
    std::filesystem::rename(folder / "model" / other, folder / "model" / one);
    std::filesystem::rename(folder / "kept", folder / "model" / other);
  };
  exchange("vocab.json", "target_vocab.json");
  expect_failure(translate_with(folder / "model"), 4, "the tokenizer knows 400 pieces, the model 380");
  exchange("vocab.json", "target_vocab.json");

  // A tokenizer of the same size whose pieces are others.
  const auto model = SmallModel::copy(folder, "foreign");
  const text::TranslationTokenizer thai(
      text::SentencePieceModel::parse(
          text::train_sentencepiece({.vocabulary_size = 300, .byte_fallback = false, .threads = 1},
                                    [] {
                                      std::vector<std::string> lines;
                                      text::sample::Dice dice(3);
                                      for (int i = 0; i < 500; ++i) {
                                        std::string line;
                                        for (int k = 0; k < 12; ++k)
                                          text::append_utf8(line, 0xE01 + dice(46));
                                        lines.push_back(line);
                                      }
                                      return lines;
                                    }()),
          "thai.spm"),
      {});
  write_atomically(model / "source.spm", thai.source_model().bytes());
  const auto result = translate_with(model);
  EXPECT_CONTAINS(result.err, "pieces of source.spm are not in its vocabulary: are the tokenizers swapped?");
}

}  // namespace
}  // namespace fovea::cli
