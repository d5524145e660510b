#include "fovea/nn/recurrent.h"

#include <cmath>

#include "fovea/base/error.h"
#include "fovea/ops/dropout.h"
#include "fovea/ops/elementwise.h"
#include "fovea/ops/linear.h"

namespace fovea::nn {
namespace {

void check(const std::string& name, const RecurrentOptions& options) {
  if (options.input < 1 || options.hidden < 1 || options.layers < 1)
    throw Error(Error::Kind::bug, name,
                "a recurrent layer of input " + std::to_string(options.input) + ", hidden " +
                    std::to_string(options.hidden) + ", layers " + std::to_string(options.layers));
}

Initial input_weight(const RecurrentOptions& options, std::int64_t in) {
  if (options.initial == RecurrentInitial::torch)
    return Initial::uniform(1.0f / std::sqrt(static_cast<float>(options.hidden)));
  return Initial::xavier(in, options.hidden);
}

Initial hidden_weight(const RecurrentOptions& options) {
  return options.initial == RecurrentInitial::torch ? input_weight(options, 0) : Initial::orthogonal();
}

// Of b_i: with the forget gates' share where it is asked for.
Initial input_bias(const RecurrentOptions& options, std::int64_t directions) {
  const bool forget = options.cell == Recurrence::lstm && options.forget_bias != 0.0f;
  if (!forget)
    return options.initial == RecurrentInitial::torch ? input_weight(options, 0) : Initial::zeros();
  const std::int64_t H = options.hidden;
  std::vector<float> values(static_cast<std::size_t>(4 * H * directions));
  for (std::int64_t d = 0; d < directions; ++d)
    std::fill_n(values.begin() + (4 * d + 1) * H, H, options.forget_bias);
  return {Initial::Kind::values, 0.0f, std::move(values)};
}

// A parameter of a layer: one tensor a direction on disk.
Parameter* add(Builder& builder, const std::string& name, std::int64_t directions, Shape shape,
               Initial initial) {
  if (directions == 1) return builder.parameters().add(name, shape, std::move(initial));
  const std::int64_t rows = shape[0] / directions;
  return builder.parameters().add_packed({{name, rows}, {name + "_reverse", rows}}, shape,
                                         std::move(initial));
}

std::string prefixed(const std::string& name) { return name.empty() ? "" : name + "."; }

}  // namespace

Recurrent::Recurrent(Builder& builder, const std::string& name, const RecurrentOptions& options)
    : options_(options) {
  check(name, options);
  const std::int64_t D = options.bidirectional ? 2 : 1, H = options.hidden;
  const std::int64_t rows = D * kernels::gates_of(options.cell) * H;
  for (std::int64_t layer = 0; layer < options.layers; ++layer) {
    const std::int64_t in = layer == 0 ? options.input : D * H;
    const std::string suffix = "_l" + std::to_string(layer), at = prefixed(name);
    Layer made;
    made.W_i = add(builder, at + "weight_ih" + suffix, D, {rows, in}, input_weight(options, in));
    made.W_h = add(builder, at + "weight_hh" + suffix, D, {rows, H}, hidden_weight(options));
    made.b_i = add(builder, at + "bias_ih" + suffix, D, {rows}, input_bias(options, D));
    const bool torch = options.initial == RecurrentInitial::torch && options.forget_bias == 0.0f;
    made.b_h =
        add(builder, at + "bias_hh" + suffix, D, {rows}, torch ? input_weight(options, 0) : Initial::zeros());
    made.input_site = builder.next_site();
    made.state_site = builder.next_site();
    layers_.push_back(made);
  }
}

Recurrent::Output Recurrent::operator()(const ops::Context& ctx, const Tensor& x,
                                        const std::shared_ptr<const ops::Sequences>& sequences,
                                        const std::vector<RecurrentState>& first) const {
  if (!first.empty() && first.size() != layers_.size())
    throw Error(
        Error::Kind::bug, "recurrent",
        std::to_string(first.size()) + " first states for " + std::to_string(layers_.size()) + " layers");
  Output output;
  output.h_NC = x;
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const Layer& layer = layers_[i];
    const ops::Dropping dropping{i > 0 ? options_.dropout : 0.0f, layer.input_site};
    const Tensor in = options_.variational ? ops::sequence_dropout(ctx, output.h_NC, sequences, dropping)
                                           : ops::dropout(ctx, output.h_NC, dropping);
    const Tensor projection = ops::linear(ctx, in, layer.W_i->value, layer.b_i->value);
    RecurrentOutput made =
        ops::recurrent_layer(ctx, projection, layer.W_h->value, layer.b_h->value,
                             first.empty() ? RecurrentState{} : first[i], sequences,
                             {.cell = options_.cell,
                              .order = options_.bidirectional ? TimeOrder::both : TimeOrder::forward,
                              .state_dropping = {options_.state_dropout, layer.state_site},
                              .projection_is_spent = true});
    output.h_NC = std::move(made.h_NC);
    output.last.push_back(std::move(made.last));
  }
  return output;
}

