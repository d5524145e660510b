#pragma once

#include "fovea/text/pipeline/normaliser.h"

/// The kinds of normaliser, each made of its JSON.
namespace fovea::text::pipeline {

std::unique_ptr<const Normaliser> make_lowercase();
std::unique_ptr<const Normaliser> make_strip_accents();
std::unique_ptr<const Normaliser> make_strip(const formats::Json& json);
std::unique_ptr<const Normaliser> make_nmt();
std::unique_ptr<const Normaliser> make_prepend(const formats::Json& json);
std::unique_ptr<const Normaliser> make_replace(const formats::Json& json);
std::unique_ptr<const Normaliser> make_byte_level_normaliser();
std::unique_ptr<const Normaliser> make_bert_normaliser(const formats::Json& json);
std::unique_ptr<const Normaliser> make_precompiled(const formats::Json& json);

/// Small letters for capital ones, each alone: no rule for a final sigma.
void to_lower(AlignedText& text);

}  // namespace fovea::text::pipeline
