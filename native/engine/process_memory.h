// The memory of another process: read while it is stopped, written while it is held before its resume.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "file.h"
#include "page_scan.h"

namespace holdfast {

class ProcessReader {
 public:
  explicit ProcessReader(int pid);

  // Reads the runs back to back into `out`. process_vm_readv where it may, /proc/PID/mem for what it may not
  // (PROT_NONE). A page that cannot be read is WRONG_STATE naming pid and address: the process was not stopped.
  void read(const std::vector<PageRun>& runs, std::byte* out) const;

  // The same of a process that runs: leaves out of `runs` what cannot be read any more.
  void read_what_is_there(std::vector<PageRun>& runs, std::byte* out) const;

 private:
  void read_by_file(uint64_t address, std::byte* out, uint64_t length) const;

  int pid_;
  File mem_;
};

class ProcessWriter {
 public:
  explicit ProcessWriter(int pid);

  // Writes bytes whatever the protection of the map; they must all be mapped. Failures name pid and address.
  void write(uint64_t address, const std::byte* bytes, uint64_t length) const;

 private:
  int pid_;
  File mem_;
};

}  // namespace holdfast
