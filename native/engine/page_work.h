// The pages that one step of a capture has to read, cut into batches that fit a chunk.
#pragma once

#include <cstdint>
#include <vector>

#include "page_ledger.h"

namespace holdfast {

// Neighbouring pages that must be read.
struct StaleRun {
  TrackedSpace* space;
  uint64_t map_start;
  MapKind kind;
  bool huge_tlb;
  PageRun run;
};

// Pages of one address space that become at most one chunk.
struct Batch {
  TrackedSpace* space;
  MapKind kind;
  bool huge_tlb;
  std::vector<PageRun> runs;
  uint64_t pages;
  int pid;  // to read them from
};

// Not synchronized.
class PageWork {
 public:

  PageWork() = default;
  // pids[i] is the process to read runs[i] from.
  PageWork(std::vector<StaleRun> runs, std::vector<int> pids, uint32_t batch_pages)
      : runs_(std::move(runs)), pids_(std::move(pids)), batch_pages_(batch_pages) {}

  bool empty() const { return next_ == runs_.size(); }
  Batch take();

 private:
  // A long run begins a chunk of its own: so equal memory of several processes is cut alike, and stored once.
  bool joins(const Batch& batch, const StaleRun& run) const;

  std::vector<StaleRun> runs_;
  std::vector<int> pids_;
  uint32_t batch_pages_ = 1;
  size_t next_ = 0;
  uint64_t taken_ = 0;  // pages of runs_[next_]
};

}  // namespace holdfast
