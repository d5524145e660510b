#pragma once

#include <cstdint>
#include <vector>

#include "fovea/attention/record.h"

namespace fovea::attention {

/// What one head does, as means over its rows. Rows count as if they summed to one; rows that see nothing do
/// not count. A row of a decoder's self-attention sees its own column and those before it, any other row all.
///   entropy     H(w) = - sum_s w[s] ln w[s], nats: 0 looks at one token, ln S at all alike
///   spread      H(w) / ln(columns seen), 0 to 1; rows that see one column alone do not count
///   distance    sum_s w[s] |s - home|, tokens; home is the row's own place, between the sides the place as
///               far along: t (S - 1) / (T - 1)
///   diagonal    share that goes to columns at most one token from home
///   end         share that goes to the end of sentence, the last column of the source; of a decoder's
///               self-attention to the start symbol, its first
///   confidence  the largest weight on a column that is not that one
/// Source   confidence: Voita et al., Analyzing multi-head self-attention, ACL 2019, section 4; entropy and
///          distance: Clark et al., What does BERT look at?, BlackboxNLP 2019, section 3; Vig and Belinkov,
///          Analyzing the structure of attention, BlackboxNLP 2019, section 4
struct HeadStatistics {
  Side side = Side::cross;
  int layer = 0, head = 0;
  double entropy = 0, spread = 0, distance = 0, diagonal = 0, end = 0, confidence = 0;
};

/// Of one head's weights [T, S] at `weights`.
HeadStatistics head_statistics(const float* weights, std::int64_t T, std::int64_t S, Side side);

/// Of every layer and head, in the order of the recording.
std::vector<HeadStatistics> head_statistics(const Recording& recording);

/// The layer of a side that points most clearly: the one whose head `head`, or mean over heads if that is
/// -1, has the greatest confidence. (Layers differ in what they do; much of some goes to the end of sentence,
/// which says nothing.) Layers without such a head are left out; null if none has it.
const RecordedLayer* clearest_layer(const Recording& recording, Side side, int head = -1);

}  // namespace fovea::attention
