// Which maps of a process a userfaultfd watches for missing pages, from /proc/PID/smaps.
#pragma once

#include <string_view>
#include <vector>

#include "lazy_memory.h"

namespace holdfast {

// Ascending by address.
std::vector<ServedMap> parse_served_maps(std::string_view smaps);

}  // namespace holdfast
