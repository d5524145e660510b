// The attention page in a real browser: what people do with it, and what they then see.
#include "fovea/views/attention_page.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "fovea/base/file.h"
#include "fovea/base/random.h"
#include "tests/base/scratch.h"
#include "tests/browser/browser.h"

namespace fovea::browser {
namespace {

using attention::RecordedLayer;
using attention::Recording;
using attention::Side;

/// Weights [H, T, S] that sum to one in each row; those of a row decay from a place that heads choose.
Tensor some_weights(std::int64_t H, std::int64_t T, std::int64_t S, std::uint32_t seed) {
  Tensor weights = Tensor::empty({H, T, S});
  const auto key = RandomKey::of(seed, 0, site::sample);
  float* row = weights.f32();
  for (std::int64_t r = 0; r < H * T; ++r, row += S) {
    const double home = static_cast<double>(r % T) * static_cast<double>(S) / static_cast<double>(T) +
                        2 * normal(key, static_cast<std::uint64_t>(r));
    double sum = 0;
    for (std::int64_t s = 0; s < S; ++s) {
      row[s] = static_cast<float>(std::exp(-std::abs(static_cast<double>(s) - home) / (0.5 + r % 3)) + 1e-4) *
               static_cast<float>(std::exp(normal(key, static_cast<std::uint64_t>(H * T + r * S + s))));
      sum += row[s];
    }
    for (std::int64_t s = 0; s < S; ++s) row[s] = static_cast<float>(row[s] / sum);
  }
  return weights;
}

Recording sentence_pair(std::int64_t layers = 3, std::int64_t heads = 4) {
  Recording out{{"▁She", "▁reads", "▁a", "▁news", "paper", ".", "</s>"},
                {"<pad>", "▁Sie", "▁liest", "▁eine", "▁Zeitung", "."},
                {"▁Sie", "▁liest", "▁eine", "▁Zeitung", ".", "</s>"},
                {}};
  for (int i = 0; i < layers; ++i)
    out.layers.push_back({Side::encoder, i, some_weights(heads, 7, 7, 10 + i)});
  for (int i = 0; i < layers; ++i)
    out.layers.push_back({Side::decoder, i, some_weights(heads, 6, 6, 20 + i)});
  for (int i = 0; i < layers; ++i) out.layers.push_back({Side::cross, i, some_weights(heads, 6, 7, 30 + i)});
  return out;
}

double weight(const RecordedLayer& layer, std::int64_t h, std::int64_t t, std::int64_t s) {
  const auto& shape = layer.weights_HTS.shape();
  return layer.weights_HTS.f32()[(h * shape[1] + t) * shape[2] + s];
}

class AttentionPage : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (const auto program = Browser::find()) {
      profile_ = new test::ScratchFolder;
      browser_ = new Browser(*program, profile_->path());
    }
  }
  static void TearDownTestSuite() {
    delete browser_;
    delete profile_;
    browser_ = nullptr;
    profile_ = nullptr;
  }
  void SetUp() override {
    if (!browser_)
      GTEST_SKIP() << "no browser here: install chromium-headless-shell, or name one in FOVEA_BROWSER";
  }

  Tab open(const Recording& recording, const std::string& hash = {}, const views::PageOptions& options = {}) {
    write_atomically(page_, views::attention_page(recording, options));
    Tab tab(*browser_, {1200, 900});
    tab.open(page_, hash);
    return tab;
  }
  static void expect_quiet(Tab& tab) {
    for (const auto& complaint : tab.complaints()) ADD_FAILURE() << complaint;
  }

  static inline test::ScratchFolder* profile_ = nullptr;
  static inline Browser* browser_ = nullptr;
  test::ScratchFolder folder_;
  std::filesystem::path page_ = folder_.path() / "a page.html";
};

const std::string pieces = "view=heads&side=2&layer=0&words=0";
std::string row_token(int i) { return "#row-tokens li[data-index='" + std::to_string(i) + "']"; }

