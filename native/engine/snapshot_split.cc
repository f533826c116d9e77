#include "snapshot_split.h"

#include <algorithm>
#include <map>

namespace holdfast {

namespace {

// The pages of one clone, asked for ascending ranges.
class ClonePages {
 public:
  ClonePages(int pid, ScanMethod method) : pid_(pid), scan_(pid, method) {}

  int pid() const { return pid_; }

  // Calls part(run, isThere) for the parts of the run.
  template <typename Part>
  void cut(const StaleRun& from, Part part) {
    const uint64_t size = page_size();
    uint64_t next = from.run.address;
    const uint64_t end = next + from.run.pages * size;
    scan_.enter({next, end, 0, from.kind, from.huge_tlb});
    for (ScannedRun found; scan_.next(found);) {
      if (found.address > next) part(PageRun{next, (found.address - next) / size}, false);
      part(PageRun{found.address, found.pages}, true);
      next = found.address + found.pages * size;
    }
    if (next < end) part(PageRun{next, (end - next) / size}, false);
  }

 private:
  int pid_;
  PageScan scan_;
};

}  // namespace

void split_by_snapshots(std::vector<StaleRun>& runs, const std::vector<Snapshot>& snapshots, ScanMethod scan_method,
                        std::vector<StaleRun>& in_snapshots, std::vector<int>& clone_pids) {
  std::map<int, ClonePages> clones;
  for (const Snapshot& snapshot : snapshots) clones.try_emplace(snapshot.pid, snapshot.clone_pid, scan_method);
  std::vector<StaleRun> held;
  for (const StaleRun& run : runs) {
    const auto clone = clones.find(run.space->process.pid);
    if (clone == clones.end() || run.huge_tlb || run.kind == MapKind::Shared) {
      held.push_back(run);
      continue;
    }
    clone->second.cut(run, [&](const PageRun& part, bool isThere) {
      StaleRun one = run;
      one.run = part;
      if (!isThere) {
        held.push_back(one);
        return;
      }
      in_snapshots.push_back(one);
      clone_pids.push_back(clone->second.pid());
    });
  }
  runs = std::move(held);
}

}  // namespace holdfast
