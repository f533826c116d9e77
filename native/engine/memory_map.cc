#include "memory_map.h"

#include <sys/sysmacros.h>

#include <charconv>
#include <optional>
#include <string>

#include "failure.h"

namespace holdfast {

namespace {

// Takes the text up to `end` from the front of `line`, and the `end` with it.
std::string_view take(std::string_view& line, char end) {
  const size_t at = line.find(end);
  const std::string_view field = line.substr(0, at);
  line.remove_prefix(at == std::string_view::npos ? line.size() : at + 1);
  return field;
}

std::optional<uint64_t> number(std::string_view text, int base) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// Pages the kernel provides; a restored process gets its own.
bool is_kernel_provided(std::string_view name) {
  return name == "[vdso]" || name.starts_with("[vvar") || name == "[vsyscall]" || name == "[uprobes]";
}

// Private anonymous huge pages are shown as a file of the kernel's internal hugetlbfs (device major 0).
bool is_anonymous_huge_tlb(std::string_view device, std::string_view name) {
  return device.starts_with("00:") && name == "/anon_hugepage (deleted)";
}

// One line of /proc/PID/maps.
struct Line {
  uint64_t start, end, offset, inode;
  std::string_view permissions, device, name;
};

Line parse_line(std::string_view line) {
  const std::string whole(line);
  const auto start = number(take(line, '-'), 16);
  const auto end = number(take(line, ' '), 16);
  const std::string_view permissions = take(line, ' ');
  const auto offset = number(take(line, ' '), 16);
  const std::string_view device = take(line, ' ');
  const auto inode = number(take(line, ' '), 10);
  if (!start || !end || !offset || !inode || *start >= *end || permissions.size() != 4) {
    throw Failure("INTERNAL", "cannot read this line of /proc/PID/maps: " + whole);
  }
  const std::string_view name = line.substr(std::min(line.find_first_not_of(' '), line.size()));
  return {*start, *end, *offset, *inode, permissions, device, name};
}

uint32_t protection_of(const Line& line) {
  return (line.permissions[0] == 'r' ? kRead : 0u) | (line.permissions[1] == 'w' ? kWrite : 0u) |
         (line.permissions[2] == 'x' ? kExecute : 0u);
}

bool is_shared(const Line& line) { return line.permissions[3] == 's'; }

std::optional<MemoryMap> private_map(const Line& line) {
  if (is_shared(line) || is_kernel_provided(line.name)) return std::nullopt;
  const bool huge_tlb = is_anonymous_huge_tlb(line.device, line.name);
  const MapKind kind = line.inode == 0 || huge_tlb ? MapKind::Anonymous : MapKind::FilePrivate;
  return MemoryMap{line.start, line.end, protection_of(line), kind, huge_tlb};
}

uint64_t device_of(std::string_view text) {
  const auto major = number(take(text, ':'), 16);
  const auto minor = number(text, 16);
  return makedev(static_cast<unsigned>(major.value_or(0)), static_cast<unsigned>(minor.value_or(0)));
}

}  // namespace

std::vector<MemoryMap> parse_private_maps(std::string_view maps) {
  std::vector<MemoryMap> found;
  while (!maps.empty()) {
    if (const auto map = private_map(parse_line(take(maps, '\n')))) found.push_back(*map);
  }
  return found;
}

std::vector<SegmentMap> parse_segment_maps(std::string_view maps, uint64_t device) {
  constexpr uint32_t kNeeded = kRead | kWrite;
  std::vector<SegmentMap> found;
  while (!maps.empty()) {
    const Line line = parse_line(take(maps, '\n'));
    const uint32_t protection = protection_of(line);
    if (!is_shared(line) || (protection & kNeeded) != kNeeded || line.name.starts_with("/SYSV")) continue;
    if (device_of(line.device) != device) continue;
    found.push_back({{line.start, line.end, protection, MapKind::Shared, false}, {device, line.inode}, line.offset});
  }
  return found;
}

}  // namespace holdfast
