#include "shared_segments.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <string>

#include "failure.h"

namespace holdfast {

namespace {

constexpr uint64_t kWholeSegment = std::numeric_limits<off_t>::max();

// A map of it leads to the segment's file, which has no name any more.
File open_segment(int pid, const MemoryMap& map) {
  const std::string name = "map_files/" + hex(map.start).substr(2) + "-" + hex(map.end).substr(2);
  return open_proc(pid, name.c_str(), O_RDONLY);
}

off_t seek(const File& file, uint64_t position, int whence) {
  const off_t found = ::lseek(file.fd(), static_cast<off_t>(position), whence);
  if (found < 0 && errno != ENXIO) {
    throw Failure("INTERNAL", "the data of a shared memory segment cannot be found: " + describe_errno(errno));
  }
  return found;
}

std::string name_of(const SegmentId& segment) {
  return "shared memory segment " + std::to_string(major(segment.device)) + ":" + std::to_string(minor(segment.device)) + " " +
         std::to_string(segment.inode);
}

}  // namespace

uint64_t segment_device() {
  static const uint64_t device = [] {
    const File made(::memfd_create("holdfast", MFD_CLOEXEC));
    struct stat status;
    return made.fd() >= 0 && ::fstat(made.fd(), &status) == 0 ? uint64_t{status.st_dev} : 0;
  }();
  return device;
}

bool SegmentOwners::is_ours(const SegmentId& segment) const {
  return !left_out_ || std::ranges::find(*left_out_, segment) != left_out_->end();
}

std::vector<SegmentOwners::Part> SegmentOwners::data(const File& file, const Part& within) {
  const uint64_t size = page_size();
  std::vector<Part> parts;
  for (uint64_t position = within.start; position < within.end;) {
    const off_t start = seek(file, position, SEEK_DATA);
    if (start < 0 || static_cast<uint64_t>(start) >= within.end) break;
    const off_t end = seek(file, static_cast<uint64_t>(start), SEEK_HOLE);
    // It shrinks while we look.
    if (end <= start) break;
    // The last page of a segment may lie across its end.
    position = std::min((static_cast<uint64_t>(end) + size - 1) / size * size, within.end);
    parts.push_back({static_cast<uint64_t>(start) / size * size, position});
  }
  return parts;
}

std::vector<SegmentOwners::Part> SegmentOwners::unclaimed(const Segment& segment, const Part& part) {
  std::vector<Part> left;
  uint64_t position = part.start;
  auto next = segment.claimed.upper_bound(position);
  if (next != segment.claimed.begin() && std::prev(next)->second > position) position = std::prev(next)->second;
  for (; position < part.end; ++next) {
    const uint64_t end = next == segment.claimed.end() ? part.end : std::min(next->first, part.end);
    if (position < end) left.push_back({position, end});
    if (next == segment.claimed.end()) break;
    position = std::max(position, next->second);
  }
  return left;
}

std::vector<PageRun> SegmentOwners::claim(int pid, const SegmentMap& map) {
  Segment& segment = segments_[map.segment];
  if (segment.file.fd() < 0) segment.file = open_segment(pid, map.map);
  const std::vector<Part> parts = unclaimed(segment, {map.offset, map.offset + (map.map.end - map.map.start)});
  std::vector<PageRun> runs;
  for (const Part& part : parts) {
    for (const Part& found : data(segment.file, part)) {
      runs.push_back({map.map.start + (found.start - map.offset), (found.end - found.start) / page_size()});
    }
    segment.claimed.emplace(part.start, part.end);
  }
  return runs;
}

void SegmentOwners::check_complete() const {
  if (!left_out_) return;
  for (const SegmentId& id : *left_out_) {
    const auto found = segments_.find(id);
    if (found == segments_.end()) {
      throw Failure("INTERNAL", "no process maps " + name_of(id) + ", whose contents CRIU left to us");
    }
    for (const Part& part : data(found->second.file, {0, kWholeSegment})) {
      if (unclaimed(found->second, part).empty()) continue;
      throw Failure("INTERNAL", "a part of " + name_of(id) + ", whose contents CRIU left to us, is not mapped by any process");
    }
  }
}

}  // namespace holdfast
