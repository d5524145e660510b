// The pictures of docs/attention.md: attention_gallery [MODEL_DIRECTORY [FOLDER]]
// Every attention looks at the same sentence pair as a translation model reads it: keys are the encoder's
// output, queries the decoder's states. Scores that learn, and linear maps before those that do not, are
// fitted for a moment so that their weights follow the model's own attention on other sentence pairs.
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <optional>

#include "fovea/attention/attend.h"
#include "fovea/attention/match_score.h"
#include "fovea/attention/relative_bias.h"
#include "fovea/attention/rotary.h"
#include "fovea/base/file.h"
#include "fovea/base/random.h"
#include "fovea/decoding/translator.h"
#include "fovea/kernels/optimiser.h"
#include "fovea/models/alignment.h"
#include "fovea/models/marian.h"
#include "fovea/ops/pairs_local.h"
#include "fovea/views/heat_map_svg.h"

namespace {

namespace attention = fovea::attention;
namespace kernels = fovea::kernels;
namespace models = fovea::models;
namespace nn = fovea::nn;
namespace ops = fovea::ops;
namespace views = fovea::views;
using attention::AttendOptions;
using attention::Normaliser;
using attention::Sequences;
using attention::Visibility;
using fovea::Tensor;

const std::string shown_sentence = "I have never read the new book.";
const std::vector<std::string> others{"I want to drink a cup of coffee.",
                                      "The cat sleeps on the table.",
                                      "We must go home now.",
                                      "He did not read the letter.",
                                      "Where did you buy this bicycle?",
                                      "I have never seen the red car.",
                                      "My father works in a big city.",
                                      "The children play in the garden.",
                                      "We will visit our friends.",
                                      "I think that she is very tired.",
                                      "They have lived here for a year.",
                                      "Can you help me find my keys?",
                                      "She has sold her old house.",
                                      "I have not written the letter.",
                                      "He has never been in Germany.",
                                      "You should read this good book.",
                                      "The teacher has lost his new pen.",
                                      "I never eat meat.",
                                      "Tom gave the new book to his son.",
                                      "Have you seen the film?",
                                      "The man is reading a newspaper.",
                                      "I would like to buy a new car.",
                                      "We have forgotten the old man.",
                                      "It has never rained in May."};
constexpr std::int64_t hidden = 64;  // width that scores compare in

Tensor joined(const std::vector<Tensor>& parts) {
  std::vector<float> values;
  for (const Tensor& part : parts) values.insert(values.end(), part.values().begin(), part.values().end());
  if (parts.front().shape().rank() == 1)
    return Tensor::of({static_cast<std::int64_t>(values.size())}, values);
  const std::int64_t width = parts.front().dim(1);
  return Tensor::of({static_cast<std::int64_t>(values.size()) / width, width}, values);
}

std::shared_ptr<const Sequences> lengths(const std::vector<std::int32_t>& counts) {
  std::vector<std::int32_t> offsets{0};
  for (const std::int32_t count : counts) offsets.push_back(offsets.back() + count);
  return Sequences::packed(offsets);
}

/// A sentence and its translation as the model sees them.
struct Pair {
  std::vector<std::string> source, target;  ///< pieces, both with </s>
  Tensor q, k;                              ///< [T, D] decoder's states, [S, D] encoder's output
  Tensor teacher;                           ///< [T, S] the model's attention, mean over the heads of a layer

  std::int32_t T() const { return static_cast<std::int32_t>(target.size()); }
  std::int32_t S() const { return static_cast<std::int32_t>(source.size()); }
};

/// Packed rows that look at packed rows, and what their weights should be.
struct Batch {
  Tensor q, k, teacher;
  std::shared_ptr<const Sequences> queries, keys;

