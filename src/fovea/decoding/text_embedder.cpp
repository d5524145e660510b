#include "fovea/decoding/text_embedder.h"

#include <algorithm>
#include <cmath>

#include "fovea/base/file.h"
#include "fovea/models/classifier_folder.h"
#include "fovea/text/load_tokenizer.h"

namespace fovea::decoding {
namespace {

models::SentencePooling pooling_of(const std::filesystem::path& directory, std::int64_t width,
                                   const TextEmbedder::Options& options) {
  auto pooling = models::read_sentence_pooling(directory, width).value_or(models::SentencePooling{});
  if (!options.pooling.empty()) {
    const auto mode = models::pooling_named(options.pooling);
    if (!mode)
      throw Error(Error::Kind::usage, "pooling", "there is none '" + printable(options.pooling) + "'");
    if (!pooling.dense.empty())
      throw Error(Error::Kind::usage, "pooling", "this model has a layer behind a pooling of its own",
                  "leave --pooling out");
    pooling.modes = {*mode};
  }
  pooling.normalise = pooling.normalise || options.normalise;
  return pooling;
}

double dot(std::span<const float> a, std::span<const float> b) {
  double sum = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += double{a[i]} * b[i];
  return sum;
}

}  // namespace

TextEmbedder TextEmbedder::load(const std::filesystem::path& directory, const kernels::Execution& exec,
                                const Options& options) {
  const auto folder = models::encoder_folder(directory);
  auto model = models::load_bert(folder, exec, models::BertConfig::Head::none, options.weights);
  auto pooling = pooling_of(directory, model->config().width, options);
  TextEncoder encoder(text::load_tokenizer(folder, text::Lengths::free), model->vocabulary(),
                      model->max_tokens(), shown(folder), pooling.max_tokens);
  return {std::move(model), std::move(encoder), std::move(pooling), exec};
}

Tensor TextEmbedder::embed(std::span<const text::Encoding> texts) const {
  constexpr std::int64_t batch_tokens = 4096;
  ops::Context ctx;
  ctx.exec = exec_;
  std::vector<float> values;
  std::int64_t width = 0;
  for_each_batch(texts, batch_tokens, [&](const PackedTexts& packed) {
    const Tensor vectors = models::pool(ctx, pooling_, model_->states(ctx, packed.batch()), packed.start);
    values.insert(values.end(), vectors.values().begin(), vectors.values().end());
    width = vectors.dim(1);
  });
  return Tensor::of({std::ssize(texts), width}, values);
}

std::span<const float> row_of(const Tensor& matrix, std::size_t i) {
  const auto width = static_cast<std::size_t>(matrix.dim(1));
  return {matrix.f32() + i * width, width};
}

std::vector<float> similarities(std::span<const float> query, std::span<const float> rows) {
  const double length = std::sqrt(dot(query, query));
  std::vector<float> found;
  for (std::size_t at = 0; at < rows.size(); at += query.size()) {
    const auto row = rows.subspan(at, query.size());
    const double product = length * std::sqrt(dot(row, row));
    found.push_back(product > 0.0 ? static_cast<float>(dot(query, row) / product) : 0.0f);
  }
  return found;
}

}  // namespace fovea::decoding