TEST_F(AttentionPage, OpensQuietlyAndShowsTheTextInWords) {
  Tab tab = open(sentence_pair());
  EXPECT_EQ(tab.text("#reading div:nth-child(1) p"), "She reads a newspaper. </s>");
  EXPECT_EQ(tab.text("#reading div:nth-child(2) p"), "Sie liest eine Zeitung. </s>");
  EXPECT_EQ(tab.count("#row-tokens li"), 6);
  EXPECT_EQ(tab.count("#column-tokens li"), 6);  // "news" and "paper" are one word
  EXPECT_EQ(tab.value_of("document.activeElement.tagName"), "BODY");
  expect_quiet(tab);
}

TEST_F(AttentionPage, SavesNoRequestAndNoForeignScript) {
  Tab tab = open(sentence_pair());
  tab.value_of(
      "(() => { const s = document.createElement('script'); s.textContent = 'window.foreign = 1';"
      "document.body.append(s); })()");
  tab.value_of("fetch('https://example.org').catch(() => 0)");
  EXPECT_EQ(tab.value_of("typeof window.foreign"), "undefined");
  EXPECT_GE(tab.complaints().size(), 2u) << "the policy is not in force, or complaints are not heard";
}

TEST_F(AttentionPage, AHoveredTokenShowsWhatEachHeadGives) {
  const Recording pair = sentence_pair();
  Tab tab = open(pair, pieces);
  tab.hover(row_token(3));
  const RecordedLayer& layer = *pair.find(Side::cross, 0);
  EXPECT_NE(tab.text("#readout h2").find("Zeitung looks at"), std::string::npos);
  EXPECT_TRUE(tab.value_of("document.querySelector(\"" + row_token(3) + "\").classList.contains('chosen')"));

  std::vector<double> mean(7);
  for (int s = 0; s < 7; ++s)
    for (int h = 0; h < 4; ++h) mean[s] += weight(layer, h, 3, s) / 4;
  const auto best = std::max_element(mean.begin(), mean.end()) - mean.begin();
  const std::string label = tab.text("#readout .lines li:first-child .label");
  EXPECT_EQ(label, (std::vector<std::string>{"She", "reads", "a", "news", "paper", ".", "</s>"}[best]));
  EXPECT_NEAR(std::stod(tab.text("#readout .lines li:first-child .number")), 100 * mean[best], 0.6);
  for (int h = 0; h < 4; ++h) {
    const std::string cell = tab.value_of("document.querySelectorAll('#readout li:first-child .cell')[" +
                                          std::to_string(h) + "].title");
    const std::string begins = "head " + std::to_string(h + 1) + ": ";
    ASSERT_TRUE(cell.starts_with(begins)) << cell;
    EXPECT_NEAR(std::stod(cell.substr(begins.size())), weight(layer, h, 3, best), 1e-4);
  }
  tab.hover("h1");
  EXPECT_EQ(tab.text("#readout h2"), "Point at a token");
  tab.click(row_token(3));
  tab.hover("h1");
  EXPECT_NE(tab.text("#readout h2").find("Zeitung looks at"), std::string::npos) << "a click keeps it";
  tab.press("Escape");
  EXPECT_EQ(tab.text("#readout h2"), "Point at a token");
  expect_quiet(tab);
}

/// An expression for what a canvas shows, as bytes: red, green, blue, alpha of each pixel. (Of a copy: the
/// browser warns of reading the same canvas often.)
std::string pixels(const std::string& canvas) {
  return "(c => { const copy = new OffscreenCanvas(c.width, c.height).getContext('2d');"
         "copy.drawImage(c, 0, 0); return copy.getImageData(0, 0, c.width, c.height).data; })"
         "(document.querySelector('" +
         canvas + "'))";
}

/// How many pixels of a canvas are not empty.
int drawn(Tab& tab, const std::string& canvas) {
  return tab.value_of(pixels(canvas) + ".reduce((n, byte, i) => n + (i % 4 === 3 && byte > 40), 0)");
}