  explicit Batch(const std::vector<Pair>& pairs) {
    std::vector<Tensor> q_parts, k_parts, teachers;
    std::vector<std::int32_t> T, S;
    for (const Pair& pair : pairs) {
      q_parts.push_back(pair.q), k_parts.push_back(pair.k);
      teachers.push_back(pair.teacher.reshape({pair.teacher.elements()}));
      T.push_back(pair.T()), S.push_back(pair.S());
    }
    q = joined(q_parts), k = joined(k_parts), teacher = joined(teachers);
    queries = lengths(T), keys = lengths(S);
  }
};

std::vector<Pair> read_pairs(const models::Transformer& model, const fovea::decoding::Translator& translator,
                             const std::vector<std::string>& sentences, const kernels::Execution& exec) {
  const auto& tokenizer = translator.tokenizer();
  ops::Context ctx{.exec = exec};
  std::vector<Pair> pairs;
  for (const auto& translation : translator.translate(sentences)) {
    const auto& source = translation.source;
    std::vector<std::int32_t> target = translation.candidates.front().tokens, target_in{model.config().pad};
    if (target.empty() || target.back() != model.config().eos) target.push_back(model.config().eos);
    target_in.insert(target_in.end(), target.begin(), target.end() - 1);
    const auto S = lengths({static_cast<std::int32_t>(source.size())});
    const auto T = lengths({static_cast<std::int32_t>(target_in.size())});
    Pair pair{tokenizer.source_pieces(source), tokenizer.target_pieces(target), {}, {}, {}};
    pair.k = model.encode(ctx, source, S);
    pair.q = model.decode(ctx, target_in, T, pair.k, S);
    const std::span<const std::int32_t> words(target.data(), target.size() - 1);
    pair.teacher = models::cross_attention(ctx, model, source, words, 1);
    pairs.push_back(std::move(pair));
  }
  return pairs;
}

/// Adam on what `step` sends back, a few hundred times.
void fit(const kernels::Execution& exec, nn::Parameters& parameters,
         const std::function<void(const ops::Context&)>& step) {
  parameters.allocate_gradients();
  const Tensor &values = parameters.values(), &gradients = parameters.gradients();
  const Tensor m = Tensor::zeros(values.shape()), v = Tensor::zeros(values.shape());
  for (std::int64_t t = 1; t <= 400; ++t) {
    parameters.zero_gradients();
    ops::Tape tape;
    step({.exec = exec, .tape = &tape});
    tape.backward();
    kernels::adam(exec, values.elements(), {.rate = 1e-3f, .t = t}, gradients.f32(), m.f32(), v.f32(),
                  values.f32(), nullptr);
  }
}

/// Sends back the gradient of the cross-entropy between the teacher's weights and these, mean over rows.
void follow(const Tensor& weights, const Tensor& teacher, std::int64_t rows) {
  const Tensor gradient = Tensor::empty(weights.shape());
  for (std::int64_t i = 0; i < weights.elements(); ++i)
    gradient.f32()[i] = -teacher.f32()[i] / (std::max(weights.f32()[i], 1e-4f) * static_cast<float>(rows));
  ops::give_gradient(weights, gradient);
}

/// A score by name; those that compare queries and keys as they are get linear maps of both before them.
struct Learner {
  nn::Parameters parameters;
  std::optional<nn::Linear> from_query, from_key;
  std::shared_ptr<const attention::Score> score;

  Learner(const std::string& name, std::int64_t D) {
    nn::Builder builder(parameters);
    const bool mapped = name == "dot" || name == "scaled_dot" || name == "cosine";
    if (mapped) {
      from_query.emplace(builder, "query", D, hidden, nn::Bias::without);
      from_key.emplace(builder, "key", D, hidden, nn::Bias::without);
    }
    const std::int64_t width = mapped ? hidden : D;
    score = attention::make_score(
        builder, name, {.name = name, .query_width = width, .key_width = width, .heads = 1, .width = hidden});
    parameters.allocate(1);
    if (name == "dot" ||
        name == "general")  // unscaled: larger ones begin with one key a query, and stay there
      for (float& value : parameters.values().values()) value *= 0.1f;
  }

