#include "page_scan.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "failure.h"
#include "pagemap_scan.h"

namespace holdfast {

namespace {

// Bits of a /proc/PID/pagemap entry.
constexpr uint64_t kEntryPresent = 1ull << 63;
constexpr uint64_t kEntrySwapped = 1ull << 62;
constexpr uint64_t kEntryFile = 1ull << 61;
constexpr uint64_t kEntryGuard = 1ull << 58;

constexpr size_t kEntriesPerRead = 8192;

bool kernel_accepts(uint64_t categories) {
  const File pagemap(::open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
  const uint64_t here = reinterpret_cast<uint64_t>(&pagemap) & ~uint64_t{page_size() - 1};
  ScanRequest request{};
  request.size = sizeof request;
  request.start = here;
  request.end = here + page_size();
  request.category_inverted = request.category_mask = categories;
  return ::ioctl(pagemap.fd(), kPagemapScan, &request) >= 0;
}

// Categories that leave a page out, where this kernel knows them.
uint64_t excluded(MapKind kind) {
  static const uint64_t guard = kernel_accepts(kIsGuard) ? kIsGuard : 0;
  return guard | (kind == MapKind::Anonymous ? kIsZero : kIsFile);
}

bool has_contents(uint64_t entry, MapKind kind) {
  if ((entry & (kEntryPresent | kEntrySwapped)) == 0 || (entry & kEntryGuard) != 0) return false;
  return kind == MapKind::Anonymous || (entry & kEntryFile) == 0;
}

}  // namespace

uint32_t page_size() {
  static const uint32_t size = static_cast<uint32_t>(::sysconf(_SC_PAGESIZE));
  return size;
}

void append(std::vector<ScannedRun>& runs, const ScannedRun& run) {
  if (!runs.empty() && runs.back().address + runs.back().pages * page_size() == run.address &&
      runs.back().unwritten == run.unwritten) {
    runs.back().pages += run.pages;
  } else {
    runs.push_back(run);
  }
}

ScanMethod probe_scan_method() {
  static const ScanMethod method = kernel_accepts(kIsFile) ? ScanMethod::PagemapScan : ScanMethod::PagemapEntries;
  return method;
}

PageScan::PageScan(int pid, ScanMethod method) : pid_(pid), method_(method), pagemap_(open_proc(pid, "pagemap", O_RDONLY)) {}

void PageScan::enter(const MemoryMap& map, bool write_protect) {
  map_ = map;
  write_protect_ = write_protect && method_ == ScanMethod::PagemapScan;
  position_ = map.start;
  found_.clear();
  taken_ = 0;
}

bool PageScan::is_write_protectable(const MemoryMap& map) const {
  if (method_ != ScanMethod::PagemapScan) return false;
  ScanRegion region{};
  ScanRequest request{};
  request.size = sizeof request;
  request.start = map.start;
  request.end = map.end;
  request.vector = reinterpret_cast<uint64_t>(&region);
  request.vector_length = 1;
  request.max_pages = 1;
  request.category_mask = request.return_mask = kIsWriteProtectable;
  // All of a map is registered or nothing, else it were two maps.
  return ::ioctl(pagemap_.fd(), kPagemapScan, &request) == 1 && region.start == map.start;
}

bool PageScan::next(ScannedRun& run) {
  while (taken_ == found_.size()) {
    if (position_ >= map_.end) return false;
    found_.clear();
    taken_ = 0;
    method_ == ScanMethod::PagemapScan ? refill_by_scan() : refill_by_entries();
  }
  run = found_[taken_++];
  return true;
}

void PageScan::refill_by_scan() {
  std::array<ScanRegion, kRegionsPerScan> regions;
  ScanRequest request{};
  request.size = sizeof request;
  request.start = position_;
  request.end = map_.end;
  request.vector = reinterpret_cast<uint64_t>(regions.data());
  // The kernel takes memory for so many, and few pages are looked at often.
  request.vector_length = std::min<uint64_t>(regions.size(), (map_.end - position_) / page_size());
  request.category_inverted = request.category_mask = excluded(map_.kind);
  request.category_anyof_mask = kIsPresent | kIsSwapped;
  if (write_protect_) {
    request.flags = kProtectMatching | kCheckProtectable;
    request.return_mask = kIsWritten | kIsPresent;
  }
  const int count = ::ioctl(pagemap_.fd(), kPagemapScan, &request);
  if (count < 0) {
    // What it had write-protected before it failed is not known: all of it counts as written.
    if (errno == EINTR || (write_protect_ && errno == EPERM)) {
      write_protect_ = false;
      return;
    }
    throw Failure(code_of_errno(errno), "scanning the pages of process " + std::to_string(pid_) + " at " +
                                            hex(position_) + ": " + describe_errno(errno));
  }
  for (int i = 0; i < count; i++) {
    // A page of a file map that is not present may have been dropped: then the kernel keeps a mark there, which looks
    // like a page in the swap, and the map shows the file's page again.
    const bool certain = map_.kind == MapKind::Anonymous || (regions[i].categories & kIsPresent) != 0;
    const bool unwritten = write_protect_ && certain && (regions[i].categories & kIsWritten) == 0;
    append(found_, {regions[i].start, (regions[i].end - regions[i].start) / page_size(), unwritten});
  }
  if (request.walk_end <= position_) {
    throw Failure("INTERNAL", "the page scan of process " + std::to_string(pid_) + " stopped at " + hex(position_));
  }
  position_ = request.walk_end;
}

void PageScan::refill_by_entries() {
  std::vector<uint64_t> entries(std::min<uint64_t>(kEntriesPerRead, (map_.end - position_) / page_size()));
  const auto offset = static_cast<off_t>(position_ / page_size() * sizeof(uint64_t));
  const ssize_t got = ::pread(pagemap_.fd(), entries.data(), entries.size() * sizeof(uint64_t), offset);
  if (got < 0 && errno == EINTR) return;
  if (got < static_cast<ssize_t>(sizeof(uint64_t))) {
    throw Failure(got < 0 ? code_of_errno(errno) : "WRONG_STATE",
                  "reading the page map of process " + std::to_string(pid_) + " at " + hex(position_) + ": " +
                      (got < 0 ? describe_errno(errno) : std::string("the process has no memory any more")));
  }
  for (size_t i = 0; i < static_cast<size_t>(got) / sizeof(uint64_t); i++) {
    if (has_contents(entries[i], map_.kind)) append(found_, {position_, 1, false});
    position_ += page_size();
  }
}

}  // namespace holdfast
