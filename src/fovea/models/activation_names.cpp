#include "fovea/models/activation_names.h"

#include <array>
#include <string>

#include "fovea/base/error.h"

namespace fovea::models {
namespace {

using kernels::Activation;

struct ActivationName {
  std::string_view name;
  Activation activation;
};

// As transformers' activations.py has them.
constexpr std::array names{ActivationName{"relu", Activation::relu},
                           ActivationName{"gelu", Activation::gelu},
                           ActivationName{"gelu_new", Activation::gelu_tanh},
                           ActivationName{"gelu_fast", Activation::gelu_tanh},
                           ActivationName{"gelu_pytorch_tanh", Activation::gelu_tanh},
                           ActivationName{"quick_gelu", Activation::gelu_quick},
                           ActivationName{"swish", Activation::silu},
                           ActivationName{"silu", Activation::silu},
                           ActivationName{"tanh", Activation::tanh},
                           ActivationName{"linear", Activation::identity}};

}  // namespace

std::string_view activation_name(Activation activation) {
  for (const auto& entry : names)
    if (entry.activation == activation) return entry.name;
  throw Error(Error::Kind::bug, "config.json", "an activation has no name");
}

Activation activation_of(const formats::Json& value) {
  std::string known;
  for (const auto& entry : names) {
    if (entry.name == value.text()) return entry.activation;
    known += (known.empty() ? "" : ", ") + std::string(entry.name);
  }
  value.reject("unknown activation '" + printable(value.text()) + "'", "known are " + known);
}

}  // namespace fovea::models