  Tensor weights(const ops::Context& ctx, const Batch& batch, AttendOptions how = {}) const {
    how.weights = ctx.tape ? attention::WeightsWanted::with_gradient : attention::WeightsWanted::yes;
    const Tensor q = from_query ? (*from_query)(ctx, batch.q) : batch.q;
    const Tensor k = from_key ? (*from_key)(ctx, batch.k) : batch.k;
    const auto memory = attention::remember(ctx, *score, {k}, {batch.k}, batch.k.dim(1), batch.keys);
    return attention::attend(ctx, *score, {q}, batch.queries, memory, how).weights;
  }
  void fit_to(const kernels::Execution& exec, const Batch& batch, const AttendOptions& how = {}) {
    fit(exec, parameters,
        [&](const ops::Context& ctx) { follow(weights(ctx, batch, how), batch.teacher, batch.q.dim(0)); });
  }
};

/// Attention that sees where it looked before goes step by step: each query is a sequence of its own.
struct LocationLearner {
  nn::Parameters parameters;
  std::optional<attention::LocationScore> score;

  explicit LocationLearner(std::int64_t D) {
    nn::Builder builder(parameters);
    score.emplace(builder, "location", D, D, attention::ScoreHeads{1, 1, hidden}, 8, 5);
    parameters.allocate(1);
  }
  static Pair step(const Pair& pair, std::int64_t t) {
    return {pair.source, {pair.target[t]}, pair.q.rows(t, t + 1), pair.k, pair.teacher.rows(t, t + 1)};
  }
  Tensor weights(const ops::Context& ctx, const Batch& steps, const Tensor& previous) const {
    const auto memory = score->memory_after(
        ctx, attention::remember(ctx, *score, {steps.k}, {steps.k}, steps.k.dim(1), steps.keys), previous);
    const auto wanted = ctx.tape ? attention::WeightsWanted::with_gradient : attention::WeightsWanted::yes;
    return attention::attend(ctx, *score, {steps.q}, steps.queries, memory, {.weights = wanted}).weights;
  }
  void fit_to(const kernels::Execution& exec, const std::vector<Pair>& pairs) {
    std::vector<Pair> steps;
    std::vector<Tensor> previous;
    for (const Pair& pair : pairs)
      for (std::int64_t t = 0; t < pair.T(); ++t) {
        steps.push_back(step(pair, t));
        previous.push_back(t == 0 ? Tensor::zeros({pair.S()})
                                  : steps[steps.size() - 2].teacher.reshape({pair.S()}));
      }
    const Batch batch(steps);
    const Tensor looked = joined(previous);
    fit(exec, parameters,
        [&](const ops::Context& ctx) { follow(weights(ctx, batch, looked), batch.teacher, batch.q.dim(0)); });
  }
  Tensor read(const ops::Context& ctx, const Pair& pair) const {
    std::vector<Tensor> rows;
    for (std::int64_t t = 0; t < pair.T(); ++t)
      rows.push_back(weights(ctx, Batch({step(pair, t)}), t == 0 ? Tensor::zeros({pair.S()}) : rows.back()));
    return joined(rows);
  }
};

/// p = S sigmoid(v_p . tanh(W_p h)): where Luong's local-p looks, fitted to the teacher's mean position.
Tensor predicted_centres(const kernels::Execution& exec, const Batch& all, const Batch& shown) {
  nn::Parameters parameters;
  nn::Builder builder(parameters);
  const nn::Linear W_p(builder, "W_p", all.q.dim(1), hidden), v_p(builder, "v_p", hidden, 1);
  parameters.allocate(1);
  const auto centres = [&](const ops::Context& ctx, const Batch& batch) {
    const Tensor x = v_p(ctx, W_p(ctx, batch.q, {.activation = kernels::Activation::tanh}));
    return ops::predicted_positions(ctx, x, ops::Pairs::of(batch.queries, batch.keys, 1));
  };
  std::vector<float> wanted;
  const float* weight = all.teacher.f32();
  for (std::size_t b = 0; b < all.queries->count.size(); ++b)
    for (std::int64_t t = 0; t < all.queries->count[b]; ++t) {
      float mean = 0.0f;
      for (std::int64_t j = 0; j < all.keys->count[b]; ++j) mean += static_cast<float>(j) * *weight++;
      wanted.push_back(mean);
    }
  fit(exec, parameters, [&](const ops::Context& ctx) {
    const Tensor p = centres(ctx, all);
    const Tensor gradient = Tensor::empty(p.shape());
    for (std::size_t i = 0; i < wanted.size(); ++i)
      gradient.f32()[i] = 2 * (p.f32()[i] - wanted[i]) / static_cast<float>(wanted.size());
    ops::give_gradient(p, gradient);
  });
  return centres({.exec = exec}, shown);
}

/// Draws what attention sees in one sentence pair, having learned from others.
class Gallery {
 public:
  Gallery(std::filesystem::path folder, Pair pair, std::vector<Pair> lessons, const kernels::Execution& exec)
      : folder_(std::move(folder)),
        pair_(std::move(pair)),
        lessons_(std::move(lessons)),
        shown_({pair_}),
        all_(lessons_),
        ctx_{.exec = exec} {
    std::filesystem::create_directories(folder_);
  }

