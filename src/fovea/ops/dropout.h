#pragma once

#include <memory>

#include "fovea/ops/attention.h"

namespace fovea::ops {

/// y = dropout(x), element by element; any shape. Without training x itself.
Tensor dropout(const Context& ctx, const Tensor& x, const Dropping& dropping);

/// What variational dropout multiplies by: 0 where dropped, 1/(1 - p) where kept, one number for each
/// sequence and column [B, width]; undefined unless training. Source   Gal and Ghahramani 2016, "A
/// Theoretically Grounded Application of Dropout in Recurrent Neural Networks"
Tensor sequence_mask(const Context& ctx, std::int64_t B, std::int64_t width, const Dropping& dropping);

/// y[n, c] = x[n, c] m[b, c] for the rows n of sequence b, m = sequence_mask: the same columns are dropped at
/// every step of a sequence. Sequences one after another cover every row of x [N, C].
Tensor sequence_dropout(const Context& ctx, const Tensor& x_NC,
                        const std::shared_ptr<const Sequences>& sequences, const Dropping& dropping);

/// Throws Error(bug), naming `where`, unless the sequences lie one after another and cover N rows.
void expect_packed(const Sequences& sequences, std::int64_t N, std::string_view where);

}  // namespace fovea::ops
