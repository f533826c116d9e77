// Which pages of a map have contents of their own: PAGEMAP_SCAN, or the entries of /proc/PID/pagemap on kernels
// without it (before 6.7).
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "file.h"
#include "memory_map.h"

namespace holdfast {

// The page size of this machine in bytes.
uint32_t page_size();

// Neighbouring pages.
struct PageRun {
  uint64_t address;
  uint64_t pages;
};

enum class ScanMethod { PagemapScan, PagemapEntries };

// What this kernel offers, tried once on our own memory.
ScanMethod probe_scan_method();

// Neighbouring pages of which the kernel knows the same.
struct ScannedRun {
  uint64_t address;
  uint64_t pages;
  // Not since the last walk that write-protected them; always false in a walk that does not.
  bool unwritten;
};

// Joins the run to the last one where it goes on.
void append(std::vector<ScannedRun>& runs, const ScannedRun& run);

// Walks the maps of one process. Present or swapped pages are named; left out are guard pages (where the
// kernel knows them), in anonymous maps zero pages that were only read, in file-private maps the file's own pages.
class PageScan {
 public:
  PageScan(int pid, ScanMethod method);

  // Starts over with a map. To write-protect what is found, in the same step of the kernel that looks whether it
  // was written, takes PagemapScan and a map that is registered for asynchronous write-protection; where the map
  // has changed since, its rest is walked without.
  void enter(const MemoryMap& map, bool write_protect = false);

  // The next run of the map, or false at its end. Failures name pid and address.
  bool next(ScannedRun& run);

  // Whether the whole map is registered for asynchronous write-protection.
  bool is_write_protectable(const MemoryMap& map) const;

  // The process's /proc/PID/pagemap.
  const File& pagemap() const { return pagemap_; }

 private:
  void refill_by_scan();
  void refill_by_entries();

  int pid_;
  ScanMethod method_;
  File pagemap_;
  MemoryMap map_{};
  uint64_t position_ = 0;  // first address not looked at
  bool write_protect_ = false;
  std::vector<ScannedRun> found_;
  size_t taken_ = 0;
};

}  // namespace holdfast