RecurrentCell::RecurrentCell(Builder& builder, const std::string& name, const RecurrentOptions& options,
                             std::int64_t feedback)
    : options_(options) {
  check(name, options);
  if (options.layers != 1 || options.bidirectional)
    throw Error(Error::Kind::bug, name, "a recurrent cell has one layer and goes forward");
  const std::string at = prefixed(name);
  const std::int64_t rows = gate_rows(), in = options.input + feedback;
  const bool torch = options.initial == RecurrentInitial::torch && options.forget_bias == 0.0f;
  W_i_ = add(builder, at + "weight_ih_l0", 1, {rows, options.input}, input_weight(options, in));
  W_h_ = add(builder, at + "weight_hh_l0", 1, {rows, options.hidden}, hidden_weight(options));
  b_i_ = add(builder, at + "bias_ih_l0", 1, {rows}, input_bias(options, 1));
  b_h_ = add(builder, at + "bias_hh_l0", 1, {rows}, torch ? input_weight(options, 0) : Initial::zeros());
  W_f_ = feedback > 0 ? add(builder, at + "weight_fh_l0", 1, {rows, feedback}, input_weight(options, in))
                      : nullptr;
  state_site_ = builder.next_site();
}

Tensor RecurrentCell::project(const ops::Context& ctx, const Tensor& x) const {
  return ops::linear(ctx, x, W_i_->value, b_i_->value);
}

RecurrentOutput RecurrentCell::whole(const ops::Context& ctx, const Tensor& x_projection,
                                     const RecurrentState& first,
                                     const std::shared_ptr<const ops::Sequences>& sequences) const {
  if (W_f_)
    throw Error(Error::Kind::bug, "recurrent cell", "a cell with feedback cannot run all steps at once");
  return ops::recurrent_layer(
      ctx, x_projection, W_h_->value, b_h_->value, first, sequences,
      {.cell = options_.cell, .state_dropping = {options_.state_dropout, state_site_}});
}

RecurrentCell::Loop::Loop(const ops::Context& ctx, const RecurrentCell& cell, std::int64_t B, Given given)
    : cell_(cell.options_.cell),
      H_(cell.hidden()),
      hidden_(ctx, cell.W_h_->value, cell.b_h_->value),
      mask_(ops::sequence_mask(ctx, B, cell.hidden(), {cell.options_.state_dropout, cell.state_site_})) {
  if (cell.W_f_) feedback_.emplace_back(ctx, cell.W_f_->value, Tensor());
  if (given == Given::input) input_.emplace_back(ctx, cell.W_i_->value, cell.b_i_->value);
}

RecurrentState RecurrentCell::Loop::step(const ops::Context& ctx, const Tensor& given,
                                         const RecurrentState& state, const Tensor& feedback) const {
  if (feedback.defined() == feedback_.empty())
    throw Error(Error::Kind::bug, "recurrent cell",
                feedback_.empty() ? "feedback given to a cell without" : "a step without its feedback");
  const std::int64_t R = given.dim(0);
  const Tensor x_projection = input_.empty() ? given : input_.front()(ctx, given);
  const bool lstm = cell_ == Recurrence::lstm;
  const Tensor h = state.h.defined() ? state.h : Tensor::zeros({R, H_});
  const Tensor x = feedback_.empty() ? x_projection : feedback_.front()(ctx, feedback, x_projection);
  const Tensor u = hidden_(ctx, mask_.defined() ? ops::multiply(ctx, h, mask_.rows(0, R)) : h);
  if (!lstm) return {ops::gru_cell(ctx, x, u, h), {}};
  return ops::lstm_cell(ctx, x, u, state.c.defined() ? state.c : Tensor::zeros({R, H_}));
}

}  // namespace fovea::nn
