// fovea.h: the same answers as fovea::Translator gives, to a program in C.
#include "fovea.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

#include "fovea/api/translator.h"
#include "tests/api/c_program.h"
#include "tests/decoding/small_shortlist.h"

namespace fovea {
namespace {

using test::SmallModel;

TEST(CApi, AProgramInCGetsWhatAProgramInCppGets) {
  const std::string model = SmallModel::folder().string();
  const auto lines = text::sample::sentences(7, 3);
  const auto results = Translator(model).translate(lines, {.beam = 3});
  std::vector<const char*> given, expected;
  for (const auto& line : lines) given.push_back(line.c_str());
  for (const auto& result : results) expected.push_back(result.text().c_str());
  EXPECT_EQ(use_fovea_from_c(model.c_str(), given.data(), expected.data(), static_cast<int>(lines.size())), 0)
      << "the line of tests/api/c_program.c whose check failed; " << fovea_error();
}

TEST(CApi, OptionsBeginAsInC) {
  const fovea_model_options of_model = FOVEA_MODEL_OPTIONS;
  const fovea_options options = FOVEA_OPTIONS;
  EXPECT_EQ(of_model.size, sizeof of_model);
  EXPECT_EQ(options.size, sizeof options);
  EXPECT_EQ(options.attention, 0);
}

TEST(CApi, ErrorsAreThoseOfTheThread) {
  fovea_translator* translator = nullptr;
  EXPECT_EQ(fovea_open("/one", nullptr, &translator), FOVEA_MODEL);
  std::thread([] {
    EXPECT_STREQ(fovea_error(), "");
    fovea_translator* other = nullptr;
    EXPECT_EQ(fovea_open("/other", nullptr, &other), FOVEA_MODEL);
    EXPECT_NE(std::string(fovea_error()).find("/other"), std::string::npos);
  }).join();
  EXPECT_NE(std::string(fovea_error()).find("/one"), std::string::npos);
}

TEST(CApi, AShortlistSaysWhichWordsThereAre) {
  const test::ScratchFolder folder;
  const auto list = folder.path("list"), missing = folder.path("none");
  test::shortlist_of({20, 21, 22}).save(list);
  const auto lines = text::sample::sentences(5, 3);
  const auto expected =
      Translator(SmallModel::folder().string(), {.shortlist = list}).translate(lines, {.min_length = 2});
  fovea_model_options of_model = FOVEA_MODEL_OPTIONS;
  of_model.shortlist = list.c_str();
  fovea_translator* translator = nullptr;
  ASSERT_EQ(fovea_open(SmallModel::folder().c_str(), &of_model, &translator), FOVEA_OK) << fovea_error();
  fovea_options options = FOVEA_OPTIONS;
  options.min_length = 2;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const char* line = lines[i].c_str();
    fovea_translations* found = nullptr;
    ASSERT_EQ(fovea_translate(translator, &line, 1, &options, &found), FOVEA_OK) << fovea_error();
    EXPECT_EQ(fovea_text(found, 0, 0), expected[i].text());
    fovea_translations_free(found);
  }
  fovea_close(translator);
  of_model.shortlist = missing.c_str();
  EXPECT_EQ(fovea_open(SmallModel::folder().c_str(), &of_model, &translator), FOVEA_MODEL);
}

// Functions of a C++ caller may throw: that too ends at the boundary.
TEST(CApi, NoExceptionPasses) {
  fovea_translator* translator = nullptr;
  ASSERT_EQ(fovea_open(SmallModel::folder().c_str(), nullptr, &translator), FOVEA_OK);
  const auto next = [](void*) -> const char* { throw std::runtime_error("from next"); };
  const auto deliver = [](void*, size_t, const fovea_translations*) { return 0; };
  EXPECT_EQ(fovea_translate_lines(translator, next, deliver, nullptr, nullptr), FOVEA_BUG);
  EXPECT_STREQ(fovea_error(), "from next");
  const auto odd = [](void*, const char*) -> int { throw 7; };
  fovea_options options = FOVEA_OPTIONS;
  options.min_length = 6;
  EXPECT_EQ(fovea_stream(translator, "baren schlei the", odd, nullptr, &options), FOVEA_BUG);
  fovea_close(translator);
}

}  // namespace
}  // namespace fovea
