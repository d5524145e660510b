#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "fovea/ops/rotary.h"

namespace fovea::attention {

/// How the angles of rotary positions are stretched for texts longer than those of training: the rules that a
/// config.json names in `rope_scaling` (`rope_type`, formerly `type`). With f the factor, L0 the original
/// length, d the rotated width and w_e = theta^(-2e/d) the frequency of pair e:
///   none      w_e
///   linear    w_e / f                          positions interpolated (Chen et al. 2023)
///   ntk       theta -> theta f^(d/(d-2))       the slowest pair slows by f, the fastest not at all
///   dynamic   theta -> theta (f L/L0 - (f-1))^(d/(d-2)) for L > L0, L the length in use
///   yarn      between w_e (pairs that turn beta_fast times or more within L0) and w_e / f (beta_slow or
///             less) by a ramp over e; cos and sin times the attention factor (Peng et al. 2023, section 3.3)
///   llama3    w_e for wavelengths below L0/high_frequency, w_e / f above L0/low_frequency, between them
///             blended by how often the wave fits into L0 (Llama 3.1)
/// L0 is `original_max_position_embeddings` where the config names it, else `max_position_embeddings`. The
/// formulas are those of transformers' modeling_rope_utils.
enum class RotaryRule { none, linear, ntk, dynamic, yarn, llama3 };

/// The rule that a config.json calls `name`: default, linear, ntk, dynamic, yarn, llama3. Throws
/// Error(model).
RotaryRule rotary_rule(std::string_view name);

struct RotaryScaling {
  RotaryRule rule = RotaryRule::none;
  double factor = 1.0;                       ///< f
  std::int64_t original_length = 0;          ///< L0, tokens: dynamic, yarn, llama3
  double beta_fast = 32.0, beta_slow = 1.0;  ///< yarn: turns within L0
  bool truncate = true;                      ///< yarn: the ramp begins and ends at whole pairs
  double attention_factor = 0.0;  ///< yarn: of cos and sin; 0: 0.1 ln f + 1, or mscale's if both are given
  double mscale = 0.0, mscale_all_widths = 0.0;  ///< yarn: (0.1 mscale ln f + 1) / (0.1 mscale_all ln f + 1)
  double low_frequency = 1.0, high_frequency = 4.0;  ///< llama3
};

struct RotarySettings {
  std::int64_t rotated = 0;  ///< d: elements of a head that turn, even; a part of the head if less than E
  double theta = 10000.0;    ///< base of the frequencies
  bool interleaved = false;  ///< as in the paper; Hugging Face's models turn halves
  RotaryScaling scaling = {};
};

/// Angle of each pair from one position to the next, radians, [rotated/2]; `length` counts for the dynamic
/// rule only. Throws Error(model), naming the setting, if one is out of its range.
std::vector<double> rotary_frequencies(const RotarySettings& settings, std::int64_t length);

/// What cos and sin are multiplied by: 1 but for yarn.
double rotary_attention_factor(const RotaryScaling& scaling);

/// cos and sin of position * frequency for positions 0 .. positions - 1, computed in double; `positions` is
/// the length that the dynamic rule goes by.
/// Source   Su et al. 2021, equation (34)
ops::RotaryTables rotary_tables(const RotarySettings& settings, std::int64_t positions);

/// The same, a row for each of `positions`, which need not be in order: for one pass of a model. Angles are
/// products of f32, as transformers makes them.
ops::RotaryTables rotary_tables_at(const RotarySettings& settings, std::span<const std::int32_t> positions);

}  // namespace fovea::attention