  void draw_scores() const {
    draw("multi_head", "the model's own attention, mean of 6 heads", pair_.teacher);
    for (const std::string& name : attention::score_names()) {
      if (name == "location") continue;
      Learner learner(name, D());
      learner.fit_to(ctx_.exec, all_);
      draw(name, name, learner.weights(ctx_, shown_));
    }
    LocationLearner location(D());
    location.fit_to(ctx_.exec, lessons_);
    draw("location", "location", location.read(ctx_, pair_));
  }

  void draw_normalisers() const {
    Learner scaled_dot("scaled_dot", D());
    scaled_dot.fit_to(ctx_.exec, all_);
    const auto with = [&](const std::string& name, const std::string& title, const AttendOptions& how) {
      draw(name, title, scaled_dot.weights(ctx_, shown_, how));
    };
    with("temperature", "softmax, temperature 3", {.temperature = 3.0f});
    with("sparsemax", "sparsemax", {.normaliser = Normaliser::sparsemax});
    with("hardmax", "hardmax", {.normaliser = Normaliser::hardmax});
    with("local_m", "local-m, 2 keys to either side", {.visible = {.left = 2, .right = 2, .to_end = false}});
    with("local_p", "local-p, reach 2", {.local = {predicted_centres(ctx_.exec, all_, shown_), 2}});
    draw_monotonic(scaled_dot.weights(ctx_, shown_));
  }

  void draw_monotonic(const Tensor& softmax) const {
    Learner stopping("additive", D());
    AttendOptions how{.normaliser = Normaliser::monotonic};
    stopping.fit_to(ctx_.exec, all_, how);
    draw("monotonic", "monotonic", stopping.weights(ctx_, shown_, how));
    how.monotonic.mode = ops::MonotonicMode::hard;
    const Tensor alpha = stopping.weights(ctx_, shown_, how), energies = softmax.clone();
    draw("monotonic_hard", "monotonic, hard", alpha);
    for (float& w : energies.values()) w = std::log(w);  // scores, but for a constant in each row
    const auto pairs = ops::Pairs::of(shown_.queries, shown_.keys, 1);
    draw("chunkwise", "monotonic chunkwise, chunks of 3", ops::chunkwise(ctx_, alpha, energies, pairs, 3));
  }

  /// Words of the source that look at each other, as far as the encoder's output is alike.
  void draw_positions() const {
    const std::int64_t S = pair_.S();
    draw_self("self", "self-attention, cosine, sharpness 3", {});
    draw_self("causal", "causal", {.visible = Visibility::causal()});
    draw_self("window", "window, 2 before and 1 after", {.visible = Visibility::window(2, 1)});
    ops::PairTerms prefix;
    prefix.prefix = {3};
    draw_self("prefix", "prefix of 3, then causal", {.visible = Visibility::causal()}, prefix);
    ops::PairTerms blocks;
    blocks.query_block = blocks.key_block = 3;
    const std::int64_t n = (S + 2) / 3;
    blocks.blocks = Tensor::zeros({1, 1, n, n}, fovea::DType::i8);
    for (std::int64_t i = 0; i < n; ++i)  // the first block of keys and one's own
      blocks.blocks.raw()[i * n] = blocks.blocks.raw()[i * n + i] = std::byte{1};
    draw_self("blocks", "blocks of 3: the first and one's own", {}, blocks);
    ops::PairTerms sink;
    sink.sinks = Tensor::of({1}, std::vector{3.0f});
    draw_self("sink", "a sink", {}, sink);
    draw_self("sharp", "cosine, sharpness 8", {}, {}, 8.0f);
    draw_self("soft_cap", "sharpness 8, soft cap 3", {.soft_cap = 3.0f}, {}, 8.0f);
    draw_distances(attention::Distances::between(S, S));
  }

