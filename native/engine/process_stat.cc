#include "process_stat.h"

#include <algorithm>

#include "file.h"

namespace holdfast {

ProcessStat::ProcessStat(int pid) : text_(read_proc(pid, "stat")) {}

// The name in field 2 may have spaces and brackets of its own.
std::string_view ProcessStat::field(int number) const {
  const size_t name_end = text_.rfind(')');
  if (name_end == std::string::npos) return {};
  std::string_view rest = std::string_view(text_).substr(name_end + 1);
  for (int i = 2; i < number; i++) {
    const size_t space = rest.find(' ');
    if (space == std::string_view::npos) return {};
    rest.remove_prefix(space + 1);
  }
  return rest.substr(0, rest.find_first_of(" \n"));
}

std::string ProcessStat::address_space() const {
  std::string all;
  for (const int number : {26, 27, 28, 45, 48, 49, 50, 51}) {
    all += field(number);
    all += ' ';
  }
  return all;
}

}  // namespace holdfast
