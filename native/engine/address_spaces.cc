#include "address_spaces.h"

#include <linux/kcmp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <set>

namespace holdfast {

namespace {

// kcmp orders address spaces in a way that holds as long as they live, so a set needs n log n calls.
struct ByAddressSpace {
  bool operator()(const ProcessId& left, const ProcessId& right) const {
    const long order = ::syscall(SYS_kcmp, left.pid, right.pid, KCMP_VM, 0, 0);
    return order < 0 ? left.pid < right.pid : order == 1;
  }
};

}  // namespace

std::vector<ProcessId> distinct_address_spaces(const std::vector<ProcessId>& tasks) {
  std::set<ProcessId, ByAddressSpace> seen;
  std::vector<ProcessId> distinct;
  for (const ProcessId& task : tasks) {
    if (seen.insert(task).second) distinct.push_back(task);
  }
  // What one of them does, all of its address space suffers.
  for (const ProcessId& task : tasks) {
    if (!task.untracked) continue;
    const auto same = seen.find(task);
    for (ProcessId& one : distinct) one.untracked |= same != seen.end() && one.pid == same->pid;
  }
  return distinct;
}

}  // namespace holdfast
