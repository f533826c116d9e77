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
  bool whole = false;  // all that its process has must be read
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
  // Where a page lies, whatever else must be read: so many pages of one map, counted from its start.
  struct Window {
    uint64_t map_start;
    uint64_t number;
    bool operator==(const Window&) const = default;
  };

  Window window_of(const StaleRun& run, uint64_t address) const;
  // What is left of the next run in the window where it begins.
  PageRun next_piece() const;
  // What is read as a whole is cut by windows alone (docs/format.md, "How chunks are cut"): so unchanged memory is cut as it
  // was before, and equal memory of several processes is cut alike, and stored once.
  bool joins(const Batch& batch, const Window& window, const PageRun& piece) const;

  std::vector<StaleRun> runs_;
  std::vector<int> pids_;
  uint32_t batch_pages_ = 1;
  size_t next_ = 0;
  uint64_t taken_ = 0;  // pages of runs_[next_]
};

}  // namespace holdfast
