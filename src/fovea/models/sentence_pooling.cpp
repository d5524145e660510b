#include "fovea/models/sentence_pooling.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <utility>

#include "fovea/base/error.h"
#include "fovea/base/file.h"
#include "fovea/formats/adapter.h"
#include "fovea/formats/json.h"
#include "fovea/formats/weights.h"
#include "fovea/ops/linear.h"

namespace fovea::models {
namespace {

using formats::Json;
using Mode = SentencePooling::Mode;

struct ModeName {
  Mode mode;
  std::string_view name, key;  // the key of Pooling's config.json
};
constexpr std::array modes{ModeName{Mode::cls, "cls", "pooling_mode_cls_token"},
                           ModeName{Mode::maximum, "max", "pooling_mode_max_tokens"},
                           ModeName{Mode::mean, "mean", "pooling_mode_mean_tokens"},
                           ModeName{Mode::mean_sqrt, "mean_sqrt", "pooling_mode_mean_sqrt_len_tokens"},
                           ModeName{Mode::weighted, "weighted", "pooling_mode_weightedmean_tokens"},
                           ModeName{Mode::last, "last", "pooling_mode_lasttoken"}};

bool is_there(const std::filesystem::path& path) {
  std::error_code error;
  return std::filesystem::exists(path, error);
}

Json read(const std::filesystem::path& path) { return formats::read_json(path, Error::Kind::model); }

// The folder of a module: a bare name, or nothing for the directory itself.
std::filesystem::path module_folder(const std::filesystem::path& directory, const Json& module) {
  const Json path = module.at("path");
  const std::string name(path.text());
  if (name.find('/') != std::string::npos || name.find('\\') != std::string::npos || name.starts_with('.'))
    path.reject("is no plain name of a folder");
  return name.empty() ? directory : directory / name;
}

void read_pooling(const std::filesystem::path& folder, std::int64_t state_width, SentencePooling& pooling) {
  const Json config = read(folder / "config.json");
  const Json width =
      config.at(config.has("word_embedding_dimension") ? "word_embedding_dimension" : "embedding_dimension");
  if (width.integer(1, 1 << 20) != state_width)
    width.reject("the encoder's states are " + std::to_string(state_width) + " wide");
  pooling.modes.clear();
  if (const auto named = config.find("pooling_mode"); named && named->is_text()) {
    const std::string_view name = named->text() == "lasttoken"              ? "last"
                                  : named->text() == "weightedmean"         ? "weighted"
                                  : named->text() == "mean_sqrt_len_tokens" ? "mean_sqrt"
                                                                            : named->text();
    const auto mode = pooling_named(name);
    if (!mode) named->reject("there is no pooling '" + printable(named->text()) + "'");
    pooling.modes.push_back(*mode);
    return;
  }
  for (const auto& entry : modes)
    if (config.boolean_or(entry.key, false)) pooling.modes.push_back(entry.mode);
  if (pooling.modes.empty())
    throw Error(Error::Kind::model, shown(folder / "config.json"), "turns no kind of pooling on");
}

kernels::Activation dense_activation(const Json& config) {
  const std::string name = config.text_or("activation_function", "torch.nn.modules.activation.Tanh");
  const std::string last = name.substr(name.rfind('.') + 1);
  if (last == "Tanh") return kernels::Activation::tanh;
  if (last == "Identity") return kernels::Activation::identity;
  if (last == "ReLU") return kernels::Activation::relu;
  if (last == "GELU") return kernels::Activation::gelu;
  config.at("activation_function")
      .reject("unknown activation '" + printable(name) + "'", "known are Tanh, Identity, ReLU, GELU");
}

SentencePooling::Dense read_dense(const std::filesystem::path& folder, std::int64_t in) {
  const Json config = read(folder / "config.json");
  const auto weights = formats::Weights::open(folder);
  SentencePooling::Dense dense;
  dense.activation = dense_activation(config);
  dense.weight = weights.read("linear.weight");
  const auto out = config.at("out_features").integer(1, 1 << 20);
  if (!(dense.weight.shape() == Shape{out, in}))
    throw Error(Error::Kind::model, weights.name() + ": linear.weight",
                "shape is " + dense.weight.shape().text() + ", the modules before and config.json say " +
                    Shape{out, in}.text());
  if (config.boolean_or("bias", true)) {
    dense.bias = weights.read("linear.bias");
    if (!(dense.bias.shape() == Shape{out}))
      throw Error(Error::Kind::model, weights.name() + ": linear.bias",
                  "shape is " + dense.bias.shape().text() + ", config.json says " + Shape{out}.text());
  }
  return dense;
}

void pool_mode(Mode mode, const float* h, std::int64_t T, std::int64_t D, float* to) {
  if (mode == Mode::cls || mode == Mode::last) {
    std::copy_n(h + (mode == Mode::last ? (T - 1) * D : 0), D, to);
    return;
  }
  std::copy_n(h, D, to);
  for (std::int64_t t = 1; t < T; ++t)
    for (std::int64_t d = 0; d < D; ++d) {
      const float x = h[t * D + d];
      if (mode == Mode::maximum)
        to[d] = std::max(to[d], x);
      else
        to[d] += mode == Mode::weighted ? static_cast<float>(t + 1) * x : x;
    }
  const auto count = static_cast<float>(T);
  const float by = mode == Mode::mean        ? count
                   : mode == Mode::mean_sqrt ? std::sqrt(count)
                   : mode == Mode::weighted  ? count * (count + 1.0f) / 2.0f
                                             : 1.0f;
  for (std::int64_t d = 0; d < D; ++d) to[d] /= by;
}

void normalise_rows(const Tensor& rows) {
  const std::int64_t D = rows.dim(1);
  for (std::int64_t b = 0; b < rows.dim(0); ++b) {
    float* row = rows.f32() + b * D;
    double square = 0.0;
    for (std::int64_t d = 0; d < D; ++d) square += double{row[d]} * row[d];
    const double length = std::max(std::sqrt(square), 1e-12);
    for (std::int64_t d = 0; d < D; ++d) row[d] = static_cast<float>(row[d] / length);
  }
}

}  // namespace

std::optional<Mode> pooling_named(std::string_view name) {
  const auto* found = std::ranges::find(modes, name, &ModeName::name);
  return found == modes.end() ? std::nullopt : std::optional(found->mode);
}

std::filesystem::path encoder_folder(const std::filesystem::path& directory) {
  if (!is_there(directory / "modules.json")) return directory;
  const Json modules = read(directory / "modules.json");
  for (const Json& module : modules.elements()) return module_folder(directory, module);
  modules.reject("names no module");
}

std::optional<SentencePooling> read_sentence_pooling(const std::filesystem::path& whole,
                                                     std::int64_t state_width) {
  const auto directory = formats::papers_of(whole, {"modules.json"});
  if (!is_there(directory / "modules.json")) return std::nullopt;
  SentencePooling pooling;
  std::int64_t width = state_width;
  std::size_t number = 0;
  for (const Json& module : read(directory / "modules.json").elements()) {
    const Json type = module.at("type");
    const std::string_view kind = type.text().substr(type.text().rfind('.') + 1);
    const auto folder = module_folder(directory, module);
    if (number++ == 0) {
      if (kind != "Transformer") type.reject("the first module is no Transformer");
    } else if (kind == "Pooling") {
      read_pooling(folder, state_width, pooling);
      width = pooling.width(state_width);
    } else if (kind == "Dense") {
      pooling.dense.push_back(read_dense(folder, width));
      width = pooling.dense.back().weight.dim(0);
    } else if (kind == "Normalize") {
      pooling.normalise = true;
    } else {
      type.reject("a module '" + printable(type.text()) + "' that is not built here",
                  "there are Transformer, Pooling, Dense and Normalize");
    }
  }
  if (const auto path = encoder_folder(directory) / "sentence_bert_config.json"; is_there(path))
    pooling.max_tokens = read(path).integer_or("max_seq_length", 0, 0, 1 << 20);
  return pooling;
}

Tensor pool(const ops::Context& ctx, const SentencePooling& pooling, const Tensor& states_ND,
            std::span<const std::int32_t> start) {
  const std::int64_t B = std::ssize(start) - 1, D = states_ND.dim(1), W = pooling.width(D);
  Tensor pooled = Tensor::empty({B, W});
  for (std::int64_t b = 0; b < B; ++b) {
    const std::int64_t first = start[static_cast<std::size_t>(b)];
    const std::int64_t T = start[static_cast<std::size_t>(b) + 1] - first;
    float* to = pooled.f32() + b * W;
    for (const Mode mode : pooling.modes) {
      pool_mode(mode, states_ND.f32() + first * D, T, D, to);
      to += D;
    }
  }
  for (const auto& dense : pooling.dense)
    pooled = ops::linear(ctx, pooled, dense.weight, dense.bias, {.activation = dense.activation});
  if (pooling.normalise) normalise_rows(pooled);
  return pooled;
}

}  // namespace fovea::models
