// How a recurrent encoder-decoder trains: its loss, over all steps at once or step by step.
#include <numeric>

#include "fovea/models/recurrent.h"
#include "fovea/models/row_selection.h"
#include "fovea/ops/dropout.h"
#include "fovea/ops/pairs_coverage.h"
#include "fovea/ops/rows.h"

namespace fovea::models {
namespace {

using attention::Sequences;
using nn::RecurrentCell;
using ops::Context;

// The first R sentences of a batch that lies sentence after sentence.
SourceView first_of(const Context& ctx, const SourceView& source, std::int64_t R) {
  SourceView first = source;
  if (source.fixed.defined()) first.fixed = ops::rows(ctx, source.fixed, 0, R);
  if (!source.memory.sequences || source.memory.sequences->size() == R) return first;
  first.memory.sequences = source.memory.sequences->first(R);
  return first;
}

DecoderState first_of(const Context& ctx, const DecoderState& state, const SourceView& source, std::int64_t R,
                      std::int64_t heads) {
  DecoderState first = state;
  const auto cut = [&](Tensor& tensor, std::int64_t rows) {
    if (tensor.defined() && tensor.dim(0) != rows) tensor = ops::rows(ctx, tensor, 0, rows);
  };
  for (auto& layer : first.layers) {
    cut(layer.h, R);
    cut(layer.c, R);
  }
  cut(first.fed, R);
  if (source.memory.sequences) {
    const auto& sequences = *source.memory.sequences;
    const std::int64_t keys =
        std::accumulate(sequences.count.begin(), sequences.count.end(), std::int64_t{0});
    cut(first.previous, heads * keys);
    cut(first.coverage, heads * keys);
  }
  return first;
}

// Adds weight * loss of looking again at each row: [R] losses, of which backward sends the gradient.
void add_coverage_loss(const Context& ctx, const Tensor& weights, const Tensor& coverage,
                       const ops::PairsPtr& pairs, float weight) {
  const Tensor losses = ops::coverage_loss(ctx, weights, coverage, pairs);
  if (ctx.records({&losses}))
    ctx.tape->record([losses, weight] {
      Tensor d = Tensor::full(losses.shape(), weight);
      ops::give_gradient(losses, std::move(d));
    });
}

// Whether some tokens are the model's own.
bool samples(const Context& ctx, const TranslationBatch& batch) {
  return ctx.training && batch.own_token_share > 0.0f;
}

// What the steps looked at, to be one below the other.
struct Stack {
  std::vector<Tensor> s, c, readout, weights;
  std::shared_ptr<Sequences> sources = std::make_shared<Sequences>();  // that each row copies from

  void add(const RecurrentDecoder::Looked& looked, const Sequences* copied_from) {
    if (looked.readout.defined()) readout.push_back(looked.readout);
    if (looked.readout.defined() && !copied_from) return;  // nobody asks for more
    s.push_back(looked.s);
    c.push_back(looked.c);
    if (!copied_from) return;
    weights.push_back(looked.weights.reshape({looked.weights.elements(), 1}));
    const auto R = static_cast<std::size_t>(looked.s.dim(0));
    sources->start.insert(sources->start.end(), copied_from->start.begin(), copied_from->start.begin() + R);
    sources->count.insert(sources->count.end(), copied_from->count.begin(), copied_from->count.begin() + R);
  }
  RecurrentDecoder::Looked all(const Context& ctx) const {
    const auto stacked = [&](const std::vector<Tensor>& parts) {
      return parts.empty() ? Tensor() : ops::stack(ctx, parts);
    };
    return {stacked(s), stacked(c), stacked(readout), stacked(weights)};
  }
};

}  // namespace

/// What the steps of a batch read: tokens given, embedded and projected at once, or some of the model's own,
/// which are known only when their step comes.
class RecurrentModel::Reading {
 public:
  Reading(const Context& ctx, const RecurrentModel& model, const Unrolling& batch)
      : ctx_(ctx), plain_(ctx), model_(model), batch_(batch), tokens_(batch.tokens) {
    plain_.tape = nullptr;
    plain_.training = false;
    plain_.recorder = nullptr;
    if (batch.own) {
      output_layer_.emplace(plain_, model.output_->value, model.output_shift_->value);
    } else {
      embedded_.push_back(model.embed(ctx, tokens_, model.target_embedding_, model.target_site_));
      projection_ = model.decoder_->project(ctx, embedded_.front());
    }
  }

