// Fields of /proc/PID/stat, as proc(5) numbers them.
#pragma once

#include <string>
#include <string_view>

namespace holdfast {

class ProcessStat {
 public:
  // NOT_FOUND when there is no such process.
  explicit ProcessStat(int pid);

  // From 3 on; empty when there is no such field.
  std::string_view field(int number) const;

  // Where the kernel put program, arguments and environment: another one after an exec, unless that runs the same again in
  // the same way without randomized addresses.
  std::string address_space() const;

 private:
  std::string text_;
};

}  // namespace holdfast
