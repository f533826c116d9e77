#include "clone_identity.h"

#include <sstream>
#include <string>
#include <vector>

#include "failure.h"

namespace holdfast {

namespace {

struct Stat {
  char state = 0;
  int parent = 0;
  int exit_signal = 0;
};

Stat read_stat(int pid) {
  const std::string text = read_proc(pid, "stat");
  const size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) throw Failure("NOT_FOUND", "process " + std::to_string(pid) + " does not exist");
  // proc(5): the fields after the name are numbered from 3; the exit signal is number 38.
  std::istringstream fields(text.substr(name_end + 1));
  Stat stat;
  fields >> stat.state >> stat.parent;
  std::string skipped;
  for (int field = 5; field < 38; field++) fields >> skipped;
  fields >> stat.exit_signal;
  return stat;
}

// A process's pids, from our pid namespace inwards.
std::vector<int> namespace_pids(int pid) {
  const std::string text = read_proc(pid, "status");
  const size_t line = text.find("\nNSpid:");
  std::vector<int> pids;
  if (line == std::string::npos) return pids;
  const size_t start = line + 7;
  std::istringstream fields(text.substr(start, text.find('\n', start) - start));
  for (int value; fields >> value;) pids.push_back(value);
  return pids;
}

}  // namespace

CloneIdentity identify_clone(int clone, int parent) {
  const std::string who = "process " + std::to_string(clone);
  const Stat stat = read_stat(clone);
  if (stat.parent != parent || stat.exit_signal != 0) {
    throw Failure("WRONG_STATE", who + " is not a snapshot of process " + std::to_string(parent));
  }
  const size_t level = namespace_pids(parent).size();
  const auto pids = namespace_pids(clone);
  if (level == 0 || pids.size() < level) throw Failure("NOT_FOUND", who + " does not exist");
  return {clone, parent, pids[level - 1], stat.state == 'Z' || stat.state == 'X'};
}

}  // namespace holdfast