  void draw_distances(const attention::Distances& distances) const {
    ops::PairTerms terms;
    terms.relative_zero = distances.zero();
    terms.relative = attention::alibi(8, distances).values.rows(0, 1).clone();
    draw_self("alibi", "ALiBi, slope 1/2", {}, terms);
    const attention::T5Buckets buckets{.buckets = 8, .max_distance = 16};
    const Tensor table = Tensor::of({8, 1}, std::vector{0.f, 2.f, 1.f, 0.f, 0.f, -1.f, -2.f, -3.f});
    terms.relative = attention::expand_buckets(ctx_, table, distances, buckets).values;
    draw_self("t5", "T5's buckets", {}, terms);
    ops::PairTerms turned;
    turned.rotary = attention::rotary_tables({.rotated = D(), .theta = 100.0}, pair_.S());
    draw_self("rotary", "rotary, theta 100: position alone", {}, turned, 8.0f,
              Tensor::full(shown_.k.shape(), 1));
    const Tensor vectors = Tensor::empty({5, D()});
    for (std::int64_t i = 0; i < vectors.elements(); ++i)
      vectors.f32()[i] =
          0.4f * fovea::normal(fovea::RandomKey::of(1, 0, fovea::site::sample), std::uint64_t(i));
    draw_self("shaw", "vectors by distance, to 2", {.relative_vectors = {vectors, {}}});
  }

 private:
  std::int64_t D() const { return all_.q.dim(1); }

  void write(const std::string& name, const std::string& title, const views::AttentionMatrix& matrix) const {
    fovea::write_atomically(folder_ / (name + ".svg"), views::heat_map_svg(matrix, title));
  }
  void draw(const std::string& name, const std::string& title, const Tensor& weights) const {
    const auto values = weights.values();
    write(name, title, views::merge_pieces({pair_.source, pair_.target, {values.begin(), values.end()}}));
  }
  void draw_self(const std::string& name, const std::string& title, AttendOptions how,
                 const ops::PairTerms& terms = {}, float sharpness = 3.0f, const Tensor& alike = {}) const {
    how.terms = std::make_shared<const ops::PairTerms>(terms);
    how.weights = attention::WeightsWanted::yes;
    const attention::CosineScore score({.heads = 1, .width = D()}, sharpness);
    const Tensor& k = alike.defined() ? alike : shown_.k;
    const auto memory = attention::remember(ctx_, score, {k}, {k}, D(), shown_.keys);
    const Tensor weights = attention::attend(ctx_, score, {k}, shown_.keys, memory, how).weights;
    const auto& words = pair_.source;
    write(name, title, {words, words, {weights.values().begin(), weights.values().end()}});
  }

  std::filesystem::path folder_;
  Pair pair_;
  std::vector<Pair> lessons_;
  Batch shown_, all_;
  ops::Context ctx_;
};

}  // namespace

int main(int argc, char** argv) {
  try {
    const std::filesystem::path directory = argc > 1 ? argv[1] : "models/tatoeba-en-de";
    const auto model = models::load_transformer(directory);
    const auto tokenizer = fovea::text::TranslationTokenizer::read(directory);
    const kernels::ExecutionOwner threads(1);  // everything here is small
    const fovea::decoding::Translator translator(*model, tokenizer, threads.get());
    const auto& exec = threads.get();
    const Gallery gallery(argc > 2 ? argv[2] : "docs/attention",
                          read_pairs(*model, translator, {shown_sentence}, exec).front(),
                          read_pairs(*model, translator, others, exec), exec);
    gallery.draw_scores();
    gallery.draw_normalisers();
    gallery.draw_positions();
    return 0;
  } catch (const fovea::Error& error) {
    return std::fprintf(stderr, "%s\n", error.what()), error.exit_code();
  }
}