TEST_F(AttentionPage, ATextThatWasReadAloneStandsThereOnce) {
  const std::vector<std::string> text{"▁Read", "▁a", "▁news", "paper", "."};
  Recording alone{{}, text, text, {{Side::decoder, 0, some_weights(2, 5, 5, 1)}}};
  Tab tab = open(alone, "words=0");
  EXPECT_EQ(tab.count("#reading p"), 1);
  EXPECT_EQ(tab.text("#reading p"), "Read a newspaper.");
  EXPECT_EQ(tab.text("#looks"), "text looks at");
  tab.hover(row_token(1));
  EXPECT_NE(tab.text("#readout h2").find("a looks at"), std::string::npos);
  expect_quiet(tab);

  Recording encoded{text, {}, {}, {{Side::encoder, 0, some_weights(2, 5, 5, 2)}}};
  Tab other = open(encoded);
  EXPECT_EQ(other.text("#reading p"), "Read a newspaper.");
  EXPECT_EQ(other.count("#row-tokens li"), 4);
  expect_quiet(other);
}

TEST_F(AttentionPage, HeadsAreSwitchedOffAndLeftAlone) {
  Tab tab = open(sentence_pair(), pieces);
  const int all = drawn(tab, "#lines");
  tab.click("#heads button:nth-child(2)");
  EXPECT_EQ(tab.value_of("document.querySelector('#heads button:nth-child(2)').ariaPressed"), "false");
  EXPECT_LT(drawn(tab, "#lines"), all);
  tab.click("#heads button:nth-child(3)", 2);
  EXPECT_EQ(tab.value_of("[...document.querySelectorAll('#heads button')].map(b => b.ariaPressed).join()"),
            "false,false,true,false");
  tab.press("a");
  EXPECT_EQ(tab.count("#heads [aria-pressed=true]"), 4);
  EXPECT_EQ(drawn(tab, "#lines"), all);
  tab.press("a");
  EXPECT_EQ(drawn(tab, "#lines"), 0);
  EXPECT_NE(tab.text("#readout").find("All heads are off"), std::string::npos);
  expect_quiet(tab);
}

TEST_F(AttentionPage, KeysAloneReachLayersHeadsAndTokens) {
  const Recording pair = sentence_pair();
  Tab tab = open(pair, pieces);
  const auto checked = [&] { return tab.text("#layers [aria-checked=true]"); };
  tab.value_of("document.querySelector('#layers [aria-checked=true]').focus()");
  tab.press("ArrowRight");
  EXPECT_EQ(checked(), "2");
  tab.press("]");
  EXPECT_EQ(checked(), "3");
  tab.press("]");
  EXPECT_EQ(checked(), "3");
  tab.press("[");
  EXPECT_EQ(checked(), "2");

  tab.value_of("document.querySelector('#heads button').focus()");
  tab.press("ArrowRight");
  tab.press("Enter");  // this one alone
  EXPECT_EQ(tab.text("#heads [aria-pressed=true]"), "2");

  // From the last head by Tab: the button for all, the slider, then the tokens.
  for (int i = 0; i < 3; ++i) tab.press("Tab");
  EXPECT_EQ(tab.value_of("document.activeElement.parentElement.id"), "row-tokens");
  tab.press("ArrowDown");
  EXPECT_NE(tab.text("#readout h2").find("liest looks at"), std::string::npos);
  tab.press("ArrowRight");
  EXPECT_NE(tab.text("#readout h2").find("reads is looked at by"), std::string::npos);
  double most = 0;
  for (int t = 0; t < 6; ++t) most = std::max(most, weight(*pair.find(Side::cross, 1), 1, t, 1));
  EXPECT_NEAR(std::stod(tab.text("#readout .lines li:first-child .number")), 100 * most, 0.6);
  expect_quiet(tab);
}

