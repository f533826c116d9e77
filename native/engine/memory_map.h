// The memory maps of a process that are ours to carry, from /proc/PID/maps.
#pragma once

#include <compare>

#include <cstdint>
#include <string_view>
#include <vector>

namespace holdfast {

// Shared: of memory without a file, which several processes may map; what is not stored is zero.
enum class MapKind : uint32_t { Anonymous = 0, FilePrivate = 1, Shared = 2 };

enum Protection : uint32_t { kRead = 1, kWrite = 2, kExecute = 4 };

struct MemoryMap {
  uint64_t start;  // address, page aligned
  uint64_t end;    // address after the last byte
  uint32_t protection;
  MapKind kind;
  bool huge_tlb;  // of the kernel's reserved huge pages
};

// What a shared map shows.
struct SegmentId {
  uint64_t device;
  uint64_t inode;

  auto operator<=>(const SegmentId&) const = default;
};

struct SegmentMap {
  MemoryMap map;
  SegmentId segment;
  uint64_t offset;  // of the map's start in the segment, in bytes
};

// Maps whose private pages are ours to carry: shared maps, and what the kernel itself puts into every
// process, are left out. Ascending by address. A malformed line is INTERNAL.
std::vector<MemoryMap> parse_private_maps(std::string_view maps);

// Shared maps that can be read and written, of the file system `device`, where the kernel keeps memory without a file. Without
// the segments of System V: their numbers may be those of others, too.
std::vector<SegmentMap> parse_segment_maps(std::string_view maps, uint64_t device);

}  // namespace holdfast
