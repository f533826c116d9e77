// Tasks that share one address space (CLONE_VM, vfork) are captured once.
#pragma once

#include <cstdint>
#include <vector>

namespace holdfast {

struct ProcessId {
  int pid;             // in our pid namespace
  uint32_t image_pid;  // as CRIU's images name it
  bool untracked = false;  // written behind the page tables, too
};

// The first task of every distinct address space, in the order given. Where the kernel cannot compare
// (no kcmp), every task counts as its own: captured twice, and restored to the same contents.
std::vector<ProcessId> distinct_address_spaces(const std::vector<ProcessId>& tasks);

}  // namespace holdfast
