#include "served_maps.h"

#include <charconv>

namespace holdfast {

namespace {

// "7f00-7f10 rw-p ..." begins a map; every other line is "Name: value".
bool parse_range(std::string_view line, ServedMap& map) {
  const size_t dash = line.find('-');
  const size_t space = line.find(' ');
  if (dash == std::string_view::npos || space == std::string_view::npos || dash > space) return false;
  const auto number = [&](size_t from, size_t to, uint64_t& value) {
    const auto [end, error] = std::from_chars(line.data() + from, line.data() + to, value, 16);
    return error == std::errc() && end == line.data() + to;
  };
  return number(0, dash, map.start) && number(dash + 1, space, map.end);
}

bool has_flag(std::string_view flags, std::string_view flag) {
  for (size_t at = flags.find(flag); at != std::string_view::npos; at = flags.find(flag, at + 1)) {
    const bool begins = at > 0 && flags[at - 1] == ' ';
    const bool ends = at + flag.size() == flags.size() || flags[at + flag.size()] == ' ';
    if (begins && ends) return true;
  }
  return false;
}

}  // namespace

std::vector<ServedMap> parse_served_maps(std::string_view smaps) {
  constexpr std::string_view kFlags = "VmFlags:";
  std::vector<ServedMap> served;
  ServedMap map{};
  bool is_stack = false;
  while (!smaps.empty()) {
    const size_t end = smaps.find('\n');
    const std::string_view line = smaps.substr(0, end);
    smaps.remove_prefix(end == std::string_view::npos ? smaps.size() : end + 1);
    if (line.starts_with(kFlags)) {
      map.early = is_stack || has_flag(line, "wf");
      if (has_flag(line, "um")) served.push_back(map);
    } else if (parse_range(line, map)) {
      is_stack = line.ends_with("[stack]");
    }
  }
  return served;
}

}  // namespace holdfast
