#pragma once

#include <vector>

#include "prometheus/metric_family.h"

namespace tapewire {

/// The usual process_* families, read from /proc/self. What cannot be read is left out.
std::vector<prometheus::MetricFamily> collect_process_metrics();

}  // namespace tapewire
