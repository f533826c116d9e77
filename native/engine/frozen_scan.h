// Walks a map that nobody writes to.
#pragma once

#include <vector>

#include "memory_map.h"
#include "page_scan.h"

namespace holdfast {

struct FrozenWalk {
  bool write_protect;  // what is found, as PageScan does
  // Most of it is there and was not written since it was write-protected: that is passed over quickly. Takes a map that is tracked.
  bool mostly_unwritten;
};

// What a PageScan that has entered the map finds, found on as many processors as its size is worth.
std::vector<ScannedRun> scan_frozen(int pid, ScanMethod method, const MemoryMap& map, FrozenWalk walk);

}  // namespace holdfast
