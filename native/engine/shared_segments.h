// Shared memory without a file: the first process that maps a page of it owns the page, so it is captured once.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "file.h"
#include "memory_map.h"
#include "page_scan.h"

namespace holdfast {

// The file system where this kernel keeps memory without a file; 0: it cannot be told.
uint64_t segment_device();

class SegmentOwners {
 public:
  // `left_out`: the segments whose contents CRIU left to us, of frozen processes. Without it all are looked at, of
  // processes that run.
  explicit SegmentOwners(std::optional<std::vector<SegmentId>> left_out) : left_out_(std::move(left_out)) {}

  bool is_ours(const SegmentId& segment) const;

  // The pages of a process's map that hold data and that no map before it has shown, ascending.
  std::vector<PageRun> claim(int pid, const SegmentMap& map);

  // Throws when data of a segment that CRIU left to us is in no map that was claimed.
  void check_complete() const;

 private:
  struct Part {
    uint64_t start, end;  // bytes of the segment
  };
  struct Segment {
    File file;
    std::map<uint64_t, uint64_t> claimed;  // start -> end; disjoint
  };

  static std::vector<Part> data(const File& file, const Part& within);
  static std::vector<Part> unclaimed(const Segment& segment, const Part& part);

  const std::optional<std::vector<SegmentId>> left_out_;
  std::map<SegmentId, Segment> segments_;
};

}  // namespace holdfast
