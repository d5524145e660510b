#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fovea/base/error.h"
#include "fovea/formats/json.h"
#include "fovea/formats/json_writer.h"

/// What the readers of config.json have in common.
namespace fovea::models {

/// Throws Error(kind) naming `where` and what does not hold.
struct ConfigChecks {
  Error::Kind kind;
  std::string_view where;

  void require(bool good, const std::string& what, const std::string& remedy = {}) const;
  void within(std::int64_t value, std::int64_t least, std::int64_t most, const char* name) const;
  /// Dropouts are in [0, 1).
  void shares(std::initializer_list<float> dropouts) const;
  /// Special tokens lie within the vocabulary.
  void tokens(const std::vector<std::int32_t>& ids, std::int64_t vocabulary) const;
};

/// A dropout, 0.0 to 0.999.
float share_of(const formats::Json& config, std::string_view key, double otherwise = 0.0);

/// A token's number, or a list of them; none if the key is missing or null.
std::vector<std::int32_t> token_ids(const formats::Json& config, std::string_view key);
/// The first of these, if there is one.
std::optional<std::int32_t> first_token_id(const formats::Json& config, std::string_view key);

/// Throws Error(model) if a flag that fovea builds one way only says the other.
void expect_flag(const formats::Json& config, std::string_view key, bool value);

/// bos_token_id and eos_token_id, as a number where there is one, null where there is none.
void write_special_tokens(formats::JsonWriter& json, const std::optional<std::int32_t>& bos,
                          const std::vector<std::int32_t>& eos);

}  // namespace fovea::models
