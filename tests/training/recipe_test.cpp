#include "fovea/training/recipe.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "fovea/base/error.h"
#include "fovea/training/recipe_keys.h"

namespace fovea::training {
namespace {

constexpr auto minimal = "[data]\ntrain_source = \"a\"\ntrain_target = \"b\"\n";  // three lines

Recipe parse(const std::string& toml, const std::vector<std::string>& overrides = {}) {
  return parse_recipe(toml, "r.toml", overrides);
}

/// The message of the usage error that `toml` raises.
std::string refusal(const std::string& toml, const std::vector<std::string>& overrides = {}) {
  try {
    parse(toml, overrides);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Error::Kind::usage) << error.what();
    return error.what();
  }
  return "(accepted)";
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

#define EXPECT_CONTAINS(text, part) EXPECT_TRUE(contains(text, part)) << text

std::set<std::string> differing_keys(const Recipe& a, const Recipe& b) {
  std::set<std::string> names;
  for (const Key& key : recipe_keys(a.task))
    if (key.get(a) != key.get(b)) names.insert(key.full_name());
  return names;
}

TEST(Recipe, AKeyThatIsNotGivenHasItsDefault) {
  const Recipe recipe = parse(minimal);
  EXPECT_EQ(differing_keys(recipe, Recipe{}),
            (std::set<std::string>{"data.train_source", "data.train_target"}));
}

TEST(Recipe, ReadsEveryTypeOfValue) {
  const Recipe recipe =
      parse(std::string("name = 'n'\n") + minimal +
            "tsv_columns = [2, 3]\n[training]\nupdates = 12\nrate = 1\nvalidate_bleu = false\n"
            "schedule = \"cosine\"\n[model]\nactivation = 'silu'\n[tokenizer]\nnormalisation = 'nfkc'\n");
  EXPECT_EQ(recipe.name, "n");
  EXPECT_EQ(recipe.data.tsv_columns, (std::array<std::int64_t, 2>{2, 3}));
  EXPECT_EQ(recipe.training.updates, 12);
  EXPECT_EQ(recipe.training.rate, 1.0);
  EXPECT_FALSE(recipe.training.validate_bleu);
  EXPECT_EQ(recipe.training.schedule, ScheduleKind::cosine);
  EXPECT_EQ(recipe.model.activation, kernels::Activation::silu);
  EXPECT_EQ(recipe.tokenizer.normalisation, "nfkc");
}

TEST(Recipe, APresetGivesTheSizesAndKeysAfterItOverrideThem) {
  const Recipe recipe = parse(std::string(minimal) + "[model]\nheads = 16\npreset = \"base\"\n");
  EXPECT_EQ(recipe.model.encoder_layers, 6);
  EXPECT_EQ(recipe.model.width, 512);
  EXPECT_EQ(recipe.model.heads, 16);
  EXPECT_EQ(recipe.model.head_key_width(), 32);
  EXPECT_EQ(parse(minimal, {"model.preset=big"}).model.width, 1024);
}

TEST(Recipe, ACustomModelNeedsItsSizes) {
  EXPECT_CONTAINS(refusal(std::string(minimal) + "[model]\npreset = \"custom\"\nwidth = 64\n"),
                  "r.toml:5:10: model.preset custom needs model.encoder_layers");
}

TEST(Recipe, I17_AnUnknownKeyNamesTheNearest) {
  EXPECT_EQ(refusal(std::string(minimal) + "[training]\nupdats = 3\n"),
            "r.toml:5:10: unknown key 'training.updats'; did you mean training.updates?");
  EXPECT_CONTAINS(refusal(std::string(minimal) + "[training]\nbeam = 3\n"), "did you mean decoding.beam?");
  EXPECT_CONTAINS(refusal(std::string(minimal) + "beam = 3\n"), "did you mean decoding.beam?");
  EXPECT_CONTAINS(refusal(std::string(minimal) + "[trainning]\nupdates = 3\n"),
                  "unknown section [trainning]; did you mean [training]?");
  EXPECT_CONTAINS(refusal(std::string(minimal) + "[model]\nsomething_else_entirely = 3\n"), "--print-recipe");
}

TEST(Recipe, I17_AWrongTypeSaysWhatIsThereAndWhatShouldBe) {
  EXPECT_EQ(refusal(std::string(minimal) + "[training]\nupdates = \"many\"\n"),
            "r.toml:5:11: training.updates is the text 'many' but must be an integer from 0 to 1000000000");
  for (const char* text :
       {"training.updates=1.5", "training.updates=true", "training.updates=[1]", "training.rate='1'",
        "training.rate=true", "training.validate_bleu=1", "data.tsv_columns=[1]", "data.tsv_columns=[1,0]",
        "data.tsv_columns=2", "model.width={a=1}", "training.schedule=7"})
    EXPECT_CONTAINS(refusal(minimal, {text}), "must be");
  EXPECT_CONTAINS(refusal("name = 1979-05-27\n"), "name is the value 1979-05-27 but must be a text");
  EXPECT_CONTAINS(refusal("data = 3\n"), "unknown key 'data'");
}

TEST(Recipe, I17_ValuesOutOfRangeAndUnknownChoicesListWhatIsAllowed) {
  EXPECT_CONTAINS(refusal(minimal, {"training.updates=-1"}), "must be an integer from 0");
  EXPECT_CONTAINS(refusal(minimal, {"model.dropout=1"}), "must be a number from 0 to 0.99");
  EXPECT_CONTAINS(refusal(minimal, {"training.rate=nan"}), "must be a number");
  EXPECT_CONTAINS(refusal(minimal, {"training.rate=inf"}), "must be a number");
  EXPECT_CONTAINS(refusal(minimal, {"model.heads=9223372036854775807"}), "must be an integer from 1 to 1024");
  EXPECT_CONTAINS(refusal(minimal, {"model.heads=9223372036854775808"}), "must be an integer");
  EXPECT_CONTAINS(refusal(minimal, {"training.schedule=cosin"}),
                  "one of inverse_sqrt, cosine, linear, constant");
  EXPECT_CONTAINS(refusal(minimal, {"tokenizer.normalisation=lower"}), "one of nmt_nfkc");
}

TEST(Recipe, I17_DuplicateKeysAndBadTomlAreNamedByLineAndColumn) {
  EXPECT_TRUE(refusal(std::string(minimal) + "train_source = \"c\"\n").starts_with("r.toml:4:"));
  EXPECT_TRUE(refusal("[data\n").starts_with("r.toml:1:6:"));
  EXPECT_TRUE(refusal("[data]\ntrain_source = \"a\n").starts_with("r.toml:2:"));
  EXPECT_TRUE(refusal("[data]\n[data]\n").starts_with("r.toml:2:"));
  EXPECT_NE(refusal("\xff\xfe = 3"), "(accepted)");
  EXPECT_NE(refusal("a = " + std::string(100000, '[')), "(accepted)");
}

TEST(Recipe, OverridesReplaceTheFileAndTheLastWins) {
  const Recipe recipe = parse(std::string(minimal) + "[training]\nupdates = 1\n",
                              {"training.updates=2", "training.updates=3", "training.optimizer=adamw",
                               "name=a b=c", "data.train_source=\"quoted\""});
  EXPECT_EQ(recipe.training.updates, 3);
  EXPECT_EQ(recipe.training.optimizer, OptimiserKind::adamw);
  EXPECT_EQ(recipe.name, "a b=c");
  EXPECT_EQ(recipe.data.train_source, "quoted");
}

TEST(Recipe, I16_BadOverridesAreNamed) {
  EXPECT_CONTAINS(refusal(minimal, {"training.updates"}),
                  "--set training.updates: is not of the form section.key=value");
  EXPECT_CONTAINS(refusal(minimal, {"=3"}), "is not of the form");
  EXPECT_CONTAINS(refusal(minimal, {"training.updats=3"}), "did you mean training.updates?");
  EXPECT_CONTAINS(refusal(minimal, {"training.updates="}), "must be an integer");
  EXPECT_CONTAINS(refusal(minimal, {"training.updates=1\nx=2"}), "sets more than one key");
}

TEST(Recipe, KeysThatContradictEachOtherAreRefused) {
  EXPECT_CONTAINS(refusal(""), "names no training text");
  EXPECT_CONTAINS(refusal("[data]\ntrain_source = \"a\"\n"),
                  "r.toml:2:16: data.train_source and data.train_target go together");
  EXPECT_CONTAINS(refusal(minimal, {"data.train_tsv=t"}), "stands beside");
  EXPECT_CONTAINS(refusal(minimal, {"model.width=100", "model.heads=8"}), "no multiple of model.heads 8");
  EXPECT_EQ(
      refusal(minimal, {"model.width=100", "model.heads=8", "model.key_width=16", "model.value_width=8"}),
      "(accepted)");
  EXPECT_CONTAINS(refusal(minimal, {"tokenizer.joint=false"}), "cannot share an embedding");
  EXPECT_CONTAINS(refusal(minimal, {"tokenizer.target_kind=word"}), "one kind of pieces");
  EXPECT_CONTAINS(refusal(minimal, {"data.valid_share=0.1"}), "give data.train_dictionary too");
  EXPECT_CONTAINS(refusal(minimal, {"data.train_dictionary=d"}), "stands beside other text");
  EXPECT_CONTAINS(refusal("[data]\ntrain_dictionary = \"d\"\nvalid_dictionary = \"e\"\nvalid_share = 0.1\n"),
                  "r.toml:4:15: data.valid_share stands beside data.valid_dictionary");
  EXPECT_CONTAINS(refusal(minimal, {"training.updates=0"}), "would never end");
  EXPECT_CONTAINS(refusal(minimal, {"training.minimum_rate=1"}), "above training.rate");
  EXPECT_CONTAINS(refusal(minimal, {"training.patience=3"}), "no text to validate on");
  EXPECT_CONTAINS(refusal(minimal, {"training.updates=0", "training.epochs=1", "training.schedule=linear"}),
                  "training.updates is 0");
}

TEST(Recipe, ReadsHowTheModelTranslates) {
  const auto decoding = parse(std::string(minimal) +
                              "[decoding]\nnum_return_sequences = 3\nearly_stopping = true\n"
                              "num_beam_groups = 5\nno_repeat_ngram_size = 3\nsuppress_tokens = [7, 8]\n"
                              "begin_suppress_tokens = []\nforced_bos_token_id = 4\nmax_length = 90\n"
                              "do_sample = true\ntemperature = 0.7\n")
                            .decoding;
  EXPECT_EQ(decoding.nbest, 3);
  EXPECT_EQ(decoding.early_stopping, models::EarlyStopping::yes);
  EXPECT_EQ(decoding.num_beam_groups, 5);
  EXPECT_EQ(decoding.no_repeat_ngram_size, 3);
  EXPECT_EQ(decoding.suppress_tokens, (std::vector<std::int32_t>{7, 8}));
  EXPECT_EQ(decoding.forced_bos_token_id, 4);
  EXPECT_EQ(decoding.max_length, 90);
  EXPECT_EQ(decoding.temperature, 0.7);
  EXPECT_EQ(parse(minimal, {"decoding.early_stopping=never"}).decoding.early_stopping,
            models::EarlyStopping::never);
  EXPECT_EQ(parse(minimal, {"decoding.suppress_tokens=[1]"}).decoding.suppress_tokens.size(), 1u);
}

TEST(Recipe, HowTheModelTranslatesMustBePossible) {
  EXPECT_CONTAINS(refusal(minimal, {"decoding.num_beam_groups=2"}), "does not divide decoding.beam 5");
  EXPECT_CONTAINS(refusal(minimal, {"decoding.num_return_sequences=6"}), "is more than decoding.beam, 5");
  EXPECT_CONTAINS(refusal(minimal, {"decoding.max_length=3", "decoding.min_length=3"}), "leaves no room");
  EXPECT_CONTAINS(refusal(minimal, {"decoding.top_k=9"}), "counts only where tokens are drawn");
  EXPECT_CONTAINS(refusal(minimal, {"decoding.beam=33"}), "an integer from 1 to 32");
  EXPECT_CONTAINS(refusal(minimal, {"decoding.suppress_tokens=[3, -1]"}),
                  "a list of integers from 0 to 4000000");
  EXPECT_CONTAINS(refusal(minimal, {"decoding.suppress_tokens=3"}), "a list of integers");
  EXPECT_CONTAINS(refusal(minimal, {"decoding.early_stopping=soon"}), "one of false, true, never");
  EXPECT_CONTAINS(refusal(minimal, {"decoding.temprature=1"}), "did you mean decoding.temperature?");
  EXPECT_CONTAINS(refusal(minimal, {"decoding.num_beams=4"}), "unknown key 'decoding.num_beams'");
}

TEST(Recipe, PrintingAndParsingGiveTheSameRecipe) {
  for (const std::string& name : preset_names()) {
    const Recipe preset = preset_recipe(name);
    EXPECT_EQ(differing_keys(parse(to_toml(preset)), preset), std::set<std::string>{}) << name;
  }
  Recipe odd = preset_recipe("transformer-base");
  odd.name = "a \"quoted\" \\ name\n\t\x01 \u00e4";
  odd.training.rate = 0.1 + 0.2;
  odd.training.epsilon = 1e-9;
  odd.model.preset = ModelPreset::custom;
  odd.model.activation = kernels::Activation::gelu;
  odd.decoding.suppress_tokens = {3, 400};
  odd.decoding.early_stopping = models::EarlyStopping::yes;
  EXPECT_EQ(differing_keys(parse(to_toml(odd)), odd), std::set<std::string>{});
}

/// Sizes that the preset gives, and a section that is not asked for.
bool is_comment(const Key& key) { return key.from_preset || key.section == "lora"; }

TEST(Recipe, EveryKeyIsPrintedWithAnExplanation) {
  for (const auto& [preset, kind] :
       {std::pair("transformer-tiny", ModelKind::transformer), {"recurrent-tiny", ModelKind::recurrent}}) {
    const std::string text = to_toml(preset_recipe(preset));
    for (const Key& key : recipe_keys(TaskKind::translation)) {
      if (!key.applies_to(kind)) continue;
      EXPECT_CONTAINS(text, std::string(is_comment(key) ? "\n# " : "\n").append(key.name).append(" = "));
    }
  }
  for (const Key& key : recipe_keys(TaskKind::translation)) {
    EXPECT_FALSE(key.explanation.empty());
    EXPECT_LE(key.explanation.size(), 80u) << key.full_name();
  }
}

TEST(Recipe, AnotherPresetWrittenIntoAPrintedRecipeTakesEffect) {
  std::string text = to_toml(preset_recipe("transformer-tiny"));
  text.replace(text.find("\"tiny\""), 6, "\"base\"");
  EXPECT_EQ(parse(text).model.width, 512);
}

TEST(Recipe, EveryDefaultIsAllowed) {
  for (const Key& key : recipe_keys(TaskKind::translation)) {
    if (key.section == "lora") continue;  // without them, there are no adapters
    if (key.type == ValueType::text && key.choices.empty()) continue;
    const std::string value = to_toml(key, key.get(Recipe{}));
    const bool recurrent = key.applies_to(ModelKind::recurrent);
    EXPECT_EQ(refusal(minimal, {key.full_name() + "=" + value,
                                recurrent ? "model.kind=recurrent" : "model.kind=transformer"}),
              "(accepted)")
        << key.full_name();
  }
}

TEST(Recipe, KeysOfAnotherKindOfModelAreRefused) {
  EXPECT_CONTAINS(refusal(minimal, {"recurrent.cell=lstm"}), "recurrent.cell is not of a model of this kind");
  EXPECT_CONTAINS(refusal(minimal, {"model.kind=recurrent", "model.heads=4"}),
                  "model.heads is not of a model of this kind");
}

TEST(Recipe, PresetsOfRecurrentModelsHaveTheirOwnSizes) {
  const Recipe recipe = parse(minimal, {"model.kind=recurrent", "model.preset=base"});
  EXPECT_EQ(recipe.model.width, 512);
  EXPECT_EQ(recipe.model.encoder_layers, 1);
}

constexpr auto language = "task = 'language_model'\n[data]\ntrain = 't.txt'\n";

TEST(Recipe, ATaskHasKeysAndDefaultsOfItsOwn) {
  const Recipe recipe = parse(language);
  EXPECT_EQ(recipe.task, TaskKind::language_model);
  EXPECT_EQ(recipe.text.train, std::vector<std::string>{"t.txt"});
  EXPECT_EQ(recipe.model.kind, ModelKind::gpt2);
  EXPECT_EQ(recipe.training.label_smoothing, 0);
  EXPECT_EQ(recipe.training.optimizer, OptimiserKind::adamw);
  EXPECT_EQ(parse(minimal).training.label_smoothing, 0.1);
  EXPECT_EQ(parse(language, {"data.train=['a', 'b']"}).text.train, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(parse(language, {"data.train=a b"}).text.train, std::vector<std::string>{"a b"});
  EXPECT_EQ(parse("[data]\ntrain = ['t']\n", {"task=language_model"}).task, TaskKind::language_model);
}

TEST(Recipe, I17_AKeyOfAnotherTaskNamesThatTask) {
  EXPECT_EQ(refusal(minimal, {"data.train=t"}),
            "--set data.train=t: data.train is no key of the task translation; leave it out, or set task = "
            "\"language_model\" at the top");
  EXPECT_CONTAINS(refusal(language, {"data.train_source=t"}), "set task = \"translation\" at the top");
  EXPECT_CONTAINS(refusal(std::string(language) + "[decoding]\nbeam = 2\n"),
                  "there are data, tokenizer, model, lora and training");
  EXPECT_CONTAINS(refusal(language, {"data.trian=t"}), "did you mean data.train?");
  EXPECT_CONTAINS(refusal("task = 'translating'\n"), "one of translation, language_model");
  EXPECT_CONTAINS(refusal(language, {"data.train=[1]"}), "must be a text or a list of texts");
}

TEST(Recipe, ALanguageModelMustBePossible) {
  EXPECT_CONTAINS(refusal("task = 'language_model'\n"), "names no training text");
  EXPECT_CONTAINS(refusal(language, {"data.valid=v", "data.valid_share=0.1"}), "stands beside data.valid");
  EXPECT_CONTAINS(refusal(language, {"data.column=2"}), "data.column is of lines");
  EXPECT_CONTAINS(refusal(language, {"model.kind=transformer"}), "must be one of gpt2, llama");
  EXPECT_CONTAINS(refusal(language, {"model.kv_heads=2"}), "take model.kind = \"llama\"");
  EXPECT_CONTAINS(refusal(language, {"model.kind=llama", "model.kv_heads=3"}),
                  "no multiple of model.kv_heads 3");
  EXPECT_CONTAINS(refusal(language, {"model.heads=5"}), "no multiple of model.heads 5");
  EXPECT_CONTAINS(refusal(language, {"training.context=999"}), "beyond model.max_positions");
  EXPECT_CONTAINS(refusal(language, {"training.patience=3"}), "no text to validate on");
  EXPECT_CONTAINS(refusal(language, {"model.preset=custom"}), "model.preset custom needs model.layers");
}

TEST(Recipe, EveryKeyOfALanguageModelIsPrintedWithAnExplanation) {
  for (const auto& [preset, kind] :
       {std::pair("gpt2-tiny", ModelKind::gpt2), {"llama-tiny", ModelKind::llama}}) {
    const std::string text = to_toml(preset_recipe(preset));
    for (const Key& key : recipe_keys(TaskKind::language_model)) {
      EXPECT_LE(key.explanation.size(), 80u) << key.full_name();
      if (!key.applies_to(kind)) continue;
      EXPECT_CONTAINS(text, std::string(is_comment(key) ? "\n# " : "\n").append(key.name).append(" = "));
    }
  }
}

TEST(Recipe, AnUnknownPresetNamesTheNearest) {
  try {
    preset_recipe("transformer-tine");
    FAIL();
  } catch (const Error& error) {
    EXPECT_CONTAINS(std::string(error.what()), "did you mean transformer-tiny?");
  }
}

TEST(Recipe, G07_LimitsAndIntervalsMayChangeBeforeResuming) {
  const Recipe saved = parse(minimal);
  const Recipe longer =
      parse(minimal, {"training.updates=99", "training.validate_every=7", "training.patience=0",
                      "training.keep_last=9", "training.log_every=1", "decoding.beam=2"});
  EXPECT_NO_THROW(check_resumable(saved, longer));
}

TEST(Recipe, G07_EveryOtherChangeIsRefusedWithAList) {
  const Recipe saved = parse(minimal);
  const Recipe other = parse(minimal, {"training.seed=2", "model.width=256", "training.updates=99"});
  try {
    check_resumable(saved, other);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Error::Kind::usage);
    const std::string message = error.what();
    EXPECT_CONTAINS(message, "model.width (128 -> 256), training.seed (1 -> 2)");
    EXPECT_FALSE(contains(message, "updates"));
  }
}

TEST(Recipe, TheRecipesOfTheRepositoryAreValid) {
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(FOVEA_SOURCE_DIR "/recipes")) {
    if (entry.path().extension() != ".toml") continue;
    const Recipe recipe = read_recipe(entry.path().string());
    EXPECT_EQ(recipe.name, entry.path().stem().string());
    ++count;
  }
  EXPECT_GE(count, 2);
}

TEST(Recipe, I01_AMissingFileOrADirectoryIsNamed) {
  for (const std::string path : {"/nonexistent/r.toml", "/"}) {
    try {
      read_recipe(path);
      FAIL();
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), Error::Kind::usage);
      EXPECT_TRUE(std::string(error.what()).starts_with(path));
    }
  }
}

}  // namespace
}  // namespace fovea::training