TEST_F(AttentionPage, TabsSwitchViews) {
  Tab tab = open(sentence_pair());
  tab.value_of("document.querySelector('[role=tab][aria-selected=true]').focus()");
  const auto visible = [&] {
    return tab.value_of(
        "[...document.querySelectorAll('[role=tabpanel]:not([hidden])')].map(p => p.id).join()");
  };
  EXPECT_EQ(visible(), "panel-heads");
  tab.press("ArrowRight");
  EXPECT_EQ(visible(), "panel-model");
  EXPECT_EQ(tab.count(".thumbnail"), 12);
  tab.wait_until("document.querySelectorAll('.painted').length === 3");
  tab.press("ArrowRight");
  EXPECT_EQ(visible(), "panel-matrix");
  tab.press("1");
  EXPECT_EQ(visible(), "panel-heads");
  expect_quiet(tab);
}

/// The middle of a cell of the matrix, in pixels of the window.
std::array<double, 2> middle_of(Tab& tab, int t, int s, int T, int S) {
  const Json box = tab.value_of(
      "(() => { const b = document.querySelector('#heat').getBoundingClientRect();"
      "return [b.x, b.y, b.width, b.height]; })()");
  return {box[0].get<double>() + (s + 0.5) * box[2].get<double>() / S,
          box[1].get<double>() + (t + 0.5) * box[3].get<double>() / T};
}

TEST_F(AttentionPage, TheMatrixTellsTheValueUnderThePointer) {
  const Recording pair = sentence_pair();
  Tab tab = open(pair, "view=matrix&side=2&layer=1&words=0");
  const RecordedLayer& layer = *pair.find(Side::cross, 1);
  for (const auto& [t, s] : {std::pair{0, 0}, {2, 4}, {5, 6}, {3, 1}}) {
    const auto [x, y] = middle_of(tab, t, s, 6, 7);
    tab.hover(x, y);
    double mean = 0;
    for (int h = 0; h < 4; ++h) mean += weight(layer, h, t, s) / 4;
    EXPECT_NEAR(std::stod(tab.text("#tip strong")), mean, 1e-4) << t << ", " << s;
    EXPECT_NEAR(std::stod(tab.text("#readout li:nth-child(2) .number")), weight(layer, 1, t, s), 1e-4);
    EXPECT_EQ(tab.count("#matrix .label.chosen"), 2);
  }
  tab.hover("h1");
  EXPECT_TRUE(tab.value_of("document.querySelector('#tip').hidden"));

  tab.value_of("document.querySelector('#matrix').focus()");
  for (const char* key : {"ArrowDown", "ArrowDown", "ArrowRight"}) tab.press(key);
  EXPECT_TRUE(tab.text("#readout h2").starts_with("liest → reads")) << tab.text("#readout h2");
  expect_quiet(tab);
}

TEST_F(AttentionPage, WordsAreSumsOfColumnsAndMeansOfRows) {
  const Recording pair = sentence_pair();
  Tab tab = open(pair, "view=matrix&side=0&layer=0");
  const RecordedLayer& layer = *pair.find(Side::encoder, 0);
  const auto [x, y] = middle_of(tab, 3, 3, 6, 6);  // newspaper at newspaper
  tab.hover(x, y);
  double expected = 0;
  for (int h = 0; h < 4; ++h)
    for (const int t : {3, 4})
      for (const int s : {3, 4}) expected += weight(layer, h, t, s) / 8;
  EXPECT_NEAR(std::stod(tab.text("#tip strong")), expected, 1e-4);
  tab.press("w");
  EXPECT_EQ(tab.count("#row-labels .label"), 7);
  expect_quiet(tab);
}

TEST_F(AttentionPage, AThumbnailOpensItsHead) {
  Tab tab = open(sentence_pair(), "view=model&side=1");
  tab.hover("[data-layer='2'] .thumbnail:nth-of-type(4)");
  EXPECT_EQ(tab.text("#readout h2"), "Layer 3, head 4");
  tab.click("[data-layer='2'] .thumbnail:nth-of-type(4)");
  EXPECT_NE(tab.text("#matrix-caption").find("layer 3, head 4"), std::string::npos);
  EXPECT_EQ(tab.text("#heads [aria-pressed=true]"), "4");
  expect_quiet(tab);
}

