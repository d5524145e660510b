#include "fovea/views/attention_page.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <cmath>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>
#include <regex>

#include "fovea/base/base64.h"
#include "fovea/base/error.h"
#include "fovea/views/page_recording.h"

namespace fovea::views {
namespace {

using attention::Recording;
using attention::Side;
using Json = nlohmann::json;

Recording cross_only(std::vector<std::string> source, std::vector<std::string> target,
                     const Tensor& weights) {
  return {std::move(source), target, target, {{Side::cross, 0, weights}}};
}

Recording small() {
  return cross_only({"▁a", "b", "</s>"}, {"▁x", "</s>"},
                    Tensor::of({1, 2, 3}, std::vector{0.5f, 0.25f, 0.25f, 0.0f, 0.0f, 1.0f}));
}

std::string bytes_of_base64(const std::string& text) {
  std::string out;
  unsigned held = 0, bits = 0;
  for (const char c : text) {
    const auto digit =
        std::string("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/").find(c);
    if (digit == std::string::npos) break;
    bits = bits << 6 | static_cast<unsigned>(digit);
    if ((held += 6) >= 8) out += static_cast<char>(bits >> (held -= 8) & 255u);
  }
  return out;
}

/// Weights of a block as the page computes them from what it holds.
std::vector<double> restored(const std::string& block, std::size_t count, int bits, double most) {
  const std::string packed = bytes_of_base64(block);
  std::vector<unsigned char> bytes(count * static_cast<std::size_t>(bits / 8));
  uLongf size = bytes.size();
  EXPECT_EQ(uncompress(bytes.data(), &size, reinterpret_cast<const Bytef*>(packed.data()), packed.size()),
            Z_OK);
  EXPECT_EQ(size, bytes.size());
  std::vector<double> out;
  for (std::size_t i = 0; i < count; ++i) {
    const double q = bits == 16 ? bytes[2 * i] + 256.0 * bytes[2 * i + 1] : bytes[i];
    const double share = q / (bits == 16 ? 65535.0 : 255.0);
    out.push_back(most * share * share);
  }
  return out;
}

std::string refusal(const Recording& recording, Error::Kind kind) {
  try {
    attention_page(recording);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind);
    return error.what();
  }
  ADD_FAILURE() << "a page was made";
  return {};
}

TEST(Base64, SpellsBytesAsRfc4648Does) {
  const auto spelt = [](std::string_view text) {
    return base64(std::as_bytes(std::span(text.data(), text.size())));
  };
  EXPECT_EQ(spelt(""), "");
  EXPECT_EQ(spelt("f"), "Zg==");
  EXPECT_EQ(spelt("fo"), "Zm8=");
  EXPECT_EQ(spelt("foo"), "Zm9v");
  EXPECT_EQ(spelt("foobar"), "Zm9vYmFy");
  EXPECT_EQ(spelt("\xff\xfe\xfd"), "//79");
}

TEST(AttentionPage, DescribesTheRecording) {
  const PageRecording page = page_recording(small(), {.title = "T", .subtitle = "S"});
  const Json json = Json::parse(page.json);
  EXPECT_EQ(json["title"], "T");
  EXPECT_EQ(json["bits"], 16);
  EXPECT_EQ(json["texts"]["source"]["tokens"], Json({"a", "b", "</s>"}));
  EXPECT_EQ(json["texts"]["source"]["special"], Json({2}));
  EXPECT_EQ(json["texts"]["source"]["continues"], Json({1}));
  EXPECT_EQ(json["texts"]["source"]["words"], Json({"ab", "</s>"}));
  ASSERT_EQ(json["sides"].size(), 1u) << "a side without layers is not there";
  const Json& side = json["sides"][0];
  EXPECT_EQ(side["side"], "cross");
  EXPECT_EQ(side["rows"], "target_out");
  EXPECT_EQ(side["layers"][0]["entropy"], Json({0.75}));    // (1.5 + 0) / 2 bits
  EXPECT_EQ(side["layers"][0]["distance"], Json({0.375}));  // (0.25 + 2 * 0.25 + 0) / 2 from t (S-1)/(T-1)
}

TEST(AttentionPage, TellsWordVocabulariesFromPieces) {
  const Json json =
      Json::parse(page_recording(cross_only({"a", "b"}, {"x"}, Tensor::full({1, 1, 2}, 0.5f)), {}).json);
  EXPECT_FALSE(json["texts"]["source"].contains("words"));
}

TEST(AttentionPage, KeepsWeightsAsExactlyAsItSays) {
  for (const std::int64_t rows : {40, 2100}) {  // 16 bits, then 8
    const std::int64_t S = rows == 40 ? 50 : 1000, H = rows == 40 ? 3 : 10, T = rows == 40 ? 40 : 500;
    Tensor weights = Tensor::empty({H, T, S});
    for (std::int64_t i = 0; i < weights.elements(); ++i)
      weights.f32()[i] = static_cast<float>(std::pow(std::abs(std::sin(0.7 * static_cast<double>(i))), 9));
    const std::vector<std::string> source(static_cast<std::size_t>(S), "s"),
        target(static_cast<std::size_t>(T), "t");
    const PageRecording page = page_recording(cross_only(source, target, weights), {});
    const Json json = Json::parse(page.json);
    const int bits = json["bits"];
    ASSERT_EQ(bits, rows == 40 ? 16 : 8);
    const double most = json["sides"][0]["layers"][0]["most"];
    const auto found = restored(page.blocks[0], static_cast<std::size_t>(weights.elements()), bits, most);
    double worst = 0, worst_of_small = 0;
    for (std::size_t i = 0; i < found.size(); ++i) {
      const double w = weights.f32()[i], off = std::abs(found[i] - w);
      worst = std::max(worst, off);
      if (w < 0.01) worst_of_small = std::max(worst_of_small, off);
    }
    EXPECT_LT(worst, bits == 16 ? 0.0000155 : 0.004);
    EXPECT_LT(worst_of_small, bits == 16 ? 0.000002 : 0.0004);
  }
}

TEST(AttentionPage, CountsWhatIsNoWeightAsNothing) {
  const float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
  const PageRecording page = page_recording(
      cross_only({"a", "b", "c", "d"}, {"x"}, Tensor::of({1, 1, 4}, std::vector{nan, inf, -1.0f, 0.5f})), {});
  EXPECT_EQ(restored(page.blocks[0], 4, 16, 0.5), (std::vector{0.0, 0.0, 0.0, 0.5}));
  const PageRecording nothing = page_recording(cross_only({"a"}, {"x"}, Tensor::zeros({1, 1, 1})), {});
  EXPECT_EQ(restored(nothing.blocks[0], 1, 16, 0.0), std::vector{0.0});
  EXPECT_EQ(Json::parse(nothing.json)["sides"][0]["layers"][0]["entropy"], Json({0.0}));
}

TEST(AttentionPage, LetsNoTokenBecomeMarkup) {
  const std::string script = "</script><script>alert(1)</script>", image = "\"'><img src=x onerror=alert(1)>";
  const std::string page = attention_page(
      cross_only({script, image, "<!--", "{{script}}"}, {"&lt;"}, Tensor::full({1, 1, 4}, 0.25f)),
      {.title = script, .subtitle = image});
  const std::string clean =
      attention_page(cross_only({"a", "b", "c", "d"}, {"e"}, Tensor::full({1, 1, 4}, 0.25f)));
  for (const std::string markup : {"<script", "</script", "<img", "<!--"}) {
    const auto count = [&](const std::string& text) {
      std::size_t found = 0;
      for (auto at = text.find(markup); at != std::string::npos; at = text.find(markup, at + 1)) ++found;
      return found;
    };
    EXPECT_EQ(count(page), count(clean)) << markup;
  }
  EXPECT_NE(page.find("{{script}}"), std::string::npos) << "a token was taken for a place to fill";
}

TEST(AttentionPage, ShowsControlCharactersAsTheirPictures) {
  const Json json = Json::parse(
      page_recording(cross_only({"a\x1b[31m\n", "\x7f"}, {"x"}, Tensor::full({1, 1, 2}, 0.5f)), {}).json);
  EXPECT_EQ(json["texts"]["source"]["tokens"], Json({"a␛[31m␊", "␡"}));
}

TEST(AttentionPage, IsOneFileThatNamesNoOther) {
  const std::string page = attention_page(small());
  EXPECT_NE(page.find("default-src 'none'"), std::string::npos);
  EXPECT_EQ(page.find("unsafe"), std::string::npos);
  const std::regex address(
      "(src|href|action)\\s*=\\s*[\"']|@import|url\\(|https?://(?!www\\.w3\\.org/2000/svg)");
  EXPECT_FALSE(std::regex_search(page, address));
  EXPECT_LT(page.size(), 100'000u);
}

TEST(AttentionPage, OneTokenAndOneHeadAreEnough) {
  EXPECT_GT(attention_page(cross_only({"a"}, {"x"}, Tensor::full({1, 1, 1}, 1.0f))).size(), 1000u);
}

TEST(AttentionPage, RefusesTooManyTokensAndSaysWhatElseToDo) {
  const std::vector<std::string> many(5000, "▁w");
  const std::string message = refusal({many, many, many, {}}, Error::Kind::usage);
  for (const char* part : {"5000 tokens", "1024", "a paragraph at a time", ".json"})
    EXPECT_NE(message.find(part), std::string::npos) << message;
}

TEST(AttentionPage, RefusesAnEmptyRecording) {
  EXPECT_NE(refusal({}, Error::Kind::usage).find("no attention was recorded"), std::string::npos);
  EXPECT_NE(refusal({{"a"}, {"x"}, {"x"}, {}}, Error::Kind::usage).find("model that attends"),
            std::string::npos);
}

TEST(AttentionPage, NamesALayerThatDoesNotFitItsLabels) {
  const std::string message =
      refusal(cross_only({"a", "b"}, {"x"}, Tensor::zeros({1, 2, 2})), Error::Kind::bug);
  EXPECT_NE(message.find("layer 0 of the cross side is [1, 2, 2], not [H, 1, 2]"), std::string::npos)
      << message;
}

}  // namespace
}  // namespace fovea::views
