#include "fovea/views/head_table.h"

#include <cstdio>

namespace fovea::views {

std::string head_table(const std::vector<attention::HeadStatistics>& heads) {
  std::string table = "side     layer  head  entropy  spread  distance  diagonal    end  confidence\n";
  for (const auto& head : heads) {
    char line[128];
    std::snprintf(line, sizeof line,
                  "%-7.*s  %5d  %4d  %7.2f  %4.0f %%  %8.2f  %6.0f %%  %3.0f %%  %8.0f %%\n",
                  static_cast<int>(attention::name(head.side).size()), attention::name(head.side).data(),
                  head.layer, head.head, head.entropy, 100 * head.spread, head.distance, 100 * head.diagonal,
                  100 * head.end, 100 * head.confidence);
    table += line;
  }
  return table;
}

}  // namespace fovea::views