TEST_F(AttentionPage, TheChartChoosesHeads) {
  Tab tab = open(sentence_pair(), pieces);
  EXPECT_EQ(tab.count("#chart .point"), 12);
  tab.value_of("document.querySelector('#chart .point[data-layer=\"2\"][data-head=\"1\"]').focus()");
  tab.press("Enter");
  EXPECT_EQ(tab.text("#layers [aria-checked=true]"), "3");
  EXPECT_EQ(tab.text("#heads [aria-pressed=true]"), "2");
  expect_quiet(tab);
}

TEST_F(AttentionPage, FollowsTheSystemIntoTheDarkAndBack) {
  Tab tab = open(sentence_pair(), "view=matrix");
  const auto background = [&] { return tab.value_of("getComputedStyle(document.body).backgroundColor"); };
  const auto cell = [&] { return tab.value_of(pixels("#heat") + ".slice(4000, 4004).join()"); };
  tab.prefer_dark(false);
  const Json light = background(), light_cell = cell();
  tab.prefer_dark(true);
  EXPECT_NE(background(), light);
  EXPECT_NE(cell(), light_cell);
  EXPECT_EQ(tab.value_of("document.documentElement.dataset.theme"), "dark");
  tab.click("#theme");
  EXPECT_EQ(background(), light);
  expect_quiet(tab);
}

TEST_F(AttentionPage, HostileTokensStayText) {
  const std::vector<std::string> hostile{"</script><script>window.hacked=1</script>",
                                         "\"><img src=x onerror=window.hacked=2>",
                                         "'onmouseover='window.hacked=3",
                                         "<!--<script>",
                                         "{{script}}",
                                         "\\u003c/script>${window.hacked=4}",
                                         "]]>&lt;b&gt;"};
  Recording recording{hostile, hostile, hostile, {{Side::cross, 0, some_weights(2, 7, 7, 1)}}};
  Tab tab = open(recording, {}, {.title = hostile[0], .subtitle = hostile[1]});
  for (const char* view : {"2", "3", "1"}) tab.press(view);
  for (int i = 0; i < 7; ++i) {
    tab.hover(row_token(i));
    EXPECT_EQ(tab.value_of("document.querySelector(\"" + row_token(i) + "\").textContent"), hostile[i]);
  }
  EXPECT_EQ(tab.text("h1"), hostile[0]);
  EXPECT_EQ(tab.value_of("document.title"), hostile[0]);
  EXPECT_EQ(tab.value_of("typeof window.hacked"), "undefined");
  EXPECT_EQ(tab.count("img"), 0);
  expect_quiet(tab);
}

TEST_F(AttentionPage, EachTokenRunsInItsOwnDirection) {
  const std::vector<std::string> arabic{"▁يقرأ", "▁كتابا", "</s>"}, chinese{"他", "读", "书", "</s>"};
  Recording recording{arabic, chinese, chinese, {{Side::cross, 0, some_weights(1, 4, 3, 1)}}};
  Tab tab = open(recording);
  EXPECT_EQ(tab.value_of("getComputedStyle(document.querySelector('#column-tokens bdi')).direction"), "rtl");
  EXPECT_EQ(tab.value_of("getComputedStyle(document.querySelector('#row-tokens bdi')).direction"), "ltr");
  EXPECT_EQ(tab.value_of("getComputedStyle(document.querySelector('#reading p')).direction"), "rtl");
  EXPECT_EQ(tab.text("#reading div:nth-child(2) p"), "他读书 </s>");
  EXPECT_TRUE(tab.value_of("document.querySelector('#head-field').hidden")) << "one head needs no chips";
  expect_quiet(tab);
}

TEST_F(AttentionPage, TextCanBeSelected) {
  Tab tab = open(sentence_pair());
  EXPECT_EQ(tab.value_of("(() => { getSelection().selectAllChildren(document.querySelector('#reading p'));"
                         "return getSelection().toString(); })()"),
            "She reads a newspaper. </s>");
  EXPECT_EQ(tab.value_of("getComputedStyle(document.querySelector('#row-tokens bdi')).userSelect"), "auto");
}

