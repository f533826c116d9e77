// Which pages of one address space were not written since they were looked at last. In doubt a page was written.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "file.h"
#include "memory_map.h"
#include "page_scan.h"

namespace holdfast {

enum class TrackMethod {
  WriteProtect,  // userfaultfd, asynchronous write-protection; kernel 6.7 and later
  SoftDirty,     // bit 55 of /proc/PID/pagemap, cleared by /proc/PID/clear_refs
  Fingerprint,   // nothing is tracked: every page is read and compared
};

// The best that this kernel offers, tried once on our own memory.
TrackMethod probe_track_method();

const char* name_of(TrackMethod method);

// Only where a page that was dropped leaves nothing behind. In private maps of files and of huge pages write-protection leaves a mark,
// which the page that takes its place gets, too: the store that made it comes after that, and a thread can be stopped between the
// two. Over such a mark in a map of a file MADV_GUARD_INSTALL never comes to its end (Linux 6.18).
inline bool can_be_tracked(MapKind kind, bool huge_tlb) { return kind == MapKind::Anonymous && !huge_tlb; }

enum class Look {
  WhileItRuns,
  Frozen,
  FrozenAfterRound,  // looked at not long ago while it ran: most is there and was not written since
};

class WriteTracker {
 public:
  WriteTracker(int pid, TrackMethod wanted);

  // Takes from the running process what tracking needs: it is stopped for less than a millisecond, the first time and
  // after an exec. A process that refuses is compared by fingerprints from then on.
  void arm();

  TrackMethod method() const { return method_; }

  // Why the wanted method is not used; or empty.
  const std::string& refusal() const { return refusal_; }

  using Found = std::function<void(const PageRun& run, bool unwritten)>;

  // Names the pages of all maps that have contents of their own, and starts to track those that are not tracked yet. In a
  // process that runs, what changes meanwhile is found by the next scan.
  void scan(const std::vector<MemoryMap>& maps, Look look, ScanMethod scan_method,
            const std::function<Found(const MemoryMap&)>& enter);

 private:
  bool is_tracked(const PageScan& scan, const MemoryMap& map);
  void register_map(const MemoryMap& map);
  void let_go_after_exec();

  const int pid_;
  TrackMethod method_;
  std::string refusal_;
  File userfault_;
  std::string address_space_;  // that userfault_ is of
  bool soft_dirty_cleared_ = false;
};

}  // namespace holdfast