  /// What RecurrentDecoder::Steps is given at step t, whose tokens begin at `row`, after what `before` saw.
  Tensor step(std::int64_t t, std::int64_t row, const Looked& before) {
    const std::int64_t R = batch_.time.rows(t);
    if (!batch_.own) return ops::rows(ctx_, projection_, row, row + R);
    if (t > 0) predict(t, row, before);
    const auto tokens =
        std::span(tokens_).subspan(static_cast<std::size_t>(row), static_cast<std::size_t>(R));
    embedded_.push_back(
        model_.embed(ctx_, tokens, model_.target_embedding_, site_at(model_.target_site_, t)));
    return embedded_.back();
  }

  /// Of all steps [N, E].
  Tensor embedded() const { return batch_.own ? ops::stack(ctx_, embedded_) : embedded_.front(); }

 private:
  // Writes the model's own tokens of step t over those given. What it predicts is without the readout's
  // dropout, and no gradient goes through it.
  void predict(std::int64_t t, std::int64_t row, const Looked& before) {
    const auto rows = batch_.own->rows(t);
    if (rows.empty()) return;
    Looked looked{rows_of(before.s, rows), rows_of(before.c, rows), rows_of(before.readout, rows), {}};
    CopyView copies = batch_.encoded.copies;
    if (copies.tokens) {
      looked.weights = parts_of(before.weights, *copies.sources->first(before.s.dim(0)), rows);
      copies.sources = selected(*copies.sources, rows);
    }
    const auto queries = single_rows(static_cast<std::int64_t>(rows.size()));
    const Output output = model_.output(plain_, looked, rows_of(embedded_.back(), rows), queries, copies);
    Tensor logits = model_.mixed(plain_, (*output_layer_)(plain_, output.readout), output);
    const auto drawn = batch_.own->draw(ctx_.exec, t, rows, logits);
    for (std::size_t i = 0; i < rows.size(); ++i) tokens_[static_cast<std::size_t>(row + rows[i])] = drawn[i];
  }

