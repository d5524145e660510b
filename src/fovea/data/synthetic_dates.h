#pragma once

#include "fovea/base/random.h"
#include "fovea/data/synthetic.h"

namespace fovea::data {

/// One pair of SyntheticTask::dates: `key` decides the date and the way it is written.
SyntheticPair date_pair(const RandomKey& key);

}  // namespace fovea::data
