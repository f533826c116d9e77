// One look at the memory of all processes of a tree: which pages there are, and which of them must be read.
#pragma once

#include <memory>
#include <vector>

#include "page_ledger.h"
#include "page_work.h"
#include "shared_segments.h"

namespace holdfast {

struct SurveyedMap {
  MemoryMap map;
  std::vector<PageRun> present;  // pages with contents of their own
};

struct SurveyedSpace {
  TrackedSpace* space;  // null: a zombie, which has no memory
  uint32_t image_pid;
  std::vector<SurveyedMap> maps;
};

struct Survey {
  std::vector<SurveyedSpace> spaces;
  std::vector<StaleRun> stale;  // written since they were read last, or never read
  uint64_t present_pages = 0;
  uint64_t stale_pages = 0;
};

struct SurveyOptions {
  // In frozen processes, the segments of shared memory whose contents CRIU left to us. None: the processes run, and of what
  // they share everything is looked at that may be left to us.
  std::optional<std::vector<SegmentId>> left_out;
  ScanMethod scan_method;

  bool frozen() const { return left_out.has_value(); }
};

// Takes the contents of stale pages out of the ledger: they count as unknown until they are captured. Processes that run
// may vanish, and are left out then; in frozen ones that is a failure.
Survey survey(PageLedger& ledger, const std::vector<ProcessId>& processes, const SurveyOptions& options);

}  // namespace holdfast