  const Context& ctx_;
  Context plain_;
  const RecurrentModel& model_;
  const Unrolling& batch_;
  std::vector<std::int32_t> tokens_;
  std::vector<Tensor> embedded_;  // one, of all steps, or one a step
  Tensor projection_;
  std::optional<ops::StepLinear> output_layer_;
};

RecurrentModel::Unrolled RecurrentModel::unroll(const Context& ctx, const Unrolling& batch) const {
  const TimeMajor& time = batch.time;
  const CopyView& copies = batch.encoded.copies;
  Reading reading(ctx, *this, batch);
  const RecurrentDecoder::Steps steps(
      ctx, *decoder_, time.sentences(),
      batch.own ? RecurrentCell::Given::input : RecurrentCell::Given::projection);
  DecoderState state = decoder_->begin(ctx, batch.encoded.summary);
  SourceView source = batch.encoded.source;
  Looked looked;
  Stack all;
  Unrolled unrolled;
  for (std::int64_t t = 0, row = 0; t < time.steps(); row += time.rows(t++)) {
    const std::int64_t R = time.rows(t);
    if (t > 0 && R < time.rows(t - 1)) {
      source = first_of(ctx, source, R);
      state = first_of(ctx, state, source, R, config_.attention_heads);
    }
    const Tensor given = reading.step(t, row, looked), covered = state.coverage;
    looked = steps.step(ctx, given, state, source, batch.wants_weights);
    all.add(looked, copies.sources.get());
    if (batch.wants_weights) unrolled.weights.push_back(looked.weights);
    if (batch.coverage_weight > 0.0f && covered.defined())
      add_coverage_loss(ctx, looked.weights, covered,
                        ops::Pairs::of(single_rows(R), source.memory.sequences, config_.attention_heads),
                        batch.coverage_weight);
  }
  const auto queries = gate_ ? single_rows(all.sources->size()) : nullptr;
  unrolled.output = output(ctx, all.all(ctx), reading.embedded(), queries, {copies.tokens, all.sources});
  return unrolled;
}

ops::LossSums RecurrentModel::cross_entropy(const Context& ctx, const Output& output,
                                            std::span<const std::int32_t> targets, float label_smoothing,
                                            float weight) const {
  const Tensor x = ops::dropout(ctx, output.readout, {config_.dropout, readout_site_});
  const Tensor ids = ops::ids_tensor(targets);
  if (gate_)
    return ops::linear_copy_cross_entropy(ctx, x, output_->value, output_shift_->value, output.copying, ids,
                                          label_smoothing, weight);
  return ops::linear_cross_entropy(ctx, x, output_->value, output_shift_->value, ids, label_smoothing,
                                   weight);
}

ops::LossSums RecurrentModel::loss_of_whole(const Context& ctx, const TranslationBatch& batch,
                                            float label_smoothing, float weight) const {
  const auto target = Sequences::packed(batch.target_start);
  const Encoded encoded = encode(ctx, batch.source, Sequences::packed(batch.source_start), Looks::whole);
  const Tensor embedded = embed(ctx, batch.target_in, target_embedding_, target_site_);
  const Looked looked = decoder_->whole(ctx, decoder_->project(ctx, embedded),
                                        decoder_->begin(ctx, encoded.summary), target, encoded.source);
  if (config_.coverage_loss > 0.0f) {
    const auto pairs = ops::Pairs::of(target, encoded.source.memory.sequences, config_.attention_heads);
    add_coverage_loss(ctx, looked.weights, ops::coverage(ctx, looked.weights, pairs), pairs,
                      config_.coverage_loss * weight);
  }
  return cross_entropy(ctx, output(ctx, looked, embedded, target, encoded.copies), batch.target_out,
                       label_smoothing, weight);
}

ops::LossSums RecurrentModel::loss_step_by_step(const Context& ctx, const TranslationBatch& batch,
                                                float label_smoothing, float weight) const {
  const TimeMajor time(batch.target_start);
  std::vector<std::int32_t> source, source_start{0};
  for (const auto b : time.order()) {
    source.insert(source.end(), batch.source.begin() + batch.source_start[b],
                  batch.source.begin() + batch.source_start[b + 1]);
    source_start.push_back(static_cast<std::int32_t>(source.size()));
  }
  const Encoded encoded = encode(ctx, source, Sequences::packed(source_start), Looks::stepwise);
  const OwnTokens own(RandomKey::of(ctx.seed, ctx.update, site::sample), batch.own_token_share, config_.pad,
                      time);
  const auto unrolled = unroll(ctx, {.time = time,
                                     .tokens = time.arrange(batch.target_in),
                                     .encoded = encoded,
                                     .own = samples(ctx, batch) ? &own : nullptr,
                                     .coverage_weight = config_.coverage_loss * weight});
  return cross_entropy(ctx, unrolled.output, time.arrange(batch.target_out), label_smoothing, weight);
}

ops::LossSums RecurrentModel::loss(const Context& ctx, const TranslationBatch& batch, float label_smoothing,
                                   float weight) const {
  return config_.feeds_back() || samples(ctx, batch) ? loss_step_by_step(ctx, batch, label_smoothing, weight)
                                                     : loss_of_whole(ctx, batch, label_smoothing, weight);
}

}  // namespace fovea::models
