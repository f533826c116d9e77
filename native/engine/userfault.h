// One userfaultfd of another process: its events, and pages put where they are missing.
#pragma once

#include <linux/userfaultfd.h>

#include <cstddef>
#include <cstdint>
#include <optional>

#include "file.h"

namespace holdfast {

class Userfault {
 public:
  explicit Userfault(File fd) : fd_(std::move(fd)) {}

  int fd() const { return fd_.fd(); }

  // The oldest event, or none for now.
  std::optional<uffd_msg> next_event() const;

  // What one attempt did: bytes that are there now, and what stopped it (an errno, 0 for nothing).
  struct Progress {
    uint64_t bytes;
    int error;
  };
  Progress copy(uint64_t address, const std::byte* from, uint64_t length) const;
  Progress zero(uint64_t address, uint64_t length) const;

  // Threads that wait for the range look again.
  void wake(uint64_t address, uint64_t length) const;

 private:
  File fd_;
};

// A descriptor of another process as one of ours. NOT_FOUND or PERMISSION_DENIED when it cannot be had.
File take_descriptor(int pid, int fd);

}  // namespace holdfast