TEST_F(AttentionPage, FitsANarrowScreenInEveryView) {
  Tab tab = open(sentence_pair(6, 8));
  tab.resize({400, 800});
  for (const char* view : {"1", "2", "3"}) {
    tab.press(view);
    EXPECT_LE(tab.value_of("document.documentElement.scrollWidth"), 400) << view;
  }
  expect_quiet(tab);
}

TEST_F(AttentionPage, TheAddressKeepsWhatIsLookedAt) {
  Tab tab = open(sentence_pair(), "view=matrix&side=1&layer=2&heads=1.3&words=0&pin=row.2.1&theme=dark");
  EXPECT_EQ(tab.value_of("location.hash"),
            "#view=matrix&side=1&layer=2&heads=1.3&words=0&pin=row.2.1&theme=dark");
  EXPECT_TRUE(tab.text("#readout h2").starts_with("eine → Sie")) << tab.text("#readout h2");
  EXPECT_NE(tab.text("#matrix-caption").find("layer 3, mean of heads 2, 4"), std::string::npos);
  tab.open(page_, "view=nonsense&side=99&layer=x&heads=77&pin=row.1000.1000");
  EXPECT_EQ(tab.count("[role=tabpanel]:not([hidden])"), 1);
  expect_quiet(tab);
}

TEST_F(AttentionPage, FurtherKindsStandBesideTheRecordedOnes) {
  const Recording pair = sentence_pair();
  views::PageOptions options;
  options.further.push_back({"Rollout", {{Side::cross, 2, some_weights(1, 6, 7, 77)}}});
  Tab tab = open(pair, "side=2&layer=2&words=0", options);
  tab.click("#kinds button:nth-child(2)");
  EXPECT_EQ(tab.text("#kinds [aria-checked=true]"), "Rollout");
  tab.press("3");
  const auto [x, y] = middle_of(tab, 1, 1, 6, 7);
  tab.hover(x, y);
  EXPECT_NEAR(std::stod(tab.text("#tip strong")), weight(options.further[0].layers[0], 0, 1, 1), 1e-4);
  expect_quiet(tab);
}

TEST_F(AttentionPage, SlowALongTextOpensInTwoSeconds) {
  std::vector<std::string> tokens;
  for (int i = 0; i < 512; ++i) tokens.push_back("▁word" + std::to_string(i));
  Recording recording{tokens, tokens, tokens, {}};
  for (int i = 0; i < 12; ++i) recording.layers.push_back({Side::encoder, i, some_weights(12, 512, 512, i)});
  const auto begin = std::chrono::steady_clock::now();
  const std::string page = views::attention_page(recording);
  const auto made = std::chrono::steady_clock::now();
  write_atomically(page_, page);
  Tab tab(*browser_, {1200, 900});
  double opened = 60;
  for (int attempt = 0; attempt < 3; ++attempt) {  // others may be busy on this machine
    const auto opening = std::chrono::steady_clock::now();
    tab.open(page_);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - opening;
    opened = std::min(opened, seconds.count());
  }
  const std::chrono::duration<double> making = made - begin;
  std::printf("512 tokens, 12 layers, 12 heads: %zu bytes, made in %.2f s, opened in %.2f s\n", page.size(),
              making.count(), opened);
  double load = 0;
  ::getloadavg(&load, 1);
  EXPECT_LT(opened, 2.0 * std::max(1.0, load / std::thread::hardware_concurrency()));
  tab.press("3");
  const auto [x, y] = middle_of(tab, 0, 0, 1000000, 1000000);  // a corner: not all of it is in sight
  tab.hover(x + 0.5, y + 0.5);
  double mean = 0;
  for (int h = 0; h < 12; ++h)
    mean += weight(recording.layers[static_cast<std::size_t>(tab.value_of("state.layer"))], h, 0, 0) / 12;
  EXPECT_NEAR(std::stod(tab.text("#tip strong")), mean, 0.004);
  expect_quiet(tab);
}

}  // namespace
}  // namespace fovea::browser
