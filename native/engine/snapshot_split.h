// What of a frozen tree's pages can be read from its snapshots, and what must be read while it is held.
#pragma once

#include <vector>

#include "page_work.h"

namespace holdfast {

// A clone of a frozen process that never runs: its memory is that of the hold.
struct Snapshot {
  int pid;
  int clone_pid;
};

// Takes out of `runs` what the snapshots have. Not everything is in a clone: MADV_DONTFORK leaves ranges out,
// MADV_WIPEONFORK empties them, of reserved huge pages a clone may lose what the process writes to,
// and shared memory is the same in both.
void split_by_snapshots(std::vector<StaleRun>& runs, const std::vector<Snapshot>& snapshots, ScanMethod scan_method,
                        std::vector<StaleRun>& in_snapshots, std::vector<int>& clone_pids);

}  // namespace holdfast
