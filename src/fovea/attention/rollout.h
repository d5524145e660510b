#pragma once

#include <vector>

#include "fovea/attention/record.h"

namespace fovea::attention {

/// Attention rollout: how much of each input token is in each token after a layer, if every layer mixed its
/// tokens by its attention (mean over heads) and passed half of each on unmixed:
///   A_l = (W_l + I) / 2, rows normalised;   rollout_l = A_l A_{l-1} ... A_0
/// of the encoder's or the decoder's self-attention alone. Between the sides, rollout of the whole graph of
/// encoder and decoder. X_l[t,s], how much of source token s is in step t after decoder layer l, comes by the
/// tokens before it (self-attention, A_l) and by cross-attention C_l to what the encoder made, E:
///   X_l = ( A_l X_{l-1} + C_l E ) / 2,   X_{-1} = 0,   E the encoder's rollout
/// In the same graph the part of the target tokens is the decoder's rollout, shrunk by the half that each
/// cross-attention adds; here it is left out and the rows of X are divided by their sums. Layers that a
/// model has not are the identity: of a model with one attention and nothing else, rollout is that attention.
/// Returns  one head [1, T, S], rows that sum to one; numbered as the layer it goes through (-1: the last)
/// Cost     T S (T + S) multiply-adds a layer, in double
/// Throws   Error(usage) if the recording has no such side or layer
/// Source   Abnar and Zuidema, Quantifying attention flow in Transformers, ACL 2020, section 3. Encoder and
///          decoder in one graph: Ferrando et al., Towards opening the black box of neural machine
///          translation, EMNLP 2022, section 3 (who take contributions in the place of W); Chefer et al.,
///          Generic attention-model explainability, ICCV 2021, sum where the former multiply
RecordedLayer rollout(const Recording& recording, Side side, int through = -1);

/// Rollout through each recorded layer, side after side.
std::vector<RecordedLayer> rollouts(const Recording& recording);

}  // namespace fovea::attention
